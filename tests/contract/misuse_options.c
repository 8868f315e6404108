/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse of the options, queue, error and event groups.
 */
#include "misuse.h"

/* ---- options: the lowest and highest value, and those just outside ---------------------------------------------- */

enum { LONGEST = INT32_MAX };

ROW(pond_options_new)
{
    WRONG(pond_options_new(NULL));
    CALL(POND_OK, pond_options_new(PP));
    OK(pond_options_free(p));
}

ROW(pond_options_free)
{
    HANDLES(OPTIONS, pond_options_free(h));
    CALL(POND_OK, pond_options_free(w.options));
    CALL(POND_ERROR_INVALID_HANDLE, pond_options_free(w.options));
    CALL(POND_OK, pond_options_new(PP));
    CHECK(p != w.options);
}

/* Setters of one time; `least` 0 or 1. */
#define TIME(function, least)                                                                                          \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        HANDLES(OPTIONS, function(h, 1));                                                                              \
        HANDLES(OPTIONS, function(h, 0));                                                                              \
        CALL((least) ? POND_ERROR_INVALID_ARGUMENT : POND_OK, function(w.options, 0));                                 \
        CALL(POND_OK, function(w.options, 1));                                                                         \
        CALL(POND_OK, function(w.options, LONGEST));                                                                   \
        WRONG(function(w.options, (uint32_t)LONGEST + 1));                                                             \
        WRONG(function(w.options, POND_FOREVER));                                                                      \
    }
TIME(pond_options_set_connect_timeout_ms, 1)
TIME(pond_options_set_join_timeout_ms, 1)
TIME(pond_options_set_response_timeout_ms, 1)
TIME(pond_options_set_pong_timeout_ms, 1)
TIME(pond_options_set_ping_interval_ms, 0)
TIME(pond_options_set_legacy_grace_ms, 0)

#define SWITCH(function)                                                                                               \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        HANDLES(OPTIONS, function(h, 1));                                                                              \
        CALL(POND_OK, function(w.options, 0));                                                                         \
        CALL(POND_OK, function(w.options, 1));                                                                         \
        WRONG(function(w.options, -1));                                                                                \
        WRONG(function(w.options, 2));                                                                                 \
        WRONG(function(w.options, INT32_MIN));                                                                         \
        WRONG(function(w.options, INT32_MAX));                                                                         \
    }
SWITCH(pond_options_set_retry_refused)
SWITCH(pond_options_set_insecure_skip_verify)
SWITCH(pond_options_set_ask_before_dial)

ROW(pond_options_set_backoff_ms)
{
    HANDLES(OPTIONS, pond_options_set_backoff_ms(h, 1, 1));
    CALL(POND_OK, pond_options_set_backoff_ms(w.options, 1, 1));
    CALL(POND_OK, pond_options_set_backoff_ms(w.options, 1, LONGEST));
    CALL(POND_OK, pond_options_set_backoff_ms(w.options, LONGEST, LONGEST));
    WRONG(pond_options_set_backoff_ms(w.options, 0, 1));
    WRONG(pond_options_set_backoff_ms(w.options, 0, 0));
    WRONG(pond_options_set_backoff_ms(w.options, 2, 1));
    WRONG(pond_options_set_backoff_ms(w.options, 1, (uint32_t)LONGEST + 1));
    WRONG(pond_options_set_backoff_ms(w.options, POND_FOREVER, POND_FOREVER));
}

ROW(pond_options_set_max_reconnect_attempts)
{
    HANDLES(OPTIONS, pond_options_set_max_reconnect_attempts(h, 0));
    CALL(POND_OK, pond_options_set_max_reconnect_attempts(w.options, -1));
    CALL(POND_OK, pond_options_set_max_reconnect_attempts(w.options, 0));
    CALL(POND_OK, pond_options_set_max_reconnect_attempts(w.options, INT32_MAX));
    WRONG(pond_options_set_max_reconnect_attempts(w.options, -2));
    WRONG(pond_options_set_max_reconnect_attempts(w.options, INT32_MIN));
}

