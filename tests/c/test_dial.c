/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Dials that fail, and what is done about it: refusals, backoff, giving up; TLS; dials that ask first.
 */
#include "pond_test.h"

static const char TOKEN[] = "{\"token\":\"secret\",\"name\":\"anna\"}";

static void bad_urls(void **state)
{
    static const char *const urls[] = {"", "chat", "ftp://127.0.0.1/x", "ws://", "ws://127.0.0.1:99999/", "ws://a b/"};
    size_t i;
    (void)state;
    for (i = 0; i < sizeof urls / sizeof *urls; i++) {
        pond_client *client = (pond_client *)&client;
        pond_error *error = NULL;
        ERROR(POND_ERROR_INVALID_URL, "", pond_client_new(urls[i], NULL, NULL, &client, &error));
        assert_null(client);
    }
}

/* This server upgrades a wrong token and closes; it counts as a rejection, not as a connection. */
static void wrong_token(void **state)
{
    pond_options *options = options_new();
    pond_error *error = NULL;
    peer *anna;
    const record *r;
    (void)state;
    OK(pond_options_set_max_reconnect_attempts(options, 1));
    anna = peer_new(server_url(shared_server(), "ws", "/api/socket"), "{\"token\":\"wrong\"}", options);
    OK(pond_client_connect(anna->client));
    ERROR(POND_ERROR_REJECTED, "", pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, &error));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .status = POND_ERROR_REJECTED);
    assert_int_not_equal(r->retry_ms, POND_FOREVER);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = SINCE(r));
    assert_int_equal(r->retry_ms, POND_FOREVER);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_REJECTED), 2);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED), 0);
}

static void refused_401_gives_up(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "ws", "/refuse/401"), TOKEN, NULL);
    pond_error *error = NULL;
    const record *r;
    int32_t status;
    (void)state;
    OK(pond_client_connect(anna->client));
    status = pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, &error);
    assert_int_equal(pond_error_http_status(error), 401);
    ERROR(POND_ERROR_HTTP, "401", status);
    r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_HTTP);
    assert_int_equal(r->http_status, 401);
    assert_int_equal(r->retry_ms, POND_FOREVER);
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = SINCE(r));
    assert_int_equal(r->retry_ms, POND_FOREVER);
    assert_int_equal(r->http_status, 401);
    OK(pond_client_connect(anna->client)); /* an explicit connect tries again */
    expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_HTTP, .from = SINCE(r));
}

static void refused_401_retried(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    const record *r;
    (void)state;
    OK(pond_options_set_retry_refused(options, 1));
    anna = peer_new(server_url(shared_server(), "ws", "/refuse/403"), NULL, options);
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_HTTP);
    assert_int_equal(r->http_status, 403);
    assert_int_not_equal(r->retry_ms, POND_FOREVER);
    r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_HTTP, .from = SINCE(r));
    assert_int_equal(r->attempt, 2);
}

static void retry_after_is_obeyed(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "ws", "/refuse/503"), NULL, NULL);
    const record *r;
    (void)state;
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    assert_int_equal(r->http_status, 503);
    assert_true(r->retry_ms >= 1000 && r->retry_ms < 2000); /* the backoff alone is below 20 */
    OK(pond_client_reconnect_now(anna->client));
    r = expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTING, .from = SINCE(r));
    assert_int_equal(r->attempt, 2);
}

/* A port where nobody listens. */
static char *dead_url(void)
{
    server *server = server_start(0);
    server_kill(server);
    return server_url(server, "ws", "/api/socket");
}

static void backoff_doubles_and_is_capped(void **state)
{
    pond_options *options = options_new();
    uint32_t ceiling = 20, above_base = 0, i;
    peer *anna;
    const record *r = NULL;
    (void)state;
    OK(pond_options_set_backoff_ms(options, 20, 80));
    anna = peer_new(dead_url(), NULL, options);
    OK(pond_client_connect(anna->client));
    for (i = 1; i <= 14; i++) {
        r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_CONNECT, .from = r ? SINCE(r) : 0);
        assert_int_equal(r->attempt, i);
        assert_true(r->retry_ms <= ceiling);
        if (r->retry_ms > 20) above_base++;
        ceiling = ceiling < 80 ? ceiling * 2 : 80;
    }
    /* Of 13 draws below 40 or 80 some are above 20: that none is happens once in tens of millions of runs. */
    assert_true(above_base > 0);
}

static void last_attempt_gives_up(void **state)
{
    pond_options *options = options_new();
    pond_error *error = NULL;
    peer *anna;
    (void)state;
    OK(pond_options_set_max_reconnect_attempts(options, 2));
    anna = peer_new(dead_url(), NULL, options);
    OK(pond_client_connect(anna->client));
    ERROR(POND_ERROR_CONNECT, "", pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, &error));
    ERROR(POND_ERROR_CONNECT, "", pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, 0, &error));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .status = POND_ERROR_CONNECT);
    settle(anna, count(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED) == 3);
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_ERROR), 3);
}

