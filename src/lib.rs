//! `libpondsocket`: the native PondSocket client.
//!
//! Four floors, each knows only those below: [`ffi`] (the C face), [`client`] (sockets, clocks, threads, queues),
//! [`session`] (the pure state machine) and [`protocol`] (the words on the wire).
#![deny(unsafe_code)]

pub mod client;
pub mod ffi;
#[doc(hidden)]
pub mod inject;
pub mod protocol;
pub mod session;
