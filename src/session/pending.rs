//! The requests that are not complete, in the order of their numbers, which is that of their birth.

use std::collections::VecDeque;

use super::ChannelId;
use super::config::Time;
use super::event::Attachment;

/// A request without a deadline is due then.
pub(super) const NEVER: Time = Time::MAX;
/// Above every number.
const NONE_FRESH: u64 = u64::MAX;
/// So many places of completed requests are not worth a pass.
const KEPT_HOLES: usize = 32;

pub(super) struct Request {
    pub channel: ChannelId,
    /// Its place in the account of the link, once it is handed over.
    pub handed: Option<u64>,
    pub due: Time,
    /// Told by the reply.
    pub user_data: usize,
    /// Tied to the reply.
    pub attachment: Option<Attachment>,
}

struct Entry {
    number: u64,
    ticket: u64,
    /// `None`: complete.
    request: Option<Request>,
}

/// Requests by number and by ticket. Replies come in order or nearly so, so that the one looked for is most often the first.
pub(super) struct Pending {
    /// The first one is not complete.
    entries: VecDeque<Entry>,
    live: usize,
    /// Tickets are in the order of numbers, too.
    tickets_rise: bool,
    /// Requests from this number on have no clock yet: what they call due is how long they may take.
    fresh: u64,
    /// Nothing is due earlier. It is not put off when a request completes: one look too many costs less than a look at each.
    earliest: Time,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            live: 0,
            tickets_rise: true,
            fresh: NONE_FRESH,
            earliest: NEVER,
        }
    }
}

impl Pending {
    pub fn len(&self) -> usize {
        self.live
    }

    /// Adds one whose number is above all others. Without `now` its clock starts with [`start`](Self::start).
    #[inline]
    pub fn insert(&mut self, number: u64, ticket: u64, mut request: Request, now: Option<Time>) {
        match now {
            Some(now) => {
                // So that all from `fresh` on are.
                self.start(now);
                request.due = now.saturating_add(request.due);
                self.earliest = self.earliest.min(request.due);
            }
            None => self.fresh = self.fresh.min(number),
        }
        self.tickets_rise = match self.entries.back() {
            Some(last) => self.tickets_rise && last.ticket < ticket,
            None => true,
        };
        self.live += 1;
        self.entries.push_back(Entry {
            number,
            ticket,
            request: Some(request),
        });
    }

    /// Starts the clocks that do not run yet.
    pub fn start(&mut self, now: Time) {
        let fresh = std::mem::replace(&mut self.fresh, NONE_FRESH);
        let entries = self.entries.iter_mut().rev();
        for entry in entries.take_while(|entry| entry.number >= fresh) {
            if let Some(request) = &mut entry.request {
                request.due = now.saturating_add(request.due);
                self.earliest = self.earliest.min(request.due);
            }
        }
    }

    /// Where it is, until one is removed.
    #[inline]
    pub fn place(&self, number: u64) -> Option<usize> {
        let ahead = number.checked_sub(self.entries.front()?.number)?;
        // Right when only requests were numbered in between.
        match usize::try_from(ahead).ok().and_then(|place| self.entries.get(place)) {
            Some(entry) if entry.number == number => Some(ahead as usize),
            _ => self.entries.binary_search_by_key(&number, |entry| entry.number).ok(),
        }
    }

    #[inline]
    pub fn at(&self, place: usize) -> Option<&Request> {
        self.entries.get(place)?.request.as_ref()
    }

    #[inline]
    pub fn get(&self, number: u64) -> Option<&Request> {
        self.at(self.place(number)?)
    }

    #[inline]
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Request> {
        let place = self.place(number)?;
        self.entries.get_mut(place)?.request.as_mut()
    }

    /// Its number, and the request.
    pub fn by_ticket(&self, ticket: u64) -> Option<(u64, &Request)> {
        let place = if self.tickets_rise {
            self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()?
        } else {
            self.entries
                .iter()
                .position(|entry| entry.ticket == ticket && entry.request.is_some())?
        };
        let entry = self.entries.get(place)?;
        Some((entry.number, entry.request.as_ref()?))
    }

    /// The newest of all, if it has that ticket and is not complete.
    pub fn newest(&mut self, ticket: u64) -> Option<&mut Request> {
        let entry = self.entries.back_mut().filter(|entry| entry.ticket == ticket)?;
        entry.request.as_mut()
    }

    /// It is not there any more. False: it was not.
    pub fn remove(&mut self, number: u64) -> bool {
        self.complete(number, |_, _| ()).is_some()
    }

    /// It is complete: `last` gets its ticket and itself once more.
    pub fn complete<T>(&mut self, number: u64, last: impl FnOnce(u64, &mut Request) -> T) -> Option<T> {
        self.complete_at(self.place(number)?, last)
    }

    /// The same for a place.
    #[inline(always)]
    pub fn complete_at<T>(&mut self, place: usize, last: impl FnOnce(u64, &mut Request) -> T) -> Option<T> {
        let entry = self.entries.get_mut(place)?;
        let told = last(entry.ticket, entry.request.as_mut()?);
        entry.request = None;
        self.live -= 1;
        self.pass_complete();
        Some(told)
    }

