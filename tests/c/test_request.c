/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Requests: each ends exactly once, whatever ends it. (The teardown checks that none ended twice.)
 */
#include "pond_test.h"

static const record *reply(peer *self, uint64_t ticket)
{
    return expect(self, .kind = POND_EVENT_REPLY, .ticket = ticket);
}

/* Answers are told apart by their ids, not by their names or their order. */
static void many_in_flight(void **state)
{
    enum { COUNT = 12 };
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("flight"), NULL);
    uint64_t tickets[COUNT];
    int i;
    (void)state;
    for (i = 0; i < COUNT; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"ms\":%d,\"n\":%d}", (COUNT - i) * 10, i);
        tickets[i] = ask(anna, channel, "slow", payload, DEADLINE);
        assert_true(i == 0 || tickets[i] != tickets[i - 1]);
    }
    for (i = 0; i < COUNT; i++) {
        const record *r = reply(anna, tickets[i]);
        char n[24];
        snprintf(n, sizeof n, "\"n\":%d}", i);
        STATUS(POND_OK, r->status);
        assert_string_equal(r->name, "slow");
        CONTAINS(r->payload, n);
        assert_ptr_equal(r->channel, channel);
        assert_ptr_equal(r->user_data, anna);
    }
    /* No reply is a message as well. */
    assert_int_equal(count(anna, .kind = POND_EVENT_MESSAGE), 0);
}

static void timeouts(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("timeout"), NULL);
    const record *r;
    uint32_t limit = 10;
    int sent;
    (void)state;
    r = reply(anna, ask(anna, channel, "silent", "{}", 50));
    STATUS(POND_ERROR_TIMEOUT, r->status);
    assert_true(strlen(r->message) > 0);
    /* A late answer is an ordinary message. On a busy machine the request may time out before it is sent, and is then not
     * sent at all; or the answer comes before the timeout: then more slowly. */
    do {
        char payload[32];
        uint64_t ticket;
        limit *= 2;
        assert_true(limit < DEADLINE / 10);
        snprintf(payload, sizeof payload, "{\"ms\":%u}", (unsigned)limit * 10);
        ticket = ask(anna, channel, "slow", payload, limit);
        OK(pond_client_flush(anna->client, DEADLINE));
        sent = count(anna, .kind = POND_EVENT_REPLY, .ticket = ticket) == 0;
        r = reply(anna, ticket);
    } while (!sent || r->status == POND_OK);
    STATUS(POND_ERROR_TIMEOUT, r->status);
    r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "slow", .from = SINCE(r));
    assert_true(strlen(r->request_id) > 0);
}

/* The clock starts at the call, also for what is only queued. */
static void timeout_while_queued(void **state)
{
    peer *anna = peer_new(server_url(shared_server(), "ws", "/script"), NULL, NULL);
    pond_channel *channel = peer_channel(anna, room("queued"), NULL);
    uint64_t ticket;
    (void)state;
    OK(pond_channel_join(channel));
    ticket = ask(anna, channel, "late-request", "{}", 30);
    STATUS(POND_ERROR_TIMEOUT, reply(anna, ticket)->status);
    OK(pond_client_connect(anna->client));
    STATUS(POND_OK, reply(anna, ask(anna, channel, "reply", "{}", DEADLINE))->status);
    {
        char *log = script_log(shared_server());
        assert_null(strstr(log, "late-request")); /* what timed out is not sent */
        free(log);
    }
    assert_int_equal(count(anna, .kind = POND_EVENT_DROPPED), 0);
}

static void error_answers(void **state)
{
    peer *anna = chat_peer("anna"), *scripted = script_peer(NULL);
    pond_channel *channel = joined(anna, room("error"), NULL);
    pond_channel *other = joined(scripted, room("error"), NULL);
    const record *r;
    (void)state;
    r = reply(anna, ask(anna, channel, "no-such-event", "{}", 0));
    STATUS(POND_ERROR_SERVER, r->status);
    assert_string_equal(r->code, "NOT_FOUND");
    assert_int_equal(r->http_status, 404);
    CONTAINS(r->details, "no-such-event");
    r = reply(scripted, ask(scripted, other, "error-js", "{\"code\":418,\"message\":\"no tea\"}", 0));
    STATUS(POND_ERROR_SERVER, r->status);
    assert_string_equal(r->code, "HANDLER_NOT_FOUND");
    assert_string_equal(r->message, "no tea");
    assert_int_equal(r->http_status, 418);
    assert_int_equal(count(scripted, .kind = POND_EVENT_CHANNEL_ERROR), 0);
}

static void cancelled(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("cancel"), NULL);
    uint64_t ticket = ask(anna, channel, "slow", "{\"ms\":100}", DEADLINE);
    const record *r;
    (void)state;
    OK(pond_client_flush(anna->client, DEADLINE)); /* else it might not even be sent */
    OK(pond_channel_cancel_request(channel, ticket));
    STATUS(POND_EMPTY, pond_channel_cancel_request(channel, ticket));
    STATUS(POND_EMPTY, pond_channel_cancel_request(channel, 4711000));
    STATUS(POND_ERROR_CANCELLED, reply(anna, ticket)->status);
    r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "slow"); /* the server did not know */
    assert_true(r->index > reply(anna, ticket)->index);
}

