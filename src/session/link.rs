//! The connection: dials, CONNECTION, the goodbye.

use super::config::Time;
use super::event::{BlockBuilder, EventKind, EventMut};
use super::status::{self, ClientState, Failure};
use super::timers::Timer;
use super::{Action, Session};

mod ended;

/// A connection that lived so long resets the backoff, and a legacy one counts as accepted.
const STABLE_AFTER: Time = 5_000;
/// How long `disconnect` may take.
pub const GOODBYE: Time = 2_000;

/// Where the connection stands.
#[derive(Debug)]
pub(super) enum Link {
    Down,
    /// Between dials.
    Waiting,
    /// A DIAL event waits for its answer.
    Asking,
    Dialing,
    /// Upgraded, the server's CONNECTION has not come.
    Open {
        silent: bool,
        refusal: Option<Failure>,
    },
    Up {
        legacy: bool,
        stable: bool,
    },
    /// The driver is ending the link.
    Ending {
        why: Ending,
        from: ClientState,
        connect_again: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// LEAVE, flush, Close; `close_sent` once the driver was told.
    Goodbye {
        close_sent: bool,
    },
    /// `disconnect` before CONNECTED.
    Cancelled,
    Suspended,
    Failed(Failure),
}

impl Link {
    pub fn carries_frames(&self) -> bool {
        matches!(
            self,
            Self::Up { .. }
                | Self::Ending {
                    why: Ending::Goodbye { .. },
                    ..
                }
        )
    }

    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// How a dial or a socket ended, in the driver's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    /// A dial's failure (CONNECT, TLS, HTTP) or CONNECTION_LOST with what is known.
    pub failure: Failure,
    /// The close code that came, 0 = none.
    pub close_code: u16,
    /// The server asked not to be dialled earlier.
    pub retry_after: Option<Time>,
}

impl Session {
    /// The newest truth about the connection.
    pub fn state(&self) -> ClientState {
        match &self.link {
            Link::Down | Link::Waiting => ClientState::Disconnected,
            Link::Asking | Link::Dialing | Link::Open { .. } => ClientState::Connecting,
            Link::Up { .. } => ClientState::Connected,
            Link::Ending { from, .. } => *from,
        }
    }

    /// Why nothing will be dialled any more, until the next `connect`.
    pub fn gave_up(&self) -> Option<&Failure> {
        self.gave_up.as_deref()
    }

    /// The newest failed dial or lost connection since the last CONNECTED.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_deref()
    }

    /// What the server called this connection.
    pub fn connection_id(&self) -> Option<&str> {
        self.connection_id.as_deref()
    }

    /// A dial, socket or goodbye is under way: the driver still has to end it.
    pub fn is_linked(&self) -> bool {
        !matches!(self.link, Link::Down | Link::Waiting | Link::Asking)
    }

    /// Dial, unless that is under way.
    pub fn connect(&mut self, now: Time) {
        crate::inject::point("session");
        self.suspended = false;
        self.wanted = true;
        self.gave_up = None;
        match &mut self.link {
            Link::Down => {
                self.attempt = 0;
                self.failures = 0;
                self.dial(now);
            }
            Link::Ending {
                why: Ending::Goodbye { .. } | Ending::Cancelled | Ending::Suspended,
                connect_again,
                ..
            } => *connect_again = true,
            _ => {}
        }
    }

    /// LEAVE, flush, Close, within `limit`; nothing is dialled any more.
    pub fn disconnect(&mut self, now: Time, limit: Time) {
        crate::inject::point("session");
        let up = self.link.is_up();
        self.wanted = false;
        self.suspended = false;
        self.gave_up = None;
        self.close_all_channels(up);
        match &mut self.link {
            Link::Down => {}
            Link::Waiting => {
                self.timers.cancel(Timer::Retry);
                self.link = Link::Down;
            }
            Link::Asking => {
                self.cancel_link_timers();
                self.link = Link::Down;
                self.emit_state(ClientState::Connecting, None, 0, 0, u32::MAX);
            }
            Link::Dialing | Link::Open { .. } => self.abort(Ending::Cancelled),
            Link::Up { .. } => {
                self.cancel_link_timers();
                self.timers.set(Timer::Close, now + limit);
                self.link = Link::Ending {
                    why: Ending::Goodbye { close_sent: false },
                    from: ClientState::Connected,
                    connect_again: false,
                };
            }
            Link::Ending { why, connect_again, .. } => {
                *connect_again = false;
                if matches!(why, Ending::Suspended | Ending::Failed(_)) {
                    *why = Ending::Cancelled;
                }
                if let Some(at) = self.timers.get(Timer::Close) {
                    self.timers.set(Timer::Close, at.min(now + limit));
                }
            }
        }
    }

