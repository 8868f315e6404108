/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Misuse of the library and client groups.
 */
#include "misuse.h"

#define ADDRESS "ws://127.0.0.1:1/S3CR3T?token=S3CR3T"

/* ---- library ---------------------------------------------------------------------------------------------------- */

ROW(pond_version)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", POND_VERSION_MAJOR, POND_VERSION_MINOR, POND_VERSION_PATCH);
    CHECK(strcmp(pond_version(), expected) == 0 && pond_version() == pond_version());
}

ROW(pond_abi_version)
{
    CHECK(pond_abi_version() == POND_ABI_VERSION);
}

ROW(pond_status_name)
{
    static const int32_t odd[] = {INT32_MIN, INT32_MAX, -14, -19, -24, -29, -36, -39, -43, -100, 7, 100};
    size_t i;
    CHECK(strcmp(pond_status_name(POND_OK), "POND_OK") == 0);
    CHECK(strcmp(pond_status_name(POND_ERROR_SERVER), "POND_ERROR_SERVER") == 0);
    for (i = 0; i < sizeof odd / sizeof *odd; i++) CHECK(strcmp(pond_status_name(odd[i]), "POND_UNKNOWN") == 0);
}

ROW(pond_state_name)
{
    static const int32_t odd[] = {INT32_MIN, -1, 0, 4, 10, 17, INT32_MAX};
    size_t i;
    CHECK(strcmp(pond_state_name(POND_CHANNEL_DECLINED), "DECLINED") == 0);
    for (i = 0; i < sizeof odd / sizeof *odd; i++) CHECK(strcmp(pond_state_name(odd[i]), "UNKNOWN") == 0);
}

ROW(pond_string_free)
{
    char *text = NULL;
    pond_string_free(NULL);
    OK(pond_channel_name(w.channel, &text));
    pond_string_free(text);
}

ROW(pond_log_set)
{
    WRONG(pond_log_set(-1, IT));
    WRONG(pond_log_set(6, IT));
    WRONG(pond_log_set(INT32_MIN, IT));
    WRONG(pond_log_set(INT32_MAX, IT));
    CALL(POND_OK, pond_log_set(POND_LOG_OFF, IT)); /* removed at once */
    CHECK(it->destroys == 1);
    begin_call();
    OK(pond_log_set(POND_LOG_TRACE, NULL, it, on_destroy));
    CHECK(it->destroys == 1);
    CALL(POND_OK, pond_log_set(POND_LOG_ERROR, IT));
    CHECK(it->destroys == 0);
    CALL(POND_OK, pond_log_set(POND_LOG_TRACE, IT)); /* in place of the one before */
    CHECK(it->destroys == 0);
    OK(pond_log_set(POND_LOG_OFF, NULL, NULL, NULL));
    CHECK(it->destroys == 1);
}

ROW(pond_shutdown)
{
    WAITS(POND_OK, pond_shutdown(POND_FOREVER));
    WAITS(POND_OK, pond_shutdown(0));
    WAITS(POND_OK, pond_shutdown(1));
    /* All is stale outside, nothing is touched inside. */
    IS(inside ? POND_CHANNEL_IDLE : POND_ERROR_INVALID_HANDLE, pond_channel_state(w.idle));
}

/* ---- client ----------------------------------------------------------------------------------------------------- */

ROW(pond_client_new)
{
    static const char *const urls[] = {"",       "x",         "ws://",         "ftp://S3CR3T/",   "://S3CR3T",
                                       "ws:///", "ws://:80/", "ws://a:99999/", "ws://a b/S3CR3T", "/api/S3CR3T",
                                       "ws://user:S3CR3T@127.0.0.1/"};
    size_t i;
    for (i = 0; i < sizeof urls / sizeof *urls; i++)
        CALL(POND_ERROR_INVALID_URL, pond_client_new(urls[i], NULL, NULL, PP, EE));
    WRONG(pond_client_new(NULL, NULL, NULL, PP, EE));
    WRONG(pond_client_new(ADDRESS, NULL, NULL, NULL, EE));
    WRONG(pond_client_new(NULL, NULL, NULL, NULL, NULL));
    UTF8(pond_client_new(u, NULL, NULL, PP, EE));
    JSON(pond_client_new(ADDRESS, j, NULL, PP, EE));
    CALL(POND_ERROR_INVALID_JSON, pond_client_new(ADDRESS, "[]", NULL, PP, NULL));
    /* Without options the defaults count. */
    HANDLES(OPTIONS, pond_client_new(ADDRESS, NULL, h ? h : (void *)1, PP, EE));
    CALL(POND_OK, pond_client_new(ADDRESS, "{\"a\":\"S3CR3T\",\"b\":null,\"c\":[1]}", w.options, PP, EE));
    OK(pond_client_free(p));
}

