//! The judge at the program's end: legal states, each request once, nothing twice, nothing out of order; and the account of
//! everything that was accepted.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::peer::{CHANNEL_STATE, CLIENT_STATE, DISCONNECTED, DROPPED, Ev, MESSAGE, REPLY};

/// Ticks that one `raw` asks for.
pub const TICKS: u64 = 20;

/// What may follow what.
fn legal(previous: i32, state: i32) -> bool {
    matches!(
        (previous, state),
        (1, 2) | (2, 3 | 1) | (3, 1)
            // IDLE -> JOINING -> JOINED -> STALLED -> JOINED, and the ends.
            | (11, 12 | 15) | (12, 13 | 15 | 16) | (13, 14 | 15) | (14, 13 | 15 | 16) | (15 | 16, 12)
    )
}

#[derive(Default)]
pub struct Oracle {
    client_state: i32,
    channel_states: HashMap<String, i32>,
    pending: HashMap<u64, String>,
    done: HashSet<u64>,
    /// How requests ended: status and how many.
    pub outcomes: BTreeMap<i32, u64>,
    pub in_doubt: u64,
    pub dropped: u64,
    dropped_newest: Vec<(String, u64)>,
    pub accepted: HashSet<(String, u64)>,
    ticks: HashMap<String, (u64, u64)>,
    pub ticks_seen: u64,
    /// How often the link was lost.
    pub losses: u64,
}

pub fn number(payload: &str, key: &str) -> Option<u64> {
    serde_json::from_str::<Value>(payload).ok()?[key].as_u64()
}

impl Oracle {
    pub fn asked(&mut self, ticket: u64, payload: &str) {
        assert!(
            self.pending.insert(ticket, payload.to_owned()).is_none(),
            "ticket {ticket} twice"
        );
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    pub fn judge(&mut self, ev: &Ev) {
        match ev.kind {
            CLIENT_STATE => {
                let before = std::mem::replace(&mut self.client_state, ev.state);
                assert!(before == 0 || before == ev.previous, "client: {before} before {ev:?}");
                assert!(legal(ev.previous, ev.state), "client: {ev:?}");
                assert!(ev.state == DISCONNECTED || ev.in_doubt == 0, "in doubt: {ev:?}");
                self.in_doubt += u64::from(ev.in_doubt);
                if ev.state == DISCONNECTED && ev.previous == 3 {
                    self.losses += 1;
                    self.ticks.clear();
                }
            }
            CHANNEL_STATE => {
                let before = self.channel_states.insert(ev.channel.clone(), ev.state).unwrap_or(11);
                assert_eq!(before, ev.previous, "channel: {ev:?}");
                assert!(legal(ev.previous, ev.state), "channel: {ev:?}");
            }
            REPLY => {
                let asked = self.pending.remove(&ev.ticket);
                assert!(self.done.insert(ev.ticket), "request {} completed twice", ev.ticket);
                let asked = asked.expect("a reply to nothing that was asked");
                if ev.status == 0 {
                    let (sent, came) = (number(&asked, "n"), number(&ev.payload, "n"));
                    assert_eq!(sent, came, "somebody else's reply");
                }
                *self.outcomes.entry(ev.status).or_default() += 1;
            }
            DROPPED => {
                self.dropped += u64::from(ev.count);
                let n = number(&ev.payload, "n").expect("the payload of what was dropped");
                self.dropped_newest.push((ev.channel.clone(), n));
            }
            MESSAGE if ev.name == "tick" => self.tick(ev),
            _ => {}
        }
    }

    /// Ticks come in rounds 0, 1, 2...: a gap, a repetition or another order is a fault unless the link was lost.
    fn tick(&mut self, ev: &Ev) {
        let (round, i) = (number(&ev.payload, "r").unwrap(), number(&ev.payload, "i").unwrap());
        self.ticks_seen += 1;
        match self.ticks.insert(ev.channel.clone(), (round, i)) {
            Some((last, at)) if last == round => assert_eq!(i, at + 1, "round {round} of {}", ev.channel),
            Some((last, at)) => {
                assert!(round > last && i == 0, "round {round} after {last} of {}", ev.channel);
                assert_eq!(at + 1, TICKS, "round {last} of {} is not complete", ev.channel);
            }
            None => assert_eq!(i, 0, "round {round} of {} has no beginning", ev.channel),
        }
    }

    /// `arrived`: per connection in order of their beginning, channel and number of each frame in order of arrival.
    /// Says how many accepted messages did not arrive.
    pub fn account(&self, who: &str, arrived: &[Vec<(String, u64)>]) -> u64 {
        let mut newest: HashMap<&str, u64> = HashMap::new();
        let mut delivered: HashSet<(String, u64)> = HashSet::new();
        for (conn, frames) in arrived.iter().enumerate() {
            for (channel, n) in frames {
                assert!(
                    delivered.insert((channel.clone(), *n)),
                    "{who}: {channel} {n} arrived twice, again on connection {conn}"
                );
                let last = newest.insert(channel, *n);
                assert!(
                    last < Some(*n),
                    "{who}: {channel} {n} after {last:?} on connection {conn}"
                );
            }
        }
        for dropped in &self.dropped_newest {
            assert!(
                !delivered.contains(dropped),
                "{who}: {dropped:?} was reported dropped, and arrived"
            );
        }
        let missing = self.accepted.difference(&delivered).count() as u64;
        let told = self.dropped + self.in_doubt;
        assert!(
            missing <= told,
            "{who}: {missing} accepted messages are missing, told were {} dropped and {} in doubt",
            self.dropped,
            self.in_doubt
        );
        assert!(
            missing >= self.dropped,
            "{who}: {} reported dropped, {missing} missing",
            self.dropped
        );
        missing
    }
}
