// SPDX-License-Identifier: GPL-3.0-or-later
//
// chat [NAME [ROOM [URL]]]: a chat for people, one terminal each. Lines are sent; /who, /ask TEXT, /quit.
//
// One thread, one poll: the terminal and the queue are both descriptors, the handlers run in queue.dispatch(), nothing is
// locked. When the server goes away the library redials and rejoins; what is typed meanwhile is queued. POSIX because of poll.
#include <pondsocket.hpp>

#include <iostream>
#include <poll.h>
#include <string>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

// Texts of others go to a terminal: no control characters, neither C0 nor (as UTF-8) C1.
std::string clean(std::string text) {
    for (std::size_t i = 0; i < text.size(); i++) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (byte < 0x20 || byte == 0x7f) text[i] = '?';
        if (c1) text[i] = text[i + 1] = '?';
    }
    return text;
}

std::string at(std::string_view json, const std::string &pointer) { return clean(pond::json_text(json, pointer).value_or("")); }

class chat {
public:
    chat(const std::string &name, const std::string &room, const std::string &url)
        : client_(url, "{\"token\":\"secret\",\"name\":" + pond::json_quote(name) + "}", pond::options().set_queue(queue_)),
          channel_(client_.channel("/chat/" + room, "{\"username\":" + pond::json_quote(name) + "}")) {
        client_.on_state([this](pond::event_ref event) {
            if (leaving_ || event.state() != POND_CLIENT_DISCONNECTED) return;
            std::cout << "* no connection: " << event.message() << std::endl;
        });
        channel_.on_state([this](pond::event_ref event) {
            if (event.state() == POND_CHANNEL_JOINED) std::cout << "* joined " << event.channel_name() << std::endl;
            // Thrown in a handler, it comes out of dispatch.
            if (event.state() == POND_CHANNEL_DECLINED || (event.state() == POND_CHANNEL_CLOSED && !leaving_))
                throw pond::error(event);
        });
        channel_.on_event("message", [this, name](pond::event_ref event) {
            const std::string from = at(event.payload(), "/from");
            std::cout << from << ": " << at(event.payload(), "/text") << std::endl;
            if (from == name && unseen_ > 0) unseen_--;
        });
        channel_.on_join([](pond::event_ref event) { std::cout << "* " << at(event.changed(), "/id") << " came" << std::endl; });
        channel_.on_leave([](pond::event_ref event) { std::cout << "* " << at(event.changed(), "/id") << " left" << std::endl; });
        client_.connect();
        channel_.join();
    }

    void run() {
        pollfd fds[] = {{queue_.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        while (!leaving_) {
            // No input before the channel is joined, so that /who has somebody to show.
            const bool ready = channel_.state() != POND_CHANNEL_JOINING;
            fds[1].revents = 0;
            poll(fds, ready ? 2 : 1, -1);
            queue_.dispatch();
            if (ready && fds[1].revents) input();
        }
        // Lines of a pipe may still be on their way.
        for (const auto end = std::chrono::steady_clock::now() + 5s; unseen_ > 0 && std::chrono::steady_clock::now() < end;) {
            poll(fds, 1, 100);
            queue_.dispatch();
        }
        client_.disconnect_wait();
    }

private:
    void input() {
        char buffer[4096];
        const ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);
        if (length <= 0) leaving_ = true;
        if (length > 0) typed_.append(buffer, static_cast<std::size_t>(length));
        for (std::size_t end = 0; !leaving_ && (end = typed_.find('\n')) != std::string::npos;) {
            line(typed_.substr(0, end));
            typed_.erase(0, end + 1);
        }
    }

    void line(const std::string &text) {
        if (text == "/quit") {
            leaving_ = true;
        } else if (text == "/who") {
            std::cout << "* here:";
            const std::string users = channel_.presence();
            for (int i = 0;; i++) {
                const std::string id = at(users, "/" + std::to_string(i) + "/id");
                if (id.empty()) break;
                std::cout << ' ' << id;
            }
            std::cout << std::endl;
        } else if (text.rfind("/ask ", 0) == 0) {
            channel_.request("echo", "{\"text\":" + pond::json_quote(text.substr(5)) + "}", 5s, [](pond::event_ref reply) {
                if (reply.status() == POND_OK) std::cout << "* the server says " << at(reply.payload(), "/text") << std::endl;
                else std::cout << "* no answer: " << reply.message() << std::endl;
            });
        } else if (!text.empty()) {
            channel_.send("message", "{\"text\":" + pond::json_quote(text) + "}");
            unseen_++;
        }
    }

    pond::queue queue_;
    pond::client client_;
    pond::channel channel_;
    std::string typed_;
    int unseen_ = 0; // own lines that the server has not broadcast yet
    bool leaving_ = false;
};

} // namespace

int main(int argc, char **argv) try {
    chat(argc > 1 ? argv[1] : "anna", argc > 2 ? argv[2] : "42", argc > 3 ? argv[3] : "ws://127.0.0.1:8080/api/socket").run();
    std::cout << "* bye" << std::endl;
} catch (const pond::error &error) {
    std::cerr << "* " << error.code() << ": " << clean(std::string(error.message())) << std::endl;
    return 1;
}