ROW(pond_options_set_queue_limit)
{
    HANDLES(OPTIONS, pond_options_set_queue_limit(h, 1));
    WRONG(pond_options_set_queue_limit(w.options, 0));
    CALL(POND_OK, pond_options_set_queue_limit(w.options, 1));
    CALL(POND_OK, pond_options_set_queue_limit(w.options, UINT32_MAX));
}

ROW(pond_options_set_overflow)
{
    HANDLES(OPTIONS, pond_options_set_overflow(h, POND_OVERFLOW_REFUSE));
    WRONG(pond_options_set_overflow(w.options, POND_OVERFLOW_DROP_OLDEST - 1));
    CALL(POND_OK, pond_options_set_overflow(w.options, POND_OVERFLOW_DROP_OLDEST));
    CALL(POND_OK, pond_options_set_overflow(w.options, POND_OVERFLOW_DROP_NEWEST));
    CALL(POND_OK, pond_options_set_overflow(w.options, POND_OVERFLOW_REFUSE));
    WRONG(pond_options_set_overflow(w.options, POND_OVERFLOW_REFUSE + 1));
    WRONG(pond_options_set_overflow(w.options, -1));
}

ROW(pond_options_set_outbound_limit)
{
    HANDLES(OPTIONS, pond_options_set_outbound_limit(h, 1));
    WRONG(pond_options_set_outbound_limit(w.options, 0));
    CALL(POND_OK, pond_options_set_outbound_limit(w.options, 1));
    CALL(POND_OK, pond_options_set_outbound_limit(w.options, UINT64_MAX));
}

ROW(pond_options_set_max_message_bytes)
{
    const uint64_t least = 1024, most = UINT64_C(1) << 30;
    HANDLES(OPTIONS, pond_options_set_max_message_bytes(h, least, least));
    CALL(POND_OK, pond_options_set_max_message_bytes(w.options, least, most));
    CALL(POND_OK, pond_options_set_max_message_bytes(w.options, most, least));
    WRONG(pond_options_set_max_message_bytes(w.options, least - 1, least));
    WRONG(pond_options_set_max_message_bytes(w.options, least, least - 1));
    WRONG(pond_options_set_max_message_bytes(w.options, most + 1, most));
    WRONG(pond_options_set_max_message_bytes(w.options, most, most + 1));
    WRONG(pond_options_set_max_message_bytes(w.options, 0, UINT64_MAX));
}

ROW(pond_options_set_inbound_limit)
{
    HANDLES(OPTIONS, pond_options_set_inbound_limit(h, 1, 1));
    WRONG(pond_options_set_inbound_limit(w.options, 0, 1));
    WRONG(pond_options_set_inbound_limit(w.options, 1, 0));
    CALL(POND_OK, pond_options_set_inbound_limit(w.options, 1, 1));
    CALL(POND_OK, pond_options_set_inbound_limit(w.options, UINT32_MAX, UINT64_MAX));
}

ROW(pond_options_set_ca_file)
{
    HANDLES(OPTIONS, pond_options_set_ca_file(h, "x.pem"));
    WRONG(pond_options_set_ca_file(w.options, ""));
    UTF8(pond_options_set_ca_file(w.options, u));
    CALL(POND_OK, pond_options_set_ca_file(w.options, "/nowhere/S3CR3T.pem")); /* read by pond_client_new */
    CALL(POND_ERROR_TLS, pond_client_new("wss://127.0.0.1:1/", NULL, w.options, PP, EE));
    CALL(POND_OK, pond_options_set_ca_file(w.options, NULL));
    CALL(POND_OK, pond_client_new("wss://127.0.0.1:1/", NULL, w.options, PP, EE));
}

static const char *const no_pem[] = {"", "x", "S3CR3T", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                                     "-----BEGIN CERTIFICATE-----\nS3CR3T\n-----END CERTIFICATE-----\n"};
enum { NO_PEM = sizeof no_pem / sizeof *no_pem };

