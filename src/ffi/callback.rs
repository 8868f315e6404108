//! C callbacks as registrations: the function, its user data, and the destroy that runs exactly once.

use std::ffi::c_void;
use std::sync::Arc;

use crate::client::sync::in_callback;
use crate::client::{Callback, Completion, Registration, Selector};
use crate::session::{Attachment, Event};

use super::event;
use super::types::{pond_destroy_fn, pond_event_fn};

struct CCallback {
    function: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
}

// SAFETY: user_data is never dereferenced here; rule 9 tells the program on which threads its functions run.
unsafe impl Send for CCallback {}
// SAFETY: as above; calls of one registration never overlap.
unsafe impl Sync for CCallback {}

impl Callback for CCallback {
    fn call(&self, event: &Event) {
        if let Some(function) = self.function {
            // SAFETY: the program registered this function for this user_data (rule 9); the event outlives the call.
            unsafe { function(event::borrow(event), self.user_data) };
        }
    }

    fn destroy(&self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: as above; Registration calls this once.
            unsafe { destroy(self.user_data) };
        }
    }

    fn is_callable(&self) -> bool {
        self.function.is_some()
    }
}

/// A callback that came in through an entry: unless it is armed, its destroy runs when it is dropped, so that no early
/// return forgets it.
pub struct Incoming {
    callback: Option<CCallback>,
}

impl Incoming {
    /// Takes the three arguments of a registering entry.
    pub fn new(function: pond_event_fn, user_data: *mut c_void, destroy: pond_destroy_fn) -> Self {
        Self {
            callback: Some(CCallback {
                function,
                user_data,
                destroy,
            }),
        }
    }

    /// There is a function to call.
    pub fn has_function(&self) -> bool {
        self.callback.as_ref().is_some_and(Callback::is_callable)
    }

    /// What the event tells as user data.
    pub fn user_data(&self) -> usize {
        self.callback.as_ref().map_or(0, |callback| callback.user_data as usize)
    }

    /// Ties it to the one reply that it is for, if there is anything to run.
    pub fn tie(mut self) -> Option<Attachment> {
        let callback = self.callback.take()?;
        if callback.function.is_none() && callback.destroy.is_none() {
            return None;
        }
        Some(Box::new(Completion::new(callback)))
    }

    /// Makes it a registration, whose end runs the destroy.
    pub fn arm(mut self, selector: Selector) -> Option<Arc<Registration>> {
        let callback = self.callback.take()?;
        Some(Registration::new(selector, Box::new(callback)))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            in_callback(|| callback.destroy());
        }
    }
}
