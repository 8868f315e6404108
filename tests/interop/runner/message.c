/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: events to the server, answers, broadcasts.
 */
#include "scenarios.h"

void broadcast(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *channel = chat(a, name, "alice");
    const record *r;
    chat(b, name, "bob");
    send_event(channel, "message", "{\"text\":\"hi\"}");
    r = await(a, .kind = POND_EVENT_MESSAGE, .name = "message");
    note("sender: %s from %s", member(r->payload, "/text"), member(r->payload, "/from"));
    r = await(b, .kind = POND_EVENT_MESSAGE, .name = "message");
    note("other: %s from %s", member(r->payload, "/text"), member(r->payload, "/from"));
}

/* Sends one event, then a broadcast and a request; counts who got the first. `to`: a bit for each who is to get it. */
static void addressed(const char *event, const char *payload, const char *name_of_it, unsigned to)
{
    peer *peers[3] = {online(shared_port, "alice"), online(shared_port, "bob"), online(shared_port, "carol")};
    static const char *const names[] = {"alice", "bob", "carol"};
    char *name = room("a");
    pond_channel *channels[3];
    size_t i;
    for (i = 0; i < 3; i++) channels[i] = chat(peers[i], name, names[i]);
    send_event(channels[0], event, payload);
    /* Some servers let broadcasts overtake each other. */
    for (i = 0; i < 3; i++)
        if (to >> i & 1) await(peers[i], .kind = POND_EVENT_MESSAGE, .name = name_of_it, .has = "private");
    send_event(channels[0], "message", "{\"text\":\"marker\"}");
    for (i = 0; i < 3; i++) await(peers[i], .kind = POND_EVENT_MESSAGE, .name = "message", .has = "marker");
    for (i = 0; i < 3; i++) {
        alive(peers[i], channels[i]);
        note("%s %u", names[i],
             (unsigned)count(peers[i], .kind = POND_EVENT_MESSAGE, .name = name_of_it, .has = "private"));
    }
}

void to_others(void)
{
    addressed("others", "{\"text\":\"private\"}", "message", 1 << 1 | 1 << 2);
}

void to_one(void)
{
    addressed("direct", "{\"to\":\"bob\",\"text\":\"private\"}", "direct", 1 << 1);
}

void reply_name(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = ask(a, channel, "ping", "{\"n\":1}");
    note("ping answered by %s", outcome(reply));
    if (reply->status == POND_OK) note("n %g", number(reply->payload, "/n"));
}

void reply_twice(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = ask(a, channel, "twice", NULL), *second;
    note("reply: %s", outcome(reply));
    second = seek(a, 1500, .kind = POND_EVENT_MESSAGE, .name = "second");
    if (second) note("second: a message, %s", second->request_id[0] ? "with the id" : "without id");
    else note("second: none");
    note("%u reply", (unsigned)count(a, .kind = POND_EVENT_REPLY));
}

/* On JavaScript servers the broadcast bears the request's id, and comes first. */
void tell_and_reply(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = ask(a, channel, "tell-and-reply", "{\"n\":1}");
    note("reply: %s", outcome(reply));
    note("%s", seek(a, DEADLINE, .kind = POND_EVENT_MESSAGE, .name = "told") ? "broadcast delivered" : "broadcast lost");
}

/* What a request ends with, and what a plain send of the same leads to. */
static void refused_event(const char *event, const char *payload)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = ask_in_vain(a, channel, event, payload), *error;
    size_t from = length(a);
    /* Who was told by the answer is told by an error; so is everybody by the old dialect. */
    uint32_t limit = reply->status == POND_ERROR_SERVER || server_is("js-legacy") ? DEADLINE : SILENCE;
    int64_t end = now_ms() + limit;
    note("request: %s", reply->status == POND_ERROR_SERVER
                            ? text("SERVER %d %s '%s'", (int)reply->http_status, reply->code, reply->message)
                            : outcome(reply));
    send_event(channel, event, payload);
    do {
        error = seek(a, 20, .kind = POND_EVENT_CHANNEL_ERROR, .from = from);
        if (!error) error = seek(a, 0, .kind = POND_EVENT_CLIENT_ERROR, .from = from);
    } while (!error && now_ms() < end);
    note("send: %s", !error ? "silence" : error->kind == POND_EVENT_CHANNEL_ERROR ? "error" : "error of the client");
    note("%s", alive(a, channel));
}

void no_handler(void)
{
    refused_event("nobody-handles-this", "{\"n\":1}");
}

void handler_throws(void)
{
    refused_event("throw", NULL);
}

void handler_declines(void)
{
    refused_event("decline", "{\"code\":418,\"message\":\"Not today\"}");
}

void handler_silent(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    int64_t start = now_ms();
    uint64_t ticket = request(a, channel, "silent", NULL, 400);
    const record *reply = await(a, .kind = POND_EVENT_REPLY, .ticket = ticket);
    note("%s", outcome(reply));
    note("%s", reply->when - start >= 400 && reply->when - start < 10000 ? "in time" : "not in time");
}

/* A reply after the timeout. A machine may be so slow that the reply comes first, or that the Go server, which allows a
 * second, does not reply any more: then once again. */
