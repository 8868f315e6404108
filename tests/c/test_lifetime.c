/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ends: destroy exactly once, frees inside callbacks, waits that would wait for themselves, shutdown.
 */
#include "pond_test.h"

#include <poll.h>

static atomic_int calls, entered, go_on, results[8];

static void reset(void)
{
    size_t i;
    atomic_store(&calls, 0);
    atomic_store(&entered, 0);
    atomic_store(&go_on, 0);
    for (i = 0; i < 8; i++) atomic_store(&results[i], 4711);
}

static void count_call(const pond_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    atomic_fetch_add(&calls, 1);
}

/* Every way by which a registration ends runs its destroy, before the call returns. */
static void destroy_once(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("destroy"), NULL);
    pond_subscription *one = NULL, *two = NULL;
    int before = destroyed();
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, count_call, registering(NULL), count_destroy, &one));
    OK(pond_client_on_state(anna->client, count_call, registering(NULL), count_destroy, &two));
    assert_int_equal(destroyed(), before);
    OK(pond_subscription_cancel(one));
    assert_int_equal(destroyed(), before + 1);
    STATUS(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(one));
    assert_int_equal(destroyed(), before + 1);
    OK(pond_subscription_cancel(two));
    assert_int_equal(destroyed(), before + 2);
    /* A failing registration. */
    STATUS(POND_ERROR_INVALID_ARGUMENT,
           pond_channel_on_event(channel, "/*/*", count_call, registering(NULL), count_destroy, &one));
    assert_null(one);
    assert_int_equal(destroyed(), before + 3);
    /* Six handlers of the harness are on the channel, four on the client. */
    OK(pond_channel_on_join(channel, count_call, registering(NULL), count_destroy, NULL));
    OK(pond_channel_free(channel));
    assert_int_equal(destroyed(), before + 3 + 7);
    OK(pond_client_free(anna->client));
    assert_int_equal(destroyed(), before + 3 + 7 + 4);
}

static void cancelled_is_not_called(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("cancel"), NULL);
    pond_subscription *subscription;
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, count_call, registering(NULL), count_destroy, &subscription));
    OK(pond_channel_send(channel, "message", "{\"n\":1}", NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .has = "\"n\":1");
    settle(anna, atomic_load(&calls) == 1);
    OK(pond_subscription_cancel(subscription));
    OK(pond_channel_send(channel, "message", "{\"n\":2}", NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .has = "\"n\":2");
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "ping", "{}", 0));
    assert_int_equal(atomic_load(&calls), 1);
}

/* ---- inside handlers ---------------------------------------------------------------------------------------- */

static pond_subscription *own;
static pond_client *victims[2];

static void cancel_own(const pond_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    atomic_store(&results[0], pond_subscription_cancel(own));
    atomic_store(&results[1], destroyed()); /* not yet: this very handler still runs */
    atomic_fetch_add(&calls, 1);
}

static void cancelled_in_itself(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("cancel"), NULL);
    int before;
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, cancel_own, registering(NULL), count_destroy, &own));
    before = destroyed();
    OK(pond_channel_send(channel, "message", "{\"n\":1}", NULL));
    settle(anna, destroyed() == before + 1);
    STATUS(POND_OK, atomic_load(&results[0]));
    assert_int_equal(atomic_load(&results[1]), before);
    OK(pond_channel_send(channel, "message", "{\"n\":2}", NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .has = "\"n\":2");
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "ping", "{}", 0));
    assert_int_equal(atomic_load(&calls), 1);
}

static void free_own_client(const pond_event *event, void *user_data)
{
    (void)user_data;
    atomic_store(&results[0], pond_client_free(pond_event_client(event)));
    atomic_store(&results[1], pond_client_state(pond_event_client(event)));
    /* The event is still there. */
    atomic_store(&results[2], strstr(pond_event_payload(event, NULL), "\"n\"") != NULL);
    atomic_fetch_add(&calls, 1);
}

