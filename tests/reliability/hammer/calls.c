/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One random call. What each function may answer is copied from the header's words about it. */
#include "hammer.h"

#include <stddef.h>
#include <string.h>

#define REGISTER (OK | HANDLE | ARGUMENT | CLOSED)
#define PAYLOAD (OK | S(POND_ERROR_QUEUE_FULL) | CLOSED | S(POND_ERROR_DECLINED) | LARGE | HANDLE | ARGUMENT | UTF8 | JSON)
#define SETTER (OK | HANDLE | ARGUMENT)

static const char *const names[] = {"message", "echo", "ping", "user/7?x=1", "twice", "silent", "reply", "reply", "status", "status", "raw", "drop", "close", "later", "",
                                    "bad \xff utf8", "news/\u00e4", NULL};
static const char *const payloads[] = {NULL, "{}", "{\"a\":[1,2,{\"b\":null}]}", "{\"text\":\"\\u00e4\"}", "[]", "{", "{\"a\":\xff}", "",
                                       "{\"frames\":[\"{\\\"action\\\":\\\"BROADCAST\\\",\\\"event\\\":\\\"x\\\",\\\"channelName\\\":"
                                       "\\\"$CHANNEL\\\",\\\"payload\\\":{}}\"],\"count\":20}"};
static const char *const rooms[] = {"/chat/a", "/chat/b", "/chat/c", "/chat/d", "/nowhere", "", "\xff", NULL};
static const char *const joins[] = {NULL, "{}", "{\"username\":\"u\"}", "{\"mode\":\"decline\"}", "{\"mode\":\"silent\"}",
                                    "{\"mode\":\"decline\",\"dialect\":\"js\"}", "{\"history\":true}", "[1]", "{"};
static const char *const users[] = {"{\"username\":\"a\"}", "{\"username\":\"b\"}", "{\"username\":\"c\"}", "{\"username\":\"d\"}",
                                    "{\"username\":\"e\"}", "{\"username\":\"f\"}", "{\"username\":\"g\"}", "{\"username\":\"h\"}"};
static const char *const patterns[] = {"message", "user/:id", "*", ":a/:b", "", "\xff", NULL};
static const char *const headers[] = {"X-Test", "Authorization", "Host", "Bad Name", "", "X-\r\nInjected: 1", NULL};
static const char *const values[] = {"v", "Bearer t", "", "a\r\nX-Injected: 1", "\xff", NULL};
static const uint32_t waits[] = {0, 0, 0, 1, 1, 2, 5, 20};
static const uint32_t numbers[] = {0, 1, 2, 10, 100, 1000, 30000, UINT32_MAX};
static const int32_t states[] = {1, 2, 3, 11, 12, 13, 14, 15, 16, 0, 99, -1};

#define HELD 64
static void *_Atomic held[HELD];

static void hold(pond_event *event) {
    pond_event *before_it = atomic_exchange(&held[dice(HELD)], event);
    RUN(pond_event_free, before_it);
}

void let_go(void) {
    for (int i = 0; i < HELD; i++) RUN(pond_event_free, (pond_event *)atomic_exchange(&held[i], NULL));
}

/* ---- reading ---- */

