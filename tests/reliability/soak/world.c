/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The world outside: the servers, and one proxy in front of them. A process of its own, so that its descriptors and
 * memory are not counted with the library's.
 */
#define _GNU_SOURCE
#include "soak.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LANES = 4 * SLOTS_MOST, FRAME_MOST = 8192 };

/* One connection: what the client sends is read as WebSocket frames while it passes. */
typedef struct lane {
    int client, server, backend, slot, frozen;
    int upgraded;
    size_t len;
    unsigned char data[FRAME_MOST]; /* the beginning of a frame or of the request */
} lane;

static lane *lanes;
static int listeners[BACKENDS], epoll, control_read, control_write = -1;
static pid_t world, servers[BACKENDS];
static int server_stdin[BACKENDS];
static uint64_t restart_us[BACKENDS], refuse_until_us[BACKENDS];
static const char *program;

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int listen_somewhere(int *port, int backlog)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) ||
        (backlog && listen(fd, backlog)) || getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("soak: no port");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void start_server(int backend)
{
    int in[2];
    char port[16];
    if (pipe2(in, O_CLOEXEC)) {
        violate("no pipe for a server");
        return;
    }
    snprintf(port, sizeof port, "%d", both->server_port[backend]);
    servers[backend] = fork();
    if (servers[backend] == 0) {
        dup2(in[0], 0);
        dup2(open("/dev/null", O_WRONLY), 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, "--port", port, "--quiet", "--exit-on-stdin-eof", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    server_stdin[backend] = in[1];
}

static void kill_server(int backend)
{
    if (servers[backend] <= 0) return;
    kill(servers[backend], SIGKILL);
    waitpid(servers[backend], NULL, 0);
    close(server_stdin[backend]);
    servers[backend] = 0;
}

static void end(lane *self, int hard)
{
    struct linger linger = {1, 0};
    if (self->client < 0) return;
    if (hard) {
        setsockopt(self->client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        setsockopt(self->server, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(self->client);
    close(self->server);
    self->client = self->server = -1;
    atomic_fetch_sub(&both->lanes, 1);
}

static void watch(lane *self, int operation, uint32_t events)
{
    int index = (int)(self - lanes);
    struct epoll_event up = {events, {.u64 = (uint64_t)(index * 2)}}, down = {events, {.u64 = (uint64_t)(index * 2 + 1)}};
    epoll_ctl(epoll, operation, self->client, &up);
    epoll_ctl(epoll, operation, self->server, &down);
}

static void welcome(int backend)
{
    struct sockaddr_in address = loopback(both->server_port[backend]);
    int yes = 1, client = accept4(listeners[backend], NULL, NULL, SOCK_CLOEXEC), server, i;
    if (client < 0) return;
    atomic_fetch_add(&both->accepted, 1);
    server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (i = 0; i < LANES && lanes[i].client >= 0;) i++;
    if (i == LANES || server < 0 || now_us() < refuse_until_us[backend] ||
        connect(server, (struct sockaddr *)&address, sizeof address) < 0) {
        if (i == LANES) violate("the proxy has no lane left");
        close(client);
        if (server >= 0) close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    lanes[i] = (lane){.client = client, .server = server, .backend = backend, .slot = -1};
    atomic_fetch_add(&both->lanes, 1);
    watch(&lanes[i], EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
}

/* A whole text frame of a client. */
static void arrived(lane *self, const char *text)
{
    long slot = number(text, "s"), n = number(text, "n");
    if (n < 0 || !strstr(text, "\"message\"")) return;
    if (slot != self->slot || n >= NUMBERS) {
        violate("a frame of slot %ld on the connection of %d", slot, self->slot);
        return;
    }
    if (bug("lost") && n % 10 == 9) return;
    if (bit(both->arrived[slot], (int)n)) violate("slot %ld: message %ld arrived twice", slot, n);
    if (n <= both->newest[slot]) violate("slot %ld: message %ld after %d", slot, n, both->newest[slot]);
    both->newest[slot] = (int)n;
    both->arrived[slot][n >> 3] |= (unsigned char)(1 << (n & 7));
}

/* Reads what lies in the lane; what is left waits for more. */
static void read_frames(lane *self)
{
    if (!self->upgraded) {
        unsigned char *stop = memmem(self->data, self->len, "\r\n\r\n", 4), *name;
        if (!stop) return;
        name = memmem(self->data, (size_t)(stop - self->data), "name=c", 6);
        self->slot = name ? atoi((char *)name + 6) : -1;
        if (!name || self->slot < 0 || self->slot >= SLOTS_MOST) {
            violate("a dial without a name");
            return;
        }
        self->upgraded = 1;
        stop += 4;
        self->len -= (size_t)(stop - self->data);
        memmove(self->data, stop, self->len);
    }
    for (;;) {
        static char text[FRAME_MOST + 1];
        size_t head = 6, len, i;
        if (self->len < 2) return;
        len = self->data[1] & 0x7f;
        if (len == 126) {
            if (self->len < 4) return;
            len = (size_t)self->data[2] << 8 | self->data[3];
            head = 8;
        }
        if (!(self->data[1] & 0x80) || len + head > FRAME_MOST) {
            violate("a frame that no client of this run writes");
            return;
        }
        if (self->len < head + len) return;
        for (i = 0; i < len; i++) text[i] = (char)(self->data[head + i] ^ self->data[head - 4 + (i & 3)]);
        text[len] = 0;
        if ((self->data[0] & 0x0f) == 1) arrived(self, text);
        self->len -= head + len;
        memmove(self->data, self->data + head + len, self->len);
    }
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
    while (len) {
        ssize_t put = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd room = {fd, POLLOUT, 0};
        if (put > 0) {
            data += put;
            len -= (size_t)put;
        } else if (put == 0 || (errno != EINTR && errno != EAGAIN) || poll(&room, 1, 2000) <= 0) {
            return 0;
        }
    }
    return 1;
}

static void pass(lane *self, int down, uint32_t events)
{
    static unsigned char data[FRAME_MOST / 2];
    size_t room = FRAME_MOST - self->len;
    ssize_t got;
    if (self->frozen) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) end(self, 1);
        return;
    }
    got = recv(down ? self->server : self->client, data, down || room > sizeof data ? sizeof data : room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        end(self, 0);
        return;
    }
    if (!write_all(down ? self->client : self->server, data, (size_t)got)) {
        /* What was read has come out of the client, wherever it went. */
        if (!down) {
            memcpy(self->data + self->len, data, (size_t)got);
            self->len += (size_t)got;
            read_frames(self);
        }
        end(self, 1);
        return;
    }
    if (down) return;
    memcpy(self->data + self->len, data, (size_t)got);
    self->len += (size_t)got;
    read_frames(self);
}

static void obey(order it)
{
    uint64_t seed = it.seed | 1;
    int i, tries;
    switch (it.what) {
    case CUT:
    case FREEZE:
        for (tries = 0; it.count > 0 && tries < LANES; tries++) {
            lane *self = &lanes[random_of(&seed) % LANES];
            if (self->client < 0 || self->frozen || self->backend != it.backend) continue;
            it.count--;
            if (it.what == CUT) {
                end(self, random_of(&seed) % 2);
            } else {
                self->frozen = 1;
                watch(self, EPOLL_CTL_MOD, EPOLLRDHUP);
            }
        }
        break;
    case REFUSE: refuse_until_us[it.backend] = now_us() + (uint64_t)it.ms * 1000; break;
    case KILL:
        kill_server(it.backend);
        restart_us[it.backend] = now_us() + (uint64_t)it.ms * 1000;
        break;
    case HEAL:
        for (i = 0; i < BACKENDS; i++) {
            refuse_until_us[i] = 0;
            if (restart_us[i]) restart_us[i] = 1;
        }
        break;
    }
}

static void serve(void)
{
    struct epoll_event events[256];
    int i, n;
    for (;;) {
        for (i = 0; i < BACKENDS; i++) {
            if (!restart_us[i] || now_us() < restart_us[i]) continue;
            restart_us[i] = 0;
            atomic_fetch_add(&both->restarts, 1);
            start_server(i);
        }
        n = epoll_wait(epoll, events, 256, 10);
        for (i = 0; i < n; i++) {
            uint64_t at = events[i].data.u64;
            if (at >= 2 * LANES + 1) {
                welcome((int)(at - 2 * LANES - 1));
            } else if (at == 2 * LANES) {
                order it;
                if (read(control_read, &it, sizeof it) != sizeof it) {
                    for (i = 0; i < BACKENDS; i++) kill_server(i);
                    _exit(0);
                }
                obey(it);
            } else if (lanes[at / 2].client >= 0) {
                pass(&lanes[at / 2], (int)(at & 1), events[i].events);
            }
        }
    }
}

void world_start(const char *server)
{
    int pipes[2], i, fd;
    struct epoll_event in = {EPOLLIN, {.u64 = 2 * LANES}};
    if (pipe2(pipes, O_CLOEXEC)) exit(1);
    program = server;
    for (i = 0; i < BACKENDS; i++) {
        close(listen_somewhere(&both->server_port[i], 0));
        listeners[i] = listen_somewhere(&both->proxy_port[i], 4096);
    }
    world = fork();
    if (world) {
        for (i = 0; i < BACKENDS; i++) close(listeners[i]);
        close(pipes[0]);
        control_write = pipes[1];
        for (i = 0; i < BACKENDS; i++) {
            struct sockaddr_in address = loopback(both->server_port[i]);
            uint64_t deadline = now_us() + 10000000;
            for (;;) {
                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (!connect(fd, (struct sockaddr *)&address, sizeof address)) break;
                close(fd);
                if (now_us() > deadline) {
                    fprintf(stderr, "soak: server %d does not listen\n", i);
                    exit(1);
                }
                usleep(20000);
            }
            close(fd);
        }
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(pipes[1]);
    control_read = pipes[0];
    lanes = calloc(LANES, sizeof *lanes);
    if (!lanes) _exit(1);
    for (i = 0; i < LANES; i++) lanes[i].client = lanes[i].server = -1;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, control_read, &in);
    for (i = 0; i < BACKENDS; i++) {
        in.data.u64 = (uint64_t)(2 * LANES + 1 + i);
        epoll_ctl(epoll, EPOLL_CTL_ADD, listeners[i], &in);
        start_server(i);
    }
    serve();
}

void world_order(order what)
{
    if (write(control_write, &what, sizeof what) != sizeof what) violate("the world has ended");
}

void world_stop(void)
{
    close(control_write);
    waitpid(world, NULL, 0);
}
