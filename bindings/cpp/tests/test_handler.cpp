// SPDX-License-Identifier: GPL-3.0-or-later
//
// Handlers: what they throw, how they end, and queues.
#include "support.hpp"

#include <thread>

TEST_CASE("what a handler throws on a library thread goes to the exception handler, and all goes on") {
    record thrown, seen;
    pond::set_exception_handler([&](std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &error) {
            thrown.add(error.what());
        } catch (int number) {
            thrown.add(std::to_string(number));
        }
    });
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    channel.on_message([](pond::event_ref) { throw std::runtime_error("mine"); });
    channel.on_message([](pond::event_ref) { throw 42; }); // NOLINT: not a std::exception on purpose
    channel.on_message([&](pond::event_ref event) { seen.add(std::string(event.name())); });
    channel.send("message");
    CHECK(seen.wait("message") != "");
    channel.request("ping", "{}", 5s, [](pond::event_ref) { throw std::runtime_error("in a reply"); });
    CHECK(thrown.wait("in a reply") != "");
    CHECK(thrown.all() == std::vector<std::string>{"mine", "42", "in a reply"});
    client.free();
    pond::set_exception_handler(nullptr);
}

TEST_CASE("what a handler throws in dispatch comes out of dispatch") {
    record seen;
    pond::queue queue;
    pond::client client(url(), R"({"token":"secret"})", quick().set_queue(queue));
    pond::channel channel = client.channel(room(), R"({"username":"anna"})");
    const std::thread::id here = std::this_thread::get_id();
    channel.on_message([&](pond::event_ref) {
        CHECK(std::this_thread::get_id() == here);
        throw std::logic_error("mine");
    });
    channel.on_message([&](pond::event_ref event) { seen.add(std::string(event.name())); });
    client.connect_wait(patience);
    channel.join_wait(patience);
    channel.send("message");
    std::string caught;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (caught.empty() && std::chrono::steady_clock::now() < end) {
        try {
            if (queue.dispatch(0, 5ms) == 0) std::this_thread::yield();
        } catch (const std::logic_error &error) {
            caught = error.what();
        }
    }
    CHECK(caught == "mine");
    CHECK(seen.all().size() == 1);
    CHECK(queue.dispatch() == 0);
}

TEST_CASE("a subscription ends: the handler is not called again and what it captured goes") {
    record seen;
    auto captured = std::make_shared<int>(0);
    pond::client client = connected();
    pond::channel channel = joined(client, room());
    {
        pond::scoped_subscription scoped = channel.on_message([&, captured](pond::event_ref) { seen.add("scoped"); });
        channel.send("message");
        CHECK(seen.wait("scoped") != "");
        CHECK(captured.use_count() == 2);
        pond::scoped_subscription moved = std::move(scoped);
    }
    CHECK(captured.use_count() == 1);
    pond::subscription plain = channel.on_message([&, captured](pond::event_ref) { seen.add("plain"); });
    channel.send("message");
    CHECK(seen.wait("plain") != "");
    CHECK(plain.cancel());
    CHECK_FALSE(plain.cancel());
    CHECK(captured.use_count() == 1);
    channel.on_message([captured](pond::event_ref) {});
    channel.free();
    CHECK(captured.use_count() == 1);
    CHECK(seen.all().size() == 2);
}

TEST_CASE("a handler may free its own client") {
    record seen;
    auto client = std::make_unique<pond::client>(url(), R"({"token":"secret"})");
    client->on_state([&](pond::event_ref event) {
        if (event.state() != POND_CLIENT_CONNECTED) return;
        client.reset();
        seen.add("freed");
    });
    client->connect();
    CHECK(seen.wait("freed") != "");
}

TEST_CASE("events are pulled, one by one and many at once") {
    pond::queue queue;
    pond::client client(url(), R"({"token":"secret"})", quick().set_queue(queue));
    CHECK_FALSE(queue.next());
    pond::channel channel = client.channel(room(), R"({"username":"anna"})");
    client.connect();
    channel.join();
    std::vector<pond::event> events;
    const auto pull_until = [&](std::int32_t kind) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end) {
            for (pond::event &event : queue.next_many(100ms, 8)) events.push_back(std::move(event));
            for (const pond::event &event : events)
                if (event.kind() == kind) return event;
        }
        return pond::event();
    };
    CHECK(pull_until(POND_EVENT_CHANNEL_STATE).channel() == channel);
    const std::uint64_t ticket = channel.request_event("ping", R"({"n":5})");
    const pond::event reply = pull_until(POND_EVENT_REPLY);
    CHECK(reply.ticket() == ticket);
    const std::optional<pond::event> matched = reply.match(":what");
    REQUIRE(matched.has_value());
    CHECK(matched->param("what") == "pong");
    CHECK(matched->param("other") == std::nullopt);
    CHECK_FALSE(reply.match("other").has_value());

    client.disconnect();
    std::optional<pond::event> last;
    while (auto event = queue.next(patience)) {
        last = std::move(event);
        if (last->kind() == POND_EVENT_CLIENT_STATE && last->state() == POND_CLIENT_DISCONNECTED) break;
    }
    REQUIRE(last.has_value());
    CHECK(last->client() == client);
    pond::event copy = *last;
    last.reset();
    CHECK(copy.kind() == POND_EVENT_CLIENT_STATE);
    CHECK(queue.next_many(0ms).empty());
}

TEST_CASE("a queue wakes, and can be interrupted") {
    record wakes;
    pond::queue queue;
#ifndef _WIN32
    CHECK(queue.fd() >= 0);
#endif
    queue.set_wake([&] { wakes.add("wake"); });
    pond::client client(url(), R"({"token":"secret"})", quick().set_queue(queue));
    client.connect();
    CHECK(wakes.wait_count(1));
    queue.set_wake(nullptr);
    pond::queue idle;
    std::thread waiting([&] {
        pond::event event;
        CHECK(idle.try_next(event, pond::forever) == POND_INTERRUPTED);
        CHECK_FALSE(event);
    });
    idle.interrupt();
    waiting.join();
    // The queue may go first: it stays until its client is gone.
    queue.free();
    CHECK(status_of([&] { queue.next(); }) == POND_ERROR_INVALID_HANDLE);
}

TEST_CASE("an error is a value") {
    const pond::error made(POND_ERROR_SERVER, "no such thing", "NOT_FOUND", 404, R"({"a":1})");
    const pond::error copy = made;
    CHECK(copy.status() == POND_ERROR_SERVER);
    CHECK(copy.code() == "NOT_FOUND");
    CHECK(copy.http_status() == 404);
    CHECK(copy.details() == R"({"a":1})");
    CHECK(std::string(copy.what()) == "no such thing");
    static_assert(std::is_nothrow_copy_constructible_v<pond::error>);
    static_assert(!std::is_copy_constructible_v<pond::client> && std::is_nothrow_move_constructible_v<pond::client>);
    static_assert(!std::is_copy_constructible_v<pond::channel> && std::is_nothrow_move_assignable_v<pond::channel>);
    static_assert(std::is_nothrow_copy_constructible_v<pond::event> && std::is_nothrow_move_constructible_v<pond::event>);
}
