// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.hpp"

TEST_CASE("connect, join, leave, disconnect") {
    record states;
    pond::client client(url(), R"({"token":"secret"})");
    client.on_state([&](pond::event_ref event) { states.add("client " + std::string(pond::state_name(event.state()))); });
    CHECK(client.state() == POND_CLIENT_DISCONNECTED);
    client.connect_wait(patience);
    CHECK(client.state() == POND_CLIENT_CONNECTED);
    CHECK(client.connection_id().value_or("") != "");

    const std::string name = room();
    pond::channel channel = client.channel(name, R"({"username":"anna"})");
    channel.on_state([&](pond::event_ref event) {
        CHECK(event.channel() == event.client().open_channel(event.channel_name()));
        states.add("channel " + std::string(pond::state_name(event.state())));
    });
    CHECK(channel.state() == POND_CHANNEL_IDLE);
    CHECK(channel.name() == name);
    channel.join_wait(patience);
    CHECK(channel.state() == POND_CHANNEL_JOINED);
    channel.leave();
    CHECK(channel.wait_state(POND_CHANNEL_CLOSED, patience));
    CHECK(client.disconnect_wait(patience));
    CHECK(states.wait("client DISCONNECTED") != "");
    CHECK(states.all() == std::vector<std::string>{"client CONNECTING", "client CONNECTED", "channel JOINING", "channel JOINED",
                                                   "channel CLOSED", "client DISCONNECTED"});
}

TEST_CASE("a refused connection gives up with the reason") {
    pond::options options = quick();
    options.set_max_reconnect_attempts(0);
    pond::client client(url(), R"({"token":"wrong"})", options);
    record errors;
    client.on_error([&](pond::event_ref event) { errors.add(std::string(event.error_code())); });
    const std::int32_t status = status_of([&] { client.connect_wait(patience); });
    CHECK_MESSAGE((status == POND_ERROR_HTTP || status == POND_ERROR_REJECTED), pond::status_name(status));
    CHECK(errors.wait_count(1));
}

TEST_CASE("nobody listens: the wait tells why the last dial failed") {
    pond::client client("ws://127.0.0.1:9/", {}, quick());
    client.connect();
    std::optional<pond::error> why;
    // The wait ends early or late; only the reason matters, and that a dial has failed by then.
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!why && std::chrono::steady_clock::now() < end) CHECK_FALSE(client.wait_state(POND_CLIENT_CONNECTED, 100ms, &why));
    REQUIRE(why.has_value());
    CHECK(why->status() == POND_ERROR_CONNECT);
    CHECK(why->code() == "POND_ERROR_CONNECT");
    CHECK(why->details() == "null");
}

TEST_CASE("a declined join") {
    pond::options options = quick();
    options.set_join_timeout(1s);
    pond::client client(url(), R"({"token":"secret"})", options);
    client.connect_wait(patience);
    pond::channel channel = client.channel(room(), R"({"mode":"decline","code":403,"message":"not today"})");
    channel.join();
    try {
        channel.wait_state(POND_CHANNEL_JOINED, patience);
        FAIL("joined");
    } catch (const pond::error &error) {
        CHECK(error.status() == POND_ERROR_DECLINED);
        // The Rust server does not answer a declined join: it times out.
        CHECK(error.http_status() == (python() ? 403 : 408));
        if (python()) CHECK(error.message() == "not today");
    }
    CHECK(channel.state() == POND_CHANNEL_DECLINED);
    CHECK(channel.try_send("message") == POND_ERROR_DECLINED);
}

TEST_CASE("a lost connection comes back, and messages queued meanwhile arrive") {
    record seen;
    pond::client client = connected();
    client.on_state([&](pond::event_ref event) {
        if (event.state() == POND_CLIENT_CONNECTED) seen.add("connected " + std::to_string(event.connect_count()));
        if (event.state() == POND_CLIENT_DISCONNECTED) CHECK(event.retry() <= 200ms);
    });
    pond::channel channel = joined(client, room());
    channel.on_message([&](pond::event_ref event) { seen.add(std::string(event.name()) + " " + std::string(event.payload())); });
    channel.on_state([&](pond::event_ref event) {
        seen.add(std::string(pond::state_name(event.state())));
        if (event.state() == POND_CHANNEL_STALLED) event.channel().send("message", R"({"text":"queued"})");
    });
    channel.send("close-me");
    CHECK(seen.wait("STALLED") != "");
    CHECK(seen.wait("connected 2") != "");
    CHECK(seen.wait("JOINED") != "");
    CHECK(seen.wait("queued") != "");
    CHECK(client.stats().connects == 2);
}

TEST_CASE("suspend and resume keep the channel") {
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    client.suspend();
    CHECK(channel.wait_state(POND_CHANNEL_STALLED, patience));
    client.resume();
    CHECK(channel.wait_state(POND_CHANNEL_JOINED, patience));
    client.reconnect_now();
}

TEST_CASE("an eviction ends the channel with its reason") {
    record seen;
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    channel.on_state([&](pond::event_ref event) {
        seen.add(std::string(pond::state_name(event.state())) + " " + std::string(pond::status_name(event.status())));
    });
    channel.send("evict", R"({"reason":"enough"})");
    CHECK(seen.wait("CLOSED POND_ERROR_EVICTED") != "");
    CHECK(status_of([&] { channel.send("message"); }) == POND_ERROR_CLOSED);
}

TEST_CASE("each dial can be answered: another URL, fresh params") {
    pond::client client("ws://127.0.0.1:9/", R"({"token":"old"})", quick().set_ask_before_dial(true));
    client.on_dial([](pond::event_ref event) { event.client().answer_dial(event.attempt(), url(), R"({"token":"secret"})"); });
    client.connect_wait(patience);
    CHECK(status_of([&] { client.answer_dial(99); }) == POND_ERROR_INVALID_STATE);
}

TEST_CASE("headers, params and frames on the endpoint") {
    record seen;
    pond::options options = quick();
    options.set_header("X-Test", "one").set_header("X-Gone", "x").set_header("X-Gone", std::nullopt);
    pond::client client(url(), R"({"token":"secret","name":"nobody"})", options);
    client.on_endpoint_message([&](pond::event_ref event) { seen.add(std::string(event.payload())); });
    client.set_header("X-Test", "two");
    client.set_params(R"({"token":"secret","name":"bert","greet":1})");
    client.connect_wait(patience);
    const std::string welcome = seen.wait("bert");
    CHECK(pond::json_text(welcome, "/name") == "bert");
    CHECK(pond::json_text(welcome, "/header") == "two");
    CHECK(client.flush(patience));
}
