/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Channels: their six states, refusals, evictions, names.
 */
#include "pond_test.h"

static void six_states(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = peer_channel(anna, room("states"), NULL);
    pond_channel *refused = peer_channel(anna, room("refused"), "{\"mode\":\"decline\"}");
    const record *r;
    (void)state;
    STATUS(POND_CHANNEL_IDLE, pond_channel_state(channel));
    OK(pond_channel_join(channel));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINING);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    OK(pond_channel_join(channel)); /* joined already: nothing happens */
    OK(pond_channel_send(channel, "drop", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED, .from = SINCE(r));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    OK(pond_channel_leave(channel));
    STATUS(POND_CHANNEL_CLOSED, pond_channel_state(channel));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED, .from = SINCE(r));
    assert_int_equal(r->status, POND_OK); /* it was asked for */
    OK(pond_channel_join(refused));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED);
    STATUS(POND_CHANNEL_DECLINED, pond_channel_state(refused));
}

/* Joined before there is a connection: the join waits for it, and so do messages, in order. */
static void deferred_join(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "ws", "/script"), NULL, NULL);
    pond_channel *channel = peer_channel(anna, room("deferred"), NULL);
    uint64_t first, second;
    const record *r;
    (void)state;
    OK(pond_channel_join(channel));
    STATUS(POND_CHANNEL_JOINING, pond_channel_state(channel));
    first = ask(anna, channel, "reply", "{\"n\":1}", 0);
    second = ask(anna, channel, "reply", "{\"n\":2}", 0);
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = first, .payload = "{\"n\":1}", .from = SINCE(r));
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = second, .payload = "{\"n\":2}", .from = SINCE(r));
}

/* Each server has its own words for no; all end in DECLINED, with number and text. */
static void declines(void **state)
{
    static const struct {
        const char *params;
        int32_t number;
        const char *message, *code;
    } cases[] = {
        {"{\"mode\":\"decline\",\"dialect\":\"js\",\"code\":451,\"message\":\"not you\"}", 451, "not you",
         "UNAUTHORIZED_JOIN_REQUEST"},
        {"{\"mode\":\"decline\",\"dialect\":\"python\",\"code\":418,\"message\":\"not you\"}", 418, "not you",
         "UNAUTHORIZED"},
        {"{\"mode\":\"decline\",\"dialect\":\"go\",\"code\":429,\"message\":\"not you\"}", 429, "not you",
         "UNAUTHORIZED"},
        {"{\"mode\":\"decline\",\"dialect\":\"notfound\"}", 404, "", "NOT_FOUND"},
        {"{\"mode\":\"notfound\"}", 404, "", "NOT_FOUND"},
    };
    peer *anna = script_peer(NULL);
    size_t i;
    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *name = room("declined");
        pond_channel *channel = peer_channel(anna, name, cases[i].params);
        pond_error *error = NULL;
        const record *r;
        int32_t status;
        OK(pond_channel_join(channel));
        status = pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, &error);
        assert_int_equal(pond_error_http_status(error), cases[i].number);
        assert_string_equal(pond_error_code(error, NULL), cases[i].code);
        ERROR(POND_ERROR_DECLINED, cases[i].message, status);
        r = expect(anna, .kind = POND_EVENT_CHANNEL_ERROR, .channel = name, .status = POND_ERROR_DECLINED);
        assert_int_equal(r->http_status, cases[i].number);
        r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_DECLINED,
                   .status = POND_ERROR_DECLINED, .from = SINCE(r));
        assert_int_equal(r->http_status, cases[i].number);
        CONTAINS(r->message, cases[i].message);
        ERROR(POND_ERROR_DECLINED, "", pond_channel_send(channel, "x", "{}", &error));
        /* An explicit join tries again, with other params if they were set. */
        OK(pond_channel_set_join_params(channel, "{\"mode\":\"accept\"}", NULL));
        OK(pond_channel_join(channel));
        OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
        expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_JOINED);
    }
}

/* The Rust server says nothing when its handler declines. */
static void silent_decline_is_408(void **state)
{
    static const char *const modes[] = {"decline", "silent", "throw"};
    pond_options *options = options_new();
    peer *anna;
    size_t i;
    (void)state;
    OK(pond_options_set_join_timeout_ms(options, ms(150)));
    anna = peer_new(server_url(shared_server(), "ws", "/api/socket"), "{\"token\":\"secret\"}", options);
    OK(pond_client_connect(anna->client));
    OK(pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    for (i = 0; i < 3; i++) {
        char params[64], *name = room("silent");
        pond_channel *channel;
        pond_error *error = NULL;
        const record *r;
        int32_t status;
        snprintf(params, sizeof params, "{\"mode\":\"%s\"}", modes[i]);
        channel = peer_channel(anna, name, params);
        OK(pond_channel_join(channel));
        OK(pond_channel_send(channel, "message", "{}", NULL));
        status = pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, &error);
        assert_int_equal(pond_error_http_status(error), 408);
        ERROR(POND_ERROR_DECLINED, "", status);
        r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_DECLINED,
                   .status = POND_ERROR_TIMEOUT);
        assert_int_equal(r->http_status, 408);
        expect(anna, .kind = POND_EVENT_DROPPED, .channel = name, .status = POND_ERROR_TIMEOUT);
    }
}

static void no_such_channel(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = peer_channel(anna, "/elsewhere/1", NULL);
    const record *r;
    (void)state;
    OK(pond_channel_join(channel));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED);
    assert_int_equal(r->http_status, 404);
    assert_string_equal(r->code, "NOT_FOUND");
}

