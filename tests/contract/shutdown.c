/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shutdown contract, line 6: pond_shutdown ends everything that the library has in this process.
 */
#include "contract.h"

/* Start, use, a request under way; nothing is freed. */
static void use(int with_queue)
{
    pond_options *options = fast_options(), *forgotten;
    pond_queue *queue = NULL;
    pond_client *client;
    pond_channel *channel;
    pond_event *reply;
    OK(pond_options_new(&forgotten));
    if (with_queue) {
        OK(pond_queue_new(&queue));
        OK(pond_options_set_queue(options, queue));
        OK(pond_queue_set_wake(queue, on_call, track(), on_destroy));
    }
    client = chat("user", options);
    OK(pond_client_on_state(client, on_call, track(), on_destroy, NULL));
    channel = joined(client, room("use"), NULL);
    OK(pond_channel_on_message(channel, on_call, track(), on_destroy, NULL));
    OK(pond_channel_send(channel, "message", "{\"n\":1}", NULL));
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &reply, NULL));
    CHECK(strcmp(pond_event_name(reply, NULL), "pong") == 0);
    pond_event_free(reply);
    OK(pond_channel_request(channel, "silent", NULL, POND_FOREVER, on_call, track(), on_destroy, NULL, NULL));
}

static void many_rounds(void)
{
    int i, n = rounds(200), threads = thread_count(), fds = fd_count();
    for (i = 0; i < n; i++) {
        use(i % 2);
        CHECK(thread_count() > threads);
        OK(pond_shutdown(DEADLINE));
        UNTIL(thread_count() == threads); /* a thread that was joined is listed for a moment longer */
        if (fd_count() != fds) FAIL("round %d: %d descriptors, %d before", i, fd_count(), fds);
        CHECK(destroyed_all());
    }
}

/* Clients in many states, queues, options: all handles are stale afterwards. */
static void frees_everything(void)
{
    int threads = thread_count(), fds = fd_count(), port, fd, silent = silent_listener(&port), i, queue_fd;
    pond_client *clients[6];
    pond_channel *channels[6];
    pond_options *options;
    pond_queue *queue, *other;
    pond_subscription *subscription;
    pond_event *event;
    tracked *requests[6];
    OK(pond_log_set(POND_LOG_TRACE, on_call, track(), on_destroy));
    OK(pond_queue_new(&queue));
    OK(pond_queue_new(&other));
    OK(pond_queue_fd(queue, &queue_fd));
    options = fast_options();
    OK(pond_options_set_queue(options, queue));
    clients[0] = chat("zero", options);
    clients[1] = chat("one", NULL);
    clients[2] = client_at(url("ws", port, "/"), NULL, NULL);
    clients[3] = client_at(url("wss", port, "/"), NULL, NULL);
    clients[4] = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    clients[5] = script(NULL);
    OK(pond_client_connect(clients[2]));
    OK(pond_client_connect(clients[3]));
    OK(pond_client_suspend(clients[5]));
    for (i = 0; i < 6; i++) {
        channels[i] = channel_of(clients[i], room("all"), NULL);
        OK(pond_channel_join(channels[i]));
        OK(pond_channel_on_message(channels[i], on_call, track(), on_destroy, &subscription));
        requests[i] = track();
        OK(pond_channel_request(channels[i], "silent", NULL, POND_FOREVER, on_call, requests[i], on_destroy, NULL,
                                NULL));
    }
    OK(pond_options_new(&options));
    OK(pond_shutdown(DEADLINE));
    for (i = 0; i < 6; i++) {
        IS(POND_ERROR_INVALID_HANDLE, pond_client_state(clients[i]));
        IS(POND_ERROR_INVALID_HANDLE, pond_channel_state(channels[i]));
        CHECK(requests[i]->calls == 1 && requests[i]->destroys == 1);
        CHECK(requests[i]->last_status == POND_ERROR_CLOSED && requests[i]->caller == thread_id());
    }
    IS(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(subscription));
    IS(POND_ERROR_INVALID_HANDLE, pond_options_free(options));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_next(queue, 0, &event));
    IS(POND_ERROR_INVALID_HANDLE, pond_queue_interrupt(other));
    CHECK(destroyed_all());
    close(silent);
    CHECK(thread_count() == threads);
    CHECK(fd_count() == fds);
    fd = dup(0); /* the queue's descriptor is closed once, not twice */
    OK(pond_shutdown(0));
    CHECK(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

static void nothing_to_do(void)
{
    int i, threads = thread_count();
    for (i = 0; i < 100; i++) OK(pond_shutdown(i % 2 ? 0 : POND_FOREVER));
    CHECK(thread_count() == threads);
}

static atomic_int blocked, release;
static void block(tracked *self, const pond_event *event)
{
    (void)self, (void)event;
    blocked = 1;
    UNTIL(release);
}

/* A handler that does not return: TIMEOUT, as often as asked; OK once it has returned. */
static void blocked_handler(void)
{
    pond_client *client = chat("blocked", NULL);
    pond_channel *channel = joined(client, room("blocked"), NULL);
    tracked *it = track_with(block, NULL);
    int64_t begin;
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_send(channel, "message", NULL, NULL));
    UNTIL(blocked);
    begin = now_ms();
    IS(POND_TIMEOUT, pond_shutdown(100));
    CHECK(now_ms() - begin >= 100 && now_ms() - begin < DEADLINE);
    IS(POND_TIMEOUT, pond_shutdown(0));
    IS(POND_TIMEOUT, pond_shutdown(50));
    CHECK(it->destroys == 0);
    IS(POND_ERROR_INVALID_HANDLE, pond_client_state(client));
    use(0); /* meanwhile all starts anew; the next shutdown ends both */
    IS(POND_TIMEOUT, pond_shutdown(1500));
    use(1);
    release = 1;
    OK(pond_shutdown(DEADLINE));
    CHECK(it->calls == 1 && it->destroys == 1);
}

