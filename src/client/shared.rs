//! What is under a client's lock.

use crate::session::hash::FastMap;
use crate::session::{Event, EventKind, Session, Stats};

use super::announce::News;
use super::delivered::Delivered;
use super::direct::Driver;
use super::queue::Backlog;
use super::wait::Watch;

pub(super) struct Shared {
    pub session: Session,
    /// Calls that wait for their reply on the thread that asked.
    pub calls: FastMap<u64, Option<Delivered>>,
    /// Threads that wait on `changed` for one of them: who has not yet begun to finds it without being told.
    pub calling: u32,
    /// Replies that were told since the driver looked last.
    pub answers: u32,
    pub watches: Vec<Watch>,
    /// Threads that wait on `changed` for a state.
    pub waiting: u32,
    /// Threads that wait on `changed` for a flush: they are not told before it is over.
    pub flushing: u32,
    pub driver_runs: bool,
    pub driver: Driver,
    /// Who waits on `changed` has to be told, once the lock is open.
    pub news: bool,
    /// Who waits on the queue has to be told: by the driver once the lock is open, for they may want it at once.
    pub queue_news: News,
    pub freed: bool,
    /// How often a panic has cost the session; the driver's link belongs to one such life.
    pub lives: u32,
    /// A session was lost: whoever waits for a reply that it has forgotten is told.
    pub lost: bool,
    /// Events on their way from the session to the queue; empty between calls, its memory is used again.
    pub outbox: Vec<Delivered>,
    /// Replies that came while the client is being freed.
    pub orphans: Vec<Delivered>,
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub rtt_us: u64,
    /// Of links that have ended.
    pub past_in: u64,
    pub past_out: u64,
}

/// Counters and levels of a client.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // documented where they are exported
pub struct ClientStats {
    pub session: Stats,
    pub backlog: Backlog,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub outbound_messages: u64,
    pub rtt_us: u64,
}

impl Shared {
    /// A request was not accepted after all: what a panic has told of it is untold.
    #[cold]
    pub fn forget_reply(&mut self, ticket: u64) {
        self.session.forget_reply(ticket);
        let is_it = |event: &Event| event.kind == EventKind::Reply && event.ticket == ticket;
        self.outbox.retain(|delivered| !is_it(delivered.event()));
    }

    /// A reply goes to the call that waits for it, or on its way to the queue.
    #[inline]
    pub fn answer(&mut self, reply: Event) {
        let ticket = reply.ticket;
        let reply = Delivered::new(reply);
        match self.calls.get_mut(&ticket) {
            Some(call) => {
                *call = Some(reply);
                self.news |= self.calling > 0;
            }
            None => {
                self.answers = self.answers.saturating_add(1);
                self.outbox.push(reply);
            }
        }
    }
}
