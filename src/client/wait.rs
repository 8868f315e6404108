//! Calls that block: they complete straight from the session, not through the queue.

use std::sync::Arc;

use crate::session::{ChannelId, ChannelState, ClientState, Event, EventKind, Failure, Session, Time, status};

use super::core::Client;
use super::delivered::Delivered;
use super::shared::Shared;
use super::sync::{deadline, inside_callback, lock, wait, wait_until};

/// How a wait ended: a status, and its story if there is one.
#[derive(Debug)]
pub struct Waited {
    /// OK, TIMEOUT or an error.
    pub status: i32,
    /// What to tell.
    pub story: Option<Failure>,
}

impl From<Failure> for Waited {
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status,
            story: Some(failure),
        }
    }
}

/// A thread waits for this state; a state that comes and goes again is not missed.
pub(super) struct Watch {
    id: u64,
    /// 0 = the client, else the channel's tag.
    target: u64,
    state: i32,
    reached: bool,
}

impl Watch {
    pub fn see(&mut self, event: &Event) {
        let client_event = event.kind == EventKind::ClientState;
        if (client_event || event.channel != 0) && event.channel == self.target && event.state == self.state {
            self.reached = true;
        }
    }
}

fn would_deadlock() -> Failure {
    Failure::new(
        status::WOULD_DEADLOCK,
        "a handler must not wait: it would wait for itself",
    )
}

fn freed() -> Failure {
    Failure::new(status::CLOSED, "freed while it was waited for")
}

impl Client {
    /// Waits until the client is in that state or reaches it, or has given up.
    pub fn wait_state(&self, state: ClientState, timeout_ms: u32) -> Waited {
        self.wait_for_state(0, state as i32, timeout_ms, |session| {
            if session.state() == state {
                return Some(Ok(()));
            }
            session.gave_up().map(|failure| Err(failure.clone()))
        })
    }

    /// The same for a channel; a terminal state that makes it impossible ends the wait.
    pub fn wait_channel_state(&self, id: ChannelId, tag: u64, state: ChannelState, timeout_ms: u32) -> Waited {
        self.wait_for_state(tag, state as i32, timeout_ms, |session| {
            let now = session.channel_state(id);
            if now == state {
                return Some(Ok(()));
            }
            if !now.is_terminal() {
                return None;
            }
            let fallback = if now == ChannelState::Closed {
                status::CLOSED
            } else {
                status::DECLINED
            };
            let failure = session
                .channel_end(id)
                .cloned()
                .unwrap_or_else(|| Failure::new(fallback, "the channel has ended"));
            // A join that nobody answered is declined, whatever its story says.
            let told = if now == ChannelState::Declined {
                status::DECLINED
            } else {
                failure.status
            };
            Some(Err(Failure {
                status: told,
                ..failure
            }))
        })
    }

    fn wait_for_state(
        &self,
        target: u64,
        state: i32,
        timeout_ms: u32,
        check: impl Fn(&Session) -> Option<Result<(), Failure>>,
    ) -> Waited {
        if timeout_ms > 0 && inside_callback() {
            return would_deadlock().into();
        }
        let until = deadline(timeout_ms);
        let mut shared = lock(&self.shared);
        let id = shared.watches.iter().map(|watch| watch.id + 1).max().unwrap_or(1);
        shared.watches.push(Watch {
            id,
            target,
            state,
            reached: false,
        });
        let ended = loop {
            if shared.freed {
                break freed().into();
            }
            let reached = shared.watches.iter().any(|watch| watch.id == id && watch.reached);
            match check(&shared.session) {
                _ if reached => break ok(),
                Some(Ok(())) => break ok(),
                Some(Err(failure)) => break failure.into(),
                None => {}
            }
            let in_time;
            shared.waiting += 1;
            (shared, in_time) = wait_until(&self.changed, shared, until);
            shared.waiting -= 1;
            if !in_time {
                break Waited {
                    status: status::TIMEOUT,
                    story: shared.session.last_failure().cloned(),
                };
            }
        };
        shared.watches.retain(|watch| watch.id != id);
        if shared.watches.is_empty() {
            // Whoever waits, waits rarely.
            shared.watches = Vec::new();
        }
        ended
    }

    /// Waits until everything accepted is written or dropped.
    pub fn flush(&self, timeout_ms: u32) -> Waited {
        if timeout_ms > 0 && inside_callback() {
            return would_deadlock().into();
        }
        let until = deadline(timeout_ms);
        let mut shared = lock(&self.shared);
        loop {
            if shared.freed {
                return freed().into();
            }
            if shared.session.is_flushed() {
                return ok();
            }
            let in_time;
            shared.flushing += 1;
            (shared, in_time) = wait_until(&self.changed, shared, until);
            shared.flushing -= 1;
            if !in_time {
                return Waited {
                    status: status::TIMEOUT,
                    story: None,
                };
            }
        }
    }

    /// Asks and waits for the answer.
    pub fn call(
        self: &Arc<Self>,
        id: ChannelId,
        event: &str,
        payload: &str,
        timeout: Option<Time>,
        ticket: u64,
    ) -> Result<Delivered, Failure> {
        if inside_callback() {
            return Err(would_deadlock());
        }
        let mut shared = lock(&self.shared);
        if shared.freed {
            return Err(freed());
        }
        shared.calls.insert(ticket, None);
        let now = self.now();
        let asked = self
            .contained(&mut shared, |session| {
                session.request(id, event, payload, timeout, ticket, Some(now))
            })
            .and_then(|accepted| accepted);
        if let Err(failure) = asked {
            self.drain(&mut shared);
            shared.calls.remove(&ticket);
            self.unlock(shared, true);
            return Err(failure);
        }
        self.run_driver_for(&mut shared);
        let written;
        (shared, written) = self.write_here(shared);
        self.drain(&mut shared);
        if !written && std::mem::take(&mut shared.driver.asleep) {
            self.notify.notify_one();
        }
        if std::mem::take(&mut shared.news) {
            self.changed.notify_all();
        }
        self.queue.announce(std::mem::take(&mut shared.queue_news));
        loop {
            if let Some(Some(_)) = shared.calls.get(&ticket) {
                break;
            }
            shared.calling += 1;
            shared = wait(&self.changed, shared);
            shared.calling -= 1;
        }
        let reply = shared.calls.remove(&ticket).flatten();
        // The reader may have been let on for this call alone.
        let work = shared.driver.reads_for_calls;
        self.unlock(shared, work);
        match reply {
            Some(reply) if reply.event().status == status::OK => Ok(reply),
            Some(reply) => Err(failure_of(reply.event())),
            None => Err(freed()),
        }
    }

    /// A reader that has twice its bound waiting cannot go on for the sake of calls: they fail.
    pub(super) fn fail_calls(&self, shared: &mut Shared) {
        let waiting: Vec<u64> = shared
            .calls
            .iter()
            .filter(|(_, reply)| reply.is_none())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in waiting {
            shared.session.fail_request(
                ticket,
                &Failure::new(
                    status::QUEUE_FULL,
                    "twice the inbound bound waits to be read: the answer cannot be fetched",
                ),
            );
        }
        self.drain(shared);
    }
}

fn ok() -> Waited {
    Waited {
        status: status::OK,
        story: None,
    }
}

fn failure_of(event: &Event) -> Failure {
    use crate::session::Field;
    let text = |field| event.text(field).unwrap_or_default().to_owned();
    Failure {
        status: event.status,
        code: text(Field::ErrorCode),
        message: text(Field::Message),
        http_status: event.http_status,
        details: text(Field::Details),
    }
}
