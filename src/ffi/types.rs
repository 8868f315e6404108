//! The types of the header.

use std::ffi::c_void;

/// Handle of a client: one connection and its channels (rule 6).
pub struct pond_client {
    _private: [u8; 0],
}
/// Handle of a channel: a named room on a client (rule 6).
pub struct pond_channel {
    _private: [u8; 0],
}
/// Handle of an event queue that the program drains (rule 6).
pub struct pond_queue {
    _private: [u8; 0],
}
/// Handle of one registered handler (rule 6).
pub struct pond_subscription {
    _private: [u8; 0],
}
/// Handle of options, copied by pond_client_new (rule 6).
pub struct pond_options {
    _private: [u8; 0],
}
/// An event: a plain object (rule 7).
pub struct pond_event {
    _private: [u8; 0],
}
/// An error: a plain object (rule 7).
pub struct pond_error {
    _private: [u8; 0],
}

/// The one callback. `event` is borrowed until it returns; pond_event_retain keeps it longer.
pub type pond_event_fn = Option<unsafe extern "C" fn(event: *const pond_event, user_data: *mut c_void)>;
/// Called exactly once with the user_data of a registration, after its last handler call (rule 9).
pub type pond_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;