    /// Drop the link and stop dialling; channels and queues stay.
    pub fn suspend(&mut self) {
        if !self.wanted {
            return;
        }
        self.suspended = true;
        match &mut self.link {
            Link::Down => {}
            Link::Waiting => {
                self.timers.cancel(Timer::Retry);
                self.link = Link::Down;
            }
            Link::Asking => {
                self.cancel_link_timers();
                self.link = Link::Down;
                self.emit_state(ClientState::Connecting, None, 0, 0, u32::MAX);
            }
            Link::Dialing | Link::Open { .. } | Link::Up { .. } => self.abort(Ending::Suspended),
            Link::Ending { why, connect_again, .. } => {
                *connect_again = false;
                if matches!(why, Ending::Failed(_)) {
                    *why = Ending::Suspended;
                }
            }
        }
    }

    /// Dial again after `suspend`.
    pub fn resume(&mut self, now: Time) {
        if self.suspended {
            self.connect(now);
        }
    }

    /// Skip the backoff.
    pub fn reconnect_now(&mut self, now: Time) {
        if matches!(self.link, Link::Waiting) {
            self.timers.cancel(Timer::Retry);
            self.dial(now);
        }
    }

    /// Whether the DIAL event of that number waits for its answer.
    pub fn check_dial(&self, attempt: u32) -> Result<(), Failure> {
        if matches!(self.link, Link::Asking) && attempt == self.attempt {
            return Ok(());
        }
        Err(Failure::new(
            status::INVALID_STATE,
            format!("dial {attempt} does not wait for an answer"),
        ))
    }

    /// The program has answered the DIAL event of that number.
    pub fn answer_dial(&mut self, attempt: u32) -> Result<(), Failure> {
        self.check_dial(attempt)?;
        self.link = Link::Dialing;
        self.start_dial();
        Ok(())
    }

    /// The dial succeeded up to the WebSocket upgrade.
    pub fn upgraded(&mut self, now: Time) {
        if !matches!(self.link, Link::Dialing) {
            return;
        }
        self.link = Link::Open {
            silent: true,
            refusal: None,
        };
        if self.config.legacy_grace > 0 && !self.seen_connection {
            self.timers.set(Timer::Grace, now + self.config.legacy_grace);
        }
    }

    fn dial(&mut self, now: Time) {
        self.attempt = self.attempt.saturating_add(1);
        self.timers.set(Timer::Connect, now + self.config.connect_timeout);
        self.link = if self.config.ask_before_dial {
            Link::Asking
        } else {
            Link::Dialing
        };
        self.emit_state(ClientState::Disconnected, None, 0, 0, 0);
        if self.config.ask_before_dial {
            let mut event = EventMut::new(EventKind::Dial);
            event.attempt = self.attempt;
            self.emit(event);
        } else {
            self.start_dial();
        }
    }

    fn start_dial(&mut self) {
        self.stats.dials += 1;
        self.actions.push_back(Action::Dial { attempt: self.attempt });
    }

    fn abort(&mut self, why: Ending) {
        let from = self.state();
        self.cancel_link_timers();
        self.link = Link::Ending {
            why,
            from,
            connect_again: false,
        };
        self.actions.push_back(Action::Abort);
    }

    pub(super) fn link_timer(&mut self, timer: Timer, now: Time) {
        match timer {
            Timer::Retry if matches!(self.link, Link::Waiting) => self.dial(now),
            Timer::Connect => self.connect_timed_out(now),
            Timer::Grace => {
                if matches!(self.link, Link::Open { silent: true, .. }) {
                    self.connected(now, true);
                }
            }
            Timer::Stable => {
                if let Link::Up { stable, .. } = &mut self.link {
                    *stable = true;
                    self.failures = 0;
                }
            }
            Timer::Ping if self.link.is_up() => self.ping_due(now),
            Timer::Pong if self.link.is_up() => {
                let message = format!("no pong within {} ms: the connection is dead", self.config.pong_timeout);
                self.abort(Ending::Failed(Failure::new(status::CONNECTION_LOST, message)));
            }
            Timer::Close if matches!(self.link, Link::Ending { .. }) => {
                self.actions.push_back(Action::Abort);
            }
            _ => {}
        }
    }

