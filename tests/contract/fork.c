/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shutdown contract, line 7: process exit, fork, dlclose.
 */
#include "contract.h"

#include <sys/wait.h>

/* ---- exit without any shutdown: clean, from wherever ------------------------------------------------------------ */

static void exit_during_dial(void)
{
    int port;
    silent_listener(&port);
    OK(pond_client_connect(client_at(url("ws", port, "/"), NULL, NULL)));
    OK(pond_client_connect(client_at(url("wss", port, "/"), NULL, NULL)));
    OK(pond_client_connect(client_at(url("ws", port, "/%s", "x"), NULL, NULL)));
    exit(EXIT_CODE);
}

static void exit_with_joined_client(void)
{
    pond_client *client = chat("exit", NULL);
    pond_channel *channel = joined(client, room("exit"), NULL);
    tracked *it = track();
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_send(channel, "flood", "{\"count\":2000,\"size\":20}", NULL));
    UNTIL(it->calls > 20); /* in the middle of it */
    exit(EXIT_CODE);
}

static void *pull_for_ever(void *queue)
{
    pond_event *event;
    while (pond_queue_next(queue, POND_FOREVER, &event) == POND_OK) pond_event_free(event);
    return NULL;
}
static void exit_while_threads_wait(void)
{
    pond_options *options = fast_options();
    pond_queue *queue;
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    joined(chat("exit", options), room("exit"), NULL);
    start(pull_for_ever, queue);
    start(pull_for_ever, queue);
    usleep(20000);
    exit(EXIT_CODE);
}

static void end_process(tracked *self, const pond_event *event)
{
    (void)self, (void)event;
    exit(EXIT_CODE);
}
static void exit_from_callback(void)
{
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    OK(pond_client_on_state(client, on_call, track_with(end_process, NULL), on_destroy, NULL));
    OK(pond_client_connect(client));
    usleep(DEADLINE * 1000);
}

static pond_client *at_exit_client;
static void use_at_exit(void)
{
    if (pond_client_free(at_exit_client) != POND_OK || pond_shutdown(DEADLINE) != POND_OK) _exit(3);
}
static void exit_with_shutdown_at_exit(void)
{
    at_exit_client = chat("exit", NULL);
    CHECK(atexit(use_at_exit) == 0);
    exit(EXIT_CODE);
}

/* ---- fork ------------------------------------------------------------------------------------------------------- */

static void await_child(pid_t pid)
{
    int64_t end = now_ms() + DEADLINE;
    int status = 0;
    pid_t got;
    CHECK(pid > 0);
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < end) usleep(1000);
    if (got == 0) {
        kill(pid, SIGKILL);
        FAIL("the child hangs");
    }
    if (!WIFEXITED(status)) FAIL("the child was killed by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 1) _exit(1); /* it has said why */
    CHECK(WEXITSTATUS(status) == 0);
}

static void ask_and_hear(pond_client *client, pond_channel *channel)
{
    pond_event *reply = NULL;
    pond_error *error = NULL;
    int32_t status = pond_channel_call(channel, "ping", "{\"n\":1}", DEADLINE, &reply, &error);
    if (status != POND_OK) FAIL("no answer: %s", pond_error_message(error, NULL));
    CHECK(strcmp(pond_event_name(reply, NULL), "pong") == 0);
    pond_event_free(reply);
    IS(POND_CLIENT_CONNECTED, pond_client_state(client));
}

