/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The clients. All events go to one queue, which the main thread pulls; each sender has a thread of its own, so that
 * a node dies in the middle of their sending.
 */
#include "failover.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 4 /* requests of a sender on their way: what holds the senders to the pace of the server */
#define EVERY 21 /* each so many-th item is a request */
#define SMALL 16 /* the limit of Dora's queue */
#define AHEAD 8  /* how far she is ahead of what was reported dropped: beyond the limit reports would be merged */

static const char *const NAMES[PEERS] = {"anna", "bert", "dora", "olga", "otto"};

peer peers[PEERS];
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
int judge, phase;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pond_queue *inbox;

static void must(int32_t status, const char *what)
{
    if (status == POND_OK) return;
    fprintf(stderr, "failover: %s: %s\n", what, pond_status_name(status));
    exit(2);
}

void peers_start(void)
{
    int who;
    must(pond_queue_new(&inbox), "pond_queue_new");
    phase = 0;
    for (who = 0; who < PEERS; who++) {
        peer *self = &peers[who];
        memset(self, 0, sizeof *self);
        self->name = NAMES[who];
        self->last_ok = -1;
        if (who >= SENDERS) continue;
        self->items = calloc(ITEMS, sizeof *self->items);
        self->arrival = calloc(ITEMS, sizeof *self->arrival);
        if (!self->items || !self->arrival) die("calloc");
    }
}

