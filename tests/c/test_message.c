/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Messages: there and back, of all sizes and shapes, and who gets them.
 */
#include "pond_test.h"

/* Frames for the scripted server's event "raw": JSON inside a JSON string. */
#define Q "\\\""
#define FRAME(action, event, payload)                                                                                  \
    "\"{" Q "action" Q ":" Q action Q "," Q "event" Q ":" Q event Q "," Q "channelName" Q ":" Q "$CHANNEL" Q           \
    "," Q "requestId" Q ":" Q "$REQUEST_ID" Q payload "}\""
#define PAYLOAD(json) "," Q "payload" Q ":" json
#define RAW(frames) "{\"frames\":[" frames "]}"

static void two_people(void **state)
{
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    char *name = room("talk");
    pond_channel *hers = joined(anna, name, NULL);
    const record *r;
    (void)state;
    joined(bert, name, NULL);
    OK(pond_channel_send(hers, "message", "{\"text\":\"hello\"}", NULL));
    r = expect(bert, .kind = POND_EVENT_MESSAGE, .name = "message", .has = "\"hello\"");
    CONTAINS(r->payload, "\"from\":\"anna\"");
    assert_string_equal(r->channel_name, name);
    expect(anna, .kind = POND_EVENT_MESSAGE, .name = "message", .has = "\"hello\"");
    OK(pond_channel_send(hers, "others", "{\"text\":\"not to me\"}", NULL));
    expect(bert, .kind = POND_EVENT_MESSAGE, .has = "not to me");
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, hers, "ping", "{}", 0));
    assert_int_equal(count(anna, .kind = POND_EVENT_MESSAGE), 1);
}

/* The server has no handler: that comes to on_error, not as a message. */
static void unknown_event(void **state)
{
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("unknown"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(channel, "no-such-event", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_CHANNEL_ERROR, .status = POND_ERROR_SERVER);
    assert_string_equal(r->code, "NOT_FOUND");
    assert_int_equal(r->http_status, 404);
    assert_int_equal(count(anna, .kind = POND_EVENT_MESSAGE), 0);
    STATUS(POND_CHANNEL_JOINED, pond_channel_state(channel));
}

static void sizes(void **state)
{
    static const size_t lengths[] = {0, 1, 124, 125, 126, 65535, 65536, 400000};
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("sizes"), NULL);
    pond_error *error = NULL;
    char *payload = malloc(600100);
    const record *r;
    size_t i;
    (void)state;
    assert_non_null(payload);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        strcpy(payload, "{\"data\":\"");
        memset(payload + 9, 'a' + (int)i, lengths[i]);
        strcpy(payload + 9 + lengths[i], "\"}");
        r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "echo", payload, 0));
        assert_int_equal(r->status, POND_OK);
        assert_string_equal(r->payload, payload);
    }
    memset(payload + 9, 'x', 600000);
    strcpy(payload + 9 + 600000, "\"}");
    ERROR(POND_ERROR_TOO_LARGE, "", pond_channel_send(channel, "echo", payload, &error));
    r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "big", "{\"bytes\":4000000}", 0));
    assert_int_equal(strlen(r->payload), 4000000 + strlen("{\"data\":\"\"}"));
    free(payload);
}

static void nested_too_deep(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("deep"), NULL);
    pond_error *error = NULL;
    char payload[600] = "{\"a\":";
    (void)state;
    memset(payload + 5, '[', 200);
    memset(payload + 205, ']', 200);
    strcpy(payload + 405, "}");
    ERROR(POND_ERROR_TOO_LARGE, "", pond_channel_send(channel, "x", payload, &error));
    memset(payload + 5, '[', 99);
    memset(payload + 104, ']', 99);
    strcpy(payload + 203, "}");
    expect(anna, .kind = POND_EVENT_REPLY, .payload = payload, .ticket = ask(anna, channel, "reply", payload, 0));
}

