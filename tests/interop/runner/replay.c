/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios over recordings of the newer JavaScript dialect. The recorded application had words of its own, and a play
 * moves on only with the frames that its client sent: so these say less than the scenarios whose ids they bear.
 */
#include "scenarios.h"

static char *path_of(const char *recorded)
{
    return text("/api/socket?scenario=%s", recorded);
}

static peer *play_at(int port, const char *recorded)
{
    peer *a = peer_new(url_of("ws", port, path_of(recorded)), NULL, quick());
    OK(pond_client_connect(client_of(a)));
    connected(a);
    return a;
}

static peer *play(const char *recorded)
{
    return play_at(shared_port, recorded);
}

/* ---- connection --------------------------------------------------------------------------------------------- */

static void connect_played(void)
{
    peer *a = play("connect_accept");
    char *id = NULL;
    note("CONNECTED; %s", pond_client_connection_id(client_of(a), &id) == POND_OK ? "id told" : "no id");
}

static void greeting_played(void)
{
    peer *a = play("connect_reply");
    note("welcome: hello %s",
         member(await(a, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome")->payload, "/hello"));
}

static void refused_401(void)
{
    refused(path_of("connect_reject_401"), NULL);
}

static void refused_429(void)
{
    refused(path_of("connect_reject_403_429&conn=code429"), NULL);
}

static void refused_500(void)
{
    refused(path_of("connect_handler_throw"), NULL);
}

static void refused_silent(void)
{
    refused(path_of("connect_handler_silent"), NULL);
}

static void refused_404(void)
{
    refused(path_of("connect_unknown_endpoint"), NULL);
}

static void refused_always(void)
{
    refused_often(path_of("connect_reject_401"));
}

static void close_played(void)
{
    peer *a = play("server_close_conn");
    pond_channel *channel = joined(a, "/chat/sc", NULL);
    const record *lost;
    send_event(channel, "close_me", NULL);
    lost = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    note("%s, code %d", status_word(lost->status), (int)lost->close_code);
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
          .from = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED)->index);
    note("STALLED, rejoined");
}

/* ---- joining ------------------------------------------------------------------------------------------------ */

static void join_declined_played(void)
{
    peer *a = play("join_decline_403");
    pond_channel *channel = channel_of(a, "/chat/dec", "{\"mode\":\"decline\"}");
    try_join(a, channel);
    note("send: %s", status_word(pond_channel_send(channel, "message", "{}", NULL)));
}

static const record *join_refused(peer *a, const char *mode)
{
    pond_channel *channel = channel_of(a, text("/chat/dd-%s", mode), text("{\"mode\":\"%s\"}", mode));
    OK(pond_channel_join(channel));
    return await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED,
                 .channel = text("/chat/dd-%s", mode));
}

static void join_throws_played(void)
{
    peer *a = play("join_decline_default_throw_silent");
    const record *end;
    join_refused(a, "declineDefault");
    end = join_refused(a, "throw");
    note("DECLINED %d '%s'", (int)end->http_status, end->message);
}

static void join_silent_played(void)
{
    peer *a = play("join_decline_default_throw_silent");
    const record *end;
    join_refused(a, "declineDefault");
    join_refused(a, "throw");
    end = join_refused(a, "silent");
    note("DECLINED %d '%s'", (int)end->http_status, end->message);
}

static void reply_first_played(void)
{
    peer *a = play("join_reply_first");
    const record *early, *state;
    joined(a, "/chat/rf", "{\"mode\":\"replyFirst\"}");
    state = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED);
    early = await(a, .kind = POND_EVENT_MESSAGE, .name = "early");
    note("JOINED; early reply %s it", early->index > state->index ? "after" : "before");
}

static void unmatched_played(void)
{
    peer *a = play("join_unmatched");
    try_join(a, channel_of(a, "/nope/1", NULL));
}

static void leave_played(void)
{
    peer *a = play("join_ack_leave");
    pond_channel *channel = joined(a, "/chat/one", "{\"role\":\"admin\"}");
    OK(pond_channel_leave(channel));
    note("%s", pond_state_name(pond_channel_state(channel)));
    note("send: %s", status_word(pond_channel_send(channel, "message", "{}", NULL)));
    OK(pond_client_flush(client_of(a), DEADLINE));
    note("%u errors",
         (unsigned)(count(a, .kind = POND_EVENT_CHANNEL_ERROR) + count(a, .kind = POND_EVENT_CLIENT_ERROR)));
}

