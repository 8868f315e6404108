/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The comfort for plain C: a little JSON, and an event read in one call.
 */
#include "pond_test.h"

static void quote(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *quoted;
    } cases[] = {
        {"", 0, "\"\""},
        {NULL, 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"plain", 2, "\"pl\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"a\nb\tc\r", 6, "\"a\\nb\\tc\\r\""},
        {"\xc3\xa4 \xf0\x9f\x98\x80", 7, "\"\xc3\xa4 \xf0\x9f\x98\x80\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\x1b", 1, "\"\\u001b\""},
    };
    char *out = NULL;
    size_t i;
    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(pond_json_quote(cases[i].text, cases[i].len, &out));
        assert_string_equal(out, cases[i].quoted);
        pond_string_free(out);
    }
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_quote(NULL, 3, &out));
    assert_null(out);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_quote("x", 1, NULL));
}

static const char document[] =
    "{\"text\":\"a\\n\\\"\\u00e4\\ud83d\\ude00\",\"n\":-1.5e3,\"list\":[10,{\"a/b\":\"slash\",\"c~d\":\"tilde\"}],"
    "\"\":\"empty\",\"nul\":\"x\\u0000y\",\"no\":null,\"yes\":true}";

static void text(void **state)
{
    char *out = NULL;
    size_t len = 0;
    (void)state;
    OK(pond_json_text(document, sizeof document - 1, "/text", &out, &len));
    assert_string_equal(out, "a\n\"\xc3\xa4\xf0\x9f\x98\x80");
    assert_int_equal(len, strlen(out));
    pond_string_free(out);
    OK(pond_json_text(document, sizeof document - 1, "/list/1/a~1b", &out, NULL));
    assert_string_equal(out, "slash");
    pond_string_free(out);
    OK(pond_json_text(document, sizeof document - 1, "/list/1/c~0d", &out, NULL));
    assert_string_equal(out, "tilde");
    pond_string_free(out);
    OK(pond_json_text(document, sizeof document - 1, "/", &out, NULL));
    assert_string_equal(out, "empty");
    pond_string_free(out);
    OK(pond_json_text("\"whole\"", 7, "", &out, NULL));
    assert_string_equal(out, "whole");
    pond_string_free(out);
    OK(pond_json_text(document, sizeof document - 1, "/nul", &out, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(out, "x\0y", 4);
    pond_string_free(out);
    STATUS(POND_EMPTY, pond_json_text(document, sizeof document - 1, "/absent", &out, &len));
    assert_null(out);
    assert_int_equal(len, 0);
    STATUS(POND_EMPTY, pond_json_text(document, sizeof document - 1, "/n", &out, NULL));
    STATUS(POND_EMPTY, pond_json_text(document, sizeof document - 1, "/list/7", &out, NULL));
    STATUS(POND_EMPTY, pond_json_text(document, sizeof document - 1, "/list/01", &out, NULL));
    STATUS(POND_EMPTY, pond_json_text(document, sizeof document - 1, "/no", &out, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_text(document, sizeof document - 1, "text", &out, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_text(document, sizeof document - 1, NULL, &out, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_text(document, sizeof document - 1, "/text", NULL, NULL));
    STATUS(POND_ERROR_INVALID_JSON, pond_json_text("{\"text\":", 8, "/text", &out, NULL));
    assert_null(out);
}

static void number(void **state)
{
    double out = 7;
    (void)state;
    OK(pond_json_number(document, sizeof document - 1, "/n", &out));
    assert_true(out == -1500.0);
    OK(pond_json_number(document, sizeof document - 1, "/list/0", &out));
    assert_true(out == 10.0);
    STATUS(POND_EMPTY, pond_json_number(document, sizeof document - 1, "/yes", &out));
    assert_true(out == 0.0); /* outputs are zeroed first */
    STATUS(POND_EMPTY, pond_json_number(document, sizeof document - 1, "/text", &out));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_json_number(document, sizeof document - 1, "/n", NULL));
    STATUS(POND_ERROR_INVALID_JSON, pond_json_number("[1", 2, "/0", &out));
}

static int field(const char *text, size_t len, const char *other, size_t other_len)
{
    return len == other_len && strlen(text) == len && strcmp(text, other) == 0;
}

static int view_agrees(const pond_event *event)
{
    pond_event_view view;
    size_t len = 0;
    const char *text;
    memset(&view, 0x55, sizeof view);
    if (pond_event_read(event, &view, sizeof view) != POND_OK) return 0;
#define SAME(name) (text = pond_event_##name(event, &len), field(view.name, view.name##_len, text, len))
    return view.kind == pond_event_kind(event) && view.status == pond_event_status(event) &&
           view.state == pond_event_state(event) && view.previous_state == pond_event_previous_state(event) &&
           view.presence_kind == pond_event_presence_kind(event) &&
           view.http_status == pond_event_http_status(event) && view.attempt == pond_event_attempt(event) &&
           view.retry_ms == pond_event_retry_ms(event) && view.connect_count == pond_event_connect_count(event) &&
           view.count == pond_event_count(event) && view.ticket == pond_event_ticket(event) &&
           view.client == pond_event_client(event) && view.channel == pond_event_channel(event) &&
           view.user_data == pond_event_user_data(event) && SAME(name) && SAME(payload) && SAME(changed) &&
           SAME(users) && SAME(message) && SAME(error_code) && SAME(details) && SAME(channel_name) && SAME(request_id);
}

static atomic_int agreed, disagreed;

static void compare(const pond_event *event, void *user_data)
{
    (void)user_data;
    atomic_fetch_add(view_agrees(event) ? &agreed : &disagreed, 1);
}

/* The view says what the single questions say, for events of all sorts. */
static void view(void **state)
{
    peer *anna = chat_peer_at(shared_server(), "anna");
    pond_channel *channel;
    (void)state;
    atomic_store(&agreed, 0);
    atomic_store(&disagreed, 0);
    OK(pond_client_on_state(anna->client, compare, registering(NULL), count_destroy, NULL));
    OK(pond_client_on_error(anna->client, compare, registering(NULL), count_destroy, NULL));
    channel = peer_channel(anna, room("view"), NULL);
    OK(pond_channel_on_state(channel, compare, registering(NULL), count_destroy, NULL));
    OK(pond_channel_on_message(channel, compare, registering(NULL), count_destroy, NULL));
    OK(pond_channel_on_users_change(channel, compare, registering(NULL), count_destroy, NULL));
    OK(pond_channel_on_error(channel, compare, registering(NULL), count_destroy, NULL));
    OK(pond_channel_join(channel));
    OK(pond_channel_send(channel, "message", "{\"text\":\"x\"}", NULL));
    OK(pond_channel_send(channel, "no-such-event", "{}", NULL));
    OK(pond_channel_request(channel, "ping", "{}", 0, compare, registering(NULL), count_destroy, NULL, NULL));
    expect(anna, .kind = POND_EVENT_CHANNEL_ERROR);
    expect(anna, .kind = POND_EVENT_MESSAGE);
    expect(anna, .kind = POND_EVENT_PRESENCE);
    /* At least: CONNECTED, JOINING, JOINED, message, presence, error, reply. */
    settle(anna, atomic_load(&agreed) >= 7);
    assert_int_equal(atomic_load(&disagreed), 0);
}

/* A caller that knows only the first fields gets only those. */
static void short_view(void **state)
{
    struct {
        pond_event_view view;
        unsigned char behind[16];
    } room_for;
    pond_queue *queue;
    pond_options *options;
    pond_client *client;
    pond_event *event;
    size_t i, size = offsetof(pond_event_view, previous_state);
    (void)state;
    OK(pond_queue_new(&queue));
    OK(pond_options_new(&options));
    OK(pond_options_set_queue(options, queue));
    OK(pond_client_new("ws://127.0.0.1:9/", NULL, options, &client, NULL));
    OK(pond_client_connect(client));
    OK(pond_queue_next(queue, DEADLINE, &event));
    memset(&room_for, 0x55, sizeof room_for);
    OK(pond_event_read(event, &room_for.view, size));
    assert_int_equal(room_for.view.kind, POND_EVENT_CLIENT_STATE);
    assert_int_equal(room_for.view.state, POND_CLIENT_CONNECTING);
    for (i = size; i < sizeof room_for; i++) assert_int_equal(((unsigned char *)&room_for)[i], 0x55);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_event_read(event, NULL, sizeof room_for.view));
    pond_event_free(event);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
    OK(pond_options_free(options));
}

const test json_tests[] = {
    TEST(quote, ONCE),
    TEST(text, ONCE),
    TEST(number, ONCE),
    TEST(view, HANDLERS),
    TEST(short_view, ONCE),
    {0},
};
