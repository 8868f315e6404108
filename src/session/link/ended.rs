//! How connections end, and whether another one is dialled.

use super::{Ending, Link, LinkEnd};
use crate::session::Session;
use crate::session::config::Time;
use crate::session::status::{self, ClientState, Failure};
use crate::session::timers::Timer;

impl Session {
    /// A dial failed, or the socket is gone.
    pub fn link_ended(&mut self, now: Time, end: LinkEnd) {
        crate::inject::point("session");
        if !self.is_linked() {
            // There was nothing to end; the redial that may be due must not be lost.
            return;
        }
        let link = std::mem::replace(&mut self.link, Link::Down);
        self.cancel_link_timers();
        // What was still to be done was for this link.
        self.actions.clear();
        self.connection_id = None;
        self.ping.outstanding = None;
        self.ping.reading_paused = false;
        match link {
            Link::Dialing => self.failed(now, ClientState::Connecting, end),
            Link::Open { refusal, .. } => {
                let failure = refused(refusal, &end);
                self.failed(now, ClientState::Connecting, LinkEnd { failure, ..end });
            }
            Link::Up { legacy, stable } => {
                let end = if legacy && !stable {
                    // The old dialect says nothing when it accepts, and closes when it refuses.
                    LinkEnd {
                        failure: refused(None, &end),
                        ..end
                    }
                } else {
                    end
                };
                self.failed(now, ClientState::Connected, end);
            }
            Link::Ending {
                why,
                from,
                connect_again,
            } => match why {
                Ending::Failed(failure) => self.failed(now, from, LinkEnd { failure, ..end }),
                Ending::Goodbye { .. } | Ending::Cancelled | Ending::Suspended => {
                    self.ended_on_purpose(now, why, from, connect_again, end.close_code);
                }
            },
            Link::Down | Link::Waiting | Link::Asking => self.link = link,
        }
    }

    fn ended_on_purpose(&mut self, now: Time, why: Ending, from: ClientState, connect_again: bool, close_code: u16) {
        let in_doubt = self.wire.in_doubt();
        let unsent = self.wire.reset();
        self.emit_state(from, None, in_doubt, close_code, u32::MAX);
        let failure = if why == Ending::Suspended {
            Failure::new(status::CONNECTION_LOST, "the client was suspended")
        } else {
            Failure::new(status::CLOSED, "the client disconnected")
        };
        self.link_lost(unsent, &failure);
        if connect_again && self.wanted {
            self.attempt = 0;
            self.failures = 0;
            self.dial(now);
        }
    }

    /// A failure that was not asked for: tell it, then back off or give up.
    pub(super) fn failed(&mut self, now: Time, from: ClientState, end: LinkEnd) {
        let LinkEnd {
            failure,
            close_code,
            retry_after,
        } = end;
        let refused = matches!(failure.http_status, 401 | 403)
            && matches!(failure.status, status::HTTP | status::REJECTED)
            && self.stats.connects == 0
            && !self.config.retry_refused
            && !self.config.ask_before_dial;
        let spent = u32::try_from(self.config.max_reconnect_attempts).is_ok_and(|max| self.failures >= max);
        let stopped = !self.wanted || self.suspended;
        let retry_ms = if refused || spent || stopped {
            u32::MAX
        } else {
            let delay = self.backoff(self.failures).max(retry_after.unwrap_or(0));
            u32::try_from(delay).unwrap_or(u32::MAX - 1).min(u32::MAX - 1)
        };
        self.failures = self.failures.saturating_add(1);
        self.emit_client_error(&failure, retry_ms);
        let in_doubt = self.wire.in_doubt();
        let unsent = self.wire.reset();
        if retry_ms == u32::MAX {
            if !stopped {
                self.wanted = false;
                self.gave_up = Some(Box::new(failure.clone()));
            }
        } else {
            self.link = Link::Waiting;
            self.timers.set(Timer::Retry, now + u64::from(retry_ms));
        }
        self.last_failure = Some(Box::new(failure.clone()));
        self.emit_state(from, Some(&failure), in_doubt, close_code, retry_ms);
        self.link_lost(unsent, &failure);
    }

    /// Full jitter below a ceiling that doubles and is capped.
    pub(in crate::session) fn backoff(&mut self, exponent: u32) -> Time {
        let ceiling = self
            .config
            .backoff_base
            .saturating_mul(1u64.checked_shl(exponent.min(40)).unwrap_or(u64::MAX))
            .min(self.config.backoff_max);
        self.random.up_to(ceiling)
    }
}

/// A close before CONNECTION is a refusal, told in the server's words if it had any.
fn refused(refusal: Option<Failure>, end: &LinkEnd) -> Failure {
    match refusal {
        Some(failure) => failure,
        None => Failure {
            status: status::REJECTED,
            message: format!(
                "the server closed the connection before accepting it: {}",
                end.failure.message
            ),
            ..end.failure.clone()
        },
    }
}
