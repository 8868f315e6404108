/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse under load: random calls of every function, from many threads and from inside callbacks. run.sh tells the rest. */
#define _DEFAULT_SOURCE
#include "hammer.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 6
#define FUNCTIONS 512
#define PLACES 16

static uint64_t seed;
static unsigned long calls_wanted;
static atomic_ulong calls;
static atomic_uint threads_seeded;
static const char *planted = "";
static uint32_t pace_us;
bool shutting = true;
const char *world_urls[8];
static char urls[3][96];

/* ---- chance ---- */

static _Thread_local uint64_t state;

uint32_t dice(uint32_t sides) {
    if (state == 0) {
        state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) + (atomic_fetch_add(&threads_seeded, 1) + 1) * UINT64_C(0xD1B54A32D192ED03);
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % sides);
}

/* ---- what each thread does ---- */

static struct function {
    const char *_Atomic name;
    atomic_ulong calls;
} functions[FUNCTIONS];

/* Where the threads are, for the watchdog: the workers, the main thread while it shuts down, then the library's threads that
 * run callbacks; those come and go, and are not watched. */
static struct place {
    const char *_Atomic function;
    atomic_ulong calls;
    atomic_bool watched;
} places[128];
static atomic_uint places_taken; /* by library threads */
static _Thread_local struct place *place;

static struct place *my_place(void) {
    if (!place) place = &places[THREADS + 1 + atomic_fetch_add(&places_taken, 1) % (128 - THREADS - 1)];
    return place;
}

const char *before(const char *name) {
    uint32_t at = 0;
    for (const char *c = name; *c; c++) at = at * 31 + (unsigned char)*c;
    for (;; at++) {
        struct function *function = &functions[at % FUNCTIONS];
        const char *found = atomic_load(&function->name);
        if (!found && atomic_compare_exchange_strong(&function->name, &found, name)) found = name;
        if (found && strcmp(found, name) == 0) {
            atomic_fetch_add(&function->calls, 1);
            break;
        }
    }
    atomic_fetch_add(&calls, 1);
    atomic_store(&my_place()->function, name);
    atomic_fetch_add(&my_place()->calls, 1);
    return name;
}

_Noreturn void failed(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "FAILED (seed %llu, call %lu): ", (unsigned long long)seed, atomic_load(&calls));
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

int32_t after(const char *function, int32_t status, uint64_t allowed) {
    atomic_store(&my_place()->function, "(between calls)");
    if (strcmp(planted, "status") == 0 && dice(1000) == 0) status = POND_ERROR_PANIC;
    if (status < -42 || status > 6 || !(S(status) & allowed)) {
        failed("%s answered %d, %s, which the header does not name%s", function, status, pond_status_name(status),
               in_callback ? " (in a callback)" : "");
    }
    return status;
}

int32_t after_value(const char *function, int32_t value, uint64_t allowed) {
    return after(function, value > 0 ? 0 : value, allowed | OK) == 0 ? value : value;
}

/* ---- registrations ---- */

static struct registration *_Atomic registrations;
_Thread_local int in_callback;

struct registration *registration(const char *function) {
    struct registration *made = calloc(1, sizeof *made);
    if (!made) failed("no memory");
    made->function = function;
    made->next = atomic_load(&registrations);
    while (!atomic_compare_exchange_weak(&registrations, &made->next, made)) {}
    return made;
}

/* What came about, so that a run in which nothing happened is no success. */
static atomic_ulong connected, joined, answered, presences, messages;

void seen(const pond_event *event) {
    switch (pond_event_kind(event)) {
    case POND_EVENT_CLIENT_STATE: atomic_fetch_add(&connected, pond_event_state(event) == POND_CLIENT_CONNECTED); break;
    case POND_EVENT_CHANNEL_STATE: atomic_fetch_add(&joined, pond_event_state(event) == POND_CHANNEL_JOINED); break;
    case POND_EVENT_REPLY: atomic_fetch_add(&answered, pond_event_status(event) == POND_OK); break;
    case POND_EVENT_PRESENCE: atomic_fetch_add(&presences, 1); break;
    case POND_EVENT_MESSAGE: atomic_fetch_add(&messages, 1); break;
    default: break;
    }
}

