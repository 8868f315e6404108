/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a server shows that differs from expect.c, and the reason, which is in the server.
 */
#include "runner.h"

#define PYTHON_403 "uvicorn answers every refusal with 403; code and message are lost"

const difference differences[] = {
    {"python", "reject-token", "HTTP 403 *; gave up", PYTHON_403},
    {"python", "reject-code", "HTTP 403 *; gave up", PYTHON_403},
    {"python", "reject-throw", "HTTP 403 *; gave up", PYTHON_403},
    {"python", "reject-silent", "HTTP 403 *; gave up", PYTHON_403},
    {"python", "reject-endpoint", "HTTP 403 *; gave up", PYTHON_403},
    {"python", "close-me", "CONNECTION_LOST, code 1000; STALLED, rejoined; pong", "closes with code 1000"},
    {"python", "zombie-server", "request: CONNECTION_LOST; found in time; healed; pong",
     "an empty name ends its receive loop; the socket stays open, and no ping is answered once a message waits unread"},
    {"python", "join-reply-first", "JOINED; no early reply", "a reply before the accept is refused by the package"},
    {"python", "no-handler", "request: TIMEOUT; send: silence; pong", "an event without a handler is ignored in silence"},
    {"python", "types", "array: [[]*; null: {}; string: \"*\"; number: [0-9]*; pong", "null becomes {}"},
    {NULL, NULL, NULL, NULL},
};
