// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.hpp"

TEST_CASE("messages reach everybody, in order, through patterns as well") {
    record seen, matched;
    const std::string name = room();
    pond::client anna = connected("anna"), bert = connected("bert");
    pond::channel here = joined(anna, name, "anna"), there = joined(bert, name, "bert");
    there.on_message([&](pond::event_ref event) { seen.add(pond::json_text(event.payload(), "/text").value_or("")); });
    there.on_event(":what", [&](pond::event_ref event) { matched.add(std::string(event.param("what").value_or("none"))); });
    for (int i = 0; i < 20; i++) {
        here.send("message", "{\"text\":\"" + std::to_string(i) + "\"}");
        // One by one: the servers themselves do not keep the order of a burst.
        REQUIRE(seen.wait_count(static_cast<std::size_t>(i) + 1));
    }
    const std::vector<std::string> all = seen.all();
    for (std::size_t i = 0; i < all.size(); i++) CHECK(all[i] == std::to_string(i));
    CHECK(matched.wait("message") == "message");
}

TEST_CASE("presence: who is there, who comes and goes") {
    record seen;
    const std::string name = room();
    pond::client anna = connected("anna"), bert = connected("bert");
    pond::channel here = joined(anna, name, "anna");
    here.on_join([&](pond::event_ref event) { seen.add("join " + std::string(event.changed())); });
    here.on_leave([&](pond::event_ref event) { seen.add("leave " + std::string(event.changed())); });
    here.on_presence_change([&](pond::event_ref event) { seen.add("change " + std::string(event.users())); });
    here.on_users_change([&](pond::event_ref event) { seen.add("users " + std::to_string(event.presence_kind())); });
    {
        pond::channel there = joined(bert, name, "bert");
        CHECK(seen.wait(R"(join {"id":"bert")") + seen.wait("bert") != "");
        there.send("status", R"({"status":"away"})");
        CHECK(seen.wait("change ").find("away") != std::string::npos);
        CHECK(here.presence().find("away") != std::string::npos);
        // Its scope ends: the channel leaves.
    }
    CHECK(seen.wait("leave ").find("bert") != std::string::npos);
    CHECK(seen.wait("users 3") != "");
    CHECK(here.presence().find("bert") == std::string::npos);
}

TEST_CASE("messages of a channel that is not joined are kept, and dropped by the limit") {
    record dropped, seen;
    pond::options options = quick();
    options.set_queue_limit(2).set_overflow(POND_OVERFLOW_DROP_OLDEST);
    pond::client client(url(), R"({"token":"secret"})", options);
    pond::channel channel = client.channel(room());
    channel.on_dropped([&](pond::event_ref event) {
        dropped.add(std::string(event.payload()) + " " + std::to_string(event.count()));
    });
    channel.join();
    for (int i = 0; i < 3; i++) channel.send("message", "{\"n\":" + std::to_string(i) + "}");
    CHECK(dropped.wait("{") == "{\"n\":0} 1");
    CHECK(client.stats().dropped == 1);
    CHECK_FALSE(channel.send_volatile("message"));
    CHECK(channel.try_send_volatile("message") == POND_SKIPPED);
    channel.on_message([&](pond::event_ref event) { seen.add(std::string(event.payload())); });
    client.connect();
    CHECK(seen.wait("\"n\":1") != "");
    CHECK(seen.wait("\"n\":2") != "");
    CHECK(channel.send_volatile("message", R"({"n":3})"));
    CHECK(seen.wait("\"n\":3") != "");
}

TEST_CASE("a full queue that refuses") {
    pond::client client(url(), {}, quick().set_queue_limit(1).set_overflow(POND_OVERFLOW_REFUSE));
    pond::channel channel = client.channel(room());
    channel.join();
    CHECK(channel.try_send("message") == POND_OK);
    CHECK(channel.try_send("message") == POND_ERROR_QUEUE_FULL);
    CHECK(status_of([&] { channel.send("message"); }) == POND_ERROR_QUEUE_FULL);
}

