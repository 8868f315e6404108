//! The channel group of the header.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::client::Tie;
use crate::protocol::check::has_stray_percent;
use crate::session::{ChannelState, Failure, status};

use super::callback::Incoming;
use super::client::waited;
use super::event;
use super::global::{self, Channel, Object};
use super::guard::{guard, guard_error, guard_error_here, guard_free};
use super::input::{invalid, message_in, message_str_in, object_in, out_zeroed, str_len};
use super::strings::put_string;
use super::types::{pond_channel, pond_destroy_fn, pond_error, pond_event, pond_event_fn};

fn on(channel: *mut pond_channel, act: impl FnOnce(&Channel) -> Result<(), Failure>) -> i32 {
    guard(|| {
        let channel: Arc<Channel> = global::channel(channel as u64)?;
        act(&channel)?;
        Ok(status::OK)
    })
}

/// Joins, in the background: deferred while offline, rejoined by itself after a lost link; reopens CLOSED and DECLINED with its
/// handlers kept. Never waits.
/// POND_OK also when joining or joined; POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile).
#[unsafe(no_mangle)]
pub extern "C" fn pond_channel_join(channel: *mut pond_channel) -> i32 {
    on(channel, |channel| {
        if has_stray_percent(&channel.name) {
            log::warn!(target: "pondsocket", "a channel name has a '%' that is no escape: some servers fail on it");
        }
        let id = channel.id;
        channel.client.on_session(|session, now| session.join(id, now))
    })
}

/// Leaves: queued messages come back as DROPPED, requests complete with POND_ERROR_CLOSED, the state becomes CLOSED at once. Never
/// waits.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile).
#[unsafe(no_mangle)]
pub extern "C" fn pond_channel_leave(channel: *mut pond_channel) -> i32 {
    on(channel, |channel| {
        let id = channel.id;
        channel.client.on_session(|session, _| session.leave(id))
    })
}

/// Leaves, then cancels all its subscriptions, as pond_subscription_cancel does. Its name is free again.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_channel_free(channel: *mut pond_channel) -> i32 {
    guard_free(|| {
        let object = global::remove(channel as u64, "channel", |object| matches!(object, Object::Channel(_)))?;
        if let Object::Channel(channel) = object {
            channel.client.close_channel(channel.id, channel.key);
        }
        Ok(status::OK)
    })
}

/// The params of the next JOIN, rejoins included. NULL = {}.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _TOO_LARGE, _CLOSED (freed meanwhile).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_set_join_params(
    channel: *mut pond_channel,
    join_params_json: *const c_char,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), strings in are as rule 4 asks.
    unsafe {
        guard_error(error, || {
            let channel = global::channel(channel as u64)?;
            let params = object_in(join_params_json, "join_params_json")?;
            let id = channel.id;
            channel.client.on_session(|session, _| {
                session.check_join(&channel.name, params)?;
                session.set_join_params(id, params);
                Ok(())
            })??;
            Ok(status::OK)
        })
    }
}

/// The channel's name. *out is yours: pond_string_free.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_name(channel: *mut pond_channel, out: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, std::ptr::null_mut(), "out") }?;
        let channel = global::channel(channel as u64)?;
        // SAFETY: checked above.
        unsafe { put_string(out, &channel.name) }
    })
}

/// The newest truth: a POND_CHANNEL_ state, or POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_channel_state(channel: *mut pond_channel) -> i32 {
    guard(|| {
        let channel = global::channel(channel as u64)?;
        Ok(channel.client.read_session(|session| session.channel_state(channel.id)) as i32)
    })
}

/// Waits until the channel is in that state or reaches it; a terminal state that makes it impossible ends the wait. Blocks; not in
/// handlers.
/// POND_OK; POND_TIMEOUT: *error then describes the last failed dial, if there was one: free it; POND_ERROR_DECLINED, _EVICTED,
/// _CLOSED (with the story in *error), _WOULD_DEADLOCK, _INVALID_HANDLE, _INVALID_ARGUMENT (no channel state).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_wait_state(
    channel: *mut pond_channel,
    state: i32,
    timeout_ms: u32,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2).
    unsafe {
        waited(error, || {
            let channel = global::channel(channel as u64)?;
            let state = ChannelState::from_number(state).ok_or_else(|| invalid("not a channel state"))?;
            Ok(channel
                .client
                .wait_channel_state(channel.id, channel.key, state, timeout_ms))
        })
    }
}