static void names_played(void)
{
    peer *a = play("join_names");
    joined(a, "/chat/q?k=v&z=1", NULL);
    joined(a, "/chat/caf%C3%A9", NULL);
    joined(a, "/chat/caf\xc3\xa9", NULL);
    note("three channels JOINED");
}

static void evicted_played(void)
{
    peer *a = play("evict_self");
    pond_channel *channel = joined(a, "/chat/evs", "{\"presence\":{\"id\":\"alice\"}}");
    const record *end;
    send_event(channel, "evict_me", NULL);
    end = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED);
    note("CLOSED %s '%s'", status_word(end->status), end->message);
    note("send: %s", status_word(pond_channel_send(channel, "ping", "{}", NULL)));
    note("%s", pond_channel_state(channel) == POND_CHANNEL_CLOSED ? "stays out" : "rejoined by itself");
}

/* ---- events ------------------------------------------------------------------------------------------------- */

/* Joins, and sends what the recorded client sent before this event. */
static pond_channel *before(peer *a, const char *event)
{
    static const char *const sent[] = {"message",
                                       "ping",
                                       "echo",
                                       "double",
                                       "bcast_then_reply",
                                       "broadcastFrom",
                                       "server_broadcast",
                                       "user/42",
                                       "user/a%20b?x=1&x=2",
                                       "user/\xc3\xa9",
                                       "nohandler",
                                       "boom",
                                       "declined",
                                       "noreply",
                                       "whoami"};
    pond_channel *channel = joined(a, "/chat/ev", NULL);
    size_t i;
    for (i = 0; strcmp(sent[i], event); i++) send_event(channel, sent[i], NULL);
    return channel;
}

static const record *asked(peer *a, const char *event)
{
    return ask(a, before(a, event), event, NULL);
}

static void join_played(void)
{
    peer *a = play("events_basic");
    note("JOINED");
    note("%s", outcome(asked(a, "ping")));
    note("%u messages of the protocol", (unsigned)protocol_messages(a));
}

static void broadcast_played(void)
{
    peer *a = play("events_basic");
    send_event(before(a, "message"), "message", NULL);
    note("sender: %s", member(await(a, .kind = POND_EVENT_MESSAGE, .name = "message")->payload, "/text"));
}

static void reply_played(void)
{
    const record *reply = asked(play("events_basic"), "ping");
    note("ping answered by %s; n %g", outcome(reply), number(reply->payload, "/echo/n"));
}

static void twice_played(void)
{
    peer *a = play("events_basic");
    const record *reply = asked(a, "double"), *second = await(a, .kind = POND_EVENT_MESSAGE, .name = "second");
    note("reply: %s", outcome(reply));
    note("second: a message, %s", second->request_id[0] ? "with the id" : "without id");
    note("%u reply", (unsigned)count(a, .kind = POND_EVENT_REPLY));
}

static void tell_played(void)
{
    peer *a = play("events_basic");
    const record *reply = asked(a, "bcast_then_reply"), *told = await(a, .kind = POND_EVENT_MESSAGE, .name = "note");
    note("reply: %s; broadcast delivered, %s", outcome(reply), told->request_id[0] ? "with the id" : "without id");
}

static void refused_event_played(const char *event)
{
    const record *reply = asked(play("events_basic"), event);
    note("request: %s '%s'", outcome(reply), reply->message);
}

static void no_handler_played(void)
{
    refused_event_played("nohandler");
}

static void throw_played(void)
{
    refused_event_played("boom");
}

static void decline_played(void)
{
    refused_event_played("declined");
}

static void silent_played(void)
{
    note("%s", outcome(asked(play("events_basic"), "noreply")));
}

static void news_played(void)
{
    peer *a = play("events_basic");
    send_event(before(a, "server_broadcast"), "server_broadcast", NULL);
    note("news %g", number(await(a, .kind = POND_EVENT_MESSAGE, .name = "srv")->payload, "/x"));
}

