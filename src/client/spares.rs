//! Blocks of events that are over, on their way back to the I/O thread: most messages come and go without the allocator, which
//! would otherwise return the memory of every batch to the system and ask for it again.
//!
//! The lock is never waited for: a forked child may have inherited it closed, and all that is lost is a block to be used again.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::session::{Event, Spare};

/// How many of them a thread collects before it gives them away.
const BATCH: usize = 32;
/// The most that wait to be used again: a megabyte.
const KEPT: usize = 2048;

/// In debug builds, which are those that are run under tools that watch memory, off: they could not tell any more who uses an
/// event that is freed.
static ON: AtomicBool = AtomicBool::new(!cfg!(debug_assertions));
static POOL: Mutex<Vec<Spare>> = Mutex::new(Vec::new());

thread_local! {
    /// Of events that this thread was the last to hold.
    static COLLECTED: RefCell<Vec<Spare>> = const { RefCell::new(Vec::new()) };
    /// What this thread has to make events of.
    static SUPPLY: Cell<Vec<Spare>> = const { Cell::new(Vec::new()) };
}

/// Whether blocks are used again.
pub fn set_on(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

fn pool() -> Option<MutexGuard<'static, Vec<Spare>>> {
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
    if let Some(spare) = event.into_spare() {
        // At the end of a thread it just goes.
        let _ = COLLECTED.try_with(|collected| {
            if let Ok(mut collected) = collected.try_borrow_mut() {
                collected.push(spare);
                if collected.len() >= BATCH {
                    give_away(&mut collected);
                }
            }
        });
    }
}

#[cold]
fn give_away(collected: &mut Vec<Spare>) {
    let full = match pool() {
        Some(mut pool) => {
            if pool.len() < KEPT {
                pool.append(collected);
            }
            true
        }
        None => collected.len() >= 4 * BATCH,
    };
    if full {
        collected.clear();
    }
}

/// Supplies a session, for as long as it reads.
#[inline(never)]
pub fn lend(spares: &mut Vec<Spare>) {
    *spares = SUPPLY.try_with(Cell::take).unwrap_or_default();
    // Those that came back last are used first, for they are still in the processor's caches.
    if spares.len() < KEPT
        && let Some(mut pool) = pool()
    {
        if spares.is_empty() {
            std::mem::swap(spares, &mut pool);
        } else {
            spares.append(&mut pool);
        }
    }
}

/// What a session has not used supplies the next one.
#[inline(never)]
pub fn take_back(spares: &mut Vec<Spare>) {
    let left = std::mem::take(spares);
    let _ = SUPPLY.try_with(|supply| supply.set(left));
}

/// Nothing is kept any more.
pub fn clear() {
    if let Some(mut pool) = pool() {
        *pool = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::parse_frame;
    use crate::session::EventMut;

    fn event(from: &mut Vec<Spare>) -> Event {
        let frame = r#"{"action":"BROADCAST","event":"e","channelName":"/c","payload":{}}"#;
        let usual = parse_frame(frame).next_usual().unwrap();
        EventMut::message(frame, &usual, 1, from).freeze()
    }

    // One test, for the pool is the process's: others may use it meanwhile, as soon as it is on.
    #[test]
    fn what_is_given_is_lent_and_bounded() {
        let mut spares = Vec::new();
        set_on(false);
        give(event(&mut spares));
        COLLECTED.with_borrow(|collected| assert!(collected.is_empty(), "it is off"));
        set_on(true);
        for _ in 0..4 * KEPT {
            give(event(&mut spares));
        }
        COLLECTED.with_borrow(|collected| assert!(collected.len() < 4 * BATCH));
        std::thread::spawn(|| {
            let mut lent = Vec::new();
            lend(&mut lent);
            assert!((BATCH..KEPT + 4 * BATCH).contains(&lent.len()), "{} blocks", lent.len());
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
        COLLECTED.with_borrow_mut(Vec::clear);
        give(held);
        COLLECTED.with_borrow(|collected| assert!(collected.is_empty(), "somebody else holds it"));
        give(other);
        COLLECTED.with_borrow(|collected| assert_eq!(collected.len(), 1));
        clear();
        set_on(false);
    }
}
