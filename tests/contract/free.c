/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shutdown contract, line 1: pond_client_free is legal in any state and from any thread, and never waits for the
 * network; the goodbye goes on behind it.
 */
#include "contract.h"

#include <sys/socket.h>

/* Registers a watched handler of each kind at the client, and at the channel if there is one. */
static void watch(pond_client *client, pond_channel *channel)
{
    OK(pond_client_on_state(client, on_call, track(), on_destroy, NULL));
    OK(pond_client_on_error(client, on_call, track(), on_destroy, NULL));
    if (channel) {
        OK(pond_channel_on_state(channel, on_call, track(), on_destroy, NULL));
        OK(pond_channel_on_message(channel, on_call, track(), on_destroy, NULL));
    }
}

/* Freed now: at once, and every destroy has run when that returns. */
static void free_now(pond_client *client)
{
    AT_ONCE(OK(pond_client_free(client)));
    IS(POND_ERROR_INVALID_HANDLE, pond_client_free(client));
    IS(POND_ERROR_INVALID_HANDLE, pond_client_state(client));
    CHECK(destroyed_all());
}

static void free_in_state(int state, int with_queue)
{
    pond_options *options = fast_options();
    pond_queue *queue = NULL;
    pond_client *client;
    pond_channel *channel = NULL;
    int port, silent = silent_listener(&port);
    const char *where = url("ws", shared_port(), "/script");
    if (with_queue) {
        OK(pond_queue_new(&queue));
        OK(pond_options_set_queue(options, queue));
    }
    if (state == 1) where = url("ws", port, "/");
    if (state == 7) {
        OK(pond_options_set_max_reconnect_attempts(options, 0));
        where = url("ws", shared_port(), "/refuse/500");
    }
    if (state == 8) {
        OK(pond_options_set_backoff_ms(options, 60000, 60000));
        where = url("ws", shared_port(), "/refuse/500");
    }
    client = client_at(where, NULL, options);
    channel = channel_of(client, room("state"), NULL);
    watch(client, channel);
    switch (state) {
    case 0: break; /* nothing was ever done */
    case 1:        /* a dial is under way */
        OK(pond_channel_join(channel));
        OK(pond_client_connect(client));
        break;
    case 2: connected(client); break;
    case 3: /* JOINING */
        OK(pond_channel_set_join_params(channel, "{\"mode\":\"silent\"}", NULL));
        connected(client);
        OK(pond_channel_join(channel));
        break;
    case 4: /* JOINED, messages under way */
    case 5: /* suspended */
    case 6: /* disconnecting */
        connected(client);
        OK(pond_channel_join(channel));
        OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
        OK(pond_channel_send(channel, "x", NULL, NULL));
        if (state == 5) OK(pond_client_suspend(client));
        if (state == 6) OK(pond_client_disconnect(client));
        break;
    case 7: /* gave up */
        OK(pond_client_connect(client));
        IS(POND_ERROR_HTTP, pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
        break;
    case 8: { /* waits for the next dial */
        pond_stats stats;
        OK(pond_client_connect(client));
        do {
            OK(pond_client_stats(client, &stats, sizeof stats));
        } while (stats.dials == 0);
        OK(pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, DEADLINE, NULL));
        break;
    }
    }
    free_now(client);
    IS(POND_ERROR_INVALID_HANDLE, pond_channel_state(channel));
    IS(POND_ERROR_INVALID_HANDLE, pond_channel_free(channel));
    if (queue) OK(pond_queue_free(queue));
    close(silent);
}

static void in_any_state(void)
{
    int state;
    for (state = 0; state <= 8; state++) {
        free_in_state(state, 0);
        free_in_state(state, 1);
    }
}

static void *free_it(void *argument)
{
    OK(pond_client_free(argument));
    return NULL;
}

static void from_any_thread(void)
{
    pthread_t threads[16];
    pond_client *clients[16];
    int i;
    for (i = 0; i < 16; i++) {
        clients[i] = i % 2 ? script(NULL) : client_at(url("ws", shared_port(), "/script"), NULL, NULL);
        watch(clients[i], channel_of(clients[i], room("thread"), NULL));
    }
    for (i = 0; i < 16; i++) threads[i] = start(free_it, clients[i]);
    for (i = 0; i < 16; i++) finish(threads[i]);
    CHECK(destroyed_all());
}

/* Of two threads that free at once exactly one is the first. */
static atomic_int first;
static void *free_once(void *argument)
{
    int32_t status = pond_client_free(argument);
    if (status == POND_OK) first++;
    else IS(POND_ERROR_INVALID_HANDLE, status);
    return NULL;
}

static void by_two_at_once(void)
{
    int i, n = rounds(200);
    for (i = 0; i < n; i++) {
        pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
        pthread_t one, other;
        first = 0;
        OK(pond_client_on_state(client, on_call, track(), on_destroy, NULL));
        OK(pond_client_connect(client));
        one = start(free_once, client);
        other = start(free_once, client);
        finish(one);
        finish(other);
        CHECK(first == 1);
        CHECK(destroyed_all());
    }
}

static void during_dial(const char *where)
{
    pond_client *client = client_at(where, NULL, NULL);
    watch(client, NULL);
    OK(pond_client_connect(client));
    IS(POND_TIMEOUT, pond_client_wait_state(client, POND_CLIENT_CONNECTED, 100, NULL));
    IS(POND_CLIENT_CONNECTING, pond_client_state(client));
    free_now(client);
    /* Reading the platform's roots, which a first TLS dial does, is awaited; the network is not. */
    if (strncmp(where, "wss", 3) == 0) OK(pond_shutdown(DEADLINE));
    else AT_ONCE(OK(pond_shutdown(DEADLINE)));
}

