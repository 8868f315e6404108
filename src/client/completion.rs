//! The handler of one request: it lies in one block, which is tied to the reply.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::inject;
use crate::session::{Attached, Event, Waiting};

use super::handlers::Callback;
use super::sync::in_callback;

/// A callback for one reply. Called at most once; its destroy runs behind that, or with the reply that nobody dispatched.
pub struct Completion<C: Callback> {
    callback: C,
    answered: AtomicBool,
    destroyed: AtomicBool,
}

impl<C: Callback> Completion<C> {
    /// The only owner of this callback.
    pub fn new(callback: C) -> Self {
        Self {
            callback,
            answered: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
        }
    }
}

/// Releases the user data, also after a panic.
struct Ending<'a>(&'a dyn Callback, &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Who holds the reply is known from its count, so that this flag orders nothing.
        if !self.1.swap(true, Relaxed) {
            in_callback(|| self.0.destroy());
        }
    }
}

impl<C: Callback> Waiting for Completion<C> {
    fn answer(&self, reply: &Event) {
        if self.answered.swap(true, Relaxed) {
            return;
        }
        let ending = Ending(&self.callback, &self.destroyed);
        inject::point("callback");
        in_callback(|| self.callback.call(reply));
        inject::point("destroy");
        drop(ending);
    }

    fn is_callable(&self) -> bool {
        self.callback.is_callable()
    }
}

impl<C: Callback> Attached for Completion<C> {
    fn waiting(&self) -> Option<&dyn Waiting> {
        Some(self)
    }
}

impl<C: Callback> Drop for Completion<C> {
    fn drop(&mut self) {
        // A reply that was pulled or discarded: its user data goes with it.
        let _ending = Ending(&self.callback, &self.destroyed);
        inject::point("destroy");
    }
}
