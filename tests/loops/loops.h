/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tests of the embedding contract, measured in a plain C program. Each test runs in a process and against a
 * server of its own (run.sh), so that threads, memory and wake-ups can be counted, and checks only on the main
 * thread: callbacks count and record. The first failed check ends the process.
 */
#ifndef LOOPS_H
#define LOOPS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pondsocket.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test {
    const char *name;
    void (*run)(void);
} test;
extern const test delivery_tests[], blocking_tests[], stopped_tests[], idle_tests[], shared_tests[], wake_tests[],
    queue_tests[];

enum { DEADLINE = 30000 }; /* milliseconds that anything may take */

int64_t now_ms(void);
void nap(int milliseconds);

void must(int holds, const char *what, const char *file, int line);
void must_be(int64_t expected, int64_t got, const char *what, const char *file, int line);
#define MUST(condition) must((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define IS(expected, got) must_be((expected), (got), #got, __FILE__, __LINE__)
#define OK(call) must_be(POND_OK, (call), #call, __FILE__, __LINE__)

/* Waits for a condition; fails at the deadline. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int64_t until_end = now_ms() + DEADLINE;                                                                       \
        while (!(condition)) {                                                                                         \
            must(now_ms() < until_end, "in time: " #condition, __FILE__, __LINE__);                                    \
            nap(1);                                                                                                    \
        }                                                                                                              \
    } while (0)

/* A time in which something must not happen. A slow machine can only make the check weaker, never fail it. */
enum { GRACE = 100 };

/* Options with short backoffs and that queue (NULL = the library's threads). pond_options_free. */
pond_options *options_new(pond_queue *queue);
/* A client at a path of the server ("/script", "/api/socket"); takes the options over. */
pond_client *client_new(const char *path, const char *params, pond_options *options);
void connect_client(pond_client *client);
pond_channel *channel_new(pond_client *client, const char *name, const char *params);
pond_channel *joined_channel(pond_client *client, const char *name, const char *params);
pond_queue *queue_new(void);

/* At /script: has `count` BROADCAST frames `event` sent, with payload {"run":run,"i":0...,"pad":"xx..."}, `pad` bytes
 * of it. */
void flood(pond_channel *channel, const char *event, int run, int count, int pad);
/* The numbers that flood() put in. */
int flood_index(const pond_event *event);
int flood_run(const pond_event *event);

/* Takes and frees what is there; answers how many. */
int drain(pond_queue *queue);
/* What /script recorded, as JSON; free it. */
char *script_log(void);
/* How often a text occurs in what /script recorded. */
int logged(const char *part);
/* Bytes of memory that the process has in use. */
long resident(void);
/* Readable now? */
int readable(int fd);

/* A flag that a callback may wait for, up to the deadline. */
typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int open;
} gate;
#define GATE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
void gate_open(gate *gate);
int gate_wait(gate *gate); /* 0: the deadline passed */

/* A destroy that counts; user_data is an atomic_int. */
void count_destroy(void *counter);
/* A handler that counts; user_data is an atomic_int. */
void count_event(const pond_event *event, void *counter);

#endif
