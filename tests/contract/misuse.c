/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs the rows of misuse.h.
 */
#include "misuse.h"

world w;
int inside;
void *h, *p;
pond_error *e;
uint64_t n;
uint32_t m;
tracked *it;
const char *u, *j;

static void *stale[KINDS][2];
static char sentinel;
static char place[64]; /* what the last error told of line and column */

/* ---- one call --------------------------------------------------------------------------------------------------- */

void begin_call(void)
{
    e = (pond_error *)&sentinel;
    p = &sentinel;
    n = UINT64_C(0x7777777777777777);
    m = 0x77777777;
    it = track();
}

/* An error tells the status, has a text, and nothing secret in it. */
static void check_error(const char *file, int line, const char *call, int64_t got)
{
    size_t len = 0;
    const char *text = pond_error_message(e, &len), *at = strstr(text, "line ");
    if (pond_error_status(e) != got) fail(file, line, "%s: the error says %d", call, pond_error_status(e));
    if (len == 0 || strlen(text) != len) fail(file, line, "%s: an error without a text", call);
    if (strstr(text, "S3CR3T")) fail(file, line, "%s: a secret in '%s'", call, text);
    if (strstr(pond_error_details(e, NULL), "S3CR3T")) fail(file, line, "%s: a secret in the details", call);
    if (!pond_error_code(e, NULL)[0]) fail(file, line, "%s: an error without a code", call);
    snprintf(place, sizeof place, "%s", at ? at : "");
    pond_error_free(e);
    e = NULL;
}

void end_call(const char *file, int line, const char *call, int64_t got, int64_t expected)
{
    if (got != expected)
        fail(file, line, "%s%s is %lld %s, not %lld %s", inside ? "in a handler " : "", call, (long long)got,
             pond_status_name((int32_t)got), (long long)expected, pond_status_name((int32_t)expected));
    if (got < 0) {
        if (strstr(call, "(&e)")) {
            if (!e || e == (pond_error *)&sentinel) fail(file, line, "%s: no error object", call);
            check_error(file, line, call, got);
        }
        if (strstr(call, "(&p)") && p) fail(file, line, "%s: the pointer output is not NULL", call);
        if (strstr(call, "(&n)") && n) fail(file, line, "%s: the output is not 0", call);
        if (strstr(call, "(&m)") && m && m != UINT32_MAX) fail(file, line, "%s: the output is not 0 (or -1: fd)", call);
        if (strstr(call, "on_call, it, on_destroy") && it->destroys != 1)
            fail(file, line, "%s: destroy ran %d times", call, it->destroys);
        it->over = 1;
    } else {
        if (strstr(call, "(&e)") && e) fail(file, line, "%s: an error object without an error", call);
        if (strstr(call, "(&p)") && p == &sentinel) fail(file, line, "%s: the output was not written", call);
    }
    if (!strstr(call, "on_call, it, on_destroy")) on_destroy(it); /* not used */
}

/* ---- what is wrong ---------------------------------------------------------------------------------------------- */

static void *handle_of(enum kind kind)
{
    switch (kind) {
    case CLIENT: return w.client;
    case CHANNEL: return w.channel;
    case QUEUE: return w.queue;
    case SUBSCRIPTION: return w.subscription;
    default: return w.options;
    }
}

static const uint64_t nonsense[] = {0,    1,    2,    4095, 4096, 4097, 4099, 0xdeadbeef, UINT64_C(0x3ffffffffd),
                                    UINT64_C(0x3fffffffff), UINT64_C(0x4000000001), UINT64_C(0x8000000000000001),
                                    UINT64_MAX - 1, UINT64_MAX};
enum { NONSENSE = sizeof nonsense / sizeof *nonsense, RANDOM = 64, OBJECTS = 2 };

int bad_handles(enum kind kind)
{
    (void)kind;
    return NONSENSE + RANDOM + OBJECTS + 2 + KINDS - 1;
}

static int is_alive(uint64_t value)
{
    int kind;
    for (kind = 0; kind < KINDS; kind++)
        if (value == (uint64_t)(uintptr_t)handle_of(kind)) return 1;
    return value == (uint64_t)(uintptr_t)w.idle;
}

void *bad_handle(enum kind kind, int i)
{
    static uint64_t random = UINT64_C(88172645463325252);
    if (i < NONSENSE) return (void *)(uintptr_t)(is_alive(nonsense[i]) ? 0 : nonsense[i]);
    if ((i -= NONSENSE) < RANDOM) {
        do {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            /* Every other one looks like a key. */
            if (i % 2) random = (random & UINT64_C(0x3fffffffff)) | 4097;
        } while (is_alive(random));
        return (void *)(uintptr_t)random;
    }
    if ((i -= RANDOM) < OBJECTS) return i ? (void *)w.event : (void *)w.error;
    if ((i -= OBJECTS) < 2) return stale[kind][i];
    i -= 2;
    return handle_of((enum kind)(i < (int)kind ? i : i + 1));
}

