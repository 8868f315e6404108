/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The trials that the official clients are put to, and what libpondsocket shows in the same place.
 */
#include "bench.h"

/* ---- connection --------------------------------------------------------------------------------------------- */

static void trial_connect(void)
{
    begun(0);
    note("CONNECTED");
}

static void trial_params(void)
{
    char *line;
    begin();
    drive("new\t%s\t{\"token\":\"secret\",\"list\":[1,\"b\"],\"none\":null,\"on\":true}\t0\t0", address("?kept=own"));
    drive("connect\t0");
    within(3000, proxy_connections(net) > 0 && proxy_request(net)[0]);
    line = proxy_request(net);
    note("%s", strstr(line, "kept=own") ? "own query kept" : "own query lost");
    note("%s", strstr(line, "none=") ? "null sent as text" : "null left out");
    note("%s", strstr(line, "on=true") ? "on true" : "on garbled");
}

static void trial_twice(void)
{
    char *name = room("a");
    begin();
    made("alice", 0);
    drive("connect\t0");
    drive("connect\t0");
    if (!within(4000, is(drive("state\t0"), "CONNECTED"))) ended("never CONNECTED");
    drive("connect\t0");
    join_driver(0, name, "alice");
    note("sockets: %d", proxy_connections(net));
}

static void trial_later(void)
{
    begin();
    proxy_refuse(net, 1);
    made("alice", 0);
    drive("connect\t0");
    within(4000, proxy_connections(net) >= 2);
    if (is(drive("state\t0"), "CONNECTED")) note("CONNECTED to nobody");
    proxy_refuse(net, 0);
    note("%s", within(4500, is(drive("state\t0"), "CONNECTED")) ? "CONNECTED when it listens" : "never CONNECTED");
}

static void trial_mute(void)
{
    begin();
    proxy_mute(net, 1);
    made("alice", 0);
    drive("connect\t0");
    note("%s", within(1500, is(drive("state\t0"), "CONNECTED")) ? "CONNECTED before it speaks" : "waits");
    proxy_mute(net, 0);
    note("%s", within(7500, proxy_connections(net) > 1) ? "tries again" : "stays with it");
}

static void trial_refused(void)
{
    begin();
    drive("new\t%s\t{\"token\":\"wrong\"}\t0\t0", address(""));
    drive("connect\t0");
    within(5000, proxy_connections(net) > 50); /* a rate needs a time */
    note("%d dials in 5 s", proxy_connections(net));
    note("%s", is(drive("connects\t0"), "0") ? "never CONNECTED" : "CONNECTED in between");
}

static void trial_quiet(void)
{
    in_room(1000);
    within(5000, proxy_connections(net) > 1);
    note("%s", proxy_connections(net) > 1 || !is(drive("state\t0"), "CONNECTED") ? "link given up" : "stays CONNECTED");
}

static void trial_zombie(void)
{
    in_room(1000);
    proxy_freeze(net, 1);
    note("%s", within(7000, proxy_connections(net) > 1) ? "found" : "not found within 7 s");
}

static void trial_close_me(void)
{
    char *name = in_room(0);
    drive("send\t0\t%s\tclose-me\t{}", name);
    within(2000, !is(drive("channel\t0\t%s", name), "JOINED"));
    note("%s", joined_within(0, name, 5000) ? "rejoined" : "never rejoined");
}

static void trial_server_dies(void)
{
    char *name = in_room(0);
    proxy_refuse(net, 1);
    proxy_drop(net);
    within(4000, proxy_connections(net) >= 3);
    proxy_refuse(net, 0);
    note("%s", joined_within(0, name, 4500) && is(drive("state\t0"), "CONNECTED") ? "rejoined" : "never rejoined");
}

static void trial_drop_joining(void)
{
    char *name = begun(0);
    size_t before = proxy_sent(net);
    drive("join\t0\t%s\t{\"username\":\"alice\",\"mode\":\"slow\",\"delayMs\":500}", name);
    if (!within(2000, proxy_sent(net) > before)) ended("no JOIN sent");
    proxy_drop(net);
    note("%s", joined_within(0, name, 6000) ? "JOINED" : drive("channel\t0\t%s", name));
}

static void trial_rejoins(void)
{
    char *name = in_room(0);
    int i;
    for (i = 0; i < 2; i++) {
        proxy_drop(net);
        within(1000, !is(drive("channel\t0\t%s", name), "JOINED"));
        if (!joined_within(0, name, 3000)) ended("never rejoined");
    }
    drive("send\t0\t%s\tmessage\t{\"text\":\"once\"}", name);
    within(2000, !is(drive("count\t0\t%s\tmessage", name), "0"));
    pong(name);
    note("2 rejoins; a message comes %s time", drive("count\t0\t%s\tmessage", name));
}

/* ---- joining ------------------------------------------------------------------------------------------------ */

