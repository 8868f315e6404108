//! Events: plain objects that tell what happened. One allocation each, that holds numbers and text; the fields in the text are
//! NUL-terminated.

use std::any::Any;
use std::ops::{Deref, DerefMut};

use triomphe::{Arc, HeaderSlice, HeaderWithLength, ThinArc, UniqueArc};

use super::spare::{Spare, Spares, USUAL};
use super::status::Failure;
use crate::protocol::{Span, Usual};

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
                if let Some(part) = part
                    && spans[field as usize] == Span::ABSENT
                    && !part.is_empty()
                {
                    block.append(field, part);
                }
            }
            block.finish(kind)
        };
        for span in spans {
            if let Some(delimiter) = event.0.slice.get_mut(span.end as usize)
                && span != Span::ABSENT
            {
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
    pub(super) fn unused() -> Spare {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_block_is_of_the_size_that_its_text_was_chosen_for() {
        // With the count, the length, and the eight bytes that an allocator needs.
        #[cfg(target_pointer_width = "64")]
        assert!(size_of::<Head>() + USUAL + 24 <= 512);
    }

    #[test]
    fn parts_are_found_in_the_copy_or_appended() {
        let text = r#"{"event":"e","payload":{"a":1},"channelName":"\/c"}"#;
        let payload = &text[text.find("{\"a").unwrap()..][..7];
        let parts = [
            (Field::Name, Some(&text[10..11])),
            (Field::Payload, Some(payload)),
            (Field::ChannelName, Some("/c")),
            (Field::RequestId, Some("")),
            (Field::Users, None),
        ];
        let event = EventMut::from_frame(EventKind::Message, text, &parts, &mut Spares::new()).freeze();
        assert_eq!(event.text(Field::Name), Some("e"));
        assert_eq!(event.bytes_with_nul(Field::Payload), Some(&b"{\"a\":1}\0"[..]));
        assert_eq!(event.bytes_with_nul(Field::ChannelName), Some(&b"/c\0"[..]));
        assert_eq!(event.text(Field::RequestId), None);
        assert_eq!(event.text(Field::Users), None);
        assert_eq!(
            event.block_len(),
            text.len() + 3,
            "one copy of the frame, and what was decoded"
        );
        assert_eq!(event.frame_bytes as usize, text.len());
    }

    #[test]
    fn a_part_without_a_delimiter_behind_it_is_copied() {
        let text = "ab";
        let event = EventMut::from_frame(
            EventKind::Message,
            text,
            &[(Field::Name, Some(&text[1..]))],
            &mut Spares::new(),
        )
        .freeze();
        assert_eq!(event.bytes_with_nul(Field::Name), Some(&b"b\0"[..]));
    }

    /// A message whose parts are these.
    fn message(payload: &str, request_id: &str, spares: &mut Spares) -> (String, Event) {
        let frame = format!(
            r#"{{"action":"BROADCAST","event":"e","channelName":"/c","requestId":"{request_id}","payload":{{"a":"{payload}"}}}}"#
        );
        let usual = crate::protocol::parse_frame(&frame).next_usual().unwrap();
        let event = EventMut::message(&frame, &usual, 7, spares).freeze();
        assert_eq!(event.text(Field::Payload), Some(&*format!(r#"{{"a":"{payload}"}}"#)));
        assert_eq!(event.text(Field::RequestId), Some(request_id));
        assert_eq!(
            (event.text(Field::Name), event.text(Field::ChannelName)),
            (Some("e"), Some("/c"))
        );
        assert_eq!(
            (event.block_len(), event.frame_bytes as usize),
            (frame.len(), frame.len())
        );
        (frame, event)
    }

    #[test]
    fn a_block_that_is_used_again_shows_nothing_of_what_it_held() {
        let mut spares = Spares::new();
        let (_, first) = message(&"secret ".repeat(30), "first", &mut spares);
        let block = first.as_thin().as_ptr();
        spares.keep(first);
        let (frame, second) = message("b", "second", &mut spares);
        assert_eq!(second.as_thin().as_ptr(), block);
        assert!(spares.is_empty());
        let fields = [
            Field::Changed,
            Field::Users,
            Field::Message,
            Field::ErrorCode,
            Field::Details,
        ];
        for field in fields {
            assert_eq!(second.bytes_with_nul(field), None);
        }
        for field in [Field::Name, Field::Payload, Field::ChannelName, Field::RequestId] {
            let shown = second.bytes_with_nul(field).unwrap();
            assert!(frame.contains(std::str::from_utf8(shown.split_last().unwrap().1).unwrap()));
        }
        let fresh = message("b", "second", &mut spares).1;
        assert_eq!(
            format!("{second:?}"),
            format!("{fresh:?}"),
            "the numbers are new as well"
        );
    }

    struct Tied;
    impl Attached for Tied {}

    #[test]
    fn only_the_last_holder_makes_a_block_a_spare_one() {
        let mut spares = Spares::new();
        let (_, first) = message("a", "id", &mut spares);
        spares.keep(first.clone());
        assert!(spares.is_empty(), "somebody else holds it");
        let mut first = first;
        assert!(first.edit(|head| head.attachment = Some(Box::new(Tied))));
        spares.keep(first.clone());
        assert!(spares.is_empty());
        assert!(
            first.attachment.is_some(),
            "what is tied to it stays with those who hold it"
        );
        spares.keep(first);
        let spare = spares.take(1).unwrap();
        assert!(spare.0.header.header.attachment.is_none(), "it goes with the last one");
        spares.keep(EventMut::new(EventKind::Dropped).freeze());
        assert!(spares.is_empty(), "it has no room for text");
    }

    #[test]
    fn a_large_block_is_used_again_for_what_fills_half_of_it() {
        let mut spares = Spares::new();
        let (_, first) = message(&"secret ".repeat(200), "id", &mut spares);
        let (block, size) = (first.as_thin().as_ptr(), first.block_len());
        spares.keep(first);
        assert_eq!((spares.len(), spares.large_text()), (1, size));
        let (_, small) = message("a", "id", &mut spares);
        assert_eq!(spares.len(), 1, "it is for large ones");
        let (_, second) = message(&"b".repeat(1000), "id", &mut spares);
        assert_eq!(second.as_thin().as_ptr(), block);
        assert_eq!((spares.len(), spares.large_text()), (0, 0));
        for payload in [400, 2000] {
            let (_, other) = message(&"c".repeat(1000), "id", &mut spares);
            spares.keep(other);
            let (_, fresh) = message(&"d".repeat(payload), "id", &mut spares);
            assert!(spares.is_empty(), "one that does not fit goes");
            assert_eq!(fresh.capacity(), fresh.block_len());
        }
        drop((small, second));
    }

    #[test]
    fn what_is_kept_of_large_blocks_is_bounded() {
        let (mut kept, mut more) = (Spares::new(), Spares::new());
        for _ in 0..100 {
            for _ in 0..4 {
                let (_, event) = message(&"x".repeat(50_000), "id", &mut Spares::new());
                more.keep(event);
            }
            kept.append(&mut more);
            more.clear();
            assert_eq!(more.large_text(), 0);
        }
        assert!((1 << 20..2 << 20).contains(&kept.large_text()), "{}", kept.large_text());
        let (_, event) = message(&"x".repeat(300_000), "id", &mut Spares::new());
        let before = kept.len();
        kept.keep(event);
        assert_eq!(kept.len(), before, "it is too large");
    }

    #[test]
    fn only_the_one_holder_of_an_event_can_change_it() {
        let mut event = EventMut::new(EventKind::Dropped).freeze();
        assert!(event.edit(|head| head.count = 3));
        let other = event.clone();
        assert!(!event.edit(|head| head.count = 4));
        assert_eq!((event.count, other.count), (3, 3));
    }
}
