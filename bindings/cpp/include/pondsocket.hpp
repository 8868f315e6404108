// SPDX-License-Identifier: GPL-3.0-or-later
//
// pondsocket.hpp - PondSocket for C++17, over pondsocket.h. One header, nothing to compile.
//
// The names are those of the C interface: pond_channel_send is channel::send. What a call does, and every status it can end
// with, is told at the C function; here stands what C++ adds.
//
//   Errors.    Calls throw pond::error. Those named try_... are noexcept and return the status instead.
//   Owners.    client, channel, queue, options and event own what they stand for and can be moved. Each has a ..._ref that owns
//              nothing, can be copied, and offers the same calls: what an event tells, what a lambda may keep.
//   Handlers.  std::function<void(event_ref)>, called on a thread of the library, or in queue::dispatch for clients with a queue.
//              The event_ref is good until the handler returns; event_ref::retain keeps the event.
//   Throwing.  An exception never leaves a handler for the library. Thrown inside queue::dispatch it comes out of dispatch, after
//              the events of that call. Elsewhere it goes to the function of set_exception_handler, which by default prints a line.
//   Strings.   string_view in, copied by the library. string_views of an event or error live as long as it does.
//   JSON.      Payloads are JSON text. Where nlohmann/json is installed, json values do as well; include its json.hpp for that.
//   Times.     std::chrono; pond::forever = no limit.
//   Threads.   Calls on one object may come from several threads at once; moving and destroying it may not.
#ifndef PONDSOCKET_HPP
#define PONDSOCKET_HPP

#include <pondsocket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if !defined(POND_NO_NLOHMANN_JSON) && defined(__has_include)
#if __has_include(<nlohmann/json_fwd.hpp>)
#include <nlohmann/json_fwd.hpp>
#define POND_NLOHMANN_JSON 1
#endif
#endif

/// The native PondSocket client.
namespace pond {

/// How times are given: milliseconds, or anything that std::chrono turns into them.
using milliseconds = std::chrono::milliseconds;

/// As a time: no limit. As a retry time: no dial will come.
inline constexpr milliseconds forever{POND_FOREVER};

/// As the time of a request: that of options::set_response_timeout.
inline constexpr milliseconds default_timeout{0};

class event_ref;
class event;
class channel_ref;
class channel;
class client_ref;
class client;
class queue;

/// What every handler is. The event is borrowed until the handler returns; event_ref::retain keeps it.
using handler = std::function<void(event_ref)>;

// ---- errors ----------------------------------------------------------------------------------------------------------

/// Why a call, a request or a wait failed: the one exception of this header, besides std::bad_alloc. what() is for people.
class error : public std::runtime_error {
public:
    /// An error of your own making, for instance in a test.
    error(std::int32_t status, const std::string &message, std::string code = {}, std::int32_t http_status = 0,
          std::string details = "null")
        : std::runtime_error(message), fields_(std::make_shared<const fields>(fields{
                                           status, http_status, code.empty() ? pond_status_name(status) : std::move(code),
                                           std::move(details)})) {}

    /// What an event tells: a REPLY that failed, a CLIENT_ERROR, a CHANNEL_ERROR, a state with its reason.
    explicit error(event_ref event);

    /// Takes a C error over, and frees it; NULL: only the status is known.
    static error take(std::int32_t status, pond_error *raw) {
        std::unique_ptr<pond_error, void (*)(pond_error *)> guard(raw, pond_error_free);
        if (!raw) return error(status, pond_status_name(status));
        std::size_t length = 0;
        const char *text = pond_error_message(raw, &length);
        std::string message(text, length);
        text = pond_error_code(raw, &length);
        std::string code(text, length);
        text = pond_error_details(raw, &length);
        return error(status, message, std::move(code), pond_error_http_status(raw), std::string(text, length));
    }

    /// A POND_ERROR_ value. Of a call that took another way than expected, its positive status.
    std::int32_t status() const noexcept { return fields_->status; }
    /// The server's word for the error, or the name of the status.
    std::string_view code() const noexcept { return fields_->code; }
    /// What happened, for people: as what().
    std::string_view message() const noexcept { return what(); }
    /// The HTTP status of a refused upgrade, or the server's numeric code; 0 = none.
    std::int32_t http_status() const noexcept { return fields_->http_status; }
    /// The server's JSON about it; "null" when there is none.
    std::string_view details() const noexcept { return fields_->details; }

private:
    struct fields {
        std::int32_t status, http_status;
        std::string code, details;
    };
    // Shared, so that copying the exception cannot throw.
    std::shared_ptr<const fields> fields_;
};

/// What set_exception_handler takes: gets the exception that a handler threw.
using exception_handler = std::function<void(std::exception_ptr)>;

/// What is not for you.
namespace detail {

/// Never destroyed: a handler may still run while the program ends.
struct exception_hook {
    std::mutex mutex;
    std::shared_ptr<const exception_handler> function;
    static exception_hook &get() {
        static auto *const hook = new exception_hook;
        return *hook;
    }
};

/// Where the running queue::dispatch of this thread keeps the first exception; null outside of it.
inline std::exception_ptr *&dispatch_slot() noexcept {
    static thread_local std::exception_ptr *slot = nullptr;
    return slot;
}

/// Called in a catch block: an exception that must not go on into the library.
inline void report() noexcept {
    if (std::exception_ptr *slot = dispatch_slot(); slot && !*slot) {
        *slot = std::current_exception();
        return;
    }
    try {
        std::shared_ptr<const exception_handler> function;
        {
            exception_hook &hook = exception_hook::get();
            std::lock_guard<std::mutex> lock(hook.mutex);
            function = hook.function;
        }
        if (function && *function) {
            (*function)(std::current_exception());
            return;
        }
        try {
            throw;
        } catch (const std::exception &thrown) {
            std::fprintf(stderr, "pondsocket: a handler threw: %s\n", thrown.what());
        } catch (...) {
            std::fputs("pondsocket: a handler threw something that is no std::exception\n", stderr);
        }
    } catch (...) {
        std::fputs("pondsocket: the exception handler threw\n", stderr);
    }
}

inline void check(std::int32_t status) {
    if (status < 0) throw error(status, pond_status_name(status));
}

/// By reference: the call that sets the error is an argument beside it, and may be evaluated later.
inline void check(std::int32_t status, pond_error *const &raw) {
    if (status < 0) throw error::take(status, raw);
}

inline std::uint32_t ms(milliseconds time) noexcept {
    if (time.count() <= 0) return 0;
    return time.count() >= static_cast<milliseconds::rep>(POND_FOREVER) ? POND_FOREVER
                                                                        : static_cast<std::uint32_t>(time.count());
}

/// A string of the library: freed when it goes.
struct string_deleter {
    void operator()(char *text) const noexcept { pond_string_free(text); }
};
using owned_string = std::unique_ptr<char, string_deleter>;

/// What the library wants NUL-terminated. A NUL inside would cut the text short without a word.
class c_string {
public:
    explicit c_string(std::string_view text) : text_(text) {
        if (text_.find('\0') != std::string::npos) throw error(POND_ERROR_INVALID_ARGUMENT, "a NUL inside of a text");
    }
    const char *get() const noexcept { return text_.c_str(); }

private:
    std::string text_;
};

/// JSON is optional in many places: an empty text stands for none.
class c_json : public c_string {
public:
    explicit c_json(std::string_view text) : c_string(text), empty_(text.empty()) {}
    const char *get() const noexcept { return empty_ ? nullptr : c_string::get(); }

private:
    bool empty_;
};

#ifdef POND_NLOHMANN_JSON
template <class J> using if_json = std::enable_if_t<std::is_same_v<std::decay_t<J>, nlohmann::json>, int>;
#endif

} // namespace detail

/// Sets what gets the exceptions that handlers throw on threads of the library (from queue::dispatch they come out instead). It
/// runs in the handler's place and must not throw. An empty function prints a line to stderr, as at first.
inline void set_exception_handler(exception_handler function) {
    auto next = function ? std::make_shared<const exception_handler>(std::move(function)) : nullptr;
    // The old function goes with `next`, after the lock: its destructor is the program's code.
    detail::exception_hook &hook = detail::exception_hook::get();
    std::lock_guard<std::mutex> lock(hook.mutex);
    hook.function.swap(next);
}

// ---- events ----------------------------------------------------------------------------------------------------------

/// An event that somebody else owns: what happened, and its fields. What a kind does not have reads as 0, "" or empty JSON.
class event_ref {
public:
    /// No event: every field reads as absent.
    event_ref() noexcept = default;
    /// A C event, borrowed.
    explicit event_ref(const pond_event *raw) noexcept : raw_(raw) {}

