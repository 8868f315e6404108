// SPDX-License-Identifier: GPL-3.0-or-later
//
// A contestant of bench/: `cpp-bench VARIANT MODE URL N KIND CHANNELS`, modes and result as bench/README.md says.
//   push   handlers on the library's threads
//   next   pond::queue::next
#include <pondsocket.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto patience = 60s;

std::string number(std::uint64_t n) {
    std::string digits = std::to_string(n);
    return std::string(8 - std::min<std::size_t>(digits.size(), 8), '0') + digits;
}

// The number at the start of a payload.
std::uint64_t look(std::string_view json) {
    constexpr std::string_view key = R"({"n":")";
    if (json.size() < key.size() + 8 || json.substr(0, key.size()) != key) return UINT64_MAX;
    std::uint64_t n = 0;
    for (const char digit : json.substr(key.size(), 8)) n = n * 10 + static_cast<std::uint64_t>(digit - '0');
    return n;
}

std::int64_t cpu_us(rusage &usage) {
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * std::int64_t(1000000) + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

class bench {
public:
    bench(bool pulls, std::string url, std::uint64_t count, unsigned channels) : pulls_(pulls), count_(count), url_(std::move(url)) {
        if (pulls_) options_.set_queue(queue_);
        if (const char *authority = std::getenv("BENCH_CA")) options_.set_ca_file(authority);
        for (unsigned i = 0; i < channels; i++) names_.push_back("/room/" + number(i).substr(6));
    }

    void open() {
        client_ = pond::client(url_, {}, options_);
        client_.connect();
        for (const std::string &name : names_) {
            const pond::channel_ref channel = client_.open_channel(name);
            listen(channel);
            channel.join();
            channels_.push_back(channel);
        }
        for (const pond::channel_ref channel : channels_) channel.join_wait(patience);
    }

    void idle() {
        const long before = resident_kib();
        std::deque<pond::client> clients;
        for (std::uint64_t i = 0; i < count_; i++) {
            const pond::client &client = clients.emplace_back(url_, std::string_view(), options_);
            client.connect();
            const pond::channel_ref channel = client.open_channel(names_[0]);
            listen(channel);
            channel.join();
            channels_.push_back(channel);
            // The server accepts one after the other.
            if (i % 100 == 99) channel.join_wait(patience);
        }
        for (const pond::channel_ref channel : channels_) channel.join_wait(patience);
        std::cout << "{\"connections\":" << count_ << ",\"rss_kib\":" << resident_kib() - before << "}" << std::endl;
    }

    void run(const std::string &mode) {
        rusage usage;
        const std::int64_t cpu = cpu_us(usage);
        const auto wall = steady_clock::now();
        if (mode == "flood") channels_[0].send("go");
        else if (mode == "ask1") ask_all(1);
        else if (mode == "ask64") ask_all(64);
        else if (mode == "put") put_all(1);
        else put_all(4);
        take_all();
        const std::int64_t spent = cpu_us(usage) - cpu;
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - wall).count();
        std::cout << "{\"received\":" << received_ << ",\"in_order\":" << (in_order_ ? "true" : "false") << ",\"cpu_us\":" << spent
                  << ",\"wall_us\":" << took << ",\"max_rss_kib\":" << usage.ru_maxrss << "}" << std::endl;
    }

private:
    void listen(pond::channel_ref channel) {
        if (pulls_) return;
        channel.on_message([this](pond::event_ref event) { take(event); });
        channel.on_users_change([this](pond::event_ref event) { take(event); });
    }

    void finish() {
        if (!std::exchange(over_, true)) finished_.set_value();
    }

    void saw(std::uint64_t n) {
        in_order_ = in_order_ && n == received_;
        if (++received_ == count_) finish();
    }

    // Never runs twice at once: events of one client do not overlap.
    void take(pond::event_ref event) {
        switch (event.kind()) {
        case POND_EVENT_MESSAGE:
            if (event.name() == "end") {
                finish();
            } else if (event.name() == "done") {
                in_order_ = event.payload().find(R"("in_order":true)") != std::string_view::npos;
                received_ = count_;
                finish();
            } else {
                saw(look(event.payload()));
            }
            break;
        case POND_EVENT_PRESENCE:
            saw(look(event.changed()));
            break;
        case POND_EVENT_REPLY:
            if (event.status() != POND_OK) in_order_ = false;
            saw(look(event.payload()));
            // Replies ask on behind the first ones, never between them: their order is checked.
            if (!window_asked_) std::lock_guard<std::mutex> wait(asking_);
            if (asked_ < count_) ask(asked_++);
            break;
        default:
            break;
        }
    }

    void ask(std::uint64_t n) {
        const std::string payload = "{\"n\":\"" + number(n) + "\"}";
        if (pulls_) channels_[0].request_event("ask", payload);
        else channels_[0].request("ask", payload, pond::default_timeout, [this](pond::event_ref event) { take(event); });
    }

    void ask_all(std::uint64_t window) {
        // Replies ask on, on a library thread: the number is set before the first may come.
        const std::lock_guard<std::mutex> lock(asking_);
        asked_ = window;
        for (std::uint64_t n = 0; n < window; n++) ask(n);
        window_asked_ = true;
    }

    void put_all(unsigned threads) {
        std::vector<std::thread> others;
        for (unsigned t = 1; t < threads; t++) others.emplace_back([this, t, threads] { put(t, threads); });
        put(0, threads);
        for (std::thread &other : others) other.join();
    }

    void put(unsigned thread, unsigned threads) {
        const std::uint64_t share = count_ / threads + (thread < count_ % threads);
        for (std::uint64_t n = 0; n < share; n++) {
            const std::string payload =
                "{\"n\":\"" + number(n) + "\",\"t\":\"" + std::to_string(thread) + "\",\"x\":\"" + std::string(69, 'a') + "\"}";
            std::int32_t status;
            while ((status = channels_[0].try_send("put", payload)) == POND_ERROR_QUEUE_FULL) client_.flush(patience);
            if (status != POND_OK) throw pond::error(status, "send");
        }
    }

    void take_all() {
        if (!pulls_) {
            if (finished_.get_future().wait_for(patience) != std::future_status::ready) std::cerr << "cpp-bench: not over in time\n";
            return;
        }
        pond::event event;
        while (!over_ && queue_.try_next(event, patience) == POND_OK) take(event);
    }

    static long resident_kib() {
        long pages = 0;
        std::ifstream("/proc/self/statm") >> pages >> pages;
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
    }

    const bool pulls_;
    const std::uint64_t count_;
    const std::string url_;
    std::vector<std::string> names_;
    pond::queue queue_;
    pond::options options_;
    std::uint64_t received_ = 0, asked_ = 0;
    bool in_order_ = true, over_ = false;
    std::mutex asking_;
    std::atomic<bool> window_asked_{false};
    std::promise<void> finished_;
    std::vector<pond::channel_ref> channels_;
    pond::client client_; // goes first: no handler runs after it
};

} // namespace

int main(int argc, char **argv) try {
    if (argc != 7) {
        std::cerr << "usage: cpp-bench VARIANT MODE URL N KIND CHANNELS\n";
        return 2;
    }
    const std::string mode = argv[2];
    bench one(std::string(argv[1]) == "next", argv[3], std::stoull(argv[4]), static_cast<unsigned>(std::stoul(argv[6])));
    if (mode == "idle") {
        one.idle();
        return 0;
    }
    one.open();
    if (mode == "start") {
        const char *started = std::getenv("BENCH_STARTED_NS");
        const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count();
        std::cout << "{\"joined_us\":" << (now - (started ? std::atoll(started) : 0)) / 1000 << "}" << std::endl;
    } else if (mode == "flood" || mode == "ask1" || mode == "ask64" || mode == "put" || mode == "put4") {
        one.run(mode);
    } else {
        std::cerr << "cpp-bench: no such mode: " << mode << '\n';
        return 2;
    }
} catch (const pond::error &error) {
    std::cerr << "cpp-bench: " << error.message() << '\n';
    return 1;
}
