/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Queues as such: waiting, interrupting, dispatching in parts, waking, freeing.
 */
#include "pond_test.h"

#include <fcntl.h>
#include <poll.h>

/* A client at /script on a queue of the test's own, without handlers. */
static pond_client *client_on(pond_queue *queue)
{
    pond_options *options = options_new();
    pond_client *client = NULL;
    OK(pond_options_set_queue(options, queue));
    OK(pond_client_new(server_url(shared_server(), "ws", "/script"), NULL, options, &client, NULL));
    OK(pond_options_free(options));
    OK(pond_client_connect(client));
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    return client;
}

static void drain(pond_queue *queue)
{
    pond_event *event;
    while (pond_queue_next(queue, 0, &event) == POND_OK) pond_event_free(event);
}

static void waits(void **state)
{
    pond_queue *queue;
    pond_event *event = (pond_event *)&queue;
    uint32_t n = 7;
    int64_t begin;
    (void)state;
    OK(pond_queue_new(&queue));
    STATUS(POND_EMPTY, pond_queue_next(queue, 0, &event));
    assert_null(event);
    begin = now_ms();
    STATUS(POND_TIMEOUT, pond_queue_next(queue, 30, &event));
    assert_true(now_ms() - begin >= 25);
    STATUS(POND_EMPTY, pond_queue_next_many(queue, 0, &event, 1, &n));
    assert_int_equal(n, 0);
    STATUS(0, pond_queue_dispatch(queue, 0, 0));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_queue_next(queue, 0, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_queue_next_many(queue, 0, &event, 1, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_queue_fd(queue, NULL));
    OK(pond_queue_free(queue));
}

typedef struct waiter {
    pond_queue *queue;
    atomic_int started, status;
} waiter;

static void *wait_on(void *user_data)
{
    waiter *self = user_data;
    pond_event *event;
    atomic_store(&self->started, 1);
    atomic_store(&self->status, pond_queue_next(self->queue, POND_FOREVER, &event));
    return NULL;
}

static void begin_waiting(waiter *self, pthread_t *thread)
{
    atomic_store(&self->started, 0);
    assert_int_equal(pthread_create(thread, NULL, wait_on, self), 0);
    while (!atomic_load(&self->started)) poll(NULL, 0, 1);
    poll(NULL, 0, 20); /* most likely inside the wait now; both cases are right */
}

static void interrupts(void **state)
{
    waiter self = {0};
    pond_event *event;
    struct pollfd pfd = {-1, POLLIN, 0};
    pthread_t thread;
    (void)state;
    OK(pond_queue_new(&self.queue));
    begin_waiting(&self, &thread);
    OK(pond_queue_interrupt(self.queue));
    pthread_join(thread, NULL);
    STATUS(POND_INTERRUPTED, atomic_load(&self.status));
    /* Before the wait; calls do not add up; the descriptor shows it. */
    OK(pond_queue_interrupt(self.queue));
    OK(pond_queue_interrupt(self.queue));
    OK(pond_queue_fd(self.queue, &pfd.fd));
    assert_int_equal(poll(&pfd, 1, (int)DEADLINE), 1);
    STATUS(POND_INTERRUPTED, pond_queue_next(self.queue, POND_FOREVER, &event));
    STATUS(POND_TIMEOUT, pond_queue_next(self.queue, 10, &event));
    assert_int_equal(poll(&pfd, 1, 0), 0);
    OK(pond_queue_free(self.queue));
}

static void freed_while_waiting(void **state)
{
    waiter self = {0};
    pthread_t thread;
    (void)state;
    OK(pond_queue_new(&self.queue));
    begin_waiting(&self, &thread);
    OK(pond_queue_free(self.queue));
    pthread_join(thread, NULL);
    /* CLOSED, or the handle was gone before the wait began. */
    assert_true(atomic_load(&self.status) == POND_ERROR_CLOSED ||
                atomic_load(&self.status) == POND_ERROR_INVALID_HANDLE);
}

static void freed_with_clients(void **state)
{
    pond_queue *queue;
    pond_client *client;
    pond_event *event;
    (void)state;
    OK(pond_queue_new(&queue));
    client = client_on(queue);
    STATUS(POND_DEFERRED, pond_queue_free(queue));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_queue_next(queue, 0, &event));
    STATUS(POND_ERROR_INVALID_HANDLE, pond_queue_free(queue));
    STATUS(POND_CLIENT_CONNECTED, pond_client_state(client));
    OK(pond_client_free(client));
}

