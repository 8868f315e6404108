//! Tests of what the models of tests/models do not compile with their own locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::Completion;
use super::handlers::Callback;
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
