//! Events in the making: texts and numbers are put into a block that nobody else holds yet.

use std::ops::{Deref, DerefMut};

use triomphe::{Arc, HeaderWithLength, UniqueArc};

use super::{Block, Event, EventKind, FIELDS, Field, Head};
use crate::protocol::{Span, Usual};
use crate::session::spare::{Spare, Spares, USUAL};
use crate::session::status::Failure;

/// An event in the making: nobody else holds it yet.
pub struct EventMut(UniqueArc<Block>);

impl Deref for EventMut {
    type Target = Head;
    #[inline]
    fn deref(&self) -> &Head {
        &self.0.header.header
    }
}

impl DerefMut for EventMut {
    #[inline]
    fn deref_mut(&mut self) -> &mut Head {
        &mut self.0.header.header
    }
}

impl EventMut {
    /// An event without any text.
    pub fn new(kind: EventKind) -> Self {
        Self::with_block(kind, [Span::ABSENT; FIELDS], &[])
    }

    /// An event whose fields are copied from `fields`; later ones replace earlier ones of the same name.
    pub fn with_text(kind: EventKind, fields: &[(Field, &str)]) -> Self {
        let mut block = BlockBuilder::with_capacity(fields.iter().map(|(_, text)| text.len() + 1).sum());
        for (field, text) in fields {
            block.append(*field, text);
        }
        block.finish(kind)
    }

    /// An event of an inbound frame: one copy of its text, in which NULs take the place of the delimiters behind the parts.
    /// A part that is no slice of `text` (decoded escapes) is appended, unless it is empty. No two parts may touch.
    pub fn from_frame(kind: EventKind, text: &str, parts: &[(Field, Option<&str>)], spares: &mut Spares) -> Self {
        let mut spans = [Span::ABSENT; FIELDS];
        let mut appended = 0;
        for &(field, part) in parts {
            let Some(part) = part else { continue };
            match place_in(text, part) {
                Some(span) => spans[field as usize] = span,
                None if part.is_empty() => {}
                None => appended += part.len() + 1,
            }
        }
        let mut event = if appended == 0 {
            Self::in_spare(Head::new(kind, spans, text.as_bytes()), text, spares)
        } else {
            let mut block = BlockBuilder::with_capacity(text.len() + appended);
            block.bytes.extend_from_slice(text.as_bytes());
            block.spans = spans;
            for &(field, part) in parts {
                match part {
                    Some(part) if spans[field as usize] == Span::ABSENT && !part.is_empty() => {
                        block.append(field, part)
                    }
                    _ => {}
                }
            }
            block.finish(kind)
        };
        for span in spans.iter().filter(|span| **span != Span::ABSENT) {
            if let Some(delimiter) = event.0.slice.get_mut(span.end as usize) {
                *delimiter = 0;
            }
        }
        event.frame_bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        event
    }

    /// A message event of a frame whose parts are known: one copy of the text, in which NULs take the place of the
    /// delimiters behind the parts. In a spare block, if there is one and the text fits.
    #[inline(always)]
    pub fn message(text: &str, usual: &Usual<'_>, channel: u64, spares: &mut Spares) -> Self {
        const NONE: Span = Span::ABSENT;
        // In the order of the fields. Written out, as below: loops would not be unrolled, and this is done for each message.
        let (name, payload) = (usual.event(), usual.payload());
        let (channel_name, request_id) = (usual.channel(), usual.request_id());
        let spans = [name, payload, NONE, NONE, NONE, NONE, NONE, channel_name, request_id];
        let mut head = Head::new(EventKind::Message, spans, text.as_bytes());
        head.channel = channel;
        head.frame_bytes = head.text_bytes;
        let mut event = Self::in_spare(head, text, spares);
        let block = &mut event.0.slice;
        let mut end = |span: Span| {
            // Where an absent one would end is the frame's bracket, which nobody reads.
            if let Some(delimiter) = block.get_mut(span.end as usize) {
                *delimiter = 0;
            }
        };
        end(name);
        end(payload);
        end(channel_name);
        end(request_id);
        event
    }

    fn with_block(kind: EventKind, spans: [Span; FIELDS], bytes: &[u8]) -> Self {
        Self::with_head(Head::new(kind, spans, bytes), bytes)
    }

    /// The text in a block that is used again, if there is one that fits.
    #[inline(always)]
    fn in_spare(head: Head, text: &str, spares: &mut Spares) -> Self {
        let Some(spare) = spares.take(text.len()) else {
            return Self::with_head(head, text.as_bytes());
        };
        let mut event = Self(spare.0);
        *event = head;
        if let Some(start) = event.0.slice.get_mut(..text.len()) {
            start.copy_from_slice(text.as_bytes());
        }
        event
    }

    /// A usual block that was not used yet.
    #[cold]
    #[inline(never)]
    pub(in crate::session) fn unused() -> Spare {
        Spare(Self::with_block(EventKind::Message, [Span::ABSENT; FIELDS], &[0; USUAL]).0)
    }

    #[inline]
    fn with_head(head: Head, bytes: &[u8]) -> Self {
        let mut fresh = Arc::from_header_and_slice(HeaderWithLength::new(head, bytes.len()), bytes);
        loop {
            // It has one owner, so that the first turn is the last.
            match Arc::try_unique(fresh) {
                Ok(unique) => return Self(unique),
                Err(shared) => fresh = shared,
            }
        }
    }

    /// There is such a field.
    pub fn has(&self, field: Field) -> bool {
        self.spans[field as usize] != Span::ABSENT
    }

    /// The bytes of a field.
    pub fn text(&self, field: Field) -> Option<&str> {
        let span = self.spans[field as usize];
        let bytes = self.0.slice.get(span.start as usize..span.end as usize)?;
        std::str::from_utf8(bytes).ok()
    }

    /// Bytes of text that this event has.
    pub fn block_len(&self) -> usize {
        self.text_bytes as usize
    }

    /// It changes no more and can be shared.
    #[inline]
    pub fn freeze(self) -> Event {
        Event(Arc::into_thin(self.0.shareable()))
    }
}

/// Where in `whole` its slice `part` lies, if it is one and a delimiter follows it.
fn place_in(whole: &str, part: &str) -> Option<Span> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end < whole.len()).then_some(())?;
    Some(Span {
        start: u32::try_from(start).ok()?,
        end: u32::try_from(end).ok()?,
    })
}

/// Builds the text of an event that does not come from a frame.
pub struct BlockBuilder {
    bytes: Vec<u8>,
    spans: [Span; FIELDS],
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl BlockBuilder {
    /// An empty one that will not grow up to `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            spans: [Span::ABSENT; FIELDS],
        }
    }

    /// Appends a field and its NUL.
    pub fn append(&mut self, field: Field, text: &str) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        let end = self.bytes.len() as u32;
        self.bytes.push(0);
        self.spans[field as usize] = Span { start, end };
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
    pub fn finish(self, kind: EventKind) -> EventMut {
        EventMut::with_block(kind, self.spans, &self.bytes)
    }
}