/* On the wire when the link dies: told at once. Queued: it survives. */
static void lost_and_kept(void **state)
{
    server *server = server_start(0);
    peer *anna = chat_peer_at(server, "anna");
    pond_channel *channel = joined(anna, room("lost"), NULL);
    uint64_t lost, kept;
    (void)state;
    lost = ask(anna, channel, "silent", "{}", POND_FOREVER);
    OK(pond_client_flush(anna->client, DEADLINE));
    server_kill(server);
    STATUS(POND_ERROR_CONNECTION_LOST, reply(anna, lost)->status);
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    kept = ask(anna, channel, "ping", "{\"n\":1}", DEADLINE);
    server_restart(server);
    STATUS(POND_OK, reply(anna, kept)->status);
    assert_string_equal(reply(anna, kept)->name, "pong");
}

static void ended_by_leave_and_disconnect(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *one = joined(anna, room("leave"), NULL), *two = joined(anna, room("bye"), NULL);
    uint64_t first = ask(anna, one, "silent", "{}", POND_FOREVER);
    uint64_t second = ask(anna, two, "silent", "{}", POND_FOREVER);
    (void)state;
    OK(pond_channel_leave(one));
    STATUS(POND_ERROR_CLOSED, reply(anna, first)->status);
    assert_int_equal(count(anna, .kind = POND_EVENT_REPLY, .ticket = second), 0);
    OK(pond_client_disconnect(anna->client));
    STATUS(POND_ERROR_CLOSED, reply(anna, second)->status);
}

static void ended_by_decline(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = peer_channel(anna, room("decline"), "{\"mode\":\"decline\",\"message\":\"no\"}");
    pond_error *error = NULL;
    uint64_t ticket;
    (void)state;
    OK(pond_client_suspend(anna->client)); /* else the answer may be faster than the request */
    OK(pond_channel_join(channel));
    ticket = ask(anna, channel, "reply", "{}", 0);
    OK(pond_client_resume(anna->client));
    STATUS(POND_ERROR_DECLINED, reply(anna, ticket)->status);
    settle(anna, pond_channel_state(channel) == POND_CHANNEL_DECLINED);
    registering(NULL);
    ERROR(POND_ERROR_DECLINED, "", pond_channel_request(channel, "reply", "{}", 0, record_event, anna, count_destroy,
                                                        &ticket, &error));
    assert_int_equal(ticket, 0);
}

static void call(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("call"), NULL);
    pond_event *answer = NULL;
    pond_error *error = NULL;
    int32_t status;
    (void)state;
    OK(pond_channel_call(channel, "ping", "{\"n\":1}", DEADLINE, &answer, &error));
    STATUS(POND_EVENT_REPLY, pond_event_kind(answer));
    assert_string_equal(pond_event_name(answer, NULL), "pong");
    CONTAINS(pond_event_payload(answer, NULL), "\"n\":1");
    pond_event_free(answer);
    status = pond_channel_call(channel, "no-such-event", NULL, DEADLINE, &answer, &error);
    assert_null(answer);
    assert_string_equal(pond_error_code(error, NULL), "NOT_FOUND");
    assert_int_equal(pond_error_http_status(error), 404);
    ERROR(POND_ERROR_SERVER, "", status);
    ERROR(POND_ERROR_TIMEOUT, "", pond_channel_call(channel, "silent", "{}", 30, &answer, &error));
    assert_null(answer);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_channel_call(channel, "ping", "{}", 30, NULL, NULL));
    /* Its replies go past the queue and the handlers. */
    OK(pond_channel_call(channel, "ping", "{}", DEADLINE, &answer, NULL));
    pond_event_free(answer);
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "ping", "{}", 0));
    assert_int_equal(count(anna, .kind = POND_EVENT_REPLY), 1);
}

typedef struct caller {
    pond_channel *channel;
    atomic_int status, started;
} caller;

static void *calling(void *user_data)
{
    caller *self = user_data;
    pond_event *answer = NULL;
    atomic_store(&self->started, 1);
    atomic_store(&self->status, pond_channel_call(self->channel, "silent", "{}", POND_FOREVER, &answer, NULL));
    pond_event_free(answer);
    return NULL;
}

/* Freeing what is waited for ends the wait. */
static void call_ended_by_free(void **state)
{
    peer *anna = chat_peer("anna");
    caller self = {0};
    pthread_t thread;
    pond_stats stats;
    (void)state;
    self.channel = joined(anna, room("call"), NULL);
    atomic_store(&self.status, POND_OK);
    OK(pond_client_stats(anna->client, &stats, sizeof stats));
    {
        uint64_t before = stats.frames_out;
        assert_int_equal(pthread_create(&thread, NULL, calling, &self), 0);
        settle(anna, (pond_client_stats(anna->client, &stats, sizeof stats), stats.frames_out > before));
    }
    OK(pond_client_free(anna->client));
    pthread_join(thread, NULL);
    STATUS(POND_ERROR_CLOSED, atomic_load(&self.status));
}

const test request_tests[] = {
    TEST(many_in_flight, EACH),
    TEST(timeouts, EACH),
    TEST(timeout_while_queued, EACH),
    TEST(error_answers, EACH),
    TEST(cancelled, EACH),
    TEST(lost_and_kept, EACH),
    TEST(ended_by_leave_and_disconnect, EACH),
    TEST(ended_by_decline, EACH),
    TEST(call, EACH),
    TEST(call_ended_by_free, EACH),
    {0},
};
