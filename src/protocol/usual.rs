//! Envelopes as the servers write them: known keys, each once, no white space around them, no escapes and no null in
//! their texts. Nearly all frames are such, so they are read in one go; the rest is for the reader that judges.

use std::borrow::Cow;

use super::envelope::{Action, Envelope};
use super::payload::{PresenceParts, presence_object};
use super::shape::{Followed, Shape};
use super::simd::{Level, end_of_container, plain_end};

/// Where a part of a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// There is no such part.
    pub const ABSENT: Self = Self {
        start: u32::MAX,
        end: 0,
    };

    #[inline(always)]
    fn of(self, text: &str) -> Option<&str> {
        text.get(self.start as usize..self.end as usize)
    }
}

pub(super) const ACTION: usize = 0;
pub(super) const EVENT: usize = 1;
pub(super) const CHANNEL: usize = 2;
pub(super) const REQUEST_ID: usize = 3;
pub(super) const PAYLOAD: usize = 4;
/// By part.
pub(super) type Spans = [Span; 5];

const NONE: Span = Span::ABSENT;
/// Written out: a repetition would become a loop.
const NO_SPANS: Spans = [NONE, NONE, NONE, NONE, NONE];

/// Such an envelope: where its parts stand in the frame. Each is followed by a delimiter. It is filled in place: copies of it would
/// cost more than some of the parts do to read.
pub struct Usual<'a> {
    /// Where the envelope stands.
    pub whole: Span,
    /// Who speaks.
    pub action: Action,
    spans: Spans,
    parts: Option<PresenceParts<'a>>,
}

impl<'a> Usual<'a> {
    /// None is read yet. Not a constant, which would be copied, with all that says nothing in it.
    #[inline(always)]
    pub fn none() -> Self {
        Self {
            whole: Span::ABSENT,
            action: Action::Unknown,
            spans: NO_SPANS,
            parts: None,
        }
    }

    /// What is told.
    #[inline(always)]
    pub fn event(&self) -> Span {
        self.spans[EVENT]
    }

    /// The channel's name.
    #[inline(always)]
    pub fn channel(&self) -> Span {
        self.spans[CHANNEL]
    }

    /// The request's id.
    #[inline(always)]
    pub fn request_id(&self) -> Span {
        self.spans[REQUEST_ID]
    }

    /// The payload.
    #[inline(always)]
    pub fn payload(&self) -> Span {
        self.spans[PAYLOAD]
    }

    /// The same in the shape that all envelopes have. `frame` is the one it was read from.
    pub fn envelope(&self, frame: &'a str) -> Envelope<'a> {
        let text = |part: usize| self.spans[part].of(frame);
        Envelope {
            text: self.whole.of(frame).unwrap_or_default(),
            action: self.action,
            action_text: Cow::Borrowed(text(ACTION).unwrap_or_default()),
            event: Cow::Borrowed(text(EVENT).unwrap_or_default()),
            channel: Cow::Borrowed(text(CHANNEL).unwrap_or_default()),
            request_id: text(REQUEST_ID).map(Cow::Borrowed),
            payload: text(PAYLOAD),
            parts: self.parts,
        }
    }
}

/// How a member begins: its first eight bytes, what follows them, how much of that counts, and how long both are.
struct Beginning {
    first: u64,
    second: u64,
    mask: u64,
    length: usize,
}

impl Beginning {
    const fn new(text: &[u8]) -> Self {
        let mut bytes = [0; 16];
        let mut at = 0;
        while at < text.len() {
            bytes[at] = text[at];
            at += 1;
        }
        let both = u128::from_le_bytes(bytes);
        Self {
            first: both as u64,
            second: (both >> 64) as u64,
            mask: (1 << (8 * (text.len() - 8))) - 1,
            length: text.len(),
        }
    }
}

/// By part.
static BEGINNINGS: [Beginning; 5] = [
    Beginning::new(b"\"action\":\""),
    Beginning::new(b"\"event\":\""),
    Beginning::new(b"\"channelName\":\""),
    Beginning::new(b"\"requestId\":\""),
    Beginning::new(b"\"payload\":{"),
];

/// The sixteen bytes from `at` on, with zeros behind the end of the text.
#[cold]
fn last_bytes(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    let rest = bytes.get(at..)?;
    let mut padded = [0; 16];
    padded.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(padded)
}

/// Reads the envelope at `start` if it is a usual one, with the help of the `shape` of an earlier one. `None`: it is not, and what
/// was filled in means nothing.
#[inline(never)]
pub(super) fn read_usual<'a>(
    frame: &'a str,
    start: usize,
    level: Level,
    mut shape: Option<&mut Shape>,
    usual: &mut Usual<'a>,
) -> Option<()> {
    let bytes = frame.as_bytes();
    if bytes.get(start) != Some(&b'{') || bytes.len() >= u32::MAX as usize {
        return None;
    }
    let Usual {
        whole,
        action,
        spans,
        parts,
    } = usual;
    *spans = NO_SPANS;
    *parts = None;
    whole.start = start as u32;
    let mut at = start;
    if start != 0 {
        shape = None;
    }
    if let Some(shape) = &mut shape {
        match shape.follow(bytes, level, spans)? {
            Followed::Until(delimiter) => at = delimiter,
            Followed::Whole(end, same) => {
                whole.end = end as u32;
                *action = same;
                shape.hit();
                return Some(());
            }
        }
    }
    loop {
        // Behind a member; at first, the brace.
        if at != start {
            match bytes.get(at)? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        let begins = match bytes.get(at + 1..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(chunk) => *chunk,
            None => last_bytes(bytes, at + 1)?,
        };
        let both = u128::from_le_bytes(begins);
        let (first, second) = (both as u64, (both >> 64) as u64);
        let part = BEGINNINGS.iter().position(|beginning| beginning.first == first)?;
        let beginning = &BEGINNINGS[part];
        if second & beginning.mask != beginning.second || spans[part].end != 0 {
            return None;
        }
        let mut from = at + 1 + beginning.length;
        let end;
        if part == PAYLOAD {
            from -= 1;
            let mut known = None;
            if spans[ACTION].of(frame) == Some("PRESENCE") {
                let (found, found_end) = presence_object(frame, from, level);
                (*parts, known) = (found_end.map(|_| found), found_end);
            }
            end = match known {
                Some(end) => end,
                None => end_of_container(level, bytes, from)?,
            };
            at = end;
        } else {
            end = plain_end(bytes, from);
            if bytes.get(end) != Some(&b'"') {
                return None;
            }
            at = end + 1;
        }
        spans[part] = Span {
            start: from as u32,
            end: end as u32,
        };
    }
    if spans[EVENT].end == 0 {
        return None;
    }
    *action = Action::from_wire(spans[ACTION].of(frame)?);
    if let Some(shape) = shape {
        shape.see(bytes, at + 1, *action, spans);
    }
    whole.end = (at + 1) as u32;
    Some(())
}