ROW(pond_options_set_ca_pem)
{
    int i;
    HANDLES(OPTIONS, pond_options_set_ca_pem(h, NULL));
    for (i = 0; i < NO_PEM; i++) WRONG(pond_options_set_ca_pem(w.options, no_pem[i]));
    UTF8(pond_options_set_ca_pem(w.options, u));
    CALL(POND_OK, pond_options_set_ca_pem(w.options, NULL));
}

ROW(pond_options_set_client_cert)
{
    int i;
    HANDLES(OPTIONS, pond_options_set_client_cert(h, NULL, NULL));
    for (i = 0; i < NO_PEM; i++) WRONG(pond_options_set_client_cert(w.options, no_pem[i], no_pem[i]));
    WRONG(pond_options_set_client_cert(w.options, "x", NULL));
    WRONG(pond_options_set_client_cert(w.options, NULL, "x"));
    UTF8(pond_options_set_client_cert(w.options, u, "x"));
    UTF8(pond_options_set_client_cert(w.options, "x", u));
    CALL(POND_OK, pond_options_set_client_cert(w.options, NULL, NULL));
}

ROW(pond_options_set_queue)
{
    HANDLES(OPTIONS, pond_options_set_queue(h, w.queue));
    HANDLES(OPTIONS, pond_options_set_queue(h, NULL));
    HANDLES(QUEUE, pond_options_set_queue(w.options, h ? h : (void *)1)); /* NULL is no queue */
    CALL(POND_OK, pond_options_set_queue(w.options, NULL));
    CALL(POND_OK, pond_options_set_queue(w.options, w.queue));
    OK(pond_queue_free(w.queue)); /* the options know it, but no client uses it */
    CALL(POND_ERROR_INVALID_HANDLE, pond_options_set_queue(w.options, w.queue));
}

/* ---- queue ------------------------------------------------------------------------------------------------------ */

ROW(pond_queue_new)
{
    WRONG(pond_queue_new(NULL));
    CALL(POND_OK, pond_queue_new(PP));
    OK(pond_queue_free(p));
}

ROW(pond_queue_free)
{
    HANDLES(QUEUE, pond_queue_free(h));
    CALL(POND_OK, pond_queue_free(w.queue));
    CALL(POND_ERROR_INVALID_HANDLE, pond_queue_free(w.queue));
}

ROW(pond_queue_next)
{
    HANDLES(QUEUE, pond_queue_next(h, POND_FOREVER, PP));
    HANDLES(QUEUE, pond_queue_next(h, 0, PP));
    WRONG(pond_queue_next(w.queue, 0, NULL));
    WRONG(pond_queue_next(w.queue, POND_FOREVER, NULL));
    CALL(POND_EMPTY, pond_queue_next(w.queue, 0, PP));
    CHECK(p == NULL);
    WAITS(POND_TIMEOUT, pond_queue_next(w.queue, 1, PP));
    CHECK(p == NULL);
}

ROW(pond_queue_next_many)
{
    void *many[3] = {w.client, w.client, w.client};
    HANDLES(QUEUE, pond_queue_next_many(h, POND_FOREVER, PP, 1, MM));
    WRONG(pond_queue_next_many(w.queue, 0, NULL, 1, MM));
    WRONG(pond_queue_next_many(w.queue, 0, (pond_event **)many, 0, MM));
    WRONG(pond_queue_next_many(w.queue, 0, (pond_event **)many, 3, NULL));
    WRONG(pond_queue_next_many(w.queue, 0, NULL, 0, NULL));
    CALL(POND_EMPTY, pond_queue_next_many(w.queue, 0, (pond_event **)many, 2, MM));
    CHECK(m == 0 && !many[0] && !many[1] && many[2] == w.client);
    WAITS(POND_TIMEOUT, pond_queue_next_many(w.queue, 1, (pond_event **)many, 2, MM));
    CHECK(m == 0);
}