/* The same when the program's own thread dispatches: a handler still runs, so it is not over. */
static void *dispatch_once(void *queue)
{
    while (!release) {
        int32_t taken = pond_queue_dispatch(queue, 1, 0);
        if (taken < 0) IS(POND_ERROR_INVALID_HANDLE, taken);
    }
    return NULL;
}
static void blocked_dispatch(void)
{
    pond_options *options = fast_options();
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel;
    tracked *it = track_with(block, NULL);
    pthread_t thread;
    int i;
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    client = chat("dispatch", options);
    channel = joined(client, room("dispatch"), NULL);
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_send(channel, "message", NULL, NULL));
    thread = start(dispatch_once, queue);
    UNTIL(blocked);
    for (i = 0; i < 20; i++) {
        IS(POND_TIMEOUT, pond_shutdown(i ? 100 : 1500)); /* the goodbye is over long before */
        CHECK(it->destroys == 0);
    }
    release = 1;
    OK(pond_shutdown(DEADLINE));
    CHECK(it->calls == 1 && it->destroys == 1);
    finish(thread);
}

/* And when a wake function, a log sink or a destroy does not return. */
static void block_at_destroy(tracked *self)
{
    block(self, NULL);
}
static void *cancel_it(void *subscription)
{
    OK(pond_subscription_cancel(subscription));
    return NULL;
}
static void *provoke_log(void *unused)
{
    pond_client *client = client_at(url("ws", shared_port(), "/refuse/500"), NULL, NULL);
    pond_client_connect(client);
    return unused;
}
static void blocked_others(void)
{
    int place;
    for (place = 0; place < 3; place++) {
        pond_options *options = fast_options();
        pond_queue *queue;
        pond_client *client;
        pond_subscription *subscription;
        pthread_t thread = main_thread;
        tracked *it = track_with(block, NULL);
        blocked = release = 0;
        OK(pond_queue_new(&queue));
        OK(pond_options_set_queue(options, queue));
        client = client_at(url("ws", shared_port(), "/script"), NULL, options);
        if (place == 0) {
            OK(pond_queue_set_wake(queue, on_call, it, on_destroy));
            OK(pond_client_connect(client));
        } else if (place == 1) {
            it->then = NULL;
            it->at_destroy = block_at_destroy;
            OK(pond_client_on_state(client, on_call, it, on_destroy, &subscription));
            thread = start(cancel_it, subscription);
        } else {
            OK(pond_log_set(POND_LOG_TRACE, on_call, it, on_destroy));
            thread = start(provoke_log, NULL);
        }
        UNTIL(blocked);
        if (place != 1) { /* a destroy that is being run by the program itself is not the library's to wait for */
            IS(POND_TIMEOUT, pond_shutdown(1500));
            IS(POND_TIMEOUT, pond_shutdown(50));
            CHECK(it->destroys == 0);
        }
        release = 1;
        if (thread != main_thread) finish(thread);
        OK(pond_shutdown(DEADLINE));
        CHECK(destroyed_all());
    }
}

