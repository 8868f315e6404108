//! The client group of the header.

use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::sync::Arc;

use crate::client::sync::{Patience, lock};
use crate::client::wait::Waited;
use crate::client::{Client, Selector, Setup, Target};
use crate::session::{ClientState, Failure, status};

use super::callback::Incoming;
use super::global::{self, Channel, Object, global};
use super::guard::{Answer, guard, guard_error, guard_free};
use super::input::{invalid, maybe_object_in, maybe_str_in, name_in, object_in, out_zeroed};
use super::options::{copy_of, header_in};
use super::strings::{put_string, str_in};
use super::subscribe::on_client;
use super::types::{
    pond_channel, pond_client, pond_destroy_fn, pond_error, pond_event_fn, pond_options, pond_subscription,
};

/// Makes a client; no I/O but reading the CA files of its options. url: ws, wss, http or https. params_json: one JSON object,
/// merged into the URL's own query (strings as they are, null leaves a key out, anything else as JSON text). options: copied;
/// NULL = defaults. *out is yours: pond_client_free.
/// POND_OK, POND_ERROR_INVALID_ARGUMENT, _INVALID_HANDLE (options, or the queue in them), _INVALID_UTF8, _INVALID_JSON, _INVALID_URL, _TLS (unusable
/// CA or certificate), _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_new(
    url: *const c_char,
    params_json: *const c_char,
    options: *mut pond_options,
    out: *mut *mut pond_client,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2); the arguments are as rules 3 and 4 ask.
    unsafe {
        guard_error(error, || {
            out_zeroed(out, std::ptr::null_mut(), "out")?;
            let url = str_in(url, "url")?;
            let params = maybe_object_in(params_json, "params_json")?;
            let options = copy_of(options)?;
            if options.queue.as_ref().is_some_and(|queue| queue.is_closed()) {
                return Err(Failure::new(
                    status::INVALID_HANDLE,
                    "the queue of the options is freed",
                ));
            }
            let max_in = usize::try_from(options.max_message_in).unwrap_or(usize::MAX);
            let tls = match options.tls()? {
                Some(tls) => Some(global().library()?.tls(&tls)?),
                None => None,
            };
            let target = Target::new(url, params, options.headers.clone(), tls, max_in)?;
            let key = global().insert(|key, library| {
                let mut config = options.config.clone();
                config.client = key;
                Object::Client(Client::new(
                    library,
                    Setup {
                        config,
                        target,
                        queue: options.queue.clone(),
                        inbound_events: options.inbound_events,
                        inbound_bytes: options.inbound_bytes,
                    },
                ))
            })?;
            out.write(key as *mut pond_client);
            Ok(status::OK)
        })
    }
}

fn on(client: *mut pond_client, act: impl FnOnce(&Arc<Client>) -> Result<(), Failure>) -> i32 {
    guard(|| {
        act(&global::client(client as u64)?)?;
        Ok(status::OK)
    })
}

/// Dials, in the background; also after disconnect or giving up. Never waits.
/// POND_OK also when already under way; POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_connect(client: *mut pond_client) -> i32 {
    on(client, Client::connect)
}

/// Says goodbye in the background: LEAVE for joined channels, flush, Close, 2 s at most. Channels become CLOSED and requests
/// complete with POND_ERROR_CLOSED at once, queued messages come back as DROPPED, the state becomes DISCONNECTED when the socket is
/// gone: pond_client_wait_state for it, then free. connect works again. Never waits.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_disconnect(client: *mut pond_client) -> i32 {
    on(client, |client| client.disconnect())
}

/// Drops the link and stops dialling but keeps channels (STALLED) and queues: for an app that goes to the background. Never waits.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_suspend(client: *mut pond_client) -> i32 {
    on(client, |client| client.suspend())
}

/// Dials at once after suspend, and rejoins. Never waits.
/// POND_OK also when not suspended; POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_resume(client: *mut pond_client) -> i32 {
    on(client, Client::resume)
}

/// Skips the backoff: dials now if a dial is waiting. Never waits.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_reconnect_now(client: *mut pond_client) -> i32 {
    on(client, |client| client.reconnect_now())
}

/// Ends everything at once without waiting for the network; its channels and subscriptions go stale. Requests complete with
/// POND_ERROR_CLOSED: fn on this thread, or (fn NULL) as events that stay in the queue. Other unread events go. Outside of
/// handlers no callback runs any more when it returns, and each destroy has run; inside one nothing waits, and destroy announces
/// the end. A goodbye (LEAVE, Close) goes on behind it for 1 s at most.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_free(client: *mut pond_client) -> i32 {
    guard_free(|| {
        let object = global::remove(client as u64, "client", |object| matches!(object, Object::Client(_)))?;
        if let Object::Client(client) = object {
            client.free(Patience::Forever);
        }
        Ok(status::OK)
    })
}

