/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pondsocket.h - the native PondSocket client. C99, also valid C++11.
 *
 * A client holds one connection, channels live on it, events tell what happened. Two ways to get events:
 *   without a queue   handlers (pond_..._on_...) run on the library's threads, one at a time per client;
 *   with a pond_queue nothing but a wake function runs on a library thread: you pull events (pond_queue_next)
 *                     or have the handlers run on your thread (pond_queue_dispatch).
 *
 * RULES
 *   1 Status. 0 is POND_OK, negative is an error, positive is an answer that is neither. Test `!= POND_OK` where a
 *     call may wait: POND_TIMEOUT is positive. Calls that return a state, a kind or a count return it (> 0 or >= 0)
 *     or a negative status. Values are never renumbered; treat unknown ones by their sign.
 *   2 Errors. `error` may be NULL. It is set to NULL first (an older object in it leaks), to an object on failure.
 *   3 Outputs are zeroed first, valid on POND_OK. Required outputs that are NULL: POND_ERROR_INVALID_ARGUMENT.
 *   4 Strings in are NUL-terminated UTF-8, copied; (pointer, length) pairs need no NUL. JSON in is one object, NULL
 *     stands for {}.
 *   5 Strings out of an event or error are borrowed: they live as long as it does, are NUL-terminated and never NULL
 *     (absent = "", absent JSON = "null", "{}" or "[]" as told). `len` may be NULL. Strings through `char **` are
 *     owned by you: pond_string_free.
 *   6 Handles (client, channel, queue, subscription, options) are keys, not addresses: odd, >= 4096, below 2^38.
 *     Compare and hash them freely. NULL, stale, freed and mistyped ones are POND_ERROR_INVALID_HANDLE. A handle taken
 *     from an event is a plain copy: it keeps nothing alive and needs no free.
 *   7 Events and errors are plain objects: using one after its free is your bug. They outlive client, queue and
 *     pond_shutdown, not dlclose. Reading one from several threads is fine.
 *   8 Threads. Every function may be called from any thread and inside any handler; those that would wait for
 *     themselves answer POND_ERROR_WOULD_DEADLOCK. Don't hold a lock that a handler takes while you cancel or free.
 *     The library's threads block all signals; no call raises SIGPIPE; descriptors are close-on-exec.
 *   9 user_data is never dereferenced. `destroy` (or NULL) is called exactly once, after the last handler call, also
 *     when the registering call fails (then before it returns); on the thread that dispatches, cancels or frees; with a
 *     queue never on a library thread. Handlers must not throw or longjmp out.
 *  10 Times are milliseconds; 0 = do not wait, POND_FOREVER = no limit, unless the text says otherwise. Signals do
 *     not end waits. Freeing what is waited for does: POND_ERROR_CLOSED.
 *  11 Getters tell the newest truth, events tell the history: state() may be ahead of the last event you saw.
 */

#ifndef PONDSOCKET_H
#define PONDSOCKET_H

#include <stddef.h>
#include <stdint.h>

#define POND_VERSION_MAJOR 0
#define POND_VERSION_MINOR 1
#define POND_VERSION_PATCH 0

/* Version of the binary interface, raised with every incompatible change; compare it with pond_abi_version(). */
#define POND_ABI_VERSION 1

/* As a time: no limit. As a retry time: none will come. */
#define POND_FOREVER 0xFFFFFFFFu

#ifndef POND_API
#if defined(_WIN32) && !defined(POND_STATIC)
#define POND_API __declspec(dllimport)
#else
#define POND_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- constants (int32_t everywhere) ------------------------------------------------------------------------------ */

/* Statuses: 0 done, negative an error, positive an answer that is neither (rule 1). */
enum {
    POND_OK = 0,          /* done */
    POND_TIMEOUT = 1,     /* a wait ended without what it waited for */
    POND_INTERRUPTED = 2, /* a wait was ended by pond_queue_interrupt */
    POND_EMPTY = 3,       /* nothing there: no event, no match, nothing to cancel */
    POND_EXISTS = 4,      /* pond_client_channel: the live channel of that name is returned */
    POND_SKIPPED = 5,     /* pond_channel_send_volatile: not sendable right now, forgotten */
    POND_DEFERRED = 6,    /* pond_queue_free: clients still use it, it goes with the last of them */

    POND_ERROR_INVALID_ARGUMENT = -1, /* an argument is missing, out of range or malformed */
    POND_ERROR_INVALID_HANDLE = -2,   /* NULL, stale, freed, or of another type */
    POND_ERROR_INVALID_UTF8 = -3,     /* a string is not UTF-8 */
    POND_ERROR_INVALID_JSON = -4,     /* not the JSON that is asked for; the message has line and column */
    POND_ERROR_INVALID_URL = -5,      /* not a URL that can be dialled */
    POND_ERROR_INVALID_STATE = -6,    /* not possible now, e.g. an answer to no dial */
    POND_ERROR_TOO_LARGE = -7,        /* message over the limit, or nested too deep */
    POND_ERROR_WOULD_DEADLOCK = -8,   /* the call would wait for itself (rule 8) */
    POND_ERROR_BUSY = -9,             /* another thread dispatches this queue */
    POND_ERROR_UNSUPPORTED = -10,     /* not on this platform, or not in this build */
    POND_ERROR_NO_MEMORY = -11,       /* memory, threads or descriptors ran out */
    POND_ERROR_FORKED = -12,          /* a forked child that has not called pond_shutdown */
    POND_ERROR_PANIC = -13,           /* a bug of this library, contained */

    POND_ERROR_CLOSED = -20,     /* left, disconnected, evicted earlier, or freed meanwhile */
    POND_ERROR_CANCELLED = -21,  /* ended by pond_channel_cancel_request */
    POND_ERROR_QUEUE_FULL = -22, /* no room: nothing was taken, one WRITABLE event will follow */
    POND_ERROR_TIMEOUT = -23,    /* a request, join or dial that the other side did not answer */

