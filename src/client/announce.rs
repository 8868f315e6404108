//! Who has to be told of what waits in a queue: the library's threads, who polls the descriptor, who waits for events, and the
//! program's wake function.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};

use crate::session::{EventKind, EventMut};

use super::delivered::Delivered;
use super::handlers::Registration;
use super::pool::Job;
use super::queue::{EventQueue, Inner};
use super::report;
use super::signal::Signal;
use super::sync::{Patience, lock};

/// Who has to be told of a push.
#[derive(Clone, Copy, Debug, Default)]
pub struct News {
    /// The library's threads.
    schedules: bool,
    /// Who polls the descriptor.
    signals: bool,
    /// One thread that waits, or all of them.
    wakes: bool,
    wakes_all: bool,
}

impl News {
    /// The news of both.
    pub fn add(&mut self, other: Self) {
        self.schedules |= other.schedules;
        self.signals |= other.signals;
        // Two that each woke one may have found two threads waiting.
        self.wakes_all |= other.wakes_all || (self.wakes && other.wakes);
        self.wakes |= other.wakes;
    }
}

impl EventQueue {
    /// The descriptor that is readable while an event or interrupt waits.
    pub fn fd(&self) -> std::io::Result<i32> {
        let mut inner = lock(&self.inner);
        if self.signal.get().is_none() {
            let _ = self.signal.set(Signal::new()?);
            self.settle(&mut inner);
        }
        Ok(self.signal.get().map_or(-1, Signal::fd))
    }

    /// Sets or removes the wake function.
    pub fn set_wake(self: &Arc<Self>, wake: Option<Arc<Registration>>) {
        let mut inner = lock(&self.inner);
        let old = std::mem::replace(&mut inner.wake, wake);
        inner.armed = true;
        if !inner.store.is_empty() {
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
            if !inner.store.is_empty() {
                // This call tells of everything that is there now, whatever has asked for it.
                inner.armed = false;
            }
            inner.wake.clone()
        };
        if let Some(wake) = wake {
            let event = Delivered::new(EventMut::new(EventKind::Wake).freeze());
            if catch_unwind(AssertUnwindSafe(|| wake.run(&event))).is_err() {
                report::panicked();
            }
        }
        let mut inner = lock(&self.inner);
        inner.wake_submitted = false;
        if inner.armed && !inner.store.is_empty() {
            self.announce_wake(&mut inner);
        }
    }

    pub(super) fn news(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, added: usize, was_empty: bool) -> News {
        let pullers = inner.pullers;
        if added == 0 {
            return News::default();
        }
        self.announce_wake(&mut inner);
        let schedules = self.own && !inner.scheduled;
        inner.scheduled |= schedules;
        let signals = !inner.signalled && !inner.closed && self.signal.get().is_some();
        inner.signalled |= signals;
        News {
            schedules,
            signals,
            wakes_all: added > 1 && pullers > 1,
            // One alone went to wait when nothing was there, so that the first event has woken it.
            wakes: pullers > 1 || (pullers == 1 && was_empty),
        }
    }

    /// Tells of what was pushed.
    #[inline]
    pub fn announce(self: &Arc<Self>, news: News) {
        if news.schedules {
            self.pool.submit(Job::Deliver(Arc::clone(self)));
        }
        if news.signals {
            self.raise();
        }
        if news.wakes_all {
            self.ready.notify_all();
        } else if news.wakes {
            self.ready.notify_one();
        }
    }

    /// Makes the descriptor say that something waits, with no lock held: who polls it runs at once, and wants the lock.
    #[inline(never)]
    fn raise(&self) {
        let Some(signal) = self.signal.get() else {
            return;
        };
        let raised = signal.set();
        // Most often nobody needs the lock again: whoever empties the queue clears the descriptor, and waits for this.
        if signal.is_overdue() || !raised {
            let mut inner = lock(&self.inner);
            inner.signalled &= raised;
            self.settle(&mut inner);
        }
    }

    /// Makes the descriptor say what is true.
    pub(super) fn settle(&self, inner: &mut Inner) {
        let on = (!inner.store.is_empty() || inner.interrupted) && !inner.closed;
        if on == inner.signalled {
            return;
        }
        let done = self
            .signal
            .get()
            .is_some_and(|signal| if on { signal.set() } else { signal.clear() });
        if done {
            inner.signalled = on;
        }
    }

    pub(super) fn announce_wake(self: &Arc<Self>, inner: &mut Inner) {
        if inner.armed && inner.wake.is_some() && !inner.wake_submitted {
            inner.armed = false;
            inner.wake_submitted = true;
            self.pool.submit(Job::Wake(Arc::clone(self)));
        }
    }
}
