//! The driver: sockets, clocks, threads, queues. It turns sockets and clocks into inputs of the session, and the session's
//! outputs into bytes and events.

pub mod announce;
mod completion;
pub mod core;
pub mod delivered;
mod dialing;
mod direct;
mod driver;
pub mod handlers;
pub mod library;
mod lost;
pub mod net;
pub mod pool;
pub mod queue;
mod report;
mod shared;
pub mod signal;
pub mod spares;
pub mod store;
pub mod sync;
pub mod target;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod wait;

pub use completion::Completion;
pub use core::{Client, Setup, Tie};
pub use delivered::Delivered;
pub use handlers::{Callback, Registration, Selector};
pub use library::Library;
pub use queue::{EventQueue, Pulled};
pub use target::Target;
