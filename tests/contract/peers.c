/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The other side: the test server, mute listeners, and a proxy that can reset a connection.
 */
#include "contract.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int listener(int backlog, int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        FAIL("a listener: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static int dial(int port, int flags)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) FAIL("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        FAIL("connect: %s", strerror(errno));
    return fd;
}

/* ---- mute listeners --------------------------------------------------------------------------------------------- */

int silent_listener(int *port)
{
    return listener(128, port);
}

enum { FILLERS = 4 };
static int fillers[FILLERS];

int black_hole(int *port)
{
    int i, fd = listener(0, port);
    for (i = 0; i < FILLERS; i++) fillers[i] = dial(*port, SOCK_NONBLOCK);
    return fd;
}

void black_hole_close(int fd)
{
    int i;
    for (i = 0; i < FILLERS; i++) close(fillers[i]);
    close(fd);
}

/* ---- test server ------------------------------------------------------------------------------------------------ */

static int read_port(int fd)
{
    char line[256];
    size_t filled = 0;
    int64_t end = now_ms() + ms(20000);
    while (filled < sizeof line - 1 && now_ms() < end) {
        struct pollfd pfd = {fd, POLLIN, 0};
        ssize_t got;
        if (poll(&pfd, 1, 100) <= 0) continue;
        got = read(fd, line + filled, sizeof line - 1 - filled);
        if (got <= 0) return 0;
        filled += (size_t)got;
        line[filled] = 0;
        if (strchr(line, '\n')) return strrchr(line, ':') ? atoi(strrchr(line, ':') + 1) : 0;
    }
    return 0;
}