static void utf8_survives(void **state)
{
    static const char *const payloads[] = {
        "{\"t\":\"\xc3\xa4\xc3\xb6\xc3\xbc \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80\"}",
        "{\"t\":\"\xe2\x80\xa8 </script> \xf4\x8f\xbf\xbf\"}",
        "{\"\xc3\xa9\":\"\"}",
    };
    peer *anna = chat_peer("anna");
    pond_channel *channel = joined(anna, room("\xe4\xb8\xad"), "{\"username\":\"\xf0\x9f\x98\x80\"}");
    const record *r;
    size_t i;
    (void)state;
    for (i = 0; i < 3; i++) {
        r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "echo", payloads[i], 0));
        assert_string_equal(r->payload, payloads[i]);
    }
    r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "echo", "{\"nul\":\"a\\u0000b\"}", 0));
    CONTAINS(r->payload, "a\\u0000b");
    r = expect(anna, .kind = POND_EVENT_PRESENCE);
    CONTAINS(r->users, "\xf0\x9f\x98\x80");
}

/* Lengths instead of NULs: what stands behind them is not sent. */
static void with_lengths(void **state)
{
    static const char event[] = "replyXX", payload[] = "{\"n\":1}garbage";
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("lengths"), NULL);
    uint64_t ticket = 0;
    (void)state;
    OK(pond_channel_request_n(channel, event, 5, payload, 7, 0, mode == PULL ? NULL : record_event, registering(anna),
                              count_destroy, &ticket, NULL));
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ticket, .name = "reply", .payload = "{\"n\":1}");
    OK(pond_channel_send_n(channel, "raw", 3, RAW(FRAME("BROADCAST", "here", PAYLOAD("{}"))),
                           sizeof RAW(FRAME("BROADCAST", "here", PAYLOAD("{}"))) - 1, NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .name = "here", .payload = "{}");
}

/* Any JSON comes through as the sender wrote it; only no payload at all reads as an object. */
static void payloads_are_the_senders_bytes(void **state)
{
    static const struct {
        const char *raw, *payload;
    } cases[] = {
        {RAW(FRAME("BROADCAST", "p", PAYLOAD("[1, 2]"))), "[1, 2]"},
        {RAW(FRAME("BROADCAST", "p", PAYLOAD(Q "text" Q))), "\"text\""},
        {RAW(FRAME("BROADCAST", "p", PAYLOAD("null"))), NULL},
        {RAW(FRAME("BROADCAST", "p", PAYLOAD("9007199254740993"))), "9007199254740993"},
        {RAW(FRAME("BROADCAST", "p", PAYLOAD("{ " Q "b" Q " : 1.0, " Q "a" Q ":-0.0 }"))),
         "{ \"b\" : 1.0, \"a\":-0.0 }"},
        {RAW(FRAME("BROADCAST", "p", "")), "{}"},
    };
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("bytes"), NULL);
    const record *r = NULL;
    size_t i;
    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(pond_channel_send(channel, "raw", cases[i].raw, NULL));
        r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "p", .from = r ? SINCE(r) : 0);
        if (cases[i].payload) assert_string_equal(r->payload, cases[i].payload);
        else assert_true(!strcmp(r->payload, "null") || !strcmp(r->payload, "{}"));
    }
}

/* What cannot be read is told, and the connection goes on. */
static void undecodable_frames(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("broken"), NULL);
    (void)state;
    OK(pond_channel_send(channel, "raw", "{\"frames\":[\"not json\",\"{\\\"half\\\":\",\"[]\"]}", NULL));
    settle(anna, count(anna, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL) >= 2);
    expect(anna, .kind = POND_EVENT_REPLY, .name = "reply", .ticket = ask(anna, channel, "reply", "{}", 0));
    assert_int_equal(count(anna, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED), 0);
}

/* One frame, several messages: a Go server does that. */
static void batches(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("batch"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(channel, "batch", "{}", NULL));
    r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "batch", .payload = "{\"n\":1}");
    expect(anna, .kind = POND_EVENT_MESSAGE, .name = "batch", .payload = "{\"n\":2}", .from = SINCE(r));
}

