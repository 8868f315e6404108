//! Blocks of events that are over, on their way back to the I/O thread: most messages come and go without the allocator, which
//! would otherwise return the memory of every batch to the system and ask for it again.
//!
//! The lock is never waited for: a forked child may have inherited it closed, and all that is lost is a block to be used again.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::session::{Event, Spares};

/// How many of them a thread collects before it gives them away, or how much text in large ones.
const BATCH: usize = 32;
const BATCH_TEXT: usize = 128 * 1024;

/// In debug builds, which are those that are run under tools that watch memory, off: they could not tell any more who uses an
/// event that is freed.
static ON: AtomicBool = AtomicBool::new(!cfg!(debug_assertions));
static POOL: Mutex<Spares> = Mutex::new(Spares::new());

thread_local! {
    /// Of events that this thread was the last to hold.
    static COLLECTED: RefCell<Spares> = const { RefCell::new(Spares::new()) };
    /// What this thread has to make events of.
    static SUPPLY: Cell<Spares> = const { Cell::new(Spares::new()) };
}

/// Whether blocks are used again.
pub fn set_on(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

fn pool() -> Option<MutexGuard<'static, Spares>> {
    match POOL.try_lock() {
        Ok(pool) => Some(pool),
        Err(TryLockError::Poisoned(pool)) => Some(pool.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Lets go of an event; its block is kept, if nobody else holds it.
#[inline]
pub fn give(event: Event) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    // At the end of a thread it just goes.
    let _ = COLLECTED.try_with(|collected| {
        if let Ok(mut collected) = collected.try_borrow_mut() {
            collected.keep(event);
            if collected.len() >= BATCH || collected.large_text() >= BATCH_TEXT {
                give_away(&mut collected);
            }
        }
    });
}

#[cold]
fn give_away(collected: &mut Spares) {
    let full = match pool() {
        Some(mut pool) => {
            pool.append(collected);
            true
        }
        None => collected.len() >= 4 * BATCH || collected.large_text() >= 4 * BATCH_TEXT,
    };
    if full {
        collected.clear();
    }
}

/// Supplies a session, for as long as it reads.
#[inline(never)]
pub fn lend(spares: &mut Spares) {
    *spares = SUPPLY.try_with(Cell::take).unwrap_or_default();
    if let Some(mut pool) = pool() {
        spares.append(&mut pool);
    }
}

/// What a session has not used supplies the next one.
#[inline(never)]
pub fn take_back(spares: &mut Spares) {
    let left = std::mem::take(spares);
    let _ = SUPPLY.try_with(|supply| supply.set(left));
}

/// Nothing is kept any more.
pub fn clear() {
    if let Some(mut pool) = pool() {
        *pool = Spares::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::parse_frame;
    use crate::session::EventMut;

    /// The most that are kept, in one place.
    const MOST: usize = 2048;

    fn event(from: &mut Spares) -> Event {
        let frame = r#"{"action":"BROADCAST","event":"e","channelName":"/c","payload":{}}"#;
        let usual = parse_frame(frame).next_usual().unwrap();
        EventMut::message(frame, &usual, 1, from).freeze()
    }

    // One test, for the pool is the process's: others may use it meanwhile, as soon as it is on.
    #[test]
    fn what_is_given_is_lent_and_bounded() {
        let mut spares = Spares::new();
        set_on(false);
        give(event(&mut spares));
        COLLECTED.with_borrow(|collected| assert!(collected.is_empty(), "it is off"));
        set_on(true);
        for _ in 0..4 * MOST {
            give(event(&mut spares));
        }
        COLLECTED.with_borrow(|collected| assert!(collected.len() < 4 * BATCH));
        std::thread::spawn(|| {
            let mut lent = Spares::new();
            lend(&mut lent);
            assert!((BATCH..MOST + 4 * BATCH).contains(&lent.len()), "{} blocks", lent.len());
            let before = lent.len();
            drop(event(&mut lent));
            take_back(&mut lent);
            assert!(lent.is_empty());
            lend(&mut lent);
            assert!(lent.len() >= before - 1, "what was not used is there again");
        })
        .join()
        .unwrap();
        let held = event(&mut spares);
        let other = held.clone();
        COLLECTED.with_borrow_mut(Spares::clear);
        give(held);
        COLLECTED.with_borrow(|collected| assert!(collected.is_empty(), "somebody else holds it"));
        give(other);
        COLLECTED.with_borrow(|collected| assert_eq!(collected.len(), 1));
        clear();
        set_on(false);
    }
}
