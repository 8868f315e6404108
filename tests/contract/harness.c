/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Failing, time, the process, clients and their watched registrations.
 */
#include "contract.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

pthread_t main_thread;

/* ---- failing and time ------------------------------------------------------------------------------------------- */

void fail(const char *file, int line, const char *format, ...)
{
    const char *name = strrchr(file, '/');
    char text[1024], comm[512] = "?";
    va_list values;
    size_t got = 0, last;
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (fd >= 0) got = (size_t)read(fd, comm, sizeof comm - 1);
    /* The test's name is the last word of the command line. */
    last = got > 1 && got < sizeof comm ? got - 1 : 0;
    while (last > 0 && comm[last - 1]) last--;
    printf("FAILED %s: %s:%d: %s\n", comm + last, name ? name + 1 : file, line, text);
    fflush(stdout);
    _exit(1);
}

void expect_status(const char *file, int line, const char *what, int64_t got, int64_t expected)
{
    if (got == expected) return;
    fail(file, line, "%s is %lld %s, not %lld %s", what, (long long)got, pond_status_name((int32_t)got),
         (long long)expected, pond_status_name((int32_t)expected));
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int slow(void)
{
    const char *text = getenv("CONTRACT_SLOW");
    return text && atoi(text) > 1 ? atoi(text) : 1;
}

uint32_t ms(uint32_t milliseconds)
{
    return milliseconds * (uint32_t)slow();
}

int rounds(int native)
{
    int n = native / slow();
    return n > 4 ? n : 4;
}

/* ---- the process ------------------------------------------------------------------------------------------------ */

static int entries(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int n = 0;
    if (!directory) FAIL("%s: %s", path, strerror(errno));
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.') n++;
    closedir(directory);
    return n;
}

int thread_count(void)
{
    return entries("/proc/self/task");
}

int fd_count(void)
{
    return entries("/proc/self/fd") - 1; /* without the one that reads */
}

pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0) FAIL("pthread_create");
    return thread;
}

void finish(pthread_t thread)
{
    struct timespec end;
    int result;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += DEADLINE / 1000;
    result = pthread_timedjoin_np(thread, NULL, &end);
    if (result != 0) FAIL("a thread does not end: %s", strerror(result));
}

pid_t thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* ---- watched registrations -------------------------------------------------------------------------------------- */

enum { MOST_TRACKED = 200000 };
static tracked *all[MOST_TRACKED];
static atomic_int tracked_count;

tracked *track_with(void (*then)(tracked *self, const pond_event *event), void *data)
{
    tracked *self = calloc(1, sizeof *self);
    int place = atomic_fetch_add(&tracked_count, 1);
    if (!self || place >= MOST_TRACKED) FAIL("too many registrations");
    self->then = then;
    self->data = data;
    all[place] = self;
    return self;
}

tracked *track(void)
{
    return track_with(NULL, NULL);
}

void on_call(const pond_event *event, void *user_data)
{
    tracked *self = user_data;
    int32_t kind = pond_event_kind(event), state = pond_event_state(event);
    if (self->over) FAIL("a handler runs after its end was promised (kind %d)", kind);
    if (self->destroys) FAIL("a handler runs after destroy (kind %d)", kind);
    /* Log lines come from any thread. */
    if (atomic_fetch_add(&self->running, 1) && kind != POND_EVENT_LOG) FAIL("calls of one registration overlap");
    self->caller = thread_id();
    if (pond_event_ticket(event)) self->ticket = pond_event_ticket(event);
    if (state > 0 && state < 32) self->states[state]++;
    if (kind > 0 && kind < 32) {
        self->kinds[kind]++;
        self->last_status = pond_event_status(event);
    }
    atomic_fetch_add(&self->calls, 1);
    if (self->then) self->then(self, event);
    atomic_fetch_sub(&self->running, 1);
}

void on_destroy(void *user_data)
{
    tracked *self = user_data;
    self->destroyer = thread_id();
    if (self->running) FAIL("destroy runs while the handler does");
    if (atomic_fetch_add(&self->destroys, 1)) FAIL("destroy runs twice");
    if (self->at_destroy) self->at_destroy(self);
}

int destroyed_all(void)
{
    int i, complete = 1;
    for (i = 0; i < tracked_count; i++) {
        if (all[i]->destroys != 1) complete = 0;
        free(all[i]);
        all[i] = NULL;
    }
    tracked_count = 0;
    return complete;
}

/* ---- clients ---------------------------------------------------------------------------------------------------- */

pond_options *fast_options(void)
{
    pond_options *options;
    OK(pond_options_new(&options));
    OK(pond_options_set_backoff_ms(options, 20, 100));
    OK(pond_options_set_connect_timeout_ms(options, DEADLINE));
    OK(pond_options_set_join_timeout_ms(options, DEADLINE));
    OK(pond_options_set_response_timeout_ms(options, DEADLINE));
    return options;
}

pond_client *client_at(const char *where, const char *params, pond_options *options)
{
    pond_client *client = NULL;
    pond_error *error = NULL;
    int32_t status;
    if (!options) options = fast_options();
    status = pond_client_new(where, params, options, &client, &error);
    if (status != POND_OK) FAIL("pond_client_new: %s", pond_error_message(error, NULL));
    OK(pond_options_free(options));
    return client;
}

void connected(pond_client *client)
{
    pond_error *error = NULL;
    int32_t status;
    OK(pond_client_connect(client));
    status = pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, &error);
    if (status != POND_OK) FAIL("not connected: %s, %s", pond_status_name(status), pond_error_message(error, NULL));
}

pond_client *chat(const char *name, pond_options *options)
{
    char params[128];
    pond_client *client;
    snprintf(params, sizeof params, "{\"token\":\"secret\",\"name\":\"%s\"}", name);
    client = client_at(url("ws", shared_port(), "/api/socket"), params, options);
    connected(client);
    return client;
}

pond_client *script(pond_options *options)
{
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, options);
    connected(client);
    return client;
}

pond_channel *channel_of(pond_client *client, const char *name, const char *params)
{
    pond_channel *channel = NULL;
    OK(pond_client_channel(client, name, params, &channel, NULL));
    return channel;
}

pond_channel *joined(pond_client *client, const char *name, const char *params)
{
    pond_channel *channel = channel_of(client, name, params);
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    return channel;
}

const char *room(const char *prefix)
{
    static char names[16][64];
    static atomic_int next; /* several threads of a test ask */
    int number = atomic_fetch_add(&next, 1);
    char *name = names[number % 16];
    snprintf(name, sizeof names[0], "/chat/%s-%d-%d-", prefix, (int)getpid(), number);
    return name;
}

/* ---- a loop of the program -------------------------------------------------------------------------------------- */

static void *dispatching(void *argument)
{
    loop *self = argument;
    self->tid = thread_id();
    while (!self->stop) {
        int32_t taken = pond_queue_dispatch(self->queue, 0, 0);
        if (taken == POND_ERROR_INVALID_HANDLE) break;
        if (taken < 0) FAIL("pond_queue_dispatch: %s", pond_status_name(taken));
        if (taken == 0) usleep(200);
    }
    return NULL;
}

loop *loop_start(pond_queue *queue)
{
    loop *self = calloc(1, sizeof *self);
    if (!self) FAIL("calloc");
    self->queue = queue;
    self->thread = start(dispatching, self);
    return self;
}

void loop_end(loop *self)
{
    self->stop = 1;
    finish(self->thread);
    free(self);
}
