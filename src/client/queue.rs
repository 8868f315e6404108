//! The event queue: one mechanism under all ways of delivery. Every client appends to a queue; library threads deliver it, or
//! the program pulls or dispatches.

use std::collections::{VecDeque, vec_deque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::inject;
use crate::session::{Event, Plain, status};

use super::announce::News;
use super::delivered::Delivered;
use super::handlers::{Found, Registration};
use super::pool::Pool;
use super::report;
use super::signal::Signal;
use super::store::{Batch, Store};
use super::sync::{Patience, deadline, lock, wait_until};

pub use super::store::{Backlog, Bounds, Sink};

/// How many events a library thread delivers before it lets another queue have its turn.
const DELIVER_AT_ONCE: u32 = 128;
/// How many events are taken under one lock to be delivered.
const RUN: u32 = 64;

#[derive(Default)]
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) pullers: u32,
    /// Threads that wait for the end of a delivery.
    pub(super) awaiting: u32,
    /// Found empty since the wake function ran last.
    pub(super) armed: bool,
    pub(super) wake: Option<Arc<Registration>>,
    pub(super) wake_submitted: bool,
    /// The descriptor says that something waits, or whoever has the news of it is about to make it say so.
    pub(super) signalled: bool,
    pub(super) interrupted: bool,
    pub(super) dispatching: Option<ThreadId>,
    /// The source that the events of `run` are of, while there are any.
    pub(super) running: Option<usize>,
    /// A library thread has it, or will.
    pub(super) scheduled: bool,
    pub(super) closed: bool,
}

/// What a pull found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// So many events, at least one.
    Events(u32),
    /// Nothing is there and nothing was waited for.
    Empty,
    /// Nothing came in time.
    TimedOut,
    /// [`EventQueue::interrupt`].
    Interrupted,
    /// The queue was freed.
    Closed,
}

/// What became of one turn of delivery.
struct Turn {
    /// Events that were taken.
    taken: u32,
    /// The library failed over the last one; its remaining handlers have not run.
    panicked: bool,
}

/// A queue of events.
pub struct EventQueue {
    pub(super) inner: Mutex<Inner>,
    /// What follows the event that is being delivered: its thread goes on with it without the lock that everybody wants.
    /// Filled under that lock, and given back by whoever cannot wait for the end of the run. Locked after `inner`.
    pub(super) run: Mutex<VecDeque<Delivered>>,
    pub(super) ready: Condvar,
    pub(super) delivered: Condvar,
    /// Made when the program first asks for the descriptor.
    pub(super) signal: OnceLock<Signal>,
    pub(super) pool: Arc<Pool>,
    /// Delivered by library threads.
    pub(super) own: bool,
}

