/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The other ends of a queue: interrupts, the descriptor, and freeing it under its clients and pullers.
 */
#include "loops.h"

#include <errno.h>
#include <fcntl.h>

enum { WAITERS = 3 };

static pond_queue *queue;
static atomic_int waiting, interrupted, closed, other;

static void *wait_on_queue(void *user_data)
{
    pond_event *event;
    int32_t status;
    (void)user_data;
    atomic_fetch_add(&waiting, 1);
    status = pond_queue_next(queue, POND_FOREVER, &event);
    if (status == POND_INTERRUPTED) atomic_fetch_add(&interrupted, 1);
    else if (status == POND_ERROR_CLOSED || status == POND_ERROR_INVALID_HANDLE) atomic_fetch_add(&closed, 1);
    else atomic_fetch_add(&other, 1);
    return NULL;
}

static void start_waiters(pthread_t *threads)
{
    int i;
    for (i = 0; i < WAITERS; i++) IS(0, pthread_create(&threads[i], NULL, wait_on_queue, NULL));
    UNTIL(atomic_load(&waiting) == WAITERS);
    nap(GRACE); /* most likely inside the wait now; either case is right */
}

static void an_interrupt_is_sticky_and_ends_one(void)
{
    pthread_t threads[WAITERS];
    pond_event *event;
    uint32_t count;
    int i;
    queue = queue_new();
    /* Called next, and calls don't add up. */
    for (i = 0; i < 3; i++) OK(pond_queue_interrupt(queue));
    IS(POND_INTERRUPTED, pond_queue_next(queue, POND_FOREVER, &event));
    IS(POND_EMPTY, pond_queue_next(queue, 0, &event));
    OK(pond_queue_interrupt(queue));
    IS(POND_INTERRUPTED, pond_queue_next_many(queue, POND_FOREVER, &event, 1, &count));
    IS(POND_TIMEOUT, pond_queue_next_many(queue, 1, &event, 1, &count));
    OK(pond_queue_interrupt(queue));
    IS(POND_INTERRUPTED, pond_queue_next(queue, 0, &event)); /* also one that would not wait */
    /* A dispatch is no pull: the interrupt stays. */
    OK(pond_queue_interrupt(queue));
    IS(0, pond_queue_dispatch(queue, 0, 0));
    IS(POND_INTERRUPTED, pond_queue_next(queue, POND_FOREVER, &event));
    /* Waiting now: each ends one of them. */
    start_waiters(threads);
    for (i = 1; i <= WAITERS; i++) {
        OK(pond_queue_interrupt(queue));
        UNTIL(atomic_load(&interrupted) == i);
        nap(GRACE / 2);
        IS(i, atomic_load(&interrupted));
    }
    for (i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    IS(0, atomic_load(&other) + atomic_load(&closed));
    IS(POND_EMPTY, pond_queue_next(queue, 0, &event));
    OK(pond_queue_free(queue));
}

static void freeing_ends_every_wait(void)
{
    pthread_t threads[WAITERS];
    int i;
    queue = queue_new();
    start_waiters(threads);
    OK(pond_queue_free(queue));
    for (i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    IS(WAITERS, atomic_load(&closed));
}

static void the_descriptor_is_a_level(void)
{
    pond_queue *own = queue_new();
    pond_client *client = client_new("/script", NULL, options_new(own));
    pond_client *second = client_new("/script", NULL, options_new(own));
    pond_channel *channel = channel_new(client, "/fd", NULL), *another = channel_new(second, "/fd", NULL);
    pond_event *event;
    int32_t fd, again;
    int i;

    /* Events that waited before it was asked for count. */
    OK(pond_channel_join(channel));
    OK(pond_queue_fd(own, &fd));
    OK(pond_queue_fd(own, &again));
    IS(fd, again);
    MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    for (i = 0; i < 3; i++) MUST(readable(fd)); /* as often as one looks */
    OK(pond_queue_next(own, 0, &event));
    pond_event_free(event);
    MUST(!readable(fd)); /* nothing waits, though nobody has found it empty yet */

    for (i = 0; i < 100; i++) {
        OK(pond_channel_leave(channel));
        OK(pond_channel_join(channel));
        MUST(readable(fd));
        IS(1, pond_queue_dispatch(own, 1, 0));
        MUST(readable(fd));
        IS(1, pond_queue_dispatch(own, 0, 0));
        MUST(!readable(fd));
    }
    OK(pond_queue_interrupt(own));
    OK(pond_queue_interrupt(own));
    MUST(readable(fd));
    IS(POND_INTERRUPTED, pond_queue_next(own, 0, &event));
    MUST(!readable(fd));
    /* Both at once: readable until both are taken. */
    OK(pond_queue_interrupt(own));
    OK(pond_channel_leave(channel));
    IS(POND_INTERRUPTED, pond_queue_next(own, 0, &event));
    MUST(readable(fd));
    OK(pond_queue_next(own, 0, &event));
    pond_event_free(event);
    MUST(!readable(fd));
    /* What goes with its client waits no more; what another one has, does. */
    OK(pond_channel_join(channel));
    OK(pond_channel_join(another));
    OK(pond_client_free(client));
    MUST(readable(fd));
    OK(pond_client_free(second));
    MUST(!readable(fd));
    OK(pond_queue_free(own));
    /* The descriptor was the queue's. */
    UNTIL(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
}

/* The same with events that come from the I/O thread while this one polls. */
static void the_descriptor_misses_nothing(void)
{
    enum { COUNT = 20000 };
    pond_queue *own = queue_new();
    pond_client *client = client_new("/script", NULL, options_new(own));
    pond_channel *channel;
    pond_event *event;
    int32_t fd;
    int next = 0;
    OK(pond_queue_fd(own, &fd));
    connect_client(client);
    channel = joined_channel(client, "/fd", NULL);
    drain(own);
    MUST(!readable(fd));
    flood(channel, "flood", 0, COUNT, 0);
    while (next < COUNT) {
        UNTIL(readable(fd));
        while (pond_queue_next(own, 0, &event) == POND_OK) {
            IS(next, flood_index(event));
            pond_event_free(event);
            next++;
        }
    }
    MUST(!readable(fd));
    OK(pond_client_free(client));
    OK(pond_queue_free(own));
}

static void a_freed_queue_goes_with_its_last_client(void)
{
    pthread_t threads[WAITERS];
    pond_client *first, *second, *third;
    pond_channel *channel;
    pond_options *options;
    pond_event *event;
    pond_stats stats;
    atomic_int answered = 0, pending = 0, handled = 0, messages = 0, handlers = 0;
    int32_t fd;
    int i;

    queue = queue_new();
    OK(pond_queue_fd(queue, &fd));
    first = client_new("/script", NULL, options_new(queue));
    second = client_new("/script", NULL, options_new(queue));
    connect_client(first);
    channel = joined_channel(first, "/deferred", NULL);
    OK(pond_channel_on_message(channel, count_event, &messages, count_destroy, NULL));
    drain(queue);
    OK(pond_channel_request(channel, "reply", NULL, 0, NULL, &answered, count_destroy, NULL, NULL));
    OK(pond_channel_call(channel, "reply", NULL, DEADLINE, &event, NULL)); /* past the queue, and after that one */
    pond_event_free(event);
    OK(pond_channel_request(channel, "nothing", NULL, POND_FOREVER, NULL, &pending, count_destroy, NULL, NULL));
    OK(pond_channel_request(channel, "nothing", NULL, POND_FOREVER, count_event, &handled, count_destroy, NULL, NULL));
    MUST(readable(fd));
    options = options_new(queue); /* options hold the queue by its handle */

    IS(POND_DEFERRED, pond_queue_free(queue));
    MUST(!readable(fd));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_free(queue));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_next(queue, 0, &event));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_dispatch(queue, 0, 0));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_interrupt(queue));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_set_wake(queue, count_event, &handlers, count_destroy));
    IS(1, atomic_load(&handlers)); /* its destroy */
    IS(POND_ERROR_INVALID_HANDLE, pond_client_new("ws://127.0.0.1:1/", NULL, options, &third, NULL));
    OK(pond_options_free(options));

    /* The client stalls: it lives, but reads nothing more. */
    flood(channel, "flood", 0, 50000, 100);
    OK(pond_client_flush(first, DEADLINE));
    nap(GRACE);
    IS(POND_CLIENT_CONNECTED, pond_client_state(first));
    OK(pond_client_stats(first, &stats, sizeof stats));
    MUST(stats.inbound_events <= 256); /* a batch that was under way */
    IS(0, atomic_load(&messages));
    IS(0, atomic_load(&answered) + atomic_load(&pending) + atomic_load(&handled));

    /* Whatever nobody can take any more ends with its client, on this thread. */
    OK(pond_client_free(first));
    IS(2, atomic_load(&handled)); /* the function, with CLOSED, then its destroy */
    IS(1, atomic_load(&messages)); /* only its destroy */
    OK(pond_client_free(second));
    IS(1, atomic_load(&answered));
    IS(1, atomic_load(&pending));
    UNTIL(fcntl(fd, F_GETFD) == -1 && errno == EBADF);

    /* Waiters under a client. */
    queue = queue_new();
    first = client_new("/script", NULL, options_new(queue));
    start_waiters(threads);
    IS(POND_DEFERRED, pond_queue_free(queue));
    for (i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    IS(WAITERS, atomic_load(&closed));
    OK(pond_client_free(first));
}

