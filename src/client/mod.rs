//! The driver: sockets, clocks, threads, queues. It turns sockets and clocks into inputs of the session, and the session's
//! outputs into bytes and events.

pub mod delivered;
pub mod net;

pub use delivered::Delivered;
