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

/// How many there are of one kind each: all but the joins.
const SINGLE: usize = 7;
const UNSET: Time = Time::MAX;

#[derive(Debug)]
pub(super) struct Timers {
    /// In the order of their names, which is that of equal deadlines.
    single: [(Timer, Time); SINGLE],
    joins: Joins,
}

/// A connection at rest has none, so nothing is kept for them.
#[derive(Debug, Default)]
struct Joins {
    order: BTreeSet<(Time, ChannelId)>,
    at: FastMap<ChannelId, Time>,
}

impl Default for Timers {
    fn default() -> Self {
        use Timer::{Close, Connect, Grace, Ping, Pong, Retry, Stable};
        Self {
            single: [Retry, Connect, Grace, Stable, Ping, Pong, Close].map(|timer| (timer, UNSET)),
            joins: Joins::default(),
        }
    }
}

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Time) {
        if let Timer::Join(id) = timer {
            if let Some(old) = self.joins.at.insert(id, at) {
                self.joins.order.remove(&(old, id));
            }
            self.joins.order.insert((at, id));
        } else if let Some((_, time)) = self.single.iter_mut().find(|(single, _)| *single == timer) {
            *time = at;
        }
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Timer::Join(id) = timer {
            if let Some(old) = self.joins.at.remove(&id) {
                self.joins.order.remove(&(old, id));
            }
            if self.joins.at.is_empty() {
                self.joins = Joins::default();
            }
        } else {
            self.set(timer, UNSET);
        }
    }

    pub fn get(&self, timer: Timer) -> Option<Time> {
        let found = if let Timer::Join(id) = timer {
            self.joins.at.get(&id)
        } else {
            self.single
                .iter()
                .find(|(single, _)| *single == timer)
                .map(|(_, at)| at)
        };
        found.copied().filter(|at| *at != UNSET)
    }

    fn first(&self) -> Option<(Time, Timer)> {
        let single = self.single.iter().filter(|(_, at)| *at != UNSET);
        let single = single.min_by_key(|(_, at)| *at).map(|(timer, at)| (*at, *timer));
        let join = self.joins.order.first().map(|(at, id)| (*at, Timer::Join(*id)));
        single.into_iter().chain(join).min()
    }

    pub fn next(&self) -> Option<Time> {
        self.first().map(|(at, _)| at)
    }

    pub fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = self.first()?;
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

    #[test]
    fn each_join_has_a_deadline_of_its_own() {
        let (first, second) = (Timer::Join(ChannelId(1)), Timer::Join(ChannelId(2)));
        let mut timers = Timers::default();
        timers.set(second, 10);
        timers.set(first, 20);
        timers.set(Timer::Close, 10);
        assert_eq!((timers.get(first), timers.get(second)), (Some(20), Some(10)));
        timers.set(first, 5);
        assert_eq!(timers.pop_due(9), Some(first));
        assert_eq!(
            timers.pop_due(10),
            Some(Timer::Close),
            "of equal ones the connection's own come first"
        );
        timers.cancel(second);
        assert_eq!((timers.next(), timers.get(second)), (None, None));
        assert_eq!(
            timers.joins.order.len() + timers.joins.at.capacity(),
            0,
            "nothing is kept"
        );
    }
}
