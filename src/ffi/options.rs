//! Options: what pond_client_new copies.

use std::ffi::c_char;
use std::sync::{Arc, Mutex};

use crate::client::EventQueue;
use crate::client::net::{TlsOptions, check_client_cert, check_header, check_pem};
use crate::client::sync::lock;
use crate::client::target::set_header;
use crate::session::{Config, Failure, Overflow, status};

use super::global::{self, Object, global};
use super::guard::{guard, guard_free};
use super::input::{invalid, maybe_str_in, out_zeroed};
use super::strings::str_in;
use super::types::{pond_options, pond_queue};

/// The largest time that an option takes, in milliseconds: 24 days, which every timer of every platform can do.
const MOST_MS: u32 = i32::MAX as u32;
const LEAST_MESSAGE: u64 = 1_024;
/// A frame's length must fit the event that carries it.
const MOST_MESSAGE: u64 = 1 << 30;

/// All options, with their defaults.
#[derive(Clone)]
pub struct Options {
    /// The session's rules.
    pub config: Config,
    /// Largest inbound message in bytes.
    pub max_message_in: u64,
    /// Waiting inbound frames, in events.
    pub inbound_events: u32,
    /// Waiting inbound frames, in bytes.
    pub inbound_bytes: u64,
    /// Request headers of each dial.
    pub headers: Vec<(String, String)>,
    /// PEM texts of CAs.
    pub ca_pem: Vec<String>,
    /// Files of CAs, read by pond_client_new.
    pub ca_files: Vec<String>,
    /// Certificate and key.
    pub client_cert: Option<(String, String)>,
    /// No verification at all.
    pub insecure_skip_verify: bool,
    /// The program's queue.
    pub queue: Option<Arc<EventQueue>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::default(),
            max_message_in: 16 * 1024 * 1024,
            inbound_events: 10_000,
            inbound_bytes: 16 * 1024 * 1024,
            headers: Vec::new(),
            ca_pem: Vec::new(),
            ca_files: Vec::new(),
            client_cert: None,
            insecure_skip_verify: false,
            queue: None,
        }
    }
}

impl Options {
    /// The TLS options with every file read; `None` = nothing but the defaults.
    pub fn tls(&self) -> Result<Option<TlsOptions>, Failure> {
        let mut ca_pem = self.ca_pem.clone();
        for path in &self.ca_files {
            let pem = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(status::TLS, format!("the CA file cannot be read: {error}")))?;
            check_pem(&pem).map_err(|error| Failure::new(status::TLS, format!("the CA file is unusable: {error}")))?;
            ca_pem.push(pem);
        }
        let plain = ca_pem.is_empty() && self.client_cert.is_none() && !self.insecure_skip_verify;
        Ok((!plain).then(|| TlsOptions {
            ca_pem,
            client_cert: self.client_cert.clone(),
            insecure_skip_verify: self.insecure_skip_verify,
        }))
    }
}

fn set(options: *mut pond_options, change: impl FnOnce(&mut Options) -> Result<(), Failure>) -> i32 {
    guard(|| {
        let options = global::options(options as u64)?;
        change(&mut lock(&options))?;
        Ok(status::OK)
    })
}

fn time(ms: u32) -> Result<u64, Failure> {
    if ms == 0 || ms > MOST_MS {
        return Err(invalid("a time from 1 to 2147483647 ms is needed"));
    }
    Ok(u64::from(ms))
}

fn switch(on: i32) -> Result<bool, Failure> {
    match on {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(invalid("a switch is 0 or 1")),
    }
}

/// Makes a set of options with the defaults. Yours: pond_options_free. Times are from 1 to 2147483647 ms, so POND_FOREVER is refused.
/// POND_OK, POND_ERROR_INVALID_ARGUMENT, POND_ERROR_NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_options_new(out: *mut *mut pond_options) -> i32 {
    guard(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, std::ptr::null_mut(), "out") }?;
        let key = global()
            .registry_mut()
            .insert([0; 2], |_| Object::Options(Arc::default()))?;
        // SAFETY: checked above.
        unsafe { out.write(key as *mut pond_options) };
        Ok(status::OK)
    })
}

/// Frees options; clients made from them keep their copies.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_free(options: *mut pond_options) -> i32 {
    guard_free(|| {
        global::remove(options as u64, "options", |object| matches!(object, Object::Options(_)))?;
        Ok(status::OK)
    })
}

/// How long a dial may take, from name lookup to the server's CONNECTION. Default 10000 ms; 0 is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_connect_timeout_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.connect_timeout = time(ms)?;
        Ok(())
    })
}

