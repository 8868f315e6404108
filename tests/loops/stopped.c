/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A program that stops reading under a flood: memory stays under the bound, nothing is lost, the link lives on.
 */
#include "loops.h"

enum {
    LIMIT_EVENTS = 1000,
    LIMIT_BYTES = 1024 * 1024,
    BATCH = 256, /* frames that one batch may exceed the limit by */
    RUNS = 3,
    RUN = 100000, /* the endpoint's most */
    REST = 10000, /* read in one go at the end */
    PAD = 200,
    FRAME = 1024, /* more than a frame of this flood has */
    /* What the process may grow by: the bound, a batch, the socket's buffers, the allocator's pages. The flood has
     * 90 MB. */
    GROWTH = 8 * 1024 * 1024
};

/* Takes a batch; the flood's next number is *next. */
static void take(pond_queue *queue, int *next)
{
    pond_event *events[BATCH];
    uint32_t count, i;
    OK(pond_queue_next_many(queue, DEADLINE, events, BATCH, &count));
    for (i = 0; i < count; i++) {
        if (pond_event_kind(events[i]) == POND_EVENT_MESSAGE) {
            IS(*next, (int64_t)flood_run(events[i]) * RUN + flood_index(events[i]));
            ++*next;
        } else { /* no drop, no error, no rejoin */
            char what[300];
            snprintf(what, sizeof what, "only messages come: kind %d, status %s, %s", (int)pond_event_kind(events[i]),
                     pond_status_name(pond_event_status(events[i])), pond_event_message(events[i], NULL));
            must(0, what, __FILE__, __LINE__);
        }
        pond_event_free(events[i]);
    }
}

static void a_stopped_reader_is_bounded(void)
{
    const char *asked = getenv("LONG");
    int64_t stop_ms = asked && strcmp(asked, "1") == 0 ? 60000 : 5000;
    pond_queue *queue = queue_new();
    pond_options *options = options_new(queue);
    pond_client *client;
    pond_channel *channel;
    pond_stats stats;
    uint64_t bytes_when_full, most_events = 0, most_bytes = 0;
    long before, most = 0;
    int64_t begin;
    int next = 0, run;

    OK(pond_options_set_inbound_limit(options, LIMIT_EVENTS, LIMIT_BYTES));
    OK(pond_options_set_ping_interval_ms(options, 300));
    OK(pond_options_set_pong_timeout_ms(options, 3000));
    client = client_new("/script", NULL, options);
    connect_client(client);
    channel = joined_channel(client, "/flood", NULL);
    drain(queue);

    before = resident();
    for (run = 0; run < RUNS; run++) flood(channel, "flood", run, RUN, PAD);
    /* Full: the socket is not read any more. */
    do {
        UNTIL(pond_client_stats(client, &stats, sizeof stats) == POND_OK && stats.inbound_events >= LIMIT_EVENTS);
        bytes_when_full = stats.bytes_in;
        nap(GRACE);
        OK(pond_client_stats(client, &stats, sizeof stats));
    } while (stats.bytes_in != bytes_when_full);
    for (begin = now_ms(); now_ms() - begin < stop_ms; nap(50)) {
        long now = resident();
        if (now > most) most = now;
        OK(pond_client_stats(client, &stats, sizeof stats));
        IS(bytes_when_full, stats.bytes_in);
        IS(1, stats.connects);
        IS(POND_CLIENT_CONNECTED, pond_client_state(client));
        if (stats.inbound_events > most_events) most_events = stats.inbound_events;
        if (stats.inbound_bytes > most_bytes) most_bytes = stats.inbound_bytes;
    }
    MUST(most_events >= LIMIT_EVENTS && most_events <= LIMIT_EVENTS + BATCH);
    MUST(most_bytes > 0 && most_bytes <= LIMIT_BYTES + BATCH * FRAME);
    MUST(most - before < GROWTH);

    /* Read again, first haltingly: each halt fills the queue once more. (The endpoint answers no ping before it has sent
     * everything, so that long reading without a halt would rightly end the link.) Then the rest in one go. */
    while (next < RUNS * RUN - REST) {
        int halt = next + LIMIT_EVENTS;
        while (next < halt) take(queue, &next);
        UNTIL(pond_client_stats(client, &stats, sizeof stats) == POND_OK && stats.inbound_events >= LIMIT_EVENTS);
    }
    while (next < RUNS * RUN) take(queue, &next);
    OK(pond_client_stats(client, &stats, sizeof stats));
    IS(1, stats.connects);
    IS(0, stats.inbound_events);
    IS(0, stats.inbound_bytes);
    IS(POND_CLIENT_CONNECTED, pond_client_state(client));
    MUST(resident() - before < GROWTH);
    /* And the other way is open, too. */
    {
        pond_event *reply;
        OK(pond_channel_call(channel, "reply", NULL, DEADLINE, &reply, NULL));
        pond_event_free(reply);
    }
    printf("   stopped for %lld ms: %llu events and %llu bytes waited, the process grew by %ld KiB; then %d read\n",
           (long long)stop_ms, (unsigned long long)most_events, (unsigned long long)most_bytes,
           (most - before) / 1024, next);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

/* Larger frames: the bound in bytes counts, not the one in events; and what a batch may exceed it by is little. */
static void bound_in_bytes(int size, int count, uint64_t limit)
{
    enum { BATCH_BYTES = 256 * 1024 + 1024 /* and what a frame has besides */ };
    pond_queue *queue = queue_new();
    pond_options *options = options_new(queue);
    pond_client *client;
    pond_channel *channel;
    pond_stats stats;
    uint64_t before;
    int next = 0;

    OK(pond_options_set_inbound_limit(options, 100000, limit));
    client = client_new("/script", NULL, options);
    connect_client(client);
    channel = joined_channel(client, "/big", NULL);
    drain(queue);
    flood(channel, "big", 0, count, size);
    do {
        UNTIL(pond_client_stats(client, &stats, sizeof stats) == POND_OK && stats.inbound_bytes >= limit);
        before = stats.bytes_in;
        nap(GRACE);
        OK(pond_client_stats(client, &stats, sizeof stats));
    } while (stats.bytes_in != before);
    printf("   frames of %d bytes: %llu events, %llu bytes wait at a limit of %llu\n", size,
           (unsigned long long)stats.inbound_events, (unsigned long long)stats.inbound_bytes,
           (unsigned long long)limit);
    MUST(stats.inbound_bytes <= limit + BATCH_BYTES + (uint64_t)size);
    while (next < count) {
        pond_event *event;
        OK(pond_queue_next(queue, DEADLINE, &event));
        IS(next, flood_index(event));
        pond_event_free(event);
        next++;
    }
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

static void the_bound_in_bytes_counts(void)
{
    bound_in_bytes(100 * 1024, 400, 1024 * 1024);
    bound_in_bytes(8 * 1024, 4000, 64 * 1024);
    bound_in_bytes(1024, 20000, 16 * 1024);
}

const test stopped_tests[] = {
    {"a_stopped_reader_is_bounded", a_stopped_reader_is_bounded},
    {"the_bound_in_bytes_counts", the_bound_in_bytes_counts},
    {NULL, NULL},
};
