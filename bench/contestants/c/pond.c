/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libpondsocket through its C interface: `pond VARIANT MODE URL N KIND CHANNELS`, modes as bench/README.md says.
 *   push      handlers on the library's threads (the default)
 *   next      pond_queue_next
 *   many      pond_queue_next_many, 256 at a time
 *   dispatch  pond_queue_dispatch on the main thread, woken by the descriptor
 *   call      pond_channel_call, for requests
 */
#include <poll.h>
#include <pondsocket.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_CHANNELS = 64, BATCH = 256, DIGITS = 8, PUT_BYTES = 100, WAIT_MS = 60000 };

static struct {
    const char *variant, *url, *kind;
    uint64_t count;
    unsigned channels;
    pond_queue *queue;
    pond_client *client;
    pond_channel *channel[MAX_CHANNELS];
    int fd;
    uint64_t received, asked, lengths; /* only touched where events are taken: those never overlap */
    bool in_order, over;
    atomic_bool window_asked;
    pthread_mutex_t mutex;
    pthread_cond_t finished;
    uint64_t wall_us, cpu_us;
} bench = {.in_order = true, .mutex = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER, .fd = -1};

static void must(int32_t status, const char *what) {
    if (status == POND_OK) return;
    fprintf(stderr, "pond: %s: %s\n", what, pond_status_name(status));
    exit(1);
}

static uint64_t wall_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void start_watch(void) {
    bench.wall_us = wall_us();
    bench.cpu_us = cpu_us();
}

static void report(void) {
    uint64_t cpu = cpu_us() - bench.cpu_us, wall = wall_us() - bench.wall_us;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"received\":%llu,\"in_order\":%s,\"cpu_us\":%llu,\"wall_us\":%llu,\"max_rss_kib\":%ld}\n",
           (unsigned long long)bench.received, bench.in_order ? "true" : "false", (unsigned long long)cpu,
           (unsigned long long)wall, usage.ru_maxrss);
}

static bool is(const char *variant) { return strcmp(bench.variant, variant) == 0; }

static uint64_t read_number(const char *json, size_t len) {
    static const char key[] = "{\"n\":\"";
    uint64_t number = 0;
    if (len < sizeof key - 1 + DIGITS || memcmp(json, key, sizeof key - 1) != 0) return UINT64_MAX;
    for (int i = 0; i < DIGITS; i++) number = number * 10 + (uint64_t)(json[sizeof key - 1 + i] - '0');
    return number;
}

static void write_number(char *digits, uint64_t number) {
    for (int i = DIGITS; i-- > 0; number /= 10) digits[i] = (char)('0' + number % 10);
}

static void finish(void) {
    pthread_mutex_lock(&bench.mutex);
    bench.over = true;
    pthread_cond_signal(&bench.finished);
    pthread_mutex_unlock(&bench.mutex);
}

static void saw(uint64_t number) {
    bench.in_order &= number == bench.received;
    if (++bench.received == bench.count) finish();
}

static void ask(void);

static void take(const pond_event *event) {
    size_t name_len, len;
    const char *name, *json;
    switch (pond_event_kind(event)) {
    case POND_EVENT_MESSAGE:
        name = pond_event_name(event, &name_len);
        json = pond_event_payload(event, &len);
        bench.lengths += name_len + len;
        if (name_len == 3 && memcmp(name, "end", 3) == 0) {
            finish();
        } else if (name_len == 4 && memcmp(name, "done", 4) == 0) {
            bench.in_order = strstr(json, "\"in_order\":true") != NULL;
            bench.received = bench.count;
            finish();
        } else {
            saw(read_number(json, len));
        }
        break;
    case POND_EVENT_PRESENCE:
        pond_event_users(event, &len);
        bench.lengths += len;
        json = pond_event_changed(event, &len);
        saw(read_number(json, len));
        break;
    case POND_EVENT_REPLY:
        json = pond_event_payload(event, &len);
        bench.lengths += len;
        if (pond_event_status(event) != POND_OK) bench.in_order = false;
        saw(read_number(json, len));
        if (!atomic_load_explicit(&bench.window_asked, memory_order_acquire)) {
            /* Replies ask on behind the first ones, never between them: their order is checked. */
            pthread_mutex_lock(&bench.mutex);
            pthread_mutex_unlock(&bench.mutex);
        }
        if (bench.asked < bench.count) ask();
        break;
    default:
        break;
    }
}

