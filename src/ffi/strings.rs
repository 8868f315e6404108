//! Strings that cross the border: arguments on their way in, owned copies on their way out.

use std::ffi::{CStr, c_char};

use crate::protocol::simd;
use crate::session::{Failure, status};

use super::guard::{Answer, guard_value};

/// A copy of the text that `pond_string_free` frees; NULL when memory ran out.
pub fn string_out(text: &str) -> *mut c_char {
    bytes_out(text.as_bytes())
}

/// The same for bytes; a NUL is put after them.
pub fn bytes_out(bytes: &[u8]) -> *mut c_char {
    // malloc needs no length to free it again, so that the bytes may contain NULs.
    // SAFETY: a slice is never longer than isize::MAX, so that the size does not overflow.
    let block = unsafe { libc::malloc(bytes.len() + 1) }.cast::<u8>();
    if !block.is_null() {
        // SAFETY: the block has room for the bytes and one NUL, and nobody else knows it yet.
        unsafe {
            block.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            block.add(bytes.len()).write(0);
        }
    }
    block.cast()
}

/// A string argument: not NULL, UTF-8.
///
/// # Safety
/// NULL or NUL-terminated, and unchanged while the result is in use (rule 4).
pub(super) unsafe fn str_in<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::new(status::INVALID_ARGUMENT, format!("{what} is NULL")));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    utf8(text.to_bytes(), what)
}

/// A (pointer, length) argument: UTF-8; NULL is allowed with length 0.
///
/// # Safety
/// NULL, or `len` readable bytes that stay unchanged while the result is in use (rule 4).
#[inline]
pub(super) unsafe fn pair_in<'a>(text: *const c_char, len: usize, what: &str) -> Result<&'a str, Failure> {
    if len == 0 {
        return Ok("");
    }
    if text.is_null() || len > isize::MAX as usize {
        return Err(Failure::new(
            status::INVALID_ARGUMENT,
            format!("{what} is NULL, or its length is impossible"),
        ));
    }
    // SAFETY: the caller's promise; the length is one that a slice may have.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    utf8(bytes, what)
}

#[inline]
fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Failure> {
    valid(bytes).ok_or_else(|| not_utf8(bytes, what))
}

#[inline(never)]
fn valid(bytes: &[u8]) -> Option<&str> {
    // Much faster than the standard one, but says no place.
    simd::text(bytes)
}

#[cold]
#[inline(never)]
fn not_utf8(bytes: &[u8], what: &str) -> Failure {
    let place = std::str::from_utf8(bytes).map_or_else(|error| error.to_string(), |_| String::new());
    Failure::new(status::INVALID_UTF8, format!("{what}: {place}"))
}

/// Puts an owned copy into an output.
///
/// # Safety
/// `out` is writable.
pub(super) unsafe fn put_string(out: *mut *mut c_char, text: &str) -> Answer {
    let copy = string_out(text);
    if copy.is_null() {
        return Err(Failure::new(status::NO_MEMORY, "no memory for a string"));
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(copy) };
    Ok(status::OK)
}

/// Frees a string that came through a `char **`. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_string_free(string: *mut c_char) {
    guard_value((), || {
        // SAFETY: NULL, or made by `bytes_out` with malloc and not freed before (rule 5).
        unsafe { libc::free(string.cast()) };
    });
}
