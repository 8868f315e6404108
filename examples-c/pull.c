/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pull [URL [TOKEN]]: everything that happens to a client, read from one loop of your own.
 * With a queue no handler is needed and nothing of yours runs on a library thread.
 */
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status >= POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket";
    const char *token = argc > 2 ? argv[2] : "secret";
    pond_queue *queue;
    pond_options *options;
    pond_client *client;
    pond_channel *channel;
    pond_error *error = NULL;
    char *quoted, params[1024];
    int message = 0, answer = 0, done = 0, result = EXIT_FAILURE;

    check("queue", pond_queue_new(&queue), NULL);
    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s,\"greet\":1}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, options, &client, &error), &error);
    pond_options_free(options);
    check("channel", pond_client_channel(client, "/chat/42", "{\"username\":\"pull\"}", &channel, &error), &error);

    /* Both only begin here: the join waits for the connection. */
    check("connect", pond_client_connect(client), NULL);
    check("join", pond_channel_join(channel), NULL);

    while (!done) {
        pond_event *event;
        int32_t status = pond_queue_next(queue, 10000, &event);
        if (status != POND_OK) {
            fprintf(stderr, "nothing for 10 s: %s\n", pond_status_name(status));
            break;
        }
        switch (pond_event_kind(event)) {
        case POND_EVENT_CLIENT_STATE:
            printf("client   %s -> %s", pond_state_name(pond_event_previous_state(event)),
                   pond_state_name(pond_event_state(event)));
            if (pond_event_state(event) == POND_CLIENT_DISCONNECTED) {
                if (pond_event_retry_ms(event) == POND_FOREVER) done = 1; /* no dial will follow */
                else printf(", next dial in %u ms", (unsigned)pond_event_retry_ms(event));
            }
            printf("\n");
            break;
        case POND_EVENT_CLIENT_MESSAGE:
            printf("endpoint %s %s\n", pond_event_name(event, NULL), pond_event_payload(event, NULL));
            break;
        case POND_EVENT_CHANNEL_STATE:
            printf("channel  %s %s -> %s\n", pond_event_channel_name(event, NULL),
                   pond_state_name(pond_event_previous_state(event)), pond_state_name(pond_event_state(event)));
            if (pond_event_state(event) == POND_CHANNEL_JOINED) {
                check("send", pond_channel_send(channel, "message", "{\"text\":\"from a loop\"}", &error), &error);
                /* No function: the reply comes to this loop as an event. */
                check("request", pond_channel_request(channel, "ping", "{}", 0, NULL, NULL, NULL, NULL, &error),
                      &error);
            } else if (pond_event_state(event) == POND_CHANNEL_DECLINED) {
                pond_client_disconnect(client);
            }
            break;
        case POND_EVENT_MESSAGE:
            printf("message  %s %s\n", pond_event_name(event, NULL), pond_event_payload(event, NULL));
            message = 1;
            break;
        case POND_EVENT_PRESENCE:
            printf("presence %s, all: %s\n", pond_event_changed(event, NULL), pond_event_users(event, NULL));
            break;
        case POND_EVENT_REPLY:
            printf("reply    %s %s %s\n", pond_status_name(pond_event_status(event)), pond_event_name(event, NULL),
                   pond_event_payload(event, NULL));
            answer = pond_event_status(event) == POND_OK;
            break;
        case POND_EVENT_DROPPED:
            printf("dropped  %u of %s\n", (unsigned)pond_event_count(event), pond_event_name(event, NULL));
            break;
        case POND_EVENT_CLIENT_ERROR:
        case POND_EVENT_CHANNEL_ERROR:
            printf("error    %s: %s\n", pond_status_name(pond_event_status(event)), pond_event_message(event, NULL));
            break;
        default: /* later versions may know more kinds */
            printf("event of kind %d\n", (int)pond_event_kind(event));
        }
        pond_event_free(event);
        if (message && answer && result != EXIT_SUCCESS) { /* all seen: leave; the loop ends with the last state */
            result = EXIT_SUCCESS;
            pond_client_disconnect(client);
        }
    }
    pond_client_free(client);
    pond_queue_free(queue);
    return result;
}