static void evicted(void **state)
{
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    char *name = room("evict");
    pond_channel *hers = joined(anna, name, NULL), *his = joined(bert, name, NULL);
    pond_error *error = NULL;
    const record *r;
    (void)state;
    OK(pond_channel_send(hers, "evict", "{\"username\":\"bert\",\"reason\":\"too loud\"}", NULL));
    r = expect(bert, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED, .status = POND_ERROR_EVICTED);
    CONTAINS(r->message, "too loud");
    ERROR(POND_ERROR_EVICTED, "too loud", pond_channel_wait_state(his, POND_CHANNEL_JOINED, DEADLINE, &error));
    ERROR(POND_ERROR_CLOSED, "", pond_channel_send(his, "message", "{}", &error));
    STATUS(POND_CHANNEL_JOINED, pond_channel_state(hers));
    OK(pond_channel_join(his));
    r = expect(bert, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    OK(pond_channel_send(his, "others", "{\"text\":\"sorry\"}", NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .name = "message", .has = "sorry");
}

/* The spellings of the other servers; a link that drops afterwards brings no rejoin. */
static void evictions_of_all_servers(void **state)
{
    static const char *const frames[] = {
        "\\\"EVICTED\\\",\\\"payload\\\":{\\\"reason\\\":\\\"bye\\\"}",
        "\\\"evicted\\\",\\\"payload\\\":{\\\"reason\\\":\\\"bye\\\",\\\"userId\\\":\\\"1\\\"}",
        "\\\"kicked_out\\\",\\\"payload\\\":{\\\"message\\\":\\\"bye\\\",\\\"code\\\":403}",
    };
    peer *anna = script_peer(NULL);
    pond_channel *control = joined(anna, room("control"), NULL);
    size_t i;
    const record *r;
    (void)state;
    for (i = 0; i < 3; i++) {
        char raw[512], *name = room("evicted");
        pond_channel *channel = joined(anna, name, NULL);
        snprintf(raw, sizeof raw,
                 "{\"frames\":[\"{\\\"action\\\":\\\"SYSTEM\\\",\\\"channelName\\\":\\\"$CHANNEL\\\","
                 "\\\"requestId\\\":\\\"fresh\\\",\\\"event\\\":%s}\"]}",
                 frames[i]);
        OK(pond_channel_send(channel, "raw", raw, NULL));
        r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .channel = name, .state = POND_CHANNEL_CLOSED,
                   .status = POND_ERROR_EVICTED);
        CONTAINS(r->message, "bye");
    }
    OK(pond_channel_send(control, "drop", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    r = expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = SINCE(r));
    ask(anna, control, "reply", "{}", 0);
    expect(anna, .kind = POND_EVENT_REPLY, .name = "reply");
    assert_int_equal(count(anna, .kind = POND_EVENT_CHANNEL_STATE, .from = SINCE(r)), 0);
}

static void leaving_is_seen(void **state)
{
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    char *name = room("leave");
    pond_channel *his;
    pond_error *error = NULL;
    (void)state;
    joined(anna, name, NULL);
    his = joined(bert, name, NULL);
    expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN);
    OK(pond_channel_leave(his));
    OK(pond_channel_leave(his)); /* left already */
    ERROR(POND_ERROR_CLOSED, "", pond_channel_send(his, "message", "{}", &error));
    ERROR(POND_ERROR_CLOSED, "", pond_channel_wait_state(his, POND_CHANNEL_JOINED, DEADLINE, &error));
    expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE);
    OK(pond_channel_join(his)); /* reopens, with its handlers */
    expect(bert, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED);
    OK(pond_channel_wait_state(his, POND_CHANNEL_JOINED, DEADLINE, NULL));
    OK(pond_channel_send(his, "message", "{\"text\":\"again\"}", NULL));
    expect(bert, .kind = POND_EVENT_MESSAGE, .has = "again");
}

/* One handle per name, until it is freed. */
static void names(void **state)
{
    peer *anna = chat_peer("anna");
    char *name = room("caf\xc3\xa9"), *told = NULL;
    pond_channel *channel = joined(anna, name, NULL), *again = NULL;
    (void)state;
    OK(pond_channel_name(channel, &told));
    assert_string_equal(told, name);
    pond_string_free(told);
    STATUS(POND_EXISTS, pond_client_channel(anna->client, name, "{\"username\":\"other\"}", &again, NULL));
    assert_ptr_equal(again, channel);
    OK(pond_channel_free(channel));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_channel_state(channel));
    again = joined(anna, name, NULL);
    assert_ptr_not_equal(again, channel);
    STATUS(POND_ERROR_INVALID_HANDLE, pond_channel_join(channel));
}

/* What the join handler says behind its acceptance comes behind JOINED. */
static void history_follows_joined(void **state)
{
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    char *name = room("history");
    pond_channel *hers = joined(anna, name, NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(hers, "message", "{\"text\":\"early\"}", NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .has = "early");
    joined(bert, name, "{\"history\":true,\"mode\":\"slow\",\"delayMs\":50}");
    r = expect(bert, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED);
    expect(bert, .kind = POND_EVENT_MESSAGE, .name = "history", .has = "early", .from = SINCE(r));
}

const test channel_tests[] = {
    TEST(six_states, EACH),
    TEST(deferred_join, EACH),
    TEST(declines, EACH),
    TEST(silent_decline_is_408, EACH),
    TEST(no_such_channel, EACH),
    TEST(evicted, EACH),
    TEST(evictions_of_all_servers, EACH),
    TEST(leaving_is_seen, EACH),
    TEST(names, EACH),
    TEST(history_follows_joined, EACH),
    {0},
};
