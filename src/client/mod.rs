//! The driver: sockets, clocks, threads, queues. It turns sockets and clocks into inputs of the session, and the session's
//! outputs into bytes and events.

pub mod core;
pub mod delivered;
mod direct;
mod driver;
pub mod handlers;
pub mod library;
pub mod net;
pub mod pool;
pub mod queue;
mod report;
mod signal;
pub mod store;
pub mod sync;
pub mod target;
pub mod threads;
pub mod wait;

pub use core::{Client, Completion, Setup};
pub use delivered::Delivered;
pub use handlers::{Callback, Registration, Selector};
pub use library::Library;
pub use queue::{EventQueue, Pulled};
pub use target::Target;
