/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shutdown contract, line 5: any order of freeing; a queue with clients goes with the last of them.
 */
#include "contract.h"

enum { CLIENT, CHANNEL, QUEUE, SUBSCRIPTION, OPTIONS, THINGS };

static void free_in_order(const int order[THINGS])
{
    pond_options *options = fast_options(), *copy;
    pond_queue *queue;
    pond_client *client = NULL;
    pond_channel *channel;
    pond_subscription *subscription;
    pond_event *event;
    tracked *wake = track(), *request = track(), *on_client = track(), *on_channel = track(), *forgotten = track();
    int i, gone[THINGS] = {0};
    OK(pond_queue_new(&queue));
    OK(pond_queue_set_wake(queue, on_call, wake, on_destroy));
    OK(pond_options_new(&copy));
    OK(pond_options_set_queue(options, queue));
    OK(pond_options_set_queue(copy, queue));
    client = script(options);
    channel = joined(client, room("order"), NULL);
    OK(pond_client_on_state(client, on_call, on_client, on_destroy, NULL));
    OK(pond_channel_on_state(channel, on_call, forgotten, on_destroy, NULL));
    OK(pond_channel_on_message(channel, on_call, on_channel, on_destroy, &subscription));
    OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, on_call, request, on_destroy, NULL, NULL));
    for (i = 0; i < THINGS; i++) {
        switch (order[i]) {
        case CLIENT:
            OK(pond_client_free(client));
            CHECK(on_client->destroys == 1 && forgotten->destroys == 1 && on_channel->destroys == 1);
            CHECK(request->destroys == 1 && request->calls == 1);
            break;
        case CHANNEL:
            IS(gone[CLIENT] ? POND_ERROR_INVALID_HANDLE : POND_OK, pond_channel_free(channel));
            CHECK(forgotten->destroys == 1 && on_channel->destroys == 1);
            break;
        case QUEUE:
            IS(gone[CLIENT] ? POND_OK : POND_DEFERRED, pond_queue_free(queue));
            CHECK(wake->destroys == 1);
            IS(POND_ERROR_INVALID_HANDLE, pond_queue_free(queue));
            IS(POND_ERROR_INVALID_HANDLE, pond_queue_next(queue, 0, &event));
            IS(POND_ERROR_INVALID_HANDLE, pond_queue_dispatch(queue, 0, 0));
            CHECK(event == NULL);
            break;
        case SUBSCRIPTION:
            IS(gone[CLIENT] || gone[CHANNEL] ? POND_ERROR_INVALID_HANDLE : POND_OK,
               pond_subscription_cancel(subscription));
            CHECK(on_channel->destroys == 1);
            break;
        default: OK(pond_options_free(copy));
        }
        gone[order[i]] = 1;
    }
    CHECK(destroyed_all());
}

static void each_order(int order[THINGS], int n)
{
    int i, kept;
    if (n == THINGS) {
        free_in_order(order);
        return;
    }
    for (i = n; i < THINGS; i++) {
        kept = order[n], order[n] = order[i], order[i] = kept;
        each_order(order, n + 1);
        kept = order[n], order[n] = order[i], order[i] = kept;
    }
}

static void any_order(void)
{
    int order[THINGS] = {CLIENT, CHANNEL, QUEUE, SUBSCRIPTION, OPTIONS};
    each_order(order, 0);
}

