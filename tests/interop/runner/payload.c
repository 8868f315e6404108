/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scenarios: what payloads and frames may be, and how many.
 */
#include "scenarios.h"

/* After a round trip nothing more comes by itself: frames can be put into the stream. */
#define UNTRACKED "{\"username\":\"alice\",\"presence\":false}"

static char *filled(const char *head, size_t count, const char *tail)
{
    size_t before = strlen(head), after = strlen(tail);
    char *out = malloc(before + count + after + 1);
    if (!out) abort();
    memcpy(out, head, before);
    memset(out + before, 'x', count);
    memcpy(out + before + count, tail, after + 1);
    return out;
}

void unicode(void)
{
    /* Latin, Chinese, an emoji outside the basic plane, U+0000, U+2028, a tag, quotes and backslashes. */
    static const char payload[] = "{\"s\":\"J\xc3\xbcrgen \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80 a\\u0000b "
                                  "\xe2\x80\xa8 </script> \\\"q\\\" \\\\ \\ud83d\\ude00\",\"\xc3\xa9\":1}";
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = talk(a, channel, "echo", payload, "echo");
    char *sent = NULL, *got = NULL;
    size_t sent_len = 0, got_len = 0;
    note("%s", outcome(reply));
    if (reply->status != POND_OK) return;
    OK(pond_json_text(payload, strlen(payload), "/s", &sent, &sent_len));
    OK(pond_json_text(reply->payload, strlen(reply->payload), "/s", &got, &got_len));
    note("%s", sent_len == got_len && !memcmp(sent, got, sent_len) ? "same text" : got);
    note("%s", number(reply->payload, "/\xc3\xa9") == 1 ? "same key" : "key lost");
    note("%s", proxy_carried(net, reply->payload) ? "bytes as the server sent them" : "bytes changed");
}

/* The payload as the program sees it; what the server does to numbers on the way is its own. */
void numbers(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply =
        talk(a, channel, "echo", "{\"a\":9007199254740993,\"b\":1.0,\"c\":-0.0,\"d\":1.5e-7}", "echo");
    note("%s", reply->status == POND_OK ? reply->payload : outcome(reply));
    note("%s", proxy_carried(net, reply->payload) ? "bytes as the server sent them" : "bytes changed");
}

void big_payloads(void)
{
    enum { BYTES = 400000 };
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = talk(a, channel, "big", text("{\"bytes\":%d}", BYTES), "big");
    note("in: %s %u", outcome(reply), (unsigned)strlen(member(reply->payload, "/data")));
    reply = talk(a, channel, "echo", filled("{\"data\":\"", BYTES, "\"}"), "echo");
    note("out and in: %s %u", outcome(reply), (unsigned)strlen(member(reply->payload, "/data")));
    note("600 kB: %s", status_word(pond_channel_send(channel, "echo", filled("{\"data\":\"", 600000, "\"}"), NULL)));
    note("%s", alive(a, channel));
}

static char *nested(unsigned levels)
{
    char *out = text("{\"data\":%*s%*s}", (int)levels, "", (int)levels, "");
    memset(out + 8, '[', levels);
    memset(out + 8 + levels, ']', levels);
    return out;
}

void deep_payloads(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *reply = talk(a, channel, "deep", "{\"levels\":90}", "deep");
    char *deep = nested(90);
    note("in: %s %s", outcome(reply), strstr(reply->payload, "[[[[[[[[[[[[[[[[[[[[") ? "nested" : "flat");
    reply = talk(a, channel, "echo", deep, "echo");
    note("out and in: %s %s", outcome(reply), strcmp(reply->payload, deep) ? "changed" : "the same");
    note("1000 levels: %s", status_word(pond_channel_send(channel, "echo", nested(1000), NULL)));
    note("%s", alive(a, channel));
}

void payload_types(void)
{
    static const char *const types[] = {"array", "null", "string", "number"};
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        const record *reply = talk(a, channel, "types", text("{\"type\":\"%s\"}", types[i]), "types");
        note("%s: %s", types[i], reply->status == POND_OK ? reply->payload : outcome(reply));
    }
    note("%s", alive(a, channel));
}

/* What a client must refuse before a server is hurt by it, or kills the link. */
void local_checks(void)
{
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice"), *none = NULL;
    note("empty event: %s", status_word(pond_channel_send(channel, "", "{}", NULL)));
    note("empty channel: %s", status_word(pond_client_channel(client_of(a), "", NULL, &none, NULL)));
    note("array: %s", status_word(pond_channel_send(channel, "echo", "[1]", NULL)));
    note("broken: %s", status_word(pond_channel_send(channel, "echo", "{\"a\":NaN}", NULL)));
    note("%s", alive(a, channel));
}

void channel_names(void)
{
    peer *a = online(shared_port, "alice");
    const record *reply;
    pond_channel *plain = chat(a, text("%s-caf\xc3\xa9", room("a")), "alice");
    pond_channel *escaped = chat(a, text("%s-caf%%C3%%A9", room("a")), "alice");
    reply = talk(a, plain, "echo", "{\"n\":1}", "echo");
    note("caf\xc3\xa9: %s", outcome(reply));
    reply = talk(a, escaped, "echo", "{\"n\":2}", "echo");
    note("caf%%C3%%A9: %s", outcome(reply));
    note("%s", number(reply->payload, "/n") == 2 ? "two channels" : "mixed up");
}

