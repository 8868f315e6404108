/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The connection: its states, its URL, its life and death.
 */
#include "pond_test.h"

static const char TOKEN[] = "{\"token\":\"secret\",\"name\":\"anna\"}";

static void three_states(void **state)
{
    peer *anna = chat_peer_at(shared_server(), "anna");
    const record *r;
    char *id = NULL;
    (void)state;
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTING);
    assert_int_equal(r->attempt, 1);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    assert_int_equal(r->connect_count, 1);
    STATUS(POND_CLIENT_CONNECTED, pond_client_state(anna->client));
    OK(pond_client_connect(anna->client)); /* under way already: nothing happens */
    OK(pond_client_connection_id(anna->client, &id));
    assert_true(strlen(id) > 8);
    pond_string_free(id);

    OK(pond_client_disconnect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = SINCE(r));
    assert_int_equal(r->retry_ms, POND_FOREVER);
    STATUS(POND_CLIENT_DISCONNECTED, pond_client_state(anna->client));
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED, .from = SINCE(r));
    assert_int_equal(r->connect_count, 2);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_ERROR), 0);
}

/* An upgraded socket is not yet a connection. */
static void connected_means_connection(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_error *error = NULL;
    (void)state;
    OK(pond_options_set_legacy_grace_ms(options, 0));
    OK(pond_options_set_connect_timeout_ms(options, ms(2000)));
    anna = peer_new(server_url(shared_server(), "ws", "/script?noconn=1"), NULL, options);
    OK(pond_client_connect(anna->client));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTING);
    STATUS(POND_TIMEOUT, pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, ms(100), &error));
    assert_null(error);
    STATUS(POND_CLIENT_CONNECTING, pond_client_state(anna->client));
    expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_TIMEOUT);
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .status = POND_ERROR_TIMEOUT);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED), 0);
}

static void legacy_grace(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    (void)state;
    OK(pond_options_set_legacy_grace_ms(options, 50));
    anna = peer_new(server_url(shared_server(), "ws", "/script?noconn=1"), NULL, options);
    OK(pond_client_connect(anna->client));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    joined(anna, room("legacy"), NULL);
}

static void http_scheme(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "http", "/api/socket"), TOKEN, NULL);
    (void)state;
    OK(pond_client_connect(anna->client));
    OK(pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
}

static void query_is_merged(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "ws", "/api/socket?greet=1&own=a%20b"),
                          "{\"token\":\"secret\",\"name\":\"\xc3\xa4nna & co\",\"n\":7}", NULL);
    const record *r;
    (void)state;
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome");
    CONTAINS(r->payload, "\"own\":\"a b\"");
    CONTAINS(r->payload, "\"name\":\"\xc3\xa4nna & co\"");
    CONTAINS(r->payload, "\"n\":\"7\"");
    CONTAINS(r->payload, "\"header\":null");

    /* New params replace the old ones, for the next dial. */
    OK(pond_client_set_params(anna->client, "{\"token\":\"secret\",\"name\":\"bert\"}", NULL));
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    OK(pond_client_resume(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome", .from = SINCE(r));
    CONTAINS(r->payload, "\"name\":\"bert\"");
    CONTAINS(r->payload, "\"own\":\"a b\"");
    assert_null(strstr(r->payload, "\"n\":\"7\""));
}

static void custom_header(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    const record *r;
    (void)state;
    OK(pond_options_set_header(options, "X-Test", "one"));
    OK(pond_options_set_header(options, "x-test", "two")); /* replaces: names have no case */
    anna = peer_new(server_url(shared_server(), "ws", "/api/socket?greet=1"), TOKEN, options);
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome");
    CONTAINS(r->payload, "\"header\":\"two\"");
    OK(pond_client_set_header(anna->client, "X-Test", NULL));
    OK(pond_client_suspend(anna->client));
    OK(pond_client_resume(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome", .from = SINCE(r));
    CONTAINS(r->payload, "\"header\":null");
}

static void zombie_is_found(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_channel *channel;
    const record *r;
    int i;
    (void)state;
    OK(pond_options_set_ping_interval_ms(options, ms(100)));
    OK(pond_options_set_pong_timeout_ms(options, ms(1000)));
    anna = script_peer(options);
    channel = joined(anna, room("zombie"), NULL);
    OK(pond_channel_send(channel, "mute", "{}", NULL));
    for (i = 0; i < 3; i++) OK(pond_channel_send(channel, "lost", "{}", NULL));
    OK(pond_client_flush(anna->client, DEADLINE));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED,
               .status = POND_ERROR_CONNECTION_LOST);
    assert_int_equal(r->in_doubt, 4); /* nothing was heard behind "mute": nobody knows */
    assert_int_equal(count(anna, .kind = POND_EVENT_DROPPED), 0);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED, .from = SINCE(r));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
}

/* A link that is quiet but answers pings lives on. */
static void quiet_link_lives(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_stats stats;
    (void)state;
    OK(pond_options_set_ping_interval_ms(options, 20));
    OK(pond_options_set_pong_timeout_ms(options, DEADLINE));
    anna = script_peer(options);
    /* Two frames at least: CONNECTION and pongs are counted as bytes; the round trip is measured. */
    settle(anna, (pond_client_stats(anna->client, &stats, sizeof stats), stats.rtt_us > 0));
    STATUS(POND_CLIENT_CONNECTED, pond_client_state(anna->client));
    assert_int_equal(stats.dials, 1);
    assert_int_equal(stats.connects, 1);
    assert_true(stats.frames_in >= 1 && stats.bytes_in > 0 && stats.bytes_out > 0);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED), 0);
}