/// The newest truth: a POND_CLIENT_ state, or POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_state(client: *mut pond_client) -> i32 {
    guard(|| Ok(global::client(client as u64)?.state() as i32))
}

/// What the server calls this connection. *out is yours: pond_string_free.
/// POND_OK; POND_EMPTY: the server told none; POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_connection_id(client: *mut pond_client, out: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, std::ptr::null_mut(), "out") }?;
        match global::client(client as u64)?.connection_id() {
            // SAFETY: checked above.
            Some(id) => unsafe { put_string(out, &id) },
            None => Ok(status::EMPTY),
        }
    })
}

/// The answer to a wait: a positive status keeps its story, as an error object.
pub(super) unsafe fn waited(error: *mut *mut pond_error, wait: impl FnOnce() -> Result<Waited, Failure>) -> i32 {
    let mut answer = None;
    // SAFETY: the caller promises that `error` is NULL or writable.
    let status = unsafe {
        guard_error(error, || {
            let Waited { status, story } = wait()?;
            match story {
                Some(story) => {
                    if status >= 0 {
                        answer = Some(status);
                    }
                    Err(story)
                }
                None => Ok(status),
            }
        })
    };
    answer.unwrap_or(status)
}

/// Waits until the client is in that state or reaches it. Blocks; not in handlers.
/// POND_OK; if the client gave up, that failure (POND_ERROR_CONNECT, _TLS, _HTTP, _REJECTED, _CONNECTION_LOST, _TIMEOUT);
/// POND_TIMEOUT: *error then describes the last failed dial, if there was one: free it; POND_ERROR_CLOSED (freed meanwhile),
/// _WOULD_DEADLOCK, _INVALID_HANDLE, _INVALID_ARGUMENT (no client state).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_wait_state(
    client: *mut pond_client,
    state: i32,
    timeout_ms: u32,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2).
    unsafe {
        waited(error, || {
            let client = global::client(client as u64)?;
            let state = ClientState::from_number(state).ok_or_else(|| invalid("not a client state"))?;
            Ok(client.wait_state(state, timeout_ms))
        })
    }
}

/// Waits until everything accepted is written or dropped. Blocks; not in handlers.
/// POND_OK, POND_TIMEOUT, POND_ERROR_CLOSED (freed meanwhile), _WOULD_DEADLOCK, _INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_client_flush(client: *mut pond_client, timeout_ms: u32) -> i32 {
    guard(|| {
        let Waited { status, .. } = global::client(client as u64)?.flush(timeout_ms);
        Ok(status)
    })
}

/// Replaces all params of the URL's query, for the next dial.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _INVALID_URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_set_params(
    client: *mut pond_client,
    params_json: *const c_char,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), strings in are as rule 4 asks.
    unsafe {
        guard_error(error, || {
            let client = global::client(client as u64)?;
            let params = object_in(params_json, "params_json")?;
            let mut target = lock(client.target());
            let change = target.changed(None, Some(params))?;
            target.apply(change);
            Ok(status::OK)
        })
    }
}

/// Sets one request header for the next dial; value NULL removes it.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (not well-formed, or the handshake's own), _INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_set_header(
    client: *mut pond_client,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    on(client, |client| {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        let (name, value) = unsafe { header_in(name, value) }?;
        lock(client.target()).set_header(name, value);
        Ok(())
    })
}

/// Answers POND_EVENT_DIAL number `attempt`, in its handler or later; a URL or params given here replace the client's, NULL keeps
/// them. Unanswered within the connect timeout the dial counts as failed. To give up instead: pond_client_disconnect.
/// POND_OK; POND_ERROR_INVALID_STATE: not that dial; _INVALID_HANDLE, _INVALID_UTF8, _INVALID_JSON, _INVALID_URL: it still waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_answer_dial(
    client: *mut pond_client,
    attempt: u32,
    url: *const c_char,
    params_json: *const c_char,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2), strings in are as rule 4 asks.
    unsafe {
        guard_error(error, || {
            let client = global::client(client as u64)?;
            let url = maybe_str_in(url, "url")?;
            let params = maybe_object_in(params_json, "params_json")?;
            let change = lock(client.target()).changed(url, params)?;
            client.answer_dial(attempt, |target| target.apply(change))?;
            Ok(status::OK)
        })
    }
}

