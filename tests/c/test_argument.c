/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is handed in wrongly: statuses, texts, zeroed outputs. And what is never said: secrets.
 */
#include "pond_test.h"

#define ADDRESS "ws://127.0.0.1:9/x"

static void bad_json(void **state)
{
    peer *anna = peer_new(ADDRESS, NULL, NULL);
    pond_channel *channel = peer_channel(anna, "/chat/1", NULL), *other = NULL;
    pond_client *client = NULL;
    pond_error *error = NULL;
    uint64_t ticket = 1;
    (void)state;
    OK(pond_channel_join(channel));
    ERROR(POND_ERROR_INVALID_JSON, "line 2, column 3", pond_channel_send(channel, "x", "{\"a\":\n  tru,}", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line 1, column 1", pond_channel_send(channel, "x", "[1]", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line 1, column 1", pond_channel_send(channel, "x", "\"text\"", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line 1, column 1", pond_channel_send(channel, "x", "", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line 1, column 4", pond_channel_send(channel, "x", "{} {}", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line 1", pond_channel_send(channel, "x", "{\"n\":NaN}", &error));
    /* Columns count characters, not bytes. */
    ERROR(POND_ERROR_INVALID_JSON, "line 1, column 7",
          pond_channel_send(channel, "x", "{\"\xc3\xa4\xf0\x9f\x98\x80\":x}", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_channel_send_n(channel, "x", 1, "{}", 1, &error));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_channel_send_volatile(channel, "x", 1, "[]", 2, &error));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_channel_set_join_params(channel, "nothing", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_client_set_params(anna->client, "{", &error));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_client_channel(anna->client, "/chat/2", "{,}", &other, &error));
    assert_null(other);
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_client_new(ADDRESS, "[]", NULL, &client, &error));
    assert_null(client);
    registering(NULL);
    ERROR(POND_ERROR_INVALID_JSON, "line",
          pond_channel_request(channel, "x", "{", 0, record_event, anna, count_destroy, &ticket, &error));
    assert_int_equal(ticket, 0);
    assert_int_equal(destroyed(), 1);
    /* NULL is {}, white space is fine. */
    OK(pond_channel_send(channel, "x", NULL, &error));
    assert_null(error);
    OK(pond_channel_send(channel, "x", " \n{ \"a\" : [ ] }\t", NULL));
}

static void bad_utf8(void **state)
{
    static const char bad[] = "a\xff", half[] = "{\"a\":\"\xc3\"}", surrogate[] = "{\"a\":\"\xed\xa0\x80\"}";
    peer *anna = peer_new(ADDRESS, NULL, NULL);
    pond_channel *channel = peer_channel(anna, "/chat/1", NULL), *other = NULL;
    pond_client *client = NULL;
    pond_error *error = NULL;
    char *text = NULL;
    (void)state;
    OK(pond_channel_join(channel));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_channel_send(channel, bad, "{}", &error));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_channel_send(channel, "x", half, &error));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_channel_send_n(channel, "x", 1, surrogate, sizeof surrogate - 1, &error));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_client_channel(anna->client, bad, NULL, &other, &error));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_client_new(bad, NULL, NULL, &client, &error));
    ERROR(POND_ERROR_INVALID_UTF8, "", pond_client_set_params(anna->client, half, &error));
    STATUS(POND_ERROR_INVALID_UTF8,
           pond_channel_on_event(channel, bad, record_event, registering(anna), count_destroy, NULL));
    STATUS(POND_ERROR_INVALID_UTF8, pond_json_quote(bad, 2, &text));
    assert_null(text);
    assert_null(client);
    assert_null(other);
}