static void text(const char *text, size_t len) {
    if (strlen(text) > len) failed("a text is longer than its length");
}
#define TEXT(function, object)                                                                                                             \
    do {                                                                                                                                   \
        size_t len_ = 0;                                                                                                                   \
        const char *text_ = RUN(function, object, chance(80) ? &len_ : NULL);                                                              \
        if (!text_) failed(#function " is NULL");                                                                                          \
        if (len_) text(text_, len_);                                                                                                       \
    } while (0)

static void error_seen(pond_error *error, int32_t status) {
    if (status >= 0 && !(status == POND_TIMEOUT)) {
        if (error) failed("an error object without an error");
    }
    if (error && RUN(pond_error_status, error) >= 0) failed("an error object without a negative status");
    if (chance(20)) {
        TEXT(pond_error_code, error);
        TEXT(pond_error_message, error);
        TEXT(pond_error_details, error);
        RUN(pond_error_http_status, error);
    }
    RUN(pond_error_free, error);
}

void look_at(const pond_event *event) {
    if (chance(2)) event = NULL;
    int32_t kind = RUN(pond_event_kind, event);
    switch (dice(4)) {
    case 0:
        TEXT(pond_event_name, event);
        TEXT(pond_event_payload, event);
        TEXT(pond_event_request_id, event);
        TEXT(pond_event_channel_name, event);
        TEXT(pond_event_changed, event);
        TEXT(pond_event_users, event);
        TEXT(pond_event_error_code, event);
        TEXT(pond_event_message, event);
        TEXT(pond_event_details, event);
        break;
    case 1:
        RUN(pond_event_client, event);
        RUN(pond_event_channel, event);
        RUN(pond_event_ticket, event);
        RUN(pond_event_user_data, event);
        RUN(pond_event_state, event);
        RUN(pond_event_previous_state, event);
        RUN(pond_event_attempt, event);
        RUN(pond_event_retry_ms, event);
        RUN(pond_event_connect_count, event);
        RUN(pond_event_close_code, event);
        RUN(pond_event_in_doubt, event);
        RUN(pond_event_count, event);
        RUN(pond_event_presence_kind, event);
        RUN(pond_event_status, event);
        RUN(pond_event_http_status, event);
        RUN(pond_event_level, event);
        break;
    case 2: {
        pond_event_view view;
        size_t size = chance(80) ? sizeof view : dice(sizeof view);
        int32_t status = DO(pond_event_read, OK | ARGUMENT, event, chance(95) ? &view : NULL, size);
        if (status == POND_OK && size == sizeof view && view.kind != kind) failed("a view differs from its event");
        break;
    }
    default: {
        pond_event *matched = NULL;
        size_t len;
        int32_t status = DO(pond_event_match, OK | S(POND_EMPTY) | ARGUMENT | UTF8, event, PICK(patterns), &matched);
        if ((status == POND_OK) != (matched != NULL)) failed("pond_event_match: status and output differ");
        if (matched) {
            RUN(pond_event_param, matched, "id", &len);
            RUN(pond_event_query, matched, "x", NULL);
            hold(matched);
        }
        hold(RUN(pond_event_retain, event));
    }
    }
}

static void pulled(pond_event *event) {
    /* The user_data of a reply is the registration of its request, which lives to the end. */
    if (event && pond_event_kind(event) == POND_EVENT_REPLY) {
        struct registration *it = pond_event_user_data(event);
        if (it) atomic_fetch_add(&it->replies, 1);
    }
    if (event && pond_event_kind(event) == POND_EVENT_DIAL && chance(70)) {
        DO(pond_client_answer_dial, OK | S(POND_ERROR_INVALID_STATE) | HANDLE | CLOSED, pond_event_client(event), pond_event_attempt(event),
           NULL, NULL, NULL);
    }
    if (event) seen(event);
    look_at(event);
    if (chance(20)) {
        hold(event);
    } else {
        RUN(pond_event_free, event);
    }
}

/* ---- library, options ---- */

static void string_out(int32_t status, char **string) {
    if ((status == POND_OK) != (*string != NULL)) failed("a status and its string differ");
    RUN(pond_string_free, *string);
    *string = NULL;
}

static void library_call(void) {
    char *string = NULL;
    double value;
    switch (dice(8)) {
    case 0: RUN0(pond_abi_version); break;
    case 1: RUN(pond_status_name, (int32_t)dice(60) - 45); break;
    case 2: RUN(pond_state_name, (int32_t)dice(20)); break;
    case 3: {
        struct registration *it = registration("pond_log_set");
        bool none = chance(20);
        DO(pond_log_set, OK | ARGUMENT, (int32_t)dice(8) - 1, none ? NULL : on_event, it, on_destroy);
        break;
    }
    case 4: {
        const char *quoted = PICK(names);
        string_out(DO(pond_json_quote, OK | UTF8 | ARGUMENT, quoted, quoted ? strlen(quoted) : dice(2), &string), &string);
        break;
    }
    case 5: {
        const char *json = PICK(payloads);
        size_t len = json ? strlen(json) : 0;
        if (chance(50)) {
            size_t out_len;
            int32_t status = DO(pond_json_text, OK | S(POND_EMPTY) | JSON | UTF8 | ARGUMENT, json, len, chance(80) ? "/text" : "nonsense",
                                &string, &out_len);
            string_out(status, &string);
        } else {
            DO(pond_json_number, OK | S(POND_EMPTY) | JSON | UTF8 | ARGUMENT, json, len, "/a/1", chance(95) ? &value : NULL);
        }
        break;
    }
    case 6: RUN0(pond_version); break;
    default:
        if (shutting && dice(1500) == 0) DO(pond_shutdown, OK | S(POND_TIMEOUT) | DEADLOCK, PICK(waits) * 50);
    }
}

static void options_call(void) {
    pond_options *options = any(OPTIONS);
    uint32_t n = PICK(numbers), m = PICK(numbers);
    if (chance(60)) n = 200 + dice(30000); /* most options leave room for a conversation */
    switch (dice(chance(50) ? 32 : 40)) {
    case 0: DO(pond_options_set_connect_timeout_ms, SETTER, options, n); break;
    case 1: DO(pond_options_set_join_timeout_ms, SETTER, options, n); break;
    case 2: DO(pond_options_set_response_timeout_ms, SETTER, options, n); break;
    case 3: DO(pond_options_set_backoff_ms, SETTER, options, n, m); break;
    case 4: DO(pond_options_set_max_reconnect_attempts, SETTER, options, (int32_t)dice(8) - 2); break;
    case 5: DO(pond_options_set_ping_interval_ms, SETTER, options, n); break;
    case 6: DO(pond_options_set_pong_timeout_ms, SETTER, options, n); break;
    case 7: DO(pond_options_set_queue_limit, SETTER, options, n); break;
    case 8: DO(pond_options_set_overflow, SETTER, options, (int32_t)dice(5)); break;
    case 9: DO(pond_options_set_outbound_limit, SETTER, options, n); break;
    case 10: DO(pond_options_set_legacy_grace_ms, SETTER, options, n); break;
    case 11: DO(pond_options_set_retry_refused, SETTER, options, (int32_t)dice(3)); break;
    case 12: DO(pond_options_set_max_message_bytes, SETTER, options, (uint64_t)n * 1024, (uint64_t)m * 1024); break;
    case 13: DO(pond_options_set_inbound_limit, SETTER, options, n, (uint64_t)m * 100); break;
    case 14: DO(pond_options_set_header, SETTER | UTF8, options, PICK(headers), PICK(values)); break;
    case 15: DO(pond_options_set_ca_file, SETTER | UTF8, options, chance(90) ? NULL : "/nonexistent.pem"); break;
    case 16: DO(pond_options_set_ca_pem, SETTER | UTF8, options, chance(50) ? NULL : "no PEM"); break;
    case 17: DO(pond_options_set_client_cert, SETTER | UTF8, options, chance(50) ? NULL : "x", NULL); break;
    case 18: DO(pond_options_set_insecure_skip_verify, SETTER, options, (int32_t)dice(3)); break;
    case 19: DO(pond_options_set_ask_before_dial, SETTER, options, dice(4) == 0); break;
    case 20: DO(pond_options_free, OK | HANDLE, options); break;
    case 21:
    case 22: DO(pond_options_set_backoff_ms, SETTER, options, 1, 20); break;
    case 23:
    case 24:
    case 25:
    case 26:
    case 27: DO(pond_options_set_queue, OK | HANDLE, options, chance(70) ? any(QUEUES) : NULL); break;
    default: {
        pond_options *fresh = NULL;
        int32_t status = DO(pond_options_new, OK | ARGUMENT, chance(95) ? &fresh : NULL);
        if (status == POND_OK) DO(pond_options_free, OK | HANDLE, keep(OPTIONS, fresh));
    }
    }
}

/* ---- registrations ---- */

static void cancel(pond_subscription *subscription, struct registration *it) {
    int32_t status = DO(pond_subscription_cancel, OK | HANDLE, subscription);
    /* Its promise outside of handlers: destroy has run. */
    if (it && status == POND_OK && !in_callback && !atomic_load(&it->destroyed)) {
        failed("cancelled, but the destroy of %s has not run", it->function);
    }
}

typedef int32_t client_on(pond_client *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **);
typedef int32_t channel_on(pond_channel *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **);

static void register_one(void) {
#define ON(function) {#function, function}
    static const struct {
        const char *name;
        client_on *function;
    } client_ons[] = {ON(pond_client_on_state), ON(pond_client_on_error), ON(pond_client_on_endpoint_message), ON(pond_client_on_dial)};
    static const struct {
        const char *name;
        channel_on *function;
    } channel_ons[] = {ON(pond_channel_on_message), ON(pond_channel_on_state),           ON(pond_channel_on_join),
                       ON(pond_channel_on_leave),   ON(pond_channel_on_presence_change), ON(pond_channel_on_users_change),
                       ON(pond_channel_on_error),   ON(pond_channel_on_dropped),         ON(pond_channel_on_writable)};
#undef ON
    pond_subscription *subscription = NULL, **out = chance(90) ? &subscription : NULL;
    pond_event_fn fn = chance(97) ? on_event : NULL;
    struct registration *it;
    int32_t status;
    uint32_t which = dice(16);
    if (which < 4) {
        it = registration(client_ons[which].name);
        status = after(before(it->function), client_ons[which].function(any(CLIENTS), fn, it, on_destroy, out), REGISTER);
    } else if (which < 13) {
        it = registration(channel_ons[which - 4].name);
        status = after(before(it->function), channel_ons[which - 4].function(any(CHANNELS), fn, it, on_destroy, out), REGISTER);
    } else {
        it = registration("pond_channel_on_event");
        status = DO(pond_channel_on_event, REGISTER | UTF8, any(CHANNELS), PICK(patterns), fn, it, on_destroy, out);
    }
    if (status != POND_OK && atomic_load(&it->destroyed) != 1) failed("%s failed, but its destroy has not run", it->function);
    if (subscription && chance(30)) {
        cancel(subscription, it);
    } else if (subscription) {
        cancel(keep(SUBSCRIPTIONS, subscription), NULL);
    } else if (chance(10)) {
        cancel(any(SUBSCRIPTIONS), NULL);
    }
}

/* ---- clients ---- */

static void client_new(void) {
    pond_client *client = NULL;
    pond_error *error = NULL;
    pond_options *options = chance(60) ? any(OPTIONS) : NULL;
    int32_t status = DO(pond_client_new, OK | ARGUMENT | HANDLE | UTF8 | JSON | S(POND_ERROR_INVALID_URL) | S(POND_ERROR_TLS),
                        world_urls[dice(8)], chance(85) ? NULL : PICK(joins), options, &client, &error);
    if ((status == POND_OK) != (client != NULL)) failed("pond_client_new: status and output differ");
    error_seen(error, status);
    if (!client) return;
    DO(pond_client_free, OK | HANDLE, keep(CLIENTS, client));
    if (chance(60)) {
        struct registration *it = registration("pond_client_on_state");
        DO(pond_client_on_state, REGISTER, client, on_event, it, on_destroy, NULL);
    }
    if (chance(95)) DO(pond_client_connect, OK | HANDLE | CLOSED, client);
}

static void client_call(void) {
    pond_client *client = any(CLIENTS);
    pond_error *error = NULL, **out = chance(80) ? &error : NULL;
    uint64_t given_up = S(POND_ERROR_CONNECT) | S(POND_ERROR_TLS) | S(POND_ERROR_HTTP) | S(POND_ERROR_REJECTED) |
                        S(POND_ERROR_CONNECTION_LOST) | S(POND_ERROR_TIMEOUT);
    uint64_t ending = OK | HANDLE | CLOSED; /* rule 10: freed meanwhile */
    char *string = NULL;
    pond_stats stats;
    switch (dice(24)) {
    case 0:
        if (chance(15)) DO(pond_client_free, OK | HANDLE, client);
        break;
    case 1:
        if (chance(20)) DO(pond_client_disconnect, ending, client);
        break;
    case 2:
        if (chance(20)) DO(pond_client_suspend, ending, client);
        break;
    case 3:
    case 4: DO(pond_client_resume, ending, client); break;
    case 5:
    case 6: DO(pond_client_reconnect_now, ending, client); break;
    case 7:
    case 8:
    case 9:
    case 10: DO(pond_client_connect, ending, client); break;
    case 11: VALUE(pond_client_state, HANDLE, client); break;
    case 12: DO(pond_client_connection_id, OK | S(POND_EMPTY) | HANDLE, client, &string); break;
    case 13:
    case 14: {
        int32_t status = DO(pond_client_wait_state, OK | given_up | S(POND_TIMEOUT) | CLOSED | DEADLOCK | HANDLE | ARGUMENT, client,
                            PICK(states), PICK(waits), out);
        error_seen(error, status);
        break;
    }
    case 15: DO(pond_client_flush, OK | S(POND_TIMEOUT) | CLOSED | DEADLOCK | HANDLE, client, PICK(waits)); break;
    case 16: {
        int32_t status = DO(pond_client_set_params, OK | HANDLE | UTF8 | JSON | S(POND_ERROR_INVALID_URL), client, PICK(joins), out);
        error_seen(error, status);
        break;
    }
    case 17: DO(pond_client_set_header, SETTER | UTF8, client, PICK(headers), PICK(values)); break;
    case 18: {
        int32_t status =
            DO(pond_client_answer_dial,
               OK | S(POND_ERROR_INVALID_STATE) | HANDLE | UTF8 | JSON | S(POND_ERROR_INVALID_URL) | CLOSED, client,
               1 + dice(3), chance(50) ? NULL : world_urls[dice(8)], PICK(joins), out);
        error_seen(error, status);
        break;
    }
    case 19: DO(pond_client_stats, OK | HANDLE | ARGUMENT, client, chance(95) ? &stats : NULL, dice(sizeof stats + 1)); break;
    default:
        if (chance(15)) client_new();
    }
    RUN(pond_string_free, string);
}

/* ---- channels ---- */

static void channel_open(void) {
    pond_channel *channel = NULL;
    pond_error *error = NULL;
    int32_t status = DO(pond_client_channel, OK | S(POND_EXISTS) | HANDLE | ARGUMENT | UTF8 | JSON | LARGE | CLOSED, any(CLIENTS),
                        PICK(rooms), chance(80) ? PICK(users) : PICK(joins), chance(97) ? &channel : NULL, &error);
    if ((status >= 0) != (channel != NULL)) failed("pond_client_channel: status and output differ");
    error_seen(error, status);
    if (status == POND_OK) DO(pond_channel_free, OK | HANDLE, keep(CHANNELS, channel));
    if (status == POND_OK && chance(60)) {
        struct registration *it = registration("pond_channel_on_users_change");
        DO(pond_channel_on_users_change, REGISTER, channel, on_event, it, on_destroy, NULL);
        it = registration("pond_channel_on_message");
        DO(pond_channel_on_message, REGISTER, channel, on_event, it, on_destroy, NULL);
        it = registration("pond_channel_on_state");
        DO(pond_channel_on_state, REGISTER, channel, on_event, it, on_destroy, NULL);
    }
    if (channel && chance(80)) DO(pond_channel_join, OK | HANDLE | CLOSED, channel);
}

static void request(void) {
    pond_error *error = NULL;
    uint64_t ticket = 0;
    struct registration *it = registration("pond_channel_request");
    it->is_request = true;
    it->has_function = chance(80);
    pond_event_fn fn = it->has_function ? on_event : NULL;
    pond_channel *channel = any(CHANNELS);
    const char *name = PICK(names), *payload = PICK(payloads);
    uint32_t timeout = PICK(numbers);
    int32_t status;
    if (chance(50)) {
        status = DO(pond_channel_request, PAYLOAD, channel, name, payload, timeout, fn, it, on_destroy, &ticket, &error);
    } else {
        size_t name_len = name ? strlen(name) : 0, len = payload ? strlen(payload) : 0;
        status = DO(pond_channel_request_n, PAYLOAD, channel, name, name_len, payload, len, timeout, fn, it, on_destroy,
                    chance(80) ? &ticket : NULL, &error);
    }
    it->accepted = status == POND_OK;
    if (!it->accepted && atomic_load(&it->destroyed) != 1) failed("a refused request whose destroy has not run");
    error_seen(error, status);
    if (ticket && chance(40)) {
        DO(pond_channel_cancel_request, OK | S(POND_EMPTY) | HANDLE | CLOSED, chance(90) ? channel : any(CHANNELS), ticket);
    }
}

static void channel_call(void) {
    pond_channel *channel = any(CHANNELS);
    pond_error *error = NULL, **out = chance(80) ? &error : NULL;
    pond_event *reply = NULL;
    char *string = NULL;
    size_t len = 0;
    int32_t status;
    const char *name = PICK(names), *payload = PICK(payloads);
    size_t name_len = name ? strlen(name) : 0, payload_len = payload ? strlen(payload) : 0;
    switch (dice(28)) {
    case 0:
        if (chance(30)) DO(pond_channel_free, OK | HANDLE, channel);
        break;
    case 1:
        if (chance(30)) DO(pond_channel_leave, OK | HANDLE | CLOSED, channel);
        break;
    case 2:
    case 3:
    case 4: DO(pond_channel_join, OK | HANDLE | CLOSED, channel); break;
    case 5:
        status = DO(pond_channel_set_join_params, OK | HANDLE | UTF8 | JSON | LARGE | CLOSED, channel, PICK(joins), out);
        error_seen(error, status);
        break;
    case 6: string_out(DO(pond_channel_name, OK | HANDLE, channel, &string), &string); break;
    case 7: VALUE(pond_channel_state, HANDLE, channel); break;
    case 8:
        status = DO(pond_channel_wait_state,
                    OK | S(POND_TIMEOUT) | S(POND_ERROR_DECLINED) | S(POND_ERROR_EVICTED) | CLOSED | DEADLOCK | HANDLE | ARGUMENT,
                    channel, PICK(states), PICK(waits), out);
        error_seen(error, status);
        break;
    case 9: string_out(DO(pond_channel_presence, OK | HANDLE, channel, &string, chance(80) ? &len : NULL), &string); break;
    case 10:
    case 11:
    case 12:
    case 13:
        status = DO(pond_channel_send, PAYLOAD, channel, name, payload, out);
        error_seen(error, status);
        break;
    case 14:
        status = DO(pond_channel_send_n, PAYLOAD, channel, name, name_len, payload, payload_len, out);
        error_seen(error, status);
        break;
    case 15:
        status = DO(pond_channel_send_volatile, (PAYLOAD & ~S(POND_ERROR_QUEUE_FULL)) | S(POND_SKIPPED), channel, name, name_len, payload,
                    payload_len, out);
        error_seen(error, status);
        break;
    case 16:
        status = DO(pond_channel_call,
                    PAYLOAD | S(POND_ERROR_SERVER) | S(POND_ERROR_TIMEOUT) | S(POND_ERROR_CONNECTION_LOST) | S(POND_ERROR_EVICTED) |
                        DEADLOCK,
                    channel, name, payload, 1 + dice(20), &reply, out);
        if ((status == POND_OK) != (reply != NULL)) failed("pond_channel_call: status and reply differ");
        error_seen(error, status);
        RUN(pond_event_free, reply);
        break;
    case 17: DO(pond_channel_cancel_request, OK | S(POND_EMPTY) | HANDLE | CLOSED, channel, dice(100000)); break;
    case 18:
    case 19:
    case 20:
    case 21: request(); break;
    default: channel_open();
    }
}

/* ---- queues ---- */

static void queue_call(void) {
    pond_queue *queue = any(QUEUES);
    pond_event *event = NULL, *events[8];
    uint64_t pull = OK | S(POND_EMPTY) | S(POND_TIMEOUT) | S(POND_INTERRUPTED) | CLOSED | DEADLOCK | HANDLE | ARGUMENT;
    uint32_t count = 0;
    int32_t fd, status;
    switch (dice(20)) {
    case 0: DO(pond_queue_free, OK | S(POND_DEFERRED) | HANDLE, queue); break;
    case 1:
    case 2: {
        pond_queue *fresh = NULL;
        status = DO(pond_queue_new, OK | ARGUMENT, chance(95) ? &fresh : NULL);
        if (status == POND_OK) DO(pond_queue_free, OK | S(POND_DEFERRED) | HANDLE, keep(QUEUES, fresh));
        break;
    }
    case 3: DO(pond_queue_fd, OK | HANDLE | ARGUMENT, queue, chance(95) ? &fd : NULL); break;
    case 4:
    case 5: {
        struct registration *it = registration("pond_queue_set_wake");
        status = DO(pond_queue_set_wake, OK | HANDLE, queue, chance(80) ? on_event : NULL, it, on_destroy);
        if (status != POND_OK && atomic_load(&it->destroyed) != 1) failed("pond_queue_set_wake failed without destroy");
        break;
    }
    case 6: DO(pond_queue_interrupt, OK | HANDLE, queue); break;
    case 7:
    case 8:
    case 9:
    case 10:
        status = DO(pond_queue_next, pull, queue, PICK(waits), &event);
        if ((status == POND_OK) != (event != NULL)) failed("pond_queue_next: status and event differ");
        pulled(event);
        break;
    case 11:
    case 12:
        status = DO(pond_queue_next_many, pull, queue, PICK(waits), events, dice(9), &count);
        if ((status == POND_OK) != (count > 0)) failed("pond_queue_next_many: status and count differ");
        for (uint32_t i = 0; i < count; i++) pulled(events[i]);
        break;
    default:
        VALUE(pond_queue_dispatch, S(POND_ERROR_BUSY) | DEADLOCK | HANDLE, queue, dice(20), dice(2) * 100);
    }
}

void one_call(void) {
    uint32_t which = dice(100);
    if (which < 8) {
        library_call();
    } else if (which < 20) {
        options_call();
    } else if (which < 38) {
        register_one();
    } else if (which < 56) {
        client_call();
    } else if (which < 82) {
        channel_call();
    } else {
        queue_call();
    }
}
