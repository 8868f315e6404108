/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The wake function: once per empty -> not empty, again when a dispatch leaves something, one call at a time, and
 * gone when it is removed.
 *
 * Events are made here without a server: join and leave of a client that is at rest make one each, at once.
 */
#include "loops.h"

#include <semaphore.h>
#include <time.h>

typedef struct source {
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel;
} source;

static source source_new(void)
{
    source self;
    self.queue = queue_new();
    self.client = client_new("/script", NULL, options_new(self.queue));
    self.channel = channel_new(self.client, "/wake", NULL);
    return self;
}

static void source_end(source *self)
{
    OK(pond_client_free(self->client));
    OK(pond_queue_free(self->queue));
}

/* One event each. */
static void make_event(source *self)
{
    if (pond_channel_state(self->channel) == POND_CHANNEL_JOINING) OK(pond_channel_leave(self->channel));
    else OK(pond_channel_join(self->channel));
}

static void wake_comes_once(void)
{
    source self = source_new();
    atomic_int wakes = 0, destroyed = 0;
    int round;
    OK(pond_queue_set_wake(self.queue, count_event, &wakes, count_destroy));
    nap(GRACE);
    IS(0, atomic_load(&wakes)); /* it is empty */
    for (round = 1; round <= 20; round++) {
        int before = round == 1 ? 0 : atomic_load(&wakes);
        make_event(&self);
        UNTIL(atomic_load(&wakes) == before + 1);
        make_event(&self);
        make_event(&self);
        nap(round == 1 ? GRACE : 2);
        IS(before + 1, atomic_load(&wakes)); /* not empty before, so nothing new */
        if (round % 2) IS(3, drain(self.queue));
        else IS(3, pond_queue_dispatch(self.queue, 0, 0));
    }
    nap(GRACE);
    IS(20, atomic_load(&wakes));
    OK(pond_queue_set_wake(self.queue, count_event, &destroyed, NULL));
    IS(21, atomic_load(&wakes)); /* its destroy, on this thread */
    make_event(&self);
    UNTIL(atomic_load(&destroyed) == 1);
    /* Set while something waits: called at once. */
    OK(pond_queue_set_wake(self.queue, count_event, &wakes, NULL));
    UNTIL(atomic_load(&wakes) == 22);
    OK(pond_queue_set_wake(self.queue, NULL, NULL, NULL));
    IS(1, drain(self.queue));
    make_event(&self);
    nap(GRACE);
    IS(22, atomic_load(&wakes));
    source_end(&self);
}

static void wake_comes_again_for_what_is_left(void)
{
    source self = source_new();
    atomic_int wakes = 0;
    int i, taken = 0, rounds = 0;
    OK(pond_queue_set_wake(self.queue, count_event, &wakes, NULL));
    for (i = 0; i < 10; i++) make_event(&self);
    while (taken < 10) {
        /* As a loop does it: only a wake-up makes it dispatch. */
        UNTIL(atomic_load(&wakes) == rounds + 1);
        rounds++;
        IS(taken < 9 ? 3 : 1, pond_queue_dispatch(self.queue, 3, 0));
        taken += taken < 9 ? 3 : 1;
    }
    IS(4, rounds);
    nap(GRACE);
    IS(4, atomic_load(&wakes));
    IS(0, pond_queue_dispatch(self.queue, 0, 0));
    source_end(&self);
}

/* A loop that sleeps until it is woken, under a flood from the I/O thread: with a lost wake-up it would sleep on. */
static void post(const pond_event *event, void *semaphore)
{
    (void)event;
    sem_post(semaphore);
}

static void count_flood(const pond_event *event, void *next)
{
    int *expected = next;
    if (flood_index(event) == *expected) ++*expected;
}

static void no_wake_is_lost(int dispatch)
{
    enum { COUNT = 20000, PARTS = 20 };
    source self = source_new();
    sem_t woken;
    pond_channel *channel;
    int next = 0, rounds = 0, part;
    IS(0, sem_init(&woken, 0, 0));
    connect_client(self.client);
    channel = joined_channel(self.client, "/flood", NULL);
    OK(pond_channel_on_event(channel, "flood", count_flood, &next, NULL, NULL));
    drain(self.queue);
    OK(pond_queue_set_wake(self.queue, post, &woken, NULL));
    for (part = 0; part < PARTS; part++) { /* in parts, so that the queue runs empty in between */
        int goal = COUNT / PARTS;
        next = 0;
        flood(channel, "flood", part, goal, 0);
        while (next < goal) {
            struct timespec end;
            pond_event *event;
            clock_gettime(CLOCK_REALTIME, &end);
            end.tv_sec += DEADLINE / 1000;
            IS(0, sem_timedwait(&woken, &end));
            rounds++;
            if (dispatch) {
                MUST(pond_queue_dispatch(self.queue, 50, 0) >= 0);
                continue;
            }
            while (pond_queue_next(self.queue, 0, &event) == POND_OK) {
                count_flood(event, &next);
                pond_event_free(event);
            }
        }
        IS(goal, next);
    }
    printf("   %d messages, woken %d times\n", COUNT, rounds);
    OK(pond_queue_set_wake(self.queue, NULL, NULL, NULL));
    source_end(&self);
    sem_destroy(&woken);
}

static void no_wake_is_lost_by_pulling(void) { no_wake_is_lost(0); }
static void no_wake_is_lost_by_dispatching(void) { no_wake_is_lost(1); }

static atomic_int inside, overlaps, calls, stop;

static void slow_wake(const pond_event *event, void *user_data)
{
    (void)user_data;
    if (pond_event_kind(event) != POND_EVENT_WAKE) atomic_fetch_add(&overlaps, 1);
    if (atomic_fetch_add(&inside, 1)) atomic_fetch_add(&overlaps, 1);
    nap(2);
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&calls, 1);
}