/* Bad frames, put into the stream of this server: each is an error, none ends the connection. */
void bad_frames(void)
{
    static const char *const frames[] = {"{not json", "[1,2]",
                                         "{\"action\":\"BROADCAST\",\"event\":\"x\",\"payload\":NaN}"};
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    char *name = room("a");
    pond_channel *channel = joined(a, name, UNTRACKED);
    size_t i;
    alive(a, channel);
    for (i = 0; i < sizeof frames / sizeof *frames; i++) {
        size_t from = length(a);
        proxy_down(net, frames[i]);
        await(a, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL, .from = from);
    }
    note("%u PROTOCOL errors", (unsigned)count(a, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL));
    proxy_down(net, text("{\"action\":\"BROADCAST\",\"event\":\"list\",\"channelName\":\"%s\",\"requestId\":\"r\","
                         "\"payload\":[1,2]}",
                         name));
    note("array payload: %s", await(a, .kind = POND_EVENT_MESSAGE, .name = "list")->payload);
    note("%s", alive(a, channel));
    note("%s",
         count(a, .kind = POND_EVENT_CLIENT_STATE, .state = POND_CLIENT_DISCONNECTED) ? "link lost" : "link kept");
}

void batched_frames(void)
{
    static const char form[] =
        "{\"action\":\"BROADCAST\",\"event\":\"batch\",\"channelName\":\"%s\",\"requestId\":\"b%d\","
        "\"payload\":{\"n\":%d}}";
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    char *name = room("a");
    pond_channel *channel = joined(a, name, UNTRACKED);
    alive(a, channel);
    proxy_down(net,
               text("%s\n%s\n{broken\n%s", text(form, name, 1, 1), text(form, name, 2, 2), text(form, name, 3, 3)));
    await(a, .kind = POND_EVENT_MESSAGE, .name = "batch", .has = ":3");
    note("%u of 3 in one frame", (unsigned)count(a, .kind = POND_EVENT_MESSAGE, .name = "batch"));
    await(a, .kind = POND_EVENT_CLIENT_ERROR, .status = POND_ERROR_PROTOCOL);
    note("the broken one: PROTOCOL");
}

/* Frames of a channel before its ACKNOWLEDGE, as some servers send them. */
void early_frames(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    char *name = room("a");
    pond_channel *channel = channel_of(a, name, "{\"username\":\"alice\",\"mode\":\"slow\",\"delayMs\":700}");
    size_t before = proxy_sent(net);
    const record *early, *state;
    OK(pond_channel_join(channel));
    settle(proxy_sent(net) > before);
    proxy_down(
        net,
        text("{\"action\":\"BROADCAST\",\"event\":\"early\",\"channelName\":\"%s\",\"requestId\":\"e\",\"payload\":{}}",
             name));
    state = await(a, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_JOINED);
    early = await(a, .kind = POND_EVENT_MESSAGE, .name = "early");
    note("kept, %s JOINED", early->index > state->index ? "after" : "before");
}

/* A malformed frame reaches the server: its answer belongs to no channel and to no request. */
void endpoint_errors(void)
{
    proxy *net = proxy_start(shared_port);
    peer *a = online(proxy_port(net), "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    const record *error;
    alive(a, channel);
    proxy_up(net, "{\"action\":\"BROADCAST\",\"payload\":{}}");
    error = seek(a, DEADLINE, .kind = POND_EVENT_CLIENT_ERROR);
    if (error) note("%s %s", status_word(error->status), error->code);
    else note("silence");
    note("%s", alive(a, channel));
}

void flood(void)
{
    enum { MANY = 3000 };
    peer *a = online(shared_port, "alice");
    pond_channel *channel = chat(a, room("a"), "alice");
    pond_stats before, after;
    size_t at = 0;
    int next = 0, ordered = 1, once[MANY] = {0}, i, whole = 1;
    OK(pond_client_stats(client_of(a), &before, sizeof before));
    send_event(channel, "flood", text("{\"count\":%d,\"size\":50}", MANY));
    settle(count(a, .kind = POND_EVENT_MESSAGE, .name = "flood") >= MANY);
    OK(pond_client_stats(client_of(a), &after, sizeof after));
    for (i = 0; i < MANY; i++) {
        const record *r = seek(a, 0, .kind = POND_EVENT_MESSAGE, .name = "flood", .from = at);
        int n = (int)number(r->payload, "/i");
        ordered &= n == next++;
        if (n >= 0 && n < MANY) once[n]++;
        at = r->index + 1;
    }
    for (i = 0; i < MANY; i++) whole &= once[i] == 1;
    note("%d of %d", (int)count(a, .kind = POND_EVENT_MESSAGE, .name = "flood"), MANY);
    note("%s", whole ? "each once" : "not each once");
    note("%s", ordered ? "in order" : "in another order");
    note("%s", after.frames_in - before.frames_in < MANY ? "several in a frame" : "one in a frame");
}
