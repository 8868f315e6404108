/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Handles: keys, not addresses. NULL, stale, mistyped and nonsense ones are an answer, never a crash.
 */
#include "pond_test.h"

#include <signal.h>
#include <sys/wait.h>

#define BAD(call) STATUS(POND_ERROR_INVALID_HANDLE, call)

/* Every function that takes a client, with one that is none. */
static void no_client(void *handle)
{
    pond_client *c = handle;
    pond_channel *channel = NULL;
    pond_stats stats;
    char *text = NULL;
    BAD(pond_client_connect(c));
    BAD(pond_client_disconnect(c));
    BAD(pond_client_suspend(c));
    BAD(pond_client_resume(c));
    BAD(pond_client_reconnect_now(c));
    BAD(pond_client_free(c));
    BAD(pond_client_state(c));
    BAD(pond_client_connection_id(c, &text));
    BAD(pond_client_wait_state(c, POND_CLIENT_CONNECTED, 0, NULL));
    BAD(pond_client_flush(c, 0));
    BAD(pond_client_set_params(c, "{}", NULL));
    BAD(pond_client_set_header(c, "X-A", "b"));
    BAD(pond_client_answer_dial(c, 1, NULL, NULL, NULL));
    BAD(pond_client_channel(c, "/chat/1", NULL, &channel, NULL));
    BAD(pond_client_stats(c, &stats, sizeof stats));
    BAD(pond_client_on_state(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_client_on_error(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_client_on_endpoint_message(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_client_on_dial(c, record_event, registering(NULL), count_destroy, NULL));
    assert_null(channel);
}

static void no_channel(void *handle)
{
    pond_channel *c = handle;
    pond_event *reply = NULL;
    pond_error *error = NULL;
    uint64_t ticket = 1;
    char *text = NULL;
    BAD(pond_channel_join(c));
    BAD(pond_channel_leave(c));
    BAD(pond_channel_free(c));
    BAD(pond_channel_state(c));
    BAD(pond_channel_name(c, &text));
    BAD(pond_channel_presence(c, &text, NULL));
    BAD(pond_channel_set_join_params(c, "{}", NULL));
    BAD(pond_channel_wait_state(c, POND_CHANNEL_JOINED, 0, NULL));
    ERROR(POND_ERROR_INVALID_HANDLE, "", pond_channel_send(c, "x", "{}", &error));
    BAD(pond_channel_send_n(c, "x", 1, "{}", 2, NULL));
    BAD(pond_channel_send_volatile(c, "x", 1, "{}", 2, NULL));
    BAD(pond_channel_request(c, "x", "{}", 0, record_event, registering(NULL), count_destroy, &ticket, NULL));
    assert_int_equal(ticket, 0);
    BAD(pond_channel_request_n(c, "x", 1, "{}", 2, 0, record_event, registering(NULL), count_destroy, &ticket, NULL));
    BAD(pond_channel_cancel_request(c, 1));
    BAD(pond_channel_call(c, "x", "{}", 0, &reply, NULL));
    BAD(pond_channel_on_message(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_event(c, "x", record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_state(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_join(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_leave(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_presence_change(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_users_change(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_error(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_dropped(c, record_event, registering(NULL), count_destroy, NULL));
    BAD(pond_channel_on_writable(c, record_event, registering(NULL), count_destroy, NULL));
}

static void no_queue(void *handle)
{
    pond_queue *q = handle;
    pond_event *event = NULL;
    uint32_t n = 1;
    int32_t fd = 1;
    BAD(pond_queue_free(q));
    BAD(pond_queue_next(q, 0, &event));
    BAD(pond_queue_next_many(q, 0, &event, 1, &n));
    assert_int_equal(n, 0);
    BAD(pond_queue_dispatch(q, 0, 0));
    BAD(pond_queue_fd(q, &fd));
    BAD(pond_queue_set_wake(q, record_event, registering(NULL), count_destroy));
    BAD(pond_queue_interrupt(q));
}

static void no_options(void *handle)
{
    pond_options *o = handle;
    BAD(pond_options_free(o));
    BAD(pond_options_set_connect_timeout_ms(o, 1));
    BAD(pond_options_set_join_timeout_ms(o, 1));
    BAD(pond_options_set_response_timeout_ms(o, 1));
    BAD(pond_options_set_backoff_ms(o, 1, 2));
    BAD(pond_options_set_max_reconnect_attempts(o, 1));
    BAD(pond_options_set_ping_interval_ms(o, 1));
    BAD(pond_options_set_pong_timeout_ms(o, 1));
    BAD(pond_options_set_queue_limit(o, 1));
    BAD(pond_options_set_overflow(o, 1));
    BAD(pond_options_set_outbound_limit(o, 1));
    BAD(pond_options_set_legacy_grace_ms(o, 1));
    BAD(pond_options_set_retry_refused(o, 1));
    BAD(pond_options_set_max_message_bytes(o, 1024, 1024));
    BAD(pond_options_set_inbound_limit(o, 1, 1));
    BAD(pond_options_set_header(o, "X-A", "b"));
    BAD(pond_options_set_ca_file(o, "x"));
    BAD(pond_options_set_ca_pem(o, "x"));
    BAD(pond_options_set_client_cert(o, "x", "y"));
    BAD(pond_options_set_insecure_skip_verify(o, 1));
    BAD(pond_options_set_ask_before_dial(o, 1));
}

static void none(void *handle)
{
    no_client(handle);
    no_channel(handle);
    no_queue(handle);
    no_options(handle);
    BAD(pond_subscription_cancel(handle));
}

static void null_and_nonsense(void **state)
{
    int here = 0;
    (void)state;
    none(NULL);
    none((void *)(uintptr_t)1);
    none((void *)(uintptr_t)4097);
    none((void *)(uintptr_t)0x1234567);
    none((void *)(uintptr_t)UINTPTR_MAX);
    none(&here);
}

static void check_key(const void *handle)
{
    uintptr_t key = (uintptr_t)handle;
    assert_true((key & 1) == 1 && key >= 4096);
#if UINTPTR_MAX > 0xffffffffu
    assert_true(key < (uintptr_t)1 << 38);
#endif
}

/* One of each kind, taken for each of the other kinds; then stale. */
static void mistyped_and_stale(void **state)
{
    pond_options *options;
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel;
    pond_subscription *subscription;
    (void)state;
    OK(pond_options_new(&options));
    OK(pond_queue_new(&queue));
    OK(pond_client_new("ws://127.0.0.1:9/", NULL, options, &client, NULL));
    OK(pond_client_channel(client, "/chat/1", NULL, &channel, NULL));
    OK(pond_channel_on_message(channel, record_event, registering(NULL), count_destroy, &subscription));
    check_key(options);
    check_key(queue);
    check_key(client);
    check_key(channel);
    check_key(subscription);
    no_channel(client), no_queue(client), no_options(client);
    no_client(channel), no_queue(channel), no_options(channel);
    no_client(queue), no_channel(queue), no_options(queue);
    no_client(options), no_channel(options), no_queue(options);
    no_client(subscription), no_channel(subscription), no_queue(subscription), no_options(subscription);
    BAD(pond_subscription_cancel((pond_subscription *)channel));
    BAD(pond_client_new("ws://127.0.0.1:9/", NULL, (pond_options *)queue, &(pond_client *){NULL}, NULL));

    OK(pond_subscription_cancel(subscription));
    none(subscription);
    OK(pond_channel_free(channel));
    none(channel);
    OK(pond_client_channel(client, "/chat/1", NULL, &channel, NULL));
    OK(pond_channel_on_message(channel, record_event, registering(NULL), count_destroy, &subscription));
    OK(pond_client_free(client)); /* the channel and the subscription go with it */
    none(client);
    none(channel);
    none(subscription);
    OK(pond_options_free(options));
    none(options);
    OK(pond_queue_free(queue));
    none(queue);
}

/* Slots are used again, keys are not. */
static void keys_are_not_reused(void **state)
{
    enum { COUNT = 200 };
    pond_options *seen[COUNT];
    int i, k;
    (void)state;
    for (i = 0; i < COUNT; i++) {
        OK(pond_options_new(&seen[i]));
        for (k = 0; k < i; k++) assert_ptr_not_equal(seen[k], seen[i]);
        OK(pond_options_free(seen[i]));
    }
    for (i = 0; i < COUNT; i++) BAD(pond_options_free(seen[i]));
}

/* In a forked child frees work, all else is refused, until a shutdown there begins anew. */
static int child(peer *anna, pond_channel *channel, pond_event *event)
{
    pond_options *options = NULL;
    pond_client *client = NULL;
    if (pond_client_new("ws://127.0.0.1:9/", NULL, NULL, &client, NULL) != POND_ERROR_FORKED || client) return 1;
    if (pond_channel_send(channel, "x", "{}", NULL) != POND_ERROR_FORKED) return 2;
    if (pond_client_state(anna->client) != POND_ERROR_FORKED) return 3;
    if (strcmp(pond_event_name(event, NULL), "pong") != 0) return 4;
    pond_event_free(event);
    if (pond_client_free(anna->client) != POND_OK) return 5;
    if (pond_shutdown(0) != POND_OK) return 6;
    if (pond_options_new(&options) != POND_OK) return 7;
    if (pond_client_new("ws://127.0.0.1:9/", NULL, options, &client, NULL) != POND_OK) return 8;
    if (pond_client_connect(client) != POND_OK) return 9;
    if (pond_client_free(client) != POND_OK) return 10;
    if (pond_shutdown(ms(5000)) != POND_OK) return 11;
    return 0;
}

static void forked(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("fork"), NULL);
    pond_event *event = NULL;
    int result = -1, ends[2];
    pid_t pid;
    (void)state;
    OK(pond_channel_call(channel, "ping", "{}", DEADLINE, &event, NULL));
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        result = child(anna, channel, event);
        /* Killed, not ended: a leak checker would blame it for what it abandons on purpose. */
        if (write(ends[1], &result, sizeof result) == (ssize_t)sizeof result) kill(getpid(), SIGKILL);
        _exit(99);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &result, sizeof result), sizeof result);
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(result, 0);
    pond_event_free(event);
    /* The parent goes on as if nothing had been. */
    OK(pond_channel_call(channel, "ping", "{}", DEADLINE, &event, NULL));
    pond_event_free(event);
}

const test handle_tests[] = {
    TEST(null_and_nonsense, ONCE),
    TEST(mistyped_and_stale, ONCE),
    TEST(keys_are_not_reused, ONCE),
    TEST(forked, ONCE | 1 << PUSH),
    {0},
};
