/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A client at rest: no wake-ups between pings, no processor time. The intervals here are what is measured.
 */
#include "loops.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REST_MS = 5000, MOST_WAKE_UPS = 6, MOST_US = 2000, MOST_THREADS = 64 };

typedef struct counters {
    int threads;
    int ids[MOST_THREADS];
    long switches[MOST_THREADS];
} counters;

/* Voluntary switches of every thread but this one: each time it went back to sleep. */
static void count_switches(counters *out)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long me = syscall(SYS_gettid);
    MUST(tasks != NULL);
    out->threads = 0;
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], line[256];
        FILE *file;
        int id = atoi(entry->d_name);
        if (id <= 0 || id == me) continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/status", id);
        file = fopen(path, "r");
        if (!file) continue; /* it has just ended */
        while (fgets(line, sizeof line, file)) {
            long switches;
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &switches) != 1) continue;
            MUST(out->threads < MOST_THREADS);
            out->ids[out->threads] = id;
            out->switches[out->threads++] = switches;
        }
        fclose(file);
    }
    closedir(tasks);
}

/* A thread that began meanwhile counts with all it did; one that ended has woken up once. */
static long wake_ups(const counters *before, const counters *after)
{
    long sum = 0;
    int a, b, found, ended = before->threads;
    for (a = 0; a < after->threads; a++) {
        long had = 0;
        for (b = 0, found = 0; b < before->threads && !found; b++) {
            if (before->ids[b] != after->ids[a]) continue;
            had = before->switches[b];
            found = 1;
        }
        ended -= found;
        sum += after->switches[a] - had;
    }
    return sum + ended;
}

static int64_t processor_us(void)
{
    struct rusage usage;
    MUST(getrusage(RUSAGE_SELF, &usage) == 0);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void rest(const char *how, pond_queue *queue)
{
    pond_options *options = options_new(queue);
    pond_client *client;
    pond_channel *channel;
    pond_event *reply;
    pond_stats stats;
    counters before, after;
    int64_t used;
    long woken;
    int tries = 3;

    OK(pond_options_set_ping_interval_ms(options, 25000));
    client = client_new("/script", NULL, options);
    connect_client(client);
    channel = joined_channel(client, "/idle", NULL);
    OK(pond_channel_call(channel, "reply", NULL, DEADLINE, &reply, NULL));
    pond_event_free(reply);
    if (queue) MUST(drain(queue) > 0);
    /* A busy machine makes each wake-up dearer: the best of three rests counts. */
    do {
        nap(GRACE); /* what the join has set going comes to rest */
        count_switches(&before);
        MUST(before.threads > 0);
        used = processor_us();
        nap(REST_MS);
        used = processor_us() - used;
        count_switches(&after);
        woken = wake_ups(&before, &after);
    } while ((woken > MOST_WAKE_UPS || used > MOST_US) && --tries > 0);
    printf("   %s: %d threads, %ld wake-ups and %lld us of processor time in %d ms\n", how, before.threads, woken,
           (long long)used, REST_MS);
    /* The connection's own: after 5 s it has proved itself, and the runtime approaches a far deadline in steps. */
    MUST(woken <= MOST_WAKE_UPS);
    MUST(used <= MOST_US);
    OK(pond_client_stats(client, &stats, sizeof stats));
    IS(1, stats.connects);
    IS(POND_CHANNEL_JOINED, pond_channel_state(channel));
    OK(pond_client_free(client));
}

static void idle_with_a_queue(void)
{
    pond_queue *queue = queue_new();
    rest("with a queue", queue);
    OK(pond_queue_free(queue));
}

static void idle_with_library_threads(void) { rest("library threads", NULL); }

const test idle_tests[] = {
    {"idle_with_a_queue", idle_with_a_queue},
    {"idle_with_library_threads", idle_with_library_threads},
    {NULL, NULL},
};
