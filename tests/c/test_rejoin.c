/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is kept while the link is down, and what becomes of it: rejoining, queued messages, overflow.
 */
#include "pond_test.h"

/* A peer at /script of a server of its own. */
static peer *script_peer_at(const server *server, pond_options *options)
{
    peer *self = peer_new(server_url(server, "ws", "/script"), NULL, options);
    OK(pond_client_connect(self->client));
    return self;
}

/* Where the frame with that payload stands in the log of /script; NULL if it never came. */
static const char *logged(const char *log, int n)
{
    char payload[64];
    snprintf(payload, sizeof payload, "\\\"n\\\":%d}", n);
    return strstr(log, payload);
}

static void send_numbered(pond_channel *channel, int from, int to)
{
    for (; from <= to; from++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"n\":%d}", from);
        OK(pond_channel_send(channel, "numbered", payload, NULL));
    }
}

/* Waits until all that was sent before has been read by the server. */
static void sync_with(peer *self, pond_channel *channel)
{
    uint64_t ticket = ask(self, channel, "reply", "{\"sync\":1}", DEADLINE);
    const record *r = expect(self, .kind = POND_EVENT_REPLY, .ticket = ticket);
    STATUS(POND_OK, r->status);
}

static void expect_order(const server *server, int from, int to)
{
    char *log = script_log(server);
    const char *last = log;
    int n;
    for (n = from; n <= to; n++) {
        const char *at = logged(log, n);
        if (!at || at < last) print_error("message %d is missing or out of order\n", n);
        assert_true(at && at >= last);
        assert_null(logged(at + 1, n)); /* and came once */
        last = at;
    }
    free(log);
}

static void server_restarts(void **state)
{
    server *server = server_start(0);
    peer *anna = script_peer_at(server, NULL);
    pond_channel *channel = joined(anna, room("restart"), NULL);
    const record *r;
    (void)state;
    server_kill(server);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    send_numbered(channel, 1, 20);
    server_restart(server);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED, .from = SINCE(r));
    assert_int_equal(r->connect_count, 2);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    send_numbered(channel, 21, 25);
    sync_with(anna, channel);
    expect_order(server, 1, 25);
    assert_int_equal(count(anna, .kind = POND_EVENT_DROPPED), 0);
}

/* A full queue lets the oldest go, and says so. */
static void oldest_are_dropped(void **state)
{
    pond_options *options = options_new();
    server *server = server_start(0);
    peer *anna;
    pond_channel *channel;
    const record *r;
    char *log;
    (void)state;
    OK(pond_options_set_queue_limit(options, 3));
    anna = script_peer_at(server, options);
    channel = joined(anna, room("oldest"), NULL);
    server_kill(server);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    send_numbered(channel, 0, 4);
    r = expect(anna, .kind = POND_EVENT_DROPPED, .payload = "{\"n\":0}", .status = POND_ERROR_QUEUE_FULL);
    assert_int_equal(r->count, 1);
    assert_string_equal(r->name, "numbered");
    r = expect(anna, .kind = POND_EVENT_DROPPED, .payload = "{\"n\":1}", .from = SINCE(r));
    assert_int_equal(r->count, 1);
    server_restart(server);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    sync_with(anna, channel);
    expect_order(server, 2, 4);
    log = script_log(server);
    assert_null(logged(log, 0));
    assert_null(logged(log, 1));
    free(log);
    assert_int_equal(count(anna, .kind = POND_EVENT_DROPPED), 2);
}

/* Drops that nobody reads merge into the last one: the sum is right, the memory is bounded. */
static void unread_drops_merge(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_channel *channel;
    const record *r = NULL;
    uint32_t sum = 0, events = 0;
    (void)state;
    OK(pond_options_set_queue_limit(options, 2));
    anna = peer_new(server_url(shared_server(), "ws", "/script"), NULL, options);
    channel = peer_channel(anna, room("merge"), NULL);
    OK(pond_channel_join(channel));
    send_numbered(channel, 1, 1002);
    while (sum < 1000) {
        r = expect(anna, .kind = POND_EVENT_DROPPED, .from = r ? SINCE(r) : 0);
        sum += r->count;
        events++;
    }
    assert_int_equal(sum, 1000);
    assert_string_equal(r->payload, "{\"n\":1000}");
    assert_true(events <= 2);
}

static void newest_are_dropped(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_channel *channel;
    (void)state;
    OK(pond_options_set_queue_limit(options, 2));
    OK(pond_options_set_overflow(options, POND_OVERFLOW_DROP_NEWEST));
    anna = peer_new(server_url(shared_server(), "ws", "/script"), NULL, options);
    channel = peer_channel(anna, room("newest"), NULL);
    OK(pond_channel_join(channel));
    send_numbered(channel, 1, 3);
    expect(anna, .kind = POND_EVENT_DROPPED, .payload = "{\"n\":3}", .status = POND_ERROR_QUEUE_FULL);
    OK(pond_channel_leave(channel)); /* the rest comes back, too */
    expect(anna, .kind = POND_EVENT_DROPPED, .payload = "{\"n\":2}", .status = POND_ERROR_CLOSED);
}

