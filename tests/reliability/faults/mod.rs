//! A fault proxy and hostile servers, and the judges at both ends.

// Needs the feature `inject`: the name lookup is a test's.
#[cfg(feature = "inject")]
mod lookup;

mod bursts;
mod handshake;
mod hostile;
mod memory;
mod network;
mod oracle;
mod peer;
mod proxy;
mod raw;
mod server;
mod storm;
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One test at a time: memory and time are measured.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Beyond what the rules allow: a machine with other work.
pub const SLACK: Duration = Duration::from_secs(15);

/// `LONG=1`: longer runs.
pub fn long() -> bool {
    std::env::var("LONG").is_ok_and(|value| value == "1")
}

/// Waits for a condition. The deadline's end is a failure.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A replayable source of chance (splitmix64).
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
