/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several clients on one queue, several threads that pull from it.
 *
 * What can be promised with several pullers: each event goes to exactly one of them, and the events of a client that
 * one thread gets come in order. Across threads there is no order but the one that they make themselves.
 */
#include "loops.h"

enum { CLIENTS = 3, PULLERS = 4, EACH = 20000 };

typedef struct collector {
    pond_queue *queue;
    pond_client *clients[CLIENTS];
    atomic_uchar seen[CLIENTS][EACH];
    atomic_int total, twice, disorder, strangers, wrong, stop;
} collector;
static collector shared;

static void take_event(pond_event *event, int *last)
{
    int which, i;
    if (pond_event_kind(event) == POND_EVENT_MESSAGE) {
        for (which = 0; which < CLIENTS && pond_event_client(event) != shared.clients[which]; which++) {
        }
        i = flood_index(event);
        if (which == CLIENTS || i < 0 || i >= EACH || flood_run(event) != which) {
            atomic_fetch_add(&shared.strangers, 1);
        } else {
            if (atomic_fetch_add(&shared.seen[which][i], 1)) atomic_fetch_add(&shared.twice, 1);
            if (i <= last[which]) atomic_fetch_add(&shared.disorder, 1);
            last[which] = i;
            atomic_fetch_add(&shared.total, 1);
        }
    }
    pond_event_free(event);
}

/* Half of the threads take one event at a time, half of them many. */
static void *pull(void *many)
{
    int last[CLIENTS], which, taken = 0;
    for (which = 0; which < CLIENTS; which++) last[which] = -1;
    while (!atomic_load(&shared.stop)) {
        pond_event *events[64];
        uint32_t count = 1, i;
        int32_t status = many ? pond_queue_next_many(shared.queue, POND_FOREVER, events, 64, &count)
                              : pond_queue_next(shared.queue, POND_FOREVER, events);
        if (status == POND_INTERRUPTED) continue;
        if (status != POND_OK || count < 1 || count > 64) {
            atomic_fetch_add(&shared.wrong, 1);
            break;
        }
        for (i = 0; i < count; i++) take_event(events[i], last);
        taken += (int)count;
    }
    return (void *)(intptr_t)taken;
}

static atomic_int ended;
static void *pull_and_count(void *many)
{
    void *taken = pull(many);
    atomic_fetch_add(&ended, 1);
    return taken;
}

static void each_event_goes_to_one_puller(void)
{
    pthread_t threads[PULLERS];
    pond_channel *channels[CLIENTS];
    int i, which, busy = 0;

    shared.queue = queue_new();
    for (which = 0; which < CLIENTS; which++) {
        shared.clients[which] = client_new("/script", NULL, options_new(shared.queue));
        connect_client(shared.clients[which]);
        channels[which] = joined_channel(shared.clients[which], "/shared", NULL);
    }
    for (i = 0; i < PULLERS; i++) IS(0, pthread_create(&threads[i], NULL, pull_and_count, i % 2 ? &shared : NULL));
    for (which = 0; which < CLIENTS; which++) flood(channels[which], "flood", which, EACH, 20);
    UNTIL(atomic_load(&shared.total) >= CLIENTS * EACH);
    atomic_store(&shared.stop, 1);
    /* One interrupt ends one wait; again and again until all have seen the flag. */
    UNTIL(pond_queue_interrupt(shared.queue) == POND_OK && atomic_load(&ended) == PULLERS);
    for (i = 0; i < PULLERS; i++) {
        void *taken;
        pthread_join(threads[i], &taken);
        busy += (intptr_t)taken > 0;
    }
    IS(0, atomic_load(&shared.twice));
    IS(0, atomic_load(&shared.disorder));
    IS(0, atomic_load(&shared.strangers));
    IS(0, atomic_load(&shared.wrong));
    for (which = 0; which < CLIENTS; which++)
        for (i = 0; i < EACH; i++) IS(1, atomic_load(&shared.seen[which][i]));
    printf("   %d events of %d clients, %d of %d threads got some\n", CLIENTS * EACH, CLIENTS, busy, PULLERS);
    for (which = 0; which < CLIENTS; which++) OK(pond_client_free(shared.clients[which]));
    OK(pond_queue_free(shared.queue));
}

/* Pull while another thread dispatches: still each event once. */
static atomic_int dispatched, pulled;

static void *pull_some(void *queue)
{
    pond_event *event;
    while (pond_queue_next(queue, POND_FOREVER, &event) == POND_OK) {
        if (pond_event_kind(event) == POND_EVENT_MESSAGE) atomic_fetch_add(&pulled, 1);
        pond_event_free(event);
    }
    return NULL;
}