ROW(pond_client_connect)
{
    HANDLES(CLIENT, pond_client_connect(h));
    CALL(POND_OK, pond_client_connect(w.client));
    CALL(POND_OK, pond_client_connect(w.client));
}

ROW(pond_client_disconnect)
{
    HANDLES(CLIENT, pond_client_disconnect(h));
    CALL(POND_OK, pond_client_disconnect(w.client));
    CALL(POND_OK, pond_client_disconnect(w.client));
    IS(POND_CHANNEL_CLOSED, pond_channel_state(w.channel));
}

ROW(pond_client_suspend)
{
    HANDLES(CLIENT, pond_client_suspend(h));
    CALL(POND_OK, pond_client_suspend(w.client));
    CALL(POND_OK, pond_client_suspend(w.client));
}

ROW(pond_client_resume)
{
    HANDLES(CLIENT, pond_client_resume(h));
    CALL(POND_OK, pond_client_resume(w.client)); /* not suspended */
    IS(POND_CLIENT_CONNECTED, pond_client_state(w.client));
}

ROW(pond_client_reconnect_now)
{
    HANDLES(CLIENT, pond_client_reconnect_now(h));
    CALL(POND_OK, pond_client_reconnect_now(w.client));
    IS(POND_CLIENT_CONNECTED, pond_client_state(w.client));
}

ROW(pond_client_free)
{
    HANDLES(CLIENT, pond_client_free(h));
    CALL(POND_OK, pond_client_free(w.client));
    CALL(POND_ERROR_INVALID_HANDLE, pond_client_free(w.client));
}

ROW(pond_client_state)
{
    HANDLES(CLIENT, pond_client_state(h));
    CALL(POND_CLIENT_CONNECTED, pond_client_state(w.client));
}

ROW(pond_client_connection_id)
{
    HANDLES(CLIENT, pond_client_connection_id(h, PP));
    WRONG(pond_client_connection_id(w.client, NULL));
    CALL(POND_OK, pond_client_connection_id(w.client, PP));
    CHECK(((char *)p)[0]);
    pond_string_free(p);
}

ROW(pond_client_wait_state)
{
    static const int32_t odd[] = {0, -1, 4, 11, 16, INT32_MIN, INT32_MAX};
    size_t i;
    HANDLES(CLIENT, pond_client_wait_state(h, POND_CLIENT_CONNECTED, POND_FOREVER, EE));
    for (i = 0; i < sizeof odd / sizeof *odd; i++) {
        WRONG(pond_client_wait_state(w.client, odd[i], 0, EE));
        WRONG(pond_client_wait_state(w.client, odd[i], POND_FOREVER, EE));
    }
    WAITS(POND_OK, pond_client_wait_state(w.client, POND_CLIENT_CONNECTED, POND_FOREVER, EE));
    CALL(POND_OK, pond_client_wait_state(w.client, POND_CLIENT_CONNECTED, 0, EE));
    CALL(POND_TIMEOUT, pond_client_wait_state(w.client, POND_CLIENT_DISCONNECTED, 0, NULL));
    WAITS(POND_TIMEOUT, pond_client_wait_state(w.client, POND_CLIENT_DISCONNECTED, 1, NULL));
}

ROW(pond_client_flush)
{
    HANDLES(CLIENT, pond_client_flush(h, POND_FOREVER));
    HANDLES(CLIENT, pond_client_flush(h, 0));
    WAITS(POND_OK, pond_client_flush(w.client, DEADLINE));
}

