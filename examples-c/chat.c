/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * chat [NAME [ROOM [URL [TOKEN]]]]: a chat for people, one terminal each. Lines are sent; /who, /ask TEXT, /quit.
 *
 * One thread, one poll(2): the terminal and the client's queue are both descriptors, and the handlers run in
 * pond_queue_dispatch. Nothing is locked. When the server goes away the library redials and rejoins by itself; what is
 * typed meanwhile is queued and sent then. POSIX only because of poll: the library's calls are the same everywhere.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <pondsocket.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct chat {
    pond_client *client;
    pond_channel *channel;
    const char *name, *room;
    int terminal;     /* stdin is one: what was typed is on the screen already */
    int unanswered;   /* /ask without its answer yet */
    int unseen;       /* own lines that the server has not broadcast yet */
    int leaving;      /* /quit, end of input or Ctrl-C */
    int failed;       /* declined, evicted or given up */
    unsigned sent;    /* numbers the lines */
    char seen[64][48]; /* ids of the last lines shown */
    unsigned shown;
} chat;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Texts of others go to a terminal: no control characters, neither C0 nor (as UTF-8) C1. */
static void put_text(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    for (; *p; p++) {
        if (*p < 0x20 || *p == 0x7f) putchar('?');
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) putchar('?'), p++;
        else putchar(*p);
    }
}

/* A line about what happens; %s arguments are cleaned as a whole. */
static void note(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fputs("* ", stdout);
    put_text(line);
    putchar('\n');
}

/* The text at `pointer`, yours to free with pond_string_free; NULL if there is none. */
static char *text_at(const char *json, const char *pointer)
{
    char *text = NULL;
    return pond_json_text(json, strlen(json), pointer, &text, NULL) == POND_OK ? text : NULL;
}

static void who(const char *users)
{
    int i;
    printf("* here:");
    for (i = 0; i < 1000; i++) {
        char pointer[32], *id;
        snprintf(pointer, sizeof pointer, "/%d/id", i);
        id = text_at(users, pointer);
        if (!id) break;
        putchar(' ');
        put_text(id);
        pond_string_free(id);
    }
    printf("%s\n", i ? "" : " nobody");
}

/* ---- handlers: all run inside pond_queue_dispatch ----------------------------------------------------------- */

static void on_client_state(const pond_event *event, void *user_data)
{
    chat *self = user_data;
    uint32_t retry = pond_event_retry_ms(event);
    if (self->leaving) return;
    if (pond_event_state(event) == POND_CLIENT_CONNECTED) {
        note(pond_event_connect_count(event) == 1 ? "connected" : "connected again");
    } else if (pond_event_state(event) == POND_CLIENT_DISCONNECTED && retry == POND_FOREVER) {
        note("giving up: %s", pond_event_message(event, NULL));
        self->failed = 1;
    } else if (pond_event_state(event) == POND_CLIENT_DISCONNECTED) {
        const char *what = pond_event_attempt(event) ? "no connection" : "connection lost";
        if (pond_event_previous_state(event) == POND_CLIENT_CONNECTED) what = "connection lost";
        note("%s: reconnecting in %.1f s", what, retry / 1000.0);
    }
}

static void on_channel_state(const pond_event *event, void *user_data)
{
    chat *self = user_data;
    if (self->leaving) return;
    switch (pond_event_state(event)) {
    case POND_CHANNEL_JOINED:
        note(pond_event_previous_state(event) == POND_CHANNEL_STALLED ? "back in %s" : "joined %s", self->room);
        break;
    case POND_CHANNEL_DECLINED:
        note("not let in: %s", pond_event_message(event, NULL));
        self->failed = 1;
        break;
    case POND_CHANNEL_CLOSED:
        note("removed from %s: %s", self->room, pond_event_message(event, NULL));
        self->failed = 1;
        break;
    default:
        break;
    }
}

/* Has the line of that id been on the screen? If not, it is from now on. */
static int seen_before(chat *self, const char *id)
{
    size_t i;
    for (i = 0; i < 64; i++)
        if (strcmp(self->seen[i], id) == 0) return 1;
    snprintf(self->seen[self->shown++ % 64], sizeof self->seen[0], "%s", id);
    return 0;
}