static void trial_join(void)
{
    char *name = in_room(0);
    note("JOINED; %s", pong(name));
    note("%s of the protocol's messages", drive("count\t0\t%s\tACKNOWLEDGE", name));
}

static void declined(const char *name, const char *params)
{
    drive("join\t0\t%s\t%s", name, params);
    note("%s", within(4500, is(drive("channel\t0\t%s", name), "DECLINED")) ? "DECLINED" : "JOINING after 4.5 s");
}

static void trial_declined(void)
{
    declined(begun(0), "{\"username\":\"alice\",\"mode\":\"decline\"}");
}

static void trial_silent_join(void)
{
    declined(begun(0), "{\"username\":\"alice\",\"mode\":\"silent\"}");
}

static void trial_unmatched(void)
{
    begun(0);
    declined("/nowhere/1", "{}");
}

static void trial_offline(void)
{
    char *name = room("a");
    int i;
    begin();
    made("alice", 0);
    drive("join\t0\t%s\t{\"username\":\"alice\"}", name);
    for (i = 0; i < 100; i++) drive("send\t0\t%s\tmessage\t{\"n\":%d}", name, i);
    drive("connect\t0");
    if (!joined_within(0, name, 4000)) ended(drive("channel\t0\t%s", name));
    within(3000, is(drive("count\t0\t%s\tmessage", name), "100"));
    note("JOINED; %s of 100 arrive", drive("count\t0\t%s\tmessage", name));
}

static void trial_leave(void)
{
    char *name = in_room(0);
    drive("leave\t0\t%s", name);
    note("%s", drive("channel\t0\t%s", name));
    note("%s", strstr(drive("send\t0\t%s\tmessage\t{}", name), "error") ? "send refused" : "send vanishes");
}

static void trial_evicted(void)
{
    char *name;
    if (server_is("go")) not_here(); /* does not tell the victim */
    name = in_room(0);
    drive("send\t0\t%s\tevict\t{\"reason\":\"bye\"}", name);
    within(2000, !is(drive("channel\t0\t%s", name), "JOINED"));
    note("%s", is(drive("channel\t0\t%s", name), "JOINED") ? "stays JOINED" : drive("channel\t0\t%s", name));
}

/* ---- messages ----------------------------------------------------------------------------------------------- */

static void trial_reply(void)
{
    note("%s", pong(in_room(0)));
}

static void trial_tell(void)
{
    char *name = in_room(0), *answer = asked(name, "tell-and-reply", "{\"n\":1}", 2500);
    note("%.5s", answer);
    note("broadcast %s", within(1500, !is(drive("count\t0\t%s\ttold", name), "0")) ? "delivered" : "lost");
}

static void refused_event(const char *event)
{
    char *answer = asked(in_room(0), event, "{}", 2500);
    note("%s", strstr(answer, "reply") == answer ? "counts as success" : "no success");
}

static void trial_no_handler(void)
{
    refused_event("nobody-handles-this");
}

static void trial_throw(void)
{
    refused_event("throw");
}

static void trial_requests_end(void)
{
    char *name = in_room(0), *number = drive("ask\t0\t%s\tsilent\t{}\t60000", name), *answer = NULL;
    drive("leave\t0\t%s", name);
    note("leave: %s", within(2500, !is(answer = drive("answer\t%s", number), "pending")) ? answer : "never ends");
}

static void trial_observers(void)
{
    char *name;
    begin();
    drive("order"); /* ends it where there is no such thing */
    online_driver(0, "alice", 0);
    name = room("a");
    join_driver(0, name, "alice");
    drive("watch\t0\t%s\tmessage", name);
    drive("send\t0\t%s\tmessage\t{\"n\":1}", name);
    within(2000, strlen(drive("order")) >= 8);
    note("eight handlers %s", is(drive("order"), "12345678") ? "in order" : "out of order");
}

static void trial_presence(void)
{
    char *name;
    if (server_is("go")) not_here(); /* tells no presence on one node */
    name = in_room(0);
    online_driver(1, "bob", 0);
    join_driver(1, name, "bob");
    within(2000, strstr(drive("users\t0\t%s", name), "bob") != NULL);
    note("%s", strstr(drive("users\t0\t%s", name), "bob") ? "both in the list" : drive("users\t0\t%s", name));
}

static const char *presence_form =
    "{\"action\":\"PRESENCE\",\"event\":\"%s\",\"channelName\":\"%s\",\"requestId\":\"p%d\","
    "\"payload\":%s}";