static void freed_in_own_handler(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("free"), NULL);
    pond_event *drained = NULL;
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, free_own_client, registering(NULL), count_destroy, NULL));
    OK(pond_channel_send(channel, "message", "{\"n\":1}", NULL));
    OK(pond_channel_send(channel, "message", "{\"n\":2}", NULL));
    settle(anna, atomic_load(&calls) == 1 && destroyed() >= 11);
    STATUS(POND_OK, atomic_load(&results[0]));
    STATUS(POND_ERROR_INVALID_HANDLE, atomic_load(&results[1]));
    assert_int_equal(atomic_load(&results[2]), 1);
    STATUS(POND_ERROR_INVALID_HANDLE, pond_channel_state(channel));
    if (anna->queue) STATUS(POND_EMPTY, pond_queue_next(anna->queue, 0, &drained));
    assert_int_equal(atomic_load(&calls), 1);
}

static void free_the_other(const pond_event *event, void *user_data)
{
    int who = (int)(intptr_t)user_data, i;
    (void)event;
    atomic_fetch_add(&entered, 1);
    /* On library threads both handlers are really inside at once. */
    for (i = 0; mode == PUSH && i < 20000 && atomic_load(&entered) < 2; i++) poll(NULL, 0, 1);
    atomic_store(&results[who], pond_client_free(victims[1 - who]));
    atomic_fetch_add(&calls, 1);
}

/* Two callbacks free each other's client: nobody waits for anybody. */
static void freed_by_each_other(void **state)
{
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    pond_channel *hers = joined(anna, room("mutual"), NULL), *his = joined(bert, room("mutual"), NULL);
    (void)state;
    reset();
    victims[0] = anna->client;
    victims[1] = bert->client;
    OK(pond_channel_on_message(hers, free_the_other, registering((void *)(intptr_t)0), count_destroy, NULL));
    OK(pond_channel_on_message(his, free_the_other, registering((void *)(intptr_t)1), count_destroy, NULL));
    OK(pond_channel_send(hers, "message", "{}", NULL));
    OK(pond_channel_send(his, "message", "{}", NULL));
    if (mode == PUSH) {
        settle(anna, atomic_load(&calls) == 2 && destroyed() == 22);
        STATUS(POND_OK, atomic_load(&results[0]));
        STATUS(POND_OK, atomic_load(&results[1]));
    } else {
        /* On one thread: whoever comes first frees the other, whose handlers then never run. */
        int64_t end = now_ms() + DEADLINE;
        while (atomic_load(&calls) == 0) {
            assert_true(now_ms() < end);
            pump(anna, 5);
            if (atomic_load(&calls) == 0) pump(bert, 5);
        }
        assert_int_equal(atomic_load(&calls), 1);
        assert_true(atomic_load(&results[0]) == POND_OK || atomic_load(&results[1]) == POND_OK);
        settle(anna, destroyed() >= 11);
    }
}

static void wait_inside(const pond_event *event, void *user_data)
{
    pond_client *client = pond_event_client(event);
    pond_channel *channel = pond_event_channel(event);
    pond_event *reply = NULL;
    (void)user_data;
    atomic_store(&results[0], pond_channel_call(channel, "ping", "{}", 1000, &reply, NULL));
    atomic_store(&results[1], pond_channel_wait_state(channel, POND_CHANNEL_CLOSED, 1000, NULL));
    atomic_store(&results[2], pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, 1000, NULL));
    atomic_store(&results[3], pond_shutdown(1000));
    if (mode == PUSH) atomic_store(&results[4], POND_ERROR_WOULD_DEADLOCK);
    else atomic_store(&results[4], pond_queue_dispatch(((peer *)user_data)->queue, 0, 0));
    /* What does not wait is fine. */
    atomic_store(&results[5], pond_channel_send(channel, "others", "{}", NULL));
    atomic_fetch_add(&calls, 1);
}

static void would_deadlock(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("deadlock"), NULL);
    int i;
    (void)state;
    reset();
    OK(pond_channel_on_event(channel, "message", wait_inside, registering(anna), count_destroy, NULL));
    OK(pond_channel_send(channel, "message", "{}", NULL));
    settle(anna, atomic_load(&calls) == 1);
    for (i = 0; i < 5; i++) STATUS(POND_ERROR_WOULD_DEADLOCK, atomic_load(&results[i]));
    STATUS(POND_OK, atomic_load(&results[5]));
}

/* ---- library threads ---------------------------------------------------------------------------------------- */

static void block(const pond_event *event, void *user_data)
{
    int i;
    (void)event;
    (void)user_data;
    atomic_store(&entered, 1);
    for (i = 0; i < 20000 && !atomic_load(&go_on); i++) poll(NULL, 0, 1);
    atomic_fetch_add(&calls, 1);
}

