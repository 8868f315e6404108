//! Test-only faults, with the feature `inject`: the n-th injection point that is passed panics, once, and name lookup
//! answers what a test wants. Without the feature the points are empty.

/// A place where a bug might show itself.
#[inline]
pub fn point(_name: &'static str) {
    #[cfg(feature = "inject")]
    armed::pass(_name);
}

#[cfg(feature = "inject")]
pub use armed::{arm, disarm};
#[cfg(feature = "inject")]
pub use resolver::{Lookup, lookup, resolve_with};

#[cfg(feature = "inject")]
mod armed {
    use std::sync::Mutex;

    use crate::client::sync::lock;

    static STATE: Mutex<State> = Mutex::new(State {
        name: None,
        left: 0,
        fired: None,
    });

    struct State {
        /// Only points of this name count.
        name: Option<&'static str>,
        left: u32,
        fired: Option<&'static str>,
    }

    /// From now on the n-th point of that name panics, counted from 1.
    pub fn arm(name: &'static str, n: u32) {
        *lock(&STATE) = State {
            name: Some(name),
            left: n,
            fired: None,
        };
    }

    /// No point panics any more. Tells whether one did.
    pub fn disarm() -> bool {
        let mut state = lock(&STATE);
        state.name = None;
        state.fired.take().is_some()
    }

    #[allow(clippy::panic)] // what this module is for
    pub(super) fn pass(name: &'static str) {
        let mut state = lock(&STATE);
        if state.name != Some(name) {
            return;
        }
        state.left = state.left.saturating_sub(1);
        if state.left > 0 {
            return;
        }
        state.name = None;
        state.fired = Some(name);
        drop(state);
        std::panic::panic_any(name);
    }
}

#[cfg(feature = "inject")]
mod resolver {
    use std::io;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use crate::client::sync::lock;

    static LOOKUP: Mutex<Option<Lookup>> = Mutex::new(None);

    /// What every name lookup answers.
    #[derive(Clone, Debug)]
    pub struct Lookup {
        /// How long it takes.
        pub after: Duration,
        /// The addresses, or why there are none.
        pub answer: Result<Vec<SocketAddr>, String>,
    }

    /// From now on name lookup answers this; with None the system is asked again.
    pub fn resolve_with(lookup: Option<Lookup>) {
        *lock(&LOOKUP) = lookup;
    }

    /// The answer of the test, if it has set one.
    pub async fn lookup() -> Option<io::Result<Vec<SocketAddr>>> {
        let Lookup { after, answer } = lock(&LOOKUP).clone()?;
        tokio::time::sleep(after).await;
        Some(answer.map_err(io::Error::other))
    }
}
