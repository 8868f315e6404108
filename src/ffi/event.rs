//! Accessors of events. A `pond_event` is the one allocation of an event, counted: reading is free of copies and locks.

use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{null, null_mut};

use triomphe::ThinArc;

use crate::client::Delivered;
use crate::protocol::{CheckError, Pattern};
use crate::session::{Event, Failure, Field, status};

use super::error::lend;
use super::guard::{guard, guard_value};
use super::strings::str_in;
use super::types::{pond_channel, pond_client, pond_event};

pub mod view;

/// The event as a handler sees it: valid as long as somebody holds it.
pub fn borrow(event: &Event) -> *const pond_event {
    event.as_thin().as_ptr().cast()
}

/// The event as an output: `pond_event_free` takes the reference back.
pub fn into_raw(event: Delivered) -> *mut pond_event {
    ThinArc::into_raw(event.into_event().into_thin()).cast_mut().cast()
}

/// The event behind the pointer, on the reference that the caller holds.
///
/// # Safety
/// NULL, or an event that is alive as long as the result is in use (rule 7 of the header).
#[inline(always)]
unsafe fn delivered(event: *const pond_event) -> Option<ManuallyDrop<Delivered>> {
    if event.is_null() {
        return None;
    }
    // SAFETY: every live pond_event was made by `borrow` or `into_raw`, from the pointer of a ThinArc of this type. It is never
    // dropped here, so the count stays right.
    let thin = unsafe { ThinArc::from_raw(event.cast()) };
    Some(ManuallyDrop::new(Delivered::new(Event::from_thin(thin))))
}

/// What a field reads as in an event that does not have it.
fn absent(field: Field) -> &'static CStr {
    match field {
        Field::Payload | Field::Changed => c"{}",
        Field::Users => c"[]",
        Field::Details => c"null",
        Field::Name | Field::Message | Field::ErrorCode | Field::ChannelName | Field::RequestId => c"",
    }
}

/// The bytes of a field and their NUL.
#[inline(never)]
fn field_of(event: Option<&Delivered>, field: Field) -> &[u8] {
    event
        .and_then(|event| event.event().bytes_with_nul(field))
        .unwrap_or(absent(field).to_bytes_with_nul())
}

/// # Safety
/// As `delivered`; `len` is NULL or writable.
unsafe fn text(event: *const pond_event, field: Field, len: *mut usize) -> *const c_char {
    // Nearly always the field is there, and then there is nothing that could fail.
    if !cfg!(feature = "inject") && !event.is_null() {
        // SAFETY: the caller's promise.
        let event = unsafe { delivered(event) };
        if let Some(bytes) = event.as_deref().and_then(|event| event.event().bytes_with_nul(field)) {
            // SAFETY: as above.
            return unsafe { lend(bytes, len) };
        }
    }
    guard_value(absent(field).as_ptr(), || {
        // SAFETY: the caller's promise.
        unsafe { lend(field_of(delivered(event).as_deref(), field), len) }
    })
}

/// # Safety
/// As `delivered`.
unsafe fn number<T: Default>(event: *const pond_event, field: fn(&Event) -> T) -> T {
    guard_value(T::default(), || {
        // SAFETY: the caller's promise.
        unsafe { delivered(event) }.map_or_else(T::default, |event| field(event.event()))
    })
}

/// A handle as C sees it: a number in a pointer's clothes, never an address.
fn handle<T>(key: u64) -> *mut T {
    std::ptr::without_provenance_mut(key as usize)
}

fn user_data_of(event: Option<&Delivered>) -> *mut c_void {
    event.map_or(null_mut(), |event| {
        std::ptr::with_exposed_provenance_mut(event.user_data())
    })
}

type Lookup = for<'a> fn(&'a Delivered, &str) -> Option<&'a [u8]>;

/// # Safety
/// As `delivered`; `name` is NULL or NUL-terminated, `len` NULL or writable.
unsafe fn route_value(event: *const pond_event, name: *const c_char, len: *mut usize, lookup: Lookup) -> *const c_char {
    guard_value(null(), || {
        if !len.is_null() {
            // SAFETY: the caller promises that a non-NULL `len` is writable.
            unsafe { len.write(0) };
        }
        // SAFETY: the caller's promise. What is not UTF-8 names no parameter.
        let (event, name) = unsafe { (delivered(event), str_in(name, "name")) };
        let (Some(event), Ok(name)) = (event, name) else {
            return null();
        };
        match lookup(&event, name) {
            // SAFETY: as above.
            Some(value) => unsafe { lend(value, len) },
            None => null(),
        }
    })
}

/// What happened: POND_EVENT_...; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_kind(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.kind as i32) }
}

/// The client that it came from: a plain copy of the handle (rule 6).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_client(event: *const pond_event) -> *mut pond_client {
    // SAFETY: NULL or a live event (rule 7).
    handle(unsafe { number(event, |event| event.client) })
}

/// The channel that it came from: a plain copy of the handle (rule 6); NULL for client events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_channel(event: *const pond_event) -> *mut pond_channel {
    // SAFETY: NULL or a live event (rule 7).
    handle(unsafe { number(event, |event| event.channel) })
}

/// The channel's name; "" for client events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_channel_name(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::ChannelName, len) }
}

/// The event's name as the server sent it; of a LOG event its target.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_name(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Name, len) }
}

/// The payload, byte for byte as the sender wrote it; "{}" when there is none. Its strings and brackets are balanced;
/// whether it is JSON in every detail is for your parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_payload(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Payload, len) }
}