/* Shows the line at `path` of the payload; 0 if there is none. */
static int show_line(chat *self, const char *json, const char *path)
{
    static const char *const fields[] = {"from", "text", "id"};
    char *line[3], pointer[64];
    int i, there;
    for (i = 0; i < 3; i++) {
        snprintf(pointer, sizeof pointer, "%s/%s", path, fields[i]);
        line[i] = text_at(json, pointer);
    }
    there = line[0] && line[1];
    if (there && !(line[2] && seen_before(self, line[2]))) {
        put_text(line[0]);
        fputs(": ", stdout);
        put_text(line[1]);
        putchar('\n');
        if (strcmp(line[0], self->name) == 0 && self->unseen > 0) self->unseen--;
    }
    for (i = 0; i < 3; i++) pond_string_free(line[i]);
    return there;
}

static void on_message(const pond_event *event, void *user_data)
{
    show_line(user_data, pond_event_payload(event, NULL), "");
}

/* What was said before this join, or while the link was down: those lines may have been shown already. */
static void on_history(const pond_event *event, void *user_data)
{
    char path[32];
    int i = 0;
    do snprintf(path, sizeof path, "/messages/%d", i++);
    while (show_line(user_data, pond_event_payload(event, NULL), path));
}

static void on_presence(const pond_event *event, void *user_data)
{
    chat *self = user_data;
    char *id = text_at(pond_event_changed(event, NULL), "/id");
    if (id && pond_event_presence_kind(event) == POND_PRESENCE_LEAVE) note("%s left", id);
    if (id && pond_event_presence_kind(event) == POND_PRESENCE_JOIN) {
        /* The frame about oneself tells who was here already. */
        if (strcmp(id, self->name) == 0) who(pond_event_users(event, NULL));
        else note("%s joined", id);
    }
    pond_string_free(id);
}

static void on_dropped(const pond_event *event, void *user_data)
{
    chat *self = user_data;
    self->unseen -= (int)pond_event_count(event);
    note("%u message(s) could not be sent: %s", (unsigned)pond_event_count(event), pond_event_message(event, NULL));
}

static void on_answer(const pond_event *event, void *user_data)
{
    chat *self = user_data;
    self->unanswered--;
    if (pond_event_status(event) == POND_OK) {
        char *text = text_at(pond_event_payload(event, NULL), "/text");
        note("answer: %s %s", pond_event_name(event, NULL), text ? text : "");
        pond_string_free(text);
    } else {
        note("no answer: %s", pond_event_message(event, NULL));
    }
}

/* ---- what the user types ------------------------------------------------------------------------------------ */

static void send_text(chat *self, const char *text, size_t len, int ask)
{
    pond_error *error = NULL;
    char *quoted = NULL, *payload;
    int32_t status = pond_json_quote(text, len, &quoted);
    if (status != POND_OK) {
        note("not sent: %s", status == POND_ERROR_INVALID_UTF8 ? "the line is not UTF-8" : pond_status_name(status));
        return;
    }
    payload = malloc(strlen(quoted) + 80);
    if (!payload) abort();
    sprintf(payload, "{\"text\":%s,\"id\":\"%ld-%lx-%u\"}", quoted, (long)getpid(), (long)time(NULL), self->sent++);
    pond_string_free(quoted);
    if (ask) {
        status = pond_channel_request(self->channel, "ping", payload, 0, on_answer, self, NULL, NULL, &error);
        if (status == POND_OK) self->unanswered++;
    } else {
        status = pond_channel_send(self->channel, "message", payload, &error);
        if (status == POND_OK) self->unseen++;
    }
    free(payload);
    if (status != POND_OK) note("not sent: %s", pond_error_message(error, NULL));
    else if (pond_channel_state(self->channel) != POND_CHANNEL_JOINED) note("kept until %s is joined", self->room);
    pond_error_free(error);
}

static void on_line(chat *self, const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r') len--;
    if (len == 0) return;
    /* The line comes back from the server with its name before it: take the typed one off the screen. */
    if (self->terminal) fputs("\033[1A\033[2K", stdout);
    if (len == 5 && memcmp(line, "/quit", 5) == 0) {
        self->leaving = 1;
    } else if (len == 4 && memcmp(line, "/who", 4) == 0) {
        char *users = NULL;
        if (pond_channel_presence(self->channel, &users, NULL) == POND_OK) who(users);
        pond_string_free(users);
    } else if (len > 5 && memcmp(line, "/ask ", 5) == 0) {
        send_text(self, line + 5, len - 5, 1);
    } else if (line[0] == '/') {
        note("commands: /who, /ask TEXT, /quit");
    } else {
        send_text(self, line, len, 0);
    }
}