/// Makes a channel, IDLE, or finds it: one handle per name until it is freed. Asked again, the same one comes back with
/// POND_EXISTS; its params are replaced only while it is IDLE, CLOSED or DECLINED. *out: pond_channel_free, or with its client.
/// POND_OK, POND_EXISTS, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (empty name), _INVALID_UTF8, _INVALID_JSON, _TOO_LARGE,
/// _CLOSED (freed meanwhile), _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_channel(
    client: *mut pond_client,
    name: *const c_char,
    join_params_json: *const c_char,
    out: *mut *mut pond_channel,
    error: *mut *mut pond_error,
) -> i32 {
    // SAFETY: `error` is NULL or writable (rule 2); the arguments are as rules 3 and 4 ask.
    unsafe {
        guard_error(error, || {
            out_zeroed(out, std::ptr::null_mut(), "out")?;
            let owner = client as u64;
            let client = global::client(owner)?;
            let name = name_in(name, "name")?;
            let params = object_in(join_params_json, "join_params_json")?;
            let (key, existed) = client.channel(name, params, |id| {
                global().registry_mut().insert([owner, 0], |key| {
                    Object::Channel(Arc::new(Channel {
                        client: Arc::clone(&client),
                        id,
                        key,
                        name: name.to_owned(),
                    }))
                })
            })?;
            out.write(key as *mut pond_channel);
            Ok(if existed { status::EXISTS } else { status::OK })
        })
    }
}

/// Counters since pond_client_new, and levels of now. Grows only at its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct pond_stats {
    /// Bytes read by the WebSocket layer.
    pub bytes_in: u64,
    /// Bytes written by the WebSocket layer.
    pub bytes_out: u64,
    /// Text and binary frames received.
    pub frames_in: u64,
    /// Frames handed to the system.
    pub frames_out: u64,
    /// Outgoing messages that will never be sent.
    pub dropped: u64,
    /// Dials begun.
    pub dials: u64,
    /// How often the client was CONNECTED.
    pub connects: u64,
    /// Events from frames that wait now.
    pub inbound_events: u64,
    /// Bytes of those frames.
    pub inbound_bytes: u64,
    /// Messages accepted and not yet written.
    pub outbound_messages: u64,
    /// Round trip of the last ping in microseconds; 0 = none yet.
    pub rtt_us: u64,
}

/// Fills *out up to `size` = sizeof *out.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (out NULL, size 0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_stats(client: *mut pond_client, out: *mut pond_stats, size: usize) -> i32 {
    guard(|| {
        if out.is_null() || size == 0 {
            return Err(invalid("out is NULL or size is 0"));
        }
        // SAFETY: the caller promises `size` writable bytes at `out`.
        unsafe { out.cast::<u8>().write_bytes(0, size) };
        let stats = global::client(client as u64)?.stats();
        let full = pond_stats {
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            frames_in: stats.session.frames_in,
            frames_out: stats.session.frames_out,
            dropped: stats.session.dropped,
            dials: stats.session.dials,
            connects: stats.session.connects,
            inbound_events: u64::from(stats.backlog.events),
            inbound_bytes: stats.backlog.bytes,
            outbound_messages: stats.outbound_messages,
            rtt_us: stats.rtt_us,
        };
        let len = size.min(size_of::<pond_stats>());
        // SAFETY: both sides have `len` bytes and do not overlap; pond_stats is plain data without padding.
        unsafe { std::ptr::copy_nonoverlapping((&raw const full).cast::<u8>(), out.cast::<u8>(), len) };
        Ok(status::OK)
    })
}

unsafe fn register(
    client: *mut pond_client,
    selector: Selector,
    incoming: Incoming,
    out: *mut *mut pond_subscription,
) -> i32 {
    let body = || -> Answer {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { on_client(client, selector, incoming, out) }
    };
    guard(body)
}

/// Registers a handler for POND_EVENT_CLIENT_STATE. Handlers run in order of registration. out NULL: it lives as long as the client.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT (fn NULL), _CLOSED (freed meanwhile), _NO_MEMORY: destroy has run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_on_state(
    client: *mut pond_client,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(client, Selector::ClientState, incoming, out) }
}

/// Registers a handler for POND_EVENT_CLIENT_ERROR, which comes before the state it causes. As pond_client_on_state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_on_error(
    client: *mut pond_client,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(client, Selector::ClientError, incoming, out) }
}

/// Registers a handler for POND_EVENT_CLIENT_MESSAGE: frames on the endpoint itself, not the channels'. As pond_client_on_state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_on_endpoint_message(
    client: *mut pond_client,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(client, Selector::ClientMessage, incoming, out) }
}

/// Registers a handler for POND_EVENT_DIAL (pond_options_set_ask_before_dial). As pond_client_on_state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_client_on_dial(
    client: *mut pond_client,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
    out: *mut *mut pond_subscription,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    // SAFETY: `out` is NULL or writable (rule 3).
    unsafe { register(client, Selector::Dial, incoming, out) }
}
