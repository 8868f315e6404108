//! The C face: every exported function, the guard that each of them goes through, handles and callbacks.
//!
//! `unsafe` lives here and in `protocol::simd` only.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
// What a C caller has to keep is told once, in the header's rules.
#![allow(clippy::missing_safety_doc)]

mod callback;
pub mod channel;
pub mod channel_on;
pub mod client;
pub mod constants;
pub mod error;
pub mod event;
mod global;
pub mod guard;
mod handle;
mod input;
pub mod json;
pub mod library;
mod log;
pub mod options;
mod os;
pub mod queue;
pub mod strings;
pub mod subscribe;
pub mod types;