/* A handler that blocks delays its own client only, and not even that one's socket. */
static void blocking_handler(void **state)
{
    pond_options *options = options_new();
    peer *anna, *bert = chat_peer("bert");
    pond_channel *hers, *his = joined(bert, room("other"), NULL);
    (void)state;
    reset();
    OK(pond_options_set_ping_interval_ms(options, 20));
    OK(pond_options_set_pong_timeout_ms(options, DEADLINE));
    anna = script_peer(options);
    hers = joined(anna, room("block"), NULL);
    OK(pond_channel_on_message(hers, block, registering(NULL), count_destroy, NULL));
    OK(pond_channel_send(hers, "batch", "{}", NULL));
    settle(bert, atomic_load(&entered) == 1);
    {
        pond_event *reply = NULL;
        pond_stats stats = {0};
        int i;
        for (i = 0; i < 20; i++) {
            OK(pond_channel_call(his, "ping", "{}", DEADLINE, &reply, NULL));
            pond_event_free(reply);
            reply = NULL;
        }
        OK(pond_channel_call(hers, "reply", "{}", DEADLINE, &reply, NULL));
        pond_event_free(reply);
        settle(bert, (pond_client_stats(anna->client, &stats, sizeof stats), stats.rtt_us > 0));
    }
    assert_int_equal(atomic_load(&calls), 0);
    atomic_store(&go_on, 1);
    settle(anna, atomic_load(&calls) == 2);
    STATUS(POND_CLIENT_CONNECTED, pond_client_state(anna->client));
}

static void *release_later(void *user_data)
{
    (void)user_data;
    poll(NULL, 0, 50);
    atomic_store(&results[0], atomic_load(&calls)); /* the handler has not ended by itself */
    atomic_store(&go_on, 1);
    return NULL;
}

/* Called from outside, a free comes back only when no handler runs any more. */
static void free_waits_for_handler(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("block"), NULL);
    pthread_t thread;
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, block, registering(NULL), count_destroy, NULL));
    OK(pond_channel_send(channel, "batch", "{}", NULL));
    settle(anna, atomic_load(&entered) == 1);
    assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
    OK(pond_client_free(anna->client));
    assert_int_equal(atomic_load(&calls), 1); /* it ended, and the second message of the batch did not come */
    assert_int_equal(destroyed(), 11);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&results[0]), 0);
    assert_int_equal(atomic_load(&calls), 1);
}

/* A shutdown that cannot end in time says so, and can be called again. */
static void shutdown_in_two_steps(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("block"), NULL);
    (void)state;
    reset();
    OK(pond_channel_on_message(channel, block, registering(NULL), count_destroy, NULL));
    OK(pond_channel_send(channel, "batch", "{}", NULL));
    settle(anna, atomic_load(&entered) == 1);
    STATUS(POND_TIMEOUT, pond_shutdown(20));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_client_state(anna->client));
    atomic_store(&go_on, 1);
    OK(pond_shutdown(DEADLINE));
    assert_int_equal(destroyed(), 11);
}

/* ---- the rest ----------------------------------------------------------------------------------------------- */

static pthread_t reply_thread;

static void on_reply(const pond_event *event, void *user_data)
{
    (void)user_data;
    reply_thread = pthread_self();
    atomic_store(&results[0], pond_event_status(event));
    atomic_fetch_add(&calls, 1);
}

/* A freed client's requests end with CLOSED, on the thread that frees. */
static void free_completes_requests(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("requests"), NULL);
    pond_event *event = NULL;
    int before;
    (void)state;
    reset();
    OK(pond_channel_request(channel, "silent", "{}", POND_FOREVER, mode == PULL ? NULL : on_reply, registering(NULL),
                            count_destroy, NULL, NULL));
    before = destroyed();
    OK(pond_client_free(anna->client));
    if (mode == PULL) { /* as an event that stays in the queue; it holds the user data */
        assert_int_equal(destroyed(), before + 10);
        do {
            pond_event_free(event);
            OK(pond_queue_next(anna->queue, 0, &event));
        } while (pond_event_kind(event) != POND_EVENT_REPLY);
        STATUS(POND_ERROR_CLOSED, pond_event_status(event));
        pond_event_free(event);
    } else {
        assert_int_equal(atomic_load(&calls), 1);
        STATUS(POND_ERROR_CLOSED, atomic_load(&results[0]));
        assert_true(pthread_equal(reply_thread, pthread_self()));
    }
    assert_int_equal(destroyed(), before + 11);
}