static void during_dial_to_mute_server(void)
{
    int port, fd = silent_listener(&port);
    during_dial(url("ws", port, "/"));
    close(fd);
}

static void during_tls_handshake(void)
{
    int port, fd = silent_listener(&port);
    during_dial(url("wss", port, "/"));
    close(fd);
}

static void during_dial_into_black_hole(void)
{
    int port, fd = black_hole(&port);
    during_dial(url("ws", port, "/"));
    black_hole_close(fd);
}

/* Free says goodbye behind its back: LEAVE, then Close, and pond_shutdown awaits both. */
static void goodbye_is_said(void)
{
    pond_client *client = script(NULL);
    const char *name = room("goodbye");
    char leave[128];
    pond_channel *channel = joined(client, name, NULL);
    int at, port = shared_port();
    OK(pond_channel_send(channel, "last-word", "{\"n\":1}", NULL));
    OK(pond_client_free(client));
    OK(pond_shutdown(DEADLINE));
    snprintf(leave, sizeof leave, "%s", name);
    UNTIL(logged(port, "LEAVE_CHANNEL", leave) == 1);
    at = logged_at(port, "last-word", leave);
    CHECK(at >= 0 && at < logged_at(port, "LEAVE_CHANNEL", leave));
    UNTIL(logged(port, "\"kind\":\"close\"", "1000") > 0);
}

/* A mute peer that reads nothing holds nobody up: free returns at once, shutdown after the second of the goodbye. */
static void mute_server_is_not_waited_for(void)
{
    pond_options *options = fast_options();
    pond_client *client;
    pond_channel *channel;
    tracked *request = track();
    int64_t begin;
    char *big = malloc(300001);
    int32_t status;
    CHECK(big != NULL);
    OK(pond_options_set_ping_interval_ms(options, 0));
    client = script(options);
    channel = joined(client, room("mute"), NULL);
    watch(client, channel);
    OK(pond_channel_send(channel, "mute", NULL, NULL));
    OK(pond_client_flush(client, DEADLINE));
    OK(pond_channel_request(channel, "x", NULL, POND_FOREVER, on_call, request, on_destroy, NULL, NULL));
    memset(big, ' ', 300000);
    big[0] = '{';
    big[299999] = '}';
    big[300000] = 0;
    do status = pond_channel_send(channel, "y", big, NULL); /* until nothing goes out any more */
    while (status == POND_OK);
    IS(POND_ERROR_QUEUE_FULL, status);
    begin = now_ms();
    AT_ONCE(OK(pond_client_free(client)));
    CHECK(request->calls == 1 && request->last_status == POND_ERROR_CLOSED);
    CHECK(request->caller == thread_id());
    CHECK(destroyed_all());
    OK(pond_shutdown(DEADLINE));
    CHECK(now_ms() - begin < ms(8000)); /* a goodbye without a limit would take all of DEADLINE */
    free(big);
}

/* Waits end when what they wait for is freed. */
static pond_client *waited_client;
static pond_channel *waited_channel;
static atomic_int waiting;
static void *wait_for_state(void *unused)
{
    waiting++;
    IS(POND_ERROR_CLOSED, pond_client_wait_state(waited_client, POND_CLIENT_DISCONNECTED, POND_FOREVER, NULL));
    return unused;
}
static void *wait_for_channel(void *unused)
{
    waiting++;
    IS(POND_ERROR_CLOSED, pond_channel_wait_state(waited_channel, POND_CHANNEL_STALLED, POND_FOREVER, NULL));
    return unused;
}
static void *wait_for_reply(void *unused)
{
    pond_event *reply = (pond_event *)&waiting;
    pond_error *error = NULL;
    waiting++;
    IS(POND_ERROR_CLOSED, pond_channel_call(waited_channel, "unanswered", NULL, POND_FOREVER, &reply, &error));
    CHECK(reply == NULL && pond_error_status(error) == POND_ERROR_CLOSED && pond_error_message(error, NULL)[0]);
    pond_error_free(error);
    return unused;
}
static void *wait_for_flush(void *unused)
{
    int32_t status = pond_client_flush(waited_client, POND_FOREVER);
    if (status != POND_OK) IS(POND_ERROR_CLOSED, status);
    return unused;
}

static void ends_waits(void)
{
    pthread_t threads[4];
    pond_channel *offline;
    int i;
    waited_client = script(NULL);
    waited_channel = joined(waited_client, room("waits"), NULL);
    offline = channel_of(waited_client, room("waits"), "{\"mode\":\"silent\"}");
    OK(pond_channel_join(offline));
    OK(pond_channel_send(offline, "kept", NULL, NULL)); /* so that flush has something to wait for */
    threads[0] = start(wait_for_state, NULL);
    threads[1] = start(wait_for_channel, NULL);
    threads[2] = start(wait_for_reply, NULL);
    threads[3] = start(wait_for_flush, NULL);
    UNTIL(waiting == 3 && logged(shared_port(), "unanswered", NULL) > 0);
    AT_ONCE(OK(pond_client_free(waited_client)));
    for (i = 0; i < 4; i++) finish(threads[i]);
}

const test free_tests[] = {
    {"in_any_state", in_any_state, 0},
    {"from_any_thread", from_any_thread, 0},
    {"by_two_at_once", by_two_at_once, 0},
    {"during_dial_to_mute_server", during_dial_to_mute_server, 0},
    {"during_tls_handshake", during_tls_handshake, 0},
    {"during_dial_into_black_hole", during_dial_into_black_hole, 0},
    {"goodbye_is_said", goodbye_is_said, 0},
    {"mute_server_is_not_waited_for", mute_server_is_not_waited_for, 0},
    {"ends_waits", ends_waits, 0},
    {NULL, NULL, 0},
};
