//! Frames from the server: a stream of JSON objects, the envelopes.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{self, Limits, Members};

/// Who speaks in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The server's CONNECTION.
    Connect,
    /// The library on the server: acknowledgements, replies, refusals, evictions.
    System,
    /// Another client or the server's application.
    Broadcast,
    /// Somebody came, changed or went.
    Presence,
    /// An error of the JavaScript and Python servers.
    Error,
    /// A word this library does not know.
    Unknown,
}

impl Action {
    fn from_wire(word: &str) -> Self {
        match word {
            "CONNECT" => Self::Connect,
            "SYSTEM" => Self::System,
            "BROADCAST" => Self::Broadcast,
            "PRESENCE" => Self::Presence,
            "ERROR" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// One envelope. Text without escapes is a slice of the frame; what had escapes is decoded, half surrogate pairs as
/// U+FFFD. Debug output has neither payload nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// This envelope's own slice of the frame, from '{' to '}'.
    pub text: &'a str,
    /// Who speaks.
    pub action: Action,
    /// The same as the server spelled it.
    pub action_text: Cow<'a, str>,
    /// What is told.
    pub event: Cow<'a, str>,
    /// `channelName`; empty when missing or null.
    pub channel: Cow<'a, str>,
    /// `requestId`; missing and null are `None`.
    pub request_id: Option<Cow<'a, str>>,
    /// The payload in the server's own bytes, a slice of `text`; `None` when the key is missing.
    pub payload: Option<&'a str>,
}

impl std::fmt::Debug for Envelope<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Envelope")
            .field("action", &self.action_text)
            .field("event", &self.event)
            .field("channel", &self.channel)
            .field("request_id", &self.request_id)
            .field("payload_bytes", &self.payload.map(str::len))
            .finish_non_exhaustive()
    }
}

/// A part of a frame that is no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// What is wrong and where (line, column, byte), for people. It quotes nothing of the frame: that may be secret.
    pub message: String,
    /// Byte offset of the fault in the frame.
    pub offset: usize,
    /// Where the part lies in the frame, for those who may show it.
    pub excerpt: Range<usize>,
}

/// The envelopes of a frame, see [`parse_frame`].
#[derive(Clone)]
pub struct Frames<'a> {
    frame: &'a str,
    at: usize,
    empty: bool,
    /// Line breaks are counted once, however many faults there are.
    counted: usize,
    line: usize,
    line_start: usize,
}

/// Reads a frame as a stream of JSON values, with or without white space between them (the Go server joins several by
/// line breaks). Each must be an envelope; keys come in any order, unknown ones are ignored, of equal ones the last
/// counts.
///
/// A value that is JSON but no envelope gives one error and reading goes on behind it. Text that is not JSON gives one
/// error, and reading goes on at the next line: with the line on which the fault was found if the value began on an
/// earlier one, else behind it. A frame of nothing but white space gives one error. Payloads may be nested to any
/// depth, and the time is linear in the frame's length whatever it contains.
pub fn parse_frame(frame: &str) -> Frames<'_> {
    Frames {
        frame,
        at: 0,
        empty: true,
        counted: 0,
        line: 1,
        line_start: 0,
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Envelope<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.frame.as_bytes();
        let start = scan::skip_space(bytes, self.at);
        if start == bytes.len() {
            self.at = start;
            let first = std::mem::replace(&mut self.empty, false);
            return first.then(|| Err(self.error(start, start..start, "the frame is empty")));
        }
        self.empty = false;
        match read(self.frame, start) {
            Ok((end, read)) => {
                self.at = end;
                Some(read.map_err(|problem| self.error(start, start..end, problem)))
            }
            Err(fault) => {
                let offset = fault.offset.min(bytes.len());
                let same_line = |range: &[u8]| range.iter().rposition(|&byte| byte == b'\n');
                self.at = match bytes.get(start..=offset).or(bytes.get(start..)) {
                    Some(passed) if same_line(passed).is_some() => {
                        start + 1 + same_line(passed).unwrap_or_default()
                    }
                    _ => bytes
                        .get(offset..)
                        .and_then(|rest| rest.iter().position(|&byte| byte == b'\n'))
                        .map_or(bytes.len(), |newline| offset + newline + 1),
                };
                let end = self.at;
                Some(Err(self.error(offset, start..end, fault.message)))
            }
        }
    }
}

impl std::iter::FusedIterator for Frames<'_> {}

impl Frames<'_> {
    fn error(&mut self, offset: usize, excerpt: Range<usize>, problem: &str) -> FrameError {
        let bytes = self.frame.as_bytes();
        let fresh = bytes.get(self.counted..offset).unwrap_or_default();
        for (index, _) in fresh.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            self.line += 1;
            self.line_start = self.counted + index + 1;
        }
        self.counted = self.counted.max(offset);
        let line = self.line;
        let before = bytes.get(self.line_start..offset).unwrap_or_default();
        let column = 1 + scan::characters(before);
        FrameError {
            message: format!("{problem} (line {line}, column {column}, byte {offset})"),
            offset,
            excerpt,
        }
    }
}

/// What one value is: an envelope, or why it is none.
type Read<'a> = Result<Envelope<'a>, &'static str>;

/// Reads the value at `start`: where it ends, and what it is.
fn read(frame: &str, start: usize) -> Result<(usize, Read<'_>), scan::Fault> {
    let Some(mut members) = Members::new(frame, start) else {
        let end = scan::skip_value(frame.as_bytes(), start, &Limits::NONE)?;
        return Ok((end, Err("an envelope must be an object")));
    };
    let (mut action, mut event, mut channel, mut request_id, mut payload) =
        (None, None, None, None, None);
    for member in members.by_ref() {
        let (key, value) = member?;
        match &*key {
            "action" => action = Some(value),
            "event" => event = Some(value),
            "channelName" => channel = Some(value),
            "requestId" => request_id = Some(value),
            "payload" => payload = Some(value),
            _ => {}
        }
    }
    let end = members.position();
    let text = frame.get(start..end).unwrap_or_default();
    let envelope = || -> Read<'_> {
        let action_text = required(
            action,
            "the envelope has no \"action\"",
            "\"action\" must be a string",
        )?;
        Ok(Envelope {
            text,
            action: Action::from_wire(&action_text),
            action_text,
            event: required(
                event,
                "the envelope has no \"event\"",
                "\"event\" must be a string",
            )?,
            channel: optional(channel, "\"channelName\" must be a string or null")?
                .unwrap_or_default(),
            request_id: optional(request_id, "\"requestId\" must be a string or null")?,
            payload,
        })
    };
    Ok((end, envelope()))
}

fn required<'a>(
    value: Option<&'a str>,
    missing: &'static str,
    mistyped: &'static str,
) -> Result<Cow<'a, str>, &'static str> {
    scan::as_string(value.ok_or(missing)?).ok_or(mistyped)
}

fn optional<'a>(
    value: Option<&'a str>,
    mistyped: &'static str,
) -> Result<Option<Cow<'a, str>>, &'static str> {
    match value {
        None | Some("null") => Ok(None),
        Some(value) => scan::as_string(value).map(Some).ok_or(mistyped),
    }
}
