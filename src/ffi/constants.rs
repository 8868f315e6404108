//! The constants of the header. The enums only carry names and docs: every C function takes and returns plain integers.

/// Version of the binary interface, raised with every incompatible change; compare it with pond_abi_version().
pub const POND_ABI_VERSION: u32 = 1;

/// As a time: no limit. As a retry time: none will come.
pub const POND_FOREVER: u32 = 0xFFFF_FFFF;

/// Statuses: 0 done, negative an error, positive an answer that is neither (rule 1).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_status {
    /// done
    POND_OK = 0,
    /// a wait ended without what it waited for
    POND_TIMEOUT = 1,
    /// a wait was ended by pond_queue_interrupt
    POND_INTERRUPTED = 2,
    /// nothing there: no event, no match, nothing to cancel
    POND_EMPTY = 3,
    /// pond_client_channel: the live channel of that name is returned
    POND_EXISTS = 4,
    /// pond_channel_send_volatile: not sendable right now, forgotten
    POND_SKIPPED = 5,
    /// pond_queue_free: clients still use it, it goes with the last of them
    POND_DEFERRED = 6,
    /// an argument is missing, out of range or malformed
    POND_ERROR_INVALID_ARGUMENT = -1,
    /// NULL, stale, freed, or of another type
    POND_ERROR_INVALID_HANDLE = -2,
    /// a string is not UTF-8
    POND_ERROR_INVALID_UTF8 = -3,
    /// not the JSON that is asked for; the message has line and column
    POND_ERROR_INVALID_JSON = -4,
    /// not a URL that can be dialled
    POND_ERROR_INVALID_URL = -5,
    /// not possible now, e.g. an answer to no dial
    POND_ERROR_INVALID_STATE = -6,
    /// message over the limit, or nested too deep
    POND_ERROR_TOO_LARGE = -7,
    /// the call would wait for itself (rule 8)
    POND_ERROR_WOULD_DEADLOCK = -8,
    /// another thread dispatches this queue
    POND_ERROR_BUSY = -9,
    /// not on this platform, or not in this build
    POND_ERROR_UNSUPPORTED = -10,
    /// memory, threads or descriptors ran out
    POND_ERROR_NO_MEMORY = -11,
    /// a forked child that has not called pond_shutdown
    POND_ERROR_FORKED = -12,
    /// a bug of this library, contained
    POND_ERROR_PANIC = -13,
    /// left, disconnected, evicted earlier, or freed meanwhile
    POND_ERROR_CLOSED = -20,
    /// ended by pond_channel_cancel_request
    POND_ERROR_CANCELLED = -21,
    /// no room: nothing was taken, one WRITABLE event will follow
    POND_ERROR_QUEUE_FULL = -22,
    /// a request, join or dial that the other side did not answer
    POND_ERROR_TIMEOUT = -23,
    /// name lookup or TCP failed
    POND_ERROR_CONNECT = -30,
    /// certificate or handshake, or an unusable CA file
    POND_ERROR_TLS = -31,
    /// upgrade refused, see http_status
    POND_ERROR_HTTP = -32,
    /// closed before the server's CONNECTION
    POND_ERROR_REJECTED = -33,
    /// the link died; also: no pong in time
    POND_ERROR_CONNECTION_LOST = -34,
    /// undecodable frame; the connection goes on
    POND_ERROR_PROTOCOL = -35,
    /// join refused
    POND_ERROR_DECLINED = -40,
    /// the server put this client out of the channel
    POND_ERROR_EVICTED = -41,
    /// the server answered with an error
    POND_ERROR_SERVER = -42,
}

/// States. Clients: 1 and up, channels: 11 and up; a state of the wrong kind is an invalid argument.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_state {
    /// initial, between dials, suspended, after disconnect or giving up
    POND_CLIENT_DISCONNECTED = 1,
    /// a dial is under way or waits for pond_client_answer_dial
    POND_CLIENT_CONNECTING = 2,
    /// the server's CONNECTION came
    POND_CLIENT_CONNECTED = 3,
    /// never joined
    POND_CHANNEL_IDLE = 11,
    /// a join is wanted or under way
    POND_CHANNEL_JOINING = 12,
    /// the server acknowledged the join
    POND_CHANNEL_JOINED = 13,
    /// link lost while joined; rejoins by itself
    POND_CHANNEL_STALLED = 14,
    /// left, disconnected or evicted (see the status); only an explicit join reopens
    POND_CHANNEL_CLOSED = 15,
    /// refused; only an explicit join tries again
    POND_CHANNEL_DECLINED = 16,
}

