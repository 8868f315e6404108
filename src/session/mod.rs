//! The heart: a pure state machine for one client and its channels. No sockets, no threads, no clock: inputs come with
//! the time, outputs are polled.

pub mod event;
pub mod status;

pub use event::{Event, EventKind, Field};
pub use status::{ChannelState, ClientState, Failure};
