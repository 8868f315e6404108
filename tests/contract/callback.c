/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shutdown contract, lines 2 to 4: what holds when free or cancel returns, outside of callbacks and inside of them.
 */
#include "contract.h"

static const char flood[] = "{\"count\":300,\"size\":20}";

/* ---- line 2: outside of callbacks ------------------------------------------------------------------------------- */

/* A chat client whose message and state handlers are watched; they are put into `watched`. */
static pond_client *flooded(pond_options *options, tracked *watched[3], pond_channel **channel)
{
    pond_client *client = chat("flood", options);
    *channel = joined(client, room("flood"), NULL);
    OK(pond_channel_on_message(*channel, on_call, watched[0] = track(), on_destroy, NULL));
    OK(pond_channel_on_event(*channel, "*", on_call, watched[1] = track(), on_destroy, NULL));
    OK(pond_channel_on_state(*channel, on_call, watched[2] = track(), on_destroy, NULL));
    OK(pond_channel_send(*channel, "flood", flood, NULL));
    return client;
}

static void no_call_after_free(void)
{
    int i, n = rounds(100);
    for (i = 0; i < n; i++) {
        tracked *watched[3];
        pond_channel *channel;
        pond_client *client = flooded(NULL, watched, &channel);
        UNTIL(watched[0]->calls > i % 50);
        OK(pond_client_free(client));
        watched[0]->over = watched[1]->over = watched[2]->over = 1;
        CHECK(watched[0]->destroys == 1 && watched[1]->destroys == 1 && watched[2]->destroys == 1);
    }
    usleep(20000); /* a late call would fail the test */
}

static void no_call_after_free_with_queue(void)
{
    int i, n = rounds(100);
    pond_queue *queue;
    loop *loop;
    OK(pond_queue_new(&queue));
    loop = loop_start(queue);
    for (i = 0; i < n; i++) {
        tracked *watched[3];
        pond_channel *channel;
        pond_client *client;
        pond_options *options = fast_options();
        OK(pond_options_set_queue(options, queue));
        client = flooded(options, watched, &channel);
        UNTIL(watched[0]->calls > i % 50);
        CHECK(watched[0]->caller == loop->tid);
        OK(pond_client_free(client));
        watched[0]->over = watched[1]->over = watched[2]->over = 1;
        CHECK(watched[0]->destroys == 1 && watched[1]->destroys == 1 && watched[2]->destroys == 1);
        CHECK(watched[0]->destroyer == loop->tid || watched[0]->destroyer == thread_id());
    }
    loop_end(loop);
    OK(pond_queue_free(queue));
}

/* Requests end first, each once, with CLOSED, on the calling thread; then the handlers' destroys. */
static atomic_int order;
static void note_order(tracked *self)
{
    self->data = (void *)(intptr_t)++order;
}
static void note_order_of_call(tracked *self, const pond_event *event)
{
    CHECK(pond_event_kind(event) == POND_EVENT_REPLY);
    note_order(self);
}

static void requests_end_first(void)
{
    int queued, i;
    for (queued = 0; queued < 2; queued++) {
        pond_queue *queue = NULL;
        pond_options *options = fast_options();
        pond_client *client;
        pond_channel *channel;
        tracked *state = track(), *requests[5];
        if (queued) {
            OK(pond_queue_new(&queue));
            OK(pond_options_set_queue(options, queue));
        }
        order = 0;
        client = script(options);
        channel = joined(client, room("requests"), NULL);
        OK(pond_channel_on_message(channel, on_call, state, on_destroy, NULL));
        state->at_destroy = note_order;
        for (i = 0; i < 5; i++) {
            requests[i] = track_with(note_order_of_call, NULL);
            OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, on_call, requests[i], on_destroy, NULL, NULL));
        }
        OK(pond_client_free(client));
        for (i = 0; i < 5; i++) {
            CHECK(requests[i]->calls == 1 && requests[i]->destroys == 1);
            CHECK(requests[i]->last_status == POND_ERROR_CLOSED);
            CHECK(requests[i]->caller == thread_id() && requests[i]->destroyer == thread_id());
            CHECK((intptr_t)requests[i]->data < (intptr_t)state->data);
        }
        if (queue) OK(pond_queue_free(queue));
        CHECK(destroyed_all());
    }
}