static const struct {
    const char *json, *place;
} wrong_json[] = {
    {"", "line 1, column 1"},
    {"  ", "line 1, column 3"},
    {"[\"S3CR3T\"]", "line 1, column 1"},
    {"\"S3CR3T\"", "line 1, column 1"},
    {"null", "line 1, column 1"},
    {"{\"a\":1,\n \"b\":S3CR3T}", "line 2, column 6"},
    {"{\"S3CR3T\":1,}", "line 1, column 13"},
    {"{\"a\":\"\xc3\xa4\",\r\n\r\n\"b\" \"S3CR3T\"}", "line 3, column 5"},
    {"{\"\xc3\xa4\xe2\x82\xac\": nul}", "line 1, column 8"},
    {"{} {\"S3CR3T\":1}", "line 1, column 4"},
};
enum { WRONG_JSON = sizeof wrong_json / sizeof *wrong_json };

int bad_json(int i)
{
    if (i >= WRONG_JSON) return 0;
    j = wrong_json[i].json;
    return 1;
}

void expect_place(const char *file, int line, int i)
{
    if (strncmp(place, wrong_json[i].place, strlen(wrong_json[i].place)) != 0)
        fail(file, line, "for '%s' the error tells '%s', not '%s'", wrong_json[i].json, place, wrong_json[i].place);
}

int bad_utf8(int i, int wrapped)
{
    static const char *const wrong[] = {"\xff", "S3CR3T\xc3", "\xed\xa0\x80", "\xc0\x80", "a\xf5\x80\x80\x80", "\x80"};
    static char object[64];
    if (i >= (int)(sizeof wrong / sizeof *wrong)) return 0;
    u = wrong[i];
    snprintf(object, sizeof object, "{\"k\":\"%s\"}", u);
    if (wrapped) j = object;
    return 1;
}

/* ---- the world -------------------------------------------------------------------------------------------------- */

static void keep_event(tracked *self, const pond_event *event)
{
    if (!atomic_exchange(&self->done, 1)) w.event = pond_event_retain(event);
}

static void make_world(void)
{
    pond_client *client;
    pond_channel *channel;
    pond_queue *queue;
    pond_subscription *subscription;
    pond_options *options;
    tracked *message = track_with(keep_event, NULL);
    int i;
    for (i = 0; i < 2; i++) { /* stale: freed, and freed twice */
        client = client_at("ws://127.0.0.1:1/", NULL, NULL);
        channel = channel_of(client, "/x", NULL);
        OK(pond_client_on_state(client, on_call, track(), on_destroy, &subscription));
        OK(pond_queue_new(&queue));
        OK(pond_options_new(&options));
        stale[CLIENT][i] = client, stale[CHANNEL][i] = channel, stale[QUEUE][i] = queue;
        stale[SUBSCRIPTION][i] = subscription, stale[OPTIONS][i] = options;
        OK(pond_subscription_cancel(subscription));
        OK(pond_channel_free(channel));
        OK(pond_client_free(client));
        OK(pond_queue_free(queue));
        OK(pond_options_free(options));
        if (i == 0) continue;
        IS(POND_ERROR_INVALID_HANDLE, pond_subscription_cancel(subscription));
        IS(POND_ERROR_INVALID_HANDLE, pond_channel_free(channel));
        IS(POND_ERROR_INVALID_HANDLE, pond_client_free(client));
        IS(POND_ERROR_INVALID_HANDLE, pond_queue_free(queue));
        IS(POND_ERROR_INVALID_HANDLE, pond_options_free(options));
    }
    w.client = chat("S3CR3T", NULL);
    w.channel = joined(w.client, room("misuse"), NULL);
    w.idle = channel_of(w.client, room("misuse"), NULL);
    OK(pond_queue_new(&w.queue));
    OK(pond_options_new(&w.options));
    OK(pond_channel_on_state(w.idle, on_call, track(), on_destroy, &w.subscription));
    IS(POND_ERROR_INVALID_JSON, pond_channel_send(w.channel, "x", "[]", &w.error));
    OK(pond_channel_on_event(w.channel, "message", on_call, message, on_destroy, NULL));
    OK(pond_channel_send(w.channel, "message", "{\"n\":1}", NULL));
    UNTIL(message->calls == 1 && message->running == 0);
}

static void end_world(void)
{
    OK(pond_shutdown(DEADLINE));
    pond_event_free(w.event);
    pond_error_free(w.error);
    CHECK(destroyed_all());
}

static void (*current)(void);
static atomic_int row_done;
static void run_inside(tracked *self, const pond_event *event)
{
    (void)event;
    if (atomic_exchange(&self->done, 1)) return;
    current();
    row_done = 1;
}

static void run_row(void (*row)(void))
{
    pond_client *trigger;
    make_world();
    row();
    end_world();
    make_world();
    inside = 1;
    current = row;
    trigger = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    OK(pond_client_on_state(trigger, on_call, track_with(run_inside, NULL), on_destroy, NULL));
    OK(pond_client_connect(trigger));
    UNTIL(row_done);
    end_world();
}

#define DEFINE_TEST(function)                                                                                          \
    static void test_##function(void)                                                                                  \
    {                                                                                                                  \
        run_row(row_##function);                                                                                       \
    }
ROWS(DEFINE_TEST)

#define LIST_TEST(function) {#function, test_##function, 0},
const test misuse_tests[] = {ROWS(LIST_TEST){NULL, NULL, 0}};
