/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse of the channel and JSON groups.
 */
#include "misuse.h"

/* An object nested so deep, itself being level 1. */
static const char *nested(int levels)
{
    static char text[4096];
    char *at = text;
    int i;
    at += sprintf(at, "{\"a\":");
    for (i = 1; i < levels; i++) *at++ = '[';
    if (levels == 1) *at++ = '1';
    for (i = 1; i < levels; i++) *at++ = ']';
    strcpy(at, "}");
    return text;
}

/* A payload that no frame may have. */
static const char *huge(void)
{
    static char text[600000];
    memset(text, ' ', sizeof text - 1);
    text[0] = '{';
    text[sizeof text - 2] = '}';
    return text;
}

ROW(pond_channel_join)
{
    HANDLES(CHANNEL, pond_channel_join(h));
    CALL(POND_OK, pond_channel_join(w.idle));
    CALL(POND_OK, pond_channel_join(w.idle));
    CALL(POND_OK, pond_channel_join(w.channel));
}

ROW(pond_channel_leave)
{
    HANDLES(CHANNEL, pond_channel_leave(h));
    CALL(POND_OK, pond_channel_leave(w.channel));
    CALL(POND_OK, pond_channel_leave(w.channel));
    CALL(POND_OK, pond_channel_leave(w.idle));
    IS(POND_CHANNEL_CLOSED, pond_channel_state(w.channel));
}

ROW(pond_channel_free)
{
    HANDLES(CHANNEL, pond_channel_free(h));
    CALL(POND_OK, pond_channel_free(w.channel));
    CALL(POND_ERROR_INVALID_HANDLE, pond_channel_free(w.channel));
}

