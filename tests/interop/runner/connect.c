/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: connecting, being refused, staying connected, going.
 */
#include "scenarios.h"

#include <signal.h>

void connect_accepted(void)
{
    peer *a = online(shared_port, "alice");
    const record *first = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTING);
    const record *second = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    char *id = NULL;
    note("%s", first->index < second->index ? "CONNECTING, CONNECTED" : "wrong order");
    if (pond_client_connection_id(client_of(a), &id) == POND_OK && id[0]) note("id told");
    else note("no id");
}

void connect_http(void)
{
    peer *a = peer_new(url_of("http", shared_port, "/api/socket"), who("alice"), quick());
    OK(pond_client_connect(client_of(a)));
    connected(a);
    note("CONNECTED");
}

void connect_params(void)
{
    pond_options *options = quick();
    peer *a;
    const record *welcome;
    OK(pond_options_set_header(options, "X-Test", "a header"));
    a = peer_new(url_of("ws", shared_port, "/api/socket?greet=1&kept=own%20query&name=nobody"),
                 "{\"token\":\"secret\",\"name\":\"J\xc3\xbcrgen & co\",\"number\":7,\"on\":true,\"list\":[1,\"b\"],"
                 "\"none\":null}",
                 options);
    OK(pond_client_connect(client_of(a)));
    welcome = await(a, .kind = POND_EVENT_CLIENT_MESSAGE, .name = "welcome");
    note("%s", strcmp(member(welcome->payload, "/name"), "J\xc3\xbcrgen & co") ? "name lost" : "name");
    note("header %s", member(welcome->payload, "/header"));
    note("%s", member(welcome->payload, "/query/kept"));
    note("number %s", member(welcome->payload, "/query/number"));
    note("on %s", member(welcome->payload, "/query/on"));
    note("list %s", member(welcome->payload, "/query/list"));
    note("%s", strstr(welcome->payload, "\"none\"") ? "null sent" : "null left out");
}

/* Dials until it gave up, was refused twice, or got in. */
void refused(const char *path, const char *params)
{
    peer *a = peer_new(url_of("ws", shared_port, path), params, quick());
    const record *error, *state;
    OK(pond_client_connect(client_of(a)));
    /* Or let in: where nothing tells a refusal from a server without CONNECTION. */
    settle(count(a, .kind = POND_EVENT_CLIENT_ERROR) ||
           count(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED));
    error = seek(a, 0, .kind = POND_EVENT_CLIENT_ERROR);
    if (!error) {
        note("CONNECTED");
        return;
    }
    note("%s", failure(error));
    state = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = error->index);
    if (state->retry_ms == POND_FOREVER) note("gave up");
    else await(a, .kind = POND_EVENT_CLIENT_ERROR, .from = state->index), note("tried again");
    if (count(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED)) note("CONNECTED in between");
}

void reject_token(void)
{
    refused("/api/socket", "{\"token\":\"wrong\"}");
}

void reject_code(void)
{
    refused("/api/socket", "{\"token\":\"secret\",\"mode\":\"decline\",\"code\":429,\"message\":\"Slow down\"}");
}

void reject_throw(void)
{
    refused("/api/socket", "{\"token\":\"secret\",\"mode\":\"throw\"}");
}

void reject_silent(void)
{
    refused("/api/socket", "{\"token\":\"secret\",\"mode\":\"silent\"}");
}

void reject_endpoint(void)
{
    refused("/api/nowhere", "{\"token\":\"secret\"}");
}

/* Full jitter: a time of 0 up to base * 2^n. That none of the last ones exceeds four times the base when they grow
 * has a chance of less than one in 10,000. */
void refused_often(const char *path)
{
    pond_options *options = quick();
    peer *a;
    uint32_t longest = 0, n, base = 20;
    size_t from = 0;
    OK(pond_options_set_backoff_ms(options, base, 60000));
    OK(pond_options_set_retry_refused(options, 1));
    a = peer_new(url_of("ws", shared_port, path), "{\"token\":\"wrong\"}", options);
    OK(pond_client_connect(client_of(a)));
    for (n = 1; n <= 8; n++) {
        const record *error = await(a, .kind = POND_EVENT_CLIENT_ERROR, .from = from);
        if (error->attempt != n) give_up("attempt %u told as %u", n, error->attempt);
        if (error->retry_ms > base << n) give_up("attempt %u waits %u ms", n, error->retry_ms);
        if (error->retry_ms > longest) longest = error->retry_ms;
        from = error->index + 1;
    }
    note("attempts 1 to 8");
    note("%s", longest > 4 * base ? "backoff grows" : "backoff does not grow");
    note("%s", count(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED) ? "CONNECTED in between"
                                                                                         : "never CONNECTED");
}