static unsigned long race; /* for the planted race: no lock, no atomic */

void on_event(const pond_event *event, void *user_data) {
    struct registration *it = user_data;
    if (atomic_load(&it->destroyed)) failed("a handler of %s runs after its destroy", it->function);
    if (it->is_request) {
        if (pond_event_user_data(event) != user_data) failed("a reply has the user_data of another");
        atomic_fetch_add(&it->replies, strcmp(planted, "reply") == 0 ? 2 : 1);
    }
    if (strcmp(planted, "race") == 0) race++;
    in_callback++;
    seen(event);
    if (chance(20)) look_at(event);
    if (in_callback <= 2) {
        for (uint32_t left = dice(3); left > 0; left--) one_call();
    }
    in_callback--;
    if (atomic_load(&it->destroyed)) failed("the destroy of %s ran while its handler ran", it->function);
}

void on_destroy(void *user_data) {
    struct registration *it = user_data;
    if (atomic_fetch_add(&it->destroyed, 1)) failed("%s: destroyed twice", it->function);
    if (strcmp(planted, "destroy") == 0 && dice(1000) == 0) on_destroy(user_data);
    in_callback++;
    if (in_callback <= 2 && chance(10)) one_call();
    in_callback--;
}

static unsigned long look_at_all(void) {
    unsigned long count = 0;
    for (struct registration *it = atomic_load(&registrations), *next; it; it = next) {
        int destroyed = atomic_load(&it->destroyed), replies = atomic_load(&it->replies);
        if (destroyed != 1) failed("%s: destroyed %d times", it->function, destroyed);
        if (replies > 1) failed("%s: %d replies", it->function, replies);
        if (it->is_request && it->accepted && it->has_function && replies != 1) {
            failed("%s: accepted, but no reply came", it->function);
        }
        if (it->is_request && !it->accepted && replies) failed("%s: refused, but a reply came", it->function);
        next = it->next;
        free(it);
        count++;
    }
    return count;
}

/* ---- handles ---- */

static void *_Atomic handles[POOLS][PLACES];

void *any(enum pool pool) {
    switch (dice(40)) {
    case 0: return NULL;
    case 1: return atomic_load(&handles[dice(POOLS)][dice(PLACES)]);
    case 2: return (void *)(uintptr_t)(dice(UINT32_MAX) | (chance(50) ? (uint64_t)dice(UINT32_MAX) << 32 : 0));
    case 3: { /* one that was or will be */
        uintptr_t key = (uintptr_t)atomic_load(&handles[pool][dice(PLACES)]);
        return (void *)(key + 2 * dice(8) + ((uint64_t)dice(4) << 23));
    }
    default: return atomic_load(&handles[pool][dice(PLACES)]);
    }
}

void *keep(enum pool pool, void *handle) { return atomic_exchange(&handles[pool][dice(PLACES)], handle); }

/* ---- threads ---- */

static void *work(void *own) {
    place = own;
    atomic_store(&place->watched, true);
    while (atomic_load(&calls) < calls_wanted) {
        one_call();
        if (strcmp(planted, "race") == 0) race++;
        if (pace_us) usleep(dice(2 * pace_us));
        if (strcmp(planted, "memory") == 0) {
            /* Against rule 7: an error after its free. */
            pond_client *client = NULL;
            pond_error *error = NULL;
            pond_client_new("", NULL, NULL, &client, &error);
            pond_error_free(error);
            pond_error_status(error);
        }
        if (strcmp(planted, "hang") == 0 && atomic_load(&calls) > 1000) pause();
    }
    atomic_store(&place->watched, false);
    return NULL;
}

static unsigned watchdog_s;
static atomic_bool over;

