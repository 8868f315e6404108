/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * With a queue no user function but wake and log ever runs on a library thread.
 */
#include "loops.h"

static pthread_t main_thread;

/* One kind of user function: how often it ran, and how often on a thread other than the main one. */
typedef struct role {
    const char *name;
    atomic_int runs, elsewhere, destroyed, destroyed_elsewhere;
} role;

static void on_any(const pond_event *event, void *user_data)
{
    role *self = user_data;
    (void)event;
    atomic_fetch_add(&self->runs, 1);
    if (!pthread_equal(pthread_self(), main_thread)) atomic_fetch_add(&self->elsewhere, 1);
}

static void on_destroy(void *user_data)
{
    role *self = user_data;
    atomic_fetch_add(&self->destroyed, 1);
    if (!pthread_equal(pthread_self(), main_thread)) atomic_fetch_add(&self->destroyed_elsewhere, 1);
}

enum { STATE, ERROR, ENDPOINT, DIAL, MESSAGE, EVENT, CHANNEL_STATE, JOIN, LEAVE, CHANGE, USERS, CHANNEL_ERROR, DROPPED,
       WRITABLE, REPLY, WAKE, LOG, ROLES };
static role roles[ROLES] = {{.name = "on_state"},          {.name = "on_error"},
                            {.name = "on_endpoint_message"}, {.name = "on_dial"},
                            {.name = "on_message"},        {.name = "on_event"},
                            {.name = "channel on_state"},  {.name = "on_join"},
                            {.name = "on_leave"},          {.name = "on_presence_change"},
                            {.name = "on_users_change"},   {.name = "channel on_error"},
                            {.name = "on_dropped"},        {.name = "on_writable"},
                            {.name = "request"},           {.name = "wake"},
                            {.name = "log"}};

static pond_queue *queue;

/* Answers the dial, and is itself checked. */
static void on_dial(const pond_event *event, void *user_data)
{
    on_any(event, user_data);
    pond_client_answer_dial(pond_event_client(event), pond_event_attempt(event), NULL, NULL, NULL);
}

#define ON(which, call, target, fn) OK(call(target, fn, &roles[which], on_destroy, NULL))

static pond_client *watched_client(const char *path, const char *params, pond_options *options)
{
    pond_client *client = client_new(path, params, options);
    ON(STATE, pond_client_on_state, client, on_any);
    ON(ERROR, pond_client_on_error, client, on_any);
    ON(ENDPOINT, pond_client_on_endpoint_message, client, on_any);
    ON(DIAL, pond_client_on_dial, client, on_dial);
    return client;
}

static pond_channel *watched_channel(pond_client *client, const char *name, const char *params)
{
    pond_channel *channel = channel_new(client, name, params);
    ON(MESSAGE, pond_channel_on_message, channel, on_any);
    OK(pond_channel_on_event(channel, "*", on_any, &roles[EVENT], on_destroy, NULL));
    ON(CHANNEL_STATE, pond_channel_on_state, channel, on_any);
    ON(JOIN, pond_channel_on_join, channel, on_any);
    ON(LEAVE, pond_channel_on_leave, channel, on_any);
    ON(CHANGE, pond_channel_on_presence_change, channel, on_any);
    ON(USERS, pond_channel_on_users_change, channel, on_any);
    ON(CHANNEL_ERROR, pond_channel_on_error, channel, on_any);
    ON(DROPPED, pond_channel_on_dropped, channel, on_any);
    ON(WRITABLE, pond_channel_on_writable, channel, on_any);
    return channel;
}

static int ran(int which) { return atomic_load(&roles[which].runs); }

/* Waits for a condition and dispatches meanwhile. */
#define DISPATCH_UNTIL(condition) UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && (condition))
#define JOINED(channel) (pond_channel_state(channel) == POND_CHANNEL_JOINED)

static int32_t ask(pond_channel *channel, const char *event, const char *payload, uint32_t timeout_ms)
{
    return pond_channel_request(channel, event, payload, timeout_ms, on_any, &roles[REPLY], on_destroy, NULL, NULL);
}

/* Fills the client's buffer until a send is refused: WRITABLE follows. */
static void overfill(pond_channel *channel)
{
    char payload[4200];
    int32_t status = POND_OK;
    int i;
    memset(payload, 'x', sizeof payload);
    memcpy(payload, "{\"t\":\"", 6);
    memcpy(payload + 4150, "\"}", 3);
    for (i = 0; i < 100000 && status == POND_OK; i++) status = pond_channel_send(channel, "noise", payload, NULL);
    IS(POND_ERROR_QUEUE_FULL, status);
}