TEST_CASE("wrong arguments are errors that say where") {
    pond::client client(url());
    pond::channel channel = client.channel(room());
    try {
        channel.send("message", "{\"a\":}");
        FAIL("accepted");
    } catch (const pond::error &error) {
        CHECK(error.status() == POND_ERROR_INVALID_JSON);
        CHECK(error.message().find("column") != std::string_view::npos);
    }
    CHECK(status_of([&] { channel.send("message", "[1]"); }) == POND_ERROR_INVALID_JSON);
    CHECK(channel.try_send("message", std::string_view("\"\xff\"")) < 0);
    CHECK(status_of([] { pond::client("nonsense"); }) == POND_ERROR_INVALID_URL);
    CHECK(status_of([&] { channel.on_message(nullptr); }) == POND_ERROR_INVALID_ARGUMENT);
    CHECK(status_of([&] { channel.on_event("", [](pond::event_ref) {}); }) == POND_ERROR_INVALID_ARGUMENT);
    CHECK(status_of([&] { client.channel(std::string_view("a\0b", 3)); }) == POND_ERROR_INVALID_ARGUMENT);
    CHECK(status_of([] { pond::channel_ref().join(); }) == POND_ERROR_INVALID_HANDLE);
    CHECK(status_of([] { pond::options().set_overflow(7); }) == POND_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("every option is taken") {
    pond::options options;
    options.set_connect_timeout(5s).set_join_timeout(5s).set_response_timeout(5s).set_backoff(1ms, 2ms).set_max_reconnect_attempts(3);
    options.set_ping_interval(1s).set_pong_timeout(2s).set_queue_limit(5).set_overflow(POND_OVERFLOW_REFUSE).set_outbound_limit(1 << 20);
    options.set_legacy_grace(0ms).set_retry_refused(true).set_max_message_bytes(1 << 20, 1 << 20).set_inbound_limit(10, 1 << 20);
    options.set_header("X-A", "b").set_ca_file("/nowhere.pem").set_ca_file(std::nullopt).set_ca_pem(std::nullopt);
    options.set_client_cert(std::nullopt, std::nullopt).set_insecure_skip_verify(true).set_ask_before_dial(false);
    pond::options moved = std::move(options);
    pond::client client(url(), R"({"token":"secret"})", moved);
    client.connect_wait(patience);
    CHECK(status_of([&] { moved.set_ca_pem("no certificate"); }) == POND_ERROR_INVALID_ARGUMENT);
    moved.set_ca_file("/nowhere.pem");
    CHECK(status_of([&] { pond::client(url(), {}, moved); }) == POND_ERROR_TLS);
}

TEST_CASE("a channel has one owner, or is shared") {
    pond::client client(url());
    const std::string name = room();
    {
        pond::channel mine = client.channel(name);
        CHECK(status_of([&] { client.channel(name); }) == POND_ERROR_INVALID_STATE);
        CHECK(client.open_channel(name) == mine);
        pond::channel moved = std::move(mine);
        CHECK_FALSE(mine); // NOLINT: what a moved-from channel is
        CHECK(moved.state() == POND_CHANNEL_IDLE);
    }
    const pond::channel_ref kept = client.channel(name).release();
    CHECK(kept.state() == POND_CHANNEL_IDLE);
    client = pond::client(url());
    CHECK(status_of([&] { kept.state(); }) == POND_ERROR_INVALID_HANDLE);
}

TEST_CASE("the library's own words") {
    CHECK(pond::compatible());
    CHECK(!pond::version().empty());
    CHECK(pond::status_name(POND_ERROR_CLOSED) == "POND_ERROR_CLOSED");
    CHECK(pond::json_quote("a\"b") == R"("a\"b")");
    CHECK(pond::json_text(R"({"a":["x"]})", "/a/0") == "x");
    CHECK(pond::json_text("{}", "/a") == std::nullopt);
    CHECK(pond::json_number(R"({"n":1.5})", "/n") == 1.5);
    CHECK(status_of([] { pond::json_text("{", "/a"); }) == POND_ERROR_INVALID_JSON);
    const pond::event nothing;
    CHECK_FALSE(nothing);
    CHECK(nothing.payload() == "{}");
    record lines;
    pond::log_set(POND_LOG_DEBUG, [&](pond::event_ref event) { lines.add(std::string(event.message())); });
    connected();
    CHECK(lines.wait_count(1));
    pond::log_set(POND_LOG_OFF, nullptr);
}