    POND_ERROR_CONNECT = -30,         /* name lookup or TCP failed */
    POND_ERROR_TLS = -31,             /* certificate or handshake, or an unusable CA file */
    POND_ERROR_HTTP = -32,            /* upgrade refused, see http_status */
    POND_ERROR_REJECTED = -33,        /* closed before the server's CONNECTION */
    POND_ERROR_CONNECTION_LOST = -34, /* the link died; also: no pong in time */
    POND_ERROR_PROTOCOL = -35,        /* undecodable frame; the connection goes on */

    POND_ERROR_DECLINED = -40, /* join refused */
    POND_ERROR_EVICTED = -41,  /* the server put this client out of the channel */
    POND_ERROR_SERVER = -42    /* the server answered with an error */
};

/* States. Clients: 1 and up, channels: 11 and up; a state of the wrong kind is an invalid argument. */
enum {
    POND_CLIENT_DISCONNECTED = 1, /* initial, between dials, suspended, after disconnect or giving up */
    POND_CLIENT_CONNECTING = 2,   /* a dial is under way or waits for pond_client_answer_dial */
    POND_CLIENT_CONNECTED = 3,    /* the server's CONNECTION came */

    POND_CHANNEL_IDLE = 11,    /* never joined */
    POND_CHANNEL_JOINING = 12, /* a join is wanted or under way */
    POND_CHANNEL_JOINED = 13,  /* the server acknowledged the join */
    POND_CHANNEL_STALLED = 14, /* link lost while joined; rejoins by itself */
    POND_CHANNEL_CLOSED = 15,  /* left, disconnected or evicted (see the status); only an explicit join reopens */
    POND_CHANNEL_DECLINED = 16 /* refused; only an explicit join tries again */
};

/* Event kinds, each with the fields it has. "Error fields" are status, error_code, message, http_status and details.
 * One frame is one event, however many handlers take it. */
enum {
    /* state, previous_state, attempt, retry_ms, connect_count, close_code, in_doubt, error fields: why */
    POND_EVENT_CLIENT_STATE = 1,
    POND_EVENT_CLIENT_ERROR = 2,   /* error fields, attempt, retry_ms; comes before the state it causes */
    POND_EVENT_CLIENT_MESSAGE = 3, /* a frame on the endpoint itself: name, payload */
    POND_EVENT_DIAL = 4,           /* answer with pond_client_answer_dial: attempt */

    POND_EVENT_CHANNEL_STATE = 11, /* state, previous_state, error fields */
    POND_EVENT_MESSAGE = 12,       /* name, payload, request_id; also late and second replies */
    POND_EVENT_PRESENCE = 13,      /* presence_kind, changed, users */
    POND_EVENT_CHANNEL_ERROR = 14, /* error fields; comes before the state it causes */
    POND_EVENT_REPLY = 15,         /* end of a request: status; if POND_OK name, payload; else error fields; ticket */
    POND_EVENT_DROPPED = 16,       /* never to be sent: name, payload (of the newest), count, status: why */
    POND_EVENT_WRITABLE = 17,      /* room again after POND_ERROR_QUEUE_FULL */

    POND_EVENT_LOG = 90, /* only to the log handler: level, name = target, message */
    POND_EVENT_WAKE = 91 /* only to the wake handler: nothing else in it */
};

/* What a PRESENCE event tells; 0 when only the list changed. */
enum {
    POND_PRESENCE_JOIN = 1,   /* somebody came */
    POND_PRESENCE_UPDATE = 2, /* somebody's presence changed */
    POND_PRESENCE_LEAVE = 3   /* somebody went */
};

/* What happens to a message for the full queue of a channel that is not JOINED. */
enum {
    POND_OVERFLOW_DROP_OLDEST = 1, /* the oldest queued message makes room and is reported DROPPED */
    POND_OVERFLOW_DROP_NEWEST = 2, /* the new message is reported DROPPED */
    POND_OVERFLOW_REFUSE = 3       /* the send answers POND_ERROR_QUEUE_FULL */
};

/* Log levels: each includes those before it. */
enum {
    POND_LOG_OFF = 0,   /* nothing */
    POND_LOG_ERROR = 1, /* what the program should hear of */
    POND_LOG_WARN = 2,  /* what may need attention */
    POND_LOG_INFO = 3,  /* milestones: connected, joined, closed */
    POND_LOG_DEBUG = 4, /* each decision */
    POND_LOG_TRACE = 5  /* each frame, without its contents */
};

/* ---- types ------------------------------------------------------------------------------------------------------- */

typedef struct pond_client pond_client;             /* Handle of a client: one connection and its channels (rule 6). */
typedef struct pond_channel pond_channel;           /* Handle of a channel: a named room on a client (rule 6). */
typedef struct pond_queue pond_queue;               /* Handle of an event queue that the program drains (rule 6). */
typedef struct pond_subscription pond_subscription; /* Handle of one registered handler (rule 6). */
typedef struct pond_options pond_options;           /* Handle of options, copied by pond_client_new (rule 6). */
typedef struct pond_event pond_event;               /* An event: a plain object (rule 7). */
typedef struct pond_error pond_error;               /* An error: a plain object (rule 7). */

/* The one callback. `event` is borrowed until it returns; pond_event_retain keeps it longer. */
typedef void (*pond_event_fn)(const pond_event *event, void *user_data);

/* Called exactly once with the user_data of a registration, after its last handler call (rule 9). */
typedef void (*pond_destroy_fn)(void *user_data);

/* ---- library ----------------------------------------------------------------------------------------------------- */

/* The version of the library that runs, "0.1.0". Static. */
POND_API const char *pond_version(void);