static void route_played(void)
{
    const record *reply = asked(play("events_basic"), "user/a%20b?x=1&x=2");
    note("%s; id %s; x %s", outcome(reply), member(reply->payload, "/id"), member(reply->payload, "/query/x"));
}

static void requests_played(void)
{
    enum { MANY = 100 };
    peer *a = play("request_burst_order");
    pond_channel *channel = joined(a, "/chat/rb", NULL);
    uint64_t tickets[MANY];
    int i, own = 0;
    for (i = 0; i < MANY; i++) tickets[i] = request(a, channel, "echo", text("{\"i\":%d}", i), DEADLINE);
    for (i = 0; i < MANY; i++) {
        const record *reply = await(a, .kind = POND_EVENT_REPLY, .ticket = tickets[i]);
        own += reply->status == POND_OK && number(reply->payload, "/i") == i;
    }
    note("%d of %d got their own reply", own, MANY);
}

/* ---- presence ----------------------------------------------------------------------------------------------- */

static pond_channel *in_flow(peer *a)
{
    pond_channel *channel = joined(a, "/chat/pr", "{\"presence\":{\"id\":\"alice\",\"status\":\"online\"}}");
    await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN,
          .from = 1 + await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN)->index);
    return channel;
}

static void presence_join_played(void)
{
    peer *a = play("presence_flow");
    pond_channel *channel = in_flow(a);
    const record *own = await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN);
    note("own: %s", member(own->changed, "/id"));
    tell("other", await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN, .from = own->index + 1),
         channel);
}

static void presence_update_played(void)
{
    peer *a = play("presence_flow");
    pond_channel *channel = in_flow(a);
    const record *update;
    send_event(channel, "presence", "{\"id\":\"alice\",\"status\":\"away\"}");
    update = await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_UPDATE);
    note("changed: %s is %s", member(update->changed, "/id"), member(update->changed, "/status"));
    note("list: %s", member(update->users, "/0/status"));
}

static void presence_leave_played(void)
{
    static const char *const sent[] = {"presence", "presence", "track", "untrack", "presence", "track"};
    peer *a = play("presence_flow");
    pond_channel *channel = in_flow(a);
    size_t i;
    for (i = 0; i < sizeof sent / sizeof *sent; i++) send_event(channel, sent[i], NULL);
    note("leaves: %s", member(await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE)->changed, "/id"));
}

/* ---- payloads ----------------------------------------------------------------------------------------------- */

static void echo_played(const char *recorded, const char *name, const char *part)
{
    proxy *net = proxy_start(shared_port);
    peer *a = play_at(proxy_port(net), recorded);
    const record *reply = ask(a, joined(a, name, NULL), "echo", NULL);
    note("%s", outcome(reply));
    note("%s", strstr(reply->payload, part) ? part : reply->payload);
    note("%s", proxy_carried(net, reply->payload) ? "bytes as the server sent them" : "bytes changed");
}

static void unicode_played(void)
{
    echo_played("unicode", "/chat/un", "\xe4\xb8\xad\xf0\x9f\x98\x80");
}

static void numbers_played(void)
{
    echo_played("numbers", "/chat/nu", "\"big\":9007199254740992");
}

static void types_played(void)
{
    peer *a = play("payload_types_from_server");
    pond_channel *channel = joined(a, "/chat/pt", NULL);
    note("array: %s", ask(a, channel, "payload_array", NULL)->payload);
    note("null: %s", ask(a, channel, "payload_null", NULL)->payload);
    note("string: %s", ask(a, channel, "payload_string", NULL)->payload);
    note("missing: %s", ask(a, channel, "payload_undefined", NULL)->payload);
}

static void malformed_played(void)
{
    peer *a = play("malformed");
    const record *error;
    pond_channel *channel = joined(a, "/chat/mf", NULL);
    error = await(a, .kind = POND_EVENT_CLIENT_ERROR);
    note("%s %s", status_word(error->status), error->code);
    note("%s", pond_channel_state(channel) == POND_CHANNEL_JOINED ? "stays JOINED" : "lost");
}

