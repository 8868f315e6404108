/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sdl_loop [URL [TOKEN]]: a client in an event loop of SDL2 that sleeps while nothing happens.
 *
 * The wake function runs on a library thread and only pushes a user event, which SDL allows from any thread; the
 * loop then runs the handlers in its own thread. What a budget leaves in the queue wakes again. Something is said ten
 * times a second; when ten messages and the answer to one request are back, the client disconnects and the loop ends.
 */
#define SDL_MAIN_HANDLED
#include <SDL.h>
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 10, TICK_MS = 100, MOST_TICKS = 200 /* 20 s */ };

typedef struct app {
    pond_client *client;
    pond_channel *channel;
    int ticks, sent, received, answered, leaving, done;
} app;

static SDL_atomic_t lost; /* wake-ups that SDL's own queue did not take */

static void check(const char *what, int32_t status, pond_error **error)
{
    if (status == POND_OK) return;
    fprintf(stderr, "%s: %s %s\n", what, pond_status_name(status), error ? pond_error_message(*error, NULL) : "");
    exit(EXIT_FAILURE);
}

static void on_wake(const pond_event *event, void *user_data)
{
    SDL_Event wake = {0};
    (void)event;
    wake.type = *(Uint32 *)user_data;
    if (SDL_PushEvent(&wake) != 1) SDL_AtomicSet(&lost, 1); /* the next round of the loop dispatches then */
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

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket";
    const char *token = argc > 2 ? argv[2] : "secret";
    pond_queue *queue;
    pond_options *options;
    pond_error *error = NULL;
    app self = {0};
    char *quoted, params[1024];
    Uint32 woken, next_tick;
    int wakes = 0;

    SDL_SetMainReady();
    if (SDL_Init(SDL_INIT_VIDEO) != 0) {
        fprintf(stderr, "SDL: %s\n", SDL_GetError());
        return EXIT_FAILURE;
    }
    woken = SDL_RegisterEvents(1);
    check("queue", pond_queue_new(&queue), NULL);
    check("wake", pond_queue_set_wake(queue, on_wake, &woken, NULL), NULL);

    check("options", pond_options_new(&options), NULL);
    check("options", pond_options_set_queue(options, queue), NULL);
    check("token", pond_json_quote(token, strlen(token), &quoted), NULL);
    snprintf(params, sizeof params, "{\"token\":%s}", quoted);
    pond_string_free(quoted);
    check("client", pond_client_new(url, params, options, &self.client, &error), &error);
    pond_options_free(options);
    check("handler", pond_client_on_state(self.client, on_client_state, &self, NULL, NULL), NULL);
    check("channel", pond_client_channel(self.client, "/chat/sdl", "{\"username\":\"sdl\"}", &self.channel, &error),
          &error);
    check("handler", pond_channel_on_event(self.channel, "message", on_message, &self, NULL, NULL), NULL);
    check("connect", pond_client_connect(self.client), NULL);
    check("join", pond_channel_join(self.channel), NULL);

    next_tick = SDL_GetTicks() + TICK_MS;
    while (!self.done && self.ticks < MOST_TICKS) {
        SDL_Event event;
        int left = (int)(next_tick - SDL_GetTicks());
        int came = SDL_WaitEventTimeout(&event, left > 0 ? left : 0);
        if ((came && event.type == woken) || SDL_AtomicSet(&lost, 0)) {
            int32_t taken = pond_queue_dispatch(queue, 0, 4000);
            if (taken < 0) check("dispatch", taken, NULL);
            wakes++;
        } else if (came && event.type == SDL_QUIT) {
            break;
        }
        if ((int)(next_tick - SDL_GetTicks()) <= 0) {
            next_tick += TICK_MS;
            on_tick(&self);
        }
    }
    printf("%d sent, %d back, %s; woken %d times\n", self.sent, self.received,
           self.answered ? "answered" : "no answer", wakes);
    pond_queue_set_wake(queue, NULL, NULL, NULL); /* once this returns, nothing is pushed any more */
    pond_client_free(self.client);
    pond_queue_free(queue);
    SDL_Quit();
    return self.done && self.leaving && self.received == MESSAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}
