/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * epoll [URL [TOKEN]]: a client in an event loop of Linux, beside a timer.
 *
 * The queue's descriptor is readable while events wait, and is only polled, never read. Handlers run in this thread,
 * inside pond_queue_dispatch. A timer says something ten times a second; when ten messages and the answer to one
 * request are back, the client disconnects and the loop ends.
 */
#define _GNU_SOURCE /* timerfd */
#include <errno.h>
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { MESSAGES = 10, TICK_MS = 100, MOST_TICKS = 200 /* 20 s */ };

typedef struct app {
    pond_client *client;
    pond_channel *channel;
    int ticks, sent, received, answered, leaving, done;
} app;

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static void check_system(const char *what, int result)
{
    if (result >= 0) return;
    perror(what);
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
    if (pond_event_state(event) == POND_CLIENT_DISCONNECTED && pond_event_retry_ms(event) == POND_FOREVER)
        self->done = 1;
}

static void on_tick(app *self)
{
    pond_error *error = NULL;
    char payload[64];
    self->ticks++;
    if (pond_channel_state(self->channel) != POND_CHANNEL_JOINED || self->sent == MESSAGES) return;
    if (self->sent++ == 0)
        check("request", pond_channel_request(self->channel, "ping", NULL, 5000, on_reply, self, NULL, NULL, &error),
              &error);
    snprintf(payload, sizeof payload, "{\"text\":\"tick %d\"}", self->sent);
    check("send", pond_channel_send(self->channel, "message", payload, &error), &error);
}

static void watch(int poller, int fd)
{
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
    check_system("epoll_ctl", epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest));
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket";
    const char *token = argc > 2 ? argv[2] : "secret";
    struct itimerspec every = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};
    pond_queue *queue;
    pond_options *options;
    pond_error *error = NULL;
    app self = {0};
    char *quoted, params[1024];
    int32_t events;
    int poller = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    check_system("epoll", poller);
    check_system("timerfd", timer);
    check_system("timerfd", timerfd_settime(timer, 0, &every, NULL));
    check("queue", pond_queue_new(&queue), NULL);
    check("descriptor", pond_queue_fd(queue, &events), NULL);
    watch(poller, timer);
    watch(poller, events);

    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, options, &self.client, &error), &error);
    pond_options_free(options);
    check("handler", pond_client_on_state(self.client, on_client_state, &self, NULL, NULL), NULL);
    check("channel", pond_client_channel(self.client, "/chat/epoll", "{\"username\":\"epoll\"}", &self.channel, &error),
          &error);
    check("handler", pond_channel_on_event(self.channel, "message", on_message, &self, NULL, NULL), NULL);
    check("connect", pond_client_connect(self.client), NULL);
    check("join", pond_channel_join(self.channel), NULL);

    while (!self.done && self.ticks < MOST_TICKS) {
        struct epoll_event ready[8];
        int i, count = epoll_wait(poller, ready, 8, -1);
        if (count < 0 && errno == EINTR) continue;
        check_system("epoll_wait", count);
        for (i = 0; i < count; i++) {
            if (ready[i].data.fd == timer) {
                uint64_t expired;
                if (read(timer, &expired, sizeof expired) == (ssize_t)sizeof expired) on_tick(&self);
            } else {
                /* A limit keeps the timer punctual; what is left keeps the descriptor readable. */
                int32_t taken = pond_queue_dispatch(queue, 100, 0);
                if (taken < 0) check("dispatch", taken, NULL);
            }
        }
    }
    printf("%d sent, %d back, %s\n", self.sent, self.received, self.answered ? "answered" : "no answer");
    epoll_ctl(poller, EPOLL_CTL_DEL, events, NULL); /* before the queue goes, and its descriptor with it */
    pond_client_free(self.client);
    pond_queue_free(queue);
    close(timer);
    close(poller);
    return self.done && self.leaving && self.received == MESSAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}
