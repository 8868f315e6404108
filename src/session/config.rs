//! What a session is told once, at its birth.

/// Milliseconds since the birth of the session. The session has no clock: each input brings the time.
pub type Time = u64;

/// What happens to a message when the queue of a channel that is not JOINED is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Overflow {
    /// The oldest is dropped and reported.
    DropOldest = 1,
    /// The new one is dropped and reported.
    DropNewest = 2,
    /// The new one is not taken.
    Refuse = 3,
}

impl Overflow {
    /// The policy of that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::DropOldest, Self::DropNewest, Self::Refuse]
            .into_iter()
            .find(|policy| *policy as i32 == number)
    }
}

/// The rules of one session; times in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Dial, upgrade and CONNECTION together.
    pub connect_timeout: u64,
    /// JOIN to ACKNOWLEDGE.
    pub join_timeout: u64,
    /// A request that names no timeout of its own.
    pub response_timeout: u64,
    /// The first backoff ceiling.
    pub backoff_base: u64,
    /// No backoff ceiling is above it.
    pub backoff_max: u64,
    /// Redials without a stable connection between them; -1 = no limit.
    pub max_reconnect_attempts: i32,
    /// 0 = no pings.
    pub ping_interval: u64,
    /// From ping to pong.
    pub pong_timeout: u64,
    /// Messages per channel that is not JOINED.
    pub queue_limit: u32,
    /// What a full queue does.
    pub overflow: Overflow,
    /// Bytes accepted on JOINED channels and not yet written.
    pub outbound_limit: u64,
    /// Silence after the upgrade that counts as a connection of the old dialect; 0 = never.
    pub legacy_grace: u64,
    /// A 401/403 before the first CONNECTED is retried.
    pub retry_refused: bool,
    /// Largest outgoing frame in bytes.
    pub max_message_out: u64,
    /// Each dial waits for its answer.
    pub ask_before_dial: bool,
    /// The client's handle, stamped on every event.
    pub client: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: 10_000,
            join_timeout: 10_000,
            response_timeout: 10_000,
            backoff_base: 1_000,
            backoff_max: 30_000,
            max_reconnect_attempts: -1,
            ping_interval: 25_000,
            pong_timeout: 10_000,
            queue_limit: 100,
            overflow: Overflow::DropOldest,
            outbound_limit: 4 * 1024 * 1024,
            legacy_grace: 2_000,
            retry_refused: false,
            max_message_out: 512 * 1024,
            ask_before_dial: false,
            client: 0,
        }
    }
}
