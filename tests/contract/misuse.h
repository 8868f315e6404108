/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse, function by function. A row is run twice: by the main thread, and inside a handler. In a call EE stands for
 * the error output, PP for a pointer output, NN for a 64-bit one, MM for a 32-bit one, IT for handler, user data and
 * destroy; each is checked as the header's rules say.
 */
#ifndef MISUSE_H
#define MISUSE_H

#include "contract.h"

#define ROW(function) void row_##function(void)

enum kind { CLIENT, CHANNEL, QUEUE, SUBSCRIPTION, OPTIONS, KINDS };

/* What a row works with: all alive; the client is connected to the chat, the channel joined. */
typedef struct world {
    pond_client *client;
    pond_channel *channel, *idle;
    pond_queue *queue;
    pond_subscription *subscription;
    pond_options *options;
    pond_event *event; /* a MESSAGE "user/7?tab=x", payload {"n":1} */
    pond_error *error;
} world;
extern world w;
extern int inside; /* in a handler */

extern void *h;      /* the handle that is wrong */
extern pond_error *e;
extern void *p;
extern uint64_t n;
extern uint32_t m;
extern tracked *it;
extern const char *u; /* not UTF-8 */
extern const char *j; /* a JSON object that is wrong */

#define EE (&e)
#define PP (void *)(&p)
#define NN (void *)(&n)
#define MM (void *)(&m)
#define IT on_call, it, on_destroy

void begin_call(void);
void end_call(const char *file, int line, const char *call, int64_t got, int64_t expected);
int bad_handles(enum kind kind);
void *bad_handle(enum kind kind, int i);
void expect_place(const char *file, int line, int i); /* line and column of the i-th wrong JSON in the error */
int bad_json(int i);                                  /* sets j; 0: there is none of that number */
int bad_utf8(int i, int wrapped);                     /* sets u, or j with it inside */

/* The text of a call, EE and the like replaced: end_call finds in it what to check. */
#define EXPANDED(...) EXPANDED_(__VA_ARGS__)
#define EXPANDED_(...) #__VA_ARGS__

/* The call answers that; a failure is complete: error object, outputs zeroed, destroy run. */
#define CALL(expected, call)                                                                                           \
    do {                                                                                                               \
        int64_t call_got;                                                                                              \
        begin_call();                                                                                                  \
        call_got = (call);                                                                                             \
        end_call(__FILE__, __LINE__, EXPANDED(call), call_got, (expected));                                            \
    } while (0)
#define WRONG(call) CALL(POND_ERROR_INVALID_ARGUMENT, call)

/* The call with h = every handle that is none of that kind. */
#define HANDLES(kind, call)                                                                                            \
    do {                                                                                                               \
        int handles_i;                                                                                                 \
        for (handles_i = 0; handles_i < bad_handles(kind); handles_i++) {                                              \
            h = bad_handle(kind, handles_i);                                                                           \
            CALL(POND_ERROR_INVALID_HANDLE, call);                                                                     \
        }                                                                                                              \
    } while (0)
/* The call with j = every text that is no JSON object; the error tells line and column. */
#define JSON(call)                                                                                                     \
    do {                                                                                                               \
        int json_i;                                                                                                    \
        for (json_i = 0; bad_json(json_i); json_i++) {                                                                 \
            CALL(POND_ERROR_INVALID_JSON, call);                                                                       \
            expect_place(__FILE__, __LINE__, json_i);                                                                  \
        }                                                                                                              \
        for (json_i = 0; bad_utf8(json_i, 1); json_i++) CALL(POND_ERROR_INVALID_UTF8, call);                           \
    } while (0)
/* The call with u = every text that is not UTF-8. */
#define UTF8(call)                                                                                                     \
    do {                                                                                                               \
        int utf8_i;                                                                                                    \
        for (utf8_i = 0; bad_utf8(utf8_i, 0); utf8_i++) CALL(POND_ERROR_INVALID_UTF8, call);                           \
    } while (0)
/* A call that would wait: answers `outside` there, and WOULD_DEADLOCK in a handler. */
#define WAITS(outside, call) CALL(inside ? POND_ERROR_WOULD_DEADLOCK : (outside), call)

