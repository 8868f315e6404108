//! The end after a bug: a panic may have left anything half done, so a fresh session takes over, and whoever waits for the old one
//! is told.

use super::event::{Event, EventKind, EventMut, Field};
use super::requests::tie;
use super::status::{self, ChannelState, Failure};
use super::{Link, Session};

/// What the program is told about a contained panic.
pub fn panic_failure() -> Failure {
    Failure::new(
        status::PANIC,
        "a bug inside libpondsocket was contained; please report it",
    )
}

/// The reply to a request of which nothing else is known any more.
pub fn failed_reply(client: u64, ticket: u64, failure: &Failure) -> EventMut {
    let fields = [
        (Field::Message, failure.message.as_str()),
        (Field::ErrorCode, failure.code()),
    ];
    let mut event = EventMut::with_text(EventKind::Reply, &fields);
    event.client = client;
    event.ticket = ticket;
    event.status = failure.status;
    event
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
        self.gave_up = Some(Box::new(failure.clone()));
        self.last_failure.clone_from(&self.gave_up);
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

    /// The replies that a session owes which is beyond [`Session::fail`].
    pub fn owed(mut self, failure: &Failure) -> Vec<Event> {
        self.events.retain(|event| event.kind == EventKind::Reply);
        let mut owed = Vec::from(self.events);
        for number in self.requests.numbers(|_| true) {
            let reply = self.requests.complete(number, |ticket, request| {
                let mut reply = failed_reply(self.config.client, ticket, failure);
                tie(&mut reply, ticket, request);
                reply.freeze()
            });
            owed.extend(reply);
        }
        owed
    }
}
