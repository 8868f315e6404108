//! Events: plain objects that tell what happened. One block of text each, NUL-terminated fields inside.

use bytes::Bytes;

use super::status::Failure;

/// A byte range in an event's block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte; the block holds a NUL there.
    pub end: u32,
}

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

const FIELDS: usize = 9;

/// One event. What a kind does not have is 0 or absent.
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// A status of the header (`POND_OK`, `POND_ERROR_...`).
    pub status: i32,
    /// Client state 1.., channel state 11...
    pub state: i32,
    /// The state before.
    pub previous_state: i32,
    /// 1 join, 2 update, 3 leave; 0 when only the list changed.
    pub presence_kind: i32,
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
    /// The request's number.
    pub ticket: u64,
    /// The client's handle, as the floors above number it.
    pub client: u64,
    /// The channel's handle, 0 for client events.
    pub channel: u64,
    /// Bytes of the inbound frame that this event came from; 0 = not from a frame (lifecycle).
    pub frame_bytes: u32,
    block: Bytes,
    spans: [Option<Span>; FIELDS],
}

impl std::fmt::Debug for Event {
    // Its texts may be secret: only which there are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let present: Vec<bool> = self.spans.iter().map(Option::is_some).collect();
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

impl Event {
    /// An event without any text.
    pub fn new(kind: EventKind) -> Self {
        Self::with_text(kind, &[])
    }

    /// An event whose fields are copied from `fields`; later ones replace earlier ones of the same name.
    pub fn with_text(kind: EventKind, fields: &[(Field, &str)]) -> Self {
        let mut builder = Block::with_capacity(fields.iter().map(|(_, text)| text.len() + 1).sum());
        for (field, text) in fields {
            builder.append(*field, text);
        }
        builder.finish(kind)
    }

    /// The bytes of a field (UTF-8, a NUL follows them in the block), or `None` when the event has no such field.
    pub fn text(&self, field: Field) -> Option<&str> {
        let span = self.spans[field as usize]?;
        let bytes = self.block.get(span.start as usize..span.end as usize)?;
        std::str::from_utf8(bytes).ok()
    }

    /// The same without the UTF-8 view and with the terminating NUL at its end.
    pub fn bytes_with_nul(&self, field: Field) -> Option<&[u8]> {
        let span = self.spans[field as usize]?;
        self.block.get(span.start as usize..=span.end as usize)
    }

    /// The bytes of a field, shared with this event's block.
    pub fn share(&self, field: Field) -> Option<Bytes> {
        let span = self.spans[field as usize]?;
        Some(self.block.slice(span.start as usize..span.end as usize))
    }

    /// Bytes that this event keeps alive.
    pub fn block_len(&self) -> usize {
        self.block.len()
    }
}

/// Builds the one block of an event: first the frame's own bytes, then whatever had to be decoded.
#[derive(Default)]
pub struct Block {
    bytes: Vec<u8>,
    spans: [Option<Span>; FIELDS],
}

impl Block {
    /// An empty block that will not grow up to `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            spans: [None; FIELDS],
        }
    }

    /// A block that starts as a copy of `text`, with room for `extra` more bytes.
    pub fn copy_of(text: &str, extra: usize) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + extra + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self {
            bytes,
            spans: [None; FIELDS],
        }
    }

    /// Appends a field and its NUL.
    pub fn append(&mut self, field: Field, text: &str) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        let end = self.bytes.len() as u32;
        self.bytes.push(0);
        self.spans[field as usize] = Some(Span { start, end });
    }

    /// Takes a field from the copied text: `part` must be a slice of `whole`, the text given to `copy_of`. A part that
    /// is not (decoded escapes) is appended instead. The byte after the part becomes its NUL, so it must be a delimiter
    /// and no two fields may touch.
    pub fn take(&mut self, field: Field, whole: &str, part: &str) {
        let base = whole.as_ptr() as usize;
        let at = part.as_ptr() as usize;
        let inside = at >= base && at + part.len() <= base + whole.len();
        let start = at.wrapping_sub(base);
        let end = start.wrapping_add(part.len());
        if inside && end < self.bytes.len() {
            self.bytes[end] = 0;
            self.spans[field as usize] = Some(Span {
                start: start as u32,
                end: end as u32,
            });
        } else {
            self.append(field, part);
        }
    }

    /// Appends the fields that tell a failure.
    pub fn append_failure(&mut self, failure: &Failure) {
        self.append(Field::Message, &failure.message);
        self.append(Field::ErrorCode, failure.code());
        if !failure.details.is_empty() {
            self.append(Field::Details, &failure.details);
        }
    }

    /// The event.
    pub fn finish(self, kind: EventKind) -> Event {
        Event {
            kind,
            status: 0,
            state: 0,
            previous_state: 0,
            presence_kind: 0,
            http_status: 0,
            close_code: 0,
            level: 0,
            attempt: 0,
            retry_ms: 0,
            connect_count: 0,
            in_doubt: 0,
            count: 0,
            ticket: 0,
            client: 0,
            channel: 0,
            frame_bytes: 0,
            block: self.bytes.into(),
            spans: self.spans,
        }
    }
}
