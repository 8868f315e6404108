/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * suspend and resume, flush, stats, volatile messages, cancelled requests.
 */
#include "contract.h"

static pond_stats stats_of(pond_client *client)
{
    pond_stats stats;
    OK(pond_client_stats(client, &stats, sizeof stats));
    return stats;
}

static void send_numbered(pond_channel *channel, const char *event, int from, int to)
{
    char payload[32];
    for (; from < to; from++) {
        snprintf(payload, sizeof payload, "{\"n\":%d}", from);
        OK(pond_channel_send(channel, event, payload, NULL));
    }
}

/* All of them are in the log once, in order. */
static void expect_numbered(const char *event, const char *name, int count)
{
    char marked[128], number[32];
    int i, at, last = -1, port = shared_port();
    snprintf(marked, sizeof marked, "\\\"%s\\\"", event);
    UNTIL(logged(port, marked, name) >= count);
    CHECK(logged(port, marked, name) == count);
    snprintf(marked, sizeof marked, "\\\"%s\\\"", name);
    for (i = 0; i < count; i++) {
        /* The event's name is unique to the test, so it and the number tell the message. */
        snprintf(number, sizeof number, "{\\\"n\\\":%d}", i);
        at = logged_at(port, marked, number);
        if (at <= last) FAIL("message %d is at %d, the one before at %d", i, at, last);
        last = at;
    }
}

/* Closed without LEAVE, channels STALLED, queues kept; nothing is dialled; then all goes out in order. */
static void suspend_and_resume(void)
{
    pond_client *client = script(NULL);
    const char *name = room("suspend");
    pond_channel *channel = joined(client, name, NULL);
    tracked *request = track(), *queued = track(), *states = track(), *dropped = track();
    pond_stats before, after;
    int port = shared_port();
    OK(pond_channel_on_state(channel, on_call, states, on_destroy, NULL));
    OK(pond_channel_on_dropped(channel, on_call, dropped, on_destroy, NULL));
    OK(pond_channel_request(channel, "unanswered", NULL, POND_FOREVER, on_call, request, on_destroy, NULL, NULL));
    OK(pond_client_flush(client, DEADLINE));
    UNTIL(logged(port, "unanswered", name) == 1);
    AT_ONCE(OK(pond_client_suspend(client)));
    OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
    IS(POND_CHANNEL_STALLED, pond_channel_state(channel));
    UNTIL(request->calls == 1); /* it was on the wire */
    CHECK(request->last_status == POND_ERROR_CONNECTION_LOST);
    before = stats_of(client);
    send_numbered(channel, "kept", 0, 50);
    OK(pond_channel_request(channel, "reply", "{\"later\":1}", POND_FOREVER, on_call, queued, on_destroy, NULL, NULL));
    OK(pond_client_reconnect_now(client)); /* no dial waits */
    IS(POND_SKIPPED, pond_channel_send_volatile(channel, "aged", 4, NULL, 0, NULL));
    usleep(150000); /* longer than any backoff */
    after = stats_of(client);
    CHECK(after.dials == before.dials && after.frames_out == before.frames_out && after.dropped == 0);
    CHECK(after.outbound_messages == 51);
    IS(POND_CHANNEL_STALLED, pond_channel_state(channel));
    CHECK(logged(port, "\\\"kept\\\"", name) == 0);
    OK(pond_client_resume(client));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    UNTIL(queued->calls == 1);
    CHECK(queued->last_status == POND_OK);
    expect_numbered("kept", name, 50);
    CHECK(logged(port, "LEAVE_CHANNEL", name) == 0 && logged(port, "JOIN_CHANNEL", name) == 2);
    CHECK(logged(port, "aged", name) == 0 && dropped->calls == 0);
    CHECK(states->states[POND_CHANNEL_STALLED] == 1 && states->states[POND_CHANNEL_CLOSED] == 0);
}

/* Suspended in any state, resumed at once, many times. */
static void suspend_often(void)
{
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    const char *name = room("often");
    pond_channel *channel = channel_of(client, name, NULL);
    int i;
    OK(pond_client_suspend(client)); /* before any connect */
    OK(pond_client_resume(client));
    OK(pond_client_connect(client));
    OK(pond_channel_join(channel));
    for (i = 0; i < 30; i++) {
        send_numbered(channel, "often", i, i + 1);
        OK(pond_client_suspend(client));
        if (i % 3 == 0) OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
        OK(pond_client_resume(client));
        /* Else a message may have been handed over on a link that then died: it is in doubt, not resent. */
        OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
        OK(pond_client_flush(client, DEADLINE));
        UNTIL(logged(shared_port(), "\\\"often\\\"", name) == i + 1);
    }
    expect_numbered("often", name, 30);
    CHECK(logged(shared_port(), "LEAVE_CHANNEL", name) == 0);
}