/* The ABI of the library that runs: compare it with POND_ABI_VERSION when loading dynamically. */
POND_API uint32_t pond_abi_version(void);

/* The name of a status, "POND_ERROR_CLOSED"; "POND_UNKNOWN" for any other number. Static. */
POND_API const char *pond_status_name(int32_t status);

/* The name of a client or channel state, "CONNECTED", "JOINED"; "UNKNOWN" for any other number. Static. */
POND_API const char *pond_state_name(int32_t state);

/* Frees a string that came through a `char **`. NULL is fine. */
POND_API void pond_string_free(char *string);

/* Sets the one log sink of the process in place of the earlier one; level POND_LOG_OFF or fn NULL removes it. Called
 * with POND_EVENT_LOG on any thread, also yours, inside library calls; what it causes to be logged itself is not.
 * Nothing secret (URL query, headers, params, payloads) is ever logged. pond_shutdown removes it.
 * POND_OK, POND_ERROR_INVALID_ARGUMENT (no such level), POND_ERROR_FORKED. */
POND_API int32_t pond_log_set(int32_t level, pond_event_fn fn, void *user_data, pond_destroy_fn destroy);

/* Frees every client, queue and option (all handles go stale, requests complete, destroys run), says goodbye, joins
 * every thread and removes the log sink. The next call of anything starts anew. In a forked child it abandons what
 * was inherited.
 * POND_OK; POND_TIMEOUT: something still runs, call again; in a handler POND_ERROR_WOULD_DEADLOCK. */
POND_API int32_t pond_shutdown(uint32_t timeout_ms);

/* ---- errors: all accept NULL ------------------------------------------------------------------------------------- */

/* The status of the failed call: always negative; POND_OK for NULL. */
POND_API int32_t pond_error_status(const pond_error *error);

/* The server's word for it, or the name of the status; borrowed (rule 5). NULL error: "". */
POND_API const char *pond_error_code(const pond_error *error, size_t *len);

/* What happened, for people; borrowed (rule 5). NULL error: "". */
POND_API const char *pond_error_message(const pond_error *error, size_t *len);

/* The HTTP status of a refused upgrade, or the server's numeric code; 0 = none. */
POND_API int32_t pond_error_http_status(const pond_error *error);

/* The server's JSON about it, "null" when there is none; borrowed (rule 5). */
POND_API const char *pond_error_details(const pond_error *error, size_t *len);

/* Frees an error and the strings borrowed from it. NULL is fine. */
POND_API void pond_error_free(pond_error *error);

/* ---- options: yours to free, copied by pond_client_new. Setters check form and range; files are read by _new ----- */

/* Makes a set of options with the defaults. Yours: pond_options_free. Times are from 1 to 2147483647 ms, so
 * POND_FOREVER is refused.
 * POND_OK, POND_ERROR_INVALID_ARGUMENT, POND_ERROR_NO_MEMORY. */
POND_API int32_t pond_options_new(pond_options **out);

/* Frees options; clients made from them keep their copies.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_options_free(pond_options *options);

/* How long a dial may take, from name lookup to the server's CONNECTION. Default 10000 ms; 0 is refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_connect_timeout_ms(pond_options *options, uint32_t ms);

/* How long the server may take to answer a join. Default 10000 ms; 0 is refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_join_timeout_ms(pond_options *options, uint32_t ms);

/* How long requests wait that name no time of their own. Default 10000 ms; 0 is refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_response_timeout_ms(pond_options *options, uint32_t ms);

/* The backoff between dials: a random time (full jitter) up to base_ms * 2^n, never above max_ms. n grows with each
 * failure and starts anew after a connection that lived 5 s. Default 1000 and 30000 ms; base_ms 0 or above max_ms is
 * refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_backoff_ms(pond_options *options, uint32_t base_ms, uint32_t max_ms);

/* How many dials may follow a failed dial or a lost connection before the client gives up. Default -1: no limit; 0:
 * none.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_max_reconnect_attempts(pond_options *options, int32_t attempts);

/* How often the client pings the server. Default 25000 ms; 0 = no pings, then a dead link is found only by writing.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_ping_interval_ms(pond_options *options, uint32_t ms);

/* How long a pong may take before the link counts as dead; other traffic stretches it up to three times. Default
 * 10000 ms; 0 is refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_pong_timeout_ms(pond_options *options, uint32_t ms);

/* How many messages each channel that is not JOINED keeps. Default 100; 0 is refused.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_queue_limit(pond_options *options, uint32_t messages);

/* What that queue does when it is full: a POND_OVERFLOW_ value. Default POND_OVERFLOW_DROP_OLDEST.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_overflow(pond_options *options, int32_t policy);

/* How many bytes may be accepted on JOINED channels and not yet be written. Default 4 MiB; 0 is refused. One message
 * always fits.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_outbound_limit(pond_options *options, uint64_t bytes);

/* How long an upgraded socket stays silent before it counts as connected to a server of the old dialect, which sends
 * no CONNECTION. Off for good once a CONNECTION came. Default 2000 ms; 0 = only CONNECTION connects.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_legacy_grace_ms(pond_options *options, uint32_t ms);

/* 1: a refusal with 401 or 403 is retried like any failure. Default 0: before the first CONNECTED it gives up.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_retry_refused(pond_options *options, int32_t on);

/* The largest message in each direction, as framed, in bytes. Default 16 MiB in, 512 KiB out (the smallest limit of
 * the known servers). From 1 KiB to 1 GiB. A larger one out is POND_ERROR_TOO_LARGE, a larger one in ends the
 * connection.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_max_message_bytes(pond_options *options, uint64_t in, uint64_t out);

/* How many events from frames, and how many bytes of them, may wait to be read or handled; then the socket is no
 * longer read until half of it is free. Default 10000 events, 16 MiB; 0 is refused. One batch of frames may exceed
 * it.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_inbound_limit(pond_options *options, uint32_t events, uint64_t bytes);

/* A request header of each dial (Authorization, Cookie, Origin...); replaces one of the same name, value NULL
 * removes it.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (not well-formed, or the handshake's own),
 * POND_ERROR_INVALID_UTF8. */
