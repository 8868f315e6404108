/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The soak: many clients of one process under random faults for minutes.
 *   main.c     the plan, the calls, the faults, the samples and the verdict
 *   clients.c  what comes from the library: events, and whether they are legal
 *   account.c  everything that was accepted, at the end
 *   world.c    the process outside: servers, and a proxy that cuts, freezes and remembers what arrived
 */
#ifndef SOAK_H
#define SOAK_H

#include <pondsocket.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    SLOTS_MOST = 2000,  /* clients at one time */
    ROOM = 4,           /* clients of one room */
    NUMBERS = 2048,     /* messages of one slot */
    GENS_MOST = 20000,  /* clients made in the whole run */
    REQUESTS_MOST = 250000,
    LOSSES_MOST = 250000,
    BACKENDS = 2,
    QUEUES = 5,         /* 0 to 2 are pulled, 3 and 4 dispatched; a sixth of the clients has none */
    GROUPS = QUEUES + 1,
    PULLED = 3
};

/* What both processes see. */
typedef struct shared {
    int proxy_port[BACKENDS], server_port[BACKENDS];
    atomic_int violations, lanes, accepted, restarts;
    unsigned char arrived[SLOTS_MOST][NUMBERS / 8]; /* numbered messages that came out of the client's side of the wire */
    int newest[SLOTS_MOST];
    char bug[16];
} shared;

/* What the world is told to do. */
typedef struct order {
    enum { CUT, FREEZE, REFUSE, KILL, HEAL } what;
    int backend, count, ms;
    uint32_t seed;
} order;

extern shared *both;

typedef struct loss loss;

/* One client: from its making to its end. A slot has one after the other. */
typedef struct gen {
    int slot, group;
    pond_client *client;
    pond_channel *channel;
    atomic_int client_state, channel_state; /* as the events told */
    atomic_int freed;
    atomic_uint dropped, in_doubt;
    int first, next; /* the numbers accepted here, [first, next) */
    loss *losses;    /* in order of time; set at the end */
    int abrupt;      /* freed without waiting: what was under way is not told */
} gen;

/* A connection that ended, as its event told. */
struct loss {
    gen *of;
    uint64_t us;
    uint32_t in_doubt;
    struct loss *next; /* the following one of the same client; set at the end */
};

typedef struct request {
    gen *owner;
    uint64_t ticket, began_us;
    int slow, cancelled; /* cancelled: the library said that the cancel took effect */
    atomic_int accepted, done, destroyed, status;
} request;

typedef struct totals {
    atomic_uint received, replies, dropped, in_doubt, losses, declined, registered, destroyed, presence;
} totals;

extern totals sum;
extern unsigned char (*dropped_bits)[NUMBERS / 8];
extern loss *losses;
extern uint32_t (*accepted_ms)[NUMBERS]; /* when each message was accepted */

/* main.c */
extern uint64_t began_us;     /* when the run began */
extern unsigned cancels_won; /* cancels that took effect */
uint64_t now_us(void);
uint32_t random_of(uint64_t *state);
int bug(const char *name);
/* One line of the result. */
void verdict(int fine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What must never happen. */
void violate(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline int bit(const unsigned char *bits, int n)
{
    return bits[n >> 3] >> (n & 7) & 1;
}
/* The number behind "key": in a JSON text, or -1. */
long number(const char *json, const char *key);

/* clients.c */
void clients_start(int slots);
void clients_stop(void);
gen *client_make(int slot, int first, pond_options **options);
void client_forget(gen *self);
int losses_count(void);
int gens_count(void);
gen *gen_at(int index);
pond_queue *queue_of(int group);
request *request_make(gen *owner, int slow);
int requests_made(void);
request *request_at(int index);
int seen(int slot, int from, int n);
/* The latencies in us since the last call, sorted; how many. */
int latencies(uint32_t *out, int room);

/* account.c */
void account(void);
void account_requests(void);

/* world.c */
void world_start(const char *server);
void world_order(order what);
void world_stop(void);
#endif
