//! The queue group of the header.

use std::ffi::c_void;
use std::time::Duration;

use crate::client::sync::{Patience, inside_callback};
use crate::client::{Delivered, Pulled, Selector};
use crate::session::{Failure, status};

use super::callback::Incoming;
use super::event;
use super::global::{self, Object, global};
use super::guard::{guard, guard_free, guard_here};
use super::input::{invalid, out_zeroed};
use super::types::{pond_destroy_fn, pond_event, pond_event_fn, pond_queue};

/// Makes a queue: pond_options_set_queue gives clients to it. *out is yours: pond_queue_free.
/// POND_OK, POND_ERROR_INVALID_ARGUMENT, _NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_queue_new(out: *mut *mut pond_queue) -> i32 {
    guard(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, std::ptr::null_mut(), "out") }?;
        let key = global().insert_queue()?;
        // SAFETY: checked above.
        unsafe { out.write(key as *mut pond_queue) };
        Ok(status::OK)
    })
}

/// Frees a queue; its handle is gone at once. Remove its fd from your poller before. A waiting pond_queue_next answers
/// POND_ERROR_CLOSED.
/// POND_OK; POND_DEFERRED: clients still deliver to it, they stall until freed, and it goes with the last of them;
/// POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_queue_free(queue: *mut pond_queue) -> i32 {
    guard_free(|| {
        let object = global::remove(queue as u64, "queue", |object| matches!(object, Object::Queue(_)))?;
        match object {
            Object::Queue(queue) if !queue.close(Patience::Forever) => Ok(status::DEFERRED),
            _ => Ok(status::OK),
        }
    })
}

fn pull(
    queue: *mut pond_queue,
    timeout_ms: u32,
    capacity: u32,
    take: &mut dyn FnMut(Delivered),
) -> Result<Pulled, Failure> {
    let queue = global::queue(queue as u64)?;
    if timeout_ms > 0 && inside_callback() {
        return Err(Failure::new(
            status::WOULD_DEADLOCK,
            "a handler must not wait for events",
        ));
    }
    Ok(queue.pull(timeout_ms, capacity, take))
}

/// Takes one event: *out is yours, pond_event_free. Runs no handler. Several threads may pull; each event goes to one of them.
/// POND_OK; POND_EMPTY (timeout_ms 0), POND_TIMEOUT, POND_INTERRUPTED; POND_ERROR_CLOSED (freed meanwhile), _WOULD_DEADLOCK (in a
/// handler, with a timeout), _INVALID_HANDLE, _INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_queue_next(queue: *mut pond_queue, timeout_ms: u32, out: *mut *mut pond_event) -> i32 {
    guard_here(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, std::ptr::null_mut(), "out") }?;
        let pulled = pull(queue, timeout_ms, 1, &mut |event| {
            // SAFETY: checked above; one event is taken at most.
            unsafe { out.write(event::into_raw(event)) };
        })?;
        Ok(status_of(pulled))
    })
}

fn status_of(pulled: Pulled) -> i32 {
    match pulled {
        Pulled::Events(_) => status::OK,
        Pulled::Empty => status::EMPTY,
        Pulled::TimedOut => status::TIMEOUT,
        Pulled::Interrupted => status::INTERRUPTED,
        Pulled::Closed => status::CLOSED,
    }
}

/// Takes up to `capacity` events at once and waits only for the first. *count is 0 unless POND_OK.
/// As pond_queue_next; also POND_ERROR_INVALID_ARGUMENT for capacity 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_queue_next_many(
    queue: *mut pond_queue,
    timeout_ms: u32,
    out: *mut *mut pond_event,
    capacity: u32,
    count: *mut u32,
) -> i32 {
    guard(|| {
        // SAFETY: `count` is NULL or writable (rule 3).
        unsafe { out_zeroed(count, 0, "count") }?;
        if out.is_null() || capacity == 0 {
            return Err(invalid("out is NULL or capacity is 0"));
        }
        // SAFETY: the caller promises room for `capacity` pointers.
        unsafe { out.write_bytes(0, capacity as usize) };
        let mut taken = 0;
        let pulled = pull(queue, timeout_ms, capacity, &mut |event| {
            // SAFETY: at most `capacity` events are taken, and there is room for so many.
            unsafe { out.add(taken).write(event::into_raw(event)) };
            taken += 1;
        })?;
        if let Pulled::Events(taken) = pulled {
            // SAFETY: checked above.
            unsafe { count.write(taken) };
        }
        Ok(status_of(pulled))
    })
}

/// Runs handlers on this thread for up to max_events events or budget_us microseconds (0 = no limit; at least one event). Never waits
/// for events. If events are left, the wake function is called again.
/// How many events it took; POND_ERROR_BUSY: another thread dispatches this queue; POND_ERROR_WOULD_DEADLOCK: nested;
/// POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_queue_dispatch(queue: *mut pond_queue, max_events: u32, budget_us: u32) -> i32 {
    guard(|| {
        let queue = global::queue(queue as u64)?;
        Ok(queue.dispatch(max_events, Duration::from_micros(u64::from(budget_us))))
    })
}

/// A descriptor that is readable while an event or interrupt waits (level). Poll it only; the queue owns it.
/// During a dispatch it may stay readable after the last event is taken; when that returns, it says what is true.
/// POND_OK, POND_ERROR_INVALID_HANDLE, _INVALID_ARGUMENT, _NO_MEMORY; on Windows POND_ERROR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_queue_fd(queue: *mut pond_queue, out: *mut i32) -> i32 {
    guard(|| {
        // SAFETY: `out` is NULL or writable (rule 3).
        unsafe { out_zeroed(out, -1, "out") }?;
        let queue = global::queue(queue as u64)?;
        if cfg!(not(unix)) {
            return Err(Failure::new(status::UNSUPPORTED, "there is no such descriptor here"));
        }
        let fd = queue
            .fd()
            .map_err(|error| Failure::new(status::NO_MEMORY, error.to_string()))?;
        // SAFETY: checked above.
        unsafe { out.write(fd) };
        Ok(status::OK)
    })
}

/// Sets the wake function: called with POND_EVENT_WAKE on a library thread once per empty -> not empty, and at once if not empty now:
/// signal your loop, nothing more. A queue is empty again when next or dispatch has found it so. fn NULL removes it. Calls never
/// overlap.
/// POND_OK, POND_ERROR_INVALID_HANDLE: destroy has run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_queue_set_wake(
    queue: *mut pond_queue,
    r#fn: pond_event_fn,
    user_data: *mut c_void,
    destroy: pond_destroy_fn,
) -> i32 {
    let incoming = Incoming::new(r#fn, user_data, destroy);
    guard(|| {
        let queue = global::queue(queue as u64)?;
        let wake = if incoming.has_function() {
            incoming.arm(Selector::Wake)
        } else {
            drop(incoming);
            None
        };
        queue.set_wake(wake);
        Ok(status::OK)
    })
}

/// Ends one pond_queue_next, waiting now or called next. Calls don't add up. Not for signal handlers.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_queue_interrupt(queue: *mut pond_queue) -> i32 {
    guard(|| {
        global::queue(queue as u64)?.interrupt();
        Ok(status::OK)
    })
}
