/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * game_loop [URL]: a client inside a frame loop of 60 Hz.
 *
 * Each frame runs the handlers of what came, on this thread, for 2 ms and 2,000 events at most: a burst from the server
 * is spread over frames instead of tearing one. Positions go out 20 times a second as volatile messages: a stale
 * position is worth nothing, so that one which cannot be written now is forgotten.
 *
 * URL is the scripted endpoint of pond-test-server, which is asked for a burst of 10,000 messages. The program fails if
 * one is missing or out of order, or if a dispatch took longer than its budget and one handler. The system may take the
 * processor away from us at any time: so what is held against the budget is processor time; and by the wall clock half
 * of the busy frames must keep it, but for those in which the system did so.
 */
#define _GNU_SOURCE /* clock_nanosleep, getrusage */
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    RATE = 60,
    BURST = 10000,
    MAX_EVENTS = 2000,
    BUDGET_US = 2000,
    GRACE_US = 1000, /* for interrupts, page faults, the allocator: what the system charges to whom it meets */
    LEAST_FRAMES = 2 * RATE,
    MOST_FRAMES = 30 * RATE
};

typedef struct game {
    pond_channel *channel;
    int joined, failed;
    int ticks;                /* how many messages of the burst came */
    int64_t longest_handler;  /* microseconds */
} game;

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How often the system has taken the processor away from this process. */
static long preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

static void on_world(const pond_event *event, void *user_data)
{
    game *self = user_data;
    int64_t begin = now_us(CLOCK_THREAD_CPUTIME_ID), took;
    size_t len;
    const char *payload = pond_event_payload(event, &len);
    double tick = -1;
    if (pond_json_number(payload, len, "/tick", &tick) != POND_OK || tick != self->ticks) {
        fprintf(stderr, "tick %d expected: %s\n", self->ticks, payload);
        self->failed = 1;
    }
    self->ticks++;
    took = now_us(CLOCK_THREAD_CPUTIME_ID) - begin;
    if (took > self->longest_handler) self->longest_handler = took;
}

static void on_state(const pond_event *event, void *user_data)
{
    game *self = user_data;
    int32_t state = pond_event_state(event);
    printf("channel %s\n", pond_state_name(state));
    self->joined = state == POND_CHANNEL_JOINED;
    if (state == POND_CHANNEL_CLOSED || state == POND_CHANNEL_DECLINED) self->failed = 1;
}

/* Asks for the burst: the endpoint replaces $CHANNEL, and $I by the number of the round. */
static void ask_for_burst(pond_channel *channel)
{
    static const char frame[] = "{\"action\":\"BROADCAST\",\"event\":\"world\",\"channelName\":\"$CHANNEL\","
                                "\"requestId\":\"burst-$I\",\"payload\":{\"tick\":$I,\"players\":[1,2,3,4]}}";
    pond_error *error = NULL;
    char *quoted, payload[512];
    check("frame", pond_json_quote(frame, sizeof frame - 1, &quoted), NULL);
    snprintf(payload, sizeof payload, "{\"frames\":[%s],\"count\":%d}", quoted, BURST);
    pond_string_free(quoted);
    check("burst", pond_channel_send(channel, "raw", payload, &error), &error);
}

static int send_position(pond_channel *channel, int frame)
{
    pond_error *error = NULL;
    char payload[64];
    int len = snprintf(payload, sizeof payload, "{\"x\":%d,\"y\":%d}", frame % 640, frame % 480);
    int32_t status = pond_channel_send_volatile(channel, "position", 8, payload, (size_t)len, &error);
    if (status == POND_SKIPPED) return 0; /* not joined, or the network is slow: the next one is fresher */
    check("position", status, &error);
    return 1;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/script";
    pond_queue *queue;
    pond_options *options;
    pond_client *client;
    pond_error *error = NULL;
    game self = {0};
    struct timespec next;
    int64_t longest = 0, longest_wall = 0;
    int frame, asked = 0, positions = 0, busy = 0, late = 0;

    check("queue", pond_queue_new(&queue), NULL);
    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("client", pond_client_new(url, NULL, options, &client, &error), &error);
    pond_options_free(options);
    check("channel", pond_client_channel(client, "/world/1", NULL, &self.channel, &error), &error);
    check("handler", pond_channel_on_event(self.channel, "world", on_world, &self, NULL, NULL), NULL);
    check("handler", pond_channel_on_state(self.channel, on_state, &self, NULL, NULL), NULL);
    check("connect", pond_client_connect(client), NULL);
    check("join", pond_channel_join(self.channel), NULL);

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (frame = 0; frame < MOST_FRAMES && !self.failed; frame++) {
        long before = preemptions();
        int64_t wall = now_us(CLOCK_MONOTONIC), used = now_us(CLOCK_THREAD_CPUTIME_ID);
        int32_t taken = pond_queue_dispatch(queue, MAX_EVENTS, BUDGET_US);
        used = now_us(CLOCK_THREAD_CPUTIME_ID) - used;
        wall = now_us(CLOCK_MONOTONIC) - wall;
        if (taken < 0) check("dispatch", taken, NULL);
        if (taken > 0) busy++;
        if (used > longest) longest = used;
        if (wall > longest_wall) longest_wall = wall;
        if (wall > BUDGET_US + self.longest_handler + GRACE_US && preemptions() == before) late++;
        if (taken > MAX_EVENTS) self.failed = 1;

        if (self.joined && !asked) {
            ask_for_burst(self.channel);
            asked = 1;
        }
        if (frame % (RATE / 20) == 0) positions += send_position(self.channel, frame);
        /* here a game moves its world and draws it */

        if (self.ticks == BURST && frame >= LEAST_FRAMES) break;
        next.tv_nsec += 1000000000 / RATE;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    printf("%d frames, %d of them with events; %d messages; %d positions\n", frame, busy, self.ticks, positions);
    printf("longest dispatch %lld us of a budget of %d us (wall clock: %lld us, %d late), longest handler %lld us\n",
           (long long)longest, BUDGET_US, (long long)longest_wall, late, (long long)self.longest_handler);
    pond_client_free(client);
    pond_queue_free(queue);
    /* A burst within the first frames cannot fit into fewer than 5 of them; positions started with the join. */
    if (self.failed || self.ticks != BURST || busy < BURST / MAX_EVENTS || positions < LEAST_FRAMES / 3 / 2)
        return EXIT_FAILURE;
    if (longest > BUDGET_US + self.longest_handler + GRACE_US || late > busy / 2) return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