    /// Is there an event?
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// The C event.
    const pond_event *get() const noexcept { return raw_; }
    /// A reference of your own to the same event; no copy.
    event retain() const;

    /// POND_EVENT_...
    std::int32_t kind() const noexcept { return pond_event_kind(raw_); }
    /// The client that it came from.
    client_ref client() const noexcept;
    /// The channel that it came from; of client events one that is false.
    channel_ref channel() const noexcept;
    /// The channel's name; "" for client events.
    std::string_view channel_name() const noexcept { return text(pond_event_channel_name); }
    /// The event's name as the server sent it; of a LOG event its target.
    std::string_view name() const noexcept { return text(pond_event_name); }
    /// The payload, byte for byte as the sender wrote it; "{}" when there is none.
    std::string_view payload() const noexcept { return text(pond_event_payload); }
    /// The request id of the frame, as on the wire.
    std::string_view request_id() const noexcept { return text(pond_event_request_id); }
    /// REPLY: the ticket of its request.
    std::uint64_t ticket() const noexcept { return pond_event_ticket(raw_); }
    /// What the pattern's ":name" matched; "*" is the wildcard. Only on events that came through a pattern.
    std::optional<std::string_view> param(std::string_view name) const { return named(pond_event_param, name); }
    /// A value of the query behind the event's name ("move?x=1"); on the events that have parameters.
    std::optional<std::string_view> query(std::string_view name) const { return named(pond_event_query, name); }
    /// The state that was reached: POND_CLIENT_... or POND_CHANNEL_...
    std::int32_t state() const noexcept { return pond_event_state(raw_); }
    /// The state before.
    std::int32_t previous_state() const noexcept { return pond_event_previous_state(raw_); }
    /// The number of the dial: 1 = first since connected.
    std::uint32_t attempt() const noexcept { return pond_event_attempt(raw_); }
    /// How long until the next dial; pond::forever = none will come.
    milliseconds retry() const noexcept { return milliseconds(pond_event_retry_ms(raw_)); }
    /// CONNECTED: how often this client has been; 1 = the first time.
    std::uint32_t connect_count() const noexcept { return pond_event_connect_count(raw_); }
    /// The WebSocket close code; 0 = none came.
    std::int32_t close_code() const noexcept { return pond_event_close_code(raw_); }
    /// DISCONNECTED: messages that may or may not have arrived; they are never resent.
    std::uint32_t in_doubt() const noexcept { return pond_event_in_doubt(raw_); }
    /// DROPPED: how many messages it stands for.
    std::uint32_t count() const noexcept { return pond_event_count(raw_); }
    /// PRESENCE: POND_PRESENCE_...; 0 when only the list changed.
    std::int32_t presence_kind() const noexcept { return pond_event_presence_kind(raw_); }
    /// PRESENCE: the one that changed, JSON; "{}" when not told.
    std::string_view changed() const noexcept { return text(pond_event_changed); }
    /// PRESENCE: everybody present, a JSON array; "[]" when not told.
    std::string_view users() const noexcept { return text(pond_event_users); }
    /// Why, or how it ended: POND_OK or POND_ERROR_...
    std::int32_t status() const noexcept { return pond_event_status(raw_); }
    /// The server's word for the error, or the name of the status.
    std::string_view error_code() const noexcept { return text(pond_event_error_code); }
    /// What went wrong, for people; of a LOG event its text.
    std::string_view message() const noexcept { return text(pond_event_message); }
    /// The HTTP status of a refused upgrade, or the server's numeric code; 0 = none.
    std::int32_t http_status() const noexcept { return pond_event_http_status(raw_); }
    /// The server's JSON about the error; "null" when there is none.
    std::string_view details() const noexcept { return text(pond_event_details); }
    /// LOG: POND_LOG_...
    std::int32_t level() const noexcept { return pond_event_level(raw_); }
    /// Does the name match the pattern ("user/:id")? Then an event on which param and query answer.
    std::optional<event> match(std::string_view pattern) const;

#ifdef POND_NLOHMANN_JSON
    /// The payload, parsed. Needs <nlohmann/json.hpp>; throws its parse_error.
    template <class J = nlohmann::json> J json() const { return J::parse(payload()); }
    /// PRESENCE: everybody present, parsed. Needs <nlohmann/json.hpp>.
    template <class J = nlohmann::json> J users_json() const { return J::parse(users()); }
    /// PRESENCE: the one that changed, parsed. Needs <nlohmann/json.hpp>.
    template <class J = nlohmann::json> J changed_json() const { return J::parse(changed()); }
#endif

protected:
    /// The C event, of this object or borrowed.
    const pond_event *raw_ = nullptr;

private:
    std::string_view text(const char *(*read)(const pond_event *, std::size_t *)) const noexcept {
        std::size_t length = 0;
        const char *start = read(raw_, &length);
        return {start, length};
    }
    std::optional<std::string_view> named(const char *(*read)(const pond_event *, const char *, std::size_t *),
                                          std::string_view name) const {
        std::size_t length = 0;
        const char *start = read(raw_, detail::c_string(name).get(), &length);
        if (!start) return std::nullopt;
        return std::string_view(start, length);
    }
};

/// An event of your own. A copy is a reference to the same event.
class event : public event_ref {
public:
    /// No event.
    event() noexcept = default;
    /// Takes a C event over.
    explicit event(pond_event *raw) noexcept : event_ref(raw) {}
    /// A further reference to the same event.
    event(const event &other) noexcept : event_ref(pond_event_retain(other.raw_)) {}
    /// Takes the event; the other one is empty then.
    event(event &&other) noexcept : event_ref(std::exchange(other.raw_, nullptr)) {}
    /// As the constructors.
    event &operator=(event other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~event() { pond_event_free(const_cast<pond_event *>(raw_)); }
    /// Gives the C event away: pond_event_free is yours then.
    pond_event *release() noexcept { return const_cast<pond_event *>(std::exchange(raw_, nullptr)); }
};

inline event event_ref::retain() const { return event(pond_event_retain(raw_)); }

inline std::optional<event> event_ref::match(std::string_view pattern) const {
    pond_event *out = nullptr;
    const std::int32_t status = pond_event_match(raw_, detail::c_string(pattern).get(), &out);
    detail::check(status);
    if (status != POND_OK) return std::nullopt;
    return event(out);
}

inline error::error(event_ref event)
    : error(event.status(), std::string(event.message().empty() ? pond_status_name(event.status()) : event.message()),
            std::string(event.error_code()), event.http_status(), std::string(event.details())) {}

namespace detail {

/// The one trampoline: nothing that a handler throws goes further.
inline void call(const pond_event *event, void *user_data) noexcept {
    try {
        (*static_cast<handler *>(user_data))(event_ref(event));
    } catch (...) {
        report();
    }
}

inline void drop(void *user_data) noexcept { delete static_cast<handler *>(user_data); }

/// A promise that a request will keep.
inline void fulfil(const pond_event *raw, void *user_data) noexcept {
    auto &promise = *static_cast<std::promise<event> *>(user_data);
    const event_ref reply(raw);
    try {
        if (reply.status() == POND_OK) {
            promise.set_value(reply.retain());
        } else {
            promise.set_exception(std::make_exception_ptr(error(reply)));
        }
    } catch (...) {
        report();
    }
}

inline void drop_promise(void *user_data) noexcept { delete static_cast<std::promise<event> *>(user_data); }

/// An empty function must be refused as the C interface refuses NULL.
inline pond_event_fn trampoline(const handler &function) noexcept { return function ? call : nullptr; }

} // namespace detail

// ---- subscriptions ---------------------------------------------------------------------------------------------------

/// One registered handler. A plain handle: it may be forgotten, and the handler then lives as long as its client or channel.
class subscription {
public:
    /// None.
    subscription() noexcept = default;
    /// A C handle.
    explicit subscription(pond_subscription *raw) noexcept : raw_(raw) {}
    /// Ends it: afterwards the handler is not called again and what it captured is gone. Inside of another handler this does not
    /// wait. True: it was registered until now.
    bool cancel() noexcept { return pond_subscription_cancel(std::exchange(raw_, nullptr)) == POND_OK; }
    /// Is there one?
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// The C handle.
    pond_subscription *get() const noexcept { return raw_; }

private:
    pond_subscription *raw_ = nullptr;
};

/// A subscription that ends with its scope: `pond::scoped_subscription s = channel.on_message(...)`.
class scoped_subscription {
public:
    /// None.
    scoped_subscription() noexcept = default;
    /// Takes it over.
    scoped_subscription(subscription other) noexcept : subscription_(other) {}
    /// Moves it.
    scoped_subscription(scoped_subscription &&other) noexcept : subscription_(other.release()) {}
    /// Ends the own one, then moves the other.
    scoped_subscription &operator=(scoped_subscription &&other) noexcept {
        if (this != &other) {
            cancel();
            subscription_ = other.release();
        }
        return *this;
    }
    ~scoped_subscription() { cancel(); }
    /// Ends it now.
    bool cancel() noexcept { return subscription_ && subscription_.cancel(); }
    /// Lets it live on.
    subscription release() noexcept { return std::exchange(subscription_, subscription()); }

private:
    subscription subscription_;
};

// ---- queue -----------------------------------------------------------------------------------------------------------

/// Events that your own threads take: either they pull them (next), or they have the handlers run (dispatch).
class queue {
public:
    /// Makes one; options::set_queue gives clients to it.
    queue() { detail::check(pond_queue_new(&raw_)); }
    /// Moves it.
    queue(queue &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    /// Frees the own one, then moves the other.
    queue &operator=(queue &&other) noexcept {
        if (this != &other) {
            free();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    /// Frees it. With clients that still deliver to it, it goes with the last of them.
    ~queue() { free(); }
    /// Frees it now; a next that waits throws POND_ERROR_CLOSED.
    void free() noexcept {
        if (raw_) pond_queue_free(std::exchange(raw_, nullptr));
    }

    /// Takes one event and runs no handler. None: there was none in time, or interrupt was called.
    std::optional<event> next(milliseconds timeout = milliseconds(0)) {
        event out;
        const std::int32_t status = try_next(out, timeout);
        detail::check(status);
        if (status != POND_OK) return std::nullopt;
        return out;
    }
    /// As next, with its status: POND_OK, POND_EMPTY, POND_TIMEOUT, POND_INTERRUPTED or an error.
    std::int32_t try_next(event &out, milliseconds timeout = milliseconds(0)) noexcept {
        pond_event *taken = nullptr;
        const std::int32_t status = pond_queue_next(raw_, detail::ms(timeout), &taken);
        out = event(taken);
        return status;
    }
    /// Takes up to `capacity` events at once and waits only for the first. Empty: there was none in time.
    std::vector<event> next_many(milliseconds timeout, std::uint32_t capacity = 64) {
        std::vector<pond_event *> taken(capacity);
        std::vector<event> out;
        out.reserve(capacity);
        std::uint32_t count = 0;
        detail::check(pond_queue_next_many(raw_, detail::ms(timeout), taken.data(), capacity, &count));
        for (std::uint32_t i = 0; i < count; i++) out.emplace_back(taken[i]);
        return out;
    }
    /// Runs handlers on this thread: of max_events events, for `budget` (0 = no limit; at least one event). Never waits for events.
    /// How many events it took. Rethrows the first exception of a handler when it is done; further ones go to set_exception_handler.
    std::uint32_t dispatch(std::uint32_t max_events = 0, std::chrono::microseconds budget = std::chrono::microseconds(0)) {
        std::exception_ptr thrown;
        std::exception_ptr *const outer = std::exchange(detail::dispatch_slot(), &thrown);
        const auto limit = budget.count() <= 0 ? 0 : budget.count() >= INT32_MAX ? INT32_MAX : budget.count();
        const std::int32_t taken = pond_queue_dispatch(raw_, max_events, static_cast<std::uint32_t>(limit));
        detail::dispatch_slot() = outer;
        if (thrown) std::rethrow_exception(thrown);
        detail::check(taken);
        return static_cast<std::uint32_t>(taken);
    }
    /// A descriptor that is readable while an event or interrupt waits. Poll it only; the queue owns it.
    int fd() const {
        std::int32_t out = -1;
        detail::check(pond_queue_fd(raw_, &out));
        return out;
    }
    /// Sets what is called, on a library thread, when the queue becomes not empty: signal your loop, nothing more. Empty: nothing.
    void set_wake(std::function<void()> function) {
        if (!function) return detail::check(pond_queue_set_wake(raw_, nullptr, nullptr, nullptr));
        auto user_data = std::make_unique<handler>([function = std::move(function)](event_ref) { function(); });
        detail::check(pond_queue_set_wake(raw_, detail::call, user_data.release(), detail::drop));
    }
    /// Ends one next, waiting now or called next.
    void interrupt() { detail::check(pond_queue_interrupt(raw_)); }
    /// The C handle.
    pond_queue *get() const noexcept { return raw_; }

private:
    pond_queue *raw_ = nullptr;
};

// ---- options ---------------------------------------------------------------------------------------------------------

/// What a client can be told. The setters return the options: options().set_ping_interval(5s).set_queue(queue).
class options {
public:
    /// The defaults.
    options() { detail::check(pond_options_new(&raw_)); }
    /// Moves them.
    options(options &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    /// Frees the own ones, then moves the others.
    options &operator=(options &&other) noexcept {
        if (this != &other) {
            free();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~options() { free(); }
    /// Frees them now; clients made from them keep their copies.
    void free() noexcept {
        if (raw_) pond_options_free(std::exchange(raw_, nullptr));
    }

    /// How long a dial may take, up to the server's CONNECTION. 10 s.
    options &set_connect_timeout(milliseconds time) { return set(pond_options_set_connect_timeout_ms(raw_, detail::ms(time))); }
    /// How long the server may take to answer a join. 10 s.
    options &set_join_timeout(milliseconds time) { return set(pond_options_set_join_timeout_ms(raw_, detail::ms(time))); }
    /// How long requests wait that name no time of their own. 10 s.
    options &set_response_timeout(milliseconds time) { return set(pond_options_set_response_timeout_ms(raw_, detail::ms(time))); }
    /// The backoff between dials: doubles from base up to cap, with full jitter. 1 s, 30 s.
    options &set_backoff(milliseconds base, milliseconds cap) {
        return set(pond_options_set_backoff_ms(raw_, detail::ms(base), detail::ms(cap)));
    }
    /// How many dials may follow a failure before the client gives up. -1: no limit, the default; 0: none.
    options &set_max_reconnect_attempts(std::int32_t attempts) {
        return set(pond_options_set_max_reconnect_attempts(raw_, attempts));
    }
    /// How often the client pings the server; 0 = no pings. 25 s.
    options &set_ping_interval(milliseconds time) { return set(pond_options_set_ping_interval_ms(raw_, detail::ms(time))); }
    /// How long a pong may take before the link counts as dead. 10 s.
    options &set_pong_timeout(milliseconds time) { return set(pond_options_set_pong_timeout_ms(raw_, detail::ms(time))); }
    /// How many messages each channel that is not JOINED keeps. 100.
    options &set_queue_limit(std::uint32_t messages) { return set(pond_options_set_queue_limit(raw_, messages)); }
    /// What that queue does when it is full: POND_OVERFLOW_DROP_OLDEST, the default, _DROP_NEWEST or _REFUSE.
    options &set_overflow(std::int32_t policy) { return set(pond_options_set_overflow(raw_, policy)); }
    /// How many bytes may be accepted on JOINED channels and not yet be written. 4 MiB.
    options &set_outbound_limit(std::uint64_t bytes) { return set(pond_options_set_outbound_limit(raw_, bytes)); }
    /// How long a silent socket waits before it counts as connected to a server of the old dialect; 0 = never. 2 s.
    options &set_legacy_grace(milliseconds time) { return set(pond_options_set_legacy_grace_ms(raw_, detail::ms(time))); }
    /// true: a 401 or 403 before the first CONNECTED is retried like any failure. false.
    options &set_retry_refused(bool on) { return set(pond_options_set_retry_refused(raw_, on)); }
    /// The largest message in each direction, as framed, in bytes. 16 MiB in, 512 KiB out.
    options &set_max_message_bytes(std::uint64_t in, std::uint64_t out) {
        return set(pond_options_set_max_message_bytes(raw_, in, out));
    }
    /// How many undelivered events, and how many bytes of them, before the socket is no longer read. 10000, 16 MiB.
    options &set_inbound_limit(std::uint32_t events, std::uint64_t bytes) {
        return set(pond_options_set_inbound_limit(raw_, events, bytes));
    }
    /// A request header of each dial; replaces one of the same name, no value removes it.
    options &set_header(std::string_view name, std::optional<std::string_view> value) {
        const auto text = optional(value);
        return set(pond_options_set_header(raw_, detail::c_string(name).get(), text ? text->get() : nullptr));
    }
    /// A PEM file with CA certificates, trusted beside the platform's. Several calls add up; none forgets them.
    options &set_ca_file(std::optional<std::string_view> path) {
        const auto text = optional(path);
        return set(pond_options_set_ca_file(raw_, text ? text->get() : nullptr));
    }
    /// CA certificates as PEM text, trusted beside the platform's. Several calls add up; none forgets them.
    options &set_ca_pem(std::optional<std::string_view> pem) {
        const auto text = optional(pem);
        return set(pond_options_set_ca_pem(raw_, text ? text->get() : nullptr));
    }
    /// The certificate chain and private key, PEM texts, with which the client shows who it is. None and none remove them.
    options &set_client_cert(std::optional<std::string_view> cert_pem, std::optional<std::string_view> key_pem) {
        const auto cert = optional(cert_pem), key = optional(key_pem);
        return set(pond_options_set_client_cert(raw_, cert ? cert->get() : nullptr, key ? key->get() : nullptr));
    }
    /// true: the server's certificate is not verified at all. For experiments only.
    options &set_insecure_skip_verify(bool on) { return set(pond_options_set_insecure_skip_verify(raw_, on)); }
    /// Events go to this queue instead of the library's threads; many clients may share one.
    options &set_queue(const queue &queue) { return set(pond_options_set_queue(raw_, queue.get())); }
    /// true: each dial first becomes a POND_EVENT_DIAL that waits for client::answer_dial.
    options &set_ask_before_dial(bool on) { return set(pond_options_set_ask_before_dial(raw_, on)); }
    /// The C handle.
    pond_options *get() const noexcept { return raw_; }

private:
    options &set(std::int32_t status) {
        detail::check(status);
        return *this;
    }
    static std::optional<detail::c_string> optional(std::optional<std::string_view> text) {
        if (!text) return std::nullopt;
        return std::optional<detail::c_string>(std::in_place, *text);
    }
    pond_options *raw_ = nullptr;
};

// ---- channel ---------------------------------------------------------------------------------------------------------

/// A channel that somebody else owns. Every call of a channel; copying copies the handle. After the owner is gone the calls throw
/// POND_ERROR_INVALID_HANDLE.
class channel_ref {
public:
    /// None.
    channel_ref() noexcept = default;
    /// A C handle.
    explicit channel_ref(pond_channel *raw) noexcept : raw_(raw) {}
    /// Is there a handle?
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// Is it the same channel?
    friend bool operator==(const channel_ref &a, const channel_ref &b) noexcept { return a.raw_ == b.raw_; }
    /// Is it another channel?
    friend bool operator!=(const channel_ref &a, const channel_ref &b) noexcept { return a.raw_ != b.raw_; }
    /// The C handle.
    pond_channel *get() const noexcept { return raw_; }

    /// Joins, in the background: deferred while offline, rejoined by itself after a lost link.
    void join() const { detail::check(pond_channel_join(raw_)); }
    /// Leaves; the state becomes CLOSED at once, and join opens it again.
    void leave() const { detail::check(pond_channel_leave(raw_)); }
    /// The params of the next JOIN, rejoins included: one JSON object.
    void set_join_params(std::string_view join_params_json) const {
        pond_error *raw = nullptr;
        detail::check(pond_channel_set_join_params(raw_, detail::c_json(join_params_json).get(), &raw), raw);
    }
    /// The channel's name.
    std::string name() const {
        char *out = nullptr;
        detail::check(pond_channel_name(raw_, &out));
        return detail::owned_string(out).get();
    }
    /// The newest truth: POND_CHANNEL_...
    std::int32_t state() const {
        const std::int32_t state = pond_channel_state(raw_);
        detail::check(state);
        return state;
    }
    /// Waits until the channel is in that state. Blocks; not in handlers. false: not in time. Throws when it can no longer come:
    /// POND_ERROR_DECLINED, _EVICTED, _CLOSED. `last_dial` then tells why the last dial failed, if one did.
    bool wait_state(std::int32_t state, milliseconds timeout, std::optional<error> *last_dial = nullptr) const {
        pond_error *raw = nullptr;
        const std::int32_t status = pond_channel_wait_state(raw_, state, detail::ms(timeout), &raw);
        return waited(status, raw, last_dial);
    }
    /// join, and wait_state for JOINED; throws POND_ERROR_TIMEOUT, with the reason of the last failed dial, when not in time.
    void join_wait(milliseconds timeout) const {
        join();
        std::optional<error> why;
        if (wait_state(POND_CHANNEL_JOINED, timeout, &why)) return;
        throw error(POND_ERROR_TIMEOUT, why ? "not joined in time: " + std::string(why->message()) : "not joined in time");
    }
    /// Who is there: the server's JSON array of the last presence frame; "[]" before any.
    std::string presence() const {
        char *out = nullptr;
        std::size_t length = 0;
        detail::check(pond_channel_presence(raw_, &out, &length));
        const detail::owned_string owner(out);
        return std::string(out, length);
    }

    /// Accepts a message: it is written in order, comes back as a DROPPED event, or is counted as in doubt. payload: one JSON object.
    void send(std::string_view event, std::string_view payload = "{}") const {
        pond_error *raw = nullptr;
        detail::check(pond_channel_send_n(raw_, event.data(), event.size(), payload.data(), payload.size(), &raw), raw);
    }
    /// As send, with its status.
    std::int32_t try_send(std::string_view event, std::string_view payload = "{}") const noexcept {
        return pond_channel_send_n(raw_, event.data(), event.size(), payload.data(), payload.size(), nullptr);
    }
    /// Written now if JOINED and nothing waits before it, else forgotten. true: written.
    bool send_volatile(std::string_view event, std::string_view payload = "{}") const {
        pond_error *raw = nullptr;
        const std::int32_t status =
            pond_channel_send_volatile(raw_, event.data(), event.size(), payload.data(), payload.size(), &raw);
        detail::check(status, raw);
        return status == POND_OK;
    }
    /// As send_volatile, with its status: POND_OK, POND_SKIPPED or an error.
    std::int32_t try_send_volatile(std::string_view event, std::string_view payload = "{}") const noexcept {
        return pond_channel_send_volatile(raw_, event.data(), event.size(), payload.data(), payload.size(), nullptr);
    }

    /// Asks. The future gives the REPLY, or throws: POND_ERROR_SERVER, _TIMEOUT, _CONNECTION_LOST, _CLOSED, _DECLINED, _CANCELLED...
    /// `ticket` gets the number for cancel_request. With a queue the future is ready only after dispatch has seen the reply; who
    /// pulls uses request_event.
    std::future<event> request(std::string_view event, std::string_view payload = "{}", milliseconds timeout = default_timeout,
                               std::uint64_t *ticket = nullptr) const {
        auto promise = std::make_unique<std::promise<pond::event>>();
        std::future<pond::event> future = promise->get_future();
        ask(event, payload, timeout, detail::fulfil, promise.release(), detail::drop_promise, ticket);
        return future;
    }
    /// Asks, and has the handler called once with the REPLY: event.status() tells how it ended. The ticket, for cancel_request.
    std::uint64_t request(std::string_view event, std::string_view payload, milliseconds timeout, handler function) const {
        const pond_event_fn fn = detail::trampoline(function);
        if (!fn) throw error(POND_ERROR_INVALID_ARGUMENT, "no handler");
        auto user_data = std::make_unique<handler>(std::move(function));
        std::uint64_t ticket = 0;
        ask(event, payload, timeout, fn, user_data.release(), detail::drop, &ticket);
        return ticket;
    }
    /// Asks; the REPLY comes to queue::next, with this ticket. Only for clients with a queue.
    std::uint64_t request_event(std::string_view event, std::string_view payload = "{}",
                                milliseconds timeout = default_timeout) const {
        std::uint64_t ticket = 0;
        ask(event, payload, timeout, nullptr, nullptr, nullptr, &ticket);
        return ticket;
    }
    /// Completes a request with POND_ERROR_CANCELLED. false: it is complete already.
    bool cancel_request(std::uint64_t ticket) const {
        const std::int32_t status = pond_channel_cancel_request(raw_, ticket);
        detail::check(status);
        return status == POND_OK;
    }
    /// Asks, blocks, and gives the reply. Not in handlers. Throws as request's future does.
    event call(std::string_view event, std::string_view payload = "{}", milliseconds timeout = default_timeout) const {
        pond_error *raw = nullptr;
        pond_event *reply = nullptr;
        detail::check(pond_channel_call(raw_, detail::c_string(event).get(), detail::c_json(payload).get(), detail::ms(timeout),
                                        &reply, &raw), raw);
        return pond::event(reply);
    }

#ifdef POND_NLOHMANN_JSON
    /// As send, with a json value.
    template <class J, detail::if_json<J> = 0> void send(std::string_view event, const J &payload) const {
        send(event, std::string_view(payload.dump()));
    }
    /// As send_volatile, with a json value.
    template <class J, detail::if_json<J> = 0> bool send_volatile(std::string_view event, const J &payload) const {
        return send_volatile(event, std::string_view(payload.dump()));
    }
    /// As request, with a json value.
    template <class J, detail::if_json<J> = 0>
    std::future<event> request(std::string_view event, const J &payload, milliseconds timeout = default_timeout,
                               std::uint64_t *ticket = nullptr) const {
        return request(event, std::string_view(payload.dump()), timeout, ticket);
    }
    /// As request with a handler, with a json value.
    template <class J, detail::if_json<J> = 0>
    std::uint64_t request(std::string_view event, const J &payload, milliseconds timeout, handler function) const {
        return request(event, std::string_view(payload.dump()), timeout, std::move(function));
    }
    /// As call, with a json value.
    template <class J, detail::if_json<J> = 0>
    pond::event call(std::string_view event, const J &payload, milliseconds timeout = default_timeout) const {
        return call(event, std::string_view(payload.dump()), timeout);
    }
#endif

    /// Every POND_EVENT_MESSAGE. Handlers run in order of registration, and live as long as the channel if not cancelled.
    subscription on_message(handler function) const { return on(pond_channel_on_message, std::move(function)); }
    /// The messages whose name matches a pattern: "message", "user/:id", "*". param and query answer in it.
    subscription on_event(std::string_view pattern, handler function) const {
        const detail::c_string text(pattern);
        return on([&text](pond_channel *channel, pond_event_fn fn, void *user_data, pond_destroy_fn destroy,
                          pond_subscription **out) {
            return pond_channel_on_event(channel, text.get(), fn, user_data, destroy, out);
        }, std::move(function));
    }
    /// POND_EVENT_CHANNEL_STATE.
    subscription on_state(handler function) const { return on(pond_channel_on_state, std::move(function)); }
    /// Somebody came.
    subscription on_join(handler function) const { return on(pond_channel_on_join, std::move(function)); }
    /// Somebody went.
    subscription on_leave(handler function) const { return on(pond_channel_on_leave, std::move(function)); }
    /// Somebody's presence changed.
    subscription on_presence_change(handler function) const { return on(pond_channel_on_presence_change, std::move(function)); }
    /// Every POND_EVENT_PRESENCE, also one that only tells a new list.
    subscription on_users_change(handler function) const { return on(pond_channel_on_users_change, std::move(function)); }
    /// POND_EVENT_CHANNEL_ERROR, which comes before the state it causes.
    subscription on_error(handler function) const { return on(pond_channel_on_error, std::move(function)); }
    /// POND_EVENT_DROPPED: outgoing messages that will never be sent.
    subscription on_dropped(handler function) const { return on(pond_channel_on_dropped, std::move(function)); }
    /// POND_EVENT_WRITABLE: room again after POND_ERROR_QUEUE_FULL.
    subscription on_writable(handler function) const { return on(pond_channel_on_writable, std::move(function)); }

protected:
    /// The C handle, of this object or borrowed.
    pond_channel *raw_ = nullptr;

private:
    friend class client_ref;

    static bool waited(std::int32_t status, pond_error *raw, std::optional<error> *last_dial) {
        if (status < 0) throw error::take(status, raw);
        if (last_dial) last_dial->reset();
        // On a timeout the object tells of the last failed dial; without one there is nothing to tell.
        if (raw) {
            error why = error::take(pond_error_status(raw), raw);
            if (last_dial) last_dial->emplace(std::move(why));
        }
        return status == POND_OK;
    }

    void ask(std::string_view event, std::string_view payload, milliseconds timeout, pond_event_fn fn, void *user_data,
             pond_destroy_fn destroy, std::uint64_t *ticket) const {
        pond_error *raw = nullptr;
        detail::check(pond_channel_request_n(raw_, event.data(), event.size(), payload.data(), payload.size(),
                                             detail::ms(timeout), fn, user_data, destroy, ticket, &raw), raw);
    }

    template <class F> subscription on(F add, handler function) const {
        const pond_event_fn fn = detail::trampoline(function);
        auto user_data = std::make_unique<handler>(std::move(function));
        pond_subscription *out = nullptr;
        // The library has it from here on, also when it refuses.
        detail::check(add(raw_, fn, user_data.release(), detail::drop, &out));
        return subscription(out);
    }
};

/// A channel of your own: when it goes, it leaves, and its handlers go with it.
class channel : public channel_ref {
public:
    /// None.
    channel() noexcept = default;
    /// Takes a C handle over.
    explicit channel(pond_channel *raw) noexcept : channel_ref(raw) {}
    /// Moves it.
    channel(channel &&other) noexcept : channel_ref(std::exchange(other.raw_, nullptr)) {}
    /// Frees the own one, then moves the other.
    channel &operator=(channel &&other) noexcept {
        if (this != &other) {
            free();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~channel() { free(); }
    /// Leaves, and cancels all its handlers, now. Its name is free again.
    void free() noexcept {
        if (raw_) pond_channel_free(std::exchange(raw_, nullptr));
    }
    /// Gives the handle away: the channel then lives as long as its client.
    channel_ref release() noexcept { return channel_ref(std::exchange(raw_, nullptr)); }
};

inline channel_ref event_ref::channel() const noexcept { return channel_ref(pond_event_channel(raw_)); }

// ---- client ----------------------------------------------------------------------------------------------------------

/// A client that somebody else owns. Every call of a client; copying copies the handle.
class client_ref {
public:
    /// None.
    client_ref() noexcept = default;
    /// A C handle.
    explicit client_ref(pond_client *raw) noexcept : raw_(raw) {}
    /// Is there a handle?
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// Is it the same client?
    friend bool operator==(const client_ref &a, const client_ref &b) noexcept { return a.raw_ == b.raw_; }
    /// Is it another client?
    friend bool operator!=(const client_ref &a, const client_ref &b) noexcept { return a.raw_ != b.raw_; }
    /// The C handle.
    pond_client *get() const noexcept { return raw_; }

    /// Dials, in the background, and again whenever the link is lost.
    void connect() const { detail::check(pond_client_connect(raw_)); }
    /// connect, and wait_state for CONNECTED; throws POND_ERROR_TIMEOUT, with the reason of the last failed dial, when not in time.
    void connect_wait(milliseconds timeout) const {
        connect();
        std::optional<error> why;
        if (wait_state(POND_CLIENT_CONNECTED, timeout, &why)) return;
        throw error(POND_ERROR_TIMEOUT, why ? "not connected in time: " + std::string(why->message()) : "not connected in time");
    }
    /// Says goodbye in the background: LEAVE, flush, Close, 2 s at most. connect works again.
    void disconnect() const { detail::check(pond_client_disconnect(raw_)); }
    /// disconnect, and wait_state for DISCONNECTED. false: not in time.
    bool disconnect_wait(milliseconds timeout = milliseconds(3000)) const {
        disconnect();
        return wait_state(POND_CLIENT_DISCONNECTED, timeout);
    }
    /// Drops the link and stops dialling, but keeps channels and queues.
    void suspend() const { detail::check(pond_client_suspend(raw_)); }
    /// Dials at once after suspend, and rejoins.
    void resume() const { detail::check(pond_client_resume(raw_)); }
    /// Dials now if a dial is waiting.
    void reconnect_now() const { detail::check(pond_client_reconnect_now(raw_)); }
    /// The newest truth: POND_CLIENT_...
    std::int32_t state() const {
        const std::int32_t state = pond_client_state(raw_);
        detail::check(state);
        return state;
    }
    /// What the server calls this connection; none if it told none.
    std::optional<std::string> connection_id() const {
        char *out = nullptr;
        const std::int32_t status = pond_client_connection_id(raw_, &out);
        detail::check(status);
        if (status != POND_OK) return std::nullopt;
        return detail::owned_string(out).get();
    }
    /// Waits until the client is in that state. Blocks; not in handlers. false: not in time; `last_dial` then tells why the last dial
    /// failed, if one did. Throws that failure when the client gave up.
    bool wait_state(std::int32_t state, milliseconds timeout, std::optional<error> *last_dial = nullptr) const {
        pond_error *raw = nullptr;
        const std::int32_t status = pond_client_wait_state(raw_, state, detail::ms(timeout), &raw);
        return channel_ref::waited(status, raw, last_dial);
    }
    /// Waits until everything accepted is written or dropped. Blocks; not in handlers. false: not in time.
    bool flush(milliseconds timeout) const {
        const std::int32_t status = pond_client_flush(raw_, detail::ms(timeout));
        detail::check(status);
        return status == POND_OK;
    }
    /// Replaces all params of the URL's query, for the next dial.
    void set_params(std::string_view params_json) const {
        pond_error *raw = nullptr;
        detail::check(pond_client_set_params(raw_, detail::c_json(params_json).get(), &raw), raw);
    }
    /// Sets one request header for the next dial; no value removes it.
    void set_header(std::string_view name, std::optional<std::string_view> value) const {
        std::optional<detail::c_string> text;
        if (value) text.emplace(*value);
        detail::check(pond_client_set_header(raw_, detail::c_string(name).get(), text ? text->get() : nullptr));
    }
    /// Answers the POND_EVENT_DIAL of that attempt; a URL or params given here replace the client's.
    void answer_dial(std::uint32_t attempt, std::optional<std::string_view> url = std::nullopt,
                     std::optional<std::string_view> params_json = std::nullopt) const {
        pond_error *raw = nullptr;
        std::optional<detail::c_string> url_text, params_text;
        if (url) url_text.emplace(*url);
        if (params_json) params_text.emplace(*params_json);
        detail::check(pond_client_answer_dial(raw_, attempt, url_text ? url_text->get() : nullptr,
                                              params_text ? params_text->get() : nullptr, &raw), raw);
    }
    /// Makes a channel, or finds the live one of that name. It lives as long as the client; several parts of a program may share it.
    channel_ref open_channel(std::string_view name, std::string_view join_params_json = {}) const {
        return channel_ref(make(name, join_params_json).first);
    }
    /// Makes a channel that is yours alone. Throws POND_ERROR_INVALID_STATE when the name is live already: see open_channel.
    pond::channel channel(std::string_view name, std::string_view join_params_json = {}) const {
        const auto [raw, status] = make(name, join_params_json);
        if (status == POND_EXISTS)
            throw error(POND_ERROR_INVALID_STATE, "the channel has an owner already; open_channel shares one", "POND_EXISTS");
        return pond::channel(raw);
    }
    /// Counters since the client was made, and levels of now.
    pond_stats stats() const {
        pond_stats out;
        detail::check(pond_client_stats(raw_, &out, sizeof out));
        return out;
    }

#ifdef POND_NLOHMANN_JSON
    /// As open_channel, with a json value.
    template <class J, detail::if_json<J> = 0> channel_ref open_channel(std::string_view name, const J &join_params) const {
        return open_channel(name, std::string_view(join_params.dump()));
    }
    /// As channel, with a json value.
    template <class J, detail::if_json<J> = 0> pond::channel channel(std::string_view name, const J &join_params) const {
        return channel(name, std::string_view(join_params.dump()));
    }
#endif

    /// POND_EVENT_CLIENT_STATE. Handlers run in order of registration, and live as long as the client if not cancelled.
    subscription on_state(handler function) const { return on(pond_client_on_state, std::move(function)); }
    /// POND_EVENT_CLIENT_ERROR, which comes before the state it causes.
    subscription on_error(handler function) const { return on(pond_client_on_error, std::move(function)); }
    /// POND_EVENT_CLIENT_MESSAGE: frames on the endpoint itself, not the channels'.
    subscription on_endpoint_message(handler function) const {
        return on(pond_client_on_endpoint_message, std::move(function));
    }
    /// POND_EVENT_DIAL (options::set_ask_before_dial): answer with answer_dial.
    subscription on_dial(handler function) const { return on(pond_client_on_dial, std::move(function)); }

protected:
    /// The C handle, of this object or borrowed.
    pond_client *raw_ = nullptr;

private:
    std::pair<pond_channel *, std::int32_t> make(std::string_view name, std::string_view join_params_json) const {
        pond_error *raw = nullptr;
        pond_channel *out = nullptr;
        const std::int32_t status = pond_client_channel(raw_, detail::c_string(name).get(),
                                                        detail::c_json(join_params_json).get(), &out, &raw);
        detail::check(status, raw);
        return {out, status};
    }

    subscription on(std::int32_t (*add)(pond_client *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **),
                    handler function) const {
        const pond_event_fn fn = detail::trampoline(function);
        auto user_data = std::make_unique<handler>(std::move(function));
        pond_subscription *out = nullptr;
        // The library has it from here on, also when it refuses.
        detail::check(add(raw_, fn, user_data.release(), detail::drop, &out));
        return subscription(out);
    }
};

/// A client of your own: one connection and its channels. When it goes, requests complete with POND_ERROR_CLOSED, no handler runs
/// any more, and a goodbye goes on in the background; nothing waits for the network.
class client : public client_ref {
public:
    /// None.
    client() noexcept = default;
    /// Makes a client; it does not dial yet. url: ws, wss, http or https. params: one JSON object, merged into the URL's query.
    explicit client(std::string_view url, std::string_view params_json = {}) { make(url, params_json, nullptr); }
    /// As above, with options, which are copied.
    client(std::string_view url, std::string_view params_json, const options &options) { make(url, params_json, options.get()); }
#ifdef POND_NLOHMANN_JSON
    /// With a json value as params.
    template <class J, detail::if_json<J> = 0>
    client(std::string_view url, const J &params) : client(url, std::string_view(params.dump())) {}
    /// With a json value as params, and options.
    template <class J, detail::if_json<J> = 0>
    client(std::string_view url, const J &params, const options &options)
        : client(url, std::string_view(params.dump()), options) {}
#endif
    /// Moves it.
    client(client &&other) noexcept : client_ref(std::exchange(other.raw_, nullptr)) {}
    /// Frees the own one, then moves the other.
    client &operator=(client &&other) noexcept {
        if (this != &other) {
            free();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~client() { free(); }
    /// Ends everything now, as the destructor does.
    void free() noexcept {
        if (raw_) pond_client_free(std::exchange(raw_, nullptr));
    }

private:
    void make(std::string_view url, std::string_view params_json, pond_options *options) {
        pond_error *raw = nullptr;
        detail::check(pond_client_new(detail::c_string(url).get(), detail::c_json(params_json).get(), options, &raw_, &raw), raw);
    }
};

inline client_ref event_ref::client() const noexcept { return client_ref(pond_event_client(raw_)); }

// ---- library ---------------------------------------------------------------------------------------------------------

/// The version of the library that runs.
inline std::string_view version() noexcept { return pond_version(); }

/// Does the library that runs have the interface of this header?
inline bool compatible() noexcept { return pond_abi_version() == POND_ABI_VERSION; }

/// The name of a status: "POND_ERROR_CLOSED".
inline std::string_view status_name(std::int32_t status) noexcept { return pond_status_name(status); }

/// The name of a state: "CONNECTED", "JOINED".
inline std::string_view state_name(std::int32_t state) noexcept { return pond_state_name(state); }

/// Sets the one log sink of the process: POND_LOG_...; called on any thread with POND_EVENT_LOG. An empty function removes it.
inline void log_set(std::int32_t level, handler function) {
    if (!function) return detail::check(pond_log_set(POND_LOG_OFF, nullptr, nullptr, nullptr));
    auto user_data = std::make_unique<handler>(std::move(function));
    detail::check(pond_log_set(level, detail::call, user_data.release(), detail::drop));
}

/// Frees everything of the library and joins its threads; all handles go stale. false: something still runs, call again.
inline bool shutdown(milliseconds timeout) {
    const std::int32_t status = pond_shutdown(detail::ms(timeout));
    detail::check(status);
    return status == POND_OK;
}

/// A JSON string of a text: quotes around it, escapes inside.
inline std::string json_quote(std::string_view text) {
    char *out = nullptr;
    detail::check(pond_json_quote(text.data(), text.size(), &out));
    return detail::owned_string(out).get();
}

/// One text out of JSON, at an RFC 6901 pointer ("/users/0/name"); none: not there, or not a text.
inline std::optional<std::string> json_text(std::string_view json, std::string_view pointer) {
    char *out = nullptr;
    std::size_t length = 0;
    const std::int32_t status = pond_json_text(json.data(), json.size(), detail::c_string(pointer).get(), &out, &length);
    const detail::owned_string owner(out);
    detail::check(status);
    if (status != POND_OK) return std::nullopt;
    return std::string(out, length);
}

/// One number out of JSON; none: not there, or not a number.
inline std::optional<double> json_number(std::string_view json, std::string_view pointer) {
    double out = 0;
    const std::int32_t status = pond_json_number(json.data(), json.size(), detail::c_string(pointer).get(), &out);
    detail::check(status);
    if (status != POND_OK) return std::nullopt;
    return out;
}

} // namespace pond

#endif // PONDSOCKET_HPP
