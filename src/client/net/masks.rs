//! The masking keys of frames.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

thread_local! {
    // One for all links of a thread: it is larger than what else an idle link needs to write.
    static KEYS: RefCell<ChaCha8Rng> = RefCell::new(seeded());
}

/// A masking key. It must be unpredictable for whoever chooses payloads, whatever keys it has seen (RFC 6455, 10.3): the key stream
/// of ChaCha8, under a key made of 128 bits from the system. No system call for a frame.
#[inline(never)]
pub(super) fn key() -> [u8; 4] {
    KEYS.with_borrow_mut(Rng::next_u32).to_le_bytes()
}

/// Starts this thread's keys anew. In a forked child, for the parent goes on with the old ones.
#[cold]
#[inline(never)]
pub fn forget_keys() {
    KEYS.with_borrow_mut(|keys| *keys = seeded());
}

#[inline(never)]
fn seeded() -> ChaCha8Rng {
    // The system's randomness is inside, and comes out by SipHash; in a forked child it is the parent's.
    let system = RandomState::new();
    let mut seed = [0; 32];
    for (number, part) in (0u64..).zip(seed.chunks_exact_mut(8)) {
        part.copy_from_slice(&system.hash_one((std::process::id(), number)).to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<[u8; 4]> {
        (0..8).map(|_| key()).collect()
    }

    #[test]
    fn each_thread_has_keys_of_its_own() {
        let others = std::thread::spawn(some).join().unwrap();
        assert_ne!(some(), others);
    }

    #[test]
    fn whoever_forgets_its_keys_goes_on_with_others() {
        let mut kept = KEYS.with_borrow(|keys| ChaCha8Rng::deserialize_state(&keys.serialize_state()));
        let next = [kept.next_u32().to_le_bytes(), kept.next_u32().to_le_bytes()];
        assert_eq!(key(), next[0]);
        forget_keys();
        assert_ne!(key(), next[1]);
    }
}
