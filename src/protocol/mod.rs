//! The words: what goes over the wire. Pure functions, no state.

pub mod check;
pub mod envelope;
pub mod frames;
pub mod payload;
pub mod route;
pub(crate) mod scan;
pub mod shape;
pub mod simd;
pub mod usual;
pub mod write;

pub use check::{CheckError, DEFAULT_MAX_OUT, MAX_NESTING};
pub use envelope::{Action, Envelope};
pub use frames::{FrameError, Frames, parse_frame, parse_frame_as};
pub use payload::{
    PresenceKind, PresenceParts, ServerError, connection_id, eviction_reason, is_error_event, is_eviction,
    presence_kind, presence_parts, server_error,
};
pub use route::{Pattern, Route};
pub use scan::Reading;
pub use shape::Shape;
pub use simd::Level;
pub use usual::{Span, Usual};
pub use write::{ClientAction, client_frame, message_head};
