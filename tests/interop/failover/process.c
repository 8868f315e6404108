/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis-server and the two nodes: all are children of this program, end with it, and are ended by pid.
 */
#include "failover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

node nodes[NODES];
static pid_t redis;
static int redis_port;
static char redis_url[64];

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void die(const char *what)
{
    fprintf(stderr, "failover: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(2);
}

static const char *log_directory(void)
{
    const char *directory = getenv("FAILOVER_LOGS");
    return directory ? directory : ".";
}

/* In the child, before exec: its descriptors, and its end with ours, whatever ours is. */
static void become_child(int in, int out, const char *log)
{
    char path[4096];
    int fd;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    snprintf(path, sizeof path, "%s/%s.log", log_directory(), log);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) _exit(126);
    dup2(in, STDIN_FILENO);
    dup2(out >= 0 ? out : fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    for (fd = 3; fd < 64; fd++) close(fd);
}

static void end(pid_t *pid)
{
    if (*pid <= 0) return;
    kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *pid = 0;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0) die("bind");
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    close(fd);
    return ntohs(address.sin_port);
}

/* Does our redis-server answer? Not before it has bound its port, which somebody else may have taken meanwhile. */
static int redis_answers(void)
{
    struct sockaddr_in address = loopback(redis_port);
    struct timeval second = {1, 0};
    char answer[7] = "", want[32], info[4096];
    ssize_t got = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0), ours = 0;
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && write(fd, "PING\r\n", 6) == 6 &&
        read(fd, answer, 7) == 7 && memcmp(answer, "+PONG\r\n", 7) == 0 && write(fd, "INFO server\r\n", 13) == 13) {
        got = read(fd, info, sizeof info - 1);
        info[got > 0 ? got : 0] = 0;
        snprintf(want, sizeof want, "process_id:%d\r", (int)redis);
        ours = strstr(info, want) != NULL;
    }
    close(fd);
    return ours;
}

void redis_start(void)
{
    static const struct timespec moment = {0, 10 * 1000 * 1000};
    static int armed;
    int64_t deadline = now_ms() + DEADLINE_MS;
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0) die("/dev/null");
    if (!armed) armed = !atexit(processes_end);
    while (now_ms() < deadline) {
        char port[16];
        redis_port = free_port();
        snprintf(port, sizeof port, "%d", redis_port);
        redis = fork();
        if (redis < 0) die("fork");
        if (redis == 0) {
            become_child(nothing, -1, "redis");
            execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
                   "no", "--daemonize", "no", "--dir", log_directory(), (char *)NULL);
            _exit(127);
        }
        while (now_ms() < deadline) {
            if (waitpid(redis, NULL, WNOHANG) == redis) {
                redis = 0; /* the port was taken */
                break;
            }
            if (redis_answers()) {
                close(nothing);
                snprintf(redis_url, sizeof redis_url, "redis://127.0.0.1:%d/", redis_port);
                return;
            }
            nanosleep(&moment, NULL);
        }
    }
    errno = ETIMEDOUT;
    die("redis-server");
}

/* Reads the line that says ready, and the port in it. */
static int read_port(int fd)
{
    char line[256];
    size_t filled = 0;
    int64_t deadline = now_ms() + DEADLINE_MS;
    while (filled < sizeof line - 1 && now_ms() < deadline) {
        struct pollfd pfd = {fd, POLLIN, 0};
        char *colon;
        ssize_t got;
        if (poll(&pfd, 1, 100) < 0 && errno != EINTR) die("poll");
        if (!pfd.revents) continue;
        got = read(fd, line + filled, sizeof line - 1 - filled);
        if (got <= 0) break;
        filled += (size_t)got;
        line[filled] = 0;
        if (!strchr(line, '\n')) continue;
        colon = strrchr(line, ':');
        return strncmp(line, "listening ", 10) == 0 && colon ? atoi(colon + 1) : 0;
    }
    return 0;
}

void node_start(int which, const char *program, const char *name)
{
    node *self = &nodes[which];
    char port[16], log[64];
    int in[2], out[2];
    if (pipe(in) < 0 || pipe(out) < 0) die("pipe");
    snprintf(port, sizeof port, "%d", self->port);
    snprintf(log, sizeof log, "%s-%c", name, 'a' + which);
    self->pid = fork();
    if (self->pid < 0) die("fork");
    if (self->pid == 0) {
        become_child(in[0], out[1], log);
        execl(program, program, "--exit-on-stdin-eof", "--port", port, "--redis", redis_url, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    self->input = in[1];
    self->port = read_port(out[0]);
    close(out[0]);
    errno = 0;
    if (self->port == 0) die("a node did not say that it listens");
    snprintf(self->url, sizeof self->url, "ws://127.0.0.1:%d/api/socket", self->port);
}

void node_freeze(int which)
{
    int state;
    if (kill(nodes[which].pid, SIGSTOP) < 0) die("kill");
    while (waitpid(nodes[which].pid, &state, WUNTRACED) < 0) {
        if (errno != EINTR) die("waitpid");
    }
    errno = 0;
    if (!WIFSTOPPED(state)) die("a node ended instead of standing still");
}

void node_kill(int which)
{
    if (nodes[which].pid == 0) return;
    end(&nodes[which].pid);
    close(nodes[which].input);
}

void processes_end(void)
{
    int which;
    for (which = 0; which < NODES; which++) {
        node_kill(which);
        nodes[which].port = 0;
    }
    end(&redis);
}