/* The server reads no more, and all buffers on the way are full. */
static void mute_and_fill(pond_client *client, pond_channel *channel)
{
    static char big[200001];
    int32_t status;
    OK(pond_channel_send(channel, "mute", NULL, NULL));
    OK(pond_client_flush(client, DEADLINE)); /* else it would be sent again on the next link */
    memset(big, ' ', sizeof big - 1);
    big[0] = '{';
    big[sizeof big - 2] = '}';
    do {
        do status = pond_channel_send(channel, "x", big, NULL);
        while (status == POND_OK);
        IS(POND_ERROR_QUEUE_FULL, status);
    } while (pond_client_flush(client, 100) == POND_OK || stats_of(client).outbound_messages < 8);
}

static void flush(void)
{
    pond_options *options = fast_options();
    pond_client *client;
    pond_channel *channel, *offline;
    const char *name = room("flush");
    OK(pond_options_set_ping_interval_ms(options, 0));
    client = script(options);
    OK(pond_client_flush(client, 0)); /* nothing was ever accepted */
    channel = joined(client, name, NULL);
    send_numbered(channel, "flushed", 0, 500);
    OK(pond_client_flush(client, DEADLINE));
    CHECK(stats_of(client).outbound_messages == 0);
    UNTIL(logged(shared_port(), "\\\"flushed\\\"", name) == 500);

    /* What waits for a join is waited for; once it is dropped, nothing is. */
    offline = channel_of(client, room("flush"), "{\"mode\":\"silent\"}");
    OK(pond_channel_join(offline));
    OK(pond_channel_send(offline, "x", NULL, NULL));
    IS(POND_TIMEOUT, pond_client_flush(client, 30));
    OK(pond_channel_leave(offline));
    OK(pond_client_flush(client, DEADLINE));

    mute_and_fill(client, channel);
    IS(POND_TIMEOUT, pond_client_flush(client, 50));
    OK(pond_client_suspend(client)); /* the rest is queued for the next link */
    OK(pond_client_resume(client));
    OK(pond_client_flush(client, DEADLINE));
    CHECK(stats_of(client).outbound_messages == 0);
}

/* Each field moves as told. */
static void stats(void)
{
    pond_options *options = fast_options();
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel, *silent;
    pond_stats zero, s, t;
    pond_event *reply;
    memset(&zero, 0, sizeof zero);
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    OK(pond_options_set_ping_interval_ms(options, 20));
    client = client_at(url("ws", shared_port(), "/api/socket"), "{\"token\":\"secret\"}", options);
    s = stats_of(client);
    CHECK(memcmp(&s, &zero, sizeof s) == 0);
    connected(client);
    s = stats_of(client);
    CHECK(s.dials == 1 && s.connects == 1 && s.frames_in == 1 && s.frames_out == 0 && s.bytes_in > 0);
    channel = joined(client, room("stats"), NULL);
    UNTIL(stats_of(client).rtt_us > 0);
    CHECK(stats_of(client).rtt_us < 1000 * (uint64_t)DEADLINE);
    s = stats_of(client);
    CHECK(s.frames_out == 1);
    OK(pond_channel_send(channel, "flood", "{\"count\":100,\"size\":1000}", NULL));
    UNTIL(stats_of(client).inbound_events >= 100); /* nobody reads */
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &reply, NULL));
    pond_event_free(reply);
    t = stats_of(client);
    CHECK(t.frames_out == s.frames_out + 2 && t.frames_in >= s.frames_in + 101);
    CHECK(t.bytes_in > s.bytes_in + 100000 && t.bytes_out > s.bytes_out);
    CHECK(t.inbound_bytes > 100000 && t.inbound_bytes <= t.bytes_in);
    UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && stats_of(client).inbound_events == 0);
    CHECK(stats_of(client).inbound_bytes == 0);

    silent = channel_of(client, room("stats"), "{\"mode\":\"silent\"}");
    OK(pond_channel_join(silent));
    send_numbered(silent, "x", 0, 7);
    CHECK(stats_of(client).outbound_messages == 7 && stats_of(client).dropped == 0);
    OK(pond_channel_leave(silent));
    CHECK(stats_of(client).outbound_messages == 0 && stats_of(client).dropped == 7);

    t = stats_of(client);
    OK(pond_channel_send(channel, "close-me", NULL, NULL));
    UNTIL(stats_of(client).connects == 2);
    s = stats_of(client);
    CHECK(s.dials >= 2 && s.bytes_in > t.bytes_in && s.bytes_out > t.bytes_out && s.frames_in > t.frames_in);
    CHECK(s.dropped == 7);
}