/// Who is there, as the server's JSON array of the last presence frame; "[]" before any. *users_json is yours: pond_string_free.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_presence(
    channel: *mut pond_channel,
    users_json: *mut *mut c_char,
    len: *mut usize,
) -> i32 {
    guard(|| {
        if !len.is_null() {
            // SAFETY: `len` is writable when it is not NULL (rule 5).
            unsafe { len.write(0) };
        }
        // SAFETY: `users_json` is NULL or writable (rule 3).
        unsafe { out_zeroed(users_json, std::ptr::null_mut(), "users_json") }?;
        let channel = global::channel(channel as u64)?;
        let users = channel
            .client
            .read_session(|session| session.presence(channel.id).to_owned());
        if !len.is_null() {
            // SAFETY: `len` is writable when it is not NULL (rule 5).
            unsafe { len.write(users.len()) };
        }
        // SAFETY: checked above.
        unsafe { put_string(users_json, &users) }
    })
}

/// The channel and the checked message of whoever sends or asks.
///
/// # Safety
/// Pairs in are as rule 4 asks, for as long as what comes out is used.
#[inline]
unsafe fn addressed<'a>(
    channel: *mut pond_channel,
    (event, event_len): (*const c_char, usize),
    (payload, payload_len): (*const c_char, usize),
) -> Result<(Arc<Channel>, &'a str, &'a str), Failure> {
    let channel = global::channel(channel as u64)?;
    // SAFETY: the caller's promise.
    let (event, payload) = unsafe { message_in(event, event_len, payload, payload_len) }?;
    Ok((channel, event, payload))
}

/// # Safety
/// `error` is NULL or writable (rule 2), pairs in are as rule 4 asks.
#[inline(never)]
unsafe fn send(
    channel: *mut pond_channel,
    event: *const c_char,
    event_len: usize,
    payload: *const c_char,
    payload_len: usize,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: the caller's promises.
    unsafe {
        guard_error_here(error, || {
            let (channel, event, payload) = addressed(channel, (event, event_len), (payload, payload_len))?;
            channel.client.send(channel.id, event, payload)?;
            Ok(status::OK)
        })
    }
}

/// Accepts a message: written in order, or it comes back as POND_EVENT_DROPPED, or it was handed to the system on a link that then
/// died: those are counted by pond_event_in_doubt. Not JOINED: it goes to the channel's queue (queue_limit, overflow). JOINED: to
/// the client's buffer (outbound_limit). payload_json: one object, nested 100 deep at most; NULL = {}. Never waits.
/// POND_OK; POND_ERROR_QUEUE_FULL: nothing taken, later one WRITABLE; POND_ERROR_CLOSED or _DECLINED: the channel has ended;
/// _TOO_LARGE, _INVALID_HANDLE, _INVALID_ARGUMENT (no name), _INVALID_UTF8, _INVALID_JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_send(
    channel: *mut pond_channel,
    event: *const c_char,
    payload_json: *const c_char,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), strings in are as rule 4 asks; the lengths are theirs.
    unsafe {
        send(
            channel,
            event,
            str_len(event),
            payload_json,
            str_len(payload_json),
            error,
        )
    }
}

/// As pond_channel_send, with (pointer, length) pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_send_n(
    channel: *mut pond_channel,
    event: *const c_char,
    event_len: usize,
    payload: *const c_char,
    payload_len: usize,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), pairs in are as rule 4 asks.
    unsafe { send(channel, event, event_len, payload, payload_len, error) }
}

/// For news that age at once (positions): written now if JOINED and nothing waits before it, else forgotten. Never waits.
/// POND_OK, POND_SKIPPED; POND_ERROR_CLOSED or _DECLINED: the channel has ended; _TOO_LARGE, _INVALID_HANDLE, _INVALID_ARGUMENT
/// (no name), _INVALID_UTF8, _INVALID_JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_send_volatile(
    channel: *mut pond_channel,
    event: *const c_char,
    event_len: usize,
    payload: *const c_char,
    payload_len: usize,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), pairs in are as rule 4 asks.
    unsafe {
        guard_error(error, || {
            let (channel, event, payload) = addressed(channel, (event, event_len), (payload, payload_len))?;
            let id = channel.id;
            let sent = channel
                .client
                .on_session(|session, _| session.send_volatile(id, event, payload))??;
            Ok(if sent { status::OK } else { status::SKIPPED })
        })
    }
}

/// 0 = the option's time, POND_FOREVER = no limit.
fn request_timeout(timeout_ms: u32) -> Option<u64> {
    (timeout_ms != u32::MAX).then_some(u64::from(timeout_ms))
}

