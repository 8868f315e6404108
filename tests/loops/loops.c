/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * loop-tests: without an argument lists its tests, with a name runs that one. POND_TEST_PORT is the server's port.
 */
#include "loops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *running = "?";

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nap(int milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void fail(const char *why)
{
    printf("FAILED %s: %s\n", running, why);
    fflush(stdout);
    _exit(1); /* callbacks may be running: nothing of the process is to be torn down under them */
}

void must(int holds, const char *what, const char *file, int line)
{
    char why[512];
    if (holds) return;
    snprintf(why, sizeof why, "%s:%d: not so: %s", file, line, what);
    fail(why);
}

void must_be(int64_t expected, int64_t got, const char *what, const char *file, int line)
{
    char why[512];
    if (expected == got) return;
    snprintf(why, sizeof why, "%s:%d: %s is %lld (as a status %s), not %lld", file, line, what, (long long)got,
             pond_status_name((int32_t)got), (long long)expected);
    fail(why);
}

static int port(void)
{
    const char *text = getenv("POND_TEST_PORT");
    MUST(text && atoi(text) > 0);
    return atoi(text);
}

pond_queue *queue_new(void)
{
    pond_queue *queue;
    OK(pond_queue_new(&queue));
    return queue;
}

pond_options *options_new(pond_queue *queue)
{
    pond_options *options;
    OK(pond_options_new(&options));
    OK(pond_options_set_backoff_ms(options, 20, 100));
    OK(pond_options_set_queue(options, queue));
    return options;
}

pond_client *client_new(const char *path, const char *params, pond_options *options)
{
    pond_client *client;
    char url[128];
    snprintf(url, sizeof url, "ws://127.0.0.1:%d%s", port(), path);
    OK(pond_client_new(url, params, options, &client, NULL));
    OK(pond_options_free(options));
    return client;
}

void connect_client(pond_client *client)
{
    OK(pond_client_connect(client));
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
}

pond_channel *channel_new(pond_client *client, const char *name, const char *params)
{
    pond_channel *channel;
    OK(pond_client_channel(client, name, params, &channel, NULL));
    return channel;
}

pond_channel *joined_channel(pond_client *client, const char *name, const char *params)
{
    pond_channel *channel = channel_new(client, name, params);
    OK(pond_channel_join(channel));
    OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    return channel;
}

void flood(pond_channel *channel, const char *event, int run, int count, int pad)
{
    char *frame = malloc((size_t)pad + 512), *payload = malloc((size_t)pad + 1024), *quoted, *dots;
    MUST(frame && payload);
    dots = malloc((size_t)pad + 1);
    MUST(dots != NULL);
    memset(dots, 'x', (size_t)pad);
    dots[pad] = 0;
    snprintf(frame, (size_t)pad + 512,
             "{\"action\":\"BROADCAST\",\"event\":\"%s\",\"channelName\":\"$CHANNEL\",\"requestId\":\"%d-$I\","
             "\"payload\":{\"run\":%d,\"i\":$I,\"pad\":\"%s\"}}",
             event, run, run, dots);
    OK(pond_json_quote(frame, strlen(frame), &quoted));
    snprintf(payload, (size_t)pad + 1024, "{\"frames\":[%s],\"count\":%d}", quoted, count);
    OK(pond_channel_send(channel, "raw", payload, NULL));
    pond_string_free(quoted);
    free(dots);
    free(payload);
    free(frame);
}

static int flood_number(const pond_event *event, const char *key)
{
    const char *found = strstr(pond_event_payload(event, NULL), key);
    return found ? atoi(found + strlen(key)) : -1;
}

int flood_index(const pond_event *event) { return flood_number(event, "\"i\":"); }
int flood_run(const pond_event *event) { return flood_number(event, "\"run\":"); }

int drain(pond_queue *queue)
{
    pond_event *event;
    int taken = 0;
    int32_t status;
    while ((status = pond_queue_next(queue, 0, &event)) == POND_OK) {
        pond_event_free(event);
        taken++;
    }
    IS(POND_EMPTY, status);
    return taken;
}

char *script_log(void)
{
    static const char request[] = "GET /script/log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port())};
    size_t filled = 0, capacity = 1 << 16;
    char *answer = malloc(capacity), *body;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && answer);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(write(fd, request, sizeof request - 1) == (ssize_t)(sizeof request - 1));
    while ((got = read(fd, answer + filled, capacity - filled - 1)) > 0) {
        filled += (size_t)got;
        if (capacity - filled < 2) answer = realloc(answer, capacity *= 2);
        MUST(answer != NULL);
    }
    close(fd);
    answer[filled] = 0;
    body = strstr(answer, "\r\n\r\n");
    MUST(body != NULL);
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return answer;
}

int logged(const char *part)
{
    char *log = script_log(), *at = log;
    int times = 0;
    while ((at = strstr(at, part)) != NULL) {
        times++;
        at += strlen(part);
    }
    free(log);
    return times;
}

int readable(int fd)
{
    struct pollfd pfd = {fd, POLLIN, 0};
    int result = poll(&pfd, 1, 0);
    MUST(result >= 0 && !(pfd.revents & POLLNVAL));
    return result == 1;
}

long resident(void)
{
    long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file != NULL);
    IS(2, fscanf(file, "%ld %ld", &total, &pages));
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

void gate_open(gate *self)
{
    pthread_mutex_lock(&self->mutex);
    self->open = 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

int gate_wait(gate *self)
{
    struct timespec end;
    int open, error = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += DEADLINE / 1000;
    pthread_mutex_lock(&self->mutex);
    while (!self->open && error == 0) error = pthread_cond_timedwait(&self->changed, &self->mutex, &end);
    open = self->open;
    pthread_mutex_unlock(&self->mutex);
    return open;
}

void count_destroy(void *counter) { atomic_fetch_add((atomic_int *)counter, 1); }

void count_event(const pond_event *event, void *counter)
{
    (void)event;
    atomic_fetch_add((atomic_int *)counter, 1);
}

int main(int argc, char **argv)
{
    static const test *const groups[] = {delivery_tests, blocking_tests, stopped_tests, idle_tests,
                                         shared_tests,   wake_tests,     queue_tests};
    size_t g;
    for (g = 0; g < sizeof groups / sizeof *groups; g++) {
        const test *each;
        for (each = groups[g]; each->name; each++) {
            if (argc < 2) {
                printf("%s\n", each->name);
            } else if (strcmp(argv[1], each->name) == 0) {
                running = each->name;
                each->run();
                /* Whatever a test leaves behind, the library ends in good order. */
                IS(POND_OK, pond_shutdown(DEADLINE));
                printf("ok %s\n", running);
                return 0;
            }
        }
    }
    if (argc < 2) return 0;
    fprintf(stderr, "no test %s\n", argv[1]);
    return 2;
}
