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

/* Frees a string that came through a `char **`. NULL is fine. */
POND_API void pond_string_free(char *string);

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

/* ---- client ------------------------------------------------------------------------------------------------------ */

/* ---- channel ----------------------------------------------------------------------------------------------------- */

/* ---- queue ------------------------------------------------------------------------------------------------------- */

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

/* The payload, byte for byte as the sender wrote it; "{}" when there is none. */
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