/* In any callback it would wait for itself. */
static atomic_int refused;
static void shut_down(tracked *self, const pond_event *event)
{
    (void)self, (void)event;
    IS(POND_ERROR_WOULD_DEADLOCK, pond_shutdown(POND_FOREVER));
    IS(POND_ERROR_WOULD_DEADLOCK, pond_shutdown(0));
    refused++;
}
static void shut_down_at_destroy(tracked *self)
{
    shut_down(self, NULL);
}
static void in_callbacks(void)
{
    pond_options *options = fast_options();
    pond_queue *queue;
    pond_client *pushed = client_at(url("ws", shared_port(), "/script"), NULL, NULL), *queued;
    tracked *handler = track_with(shut_down, NULL), *dispatched = track_with(shut_down, NULL),
            *wake = track_with(shut_down, NULL), *log = track_with(shut_down, NULL), *destroy = track();
    destroy->at_destroy = shut_down_at_destroy;
    OK(pond_log_set(POND_LOG_TRACE, on_call, log, on_destroy));
    log->over = 0;
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    queued = client_at(url("ws", shared_port(), "/script"), NULL, options);
    OK(pond_client_on_state(pushed, on_call, handler, on_destroy, NULL));
    OK(pond_client_on_state(queued, on_call, dispatched, on_destroy, NULL));
    OK(pond_client_on_error(queued, on_call, destroy, on_destroy, NULL));
    OK(pond_queue_set_wake(queue, on_call, wake, on_destroy));
    OK(pond_client_connect(queued));
    UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && dispatched->calls > 0 && wake->calls > 0 && log->calls > 0);
    OK(pond_log_set(POND_LOG_OFF, NULL, NULL, NULL)); /* one sink at a time would overlap from two threads */
    OK(pond_client_connect(pushed));
    UNTIL(handler->calls > 0);
    OK(pond_shutdown(DEADLINE));
    CHECK(destroy->destroys == 1 && refused > 4);
}

/* The next call of anything starts anew: same handles of before stay stale, new ones work. */
static void starts_anew(void)
{
    pond_client *old = chat("old", NULL), *fresh;
    pond_channel *channel;
    pond_event *reply;
    OK(pond_shutdown(DEADLINE));
    fresh = chat("fresh", NULL);
    CHECK(fresh != old);
    IS(POND_ERROR_INVALID_HANDLE, pond_client_state(old));
    channel = joined(fresh, room("fresh"), NULL);
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &reply, NULL));
    pond_event_free(reply);
}

/* Shutdowns from several threads while others go on using the library: nothing crashes, nothing hangs, each destroy
 * runs, and the last shutdown ends all. */