/* A JavaScript server's broadcast bears the id of the request that caused it: it is no reply. */
static void broadcast_with_request_id(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("ids"), NULL);
    uint64_t ticket;
    const record *r;
    (void)state;
    ticket = ask(anna, channel, "raw",
                 RAW(FRAME("BROADCAST", "news", PAYLOAD("{}")) ","
                     FRAME("SYSTEM", "done", PAYLOAD("{" Q "n" Q ":1}")) ","
                     FRAME("SYSTEM", "done", PAYLOAD("{" Q "n" Q ":2}"))),
                 0);
    r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "news");
    r = expect(anna, .kind = POND_EVENT_REPLY, .ticket = ticket, .name = "done", .payload = "{\"n\":1}",
               .from = SINCE(r));
    /* A second reply is an ordinary message. */
    r = expect(anna, .kind = POND_EVENT_MESSAGE, .name = "done", .payload = "{\"n\":2}", .from = SINCE(r));
    assert_true(strlen(r->request_id) > 0);
}

/* Many at once: each comes once, in the order in which they were sent. */
static void many(void **state)
{
    enum { COUNT = 3000 };
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("many"), NULL);
    const record *r = NULL;
    int i;
    (void)state;
    OK(pond_channel_send(channel, "raw",
                         "{\"count\":3000,\"frames\":[" FRAME("BROADCAST", "n", PAYLOAD("{" Q "i" Q ":$I}")) "]}",
                         NULL));
    for (i = 0; i < COUNT; i++) {
        char payload[32];
        r = expect(anna, .kind = POND_EVENT_MESSAGE, .from = r ? SINCE(r) : 0);
        snprintf(payload, sizeof payload, "{\"i\":%d}", i);
        assert_string_equal(r->payload, payload);
    }
    assert_int_equal(count(anna, .kind = POND_EVENT_MESSAGE), COUNT);
}

/* A small inbound bound slows the server down, and loses nothing. */
static void inbound_bound(void **state)
{
    pond_options *options = options_new();
    peer *anna;
    pond_channel *channel;
    (void)state;
    OK(pond_options_set_inbound_limit(options, 16, 65536));
    anna = script_peer(options);
    channel = joined(anna, room("bound"), NULL);
    OK(pond_channel_send(channel, "raw",
                         "{\"count\":2000,\"frames\":[" FRAME("BROADCAST", "n", PAYLOAD("{" Q "i" Q ":$I}")) "]}",
                         NULL));
    expect(anna, .kind = POND_EVENT_MESSAGE, .payload = "{\"i\":1999}");
    assert_int_equal(count(anna, .kind = POND_EVENT_MESSAGE), 2000);
}

/* ---- patterns ----------------------------------------------------------------------------------------------- */

typedef struct found {
    peer *peer;
    char text[4096];
} found;

static void add(found *self, const char *label, const pond_event *event)
{
    const char *id = pond_event_param(event, "id", NULL), *rest = pond_event_param(event, "*", NULL);
    const char *tab = pond_event_query(event, "tab", NULL);
    char line[256];
    if (pond_event_param(event, "absent", NULL) || pond_event_query(event, "absent", NULL)) label = "wrong";
    snprintf(line, sizeof line, "%s(%s,%s,%s) ", label, id ? id : "-", rest ? rest : "-", tab ? tab : "-");
    pthread_mutex_lock(&self->peer->mutex);
    strncat(self->text, line, sizeof self->text - strlen(self->text) - 1);
    pthread_mutex_unlock(&self->peer->mutex);
}

static void on_user(const pond_event *event, void *found) { add(found, "user", event); }
static void on_files(const pond_event *event, void *found) { add(found, "files", event); }
static void on_end(const pond_event *event, void *found) { add(found, "end", event); }
static void on_any(const pond_event *event, void *found) { add(found, "any", event); }