ROW(pond_channel_set_join_params)
{
    HANDLES(CHANNEL, pond_channel_set_join_params(h, "{}", EE));
    JSON(pond_channel_set_join_params(w.idle, j, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_set_join_params(w.idle, nested(101), EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_set_join_params(w.idle, huge(), EE));
    CALL(POND_OK, pond_channel_set_join_params(w.idle, nested(100), EE));
    CALL(POND_OK, pond_channel_set_join_params(w.idle, NULL, EE));
}

ROW(pond_channel_name)
{
    HANDLES(CHANNEL, pond_channel_name(h, PP));
    WRONG(pond_channel_name(w.channel, NULL));
    CALL(POND_OK, pond_channel_name(w.channel, PP));
    pond_string_free(p);
}

ROW(pond_channel_state)
{
    HANDLES(CHANNEL, pond_channel_state(h));
    CALL(POND_CHANNEL_JOINED, pond_channel_state(w.channel));
}

ROW(pond_channel_wait_state)
{
    static const int32_t odd[] = {0, -1, 1, 3, 10, 17, INT32_MIN, INT32_MAX};
    size_t i;
    HANDLES(CHANNEL, pond_channel_wait_state(h, POND_CHANNEL_JOINED, POND_FOREVER, EE));
    for (i = 0; i < sizeof odd / sizeof *odd; i++) {
        WRONG(pond_channel_wait_state(w.channel, odd[i], 0, EE));
        WRONG(pond_channel_wait_state(w.channel, odd[i], POND_FOREVER, EE));
    }
    CALL(POND_OK, pond_channel_wait_state(w.channel, POND_CHANNEL_JOINED, 0, EE));
    WAITS(POND_OK, pond_channel_wait_state(w.channel, POND_CHANNEL_JOINED, POND_FOREVER, EE));
    CALL(POND_TIMEOUT, pond_channel_wait_state(w.idle, POND_CHANNEL_JOINED, 0, EE));
    WAITS(POND_TIMEOUT, pond_channel_wait_state(w.idle, POND_CHANNEL_JOINED, 1, EE));
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_wait_state(w.channel, POND_CHANNEL_JOINED, 0, EE));
}

ROW(pond_channel_presence)
{
    HANDLES(CHANNEL, pond_channel_presence(h, PP, NN));
    WRONG(pond_channel_presence(w.channel, NULL, NN));
    CALL(POND_OK, pond_channel_presence(w.idle, PP, NN));
    CHECK(strcmp(p, "[]") == 0 && n == 2);
    pond_string_free(p);
    CALL(POND_OK, pond_channel_presence(w.idle, PP, NULL));
    pond_string_free(p);
}

ROW(pond_channel_send)
{
    HANDLES(CHANNEL, pond_channel_send(h, "x", NULL, EE));
    WRONG(pond_channel_send(w.channel, NULL, NULL, EE));
    WRONG(pond_channel_send(w.channel, "", NULL, EE));
    UTF8(pond_channel_send(w.channel, u, NULL, EE));
    JSON(pond_channel_send(w.channel, "x", j, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_send(w.channel, "x", nested(101), EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_send(w.channel, "x", huge(), EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_send(w.channel, huge(), NULL, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_send(w.idle, "x", huge(), EE));
    CALL(POND_OK, pond_channel_send(w.channel, "x", nested(100), EE));
    CALL(POND_OK, pond_channel_send(w.idle, "x", NULL, NULL));
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_send(w.channel, "x", "{\"a\":\"S3CR3T\"}", EE));
}

#define PAIRS(function, ...)                                                                                           \
    HANDLES(CHANNEL, function(h, "x", 1, "{}", 2, __VA_ARGS__));                                                       \
    WRONG(function(w.channel, NULL, 0, "{}", 2, __VA_ARGS__));                                                         \
    WRONG(function(w.channel, NULL, 3, "{}", 2, __VA_ARGS__));                                                         \
    WRONG(function(w.channel, "x", 0, "{}", 2, __VA_ARGS__));                                                          \
    WRONG(function(w.channel, "x", 1, NULL, 2, __VA_ARGS__));                                                          \
    WRONG(function(w.channel, "x", SIZE_MAX, "{}", 2, __VA_ARGS__));                                                   \
    WRONG(function(w.channel, "x", 1, "{}", SIZE_MAX, __VA_ARGS__));                                                   \
    CALL(POND_ERROR_INVALID_JSON, function(w.channel, "x", 1, "{}", 1, __VA_ARGS__));                                  \
    CALL(POND_ERROR_INVALID_JSON, function(w.channel, "x", 1, "{}", 3, __VA_ARGS__)); /* a NUL behind it */            \
    UTF8(function(w.channel, u, strlen(u), NULL, 0, __VA_ARGS__));                                                     \
    CALL(POND_ERROR_TOO_LARGE, function(w.channel, "x", 1, nested(101), strlen(nested(101)), __VA_ARGS__));            \
    CALL(POND_ERROR_TOO_LARGE, function(w.channel, "x", 1, huge(), strlen(huge()), __VA_ARGS__))

ROW(pond_channel_send_n)
{
    PAIRS(pond_channel_send_n, EE);
    JSON(*j ? pond_channel_send_n(w.channel, "x", 1, j, strlen(j), EE) : pond_channel_send(w.channel, "x", j, EE));
    CALL(POND_OK, pond_channel_send_n(w.channel, "xy", 1, "{}!", 2, EE));
    CALL(POND_OK, pond_channel_send_n(w.channel, "x", 1, NULL, 0, NULL));
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_send_n(w.channel, "x", 1, "{}", 2, EE));
}

ROW(pond_channel_send_volatile)
{
    PAIRS(pond_channel_send_volatile, EE);
    CALL(POND_SKIPPED, pond_channel_send_volatile(w.idle, "x", 1, NULL, 0, EE));
    CALL(POND_SKIPPED, pond_channel_send_volatile(w.idle, "x", 1, "{}", 2, NULL));
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_send_volatile(w.channel, "x", 1, "{}", 2, EE));
}

ROW(pond_channel_request)
{
    HANDLES(CHANNEL, pond_channel_request(h, "x", NULL, 0, IT, NN, EE));
    WRONG(pond_channel_request(w.channel, NULL, NULL, 0, IT, NN, EE));
    WRONG(pond_channel_request(w.channel, "", NULL, 0, IT, NN, EE));
    UTF8(pond_channel_request(w.channel, u, NULL, 0, IT, NN, EE));
    JSON(pond_channel_request(w.channel, "x", j, 0, IT, NN, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_request(w.channel, "x", nested(101), 0, IT, NN, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_request(w.channel, "x", huge(), 0, IT, NN, EE));
    begin_call(); /* without a queue nobody could hear the reply */
    IS(POND_ERROR_INVALID_ARGUMENT, pond_channel_request(w.channel, "x", NULL, 0, NULL, it, on_destroy, NN, EE));
    CHECK(it->destroys == 1 && n == 0 && pond_error_status(e) == POND_ERROR_INVALID_ARGUMENT);
    pond_error_free(e);
    CALL(POND_OK, pond_channel_request(w.channel, "x", NULL, POND_FOREVER, IT, NULL, NULL));
    CALL(POND_OK, pond_channel_request(w.channel, "silent", NULL, 1, IT, NN, EE));
    CHECK(n > 0 && n < UINT64_C(1) << 53);
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_request(w.channel, "x", NULL, 0, IT, NN, EE));
}

ROW(pond_channel_request_n)
{
    PAIRS(pond_channel_request_n, 0, IT, NN, EE);
    JSON(*j ? pond_channel_request_n(w.channel, "x", 1, j, strlen(j), 0, IT, NN, EE)
            : pond_channel_request(w.channel, "x", j, 0, IT, NN, EE));
    CALL(POND_OK, pond_channel_request_n(w.channel, "x", 1, NULL, 0, POND_FOREVER, IT, NN, EE));
    OK(pond_channel_leave(w.channel));
    CALL(POND_ERROR_CLOSED, pond_channel_request_n(w.channel, "x", 1, NULL, 0, 0, IT, NN, EE));
}

ROW(pond_channel_cancel_request)
{
    static const uint64_t odd[] = {0, 1, UINT64_C(1) << 53, UINT64_MAX};
    uint64_t ticket;
    size_t i;
    HANDLES(CHANNEL, pond_channel_cancel_request(h, 1));
    CALL(POND_OK, pond_channel_request(w.channel, "silent", NULL, POND_FOREVER, IT, NN, EE));
    ticket = n;
    for (i = 0; i < sizeof odd / sizeof *odd; i++)
        if (odd[i] != ticket) CALL(POND_EMPTY, pond_channel_cancel_request(w.channel, odd[i]));
    CALL(POND_EMPTY, pond_channel_cancel_request(w.idle, ticket)); /* of another channel */
    CALL(POND_OK, pond_channel_cancel_request(w.channel, ticket));
    CALL(POND_EMPTY, pond_channel_cancel_request(w.channel, ticket));
}

ROW(pond_channel_call)
{
    HANDLES(CHANNEL, pond_channel_call(h, "x", NULL, 0, PP, EE));
    WRONG(pond_channel_call(w.channel, NULL, NULL, 0, PP, EE));
    WRONG(pond_channel_call(w.channel, "", NULL, 0, PP, EE));
    WRONG(pond_channel_call(w.channel, "x", NULL, 0, NULL, EE));
    UTF8(pond_channel_call(w.channel, u, NULL, 0, PP, EE));
    JSON(pond_channel_call(w.channel, "x", j, 0, PP, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_channel_call(w.channel, "x", nested(101), 0, PP, EE));
    WAITS(POND_ERROR_TOO_LARGE, pond_channel_call(w.channel, "x", huge(), 0, PP, EE));
    WAITS(POND_ERROR_TIMEOUT, pond_channel_call(w.channel, "silent", "{\"a\":\"S3CR3T\"}", 1, PP, EE));
    WAITS(POND_OK, pond_channel_call(w.channel, "ping", NULL, DEADLINE, PP, EE));
    if (!inside) pond_event_free(p);
    OK(pond_channel_leave(w.channel));
    WAITS(POND_ERROR_CLOSED, pond_channel_call(w.channel, "ping", NULL, DEADLINE, PP, EE));
}

ROW(pond_channel_on_event)
{
    HANDLES(CHANNEL, pond_channel_on_event(h, "x", IT, PP));
    HANDLES(CHANNEL, pond_channel_on_event(h, NULL, IT, NULL));
    WRONG(pond_channel_on_event(w.channel, NULL, IT, PP));
    WRONG(pond_channel_on_event(w.channel, "", IT, PP));
    begin_call();
    IS(POND_ERROR_INVALID_ARGUMENT, pond_channel_on_event(w.channel, "x", NULL, it, on_destroy, PP));
    CHECK(p == NULL && it->destroys == 1);
    UTF8(pond_channel_on_event(w.channel, u, IT, PP));
    UTF8(pond_channel_on_event(w.channel, u, IT, NULL));
    CALL(POND_OK, pond_channel_on_event(w.channel, "user/:id", IT, PP));
    OK(pond_subscription_cancel(p));
    CHECK(it->destroys == 1);
    CALL(POND_OK, pond_channel_on_event(w.channel, "*", IT, NULL));
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

ROW(pond_json_quote)
{
    WRONG(pond_json_quote("x", 1, NULL));
    WRONG(pond_json_quote(NULL, 1, PP));
    WRONG(pond_json_quote("x", SIZE_MAX, PP));
    UTF8(pond_json_quote(u, strlen(u), PP));
    CALL(POND_OK, pond_json_quote(NULL, 0, PP));
    CHECK(strcmp(p, "\"\"") == 0);
    pond_string_free(p);
}

/* Nested so deep that a recursive reader would overflow the stack. */
static const char *abyss(void)
{
    static char text[1000001];
    memset(text, '[', sizeof text - 1);
    return text;
}

#define POINTERS(function, ...)                                                                                        \
    WRONG(function(NULL, 1, "", __VA_ARGS__));                                                                         \
    WRONG(function("{}", 2, NULL, __VA_ARGS__));                                                                       \
    WRONG(function("{}", SIZE_MAX, "", __VA_ARGS__));                                                                  \
    WRONG(function("{\"a\":1}", 7, "a", __VA_ARGS__)); /* does not begin with a slash */                               \
    WRONG(function("{\"a\":1}", 7, "/~2", __VA_ARGS__));                                                               \
    WRONG(function("{\"a\":1}", 7, "/~", __VA_ARGS__));                                                                \
    CALL(POND_ERROR_INVALID_JSON, function("", 0, "", __VA_ARGS__));                                                   \
    CALL(POND_ERROR_INVALID_JSON, function("{", 1, "", __VA_ARGS__));                                                  \
    CALL(POND_ERROR_INVALID_JSON, function("{\"a\":S3CR3T}", 12, "/a", __VA_ARGS__));                                  \
    CALL(POND_ERROR_INVALID_JSON, function("1 2", 3, "", __VA_ARGS__));                                                \
    CALL(POND_ERROR_INVALID_JSON, function(abyss(), 1000000, "/0/0/0", __VA_ARGS__));                                  \
    UTF8(function("{\"a\":1}", 7, u, __VA_ARGS__));                                                                    \
    UTF8(function(u, strlen(u), "", __VA_ARGS__))

ROW(pond_json_text)
{
    POINTERS(pond_json_text, PP, NN);
    WRONG(pond_json_text("\"a\"", 3, "", NULL, NN));
    CALL(POND_EMPTY, pond_json_text("{\"a\":1}", 7, "/a", PP, NN));
    CHECK(p == NULL && n == 0);
    CALL(POND_EMPTY, pond_json_text("{\"a\":1}", 7, "/b/0/c", PP, NULL));
    CALL(POND_OK, pond_json_text("{\"a\":\"b\"}", 9, "/a", PP, NULL));
    pond_string_free(p);
}

ROW(pond_json_number)
{
    POINTERS(pond_json_number, NN);
    WRONG(pond_json_number("1", 1, "", NULL));
    CALL(POND_EMPTY, pond_json_number("{\"a\":\"1\"}", 9, "/a", NN));
    CHECK(n == 0);
    CALL(POND_EMPTY, pond_json_number("{}", 2, "/a", NN));
    CALL(POND_OK, pond_json_number("[1]", 3, "/0", NN));
    CHECK(n != 0);
}
