/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Peers, notes, and the words that the notes are made of.
 */
#include "runner.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <time.h>

struct peer {
    pond_client *client;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    record **records;
    size_t count, capacity;
};

const char *server_name, *scenario_id;
int shared_port;
static int result_fd = -1;
static char seen[4096];

/* ---- the result --------------------------------------------------------------------------------------------- */

int server_is(const char *name)
{
    return strcmp(server_name, name) == 0;
}

void result_to(int fd)
{
    result_fd = fd;
    seen[0] = 0;
}

void forget_notes(void)
{
    seen[0] = 0;
}

static void vnote(const char *format, va_list args)
{
    size_t used = strlen(seen);
    if (used && used < sizeof seen - 3) {
        memcpy(seen + used, "; ", 3);
        used += 2;
    }
    vsnprintf(seen + used, sizeof seen - used, format, args);
}

void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vnote(format, args);
    va_end(args);
}

static void end(void)
{
    size_t len = strlen(seen);
    _exit(write(result_fd, seen, len) == (ssize_t)len ? 0 : 2);
}

void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vnote(format, args);
    va_end(args);
    end();
    abort();
}

void finish(void)
{
    int32_t status = pond_shutdown(DEADLINE);
    if (status != POND_OK) note("pond_shutdown: %s", status_word(status));
    end();
    abort();
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void breathe(void)
{
    struct timespec step = {0, 2000000};
    nanosleep(&step, NULL);
}

/* ---- words -------------------------------------------------------------------------------------------------- */

char *text(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&out, format, args) < 0) abort();
    va_end(args);
    return out;
}

const char *status_word(int32_t status)
{
    const char *name = pond_status_name(status);
    if (strncmp(name, "POND_ERROR_", 11) == 0) return name + 11;
    return strncmp(name, "POND_", 5) == 0 ? name + 5 : name;
}

const char *outcome(const record *reply)
{
    if (reply->status == POND_OK) return reply->name;
    if (reply->status == POND_ERROR_SERVER) return text("SERVER %d %s", (int)reply->http_status, reply->code);
    return status_word(reply->status);
}

const char *failure(const record *r)
{
    /* Without the address before it, which differs from run to run. */
    const char *message = strstr(r->message, ": ");
    message = message && !strncmp(r->message, "127.", 4) ? message + 2 : r->message;
    if (r->http_status) return text("%s %d '%s'", status_word(r->status), (int)r->http_status, message);
    return status_word(r->status);
}

const char *member(const char *json, const char *pointer)
{
    char *out = NULL;
    return pond_json_text(json, strlen(json), pointer, &out, NULL) == POND_OK ? out : "";
}

double number(const char *json, const char *pointer)
{
    double out = 0;
    return pond_json_number(json, strlen(json), pointer, &out) == POND_OK ? out : -1;
}

int32_t must(int32_t status, const char *what)
{
    if (status < 0) give_up("%s: %s", what, status_word(status));
    return status;
}

/* ---- records ------------------------------------------------------------------------------------------------ */

static char *copy(const pond_event *event, const char *(*get)(const pond_event *, size_t *))
{
    size_t len = 0;
    const char *from = get(event, &len);
    char *out = malloc(len + 1);
    if (!out) abort();
    memcpy(out, from, len + 1);
    return out;
}

void record_event(const pond_event *event, void *user_data)
{
    peer *self = user_data;
    record *r = calloc(1, sizeof *r);
    if (!r) abort();
    r->kind = pond_event_kind(event);
    r->state = pond_event_state(event);
    r->previous = pond_event_previous_state(event);
    r->status = pond_event_status(event);
    r->presence = pond_event_presence_kind(event);
    r->http_status = pond_event_http_status(event);
    r->close_code = pond_event_close_code(event);
    r->attempt = pond_event_attempt(event);
    r->retry_ms = pond_event_retry_ms(event);
    r->connect_count = pond_event_connect_count(event);
    r->count = pond_event_count(event);
    r->in_doubt = pond_event_in_doubt(event);
    r->ticket = pond_event_ticket(event);
    r->when = now_ms();
    r->name = copy(event, pond_event_name);
    r->payload = copy(event, pond_event_payload);
    r->message = copy(event, pond_event_message);
    r->code = copy(event, pond_event_error_code);
    r->channel_name = copy(event, pond_event_channel_name);
    r->users = copy(event, pond_event_users);
    r->changed = copy(event, pond_event_changed);
    r->request_id = copy(event, pond_event_request_id);
    if (getenv("INTEROP_TRACE"))
        fprintf(stderr, "%lld %p kind %d %s -> %s %s '%s' %s %s %.300s\n", (long long)r->when, (void *)self,
                (int)r->kind, pond_state_name(r->previous), pond_state_name(r->state), status_word(r->status),
                r->message, r->channel_name, r->name, r->payload);
    pthread_mutex_lock(&self->mutex);
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? self->capacity * 2 : 256;
        self->records = realloc(self->records, self->capacity * sizeof *self->records);
        if (!self->records) abort();
    }
    r->index = self->count;
    self->records[self->count++] = r;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static int matches(const record *r, const want *w)
{
    return (!w->kind || r->kind == w->kind) && (!w->state || r->state == w->state) &&
           (!w->status || r->status == w->status) && (!w->presence || r->presence == w->presence) &&
           (!w->ticket || r->ticket == w->ticket) && (!w->name || !strcmp(r->name, w->name)) &&
           (!w->has || strstr(r->payload, w->has)) && (!w->channel || !strcmp(r->channel_name, w->channel));
}

