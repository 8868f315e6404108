/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: joining, being refused, leaving, being put out.
 */
#include "scenarios.h"

void join_accepted(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    note("JOINED");
    note("%s", alive(a, channel));
    note("%u messages of the protocol", (unsigned)protocol_messages(a));
}

void join_params(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = joined(a, room("a"), "{\"username\":\"J\xc3\xbcrgen\",\"presence\":false}");
    const record *reply = talk(a, channel, "whoami", NULL, "whoami");
    note("%s", outcome(reply));
    note("%s", strcmp(member(reply->payload, "/username"), "J\xc3\xbcrgen") ? reply->payload : "username kept");
}

/* Joins, and tells how that ended. */
const record *try_join(peer *a, pond_channel *channel)
{
    size_t from = length(a);
    const record *joining, *end;
    OK(pond_channel_join(channel));
    joining = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINING, .from = from);
    end = await(a, .kind = POND_EVENT_CHANNEL_STATE, .from = joining->index + 1);
    if (end->state == POND_CHANNEL_DECLINED) note("DECLINED %d '%s'", (int)end->http_status, end->message);
    else note("%s", pond_state_name(end->state));
    return end;
}

void join_declined(void)
{
    peer *a = online_with(shared_port, "alice", hasty());
    pond_channel *channel = channel_of(
        a, room("a"), "{\"username\":\"alice\",\"mode\":\"decline\",\"code\":418,\"message\":\"No entry today\"}");
    try_join(a, channel);
    note("send: %s", status_word(pond_channel_send(channel, "message", "{}", NULL)));
    OK(pond_channel_set_join_params(channel, "{\"username\":\"alice\"}", NULL));
    note("again:");
    try_join(a, channel);
}

void join_throws(void)
{
    peer *a = online_with(shared_port, "alice", hasty());
    try_join(a, channel_of(a, room("a"), "{\"username\":\"alice\",\"mode\":\"throw\"}"));
}

void join_silent(void)
{
    peer *a = online_with(shared_port, "alice", hasty());
    pond_channel *channel = channel_of(a, room("a"), "{\"username\":\"alice\",\"mode\":\"silent\"}");
    try_join(a, channel);
    OK(pond_channel_set_join_params(channel, "{\"username\":\"alice\"}", NULL));
    note("again:");
    if (try_join(a, channel)->state != POND_CHANNEL_JOINED) note("again:"), try_join(a, channel);
    note("%s", alive(a, channel));
}

void join_slow(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = channel_of(a, room("a"), "{\"username\":\"alice\",\"mode\":\"slow\",\"delayMs\":700}");
    uint64_t ticket;
    OK(pond_channel_join(channel));
    /* While it is JOINING: kept, and sent after the ACKNOWLEDGE. */
    ticket = request(a, channel, "ping", NULL, server_is("js-legacy") ? SILENCE : DEADLINE);
    in_state(channel, POND_CHANNEL_JOINED);
    note("JOINED; queued: %s", outcome(await(a, .kind = POND_EVENT_REPLY, .ticket = ticket)));
}

void join_reply_first(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = channel_of(a, room("a"), "{\"username\":\"alice\",\"mode\":\"reply-first\"}");
    const record *early, *state;
    OK(pond_channel_join(channel));
    state = await(a, .kind = POND_EVENT_CHANNEL_STATE,
                  .from = 1 + await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINING)->index);
    note("%s", pond_state_name(state->state));
    if (state->state != POND_CHANNEL_JOINED) {
        note("%d", (int)state->http_status);
        return;
    }
    alive(a, channel);
    early = seek(a, SILENCE, .kind = POND_EVENT_MESSAGE, .name = "early");
    note("%s", !early                        ? "no early reply"
               : early->index > state->index ? "early reply after it"
                                             : "early reply before it");
}

void join_unmatched(void)
{
    peer *a = online_with(shared_port, "alice", hasty());
    try_join(a, channel_of(a, "/nowhere/1", NULL));
}

/* A second JOIN on the wire would be an error of the server, or silence until the join timeout. */
void join_once(void)
{
    peer *a = online(shared_port, "alice");
    char *name = room("a");
    pond_channel *channel = channel_of(a, name, "{\"username\":\"alice\"}"), *same = NULL;
    int32_t status;
    OK(pond_channel_join(channel));
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    OK(pond_channel_join(channel));
    status = pond_client_channel(client_of(a), name, "{\"username\":\"eve\"}", &same, NULL);
    note("%s", status == POND_EXISTS && same == channel ? "one handle" : "two handles");
    OK(pond_channel_join(same));
    note("%s", alive(a, channel));
    note("%u errors",
         (unsigned)(count(a, .kind = POND_EVENT_CHANNEL_ERROR) + count(a, .kind = POND_EVENT_CLIENT_ERROR)));
    note("JOINED %u time", (unsigned)count(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED));
}

void join_offline(void)
{
    pond_options *options = quick();
    peer *a;
    pond_channel *channel;
    int i;
    size_t dropped = 0, at = 0;
    const record *r;
    char *name = room("a");
    OK(pond_options_set_queue_limit(options, 20));
    a = peer_new(url_of("ws", shared_port, "/api/socket"), who("alice"), options);
    channel = channel_of(a, name, "{\"username\":\"alice\"}");
    OK(pond_channel_join(channel));
    note("%s", pond_state_name(pond_channel_state(channel)));
    /* More than the queue holds: the oldest go, the JOIN does not. */
    for (i = 0; i < 30; i++) send_event(channel, "message", text("{\"n\":%d}", i));
    OK(pond_client_connect(client_of(a)));
    in_state(channel, POND_CHANNEL_JOINED);
    note("JOINED");
    for (i = 10; i < 30; i++) numbered(a, "message", i, 0);
    settle(count(a, .kind = POND_EVENT_MESSAGE, .name = "message") >= 20);
    while ((r = seek(a, 0, .kind = POND_EVENT_DROPPED, .from = at))) dropped += r->count, at = r->index + 1;
    note("%u dropped and told", (unsigned)dropped);
    note("%u arrived", (unsigned)count(a, .kind = POND_EVENT_MESSAGE, .name = "message"));
}

