/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: connections that die, and what is then found again.
 */
#include "scenarios.h"

/* A marker sent and received: whatever was to come before it has come, where the server keeps order. */
static void marker(peer *a, pond_channel *channel, const char *what)
{
    size_t from = length(a);
    send_event(channel, "message", text("{\"marker\":\"%s\"}", what));
    await(a, .kind = POND_EVENT_MESSAGE, .has = text("\"%s\"", what), .from = from);
}

void close_me(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *lost;
    send_event(channel, "close-me", NULL);
    lost = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    note("%s, code %d", status_word(lost->status), (int)lost->close_code);
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
          .from =
              await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED, .from = lost->index)->index);
    note("STALLED, rejoined");
    note("%s", alive(a, channel));
}

/* The process goes, messages queue up, the backoff grows; then it is back. */
void server_dies(void)
{
    enum { BASE = 20, MESSAGES = 20 };
    server *own = own_server();
    pond_options *options = quick();
    peer *a, *b;
    pond_channel *channel;
    const record *lost, *back, *r;
    char *name = room("a");
    uint32_t longest = 0, n;
    size_t from, at;
    int i, next = 0, ordered = 1;
    OK(pond_options_set_backoff_ms(options, BASE, 1000));
    a = online_with(own->port, "alice", options);
    channel = chat(a, name, "alice");
    send_event(channel, "die", NULL);
    if (!server_gone(own, DEADLINE)) give_up("the server did not die");
    lost = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    note("%s", status_word(lost->status));
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    for (i = 0; i < MESSAGES; i++) send_event(channel, "message", text("{\"n\":%d}", i));
    from = lost->index + 1;
    /* A random part of the backoff is waited: seven dials, and more when all of them were short. */
    for (n = 1; n <= 7 || (longest <= 4 * BASE && n <= 30); n++) {
        r = await(a, .kind = POND_EVENT_CLIENT_ERROR, .from = from);
        if (r->retry_ms > longest) longest = r->retry_ms;
        from = r->index + 1;
    }
    note("%s", longest > 4 * BASE ? "backoff grows" : "backoff does not grow");
    own_restart(own);
    OK(pond_client_reconnect_now(client_of(a)));
    back = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = lost->index);
    note("rejoined");
    for (i = 0; i < MESSAGES; i++) numbered(a, "message", i, back->index);
    note("%u queued arrived", (unsigned)count(a, .kind = POND_EVENT_MESSAGE, .name = "message", .from = back->index));
    /* Order as the server handled them: who joins now is told the history. */
    b = online(own->port, "bob");
    joined(b, name, "{\"username\":\"bob\",\"history\":true}");
    r = await(b, .kind = POND_EVENT_MESSAGE, .name = "history");
    for (at = 0; at < MESSAGES; at++) ordered &= number(r->payload, text("/messages/%d/n", (int)at)) == next++;
    note("%s", ordered ? "in order" : "not in order");
    server_kill(own);
}

/* A channel whose join takes time. Somebody stays in it: without that, the Python server closes the channel when it
 * finds that the one whose link broke is gone, under the feet of the join that waits. */
static pond_channel *slow_chat(peer *a)
{
    char *name = room("a");
    chat(online(shared_port, "bob"), name, "bob");
    return channel_of(a, name, "{\"username\":\"alice\",\"mode\":\"slow\",\"delayMs\":600}");
}

/* Waits until the JOIN has gone through the proxy. */
static void join_sent(proxy *net, size_t before)
{
    settle(proxy_sent(net) > before);
}

void drop_while_joining(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = slow_chat(a);
    size_t before = proxy_sent(net);
    OK(pond_channel_join(channel));
    join_sent(net, before);
    proxy_drop(net);
    await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED);
    in_state(channel, POND_CHANNEL_JOINED);
    note("JOINED");
    note("%s",
         count(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED) ? "DECLINED" : "never DECLINED");
    note("%s", alive(a, channel));
}

void drop_while_rejoining(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online_with(proxy_port(net), "alice", hasty());
    pond_channel *channel = slow_chat(a);
    const record *again;
    size_t handshake = proxy_sent(net), before;
    int tries = 0;
    OK(pond_channel_join(channel));
    in_state(channel, POND_CHANNEL_JOINED);
    do {
        size_t from = length(a);
        before = proxy_sent(net);
        proxy_drop(net);
        again = await(
            a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_CONNECTED,
            .from = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = from)->index);
        /* What is more than another handshake is the JOIN; its answer takes 600 ms. */
        join_sent(net, before + handshake);
        /* A machine may be so slow that it has come: then once again. */
    } while (pond_channel_state(channel) == POND_CHANNEL_JOINED && ++tries < 20);
    if (pond_channel_state(channel) == POND_CHANNEL_JOINED) give_up("rejoined too early");
    proxy_drop(net);
    again = await(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED, .from = again->index);
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = again->index);
    note("JOINED");
    /* Longer than the join timeout after the first rejoin: no old timer may fire. */
    seek(a, SILENCE, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED);
    note("%s",
         count(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_DECLINED) ? "DECLINED" : "never DECLINED");
    note("%s", alive(a, channel));
}

void rejoin_once(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    size_t from = 0;
    int i;
    for (i = 0; i < 3; i++) {
        from = length(a);
        proxy_drop(net);
        await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
              .from = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED, .from = from)->index);
    }
    from = length(a);
    send_event(channel, "message", "{\"text\":\"once\"}");
    await(a, .kind = POND_EVENT_MESSAGE, .name = "message", .from = from);
    marker(a, channel, "end");
    note("3 rejoins");
    note("a message comes %u time", (unsigned)count(a, .kind = POND_EVENT_MESSAGE, .has = "once", .from = from));
}

void requests_end(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = chat(a, room("a"), "alice"), *second = chat(a, room("b"), "alice");
    uint64_t ticket = request(a, channel, "silent", NULL, 60000);
    OK(pond_channel_leave(channel));
    note("leave: %s", status_word(await(a, .kind = POND_EVENT_REPLY, .ticket = ticket)->status));
    ticket = request(a, second, "silent", NULL, 60000);
    OK(pond_client_flush(client_of(a), DEADLINE));
    proxy_drop(net);
    note("drop: %s", status_word(await(a, .kind = POND_EVENT_REPLY, .ticket = ticket)->status));
    await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED,
          .from = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED)->index);
    ticket = request(a, second, "silent", NULL, 60000);
    OK(pond_client_disconnect(client_of(a)));
    note("disconnect: %s", status_word(await(a, .kind = POND_EVENT_REPLY, .ticket = ticket)->status));
}