/* A reply that is to be pulled stays in the queue; other unread events go. */
static void pulled_requests_stay(void)
{
    pond_queue *queue;
    pond_options *options = fast_options();
    pond_client *client;
    pond_channel *channel;
    pond_event *event;
    tracked *request = track(), *unread = track();
    uint64_t tickets[2];
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    client = script(options);
    channel = joined(client, room("pulled"), NULL);
    OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, NULL, request, on_destroy, &tickets[0], NULL));
    OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, NULL, unread, on_destroy, &tickets[1], NULL));
    OK(pond_client_free(client));
    OK(pond_queue_next(queue, 0, &event));
    CHECK(pond_event_kind(event) == POND_EVENT_REPLY && pond_event_status(event) == POND_ERROR_CLOSED);
    CHECK(pond_event_ticket(event) == tickets[0] && pond_event_user_data(event) == request);
    CHECK(request->destroys == 0); /* its user data is still told by the event */
    pond_event_free(event);
    CHECK(request->destroys == 1);
    OK(pond_queue_free(queue)); /* the other goes unread */
    CHECK(unread->destroys == 1 && request->calls + unread->calls == 0);
}

static pond_event *kept;
static void keep(tracked *self, const pond_event *event)
{
    (void)self;
    if (!kept && pond_event_kind(event) == POND_EVENT_MESSAGE) kept = pond_event_retain(event);
}

static void owned_events_stay_valid(void)
{
    pond_queue *queue;
    pond_options *options = fast_options();
    pond_client *client;
    pond_channel *channel;
    pond_event *pulled = NULL, *reply;
    const char *name = room("owned");
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    client = chat("owner", options);
    channel = joined(client, name, NULL);
    OK(pond_channel_call(channel, "echo", "{\"text\":\"still here\"}", DEADLINE, &reply, NULL));
    OK(pond_channel_on_message(channel, on_call, track_with(keep, NULL), on_destroy, NULL));
    OK(pond_channel_send(channel, "message", "{\"n\":17}", NULL));
    UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && kept);
    OK(pond_channel_send(channel, "message", "{\"n\":18}", NULL));
    while (!pulled || pond_event_kind(pulled) != POND_EVENT_MESSAGE) {
        pond_event_free(pulled);
        OK(pond_queue_next(queue, DEADLINE, &pulled));
    }
    OK(pond_client_free(client));
    OK(pond_queue_free(queue));
    OK(pond_shutdown(DEADLINE));
    CHECK(strstr(pond_event_payload(kept, NULL), "17") && strstr(pond_event_payload(pulled, NULL), "18"));
    CHECK(strcmp(pond_event_channel_name(kept, NULL), name) == 0 && strcmp(pond_event_name(reply, NULL), "echo") == 0);
    CHECK(strstr(pond_event_payload(reply, NULL), "still here"));
    IS(POND_ERROR_INVALID_HANDLE, pond_client_state(pond_event_client(kept)));
    pond_event_free(kept);
    pond_event_free(pulled);
    pond_event_free(reply);
}

/* ---- line 3: inside of callbacks -------------------------------------------------------------------------------- */

typedef struct pair {
    pond_client *others[2];
    atomic_int inside, freed;
} pair;
static pair two;

static void free_the_other(tracked *self, const pond_event *event)
{
    int me = (int)(intptr_t)self->data;
    (void)event;
    if (self->calls > 1) return;
    two.inside++;
    UNTIL(two.inside >= 2); /* both handlers run now */
    AT_ONCE(OK(pond_client_free(two.others[me])));
    two.freed++;
    UNTIL(two.freed >= 2);
}