/* Every function of the header. run.sh compares this list with it. */
#define ROWS(X)                                                                                                        \
    X(pond_version) X(pond_abi_version) X(pond_status_name) X(pond_state_name) X(pond_string_free) X(pond_log_set)     \
    X(pond_shutdown)                                                                                                   \
    X(pond_error_status) X(pond_error_code) X(pond_error_message) X(pond_error_http_status) X(pond_error_details)      \
    X(pond_error_free)                                                                                                 \
    X(pond_options_new) X(pond_options_free) X(pond_options_set_connect_timeout_ms)                                    \
    X(pond_options_set_join_timeout_ms) X(pond_options_set_response_timeout_ms) X(pond_options_set_backoff_ms)         \
    X(pond_options_set_max_reconnect_attempts) X(pond_options_set_ping_interval_ms)                                    \
    X(pond_options_set_pong_timeout_ms) X(pond_options_set_queue_limit) X(pond_options_set_overflow)                   \
    X(pond_options_set_outbound_limit) X(pond_options_set_legacy_grace_ms) X(pond_options_set_retry_refused)           \
    X(pond_options_set_max_message_bytes) X(pond_options_set_inbound_limit) X(pond_options_set_header)                 \
    X(pond_options_set_ca_file) X(pond_options_set_ca_pem) X(pond_options_set_client_cert)                             \
    X(pond_options_set_insecure_skip_verify) X(pond_options_set_queue) X(pond_options_set_ask_before_dial)             \
    X(pond_client_new) X(pond_client_connect) X(pond_client_disconnect) X(pond_client_suspend) X(pond_client_resume)   \
    X(pond_client_reconnect_now) X(pond_client_free) X(pond_client_state) X(pond_client_connection_id)                 \
    X(pond_client_wait_state) X(pond_client_flush) X(pond_client_set_params) X(pond_client_set_header)                 \
    X(pond_client_answer_dial) X(pond_client_channel) X(pond_client_stats) X(pond_client_on_state)                     \
    X(pond_client_on_error) X(pond_client_on_endpoint_message) X(pond_client_on_dial) X(pond_subscription_cancel)      \
    X(pond_channel_join) X(pond_channel_leave) X(pond_channel_free) X(pond_channel_set_join_params)                    \
    X(pond_channel_name) X(pond_channel_state) X(pond_channel_wait_state) X(pond_channel_presence)                     \
    X(pond_channel_send) X(pond_channel_send_n) X(pond_channel_send_volatile) X(pond_channel_request)                  \
    X(pond_channel_request_n) X(pond_channel_cancel_request) X(pond_channel_call) X(pond_channel_on_message)           \
    X(pond_channel_on_event) X(pond_channel_on_state) X(pond_channel_on_join) X(pond_channel_on_leave)                 \
    X(pond_channel_on_presence_change) X(pond_channel_on_users_change) X(pond_channel_on_error)                        \
    X(pond_channel_on_dropped) X(pond_channel_on_writable)                                                             \
    X(pond_queue_new) X(pond_queue_free) X(pond_queue_next) X(pond_queue_next_many) X(pond_queue_dispatch)             \
    X(pond_queue_fd) X(pond_queue_set_wake) X(pond_queue_interrupt)                                                    \
    X(pond_event_kind) X(pond_event_client) X(pond_event_channel) X(pond_event_channel_name) X(pond_event_name)        \
    X(pond_event_payload) X(pond_event_request_id) X(pond_event_ticket) X(pond_event_user_data) X(pond_event_param)    \
    X(pond_event_query) X(pond_event_state) X(pond_event_previous_state) X(pond_event_attempt)                         \
    X(pond_event_retry_ms) X(pond_event_connect_count) X(pond_event_close_code) X(pond_event_in_doubt)                 \
    X(pond_event_count) X(pond_event_presence_kind) X(pond_event_changed) X(pond_event_users) X(pond_event_status)     \
    X(pond_event_error_code) X(pond_event_message) X(pond_event_http_status) X(pond_event_details)                     \
    X(pond_event_level) X(pond_event_retain) X(pond_event_free) X(pond_event_match) X(pond_event_read)                 \
    X(pond_json_quote) X(pond_json_text) X(pond_json_number)
#define DECLARE_ROW(function) ROW(function);
ROWS(DECLARE_ROW)

#endif