/* A wait that ends early tells the last failed dial. */
static void wait_tells_last_failure(void **state)
{
    pond_options *options = options_new();
    pond_error *error = NULL;
    peer *anna;
    (void)state;
    OK(pond_options_set_backoff_ms(options, 60000, 60000));
    anna = peer_new(dead_url(), NULL, options);
    OK(pond_client_connect(anna->client));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    STATUS(POND_TIMEOUT, pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, 1, &error));
    STATUS(POND_ERROR_CONNECT, pond_error_status(error));
    pond_error_free(error);
}

static peer *tls_peer(const server *server, pond_options *options)
{
    peer *anna;
    OK(pond_options_set_max_reconnect_attempts(options, 0));
    anna = peer_new(server_url(server, "https", "/api/socket"), TOKEN, options);
    OK(pond_client_connect(anna->client));
    return anna;
}

static void tls_with_ca_file(void **state)
{
    server *server = server_start(1);
    pond_options *options = options_new();
    pond_event *reply = NULL;
    char path[256];
    peer *anna;
    pond_channel *channel;
    (void)state;
    snprintf(path, sizeof path, "%s/ca.pem", server->tls);
    OK(pond_options_set_ca_file(options, path));
    anna = tls_peer(server, options);
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    channel = joined(anna, room("tls"), NULL);
    OK(pond_channel_call(channel, "big", "{\"bytes\":300000}", DEADLINE, &reply, NULL));
    assert_true(strlen(pond_event_payload(reply, NULL)) > 300000);
    pond_event_free(reply);
}

static void tls_without_ca_is_refused(void **state)
{
    server *server = server_start(1);
    pond_error *error = NULL;
    peer *anna = tls_peer(server, options_new());
    (void)state;
    ERROR(POND_ERROR_TLS, "", pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, &error));
    expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_TLS);
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .status = POND_ERROR_TLS);
}

static void tls_unverified(void **state)
{
    server *server = server_start(1);
    pond_options *options = options_new();
    peer *anna;
    (void)state;
    OK(pond_options_set_insecure_skip_verify(options, 1));
    anna = tls_peer(server, options);
    OK(pond_client_wait_state(anna->client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
}

static void tls_unusable_ca(void **state)
{
    pond_options *options;
    pond_client *client = NULL;
    pond_error *error = NULL;
    (void)state;
    OK(pond_options_new(&options));
    OK(pond_options_set_ca_file(options, "no-such-file.pem"));
    ERROR(POND_ERROR_TLS, "", pond_client_new("wss://127.0.0.1/", NULL, options, &client, &error));
    assert_null(client);
    OK(pond_options_free(options));
}

static void dials_ask(void **state)
{
    pond_options *options = options_new();
    pond_error *error = NULL;
    peer *anna;
    const record *r;
    (void)state;
    OK(pond_options_set_ask_before_dial(options, 1));
    anna = peer_new(server_url(shared_server(), "ws", "/refuse/500"), "{\"token\":\"old\"}", options);
    ERROR(POND_ERROR_INVALID_STATE, "", pond_client_answer_dial(anna->client, 1, NULL, NULL, &error));
    OK(pond_client_connect(anna->client));
    r = expect(anna, .kind = POND_EVENT_DIAL);
    assert_int_equal(r->attempt, 1);
    STATUS(POND_CLIENT_CONNECTING, pond_client_state(anna->client));
    ERROR(POND_ERROR_INVALID_STATE, "2", pond_client_answer_dial(anna->client, 2, NULL, NULL, &error));
    ERROR(POND_ERROR_INVALID_URL, "", pond_client_answer_dial(anna->client, 1, "nonsense", NULL, &error));
    OK(pond_client_answer_dial(anna->client, 1, NULL, NULL, NULL)); /* keeps both: refused */
    r = expect(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_HTTP);
    assert_int_equal(r->http_status, 500);
    r = expect(anna, .kind = POND_EVENT_DIAL, .from = SINCE(r));
    assert_int_equal(r->attempt, 2);
    OK(pond_client_answer_dial(anna->client, 2, server_url(shared_server(), "ws", "/api/socket"), TOKEN, NULL));
    expect(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
}

const test dial_tests[] = {
    TEST(bad_urls, ONCE),
    TEST(wrong_token, EACH),
    TEST(refused_401_gives_up, EACH),
    TEST(refused_401_retried, EACH),
    TEST(retry_after_is_obeyed, EACH),
    TEST(backoff_doubles_and_is_capped, EACH),
    TEST(last_attempt_gives_up, EACH),
    TEST(wait_tells_last_failure, EACH),
    TEST(tls_with_ca_file, EACH),
    TEST(tls_without_ca_is_refused, EACH),
    TEST(tls_unverified, ONCE),
    TEST(tls_unusable_ca, ONCE),
    TEST(dials_ask, EACH),
    {0},
};
