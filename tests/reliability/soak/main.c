/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plan: clients are made, all join, then traffic and random faults, then the network heals and everything is
 * counted. One thread makes all calls; events come on five others and on the library's own.
 */
#define _GNU_SOURCE
#include "soak.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    PING_MS = 3000,
    PONG_MS = 3000,
    CONNECT_MS = 5000,
    BACKOFF_MS = 2000,
    /* A hole of the last moment is found by a ping, the first dial may fall into a restart, the second may not. */
    WHOLE_MS = PING_MS + PONG_MS + CONNECT_MS + 2 * BACKOFF_MS + 5000,
    /* Dispatch threads end after 10 s without work. */
    IDLE_MS = 11000
};

enum fault { F_CUT, F_HOLE, F_CUT_ALL, F_REFUSE, F_KILL, F_SUSPEND, F_RENEW, F_ABRUPT, F_LEAVE, F_CANCEL, FAULTS };
static const char *const fault_names[] = {"cuts",   "holes",    "cut_all", "refusals", "kills",
                                          "suspends", "renewals", "frees",   "leaves",   "cancels"};
static const int weights[] = {26, 14, 3, 3, 2, 14, 6, 4, 12, 16};

typedef struct slot {
    gen *gen;
    enum { LIVE, SUSPENDED, LEFT, ENDING } mode;
    uint64_t until_us, send_us, ask_us;
    request *slow, *proof;
    int last; /* the number of the last message */
} slot;

shared *both;
static slot slots[SLOTS_MOST];
static int clients, seconds, passed, failed;
static pond_options *options[GROUPS];
uint64_t began_us;
unsigned cancels_won;
static uint64_t chance;
static unsigned faults[FAULTS], sent;
static FILE *csv;
static long rss_samples[100000];
static int samples;

uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* xorshift64* */
uint32_t random_of(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1Du) >> 33);
}

static int below(int n)
{
    return (int)(random_of(&chance) % (uint32_t)n);
}

int bug(const char *name)
{
    return both->bug[0] == name[0] && !strcmp(both->bug, name);
}

void violate(const char *format, ...)
{
    va_list list;
    if (atomic_fetch_add(&both->violations, 1) >= 50) return;
    va_start(list, format);
    fprintf(stderr, "VIOLATION: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
}

long number(const char *json, const char *key)
{
    char quoted[16];
    const char *at;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(json, quoted);
    return at ? atol(at + strlen(quoted)) : -1;
}

void verdict(int fine, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("%s: ", fine ? "ok" : "FAILED");
    vprintf(format, list);
    printf("\n");
    fflush(stdout);
    va_end(list);
    if (fine) passed++;
    else failed++;
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ., .. and its own */
    if (!dir) abort();
    while (readdir(dir)) n++;
    closedir(dir);
    return n;
}

static long status_of(const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) abort();
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key))) value = atol(line + strlen(key));
    fclose(file);
    return value;
}

/* What is allocated, in KiB, the library's included: without what the allocator keeps. */
static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return (info.uordblks + info.hblkhd) / 1024;
}

static int joined(void)
{
    int i, n = 0;
    for (i = 0; i < clients; i++)
        n += slots[i].mode == LIVE && pond_channel_state(slots[i].gen->channel) == POND_CHANNEL_JOINED;
    return n;
}

static void sample(const char *phase)
{
    static uint32_t took[1 << 16];
    static unsigned before[FAULTS], replies_before, received_before, sent_before;
    int i, connected = 0, count = latencies(took, 1 << 16);
    long rss = status_of("VmRSS:");
    for (i = 0; i < clients; i++)
        connected += pond_client_state(slots[i].gen->client) == POND_CLIENT_CONNECTED;
    if (samples < 100000) rss_samples[samples++] = rss;
    fprintf(csv, "%.1f,%s,%d,%d,%ld,%zu,%ld,%d,%u,%u,%u,%u,%u", (double)(now_us() - began_us) / 1e6, phase, connected,
            joined(), rss, heap(), status_of("Threads:"), descriptors(), count ? took[count / 2] : 0, count ? took[count * 99 / 100] : 0,
            sum.replies - replies_before, sum.received - received_before, sent - sent_before);
    for (i = 0; i < FAULTS; i++) {
        fprintf(csv, ",%u", faults[i] - before[i]);
        before[i] = faults[i];
    }
    fprintf(csv, "\n");
    fflush(csv);
    replies_before = sum.replies;
    received_before = sum.received;
    sent_before = sent;
}

/* Sleeps one step and samples when a second is over. */
static void step(const char *phase)
{
    static uint64_t next;
    struct timespec moment = {0, 10000000};
    nanosleep(&moment, NULL);
    if (now_us() < next) return;
    next = (next && now_us() - next < 1000000 ? next : now_us()) + 1000000;
    sample(phase);
}