void leave_channel(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *left = chat(a, name, "alice"), *stays = chat(b, name, "bob");
    OK(pond_channel_leave(left));
    note("%s", pond_state_name(pond_channel_state(left)));
    note("send: %s", status_word(pond_channel_send(left, "message", "{}", NULL)));
    /* Another channel of the same connection: what was answered to the LEAVE has come before its replies, mostly. */
    alive(a, chat(a, room("b"), "alice"));
    alive(b, stays);
    send_event(stays, "message", "{\"text\":\"alone\"}");
    await(b, .kind = POND_EVENT_MESSAGE, .name = "message");
    note("%u messages of the protocol", (unsigned)protocol_messages(a));
    note("%u errors",
         (unsigned)(count(a, .kind = POND_EVENT_CHANNEL_ERROR) + count(a, .kind = POND_EVENT_CLIENT_ERROR)));
    OK(pond_channel_join(left));
    in_state(left, POND_CHANNEL_JOINED);
    note("again: %s", alive(a, left));
}

/* What an evicted one sees, and that joining again works. */
static void evicted(peer *a, pond_channel *channel)
{
    const record *end = seek(a, server_is("go") ? SILENCE : DEADLINE, .kind = POND_EVENT_CHANNEL_STATE,
                             .state = POND_CHANNEL_CLOSED);
    if (!end) {
        note("not told: %s", pond_state_name(pond_channel_state(channel)));
        return;
    }
    note("CLOSED %s '%s'", status_word(end->status), end->message);
    alive(a, chat(a, room("other"), "alice"));
    note("%s", pond_channel_state(channel) == POND_CHANNEL_CLOSED ? "stays out" : "rejoined by itself");
    note("send: %s", status_word(pond_channel_send(channel, "message", "{}", NULL)));
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    note("again: %s", alive(a, channel));
}

void evict_self(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    send_event(channel, "evict", "{\"reason\":\"too loud\"}");
    evicted(a, channel);
}

void evict_other(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *channel = chat(a, name, "alice"), *judge = chat(b, name, "bob");
    send_event(judge, "evict", "{\"username\":\"alice\",\"reason\":\"too loud\"}");
    evicted(a, channel);
    note("the other: %s", pond_state_name(pond_channel_state(judge)));
}

/* What a request of the closed channel ends with. */
static const record *asked_when_closed(peer *a, pond_channel *channel)
{
    const record *reply;
    int64_t end = now_ms() + DEADLINE;
    if (server_is("go")) {
        /* Handles events of a connection at once, and closes it with the channel: asked before, of a handler that has
         * begun and never replies. */
        uint64_t ticket = request(a, channel, "flood", "{\"count\":1,\"size\":1}", 60000);
        await(a, .kind = POND_EVENT_MESSAGE, .name = "flood");
        send_event(channel, "close-channel", NULL);
        return await(a, .kind = POND_EVENT_REPLY, .ticket = ticket);
    }
    send_event(channel, "close-channel", NULL);
    /* The answer of a ping that overtook it says nothing. */
    do reply = ask_in_vain(a, channel, "ping", NULL);
    while (reply->status == POND_OK && now_ms() < end);
    return reply;
}

void close_channel(void)
{
    server *own = own_server();
    peer *a = online_with(own->port, "alice", hasty());
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *state;
    size_t from;
    note("request: %s", outcome(asked_when_closed(a, channel)));
    /* Where the connection went with the channel, the rejoin may be under way, or refused by now. Only a join of the
     * program is told as JOINING. */
    from = length(a);
    OK(pond_channel_leave(channel));
    OK(pond_channel_join(channel));
    state = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINING, .from = from);
    state = await(a, .kind = POND_EVENT_CHANNEL_STATE, .from = state->index + 1);
    note("join again: %s", pond_state_name(state->state));
    server_kill(own);
}

/* An acknowledgement of some other join, put into the stream while this one waits. */
void join_alien_ack(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel;
    const record *early;
    char *name;
    size_t from;
    int tries = 0;
    do {
        size_t before = proxy_sent(net);
        name = room(text("a%d", tries));
        from = length(a);
        channel = channel_of(a, name, "{\"username\":\"alice\",\"mode\":\"slow\",\"delayMs\":700}");
        OK(pond_channel_join(channel));
        settle(proxy_sent(net) > before);
        proxy_down(net, text("{\"action\":\"SYSTEM\",\"event\":\"ACKNOWLEDGE\",\"channelName\":\"%s\","
                             "\"requestId\":\"somebody-elses\",\"payload\":{}}",
                             name));
        /* Behind it on the wire, and told at once: after it the acknowledgement has been looked at. */
        proxy_down(net, "{broken");
        await(a, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL, .from = from);
        early = seek(a, 0, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = from);
        /* On a slow machine it may be the answer to its own join by now: that says nothing. */
    } while (early && proxy_carried(net, name) && ++tries < 20);
    note("%s", early ? "JOINED by it" : "not taken");
    in_state(channel, POND_CHANNEL_JOINED);
    note("JOINED by its own");
}