const record *seek_at(peer *self, uint32_t limit_ms, const want *w)
{
    const record *found = NULL;
    size_t at = w->from;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += (long)(limit_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        for (; !found && at < self->count; at++)
            if (matches(self->records[at], w)) found = self->records[at];
        if (found || pthread_cond_timedwait(&self->changed, &self->mutex, &until) == ETIMEDOUT) break;
    }
    for (; !found && at < self->count; at++)
        if (matches(self->records[at], w)) found = self->records[at];
    pthread_mutex_unlock(&self->mutex);
    return found;
}

const record *await_at(peer *self, const want *w, const char *what)
{
    const record *found = seek_at(self, DEADLINE, w);
    if (!found) give_up("never: %s", what);
    return found;
}

size_t count_at(peer *self, const want *w)
{
    size_t i, found = 0;
    pthread_mutex_lock(&self->mutex);
    for (i = w->from; i < self->count; i++) found += (size_t)matches(self->records[i], w);
    pthread_mutex_unlock(&self->mutex);
    return found;
}

size_t length(peer *self)
{
    size_t n;
    pthread_mutex_lock(&self->mutex);
    n = self->count;
    pthread_mutex_unlock(&self->mutex);
    return n;
}

/* ---- peers -------------------------------------------------------------------------------------------------- */

pond_client *client_of(const peer *self)
{
    return self->client;
}

pond_options *quick(void)
{
    pond_options *options;
    OK(pond_options_new(&options));
    OK(pond_options_set_backoff_ms(options, 50, 400));
    OK(pond_options_set_connect_timeout_ms(options, DEADLINE));
    /* Long for a busy machine; short enough that a rejoin which the Python server loses is repeated before DEADLINE: it
     * closes a channel when it finds that its last member's link is dead, and the join that waits goes with it. */
    OK(pond_options_set_join_timeout_ms(options, server_is("js-replay") ? SILENCE : 8000));
    OK(pond_options_set_response_timeout_ms(options, SILENCE));
    /* A server without CONNECTION is waited for each time; the default is shown by a scenario of its own. */
    if (server_is("js-legacy")) OK(pond_options_set_legacy_grace_ms(options, 250));
    return options;
}

pond_options *hasty(void)
{
    pond_options *options = quick();
    OK(pond_options_set_join_timeout_ms(options, SILENCE));
    return options;
}

char *url_of(const char *scheme, int port, const char *path)
{
    return text("%s://127.0.0.1:%d%s", scheme, port, path);
}

char *who(const char *name)
{
    return text("{\"token\":\"secret\",\"name\":\"%s\"}", name);
}

char *room(const char *base)
{
    return text("/chat/%s-%s-%d", scenario_id, base, (int)getpid());
}

peer *peer_new(const char *url, const char *params, pond_options *options)
{
    peer *self = calloc(1, sizeof *self);
    pthread_condattr_t attributes;
    if (!self) abort();
    pthread_mutex_init(&self->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &attributes);
    OK(pond_client_new(url, params, options, &self->client, NULL));
    if (options) OK(pond_options_free(options));
    OK(pond_client_on_state(self->client, record_event, self, NULL, NULL));
    OK(pond_client_on_error(self->client, record_event, self, NULL, NULL));
    OK(pond_client_on_endpoint_message(self->client, record_event, self, NULL, NULL));
    return self;
}

void connected(peer *self)
{
    pond_error *error = NULL;
    int32_t status = pond_client_wait_state(self->client, POND_CLIENT_CONNECTED, DEADLINE, &error);
    if (status != POND_OK)
        give_up("not connected: %s %s", status_word(status), error ? pond_error_message(error, NULL) : "");
}

