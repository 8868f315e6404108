/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What Go calls. Handles travel as integers, so that Go never holds a pointer that is none; a batch of events is read
 * in one crossing; nothing here calls back into Go.
 */
#ifndef POND_GO_SHIM_H
#define POND_GO_SHIM_H

#include <pondsocket.h>

#define GO_POND_BATCH 128

/* One event without pointers: its strings lie one behind the other in the buffer, from `offset` on, in this order. */
typedef struct go_pond_record {
    uint64_t channel;
    uint64_t id; /* REPLY: the number that Go gave the request */
    int32_t kind, status, state, previous_state, presence_kind, http_status, close_code;
    uint32_t attempt, retry_ms, connect_count, count, in_doubt;
    uint32_t offset;
    uint32_t name_len, payload_len, request_id_len;
    /* Only of events that are no messages. */
    uint32_t changed_len, users_len, message_len, error_code_len, details_len;
} go_pond_record;

/* A queue with the events that were taken from it and did not yet fit into Go's buffer. */
typedef struct go_pond_pump {
    pond_queue *queue;
    uint32_t next, taken;
    pond_event *events[GO_POND_BATCH];
} go_pond_pump;

typedef struct go_pond_pulled {
    uint32_t count; /* records written */
    uint64_t used;  /* bytes of the buffer written */
    uint64_t need;  /* if count is 0 and the status POND_OK: the buffer must be this large */
} go_pond_pulled;

go_pond_pump *go_pond_pump_new(int32_t *status, int32_t *fd);
void go_pond_pump_free(go_pond_pump *pump);
int32_t go_pond_pull(go_pond_pump *pump, uint32_t timeout_ms, char *buffer, size_t size, go_pond_record *records,
                     go_pond_pulled *out);

int32_t go_pond_send(uintptr_t channel, const char *event, size_t event_len, const char *payload, size_t payload_len,
                     int32_t volatile_, pond_error **error);
int32_t go_pond_request(uintptr_t channel, const char *event, size_t event_len, const char *payload,
                        size_t payload_len, uint32_t timeout_ms, uintptr_t id, uint64_t *ticket, pond_error **error);

/* ---- the rest of the interface, with handles as integers ---- */

