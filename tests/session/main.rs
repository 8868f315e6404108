//! The rules of the session floor: deterministic, with a made-up clock and made-up or recorded frames.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is how a test says no"
)]

mod harness;
mod ledger;
mod server;

mod capture;
mod channel;
mod connection;
mod goodbye;
mod outbound;
mod pings;
mod presence;
mod random;
mod replay;
mod requests;
mod rows;
mod simulation;
mod table_a_channel;
mod table_a_connection;
mod table_b_channel;
mod table_b_connection;
