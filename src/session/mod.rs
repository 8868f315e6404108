//! The heart: a pure state machine for one client and its channels.
pub mod event;