impl EventQueue {
    /// `own`: library threads deliver it; else the program drains it.
    pub fn new(pool: Arc<Pool>, own: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                armed: true,
                ..Inner::default()
            }),
            run: Mutex::default(),
            ready: Condvar::new(),
            delivered: Condvar::new(),
            signal: OnceLock::new(),
            pool,
            own,
        })
    }

    /// Library threads deliver it.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The program has freed it.
    pub fn is_closed(&self) -> bool {
        lock(&self.inner).closed
    }

    /// A new source, by its place.
    pub fn attach(&self, sink: Arc<dyn Sink>, bounds: Bounds) -> usize {
        lock(&self.inner).store.attach(sink, bounds)
    }

    /// Appends events, in order, and leaves the list empty. Answers what [`EventQueue::announce`] has to be told, soon, and with
    /// no lock held that those want who are woken.
    #[must_use]
    pub fn push(self: &Arc<Self>, source: usize, events: &mut Vec<Delivered>) -> News {
        // What a merge replaces must not be let go under the lock.
        let mut replaced = Vec::new();
        let mut batch = Batch::new(events);
        let mut inner = lock(&self.inner);
        if inner.store.source(source).is_none_or(|source| source.sink.is_none()) {
            // Freed meanwhile. Its events go, outside of the lock.
            drop(inner);
            events.clear();
            return News::default();
        }
        if inner.closed {
            // Nobody can take anything from a freed queue. Only what a destroy hangs on waits for the end of its client.
            let (kept, gone): (Vec<_>, Vec<_>) = events.drain(..).partition(|event| event.completion().is_some());
            events.extend(kept);
            replaced = gone;
            batch = Batch::new(events);
        }
        let was_empty = inner.store.is_empty();
        let added = inner.store.append(source, batch, &mut replaced);
        self.news(inner, added, was_empty)
    }

    /// Appends events that are nothing but messages and replies, in order, as [`EventQueue::push`] does.
    #[must_use]
    pub fn push_plain(self: &Arc<Self>, source: usize, events: vec_deque::Drain<'_, Event>, plain: Plain) -> News {
        let mut inner = lock(&self.inner);
        // Of a freed queue nobody can take anything, but a destroy may hang on a reply: those wait for the end of their client.
        let in_vain = inner.closed && plain.replies == 0;
        if in_vain || inner.store.source(source).is_none_or(|source| source.sink.is_none()) {
            // They go outside of the lock.
            drop(inner);
            return News::default();
        }
        let was_empty = inner.store.is_empty();
        let added = inner.store.append_plain(source, events, plain);
        self.news(inner, added, was_empty)
    }

    /// Room in a source before its reader has to stop, in events; 0 = stop. `factor` stretches the bounds.
    pub fn room(&self, source: usize, factor: u32) -> u32 {
        let mut inner = lock(&self.inner);
        let closed = inner.closed;
        inner.store.room(source, factor, closed)
    }

    /// What waits of a source.
    pub fn backlog(&self, source: usize) -> Backlog {
        lock(&self.inner).store.backlog(source)
    }

    /// Takes a client out; if it was waited for, no handler of it runs any more when this returns. Answers the replies that
    /// still wait for their handlers; replies to be pulled stay, everything else goes.
    pub fn detach(&self, source: usize, patience: Patience) -> Vec<Delivered> {
        let mut replies = Vec::new();
        let mut discarded = Vec::new();
        let mut inner = lock(&self.inner);
        // First of all, so that at most the event that is being delivered has to be waited for.
        self.give_back(&mut inner);
        inner.store.take_out(source, &mut replies, &mut discarded);
        let mut sink = None;
        if let Some(entry) = inner.store.source(source) {
            sink = entry.sink.take();
            entry.awaited = patience.deadline().is_some();
        }
        if let Some(deadline) = patience.deadline() {
            let mut in_time = true;
            while inner.store.source(source).is_some_and(|source| source.delivering) && in_time {
                (inner, in_time) = self.wait_delivered(inner, deadline);
            }
        }
        if let Some(source) = inner.store.source(source) {
            source.awaited = false;
        }
        inner.store.clear_if(source, |source| !source.delivering);
        if inner.closed && inner.store.is_unused() {
            // The last user of a freed queue: what nobody can pull any more goes with it.
            discarded.append(&mut inner.store.clear());
        }
        self.settle(&mut inner);
        drop(inner);
        drop(discarded);
        drop(sink);
        replies
    }

    /// Waits until this queue runs no handler. False: one still runs at the deadline.
    pub fn rest(&self, deadline: Option<Instant>) -> bool {
        let mut inner = lock(&self.inner);
        let mut in_time = true;
        while inner.store.is_delivering() && in_time {
            (inner, in_time) = self.wait_delivered(inner, deadline);
        }
        !inner.store.is_delivering()
    }

    fn wait_delivered<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Inner>, bool) {
        inner.awaiting += 1;
        let (mut inner, in_time) = wait_until(&self.delivered, inner, deadline);
        inner.awaiting -= 1;
        (inner, in_time)
    }

    /// Appends a reply of a client that is freed, to be pulled.
    pub fn push_orphan(self: &Arc<Self>, event: Delivered) {
        let mut inner = lock(&self.inner);
        if inner.closed {
            drop(inner);
            drop(event);
            return;
        }
        let was_empty = inner.store.is_empty();
        inner.store.push_orphan(event);
        let news = self.news(inner, 1, was_empty);
        self.announce(news);
    }

    /// The program's handle is gone. True: no client uses the queue any more, so what is left in it goes.
    pub fn close(&self, patience: Patience) -> bool {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let unused = inner.store.is_unused();
        let left = if unused { inner.store.clear() } else { Vec::new() };
        self.settle(&mut inner);
        let wake = inner.wake.take();
        drop(inner);
        self.ready.notify_all();
        drop(left);
        if let Some(wake) = wake {
            wake.cancel(patience);
        }
        unused
    }

    /// Waits for events and takes up to `capacity`. `take` is called under the lock of the queue.
    pub fn pull(&self, timeout_ms: u32, capacity: u32, take: &mut dyn FnMut(Delivered)) -> Pulled {
        // The clock is only asked by who has to wait.
        let mut until = None;
        let mut inner = lock(&self.inner);
        loop {
            if inner.closed {
                return Pulled::Closed;
            }
            if std::mem::take(&mut inner.interrupted) {
                self.settle(&mut inner);
                return Pulled::Interrupted;
            }
            self.give_back(&mut inner);
            let mut count = 0;
            while count < capacity {
                let Some((event, _)) = inner.store.pop() else {
                    inner.armed = true;
                    break;
                };
                take(event);
                count += 1;
            }
            if count > 0 {
                self.settle(&mut inner);
                return Pulled::Events(count);
            }
            if timeout_ms == 0 {
                return Pulled::Empty;
            }
            let until = *until.get_or_insert_with(|| deadline(timeout_ms));
            inner.pullers += 1;
            let in_time;
            (inner, in_time) = wait_until(&self.ready, inner, until);
            inner.pullers -= 1;
            if !in_time {
                return Pulled::TimedOut;
            }
        }
    }

    /// Runs handlers on this thread for up to `max_events` events or `budget` of time (0 = no limit), at least for one.
    /// Answers how many, or a status.
    pub fn dispatch(self: &Arc<Self>, max_events: u32, budget: Duration) -> i32 {
        let me = std::thread::current().id();
        let until = (!budget.is_zero()).then(|| Instant::now() + budget);
        let most = if max_events == 0 { u32::MAX } else { max_events }.min(i32::MAX as u32);
        let mut inner = lock(&self.inner);
        match inner.dispatching {
            Some(thread) if thread == me => return status::WOULD_DEADLOCK,
            Some(_) => return status::BUSY,
            None => inner.dispatching = Some(me),
        }
        let mut taken: u32 = 0;
        let mut panicked = false;
        while taken < most && !panicked && (taken == 0 || !is_over(until)) {
            let turn;
            (inner, turn) = self.deliver_run(inner, most - taken, until);
            if turn.taken == 0 {
                break;
            }
            taken += turn.taken;
            panicked = turn.panicked;
        }
        inner.dispatching = None;
        inner.armed = true;
        // Only now: what comes while handlers run needs no telling.
        self.settle(&mut inner);
        if !inner.store.is_empty() {
            self.announce_wake(&mut inner);
        }
        if panicked {
            return status::PANIC;
        }
        i32::try_from(taken).unwrap_or(i32::MAX)
    }

    /// A library thread's turn. True: there may be more to deliver.
    pub fn deliver_some(&self) -> bool {
        let mut inner = lock(&self.inner);
        let mut taken = 0;
        while taken < DELIVER_AT_ONCE {
            let turn;
            (inner, turn) = self.deliver_run(inner, RUN, None);
            if turn.taken == 0 {
                inner.scheduled = false;
                return false;
            }
            taken += turn.taken;
            if turn.panicked {
                drop(inner);
                report::panicked();
                inner = lock(&self.inner);
            }
        }
        true
    }

    /// Takes the next event, and up to `most` of the same source, and runs their handlers with no lock held.
    fn deliver_run<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        most: u32,
        until: Option<Instant>,
    ) -> (MutexGuard<'a, Inner>, Turn) {
        let mut turn = Turn {
            taken: 0,
            panicked: false,
        };
        let Some((event, place)) = inner.store.pop() else {
            return (inner, turn);
        };
        let mut sink = None;
        if let Some(place) = place {
            if let Some(source) = inner.store.source(place) {
                source.delivering = true;
                sink = source.sink.clone();
            }
            let more = most.min(RUN) as usize - 1;
            if sink.is_some() && more > 0 && !inner.store.is_empty() {
                inner.store.take_run(place, more, &mut lock(&self.run));
                inner.running = Some(place);
            }
        }
        let alone = inner.running.is_none();
        drop(inner);
        // Letting go of the event and the client may run a destroy. A panic must not leave the source marked as delivering.
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            let mut found = Found::default();
            let mut next = Some(event);
            while let Some(event) = next {
                turn.taken += 1;
                inject::point("deliver");
                if let Some(sink) = &sink {
                    sink.deliver(&event, &mut found);
                }
                event.release();
                if alone || is_over(until) {
                    break;
                }
                next = lock(&self.run).pop_front();
            }
            drop(sink);
        }));
        turn.panicked = delivered.is_err();
        let mut inner = lock(&self.inner);
        self.give_back(&mut inner);
        if let Some(place) = place {
            if let Some(source) = inner.store.source(place) {
                source.delivering = false;
            }
            inner
                .store
                .clear_if(place, |source| source.sink.is_none() && !source.awaited);
            if inner.awaiting > 0 {
                self.delivered.notify_all();
            }
        }
        (inner, turn)
    }

    /// What was taken to be delivered and is not yet waits again.
    fn give_back(&self, inner: &mut Inner) {
        if let Some(place) = inner.running.take() {
            inner.store.give_back(place, &mut lock(&self.run));
            self.settle(inner);
        }
    }

    /// Ends one pull, waiting now or called next.
    pub fn interrupt(&self) {
        let mut inner = lock(&self.inner);
        inner.interrupted = true;
        self.settle(&mut inner);
        self.ready.notify_one();
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}
