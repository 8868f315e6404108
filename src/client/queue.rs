//! The event queue: one mechanism under all ways of delivery. Every client appends to a queue; library threads deliver it, or
//! the program pulls or dispatches.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::inject;
use crate::session::{Event, EventKind, status};

use super::delivered::Delivered;
use super::handlers::Registration;
use super::pool::{Job, Pool};
use super::report;
use super::signal::Signal;
use super::sync::{Patience, lock, wait_until};

/// How many events a library thread delivers before it lets another queue have its turn.
const DELIVER_AT_ONCE: u32 = 128;

/// The client behind a source of events.
pub trait Sink: Send + Sync {
    /// Runs the handlers for an event.
    fn deliver(&self, event: &Arc<Delivered>);
    /// There is room again: read on.
    fn resume_reading(&self);
}

/// How much of a client's inbound frames may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Events that came from frames.
    pub events: u32,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Undelivered DROPPED events per channel; further ones merge into the last.
    pub dropped: u32,
}

struct Source {
    sink: Option<Arc<dyn Sink>>,
    bounds: Bounds,
    frames: u32,
    bytes: u64,
    reading_paused: bool,
    /// An event of this source is being delivered right now.
    delivering: bool,
    /// [`EventQueue::detach`] waits for that event and clears the place itself.
    awaited: bool,
    /// By channel: undelivered DROPPED events and the number of the last.
    dropped: HashMap<u64, (u32, u64)>,
}

struct Item {
    /// `None`: its client is freed, the event stays.
    source: Option<usize>,
    event: Arc<Delivered>,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Option<Item>>,
    /// The number of the first item; items are numbered from the birth of the queue on.
    first: u64,
    sources: Vec<Option<Source>>,
    pullers: u32,
    /// Found empty since the wake function ran last.
    armed: bool,
    wake: Option<Arc<Registration>>,
    wake_submitted: bool,
    signal: Option<Signal>,
    interrupted: bool,
    dispatching: Option<ThreadId>,
    /// A library thread has it, or will.
    scheduled: bool,
    closed: bool,
}

/// What a pull found.
#[derive(Debug)]
pub enum Pulled {
    /// Events, at least one.
    Events(Vec<Arc<Delivered>>),
    /// Nothing is there and nothing was waited for.
    Empty,
    /// Nothing came in time.
    TimedOut,
    /// [`EventQueue::interrupt`].
    Interrupted,
    /// The queue was freed.
    Closed,
}

/// How much of a source waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events from frames.
    pub events: u32,
    /// Bytes of those frames.
    pub bytes: u64,
}

/// What became of one turn of delivery.
enum Found {
    Nothing,
    Event,
    /// The library failed over this event; its remaining handlers have not run.
    Panic,
}

/// A queue of events.
pub struct EventQueue {
    inner: Mutex<Inner>,
    ready: Condvar,
    delivered: Condvar,
    pool: Arc<Pool>,
    /// Delivered by library threads.
    own: bool,
}