    fn connect_timed_out(&mut self, now: Time) {
        let what = match &self.link {
            Link::Asking => "the program did not answer the dial",
            Link::Dialing => "no connection",
            Link::Open { .. } => "the server did not send CONNECTION",
            _ => return,
        };
        let mut failure = Failure::new(
            status::ERROR_TIMEOUT,
            format!("{what} within {} ms", self.config.connect_timeout),
        );
        if let Link::Open {
            refusal: Some(refusal), ..
        } = &mut self.link
        {
            failure = refusal.clone();
        }
        if matches!(self.link, Link::Asking) {
            self.link = Link::Down;
            self.failed(
                now,
                ClientState::Connecting,
                LinkEnd {
                    failure,
                    close_code: 0,
                    retry_after: None,
                },
            );
        } else {
            self.abort(Ending::Failed(failure));
        }
    }

    /// CONNECTION came, or the grace of the old dialect is over.
    pub(super) fn connected(&mut self, now: Time, legacy: bool) {
        self.timers.cancel(Timer::Connect);
        self.timers.cancel(Timer::Grace);
        self.timers.set(Timer::Stable, now + STABLE_AFTER);
        if self.config.ping_interval > 0 {
            self.timers.set(Timer::Ping, now + self.config.ping_interval);
        }
        self.link = Link::Up { legacy, stable: false };
        self.last_failure = None;
        self.stats.connects += 1;
        self.emit_state(ClientState::Connecting, None, 0, 0, 0);
        self.attempt = 0;
        self.join_all(now);
    }

    /// A frame came before CONNECTION: the old dialect's silence is broken, and an error may be why the close follows.
    pub(super) fn frame_before_connection(&mut self, failure: Option<Failure>) {
        self.timers.cancel(Timer::Grace);
        if let Link::Open { silent, refusal } = &mut self.link {
            *silent = false;
            if failure.is_some() {
                *refusal = failure;
            }
        }
    }

    pub(super) fn close_when_drained(&mut self) -> bool {
        let drained = !self.wire.has_waiting();
        match &mut self.link {
            Link::Ending {
                why: Ending::Goodbye { close_sent },
                ..
            } if drained && !*close_sent => {
                *close_sent = true;
                true
            }
            _ => false,
        }
    }

    fn cancel_link_timers(&mut self) {
        for timer in [
            Timer::Retry,
            Timer::Connect,
            Timer::Grace,
            Timer::Stable,
            Timer::Ping,
            Timer::Pong,
            Timer::Close,
        ] {
            self.timers.cancel(timer);
        }
    }

    pub(super) fn emit_client_error(&mut self, failure: &Failure, retry_ms: u32) {
        let mut block = BlockBuilder::default();
        block.append_failure(failure);
        let mut event = block.finish(EventKind::ClientError);
        event.status = failure.status;
        event.http_status = failure.http_status;
        event.attempt = self.attempt;
        event.retry_ms = retry_ms;
        self.emit(event);
    }

    pub(super) fn emit_state(
        &mut self,
        previous: ClientState,
        failure: Option<&Failure>,
        in_doubt: u64,
        close_code: u16,
        retry_ms: u32,
    ) {
        let mut block = BlockBuilder::default();
        if let Some(failure) = failure {
            block.append_failure(failure);
        }
        let mut event = block.finish(EventKind::ClientState);
        event.state = self.state() as i32;
        event.previous_state = previous as i32;
        event.status = failure.map_or(status::OK, |f| f.status);
        event.http_status = failure.map_or(0, |f| f.http_status);
        event.close_code = i32::from(close_code);
        event.attempt = self.attempt;
        event.retry_ms = retry_ms;
        event.connect_count = u32::try_from(self.stats.connects).unwrap_or(u32::MAX);
        event.in_doubt = u32::try_from(in_doubt).unwrap_or(u32::MAX);
        self.emit(event);
    }
}
