//! The end after a bug: a panic may have left anything half done, so a fresh session takes over, and whoever waits for the old one
//! is told.

use super::status::{self, ChannelState, Failure};
use super::{Link, Session};

/// What the program is told about a contained panic.
pub fn panic_failure() -> Failure {
    Failure::new(
        status::PANIC,
        "a bug inside libpondsocket was contained; please report it",
    )
}

impl Session {
    /// Gives up for `failure`, whatever state the session is in: pending requests complete, accepted messages are reported,
    /// channels are CLOSED, the client is DISCONNECTED. Channels, ids and counters go on; `connect` and `join` start again.
    /// The driver has to drop its dial or socket.
    pub fn fail(&mut self, failure: &Failure) {
        let fresh = Self::new(self.config.clone(), 0);
        let mut old = std::mem::replace(self, fresh);
        let from = old.state();
        let was_resting = matches!(old.link, Link::Down) && !old.wanted;
        let in_doubt = old.wire.in_doubt();
        let unsent = old.wire.reset();
        self.random = old.random;
        self.ids = old.ids;
        self.stats = old.stats;
        self.events = old.events;
        self.attempt = old.attempt;
        self.seen_connection = old.seen_connection;
        self.next_channel = old.next_channel;
        self.channels = old.channels;
        self.names = old.names;
        self.requests = old.requests;
        self.tickets = old.tickets;
        self.gave_up = Some(failure.clone());
        self.last_failure = Some(failure.clone());
        self.emit_client_error(failure, u32::MAX);
        if !was_resting {
            self.emit_state(from, Some(failure), in_doubt, 0, u32::MAX);
        }
        self.link_lost(unsent, failure);
        let all: Vec<_> = self.channels.keys().copied().collect();
        for id in all {
            self.finish_channel(id, ChannelState::Closed, failure, failure.status, true);
        }
        self.fail_all_requests(failure);
    }
}
