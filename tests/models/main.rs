//! Models of what threads do to each other: the client's own sources, compiled against locks, threads and a clock that
//! shuttle schedules, and run under thousands of schedules. A schedule that fails is printed and can be replayed.
//!
//! The sources are the shipped ones, unchanged: in this crate the names `std` and `tokio` mean the stand-ins below. Only what does
//! I/O is replaced (links and dials, the library's I/O thread). shuttle knows deadlocks, so a wake-up that is lost is one.
//!
//! `cargo test --test models` takes about a minute; POND_MODEL_SCHEDULES=20000 tries harder, POND_MODEL_SEED=7 tries others.
//! tests/models/seeded/run.sh shows for every model a bug that it catches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate self as std;
extern crate self as tokio;
extern crate std as real_std;
extern crate tokio as real_tokio;

/// Thread-locals of scheduled threads; textual scope puts it before the one of the real library.
macro_rules! thread_local {
    ($($all:tt)*) => { shuttle::thread_local!($($all)*); };
}

mod stand_in;

pub use real_std::{
    any, borrow, boxed, cell, cmp, collections, convert, error, fmt, future, hash, io, iter, marker, mem, ops, option,
    os, panic, pin, process, ptr, result, str, string, vec,
};
pub use real_tokio::select;
pub(crate) use stand_in::{fs, sync, task, thread, time};

use pondsocket::{inject, protocol, session};

#[allow(dead_code, unused_imports)] // not everything in it is modelled
mod client;
mod driver;
mod free;
mod handlers;
mod pool;
mod queue;
#[cfg(unix)]
mod signal;
mod support;
mod wake;