static void send_one(slot *self)
{
    gen *gen = self->gen;
    char payload[128];
    int32_t status;
    if (gen->next >= NUMBERS) return;
    snprintf(payload, sizeof payload, "{\"s\":%d,\"n\":%d,\"text\":\"What a soak says once per second.\"}", gen->slot, gen->next);
    accepted_ms[gen->slot][gen->next] = (uint32_t)((now_us() - began_us) / 1000);
    status = pond_channel_send(gen->channel, "message", payload, NULL);
    if (status == POND_OK) {
        self->last = gen->next++;
        sent++;
    } else if (!(status == POND_ERROR_CLOSED && self->mode != LIVE && self->mode != SUSPENDED) &&
               status != POND_ERROR_DECLINED) {
        violate("slot %d: a send was answered %s", gen->slot, pond_status_name(status));
    }
}

static void renew(slot *self)
{
    gen *old = self->gen;
    client_forget(old);
    self->slow = NULL;
    self->gen = client_make(old->slot, old->next, options);
    self->mode = LIVE;
    /* The goodbye of the old one may still write what waited, for a second. */
    self->send_us = now_us() + 2000000;
}

/* What time does to a slot. */
static void tend(slot *self, int traffic)
{
    uint64_t now = now_us();
    gen *gen = self->gen;
    if (self->mode == SUSPENDED && now >= self->until_us) {
        if (pond_client_resume(gen->client)) violate("slot %d: no resume", gen->slot);
        self->mode = LIVE;
    } else if (self->mode == LEFT && now >= self->until_us) {
        if (pond_channel_join(gen->channel)) violate("slot %d: no join", gen->slot);
        self->mode = LIVE;
    } else if (self->mode == ENDING) {
        /* Its last event is DISCONNECTED; one more second for what is on its way through a thread of ours. */
        if (gen->client_state == POND_CLIENT_DISCONNECTED && gen->channel_state == POND_CHANNEL_CLOSED) {
            if (!self->until_us) self->until_us = now + 1000000;
            else if (now >= self->until_us) renew(self);
        } else if (now > self->send_us + 10000000) {
            violate("slot %d: no end 10 s after the disconnect", gen->slot);
            renew(self);
        }
        return;
    } else if (self->mode == LIVE && gen->channel_state == POND_CHANNEL_DECLINED) {
        pond_channel_join(gen->channel);
    }
    if (!traffic) return;
    if (now >= self->send_us) {
        self->send_us = now + 1000000;
        send_one(self);
    }
    if (now >= self->ask_us) {
        int slow = below(6) == 0;
        request *asked = self->mode == LEFT ? NULL : request_make(gen, slow);
        self->ask_us = now + 4000000 + (uint64_t)below(2000) * 1000;
        if (slow && asked) self->slow = asked;
    }
}

static void make_fault(enum fault what)
{
    slot *self = &slots[below(clients)];
    order it = {.backend = below(BACKENDS), .count = 1 + below(10), .seed = (uint32_t)below(1 << 30), .ms = below(1500)};
    int tries;
    if (what >= F_SUSPEND) {
        /* One that is free for it; only each fifth slot is ended abruptly. */
        for (tries = 0; tries < 10 * clients; tries++, self = &slots[below(clients)]) {
            if (what == F_CANCEL ? self->slow && !atomic_load(&self->slow->done)
                                 : self->mode == LIVE && (what != F_ABRUPT || self->gen->slot % 5 == 0))
                break;
        }
        if (tries == 10 * clients) return;
    }
    faults[what]++;
    switch (what) {
    case F_CUT: it.what = CUT; world_order(it); break;
    case F_HOLE: it.what = FREEZE; it.count = 1 + it.count / 2; world_order(it); break;
    case F_CUT_ALL: it.what = CUT; it.count = SLOTS_MOST; world_order(it); break;
    case F_REFUSE: it.what = REFUSE; world_order(it); break;
    case F_KILL: it.what = KILL; world_order(it); break;
    case F_SUSPEND:
        if (pond_client_suspend(self->gen->client)) violate("no suspend");
        self->mode = SUSPENDED;
        self->until_us = now_us() + 200000 + (uint64_t)below(15000) * 1000;
        break;
    case F_RENEW:
        if (pond_client_disconnect(self->gen->client)) violate("no disconnect");
        self->mode = ENDING;
        self->until_us = 0;
        self->send_us = now_us();
        break;
    case F_ABRUPT:
        self->gen->abrupt = 1;
        renew(self);
        break;
    case F_LEAVE:
        if (pond_channel_leave(self->gen->channel)) violate("no leave");
        self->mode = LEFT;
        self->until_us = now_us() + (uint64_t)below(2000) * 1000;
        break;
    case F_CANCEL: {
        int32_t status = pond_channel_cancel_request(self->gen->channel, self->slow->ticket);
        if (status == POND_OK) {
            self->slow->cancelled = 1;
            cancels_won++;
        } else if (status != POND_EMPTY) {
            violate("a cancel was answered %s", pond_status_name(status));
        }
        self->slow = NULL;
        break;
    }
    case FAULTS: break;
    }
}