POND_API int32_t pond_options_set_header(pond_options *options, const char *name, const char *value);

/* A PEM file with CA certificates, trusted beside the platform's roots. Read by pond_client_new, which answers
 * POND_ERROR_TLS when it is unusable. Several calls add up; NULL forgets them.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT, POND_ERROR_INVALID_UTF8. */
POND_API int32_t pond_options_set_ca_file(pond_options *options, const char *path);

/* CA certificates as PEM text, trusted beside the platform's roots. Several calls add up; NULL forgets them.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (no certificate in it), POND_ERROR_INVALID_UTF8. */
POND_API int32_t pond_options_set_ca_pem(pond_options *options, const char *pem);

/* The certificate chain and private key, PEM texts, with which the client shows who it is. NULL and NULL remove
 * them.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (unusable, or only one given),
 * POND_ERROR_INVALID_UTF8. */
POND_API int32_t pond_options_set_client_cert(pond_options *options, const char *cert_pem, const char *key_pem);

/* 1: the server's certificate is not verified at all. For experiments only. Default 0.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_insecure_skip_verify(pond_options *options, int32_t on);

/* Events go to this queue instead of the library's threads; many clients may share one. NULL: to the library's
 * threads.
 * POND_OK, POND_ERROR_INVALID_HANDLE (also of the queue). */
POND_API int32_t pond_options_set_queue(pond_options *options, pond_queue *queue);

/* 1: each dial first becomes a POND_EVENT_DIAL that waits for pond_client_answer_dial: a fresh token, another URL.
 * Default 0.
 * POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT. */
POND_API int32_t pond_options_set_ask_before_dial(pond_options *options, int32_t on);

/* ---- client ------------------------------------------------------------------------------------------------------ */

/* Makes a client; no I/O but reading the CA files of its options. url: ws, wss, http or https. params_json: one JSON
 * object, merged into the URL's own query (strings as they are, null leaves a key out, anything else as JSON text).
 * options: copied; NULL = defaults. *out is yours: pond_client_free.
 * POND_OK, POND_ERROR_INVALID_ARGUMENT, _INVALID_HANDLE (options, or the queue in them), _INVALID_UTF8,
 * _INVALID_JSON, _INVALID_URL, _TLS (unusable CA or certificate), _NO_MEMORY. */
POND_API int32_t pond_client_new(const char *url, const char *params_json, pond_options *options, pond_client **out,
                                 pond_error **error);

/* Dials, in the background; also after disconnect or giving up. Never waits.
 * POND_OK also when already under way; POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_connect(pond_client *client);

/* Says goodbye in the background: LEAVE for joined channels, flush, Close, 2 s at most. Channels become CLOSED and
 * requests complete with POND_ERROR_CLOSED at once, queued messages come back as DROPPED, the state becomes
 * DISCONNECTED when the socket is gone: pond_client_wait_state for it, then free. connect works again. Never waits.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_disconnect(pond_client *client);

/* Drops the link and stops dialling but keeps channels (STALLED) and queues: for an app that goes to the background.
 * Never waits.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_suspend(pond_client *client);

/* Dials at once after suspend, and rejoins. Never waits.
 * POND_OK also when not suspended; POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_resume(pond_client *client);

/* Skips the backoff: dials now if a dial is waiting. Never waits.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_reconnect_now(pond_client *client);

/* Ends everything at once without waiting for the network; its channels and subscriptions go stale. Requests
 * complete with POND_ERROR_CLOSED: fn on this thread, or (fn NULL) as events that stay in the queue. Other unread
 * events go. Outside of handlers no callback runs any more when it returns, and each destroy has run; inside one
 * nothing waits, and destroy announces the end. A goodbye (LEAVE, Close) goes on behind it for 1 s at most.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_free(pond_client *client);

/* The newest truth: a POND_CLIENT_ state, or POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_client_state(pond_client *client);

/* What the server calls this connection. *out is yours: pond_string_free.
 * POND_OK; POND_EMPTY: the server told none; POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY. */
POND_API int32_t pond_client_connection_id(pond_client *client, char **out);

/* Waits until the client is in that state or reaches it. Blocks; not in handlers.
 * POND_OK; if the client gave up, that failure (POND_ERROR_CONNECT, _TLS, _HTTP, _REJECTED, _CONNECTION_LOST,
 * _TIMEOUT); POND_TIMEOUT: *error then describes the last failed dial, if there was one: free it; POND_ERROR_CLOSED
 * (freed meanwhile), _WOULD_DEADLOCK, _INVALID_HANDLE, _INVALID_ARGUMENT (no client state). */
POND_API int32_t pond_client_wait_state(pond_client *client, int32_t state, uint32_t timeout_ms, pond_error **error);

/* Waits until everything accepted is written or dropped. Blocks; not in handlers.
 * POND_OK, POND_TIMEOUT, POND_ERROR_CLOSED (freed meanwhile), _WOULD_DEADLOCK, _INVALID_HANDLE. */
POND_API int32_t pond_client_flush(pond_client *client, uint32_t timeout_ms);

/* Replaces all params of the URL's query, for the next dial.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _INVALID_URL. */
POND_API int32_t pond_client_set_params(pond_client *client, const char *params_json, pond_error **error);

/* Sets one request header for the next dial; value NULL removes it.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (not well-formed, or the handshake's own), _INVALID_UTF8. */
POND_API int32_t pond_client_set_header(pond_client *client, const char *name, const char *value);