static void volatile_messages(void)
{
    pond_options *options = fast_options();
    pond_client *client;
    const char *name = room("volatile");
    pond_channel *channel;
    int port = shared_port();
    OK(pond_options_set_ping_interval_ms(options, 0));
    client = client_at(url("ws", port, "/script"), NULL, options);
    channel = channel_of(client, name, NULL);
    IS(POND_SKIPPED, pond_channel_send_volatile(channel, "early", 5, NULL, 0, NULL)); /* IDLE */
    OK(pond_channel_join(channel));
    IS(POND_SKIPPED, pond_channel_send_volatile(channel, "early", 5, NULL, 0, NULL)); /* JOINING, offline */
    connected(client);
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    OK(pond_client_flush(client, DEADLINE));
    OK(pond_channel_send_volatile(channel, "position", 8, "{\"x\":1}", 7, NULL));
    UNTIL(logged(port, "position", name) == 1);
    CHECK(logged(port, "early", name) == 0);
    mute_and_fill(client, channel);
    IS(POND_SKIPPED, pond_channel_send_volatile(channel, "late", 4, "{}", 2, NULL)); /* something waits before it */
    OK(pond_client_suspend(client));
    IS(POND_SKIPPED, pond_channel_send_volatile(channel, "late", 4, "{}", 2, NULL)); /* STALLED */
    OK(pond_client_resume(client));
    OK(pond_client_flush(client, DEADLINE));
    UNTIL(pond_channel_state(channel) == POND_CHANNEL_JOINED);
    OK(pond_channel_send_volatile(channel, "again", 5, "{}", 2, NULL));
    UNTIL(logged(port, "\\\"again\\\"", name) == 1);
    CHECK(logged(port, "\\\"late\\\"", name) == 0 && stats_of(client).dropped == 0);
    OK(pond_channel_leave(channel));
    IS(POND_ERROR_CLOSED, pond_channel_send_volatile(channel, "x", 1, "{}", 2, NULL));
}

/* On the wire, queued, complete already; its event comes once, and a late reply is an ordinary message. */
static void cancelled_requests(void)
{
    pond_client *client = chat("cancel", NULL), *offline = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    const char *name = room("cancelled");
    pond_channel *channel = joined(client, room("cancel"), NULL), *idle = channel_of(offline, name, NULL);
    tracked *on_wire = track(), *queued = track(), *complete = track(), *messages = track();
    uint64_t ticket, other;
    OK(pond_channel_on_message(channel, on_call, messages, on_destroy, NULL));
    OK(pond_channel_request(channel, "slow", "{\"ms\":150}", POND_FOREVER, on_call, on_wire, on_destroy, &ticket,
                            NULL));
    OK(pond_client_flush(client, DEADLINE));
    AT_ONCE(OK(pond_channel_cancel_request(channel, ticket)));
    UNTIL(on_wire->destroys == 1);
    CHECK(on_wire->calls == 1 && on_wire->last_status == POND_ERROR_CANCELLED && on_wire->ticket == ticket);
    IS(POND_EMPTY, pond_channel_cancel_request(channel, ticket));
    UNTIL(messages->calls == 1); /* the late reply */

    OK(pond_channel_join(idle));
    OK(pond_channel_request(idle, "never-sent", NULL, POND_FOREVER, on_call, queued, on_destroy, &other, NULL));
    CHECK(other != ticket);
    IS(POND_EMPTY, pond_channel_cancel_request(channel, other)); /* of another channel */
    OK(pond_channel_cancel_request(idle, other));
    UNTIL(queued->destroys == 1);
    CHECK(queued->calls == 1 && queued->last_status == POND_ERROR_CANCELLED);
    OK(pond_channel_send(idle, "sent", NULL, NULL));
    OK(pond_client_connect(offline));
    UNTIL(logged(shared_port(), "\\\"sent\\\"", name) == 1);
    CHECK(logged(shared_port(), "never-sent", NULL) == 0);

    OK(pond_channel_request(channel, "ping", NULL, POND_FOREVER, on_call, complete, on_destroy, &ticket, NULL));
    UNTIL(complete->destroys == 1);
    CHECK(complete->last_status == POND_OK);
    IS(POND_EMPTY, pond_channel_cancel_request(channel, ticket));
    CHECK(complete->calls == 1);
}

const test session_tests[] = {
    {"suspend_and_resume", suspend_and_resume, 0},
    {"suspend_often", suspend_often, 0},
    {"flush", flush, 0},
    {"stats", stats, 0},
    {"volatile_messages", volatile_messages, 0},
    {"cancelled_requests", cancelled_requests, 0},
    {NULL, NULL, 0},
};
