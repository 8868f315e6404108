/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A TCP proxy on a thread: drops, freezes and mutes connections, puts frames of its own into the stream, and remembers
 * what the server sent.
 */
#include "runner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { MOST = 64 };

typedef struct lane {
    int client, server;
    int frozen, muted;
    int answered; /* the handshake's answer has passed */
    size_t matched;
} lane;

struct proxy {
    pthread_mutex_t mutex;
    int listener, port, server_port;
    int accepted, mute, refuse;
    char request[1024]; /* the line of the newest request */
    size_t sent;
    lane lanes[MOST];
    int count;
    char *seen; /* what the servers sent */
    size_t seen_len, seen_room;
};

static void reset(lane *lane)
{
    struct linger hard = {1, 0};
    if (lane->client < 0) return;
    setsockopt(lane->client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    setsockopt(lane->server, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(lane->client);
    close(lane->server);
    lane->client = lane->server = -1;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put <= 0) {
            if (put < 0 && errno == EINTR) continue;
            return 0;
        }
        at += put;
        len -= (size_t)put;
    }
    return 1;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static void welcome(proxy *self)
{
    struct sockaddr_in address = loopback(self->server_port);
    int yes = 1, client = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC), server;
    if (client < 0) return;
    server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    self->accepted++;
    if (self->refuse || self->count == MOST || server < 0 ||
        connect(server, (struct sockaddr *)&address, sizeof address) < 0) {
        close(client);
        if (server >= 0) close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    self->lanes[self->count++] = (lane){client, server, 0, self->mute, 0, 0};
}

/* How much of these bytes still belongs to the handshake's answer. */
static size_t handshake_part(lane *lane, const char *data, size_t len)
{
    static const char end[] = "\r\n\r\n";
    size_t i;
    for (i = 0; i < len; i++) {
        lane->matched = data[i] == end[lane->matched] ? lane->matched + 1 : data[i] == '\r';
        if (lane->matched == 4) {
            lane->answered = 1;
            return i + 1;
        }
    }
    return len;
}

static void remember(proxy *self, const char *data, size_t len)
{
    if (self->seen_len + len > self->seen_room) {
        self->seen_room = (self->seen_len + len) * 2;
        self->seen = realloc(self->seen, self->seen_room);
        if (!self->seen) abort();
    }
    memcpy(self->seen + self->seen_len, data, len);
    self->seen_len += len;
}

static void pass(proxy *self, lane *lane, int down)
{
    static char data[1 << 16];
    ssize_t got = recv(down ? lane->server : lane->client, data, sizeof data, 0);
    size_t len = got > 0 ? (size_t)got : 0;
    if (got <= 0) {
        /* An orderly end is passed on as one, with what is still under way. */
        close(lane->client);
        close(lane->server);
        lane->client = lane->server = -1;
        return;
    }
    if (!down) self->sent += len;
    if (!down && len > 4 && !memcmp(data, "GET ", 4)) {
        size_t line = strcspn(data, "\r");
        snprintf(self->request, sizeof self->request, "%.*s", (int)line, data);
    }
    if (getenv("INTEROP_TRACE"))
        fprintf(stderr, "%lld %s %d bytes: %.*s\n", (long long)now_ms(), down ? "<-" : "->", (int)len,
                down ? (int)(len < 500 ? len : 500) : 0, data);
    if (down) remember(self, data, len);
    if (down && lane->muted) len = lane->answered ? 0 : handshake_part(lane, data, len);
    if (len && !write_all(down ? lane->client : lane->server, data, len)) reset(lane);
}

static void *serve(void *user_data)
{
    proxy *self = user_data;
    for (;;) {
        struct pollfd fds[1 + 2 * MOST];
        lane *lanes[MOST];
        nfds_t used = 1;
        int i, n = 0;
        pthread_mutex_lock(&self->mutex);
        fds[0] = (struct pollfd){self->listener, POLLIN, 0};
        for (i = 0; i < self->count; i++) {
            lane *l = &self->lanes[i];
            if (l->client < 0 || l->frozen) continue;
            lanes[n++] = l;
            fds[used++] = (struct pollfd){l->client, POLLIN, 0};
            fds[used++] = (struct pollfd){l->server, POLLIN, 0};
        }
        pthread_mutex_unlock(&self->mutex);
        if (poll(fds, used, 5) <= 0) continue;
        pthread_mutex_lock(&self->mutex);
        for (i = 0; i < n; i++) {
            if (lanes[i]->client < 0 || lanes[i]->frozen) continue;
            if (fds[1 + 2 * i].revents) pass(self, lanes[i], 0);
            if (lanes[i]->client >= 0 && fds[2 + 2 * i].revents) pass(self, lanes[i], 1);
        }
        if (fds[0].revents) welcome(self);
        pthread_mutex_unlock(&self->mutex);
    }
    return NULL;
}

proxy *proxy_start(int server_port)
{
    proxy *self = calloc(1, sizeof *self);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    pthread_t thread;
    if (!self) give_up("out of memory");
    pthread_mutex_init(&self->mutex, NULL);
    self->server_port = server_port;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->listener < 0 || bind(self->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(self->listener, 64) < 0 || getsockname(self->listener, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&thread, NULL, serve, self))
        give_up("no proxy: %s", strerror(errno));
    pthread_detach(thread);
    self->port = ntohs(address.sin_port);
    return self;
}

int proxy_port(const proxy *self)
{
    return self->port;
}

int proxy_connections(proxy *self)
{
    int n;
    pthread_mutex_lock(&self->mutex);
    n = self->accepted;
    pthread_mutex_unlock(&self->mutex);
    return n;
}

size_t proxy_sent(proxy *self)
{
    size_t n;
    pthread_mutex_lock(&self->mutex);
    n = self->sent;
    pthread_mutex_unlock(&self->mutex);
    return n;
}

void proxy_drop(proxy *self)
{
    int i;
    pthread_mutex_lock(&self->mutex);
    for (i = 0; i < self->count; i++) reset(&self->lanes[i]);
    pthread_mutex_unlock(&self->mutex);
}

void proxy_freeze(proxy *self, int on)
{
    int i;
    pthread_mutex_lock(&self->mutex);
    for (i = 0; i < self->count; i++) self->lanes[i].frozen = on;
    pthread_mutex_unlock(&self->mutex);
}

void proxy_mute(proxy *self, int on)
{
    pthread_mutex_lock(&self->mutex);
    self->mute = on;
    pthread_mutex_unlock(&self->mutex);
}

void proxy_refuse(proxy *self, int on)
{
    pthread_mutex_lock(&self->mutex);
    self->refuse = on;
    pthread_mutex_unlock(&self->mutex);
}

char *proxy_request(proxy *self)
{
    char *line;
    pthread_mutex_lock(&self->mutex);
    line = text("%s", self->request);
    pthread_mutex_unlock(&self->mutex);
    return line;
}

/* One text frame to the newest connection. Only while the stream rests between frames, as the callers see to. */
static void inject(proxy *self, const char *text, int up)
{
    size_t len = strlen(text), head = 2, i;
    unsigned char *frame = calloc(1, len + 16);
    unsigned char mask = up ? 0x80 : 0;
    int at, done = 0;
    if (!frame || len > 65535) give_up("a frame that is too long for the proxy");
    frame[0] = 0x81;
    if (len < 126) {
        frame[1] = (unsigned char)(mask | len);
    } else {
        frame[1] = mask | 126;
        frame[2] = (unsigned char)(len >> 8);
        frame[3] = (unsigned char)len;
        head = 4;
    }
    if (up) head += 4; /* a mask of zeros */
    for (i = 0; i < len; i++) frame[head + i] = (unsigned char)text[i];
    pthread_mutex_lock(&self->mutex);
    for (at = self->count - 1; at >= 0 && self->lanes[at].client < 0;) at--;
    if (at >= 0) done = write_all(up ? self->lanes[at].server : self->lanes[at].client, frame, head + len);
    pthread_mutex_unlock(&self->mutex);
    free(frame);
    if (!done) give_up("no connection to put a frame into");
}

void proxy_up(proxy *self, const char *text)
{
    inject(self, text, 1);
}

void proxy_down(proxy *self, const char *text)
{
    inject(self, text, 0);
}

int proxy_carried(proxy *self, const char *text)
{
    int found;
    pthread_mutex_lock(&self->mutex);
    found = self->seen_len && memmem(self->seen, self->seen_len, text, strlen(text)) != NULL;
    pthread_mutex_unlock(&self->mutex);
    return found;
}