static void on_event(const pond_event *event, void *user_data) {
    (void)user_data;
    take(event);
}

static void ask(void) {
    char payload[] = "{\"n\":\"00000000\"}";
    write_number(payload + 6, bench.asked++);
    bool pulls = is("next") || is("many");
    must(pond_channel_request_n(bench.channel[0], "ask", 3, payload, sizeof payload - 1, 0, pulls ? NULL : on_event, NULL, NULL,
                                NULL, NULL),
         "request");
}

/* Takes events until it is over. */
static void run(void) {
    if (bench.queue == NULL) {
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += WAIT_MS / 1000;
        pthread_mutex_lock(&bench.mutex);
        while (!bench.over && pthread_cond_timedwait(&bench.finished, &bench.mutex, &limit) == 0) {
        }
        pthread_mutex_unlock(&bench.mutex);
    } else if (is("dispatch")) {
        struct pollfd ready = {.fd = bench.fd, .events = POLLIN};
        while (!bench.over && poll(&ready, 1, WAIT_MS) > 0) pond_queue_dispatch(bench.queue, 0, 0);
    } else if (is("many")) {
        pond_event *events[BATCH];
        uint32_t count;
        while (!bench.over && pond_queue_next_many(bench.queue, WAIT_MS, events, BATCH, &count) == POND_OK) {
            for (uint32_t i = 0; i < count; i++) {
                take(events[i]);
                pond_event_free(events[i]);
            }
        }
    } else {
        pond_event *event;
        while (!bench.over && pond_queue_next(bench.queue, WAIT_MS, &event) == POND_OK) {
            take(event);
            pond_event_free(event);
        }
    }
    if (!bench.over) fprintf(stderr, "pond: not over in %d ms\n", WAIT_MS);
}

static pond_options *make_options(void) {
    pond_options *options;
    must(pond_options_new(&options), "options");
    if (getenv("BENCH_CA")) must(pond_options_set_ca_file(options, getenv("BENCH_CA")), "ca_file");
    if (bench.queue) must(pond_options_set_queue(options, bench.queue), "queue");
    return options;
}

static void begin(pond_client **client, pond_channel **channels, unsigned count, pond_options *options) {
    must(pond_client_new(bench.url, NULL, options, client, NULL), "client");
    must(pond_client_connect(*client), "connect");
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "/room/%02u", i);
        must(pond_client_channel(*client, name, NULL, &channels[i], NULL), "channel");
        if (!is("next") && !is("many")) {
            must(pond_channel_on_message(channels[i], on_event, NULL, NULL, NULL), "on_message");
            must(pond_channel_on_users_change(channels[i], on_event, NULL, NULL, NULL), "on_users_change");
        }
        must(pond_channel_join(channels[i]), "join");
    }
}

static void await_joined(pond_channel **channels, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        must(pond_channel_wait_state(channels[i], POND_CHANNEL_JOINED, WAIT_MS, NULL), "joined");
}

struct sender {
    pthread_t thread;
    unsigned number;
    uint64_t count;
};

static void *put(void *argument) {
    struct sender *sender = argument;
    char payload[PUT_BYTES + 1];
    int head = snprintf(payload, sizeof payload, "{\"n\":\"00000000\",\"t\":\"%u\",\"x\":\"", sender->number);
    memset(payload + head, 'a', (size_t)(PUT_BYTES - 2 - head));
    memcpy(payload + PUT_BYTES - 2, "\"}", 3);
    for (uint64_t n = 0; n < sender->count; n++) {
        write_number(payload + 6, n);
        int32_t status;
        while ((status = pond_channel_send_n(bench.channel[0], "put", 3, payload, PUT_BYTES, NULL)) == POND_ERROR_QUEUE_FULL)
            must(pond_client_flush(bench.client, WAIT_MS), "flush");
        must(status, "send");
    }
    return NULL;
}

static void puts_from(unsigned threads) {
    struct sender senders[8];
    start_watch();
    for (unsigned i = 0; i < threads; i++) {
        senders[i] = (struct sender){.number = i, .count = bench.count / threads + (i < bench.count % threads)};
        if (i > 0 && pthread_create(&senders[i].thread, NULL, put, &senders[i]) != 0) exit(1);
    }
    put(&senders[0]);
    for (unsigned i = 1; i < threads; i++) pthread_join(senders[i].thread, NULL);
    run();
    report();
}