/* What a forked child may do at once; the rest is POND_ERROR_FORKED. */
static void in_the_child(pond_client *client, pond_channel *channel, pond_queue *queue, pond_subscription *subscription,
                         pond_options *options, pond_event *event, pond_error *error, char *string)
{
    pond_client *made = client;
    pond_error *forked = NULL;
    pond_stats stats;
    pond_event *out = event;
    tracked *it = track();
    uint64_t ticket = 1;
    CHECK(strcmp(pond_event_name(event, NULL), "pong") == 0);
    CHECK(pond_error_status(error) < 0 && pond_error_message(error, NULL)[0]);
    CHECK(strcmp(pond_status_name(POND_ERROR_FORKED), "POND_ERROR_FORKED") == 0);
    IS(POND_ERROR_FORKED, pond_client_state(client));
    IS(POND_ERROR_FORKED, pond_client_connect(client));
    IS(POND_ERROR_FORKED, pond_client_stats(client, &stats, sizeof stats));
    IS(POND_ERROR_FORKED, pond_client_new("ws://127.0.0.1:1/", NULL, NULL, &made, &forked));
    CHECK(pond_error_status(forked) == POND_ERROR_FORKED && pond_error_message(forked, NULL)[0]);
    pond_error_free(forked);
    IS(POND_ERROR_FORKED, pond_client_wait_state(client, POND_CLIENT_CONNECTED, POND_FOREVER, NULL));
    IS(POND_ERROR_FORKED, pond_channel_send(channel, "x", NULL, NULL));
    IS(POND_ERROR_FORKED, pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    CHECK(it->destroys == 1);
    it = track();
    IS(POND_ERROR_FORKED, pond_channel_request(channel, "x", NULL, 0, on_call, it, on_destroy, &ticket, NULL));
    CHECK(it->destroys == 1);
    it = track();
    IS(POND_ERROR_FORKED, pond_queue_set_wake(queue, on_call, it, on_destroy));
    CHECK(it->destroys == 1);
    it = track();
    IS(POND_ERROR_FORKED, pond_log_set(POND_LOG_INFO, on_call, it, on_destroy));
    CHECK(it->destroys == 1);
    IS(POND_ERROR_FORKED, pond_queue_next(queue, POND_FOREVER, &out));
    IS(POND_ERROR_FORKED, pond_queue_dispatch(queue, 0, 0));
    IS(POND_ERROR_FORKED, pond_options_set_queue_limit(options, 1));
    pond_event_free(pond_event_retain(event));
    pond_event_free(event);
    pond_error_free(error);
    pond_string_free(string);
    OK(pond_subscription_cancel(subscription));
    OK(pond_channel_free(channel));
    OK(pond_client_free(client));
    OK(pond_client_free(client)); /* leaks on purpose: nothing is looked up */
    OK(pond_queue_free(queue));
    OK(pond_options_free(options));
}

/* A whole life of the library in the child. */
static void new_life(void)
{
    pond_client *client = chat("child", NULL);
    pond_channel *channel = joined(client, room("child"), NULL);
    tracked *it = track();
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    ask_and_hear(client, channel);
    OK(pond_channel_send(channel, "message", NULL, NULL));
    UNTIL(it->calls == 1);
    OK(pond_client_free(client));
    CHECK(it->destroys == 1);
    OK(pond_shutdown(DEADLINE));
}

static void forked(int starts_anew)
{
    pond_options *options = fast_options(), *kept_options;
    pond_queue *queue;
    pond_client *client, *pushed = chat("pushed", NULL);
    pond_channel *channel;
    pond_subscription *subscription;
    pond_event *event;
    pond_error *error = NULL;
    tracked *it = track();
    char *string;
    pid_t pid;
    OK(pond_options_new(&kept_options));
    OK(pond_queue_new(&queue));
    OK(pond_options_set_queue(options, queue));
    client = chat("parent", options);
    channel = joined(client, room("fork"), NULL);
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, &subscription));
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &event, NULL));
    IS(POND_ERROR_INVALID_JSON, pond_channel_send(channel, "x", "[]", &error));
    OK(pond_channel_name(channel, &string));
    pid = fork();
    if (pid == 0) {
        in_the_child(client, channel, queue, subscription, kept_options, event, error, string);
        if (starts_anew) {
            OK(pond_shutdown(0));
            IS(POND_ERROR_INVALID_HANDLE, pond_client_state(client));
            new_life();
            new_life();
        }
        fflush(stdout);
        _exit(0);
    }
    await_child(pid);
    ask_and_hear(client, channel); /* undisturbed */
    OK(pond_channel_send(channel, "message", NULL, NULL));
    UNTIL(pond_queue_dispatch(queue, 0, 0) >= 0 && it->calls == 1);
    ask_and_hear(pushed, joined(pushed, room("fork"), NULL));
    CHECK(pond_client_state(client) == POND_CLIENT_CONNECTED);
    pond_event_free(event);
    pond_error_free(error);
    pond_string_free(string);
}
static void fork_and_end(void)
{
    forked(0);
}
static void fork_and_start_anew(void)
{
    forked(1);
}

