/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Dials that ask, and what changes between dials: params, headers, join params; reconnect_now.
 */
#include "contract.h"

/* What is answered to the dials, in order; the last one stands for all further ones. */
typedef struct answers {
    const char *urls[4], *params[4];
    int count;
    atomic_int asked;
    _Atomic uint32_t attempts[64];
} answers;

static void answer(tracked *self, const pond_event *event)
{
    answers *a = self->data;
    int i = a->asked < a->count ? a->asked : a->count - 1;
    if (pond_event_kind(event) != POND_EVENT_DIAL) return;
    a->attempts[a->asked % 64] = pond_event_attempt(event);
    a->asked++;
    if (a->count) OK(pond_client_answer_dial(pond_event_client(event), pond_event_attempt(event), a->urls[i],
                                             a->params[i], NULL));
}

static pond_client *asking(const char *where, answers *a, pond_options *options)
{
    pond_client *client;
    if (!options) options = fast_options();
    OK(pond_options_set_ask_before_dial(options, 1));
    client = client_at(where, NULL, options);
    OK(pond_client_on_dial(client, on_call, track_with(answer, a), on_destroy, NULL));
    return client;
}

/* A bad token is refused, the fresh one accepted; 401 and 403 do not give up where dials ask. */
static void fresh_token(void)
{
    static answers a = {.params = {"{\"token\":\"stale\"}", "{\"token\":\"secret\"}"}, .count = 2};
    pond_client *client = asking(url("ws", shared_port(), "/api/socket"), &a, NULL);
    pond_stats stats;
    connected(client);
    CHECK(a.asked == 2 && a.attempts[0] == 1 && a.attempts[1] == 2);
    OK(pond_client_stats(client, &stats, sizeof stats));
    CHECK(stats.dials == 2 && stats.connects == 1);
}

static void refused_then_accepted(void)
{
    static answers a = {.count = 2};
    a.urls[0] = url("ws", shared_port(), "/refuse/401");
    a.urls[1] = url("ws", shared_port(), "/script?id=after-refusal");
    connected(asking(url("ws", shared_port(), "/refuse/403"), &a, NULL));
    CHECK(a.asked == 2 && logged(shared_port(), "\"kind\":\"open\"", "after-refusal") == 1);
}

/* The URL given to an answer replaces the client's: later dials that give none go there. */
static void other_url_stays(void)
{
    static answers a = {.count = 2};
    pond_client *client;
    pond_channel *channel;
    a.urls[0] = url("ws", shared_port(), "/script?id=other-url");
    client = asking("ws://127.0.0.1:1/", &a, NULL);
    connected(client);
    channel = joined(client, room("other"), NULL);
    OK(pond_channel_send(channel, "drop", NULL, NULL));
    UNTIL(a.asked >= 2);
    UNTIL(logged(shared_port(), "\"kind\":\"open\"", "other-url") == 2);
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
}

static void stale_answers(void)
{
    static answers a = {.count = 0}; /* the handler does not answer */
    pond_client *client = asking(url("ws", shared_port(), "/script"), &a, NULL);
    pond_error *error = NULL;
    IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 1, NULL, NULL, NULL)); /* nothing is asked yet */
    OK(pond_client_connect(client));
    UNTIL(a.asked == 1);
    IS(POND_CLIENT_CONNECTING, pond_client_state(client));
    IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 0, NULL, NULL, NULL));
    IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 2, "ws://127.0.0.1:1/", NULL, &error));
    CHECK(pond_error_status(error) == POND_ERROR_INVALID_STATE && pond_error_message(error, NULL)[0]);
    pond_error_free(error);
    /* What is wrong with an answer leaves the dial waiting, and the client's URL as it was. */
    IS(POND_ERROR_INVALID_URL, pond_client_answer_dial(client, 1, "ftp://x", NULL, NULL));
    IS(POND_ERROR_INVALID_JSON, pond_client_answer_dial(client, 1, NULL, "[]", NULL));
    OK(pond_client_answer_dial(client, 1, NULL, NULL, NULL));
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 1, NULL, NULL, NULL)); /* answered */
}

