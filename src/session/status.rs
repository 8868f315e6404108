//! Statuses and states as numbers, and the failure that carries one with its story.

use std::ffi::CStr;

/// Done.
pub const OK: i32 = 0;
/// A wait ended without what it waited for.
pub const TIMEOUT: i32 = 1;
/// A wait was interrupted.
pub const INTERRUPTED: i32 = 2;
/// Nothing there.
pub const EMPTY: i32 = 3;
/// The live object of that name is returned.
pub const EXISTS: i32 = 4;
/// A volatile message was not sendable and is forgotten.
pub const SKIPPED: i32 = 5;
/// Goes with its last user.
pub const DEFERRED: i32 = 6;
/// An argument is out of range, missing or malformed.
pub const INVALID_ARGUMENT: i32 = -1;
/// NULL, stale, freed or of another type.
pub const INVALID_HANDLE: i32 = -2;
/// A string is not UTF-8.
pub const INVALID_UTF8: i32 = -3;
/// A text is not the JSON that is asked for.
pub const INVALID_JSON: i32 = -4;
/// A URL that cannot be dialled.
pub const INVALID_URL: i32 = -5;
/// Not possible in this state.
pub const INVALID_STATE: i32 = -6;
/// Over the message limit, or nested too deep.
pub const TOO_LARGE: i32 = -7;
/// The call would wait for itself.
pub const WOULD_DEADLOCK: i32 = -8;
/// Another thread is at it.
pub const BUSY: i32 = -9;
/// Not on this platform, or not in this build.
pub const UNSUPPORTED: i32 = -10;
/// Memory, threads or descriptors ran out.
pub const NO_MEMORY: i32 = -11;
/// A forked child that has not called `pond_shutdown`.
pub const FORKED: i32 = -12;
/// A bug of this library, contained.
pub const PANIC: i32 = -13;
/// Left, disconnected, evicted earlier, or freed meanwhile.
pub const CLOSED: i32 = -20;
/// Cancelled by the caller.
pub const CANCELLED: i32 = -21;
/// No room.
pub const QUEUE_FULL: i32 = -22;
/// The other side did not answer in time.
pub const ERROR_TIMEOUT: i32 = -23;
/// Name lookup or TCP failed.
pub const CONNECT: i32 = -30;
/// Certificate or handshake.
pub const TLS: i32 = -31;
/// The upgrade was refused.
pub const HTTP: i32 = -32;
/// Closed before the server's CONNECTION.
pub const REJECTED: i32 = -33;
/// The link died.
pub const CONNECTION_LOST: i32 = -34;
/// An undecodable frame.
pub const PROTOCOL: i32 = -35;
/// A join was refused.
pub const DECLINED: i32 = -40;
/// The server put us out of a channel.
pub const EVICTED: i32 = -41;
/// The server answered with an error.
pub const SERVER: i32 = -42;

/// The name of a status as the header spells it.
pub fn name(status: i32) -> &'static str {
    c_name(status).to_str().unwrap_or_default()
}