void reject_backoff(void)
{
    refused_often("/api/socket");
}

void connect_twice(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = peer_new(url_of("ws", proxy_port(net), "/api/socket"), who("alice"), quick());
    OK(pond_client_connect(client_of(a)));
    OK(pond_client_connect(client_of(a)));
    connected(a);
    OK(pond_client_connect(client_of(a)));
    await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED);
    /* A round trip, so that a second socket would have been seen. */
    note("%s", alive(a, chat(a, room("a"), "alice")));
    note("%d connection", proxy_connections(net));
}

/* Nobody listens at first. */
void connect_later(void)
{
    server *own = own_server();
    peer *a;
    const record *error;
    server_kill(own);
    a = peer_new(url_of("ws", own->port, "/api/socket"), who("alice"), quick());
    OK(pond_client_connect(client_of(a)));
    error = await(a, .kind = POND_EVENT_CLIENT_ERROR);
    note("%s", status_word(error->status));
    await(a, .kind = POND_EVENT_CLIENT_ERROR, .from = error->index + 1);
    OK(pond_client_connect(client_of(a)));
    if (pond_client_state(client_of(a)) == POND_CLIENT_CONNECTED) give_up("CONNECTED to nobody");
    own_restart(own);
    connected(a);
    chat(a, room("a"), "alice");
    note("CONNECTED when it listens");
    server_kill(own);
}

/* The upgrade succeeds, then nothing comes. */
void connect_mute(void)
{
    proxy *net = proxy_start(shared_port);
    pond_options *options = quick();
    peer *a;
    const record *error;
    proxy_mute(net, 1);
    OK(pond_options_set_connect_timeout_ms(options, 1500));
    OK(pond_options_set_legacy_grace_ms(options, 0));
    a = peer_new(url_of("ws", proxy_port(net), "/api/socket"), who("alice"), options);
    OK(pond_client_connect(client_of(a)));
    error = await(a, .kind = POND_EVENT_CLIENT_ERROR);
    note("%s", status_word(error->status));
    proxy_mute(net, 0);
    /* A server that has no CONNECTION to send stays in this state: one more timeout shows it. */
    if (server_is("js-legacy")) {
        await(a, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_TIMEOUT, .from = error->index + 1);
        note("%s", pond_client_state(client_of(a)) == POND_CLIENT_CONNECTED ? "CONNECTED" : "never CONNECTED");
        return;
    }
    connected(a);
    note("CONNECTED when it speaks");
}

/* No option set: what a program gets that only gives the URL. */
void connect_default(void)
{
    peer *a = online_with(shared_port, "alice", NULL);
    const record *reply;
    pond_channel *channel = chat(a, room("a"), "alice");
    note("CONNECTED, JOINED");
    send_event(channel, "message", "{\"text\":\"hi\"}");
    reply = await(a, .kind = POND_EVENT_MESSAGE, .name = "message");
    note("%s", member(reply->payload, "/text"));
    note("%s", count(a, .kind = POND_EVENT_CLIENT_ERROR) ? "errors" : "no error");
}

/* For a busy machine, beyond what the options allow. */
#define SLACK 10000

