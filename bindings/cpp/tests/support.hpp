// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tests share. POND_TEST_URL is a real server's chat endpoint, POND_TEST_DIALECT which one it is: rust or python.
#ifndef POND_TEST_SUPPORT_HPP
#define POND_TEST_SUPPORT_HPP

#include <pondsocket.hpp>

// Without, doctest declares std::ostream itself, in a way that <thread> does not bear.
#define DOCTEST_CONFIG_USE_STD_HEADERS
#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

using namespace std::chrono_literals;

/// How long a test waits for what must come; never how long it takes.
inline constexpr auto patience = 20s;

inline std::string environment(const char *name) {
    const char *value = std::getenv(name);
    REQUIRE_MESSAGE(value != nullptr, std::string(name) << " is not set: run.sh does it");
    return value;
}

inline std::string url() { return environment("POND_TEST_URL"); }
inline bool python() { return environment("POND_TEST_DIALECT") == "python"; }

/// A room of its own for each test.
inline std::string room() {
    static std::atomic<int> number{0};
    return "/chat/cpp-" + std::to_string(++number) + "-" +
           std::to_string(std::chrono::steady_clock::now().time_since_epoch().count() % 1000000);
}

inline pond::options quick() {
    pond::options options;
    options.set_backoff(20ms, 200ms);
    return options;
}

inline pond::client connected(const std::string &name = "anna") {
    pond::client client(url(), R"({"token":"secret","name":")" + name + "\"}", quick());
    client.connect_wait(patience);
    return client;
}

inline pond::channel joined(const pond::client &client, const std::string &name, const std::string &user = "anna") {
    pond::channel channel = client.channel(name, R"({"username":")" + user + "\"}");
    channel.join_wait(patience);
    return channel;
}

/// What handlers have seen, in order; any thread may add, a test waits.
class record {
public:
    void add(std::string what) {
        std::lock_guard<std::mutex> lock(mutex_);
        all_.push_back(std::move(what));
        changed_.notify_all();
    }
    /// Waits until an entry contains the text; gives it, or "" when it did not come.
    std::string wait(const std::string &part) {
        std::unique_lock<std::mutex> lock(mutex_);
        std::string found;
        changed_.wait_for(lock, patience, [&] {
            for (const std::string &one : all_)
                if (one.find(part) != std::string::npos) return found = one, true;
            return false;
        });
        return found;
    }
    bool wait_count(std::size_t count) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return all_.size() >= count; });
    }
    std::vector<std::string> all() {
        std::lock_guard<std::mutex> lock(mutex_);
        return all_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> all_;
};

/// The status of the pond::error that a call throws; POND_OK when it throws none.
template <class F> std::int32_t status_of(F call) {
    try {
        call();
    } catch (const pond::error &error) {
        CHECK(!std::string(error.what()).empty());
        return error.status();
    }
    return POND_OK;
}

#endif