static void nulls_and_empties(void **state)
{
    peer *anna = peer_new(ADDRESS, NULL, NULL);
    pond_channel *channel = peer_channel(anna, "/chat/1", NULL), *other = channel;
    pond_client *client = anna->client;
    pond_error *error = NULL;
    uint64_t ticket = 1;
    char *text = NULL;
    (void)state;
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_new(NULL, NULL, NULL, &client, &error));
    assert_null(client);
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_new(ADDRESS, NULL, NULL, NULL, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_channel(anna->client, NULL, NULL, &other, &error));
    assert_null(other);
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_channel(anna->client, "", NULL, &other, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_channel(anna->client, "/chat/2", NULL, NULL, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_send(channel, NULL, "{}", &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_send(channel, "", "{}", &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_send_n(channel, NULL, 3, "{}", 2, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_send_n(channel, "x", 1, NULL, 3, &error));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_channel_name(channel, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_channel_presence(channel, NULL, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_client_connection_id(anna->client, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_client_stats(anna->client, NULL, sizeof(pond_stats)));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_new(NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_queue_new(NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT,
           pond_client_on_state(anna->client, NULL, registering(anna), count_destroy, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_channel_on_message(channel, NULL, registering(anna), count_destroy, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT,
           pond_channel_on_event(channel, NULL, record_event, registering(anna), count_destroy, NULL));
    assert_int_equal(destroyed(), 3);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_client_set_header(anna->client, NULL, "x"));
    if (mode == PUSH) { /* without a queue a request needs a function */
        registering(NULL);
        ERROR(POND_ERROR_INVALID_ARGUMENT, "",
              pond_channel_request(channel, "x", "{}", 0, NULL, NULL, count_destroy, &ticket, &error));
        assert_int_equal(ticket, 0);
    }
    STATUS(POND_EMPTY, pond_client_connection_id(anna->client, &text));
    assert_null(text);
}

/* A state of the wrong kind is no state to wait for. */
static void wrong_states(void **state)
{
    peer *anna = peer_new(ADDRESS, NULL, NULL);
    pond_channel *channel = peer_channel(anna, "/chat/1", NULL);
    pond_error *error = NULL;
    (void)state;
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_wait_state(anna->client, POND_CHANNEL_JOINED, 0, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_client_wait_state(anna->client, 0, 0, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_wait_state(channel, POND_CLIENT_CONNECTED, 0, &error));
    ERROR(POND_ERROR_INVALID_ARGUMENT, "", pond_channel_wait_state(channel, 99, 0, &error));
    OK(pond_client_wait_state(anna->client, POND_CLIENT_DISCONNECTED, 0, NULL));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_IDLE, 0, NULL));
    STATUS(POND_TIMEOUT, pond_channel_wait_state(channel, POND_CHANNEL_JOINED, 0, &error));
}

static void option_ranges(void **state)
{
    pond_options *o;
    (void)state;
    OK(pond_options_new(&o));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_connect_timeout_ms(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_join_timeout_ms(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_response_timeout_ms(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_pong_timeout_ms(o, 0));
    OK(pond_options_set_ping_interval_ms(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_queue_limit(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_overflow(o, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_overflow(o, 4));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_max_reconnect_attempts(o, -2));
    OK(pond_options_set_max_reconnect_attempts(o, -1));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_header(o, "bad name", "x"));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_header(o, "X-Good", "a\r\nX-Evil: 1"));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_options_set_header(o, "", "x"));
    OK(pond_options_set_header(o, "X-Good", "a"));
    OK(pond_options_set_header(o, "X-Good", NULL));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_options_set_queue(o, (pond_queue *)o));
    OK(pond_options_free(o));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_options_free(o));
}

static void constants_have_names(void **state)
{
    (void)state;
    assert_string_equal(pond_version(), "0.1.0");
    assert_int_equal(pond_abi_version(), POND_ABI_VERSION);
    assert_string_equal(pond_status_name(POND_OK), "POND_OK");
    assert_string_equal(pond_status_name(POND_DEFERRED), "POND_DEFERRED");
    assert_string_equal(pond_status_name(POND_ERROR_CLOSED), "POND_ERROR_CLOSED");
    assert_string_equal(pond_status_name(POND_ERROR_SERVER), "POND_ERROR_SERVER");
    assert_string_equal(pond_status_name(-4711), "POND_UNKNOWN");
    assert_string_equal(pond_state_name(POND_CLIENT_CONNECTED), "CONNECTED");
    assert_string_equal(pond_state_name(POND_CHANNEL_JOINED), "JOINED");
    assert_string_equal(pond_state_name(POND_CHANNEL_DECLINED), "DECLINED");
    assert_string_equal(pond_state_name(0), "UNKNOWN");
}

/* What is absent reads as 0, "" or empty JSON; NULL likewise. */
static void null_objects(void **state)
{
    size_t len = 7;
    pond_event_view view;
    (void)state;
    STATUS(POND_OK, pond_error_status(NULL));
    assert_string_equal(pond_error_message(NULL, &len), "");
    assert_int_equal(len, 0);
    assert_string_equal(pond_error_details(NULL, NULL), "null");
    assert_int_equal(pond_error_http_status(NULL), 0);
    pond_error_free(NULL);
    pond_event_free(NULL);
    pond_string_free(NULL);
    assert_null(pond_event_retain(NULL));
    assert_int_equal(pond_event_kind(NULL), 0);
    assert_string_equal(pond_event_name(NULL, &len), "");
    assert_string_equal(pond_event_payload(NULL, &len), "{}");
    assert_int_equal(len, 2);
    assert_string_equal(pond_event_users(NULL, NULL), "[]");
    assert_string_equal(pond_event_changed(NULL, NULL), "{}");
    assert_string_equal(pond_event_details(NULL, NULL), "null");
    assert_null(pond_event_channel(NULL));
    assert_null(pond_event_param(NULL, "id", NULL));
    OK(pond_event_read(NULL, &view, sizeof view));
    assert_int_equal(view.kind, 0);
    assert_string_equal(view.payload, "{}");
}

/* ---- logging ------------------------------------------------------------------------------------------------ */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char *log_text;
static size_t log_len, log_lines, log_wrong;

static void on_log(const pond_event *event, void *user_data)
{
    size_t len, i;
    const char *parts[2];
    (void)user_data;
    parts[0] = pond_event_name(event, NULL);
    parts[1] = pond_event_message(event, NULL);
    pthread_mutex_lock(&log_lock);
    if (pond_event_kind(event) != POND_EVENT_LOG || pond_event_level(event) < POND_LOG_ERROR ||
        pond_event_level(event) > POND_LOG_TRACE || !*parts[0])
        log_wrong++;
    for (i = 0; i < 2; i++) {
        char *grown;
        len = strlen(parts[i]);
        grown = realloc(log_text, log_len + len + 2);
        if (!grown) break;
        log_text = grown;
        memcpy(log_text + log_len, parts[i], len);
        log_len += len;
        strcpy(log_text + log_len, i ? "\n" : " ");
        log_len++;
    }
    log_lines++;
    pthread_mutex_unlock(&log_lock);
}

static void logs_tell_no_secret(void **state)
{
    static const char *const secrets[] = {"hunter2",      "s3cr3t",      "priv-join",
                                          "priv-payload", "priv-answer", "priv-query"};
    pond_options *options = options_new();
    peer *anna, *wrong;
    pond_channel *channel;
    pond_error *error = NULL;
    char *name = room("log");
    const record *r;
    size_t i, k;
    (void)state;
    OK(pond_log_set(POND_LOG_TRACE, on_log, registering(NULL), count_destroy));
    OK(pond_options_set_header(options, "Authorization", "Bearer s3cr3t"));
    anna = peer_new(server_url(shared_server(), "ws", "/script?own=priv-query"), "{\"token\":\"hunter2\"}", options);
    OK(pond_client_connect(anna->client));
    channel = joined(anna, name, "{\"username\":\"priv-join\"}");
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "reply", "{\"t\":\"priv-answer\"}", 0));
    ERROR(POND_ERROR_INVALID_JSON, "line", pond_channel_send(channel, "x", "{\"t\":\"priv-payload\",}", &error));
    OK(pond_channel_send(channel, "raw", "{\"frames\":[\"{priv-payload\"]}", NULL));
    r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL);
    assert_null(strstr(r->message, "priv-payload"));
    OK(pond_channel_send(channel, "drop", "{}", NULL));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
           .from = SINCE(expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED)));
    /* Failing dials are where URLs like to be told. */
    wrong = peer_new(server_url(shared_server(), "ws", "/refuse/500?own=priv-query"), "{\"token\":\"hunter2\"}", NULL);
    OK(pond_client_connect(wrong->client));
    expect(wrong, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    OK(pond_client_free(wrong->client));
    OK(pond_client_free(anna->client));
    k = (size_t)destroyed();
    OK(pond_log_set(POND_LOG_INFO, on_log, registering(NULL), count_destroy)); /* replaces */
    assert_int_equal(destroyed(), k + 1);
    OK(pond_log_set(POND_LOG_OFF, NULL, NULL, NULL));
    assert_int_equal(destroyed(), k + 2);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_log_set(17, on_log, registering(NULL), count_destroy));
    assert_int_equal(destroyed(), k + 3);
    OK(pond_log_set(POND_LOG_TRACE, on_log, registering(NULL), count_destroy));
    OK(pond_shutdown(DEADLINE)); /* removes it; the queues' wake functions go as well */
    assert_int_equal(destroyed(), k + 4 + (mode == WAKE ? 2 : 0));
    wrong->queue = anna->queue = NULL;
    assert_true(log_lines > 0);
    assert_int_equal(log_wrong, 0);
    for (i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (strstr(log_text, secrets[i])) print_error("logged: %s in\n%.4000s\n", secrets[i], log_text);
        assert_null(strstr(log_text, secrets[i]));
        for (k = 0; k < anna->count; k++) assert_null(strstr(anna->records[k]->message, secrets[i]));
        for (k = 0; k < wrong->count; k++) assert_null(strstr(wrong->records[k]->message, secrets[i]));
    }
    free(log_text);
    log_text = NULL;
    log_len = log_lines = 0;
}

const test argument_tests[] = {
    TEST(bad_json, EACH),
    TEST(bad_utf8, ONCE),
    TEST(nulls_and_empties, EACH),
    TEST(wrong_states, ONCE),
    TEST(option_ranges, ONCE),
    TEST(constants_have_names, ONCE),
    TEST(null_objects, ONCE),
    TEST(logs_tell_no_secret, EACH),
    {0},
};
