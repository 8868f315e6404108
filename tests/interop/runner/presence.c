/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: who is there.
 */
#include "scenarios.h"

/* The ids in the list, sorted: some servers have no order. */
static char *people(const char *users)
{
    static const char *const names[] = {"alice", "bob", "carol"};
    char *out = text("%s", "");
    size_t i, n;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        int there = 0;
        for (n = 0; n < 10; n++) there += !strcmp(member(users, text("/%u/id", (unsigned)n)), names[i]);
        if (there) out = text("%s%s%s%s", out, out[0] ? "+" : "", names[i], there > 1 ? " twice" : "");
    }
    return out[0] ? out : text("nobody");
}

static char *present(pond_channel *channel)
{
    char *users = NULL;
    OK(pond_channel_presence(channel, &users, NULL));
    return people(users);
}

const record *presence(peer *a, int32_t kind, const char *who, size_t from)
{
    /* Go tells no presence on one node. */
    int64_t end = now_ms() + (server_is("go") ? SILENCE : DEADLINE);
    const record *r;
    do {
        r = seek(a, 20, .kind = POND_EVENT_PRESENCE, .presence = kind, .from = from);
        if (r && !strcmp(member(r->changed, "/id"), who)) return r;
        if (r) from = r->index + 1;
    } while (now_ms() < end);
    return NULL;
}

void tell(const char *what, const record *r, pond_channel *channel)
{
    if (!r) note("%s: nothing", what);
    else note("%s: %s, list %s", what, member(r->changed, "/id"), present(channel));
}

void presence_join(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *first = chat(a, name, "alice"), *second;
    size_t from;
    tell("own", presence(a, POND_PRESENCE_JOIN, "alice", 0), first);
    from = length(a);
    second = chat(b, name, "bob");
    tell("other", presence(a, POND_PRESENCE_JOIN, "bob", from), first);
    tell("joiner", presence(b, POND_PRESENCE_JOIN, "bob", 0), second);
}

void presence_update(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a"), *users = NULL;
    pond_channel *first = chat(a, name, "alice"), *second = chat(b, name, "bob");
    const record *r;
    presence(a, POND_PRESENCE_JOIN, "bob", 0);
    send_event(second, "status", "{\"status\":\"away\"}");
    r = presence(a, POND_PRESENCE_UPDATE, "bob", 0);
    if (!r) {
        note("nothing");
        return;
    }
    note("changed: %s is %s", member(r->changed, "/id"), member(r->changed, "/status"));
    OK(pond_channel_presence(first, &users, NULL));
    note("list: %s", strstr(users, "\"away\"") ? "away" : "not away");
    note("%s", present(first));
}

void presence_leave(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob"), *c;
    char *name = room("a");
    pond_channel *first = chat(a, name, "alice"), *second = chat(b, name, "bob");
    const record *r;
    size_t from;
    presence(a, POND_PRESENCE_JOIN, "bob", 0);
    OK(pond_channel_leave(second));
    r = presence(a, POND_PRESENCE_LEAVE, "bob", 0);
    tell("leaves", r, first);
    c = peer_new(url_of("ws", proxy_port(net), "/api/socket"), who("carol"), quick());
    OK(pond_client_connect(client_of(c)));
    connected(c);
    from = length(a);
    chat(c, name, "carol");
    presence(a, POND_PRESENCE_JOIN, "carol", from);
    from = length(a);
    /* The link breaks and the client is gone for good. */
    OK(pond_client_suspend(client_of(c)));
    proxy_drop(net);
    tell("drops", presence(a, POND_PRESENCE_LEAVE, "carol", from), first);
}

void presence_rejoin(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *first, *second;
    const record *stalled, *again;
    size_t from;
    second = chat(b, name, "bob");
    from = length(b);
    first = chat(a, name, "alice");
    presence(a, POND_PRESENCE_JOIN, "alice", 0);
    presence(b, POND_PRESENCE_JOIN, "alice", from);
    from = length(a);
    proxy_drop(net);
    stalled = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED, .from = from);
    note("%s", count(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE, .from = from) ? "made-up LEAVE"
                                                                                                    : "nobody made up");
    again = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED, .from = stalled->index);
    if (!presence(a, POND_PRESENCE_JOIN, "alice", again->index)) {
        note("rejoined: nothing, list %s", present(first));
        return;
    }
    /* A server may only later see that the old link is dead: its LEAVE then mends the list. */
    settle(!strcmp(present(first), "alice+bob") || !strcmp(present(second), "alice+bob"));
    settle(!strcmp(present(first), "alice+bob"));
    note("rejoined: list %s", present(first));
}

void presence_untracked(void)
{
    peer *a = online(shared_port, "alice"), *b = online(shared_port, "bob");
    char *name = room("a");
    pond_channel *first = joined(a, name, "{\"username\":\"alice\",\"presence\":false}"),
                 *second = chat(b, name, "bob");
    tell("tracked", presence(b, POND_PRESENCE_JOIN, "bob", 0), second);
    alive(a, first);
    tell("untracked", seek(a, 500, .kind = POND_EVENT_PRESENCE), first);
}

/* The spellings and the missing list of some servers, put into the stream of this one. */
void presence_shapes(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    char *name = room("a");
    pond_channel *channel = joined(a, name, "{\"username\":\"alice\",\"presence\":false}");
    static const char form[] = "{\"action\":\"PRESENCE\",\"event\":\"%s\",\"channelName\":\"%s\",\"requestId\":\"p%d\","
                               "\"payload\":%s}";
    const record *r;
    alive(a, channel);
    proxy_down(net, text(form, "presence:join", name, 1,
                         "{\"change\":{\"id\":\"bob\"},\"presence\":[{\"id\":\"alice\"},{\"id\":\"bob\"}]}"));
    r = await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN);
    note("presence:join: %s, list %s", member(r->changed, "/id"), present(channel));
    proxy_down(net, text(form, "LEAVE", name, 2, "{\"userId\":\"x\",\"changed\":{\"id\":\"bob\"}}"));
    r = await(a, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE);
    note("without a list: %s, list %s", member(r->changed, "/id"), present(channel));
}
