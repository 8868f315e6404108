//! Arguments on their way in: checked, with a failure that says which one is wrong.

use std::ffi::{CStr, c_char};

use crate::protocol::{CheckError, check};
use crate::session::{Failure, status};

use super::strings::{pair_in, str_in};

/// A failed check as a failure.
pub fn failure_of(error: &CheckError) -> Failure {
    let status = match error {
        CheckError::InvalidArgument(_) => status::INVALID_ARGUMENT,
        CheckError::InvalidUtf8(_) => status::INVALID_UTF8,
        CheckError::InvalidJson { .. } => status::INVALID_JSON,
        CheckError::TooLarge(_) => status::TOO_LARGE,
    };
    Failure::new(status, error.to_string())
}

/// A failure that says what is wrong with an argument.
#[inline(never)] // it is asked for in many places
pub fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(status::INVALID_ARGUMENT, message)
}

/// A name: UTF-8, not empty.
///
/// # Safety
/// As `str_in`.
pub unsafe fn name_in<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { str_in(text, what) }?;
    check::name(text, what).map_err(|error| failure_of(&error))?;
    Ok(text)
}

/// A JSON object; NULL stands for {}.
///
/// # Safety
/// As `str_in`.
pub unsafe fn object_in<'a>(json: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if json.is_null() {
        return Ok("{}");
    }
    // SAFETY: the caller's promise.
    let json = unsafe { str_in(json, what) }?;
    check::object(json, what).map_err(|error| failure_of(&error))?;
    Ok(json)
}

/// A JSON object that may be left out.
///
/// # Safety
/// As `str_in`.
pub unsafe fn maybe_object_in<'a>(json: *const c_char, what: &str) -> Result<Option<&'a str>, Failure> {
    if json.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { object_in(json, what) }.map(Some)
}

/// A text that may be left out.
///
/// # Safety
/// As `str_in`.
pub unsafe fn maybe_str_in<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { str_in(text, what) }.map(Some)
}

/// An event name and a payload object as (pointer, length) pairs. A NULL payload of length 0 stands for {}.
///
/// # Safety
/// As `pair_in`, for both.
pub unsafe fn message_in<'a>(
    event: *const c_char,
    event_len: usize,
    payload: *const c_char,
    payload_len: usize,
) -> Result<(&'a str, &'a str), Failure> {
    if event.is_null() {
        return Err(invalid("event is NULL"));
    }
    // SAFETY: the caller's promise.
    let event = unsafe { pair_in(event, event_len, "event") }?;
    check::name(event, "event").map_err(|error| failure_of(&error))?;
    if payload.is_null() && payload_len == 0 {
        return Ok((event, "{}"));
    }
    // SAFETY: the caller's promise.
    let payload = unsafe { pair_in(payload, payload_len, "payload") }?;
    check::object(payload, "payload").map_err(|error| failure_of(&error))?;
    Ok((event, payload))
}

/// The same as NUL-terminated strings.
///
/// # Safety
/// As `str_in`, for both.
pub unsafe fn message_str_in<'a>(event: *const c_char, payload: *const c_char) -> Result<(&'a str, &'a str), Failure> {
    // SAFETY: the caller's promise; the lengths are those of the strings.
    unsafe { message_in(event, str_len(event), payload, str_len(payload)) }
}

/// The length of a NUL-terminated string; 0 for NULL.
///
/// # Safety
/// As `str_in`.
pub unsafe fn str_len(text: *const c_char) -> usize {
    if text.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.count_bytes()
}

/// A required output, zeroed.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn out_zeroed<T: Copy>(out: *mut T, zero: T, what: &str) -> Result<(), Failure> {
    if out.is_null() {
        return Err(invalid(format!("{what} is NULL")));
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(zero) };
    Ok(())
}
