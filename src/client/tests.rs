//! Tests of what the models of tests/models do not compile with their own locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::Completion;
use super::delivered::Delivered;
use super::handlers::{Callback, FEW, Found, Handlers, Registration, Selector};
use crate::session::{Event, EventKind, EventMut};

#[derive(Default)]
struct Seen {
    calls: AtomicU32,
    destroys: AtomicU32,
}

struct Counts(Arc<Seen>);

impl Callback for Counts {
    fn call(&self, event: &Event) {
        assert_eq!((event.ticket, self.0.destroys.load(SeqCst)), (5, 0));
        self.0.calls.fetch_add(1, SeqCst);
    }
    fn destroy(&self) {
        self.0.destroys.fetch_add(1, SeqCst);
    }
    fn is_callable(&self) -> bool {
        true
    }
}

fn reply(seen: &Arc<Seen>) -> Event {
    let mut event = EventMut::new(EventKind::Reply);
    event.ticket = 5;
    event.attachment = Some(Box::new(Completion::new(Counts(Arc::clone(seen)))));
    event.freeze()
}

fn counts(seen: &Seen) -> (u32, u32) {
    (seen.calls.load(SeqCst), seen.destroys.load(SeqCst))
}

#[test]
fn one_answer_and_one_destroy_behind_it() {
    let seen = Arc::new(Seen::default());
    let event = reply(&seen);
    for _ in 0..2 {
        let waiting = event.attachment.as_ref().and_then(|tied| tied.waiting());
        waiting.unwrap().answer(&event);
        assert_eq!(counts(&seen), (1, 1), "also while the reply lives on");
    }
    drop(event);
    assert_eq!(counts(&seen), (1, 1));
}

#[test]
fn a_reply_that_is_only_dropped_destroys() {
    let seen = Arc::new(Seen::default());
    let event = reply(&seen);
    let other = event.clone();
    drop(event);
    assert_eq!(counts(&seen), (0, 0), "somebody holds it");
    drop(other);
    assert_eq!(counts(&seen), (0, 1));
}

struct Calls(Arc<AtomicU32>);

impl Callback for Calls {
    fn call(&self, _: &Event) {
        self.0.fetch_add(1, SeqCst);
    }
    fn destroy(&self) {}
    fn is_callable(&self) -> bool {
        true
    }
}

fn message(channel: u64) -> Delivered {
    let mut event = EventMut::new(EventKind::Message);
    event.channel = channel;
    Delivered::new(event.freeze())
}

/// What is found is what is there now, however many targets there are, and whatever was found before.
#[test]
fn a_change_of_handlers_is_seen_by_the_next_event() {
    for last in [2, FEW as u64 - 1, FEW as u64, 2 * FEW as u64] {
        let (handlers, calls) = (Handlers::default(), Arc::new(AtomicU32::new(0)));
        let add = |target, id| {
            let callback = Box::new(Calls(Arc::clone(&calls)));
            assert!(handlers.add(target, id, &Registration::new(Selector::Message, callback)));
        };
        let mut found = Found::default();
        let mut runs = |target| {
            calls.store(0, SeqCst);
            let taken = handlers.deliver(&message(target), &mut found);
            assert_eq!(taken, calls.load(SeqCst) > 0);
            calls.load(SeqCst)
        };
        for target in 1..=last {
            assert_eq!(runs(target), 0);
            add(target, target);
            assert_eq!((runs(target), runs(target)), (1, 1));
        }
        for target in 1..=last {
            assert_eq!(runs(target), 1, "{target} of {last}");
        }
        assert_eq!(runs(last + 1), 0);
        add(1, last + 1);
        assert_eq!((runs(1), runs(last)), (2, 1));
        assert!(handlers.remove(1, last + 1).is_some() && handlers.remove(2, 2).is_some());
        assert_eq!((runs(1), runs(2)), (1, 0));
        assert_eq!(handlers.remove_target(1).len(), 1);
        assert_eq!((runs(1), runs(last)), (0, u32::from(last > 2)));
        assert_eq!(handlers.close().len() as u64, last - 2);
        assert_eq!(runs(last), 0);
    }
}
