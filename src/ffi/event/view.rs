//! All of an event in one call.

use std::ffi::{c_char, c_void};

use crate::client::Delivered;
use crate::session::{Failure, Field, status};

use super::{delivered, field_of, handle, user_data_of};
use crate::ffi::guard::guard;
use crate::ffi::types::{pond_channel, pond_client, pond_event};

/// The common fields of an event in one call, for languages where calls are dear. Each field reads as its accessor does.
/// Grows only at its end.
#[repr(C)]
pub struct pond_event_view {
    /// POND_EVENT_...
    pub kind: i32,
    /// POND_OK or POND_ERROR_...
    pub status: i32,
    /// POND_CLIENT_... or POND_CHANNEL_...
    pub state: i32,
    /// the state before
    pub previous_state: i32,
    /// POND_PRESENCE_...
    pub presence_kind: i32,
    /// or the server's numeric code
    pub http_status: i32,
    /// the number of the dial
    pub attempt: u32,
    /// until the next dial; POND_FOREVER = none will come
    pub retry_ms: u32,
    /// how often connected
    pub connect_count: u32,
    /// how many a DROPPED event stands for
    pub count: u32,
    /// REPLY: the request's
    pub ticket: u64,
    /// a plain copy of the handle
    pub client: *mut pond_client,
    /// likewise; NULL for client events
    pub channel: *mut pond_channel,
    /// REPLY: the request's
    pub user_data: *mut c_void,
    /// the strings are borrowed (rule 5)
    pub name: *const c_char,
    /// "{}" when absent
    pub payload: *const c_char,
    /// "{}" when absent
    pub changed: *const c_char,
    /// "[]" when absent
    pub users: *const c_char,
    /// for people
    pub message: *const c_char,
    /// the server's word, or the status name
    pub error_code: *const c_char,
    /// "null" when absent
    pub details: *const c_char,
    /// "" for client events
    pub channel_name: *const c_char,
    /// as on the wire
    pub request_id: *const c_char,
    /// bytes without the NUL
    pub name_len: usize,
    /// likewise
    pub payload_len: usize,
    /// likewise
    pub changed_len: usize,
    /// likewise
    pub users_len: usize,
    /// likewise
    pub message_len: usize,
    /// likewise
    pub error_code_len: usize,
    /// likewise
    pub details_len: usize,
    /// likewise
    pub channel_name_len: usize,
    /// likewise
    pub request_id_len: usize,
}

/// Fills a view. `size` is sizeof *out as you compiled it: an older, smaller view gets the fields it has, of a newer, larger
/// one the rest is zero. POND_ERROR_INVALID_ARGUMENT: out is NULL or size is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_event_read(event: *const pond_event, out: *mut pond_event_view, size: usize) -> i32 {
    guard(|| {
        if out.is_null() || size == 0 {
            return Err(Failure::new(status::INVALID_ARGUMENT, "out is NULL or size is 0"));
        }
        // SAFETY: the caller promises `size` writable bytes (rule 3).
        unsafe { out.cast::<u8>().write_bytes(0, size) };
        // SAFETY: NULL or a live event (rule 7).
        let view = view(unsafe { delivered(event) }.as_deref());
        let known = size.min(size_of::<pond_event_view>());
        // SAFETY: `known` bytes are readable in `view` and writable in `out`. Bytes are copied, so that neither alignment
        // nor padding matters.
        unsafe { std::ptr::copy_nonoverlapping((&raw const view).cast::<u8>(), out.cast::<u8>(), known) };
        Ok(status::OK)
    })
}

fn view(event: Option<&Delivered>) -> pond_event_view {
    let string = |field| {
        let bytes = field_of(event, field);
        (bytes.as_ptr().cast::<c_char>(), bytes.len().saturating_sub(1))
    };
    let (name, name_len) = string(Field::Name);
    let (payload, payload_len) = string(Field::Payload);
    let (changed, changed_len) = string(Field::Changed);
    let (users, users_len) = string(Field::Users);
    let (message, message_len) = string(Field::Message);
    let (error_code, error_code_len) = string(Field::ErrorCode);
    let (details, details_len) = string(Field::Details);
    let (channel_name, channel_name_len) = string(Field::ChannelName);
    let (request_id, request_id_len) = string(Field::RequestId);
    let user_data = user_data_of(event);
    let event = event.map(Delivered::event);
    pond_event_view {
        kind: event.map_or(0, |event| event.kind as i32),
        status: event.map_or(0, |event| event.status),
        state: event.map_or(0, |event| event.state),
        previous_state: event.map_or(0, |event| event.previous_state),
        presence_kind: event.map_or(0, |event| event.presence_kind),
        http_status: event.map_or(0, |event| event.http_status),
        attempt: event.map_or(0, |event| event.attempt),
        retry_ms: event.map_or(0, |event| event.retry_ms),
        connect_count: event.map_or(0, |event| event.connect_count),
        count: event.map_or(0, |event| event.count),
        ticket: event.map_or(0, |event| event.ticket),
        client: handle(event.map_or(0, |event| event.client)),
        channel: handle(event.map_or(0, |event| event.channel)),
        user_data,
        name,
        payload,
        changed,
        users,
        message,
        error_code,
        details,
        channel_name,
        request_id,
        name_len,
        payload_len,
        changed_len,
        users_len,
        message_len,
        error_code_len,
        details_len,
        channel_name_len,
        request_id_len,
    }
}