/* Answers POND_EVENT_DIAL number `attempt`, in its handler or later; a URL or params given here replace the
 * client's, NULL keeps them. Unanswered within the connect timeout the dial counts as failed. To give up instead:
 * pond_client_disconnect.
 * POND_OK; POND_ERROR_INVALID_STATE: not that dial; _INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _INVALID_URL: it
 * still waits. */
POND_API int32_t pond_client_answer_dial(pond_client *client, uint32_t attempt, const char *url,
                                         const char *params_json, pond_error **error);

/* Makes a channel, IDLE, or finds it: one handle per name until it is freed. Asked again, the same one comes back
 * with POND_EXISTS; its params are replaced only while it is IDLE, CLOSED or DECLINED. *out: pond_channel_free, or
 * with its client.
 * POND_OK, POND_EXISTS, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (empty name), _INVALID_UTF8, _INVALID_JSON,
 * _TOO_LARGE, _CLOSED (freed meanwhile), _NO_MEMORY. */
POND_API int32_t pond_client_channel(pond_client *client, const char *name, const char *join_params_json,
                                     pond_channel **out, pond_error **error);

/* Counters since pond_client_new, and levels of now. Grows only at its end. */
typedef struct pond_stats {
    uint64_t bytes_in;          /* Bytes read by the WebSocket layer. */
    uint64_t bytes_out;         /* Bytes written by the WebSocket layer. */
    uint64_t frames_in;         /* Text and binary frames received. */
    uint64_t frames_out;        /* Frames handed to the system. */
    uint64_t dropped;           /* Outgoing messages that will never be sent. */
    uint64_t dials;             /* Dials begun. */
    uint64_t connects;          /* How often the client was CONNECTED. */
    uint64_t inbound_events;    /* Events from frames that wait now. */
    uint64_t inbound_bytes;     /* Bytes of those frames. */
    uint64_t outbound_messages; /* Messages accepted and not yet written. */
    uint64_t rtt_us;            /* Round trip of the last ping in microseconds; 0 = none yet. */
} pond_stats;

/* Fills *out up to `size` = sizeof *out.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (out NULL, size 0). */
POND_API int32_t pond_client_stats(pond_client *client, pond_stats *out, size_t size);

/* Registers a handler for POND_EVENT_CLIENT_STATE. Handlers run in order of registration. out NULL: it lives as long
 * as the client.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (fn NULL), _CLOSED (freed meanwhile), _NO_MEMORY: destroy
 * has run. */
POND_API int32_t pond_client_on_state(pond_client *client, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                                      pond_subscription **out);

/* Registers a handler for POND_EVENT_CLIENT_ERROR, which comes before the state it causes. As pond_client_on_state. */
POND_API int32_t pond_client_on_error(pond_client *client, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                                      pond_subscription **out);

/* Registers a handler for POND_EVENT_CLIENT_MESSAGE: frames on the endpoint itself, not the channels'. As
 * pond_client_on_state. */
