/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The interop runner: one list of scenarios, run against each kind of server through the public C API.
 *
 * A scenario does not judge: it notes what it saw, in a few words, and the table of expectations (expect.c) says what
 * each server is to show. Each scenario runs in a process of its own, so that a crash or a hang is its result alone.
 */
#ifndef INTEROP_RUNNER_H
#define INTEROP_RUNNER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <pondsocket.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- tables (expect.c, replay.c) ---------------------------------------------------------------------------- */

typedef struct scenario {
    const char *id, *title;
    const char *covers;   /* rows of Table A ("A1") and defects of Table B ("B.batch"), separated by blanks */
    const char *expected; /* what every server shows unless a difference says otherwise; * and ? are wildcards */
    void (*run)(void);
} scenario;

typedef struct difference {
    const char *server, *id, *expected, *reason;
} difference;

/* A recorded conversation that stands for a scenario: the dialect that no package registry serves. */
typedef struct recording {
    const char *id, *recorded, *expected;
    void (*run)(void);
} recording;

typedef struct topic {
    const char *tag, *text;
} topic;

extern const scenario scenarios[];     /* ends with id NULL */
extern const difference differences[]; /* ends with server NULL */
extern const recording recordings[];   /* ends with id NULL */
extern const scenario trials[];        /* what official clients are put to (trials.c); ends with id NULL */
extern const topic topics[];           /* what must be covered; ends with tag NULL */

/* ---- the scenario that runs --------------------------------------------------------------------------------- */

extern const char *server_name; /* rust, python, go, js-legacy, js-replay */
extern const char *scenario_id;
extern int shared_port; /* of the server that all scenarios share */

int server_is(const char *name);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the scenario here: `format` says what never came. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Ends it well. Shuts the library down first: that, too, must work each time. */
void finish(void) __attribute__((noreturn));
void result_to(int fd);
void forget_notes(void);

int64_t now_ms(void);
#define DEADLINE 30000u /* for what must come, however busy the machine */
#define SILENCE 3000u   /* for what a server may leave unanswered, or does not send */

/* Waits until the condition holds, or gives up. */
#define settle(condition)                                                                                              \
    do {                                                                                                               \
        int64_t settle_end = now_ms() + DEADLINE;                                                                      \
        while (!(condition)) {                                                                                         \
            if (now_ms() > settle_end) give_up("never: " #condition);                                                  \
            breathe();                                                                                                 \
        }                                                                                                              \
    } while (0)
void breathe(void);

/* ---- servers (server.c) ------------------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid;
    int input; /* its stdin: closing it ends the server */
    int port;
} server;

extern const char *server_command;
/* Starts the program; 0 if it did not say within the time that it listens. */
int server_start(server *server, int port, uint32_t limit_ms);
void server_kill(server *server);
int server_gone(server *server, uint32_t limit_ms); /* ended by itself */
server *own_server(void);                           /* of this scenario, which may kill it */
void own_restart(server *server);                   /* on the same port */

/* ---- official clients (bench.c) ----------------------------------------------------------------------------- */

extern const char *driver_command, *client_name;

/* ---- proxy (proxy.c): between client and server, so that the network can be bad -------------------------------- */

typedef struct proxy proxy;
proxy *proxy_start(int server_port);
int proxy_port(const proxy *proxy);
int proxy_connections(proxy *proxy);               /* accepted so far */
size_t proxy_sent(proxy *proxy);                   /* bytes from clients so far */
void proxy_drop(proxy *proxy);                     /* resets every connection */
void proxy_freeze(proxy *proxy, int on);           /* the connections of now: nothing passes any more */
void proxy_mute(proxy *proxy, int on);             /* new connections: nothing after the handshake's answer passes */
void proxy_refuse(proxy *proxy, int on);           /* new connections end at once */
char *proxy_request(proxy *proxy);                 /* the line of the newest request */
void proxy_up(proxy *proxy, const char *text);     /* a frame to the server, as if from the client */
void proxy_down(proxy *proxy, const char *text);   /* a frame to the client, as if from the server */
int proxy_carried(proxy *proxy, const char *text); /* did the server send these bytes? */