static enum fault pick(void)
{
    /* Each kind once, so that a short run has them all. */
    static unsigned made;
    int at, i;
    if (made < FAULTS * 3 && made % 3 == 2) return (enum fault)(made++ / 3);
    made++;
    for (i = 0, at = below(100); at >= weights[i]; i++) at -= weights[i];
    return (enum fault)i;
}

/* A link that is said to be JOINED may be dead: a reply proves it. 1 when each slot has one. */
static int whole(void)
{
    int i, n = 0;
    for (i = 0; i < clients; i++) {
        slot *self = &slots[i];
        tend(self, 0);
        if (self->proof && atomic_load(&self->proof->done) == 1 && self->proof->status == POND_OK) {
            n++;
        } else if (self->mode == LIVE && (!self->proof || atomic_load(&self->proof->done)) &&
                   pond_channel_state(self->gen->channel) == POND_CHANNEL_JOINED) {
            self->proof = request_make(self->gen, 0);
        }
    }
    return n == clients;
}

/* Each one's last message has come to everybody in its room. */
static int heard(void)
{
    int i, j;
    for (i = 0; i < clients; i++)
        for (j = i / ROOM * ROOM; j < (i / ROOM + 1) * ROOM; j++)
            if (!seen(j, i, slots[i].last)) return 0;
    return 1;
}

static int settled(void)
{
    int i;
    for (i = 0; i < requests_made(); i++)
        if (request_at(i)->accepted && !request_at(i)->done) return 0;
    return 1;
}

static int all_joined(void)
{
    return joined() == clients;
}

/* Waits for it, sampling; in ms how long, or -1. */
static long until(int (*condition)(void), int ms, const char *phase)
{
    uint64_t from = now_us();
    while (!condition()) {
        if (now_us() - from > (uint64_t)ms * 1000) return -1;
        step(phase);
    }
    return (long)((now_us() - from) / 1000);
}

static int threads_wanted, descriptors_wanted;

static int as_before(void)
{
    return status_of("Threads:") <= threads_wanted && descriptors() == descriptors_wanted;
}

static int quiet(void)
{
    static uint64_t since;
    static long threads, fds;
    long t = status_of("Threads:"), f = descriptors();
    if (t != threads || f != fds) since = now_us();
    threads = t;
    fds = f;
    return now_us() - since > (uint64_t)IDLE_MS * 1000;
}

static long most(int from, int to)
{
    long value = 0;
    for (; from < to && from < samples; from++)
        if (rss_samples[from] > value) value = rss_samples[from];
    return value;
}

static void make_options(void)
{
    int group;
    for (group = 0; group < GROUPS; group++) {
        pond_options *o;
        if (pond_options_new(&o) || pond_options_set_ping_interval_ms(o, PING_MS) ||
            pond_options_set_pong_timeout_ms(o, PONG_MS) || pond_options_set_connect_timeout_ms(o, CONNECT_MS) ||
            pond_options_set_backoff_ms(o, 100, BACKOFF_MS) || pond_options_set_response_timeout_ms(o, 8000) ||
            pond_options_set_queue_limit(o, 10) || pond_options_set_queue(o, queue_of(group)))
            abort();
        options[group] = o;
    }
}

