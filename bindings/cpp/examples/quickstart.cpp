// SPDX-License-Identifier: GPL-3.0-or-later
// quickstart [URL]: connect, join a channel, talk, ask, leave. Handlers run on the library's threads, one at a time.
#include <pondsocket.hpp>

#include <iostream>

using namespace std::chrono_literals;

int main(int argc, char **argv) try {
    std::promise<void> heard; // what a handler uses must outlive the client
    pond::client client(argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket", R"({"token":"secret"})");
    client.connect_wait(5s); // and again by itself whenever the link is lost

    pond::channel channel = client.channel("/chat/42", R"({"username":"anna"})");
    channel.on_event("message", [&, first = true](pond::event_ref event) mutable {
        std::cout << "message: " << event.payload() << std::endl;
        if (std::exchange(first, false)) heard.set_value();
    });
    channel.join_wait(5s);

    channel.send("message", R"({"text":"hello"})");
    heard.get_future().wait_for(5s);
    pond::event reply = channel.request("ping", R"({"n":1})").get();
    std::cout << "answer: " << reply.name() << ' ' << reply.payload() << std::endl;
    client.disconnect_wait();
} catch (const pond::error &error) {
    std::cerr << error.code() << ": " << error.message() << std::endl;
    return 1;
}