static pond_event *kept;

static void keep(const pond_event *event, void *user_data)
{
    (void)user_data;
    if (!kept) kept = pond_event_retain(event);
    atomic_fetch_add(&calls, 1);
}

/* An event of one's own outlives its client, its queue and the library's threads. */
static void event_outlives_all(void **state)
{
    peer *anna = chat_peer("anna");
    char *name = room("keep");
    pond_channel *channel = joined(anna, name, NULL);
    pond_event *again;
    size_t len = 0;
    (void)state;
    reset();
    kept = NULL;
    OK(pond_channel_on_event(channel, "message", keep, registering(NULL), count_destroy, NULL));
    OK(pond_channel_send(channel, "message", "{\"text\":\"kept\"}", NULL));
    settle(anna, atomic_load(&calls) == 1);
    OK(pond_client_free(anna->client));
    OK(pond_shutdown(DEADLINE));
    anna->queue = NULL;
    again = pond_event_retain(kept);
    assert_ptr_equal(again, kept);
    pond_event_free(kept);
    assert_string_equal(pond_event_name(again, &len), "message");
    assert_int_equal(len, 7);
    assert_string_equal(pond_event_channel_name(again, NULL), name);
    CONTAINS(pond_event_payload(again, &len), "\"kept\"");
    assert_int_equal(len, strlen(pond_event_payload(again, NULL)));
    assert_ptr_equal(pond_event_channel(again), channel); /* a plain copy */
    STATUS(POND_ERROR_INVALID_HANDLE, pond_channel_state(pond_event_channel(again)));
    pond_event_free(again);
}

/* All handles go stale; the next call begins anew. */
static void shutdown_and_again(void **state)
{
    int i;
    (void)state;
    OK(pond_shutdown(0)); /* nothing there */
    for (i = 0; i < 3; i++) {
        peer *anna = chat_peer("anna");
        pond_channel *channel = joined(anna, room("again"), NULL);
        pond_options *options;
        OK(pond_options_new(&options));
        OK(pond_shutdown(DEADLINE));
        STATUS(POND_ERROR_INVALID_HANDLE, pond_client_state(anna->client));
        STATUS(POND_ERROR_INVALID_HANDLE, pond_channel_state(channel));
        STATUS(POND_ERROR_INVALID_HANDLE, pond_options_free(options));
        if (anna->queue) STATUS(POND_ERROR_INVALID_HANDLE, pond_queue_free(anna->queue));
        anna->queue = NULL;
    }
}

/* A free is legal while the client dials, waits or says goodbye. */
static void free_in_any_state(void **state)
{
    server *silent = server_start(0);
    peer *idle = peer_new(server_url(silent, "ws", "/script"), NULL, NULL);
    peer *dialing = peer_new(server_url(silent, "ws", "/script?noconn=1"), NULL, NULL);
    peer *waiting, *leaving;
    (void)state;
    OK(pond_client_free(idle->client));
    OK(pond_client_connect(dialing->client));
    OK(pond_client_free(dialing->client));
    waiting = peer_new(server_url(silent, "ws", "/refuse/500"), NULL, NULL);
    OK(pond_client_connect(waiting->client));
    expect(waiting, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    OK(pond_client_free(waiting->client));
    leaving = chat_peer("anna");
    joined(leaving, room("leaving"), NULL);
    OK(pond_client_disconnect(leaving->client));
    OK(pond_client_free(leaving->client));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_client_free(leaving->client));
}

const test lifetime_tests[] = {
    TEST(destroy_once, EACH),
    TEST(cancelled_is_not_called, HANDLERS),
    TEST(cancelled_in_itself, HANDLERS),
    TEST(freed_in_own_handler, HANDLERS),
    TEST(freed_by_each_other, HANDLERS),
    TEST(would_deadlock, HANDLERS),
    TEST(blocking_handler, 1 << PUSH),
    TEST(free_waits_for_handler, 1 << PUSH),
    TEST(shutdown_in_two_steps, 1 << PUSH),
    TEST(free_completes_requests, EACH),
    TEST(event_outlives_all, HANDLERS),
    TEST(shutdown_and_again, EACH),
    TEST(free_in_any_state, EACH),
    {0},
};