ROW(pond_queue_dispatch)
{
    HANDLES(QUEUE, pond_queue_dispatch(h, 0, 0));
    HANDLES(QUEUE, pond_queue_dispatch(h, 1, UINT32_MAX));
    CALL(0, pond_queue_dispatch(w.queue, 0, 0));
    CALL(0, pond_queue_dispatch(w.queue, UINT32_MAX, UINT32_MAX));
}

ROW(pond_queue_fd)
{
    HANDLES(QUEUE, pond_queue_fd(h, MM));
    WRONG(pond_queue_fd(w.queue, NULL));
    CALL(POND_OK, pond_queue_fd(w.queue, MM));
    CHECK(fcntl((int)m, F_GETFD) == FD_CLOEXEC);
}

ROW(pond_queue_set_wake)
{
    HANDLES(QUEUE, pond_queue_set_wake(h, IT));
    begin_call();
    OK(pond_queue_set_wake(w.queue, NULL, it, on_destroy)); /* removes: nothing is registered */
    CHECK(it->destroys == 1);
    CALL(POND_OK, pond_queue_set_wake(w.queue, IT));
    CHECK(it->destroys == 0);
    OK(pond_queue_set_wake(w.queue, NULL, NULL, NULL));
    CHECK(it->destroys == 1);
}

ROW(pond_queue_interrupt)
{
    HANDLES(QUEUE, pond_queue_interrupt(h));
    CALL(POND_OK, pond_queue_interrupt(w.queue));
    CALL(POND_OK, pond_queue_interrupt(w.queue)); /* they do not add up */
    CALL(POND_INTERRUPTED, pond_queue_next(w.queue, 0, PP));
    CALL(POND_EMPTY, pond_queue_next(w.queue, 0, PP));
}

/* ---- errors: NULL is an empty one ------------------------------------------------------------------------------- */

ROW(pond_error_status)
{
    CHECK(pond_error_status(NULL) == POND_OK && pond_error_status(w.error) == POND_ERROR_INVALID_JSON);
}

ROW(pond_error_http_status)
{
    CHECK(pond_error_http_status(NULL) == 0 && pond_error_http_status(w.error) == 0);
}

/* Text, its length, and NULL for either. "?" is any text. */
#define TEXT(function, type, absent, live, expected)                                                                   \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        size_t len = 99;                                                                                               \
        const char *text = function(NULL, &len);                                                                       \
        CHECK(text && strcmp(text, absent) == 0 && len == strlen(absent));                                             \
        CHECK(strcmp(function(NULL, NULL), absent) == 0);                                                              \
        text = function(live, &len);                                                                                   \
        CHECK(text && len == strlen(text) && text == function(live, NULL));                                            \
        CHECK((expected)[0] == '?' || strcmp(text, (expected)) == 0);                                                  \
    }
TEXT(pond_error_code, pond_error, "", w.error, "POND_ERROR_INVALID_JSON")
TEXT(pond_error_message, pond_error, "", w.error, "?")
TEXT(pond_error_details, pond_error, "null", w.error, "null")

ROW(pond_error_free)
{
    pond_error_free(NULL);
    pond_error_free(w.error);
    w.error = NULL;
}

/* ---- events: NULL is an empty one, and so is what the kind does not have ---------------------------------------- */

TEXT(pond_event_channel_name, pond_event, "", w.event, "?")
TEXT(pond_event_name, pond_event, "", w.event, "message")
TEXT(pond_event_payload, pond_event, "{}", w.event, "?")
TEXT(pond_event_request_id, pond_event, "", w.event, "?")
TEXT(pond_event_changed, pond_event, "{}", w.event, "{}")
TEXT(pond_event_users, pond_event, "[]", w.event, "[]")
TEXT(pond_event_error_code, pond_event, "", w.event, "?")
TEXT(pond_event_message, pond_event, "", w.event, "")
TEXT(pond_event_details, pond_event, "null", w.event, "null")

#define NUMBER(function, expected)                                                                                     \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        CHECK(function(NULL) == 0);                                                                                    \
        CHECK(function(w.event) == (expected));                                                                        \
    }
