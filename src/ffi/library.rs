//! Versions, names, the log, the end of everything.

use std::ffi::{c_char, c_void};

use crate::client::Selector;
use crate::client::sync::{deadline, inside_callback};
use crate::session::{Failure, status};

use super::callback::Incoming;
use super::constants::POND_ABI_VERSION;
use super::global::{abandon, global, is_forked};
use super::guard::guard;
use super::input::invalid;
use super::log;
use super::types::{pond_destroy_fn, pond_event_fn};

/// The version of the library that runs, "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn pond_version() -> *const c_char {
    static VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The ABI of the library that runs: compare it with POND_ABI_VERSION when loading dynamically.
#[unsafe(no_mangle)]
pub extern "C" fn pond_abi_version() -> u32 {
    POND_ABI_VERSION
}

/// The name of a status, "POND_ERROR_CLOSED"; "POND_UNKNOWN" for any other number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn pond_status_name(status: i32) -> *const c_char {
    status::c_name(status).as_ptr()
}

/// The name of a client or channel state, "CONNECTED", "JOINED"; "UNKNOWN" for any other number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn pond_state_name(state: i32) -> *const c_char {
    status::c_state_name(state).as_ptr()
}

/// Sets the one log sink of the process in place of the earlier one; level POND_LOG_OFF or fn NULL removes it. Called with
/// POND_EVENT_LOG on any thread, also yours, inside library calls; what it causes to be logged itself is not. Nothing secret
/// (URL query, headers, params, payloads) is ever logged. pond_shutdown removes it.
/// POND_OK, POND_ERROR_INVALID_ARGUMENT (no such level), POND_ERROR_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_log_set(
    level: i32,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    guard(|| {
        let filter = log::level_filter(level).ok_or_else(|| invalid("no such log level"))?;
        if !incoming.has_function() || filter == ::log::LevelFilter::Off {
            drop(incoming);
            log::remove();
        } else if let Some(sink) = incoming.arm(Selector::Log) {
            log::install(filter, sink);
        }
        Ok(status::OK)
    })
}

/// Frees every client, queue and option (all handles go stale, requests complete, destroys run), says goodbye, joins every thread
/// and removes the log sink. The next call of anything starts anew. In a forked child it abandons what was inherited.
/// POND_OK; POND_TIMEOUT: something still runs, call again; in a handler POND_ERROR_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub extern "C" fn pond_shutdown(timeout_ms: u32) -> i32 {
    if is_forked() {
        abandon();
        return status::OK;
    }
    guard(|| {
        if inside_callback() {
            return Err(Failure::new(
                status::WOULD_DEADLOCK,
                "a handler must not wait for all handlers",
            ));
        }
        if global().shutdown(deadline(timeout_ms)) {
            Ok(status::OK)
        } else {
            Ok(status::TIMEOUT)
        }
    })
}