static void run(void)
{
    uint64_t end = now_us() + (uint64_t)seconds * 1000000, next_fault = now_us() + 1000000;
    int i;
    for (i = 0; i < clients; i++) {
        slots[i].send_us = now_us() + (uint64_t)below(1000) * 1000;
        slots[i].ask_us = now_us() + (uint64_t)below(5000) * 1000;
    }
    while (now_us() < end) {
        for (i = 0; i < clients; i++) tend(&slots[i], 1);
        if (now_us() >= next_fault) {
            make_fault(pick());
            next_fault = now_us() + (uint64_t)(50 + below(500)) * 1000;
        }
        step("faults");
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    const char *seed = getenv("POND_SOAK_SEED"), *planted = getenv("POND_SOAK_BUG");
    int i, first_sample, last_sample, threads_before, descriptors_before, status;
    long took, warm, late;
    if (argc != 5) {
        fprintf(stderr, "usage: soak SERVER CLIENTS SECONDS CSV\n");
        return 2;
    }
    clients = atoi(argv[2]) / ROOM * ROOM;
    seconds = atoi(argv[3]);
    if (clients < ROOM || clients > SLOTS_MOST || seconds < 10 || seconds > 1000) {
        fprintf(stderr, "soak: %d to %d clients, 10 to 1000 seconds\n", ROOM, SLOTS_MOST);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    csv = fopen(argv[4], "we");
    both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!csv || both == MAP_FAILED) return 2;
    memset(both, 0, sizeof *both);
    for (i = 0; i < SLOTS_MOST; i++) both->newest[i] = -1;
    snprintf(both->bug, sizeof both->bug, "%s", planted ? planted : "");
    chance = seed ? strtoull(seed, NULL, 0) : now_us() * 2654435761u;
    printf("POND_SOAK_SEED=%llu: %d clients, %d s\n", (unsigned long long)chance, clients, seconds);
    fflush(stdout);
    chance |= 1;
    began_us = now_us();
    fprintf(csv, "second,phase,connected,joined,rss_kb,heap_kb,threads,fds,p50_us,p99_us,replies,received,sent");
    for (i = 0; i < FAULTS; i++) fprintf(csv, ",%s", fault_names[i]);
    fprintf(csv, "\n");

    world_start(argv[1]);
    threads_before = (int)status_of("Threads:");
    descriptors_before = descriptors();
    clients_start(clients);
    make_options();
    for (i = 0; i < clients; i++) slots[i].gen = client_make(i, 0, options);
    took = until(all_joined, WHOLE_MS, "start");
    verdict(took >= 0, "%d of %d clients JOINED for the first time, after %ld ms", joined(), clients, took);
    if (took < 0) return 1;
    took = until(quiet, 4 * IDLE_MS, "rest");
    verdict(took >= 0, "threads and descriptors come to rest");
    threads_wanted = (int)status_of("Threads:");
    descriptors_wanted = descriptors();
    first_sample = samples;
    run();
    last_sample = samples;
    printf("faults:");
    for (i = 0; i < FAULTS; i++) printf(" %s %u", fault_names[i], faults[i]);
    printf("; %u links lost, %u joins declined\n", sum.losses, sum.declined);
    world_order((order){.what = HEAL});
    for (i = 0; i < clients; i++)
        if (slots[i].mode == SUSPENDED || slots[i].mode == LEFT) slots[i].until_us = 0;
    took = until(whole, WHOLE_MS, "heal");
    verdict(took >= 0, "after the last fault %d of %d clients are JOINED and answered, after %ld ms; the bound is %d ms", joined(),
            clients, took, WHOLE_MS);
    for (i = 0; i < clients; i++) send_one(&slots[i]);
    took = until(heard, 10000, "heal");
    verdict(took >= 0, "everybody heard the last message of everybody in the room, after %ld ms", took);
    took = until(settled, 12000, "heal");
    verdict(took >= 0, "no request is left open");
    if (bug("fd")) (void)!dup(1);
    took = until(as_before, 4 * IDLE_MS, "rest");
    verdict(took >= 0, "threads %ld, before %d; descriptors %d, before %d", status_of("Threads:"), threads_wanted,
            descriptors(), descriptors_wanted);
    account();
    /* The warm-up is the first fifth, with each kind of fault in it; then the memory may breathe, not climb. */
    warm = most(first_sample, first_sample + (last_sample - first_sample) / 5);
    late = most(first_sample + (last_sample - first_sample) * 9 / 10, last_sample);
    verdict(late <= warm + warm / 10 + 4096, "memory: most in the warm-up %ld KiB, in the last tenth %ld KiB; the bound is %ld KiB",
            warm, late, warm + warm / 10 + 4096);
    for (i = 0; i < clients; i++) client_forget(slots[i].gen);
    for (i = 0; i < GROUPS; i++) pond_options_free(options[i]);
    clients_stop();
    status = pond_shutdown(10000);
    verdict(status == POND_OK, "pond_shutdown: %s", pond_status_name(status));
    threads_wanted = threads_before;
    descriptors_wanted = descriptors_before + bug("fd");
    clients = 0;
    took = until(as_before, 5000, "end");
    verdict(took >= 0, "at the end threads %ld, at the beginning %d; descriptors %d, at the beginning %d", status_of("Threads:"),
            threads_before, descriptors(), descriptors_before);
    account_requests();
    printf("%u messages sent, %u received, %u replies, %u presence events, %d clients made, %d dials, %d server starts\n", sent,
           sum.received, sum.replies, sum.presence, gens_count(), both->accepted, both->restarts + BACKENDS);
    world_stop();
    verdict(!both->violations, "%d violations", both->violations);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
