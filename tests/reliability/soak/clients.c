/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What comes from the library, and whether it may come.
 */
#define _GNU_SOURCE
#include "soak.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TABLE = 1 << 17, BATCH = 64, LATENCIES = 1 << 16 };

totals sum;
unsigned char (*dropped_bits)[NUMBERS / 8];
loss *losses;
uint32_t (*accepted_ms)[NUMBERS];

static gen *gens;
static int gens_made;
static struct entry {
    _Atomic uintptr_t key;
    gen *value;
} *table;
static request *requests;
static atomic_int requests_count, losses_made;
static pond_queue *queues[QUEUES];
static pthread_t threads[PULLED + 1];
static atomic_int stopping;
static unsigned char (*seen_bits)[ROOM][NUMBERS / 8];
static pthread_mutex_t latency_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t latency[LATENCIES];
static int latency_count;

/* The library's handles are keys and not used again soon: a table from them to who they are. Only main writes. */
static struct entry *place(uintptr_t key)
{
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15u) >> 20) % TABLE;
    while (table[at].key && table[at].key != key) at = (at + 1) % TABLE;
    return &table[at];
}

static void on_client_state(gen *self, const pond_event *event)
{
    int from = pond_event_previous_state(event), to = pond_event_state(event);
    int before = atomic_exchange(&self->client_state, to);
    uint32_t doubt = pond_event_in_doubt(event);
    if (before != from) violate("slot %d: client state %d, the event says it was %d", self->slot, before, from);
    if (!((from == 1 && to == 2) || (from == 2 && to != 2) || (from == 3 && to == 1)))
        violate("slot %d: client state %d to %d", self->slot, from, to);
    if (doubt && to != POND_CLIENT_DISCONNECTED) violate("slot %d: in doubt without a loss", self->slot);
    if (bug("doubt")) doubt = 0;
    atomic_fetch_add(&self->in_doubt, doubt);
    atomic_fetch_add(&sum.in_doubt, doubt);
    if (from == POND_CLIENT_CONNECTED) {
        int index = atomic_fetch_add(&losses_made, 1);
        if (index >= LOSSES_MOST) abort();
        losses[index] = (loss){self, now_us(), doubt, NULL};
        atomic_fetch_add(&sum.losses, 1);
    } else if (doubt) {
        violate("slot %d: in doubt without a connection", self->slot);
    }
}

static void on_channel_state(gen *self, const pond_event *event)
{
    int from = pond_event_previous_state(event), to = pond_event_state(event);
    int before = atomic_exchange(&self->channel_state, to), fine = 0;
    if (before != from) violate("slot %d: channel state %d, the event says it was %d", self->slot, before, from);
    switch (from) {
    case POND_CHANNEL_IDLE: fine = to == 12 || to == 15; break;
    case POND_CHANNEL_JOINING: fine = to == 13 || to == 15 || to == 16; break;
    case POND_CHANNEL_JOINED: fine = to == 14 || to == 15; break;
    case POND_CHANNEL_STALLED: fine = to == 13 || to == 15 || to == 16; break;
    case POND_CHANNEL_CLOSED:
    case POND_CHANNEL_DECLINED: fine = to == 12; break;
    }
    if (!fine || (bug("state") && self->slot == 3)) violate("slot %d: channel state %d to %d", self->slot, from, to);
    if (to == POND_CHANNEL_DECLINED) atomic_fetch_add(&sum.declined, 1);
}

static void on_message(gen *self, const pond_event *event)
{
    const char *payload = pond_event_payload(event, NULL);
    long from = number(payload, "s"), n = number(payload, "n");
    unsigned char *bits;
    if (strcmp(pond_event_name(event, NULL), "message")) return; /* a late or second reply */
    if (from / ROOM != self->slot / ROOM || n < 0 || n >= NUMBERS) {
        violate("slot %d: a message of slot %ld, number %ld", self->slot, from, n);
        return;
    }
    bits = &seen_bits[self->slot][from % ROOM][n >> 3];
    if (*bits >> (n & 7) & 1 || (bug("twice") && n == 5))
        violate("slot %d: message %ld of slot %ld came twice", self->slot, n, from);
    *bits |= (unsigned char)(1 << (n & 7));
    atomic_fetch_add(&sum.received, 1);
    if (bug("memory")) {
        /* Kept for good, and with it what a program might keep beside it. */
        static void *volatile kept;
        (void)pond_event_retain(event);
        kept = malloc(8192);
        if (kept) memset(kept, 1, 8192);
    }
}

static void on_dropped(gen *self, const pond_event *event)
{
    long n = number(pond_event_payload(event, NULL), "n");
    atomic_fetch_add(&self->dropped, pond_event_count(event));
    atomic_fetch_add(&sum.dropped, pond_event_count(event));
    if (n >= 0 && n < NUMBERS) dropped_bits[self->slot][n >> 3] |= (unsigned char)(1 << (n & 7));
}