server *server_start(int tls, const char *option)
{
    const char *program = getenv("POND_TEST_SERVER"), *base = getenv("TMPDIR");
    server *self = calloc(1, sizeof *self);
    const char *words[10];
    int in[2], out[2], n = 0;
    if (!self || !program || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        FAIL("the server cannot be started: is POND_TEST_SERVER set?");
    words[n++] = program;
    words[n++] = "--quiet";
    words[n++] = "--exit-on-stdin-eof";
    if (tls) {
        snprintf(self->tls, sizeof self->tls, "%s/contract-tls.XXXXXX", base ? base : ".");
        if (!mkdtemp(self->tls)) FAIL("mkdtemp: %s", strerror(errno));
        words[n++] = "--tls";
        words[n++] = self->tls;
    }
    if (option) words[n++] = option;
    words[n] = NULL;
    self->pid = fork();
    if (self->pid < 0) FAIL("fork: %s", strerror(errno));
    if (self->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execv(program, (char *const *)words);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    self->input = in[1];
    self->port = read_port(out[0]);
    close(out[0]);
    if (self->port == 0) FAIL("the server does not say that it listens");
    return self;
}

void server_kill(server *self)
{
    static const char *const files[] = {"ca.pem", "server-cert.pem", "server-key.pem", "client-cert.pem",
                                        "client-key.pem"};
    size_t i;
    char path[256];
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    close(self->input);
    for (i = 0; self->tls[0] && i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", self->tls, files[i]);
        unlink(path);
    }
    if (self->tls[0]) rmdir(self->tls);
    free(self);
}

int shared_port(void)
{
    const char *port = getenv("CONTRACT_PORT");
    if (!port) FAIL("CONTRACT_PORT is not set");
    return atoi(port);
}

const char *url(const char *scheme, int port, const char *path, ...)
{
    static char urls[16][320];
    static atomic_int next;
    char *text = urls[atomic_fetch_add(&next, 1) % 16];
    int n = snprintf(text, sizeof urls[0], "%s://127.0.0.1:%d", scheme, port);
    va_list values;
    va_start(values, path);
    vsnprintf(text + n, sizeof urls[0] - (size_t)n, path, values);
    va_end(values);
    return text;
}

char *file_text(const char *directory, const char *name)
{
    char path[256], *text = calloc(1, 1 << 16);
    size_t got;
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "re");
    if (!file || !text) FAIL("%s: %s", path, strerror(errno));
    got = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    if (got == 0) FAIL("%s is empty", path);
    return text;
}

/* ---- /script/log ------------------------------------------------------------------------------------------------ */

static char *fetch_log(int port)
{
    static const char request[] = "GET /script/log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t filled = 0, capacity = 1 << 16;
    char *answer = malloc(capacity), *body;
    ssize_t got;
    int fd = dial(port, 0);
    if (!answer || write(fd, request, sizeof request - 1) != (ssize_t)(sizeof request - 1)) FAIL("/script/log");
    while ((got = read(fd, answer + filled, capacity - filled - 1)) > 0) {
        filled += (size_t)got;
        if (capacity - filled < 2 && !(answer = realloc(answer, capacity *= 2))) FAIL("realloc");
    }
    close(fd);
    answer[filled] = 0;
    body = strstr(answer, "\r\n\r\n");
    if (!body) FAIL("no answer of /script/log");
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return answer;
}

static int search_log(int port, const char *a, const char *b, int *first, char **entry_text)
{
    static const char entry[] = "{\"conn\"";
    char *log = fetch_log(port), *at = strstr(log, entry);
    int found = 0, i = 0;
    *first = -1;
    for (; at; i++) {
        char *next = strstr(at + 1, entry), *end = next ? next : at + strlen(at), kept = *end;
        *end = 0;
        if (strstr(at, a) && (!b || strstr(at, b))) {
            if (*first < 0 && entry_text) *entry_text = strdup(at);
            if (*first < 0) *first = i;
            found++;
        }
        *end = kept;
        at = next;
    }
    free(log);
    return found;
}

int logged(int port, const char *a, const char *b)
{
    int first;
    return search_log(port, a, b, &first, NULL);
}

char *logged_text(int port, const char *a, const char *b, const char *mark)
{
    int first;
    char *entry = NULL, *text;
    if (!search_log(port, a, b, &first, &entry) || !entry) FAIL("no entry with %s", a);
    text = strstr(entry, mark);
    if (!text) FAIL("no %s in %s", mark, entry);
    text = strdup(text + strlen(mark));
    free(entry);
    if (!text) FAIL("strdup");
    text[strcspn(text, "\\\"")] = 0;
    return text;
}

int logged_at(int port, const char *a, const char *b)
{
    int first;
    search_log(port, a, b, &first, NULL);
    return first;
}

/* ---- proxy ------------------------------------------------------------------------------------------------------ */

struct proxy {
    int listener, port, target;
    atomic_int reset, stop;
    pthread_t thread;
};

/* 0: that side has ended. */
static int carry(int from, int to)
{
    char bytes[16384];
    ssize_t got = recv(from, bytes, sizeof bytes, 0), sent = 0, n;
    if (got <= 0) return 0;
    for (; sent < got; sent += n)
        if ((n = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL)) <= 0) return 0;
    return 1;
}

static void serve(proxy *self, int client)
{
    struct linger now = {1, 0};
    int other = dial(self->target, 0), going = 1;
    while (going && !self->stop && !self->reset) {
        struct pollfd fds[2] = {{client, POLLIN, 0}, {other, POLLIN, 0}};
        if (poll(fds, 2, 5) <= 0) continue;
        if (fds[0].revents) going = carry(client, other);
        if (going && fds[1].revents) going = carry(other, client);
    }
    if (atomic_exchange(&self->reset, 0)) setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(client);
    close(other);
}

static void *proxying(void *argument)
{
    proxy *self = argument;
    while (!self->stop) {
        struct pollfd pfd = {self->listener, POLLIN, 0};
        int client;
        if (poll(&pfd, 1, 5) <= 0) continue;
        client = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0) serve(self, client);
    }
    return NULL;
}

proxy *proxy_start(int target)
{
    proxy *self = calloc(1, sizeof *self);
    if (!self) FAIL("calloc");
    self->target = target;
    self->listener = listener(16, &self->port);
    self->thread = start(proxying, self);
    return self;
}

int proxy_port(const proxy *self)
{
    return self->port;
}

void proxy_reset(proxy *self)
{
    self->reset = 1;
}

void proxy_stop(proxy *self)
{
    self->stop = 1;
    finish(self->thread);
    close(self->listener);
    free(self);
}