impl EventQueue {
    /// `own`: library threads deliver it; else the program drains it.
    pub fn new(pool: Arc<Pool>, own: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                armed: true,
                ..Inner::default()
            }),
            ready: Condvar::new(),
            delivered: Condvar::new(),
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
        let mut inner = lock(&self.inner);
        let source = Source {
            sink: Some(sink),
            bounds,
            frames: 0,
            bytes: 0,
            reading_paused: false,
            delivering: false,
            awaited: false,
            dropped: HashMap::new(),
        };
        let place = inner.sources.iter().position(Option::is_none);
        let place = place.unwrap_or_else(|| {
            inner.sources.push(None);
            inner.sources.len() - 1
        });
        inner.sources[place] = Some(source);
        place
    }

    /// Appends events, in order.
    pub fn push(self: &Arc<Self>, source: usize, events: impl IntoIterator<Item = Delivered>) {
        // What a merge replaces must not be let go under the lock.
        let mut replaced = Vec::new();
        let mut inner = lock(&self.inner);
        if !matches!(inner.sources.get(source), Some(Some(entry)) if entry.sink.is_some()) {
            // Freed meanwhile. Its events go, outside of the lock.
            drop(inner);
            drop(events.into_iter().collect::<Vec<_>>());
            return;
        }
        let mut added = 0;
        for delivered in events {
            // Nobody can take anything from a freed queue. Only what a destroy hangs on waits for the end of its client.
            if inner.closed && delivered.completion().is_none() {
                continue;
            }
            if let Some(old) = inner.push(source, delivered) {
                replaced.push(old);
            } else {
                added += 1;
            }
        }
        if added > 0 {
            self.announce(&mut inner, added);
        }
        drop(inner);
    }

    /// Room in a source before its reader has to stop, in events; 0 = stop. `factor` stretches the bounds.
    pub fn room(&self, source: usize, factor: u32) -> u32 {
        let mut inner = lock(&self.inner);
        let closed = inner.closed;
        let Some(Some(source)) = inner.sources.get_mut(source) else {
            return 0;
        };
        let events = source.bounds.events.saturating_mul(factor);
        let bytes = source.bounds.bytes.saturating_mul(u64::from(factor));
        let room = if closed || source.bytes >= bytes {
            0
        } else {
            events.saturating_sub(source.frames)
        };
        source.reading_paused = room == 0;
        room
    }

    /// What waits of a source.
    pub fn backlog(&self, source: usize) -> Backlog {
        match lock(&self.inner).sources.get(source) {
            Some(Some(source)) => Backlog {
                events: source.frames,
                bytes: source.bytes,
            },
            _ => Backlog::default(),
        }
    }

    /// Takes a client out; if it was waited for, no handler of it runs any more when this returns. Answers the replies that
    /// still wait for their handlers; replies to be pulled stay, everything else goes.
    pub fn detach(&self, source: usize, patience: Patience) -> Vec<Arc<Delivered>> {
        let mut replies = Vec::new();
        let mut discarded = Vec::new();
        let mut inner = lock(&self.inner);
        // First of all, so that at most the event that is being delivered has to be waited for.
        for place in &mut inner.items {
            let Some(item) = place.as_mut().filter(|item| item.source == Some(source)) else {
                continue;
            };
            item.source = None;
            match item.event.completion() {
                Some(completion) if !completion.is_callable() => {}
                Some(_) => replies.extend(place.take().map(|item| item.event)),
                None => discarded.extend(place.take().map(|item| item.event)),
            }
        }
        let mut sink = None;
        if let Some(Some(entry)) = inner.sources.get_mut(source) {
            sink = entry.sink.take();
            entry.awaited = patience.deadline().is_some();
        }
        if let Some(deadline) = patience.deadline() {
            let is_delivering =
                |inner: &MutexGuard<'_, Inner>| matches!(inner.sources.get(source), Some(Some(s)) if s.delivering);
            let mut in_time = true;
            while is_delivering(&inner) && in_time {
                (inner, in_time) = wait_until(&self.delivered, inner, deadline);
            }
        }
        if let Some(entry) = inner.sources.get_mut(source) {
            if let Some(source) = entry {
                source.awaited = false;
            }
            if entry.as_ref().is_some_and(|source| !source.delivering) {
                *entry = None;
            }
        }
        if inner.closed && inner.sources.iter().all(Option::is_none) {
            // The last user of a freed queue: what nobody can pull any more goes with it.
            let left = std::mem::take(&mut inner.items);
            inner.first += left.len() as u64;
            discarded.extend(left.into_iter().flatten().map(|item| item.event));
        }
        inner.trim();
        inner.settle();
        drop(inner);
        drop(discarded);
        drop(sink);
        replies
    }

    /// Waits until this queue runs no handler. False: one still runs at the deadline.
    pub fn rest(&self, deadline: Option<Instant>) -> bool {
        let delivers = |inner: &Inner| inner.sources.iter().flatten().any(|source| source.delivering);
        let mut inner = lock(&self.inner);
        let mut in_time = true;
        while delivers(&inner) && in_time {
            (inner, in_time) = wait_until(&self.delivered, inner, deadline);
        }
        !delivers(&inner)
    }

    /// Appends a reply of a client that is freed, to be pulled.
    pub fn push_orphan(self: &Arc<Self>, event: Arc<Delivered>) {
        let mut inner = lock(&self.inner);
        if inner.closed {
            drop(inner);
            drop(event);
            return;
        }
        inner.items.push_back(Some(Item { source: None, event }));
        self.announce(&mut inner, 1);
    }

    /// The program's handle is gone. True: no client uses the queue any more, so what is left in it goes.
    pub fn close(&self, patience: Patience) -> bool {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let unused = inner.sources.iter().all(Option::is_none);
        let items = if unused {
            std::mem::take(&mut inner.items)
        } else {
            VecDeque::new()
        };
        inner.first += items.len() as u64;
        inner.settle();
        let wake = inner.wake.take();
        drop(inner);
        self.ready.notify_all();
        drop(items);
        if let Some(wake) = wake {
            wake.cancel(patience);
        }
        unused
    }

    /// Waits for events and takes up to `capacity`.
    pub fn pull(&self, timeout_ms: u32, capacity: usize) -> Pulled {
        let deadline = super::sync::deadline(timeout_ms);
        let mut inner = lock(&self.inner);
        loop {
            if inner.closed {
                return Pulled::Closed;
            }
            if std::mem::take(&mut inner.interrupted) {
                inner.settle();
                return Pulled::Interrupted;
            }
            let mut events = Vec::new();
            while events.len() < capacity {
                match inner.pop() {
                    Some((event, _)) => events.push(event),
                    None => {
                        inner.armed = true;
                        break;
                    }
                }
            }
            if !events.is_empty() {
                inner.settle();
                return Pulled::Events(events);
            }
            if timeout_ms == 0 {
                return Pulled::Empty;
            }
            inner.pullers += 1;
            let in_time;
            (inner, in_time) = wait_until(&self.ready, inner, deadline);
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
        let started = Instant::now();
        let mut inner = lock(&self.inner);
        match inner.dispatching {
            Some(thread) if thread == me => return status::WOULD_DEADLOCK,
            Some(_) => return status::BUSY,
            None => inner.dispatching = Some(me),
        }
        let mut taken: u32 = 0;
        let mut panicked = false;
        while (max_events == 0 || taken < max_events)
            && (taken == 0 || budget.is_zero() || started.elapsed() < budget)
            && taken < i32::MAX as u32
        {
            let found;
            (inner, found) = self.deliver_next(inner);
            match found {
                Found::Nothing => break,
                Found::Event => taken += 1,
                Found::Panic => {
                    panicked = true;
                    break;
                }
            }
        }
        inner.dispatching = None;
        inner.armed = true;
        if !inner.items.is_empty() {
            self.announce_wake(&mut inner);
        }
        if panicked {
            return status::PANIC;
        }
        i32::try_from(taken).unwrap_or(i32::MAX)
    }

    /// A library thread's turn.
    pub fn deliver_some(self: &Arc<Self>) {
        let mut inner = lock(&self.inner);
        for _ in 0..DELIVER_AT_ONCE {
            let found;
            (inner, found) = self.deliver_next(inner);
            match found {
                Found::Nothing => {
                    inner.scheduled = false;
                    return;
                }
                Found::Event => {}
                Found::Panic => {
                    drop(inner);
                    report::panicked();
                    inner = lock(&self.inner);
                }
            }
        }
        drop(inner);
        self.pool.submit(Job::Deliver(Arc::clone(self)));
    }

    /// Takes one event and runs its handlers with no lock held.
    fn deliver_next<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) -> (MutexGuard<'a, Inner>, Found) {
        let Some((event, place)) = inner.pop() else {
            inner.settle();
            return (inner, Found::Nothing);
        };
        inner.settle();
        let sink = place.and_then(|place| {
            let source = inner.sources.get_mut(place)?.as_mut()?;
            source.delivering = true;
            source.sink.clone()
        });
        drop(inner);
        // Letting go of the event and the client may run a destroy. A panic must not leave the source marked as delivering.
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            inject::point("deliver");
            if let Some(sink) = &sink {
                sink.deliver(&event);
            }
            drop(event);
            drop(sink);
        }));
        let mut inner = lock(&self.inner);
        if let Some(place) = place
            && let Some(entry) = inner.sources.get_mut(place)
        {
            if let Some(source) = entry {
                source.delivering = false;
            }
            if entry
                .as_ref()
                .is_some_and(|source| source.sink.is_none() && !source.awaited)
            {
                *entry = None;
            }
            self.delivered.notify_all();
        }
        let found = if delivered.is_ok() { Found::Event } else { Found::Panic };
        (inner, found)
    }

    /// Ends one pull, waiting now or called next.
    pub fn interrupt(&self) {
        let mut inner = lock(&self.inner);
        inner.interrupted = true;
        inner.settle();
        self.ready.notify_one();
    }

    /// The descriptor that is readable while an event or interrupt waits.
    pub fn fd(&self) -> std::io::Result<i32> {
        let mut inner = lock(&self.inner);
        if inner.signal.is_none() {
            inner.signal = Some(Signal::new()?);
            inner.settle();
        }
        Ok(inner.signal.as_ref().map_or(-1, Signal::fd))
    }

    /// Sets or removes the wake function.
    pub fn set_wake(self: &Arc<Self>, wake: Option<Arc<Registration>>) {
        let mut inner = lock(&self.inner);
        let old = std::mem::replace(&mut inner.wake, wake);
        inner.armed = true;
        if !inner.items.is_empty() {
            self.announce_wake(&mut inner);
        }
        drop(inner);
        if let Some(old) = old {
            old.cancel(Patience::Forever);
        }
    }

    /// A dispatch thread's turn to run the wake function.
    pub fn run_wake(self: &Arc<Self>) {
        let wake = {
            let mut inner = lock(&self.inner);
            if !inner.items.is_empty() {
                // This call tells of everything that is there now, whatever has asked for it.
                inner.armed = false;
            }
            inner.wake.clone()
        };
        if let Some(wake) = wake {
            let event = Arc::new(Delivered::new(Event::new(EventKind::Wake)));
            if catch_unwind(AssertUnwindSafe(|| wake.run(&event))).is_err() {
                report::panicked();
            }
        }
        let mut inner = lock(&self.inner);
        inner.wake_submitted = false;
        if inner.armed && !inner.items.is_empty() {
            self.announce_wake(&mut inner);
        }
    }

    fn announce(self: &Arc<Self>, inner: &mut Inner, added: usize) {
        if added > 1 && inner.pullers > 1 {
            self.ready.notify_all();
        } else if inner.pullers > 0 {
            self.ready.notify_one();
        }
        inner.settle();
        self.announce_wake(inner);
        if self.own && !inner.scheduled {
            inner.scheduled = true;
            self.pool.submit(Job::Deliver(Arc::clone(self)));
        }
    }

    fn announce_wake(self: &Arc<Self>, inner: &mut Inner) {
        if inner.armed && inner.wake.is_some() && !inner.wake_submitted {
            inner.armed = false;
            inner.wake_submitted = true;
            self.pool.submit(Job::Wake(Arc::clone(self)));
        }
    }
}