static void on_reply(const pond_event *event)
{
    request *self = pond_event_user_data(event);
    uint64_t took = now_us();
    int status = pond_event_status(event);
    if (!self || self < requests || self >= requests + REQUESTS_MOST) {
        violate("a reply to nobody");
        return;
    }
    took -= self->began_us;
    if (bug("reply") && self - requests == 100) return;
    atomic_store(&self->status, status);
    if (atomic_fetch_add(&self->done, 1)) violate("request %ld completed twice", (long)(self - requests));
    if (atomic_load(&self->destroyed)) violate("request %ld was destroyed before its reply", (long)(self - requests));
    switch (status) {
    case POND_OK:
        if (number(pond_event_payload(event, NULL), "q") != self - requests && !self->slow)
            violate("request %ld got somebody else's reply", (long)(self - requests));
        if (!self->slow) {
            pthread_mutex_lock(&latency_mutex);
            if (latency_count < LATENCIES) latency[latency_count++] = (uint32_t)took;
            pthread_mutex_unlock(&latency_mutex);
        }
        break;
    case POND_ERROR_TIMEOUT:
    case POND_ERROR_CONNECTION_LOST:
    case POND_ERROR_CLOSED:
    case POND_ERROR_CANCELLED:
    case POND_ERROR_DECLINED:
    case POND_ERROR_QUEUE_FULL: break;
    default: violate("a request ended with %s", pond_status_name(status));
    }
    atomic_fetch_add(&sum.replies, 1);
}

static void judge(gen *self, const pond_event *event)
{
    switch (pond_event_kind(event)) {
    case POND_EVENT_CLIENT_STATE: on_client_state(self, event); break;
    case POND_EVENT_CHANNEL_STATE: on_channel_state(self, event); break;
    case POND_EVENT_MESSAGE: on_message(self, event); break;
    case POND_EVENT_DROPPED: on_dropped(self, event); break;
    case POND_EVENT_PRESENCE: atomic_fetch_add(&sum.presence, 1); break;
    case POND_EVENT_CLIENT_ERROR:
        if (pond_event_status(event) == POND_ERROR_PROTOCOL || pond_event_status(event) == POND_ERROR_PANIC)
            violate("slot %d: %s", self->slot, pond_event_message(event, NULL));
        break;
    case POND_EVENT_CHANNEL_ERROR:
    case POND_EVENT_WRITABLE:
    case POND_EVENT_CLIENT_MESSAGE: break;
    default: violate("slot %d: an event of kind %d", self->slot, pond_event_kind(event));
    }
}

static void handler(const pond_event *event, void *user_data)
{
    gen *self = user_data;
    if (atomic_load(&self->freed)) violate("slot %d: a handler ran after the free", self->slot);
    if (pond_event_client(event) != self->client) violate("slot %d: an event of another client", self->slot);
    judge(self, event);
}

static void gone(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&sum.destroyed, 1);
}

static void replied(const pond_event *event, void *user_data)
{
    if (user_data != pond_event_user_data(event)) violate("a reply with another's user_data");
    on_reply(event);
}

static void request_gone(void *user_data)
{
    request *self = user_data;
    if (atomic_fetch_add(&self->destroyed, 1)) violate("request %ld destroyed twice", (long)(self - requests));
}

static void *pull(void *user_data)
{
    pond_queue *queue = *(pond_queue **)user_data;
    pond_event *batch[BATCH];
    uint32_t count, i;
    while (!atomic_load(&stopping)) {
        int32_t status = pond_queue_next_many(queue, 1000, batch, BATCH, &count);
        if (status < 0) violate("pond_queue_next_many: %s", pond_status_name(status));
        for (i = 0; i < count; i++) {
            struct entry *known = place((uintptr_t)pond_event_client(batch[i]));
            if (pond_event_kind(batch[i]) == POND_EVENT_REPLY)
                on_reply(batch[i]);
            else if (known->key)
                judge(known->value, batch[i]);
            else
                violate("an event of a client that was never made");
            pond_event_free(batch[i]);
        }
    }
    return NULL;
}

static void *dispatch(void *user_data)
{
    struct pollfd fds[QUEUES - PULLED];
    int i;
    (void)user_data;
    for (i = PULLED; i < QUEUES; i++) {
        fds[i - PULLED] = (struct pollfd){-1, POLLIN, 0};
        if (pond_queue_fd(queues[i], &fds[i - PULLED].fd)) violate("no descriptor of a queue");
    }
    while (!atomic_load(&stopping)) {
        poll(fds, QUEUES - PULLED, 200);
        for (i = PULLED; i < QUEUES; i++) {
            int32_t status = fds[i - PULLED].revents ? pond_queue_dispatch(queues[i], 0, 5000) : 0;
            if (status < 0) violate("pond_queue_dispatch: %s", pond_status_name(status));
        }
    }
    return NULL;
}

/* Zeros, all pages present from the start: what this program keeps must not look like growth, nor count as allocated. */
static void *room_for(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (room == MAP_FAILED) abort();
    return room;
}

