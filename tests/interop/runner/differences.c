/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a server shows that differs from expect.c, and the reason, which is in the server.
 */
#include "runner.h"

#define PYTHON_403 "uvicorn answers every refusal with 403; code and message are lost"
#define GO_PRESENCE "presence reaches the users of other nodes only, and this is one node"
#define GO_EVICT "the victim is removed before its frame is sent: it is not told"
#define LEGACY_REFUSAL "refuses after the upgrade, by an error frame and a close"
#define LEGACY_DEAF "leaves an open socket to which nothing listens: nobody can tell it from an accepted one"
#define LEGACY_IDS "no request ids in this dialect: requests time out, the answers are messages"
#define LEGACY_ERRORS "no request ids in this dialect: requests time out, the errors are events"
#define LEGACY_CLOSE "without CONNECTION, a close within 5 s counts as a refusal"
#define RUST_REFUSAL "refuses by an upgrade and an empty Close; code and message are lost"
#define RUST_DECLINE "refused joins are not answered: the join timeout ends them"

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
    {"python", "no-handler", "request: TIMEOUT; send: silence; pong",
     "an event without a handler is ignored in silence"},
    {"python", "types", "array: [[]*; null: {}; string: \"*\"; number: [0-9]*; pong", "null becomes {}"},
    {"go", "reject-silent", "HTTP 200 *; tried again", "a handler that does nothing is answered with 200"},
    {"go", "join-reply-first", "JOINED; no early reply", "a reply before the accept is refused by the package"},
    {"go", "disconnect", "gone in time; DISCONNECTED 1 time; CLOSED; others see nothing; comes back", GO_PRESENCE},
    {"go", "close-me", "CONNECTION_LOST, code 0; STALLED, rejoined; pong",
     "drops the TCP connection without a Close frame"},
    {"go", "close-channel", "request: CONNECTION_LOST; join again: DECLINED",
     "closes the members' whole connections; the channel cannot be joined again"},
    {"go", "evict-self", "not told: JOINED", GO_EVICT},
    {"go", "evict-other", "not told: JOINED; the other: JOINED", GO_EVICT},
    {"go", "throw", "request: SERVER 500 INTERNAL_ERROR 'Failed to process broadcast'; send: error; pong",
     "a failing handler is answered with INTERNAL_ERROR"},
    {"go", "decline", "request: SERVER 500 INTERNAL_ERROR 'Failed to process broadcast'; send: error; pong",
     "an event cannot be declined, only fail"},
    {"go", "server-dies", "CONNECTION_LOST; backoff grows; rejoined; 20 queued arrived; *in order",
     "handles up to ten events of a connection at once"},
    {"go", "numbers", "{\"a\":9007199254740992,\"b\":1,\"c\":-0,\"d\":1.5e-*7}; bytes as the server sent them",
     "numbers are doubles"},
    {"go", "flood", "3000 of 3000; each once; in *order; several in a frame",
     "broadcasts overtake each other, and share frames"},
    {"go", "endpoint-errors", "SERVER INTERNAL_ERROR; pong", "its word for a malformed frame"},
    {"go", "presence-join", "own: nothing; other: nothing; joiner: nothing", GO_PRESENCE},
    {"go", "presence-update", "nothing", GO_PRESENCE},
    {"go", "presence-leave", "leaves: nothing; drops: nothing", GO_PRESENCE},
    {"go", "presence-rejoin", "nobody made up; rejoined: nothing, list nobody", GO_PRESENCE},
    {"go", "presence-untracked", "tracked: nothing; untracked: nothing", GO_PRESENCE},

    {"js-legacy", "connect", "CONNECTING, CONNECTED; no id", "tells no connection its id"},
    {"js-legacy", "connect-params",
     "name; header a header; own%20query; number 7; on true; list %5B1%2C%22b%22%5D; null left out",
     "the server does not decode the query"},
    {"js-legacy", "connect-mute", "TIMEOUT; never CONNECTED", "no CONNECTION frame; the grace is switched off here"},
    {"js-legacy", "reject-token", "REJECTED 401 'Invalid token'; gave up", LEGACY_REFUSAL},
    {"js-legacy", "reject-code", "REJECTED 429 'Slow down'; tried again", LEGACY_REFUSAL},
    {"js-legacy", "reject-endpoint", "REJECTED 404 'No endpoint found'; tried again", LEGACY_REFUSAL},
    {"js-legacy", "reject-throw", "CONNECTED", LEGACY_DEAF},
    {"js-legacy", "reject-silent", "CONNECTED", LEGACY_DEAF},
    {"js-legacy", "join-declined", "DECLINED 418 '*No entry today'; send: DECLINED; again:; JOINED",
     "puts words of its own before the message"},
    {"js-legacy", "join-throws", "DECLINED 408 *", "a failing join handler is silent"},
    {"js-legacy", "join-silent", "DECLINED 408 *; again:; DECLINED 404 *; again:; JOINED; pong",
     "a silent join handler is silent; the error that answers the LEAVE of the given-up join has no request id and is "
     "taken for the answer to the next join"},
    {"js-legacy", "join-unmatched", "DECLINED 408 *", "the error names neither channel nor request"},
    {"js-legacy", "join-slow", "JOINED; queued: TIMEOUT", LEGACY_IDS},
    {"js-legacy", "close-channel", "request: TIMEOUT; join again: JOINED", "no answer to an event of a closed channel"},
    {"js-legacy", "close-me", "REJECTED, code 1005; STALLED, rejoined; pong", LEGACY_CLOSE},
    {"js-legacy", "server-dies", "REJECTED; backoff grows; rejoined; 20 queued arrived; in order", LEGACY_CLOSE},
    {"js-legacy", "reply", "ping answered by TIMEOUT", LEGACY_IDS},
    {"js-legacy", "twice", "reply: TIMEOUT; second: none; 1 reply", LEGACY_IDS},
    {"js-legacy", "tell-and-reply", "reply: TIMEOUT; broadcast delivered", LEGACY_IDS},
    {"js-legacy", "requests", "0 of 50 got their own reply", LEGACY_IDS},
    {"js-legacy", "late-reply", "TIMEOUT; late: a message, without id; 1 reply", LEGACY_IDS},
    {"js-legacy", "no-handler", "request: TIMEOUT; send: error; pong", LEGACY_ERRORS},
    {"js-legacy", "decline", "request: TIMEOUT; send: error; pong", LEGACY_ERRORS},
    {"js-legacy", "throw", "request: TIMEOUT; send: error of the client; pong", LEGACY_ERRORS},
    {"js-legacy", "route", "user; id 42; x 1; y a%20b", "the server does not decode the query"},
    {"js-legacy", "numbers", "{\"a\":9007199254740992,\"b\":1,\"c\":0,\"d\":1.5e-*7}; bytes as the server sent them",
     "numbers are doubles"},

    {"rust", "reject-token", "REJECTED; tried again", RUST_REFUSAL},
    {"rust", "reject-code", "REJECTED; tried again", RUST_REFUSAL},
    {"rust", "reject-throw", "REJECTED; tried again", RUST_REFUSAL},
    {"rust", "reject-silent", "REJECTED; tried again", RUST_REFUSAL},
    {"rust", "zombie-server", "request: CONNECTION_LOST; found in time; healed; pong",
     "a panic in a handler ends its read loop; the socket stays open, and no ping is answered"},
    {"rust", "join-declined", "DECLINED 408 *; send: DECLINED; again:; JOINED", RUST_DECLINE},
    {"rust", "join-throws", "DECLINED 408 *", RUST_DECLINE},
    {"rust", "join-silent", "DECLINED 408 *; again:; JOINED; pong", RUST_DECLINE},
    {"rust", "join-reply-first", "JOINED; no early reply", "a reply before the accept is refused by the package"},
    {"rust", "endpoint-errors", "SERVER INTERNAL_ERROR; pong", "its word for a malformed frame"},
    {"rust", "close-channel", "request: TIMEOUT; join again: DECLINED",
     "a closed channel swallows events and joins in silence, for good"},
    {"rust", "flood", "3000 of 3000; each once; in *order; one in a frame", "each broadcast is a task of its own"},
    {NULL, NULL, NULL, NULL},
};