/// How long the server may take to answer a join. Default 10000 ms; 0 is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_join_timeout_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.join_timeout = time(ms)?;
        Ok(())
    })
}

/// How long requests wait that name no time of their own. Default 10000 ms; 0 is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_response_timeout_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.response_timeout = time(ms)?;
        Ok(())
    })
}

/// The backoff between dials: a random time (full jitter) up to base_ms * 2^n, never above max_ms. n grows with each failure
/// and starts anew after a connection that lived 5 s. Default 1000 and 30000 ms; base_ms 0 or above max_ms is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_backoff_ms(options: *mut pond_options, base_ms: u32, max_ms: u32) -> i32 {
    set(options, |options| {
        let (base, max) = (time(base_ms)?, time(max_ms)?);
        if base > max {
            return Err(invalid("the base of the backoff is above its cap"));
        }
        options.config.backoff_base = base;
        options.config.backoff_max = max;
        Ok(())
    })
}

/// How many dials may follow a failed dial or a lost connection before the client gives up. Default -1: no limit; 0: none.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_max_reconnect_attempts(options: *mut pond_options, attempts: i32) -> i32 {
    set(options, |options| {
        if attempts < -1 {
            return Err(invalid("attempts is -1 (no limit), 0 (none) or a number"));
        }
        options.config.max_reconnect_attempts = attempts;
        Ok(())
    })
}

/// How often the client pings the server. Default 25000 ms; 0 = no pings, then a dead link is found only by writing.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_ping_interval_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.ping_interval = if ms == 0 { 0 } else { time(ms)? };
        Ok(())
    })
}

/// How long a pong may take before the link counts as dead; other traffic stretches it up to three times. Default 10000 ms;
/// 0 is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_pong_timeout_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.pong_timeout = time(ms)?;
        Ok(())
    })
}

/// How many messages each channel that is not JOINED keeps. Default 100; 0 is refused.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_queue_limit(options: *mut pond_options, messages: u32) -> i32 {
    set(options, |options| {
        if messages == 0 {
            return Err(invalid("a queue holds at least 1 message"));
        }
        options.config.queue_limit = messages;
        Ok(())
    })
}

/// What that queue does when it is full: a POND_OVERFLOW_ value. Default POND_OVERFLOW_DROP_OLDEST.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_overflow(options: *mut pond_options, policy: i32) -> i32 {
    set(options, |options| {
        options.config.overflow = Overflow::from_number(policy).ok_or_else(|| invalid("no such overflow policy"))?;
        Ok(())
    })
}

/// How many bytes may be accepted on JOINED channels and not yet be written. Default 4 MiB; 0 is refused. One message always fits.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_outbound_limit(options: *mut pond_options, bytes: u64) -> i32 {
    set(options, |options| {
        if bytes == 0 {
            return Err(invalid("an outbound limit of 0 bytes"));
        }
        options.config.outbound_limit = bytes;
        Ok(())
    })
}

/// How long an upgraded socket stays silent before it counts as connected to a server of the old dialect, which sends no
/// CONNECTION. Off for good once a CONNECTION came. Default 2000 ms; 0 = only CONNECTION connects.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_legacy_grace_ms(options: *mut pond_options, ms: u32) -> i32 {
    set(options, |options| {
        options.config.legacy_grace = if ms == 0 { 0 } else { time(ms)? };
        Ok(())
    })
}

/// 1: a refusal with 401 or 403 is retried like any failure. Default 0: before the first CONNECTED it gives up.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_retry_refused(options: *mut pond_options, on: i32) -> i32 {
    set(options, |options| {
        options.config.retry_refused = switch(on)?;
        Ok(())
    })
}

/// The largest message in each direction, as framed, in bytes. Default 16 MiB in, 512 KiB out (the smallest limit of the known
/// servers). From 1 KiB to 1 GiB. A larger one out is POND_ERROR_TOO_LARGE, a larger one in ends the connection.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_max_message_bytes(options: *mut pond_options, r#in: u64, out: u64) -> i32 {
    set(options, |options| {
        let fits = |bytes| (LEAST_MESSAGE..=MOST_MESSAGE).contains(&bytes);
        if !fits(r#in) || !fits(out) {
            return Err(invalid("a message limit is from 1024 to 1073741824 bytes"));
        }
        options.max_message_in = r#in;
        options.config.max_message_out = out;
        Ok(())
    })
}

