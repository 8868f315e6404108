/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Library threads: a callback that blocks delays neither another client nor its own client's pings.
 */
#include "loops.h"

enum { HOLD_MS = 4000, PING_MS = 200, PONG_MS = 3000 };

static gate held = GATE;
static atomic_int entered, timed_out, later, disorder, overlaps, inside;

static void on_hold(const pond_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    atomic_store(&inside, 1);
    atomic_store(&entered, 1);
    if (!gate_wait(&held)) atomic_store(&timed_out, 1);
    atomic_store(&inside, 0);
}

static void on_later(const pond_event *event, void *user_data)
{
    (void)user_data;
    if (atomic_load(&inside)) atomic_fetch_add(&overlaps, 1);
    if (flood_index(event) != atomic_fetch_add(&later, 1)) atomic_fetch_add(&disorder, 1);
}

/* The other client's events: when the last came. */
static atomic_llong other_at;
static atomic_int other_count;

static void on_other(const pond_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    atomic_store(&other_at, now_ms());
    atomic_fetch_add(&other_count, 1);
}

static pond_client *pinging_client(void)
{
    pond_options *options = options_new(NULL);
    OK(pond_options_set_ping_interval_ms(options, PING_MS));
    OK(pond_options_set_pong_timeout_ms(options, PONG_MS));
    return client_new("/script", NULL, options);
}

static void a_blocking_callback_delays_nobody(void)
{
    pond_client *blocked = pinging_client(), *other = pinging_client();
    pond_channel *first, *second;
    pond_stats stats;
    int64_t begin, longest_call = 0, longest_event = 0;
    int pings_before, pings = 0, rounds = 0;

    connect_client(blocked); /* connection 1 of this server */
    first = joined_channel(blocked, "/first", NULL);
    OK(pond_channel_on_event(first, "hold", on_hold, NULL, NULL, NULL));
    OK(pond_channel_on_event(first, "later", on_later, NULL, NULL, NULL));
    connect_client(other);
    second = joined_channel(other, "/second", NULL);
    OK(pond_channel_on_event(second, "other", on_other, NULL, NULL, NULL));

    flood(first, "hold", 0, 1, 0);
    flood(first, "later", 0, 100, 0);
    UNTIL(atomic_load(&entered));
    UNTIL(logged("{\"conn\":1,\"kind\":\"ping\"}") > 0);
    pings_before = logged("{\"conn\":1,\"kind\":\"ping\"}");

    begin = now_ms();
    do {
        pond_event *reply;
        int seen = atomic_load(&other_count);
        int64_t at = now_ms(), took;
        OK(pond_channel_call(second, "reply", NULL, DEADLINE, &reply, NULL));
        pond_event_free(reply);
        took = now_ms() - at;
        if (took > longest_call) longest_call = took;
        at = now_ms();
        flood(second, "other", 0, 1, 0);
        UNTIL(atomic_load(&other_count) > seen);
        took = atomic_load(&other_at) - at;
        if (took > longest_event) longest_event = took;
        rounds++;
        nap(5);
        /* The log grows with each round. */
        if (rounds % 50 == 0) pings = logged("{\"conn\":1,\"kind\":\"ping\"}") - pings_before;
        MUST(now_ms() - begin < DEADLINE);
        /* Longer than a link without pings would live, and some of them. */
    } while (now_ms() - begin < HOLD_MS || pings < 5);
    MUST(atomic_load(&inside) && !atomic_load(&timed_out)); /* it was blocked all the time */
    IS(0, atomic_load(&later));
    IS(POND_CLIENT_CONNECTED, pond_client_state(blocked));
    /* The blocked client's own calls go past its handlers, too. */
    {
        pond_event *reply;
        OK(pond_channel_call(first, "reply", NULL, DEADLINE, &reply, NULL));
        pond_event_free(reply);
    }
    gate_open(&held);
    UNTIL(atomic_load(&later) == 100);
    IS(0, atomic_load(&disorder));
    IS(0, atomic_load(&overlaps));
    IS(0, atomic_load(&timed_out));
    OK(pond_client_stats(blocked, &stats, sizeof stats));
    IS(1, stats.connects);
    MUST(stats.rtt_us > 0);
    printf("   %d pings; other client: %d rounds, longest call %lld ms, longest event %lld ms\n", pings, rounds,
           (long long)longest_call, (long long)longest_event);
    OK(pond_client_free(blocked));
    OK(pond_client_free(other));
}

/* More blocked clients than a small pool would have threads. */
enum { MANY = 40 };

static void many_blocking_callbacks_delay_nobody(void)
{
    pond_client *blocked[MANY], *other;
    pond_channel *channel;
    atomic_int freed_late = 0;
    int i;
    for (i = 0; i < MANY; i++) {
        blocked[i] = pinging_client();
        connect_client(blocked[i]);
        channel = joined_channel(blocked[i], "/blocked", NULL);
        OK(pond_channel_on_event(channel, "hold", on_hold, &freed_late, count_destroy, NULL));
        atomic_store(&entered, 0);
        flood(channel, "hold", 0, 1, 0);
        UNTIL(atomic_load(&entered));
    }
    other = pinging_client();
    connect_client(other);
    channel = joined_channel(other, "/other", NULL);
    OK(pond_channel_on_event(channel, "other", on_other, NULL, NULL, NULL));
    flood(channel, "other", 0, 100, 0);
    UNTIL(atomic_load(&other_count) == 100);
    for (i = 0; i < MANY; i++) {
        pond_stats stats;
        OK(pond_client_stats(blocked[i], &stats, sizeof stats));
        IS(1, stats.connects);
        IS(POND_CLIENT_CONNECTED, pond_client_state(blocked[i]));
    }
    IS(0, atomic_load(&timed_out));
    gate_open(&held);
    for (i = 0; i < MANY; i++) OK(pond_client_free(blocked[i]));
    IS(MANY, atomic_load(&freed_late)); /* each free waited for its handler */
    OK(pond_client_free(other));
}

const test blocking_tests[] = {
    {"a_blocking_callback_delays_nobody", a_blocking_callback_delays_nobody},
    {"many_blocking_callbacks_delay_nobody", many_blocking_callbacks_delay_nobody},
    {NULL, NULL},
};