NUMBER(pond_event_kind, POND_EVENT_MESSAGE)
NUMBER(pond_event_client, w.client)
NUMBER(pond_event_channel, w.channel)
NUMBER(pond_event_ticket, 0)
NUMBER(pond_event_user_data, NULL)
NUMBER(pond_event_state, 0)
NUMBER(pond_event_previous_state, 0)
NUMBER(pond_event_attempt, 0)
NUMBER(pond_event_retry_ms, 0)
NUMBER(pond_event_connect_count, 0)
NUMBER(pond_event_close_code, 0)
NUMBER(pond_event_in_doubt, 0)
NUMBER(pond_event_count, 0)
NUMBER(pond_event_presence_kind, 0)
NUMBER(pond_event_status, POND_OK)
NUMBER(pond_event_http_status, 0)
NUMBER(pond_event_level, 0)

/* NULL event, NULL name, a name that is no text, no such name. */
#define LOOKUP(function)                                                                                               \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        size_t len = 99;                                                                                               \
        int i;                                                                                                         \
        CHECK(function(NULL, "id", &len) == NULL && len == 0);                                                         \
        CHECK(function(NULL, NULL, NULL) == NULL);                                                                     \
        CHECK(function(w.event, NULL, NULL) == NULL && function(w.event, "", NULL) == NULL);                           \
        len = 99;                                                                                                      \
        CHECK(function(w.event, "id", &len) == NULL && len == 0);                                                      \
        for (i = 0; bad_utf8(i, 0); i++) CHECK(function(w.event, u, NULL) == NULL);                                    \
    }
LOOKUP(pond_event_param)
LOOKUP(pond_event_query)

ROW(pond_event_retain)
{
    pond_event *again = pond_event_retain(w.event);
    CHECK(pond_event_retain(NULL) == NULL && again != NULL);
    CHECK(pond_event_kind(again) == POND_EVENT_MESSAGE);
    pond_event_free(again);
    CHECK(pond_event_kind(w.event) == POND_EVENT_MESSAGE);
}

ROW(pond_event_free)
{
    pond_event_free(NULL);
    pond_event_free(w.event);
    w.event = NULL;
}

ROW(pond_event_match)
{
    pond_event *event = w.event;
    WRONG(pond_event_match(event, "*", NULL));
    WRONG(pond_event_match(event, NULL, PP));
    WRONG(pond_event_match(event, "", PP));
    UTF8(pond_event_match(event, u, PP));
    UTF8(pond_event_match(NULL, u, PP));
    CALL(POND_EMPTY, pond_event_match(NULL, "*", PP));
    CHECK(p == NULL);
    CALL(POND_EMPTY, pond_event_match(event, "other/:id", PP));
    CHECK(p == NULL);
    CALL(POND_OK, pond_event_match(event, ":word", PP));
    CHECK(strcmp(pond_event_param(p, "word", NULL), "message") == 0);
    pond_event_free(p);
}

ROW(pond_event_read)
{
    pond_event_view view;
    char bytes[sizeof view + 8];
    WRONG(pond_event_read(w.event, NULL, sizeof view));
    WRONG(pond_event_read(w.event, &view, 0));
    WRONG(pond_event_read(NULL, NULL, 0));
    CALL(POND_OK, pond_event_read(NULL, &view, sizeof view));
    CHECK(view.kind == 0 && strcmp(view.payload, "{}") == 0 && view.payload_len == 2 && view.name[0] == 0);
    CHECK(strcmp(view.users, "[]") == 0 && strcmp(view.details, "null") == 0 && view.client == NULL);
    memset(bytes, 1, sizeof bytes);
    CALL(POND_OK, pond_event_read(w.event, (pond_event_view *)bytes, 4));
    CHECK(bytes[0] == POND_EVENT_MESSAGE && bytes[4] == 1);
    CALL(POND_OK, pond_event_read(w.event, (pond_event_view *)bytes, sizeof bytes));
    CHECK(bytes[sizeof view] == 0 && bytes[sizeof bytes - 1] == 0);
}