static void trial_shapes(void)
{
    char *name = begun(0);
    drive("join\t0\t%s\t{\"username\":\"alice\",\"presence\":false}", name);
    if (!joined_within(0, name, 4000)) ended("never JOINED");
    proxy_down(net, text(presence_form, "JOIN", name, 1,
                         "{\"changed\":{\"id\":\"bob\"},\"presence\":[{\"id\":\"alice\"},{\"id\":\"bob\"}]}"));
    if (!within(2000, strstr(drive("users\t0\t%s", name), "bob") != NULL)) ended("no list");
    proxy_down(net, text(presence_form, "LEAVE", name, 2, "{\"userId\":\"x\",\"changed\":{\"id\":\"bob\"}}"));
    within(700, strstr(drive("users\t0\t%s", name), "alice") == NULL);
    note("%s", strstr(drive("users\t0\t%s", name), "alice") ? "list kept" : "list lost");
    note("%s", pong(name));
}

static void trial_types(void)
{
    char *name = in_room(0), *answer = asked(name, "types", "{\"type\":\"array\"}", 2000);
    note("array %s", strstr(answer, "[") ? "handed over" : "lost");
    note("%s", pong(name));
}

static void trial_bad_frames(void)
{
    char *name = in_room(0);
    proxy_down(net, "{not json");
    proxy_down(net,
               "{\"action\":\"BROADCAST\",\"event\":\"x\",\"channelName\":\"/x\",\"requestId\":\"r\",\"payload\":NaN}");
    note("%s", pong(name));
}

static void trial_batched(void)
{
    static const char form[] =
        "{\"action\":\"BROADCAST\",\"event\":\"batch\",\"channelName\":\"%s\",\"requestId\":\"b%d\","
        "\"payload\":{\"n\":%d}}";
    char *name = in_room(0);
    proxy_down(net, text("%s\n%s\n%s", text(form, name, 1, 1), text(form, name, 2, 2), text(form, name, 3, 3)));
    within(1500, is(drive("count\t0\t%s\tbatch", name), "3"));
    note("%s of 3", drive("count\t0\t%s\tbatch", name));
}

static void trial_flood(void)
{
    char *name = in_room(0);
    drive("send\t0\t%s\tflood\t{\"count\":1000,\"size\":50}", name);
    within(5000, is(drive("count\t0\t%s\tflood", name), "1000"));
    note("%s of 1000", drive("count\t0\t%s\tflood", name));
}

const scenario trials[] = {
    {"connect", "CONNECTED", "legacy", "CONNECTED", trial_connect},
    {"connect-params", "own query kept; null left out; on true", "", "own query kept; null left out; on true",
     trial_params},
    {"connect-twice", "sockets: 1", "", "sockets: 1", trial_twice},
    {"connect-later", "CONNECTED when it listens", "", "CONNECTED when it listens", trial_later},
    {"connect-mute", "waits; tries again", "", "waits; tries again", trial_mute},
    {"reject-backoff", "up to 4 dials in 5 s; never CONNECTED", "legacy", "[1-4] dials in 5 s; never CONNECTED",
     trial_refused},
    {"quiet-link", "stays CONNECTED", "", "stays CONNECTED", trial_quiet},
    {"zombie-link", "found", "", "found", trial_zombie},
    {"close-me", "rejoined", "", "rejoined", trial_close_me},
    {"server-dies", "rejoined", "", "rejoined", trial_server_dies},
    {"drop-joining", "JOINED", "", "JOINED", trial_drop_joining},
    {"rejoin-once", "2 rejoins; a message comes 1 time", "", "2 rejoins; a message comes 1 time", trial_rejoins},
    {"join", "JOINED; pong; 0 of the protocol's messages", "legacy", "JOINED; pong; 0 of the protocol's messages",
     trial_join},
    {"join-declined", "DECLINED", "legacy", "DECLINED", trial_declined},
    {"join-silent", "DECLINED", "", "DECLINED", trial_silent_join},
    {"join-unmatched", "DECLINED", "legacy", "DECLINED", trial_unmatched},
    {"join-offline", "JOINED; 100 of 100 arrive", "", "JOINED; 100 of 100 arrive", trial_offline},
    {"leave", "CLOSED; send refused", "", "CLOSED; send refused", trial_leave},
    {"evict-self", "CLOSED", "", "CLOSED", trial_evicted},
    {"reply", "pong", "", "pong", trial_reply},
    {"tell-and-reply", "reply; broadcast delivered", "", "reply; broadcast delivered", trial_tell},
    {"no-handler", "no success", "", "no success", trial_no_handler},
    {"throw", "no success", "", "no success", trial_throw},
    {"requests-end", "leave: an error", "", "leave: error*", trial_requests_end},
    {"observers", "eight handlers in order", "", "eight handlers in order", trial_observers},
    {"presence-join", "both in the list", "", "both in the list", trial_presence},
    {"presence-shapes", "list kept; pong", "", "list kept; pong", trial_shapes},
    {"types", "array handed over; pong", "", "array handed over; pong", trial_types},
    {"bad-frames", "pong", "", "pong", trial_bad_frames},
    {"batched", "3 of 3", "", "3 of 3", trial_batched},
    {"flood", "1000 of 1000", "", "1000 of 1000", trial_flood},
    {NULL, NULL, NULL, NULL, NULL},
};
