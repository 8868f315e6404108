// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.hpp"

TEST_CASE("a request's future gives the reply") {
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    std::future<pond::event> first = channel.request("ping", R"({"n":1})"), second = channel.request("echo", R"({"n":2})");
    const pond::event reply = second.get();
    CHECK(reply.name() == "echo");
    CHECK(pond::json_number(reply.payload(), "/n") == 2);
    CHECK(first.get().name() == "pong");
    // A reply is an event of its own: it outlives the client.
    client.free();
    CHECK(pond::event(reply).name() == "echo");
}

TEST_CASE("a request's handler is called once") {
    record seen;
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    const std::uint64_t ticket = channel.request("ping", "{}", 5s, [&](pond::event_ref event) {
        seen.add(std::to_string(event.ticket()) + " " + std::string(event.name()));
    });
    CHECK(seen.wait("pong") == std::to_string(ticket) + " pong");
    CHECK_FALSE(channel.cancel_request(ticket));
    CHECK(seen.all().size() == 1);
}

TEST_CASE("a blocking call, and what it may not do") {
    record seen;
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    CHECK(pond::json_text(channel.call("whoami").payload(), "/username") == "anna");
    channel.on_message([&](pond::event_ref event) {
        seen.add(std::to_string(status_of([&] { event.channel().call("ping"); })));
    });
    channel.send("message");
    CHECK(seen.wait("-") == std::to_string(POND_ERROR_WOULD_DEADLOCK));
}

TEST_CASE("a server's error is an error with its words") {
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    std::int32_t status = POND_OK;
    if (python()) {
        // This server answers with an error only where the channel is gone, which may take a moment.
        channel.send("close-channel");
        const auto end = std::chrono::steady_clock::now() + patience;
        while (status != POND_ERROR_SERVER && std::chrono::steady_clock::now() < end)
            status = status_of([&] { channel.call("ping", "{}", 1s); });
        CHECK(status == POND_ERROR_SERVER);
    }
    const char *const unwelcome = python() ? "ping" : "nobody-handles-this";
    std::future<pond::event> future = channel.request(unwelcome);
    try {
        future.get();
        FAIL("a reply");
    } catch (const pond::error &error) {
        CHECK(error.status() == POND_ERROR_SERVER);
        CHECK(error.code() == "NOT_FOUND");
        CHECK(error.http_status() == 404);
        CHECK(error.message() == error.what());
    }
    CHECK(status_of([&] { channel.call(unwelcome); }) == POND_ERROR_SERVER);
}

TEST_CASE("timeout, cancel, leave and free end a request with their status") {
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    CHECK(status_of([&] { channel.request("silent", "{}", 100ms).get(); }) == POND_ERROR_TIMEOUT);
    CHECK(status_of([&] { channel.call("silent", "{}", 100ms); }) == POND_ERROR_TIMEOUT);

    std::uint64_t ticket = 0;
    std::future<pond::event> cancelled = channel.request("silent", "{}", pond::forever, &ticket);
    CHECK(channel.cancel_request(ticket));
    CHECK(status_of([&] { cancelled.get(); }) == POND_ERROR_CANCELLED);

    std::future<pond::event> left = channel.request("silent", "{}", pond::forever);
    channel.leave();
    CHECK(status_of([&] { left.get(); }) == POND_ERROR_CLOSED);
    CHECK(status_of([&] { channel.request("silent"); }) == POND_ERROR_CLOSED);

    channel.join_wait(patience);
    std::future<pond::event> freed = channel.request("silent", "{}", pond::forever);
    client.free();
    CHECK(status_of([&] { freed.get(); }) == POND_ERROR_CLOSED);
}

TEST_CASE("a lost connection ends a request that was on the wire") {
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    std::future<pond::event> lost = channel.request("silent", "{}", pond::forever);
    REQUIRE(client.flush(patience));
    client.suspend();
    CHECK(status_of([&] { lost.get(); }) == POND_ERROR_CONNECTION_LOST);
}

TEST_CASE("what a request needs is checked at once, and what it captured goes") {
    auto captured = std::make_shared<int>(0);
    pond::client client(url());
    pond::channel channel = client.channel(room());
    CHECK(status_of([&] { channel.request("ping", "[]", 1s, [captured](pond::event_ref) {}); }) == POND_ERROR_INVALID_JSON);
    CHECK(status_of([&] { channel.request("ping", "{}", 1s, pond::handler()); }) == POND_ERROR_INVALID_ARGUMENT);
    CHECK(captured.use_count() == 1);
}