/* Forks in the middle of everything: any lock may be held for ever in the child. */
static atomic_int stop_flood;
static void *flood(void *client)
{
    pond_channel *channel = channel_of(client, room("floods"), NULL);
    int32_t status;
    OK(pond_channel_join(channel));
    while (!stop_flood) {
        pond_client *other = NULL;
        pond_queue *queue = NULL;
        for (status = -100; status < 20; status++) pond_status_name(status), pond_state_name(status);
        pond_channel_send(channel, "others", "{\"n\":1}", NULL);
        pond_queue_new(&queue);
        pond_client_new("ws://127.0.0.1:1/", NULL, NULL, &other, NULL);
        pond_client_connect(other);
        pond_client_free(other);
        pond_queue_free(queue);
    }
    return NULL;
}
static void fork_during_flood(void)
{
    pond_client *client = chat("floods", NULL);
    pond_channel *channel = joined(client, room("floods"), NULL);
    pthread_t threads[2];
    pond_event *event;
    tracked *log = track();
    int i, n = rounds(60);
    OK(pond_log_set(POND_LOG_TRACE, on_call, log, on_destroy));
    OK(pond_channel_call(channel, "ping", NULL, DEADLINE, &event, NULL));
    for (i = 0; i < 2; i++) threads[i] = start(flood, client);
    for (i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            int32_t status;
            for (status = -100; status < 20; status++) CHECK(pond_status_name(status)[0] && pond_state_name(status)[0]);
            IS(POND_ERROR_FORKED, pond_client_state(client));
            pond_event_free(event);
            OK(pond_client_free(client));
            OK(pond_shutdown(0));
            if (i % 4 == 0) new_life();
            fflush(stdout);
            _exit(0);
        }
        await_child(pid);
    }
    stop_flood = 1;
    for (i = 0; i < 2; i++) finish(threads[i]);
    ask_and_hear(client, channel);
    pond_event_free(event);
}

/* The child ends by exit, as if it knew nothing of the library; or it forks again first. */
static void fork_and_exit(void)
{
    pond_client *client = chat("exit", NULL);
    pond_channel *channel = joined(client, room("exit"), NULL);
    tracked *it = track();
    int i;
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_send(channel, "flood", "{\"count\":500,\"size\":20}", NULL));
    for (i = 0; i < 10; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i % 2 && (pid = fork()) > 0) await_child(pid);
            exit(0);
        }
        await_child(pid);
    }
    UNTIL(it->calls == 500);
    ask_and_hear(client, channel);
}

/* Forked by a handler: the child is in no handler any more once it has started anew, so that it may wait. */
static void fork_there(tracked *self, const pond_event *event)
{
    pid_t pid;
    (void)event;
    if (atomic_exchange(&self->done, 1)) return;
    pid = fork();
    if (pid == 0) {
        OK(pond_shutdown(0));
        new_life();
        fflush(stdout);
        _exit(0);
    }
    await_child(pid);
    self->data = self;
}
static void fork_in_handlers(void)
{
    int queued;
    for (queued = 0; queued < 2; queued++) {
        pond_options *options = fast_options();
        pond_queue *queue = NULL;
        pond_client *client;
        pond_channel *channel;
        tracked *it = track_with(fork_there, NULL);
        if (queued) {
            OK(pond_queue_new(&queue));
            OK(pond_options_set_queue(options, queue));
        }
        client = chat("forking", options);
        channel = joined(client, room("forking"), NULL);
        OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
        OK(pond_channel_send(channel, "message", NULL, NULL));
        UNTIL((!queue || pond_queue_dispatch(queue, 0, 0) >= 0) && it->calls == 1 && it->data);
        ask_and_hear(client, channel);
    }
}