ROW(pond_client_set_params)
{
    HANDLES(CLIENT, pond_client_set_params(h, NULL, EE));
    JSON(pond_client_set_params(w.client, j, EE));
    CALL(POND_OK, pond_client_set_params(w.client, "{\"token\":\"S3CR3T\"}", EE));
    CALL(POND_OK, pond_client_set_params(w.client, NULL, EE));
}

static const char *const bad_names[] = {"",           "bad name", "a:b",        "a\r\nb", "S3CR3T\x01",
                                        "\xc3\xa4",   "Host",     "Connection", "UPGRADE", "sec-websocket-key",
                                        "Sec-WebSocket-Version"};
static const char *const bad_values[] = {"a\r\nX-S3CR3T: 1", "a\nb", "a\x01", "\x7f"};
enum { BAD_NAMES = sizeof bad_names / sizeof *bad_names, BAD_VALUES = sizeof bad_values / sizeof *bad_values };

ROW(pond_client_set_header)
{
    int i;
    HANDLES(CLIENT, pond_client_set_header(h, "X-A", "b"));
    for (i = 0; i < BAD_NAMES; i++) WRONG(pond_client_set_header(w.client, bad_names[i], "b"));
    for (i = 0; i < BAD_VALUES; i++) WRONG(pond_client_set_header(w.client, "X-A", bad_values[i]));
    WRONG(pond_client_set_header(w.client, NULL, "b"));
    UTF8(pond_client_set_header(w.client, u, "b"));
    UTF8(pond_client_set_header(w.client, "X-A", u));
    CALL(POND_OK, pond_client_set_header(w.client, "X-A", "S3CR3T"));
    CALL(POND_OK, pond_client_set_header(w.client, "x-a", NULL));
    CALL(POND_OK, pond_client_set_header(w.client, "X-Never", NULL));
}

ROW(pond_options_set_header)
{
    int i;
    HANDLES(OPTIONS, pond_options_set_header(h, "X-A", "b"));
    for (i = 0; i < BAD_NAMES; i++) WRONG(pond_options_set_header(w.options, bad_names[i], "b"));
    for (i = 0; i < BAD_VALUES; i++) WRONG(pond_options_set_header(w.options, "X-A", bad_values[i]));
    WRONG(pond_options_set_header(w.options, NULL, "b"));
    UTF8(pond_options_set_header(w.options, u, "b"));
    UTF8(pond_options_set_header(w.options, "X-A", u));
    CALL(POND_OK, pond_options_set_header(w.options, "X-A", "S3CR3T"));
    CALL(POND_OK, pond_options_set_header(w.options, "x-a", NULL));
}

ROW(pond_client_answer_dial)
{
    static const uint32_t odd[] = {0, 1, 2, POND_FOREVER};
    size_t i;
    HANDLES(CLIENT, pond_client_answer_dial(h, 1, NULL, NULL, EE));
    for (i = 0; i < sizeof odd / sizeof *odd; i++)
        CALL(POND_ERROR_INVALID_STATE, pond_client_answer_dial(w.client, odd[i], NULL, NULL, EE));
    UTF8(pond_client_answer_dial(w.client, 1, u, NULL, EE));
    JSON(pond_client_answer_dial(w.client, 1, NULL, j, EE));
    CALL(POND_ERROR_INVALID_URL, pond_client_answer_dial(w.client, 1, "ftp://S3CR3T", NULL, EE));
    CALL(POND_ERROR_INVALID_URL, pond_client_answer_dial(w.client, 1, "", NULL, EE));
}

/* A JSON object, and a name, that no frame has room for. */
static const char *too_large(void)
{
    static char text[600000];
    memset(text, ' ', sizeof text - 1);
    text[0] = '{';
    text[sizeof text - 2] = '}';
    return text;
}

