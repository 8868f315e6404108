//! Events: plain objects that tell what happened. One allocation each, that holds numbers and text; the fields in the text are
//! NUL-terminated.

use std::any::Any;
use std::ops::Deref;

use triomphe::{Arc, HeaderSlice, HeaderWithLength, ThinArc};

use crate::protocol::Span;

mod making;

pub use making::{BlockBuilder, EventMut};

/// The kinds of event, numbered as in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)] // documented where they are exported: src/ffi/constants.rs
pub enum EventKind {
    ClientState = 1,
    ClientError = 2,
    ClientMessage = 3,
    Dial = 4,
    ChannelState = 11,
    Message = 12,
    Presence = 13,
    ChannelError = 14,
    Reply = 15,
    Dropped = 16,
    Writable = 17,
    Log = 90,
    Wake = 91,
}

/// The text fields that an event may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Field {
    Name,
    Payload,
    Changed,
    Users,
    Message,
    ErrorCode,
    Details,
    ChannelName,
    RequestId,
}

/// What a floor above ties to an event.
pub type Attachment = Box<dyn Attached>;

/// What can be tied to an event.
pub trait Attached: Send + Sync {
    /// More about the event, for the floor that knows what it is.
    fn details(&self) -> Option<&dyn Any> {
        None
    }

    /// Who waits for this reply.
    fn waiting(&self) -> Option<&dyn Waiting> {
        None
    }
}

/// Whoever waits for a reply.
pub trait Waiting {
    /// The reply, for its handler. What follows the first answer is in vain.
    fn answer(&self, reply: &Event);
    /// There is a handler to run, not only something to release.
    fn is_callable(&self) -> bool;
}

const FIELDS: usize = 9;

/// The numbers of an event. What a kind does not have is 0.
pub struct Head {
    /// What happened.
    pub kind: EventKind,
    /// A status of the header (`POND_OK`, `POND_ERROR_...`).
    pub status: i32,
    /// The client's handle, as the floors above number it.
    pub client: u64,
    /// The channel's handle, 0 for client events.
    pub channel: u64,
    /// Bytes of the inbound frame that this event came from; 0 = not from a frame (lifecycle).
    pub frame_bytes: u32,
    /// Bytes of text in the block. Behind them a block that is used again has what it held before.
    text_bytes: u32,
    /// Of the fields: where they stand in the block, which holds a NUL behind each.
    spans: [Span; FIELDS],
    /// 1 join, 2 update, 3 leave; 0 when only the list changed.
    pub presence_kind: i32,
    /// Neither numbers nor text of its own: what is tied to it says of which event it is a view.
    pub view: bool,
    /// What a floor above ties to the event: few have any.
    pub attachment: Option<Attachment>,
    /// The request's number.
    pub ticket: u64,
    /// A number that the program has tied to the request.
    pub user_data: usize,
    /// Client state 1.., channel state 11...
    pub state: i32,
    /// The state before.
    pub previous_state: i32,
    /// HTTP status or the server's numeric code.
    pub http_status: i32,
    /// WebSocket close code, 0 when none came.
    pub close_code: i32,
    /// Log level, of LOG events only.
    pub level: i32,
    /// Which dial since the last CONNECTED, from 1.
    pub attempt: u32,
    /// Milliseconds until the next dial, `u32::MAX` when none will come.
    pub retry_ms: u32,
    /// How often this client has been CONNECTED.
    pub connect_count: u32,
    /// Messages handed to the system without proof that they arrived.
    pub in_doubt: u32,
    /// For how many messages a DROPPED event stands.
    pub count: u32,
}

impl Head {
    #[inline(always)]
    fn new(kind: EventKind, spans: [Span; FIELDS], text: &[u8]) -> Self {
        Self {
            kind,
            status: 0,
            client: 0,
            channel: 0,
            frame_bytes: 0,
            text_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
            spans,
            presence_kind: 0,
            view: false,
            attachment: None,
            ticket: 0,
            user_data: 0,
            state: 0,
            previous_state: 0,
            http_status: 0,
            close_code: 0,
            level: 0,
            attempt: 0,
            retry_ms: 0,
            connect_count: 0,
            in_doubt: 0,
            count: 0,
        }
    }
}

pub(super) type Block = HeaderSlice<HeaderWithLength<Head>, [u8]>;

/// One event, shared by reference count: a pointer to its only allocation. It does not change any more.
#[derive(Clone)]
pub struct Event(ThinArc<Head, u8>);

impl std::fmt::Debug for Event {
    // Its texts may be secret: only which there are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let present: Vec<bool> = self.spans.iter().map(|span| *span != Span::ABSENT).collect();
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("state", &self.state)
            .field("previous_state", &self.previous_state)
            .field("channel", &self.channel)
            .field("ticket", &self.ticket)
            .field("texts", &present)
            .finish_non_exhaustive()
    }
}

impl Deref for Event {
    type Target = Head;
    #[inline]
    fn deref(&self) -> &Head {
        &self.0.header.header
    }
}

impl Event {
    /// The bytes of a field (UTF-8, a NUL follows them in the block), or `None` when the event has no such field.
    pub fn text(&self, field: Field) -> Option<&str> {
        let (_, bytes) = self.bytes_with_nul(field)?.split_last()?;
        std::str::from_utf8(bytes).ok()
    }

    /// The same without the UTF-8 view and with the terminating NUL at its end.
    #[inline(always)]
    pub fn bytes_with_nul(&self, field: Field) -> Option<&[u8]> {
        let span = self.spans[field as usize];
        self.0.slice.get(span.start as usize..=span.end as usize)
    }

    /// Bytes of text that this event has.
    pub fn block_len(&self) -> usize {
        self.text_bytes as usize
    }

    /// Bytes of text that its block has room for.
    pub(super) fn capacity(&self) -> usize {
        self.0.slice.len()
    }

    /// Changes the numbers while nobody else holds the event. False: it is shared and stays as it is.
    pub fn edit(&mut self, change: impl FnOnce(&mut Head)) -> bool {
        self.0.with_arc_mut(|arc| match Arc::get_mut(arc) {
            Some(block) => {
                change(block.header_mut());
                true
            }
            None => false,
        })
    }

    /// The pointer itself, for the C face.
    pub fn as_thin(&self) -> &ThinArc<Head, u8> {
        &self.0
    }

    /// The same, given away.
    pub fn into_thin(self) -> ThinArc<Head, u8> {
        self.0
    }

    /// Takes such a pointer back.
    pub fn from_thin(thin: ThinArc<Head, u8>) -> Self {
        Self(thin)
    }
}

#[cfg(test)]
mod tests;