static void close_codes(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("codes"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(channel, "close", "{\"code\":1012,\"reason\":\"restart\"}", NULL));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    assert_int_equal(r->close_code, 1012);
    assert_int_equal(r->status, POND_ERROR_CONNECTION_LOST);
    assert_true(r->retry_ms <= 20);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    OK(pond_channel_send(channel, "drop", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = SINCE(r));
    assert_int_equal(r->close_code, 0);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
}

/* 1000 from a server is no farewell: the client comes back. */
static void server_closes(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("close"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(channel, "close-me", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    assert_int_not_equal(r->retry_ms, POND_FOREVER);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED, .from = SINCE(r));
    assert_int_equal(r->connect_count, 2);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
}

static void suspend_and_resume(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("suspend"), NULL);
    const record *r;
    (void)state;
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    assert_int_equal(r->retry_ms, POND_FOREVER);
    OK(pond_channel_send(channel, "message", "{\"text\":\"kept\"}", NULL));
    OK(pond_client_resume(anna->client));
    expect(anna, .kind = POND_EVENT_MESSAGE, .name = "message", .has = "\"kept\"");
    STATUS(POND_CHANNEL_JOINED, pond_channel_state(channel));
}

/* Does one entry of the log hold both? Gives the connection's number, or 0. */
static int entry_with(const char *log, const char *one, const char *other)
{
    const char *entry = log;
    while ((entry = strstr(entry, "\"conn\":"))) {
        const char *end = strstr(entry + 1, "\"conn\":");
        size_t len = end ? (size_t)(end - entry) : strlen(entry);
        char *text = malloc(len + 1);
        int found;
        assert_non_null(text);
        memcpy(text, entry, len);
        text[len] = 0;
        found = strstr(text, one) && strstr(text, other);
        free(text);
        if (found) return atoi(entry + strlen("\"conn\":"));
        entry++;
    }
    return 0;
}

static int said_goodbye(const char *name)
{
    char *log = script_log(shared_server());
    char conn[32];
    int number = entry_with(log, "LEAVE_CHANNEL", name);
    int closed;
    snprintf(conn, sizeof conn, "\"conn\":%d,", number);
    closed = number && entry_with(log, conn, "\"kind\":\"close\"");
    free(log);
    return closed;
}

/* LEAVE for what is joined, then Close. */
static void goodbye(void **state)
{
    peer *anna = script_peer(NULL);
    char *name = room("goodbye");
    pond_channel *channel = joined(anna, name, NULL);
    const record *r;
    (void)state;
    OK(pond_client_disconnect(anna->client));
    STATUS(POND_CHANNEL_CLOSED, pond_channel_state(channel));
    OK(pond_client_wait_state(anna->client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED);
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = SINCE(r));
    settle(anna, said_goodbye(name));
}

/* The same when the client is freed right behind the call. */
static void goodbye_behind_free(void **state)
{
    peer *anna = script_peer(NULL);
    char *name = room("free");
    (void)state;
    joined(anna, name, NULL);
    OK(pond_client_disconnect(anna->client));
    OK(pond_client_free(anna->client));
    OK(pond_shutdown(DEADLINE));
    anna->queue = NULL;
    {
        int64_t end = now_ms() + DEADLINE;
        while (!said_goodbye(name)) assert_true(now_ms() < end);
    }
}

const test connection_tests[] = {
    TEST(three_states, EACH),
    TEST(connected_means_connection, EACH),
    TEST(legacy_grace, EACH),
    TEST(http_scheme, ONCE),
    TEST(query_is_merged, EACH),
    TEST(custom_header, EACH),
    TEST(zombie_is_found, EACH),
    TEST(quiet_link_lives, EACH),
    TEST(close_codes, EACH),
    TEST(server_closes, EACH),
    TEST(suspend_and_resume, EACH),
    TEST(goodbye, EACH),
    TEST(goodbye_behind_free, ONCE),
    {0},
};