static void asks(unsigned window) {
    start_watch();
    if (is("call")) {
        while (bench.received < bench.count) {
            char payload[] = "{\"n\":\"00000000\"}";
            pond_event *reply;
            size_t len;
            write_number(payload + 6, bench.received);
            must(pond_channel_call(bench.channel[0], "ask", payload, 0, &reply, NULL), "call");
            const char *json = pond_event_payload(reply, &len);
            saw(read_number(json, len));
            pond_event_free(reply);
        }
    } else {
        if (bench.queue == NULL) {
            /* Replies ask on, on a library thread. */
            char payload[] = "{\"n\":\"00000000\"}";
            bench.asked = window;
            pthread_mutex_lock(&bench.mutex);
            for (unsigned i = 0; i < window; i++) {
                write_number(payload + 6, i);
                must(pond_channel_request_n(bench.channel[0], "ask", 3, payload, sizeof payload - 1, 0, on_event, NULL, NULL, NULL, NULL),
                     "request");
            }
            atomic_store_explicit(&bench.window_asked, true, memory_order_release);
            pthread_mutex_unlock(&bench.mutex);
        } else {
            atomic_store_explicit(&bench.window_asked, true, memory_order_release);
            while (bench.asked < window) ask();
        }
        run();
    }
    report();
}

static long resident_kib(void) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmRSS: %ld", &kib);
    if (status) fclose(status);
    return kib;
}

static void idle(void) {
    pond_client **clients = calloc(bench.count, sizeof *clients);
    pond_channel **channels = calloc(bench.count, sizeof *channels);
    pond_options *options = make_options();
    if (!clients || !channels) exit(1);
    long before = resident_kib();
    for (uint64_t i = 0; i < bench.count; i++) {
        begin(&clients[i], &channels[i], 1, options);
        /* The server accepts one after the other. */
        if (i % 100 == 99) await_joined(&channels[i], 1);
    }
    await_joined(channels, (unsigned)bench.count);
    if (bench.queue) {
        pond_event *event;
        while (pond_queue_next(bench.queue, 0, &event) == POND_OK) pond_event_free(event);
    }
    printf("{\"connections\":%llu,\"rss_kib\":%ld}\n", (unsigned long long)bench.count, resident_kib() - before);
    fflush(stdout);
    free(clients);
    free(channels);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: pond VARIANT MODE URL N KIND CHANNELS\n");
        return 2;
    }
    const char *mode = argv[2];
    bench.variant = argv[1];
    bench.url = argv[3];
    bench.count = strtoull(argv[4], NULL, 10);
    bench.kind = argv[5];
    bench.channels = (unsigned)strtoul(argv[6], NULL, 10);
    if (bench.channels == 0 || bench.channels > MAX_CHANNELS) return 2;
    if (!is("push") && !is("call")) must(pond_queue_new(&bench.queue), "queue");
    if (is("dispatch")) must(pond_queue_fd(bench.queue, &bench.fd), "fd");

    if (strcmp(mode, "idle") == 0) {
        idle();
    } else {
        begin(&bench.client, bench.channel, bench.channels, make_options());
        await_joined(bench.channel, bench.channels);
        if (strcmp(mode, "start") == 0) {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            long long ns = (long long)now.tv_sec * 1000000000 + now.tv_nsec;
            printf("{\"joined_us\":%lld}\n", (ns - atoll(getenv("BENCH_STARTED_NS") ? getenv("BENCH_STARTED_NS") : "0")) / 1000);
        } else if (strcmp(mode, "flood") == 0) {
            start_watch();
            must(pond_channel_send(bench.channel[0], "go", NULL, NULL), "go");
            run();
            report();
        } else if (strcmp(mode, "ask1") == 0) {
            asks(1);
        } else if (strcmp(mode, "ask64") == 0) {
            asks(64);
        } else if (strcmp(mode, "put") == 0) {
            puts_from(1);
        } else if (strcmp(mode, "put4") == 0) {
            puts_from(4);
        } else {
            fprintf(stderr, "pond: no such mode: %s\n", mode);
            return 2;
        }
    }
    fflush(stdout);
    /* Not a part of what is measured, but it has to be clean. */
    return pond_shutdown(5000) == POND_OK ? 0 : 1;
}
