//! The C face: every exported function, the guard that each of them goes through, handles and callbacks.
//!
//! `unsafe` lives on this floor only.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
// What a C caller has to keep is told once, in the header's rules.
#![allow(clippy::missing_safety_doc)]

pub mod constants;
pub mod error;
pub mod event;
pub mod guard;
pub mod json;
pub mod types;