ROW(pond_client_channel)
{
    HANDLES(CLIENT, pond_client_channel(h, "/x", NULL, PP, EE));
    WRONG(pond_client_channel(w.client, NULL, NULL, PP, EE));
    WRONG(pond_client_channel(w.client, "", NULL, PP, EE));
    WRONG(pond_client_channel(w.client, "/x", NULL, NULL, EE));
    UTF8(pond_client_channel(w.client, u, NULL, PP, EE));
    JSON(pond_client_channel(w.client, "/x", j, PP, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_client_channel(w.client, "/x", too_large(), PP, EE));
    CALL(POND_ERROR_TOO_LARGE, pond_client_channel(w.client, too_large(), NULL, PP, EE));
    CALL(POND_OK, pond_client_channel(w.client, "/x", "{}", PP, EE));
    CALL(POND_EXISTS, pond_client_channel(w.client, "/x", "{}", PP, EE));
    OK(pond_channel_free(p));
    CALL(POND_OK, pond_client_channel(w.client, "/x", NULL, PP, EE)); /* its name is free again */
}

ROW(pond_client_stats)
{
    pond_stats stats, zero;
    char bytes[sizeof stats + 8];
    memset(&zero, 0, sizeof zero);
    memset(&stats, 1, sizeof stats);
    HANDLES(CLIENT, pond_client_stats(h, &stats, sizeof stats));
    CHECK(memcmp(&stats, &zero, sizeof stats) == 0);
    WRONG(pond_client_stats(w.client, NULL, sizeof stats));
    WRONG(pond_client_stats(w.client, &stats, 0));
    memset(bytes, 1, sizeof bytes);
    CALL(POND_OK, pond_client_stats(w.client, (pond_stats *)bytes, 5));
    CHECK(bytes[4] == 0 && bytes[5] == 1); /* no byte more than told */
    CALL(POND_OK, pond_client_stats(w.client, (pond_stats *)bytes, sizeof bytes));
    CHECK(bytes[sizeof stats] == 0 && bytes[sizeof bytes - 1] == 0);
    CALL(POND_OK, pond_client_stats(w.client, &stats, sizeof stats));
    CHECK(stats.connects == 1 && stats.frames_in > 0);
}

/* Registering: fn NULL, wrong handles; a failure has run destroy and left no handle. */
#define REGISTERS(kind, function, live)                                                                                \
    ROW(function)                                                                                                      \
    {                                                                                                                  \
        HANDLES(kind, function(h, IT, PP));                                                                            \
        HANDLES(kind, function(h, IT, NULL));                                                                          \
        begin_call();                                                                                                  \
        IS(POND_ERROR_INVALID_ARGUMENT, function(live, NULL, it, on_destroy, PP));                                     \
        CHECK(p == NULL && it->destroys == 1);                                                                         \
        IS(POND_ERROR_INVALID_ARGUMENT, function(live, NULL, NULL, NULL, NULL));                                       \
        CALL(POND_OK, function(live, IT, NULL));                                                                       \
        CALL(POND_OK, function(live, on_call, NULL, NULL, PP));                                                        \
        OK(pond_subscription_cancel(p));                                                                               \
        CALL(POND_OK, function(live, IT, PP));                                                                         \
        CHECK(it->destroys == 0);                                                                                      \
        OK(pond_subscription_cancel(p));                                                                               \
        CHECK(it->destroys == 1);                                                                                      \
        IS(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(p));                                                    \
    }

REGISTERS(CLIENT, pond_client_on_state, w.client)
REGISTERS(CLIENT, pond_client_on_error, w.client)
REGISTERS(CLIENT, pond_client_on_endpoint_message, w.client)
REGISTERS(CLIENT, pond_client_on_dial, w.client)
REGISTERS(CHANNEL, pond_channel_on_message, w.channel)
REGISTERS(CHANNEL, pond_channel_on_state, w.channel)
REGISTERS(CHANNEL, pond_channel_on_join, w.channel)
REGISTERS(CHANNEL, pond_channel_on_leave, w.channel)
REGISTERS(CHANNEL, pond_channel_on_presence_change, w.channel)
REGISTERS(CHANNEL, pond_channel_on_users_change, w.channel)
REGISTERS(CHANNEL, pond_channel_on_error, w.channel)
REGISTERS(CHANNEL, pond_channel_on_dropped, w.channel)
REGISTERS(CHANNEL, pond_channel_on_writable, w.channel)

ROW(pond_subscription_cancel)
{
    HANDLES(SUBSCRIPTION, pond_subscription_cancel(h));
    CALL(POND_OK, pond_subscription_cancel(w.subscription));
    CALL(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(w.subscription));
}