static void flood_played(void)
{
    enum { MANY = 200 };
    peer *a = play("burst");
    size_t at = 0;
    int i, ordered = 1;
    send_event(joined(a, "/chat/bu", NULL), "burst", "{\"n\":200}");
    settle(count(a, .kind = POND_EVENT_MESSAGE, .name = "burst") >= MANY);
    for (i = 0; i < MANY; i++) {
        const record *r = seek(a, 0, .kind = POND_EVENT_MESSAGE, .name = "burst", .from = at);
        ordered &= number(r->payload, "/i") == i;
        at = r->index + 1;
    }
    note("%d of %d; %s", (int)count(a, .kind = POND_EVENT_MESSAGE, .name = "burst"), MANY,
         ordered ? "in order" : "in another order");
}

const recording recordings[] = {
    {"connect", "connect_accept", "CONNECTED; no id", connect_played},
    {"connect-params", "connect_reply", "welcome: hello alice", greeting_played},
    {"reject-token", "connect_reject_401", "HTTP 401 *Invalid token*; gave up", refused_401},
    {"reject-code", "connect_reject_403_429", "HTTP 429 *; tried again", refused_429},
    {"reject-throw", "connect_handler_throw", "HTTP 500 *connection boom*; tried again", refused_500},
    {"reject-silent", "connect_handler_silent", "HTTP 500 *; tried again", refused_silent},
    {"reject-endpoint", "connect_unknown_endpoint", "HTTP 404 *; tried again", refused_404},
    {"reject-backoff", "connect_reject_401", "attempts 1 to 8; backoff grows; never CONNECTED", refused_always},
    {"close-me", "server_close_conn", "CONNECTION_LOST, code 1005; STALLED, rejoined", close_played},
    {"join", "events_basic", "JOINED; pong; 0 messages of the protocol", join_played},
    {"join-declined", "join_decline_403", "DECLINED 403 'No entry'; send: DECLINED", join_declined_played},
    {"join-throws", "join_decline_default_throw_silent", "DECLINED 500 'join boom'", join_throws_played},
    {"join-silent", "join_decline_default_throw_silent", "DECLINED 500 *", join_silent_played},
    {"join-reply-first", "join_reply_first", "JOINED; early reply after it", reply_first_played},
    {"join-unmatched", "join_unmatched", "DECLINED 404 *", unmatched_played},
    {"leave", "join_ack_leave", "CLOSED; send: CLOSED; 0 errors", leave_played},
    {"evict-self", "evict_self", "CLOSED EVICTED 'bye'; send: CLOSED; stays out", evicted_played},
    {"names", "join_names", "three channels JOINED", names_played},
    {"broadcast", "events_basic", "sender: hi", broadcast_played},
    {"reply", "events_basic", "ping answered by pong; n 1", reply_played},
    {"twice", "events_basic", "reply: first; second: a message, with the id; 1 reply", twice_played},
    {"tell-and-reply", "events_basic", "reply: done; broadcast delivered, with the id", tell_played},
    {"no-handler", "events_basic", "request: SERVER 500 HANDLER_NOT_FOUND 'A handler did not respond to the event'",
     no_handler_played},
    {"throw", "events_basic", "request: SERVER 500 HANDLER_NOT_FOUND 'handler boom'", throw_played},
    {"decline", "events_basic", "request: SERVER 500 HANDLER_NOT_FOUND 'declined by handler'", decline_played},
    {"silent", "events_basic", "TIMEOUT", silent_played},
    {"news", "events_basic", "news 1", news_played},
    {"route", "events_basic", "user/reply; id a b; x 2", route_played},
    {"requests", "request_burst_order", "100 of 100 got their own reply", requests_played},
    {"presence-join", "presence_flow", "own: alice; other: bob, list alice+bob", presence_join_played},
    {"presence-update", "presence_flow", "changed: alice is online; list: away", presence_update_played},
    {"presence-leave", "presence_flow", "leaves: bob", presence_leave_played},
    {"unicode", "unicode", "echo; \xe4\xb8\xad\xf0\x9f\x98\x80; bytes as the server sent them", unicode_played},
    {"numbers", "numbers", "echo; \"big\":9007199254740992; bytes as the server sent them", numbers_played},
    {"types", "payload_types_from_server", "array: [[]1,2,3]; null: null; string: \"text\"; missing: {}", types_played},
    {"endpoint-errors", "malformed", "SERVER INVALID_MESSAGE; stays JOINED", malformed_played},
    {"flood", "burst", "200 of 200; in order", flood_played},
    {NULL, NULL, NULL, NULL},
};
