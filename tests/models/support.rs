//! How models are run, and handlers that notice what must not happen.

use real_std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::yield_now;

use crate::client::completion::Completion;
use crate::client::delivered::Delivered;
use crate::client::handlers::{Callback, Found, Registration, Selector};
use crate::client::pool::Pool;
use crate::client::queue::{Bounds, EventQueue, Pulled, Sink};
use crate::client::sync::{lock, wait};
use crate::session::{Attachment, Event, EventKind, EventMut};

fn number(name: &str, fallback: u64) -> u64 {
    match real_std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => fallback,
    }
}

/// Runs a model under random schedules, and under as many that favour rare orders of few threads (PCT).
pub fn check(model: fn()) {
    let schedules = number("POND_MODEL_SCHEDULES", 1_000) as usize;
    let seed = number("POND_MODEL_SEED", 1);
    run(RandomScheduler::new_from_seed(seed, schedules), model);
    run(PctScheduler::new_from_seed(seed, 3, schedules), model);
}

fn run(scheduler: impl Scheduler + 'static, model: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = 0x4_0000;
    config.max_steps = shuttle::MaxSteps::FailAfter(50_000);
    config.silence_warnings = true;
    shuttle::Runner::new(scheduler, config).run(move || {
        crate::time::reset();
        model();
    });
}

/// A counter that can be waited for.
#[derive(Default)]
pub struct Counter {
    value: Mutex<u32>,
    changed: Condvar,
}

impl Counter {
    pub fn add(&self) {
        *lock(&self.value) += 1;
        self.changed.notify_all();
    }

    /// Waits until it is at least that; answers what it is.
    pub fn reaches(&self, least: u32) -> u32 {
        let mut value = lock(&self.value);
        while *value < least {
            value = wait(&self.changed, value);
        }
        *value
    }
}

/// What happened to a handler. The client contains panics of handlers, so faults are kept here until the end.
#[derive(Default)]
pub struct Seen {
    pub calls: AtomicU32,
    running: AtomicU32,
    /// Destroys that have returned.
    destroyed: AtomicU32,
    destroying: AtomicU32,
    ended: AtomicBool,
    faults: real_std::sync::Mutex<Vec<&'static str>>,
    numbers: real_std::sync::Mutex<Vec<u64>>,
    pub called: Counter,
}

impl Seen {
    pub fn fault(&self, what: &'static str) {
        self.faults.lock().unwrap().push(what);
    }

    /// From now on it must not be called, and destroy has run.
    pub fn has_ended(&self) {
        self.ended.store(true, SeqCst);
        if self.running.load(SeqCst) > 0 {
            self.fault("runs although its end was announced");
        }
        if self.destroyed.load(SeqCst) != 1 {
            self.fault("its end was announced before destroy had run");
        }
    }

    /// The events it was called for.
    pub fn numbers(&self) -> Vec<u64> {
        self.numbers.lock().unwrap().clone()
    }

    /// At the end of a model.
    pub fn destroyed_once(&self) {
        self.no_faults();
        assert_eq!(self.destroyed.load(SeqCst), 1, "destroys");
    }

    pub fn no_faults(&self) {
        assert_eq!(*self.faults.lock().unwrap(), Vec::<&str>::new());
    }
}

type Body = Box<dyn Fn(&Delivered) + Send + Sync>;

struct Handler {
    seen: Arc<Seen>,
    body: Body,
    /// Two calls must not overlap.
    alone: bool,
}

impl Callback for Handler {
    fn call(&self, event: &Event) {
        let event = &Delivered::new(event.clone());
        let seen = &self.seen;
        if seen.ended.load(SeqCst) {
            seen.fault("called after its end was announced");
        }
        if seen.destroying.load(SeqCst) > 0 {
            seen.fault("called after destroy");
        }
        if seen.running.fetch_add(1, SeqCst) > 0 && self.alone {
            seen.fault("two calls overlap");
        }
        seen.calls.fetch_add(1, SeqCst);
        seen.numbers.lock().unwrap().push(event.event().ticket);
        yield_now();
        (self.body)(event);
        seen.running.fetch_sub(1, SeqCst);
        seen.called.add();
    }