impl Inner {
    /// Appends one event; answers the one that it was merged with.
    fn push(&mut self, place: usize, mut delivered: Delivered) -> Option<Arc<Delivered>> {
        let number = self.first + self.items.len() as u64;
        let Some(Some(source)) = self.sources.get_mut(place) else {
            return None;
        };
        let event = delivered.event();
        if event.kind == EventKind::Dropped {
            let channel = event.channel;
            let limit = source.bounds.dropped;
            let (waiting, last) = source.dropped.entry(channel).or_insert((0, number));
            if *waiting >= limit
                && let Some(Some(item)) = self.items.get_mut((*last - self.first) as usize)
            {
                let merged = item.event.event().count;
                if let Some(event) = delivered.event_mut() {
                    event.count = event.count.saturating_add(merged);
                }
                return Some(std::mem::replace(&mut item.event, Arc::new(delivered)));
            }
            *waiting += 1;
            *last = number;
        } else if event.frame_bytes > 0 {
            source.frames += 1;
            source.bytes += u64::from(event.frame_bytes);
        }
        self.items.push_back(Some(Item {
            source: Some(place),
            event: Arc::new(delivered),
        }));
        None
    }

    fn pop(&mut self) -> Option<(Arc<Delivered>, Option<usize>)> {
        self.trim();
        let item = self.items.pop_front().flatten()?;
        self.first += 1;
        self.trim();
        if let Some(place) = item.source
            && let Some(Some(source)) = self.sources.get_mut(place)
        {
            source.taken(item.event.event());
        }
        Some((item.event, item.source))
    }

    /// The front is an event or the queue is empty.
    fn trim(&mut self) {
        while matches!(self.items.front(), Some(None)) {
            self.items.pop_front();
            self.first += 1;
        }
    }

    /// Makes the descriptor say what is true.
    fn settle(&mut self) {
        let on = (!self.items.is_empty() || self.interrupted) && !self.closed;
        if let Some(signal) = &mut self.signal {
            signal.set(on);
        }
    }
}

impl Source {
    fn taken(&mut self, event: &Event) {
        if event.kind == EventKind::Dropped {
            if let Some((waiting, _)) = self.dropped.get_mut(&event.channel) {
                *waiting -= 1;
                if *waiting == 0 {
                    self.dropped.remove(&event.channel);
                }
            }
        } else if event.frame_bytes > 0 {
            self.frames -= 1;
            self.bytes -= u64::from(event.frame_bytes);
            let half_free = self.frames <= self.bounds.events / 2 && self.bytes <= self.bounds.bytes / 2;
            if self.reading_paused && half_free {
                self.reading_paused = false;
                if let Some(sink) = &self.sink {
                    sink.resume_reading();
                }
            }
        }
    }
}