/// The same for C.
pub fn c_name(status: i32) -> &'static CStr {
    match status {
        OK => c"POND_OK",
        TIMEOUT => c"POND_TIMEOUT",
        INTERRUPTED => c"POND_INTERRUPTED",
        EMPTY => c"POND_EMPTY",
        EXISTS => c"POND_EXISTS",
        SKIPPED => c"POND_SKIPPED",
        DEFERRED => c"POND_DEFERRED",
        INVALID_ARGUMENT => c"POND_ERROR_INVALID_ARGUMENT",
        INVALID_HANDLE => c"POND_ERROR_INVALID_HANDLE",
        INVALID_UTF8 => c"POND_ERROR_INVALID_UTF8",
        INVALID_JSON => c"POND_ERROR_INVALID_JSON",
        INVALID_URL => c"POND_ERROR_INVALID_URL",
        INVALID_STATE => c"POND_ERROR_INVALID_STATE",
        TOO_LARGE => c"POND_ERROR_TOO_LARGE",
        WOULD_DEADLOCK => c"POND_ERROR_WOULD_DEADLOCK",
        BUSY => c"POND_ERROR_BUSY",
        UNSUPPORTED => c"POND_ERROR_UNSUPPORTED",
        NO_MEMORY => c"POND_ERROR_NO_MEMORY",
        FORKED => c"POND_ERROR_FORKED",
        PANIC => c"POND_ERROR_PANIC",
        CLOSED => c"POND_ERROR_CLOSED",
        CANCELLED => c"POND_ERROR_CANCELLED",
        QUEUE_FULL => c"POND_ERROR_QUEUE_FULL",
        ERROR_TIMEOUT => c"POND_ERROR_TIMEOUT",
        CONNECT => c"POND_ERROR_CONNECT",
        TLS => c"POND_ERROR_TLS",
        HTTP => c"POND_ERROR_HTTP",
        REJECTED => c"POND_ERROR_REJECTED",
        CONNECTION_LOST => c"POND_ERROR_CONNECTION_LOST",
        PROTOCOL => c"POND_ERROR_PROTOCOL",
        DECLINED => c"POND_ERROR_DECLINED",
        EVICTED => c"POND_ERROR_EVICTED",
        SERVER => c"POND_ERROR_SERVER",
        _ => c"POND_UNKNOWN",
    }
}

/// The state of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ClientState {
    /// Initial, between dials, suspended, after disconnect or giving up.
    Disconnected = 1,
    /// A dial is under way or waits for its answer.
    Connecting = 2,
    /// The server's CONNECTION came.
    Connected = 3,
}

impl ClientState {
    /// The state of that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Disconnected, Self::Connecting, Self::Connected]
            .into_iter()
            .find(|state| *state as i32 == number)
    }
}

/// The state of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ChannelState {
    /// Never joined.
    Idle = 11,
    /// A join is wanted or under way.
    Joining = 12,
    /// The server acknowledged the join.
    Joined = 13,
    /// The link was lost while joined; rejoins by itself.
    Stalled = 14,
    /// Left, disconnected or evicted.
    Closed = 15,
    /// Refused.
    Declined = 16,
}

impl ChannelState {
    /// The state of that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [
            Self::Idle,
            Self::Joining,
            Self::Joined,
            Self::Stalled,
            Self::Closed,
            Self::Declined,
        ]
        .into_iter()
        .find(|state| *state as i32 == number)
    }

    /// Only an explicit join leads out of it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Closed | Self::Declined)
    }
}

/// The name of a client or channel state, "UNKNOWN" for any other number.
pub fn state_name(state: i32) -> &'static str {
    c_state_name(state).to_str().unwrap_or_default()
}

/// The same for C.
pub fn c_state_name(state: i32) -> &'static CStr {
    match state {
        1 => c"DISCONNECTED",
        2 => c"CONNECTING",
        3 => c"CONNECTED",
        11 => c"IDLE",
        12 => c"JOINING",
        13 => c"JOINED",
        14 => c"STALLED",
        15 => c"CLOSED",
        16 => c"DECLINED",
        _ => c"UNKNOWN",
    }
}

/// What went wrong: a status and its story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A negative status.
    pub status: i32,
    /// The server's word, or empty: then the status name stands for it.
    pub code: String,
    /// For people.
    pub message: String,
    /// HTTP status, or the server's numeric code; 0 = none.
    pub http_status: i32,
    /// The server's JSON, or empty for none.
    pub details: String,
}

impl Failure {
    /// A failure of our own.
    #[inline(never)] // it is made in very many places
    pub fn new(status: i32, message: impl Into<String>) -> Self {
        Self {
            status,
            code: String::new(),
            message: message.into(),
            http_status: 0,
            details: String::new(),
        }
    }

    /// The server's code, or the name of the status.
    pub fn code(&self) -> &str {
        if self.code.is_empty() {
            name(self.status)
        } else {
            &self.code
        }
    }
}
