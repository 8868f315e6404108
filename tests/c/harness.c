/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Peers: clients whose events are recorded in order, whatever the delivery mode.
 */
#include "pond_test.h"

#include <poll.h>
#include <time.h>

int mode;
static peer *peers;
static atomic_int registered_count, destroyed_count;

/* ---- time --------------------------------------------------------------------------------------------------- */

uint32_t ms(uint32_t milliseconds)
{
    static uint32_t factor;
    if (!factor) {
        const char *slow = getenv("POND_TEST_SLOW");
        factor = slow && atoi(slow) > 0 ? (uint32_t)atoi(slow) : 1;
    }
    return milliseconds * factor;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- failing ------------------------------------------------------------------------------------------------ */

static const char *kind_name(int32_t kind)
{
    switch (kind) {
    case POND_EVENT_CLIENT_STATE: return "CLIENT_STATE";
    case POND_EVENT_CLIENT_ERROR: return "CLIENT_ERROR";
    case POND_EVENT_CLIENT_MESSAGE: return "CLIENT_MESSAGE";
    case POND_EVENT_DIAL: return "DIAL";
    case POND_EVENT_CHANNEL_STATE: return "CHANNEL_STATE";
    case POND_EVENT_MESSAGE: return "MESSAGE";
    case POND_EVENT_PRESENCE: return "PRESENCE";
    case POND_EVENT_CHANNEL_ERROR: return "CHANNEL_ERROR";
    case POND_EVENT_REPLY: return "REPLY";
    case POND_EVENT_DROPPED: return "DROPPED";
    case POND_EVENT_WRITABLE: return "WRITABLE";
    default: return "?";
    }
}

static void print_records(peer *self)
{
    size_t i;
    pthread_mutex_lock(&self->mutex);
    print_error("  recorded: %u events\n", (unsigned)self->count);
    for (i = self->count > 60 ? self->count - 60 : 0; i < self->count; i++) {
        const record *r = self->records[i];
        print_error("  %3u %-14s", (unsigned)i, kind_name(r->kind));
        if (r->state) print_error(" %s -> %s", pond_state_name(r->previous), pond_state_name(r->state));
        if (r->status) print_error(" %s", pond_status_name(r->status));
        if (r->ticket) print_error(" #%llu", (unsigned long long)r->ticket);
        print_error(" %s %s '%s' %.120s", r->channel_name, r->name, r->message, r->payload);
        if (r->attempt || r->retry_ms) print_error(" attempt %u retry %u", r->attempt, r->retry_ms);
        print_error("\n");
    }
    pthread_mutex_unlock(&self->mutex);
}

void fail_at(peer *self, const char *what, const char *file, int line)
{
    print_error("%s\n", what);
    if (self) print_records(self);
    _fail(file, line);
}

void expect_status(int64_t got, int64_t expected, const char *what, const char *file, int line)
{
    if (got == expected) return;
    print_error("%s\n  is %lld %s, not %lld %s\n", what, (long long)got, pond_status_name((int32_t)got),
                (long long)expected, pond_status_name((int32_t)expected));
    _fail(file, line);
}

void expect_part(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part)) return;
    print_error("'%s' is not in\n  %.2000s\n", part, text);
    _fail(file, line);
}

void expect_error(int32_t got, int32_t expected, pond_error **error, const char *part, const char *what,
                  const char *file, int line)
{
    size_t len = 0;
    const char *message = pond_error_message(*error, &len);
    expect_status(got, expected, what, file, line);
    expect_status(pond_error_status(*error), expected, what, file, line);
    expect_part(message, part, file, line);
    if (len != strlen(message) || len == 0) fail_at(NULL, "an error without a message", file, line);
    pond_error_free(*error);
    *error = NULL;
}

/* ---- records ------------------------------------------------------------------------------------------------ */

static void *must(void *memory)
{
    if (memory) return memory;
    fputs("pond-tests: out of memory\n", stderr);
    exit(2);
}

/* A copy of one text of the event. */
static char *copy(const pond_event *event, const char *(*get)(const pond_event *, size_t *))
{
    size_t len = 0;
    const char *text = get(event, &len);
    char *out = must(malloc(len + 1));
    memcpy(out, text, len + 1);
    return out;
}

void record_event(const pond_event *event, void *user_data)
{
    peer *self = user_data;
    record *r = must(calloc(1, sizeof *r));
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
    r->channel = pond_event_channel(event);
    r->user_data = pond_event_user_data(event);
    r->name = copy(event, pond_event_name);
    r->payload = copy(event, pond_event_payload);
    r->message = copy(event, pond_event_message);
    r->code = copy(event, pond_event_error_code);
    r->details = copy(event, pond_event_details);
    r->channel_name = copy(event, pond_event_channel_name);
    r->users = copy(event, pond_event_users);
    r->changed = copy(event, pond_event_changed);
    r->request_id = copy(event, pond_event_request_id);

    pthread_mutex_lock(&self->mutex);
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? self->capacity * 2 : 64;
        self->records = must(realloc(self->records, self->capacity * sizeof *self->records));
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
           (!w->payload || !strcmp(r->payload, w->payload)) && (!w->has || strstr(r->payload, w->has)) &&
           (!w->channel || !strcmp(r->channel_name, w->channel));
}