static inline int32_t go_pond_client_new(const char *url, const char *params, uintptr_t options, uintptr_t *out,
                                         pond_error **error)
{
    pond_client *client = NULL;
    int32_t status = pond_client_new(url, params, (pond_options *)options, &client, error);
    *out = (uintptr_t)client;
    return status;
}
static inline int32_t go_pond_client_channel(uintptr_t client, const char *name, const char *params, uintptr_t *out,
                                             pond_error **error)
{
    pond_channel *channel = NULL;
    int32_t status = pond_client_channel((pond_client *)client, name, params, &channel, error);
    *out = (uintptr_t)channel;
    return status;
}
static inline int32_t go_pond_options_new(uintptr_t *out)
{
    pond_options *options = NULL;
    int32_t status = pond_options_new(&options);
    *out = (uintptr_t)options;
    return status;
}
enum { GO_CONNECT, GO_DISCONNECT, GO_SUSPEND, GO_RESUME, GO_RECONNECT_NOW, GO_FREE, GO_STATE };
static inline int32_t go_pond_client_do(uintptr_t handle, int what)
{
    pond_client *client = (pond_client *)handle;
    switch (what) {
    case GO_CONNECT: return pond_client_connect(client);
    case GO_DISCONNECT: return pond_client_disconnect(client);
    case GO_SUSPEND: return pond_client_suspend(client);
    case GO_RESUME: return pond_client_resume(client);
    case GO_RECONNECT_NOW: return pond_client_reconnect_now(client);
    case GO_FREE: return pond_client_free(client);
    default: return pond_client_state(client);
    }
}
enum { GO_JOIN, GO_LEAVE, GO_CHANNEL_FREE, GO_CHANNEL_STATE };
static inline int32_t go_pond_channel_do(uintptr_t handle, int what)
{
    pond_channel *channel = (pond_channel *)handle;
    switch (what) {
    case GO_JOIN: return pond_channel_join(channel);
    case GO_LEAVE: return pond_channel_leave(channel);
    case GO_CHANNEL_FREE: return pond_channel_free(channel);
    default: return pond_channel_state(channel);
    }
}
enum {
    GO_CONNECT_TIMEOUT, GO_JOIN_TIMEOUT, GO_RESPONSE_TIMEOUT, GO_MAX_RECONNECTS, GO_PING_INTERVAL, GO_PONG_TIMEOUT,
    GO_QUEUE_LIMIT, GO_OVERFLOW, GO_OUTBOUND_LIMIT, GO_LEGACY_GRACE, GO_RETRY_REFUSED, GO_SKIP_VERIFY, GO_ASK,
    GO_BACKOFF, GO_MESSAGE_BYTES, GO_INBOUND
};
static inline int32_t go_pond_options_set(uintptr_t handle, int what, int64_t a, int64_t b)
{
    pond_options *options = (pond_options *)handle;
    switch (what) {
    case GO_CONNECT_TIMEOUT: return pond_options_set_connect_timeout_ms(options, (uint32_t)a);
    case GO_JOIN_TIMEOUT: return pond_options_set_join_timeout_ms(options, (uint32_t)a);
    case GO_RESPONSE_TIMEOUT: return pond_options_set_response_timeout_ms(options, (uint32_t)a);
    case GO_MAX_RECONNECTS: return pond_options_set_max_reconnect_attempts(options, (int32_t)a);
    case GO_PING_INTERVAL: return pond_options_set_ping_interval_ms(options, (uint32_t)a);
    case GO_PONG_TIMEOUT: return pond_options_set_pong_timeout_ms(options, (uint32_t)a);
    case GO_QUEUE_LIMIT: return pond_options_set_queue_limit(options, (uint32_t)a);
    case GO_OVERFLOW: return pond_options_set_overflow(options, (int32_t)a);
    case GO_OUTBOUND_LIMIT: return pond_options_set_outbound_limit(options, (uint64_t)a);
    case GO_LEGACY_GRACE: return pond_options_set_legacy_grace_ms(options, (uint32_t)a);
    case GO_RETRY_REFUSED: return pond_options_set_retry_refused(options, (int32_t)a);
    case GO_SKIP_VERIFY: return pond_options_set_insecure_skip_verify(options, (int32_t)a);
    case GO_ASK: return pond_options_set_ask_before_dial(options, (int32_t)a);
    case GO_BACKOFF: return pond_options_set_backoff_ms(options, (uint32_t)a, (uint32_t)b);
    case GO_MESSAGE_BYTES: return pond_options_set_max_message_bytes(options, (uint64_t)a, (uint64_t)b);
    case GO_INBOUND: return pond_options_set_inbound_limit(options, (uint32_t)a, (uint64_t)b);
    default: return POND_ERROR_INVALID_ARGUMENT;
    }
}
enum { GO_HEADER, GO_CA_FILE, GO_CA_PEM, GO_CLIENT_CERT };
static inline int32_t go_pond_options_text(uintptr_t handle, int what, const char *a, const char *b)
{
    pond_options *options = (pond_options *)handle;
    switch (what) {
    case GO_HEADER: return pond_options_set_header(options, a, b);
    case GO_CA_FILE: return pond_options_set_ca_file(options, a);
    case GO_CA_PEM: return pond_options_set_ca_pem(options, a);
    case GO_CLIENT_CERT: return pond_options_set_client_cert(options, a, b);
    default: return POND_ERROR_INVALID_ARGUMENT;
    }
}
static inline int32_t go_pond_options_set_queue(uintptr_t options, go_pond_pump *pump)
{
    return pond_options_set_queue((pond_options *)options, pump->queue);
}
static inline void go_pond_options_free(uintptr_t options) { pond_options_free((pond_options *)options); }
static inline int32_t go_pond_interrupt(go_pond_pump *pump) { return pond_queue_interrupt(pump->queue); }
static inline int32_t go_pond_flush(uintptr_t client, uint32_t timeout_ms)
{
    return pond_client_flush((pond_client *)client, timeout_ms);
}
static inline int32_t go_pond_connection_id(uintptr_t client, char **out)
{
    return pond_client_connection_id((pond_client *)client, out);
}
static inline int32_t go_pond_set_params(uintptr_t client, const char *params, pond_error **error)
{
    return pond_client_set_params((pond_client *)client, params, error);
}
static inline int32_t go_pond_set_header(uintptr_t client, const char *name, const char *value)
{
    return pond_client_set_header((pond_client *)client, name, value);
}
static inline int32_t go_pond_answer_dial(uintptr_t client, uint32_t attempt, const char *url, const char *params,
                                          pond_error **error)
{
    return pond_client_answer_dial((pond_client *)client, attempt, url, params, error);
}
static inline int32_t go_pond_stats(uintptr_t client, pond_stats *out)
{
    return pond_client_stats((pond_client *)client, out, sizeof *out);
}
static inline int32_t go_pond_set_join_params(uintptr_t channel, const char *params, pond_error **error)
{
    return pond_channel_set_join_params((pond_channel *)channel, params, error);
}
static inline int32_t go_pond_presence(uintptr_t channel, char **out, size_t *len)
{
    return pond_channel_presence((pond_channel *)channel, out, len);
}
static inline int32_t go_pond_cancel(uintptr_t channel, uint64_t ticket)
{
    return pond_channel_cancel_request((pond_channel *)channel, ticket);
}

#endif
