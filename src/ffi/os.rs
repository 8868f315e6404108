//! The few calls of the operating system that std has no safe words for.

/// Runs `body` while this thread blocks all signals, so that a thread started in it inherits that.
#[cfg(unix)]
pub fn with_signals_blocked(body: &mut dyn FnMut()) {
    // SAFETY: both sets are plain data that the calls fill or read; the mask of this thread is put back below, and
    // `body` starts a thread, which does not unwind.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut old: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        let blocked = libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) == 0;
        body();
        if blocked {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut());
        }
    }
}

/// No signals to block here.
#[cfg(not(unix))]
pub fn with_signals_blocked(body: &mut dyn FnMut()) {
    body();
}

/// From now on a forked child knows that it is one.
#[cfg(unix)]
pub fn watch_forks() {
    extern "C" fn in_the_child() {
        super::global::mark_forked();
    }
    // SAFETY: the handler is a function of this library, which is linked so that it is never unloaded; it only stores a
    // flag, which is allowed between fork and exec.
    unsafe {
        libc::pthread_atfork(None, None, Some(in_the_child));
    }
}

/// No fork here.
#[cfg(not(unix))]
pub fn watch_forks() {}

/// A descriptor for `pond_queue_fd`: half as dear as a pair of sockets.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn event_descriptor() -> std::io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: the call takes no memory.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