/// The request id of the frame, as on the wire.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_request_id(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::RequestId, len) }
}

/// REPLY: the ticket of its request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_ticket(event: *const pond_event) -> u64 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.ticket) }
}

/// REPLY: the user_data of its request; else NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_user_data(event: *const pond_event) -> *mut c_void {
    guard_value(null_mut(), || {
        // SAFETY: NULL or a live event (rule 7).
        user_data_of(unsafe { delivered(event) }.as_deref())
    })
}

/// What the pattern's ":name" matched, decoded; "*" is the name of the wildcard. Only on events that came through a pattern
/// (pond_channel_on_event, pond_event_match). NULL: no such parameter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_param(
    event: *const pond_event,
    name: *const c_char,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7), a string (rule 4), and `len` NULL or writable (rule 5).
    unsafe { route_value(event, name, len, Delivered::param) }
}

/// A value of the query behind the event's name ("move?x=1"), decoded; on the events that have parameters. NULL: no such key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_query(
    event: *const pond_event,
    name: *const c_char,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7), a string (rule 4), and `len` NULL or writable (rule 5).
    unsafe { route_value(event, name, len, Delivered::query) }
}

/// The state that was reached: POND_CLIENT_... or POND_CHANNEL_...
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_state(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.state) }
}

/// The state before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_previous_state(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.previous_state) }
}

/// The number of the dial: 1 = first since connected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_attempt(event: *const pond_event) -> u32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.attempt) }
}

/// Milliseconds until the next dial; POND_FOREVER = none will come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_retry_ms(event: *const pond_event) -> u32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.retry_ms) }
}

/// CONNECTED: how often this client has been; 1 = the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_connect_count(event: *const pond_event) -> u32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.connect_count) }
}

/// The WebSocket close code; 0 = none came.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_close_code(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.close_code) }
}

/// DISCONNECTED: messages sent since the last proof of life; they may or may not have arrived and are never resent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_in_doubt(event: *const pond_event) -> u32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.in_doubt) }
}

/// DROPPED: how many messages it stands for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_count(event: *const pond_event) -> u32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.count) }
}

/// PRESENCE: POND_PRESENCE_...; 0 when only the list changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_presence_kind(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.presence_kind) }
}

/// PRESENCE: the one that changed; "{}" when not told. On UPDATE, JavaScript servers tell what it was before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_changed(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Changed, len) }
}

/// PRESENCE: everybody present; "[]" when not told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_users(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Users, len) }
}

/// Why, or how it ended: POND_OK or POND_ERROR_...
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_status(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.status) }
}

/// The server's word for the error, or the name of the status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_error_code(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::ErrorCode, len) }
}

/// What went wrong, for people; of a LOG event its text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_message(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Message, len) }
}

/// The HTTP status of a refused upgrade, or the server's numeric code; 0 = none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_http_status(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.http_status) }
}

/// The server's JSON about the error; "null" when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_details(event: *const pond_event, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live event (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(event, Field::Details, len) }
}

/// LOG: POND_LOG_...
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_level(event: *const pond_event) -> i32 {
    // SAFETY: NULL or a live event (rule 7).
    unsafe { number(event, |event| event.level) }
}

/// A reference of your own to the same event (atomic count, no copy). Each retain and each event that you were handed
/// through an output needs one pond_event_free. The const event of a handler is not yours to free. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_retain(event: *const pond_event) -> *mut pond_event {
    guard_value(null_mut(), || {
        // SAFETY: NULL or a live event (rule 7).
        unsafe { delivered(event) }.map_or(null_mut(), |event| into_raw((*event).clone()))
    })
}

/// Gives a reference back; with the last one the event and its strings go. NULL is fine. May run the destroy of a pulled
/// request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_free(event: *mut pond_event) {
    guard_value((), || {
        // SAFETY: NULL, or a reference that was handed out by `into_raw` and not given back before (rule 7).
        if let Some(event) = unsafe { delivered(event) } {
            ManuallyDrop::into_inner(event).release();
        }
    });
}

/// Does the event's name match? POND_OK: *out is an event of yours (pond_event_free) on which param and query answer.
/// POND_EMPTY: it does not, or the event has no name. POND_ERROR_INVALID_ARGUMENT: a pattern that can never be, or a NULL;
/// POND_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_match(
    event: *const pond_event,
    pattern: *const c_char,
    out: *mut *mut pond_event,
) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(Failure::new(status::INVALID_ARGUMENT, "out is NULL"));
        }
        // SAFETY: not NULL, so it is writable (rule 3).
        unsafe { out.write(null_mut()) };
        // SAFETY: rule 4.
        let pattern = unsafe { str_in(pattern, "pattern") }?;
        let pattern = Pattern::new(pattern).map_err(|error| {
            let status = match error {
                CheckError::InvalidUtf8(_) => status::INVALID_UTF8,
                _ => status::INVALID_ARGUMENT,
            };
            Failure::new(status, error.to_string())
        })?;
        // SAFETY: NULL or a live event (rule 7).
        let Some(event) = (unsafe { delivered(event) }) else {
            return Ok(status::EMPTY);
        };
        let route = event.event().text(Field::Name).and_then(|name| pattern.matches(name));
        let Some(route) = route else {
            return Ok(status::EMPTY);
        };
        let matched = into_raw(Delivered::matched(&event, route));
        // SAFETY: as above.
        unsafe { out.write(matched) };
        Ok(status::OK)
    })
}

#[cfg(test)]
mod tests;
