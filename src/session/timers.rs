//! Deadlines by name. Nothing here knows what time it is.

use std::collections::BTreeSet;

use super::ChannelId;
use super::config::Time;
use super::hash::FastMap;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The backoff ends: dial.
    Retry,
    /// The dial must be CONNECTED.
    Connect,
    /// Silence after the upgrade counts as connected.
    Grace,
    /// The connection has proved itself: reset the backoff.
    Stable,
    /// Send a ping.
    Ping,
    /// The pong must be here.
    Pong,
    /// The goodbye must be over.
    Close,
    /// A join must be answered, or its backoff ends.
    Join(ChannelId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Time, Timer)>,
    at: FastMap<Timer, Time>,
}

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Time) {
        if let Some(old) = self.at.insert(timer, at) {
            self.order.remove(&(old, timer));
        }
        self.order.insert((at, timer));
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Some(old) = self.at.remove(&timer) {
            self.order.remove(&(old, timer));
        }
    }

    pub fn get(&self, timer: Timer) -> Option<Time> {
        self.at.get(&timer).copied()
    }

    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    pub fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_a_later_set_replaces() {
        let mut timers = Timers::default();
        timers.set(Timer::Ping, 30);
        timers.set(Timer::Join(ChannelId(1)), 10);
        timers.set(Timer::Ping, 5);
        timers.set(Timer::Pong, 7);
        timers.cancel(Timer::Pong);
        assert_eq!(timers.next(), Some(5));
        assert_eq!(timers.pop_due(4), None);
        assert_eq!(timers.pop_due(20), Some(Timer::Ping));
        assert_eq!(timers.pop_due(20), Some(Timer::Join(ChannelId(1))));
        assert_eq!(timers.pop_due(20), None);
        assert_eq!(timers.next(), None);
    }
}