/* Nobody will take the events of a client whose queue is freed, so that they must not pile up. */
static void a_freed_queue_gathers_nothing(void)
{
    enum { TIMES = 200000, GROWTH = 8 * 1024 * 1024 };
    pond_client *client;
    pond_channel *channel;
    long before;
    int i;
    queue = queue_new();
    client = client_new("/script", NULL, options_new(queue));
    channel = channel_new(client, "/nobody", NULL);
    IS(POND_DEFERRED, pond_queue_free(queue));
    before = resident();
    for (i = 0; i < TIMES; i++) { /* two events each */
        OK(pond_channel_join(channel));
        OK(pond_channel_leave(channel));
    }
    MUST(resident() - before < GROWTH);
    OK(pond_client_free(client));
}

const test queue_tests[] = {
    {"an_interrupt_is_sticky_and_ends_one", an_interrupt_is_sticky_and_ends_one},
    {"freeing_ends_every_wait", freeing_ends_every_wait},
    {"the_descriptor_is_a_level", the_descriptor_is_a_level},
    {"the_descriptor_misses_nothing", the_descriptor_misses_nothing},
    {"a_freed_queue_goes_with_its_last_client", a_freed_queue_goes_with_its_last_client},
    {"a_freed_queue_gathers_nothing", a_freed_queue_gathers_nothing},
    {NULL, NULL},
};