/* The queue is freed first: its clients stall, nothing is called, and all goes with the last of them. */
static void deferred_queue(void)
{
    pond_queue *queue;
    pond_client *clients[3];
    tracked *states[3], *requests[3];
    int i;
    OK(pond_queue_new(&queue));
    for (i = 0; i < 3; i++) {
        pond_options *options = fast_options();
        OK(pond_options_set_queue(options, queue));
        clients[i] = chat("deferred", options);
        OK(pond_client_on_state(clients[i], on_call, states[i] = track(), on_destroy, NULL));
    }
    IS(POND_DEFERRED, pond_queue_free(queue));
    for (i = 0; i < 3; i++) {
        pond_channel *channel = channel_of(clients[i], room("deferred"), NULL); /* the clients live on */
        OK(pond_channel_join(channel));
        OK(pond_channel_send(channel, "x", NULL, NULL));
        IS(POND_CLIENT_CONNECTED, pond_client_state(clients[i]));
        /* A reply that nobody can pull any more still has its destroy. */
        OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, NULL, requests[i] = track(), on_destroy, NULL, NULL));
        OK(pond_client_free(clients[i]));
        CHECK(requests[i]->calls == 0 && requests[i]->destroys == 1);
        CHECK(states[i]->calls == 0 && states[i]->destroys == 1);
    }
}

/* Freeing the queue ends a wait for its events, and the one that waits is told so. */
static atomic_int waits;
static void *wait_for_event(void *queue)
{
    pond_event *event = (pond_event *)&waits;
    waits++;
    IS(POND_ERROR_CLOSED, pond_queue_next(queue, POND_FOREVER, &event));
    CHECK(event == NULL);
    return NULL;
}
static void queue_free_ends_waits(void)
{
    pond_queue *queue;
    pthread_t threads[4];
    int i;
    OK(pond_queue_new(&queue));
    for (i = 0; i < 4; i++) threads[i] = start(wait_for_event, queue);
    UNTIL(waits == 4);
    usleep(20000);
    OK(pond_queue_free(queue));
    for (i = 0; i < 4; i++) finish(threads[i]);
}

/* A queue freed by a handler that it runs; and by its wake function. */
static void free_queue(tracked *self, const pond_event *event)
{
    int32_t status;
    (void)event;
    AT_ONCE(status = pond_queue_free(self->data));
    if (status != POND_DEFERRED) IS(POND_ERROR_INVALID_HANDLE, status);
}
static void queue_freed_in_handlers(void)
{
    int place;
    for (place = 0; place < 2; place++) {
        pond_options *options = fast_options();
        pond_queue *queue;
        pond_client *client;
        tracked *it;
        int32_t taken = 0;
        OK(pond_queue_new(&queue));
        OK(pond_options_set_queue(options, queue));
        client = client_at(url("ws", shared_port(), "/script"), NULL, options);
        it = track_with(free_queue, queue);
        if (place) OK(pond_queue_set_wake(queue, on_call, it, on_destroy));
        else OK(pond_client_on_state(client, on_call, it, on_destroy, NULL));
        OK(pond_client_connect(client));
        while (taken >= 0) taken = pond_queue_dispatch(queue, 0, 0);
        IS(POND_ERROR_INVALID_HANDLE, taken);
        CHECK(it->calls >= 1);
        OK(pond_client_free(client));
        UNTIL(it->destroys == 1);
    }
}

/* A registration without a handle goes with its channel, also when the channel is freed at that very moment. */
static pond_channel *raced;
static void *register_many(void *unused)
{
    int32_t status = POND_OK;
    while (status == POND_OK) status = pond_channel_on_message(raced, on_call, track(), on_destroy, NULL);
    if (status != POND_ERROR_CLOSED) IS(POND_ERROR_INVALID_HANDLE, status);
    return unused;
}
static void channel_freed_while_registering(void)
{
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    int i, n = rounds(200);
    for (i = 0; i < n; i++) {
        pthread_t thread;
        raced = channel_of(client, room("raced"), NULL);
        thread = start(register_many, NULL);
        usleep((useconds_t)(i % 8) * 20);
        OK(pond_channel_free(raced));
        finish(thread);
        CHECK(destroyed_all());
    }
}

const test end_tests[] = {
    {"any_order", any_order, 0},
    {"deferred_queue", deferred_queue, 0},
    {"queue_free_ends_waits", queue_free_ends_waits, 0},
    {"queue_freed_in_handlers", queue_freed_in_handlers, 0},
    {"channel_freed_while_registering", channel_freed_while_registering, 0},
    {NULL, NULL, 0},
};
