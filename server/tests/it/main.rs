//! The test server as its users see it: the spawned binary and real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is how a test says no"
)]

mod app;
mod chat;
mod process;
mod redis;
mod replay;
mod script;
mod support;
mod tls;
