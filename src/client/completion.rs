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
    /// Set by whoever has answered, read by whoever holds it alone.
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
struct Ending<'a, C: Callback>(&'a Completion<C>);

impl<C: Callback> Drop for Ending<'_, C> {
    fn drop(&mut self) {
        // There is one answer, and a drop comes behind it. Who holds the reply is known from its count, so that the flag orders
        // nothing.
        if !self.0.destroyed.load(Relaxed) {
            self.0.destroyed.store(true, Relaxed);
            in_callback(|| self.0.callback.destroy());
        }
    }
}

impl<C: Callback> Waiting for Completion<C> {
    fn answer(&self, reply: &Event) {
        if self.answered.swap(true, Relaxed) {
            return;
        }
        let ending = Ending(self);
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
        let _ending = Ending(self);
        inject::point("destroy");
    }
}