void disconnect_clean(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *watched = chat(a, name, "alice"), *left = chat(b, name, "bob");
    int64_t start;
    size_t from;
    const record *seen;
    if (server_is("go")) alive(a, watched);
    else presence(a, POND_PRESENCE_JOIN, "bob", 0);
    from = length(a);
    start = now_ms();
    OK(pond_client_disconnect(client_of(b)));
    if (pond_channel_state(left) != POND_CHANNEL_CLOSED) note("channel %s", pond_state_name(pond_channel_state(left)));
    await(b, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    /* 2 s are what the goodbye may take. */
    note("%s", now_ms() - start < 2000 + SLACK ? "gone in time" : "slow");
    await(b, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_CLOSED);
    note("DISCONNECTED %u time",
         (unsigned)count(b, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED));
    note("%s", count(b, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED) ? "STALLED" : "CLOSED");
    seen = presence(a, POND_PRESENCE_LEAVE, "bob", from);
    note("others see %s", seen ? "the LEAVE" : "nothing");
    /* Whoever is told a message of a ghost would be told to it, too: the server must have forgotten it. */
    OK(pond_client_connect(client_of(b)));
    connected(b);
    OK(pond_channel_join(left));
    in_state(left, POND_CHANNEL_JOINED);
    note("comes back");
}

/* Only pings for a while. */
void quiet_link(void)
{
    proxy *net = proxy_start(shared_port);
    pond_options *options = quick();
    peer *a;
    size_t before;
    pond_stats stats;
    OK(pond_options_set_ping_interval_ms(options, 150));
    OK(pond_options_set_pong_timeout_ms(options, DEADLINE));
    a = online_with(proxy_port(net), "alice", options);
    chat(a, room("a"), "alice");
    before = proxy_sent(net);
    /* A ping is a frame of 6 bytes at least; nothing else is sent. */
    settle(proxy_sent(net) >= before + 10 * 6);
    OK(pond_client_stats(client_of(a), &stats, sizeof stats));
    note("%s", stats.rtt_us ? "pings answered" : "no pong");
    note("%s",
         stats.connects == 1 && pond_client_state(client_of(a)) == POND_CLIENT_CONNECTED ? "stays CONNECTED" : "lost");
}

static void healed(peer *a, pond_channel *channel)
{
    await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED,
          .from = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED)->index);
    in_state(channel, POND_CHANNEL_JOINED);
    note("healed");
    note("%s", alive(a, channel));
}

/* The link swallows everything from one moment on, and both ends believe that it lives. */
void zombie_link(void)
{
    proxy *net = proxy_start(shared_port);
    pond_options *options = quick();
    peer *a;
    pond_channel *channel;
    const record *lost;
    int64_t start;
    OK(pond_options_set_ping_interval_ms(options, 300));
    OK(pond_options_set_pong_timeout_ms(options, 2000));
    a = online_with(proxy_port(net), "alice", options);
    channel = chat(a, room("a"), "alice");
    start = now_ms();
    proxy_freeze(net, 1);
    lost = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    note("%s", status_word(lost->status));
    note("%s", lost->when - start <= 300 + 2000 + SLACK ? "found in time"
                                                        : text("found after %d ms", (int)(lost->when - start)));
    healed(a, channel);
}

/* The server's own loop dies or goes deaf behind a live socket: Rust by a panic, Python by an empty name. Python
 * answers pings until something waits to be read, and broadcasts reach the client: the clock starts with the next
 * message. */
void zombie_server(void)
{
    server *own = own_server();
    proxy *net = proxy_start(own->port);
    pond_options *options = quick();
    peer *a;
    pond_channel *channel;
    const record *reply;
    int64_t start;
    OK(pond_options_set_ping_interval_ms(options, 300));
    OK(pond_options_set_pong_timeout_ms(options, 2000));
    a = online_with(proxy_port(net), "alice", options);
    channel = chat(a, room("a"), "alice");
    if (server_is("rust")) send_event(channel, "panic", NULL);
    else
        proxy_up(net,
                 "{\"action\":\"BROADCAST\",\"event\":\"\",\"channelName\":\"\",\"requestId\":\"\",\"payload\":{}}");
    start = now_ms();
    if (server_is("js-legacy")) reply = talk(a, channel, "ping", NULL, "pong");
    else reply = await(a, .kind = POND_EVENT_REPLY, .ticket = request(a, channel, "ping", NULL, 60000));
    note("request: %s", outcome(reply));
    if (reply->status == POND_ERROR_CONNECTION_LOST) {
        note("%s", reply->when - start <= 300 + 2000 + SLACK ? "found in time"
                                                             : text("found after %d ms", (int)(reply->when - start)));
        healed(a, channel);
    }
    server_kill(own);
}