static void each_other(void)
{
    int i, k, n = rounds(50);
    for (i = 0; i < n; i++) {
        tracked *watched[2];
        memset(&two, 0, sizeof two);
        for (k = 0; k < 2; k++) {
            pond_client *client = chat("pair", NULL);
            pond_channel *channel = joined(client, room("pair"), NULL);
            two.others[1 - k] = client;
            watched[k] = track_with(free_the_other, (void *)(intptr_t)k);
            OK(pond_channel_on_message(channel, on_call, watched[k], on_destroy, NULL));
            OK(pond_channel_send(channel, "message", NULL, NULL));
        }
        UNTIL(watched[0]->destroys == 1 && watched[1]->destroys == 1);
        CHECK(watched[0]->calls == 1 && watched[1]->calls == 1);
        CHECK(destroyed_all());
    }
}

/* Frees whatever client the event or `data` tells. */
static void free_in_it(tracked *self, const pond_event *event)
{
    pond_client *client = self->data ? self->data : pond_event_client(event);
    int32_t status;
    if (atomic_exchange(&self->done, 1)) return;
    AT_ONCE(status = pond_client_free(client));
    if (status != POND_OK) IS(POND_ERROR_INVALID_HANDLE, status);
}
static void free_at_destroy(tracked *self)
{
    AT_ONCE(OK(pond_client_free(self->data)));
}
static void cancel_others(tracked *self, const pond_event *event)
{
    free_in_it(self, event);
    IS(POND_ERROR_INVALID_HANDLE, pond_client_disconnect(pond_event_client(event)));
}

static void may_be_freed(int32_t status)
{
    if (status != POND_OK && status != POND_ERROR_CLOSED) IS(POND_ERROR_INVALID_HANDLE, status);
}

enum { IN_STATE, IN_ERROR, IN_DIAL, IN_MESSAGE, IN_PATTERN, IN_PRESENCE, IN_REPLY, IN_DROPPED, IN_DESTROY, IN_WAKE,
       IN_LOG, PLACES };

static void free_in_place(int place, int with_queue)
{
    pond_options *options = fast_options();
    pond_queue *queue = NULL;
    pond_client *client;
    pond_channel *channel;
    pond_subscription *subscription;
    loop *loop = NULL;
    tracked *it = track_with(place == IN_MESSAGE ? cancel_others : free_in_it, NULL), *other = track();
    const char *where = url("ws", shared_port(), place == IN_ERROR ? "/refuse/500" : "/api/socket");
    if (with_queue) {
        OK(pond_queue_new(&queue));
        OK(pond_options_set_queue(options, queue));
        if (place != IN_WAKE) loop = loop_start(queue);
    }
    if (place == IN_DIAL) OK(pond_options_set_ask_before_dial(options, 1));
    client = client_at(where, "{\"token\":\"secret\"}", options);
    OK(pond_client_on_state(client, on_call, other, on_destroy, NULL));
    channel = channel_of(client, room("place"), NULL);
    switch (place) {
    case IN_STATE: OK(pond_client_on_state(client, on_call, it, on_destroy, NULL)); break;
    case IN_ERROR: OK(pond_client_on_error(client, on_call, it, on_destroy, NULL)); break;
    case IN_DIAL: OK(pond_client_on_dial(client, on_call, it, on_destroy, NULL)); break;
    case IN_MESSAGE: OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL)); break;
    case IN_PATTERN: OK(pond_channel_on_event(channel, "message", on_call, it, on_destroy, NULL)); break;
    case IN_PRESENCE: OK(pond_channel_on_users_change(channel, on_call, it, on_destroy, NULL)); break;
    case IN_REPLY:
        OK(pond_channel_request(channel, "ping", NULL, 0, on_call, it, on_destroy, NULL, NULL));
        break;
    case IN_DROPPED:
        OK(pond_channel_on_dropped(channel, on_call, it, on_destroy, NULL));
        OK(pond_channel_send(channel, "x", NULL, NULL));
        OK(pond_channel_leave(channel));
        break;
    case IN_DESTROY:
        OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
        it->at_destroy = free_at_destroy;
        it->data = client;
        break;
    case IN_WAKE:
        it->data = client;
        OK(pond_queue_set_wake(queue, on_call, it, on_destroy));
        break;
    default:
        it->data = client;
        OK(pond_log_set(POND_LOG_TRACE, on_call, it, on_destroy));
    }
    if (place == IN_DESTROY) {
        connected(client);
        OK(pond_subscription_cancel(subscription));
    } else { /* each of these may find it freed already */
        may_be_freed(pond_channel_join(channel));
        may_be_freed(pond_channel_send(channel, "message", "{\"n\":1}", NULL));
        may_be_freed(pond_client_connect(client));
    }
    UNTIL(pond_client_state(client) == POND_ERROR_INVALID_HANDLE);
    UNTIL(other->destroys == 1);
    if (place == IN_WAKE) OK(pond_queue_set_wake(queue, NULL, NULL, NULL));
    if (place == IN_LOG) OK(pond_log_set(POND_LOG_OFF, NULL, NULL, NULL));
    UNTIL(it->destroys == 1);
    if (loop) loop_end(loop);
    if (queue) OK(pond_queue_free(queue));
    CHECK(destroyed_all());
}

