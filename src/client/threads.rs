//! How the library starts its threads.

use std::io;
use std::thread::{Builder, JoinHandle};

use once_cell::sync::OnceCell;

/// Runs its argument in a state that a new thread shall inherit.
pub type SpawnGuard = fn(&mut dyn FnMut());

static GUARD: OnceCell<SpawnGuard> = OnceCell::new();

/// Sets what surrounds every thread start (the C face blocks all signals there). The first one counts.
pub fn set_spawn_guard(guard: SpawnGuard) {
    let _ = GUARD.set(guard);
}

/// Starts a named thread. (The body is boxed so that std's machinery is compiled once for all of them.)
pub fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    let mut body = Some(body);
    let mut result = None;
    let mut start = || {
        if let Some(body) = body.take() {
            result = Some(Builder::new().name(name.to_owned()).spawn(body));
        }
    };
    match GUARD.get() {
        Some(guard) => guard(&mut start),
        None => start(),
    }
    result.unwrap_or_else(|| Err(io::Error::other("the thread was not started")))
}