static void queue_handlers_stay_here(void)
{
    pond_client *anna, *bert, *script, *nobody;
    pond_channel *room, *other, *refused, *wide;
    pond_options *options;
    int32_t replies = 0, i;

    main_thread = pthread_self();
    queue = queue_new();
    OK(pond_log_set(POND_LOG_TRACE, on_any, &roles[LOG], on_destroy));
    OK(pond_queue_set_wake(queue, on_any, &roles[WAKE], on_destroy));

    options = options_new(queue);
    OK(pond_options_set_ask_before_dial(options, 1));
    OK(pond_options_set_queue_limit(options, 1));
    anna = watched_client("/api/socket", "{\"token\":\"secret\",\"greet\":1}", options);
    room = watched_channel(anna, "/chat/threads", "{\"username\":\"anna\"}");
    OK(pond_channel_join(room));
    /* One has room to wait, two are dropped. */
    for (i = 0; i < 3; i++) OK(pond_channel_send(room, "message", "{\"text\":\"early\"}", NULL));
    OK(pond_client_connect(anna));
    DISPATCH_UNTIL(JOINED(room) && ran(MESSAGE) > 0 && ran(DROPPED) > 0 && ran(ENDPOINT) > 0);

    bert = watched_client("/api/socket", "{\"token\":\"secret\"}", options_new(queue));
    other = watched_channel(bert, "/chat/threads", "{\"username\":\"bert\"}");
    OK(pond_client_connect(bert));
    OK(pond_channel_join(other));
    DISPATCH_UNTIL(JOINED(other) && ran(JOIN) > 0);
    OK(pond_channel_send(room, "status", "{\"status\":\"away\"}", NULL));
    DISPATCH_UNTIL(ran(CHANGE) > 0 && ran(USERS) > 0);

    /* Requests: answered, timed out, failed. */
    OK(ask(room, "ping", NULL, 0));
    OK(ask(room, "silent", NULL, 50));
    IS(POND_ERROR_INVALID_JSON, ask(room, "ping", "{", 0));
    replies = 2;
    DISPATCH_UNTIL(ran(REPLY) == replies);

    /* Errors: a declined join, and a server that is not there. */
    script = watched_client("/script", NULL, options_new(queue));
    refused = watched_channel(script, "/locked", "{\"mode\":\"decline\"}");
    OK(pond_client_connect(script));
    OK(pond_channel_join(refused));
    DISPATCH_UNTIL(ran(CHANNEL_ERROR) > 0 && pond_channel_state(refused) == POND_CHANNEL_DECLINED);
    nobody = watched_client("/refuse/403", NULL, options_new(queue));
    OK(pond_client_connect(nobody));
    DISPATCH_UNTIL(ran(ERROR) > 0);

    /* A full buffer, and room again. */
    options = options_new(queue);
    OK(pond_options_set_outbound_limit(options, 64 * 1024));
    {
        pond_client *narrow = watched_client("/script", NULL, options);
        wide = watched_channel(narrow, "/wide", NULL);
        OK(pond_client_connect(narrow));
        OK(pond_channel_join(wide));
        DISPATCH_UNTIL(JOINED(wide));
        overfill(wide);
        DISPATCH_UNTIL(ran(WRITABLE) > 0);
    }

    /* Rejoin, leaving, ends: each with its events and destroys. */
    OK(pond_channel_send(room, "close-me", NULL, NULL));
    DISPATCH_UNTIL(pond_channel_state(room) != POND_CHANNEL_JOINED);
    DISPATCH_UNTIL(JOINED(room));
    OK(pond_channel_leave(other));
    DISPATCH_UNTIL(ran(LEAVE) > 0);
    OK(ask(room, "slow", "{\"ms\":5000}", 0));
    OK(ask(room, "slow", "{\"ms\":5000}", 0));
    OK(pond_channel_free(other));
    OK(pond_client_disconnect(bert));
    OK(pond_client_free(anna)); /* both requests end here, on this thread */
    IS(replies + 2, ran(REPLY));
    OK(pond_queue_set_wake(queue, NULL, NULL, NULL));
    IS(POND_DEFERRED, pond_queue_free(queue));
    IS(POND_OK, pond_shutdown(DEADLINE));

    for (i = 0; i < ROLES; i++) {
        role *each = &roles[i];
        int foreign = atomic_load(&each->elsewhere), foreign_destroys = atomic_load(&each->destroyed_elsewhere);
        int may_be_foreign = i == WAKE || i == LOG;
        if (ran(i) == 0 || atomic_load(&each->destroyed) == 0 || (foreign && !may_be_foreign) || foreign_destroys) {
            char why[200];
            snprintf(why, sizeof why, "%s ran %d times, %d elsewhere; destroys: %d, %d elsewhere", each->name, ran(i),
                     foreign, atomic_load(&each->destroyed), foreign_destroys);
            must(0, why, __FILE__, __LINE__);
        }
    }
    MUST(atomic_load(&roles[WAKE].elsewhere) == ran(WAKE)); /* and that one only there */
}

/* Whoever pulls handles the events himself: no handler runs, and a request's function does not either. */
static void pulling_runs_no_handler(void)
{
    pond_client *client;
    pond_channel *channel;
    pond_event *event;
    int messages = 0, replies = 0, i;
    main_thread = pthread_self();
    queue = queue_new();
    client = watched_client("/script", NULL, options_new(queue));
    channel = watched_channel(client, "/pulled", NULL);
    OK(pond_client_connect(client));
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    OK(ask(channel, "reply", NULL, 0));
    flood(channel, "flood", 0, 100, 0);
    while (messages < 100 || replies < 1) {
        OK(pond_queue_next(queue, DEADLINE, &event));
        messages += pond_event_kind(event) == POND_EVENT_MESSAGE;
        if (pond_event_kind(event) == POND_EVENT_REPLY) {
            replies++;
            MUST(pond_event_user_data(event) == &roles[REPLY]);
            IS(0, atomic_load(&roles[REPLY].destroyed));
            pond_event_free(event);
            IS(1, atomic_load(&roles[REPLY].destroyed)); /* with its event */
        } else {
            pond_event_free(event);
        }
    }
    IS(100, messages);
    for (i = 0; i < ROLES; i++) IS(0, ran(i));
    OK(pond_client_free(client));
    for (i = 0; i < ROLES; i++) {
        IS(0, ran(i));
        IS(0, atomic_load(&roles[i].destroyed_elsewhere));
        IS(i < WAKE, atomic_load(&roles[i].destroyed) > 0);
    }
    OK(pond_queue_free(queue));
}

const test delivery_tests[] = {
    {"queue_handlers_stay_here", queue_handlers_stay_here},
    {"pulling_runs_no_handler", pulling_runs_no_handler},
    {NULL, NULL},
};