static void in_every_callback(void)
{
    int place, round, n = rounds(5);
    for (place = 0; place < PLACES; place++)
        for (round = 0; round < n; round++) {
            if (place != IN_WAKE) free_in_place(place, 0);
            free_in_place(place, 1);
        }
}

/* A handler that frees a client whose handler is blocked does not wait for it; destroy announces the end. */
static atomic_int blocked, release;
static void block(tracked *self, const pond_event *event)
{
    (void)self, (void)event;
    blocked = 1;
    UNTIL(release);
}

static void blocked_elsewhere(void)
{
    pond_client *slow = chat("slow", NULL), *quick = chat("quick", NULL);
    pond_channel *slow_channel = joined(slow, room("slow"), NULL), *quick_channel = joined(quick, room("quick"), NULL);
    tracked *it = track_with(block, NULL), *freeing = track_with(free_in_it, slow);
    OK(pond_channel_on_message(slow_channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_on_message(quick_channel, on_call, freeing, on_destroy, NULL));
    OK(pond_channel_send(slow_channel, "message", NULL, NULL));
    OK(pond_channel_send(slow_channel, "message", NULL, NULL));
    UNTIL(blocked);
    OK(pond_channel_send(quick_channel, "message", NULL, NULL));
    UNTIL(pond_client_state(slow) == POND_ERROR_INVALID_HANDLE && freeing->running == 0);
    CHECK(it->destroys == 0); /* it still runs */
    release = 1;
    UNTIL(it->destroys == 1);
    CHECK(it->calls == 1);
}

/* The log sink replaced and removed by itself: nothing waits, each destroy runs. */
static void replace_sink(tracked *self, const pond_event *event)
{
    (void)event;
    if (atomic_exchange(&self->done, 1)) return;
    if (self->data) AT_ONCE(OK(pond_log_set(POND_LOG_TRACE, on_call, self->data, on_destroy)));
    else AT_ONCE(OK(pond_log_set(POND_LOG_OFF, NULL, NULL, NULL)));
    CHECK(self->destroys == 0); /* it runs */
}
static void sink_replaced_in_itself(void)
{
    tracked *second = track_with(replace_sink, NULL), *first = track_with(replace_sink, second);
    int i;
    OK(pond_log_set(POND_LOG_TRACE, on_call, first, on_destroy));
    for (i = 0; i < 3; i++) connected(client_at(url("ws", shared_port(), "/script"), NULL, NULL));
    UNTIL(first->destroys == 1 && second->destroys == 1);
}

/* ---- line 4: subscriptions -------------------------------------------------------------------------------------- */

static void no_call_after_cancel(void)
{
    int queued, i, n = rounds(100);
    for (queued = 0; queued < 2; queued++) {
        pond_options *options = fast_options();
        pond_queue *queue = NULL;
        pond_client *client;
        pond_channel *channel;
        loop *loop = NULL;
        if (queued) {
            OK(pond_queue_new(&queue));
            OK(pond_options_set_queue(options, queue));
            loop = loop_start(queue);
        }
        client = chat("cancel", options);
        channel = joined(client, room("cancel"), NULL);
        for (i = 0; i < n; i++) {
            pond_subscription *subscription;
            tracked *it = track();
            OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
            OK(pond_channel_send(channel, "flood", "{\"count\":50,\"size\":10}", NULL));
            UNTIL(it->calls > i % 20);
            OK(pond_subscription_cancel(subscription));
            it->over = 1;
            CHECK(it->destroys == 1);
            IS(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(subscription));
        }
        OK(pond_client_free(client));
        if (loop) loop_end(loop);
        if (queue) OK(pond_queue_free(queue));
        CHECK(destroyed_all());
    }
}

static void cancel_itself(tracked *self, const pond_event *event)
{
    (void)event;
    AT_ONCE(OK(pond_subscription_cancel(self->data)));
    CHECK(self->destroys == 0); /* it runs */
}
static void cancelled_in_itself(void)
{
    pond_client *client = chat("self", NULL);
    pond_channel *channel = joined(client, room("self"), NULL);
    pond_subscription *subscription;
    tracked *it = track_with(cancel_itself, NULL);
    pond_event *reply;
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
    it->data = subscription;
    OK(pond_channel_send(channel, "flood", "{\"count\":20,\"size\":1}", NULL));
    UNTIL(it->destroys == 1);
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &reply, NULL));
    pond_event_free(reply);
    CHECK(it->calls == 1);
}