/* ---- peers (peer.c): clients whose events are recorded in order ------------------------------------------------- */

typedef struct record {
    size_t index;
    int32_t kind, state, previous, status, presence, http_status, close_code;
    uint32_t attempt, retry_ms, connect_count, count, in_doubt;
    uint64_t ticket;
    int64_t when;
    char *name, *payload, *message, *code, *channel_name, *users, *changed, *request_id;
} record;

/* What a record must be like; fields that are 0 match all. */
typedef struct want {
    int32_t kind, state, status, presence;
    uint64_t ticket;
    const char *name, *has, *channel; /* has: a part of the payload */
    size_t from;                      /* first index to look at */
} want;

typedef struct peer peer;
pond_client *client_of(const peer *peer);
pond_options *quick(void); /* options with short times */
pond_options *hasty(void); /* the same for joins that a server may leave unanswered */
char *url_of(const char *scheme, int port, const char *path);
char *who(const char *name);  /* connection params */
char *room(const char *base); /* a channel that no other scenario and no other round uses */
/* Takes the options over. */
peer *peer_new(const char *url, const char *params, pond_options *options);
peer *online_with(int port, const char *name, pond_options *options);
peer *online(int port, const char *name); /* connected */
void connected(peer *peer);               /* waits for it */
pond_channel *channel_of(peer *peer, const char *name, const char *params);
pond_channel *joined(peer *peer, const char *name, const char *params);
pond_channel *chat(peer *peer, const char *name, const char *username);
void in_state(pond_channel *channel, int32_t state);
void record_event(const pond_event *event, void *peer); /* a handler */

const record *seek_at(peer *peer, uint32_t limit_ms, const want *want);
const record *await_at(peer *peer, const want *want, const char *what);
size_t count_at(peer *peer, const want *want);
size_t length(peer *peer); /* how many records: `from` of what comes next */
#define seek(peer, limit, ...) seek_at(peer, limit, &(want){__VA_ARGS__})   /* NULL: not within the limit */
#define await(peer, ...) await_at(peer, &(want){__VA_ARGS__}, #__VA_ARGS__) /* gives up */
#define count(peer, ...) count_at(peer, &(want){__VA_ARGS__})

uint64_t request(peer *peer, pond_channel *channel, const char *event, const char *payload, uint32_t timeout_ms);
const record *ask(peer *peer, pond_channel *channel, const char *event, const char *payload);
/* A request that this server may leave unanswered. */
const record *ask_in_vain(peer *peer, pond_channel *channel, const char *event, const char *payload);
/* ask() where a server has no request ids, too: there the answer is a message of that name. */
const record *talk(peer *peer, pond_channel *channel, const char *event, const char *payload, const char *answer);
const char *alive(peer *peer, pond_channel *channel);                     /* the outcome of a round trip */
const record *numbered(peer *peer, const char *name, int n, size_t from); /* waits for the message with that "n" */
size_t protocol_messages(peer *peer); /* messages that are none of the application */
void send_event(pond_channel *channel, const char *event, const char *payload);
int32_t must(int32_t status, const char *what); /* POND_OK or gives up */
#define OK(call) must((call), #call)

/* ---- words -------------------------------------------------------------------------------------------------- */

char *text(const char *format, ...) __attribute__((format(printf, 1, 2))); /* never freed: the process is short */
const char *status_word(int32_t status);                                   /* "TIMEOUT" */
const char *outcome(const record *reply);                                  /* "pong", "SERVER 404", "TIMEOUT" */
const char *failure(const record *record);                                 /* "DECLINED 403 'No entry'" */
const char *member(const char *json, const char *pointer);                 /* a text of the JSON, "" if none */
double number(const char *json, const char *pointer);                      /* a number of it, -1 if none */

#endif
