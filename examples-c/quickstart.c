/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * quickstart [URL [TOKEN]]: connect, join a channel, talk, ask, leave.
 * Without a queue the handlers run on the library's threads, one at a time.
 */
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_message(const pond_event *event, void *user_data)
{
    (void)user_data;
    printf("message: %s\n", pond_event_payload(event, NULL));
}

static void on_join(const pond_event *event, void *user_data)
{
    (void)user_data;
    printf("joined:  %s, now here: %s\n", pond_event_changed(event, NULL), pond_event_users(event, NULL));
}

/* Ends the program when a call failed. A pointer to the error, since C may read arguments before the call sets it. */
static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
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

    /* The params travel in the URL's query. */
    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, NULL, &client, &error), &error);
    check("connect", pond_client_connect(client), NULL);
    check("connect", pond_client_wait_state(client, POND_CLIENT_CONNECTED, 5000, &error), &error);

    check("channel", pond_client_channel(client, "/chat/42", "{\"username\":\"anna\"}", &channel, &error), &error);
    check("on_event", pond_channel_on_event(channel, "message", on_message, NULL, NULL, NULL), NULL);
    check("on_join", pond_channel_on_join(channel, on_join, NULL, NULL, NULL), NULL);
    check("join", pond_channel_join(channel), NULL);
    check("wait", pond_channel_wait_state(channel, POND_CHANNEL_JOINED, 5000, &error), &error);

    check("send", pond_channel_send(channel, "message", "{\"text\":\"hello\"}", &error), &error);
    check("call", pond_channel_call(channel, "ping", "{\"n\":1}", 5000, &reply, &error), &error);
    printf("answer:  %s %s\n", pond_event_name(reply, NULL), pond_event_payload(reply, NULL));
    pond_event_free(reply);

    printf("press Enter to leave\n");
    getchar();
    pond_client_disconnect(client);
    check("bye", pond_client_wait_state(client, POND_CLIENT_DISCONNECTED, 3000, &error), &error);
    pond_client_free(client); /* its channels and handlers go with it */
    return EXIT_SUCCESS;
}