void late_reply(void)
{
    enum { TRIES = 20 };
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply, *late = NULL;
    uint64_t ticket;
    int i = 0;
    do {
        size_t from = length(a);
        ticket = request(a, channel, "slow", text("{\"ms\":800,\"try\":%d}", i), 200);
        reply = await(a, .kind = POND_EVENT_REPLY, .ticket = ticket);
        if (reply->status == POND_OK) continue;
        late = seek(a, server_is("go") ? SILENCE : DEADLINE, .kind = POND_EVENT_MESSAGE, .name = "slow",
                    .has = text(":%d", i), .from = from);
    } while (!late && ++i < TRIES);
    note("%s", outcome(reply));
    if (!late) {
        note("late: never");
        return;
    }
    note("late: a message, %s", late->request_id[0] ? "with the id" : "without id");
    note("%u reply", (unsigned)count(a, .kind = POND_EVENT_REPLY, .ticket = ticket));
}

void many_requests(void)
{
    enum { MANY = 50 };
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    uint64_t tickets[MANY];
    int i, own = 0;
    for (i = 0; i < MANY; i++) tickets[i] = request(a, channel, "echo", text("{\"n\":%d}", i),
                                                 server_is("js-legacy") ? SILENCE : DEADLINE);
    for (i = 0; i < MANY; i++) {
        const record *reply = await(a, .kind = POND_EVENT_REPLY, .ticket = tickets[i]);
        own += reply->status == POND_OK && number(reply->payload, "/n") == i;
    }
    note("%d of %d got their own reply", own, MANY);
}

void route_params(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = talk(a, channel, "user/42?x=1&y=a%20b", NULL, "user");
    note("%s", outcome(reply));
    if (reply->status != POND_OK) return;
    note("id %s", member(reply->payload, "/id"));
    /* Rust tells each value as a list. */
    note("x %s", member(reply->payload, strstr(reply->payload, "[") ? "/query/x/0" : "/query/x"));
    note("y %s", member(reply->payload, strstr(reply->payload, "[") ? "/query/y/0" : "/query/y"));
}

static char matched[3][64];

static void match_name(const pond_event *event, void *user_data)
{
    const char *value = pond_event_param(event, user_data == matched[1] ? "name" : "*", NULL);
    snprintf(user_data, sizeof matched[0], "%s", value ? value : pond_event_name(event, NULL));
}

void event_patterns(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = channel_of(a, room("a"), "{\"username\":\"alice\"}");
    const record *r;
    OK(pond_channel_on_event(channel, "message", match_name, matched[0], NULL, NULL));
    OK(pond_channel_on_event(channel, ":name", match_name, matched[1], NULL, NULL));
    OK(pond_channel_on_event(channel, "*", match_name, matched[2], NULL, NULL));
    /* Handlers run in this order: when the last one has the event, all have. */
    OK(pond_channel_on_event(channel, "message", record_event, a, NULL, NULL));
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    send_event(channel, "message", "{\"n\":1}");
    r = await(a, .kind = POND_EVENT_MESSAGE, .name = "message");
    await(a, .kind = POND_EVENT_MESSAGE, .name = "message", .from = r->index + 1);
    note("message: %s", matched[0]);
    note(":name: %s", matched[1]);
    note("*: %s", matched[2]);
}

static char order[8];

static void first_handler(const pond_event *event, void *user_data)
{
    (void)event, (void)user_data;
    if (strlen(order) < 3) strcat(order, "1");
}

static void second_handler(const pond_event *event, void *user_data)
{
    (void)event, (void)user_data;
    if (strlen(order) < 3) strcat(order, "2");
}

static void third_handler(const pond_event *event, void *user_data)
{
    (void)event, (void)user_data;
    if (strlen(order) < 3) strcat(order, "3");
}

static int slow_taken;

static void slow_handler(const pond_event *event, void *user_data)
{
    (void)event, (void)user_data;
    if (slow_taken++ % 10 == 0) breathe();
}

/* Order of registration, and a handler that is slower than the events come: more than 100 wait, none is lost. */
void observers(void)
{
    enum { MANY = 500 };
    peer *a = online(shared_port, "alice");
    pond_channel *channel = channel_of(a, room("a"), "{\"username\":\"alice\"}");
    OK(pond_channel_on_event(channel, "message", first_handler, NULL, NULL, NULL));
    OK(pond_channel_on_event(channel, "message", second_handler, NULL, NULL, NULL));
    OK(pond_channel_on_event(channel, "message", third_handler, NULL, NULL, NULL));
    OK(pond_channel_on_event(channel, "flood", slow_handler, NULL, NULL, NULL));
    OK(pond_channel_on_event(channel, "flood", record_event, a, NULL, NULL));
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    send_event(channel, "message", "{\"n\":1}");
    await(a, .kind = POND_EVENT_MESSAGE, .name = "message");
    send_event(channel, "flood", text("{\"count\":%d,\"size\":10}", MANY));
    settle(count(a, .kind = POND_EVENT_MESSAGE, .name = "flood") >= 2 * MANY);
    note("handlers in order %s", order);
    note("a slow one gets %d of %d", slow_taken, MANY);
}

void server_news(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *channel = chat(a, name, "alice");
    chat(b, name, "bob");
    note("%s", outcome(talk(a, channel, "later", "{\"ms\":300}", "later")));
    note("news %g", number(await(a, .kind = POND_EVENT_MESSAGE, .name = "news")->payload, "/n"));
    note("other: news %g", number(await(b, .kind = POND_EVENT_MESSAGE, .name = "news")->payload, "/n"));
}