void peer_start(int who, int target)
{
    peer *self = &peers[who];
    pond_options *options;
    char params[100];
    self->target = target;
    must(pond_options_new(&options), "pond_options_new");
    must(pond_options_set_queue(options, inbox), "set_queue");
    must(pond_options_set_ask_before_dial(options, 1), "set_ask_before_dial");
    must(pond_options_set_backoff_ms(options, 20, 200), "set_backoff_ms");
    /* Dora's channel keeps so little that an outage must drop; that of the others never has to. */
    must(pond_options_set_queue_limit(options, who == DORA ? SMALL : 1000), "set_queue_limit");
    /* A pong proves that frames arrived, not that the server has handled them: what a killed node had read and not yet
     * told the other would be lost and not in doubt. A reply proves both, on these servers. */
    must(pond_options_set_ping_interval_ms(options, 0), "set_ping_interval_ms");
    snprintf(params, sizeof params, "{\"token\":\"secret\",\"name\":\"%s\"}", self->name);
    /* A URL where nobody listens: only an answered dial leads anywhere. */
    must(pond_client_new("ws://127.0.0.1:1/", params, options, &self->client, NULL), "pond_client_new");
    must(pond_options_free(options), "pond_options_free");
    must(pond_client_channel(self->client, "/chat/failover", NULL, &self->channel, NULL), "pond_client_channel");
    must(pond_channel_join(self->channel), "pond_channel_join");
    must(pond_client_connect(self->client), "pond_client_connect");
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

void say(int who, const char *event, const char *format, ...)
{
    char payload[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(payload, sizeof payload, format, arguments);
    va_end(arguments);
    must(pond_channel_send(peers[who].channel, event, payload, NULL), "pond_channel_send");
}

static void count_destroy(void *user_data)
{
    item *one = user_data;
    atomic_fetch_add(&one->destroyed, 1);
}

static int may_send(const peer *self)
{
    if (self->pending >= WINDOW || self->count == ITEMS) return 0;
    if (self->drops_wanted == 0 || self->lost == 0 || self->joined > self->stalled) return 1;
    /* In an outage, a sender that must drop goes on until it has, each drop reported by itself. */
    return self->drops < self->drops_wanted && self->count - self->count_at_loss < SMALL + self->drops + AHEAD;
}

static void *send_on(void *user_data)
{
    peer *self = user_data;
    pthread_mutex_lock(&mutex);
    while (self->sending) {
        int number = self->count;
        item *one = &self->items[number];
        char payload[32];
        int32_t status;
        if (!may_send(self)) {
            pthread_cond_wait(&changed, &mutex);
            continue;
        }
        self->count++;
        one->accepted = 1;
        one->judge = judge;
        one->request = number % EVERY == EVERY - 1;
        self->pending += one->request;
        pthread_mutex_unlock(&mutex);
        snprintf(payload, sizeof payload, "{\"n\":%d}", number);
        status = one->request ? pond_channel_request(self->channel, "echo", payload, 2 * DEADLINE_MS, NULL, one,
                                                     count_destroy, NULL, NULL)
                              : pond_channel_send(self->channel, "message", payload, NULL);
        pthread_mutex_lock(&mutex);
        if (status != POND_OK) {
            one->accepted = 0;
            self->pending -= one->request;
            self->refused++;
            self->refusal = status;
            self->sending = 0;
        }
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

void sender_start(int who)
{
    peer *self = &peers[who];
    self->first = self->count;
    self->last_ok = -1;
    self->in_doubt = self->drops = self->drops_named = self->arrivals = 0;
    self->sending = 1;
    if (pthread_create(&self->thread, NULL, send_on, self) != 0) die("pthread_create");
}

void sender_stop(int who)
{
    pthread_mutex_lock(&mutex);
    peers[who].sending = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    if (pthread_join(peers[who].thread, NULL) != 0) die("pthread_join");
}

int sender_count(int who)
{
    int count;
    pthread_mutex_lock(&mutex);
    count = peers[who].count;
    pthread_mutex_unlock(&mutex);
    return count;
}

void sender_blocked(int who, int *blocked, int *count)
{
    pond_stats stats;
    pthread_mutex_lock(&mutex);
    *blocked = peers[who].pending >= WINDOW;
    *count = peers[who].count;
    must(pond_client_stats(peers[who].client, &stats, sizeof stats), "pond_client_stats");
    *blocked = *blocked && stats.outbound_messages == 0;
    pthread_mutex_unlock(&mutex);
}

int sync_peer(int who)
{
    peer *self = &peers[who];
    self->fence = 0;
    must(pond_channel_request(self->channel, "echo", "{}", DEADLINE_MS, NULL, &self->fence, NULL, NULL, NULL),
         "pond_channel_request");
    UNTIL(self->fence != 0);
    return self->fence == 1;
}

/* ---- events ------------------------------------------------------------------------------------------------- */

static peer *owner(const pond_event *event)
{
    pond_client *client = pond_event_client(event);
    int who;
    for (who = 0; who < PEERS; who++) {
        if (peers[who].client && peers[who].client == client) return &peers[who];
    }
    fprintf(stderr, "failover: an event of nobody, kind %d\n", (int)pond_event_kind(event));
    exit(2);
}

static void unexpected(peer *self, const pond_event *event)
{
    self->errors++;
    snprintf(self->error, sizeof self->error, "kind %d, %s %s: %s", (int)pond_event_kind(event),
             pond_event_name(event, NULL), pond_event_error_code(event, NULL), pond_event_message(event, NULL));
}

static int number_of(const pond_event *event, const char *pointer)
{
    size_t len;
    const char *payload = pond_event_payload(event, &len);
    double number;
    return pond_json_number(payload, len, pointer, &number) == POND_OK ? (int)number : -1;
}

static void answer(peer *self, uint32_t attempt)
{
    self->told[self->target]++;
    self->held = 0;
    must(pond_client_answer_dial(self->client, attempt, nodes[self->target].url, NULL, NULL), "answer_dial");
}

static void client_state(peer *self, const pond_event *event)
{
    if (pond_event_state(event) == POND_CLIENT_CONNECTED) {
        self->connected++;
        self->connect_count = pond_event_connect_count(event);
    }
    if (pond_event_previous_state(event) == POND_CLIENT_CONNECTED) {
        self->lost++;
        self->in_doubt += (int)pond_event_in_doubt(event);
        self->count_at_loss = self->count;
        self->last_ok_at_loss = self->last_ok;
    }
}

static void message(peer *self, const pond_event *event)
{
    size_t len;
    const char *payload = pond_event_payload(event, &len);
    int number = number_of(event, "/n"), probe = number_of(event, "/probe"), who;
    char *from;
    if (strcmp(pond_event_name(event, NULL), "message") != 0 ||
        pond_json_text(payload, len, "/from", &from, NULL) != POND_OK) {
        unexpected(self, event);
        return;
    }
    for (who = 0; who < PEERS && strcmp(NAMES[who], from) != 0; who++) {
    }
    pond_string_free(from);
    if (who < PEERS && probe >= 0) {
        self->probed[who] = probe;
    } else if (who < SENDERS && number >= 0 && number < peers[who].count) {
        peer *sender = &peers[who];
        if (self != &peers[sender->items[number].judge]) return;
        sender->items[number].heard++;
        if (sender->arrivals < ITEMS) sender->arrival[sender->arrivals++] = number;
    } else {
        unexpected(self, event);
    }
}

static void reply(peer *self, const pond_event *event)
{
    item *one = pond_event_user_data(event);
    int number;
    if ((void *)one == (void *)&self->fence) {
        self->fence = pond_event_status(event) == POND_OK ? 1 : -1;
        return;
    }
    number = (int)(one - self->items);
    one->completions++;
    one->status = pond_event_status(event);
    self->pending--;
    if (one->status != POND_OK) return;
    if (number > self->last_ok) self->last_ok = number;
    if (number_of(event, "/n") != number) unexpected(self, event);
}

static void dropped(peer *self, const pond_event *event)
{
    int number = number_of(event, "/n");
    self->drops += (int)pond_event_count(event);
    if (pond_event_count(event) != 1) return;
    if (number < self->first || number >= self->count) {
        unexpected(self, event);
        return;
    }
    self->drops_named++;
    self->items[number].dropped++;
}

static void handle(const pond_event *event)
{
    peer *self = owner(event);
    switch (pond_event_kind(event)) {
    case POND_EVENT_DIAL:
        if (self->lost > 0 && self->drops < self->drops_wanted) {
            self->held = pond_event_attempt(event);
        } else {
            answer(self, pond_event_attempt(event));
        }
        break;
    case POND_EVENT_CLIENT_STATE: client_state(self, event); break;
    case POND_EVENT_CHANNEL_STATE:
        if (pond_event_state(event) == POND_CHANNEL_JOINED) {
            self->joined++;
            self->count_at_join = self->count;
        }
        self->stalled += pond_event_state(event) == POND_CHANNEL_STALLED;
        break;
    case POND_EVENT_MESSAGE: message(self, event); break;
    case POND_EVENT_REPLY: reply(self, event); break;
    case POND_EVENT_DROPPED: dropped(self, event); break;
    case POND_EVENT_CLIENT_ERROR: /* the lost link, told by the state as well */
    case POND_EVENT_PRESENCE: break;
    default: unexpected(self, event);
    }
}

void pump(uint32_t wait)
{
    pond_event *events[64];
    uint32_t count = 0, i;
    int who;
    int32_t status = pond_queue_next_many(inbox, wait, events, 64, &count);
    if (status != POND_TIMEOUT && status != POND_EMPTY) must(status, "pond_queue_next_many");
    pthread_mutex_lock(&mutex);
    for (i = 0; i < count; i++) handle(events[i]);
    for (who = 0; who < PEERS; who++) {
        if (peers[who].held && peers[who].drops >= peers[who].drops_wanted) answer(&peers[who], peers[who].held);
    }
    if (count) pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (i = 0; i < count; i++) pond_event_free(events[i]);
}

/* ---- presence, the end -------------------------------------------------------------------------------------- */

static int text_is(const char *json, size_t len, const char *format, int index, const char *expected)
{
    char pointer[32], *text;
    int same;
    snprintf(pointer, sizeof pointer, format, index);
    if (pond_json_text(json, len, pointer, &text, NULL) != POND_OK) return -1;
    same = strcmp(text, expected) == 0;
    pond_string_free(text);
    return same;
}

static int presence(int who, int other, int *length)
{
    char *users, status[32];
    size_t len;
    int found = 0, same;
    snprintf(status, sizeof status, "%s %d", peers[other].name, phase);
    must(pond_channel_presence(peers[who].channel, &users, &len), "pond_channel_presence");
    for (*length = 0; (same = text_is(users, len, "/%d/status", *length, status)) >= 0; ++*length) {
        found += same && text_is(users, len, "/%d/id", *length, peers[other].name) != 0;
    }
    pond_string_free(users);
    return found;
}

void tell_presence(int who)
{
    say(who, "status", "{\"status\":\"%s %d\"}", peers[who].name, phase);
}

int presence_count(int who, int other)
{
    int length;
    return presence(who, other, &length);
}

int presence_length(int who)
{
    int length;
    presence(who, who, &length);
    return length;
}

void peers_end(void)
{
    int who, gone = 1;
    int32_t freed = POND_OK;
    for (who = 0; who < PEERS; who++) {
        if (peers[who].client) must(pond_client_disconnect(peers[who].client), "pond_client_disconnect");
    }
    for (who = 0; who < PEERS; who++) {
        if (!peers[who].client) continue;
        UNTIL(pond_client_state(peers[who].client) == POND_CLIENT_DISCONNECTED);
        gone &= pond_client_state(peers[who].client) == POND_CLIENT_DISCONNECTED;
        must(pond_client_free(peers[who].client), "pond_client_free");
        peers[who].client = NULL;
    }
    freed = pond_queue_free(inbox);
    check(gone && freed == POND_OK, "all clients say goodbye and end", "queue %s", pond_status_name(freed));
    for (who = 0; who < SENDERS; who++) {
        free(peers[who].items);
        free(peers[who].arrival);
    }
}
