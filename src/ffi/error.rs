//! Error objects: what a failed call has to say, and the accessors to read it.

use std::ffi::{CStr, c_char};

use crate::session::Failure;

use super::guard::guard_value;
use super::types::pond_error;

/// What a `pond_error` points to. The texts end with a NUL.
struct ErrorObject {
    status: i32,
    http_status: i32,
    code: Box<[u8]>,
    message: Box<[u8]>,
    details: Box<[u8]>,
}

/// An error object of that failure; `pond_error_free` frees it.
pub fn into_raw(failure: Failure) -> *mut pond_error {
    let details = if failure.details.is_empty() {
        "null"
    } else {
        &failure.details
    };
    let object = ErrorObject {
        status: failure.status,
        http_status: failure.http_status,
        code: terminated(failure.code()),
        message: terminated(&failure.message),
        details: terminated(details),
    };
    Box::into_raw(Box::new(object)).cast()
}

fn terminated(text: &str) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes.into_boxed_slice()
}

/// # Safety
/// NULL, or a live object made by `into_raw` (rule 7 of the header).
unsafe fn object<'a>(error: *const pond_error) -> Option<&'a ErrorObject> {
    // SAFETY: every live pond_error was made by `into_raw`, so an ErrorObject is behind it.
    unsafe { error.cast::<ErrorObject>().as_ref() }
}

/// Hands out borrowed bytes that end with a NUL, and their length without it.
///
/// # Safety
/// `len` is NULL or writable.
pub(super) unsafe fn lend(terminated: &[u8], len: *mut usize) -> *const c_char {
    if !len.is_null() {
        // SAFETY: the caller promises that a non-NULL `len` is writable.
        unsafe { len.write(terminated.len().saturating_sub(1)) };
    }
    terminated.as_ptr().cast()
}

/// # Safety
/// As `object` and `lend`.
unsafe fn text(
    error: *const pond_error,
    len: *mut usize,
    absent: &'static CStr,
    field: fn(&ErrorObject) -> &[u8],
) -> *const c_char {
    guard_value(absent.as_ptr(), || {
        // SAFETY: the caller's promise (rule 7).
        let bytes = match unsafe { object(error) } {
            Some(object) => field(object),
            None => absent.to_bytes_with_nul(),
        };
        // SAFETY: the caller's promise (rule 5).
        unsafe { lend(bytes, len) }
    })
}

/// The status of the failed call: always negative; POND_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_status(error: *const pond_error) -> i32 {
    guard_value(0, || {
        // SAFETY: NULL or a live error (rule 7).
        unsafe { object(error) }.map_or(0, |object| object.status)
    })
}

/// The server's word for it, or the name of the status; borrowed (rule 5). NULL error: "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_code(error: *const pond_error, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live error (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(error, len, c"", |object| &object.code) }
}

/// What happened, for people; borrowed (rule 5). NULL error: "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_message(error: *const pond_error, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live error (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(error, len, c"", |object| &object.message) }
}

/// The HTTP status of a refused upgrade, or the server's numeric code; 0 = none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_http_status(error: *const pond_error) -> i32 {
    guard_value(0, || {
        // SAFETY: NULL or a live error (rule 7).
        unsafe { object(error) }.map_or(0, |object| object.http_status)
    })
}

/// The server's JSON about it, "null" when there is none; borrowed (rule 5).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_details(error: *const pond_error, len: *mut usize) -> *const c_char {
    // SAFETY: NULL or a live error (rule 7); `len` is NULL or writable (rule 5).
    unsafe { text(error, len, c"null", |object| &object.details) }
}

/// Frees an error and the strings borrowed from it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_error_free(error: *mut pond_error) {
    guard_value((), || {
        if !error.is_null() {
            // SAFETY: made by `into_raw` and not freed before (rule 7).
            drop(unsafe { Box::from_raw(error.cast::<ErrorObject>()) });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::status;
    use std::ptr::{null, null_mut};

    type Getter = unsafe extern "C" fn(*const pond_error, *mut usize) -> *const c_char;

    /// The text, read both ways: by length, and by its NUL.
    fn read(getter: Getter, error: *const pond_error) -> String {
        let mut len = usize::MAX;
        // SAFETY: `error` is NULL or live, `len` is writable, and the text has `len` bytes and a NUL.
        unsafe {
            let pointer = getter(error, &mut len);
            let bytes = std::slice::from_raw_parts(pointer.cast::<u8>(), len + 1);
            assert_eq!(bytes[len], 0, "no NUL after the text");
            assert_eq!(getter(error, null_mut()), pointer, "`len` may be NULL");
            String::from_utf8(bytes[..len].to_vec()).unwrap()
        }
    }

    #[test]
    fn an_error_tells_all_that_the_failure_knew() {
        let raw = into_raw(Failure {
            status: status::HTTP,
            code: "FORBIDDEN".into(),
            message: "the server said no".into(),
            http_status: 403,
            details: r#"{"why":"ä"}"#.into(),
        });
        // SAFETY: `raw` is live.
        unsafe {
            assert_eq!(pond_error_status(raw), status::HTTP);
            assert_eq!(pond_error_http_status(raw), 403);
        }
        assert_eq!(read(pond_error_code, raw), "FORBIDDEN");
        assert_eq!(read(pond_error_message, raw), "the server said no");
        assert_eq!(read(pond_error_details, raw), r#"{"why":"ä"}"#);
        // SAFETY: `raw` is live, and not used any more.
        unsafe { pond_error_free(raw) };
    }

    #[test]
    fn what_a_failure_does_not_know_reads_as_told() {
        let raw = into_raw(Failure::new(status::CLOSED, ""));
        assert_eq!(read(pond_error_code, raw), "POND_ERROR_CLOSED");
        assert_eq!(read(pond_error_message, raw), "");
        assert_eq!(read(pond_error_details, raw), "null");
        // SAFETY: `raw` is live, and not used any more.
        unsafe {
            assert_eq!(pond_error_http_status(raw), 0);
            pond_error_free(raw);
        }
    }

    #[test]
    fn a_nul_inside_does_not_end_the_text_for_those_who_ask_its_length() {
        let raw = into_raw(Failure::new(status::SERVER, "a\0b"));
        assert_eq!(read(pond_error_message, raw), "a\0b");
        // SAFETY: `raw` is live, and not used any more.
        unsafe { pond_error_free(raw) };
    }

    #[test]
    fn null_is_an_empty_error() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(pond_error_status(null()), status::OK);
            assert_eq!(pond_error_http_status(null()), 0);
            pond_error_free(null_mut());
        }
        assert_eq!(read(pond_error_code, null()), "");
        assert_eq!(read(pond_error_message, null()), "");
        assert_eq!(read(pond_error_details, null()), "null");
    }
}