    fn destroy(&self) {
        if self.seen.destroying.fetch_add(1, SeqCst) > 0 {
            self.seen.fault("destroyed twice");
        }
        if self.seen.running.load(SeqCst) > 0 {
            self.seen.fault("destroyed while it runs");
        }
        yield_now();
        self.seen.destroyed.fetch_add(1, SeqCst);
    }

    fn is_callable(&self) -> bool {
        true
    }
}

/// A handler whose calls must not overlap.
pub fn handler(
    selector: Selector,
    seen: &Arc<Seen>,
    body: impl Fn(&Delivered) + Send + Sync + 'static,
) -> Arc<Registration> {
    Registration::new(
        selector,
        Box::new(Handler {
            seen: Arc::clone(seen),
            body: Box::new(body),
            alone: true,
        }),
    )
}

/// A handler that several threads may run at a time.
pub fn shared_handler(seen: &Arc<Seen>) -> Arc<Registration> {
    Registration::new(
        Selector::Message,
        Box::new(Handler {
            seen: Arc::clone(seen),
            body: Box::new(|_| {}),
            alone: false,
        }),
    )
}

/// A handler for one reply.
pub fn waiting(seen: &Arc<Seen>) -> Attachment {
    Box::new(Completion::new(Handler {
        seen: Arc::clone(seen),
        body: Box::new(|_| {}),
        alone: true,
    }))
}

/// User data without a function: a reply to be pulled.
pub fn only_data(seen: &Arc<Seen>) -> Attachment {
    struct Data(Handler);
    impl Callback for Data {
        fn call(&self, event: &Event) {
            self.0.call(event);
        }
        fn destroy(&self) {
            self.0.destroy();
        }
        fn is_callable(&self) -> bool {
            false
        }
    }
    Box::new(Completion::new(Data(Handler {
        seen: Arc::clone(seen),
        body: Box::new(|_| {}),
        alone: true,
    })))
}

/// A message of that number, from a frame of one byte.
pub fn message(number: u64) -> Delivered {
    let mut event = EventMut::new(EventKind::Message);
    event.ticket = number;
    event.frame_bytes = 1;
    Delivered::new(event.freeze())
}

pub fn push(queue: &Arc<EventQueue>, source: usize, events: impl IntoIterator<Item = Delivered>) {
    let mut events: Vec<_> = events.into_iter().collect();
    let news = queue.push(source, &mut events);
    queue.announce(news);
    assert!(events.is_empty(), "taken over, all of them");
}

/// What a pull has come to, with the events.
#[derive(Debug)]
pub enum Got {
    Events(Vec<Delivered>),
    Empty,
    TimedOut,
    Interrupted,
    Closed,
}

pub fn pull(queue: &EventQueue, timeout_ms: u32, capacity: u32) -> Got {
    let mut events = Vec::new();
    let pulled = queue.pull(timeout_ms, capacity, &mut |event| events.push(event));
    match pulled {
        Pulled::Events(count) => assert_eq!(events.len(), count as usize, "told and taken"),
        _ => assert!(events.is_empty(), "taken, and not told"),
    }
    match pulled {
        Pulled::Events(_) => Got::Events(events),
        Pulled::Empty => Got::Empty,
        Pulled::TimedOut => Got::TimedOut,
        Pulled::Interrupted => Got::Interrupted,
        Pulled::Closed => Got::Closed,
    }
}

/// The end of a queue that runs one handler.
pub struct To(pub Arc<Registration>);

impl Sink for To {
    fn deliver(&self, event: &Delivered, _: &mut Found) {
        match event.completion() {
            Some(completion) => completion.answer(event.as_event()),
            None => self.0.run(event),
        }
    }

    fn resume_reading(&self) {}
}

/// The end of a queue that nobody dispatches.
#[derive(Default)]
pub struct Pulls {
    pub resumed: Counter,
}

impl Sink for Pulls {
    fn deliver(&self, _: &Delivered, _: &mut Found) {
        panic!("nobody dispatches this queue");
    }

    fn resume_reading(&self) {
        self.resumed.add();
    }
}

pub const WIDE: Bounds = Bounds {
    events: 100,
    bytes: 1_000,
    dropped: 10,
};

pub fn pool() -> Arc<Pool> {
    Arc::new(Pool::default())
}

/// Starts a scheduled thread.
pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::Builder::new().spawn(body).unwrap()
}

pub fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}
