//! Small tools around locks and the question "are we inside a callback?".

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Locks; a panic of another thread under this lock is already contained and does not spread.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits without a limit.
pub fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// When a wait of `timeout_ms` ends; `None` = never (`u32::MAX`).
pub fn deadline(timeout_ms: u32) -> Option<Instant> {
    (timeout_ms != u32::MAX).then(|| Instant::now() + Duration::from_millis(u64::from(timeout_ms)))
}

/// How long to wait for callbacks that run elsewhere. Inside a callback nothing waits, whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: who runs it now does the rest.
    None,
    /// As long as it takes.
    Forever,
    /// Until then.
    Until(Instant),
}

impl Patience {
    /// The moment when it ends, unless nothing is waited for.
    pub fn deadline(self) -> Option<Option<Instant>> {
        match self {
            _ if inside_callback() => None,
            Self::None => None,
            Self::Forever => Some(None),
            Self::Until(at) => Some(Some(at)),
        }
    }
}

/// Waits until notified or until `deadline`. False: the time is over.
pub fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> (MutexGuard<'a, T>, bool) {
    let Some(deadline) = deadline else {
        return (wait(condvar, guard), true);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, false);
    }
    let (guard, _) = condvar
        .wait_timeout(guard, left)
        .unwrap_or_else(PoisonError::into_inner);
    (guard, true)
}

/// Does something to every item, also when it panics over one of them; the first panic goes on when all are done.
pub fn for_all<T>(items: impl IntoIterator<Item = T>, mut each: impl FnMut(T)) {
    let mut first = None;
    for item in items {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| each(item))) {
            first.get_or_insert(panic);
        }
    }
    if let Some(panic) = first {
        resume_unwind(panic);
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs user code: a callback of whatever kind.
pub fn in_callback<R>(body: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            // A child forked by a callback may have left it by `forget_callbacks`.
            DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
        }
    }
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _leave = Leave;
    body()
}

/// In a forked child that starts anew: whatever callback this thread is in belongs to what was inherited.
pub fn forget_callbacks() {
    DEPTH.with(|depth| depth.set(0));
}

/// This thread is inside a callback: nothing may wait for callbacks here.
pub fn inside_callback() -> bool {
    DEPTH.with(Cell::get) > 0
}