void clients_start(int slots)
{
    int i;
    gens = room_for(sizeof *gens * GENS_MOST);
    table = room_for(sizeof *table * TABLE);
    requests = room_for(sizeof *requests * REQUESTS_MOST);
    seen_bits = room_for(sizeof *seen_bits * (size_t)slots);
    losses = room_for(sizeof *losses * LOSSES_MOST);
    accepted_ms = room_for(sizeof *accepted_ms * (size_t)slots);
    dropped_bits = room_for(sizeof *dropped_bits * (size_t)slots);
    memset(latency, 0, sizeof latency);
    for (i = 0; i < QUEUES; i++)
        if (pond_queue_new(&queues[i])) abort();
    for (i = 0; i < PULLED; i++) pthread_create(&threads[i], NULL, pull, &queues[i]);
    pthread_create(&threads[PULLED], NULL, dispatch, NULL);
}

void clients_stop(void)
{
    int i;
    atomic_store(&stopping, 1);
    for (i = 0; i < PULLED; i++) pond_queue_interrupt(queues[i]);
    for (i = 0; i <= PULLED; i++) pthread_join(threads[i], NULL);
    for (i = 0; i < QUEUES; i++)
        if (pond_queue_free(queues[i])) violate("a queue without clients was not freed");
}

int losses_count(void)
{
    return atomic_load(&losses_made);
}

int gens_count(void)
{
    return gens_made;
}

gen *gen_at(int index)
{
    return &gens[index];
}

pond_queue *queue_of(int group)
{
    return group < QUEUES ? queues[group] : NULL;
}

typedef int32_t client_on(pond_client *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **);
typedef int32_t channel_on(pond_channel *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **);

gen *client_make(int slot, int first, pond_options **options)
{
    static client_on *const on_client[] = {pond_client_on_state, pond_client_on_error};
    static channel_on *const on_channel[] = {pond_channel_on_message, pond_channel_on_state, pond_channel_on_dropped,
                                             pond_channel_on_users_change};
    gen *self = &gens[gens_made];
    char url[128], room[32], params[64];
    struct entry *known;
    size_t i;
    if (++gens_made == GENS_MOST) abort();
    self->slot = slot;
    self->group = slot % GROUPS;
    self->first = self->next = first;
    self->client_state = POND_CLIENT_DISCONNECTED;
    self->channel_state = POND_CHANNEL_IDLE;
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/api/socket?token=secret&name=c%d",
             both->proxy_port[slot / ROOM % BACKENDS], slot);
    snprintf(room, sizeof room, "/chat/r%d", slot / ROOM);
    snprintf(params, sizeof params, "{\"username\":\"c%d\"}", slot);
    if (pond_client_new(url, NULL, options[self->group], &self->client, NULL) ||
        pond_client_channel(self->client, room, params, &self->channel, NULL))
        violate("slot %d: no client", slot);
    known = place((uintptr_t)self->client);
    known->value = self;
    atomic_store(&known->key, (uintptr_t)self->client);
    if (self->group >= PULLED) {
        for (i = 0; i < sizeof on_client / sizeof *on_client; i++)
            if (on_client[i](self->client, handler, self, gone, NULL)) violate("no handler");
        for (i = 0; i < sizeof on_channel / sizeof *on_channel; i++)
            if (on_channel[i](self->channel, handler, self, gone, NULL)) violate("no handler");
        atomic_fetch_add(&sum.registered, 6);
    }
    if (pond_channel_join(self->channel) || pond_client_connect(self->client)) violate("slot %d: no dial", slot);
    return self;
}

void client_forget(gen *self)
{
    if (pond_client_free(self->client)) violate("slot %d: no free", self->slot);
    atomic_store(&self->freed, 1);
}

request *request_make(gen *owner, int slow)
{
    int index = atomic_load(&requests_count);
    request *self = &requests[index];
    char payload[64];
    int32_t status;
    if (index == REQUESTS_MOST - 1) abort();
    *self = (request){.owner = owner, .slow = slow, .began_us = now_us()};
    snprintf(payload, sizeof payload, "{\"q\":%d,\"ms\":2000}", index);
    atomic_store(&requests_count, index + 1);
    status = pond_channel_request(owner->channel, slow ? "slow" : "echo", payload, 0,
                                  owner->group < PULLED ? NULL : replied, self, request_gone, &self->ticket, NULL);
    if (status == POND_OK) {
        atomic_store(&self->accepted, 1);
        return self;
    }
    if (status != POND_ERROR_CLOSED && status != POND_ERROR_DECLINED)
        violate("slot %d: a request was answered %s", owner->slot, pond_status_name(status));
    return NULL;
}

int requests_made(void)
{
    return atomic_load(&requests_count);
}

request *request_at(int index)
{
    return &requests[index];
}

int seen(int slot, int from, int n)
{
    return bit(seen_bits[slot][from % ROOM], n);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int latencies(uint32_t *out, int room)
{
    int count;
    pthread_mutex_lock(&latency_mutex);
    count = latency_count < room ? latency_count : room;
    memcpy(out, latency, sizeof *out * (size_t)count);
    latency_count = 0;
    pthread_mutex_unlock(&latency_mutex);
    qsort(out, (size_t)count, sizeof *out, by_value);
    return count;
}