static atomic_int stop_using;
static void *use_and_lose(void *unused)
{
    while (!stop_using) {
        pond_client *client = NULL;
        pond_channel *channel = NULL;
        pond_queue *queue = NULL;
        pond_event *event;
        pond_subscription *subscription;
        pond_queue_new(&queue);
        pond_queue_set_wake(queue, on_call, track(), on_destroy);
        if (pond_client_new(url("ws", shared_port(), "/script"), NULL, NULL, &client, NULL) != POND_OK) continue;
        pond_client_on_state(client, on_call, track(), on_destroy, NULL);
        pond_client_connect(client);
        pond_client_wait_state(client, POND_CLIENT_CONNECTED, 20, NULL);
        pond_client_channel(client, "/x", NULL, &channel, NULL);
        pond_channel_on_message(channel, on_call, track(), on_destroy, &subscription);
        pond_channel_join(channel);
        pond_channel_request(channel, "x", NULL, 0, on_call, track(), on_destroy, NULL, NULL);
        pond_queue_next(queue, 1, &event);
        usleep(500); /* so that valgrind's scheduler lets others run */
    }
    return unused;
}
static void *shut_down_often(void *unused)
{
    int i;
    for (i = 0; i < rounds(30); i++) {
        int32_t status = pond_shutdown(i % 3 ? DEADLINE : 1);
        CHECK(status == POND_OK || status == POND_TIMEOUT);
    }
    return unused;
}
static void while_in_use(void)
{
    pthread_t users[3], enders[2];
    int i;
    for (i = 0; i < 3; i++) users[i] = start(use_and_lose, NULL);
    for (i = 0; i < 2; i++) enders[i] = start(shut_down_often, NULL);
    for (i = 0; i < 2; i++) finish(enders[i]);
    stop_using = 1;
    for (i = 0; i < 3; i++) finish(users[i]);
}

/* What is made while a shutdown runs belongs either to what it ends or to what starts anew: no client is dead, and no
 * shutdown waits for a client that nobody will free. */
static void *make_and_connect(void *unused)
{
    while (!stop_using) {
        pond_client *client = NULL;
        pond_queue *queue = NULL;
        int32_t status;
        OK(pond_client_new(url("ws", shared_port(), "/script"), NULL, NULL, &client, NULL));
        OK(pond_queue_new(&queue));
        status = pond_client_connect(client);
        if (status == POND_OK) status = pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL);
        if (status != POND_OK && status != POND_ERROR_CLOSED) IS(POND_ERROR_INVALID_HANDLE, status);
    }
    return unused;
}
static void while_clients_are_made(void)
{
    pthread_t makers[3];
    int i, n = rounds(500);
    stop_using = 0;
    for (i = 0; i < 3; i++) makers[i] = start(make_and_connect, NULL);
    for (i = 0; i < n; i++) OK(pond_shutdown(DEADLINE));
    stop_using = 1;
    for (i = 0; i < 3; i++) finish(makers[i]);
}

/* Waits in other threads end. */
static void *wait_long(void *client)
{
    IS(POND_ERROR_CLOSED, pond_client_wait_state(client, POND_CLIENT_CONNECTED, POND_FOREVER, NULL));
    return NULL;
}
static void *pull_long(void *queue)
{
    pond_event *event;
    IS(POND_ERROR_CLOSED, pond_queue_next(queue, POND_FOREVER, &event));
    return NULL;
}
static void ends_waits(void)
{
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    pond_queue *queue;
    pthread_t one, other;
    OK(pond_queue_new(&queue));
    one = start(wait_long, client);
    other = start(pull_long, queue);
    usleep(50000);
    OK(pond_shutdown(DEADLINE));
    finish(one);
    finish(other);
}

const test shutdown_tests[] = {
    {"many_rounds", many_rounds, 0},
    {"frees_everything", frees_everything, 0},
    {"nothing_to_do", nothing_to_do, 0},
    {"blocked_handler", blocked_handler, 0},
    {"blocked_dispatch", blocked_dispatch, 0},
    {"blocked_others", blocked_others, 0},
    {"in_callbacks", in_callbacks, 0},
    {"starts_anew", starts_anew, 0},
    {"while_in_use", while_in_use, 0},
    {"while_clients_are_made", while_clients_are_made, 0},
    {"ends_waits", ends_waits, 0},
    {NULL, NULL, 0},
};