#define NAMED(name) FRAME("BROADCAST", name, PAYLOAD("{}"))
static const char patterned[] =
    RAW(NAMED("user/7?tab=a+b") "," NAMED("user/a%20b") "," NAMED("user/7/edit") "," NAMED("files/x/y.txt") "," NAMED(
        "other") "," NAMED("end"));

static void patterns(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = peer_channel(anna, room("patterns"), NULL);
    found found = {anna, ""};
    (void)state;
    /* In order of registration, all that match. */
    OK(pond_channel_on_event(channel, "*", on_any, registering(&found), count_destroy, NULL));
    OK(pond_channel_on_event(channel, "user/:id", on_user, registering(&found), count_destroy, NULL));
    OK(pond_channel_on_event(channel, "files/*", on_files, registering(&found), count_destroy, NULL));
    OK(pond_channel_on_event(channel, "end", on_end, registering(&found), count_destroy, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT,
           pond_channel_on_event(channel, "a/*/b/*", on_any, registering(&found), count_destroy, NULL));
    STATUS(POND_ERROR_INVALID_ARGUMENT,
           pond_channel_on_event(channel, "", on_any, registering(&found), count_destroy, NULL));
    assert_int_equal(destroyed(), 2); /* those that were not taken */
    OK(pond_channel_join(channel));
    OK(pond_channel_send(channel, "raw", patterned, NULL));
    expect(anna, .kind = POND_EVENT_REPLY, .ticket = ask(anna, channel, "reply", "{}", 0));
    assert_string_equal(found.text,
                        "any(-,/user/7,a b) user(7,-,a b) any(-,/user/a%20b,-) user(a b,-,-) any(-,/user/7/edit,-) "
                        "any(-,/files/x/y.txt,-) files(-,/x/y.txt,-) any(-,/other,-) any(-,/end,-) end(-,-,-) ");
    OK(pond_shutdown(DEADLINE)); /* `found` is on this stack */
}

/* The same without handlers: an event is asked whether it matches. */
static void match(void **state)
{
    peer *anna;
    pond_channel *channel;
    pond_event *event = NULL, *user = NULL, *other = NULL;
    (void)state;
    anna = script_peer(NULL);
    OK(pond_client_channel(anna->client, room("match"), NULL, &channel, NULL));
    OK(pond_channel_join(channel));
    OK(pond_channel_send(channel, "raw", patterned, NULL));
    do {
        pond_event_free(event);
        OK(pond_queue_next(anna->queue, DEADLINE, &event));
    } while (pond_event_kind(event) != POND_EVENT_MESSAGE);
    STATUS(POND_EMPTY, pond_event_match(event, "files/*", &other));
    assert_null(other);
    STATUS(POND_ERROR_INVALID_ARGUMENT, pond_event_match(event, "*x", &other));
    OK(pond_event_match(event, "user/:id", &user));
    assert_null(pond_event_param(event, "id", NULL)); /* the event itself is as it was */
    pond_event_free(event);
    assert_string_equal(pond_event_param(user, "id", NULL), "7");
    assert_string_equal(pond_event_query(user, "tab", NULL), "a b");
    assert_string_equal(pond_event_name(user, NULL), "user/7?tab=a+b");
    pond_event_free(user);
}

const test message_tests[] = {
    TEST(two_people, EACH),
    TEST(unknown_event, EACH),
    TEST(sizes, EACH),
    TEST(nested_too_deep, ONCE),
    TEST(utf8_survives, EACH),
    TEST(with_lengths, EACH),
    TEST(payloads_are_the_senders_bytes, EACH),
    TEST(undecodable_frames, EACH),
    TEST(batches, EACH),
    TEST(broadcast_with_request_id, EACH),
    TEST(many, EACH),
    TEST(inbound_bound, EACH),
    TEST(patterns, HANDLERS),
    TEST(match, 1 << PULL),
    {0},
};