    /// Lets go of the places of requests that are complete.
    fn pass_complete(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.request.is_none()) {
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.earliest = NEVER;
        } else if self.entries.len() > 2 * self.live + KEPT_HOLES {
            self.entries.retain(|entry| entry.request.is_some());
        }
    }

    /// In order.
    pub fn numbers(&self, which: impl Fn(&Request) -> bool) -> Vec<u64> {
        let wanted = |entry: &&Entry| entry.request.as_ref().is_some_and(&which);
        self.entries.iter().filter(wanted).map(|entry| entry.number).collect()
    }

    /// When to ask for what is due.
    pub fn next_due(&self) -> Option<Time> {
        (self.earliest != NEVER).then_some(self.earliest)
    }

    /// Deadlines that have passed and their requests, in order.
    pub fn due(&mut self, now: Time) -> Vec<(Time, u64)> {
        let mut due = Vec::new();
        if now < self.earliest {
            return due;
        }
        self.earliest = NEVER;
        for entry in &self.entries {
            match &entry.request {
                Some(request) if request.due <= now => due.push((request.due, entry.number)),
                Some(request) => self.earliest = self.earliest.min(request.due),
                None => {}
            }
        }
        due.sort_unstable();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(due: Time) -> Request {
        Request {
            channel: ChannelId(1),
            handed: None,
            due,
            user_data: 0,
            attachment: None,
        }
    }

    #[test]
    fn found_by_number_and_ticket_whatever_the_order_of_completion() {
        let mut pending = Pending::default();
        // Other frames have numbers, too.
        let numbers: Vec<u64> = (1..400).map(|n| n + n / 7).collect();
        for number in &numbers {
            pending.insert(*number, 1_000 + number, request(NEVER), Some(0));
        }
        let mut left = numbers.clone();
        for step in 0.. {
            if left.is_empty() {
                break;
            }
            let number = left.remove((step * 31) % left.len());
            assert_eq!(pending.by_ticket(1_000 + number).map(|found| found.0), Some(number));
            assert!(pending.remove(number));
            assert!(!pending.remove(number) && pending.get(number).is_none());
            assert!(pending.by_ticket(1_000 + number).is_none());
            assert_eq!(pending.numbers(|_| true), left);
            assert_eq!(pending.len(), left.len());
            assert!(pending.entries.len() <= 2 * left.len() + KEPT_HOLES);
        }
    }

    #[test]
    fn tickets_need_not_rise() {
        let mut pending = Pending::default();
        for (number, ticket) in [(1, 5), (2, 9), (3, 7), (5, 8)] {
            pending.insert(number, ticket, request(NEVER), Some(0));
        }
        for (number, ticket) in [(3, 7), (1, 5), (5, 8), (2, 9)] {
            assert_eq!(pending.by_ticket(ticket).map(|found| found.0), Some(number));
            assert!(pending.remove(number));
            assert!(pending.by_ticket(ticket).is_none());
        }
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_deadlines() {
        let mut pending = Pending::default();
        for (number, due) in [(1, 30), (2, 10), (3, NEVER), (4, 20), (5, 10)] {
            pending.insert(number, number, request(due), Some(0));
        }
        assert_eq!(pending.next_due(), Some(10));
        assert_eq!(pending.due(9), []);
        assert_eq!(pending.due(20), [(10, 2), (10, 5), (20, 4)]);
        for number in [2, 4, 5] {
            pending.remove(number);
        }
        assert_eq!(pending.next_due(), Some(30));
        pending.remove(1);
        assert_eq!(pending.due(40), []);
        assert_eq!(pending.next_due(), None, "the last one has no deadline");
    }

    #[test]
    fn a_clock_that_does_not_run_is_started_once() {
        let mut pending = Pending::default();
        pending.insert(1, 1, request(5), None);
        pending.insert(2, 2, request(NEVER), None);
        pending.insert(3, 3, request(7), None);
        assert_eq!(pending.next_due(), None);
        assert_eq!(pending.due(1_000), []);
        assert!(pending.remove(3));
        pending.insert(4, 4, request(3), None);
        pending.start(100);
        assert_eq!(pending.next_due(), Some(103));
        pending.start(200);
        pending.insert(6, 6, request(9), None);
        // What has a clock from the beginning starts those before it.
        pending.insert(7, 7, request(1), Some(300));
        pending.start(400);
        assert_eq!(pending.due(1_000), [(103, 4), (105, 1), (301, 7), (309, 6)]);
        // The fresh one is gone before its clock starts, and another one comes behind it.
        let mut pending = Pending::default();
        pending.insert(1, 1, request(5), None);
        assert!(pending.remove(1));
        pending.insert(2, 2, request(5), Some(10));
        pending.start(20);
        assert_eq!(pending.next_due(), Some(15));
    }
}