/* The first match from *from on; *from is moved behind what was looked at. */
static const record *find(peer *self, const want *w, size_t *from)
{
    const record *found = NULL;
    pthread_mutex_lock(&self->mutex);
    for (; !found && *from < self->count; (*from)++)
        if (matches(self->records[*from], w)) found = self->records[*from];
    pthread_mutex_unlock(&self->mutex);
    return found;
}

size_t count_of(peer *self, const want *w)
{
    size_t from = w->from, found = 0;
    while (find(self, w, &from)) found++;
    return found;
}

const record *expect_at(peer *self, const want *w, const char *what, const char *file, int line)
{
    int64_t end = now_ms() + DEADLINE;
    size_t from = w->from;
    for (;;) {
        const record *found = find(self, w, &from);
        int64_t left = end - now_ms();
        if (found) return found;
        if (left <= 0) {
            print_error("never came: %s\n", what);
            fail_at(self, "", file, line);
        }
        /* Without a limit of its own: an event that the queue does not announce is a lost one. */
        pump(self, (uint32_t)left);
    }
}

/* ---- delivery ----------------------------------------------------------------------------------------------- */

static void wake(const pond_event *event, void *user_data)
{
    peer *self = user_data;
    (void)event;
    pthread_mutex_lock(&self->mutex);
    self->woken = 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

/* With the mutex held: waits for a change, or that long. */
static void wait_change(peer *self, uint32_t limit)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += limit / 1000;
    end.tv_nsec += (long)(limit % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) end.tv_sec++, end.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&self->changed, &self->mutex, &end);
}

static void pull(peer *self, uint32_t limit)
{
    pond_event *events[16];
    uint32_t got = 0, i;
    int32_t status = pond_queue_next(self->queue, limit, &events[0]);
    if (status == POND_TIMEOUT || status == POND_EMPTY || status == POND_INTERRUPTED) return;
    OK(status);
    record_event(events[0], self);
    pond_event_free(events[0]);
    status = pond_queue_next_many(self->queue, 0, events, 16, &got);
    if (status != POND_OK) STATUS(POND_EMPTY, status);
    for (i = 0; i < got; i++) {
        record_event(events[i], self);
        pond_event_free(events[i]);
    }
}

void pump(peer *self, uint32_t limit)
{
    int64_t end = now_ms() + limit;
    struct pollfd pfd = {-1, POLLIN, 0};
    int32_t taken;
    switch (mode) {
    case PUSH:
        /* What came since the last look may be new to the caller. */
        pthread_mutex_lock(&self->mutex);
        if (self->seen == self->count) wait_change(self, limit);
        self->seen = self->count;
        pthread_mutex_unlock(&self->mutex);
        return;
    case PULL:
        pull(self, limit);
        return;
    case FD:
        OK(pond_queue_fd(self->queue, &pfd.fd));
        poll(&pfd, 1, (int)limit);
        break;
    case WAKE:
        pthread_mutex_lock(&self->mutex);
        while (!self->woken && now_ms() < end) wait_change(self, (uint32_t)(end - now_ms()));
        self->woken = 0;
        pthread_mutex_unlock(&self->mutex);
        break;
    default:
        break;
    }
    taken = pond_queue_dispatch(self->queue, 0, 0);
    if (taken < 0) OK(taken);
    if (taken == 0 && mode == DISPATCH) poll(NULL, 0, 1);
}

/* ---- peers -------------------------------------------------------------------------------------------------- */

void count_destroy(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&destroyed_count, 1);
}

void *registering(void *user_data)
{
    atomic_fetch_add(&registered_count, 1);
    return user_data;
}

int destroyed(void)
{
    return atomic_load(&destroyed_count);
}

pond_options *options_new(void)
{
    pond_options *options;
    OK(pond_options_new(&options));
    OK(pond_options_set_backoff_ms(options, 20, 100));
    OK(pond_options_set_connect_timeout_ms(options, DEADLINE));
    OK(pond_options_set_join_timeout_ms(options, DEADLINE));
    OK(pond_options_set_response_timeout_ms(options, DEADLINE));
    return options;
}

peer *peer_new(const char *url, const char *params, pond_options *options)
{
    peer *self = must(calloc(1, sizeof *self));
    pond_error *error = NULL;
    pthread_condattr_t attributes;
    int32_t status;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    self->next = peers;
    peers = self;

    if (!options) options = options_new();
    if (mode != PUSH) {
        OK(pond_queue_new(&self->queue));
        OK(pond_options_set_queue(options, self->queue));
    }
    if (mode == WAKE) OK(pond_queue_set_wake(self->queue, wake, registering(self), count_destroy));
    status = pond_client_new(url, params, options, &self->client, &error);
    if (status != POND_OK) print_error("%s\n", pond_error_message(error, NULL));
    OK(status);
    OK(pond_options_free(options));
    OK(pond_client_on_state(self->client, record_event, registering(self), count_destroy, NULL));
    OK(pond_client_on_error(self->client, record_event, registering(self), count_destroy, NULL));
    OK(pond_client_on_endpoint_message(self->client, record_event, registering(self), count_destroy, NULL));
    OK(pond_client_on_dial(self->client, record_event, registering(self), count_destroy, NULL));
    return self;
}