static void full_queue_refuses(void **state)
{
    pond_options *options = options_new();
    pond_error *error = NULL;
    peer *anna;
    pond_channel *channel;
    (void)state;
    OK(pond_options_set_queue_limit(options, 2));
    OK(pond_options_set_overflow(options, POND_OVERFLOW_REFUSE));
    anna = peer_new(server_url(shared_server(), "ws", "/script"), NULL, options);
    channel = peer_channel(anna, room("refuse"), NULL);
    OK(pond_channel_join(channel));
    send_numbered(channel, 1, 2);
    ERROR(POND_ERROR_QUEUE_FULL, "", pond_channel_send(channel, "numbered", "{\"n\":3}", &error));
    OK(pond_client_connect(anna->client));
    expect(anna, .kind = POND_EVENT_WRITABLE);
    sync_with(anna, channel);
    assert_int_equal(count(anna, .kind = POND_EVENT_WRITABLE), 1);
    assert_int_equal(count(anna, .kind = POND_EVENT_DROPPED), 0);
}

/* The link drops while the join is under way: it is sent again, with the params of now. */
static void drop_while_joining(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *control = joined(anna, room("control"), NULL);
    char *name = room("joining");
    pond_channel *channel = peer_channel(anna, name, "{\"mode\":\"silent\"}");
    (void)state;
    OK(pond_channel_join(channel));
    send_numbered(channel, 1, 1);
    OK(pond_channel_set_join_params(channel, "{\"mode\":\"accept\"}", NULL));
    OK(pond_channel_send(control, "drop", "{}", NULL));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_JOINED);
    sync_with(anna, channel);
    assert_int_equal(count(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_JOINING), 1);
    assert_int_equal(count(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_STALLED), 0);
}

/* A rejoin uses the params of now. */
static void rejoin_with_new_params(void **state)
{
    server *server = server_start(0);
    peer *anna = chat_peer_at(server, "anna");
    pond_channel *channel = joined(anna, room("params"), NULL);
    const record *r = expect(anna, .kind = POND_EVENT_PRESENCE);
    (void)state;
    CONTAINS(r->users, "\"anna\"");
    OK(pond_channel_set_join_params(channel, "{\"username\":\"annabel\"}", NULL));
    server_restart(server);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
               .from = SINCE(expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED)));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN, .from = r->index - 1);
    CONTAINS(r->changed, "\"annabel\"");
}

/* A rejoin that is refused ends in DECLINED, with its queue reported. */
static void rejoin_declined(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("refused"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_set_join_params(channel, "{\"mode\":\"decline\",\"message\":\"not again\"}", NULL));
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    send_numbered(channel, 1, 1);
    OK(pond_client_resume(anna->client));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED, .status = POND_ERROR_DECLINED);
    CONTAINS(r->message, "not again");
    expect(anna, .kind = POND_EVENT_DROPPED, .payload = "{\"n\":1}", .status = POND_ERROR_DECLINED);
}

/* Only now or never. */
static void volatile_sends(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = peer_channel(anna, room("volatile"), NULL);
    char *log;
    (void)state;
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    OK(pond_client_flush(anna->client, DEADLINE));
    OK(pond_channel_send_volatile(channel, "here", 4, "{\"x\":\"vol-1\"}", 13, NULL));
    sync_with(anna, channel);
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    STATUS(POND_SKIPPED, pond_channel_send_volatile(channel, "here", 4, "{\"x\":\"vol-2\"}", 13, NULL));
    OK(pond_client_resume(anna->client));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    sync_with(anna, channel);
    log = script_log(shared_server());
    CONTAINS(log, "vol-1");
    assert_null(strstr(log, "vol-2"));
    free(log);
}

/* What was accepted is written when flush says so. */
static void flush_waits(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("flush"), NULL);
    pond_stats stats;
    (void)state;
    send_numbered(channel, 1001, 1500);
    OK(pond_client_flush(anna->client, DEADLINE));
    OK(pond_client_stats(anna->client, &stats, sizeof stats));
    assert_int_equal(stats.outbound_messages, 0);
    assert_true(stats.frames_out >= 501);
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    send_numbered(channel, 1501, 1501);
    STATUS(POND_TIMEOUT, pond_client_flush(anna->client, ms(20)));
}

const test rejoin_tests[] = {
    TEST(server_restarts, EACH),
    TEST(oldest_are_dropped, EACH),
    TEST(unread_drops_merge, QUEUES),
    TEST(newest_are_dropped, EACH),
    TEST(full_queue_refuses, EACH),
    TEST(drop_while_joining, EACH),
    TEST(rejoin_with_new_params, EACH),
    TEST(rejoin_declined, EACH),
    TEST(volatile_sends, EACH),
    TEST(flush_waits, EACH),
    {0},
};
