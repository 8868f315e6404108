/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The harness of the C tests: a live server, clients whose events are all recorded, one way to wait for them in every
 * delivery mode.
 *
 * Handlers only record: an assertion of cmocka leaves by longjmp, which must not cross the library. Every wait has a
 * deadline, and tells what was recorded when it passes.
 */
#ifndef POND_TEST_H
#define POND_TEST_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>
#include <pondsocket.h>

/* ---- delivery modes ----------------------------------------------------------------------------------------- */

enum { PUSH, PULL, DISPATCH, FD, WAKE, MODES };
enum { /* in which modes a test runs */
    ONCE = 1 << DISPATCH, /* delivery plays no part */
    EACH = (1 << MODES) - 1,
    HANDLERS = EACH & ~(1 << PULL), /* needs handlers that are run by the library */
    QUEUES = EACH & ~(1 << PUSH)
};
extern int mode;

typedef struct test {
    const char *name;
    void (*run)(void **state);
    int modes;
} test;
#define TEST(function, modes) {#function, function, modes}

typedef struct group {
    const char *name;
    const test *tests;
} group;
extern const test connection_tests[], dial_tests[], channel_tests[], rejoin_tests[], message_tests[], request_tests[],
    presence_tests[], argument_tests[], handle_tests[], lifetime_tests[], queue_tests[], json_tests[];

/* ---- time: all multiplied by POND_TEST_SLOW ------------------------------------------------------------------ */

uint32_t ms(uint32_t milliseconds);
int64_t now_ms(void);
#define DEADLINE ms(30000)

/* ---- server ------------------------------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid;
    int input;    /* its stdin: closing it ends the server */
    int port;
    char tls[200]; /* the directory of its certificates; empty = plain text */
} server;

server *server_start(int tls);
void server_kill(server *server);     /* at once, like a crash */
void server_restart(server *server);  /* on the same port */
server *shared_server(void);          /* for tests that leave it alive */
char *server_url(const server *server, const char *scheme, const char *path); /* valid for the next 16 calls */
char *script_log(const server *server); /* what /script received: JSON; free it */
void servers_end(void);

/* ---- recorded events ---------------------------------------------------------------------------------------- */

typedef struct record {
    size_t index;
    int32_t kind, state, previous, status, presence, http_status, close_code;
    uint32_t attempt, retry_ms, connect_count, count, in_doubt;
    uint64_t ticket;
    pond_channel *channel;
    void *user_data;
    char *name, *payload, *message, *code, *details, *channel_name, *users, *changed, *request_id;
} record;

/* What a record must be like; fields that are 0 match all. */
typedef struct want {
    int32_t kind, state, status, presence;
    uint64_t ticket;
    const char *name, *payload, *has, *channel; /* has: a part of the payload */
    size_t from;                                /* first index to look at */
} want;

typedef struct peer {
    pond_client *client;
    pond_queue *queue; /* NULL in mode PUSH */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    record **records;
    size_t count, capacity, seen;
    int woken;
    struct peer *next;
} peer;

/* Options with short backoffs. peer_new takes them over, and adds a queue as the mode asks. */
pond_options *options_new(void);
peer *peer_new(const char *url, const char *params, pond_options *options);
peer *chat_peer(const char *name);                          /* connected to the shared server's chat */
peer *chat_peer_at(const server *server, const char *name); /* the same elsewhere, not waiting */
peer *script_peer(pond_options *options);                   /* connected to the shared server's /script */
char *room(const char *base);                               /* a channel name nobody else uses */
pond_channel *peer_channel(peer *peer, const char *name, const char *params);
pond_channel *joined(peer *peer, const char *name, const char *params);
uint64_t ask(peer *peer, pond_channel *channel, const char *event, const char *payload, uint32_t timeout);
void record_event(const pond_event *event, void *peer); /* a handler; user_data is the peer */
void count_destroy(void *user_data);                    /* for handlers that `registering` announced */
void *registering(void *user_data);                     /* counts a destroy to come; gives user_data back */
int destroyed(void);

/* Delivers for up to that time, less if something came. */
void pump(peer *peer, uint32_t limit);
const record *expect_at(peer *peer, const want *want, const char *what, const char *file, int line);
size_t count_of(peer *peer, const want *want);
#define expect(peer, ...) expect_at(peer, &(want){__VA_ARGS__}, #__VA_ARGS__, __FILE__, __LINE__)
#define count(peer, ...) count_of(peer, &(want){__VA_ARGS__})
#define SINCE(record) ((record)->index + 1)

/* Delivers until the condition holds. */
#define settle(peer, condition)                                                                                        \
    do {                                                                                                               \
        int64_t settle_end = now_ms() + DEADLINE;                                                                      \
        while (!(condition)) {                                                                                         \
            if (now_ms() > settle_end) fail_at(peer, "never: " #condition, __FILE__, __LINE__);                        \
            pump(peer, 5);                                                                                             \
        }                                                                                                              \
    } while (0)

void fail_at(peer *peer, const char *what, const char *file, int line);
void expect_status(int64_t got, int64_t expected, const char *what, const char *file, int line);
#define STATUS(expected, call) expect_status((call), (expected), #call, __FILE__, __LINE__)
#define OK(call) STATUS(POND_OK, call)
void expect_part(const char *text, const char *part, const char *file, int line);
#define CONTAINS(text, part) expect_part((text), (part), __FILE__, __LINE__)
/* The call fails with that status, and the variable `error` says so, too; its message contains `part`. It is freed. */
void expect_error(int32_t got, int32_t expected, pond_error **error, const char *part, const char *what,
                  const char *file, int line);
#define ERROR(expected, part, call) expect_error((call), (expected), &error, (part), #call, __FILE__, __LINE__)

int test_setup(void **state);
int test_teardown(void **state);

#endif