peer *chat_peer_at(const server *server, const char *name)
{
    char params[256];
    peer *self;
    snprintf(params, sizeof params, "{\"token\":\"secret\",\"name\":\"%s\"}", name);
    self = peer_new(server_url(server, server->tls[0] ? "wss" : "ws", "/api/socket"), params, NULL);
    OK(pond_client_connect(self->client));
    return self;
}

peer *chat_peer(const char *name)
{
    peer *self = chat_peer_at(shared_server(), name);
    OK(pond_client_wait_state(self->client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    return self;
}

peer *script_peer(pond_options *options)
{
    peer *self = peer_new(server_url(shared_server(), "ws", "/script"), NULL, options);
    OK(pond_client_connect(self->client));
    OK(pond_client_wait_state(self->client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    return self;
}

char *room(const char *base)
{
    static char names[16][64];
    static int next;
    char *name = names[next % 16];
    snprintf(name, sizeof names[0], "/chat/%s-%d", base, next++);
    return name;
}

pond_channel *peer_channel(peer *self, const char *name, const char *params)
{
    pond_channel *channel;
    OK(pond_client_channel(self->client, name, params, &channel, NULL));
    OK(pond_channel_on_state(channel, record_event, registering(self), count_destroy, NULL));
    OK(pond_channel_on_message(channel, record_event, registering(self), count_destroy, NULL));
    OK(pond_channel_on_users_change(channel, record_event, registering(self), count_destroy, NULL));
    OK(pond_channel_on_error(channel, record_event, registering(self), count_destroy, NULL));
    OK(pond_channel_on_dropped(channel, record_event, registering(self), count_destroy, NULL));
    OK(pond_channel_on_writable(channel, record_event, registering(self), count_destroy, NULL));
    return channel;
}

pond_channel *joined(peer *self, const char *name, const char *params)
{
    pond_channel *channel = peer_channel(self, name, params);
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    return channel;
}

uint64_t ask(peer *self, pond_channel *channel, const char *event, const char *payload, uint32_t timeout)
{
    uint64_t ticket = 0;
    /* In mode PULL without a function: the reply is an event like others. */
    OK(pond_channel_request(channel, event, payload, timeout, mode == PULL ? NULL : record_event, registering(self),
                            count_destroy, &ticket, NULL));
    assert_true(ticket > 0 && ticket < (UINT64_C(1) << 53));
    return ticket;
}

/* ---- before and after each test ----------------------------------------------------------------------------- */

int test_setup(void **state)
{
    (void)state;
    atomic_store(&registered_count, 0);
    atomic_store(&destroyed_count, 0);
    return 0;
}

/* What holds in every test: each state follows from the one before, each request ends once. */
static int consistent(const peer *self)
{
    size_t i, k;
    for (i = 0; i < self->count; i++) {
        const record *r = self->records[i];
        int32_t before = r->kind == POND_EVENT_CLIENT_STATE ? POND_CLIENT_DISCONNECTED : POND_CHANNEL_IDLE;
        if (!r->state && r->kind != POND_EVENT_REPLY) continue;
        for (k = i; k-- > 0;) {
            const record *e = self->records[k];
            if (r->kind == POND_EVENT_REPLY && e->kind == r->kind && e->ticket == r->ticket) {
                print_error("request %llu ended twice\n", (unsigned long long)r->ticket);
                return 0;
            }
            if (r->state && e->kind == r->kind && e->channel == r->channel) {
                before = e->state;
                break;
            }
        }
        if (r->state && (r->previous != before || r->state == before)) {
            print_error("event %u: %s -> %s after %s\n", (unsigned)i, pond_state_name(r->previous),
                        pond_state_name(r->state), pond_state_name(before));
            return 0;
        }
    }
    return 1;
}

static void peer_free(peer *self)
{
    size_t i;
    for (i = 0; i < self->count; i++) {
        record *r = self->records[i];
        free(r->name);
        free(r->payload);
        free(r->message);
        free(r->code);
        free(r->details);
        free(r->channel_name);
        free(r->users);
        free(r->changed);
        free(r->request_id);
        free(r);
    }
    free(self->records);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

int test_teardown(void **state)
{
    int failed = 0, left;
    int32_t status = pond_shutdown(DEADLINE);
    (void)state;
    if (status != POND_OK) print_error("pond_shutdown: %s\n", pond_status_name(status)), failed = -1;
    left = atomic_load(&registered_count) - atomic_load(&destroyed_count);
    if (left) print_error("%d destroys did not run (negative: ran twice)\n", left), failed = -1;
    while (peers) {
        peer *self = peers;
        peers = self->next;
        if (!consistent(self)) print_records(self), failed = -1;
        if (status == POND_OK) peer_free(self); /* else something may still write to it */
    }
    servers_end();
    return failed;
}