peer *online_with(int port, const char *name, pond_options *options)
{
    peer *self = peer_new(url_of("ws", port, "/api/socket"), who(name), options);
    OK(pond_client_connect(self->client));
    connected(self);
    return self;
}

peer *online(int port, const char *name)
{
    return online_with(port, name, quick());
}

pond_channel *channel_of(peer *self, const char *name, const char *params)
{
    pond_channel *channel;
    OK(pond_client_channel(self->client, name, params, &channel, NULL));
    OK(pond_channel_on_state(channel, record_event, self, NULL, NULL));
    OK(pond_channel_on_message(channel, record_event, self, NULL, NULL));
    OK(pond_channel_on_users_change(channel, record_event, self, NULL, NULL));
    OK(pond_channel_on_error(channel, record_event, self, NULL, NULL));
    OK(pond_channel_on_dropped(channel, record_event, self, NULL, NULL));
    return channel;
}

void in_state(pond_channel *channel, int32_t state)
{
    pond_error *error = NULL;
    int32_t status = pond_channel_wait_state(channel, state, DEADLINE, &error);
    if (status != POND_OK)
        give_up("not %s: %s %s", pond_state_name(state), status_word(status),
                error ? pond_error_message(error, NULL) : "");
}

pond_channel *joined(peer *self, const char *name, const char *params)
{
    pond_channel *channel = channel_of(self, name, params);
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    return channel;
}

pond_channel *chat(peer *self, const char *name, const char *username)
{
    return joined(self, name, text("{\"username\":\"%s\"}", username));
}

uint64_t request(peer *self, pond_channel *channel, const char *event, const char *payload, uint32_t timeout_ms)
{
    uint64_t ticket = 0;
    OK(pond_channel_request(channel, event, payload, timeout_ms, record_event, self, NULL, &ticket, NULL));
    return ticket;
}

const record *ask_in_vain(peer *self, pond_channel *channel, const char *event, const char *payload)
{
    return await(self, .kind = POND_EVENT_REPLY, .ticket = request(self, channel, event, payload, SILENCE));
}

const record *ask(peer *self, pond_channel *channel, const char *event, const char *payload)
{
    if (server_is("js-legacy")) return ask_in_vain(self, channel, event, payload);
    return await(self, .kind = POND_EVENT_REPLY, .ticket = request(self, channel, event, payload, DEADLINE - 1000));
}

void send_event(pond_channel *channel, const char *event, const char *payload)
{
    pond_error *error = NULL;
    int32_t status = pond_channel_send(channel, event, payload, &error);
    if (status != POND_OK) give_up("send %s: %s", event, status_word(status));
}

const record *talk(peer *self, pond_channel *channel, const char *event, const char *payload, const char *answer)
{
    static record none = {.kind = POND_EVENT_REPLY, .status = POND_ERROR_TIMEOUT};
    const record *found;
    size_t from = length(self);
    if (!server_is("js-legacy")) return ask(self, channel, event, payload);
    send_event(channel, event, payload);
    found = seek(self, DEADLINE, .kind = POND_EVENT_MESSAGE, .name = answer, .from = from);
    /* An accepted event is broadcast before it is answered. */
    if (found && !strcmp(event, answer))
        found = seek(self, DEADLINE, .kind = POND_EVENT_MESSAGE, .name = answer, .from = found->index + 1);
    if (found) return found;
    none.name = none.payload = none.message = none.code = "";
    return &none;
}

const char *alive(peer *self, pond_channel *channel)
{
    return outcome(talk(self, channel, "ping", "{\"n\":1}", "pong"));
}

const record *numbered(peer *self, const char *name, int n, size_t from)
{
    int64_t end = now_ms() + DEADLINE;
    for (;;) {
        const record *r =
            seek(self, 20, .kind = POND_EVENT_MESSAGE, .name = name, .has = text("\"n\":%d,", n), .from = from);
        if (!r) r = seek(self, 0, .kind = POND_EVENT_MESSAGE, .name = name, .has = text("\"n\":%d}", n), .from = from);
        if (r) return r;
        if (now_ms() > end) give_up("never: %s %d", name, n);
    }
}

size_t protocol_messages(peer *self)
{
    static const char *const names[] = {"ACKNOWLEDGE", "EXIT_ACKNOWLEDGE", "CONNECTION", "UNAUTHORIZED", "NOT_FOUND"};
    size_t i, found = 0;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        found += count(self, .kind = POND_EVENT_MESSAGE, .name = names[i]);
    return found;
}
