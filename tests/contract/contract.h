/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The harness of the contract tests. Each test is a process of its own, so that threads, descriptors, signals, exits
 * and forks can be looked at; it ends at the first failure, from whatever thread.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <pondsocket.h>

/* ---- tests ---------------------------------------------------------------------------------------------------- */

enum {
    ENDS = 1,   /* ends the process by itself, with EXIT_CODE */
    FORKS = 4,  /* a child leaks on purpose: valgrind looks for errors only */
    NATIVE = 2, /* not under valgrind: it measures, or works on what valgrind changes */
    EXIT_CODE = 7
};

typedef struct test {
    const char *name;
    void (*run)(void);
    int flags;
} test;
extern const test free_tests[], callback_tests[], end_tests[], shutdown_tests[], fork_tests[], misuse_tests[],
    dial_tests[], session_tests[], tls_tests[], process_tests[];

void fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) FAIL("not so: %s", #condition);                                                              \
    } while (0)
void expect_status(const char *file, int line, const char *what, int64_t got, int64_t expected);
#define IS(expected, call) expect_status(__FILE__, __LINE__, #call, (call), (expected))
#define OK(call) IS(POND_OK, call)
/* Waits for a condition, at most DEADLINE. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int64_t until_end = now_ms() + DEADLINE;                                                                       \
        while (!(condition)) {                                                                                         \
            if (now_ms() > until_end) FAIL("never: %s", #condition);                                                   \
            usleep(500);                                                                                               \
        }                                                                                                              \
    } while (0)

/* ---- time: limits grow with CONTRACT_SLOW ----------------------------------------------------------------------- */

int64_t now_ms(void);
uint32_t ms(uint32_t milliseconds);
int rounds(int native); /* fewer where all is slow */
#define DEADLINE ms(30000)
/* A call that must not wait for the network: a goodbye may take a second. */
#define AT_ONCE(statement)                                                                                             \
    do {                                                                                                               \
        int64_t at_once_begin = now_ms(), at_once_took;                                                                \
        statement;                                                                                                     \
        at_once_took = now_ms() - at_once_begin;                                                                       \
        if (at_once_took >= ms(900)) FAIL("%s took %d ms", #statement, (int)at_once_took);                             \
    } while (0)

/* ---- the process ------------------------------------------------------------------------------------------------ */

int thread_count(void);
int fd_count(void);
pthread_t start(void *(*body)(void *), void *argument);
void finish(pthread_t thread); /* joins, at most DEADLINE */
extern pthread_t main_thread;

/* ---- servers ---------------------------------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid;
    int input, port;
    char tls[128]; /* directory of its certificates; "" = plain text */
} server;
int shared_port(void);
server *server_start(int tls, const char *option); /* option: a further one, or NULL */
void server_kill(server *server);
char *file_text(const char *directory, const char *name); /* to be freed */
const char *url(const char *scheme, int port, const char *path, ...)
    __attribute__((format(printf, 3, 4))); /* valid for the next 16 calls */
/* How many entries of /script/log contain both texts, as the log writes them. b may be NULL. */
int logged(int port, const char *a, const char *b);
/* The text behind `mark` up to the next quote, in the first entry that contains a and b; to be freed. */
char *logged_text(int port, const char *a, const char *b, const char *mark);
/* Where the first such entry is; -1: nowhere. */
int logged_at(int port, const char *a, const char *b);

int silent_listener(int *port); /* accepts (the kernel does), says nothing */
int black_hole(int *port);      /* a full backlog: a SYN is not answered */
void black_hole_close(int fd);

/* Between a client and a server: one connection at a time. */
typedef struct proxy proxy;
proxy *proxy_start(int target);
int proxy_port(const proxy *proxy);
void proxy_reset(proxy *proxy); /* RST to the client */
void proxy_stop(proxy *proxy);

/* ---- clients ---------------------------------------------------------------------------------------------------- */

/* A registration whose calls and destroy are watched: a call after `over` or destroy is a failure, and so is a second
 * destroy; at the end of the test each must be destroyed. A call counts as it begins, before `then`: what `then` leaves
 * behind is there once `running` is 0 again. */
typedef struct tracked {
    atomic_int calls, destroys, over, running, done;
    _Atomic(pid_t) caller, destroyer; /* threads */
    atomic_int last_status, kinds[32], states[32];
    _Atomic uint64_t ticket;
    void (*then)(struct tracked *self, const pond_event *event); /* in the handler */
    void (*at_destroy)(struct tracked *self);
    void *data;
} tracked;
tracked *track(void);
tracked *track_with(void (*then)(tracked *self, const pond_event *event), void *data);
void on_call(const pond_event *event, void *tracked);
void on_destroy(void *tracked);
int destroyed_all(void);
pid_t thread_id(void);

pond_options *fast_options(void);
pond_client *client_at(const char *url, const char *params, pond_options *options); /* takes the options over */
void connected(pond_client *client);
pond_client *chat(const char *name, pond_options *options); /* connected to the shared server */
pond_client *script(pond_options *options);
pond_channel *channel_of(pond_client *client, const char *name, const char *params);
pond_channel *joined(pond_client *client, const char *name, const char *params);
const char *room(const char *prefix); /* a name that nobody else uses; valid for the next 16 calls */

/* A thread that dispatches a queue until it is freed. */
typedef struct loop {
    pond_queue *queue;
    pthread_t thread;
    atomic_int stop;
    pid_t tid;
} loop;
loop *loop_start(pond_queue *queue);
void loop_end(loop *loop);

#endif