static void *watch(void *unused) {
    (void)unused;
    unsigned long last[128] = {0};
    unsigned still[128] = {0};
    while (!atomic_load(&over)) {
        sleep(1);
        unsigned taken = THREADS + 1 + atomic_load(&places_taken);
        for (unsigned i = 0; i < THREADS + 1; i++) {
            unsigned long now = atomic_load(&places[i].calls);
            still[i] = now == last[i] && atomic_load(&places[i].watched) ? still[i] + 1 : 0;
            last[i] = now;
            if (still[i] > watchdog_s && !atomic_load(&over)) {
                for (unsigned k = 0; k < taken && k < 128; k++) {
                    fprintf(stderr, "  thread %u: %s\n", k, atomic_load(&places[k].function));
                }
                failed("thread %u makes no progress for %u s", i, watchdog_s);
            }
        }
    }
    return NULL;
}

/* A socket that listens and never answers, or (listens false) one that refuses. */
static int port_of_our_own(bool listens) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || (listens && listen(fd, 1024)) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        failed("no loopback port");
    }
    return ntohs(address.sin_port);
}

static unsigned long number(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = number("POND_HAMMER_SEED", (unsigned long)now.tv_nsec % 1000000);
    calls_wanted = number("CALLS", 200000);
    watchdog_s = (unsigned)number("POND_HAMMER_WATCHDOG", 60);
    pace_us = (uint32_t)number("POND_HAMMER_PACE_US", 1200);
    shutting = number("POND_HAMMER_SHUTDOWN", 1) != 0;
    if (getenv("POND_HAMMER_BUG")) planted = getenv("POND_HAMMER_BUG");
    printf("seed %llu, %lu calls, %d threads\n", (unsigned long long)seed, calls_wanted, THREADS);
    fflush(stdout);

    static const char *paths[2] = {"/api/socket?token=secret&name=hammer", "/script"};
    for (int i = 0; i < 2; i++) {
        snprintf(urls[i], sizeof urls[i], "ws://127.0.0.1:%s%s", argv[1], paths[i]);
        world_urls[i] = world_urls[i + 2] = urls[i];
    }
    world_urls[4] = world_urls[0];
    static char refusing[64];
    snprintf(urls[2], sizeof urls[2], "ws://127.0.0.1:%d/", port_of_our_own(true));
    snprintf(refusing, sizeof refusing, "ws://127.0.0.1:%d/", port_of_our_own(false));
    world_urls[5] = urls[2];
    world_urls[6] = refusing;
    world_urls[7] = "htp:/nonsense";

    pthread_t threads[THREADS], watchdog;
    place = &places[THREADS];
    pthread_create(&watchdog, NULL, watch, NULL);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, &places[i]);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    atomic_store(&place->watched, true);
    /* Handlers on library threads may still make calls, which may start the library anew. */
    int32_t ended = POND_TIMEOUT;
    for (int i = 0; i < 20 && ended != POND_OK; i++) {
        ended = DO(pond_shutdown, OK | S(POND_TIMEOUT), 10000);
    }
    if (ended != POND_OK) failed("pond_shutdown does not end");
    let_go();
    for (int i = 0; i < 20; i++) {
        if (DO(pond_shutdown, OK | S(POND_TIMEOUT), 10000) != POND_OK) failed("the second pond_shutdown does not end");
    }
    atomic_store(&over, true);
    pthread_join(watchdog, NULL);

    unsigned long count = look_at_all();
    for (int i = 0; i < FUNCTIONS; i++) {
        if (atomic_load(&functions[i].name)) printf("called %s %lu\n", functions[i].name, atomic_load(&functions[i].calls));
    }
    if (strcmp(planted, "race") == 0) printf("race %lu\n", race);
    printf("%lu calls, %lu registrations: each destroyed once, each accepted request completed once\n", atomic_load(&calls), count);
    printf("seen: %lu connected, %lu joined, %lu answered, %lu presences, %lu messages\n", connected, joined, answered, presences, messages);
    fflush(stdout);
    if (calls_wanted >= 10000 && !(connected && joined && answered && presences && messages)) failed("some of it never came about");
    return 0;
}