/// Asks. Negative status: fn is never called (destroy is). POND_OK: exactly one POND_EVENT_REPLY, to fn or (fn NULL) to
/// pond_queue_next; a client without a queue needs fn. The clock starts now; timeout_ms 0 = the option's, POND_FOREVER = no limit.
/// `ticket` (may be NULL) is a number below 2^53, unique in the process, written before the reply can come. Queued like a message
/// while not JOINED. Never waits.
/// POND_OK, and the errors of pond_channel_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_request(
    channel: *mut pond_channel,
    event: *const c_char,
    payload_json: *const c_char,
    timeout_ms: u32,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    ticket: *mut u64,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` and `ticket` are NULL or writable (rules 2, 3), strings in are as rule 4 asks; the lengths are theirs.
    unsafe {
        pond_channel_request_n(
            channel,
            event,
            str_len(event),
            payload_json,
            str_len(payload_json),
            timeout_ms,
            r#fn,
            user_data,
            destroy,
            ticket,
            error,
        )
    }
}

/// As pond_channel_request, with (pointer, length) pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_request_n(
    channel: *mut pond_channel,
    event: *const c_char,
    event_len: usize,
    payload: *const c_char,
    payload_len: usize,
    timeout_ms: u32,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    ticket: *mut u64,
    error: *mut *mut pond_error,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    let tell = |number: u64| {
        if !ticket.is_null() {
            // SAFETY: the caller promises that a non-NULL `ticket` is writable (rule 3).
            unsafe { ticket.write(number) };
        }
    };
    // SAFETY: `error` is NULL or writable (rule 2), pairs in are as rule 4 asks.
    unsafe {
        guard_error_here(error, || {
            tell(0);
            let (channel, event, payload) = addressed(channel, (event, event_len), (payload, payload_len))?;
            if !incoming.has_function() && !channel.client.has_program_queue() {
                return Err(invalid(
                    "fn is NULL, and the client has no queue to pull the reply from",
                ));
            }
            let user_data = incoming.user_data();
            let attachment = incoming.tie();
            let number = global::number();
            // Before the reply can come.
            tell(number);
            let timeout = request_timeout(timeout_ms);
            let tie = Tie { attachment, user_data };
            let asked = channel.client.request(channel.id, event, payload, timeout, number, tie);
            if asked.is_err() {
                tell(0);
            }
            asked.map(|()| status::OK)
        })
    }
}

/// Completes a request of this channel with POND_ERROR_CANCELLED. Never waits.
/// POND_OK; POND_EMPTY: it is complete already (its event may still wait to be read), or no request of this channel;
/// POND_ERROR_INVALID_HANDLE, _CLOSED (freed meanwhile).
#[unsafe(no_mangle)]
pub extern "C" fn pond_channel_cancel_request(channel: *mut pond_channel, ticket: u64) -> i32 {
    guard(|| {
        let channel = global::channel(channel as u64)?;
        let id = channel.id;
        let cancelled = channel
            .client
            .on_session(|session, _| session.is_pending(id, ticket) && session.cancel_request(ticket))?;
        Ok(if cancelled { status::OK } else { status::EMPTY })
    })
}

/// Asks and blocks; the reply comes to you past queue and handlers. *reply is yours: pond_event_free. Not in handlers. Needs reading
/// to go on: on a thread that also drains a queue, prefer pond_channel_request. timeout_ms as there.
/// POND_OK; the errors of pond_channel_send; POND_ERROR_SERVER, _TIMEOUT, _CONNECTION_LOST, _CLOSED, _DECLINED, _EVICTED,
/// _QUEUE_FULL (dropped, or twice the inbound limit waits unread), _WOULD_DEADLOCK; *reply is NULL then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_channel_call(
    channel: *mut pond_channel,
    event: *const c_char,
    payload_json: *const c_char,
    timeout_ms: u32,
    reply: *mut *mut pond_event,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2); the arguments are as rules 3 and 4 ask.
    unsafe {
        guard_error(error, || {
            out_zeroed(reply, std::ptr::null_mut(), "reply")?;
            let channel = global::channel(channel as u64)?;
            let (event, payload) = message_str_in(event, payload_json)?;
            let timeout = request_timeout(timeout_ms);
            let answer = channel
                .client
                .call(channel.id, event, payload, timeout, global::number())?;
            reply.write(event::into_raw(answer));
            Ok(status::OK)
        })
    }
}