/* Nobody answers: the dial fails after the connect timeout and the next one asks. */
static void no_answer(void)
{
    static answers a = {.count = 0};
    pond_options *options = fast_options();
    pond_client *client;
    tracked *errors = track(), *states = track();
    pond_stats stats;
    OK(pond_options_set_connect_timeout_ms(options, ms(100)));
    client = asking(url("ws", shared_port(), "/script"), &a, options);
    OK(pond_client_on_error(client, on_call, errors, on_destroy, NULL));
    OK(pond_client_on_state(client, on_call, states, on_destroy, NULL));
    OK(pond_client_connect(client));
    UNTIL(a.asked >= 3);
    CHECK(a.attempts[0] == 1 && a.attempts[1] == 2 && a.attempts[2] == 3);
    CHECK(errors->calls >= 2 && errors->last_status == POND_ERROR_TIMEOUT);
    CHECK(states->states[POND_CLIENT_CONNECTED] == 0);
    IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 1, NULL, NULL, NULL)); /* too late */
    OK(pond_client_stats(client, &stats, sizeof stats));
    CHECK(stats.connects == 0);
}

/* From another thread, much later, without any handler: by the events of a queue. */
static pond_client *asked_client;
static void *answer_late(void *unused)
{
    usleep(50000);
    OK(pond_client_answer_dial(asked_client, 1, NULL, "{\"token\":\"secret\"}", NULL));
    return unused;
}
static void answered_from_another_thread(void)
{
    pond_options *options = fast_options();
    pond_queue *queue;
    pond_event *event;
    pthread_t thread;
    int32_t kind;
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    OK(pond_options_set_ask_before_dial(options, 1));
    asked_client = client_at(url("ws", shared_port(), "/api/socket"), NULL, options);
    OK(pond_client_connect(asked_client));
    do {
        OK(pond_queue_next(queue, DEADLINE, &event));
        kind = pond_event_kind(event);
        CHECK(kind != POND_EVENT_DIAL || pond_event_attempt(event) == 1);
        pond_event_free(event);
    } while (kind != POND_EVENT_DIAL);
    thread = start(answer_late, NULL);
    OK(pond_client_wait_state(asked_client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    finish(thread);
}

/* The client may be disconnected or freed instead of an answer. */
static void given_up(tracked *self, const pond_event *event)
{
    if (self->data) OK(pond_client_free(pond_event_client(event)));
    else OK(pond_client_disconnect(pond_event_client(event)));
}
static void not_answered_but_ended(void)
{
    int freed;
    for (freed = 0; freed < 2; freed++) {
        pond_options *options = fast_options();
        tracked *dials = track_with(given_up, freed ? (void *)options : NULL);
        pond_client *client;
        OK(pond_options_set_ask_before_dial(options, 1));
        client = client_at(url("ws", shared_port(), "/script"), NULL, options);
        OK(pond_client_on_dial(client, on_call, dials, on_destroy, NULL));
        OK(pond_client_connect(client));
        UNTIL(dials->calls == 1 && dials->running == 0);
        if (freed) {
            UNTIL(dials->destroys == 1);
            IS(POND_ERROR_INVALID_HANDLE, pond_client_state(client));
            continue;
        }
        OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
        IS(POND_ERROR_INVALID_STATE, pond_client_answer_dial(client, 1, NULL, NULL, NULL));
        usleep(50000);
        CHECK(dials->calls == 1); /* no further dial */
    }
}

/* ---- what the next dial, the next join takes -------------------------------------------------------------------- */

static void redial(pond_client *client)
{
    OK(pond_client_disconnect(client));
    OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
    connected(client);
}

static void params_of_the_next_dial(void)
{
    const char *where = url("ws", shared_port(), "/script?kept=params-test");
    pond_client *client = client_at(where, "{\"a\":\"one\",\"n\":17,\"none\":null}", NULL);
    int port = shared_port();
    connected(client);
    CHECK(logged(port, "params-test", "\"a\":\"one\"") == 1 && logged(port, "params-test", "\"n\":\"17\"") == 1);
    CHECK(logged(port, "params-test", "none") == 0);
    OK(pond_client_set_params(client, "{\"a\":\"t\xc3\xa4st & more\",\"deep\":{\"x\":[1]}}", NULL));
    CHECK(logged(port, "params-test", NULL) == 1); /* not before the next dial */
    redial(client);
    CHECK(logged(port, "params-test", "\"a\":\"t\xc3\xa4st & more\"") == 1);
    CHECK(logged(port, "params-test", "\"n\":\"17\"") == 1); /* all are replaced: only the first dial had it */
    OK(pond_client_set_params(client, NULL, NULL));
    redial(client);
    CHECK(logged(port, "params-test", NULL) == 3 && logged(port, "params-test", "\"a\":") == 2);
}

static char welcome[256];
static void keep_welcome(tracked *self, const pond_event *event)
{
    (void)self;
    snprintf(welcome, sizeof welcome, "%s", pond_event_payload(event, NULL));
}
static void header_of_the_next_dial(void)
{
    pond_options *options = fast_options();
    pond_client *client;
    tracked *it = track_with(keep_welcome, NULL);
    OK(pond_options_set_header(options, "X-Test", "from options"));
    client = client_at(url("ws", shared_port(), "/api/socket?greet=1"), "{\"token\":\"secret\"}", options);
    OK(pond_client_on_endpoint_message(client, on_call, it, on_destroy, NULL));
    connected(client);
    UNTIL(it->calls == 1 && it->running == 0);
    CHECK(strstr(welcome, "from options"));
    OK(pond_client_set_header(client, "x-test", "from client"));
    redial(client);
    UNTIL(it->calls == 2 && it->running == 0);
    CHECK(strstr(welcome, "from client") && !strstr(welcome, "from options"));
    OK(pond_client_set_header(client, "X-TEST", NULL));
    redial(client);
    UNTIL(it->calls == 3 && it->running == 0);
    CHECK(!strstr(welcome, "from client"));
}

static void join_params_of_the_next_join(void)
{
    pond_client *client = script(NULL);
    const char *name = room("join-params");
    pond_channel *channel = joined(client, name, "{\"round\":\"first\"}");
    int port = shared_port();
    CHECK(logged(port, name, "first") == 1);
    OK(pond_channel_set_join_params(channel, "{\"round\":\"second\"}", NULL));
    OK(pond_channel_send(channel, "drop", NULL, NULL)); /* the rejoin takes them */
    UNTIL(logged(port, name, "second") == 1);
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    OK(pond_channel_leave(channel));
    OK(pond_channel_set_join_params(channel, NULL, NULL));
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    CHECK(logged(port, name, "first") == 1 && logged(port, name, "second") == 1);
    CHECK(logged(port, name, "JOIN_CHANNEL") == 3);
}

/* A backoff of a minute is skipped; while connected or at rest it does nothing. */
static void reconnect_now(void)
{
    static answers a = {.count = 2};
    pond_options *options = fast_options();
    pond_client *client;
    tracked *errors = track();
    int64_t begin;
    a.urls[0] = url("ws", shared_port(), "/refuse/500");
    a.urls[1] = url("ws", shared_port(), "/script");
    OK(pond_options_set_backoff_ms(options, 600000, 600000));
    client = asking("ws://127.0.0.1:1/", &a, options);
    OK(pond_client_on_error(client, on_call, errors, on_destroy, NULL));
    OK(pond_client_reconnect_now(client));
    IS(POND_CLIENT_DISCONNECTED, pond_client_state(client)); /* nothing was wanted yet */
    OK(pond_client_connect(client));
    UNTIL(errors->calls == 1);
    OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
    begin = now_ms();
    OK(pond_client_reconnect_now(client));
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    CHECK(now_ms() - begin < DEADLINE && a.asked == 2);
    OK(pond_client_reconnect_now(client));
    IS(POND_CLIENT_CONNECTED, pond_client_state(client));
}

const test dial_tests[] = {
    {"fresh_token", fresh_token, 0},
    {"refused_then_accepted", refused_then_accepted, 0},
    {"other_url_stays", other_url_stays, 0},
    {"stale_answers", stale_answers, 0},
    {"no_answer", no_answer, 0},
    {"answered_from_another_thread", answered_from_another_thread, 0},
    {"not_answered_but_ended", not_answered_but_ended, 0},
    {"params_of_the_next_dial", params_of_the_next_dial, 0},
    {"header_of_the_next_dial", header_of_the_next_dial, 0},
    {"join_params_of_the_next_join", join_params_of_the_next_join, 0},
    {"reconnect_now", reconnect_now, 0},
    {NULL, NULL, 0},
};
