/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Presence: who is here, and who came, changed and went.
 */
#include "pond_test.h"

static void expect_users(pond_channel *channel, const char *part, int there)
{
    char *users = NULL;
    size_t len = 0;
    OK(pond_channel_presence(channel, &users, &len));
    assert_int_equal(strlen(users), len);
    if ((strstr(users, part) != NULL) != there) print_error("%s in %s, not so: %d\n", part, users, there);
    assert_int_equal(strstr(users, part) != NULL, there);
    pond_string_free(users);
}

typedef struct counts {
    atomic_int joins, leaves, changes, users, wrong;
} counts;

static void on_join(const pond_event *event, void *user_data)
{
    counts *self = user_data;
    if (pond_event_presence_kind(event) != POND_PRESENCE_JOIN) atomic_fetch_add(&self->wrong, 1);
    atomic_fetch_add(&self->joins, 1);
}

static void on_leave(const pond_event *event, void *user_data)
{
    counts *self = user_data;
    if (pond_event_presence_kind(event) != POND_PRESENCE_LEAVE) atomic_fetch_add(&self->wrong, 1);
    atomic_fetch_add(&self->leaves, 1);
}

static void on_change(const pond_event *event, void *user_data)
{
    counts *self = user_data;
    if (pond_event_presence_kind(event) != POND_PRESENCE_UPDATE) atomic_fetch_add(&self->wrong, 1);
    atomic_fetch_add(&self->changes, 1);
}

static void on_users(const pond_event *event, void *user_data)
{
    counts *self = user_data;
    if (pond_event_kind(event) != POND_EVENT_PRESENCE) atomic_fetch_add(&self->wrong, 1);
    atomic_fetch_add(&self->users, 1);
}

/* One frame is one event, however many handlers take it. */
static void come_change_go(void **state)
{
    static counts seen; /* static: handlers may run until the teardown */
    peer *anna = chat_peer("anna"), *bert = chat_peer("bert");
    char *name = room("presence");
    pond_channel *hers = peer_channel(anna, name, NULL), *his;
    const record *r;
    (void)state;
    memset(&seen, 0, sizeof seen);
    expect_users(hers, "anna", 0);
    OK(pond_channel_on_join(hers, on_join, registering(&seen), count_destroy, NULL));
    OK(pond_channel_on_leave(hers, on_leave, registering(&seen), count_destroy, NULL));
    OK(pond_channel_on_presence_change(hers, on_change, registering(&seen), count_destroy, NULL));
    OK(pond_channel_on_users_change(hers, on_users, registering(&seen), count_destroy, NULL));
    OK(pond_channel_join(hers));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN);
    CONTAINS(r->changed, "\"anna\"");
    CONTAINS(r->users, "\"anna\"");
    his = joined(bert, name, NULL);
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN, .from = SINCE(r));
    CONTAINS(r->changed, "\"bert\"");
    expect_users(hers, "\"anna\"", 1);
    expect_users(hers, "\"bert\"", 1);
    OK(pond_channel_send(his, "status", "{\"status\":\"busy\"}", NULL));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_UPDATE);
    CONTAINS(r->users, "\"busy\"");
    OK(pond_channel_leave(his));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE, .from = SINCE(r));
    CONTAINS(r->changed, "\"bert\"");
    expect_users(hers, "\"bert\"", 0);
    if (mode != PULL) {
        settle(anna, atomic_load(&seen.users) == 4);
        assert_int_equal(atomic_load(&seen.joins), 2);
        assert_int_equal(atomic_load(&seen.changes), 1);
        assert_int_equal(atomic_load(&seen.leaves), 1);
        assert_int_equal(atomic_load(&seen.wrong), 0);
    }
    assert_int_equal(count(anna, .kind = POND_EVENT_PRESENCE), 4);
}

#define Q "\\\""
#define PRESENCE(event, payload)                                                                                       \
    "{\"frames\":[\"{" Q "action" Q ":" Q "PRESENCE" Q "," Q "event" Q ":" Q event Q "," Q "channelName" Q             \
    ":" Q "$CHANNEL" Q "," Q "requestId" Q ":" Q "x" Q "," Q "payload" Q ":" payload "}\"]}"
#define PERSON(name) "{" Q "id" Q ":" Q name Q "}"

/* Names, keys and lists as the other servers write them. */
static void other_servers(void **state)
{
    peer *anna = script_peer(NULL);
    pond_channel *channel = joined(anna, room("dialects"), NULL);
    const record *r;
    (void)state;
    OK(pond_channel_send(channel, "raw",
                         PRESENCE("JOIN", "{" Q "changed" Q ":" PERSON("a") "," Q "presence" Q ":[" PERSON("a") "]}"),
                         NULL));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_JOIN);
    assert_string_equal(r->users, "[{\"id\":\"a\"}]");
    /* Old Go names, and no list: the list stays as it is. */
    OK(pond_channel_send(channel, "raw", PRESENCE("presence:update", "{" Q "change" Q ":" PERSON("a2") "}"), NULL));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_UPDATE, .from = SINCE(r));
    assert_string_equal(r->changed, "{\"id\":\"a2\"}");
    expect_users(channel, "\"a\"", 1);
    OK(pond_channel_send(channel, "raw", PRESENCE("presence:leave", "{" Q "userId" Q ":" Q "1" Q "}"), NULL));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .presence = POND_PRESENCE_LEAVE, .from = SINCE(r));
    assert_string_equal(r->changed, "{}");
    expect_users(channel, "\"a\"", 1);

    /* Kept while stalled; a rejoin whose server tells nothing empties it. */
    OK(pond_client_suspend(anna->client));
    expect(anna, .kind = POND_EVENT_CHANNEL_STATE, .state = POND_CHANNEL_STALLED);
    expect_users(channel, "\"a\"", 1);
    OK(pond_client_resume(anna->client));
    r = expect(anna, .kind = POND_EVENT_PRESENCE, .from = SINCE(r));
    assert_int_equal(r->presence, 0);
    assert_string_equal(r->users, "[]");
    expect_users(channel, "\"a\"", 0);
}

const test presence_tests[] = {
    TEST(come_change_go, EACH),
    TEST(other_servers, EACH),
    {0},
};