static void pull_and_dispatch_share(void)
{
    pond_queue *queue = queue_new();
    pond_client *client = client_new("/script", NULL, options_new(queue));
    pond_channel *channel;
    pthread_t thread;
    connect_client(client);
    channel = joined_channel(client, "/shared", NULL);
    OK(pond_channel_on_message(channel, count_event, &dispatched, NULL, NULL));
    IS(0, pthread_create(&thread, NULL, pull_some, queue));
    flood(channel, "flood", 0, EACH, 20);
    UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && atomic_load(&dispatched) + atomic_load(&pulled) >= EACH);
    OK(pond_queue_interrupt(queue));
    pthread_join(thread, NULL);
    IS(EACH, atomic_load(&dispatched) + atomic_load(&pulled));
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

/* One of two clients goes while events of both wait. */
static void a_freed_client_takes_only_its_own(void)
{
    enum { UNREAD = 100 };
    pond_queue *queue = queue_new();
    pond_client *gone = client_new("/script", NULL, options_new(queue));
    pond_client *stays = client_new("/script", NULL, options_new(queue));
    pond_channel *first, *second;
    pond_event *event;
    pond_stats stats;
    atomic_int answered = 0, pending = 0, handled = 0, handled_end = 0;
    uint64_t answered_ticket, pending_ticket, handled_ticket;
    int got = 0, i;

    connect_client(gone);
    connect_client(stays);
    first = joined_channel(gone, "/first", NULL);
    second = joined_channel(stays, "/second", NULL);
    drain(queue);
    OK(pond_channel_request(first, "reply", NULL, 0, NULL, &answered, count_destroy, &answered_ticket, NULL));
    for (i = 0; i < 4; i++) { /* mingled */
        flood(first, "flood", i, UNREAD / 4, 0);
        flood(second, "flood", i, UNREAD / 4, 0);
    }
    OK(pond_channel_request(first, "nothing", NULL, POND_FOREVER, NULL, &pending, count_destroy, &pending_ticket,
                            NULL));
    OK(pond_channel_request(first, "nothing", NULL, POND_FOREVER, count_event, &handled, NULL, &handled_ticket, NULL));
    OK(pond_channel_request(first, "nothing", NULL, POND_FOREVER, count_event, &handled_end, count_destroy, NULL,
                            NULL));
    /* All frames have come; the answer, which is not counted, was the first one. */
    UNTIL(pond_client_stats(gone, &stats, sizeof stats) == POND_OK && stats.inbound_events == UNREAD);
    UNTIL(pond_client_stats(stays, &stats, sizeof stats) == POND_OK && stats.inbound_events == UNREAD);

    OK(pond_client_free(gone));
    IS(1, atomic_load(&handled));         /* its function ran, on this thread */
    IS(2, atomic_load(&handled_end));     /* the function, then the destroy */
    IS(0, atomic_load(&answered));        /* these two wait to be pulled */
    IS(0, atomic_load(&pending));
    IS(POND_ERROR_INVALID_HANDLE, pond_client_state(gone));

    while (pond_queue_next(queue, 0, &event) == POND_OK) {
        if (pond_event_kind(event) == POND_EVENT_REPLY) {
            atomic_int *end = pond_event_user_data(event);
            int ok = pond_event_status(event) == POND_OK;
            pond_event *kept = pond_event_retain(event);
            MUST(end == (ok ? &answered : &pending));
            MUST(pond_event_ticket(event) == (ok ? answered_ticket : pending_ticket));
            IS(ok ? POND_OK : POND_ERROR_CLOSED, pond_event_status(event));
            pond_event_free(event);
            IS(0, atomic_load(end)); /* another reference is left */
            pond_event_free(kept);
            IS(1, atomic_load(end));
            continue;
        }
        MUST(pond_event_client(event) == stays);
        IS(POND_EVENT_MESSAGE, pond_event_kind(event));
        IS(got, flood_run(event) * (UNREAD / 4) + flood_index(event));
        got++;
        pond_event_free(event);
    }
    IS(UNREAD, got);
    IS(1, atomic_load(&answered));
    IS(1, atomic_load(&pending));

    /* The queue goes on for the other one. */
    flood(second, "flood", 0, 1, 0);
    OK(pond_queue_next(queue, DEADLINE, &event));
    MUST(pond_event_client(event) == stays);
    pond_event_free(event);
    OK(pond_client_free(stays));
    OK(pond_queue_free(queue));
}

const test shared_tests[] = {
    {"each_event_goes_to_one_puller", each_event_goes_to_one_puller},
    {"pull_and_dispatch_share", pull_and_dispatch_share},
    {"a_freed_client_takes_only_its_own", a_freed_client_takes_only_its_own},
    {NULL, NULL},
};
