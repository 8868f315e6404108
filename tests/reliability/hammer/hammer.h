/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse under load: what the files of this program share. */
#ifndef HAMMER_H
#define HAMMER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pondsocket.h"

/* ---- chance ------------------------------------------------------------------------------------------------------ */

uint32_t dice(uint32_t sides);       /* 0 .. sides - 1, from this thread's own seed */
static inline bool chance(uint32_t percent) { return dice(100) < percent; }
#define PICK(list) ((list)[dice(sizeof(list) / sizeof *(list))])

/* ---- statuses as sets -------------------------------------------------------------------------------------------- */

#define S(status) (UINT64_C(1) << ((status) >= 0 ? (status) : 16 - (status)))
#define OK S(POND_OK)
#define ARGUMENT S(POND_ERROR_INVALID_ARGUMENT)
#define HANDLE S(POND_ERROR_INVALID_HANDLE)
#define UTF8 S(POND_ERROR_INVALID_UTF8)
#define JSON S(POND_ERROR_INVALID_JSON)
#define CLOSED S(POND_ERROR_CLOSED)
#define LARGE S(POND_ERROR_TOO_LARGE)
#define DEADLOCK S(POND_ERROR_WOULD_DEADLOCK)

/* Every call goes through one of these: it is counted, the watchdog knows where a thread is, and what comes back is compared
 * with what the header says. */
#define DO(function, allowed, ...) after(before(#function), function(__VA_ARGS__), (allowed))
#define VALUE(function, allowed, ...) after_value(before(#function), function(__VA_ARGS__), (allowed))
#define RUN(function, ...) (before(#function), function(__VA_ARGS__))
#define RUN0(function) (before(#function), function())

const char *before(const char *function);
int32_t after(const char *function, int32_t status, uint64_t allowed);
int32_t after_value(const char *function, int32_t value, uint64_t allowed); /* 0 and up are values */
_Noreturn void failed(const char *format, ...);

/* ---- registrations ----------------------------------------------------------------------------------------------- */

/* What a user_data points to; none is freed before the end, where each is looked at. */
struct registration {
    struct registration *next;
    const char *function;
    atomic_int destroyed;
    atomic_int replies;
    bool is_request, accepted, has_function;
};

struct registration *registration(const char *function);
void on_event(const pond_event *event, void *user_data);
void on_destroy(void *user_data);
extern _Thread_local int in_callback; /* how deep this thread is inside callbacks */

/* ---- handles ----------------------------------------------------------------------------------------------------- */

enum pool { CLIENTS, CHANNELS, QUEUES, SUBSCRIPTIONS, OPTIONS, POOLS };

void *any(enum pool pool);                /* mostly one of that pool: alive, stale or freed; now and then anything */
void *keep(enum pool pool, void *handle); /* puts it into a place of its pool; what was there is yours to free */

/* ---- the world --------------------------------------------------------------------------------------------------- */

extern const char *world_urls[8]; /* chat and script twice, silence, refusal, nonsense */
extern bool shutting; /* pond_shutdown is called now and then */

void one_call(void);
void seen(const pond_event *event);
void look_at(const pond_event *event); /* the accessors */
void let_go(void);                     /* the events that are still held */
#endif
