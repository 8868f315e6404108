//! Registering handlers of a channel.

use std::ffi::{c_char, c_void};

use crate::client::Selector;
use crate::protocol::Pattern;

use super::callback::Incoming;
use super::guard::{Answer, guard};
use super::input::failure_of;
use super::strings::str_in;
use super::subscribe::on_channel;
use super::types::{pond_channel, pond_destroy_fn, pond_event_fn, pond_subscription};

unsafe fn register(
    channel: *mut pond_channel,
    selector: Selector,
    incoming: Incoming,
    out: *mut *mut pond_subscription,
) -> i32 {
    let body = || -> Answer {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { on_channel(channel, || Ok(selector), incoming, out) }
    };
    guard(body)
}

/// Registers a handler for every POND_EVENT_MESSAGE. Handlers run in order of registration. out NULL: it lives as long as the channel.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (fn NULL), _CLOSED (freed meanwhile), _NO_MEMORY: destroy has run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_message(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::Message, incoming, out) }
}

/// Registers a handler for the messages whose name matches a pattern: "message", "user/:id", "*". pond_event_param and
/// pond_event_query answer in it. As pond_channel_on_message; also POND_ERROR_INVALID_UTF8, and POND_ERROR_INVALID_ARGUMENT for an
/// unusable pattern.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_event(
    channel: *mut pond_channel,
    pattern: *const c_char,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    let selector = || {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        let pattern = unsafe { str_in(pattern, "pattern") }?;
        let pattern = Pattern::new(pattern).map_err(|error| failure_of(&error))?;
        Ok(Selector::Event(Box::new(pattern)))
    };
    let body = || -> Answer {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { on_channel(channel, selector, incoming, out) }
    };
    guard(body)
}

/// Registers a handler for POND_EVENT_CHANNEL_STATE. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_state(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::ChannelState, incoming, out) }
}

/// Registers a handler for POND_EVENT_PRESENCE of kind JOIN: somebody came. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_join(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::Join, incoming, out) }
}

/// Registers a handler for POND_EVENT_PRESENCE of kind LEAVE: somebody went. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_leave(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::Leave, incoming, out) }
}

/// Registers a handler for POND_EVENT_PRESENCE of kind UPDATE: somebody changed. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_presence_change(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::PresenceChange, incoming, out) }
}

/// Registers a handler for every POND_EVENT_PRESENCE, also one of kind 0 that only tells a new list (after a rejoin). As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_users_change(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::UsersChange, incoming, out) }
}

/// Registers a handler for POND_EVENT_CHANNEL_ERROR, which comes before the state it causes. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_error(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::ChannelError, incoming, out) }
}

/// Registers a handler for POND_EVENT_DROPPED: outgoing messages that will never be sent. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_dropped(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::Dropped, incoming, out) }
}

/// Registers a handler for POND_EVENT_WRITABLE: room again after POND_ERROR_QUEUE_FULL. As pond_channel_on_message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_on_writable(
    channel: *mut pond_channel,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(channel, Selector::Writable, incoming, out) }
}
