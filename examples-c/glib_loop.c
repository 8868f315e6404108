/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * glib_loop [URL [TOKEN]]: a client in the main loop of GLib (GTK, GNOME), beside a timer.
 *
 * g_unix_fd_add watches the queue's descriptor; handlers run in the loop's thread, where widgets may be touched. A
 * timer says something ten times a second; when ten messages and the answer to one request are back, the client
 * disconnects and the loop quits.
 */
#include <glib-unix.h>
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 10, TICK_MS = 100, MOST_TICKS = 200 /* 20 s */ };

typedef struct app {
    GMainLoop *loop;
    pond_client *client;
    pond_channel *channel;
    pond_queue *queue;
    int ticks, sent, received, answered, leaving, done;
} app;

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static void leave_if_complete(app *self)
{
    if (self->received < MESSAGES || !self->answered || self->leaving) return;
    self->leaving = 1;
    check("disconnect", pond_client_disconnect(self->client), NULL);
}

static void on_message(const pond_event *event, void *user_data)
{
    app *self = user_data;
    printf("message: %s\n", pond_event_payload(event, NULL));
    self->received++;
    leave_if_complete(self);
}

static void on_reply(const pond_event *event, void *user_data)
{
    app *self = user_data;
    printf("answer:  %s %s\n", pond_status_name(pond_event_status(event)), pond_event_name(event, NULL));
    self->answered = pond_event_status(event) == POND_OK;
    leave_if_complete(self);
}

static void on_client_state(const pond_event *event, void *user_data)
{
    app *self = user_data;
    printf("client:  %s\n", pond_state_name(pond_event_state(event)));
    /* A lost connection comes back by itself; one that no dial will follow is the end. */
    if (pond_event_state(event) == POND_CLIENT_DISCONNECTED && pond_event_retry_ms(event) == POND_FOREVER) {
        self->done = 1;
        g_main_loop_quit(self->loop);
    }
}

static gboolean on_tick(gpointer user_data)
{
    app *self = user_data;
    pond_error *error = NULL;
    char payload[64];
    if (++self->ticks == MOST_TICKS) g_main_loop_quit(self->loop);
    if (pond_channel_state(self->channel) != POND_CHANNEL_JOINED || self->sent == MESSAGES)
        return G_SOURCE_CONTINUE;
    if (self->sent++ == 0)
        check("request", pond_channel_request(self->channel, "ping", NULL, 5000, on_reply, self, NULL, NULL, &error),
              &error);
    snprintf(payload, sizeof payload, "{\"text\":\"tick %d\"}", self->sent);
    check("send", pond_channel_send(self->channel, "message", payload, &error), &error);
    return G_SOURCE_CONTINUE;
}

static gboolean on_events(gint fd, GIOCondition condition, gpointer user_data)
{
    app *self = user_data;
    int32_t taken;
    (void)fd;
    (void)condition;
    /* A limit keeps the program responsive; what is left keeps the descriptor readable. */
    taken = pond_queue_dispatch(self->queue, 100, 0);
    if (taken < 0) check("dispatch", taken, NULL);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket";
    const char *token = argc > 2 ? argv[2] : "secret";
    pond_queue *queue;
    pond_options *options;
    pond_error *error = NULL;
    app self = {0};
    char *quoted, params[1024];
    int32_t fd;
    guint events, timer;

    self.loop = g_main_loop_new(NULL, FALSE);
    check("queue", pond_queue_new(&queue), NULL);
    self.queue = queue;
    check("descriptor", pond_queue_fd(queue, &fd), NULL);
    events = g_unix_fd_add(fd, G_IO_IN, on_events, &self);
    timer = g_timeout_add(TICK_MS, on_tick, &self);

    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, options, &self.client, &error), &error);
    pond_options_free(options);
    check("handler", pond_client_on_state(self.client, on_client_state, &self, NULL, NULL), NULL);
    check("channel", pond_client_channel(self.client, "/chat/glib", "{\"username\":\"glib\"}", &self.channel, &error),
          &error);
    check("handler", pond_channel_on_event(self.channel, "message", on_message, &self, NULL, NULL), NULL);
    check("connect", pond_client_connect(self.client), NULL);
    check("join", pond_channel_join(self.channel), NULL);

    g_main_loop_run(self.loop);

    printf("%d sent, %d back, %s\n", self.sent, self.received, self.answered ? "answered" : "no answer");
    g_source_remove(events); /* before the queue goes, and its descriptor with it */
    g_source_remove(timer);
    pond_client_free(self.client);
    pond_queue_free(queue);
    g_main_loop_unref(self.loop);
    return self.done && self.leaving && self.received == MESSAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}