static void *make_events(void *user_data)
{
    source *self = user_data;
    while (!atomic_load(&stop)) {
        if (pond_channel_state(self->channel) == POND_CHANNEL_JOINING) pond_channel_leave(self->channel);
        else pond_channel_join(self->channel);
        nap(0);
    }
    return NULL;
}

static void wakes_never_overlap(void)
{
    source self = source_new();
    pthread_t threads[2];
    atomic_int destroyed = 0;
    int64_t end;
    int i, set = 0;
    for (i = 0; i < 2; i++) IS(0, pthread_create(&threads[i], NULL, make_events, &self));
    end = now_ms() + DEADLINE;
    while (atomic_load(&calls) < 200) {
        MUST(now_ms() < end);
        /* Dispatching leaves much and re-arms, and the function is replaced again and again meanwhile. */
        MUST(pond_queue_dispatch(self.queue, 5, 0) >= 0);
        if (atomic_load(&calls) >= 10 * set) {
            OK(pond_queue_set_wake(self.queue, slow_wake, &destroyed, count_destroy));
            set++;
        }
    }
    atomic_store(&stop, 1);
    for (i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    OK(pond_queue_set_wake(self.queue, NULL, NULL, NULL));
    IS(0, atomic_load(&inside));
    IS(0, atomic_load(&overlaps));
    IS(set, atomic_load(&destroyed));
    printf("   %d calls of %d registrations\n", atomic_load(&calls), set);
    source_end(&self);
}

/* Blocks inside until the gate opens. */
static gate leave = GATE;
static atomic_int entered, left, destroyed_early;

static void blocking_wake(const pond_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    atomic_fetch_add(&entered, 1);
    gate_wait(&leave);
    atomic_fetch_add(&left, 1);
}

static void check_destroy(void *user_data)
{
    if (atomic_load(&left) == 0) atomic_store(&destroyed_early, 1);
    count_destroy(user_data);
}

static atomic_int removed;
static void *remove_wake(void *queue)
{
    int32_t status = pond_queue_set_wake(queue, NULL, NULL, NULL);
    atomic_store(&removed, status == POND_OK ? 1 : -1);
    return NULL;
}

static void removing_waits_for_the_running_wake(void)
{
    source self = source_new();
    atomic_int destroyed = 0;
    pthread_t thread;
    OK(pond_queue_set_wake(self.queue, blocking_wake, &destroyed, check_destroy));
    make_event(&self);
    UNTIL(atomic_load(&entered) == 1);
    IS(0, pthread_create(&thread, NULL, remove_wake, self.queue));
    nap(GRACE);
    IS(0, atomic_load(&removed)); /* the function still runs */
    IS(0, atomic_load(&destroyed));
    /* The queue is not held up by it. */
    make_event(&self);
    IS(2, drain(self.queue));
    gate_open(&leave);
    pthread_join(thread, NULL);
    IS(1, atomic_load(&removed));
    IS(1, atomic_load(&destroyed));
    IS(0, atomic_load(&destroyed_early));
    make_event(&self);
    nap(GRACE);
    IS(1, atomic_load(&entered));
    source_end(&self);
}

typedef struct self_ender {
    pond_queue *queue;
    int frees; /* the queue; else only the wake function is removed */
    atomic_int calls, destroyed, destroyed_inside, status;
} self_ender;

static void end_itself(const pond_event *event, void *user_data)
{
    self_ender *self = user_data;
    (void)event;
    atomic_store(&self->status, self->frees ? pond_queue_free(self->queue)
                                            : pond_queue_set_wake(self->queue, NULL, NULL, NULL));
    atomic_store(&self->destroyed_inside, atomic_load(&self->destroyed));
    atomic_fetch_add(&self->calls, 1);
}

static void count_end(void *user_data)
{
    self_ender *self = user_data;
    atomic_fetch_add(&self->destroyed, 1);
}

static void a_wake_may_end_itself(void)
{
    source self = source_new();
    self_ender remover = {.queue = self.queue, .frees = 0}, freer = {.queue = self.queue, .frees = 1};
    OK(pond_queue_set_wake(self.queue, end_itself, &remover, count_end));
    make_event(&self);
    UNTIL(atomic_load(&remover.destroyed) == 1);
    IS(1, atomic_load(&remover.calls));
    IS(POND_OK, atomic_load(&remover.status));
    IS(0, atomic_load(&remover.destroyed_inside)); /* only once it had returned */
    IS(1, drain(self.queue));
    make_event(&self);
    nap(GRACE);
    IS(1, atomic_load(&remover.calls));
    /* The whole queue, with an event in it and a client on it. */
    OK(pond_queue_set_wake(self.queue, end_itself, &freer, count_end));
    UNTIL(atomic_load(&freer.destroyed) == 1);
    IS(POND_DEFERRED, atomic_load(&freer.status));
    IS(0, atomic_load(&freer.destroyed_inside));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_free(self.queue));
    make_event(&self);
    nap(GRACE);
    IS(1, atomic_load(&freer.calls));
    OK(pond_client_free(self.client));
}

const test wake_tests[] = {
    {"wake_comes_once", wake_comes_once},
    {"wake_comes_again_for_what_is_left", wake_comes_again_for_what_is_left},
    {"no_wake_is_lost_by_pulling", no_wake_is_lost_by_pulling},
    {"no_wake_is_lost_by_dispatching", no_wake_is_lost_by_dispatching},
    {"wakes_never_overlap", wakes_never_overlap},
    {"removing_waits_for_the_running_wake", removing_waits_for_the_running_wake},
    {"a_wake_may_end_itself", a_wake_may_end_itself},
    {NULL, NULL},
};