/// Event kinds, each with the fields it has. "Error fields" are status, error_code, message, http_status and details.
/// One frame is one event, however many handlers take it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_kind {
    /// state, previous_state, attempt, retry_ms, connect_count, close_code, in_doubt, error fields: why
    POND_EVENT_CLIENT_STATE = 1,
    /// error fields, attempt, retry_ms; comes before the state it causes
    POND_EVENT_CLIENT_ERROR = 2,
    /// a frame on the endpoint itself: name, payload
    POND_EVENT_CLIENT_MESSAGE = 3,
    /// answer with pond_client_answer_dial: attempt
    POND_EVENT_DIAL = 4,
    /// state, previous_state, error fields
    POND_EVENT_CHANNEL_STATE = 11,
    /// name, payload, request_id; also late and second replies
    POND_EVENT_MESSAGE = 12,
    /// presence_kind, changed, users
    POND_EVENT_PRESENCE = 13,
    /// error fields; comes before the state it causes
    POND_EVENT_CHANNEL_ERROR = 14,
    /// end of a request: status; if POND_OK name, payload; else error fields; ticket
    POND_EVENT_REPLY = 15,
    /// never to be sent: name, payload (of the newest), count, status: why
    POND_EVENT_DROPPED = 16,
    /// room again after POND_ERROR_QUEUE_FULL
    POND_EVENT_WRITABLE = 17,
    /// only to the log handler: level, name = target, message
    POND_EVENT_LOG = 90,
    /// only to the wake handler: nothing else in it
    POND_EVENT_WAKE = 91,
}

/// What a PRESENCE event tells; 0 when only the list changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_presence {
    /// somebody came
    POND_PRESENCE_JOIN = 1,
    /// somebody's presence changed
    POND_PRESENCE_UPDATE = 2,
    /// somebody went
    POND_PRESENCE_LEAVE = 3,
}

/// What happens to a message for the full queue of a channel that is not JOINED.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_overflow {
    /// the oldest queued message makes room and is reported DROPPED
    POND_OVERFLOW_DROP_OLDEST = 1,
    /// the new message is reported DROPPED
    POND_OVERFLOW_DROP_NEWEST = 2,
    /// the send answers POND_ERROR_QUEUE_FULL
    POND_OVERFLOW_REFUSE = 3,
}

