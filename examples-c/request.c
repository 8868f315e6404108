/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * request [URL [TOKEN]]: several requests in flight at once. Each ends exactly once: with an answer, the server's
 * error, a timeout or a cancel. The function runs on a library thread, so that what it shares is guarded.
 */
#include <pondsocket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int pending;

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static void on_reply(const pond_event *event, void *user_data)
{
    const char *label = user_data;
    if (pond_event_status(event) == POND_OK)
        printf("%-9s %s %s\n", label, pond_event_name(event, NULL), pond_event_payload(event, NULL));
    else /* the server's own word and number come along, if it said some */
        printf("%-9s %s: %s %s (%d)\n", label, pond_status_name(pond_event_status(event)),
               pond_event_error_code(event, NULL), pond_event_message(event, NULL), (int)pond_event_http_status(event));
}

/* Called once for each request, after its reply; also if the request could not even be made. */
static void on_end(void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    pending--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
}

static uint64_t ask(pond_channel *channel, const char *label, const char *event, const char *payload, uint32_t timeout)
{
    uint64_t ticket = 0;
    pond_error *error = NULL;
    int32_t status;

    pthread_mutex_lock(&lock);
    pending++;
    pthread_mutex_unlock(&lock);
    status = pond_channel_request(channel, event, payload, timeout, on_reply, (void *)label, on_end, &ticket, &error);
    check(label, status, &error);
    return ticket;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket";
    const char *token = argc > 2 ? argv[2] : "secret";
    pond_client *client;
    pond_channel *channel;
    pond_event *reply;
    pond_error *error = NULL;
    char *quoted, params[1024];
    uint64_t ticket;
    int32_t status;

    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, NULL, &client, &error), &error);
    check("channel", pond_client_channel(client, "/chat/42", "{\"username\":\"asker\"}", &channel, &error), &error);
    check("connect", pond_client_connect(client), NULL);
    check("join", pond_channel_join(channel), NULL);

    /* The channel is not even joined yet: requests wait in its queue, but their clocks run. */
    ask(channel, "slow", "slow", "{\"ms\":400}", 5000);
    ask(channel, "quick", "ping", "{\"n\":1}", 5000);
    ask(channel, "quicker", "echo", "{\"n\":2}", 5000);
    ask(channel, "unknown", "no-such-event", "{}", 5000);
    ask(channel, "silent", "silent", "{}", 600);
    ticket = ask(channel, "cancelled", "slow", "{\"ms\":30000}", POND_FOREVER);
    check("cancel", pond_channel_cancel_request(channel, ticket), NULL);
    if (pond_channel_cancel_request(channel, ticket) == POND_EMPTY) printf("cancelled twice: nothing left to cancel\n");

    pthread_mutex_lock(&lock);
    while (pending > 0) pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);

    /* The same in one line, where the thread may wait. The server's error comes as the call's error. */
    status = pond_channel_call(channel, "no-such-event", "{}", 5000, &reply, &error);
    printf("call      %s: %s\n", pond_status_name(status), pond_error_message(error, NULL));
    pond_error_free(error);
    check("call", pond_channel_call(channel, "ping", "{\"n\":3}", 5000, &reply, &error), &error);
    printf("call      %s %s\n", pond_event_name(reply, NULL), pond_event_payload(reply, NULL));
    pond_event_free(reply);

    pond_client_disconnect(client);
    check("bye", pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, 3000, &error), &error);
    pond_client_free(client);
    return EXIT_SUCCESS;
}
