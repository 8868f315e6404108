// SPDX-License-Identifier: GPL-3.0-or-later
//
// request [URL]: every way to ask, and every way it can end.
#include <pondsocket.hpp>

#include <iostream>

using namespace std::chrono_literals;

// How a future ended: with the reply's name and payload, or with the status of the error.
static void show(const char *what, std::future<pond::event> future) {
    try {
        const pond::event reply = future.get();
        std::cout << what << reply.name() << ' ' << reply.payload() << std::endl;
    } catch (const pond::error &error) {
        std::cout << what << pond::status_name(error.status()) << ": " << error.code() << ' ' << error.message() << std::endl;
    }
}

int main(int argc, char **argv) try {
    pond::client client(argc > 1 ? argv[1] : "ws://127.0.0.1:8080/api/socket", R"({"token":"secret"})");
    pond::channel channel = client.channel("/chat/requests");
    client.connect();
    channel.join_wait(5s);

    // Several at a time; each gets its own reply, whatever their order.
    std::future<pond::event> slow = channel.request("slow", R"({"ms":200})");
    show("future    ", channel.request("ping", R"({"n":1})"));

    std::promise<void> done;
    channel.request("echo", R"({"n":2})", 5s, [&](pond::event_ref reply) {
        // On a thread of the library. status() is POND_OK, or why there is no reply.
        std::cout << "handler   " << reply.name() << ' ' << reply.payload() << std::endl;
        done.set_value();
    });
    done.get_future().wait();
    show("unknown   ", channel.request("nobody-handles-this"));
    show("silent    ", channel.request("silent", "{}", 200ms));

    std::uint64_t ticket = 0;
    std::future<pond::event> cancelled = channel.request("silent", "{}", pond::forever, &ticket);
    channel.cancel_request(ticket);
    show("cancelled ", std::move(cancelled));
    show("slow      ", std::move(slow));

    // Blocks, and throws where the futures would.
    const pond::event reply = channel.call("ping", R"({"n":3})", 2s);
    std::cout << "call      " << reply.name() << ' ' << reply.payload() << std::endl;
    client.disconnect_wait();
} catch (const pond::error &error) {
    std::cerr << error.code() << ": " << error.message() << std::endl;
    return 1;
}