/// Log levels: each includes those before it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pond_log_level {
    /// nothing
    POND_LOG_OFF = 0,
    /// what the program should hear of
    POND_LOG_ERROR = 1,
    /// what may need attention
    POND_LOG_WARN = 2,
    /// milestones: connected, joined, closed
    POND_LOG_INFO = 3,
    /// each decision
    POND_LOG_DEBUG = 4,
    /// each frame, without its contents
    POND_LOG_TRACE = 5,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{ChannelState, ClientState, EventKind, status};

    #[test]
    fn statuses_are_those_of_the_session() {
        use pond_status::*;
        let pairs = [
            (POND_OK, status::OK),
            (POND_TIMEOUT, status::TIMEOUT),
            (POND_INTERRUPTED, status::INTERRUPTED),
            (POND_EMPTY, status::EMPTY),
            (POND_EXISTS, status::EXISTS),
            (POND_SKIPPED, status::SKIPPED),
            (POND_DEFERRED, status::DEFERRED),
            (POND_ERROR_INVALID_ARGUMENT, status::INVALID_ARGUMENT),
            (POND_ERROR_INVALID_HANDLE, status::INVALID_HANDLE),
            (POND_ERROR_INVALID_UTF8, status::INVALID_UTF8),
            (POND_ERROR_INVALID_JSON, status::INVALID_JSON),
            (POND_ERROR_INVALID_URL, status::INVALID_URL),
            (POND_ERROR_INVALID_STATE, status::INVALID_STATE),
            (POND_ERROR_TOO_LARGE, status::TOO_LARGE),
            (POND_ERROR_WOULD_DEADLOCK, status::WOULD_DEADLOCK),
            (POND_ERROR_BUSY, status::BUSY),
            (POND_ERROR_UNSUPPORTED, status::UNSUPPORTED),
            (POND_ERROR_NO_MEMORY, status::NO_MEMORY),
            (POND_ERROR_FORKED, status::FORKED),
            (POND_ERROR_PANIC, status::PANIC),
            (POND_ERROR_CLOSED, status::CLOSED),
            (POND_ERROR_CANCELLED, status::CANCELLED),
            (POND_ERROR_QUEUE_FULL, status::QUEUE_FULL),
            (POND_ERROR_TIMEOUT, status::ERROR_TIMEOUT),
            (POND_ERROR_CONNECT, status::CONNECT),
            (POND_ERROR_TLS, status::TLS),
            (POND_ERROR_HTTP, status::HTTP),
            (POND_ERROR_REJECTED, status::REJECTED),
            (POND_ERROR_CONNECTION_LOST, status::CONNECTION_LOST),
            (POND_ERROR_PROTOCOL, status::PROTOCOL),
            (POND_ERROR_DECLINED, status::DECLINED),
            (POND_ERROR_EVICTED, status::EVICTED),
            (POND_ERROR_SERVER, status::SERVER),
        ];
        for (constant, number) in pairs {
            assert_eq!(constant as i32, number, "{constant:?}");
            // The name that C programs print is the name of the constant.
            assert_eq!(format!("{constant:?}"), status::name(number));
        }
        let named = (-1000..=1000)
            .filter(|number| status::name(*number) != "POND_UNKNOWN")
            .count();
        assert_eq!(named, pairs.len(), "a status has no constant");
    }

    #[test]
    fn states_are_those_of_the_session() {
        use pond_state::*;
        let clients = [
            (POND_CLIENT_DISCONNECTED, ClientState::Disconnected),
            (POND_CLIENT_CONNECTING, ClientState::Connecting),
            (POND_CLIENT_CONNECTED, ClientState::Connected),
        ];
        for (constant, state) in clients {
            assert_eq!(constant as i32, state as i32);
            assert_eq!(
                format!("{constant:?}"),
                format!("POND_CLIENT_{}", status::state_name(state as i32))
            );
        }
        let channels = [
            (POND_CHANNEL_IDLE, ChannelState::Idle),
            (POND_CHANNEL_JOINING, ChannelState::Joining),
            (POND_CHANNEL_JOINED, ChannelState::Joined),
            (POND_CHANNEL_STALLED, ChannelState::Stalled),
            (POND_CHANNEL_CLOSED, ChannelState::Closed),
            (POND_CHANNEL_DECLINED, ChannelState::Declined),
        ];
        for (constant, state) in channels {
            assert_eq!(constant as i32, state as i32);
            assert_eq!(
                format!("{constant:?}"),
                format!("POND_CHANNEL_{}", status::state_name(state as i32))
            );
        }
    }

    #[test]
    fn kinds_are_those_of_the_session() {
        use pond_kind::*;
        let pairs = [
            (POND_EVENT_CLIENT_STATE, EventKind::ClientState),
            (POND_EVENT_CLIENT_ERROR, EventKind::ClientError),
            (POND_EVENT_CLIENT_MESSAGE, EventKind::ClientMessage),
            (POND_EVENT_DIAL, EventKind::Dial),
            (POND_EVENT_CHANNEL_STATE, EventKind::ChannelState),
            (POND_EVENT_MESSAGE, EventKind::Message),
            (POND_EVENT_PRESENCE, EventKind::Presence),
            (POND_EVENT_CHANNEL_ERROR, EventKind::ChannelError),
            (POND_EVENT_REPLY, EventKind::Reply),
            (POND_EVENT_DROPPED, EventKind::Dropped),
            (POND_EVENT_WRITABLE, EventKind::Writable),
            (POND_EVENT_LOG, EventKind::Log),
            (POND_EVENT_WAKE, EventKind::Wake),
        ];
        for (constant, kind) in pairs {
            assert_eq!(constant as i32, kind as i32, "{kind:?}");
        }
    }

    #[test]
    fn log_levels_are_those_of_the_log_crate() {
        use log::LevelFilter;
        use pond_log_level::*;
        let pairs = [
            (POND_LOG_OFF, LevelFilter::Off),
            (POND_LOG_ERROR, LevelFilter::Error),
            (POND_LOG_WARN, LevelFilter::Warn),
            (POND_LOG_INFO, LevelFilter::Info),
            (POND_LOG_DEBUG, LevelFilter::Debug),
            (POND_LOG_TRACE, LevelFilter::Trace),
        ];
        for (constant, level) in pairs {
            assert_eq!(constant as usize, level as usize, "{level}");
        }
    }

    #[test]
    fn forever_is_the_largest_time() {
        assert_eq!(POND_FOREVER, u32::MAX);
    }
}
