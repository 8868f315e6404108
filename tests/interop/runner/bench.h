/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the trials of the official clients are made of.
 */
#ifndef INTEROP_BENCH_H
#define INTEROP_BENCH_H

#include "runner.h"

extern proxy *net; /* between the driver's clients and the server */

/* Starts proxy and driver. */
void begin(void);
/* Ends the trial: that is all there was to see. */
void ended(const char *how) __attribute__((noreturn));
/* The trial says nothing about this client and server: it is left out. */
void not_here(void) __attribute__((noreturn));
/* One command, one answer. */
char *drive(const char *format, ...) __attribute__((format(printf, 1, 2)));
int is(const char *answer, const char *expected);
void pause_a_little(void);

/* Until it holds, or the time is up: 1 if it holds. */
#define within(ms, condition)                                                                                          \
    __extension__({                                                                                                    \
        int64_t within_end = now_ms() + (ms);                                                                          \
        int within_ok;                                                                                                 \
        while (!(within_ok = (condition)) && now_ms() < within_end) pause_a_little();                                  \
        within_ok;                                                                                                     \
    })

char *address(const char *query);
void made(const char *name, int ping_ms);
void online_driver(int n, const char *name, int ping_ms);
int joined_within(int n, const char *name, int ms);
void join_driver(int n, const char *name, const char *username);
char *begun(int ping_ms);   /* client 0 is CONNECTED; a room for it */
char *in_room(int ping_ms); /* and JOINED there */
/* "reply {...}", "error ..." or "never ends". */
char *asked(const char *name, const char *event, const char *payload, int ms);
const char *pong(const char *name);

#endif