POND_API int32_t pond_client_on_endpoint_message(pond_client *client, pond_event_fn fn, void *user_data,
                                                 pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_DIAL (pond_options_set_ask_before_dial). As pond_client_on_state. */
POND_API int32_t pond_client_on_dial(pond_client *client, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                                     pond_subscription **out);

/* Ends a registration: after this returns (or, inside that very handler, after that returns) fn is not called again
 * and destroy has run. Inside any other handler it does not wait, and destroy announces the end.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_subscription_cancel(pond_subscription *subscription);

/* ---- channel ----------------------------------------------------------------------------------------------------- */

/* Joins, in the background: deferred while offline, rejoined by itself after a lost link; reopens CLOSED and
 * DECLINED with its handlers kept. Never waits.
 * POND_OK also when joining or joined; POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile). */
POND_API int32_t pond_channel_join(pond_channel *channel);

/* Leaves: queued messages come back as DROPPED, requests complete with POND_ERROR_CLOSED, the state becomes CLOSED
 * at once. Never waits.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile). */
POND_API int32_t pond_channel_leave(pond_channel *channel);

/* Leaves, then cancels all its subscriptions, as pond_subscription_cancel does. Its name is free again.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_channel_free(pond_channel *channel);

/* The params of the next JOIN, rejoins included. NULL = {}.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _TOO_LARGE, _CLOSED (freed meanwhile). */
POND_API int32_t pond_channel_set_join_params(pond_channel *channel, const char *join_params_json, pond_error **error);

/* The channel's name. *out is yours: pond_string_free.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY. */
POND_API int32_t pond_channel_name(pond_channel *channel, char **out);

/* The newest truth: a POND_CHANNEL_ state, or POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_channel_state(pond_channel *channel);

/* Waits until the channel is in that state or reaches it; a terminal state that makes it impossible ends the wait.
 * Blocks; not in handlers.
 * POND_OK; POND_TIMEOUT: *error then describes the last failed dial, if there was one: free it; POND_ERROR_DECLINED,
 * _EVICTED, _CLOSED (with the story in *error), _WOULD_DEADLOCK, _INVALID_HANDLE, _INVALID_ARGUMENT (no channel
 * state). */
POND_API int32_t pond_channel_wait_state(pond_channel *channel, int32_t state, uint32_t timeout_ms, pond_error **error);

/* Who is there, as the server's JSON array of the last presence frame; "[]" before any. *users_json is yours:
 * pond_string_free.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY. */
POND_API int32_t pond_channel_presence(pond_channel *channel, char **users_json, size_t *len);

/* Accepts a message: written in order, or it comes back as POND_EVENT_DROPPED, or it was handed to the system on a
 * link that then died: those are counted by pond_event_in_doubt. Not JOINED: it goes to the channel's queue
 * (queue_limit, overflow). JOINED: to the client's buffer (outbound_limit). payload_json: one object, nested 100
 * deep at most; NULL = {}. Never waits.
 * POND_OK; POND_ERROR_QUEUE_FULL: nothing taken, later one WRITABLE; POND_ERROR_CLOSED or _DECLINED: the channel has
 * ended; _TOO_LARGE, _INVALID_HANDLE, _INVALID_ARGUMENT (no name), _INVALID_UTF8, _INVALID_JSON. */
POND_API int32_t pond_channel_send(pond_channel *channel, const char *event, const char *payload_json,
                                   pond_error **error);

/* As pond_channel_send, with (pointer, length) pairs. */
POND_API int32_t pond_channel_send_n(pond_channel *channel, const char *event, size_t event_len, const char *payload,
                                     size_t payload_len, pond_error **error);

/* For news that age at once (positions): written now if JOINED and nothing waits before it, else forgotten. Never
 * waits.
 * POND_OK, POND_SKIPPED; POND_ERROR_CLOSED or _DECLINED: the channel has ended; _TOO_LARGE, _INVALID_HANDLE,
 * _INVALID_ARGUMENT (no name), _INVALID_UTF8, _INVALID_JSON. */
POND_API int32_t pond_channel_send_volatile(pond_channel *channel, const char *event, size_t event_len,
                                            const char *payload, size_t payload_len, pond_error **error);

/* Asks. Negative status: fn is never called (destroy is). POND_OK: exactly one POND_EVENT_REPLY, to fn or (fn NULL)
 * to pond_queue_next; a client without a queue needs fn. The clock starts now; timeout_ms 0 = the option's,
 * POND_FOREVER = no limit. `ticket` (may be NULL) is a number below 2^53, unique in the process, written before the
 * reply can come. Queued like a message while not JOINED. Never waits.
 * POND_OK, and the errors of pond_channel_send. */
POND_API int32_t pond_channel_request(pond_channel *channel, const char *event, const char *payload_json,
                                      uint32_t timeout_ms, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                                      uint64_t *ticket, pond_error **error);

/* As pond_channel_request, with (pointer, length) pairs. */
POND_API int32_t pond_channel_request_n(pond_channel *channel, const char *event, size_t event_len, const char *payload,
                                        size_t payload_len, uint32_t timeout_ms, pond_event_fn fn, void *user_data,
                                        pond_destroy_fn destroy, uint64_t *ticket, pond_error **error);

/* Completes a request of this channel with POND_ERROR_CANCELLED. Never waits.
 * POND_OK; POND_EMPTY: it is complete already (its event may still wait to be read), or no request of this channel;
 * POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile). */
POND_API int32_t pond_channel_cancel_request(pond_channel *channel, uint64_t ticket);

/* Asks and blocks; the reply comes to you past queue and handlers. *reply is yours: pond_event_free. Not in
 * handlers. Needs reading to go on: on a thread that also drains a queue, prefer pond_channel_request. timeout_ms as
 * there.
 * POND_OK; the errors of pond_channel_send; POND_ERROR_SERVER, _TIMEOUT, _CONNECTION_LOST, _CLOSED, _DECLINED,
 * _EVICTED, _QUEUE_FULL (dropped, or twice the inbound limit waits unread), _WOULD_DEADLOCK; *reply is NULL then. */
POND_API int32_t pond_channel_call(pond_channel *channel, const char *event, const char *payload_json,
                                   uint32_t timeout_ms, pond_event **reply, pond_error **error);

/* Registers a handler for every POND_EVENT_MESSAGE. Handlers run in order of registration. out NULL: it lives as
 * long as the channel.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (fn NULL), _CLOSED (freed meanwhile), _NO_MEMORY: destroy
 * has run. */
POND_API int32_t pond_channel_on_message(pond_channel *channel, pond_event_fn fn, void *user_data,
                                         pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for the messages whose name matches a pattern: "message", "user/:id", "*". pond_event_param
 * and pond_event_query answer in it. As pond_channel_on_message; also POND_ERROR_INVALID_UTF8, and
 * POND_ERROR_INVALID_ARGUMENT for an unusable pattern. */
POND_API int32_t pond_channel_on_event(pond_channel *channel, const char *pattern, pond_event_fn fn, void *user_data,
                                       pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_CHANNEL_STATE. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_state(pond_channel *channel, pond_event_fn fn, void *user_data,
                                       pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_PRESENCE of kind JOIN: somebody came. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_join(pond_channel *channel, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                                      pond_subscription **out);

/* Registers a handler for POND_EVENT_PRESENCE of kind LEAVE: somebody went. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_leave(pond_channel *channel, pond_event_fn fn, void *user_data,
                                       pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_PRESENCE of kind UPDATE: somebody changed. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_presence_change(pond_channel *channel, pond_event_fn fn, void *user_data,
                                                 pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for every POND_EVENT_PRESENCE, also one of kind 0 that only tells a new list (after a rejoin).
 * As pond_channel_on_message. */
POND_API int32_t pond_channel_on_users_change(pond_channel *channel, pond_event_fn fn, void *user_data,
                                              pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_CHANNEL_ERROR, which comes before the state it causes. As
 * pond_channel_on_message. */
POND_API int32_t pond_channel_on_error(pond_channel *channel, pond_event_fn fn, void *user_data,
                                       pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_DROPPED: outgoing messages that will never be sent. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_dropped(pond_channel *channel, pond_event_fn fn, void *user_data,
                                         pond_destroy_fn destroy, pond_subscription **out);

/* Registers a handler for POND_EVENT_WRITABLE: room again after POND_ERROR_QUEUE_FULL. As pond_channel_on_message. */
POND_API int32_t pond_channel_on_writable(pond_channel *channel, pond_event_fn fn, void *user_data,
                                          pond_destroy_fn destroy, pond_subscription **out);

/* ---- queue ------------------------------------------------------------------------------------------------------- */

/* Makes a queue: pond_options_set_queue gives clients to it. *out is yours: pond_queue_free.
 * POND_OK, POND_ERROR_INVALID_ARGUMENT, _NO_MEMORY. */
POND_API int32_t pond_queue_new(pond_queue **out);

/* Frees a queue; its handle is gone at once. Remove its fd from your poller before. A waiting pond_queue_next
 * answers POND_ERROR_CLOSED.
 * POND_OK; POND_DEFERRED: clients still deliver to it, they stall until freed, and it goes with the last of them;
 * POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_queue_free(pond_queue *queue);

/* Takes one event: *out is yours, pond_event_free. Runs no handler. Several threads may pull; each event goes to one
 * of them.
 * POND_OK; POND_EMPTY (timeout_ms 0), POND_TIMEOUT, POND_INTERRUPTED; POND_ERROR_CLOSED (freed meanwhile),
 * _WOULD_DEADLOCK (in a handler, with a timeout), _INVALID_HANDLE, _INVALID_ARGUMENT. */
POND_API int32_t pond_queue_next(pond_queue *queue, uint32_t timeout_ms, pond_event **out);

/* Takes up to `capacity` events at once and waits only for the first. *count is 0 unless POND_OK. As
 * pond_queue_next; also POND_ERROR_INVALID_ARGUMENT for capacity 0. */
POND_API int32_t pond_queue_next_many(pond_queue *queue, uint32_t timeout_ms, pond_event **out, uint32_t capacity,
                                      uint32_t *count);

/* Runs handlers on this thread for up to max_events events or budget_us microseconds (0 = no limit; at least one
 * event). Never waits for events. If events are left, the wake function is called again. How many events it took;
 * POND_ERROR_BUSY: another thread dispatches this queue; POND_ERROR_WOULD_DEADLOCK: nested;
 * POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_queue_dispatch(pond_queue *queue, uint32_t max_events, uint32_t budget_us);

/* A descriptor that is readable while an event or interrupt waits (level). Poll it only; the queue owns it. During a
 * dispatch it may stay readable after the last event is taken; when that returns, it says what is true.
 * POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY; on Windows POND_ERROR_UNSUPPORTED. */
POND_API int32_t pond_queue_fd(pond_queue *queue, int32_t *out);

/* Sets the wake function: called with POND_EVENT_WAKE on a library thread once per empty -> not empty, and at once
 * if not empty now: signal your loop, nothing more. A queue is empty again when next or dispatch has found it so. fn
 * NULL removes it. Calls never overlap.
 * POND_OK, POND_ERROR_INVALID_HANDLE: destroy has run. */
POND_API int32_t pond_queue_set_wake(pond_queue *queue, pond_event_fn fn, void *user_data, pond_destroy_fn destroy);

/* Ends one pond_queue_next, waiting now or called next. Calls don't add up. Not for signal handlers.
 * POND_OK, POND_ERROR_INVALID_HANDLE. */
POND_API int32_t pond_queue_interrupt(pond_queue *queue);

/* ---- event: what a kind does not have reads as 0, "" or empty JSON; NULL event likewise -------------------------- */

/* What happened: POND_EVENT_...; 0 for NULL. */
POND_API int32_t pond_event_kind(const pond_event *event);

/* The client that it came from: a plain copy of the handle (rule 6). */
POND_API pond_client *pond_event_client(const pond_event *event);

/* The channel that it came from: a plain copy of the handle (rule 6); NULL for client events. */
POND_API pond_channel *pond_event_channel(const pond_event *event);

/* The channel's name; "" for client events. */
POND_API const char *pond_event_channel_name(const pond_event *event, size_t *len);

/* The event's name as the server sent it; of a LOG event its target. */
POND_API const char *pond_event_name(const pond_event *event, size_t *len);

/* The payload, byte for byte as the sender wrote it; "{}" when there is none. Its strings and brackets are balanced;
 * whether it is JSON in every detail is for your parser. */
POND_API const char *pond_event_payload(const pond_event *event, size_t *len);

/* The request id of the frame, as on the wire. */
POND_API const char *pond_event_request_id(const pond_event *event, size_t *len);

/* REPLY: the ticket of its request. */
POND_API uint64_t pond_event_ticket(const pond_event *event);

/* REPLY: the user_data of its request; else NULL. */
POND_API void *pond_event_user_data(const pond_event *event);

/* What the pattern's ":name" matched, decoded; "*" is the name of the wildcard. Only on events that came through a
 * pattern (pond_channel_on_event, pond_event_match). NULL: no such parameter. */
POND_API const char *pond_event_param(const pond_event *event, const char *name, size_t *len);

/* A value of the query behind the event's name ("move?x=1"), decoded; on the events that have parameters. NULL: no
 * such key. */
POND_API const char *pond_event_query(const pond_event *event, const char *name, size_t *len);

/* The state that was reached: POND_CLIENT_... or POND_CHANNEL_... */
POND_API int32_t pond_event_state(const pond_event *event);

/* The state before. */
POND_API int32_t pond_event_previous_state(const pond_event *event);

/* The number of the dial: 1 = first since connected. */
POND_API uint32_t pond_event_attempt(const pond_event *event);

/* Milliseconds until the next dial; POND_FOREVER = none will come. */
POND_API uint32_t pond_event_retry_ms(const pond_event *event);

/* CONNECTED: how often this client has been; 1 = the first time. */
POND_API uint32_t pond_event_connect_count(const pond_event *event);

/* The WebSocket close code; 0 = none came. */
POND_API int32_t pond_event_close_code(const pond_event *event);

/* DISCONNECTED: messages sent since the last proof of life; they may or may not have arrived and are never resent. */
POND_API uint32_t pond_event_in_doubt(const pond_event *event);

/* DROPPED: how many messages it stands for. */
POND_API uint32_t pond_event_count(const pond_event *event);

/* PRESENCE: POND_PRESENCE_...; 0 when only the list changed. */
POND_API int32_t pond_event_presence_kind(const pond_event *event);

/* PRESENCE: the one that changed; "{}" when not told. On UPDATE, JavaScript servers tell what it was before. */
POND_API const char *pond_event_changed(const pond_event *event, size_t *len);

/* PRESENCE: everybody present; "[]" when not told. */
POND_API const char *pond_event_users(const pond_event *event, size_t *len);

/* Why, or how it ended: POND_OK or POND_ERROR_... */
POND_API int32_t pond_event_status(const pond_event *event);

/* The server's word for the error, or the name of the status. */
POND_API const char *pond_event_error_code(const pond_event *event, size_t *len);

/* What went wrong, for people; of a LOG event its text. */
POND_API const char *pond_event_message(const pond_event *event, size_t *len);

/* The HTTP status of a refused upgrade, or the server's numeric code; 0 = none. */
POND_API int32_t pond_event_http_status(const pond_event *event);

/* The server's JSON about the error; "null" when there is none. */
POND_API const char *pond_event_details(const pond_event *event, size_t *len);

/* LOG: POND_LOG_... */
POND_API int32_t pond_event_level(const pond_event *event);

/* A reference of your own to the same event (atomic count, no copy). Each retain and each event that you were handed
 * through an output needs one pond_event_free. The const event of a handler is not yours to free. NULL gives NULL. */
POND_API pond_event *pond_event_retain(const pond_event *event);

/* Gives a reference back; with the last one the event and its strings go. NULL is fine. May run the destroy of a
 * pulled request. */
POND_API void pond_event_free(pond_event *event);

/* Does the event's name match? POND_OK: *out is an event of yours (pond_event_free) on which param and query answer.
 * POND_EMPTY: it does not, or the event has no name. POND_ERROR_INVALID_ARGUMENT: a pattern that can never be, or a
 * NULL; POND_ERROR_INVALID_UTF8. */
POND_API int32_t pond_event_match(const pond_event *event, const char *pattern, pond_event **out);

/* The common fields of an event in one call, for languages where calls are dear. Each field reads as its accessor
 * does. Grows only at its end. */
typedef struct pond_event_view {
    int32_t kind;             /* POND_EVENT_... */
    int32_t status;           /* POND_OK or POND_ERROR_... */
    int32_t state;            /* POND_CLIENT_... or POND_CHANNEL_... */
    int32_t previous_state;   /* the state before */
    int32_t presence_kind;    /* POND_PRESENCE_... */
    int32_t http_status;      /* or the server's numeric code */
    uint32_t attempt;         /* the number of the dial */
    uint32_t retry_ms;        /* until the next dial; POND_FOREVER = none will come */
    uint32_t connect_count;   /* how often connected */
    uint32_t count;           /* how many a DROPPED event stands for */
    uint64_t ticket;          /* REPLY: the request's */
    pond_client *client;      /* a plain copy of the handle */
    pond_channel *channel;    /* likewise; NULL for client events */
    void *user_data;          /* REPLY: the request's */
    const char *name;         /* the strings are borrowed (rule 5) */
    const char *payload;      /* "{}" when absent */
    const char *changed;      /* "{}" when absent */
    const char *users;        /* "[]" when absent */
    const char *message;      /* for people */
    const char *error_code;   /* the server's word, or the status name */
    const char *details;      /* "null" when absent */
    const char *channel_name; /* "" for client events */
    const char *request_id;   /* as on the wire */
    size_t name_len;          /* bytes without the NUL */
    size_t payload_len;       /* likewise */
    size_t changed_len;       /* likewise */
    size_t users_len;         /* likewise */
    size_t message_len;       /* likewise */
    size_t error_code_len;    /* likewise */
    size_t details_len;       /* likewise */
    size_t channel_name_len;  /* likewise */
    size_t request_id_len;    /* likewise */
} pond_event_view;

/* Fills a view. `size` is sizeof *out as you compiled it: an older, smaller view gets the fields it has, of a newer,
 * larger one the rest is zero. POND_ERROR_INVALID_ARGUMENT: out is NULL or size is 0. */
POND_API int32_t pond_event_read(const pond_event *event, pond_event_view *out, size_t size);

/* ---- comfort for plain C: enough JSON to send a line of text and read one back ----------------------------------- */

/* Makes a JSON string of a text: quotes around it, escapes inside. `text` may be NULL when `len` is 0. *out is
 * yours: pond_string_free. POND_ERROR_INVALID_UTF8, POND_ERROR_INVALID_ARGUMENT (a NULL), POND_ERROR_NO_MEMORY. */
POND_API int32_t pond_json_quote(const char *text, size_t len, char **out);

/* Reads one text out of JSON. `pointer` is of RFC 6901, "/text" or "/users/0/name"; "" is the whole. *out is the
 * decoded text and yours: pond_string_free; *out_len (may be NULL) its length. POND_EMPTY: not there, or not a text;
 * POND_ERROR_INVALID_JSON, POND_ERROR_INVALID_UTF8, POND_ERROR_INVALID_ARGUMENT (a NULL, a malformed pointer),
 * POND_ERROR_NO_MEMORY. */
POND_API int32_t pond_json_text(const char *json, size_t len, const char *pointer, char **out, size_t *out_len);

/* Reads one number out of JSON, rounded to the nearest double; `pointer` and statuses as of pond_json_text.
 * POND_EMPTY: not there, or not a number. */
POND_API int32_t pond_json_number(const char *json, size_t len, const char *pointer, double *out);

#ifdef __cplusplus
}
#endif
#endif /* PONDSOCKET_H */
