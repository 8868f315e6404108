/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Starts and ends the test server: the program that POND_TEST_SERVER names.
 */
#include "pond_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MOST 64
static server *servers[MOST];
static server *shared;

static void die(const char *what)
{
    fprintf(stderr, "pond-tests: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void close_on_exec(int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) die("fcntl");
}

/* Reads the line that says ready, and the port in it. */
static int read_port(int fd)
{
    char line[256];
    size_t filled = 0;
    int64_t end = now_ms() + ms(20000);
    while (filled < sizeof line - 1) {
        struct pollfd pfd = {fd, POLLIN, 0};
        char *colon;
        ssize_t got;
        if (poll(&pfd, 1, 100) < 0 && errno != EINTR) die("poll");
        if (now_ms() > end) break;
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

static void launch(server *self)
{
    const char *program = getenv("POND_TEST_SERVER");
    char port[16];
    int in[2], out[2];
    if (!program) die("POND_TEST_SERVER is not set");
    if (pipe(in) < 0 || pipe(out) < 0) die("pipe");
    close_on_exec(in[1]);
    close_on_exec(out[0]);
    snprintf(port, sizeof port, "%d", self->port);
    self->pid = fork();
    if (self->pid < 0) die("fork");
    if (self->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]);
        close(out[1]);
        execl(program, program, "--quiet", "--exit-on-stdin-eof", "--port", port, self->tls[0] ? "--tls" : (char *)NULL,
              self->tls, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    self->input = in[1];
    self->port = read_port(out[0]);
    close(out[0]);
    if (self->port == 0) {
        errno = 0;
        die("the server did not say that it listens");
    }
}

static void at_end(void)
{
    server *last = shared;
    shared = NULL;
    if (last) servers_end();
}

server *server_start(int tls)
{
    static int armed;
    server *self = calloc(1, sizeof *self);
    int i = 0;
    if (!self) die("calloc");
    if (!armed) armed = !atexit(at_end);
    while (i < MOST && servers[i]) i++;
    if (i == MOST) die("too many servers");
    servers[i] = self;
    if (tls) {
        const char *base = getenv("TMPDIR");
        snprintf(self->tls, sizeof self->tls, "%s/pond-tls.XXXXXX", base ? base : ".");
        if (!mkdtemp(self->tls)) die("mkdtemp");
    }
    launch(self);
    return self;
}

void server_kill(server *self)
{
    if (self->pid <= 0) return;
    kill(self->pid, SIGKILL);
    while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(self->input);
    self->pid = 0;
}

void server_restart(server *self)
{
    server_kill(self);
    launch(self);
}

server *shared_server(void)
{
    if (!shared) shared = server_start(0);
    return shared;
}

static void forget(server *self)
{
    static const char *const files[] = {"ca.pem",         "server-cert.pem", "server-key.pem",
                                        "client-cert.pem", "client-key.pem"};
    size_t i;
    server_kill(self);
    for (i = 0; self->tls[0] && i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", self->tls, files[i]);
        unlink(path);
    }
    if (self->tls[0]) rmdir(self->tls);
    free(self);
}

/* All but the shared one, after each test; that one, too, at the end. */
void servers_end(void)
{
    int i;
    for (i = 0; i < MOST; i++) {
        if (!servers[i] || servers[i] == shared) continue;
        forget(servers[i]);
        servers[i] = NULL;
    }
}

char *server_url(const server *self, const char *scheme, const char *path)
{
    static char urls[16][256];
    static int next;
    char *url = urls[next++ % 16];
    snprintf(url, sizeof urls[0], "%s://127.0.0.1:%d%s", scheme, self->port, path);
    return url;
}

char *script_log(const server *self)
{
    static const char request[] = "GET /script/log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {0};
    size_t filled = 0, capacity = 1 << 16;
    char *answer = malloc(capacity);
    char *body;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || !answer) die("socket");
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)self->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    if (write(fd, request, sizeof request - 1) != (ssize_t)(sizeof request - 1)) die("write");
    while ((got = read(fd, answer + filled, capacity - filled - 1)) > 0) {
        filled += (size_t)got;
        if (capacity - filled < 2) answer = realloc(answer, capacity *= 2);
        if (!answer) die("realloc");
    }
    close(fd);
    answer[filled] = 0;
    body = strstr(answer, "\r\n\r\n");
    if (!body) die("no answer of /script/log");
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return answer;
}