/* Cancelled while its handler is blocked: outside it waits, inside another handler it does not. */
static void *cancel_it(void *subscription)
{
    OK(pond_subscription_cancel(subscription));
    return NULL;
}
static void cancelled_while_running(void)
{
    pond_client *client = chat("running", NULL), *other = chat("other", NULL);
    pond_channel *channel = joined(client, room("running"), NULL), *quick = joined(other, room("quick"), NULL);
    pond_subscription *subscription;
    tracked *it = track_with(block, NULL), *inside = track_with(cancel_itself, NULL);
    pthread_t thread;
    blocked = release = 0;
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
    OK(pond_channel_send(channel, "message", NULL, NULL));
    UNTIL(blocked);
    thread = start(cancel_it, subscription);
    usleep(50000);
    CHECK(it->destroys == 0 && pthread_tryjoin_np(thread, NULL) == EBUSY);
    release = 1;
    finish(thread);
    CHECK(it->destroys == 1 && it->calls == 1);

    blocked = release = 0;
    it = track_with(block, NULL);
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
    inside->data = subscription;
    OK(pond_channel_send(channel, "message", NULL, NULL));
    UNTIL(blocked);
    OK(pond_channel_on_message(quick, on_call, inside, on_destroy, NULL));
    OK(pond_channel_send(quick, "message", NULL, NULL));
    UNTIL(inside->calls == 1 && inside->running == 0); /* it did not wait */
    CHECK(it->destroys == 0);
    release = 1;
    UNTIL(it->destroys == 1);
}

const test callback_tests[] = {
    {"no_call_after_free", no_call_after_free, 0},
    {"no_call_after_free_with_queue", no_call_after_free_with_queue, 0},
    {"requests_end_first", requests_end_first, 0},
    {"pulled_requests_stay", pulled_requests_stay, 0},
    {"owned_events_stay_valid", owned_events_stay_valid, 0},
    {"each_other", each_other, 0},
    {"in_every_callback", in_every_callback, 0},
    {"blocked_elsewhere", blocked_elsewhere, 0},
    {"sink_replaced_in_itself", sink_replaced_in_itself, 0},
    {"no_call_after_cancel", no_call_after_cancel, 0},
    {"cancelled_in_itself", cancelled_in_itself, 0},
    {"cancelled_while_running", cancelled_while_running, 0},
    {NULL, NULL, 0},
};