/* Reads what stdin has and hands out its lines. */
static void on_input(chat *self)
{
    static char buffer[4096];
    static size_t filled;
    char *start = buffer, *end;
    ssize_t got = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled);
    if (got < 0 && errno == EINTR) return;
    if (got > 0) filled += (size_t)got;
    while (!self->leaving && (end = memchr(start, '\n', filled - (size_t)(start - buffer)))) {
        on_line(self, start, (size_t)(end - start));
        start = end + 1;
    }
    filled -= (size_t)(start - buffer);
    memmove(buffer, start, filled);
    if (got <= 0 || filled == sizeof buffer) { /* a last line without its end, or one that is too long */
        if (!self->leaving) on_line(self, buffer, filled);
        filled = 0;
    }
    if (got <= 0) self->leaving = 1;
}

/* ---- beginning and end -------------------------------------------------------------------------------------- */

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status >= POND_OK) return;
    fprintf(stderr, "chat: %s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static void start(chat *self, pond_queue *queue, const char *url, const char *token)
{
    pond_options *options;
    pond_error *error = NULL;
    char *secret, *name, json[2048], channel[256];

    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("options", pond_options_set_backoff_ms(options, 1000, 5000), NULL);
    check("token", pond_json_quote(token, strlen(token), &secret), NULL);
    check("name", pond_json_quote(self->name, strlen(self->name), &name), NULL);
    snprintf(json, sizeof json, "{\"token\":%s,\"name\":%s}", secret, name);
    check(url, pond_client_new(url, json, options, &self->client, &error), &error);
    pond_options_free(options);

    snprintf(json, sizeof json, "{\"username\":%s,\"history\":true}", name);
    snprintf(channel, sizeof channel, "/chat/%s", self->room);
    check(channel, pond_client_channel(self->client, channel, json, &self->channel, &error), &error);
    pond_string_free(secret);
    pond_string_free(name);

    check("handler", pond_client_on_state(self->client, on_client_state, self, NULL, NULL), NULL);
    check("handler", pond_channel_on_state(self->channel, on_channel_state, self, NULL, NULL), NULL);
    check("handler", pond_channel_on_event(self->channel, "message", on_message, self, NULL, NULL), NULL);
    check("handler", pond_channel_on_event(self->channel, "history", on_history, self, NULL, NULL), NULL);
    check("handler", pond_channel_on_users_change(self->channel, on_presence, self, NULL, NULL), NULL);
    check("handler", pond_channel_on_dropped(self->channel, on_dropped, self, NULL, NULL), NULL);
    check("connect", pond_client_connect(self->client), NULL);
    check("join", pond_channel_join(self->channel), NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    chat self = {0};
    pond_queue *queue;
    struct sigaction action;
    struct pollfd fds[2];
    int64_t deadline = 0;
    int32_t fd;

    self.name = argc > 1 ? argv[1] : "anna";
    self.room = argc > 2 ? argv[2] : "42";
    self.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines come through a pipe, too, when they are written */
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* no SA_RESTART: it ends poll */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    check("queue", pond_queue_new(&queue), NULL);
    check("queue", pond_queue_fd(queue, &fd), NULL);
    start(&self, queue, argc > 3 ? argv[3] : "ws://127.0.0.1:8080/api/socket", argc > 4 ? argv[4] : "secret");

    fds[0].fd = fd;
    fds[1].fd = STDIN_FILENO;
    fds[0].events = fds[1].events = POLLIN;
    for (;;) {
        fds[1].revents = 0;
        /* While leaving: no more input, and a look at the clock now and then. */
        if (poll(fds, self.leaving ? 1 : 2, self.leaving ? 100 : -1) < 0 && errno != EINTR) break;
        check("dispatch", pond_queue_dispatch(queue, 0, 0), NULL);
        if (!self.leaving && fds[1].revents) on_input(&self);
        if (interrupted || self.failed) break;
        if (self.leaving) {
            /* Lines of a pipe may still be on their way: leave when they came back, or after 5 s. */
            if (deadline == 0) deadline = now_ms() + 5000;
            if ((self.unanswered <= 0 && self.unseen <= 0) || now_ms() >= deadline) break;
        }
    }

    self.leaving = 1;
    pond_client_disconnect(self.client);
    pond_client_wait_state(self.client, POND_CLIENT_DISCONNECTED, 3000, NULL);
    pond_client_free(self.client);
    pond_queue_free(queue);
    note("bye");
    return self.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