/* Readable exactly while there is something. */
static void descriptor(void **state)
{
    struct pollfd pfd = {-1, POLLIN, 0};
    pond_queue *queue;
    pond_client *client;
    int32_t again;
    (void)state;
    OK(pond_queue_new(&queue));
    OK(pond_queue_fd(queue, &pfd.fd));
    OK(pond_queue_fd(queue, &again));
    assert_int_equal(again, pfd.fd);
    assert_true(fcntl(pfd.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(poll(&pfd, 1, 0), 0);
    client = client_on(queue);
    assert_int_equal(poll(&pfd, 1, (int)DEADLINE), 1);
    assert_int_equal(poll(&pfd, 1, 0), 1); /* a level, not an edge */
    drain(queue);
    assert_int_equal(poll(&pfd, 1, 0), 0);
    OK(pond_client_suspend(client));
    assert_int_equal(poll(&pfd, 1, (int)DEADLINE), 1);
    while (pond_queue_dispatch(queue, 0, 0) > 0) {
    }
    assert_int_equal(poll(&pfd, 1, 0), 0);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

static atomic_int wakes, wake_gone;

static void on_wake(const pond_event *event, void *user_data)
{
    atomic_fetch_add(&wakes, pond_event_kind(event) == POND_EVENT_WAKE && user_data == &wakes ? 1 : 1000);
}

static void on_wake_gone(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&wake_gone, 1);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        int64_t end = now_ms() + DEADLINE;                                                                             \
        while (!(condition) && now_ms() < end) poll(NULL, 0, 1);                                                       \
        assert_true(condition);                                                                                        \
    } while (0)

/* Once from empty to not empty, at once if it is not empty, and after a dispatch that left something. */
static void waking(void **state)
{
    pond_queue *queue;
    pond_client *client;
    (void)state;
    atomic_store(&wakes, 0);
    atomic_store(&wake_gone, 0);
    OK(pond_queue_new(&queue));
    client = client_on(queue); /* CONNECTING and CONNECTED wait already */
    OK(pond_queue_set_wake(queue, on_wake, &wakes, on_wake_gone));
    AWAIT(atomic_load(&wakes) == 1);
    STATUS(1, pond_queue_dispatch(queue, 1, 0)); /* one is left */
    AWAIT(atomic_load(&wakes) == 2);
    while (pond_queue_dispatch(queue, 0, 0) > 0) {
    }
    OK(pond_client_suspend(client));
    AWAIT(atomic_load(&wakes) == 3);
    OK(pond_client_resume(client)); /* not empty: no further call */
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    assert_int_equal(atomic_load(&wakes), 3);
    assert_int_equal(atomic_load(&wake_gone), 0);
    OK(pond_queue_set_wake(queue, on_wake, &wakes, on_wake_gone)); /* replaces */
    AWAIT(atomic_load(&wake_gone) == 1);
    AWAIT(atomic_load(&wakes) == 4);
    OK(pond_queue_set_wake(queue, NULL, NULL, NULL));
    AWAIT(atomic_load(&wake_gone) == 2);
    drain(queue);
    OK(pond_client_suspend(client));
    OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
    assert_int_equal(atomic_load(&wakes), 4);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

static void many_at_once(void **state)
{
    enum { COUNT = 500, ROOM = 64 };
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel;
    pond_event *events[ROOM];
    int seen = 0;
    (void)state;
    OK(pond_queue_new(&queue));
    client = client_on(queue);
    OK(pond_client_channel(client, room("many"), NULL, &channel, NULL));
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    drain(queue);
    OK(pond_channel_send(channel, "raw",
                         "{\"count\":500,\"frames\":[\"{\\\"action\\\":\\\"BROADCAST\\\",\\\"event\\\":\\\"n\\\","
                         "\\\"channelName\\\":\\\"$CHANNEL\\\",\\\"requestId\\\":\\\"x\\\","
                         "\\\"payload\\\":{\\\"i\\\":$I}}\"]}",
                         NULL));
    while (seen < COUNT) {
        uint32_t n = 0, i;
        OK(pond_queue_next_many(queue, DEADLINE, events, ROOM, &n));
        assert_true(n >= 1 && n <= ROOM);
        for (i = 0; i < n; i++) {
            double number = -1;
            OK(pond_json_number(pond_event_payload(events[i], NULL), strlen(pond_event_payload(events[i], NULL)), "/i",
                                &number));
            assert_int_equal((int)number, seen++);
            pond_event_free(events[i]);
        }
    }
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

static void shared_by_clients(void **state)
{
    pond_queue *queue;
    pond_client *one, *two;
    pond_event *event;
    int seen[2] = {0, 0};
    (void)state;
    OK(pond_queue_new(&queue));
    one = client_on(queue);
    two = client_on(queue);
    while (seen[0] < 2 || seen[1] < 2) {
        OK(pond_queue_next(queue, DEADLINE, &event));
        STATUS(POND_EVENT_CLIENT_STATE, pond_event_kind(event));
        assert_true(pond_event_client(event) == one || pond_event_client(event) == two);
        seen[pond_event_client(event) == two]++;
        pond_event_free(event);
    }
    OK(pond_client_free(one));
    OK(pond_client_suspend(two)); /* the other goes on */
    OK(pond_queue_next(queue, DEADLINE, &event));
    assert_ptr_equal(pond_event_client(event), two);
    pond_event_free(event);
    STATUS(POND_DEFERRED, pond_queue_free(queue));
    OK(pond_client_free(two));
}

static atomic_int inside, leave_handler;

static void stay(const pond_event *event, void *user_data)
{
    int i;
    (void)event;
    (void)user_data;
    atomic_store(&inside, 1);
    for (i = 0; i < 20000 && !atomic_load(&leave_handler); i++) poll(NULL, 0, 1);
}

static void *dispatch_one(void *queue)
{
    return (void *)(intptr_t)pond_queue_dispatch(queue, 1, 0);
}

/* Only one thread dispatches at a time. */
static void busy(void **state)
{
    pond_queue *queue;
    pond_client *client;
    pthread_t thread;
    void *result = NULL;
    (void)state;
    atomic_store(&inside, 0);
    atomic_store(&leave_handler, 0);
    OK(pond_queue_new(&queue));
    client = client_on(queue);
    OK(pond_client_on_state(client, stay, registering(NULL), count_destroy, NULL));
    assert_int_equal(pthread_create(&thread, NULL, dispatch_one, queue), 0);
    AWAIT(atomic_load(&inside));
    STATUS(POND_ERROR_BUSY, pond_queue_dispatch(queue, 0, 0));
    atomic_store(&leave_handler, 1);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 1);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

/* A pulled request's user data lives as long as its event. */
static void pulled_request_data(void **state)
{
    static int data;
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel;
    pond_event *event = NULL;
    uint64_t ticket = 0;
    (void)state;
    OK(pond_queue_new(&queue));
    client = client_on(queue);
    OK(pond_client_channel(client, room("data"), NULL, &channel, NULL));
    OK(pond_channel_join(channel));
    OK(pond_channel_request(channel, "reply", "{}", 0, NULL, registering(&data), count_destroy, &ticket, NULL));
    do {
        pond_event_free(event);
        OK(pond_queue_next(queue, DEADLINE, &event));
    } while (pond_event_kind(event) != POND_EVENT_REPLY);
    assert_int_equal(pond_event_ticket(event), ticket);
    assert_ptr_equal(pond_event_user_data(event), &data);
    assert_int_equal(destroyed(), 0);
    pond_event_free(event);
    assert_int_equal(destroyed(), 1);
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
}

const test queue_tests[] = {
    TEST(waits, ONCE),
    TEST(interrupts, ONCE),
    TEST(freed_while_waiting, ONCE),
    TEST(freed_with_clients, ONCE),
    TEST(descriptor, ONCE),
    TEST(waking, ONCE),
    TEST(many_at_once, ONCE),
    TEST(shared_by_clients, ONCE),
    TEST(busy, ONCE),
    TEST(pulled_request_data, ONCE),
    {0},
};
