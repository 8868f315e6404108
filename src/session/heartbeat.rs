//! Pings and their deadline: how a dead link is found.

use super::config::Time;
use super::timers::Timer;
use super::{Action, Session};

/// How long traffic can put off the pong deadline, in pong timeouts.
const PONG_PATIENCE: Time = 3;

/// Pings of the current link.
#[derive(Debug, Default)]
pub(super) struct PingState {
    serial: u64,
    /// When it was sent and what its pong proves.
    pub outstanding: Option<(Time, u64)>,
    pub reading_paused: bool,
}

impl Session {
    /// Bytes came, of whatever kind.
    pub fn traffic(&mut self, now: Time) {
        let running = self.timers.get(Timer::Pong).is_some();
        if let Some((sent, _)) = self.ping.outstanding.filter(|_| running) {
            // A zombie that still sends but answers no ping must be found as well, so traffic only stretches the deadline.
            let limit = sent + PONG_PATIENCE * self.config.pong_timeout;
            self.timers
                .set(Timer::Pong, (now + self.config.pong_timeout).min(limit));
        }
    }

    /// A pong came.
    pub fn pong(&mut self, serial: u64) {
        let awaited = serial == self.ping.serial;
        if let Some((_, mark)) = self.ping.outstanding.take_if(|_| awaited) {
            self.timers.cancel(Timer::Pong);
            self.wire.prove(mark);
        }
    }

    /// The driver has stopped reading (the program does not drain its events), or reads again.
    pub fn reading_paused(&mut self, paused: bool, now: Time) {
        self.ping.reading_paused = paused;
        if paused {
            self.timers.cancel(Timer::Pong);
        } else if self.ping.outstanding.is_some() && self.link.is_up() {
            // What waits unread in the system counts from now.
            self.ping.outstanding = self.ping.outstanding.map(|(_, mark)| (now, mark));
            self.timers.set(Timer::Pong, now + self.config.pong_timeout);
        }
    }

    /// The interval is over: ping, unless the last one is still unanswered.
    pub(super) fn ping_due(&mut self, now: Time) {
        self.timers.set(Timer::Ping, now + self.config.ping_interval);
        if self.ping.outstanding.is_some() || self.ping.reading_paused {
            return;
        }
        self.ping.serial += 1;
        self.ping.outstanding = Some((now, self.wire.mark()));
        self.wire.rest();
        self.timers.set(Timer::Pong, now + self.config.pong_timeout);
        self.actions.push_back(Action::Ping(self.ping.serial));
    }
}