/* A child that execs has nothing of ours: checked with the descriptors, see process.c. A child of a child: */
static void fork_twice(void)
{
    pond_client *client = chat("first", NULL);
    pond_channel *channel = joined(client, room("first"), NULL);
    pid_t pid = fork();
    if (pid == 0) {
        pond_client *mine;
        OK(pond_shutdown(0));
        mine = chat("second", NULL);
        pid = fork();
        if (pid == 0) {
            IS(POND_ERROR_FORKED, pond_client_state(mine));
            OK(pond_shutdown(0));
            new_life();
            fflush(stdout);
            _exit(0);
        }
        await_child(pid);
        ask_and_hear(mine, joined(mine, room("second"), NULL));
        OK(pond_shutdown(DEADLINE));
        fflush(stdout);
        _exit(0);
    }
    await_child(pid);
    ask_and_hear(client, channel);
}

/* Children of one parent are not alike: their ids differ, and so do theirs and the parent's. */
static void children_have_their_own_ids(void)
{
    const char *name = room("ids");
    char *ids[3], own[32];
    int i, k, port = shared_port();
    pond_client *client;
    pond_client_free(client_at(url("ws", port, "/script"), NULL, NULL)); /* whatever is made once is made */
    for (i = 0; i < 3; i++) {
        pid_t pid = 0;
        snprintf(own, sizeof own, "{\"child\":\"no-%d\"}", i);
        if (i < 2) pid = fork();
        if (pid) {
            await_child(pid);
            continue;
        }
        if (i < 2) OK(pond_shutdown(0));
        client = script(NULL);
        joined(client, name, own);
        OK(pond_client_free(client));
        if (i < 2) _exit(0);
    }
    for (i = 0; i < 3; i++) {
        snprintf(own, sizeof own, "no-%d", i);
        ids[i] = logged_text(port, name, own, "requestId\\\":\\\"");
        CHECK(ids[i][0]);
        for (k = 0; k < i; k++)
            if (strcmp(ids[k], ids[i]) == 0) FAIL("%d and %d both asked with the id %s", k, i, ids[i]);
    }
    for (i = 0; i < 3; i++) free(ids[i]);
}

/* ---- dlopen ----------------------------------------------------------------------------------------------------- */

/* A program that is not linked with the library loads and unloads it many times, with and without shutdown. */
static void loaded_again(void)
{
    const char *host = getenv("CONTRACT_DLOPEN_HOST"), *library = getenv("CONTRACT_LIBRARY");
    pid_t pid;
    CHECK(host && library);
    pid = fork();
    if (pid == 0) {
        execl(host, host, library, url("ws", shared_port(), "/script"), (char *)NULL);
        _exit(2);
    }
    await_child(pid);
}

const test fork_tests[] = {
    {"exit_during_dial", exit_during_dial, ENDS},
    {"exit_with_joined_client", exit_with_joined_client, ENDS},
    {"exit_while_threads_wait", exit_while_threads_wait, ENDS},
    {"exit_from_callback", exit_from_callback, ENDS},
    {"exit_with_shutdown_at_exit", exit_with_shutdown_at_exit, ENDS},
    {"fork_and_end", fork_and_end, FORKS},
    {"fork_and_start_anew", fork_and_start_anew, FORKS},
    {"fork_during_flood", fork_during_flood, FORKS},
    {"fork_twice", fork_twice, FORKS},
    {"fork_and_exit", fork_and_exit, FORKS},
    {"fork_in_handlers", fork_in_handlers, FORKS},
    {"children_have_their_own_ids", children_have_their_own_ids, FORKS},
    {"loaded_again", loaded_again, 0},
    {NULL, NULL, 0},
};