/// How many events from frames, and how many bytes of them, may wait to be read or handled; then the socket is no longer read
/// until half of it is free. Default 10000 events, 16 MiB; 0 is refused. One batch of frames may exceed it.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_inbound_limit(options: *mut pond_options, events: u32, bytes: u64) -> i32 {
    set(options, |options| {
        if events == 0 || bytes == 0 {
            return Err(invalid("an inbound limit of 0"));
        }
        options.inbound_events = events;
        options.inbound_bytes = bytes;
        Ok(())
    })
}

/// A request header of each dial (Authorization, Cookie, Origin...); replaces one of the same name, value NULL removes it.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (not well-formed, or the handshake's own),
/// POND_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_options_set_header(
    options: *mut pond_options,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    set(options, |options| {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        let (name, value) = unsafe { header_in(name, value) }?;
        set_header(&mut options.headers, name, value);
        Ok(())
    })
}

/// A checked header.
///
/// # Safety
/// As `str_in`, for both.
pub unsafe fn header_in<'a>(name: *const c_char, value: *const c_char) -> Result<(&'a str, Option<&'a str>), Failure> {
    // SAFETY: the caller's promise.
    let (name, value) = unsafe { (str_in(name, "name")?, maybe_str_in(value, "value")?) };
    check_header(name, value.unwrap_or_default()).map_err(invalid)?;
    Ok((name, value))
}

/// A PEM file with CA certificates, trusted beside the platform's roots. Read by pond_client_new, which answers POND_ERROR_TLS
/// when it is unusable. Several calls add up; NULL forgets them.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT, POND_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_options_set_ca_file(options: *mut pond_options, path: *const c_char) -> i32 {
    set(options, |options| {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        match unsafe { maybe_str_in(path, "path") }? {
            None => options.ca_files.clear(),
            Some("") => return Err(invalid("path is empty")),
            Some(path) => options.ca_files.push(path.to_owned()),
        }
        Ok(())
    })
}

/// CA certificates as PEM text, trusted beside the platform's roots. Several calls add up; NULL forgets them.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (no certificate in it), POND_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_options_set_ca_pem(options: *mut pond_options, pem: *const c_char) -> i32 {
    set(options, |options| {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        match unsafe { maybe_str_in(pem, "pem") }? {
            None => options.ca_pem.clear(),
            Some(pem) => {
                check_pem(pem).map_err(invalid)?;
                options.ca_pem.push(pem.to_owned());
            }
        }
        Ok(())
    })
}

/// The certificate chain and private key, PEM texts, with which the client shows who it is. NULL and NULL remove them.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT (unusable, or only one given), POND_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_options_set_client_cert(
    options: *mut pond_options,
    cert_pem: *const c_char,
    key_pem: *const c_char,
) -> i32 {
    set(options, |options| {
        // SAFETY: strings in are NULL or NUL-terminated (rule 4).
        let (cert, key) = unsafe { (maybe_str_in(cert_pem, "cert_pem")?, maybe_str_in(key_pem, "key_pem")?) };
        options.client_cert = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                check_client_cert(cert, key).map_err(invalid)?;
                Some((cert.to_owned(), key.to_owned()))
            }
            _ => return Err(invalid("a certificate needs its key, and a key its certificate")),
        };
        Ok(())
    })
}

/// 1: the server's certificate is not verified at all. For experiments only. Default 0.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_insecure_skip_verify(options: *mut pond_options, on: i32) -> i32 {
    set(options, |options| {
        options.insecure_skip_verify = switch(on)?;
        Ok(())
    })
}

/// Events go to this queue instead of the library's threads; many clients may share one. NULL: to the library's threads.
/// POND_OK, POND_ERROR_INVALID_HANDLE (also of the queue).
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_queue(options: *mut pond_options, queue: *mut pond_queue) -> i32 {
    set(options, |options| {
        options.queue = if queue.is_null() {
            None
        } else {
            Some(global::queue(queue as u64)?)
        };
        Ok(())
    })
}

/// 1: each dial first becomes a POND_EVENT_DIAL that waits for pond_client_answer_dial: a fresh token, another URL. Default 0.
/// POND_OK, POND_ERROR_INVALID_HANDLE, POND_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn pond_options_set_ask_before_dial(options: *mut pond_options, on: i32) -> i32 {
    set(options, |options| {
        options.config.ask_before_dial = switch(on)?;
        Ok(())
    })
}

/// Options by their handle; NULL = the defaults.
pub fn copy_of(options: *mut pond_options) -> Result<Options, Failure> {
    if options.is_null() {
        return Ok(Options::default());
    }
    let shared: Arc<Mutex<Options>> = global::options(options as u64)?;
    let copy = lock(&shared).clone();
    Ok(copy)
}
