/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Failover: two nodes of one server behind Redis, clients that are sent to the other node when theirs dies, and an
 * account of every message.
 */
#ifndef FAILOVER_H
#define FAILOVER_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <pondsocket.h>

#define DEADLINE_MS 60000

int64_t now_ms(void);
/* A broken set-up, not a failed check: says why and ends the program. */
void die(const char *what);

/* ---- processes ---------------------------------------------------------------------------------------------- */

enum { NODE_A, NODE_B, NODES };

typedef struct node {
    pid_t pid; /* 0: not running */
    int input; /* its stdin: closing it ends the node */
    int port;  /* kept when the node comes back */
    char url[64];
} node;

extern node nodes[NODES];

void redis_start(void);
void node_start(int which, const char *program, const char *name); /* returns once it listens */
void node_freeze(int which);                                       /* returns once it stands still */
void node_kill(int which);                                         /* SIGKILL, also of a frozen one */
void processes_end(void);

/* ---- peers -------------------------------------------------------------------------------------------------- */

enum { ANNA, BERT, DORA, OLGA, OTTO, PEERS }; /* those before OLGA send, OLGA and OTTO judge */
enum { SENDERS = OLGA, ITEMS = 20000 };

/* One numbered message or request of a sender. */
typedef struct item {
    int accepted, request, dropped, heard;
    int judge;       /* the peer that must hear it */
    int completions; /* how often the request came to an end, and how the last time */
    int32_t status;
    atomic_int destroyed;
} item;

typedef struct peer {
    const char *name;
    pond_client *client; /* NULL: not in this round */
    pond_channel *channel;

    int target;             /* the node that the next dial is told */
    int told[NODES];        /* how many dials were */
    uint32_t held;          /* a dial that waits for drops */
    int joined, stalled;    /* channel states seen */
    int connected, lost;    /* client states seen; lost: out of CONNECTED */
    uint32_t connect_count; /* as the last CONNECTED event says */
    int errors;             /* events that nobody expects */
    char error[200];
    int fence;             /* 0 = waits, 1 = answered, -1 = failed */
    int probed[PEERS];     /* the last phase in which that peer's probe was heard */

    /* sender */
    pthread_t thread;
    int sending;
    int drops_wanted; /* the dial is not answered before so many were dropped */
    item *items;
    int count, pending, refused;
    int32_t refusal;
    int first, last_ok; /* of this phase: the first item; the last request that was answered; -1 = none */
    int in_doubt, drops, drops_named;
    int count_at_loss, last_ok_at_loss; /* as they were when DISCONNECTED came */
    int count_at_join;                  /* as it was when JOINED came */
    int *arrival, arrivals;             /* the numbers in the order in which the judge heard them */
} peer;

extern peer peers[PEERS];
extern pthread_mutex_t mutex; /* guards the peers against their sender threads */
extern int judge, phase;

void peers_start(void);
void peer_start(int who, int target);
void peers_end(void); /* says goodbye and frees; a check */
void sender_start(int who);
void sender_stop(int who);
int sender_count(int who); /* how many items so far */
void sender_blocked(int who, int *blocked, int *count); /* nothing more goes out until a reply comes */
int sync_peer(int who);                                  /* a question and its answer: all before it was handled */
/* Presence: everybody tells its name and the phase as status, and is known by that. The Python server takes the ids
 * out of what it hears from another node. */
void tell_presence(int who);
int presence_count(int who, int other); /* how often the list of `who` has the other as of this phase */
int presence_length(int who);
void say(int who, const char *event, const char *format, ...);
void pump(uint32_t wait);

/* Takes events until the condition holds or the deadline passes. */
#define UNTIL(condition)                                                                                               \
    for (int64_t until_end = now_ms() + DEADLINE_MS; !(condition) && now_ms() < until_end;) pump(5)

/* ---- checks ------------------------------------------------------------------------------------------------- */

/* Prints one line; gives `passed` back. `format` tells what was seen. */
int check(int passed, const char *what, const char *format, ...);

/* The account of this phase, sender by sender. `count_at_kill`: how many items each had handed over for certain when
 * its node was killed; NULL = not known. */
void judge_senders(int ordered, const int *count_at_kill);
/* Late duplicates of any phase. */
void judge_end(void);

#endif
