//! The one boundary: no panic leaves the library, every failure becomes a status and, where asked for, an error object.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::inject;
use crate::session::{Failure, panic_failure, status};

use super::error;
use super::global::is_forked;
use super::types::pond_error;

/// What an entry answers: a status or count, or a failure with its story.
pub type Answer = Result<i32, Failure>;

/// Runs an entry that frees a handle: in a forked child it leaks on purpose.
pub fn guard_free(body: impl FnOnce() -> Answer) -> i32 {
    if is_forked() { status::OK } else { guard(body) }
}

/// Runs an entry that has no error output.
pub fn guard(body: impl FnOnce() -> Answer) -> i32 {
    match contained(body) {
        Ok(value) => value,
        Err(failure) => failure.status,
    }
}

/// The same with the code in place: for an entry that is called for each event.
#[inline(always)]
pub fn guard_here(body: impl FnOnce() -> Answer) -> i32 {
    // SAFETY: there is no error output.
    unsafe { guard_error_here(std::ptr::null_mut(), body) }
}

/// Runs an entry with an error output: NULL first, an object on failure.
///
/// # Safety
/// `out` is NULL or points to a writable pointer (rule 2 of the header).
pub unsafe fn guard_error(out: *mut *mut pond_error, body: impl FnOnce() -> Answer) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { clear(out) };
    match contained(body) {
        Ok(value) => value,
        // SAFETY: as above.
        Err(failure) => unsafe { tell(out, failure) },
    }
}

/// The same with the code in place: for the entry that is called most.
///
/// # Safety
/// As of `guard_error`.
#[inline(always)]
pub unsafe fn guard_error_here(out: *mut *mut pond_error, body: impl FnOnce() -> Answer) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { clear(out) };
    let answer = if is_forked() {
        Err(forked())
    } else {
        let body = || {
            inject::point("boundary");
            body()
        };
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(panic_failure()))
    };
    match answer {
        Ok(value) => value,
        // SAFETY: as above.
        Err(failure) => unsafe { tell(out, failure) },
    }
}

#[inline(always)]
unsafe fn clear(out: *mut *mut pond_error) {
    if !out.is_null() {
        // SAFETY: the caller promises that a non-NULL `out` is writable.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}

#[cold]
#[inline(never)]
unsafe fn tell(out: *mut *mut pond_error, failure: Failure) -> i32 {
    let status = failure.status;
    if !out.is_null() {
        let object = error::into_raw(failure);
        // SAFETY: the caller promises that a non-NULL `out` is writable.
        unsafe { out.write(object) };
    }
    status
}

#[cold]
fn forked() -> Failure {
    Failure::new(
        status::FORKED,
        "this process was forked: call pond_shutdown(0) to start anew here",
    )
}

/// Runs an entry that answers something else than a status; `fallback` stands for a panic.
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    let body = || {
        inject::point("accessor");
        body()
    };
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

fn contained(body: impl FnOnce() -> Answer) -> Answer {
    let mut body = Some(body);
    contained_call(&mut || body.take().map_or(Ok(status::OK), |body| body()))
}

/// Not generic: this is code once, not once per entry.
fn contained_call(body: &mut dyn FnMut() -> Answer) -> Answer {
    if is_forked() {
        return Err(forked());
    }
    let body = || {
        inject::point("boundary");
        body()
    };
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(panic_failure()))
}
