//! Frames from the server: a stream of JSON objects, the envelopes.

use std::borrow::Cow;
use std::ops::Range;

use super::payload::{PresenceParts, presence_parts};
use super::scan::{self, Fault, Limits, Members, Reading};
use super::shape::Shape;
use super::simd::Level;
use super::usual::{Usual, read_usual};

/// Who speaks in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
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
    #[default]
    Unknown,
}

impl Action {
    #[inline(always)]
    pub(super) fn from_wire(word: &str) -> Self {
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
#[derive(Clone)]
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
    ///
    /// It is a whole value: a text, a number or a word is JSON, of an array or an object strings and brackets are
    /// balanced (see [`super::simd`]). Whether it is JSON in every detail is for its reader to check.
    pub payload: Option<&'a str>,
    /// What a PRESENCE payload consists of, when it was found on the way.
    pub(super) parts: Option<PresenceParts<'a>>,
}

impl<'a> Envelope<'a> {
    /// The payload taken apart as a [PRESENCE one](presence_parts), without looking at it once more if possible.
    pub fn presence_parts(&self) -> PresenceParts<'a> {
        self.parts
            .unwrap_or_else(|| self.payload.map(presence_parts).unwrap_or_default())
    }
}

// Whether the parts are known already is no property of the envelope.
impl PartialEq for Envelope<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
            && self.action == other.action
            && self.payload == other.payload
            && self.action_text == other.action_text
            && self.event == other.event
            && self.channel == other.channel
            && self.request_id == other.request_id
    }
}

impl Eq for Envelope<'_> {}

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
    reading: Reading,
    empty: bool,
    /// Lines and columns are counted onwards from the last fault, so that many faults take linear time.
    counted: usize,
    line: usize,
    column: usize,
}

/// Reads a frame as a stream of JSON values, with or without white space between them (the Go server joins several by
/// line breaks). Each must be an envelope; keys come in any order, unknown ones are ignored, of equal ones the last
/// counts.
///
/// A value that is JSON but no envelope gives one error and reading goes on behind it. Text that is not JSON gives one
/// error, and reading goes on at the next line: with the line on which the fault was found if the value began on an
/// earlier one, else behind it. A frame of nothing but white space gives one error. Payloads may be nested to any
/// depth, and the time is linear in the frame's length whatever it contains.
///
/// The envelope is checked fully, its payload only as [`Envelope::payload`] says; behind a fault both are, for the
/// frame's sender has lost its trust, and so that no byte is looked at time and again.
pub fn parse_frame(frame: &str) -> Frames<'_> {
    parse_frame_as(frame, Reading::Structural(Level::best()))
}

/// The same, with payloads read in a way of the caller's choice: for tests and benchmarks.
pub fn parse_frame_as(frame: &str, reading: Reading) -> Frames<'_> {
    Frames {
        frame,
        at: 0,
        reading,
        empty: true,
        counted: 0,
        line: 1,
        column: 1,
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Envelope<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_usual() {
            Some(usual) => Some(Ok(usual.envelope(self.frame))),
            None => self.next_other(),
        }
    }
}

impl std::iter::FusedIterator for Frames<'_> {}

impl<'a> Frames<'a> {
    /// Whether an envelope ended with the frame: none follows.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.at == self.frame.len() && !self.empty
    }

    /// The next envelope, if it is a [usual](Usual) one and begins at once; else ask for the [next of whatever kind](Self::next_other).
    #[inline(always)]
    pub fn next_usual(&mut self) -> Option<Usual<'a>> {
        self.next_usual_like(None)
    }

    /// The same, faster when it is like an earlier one. The answer does not depend on the shape.
    #[inline(always)]
    pub fn next_usual_like(&mut self, shape: Option<&mut Shape>) -> Option<Usual<'a>> {
        let Reading::Structural(level) = self.reading else {
            return None;
        };
        let usual = read_usual(self.frame, self.at, level, shape)?;
        self.at = usual.whole.end as usize;
        self.empty = false;
        Some(usual)
    }

    /// What follows where [`Self::next_usual`] found nothing.
    #[inline(never)]
    pub fn next_other(&mut self) -> Option<Result<Envelope<'a>, FrameError>> {
        let bytes = self.frame.as_bytes();
        let start = scan::skip_space(bytes, self.at);
        if start == bytes.len() {
            self.at = start;
            let first = std::mem::replace(&mut self.empty, false);
            return first.then(|| Err(self.error(start, start..start, "the frame is empty")));
        }
        self.empty = false;
        if start != self.at {
            self.at = start;
            if let Some(usual) = self.next_usual() {
                return Some(Ok(usual.envelope(self.frame)));
            }
        }
        let first = read(self.frame, start, self.reading);
        // A fault is looked for once more by all of the grammar, which finds the first one and its name.
        let first = match (first, self.reading) {
            (Err(_), Reading::Structural(_)) => {
                self.reading = Reading::Strict;
                read(self.frame, start, Reading::Strict)
            }
            (first, _) => first,
        };
        match first {
            Ok((end, read)) => {
                self.at = end;
                Some(read.map_err(|problem| self.error(start, start..end, problem)))
            }
            Err(fault) => {
                let offset = fault.offset.min(bytes.len());
                let behind_newline = |from: usize, newline: Option<usize>| newline.map(|at| from + at + 1);
                let is_newline = |&byte: &u8| byte == b'\n';
                let passed = bytes.get(start..=offset).or_else(|| bytes.get(start..));
                let this_line = passed.and_then(|text| text.iter().rposition(is_newline));
                let next_line = || bytes.get(offset..).and_then(|text| text.iter().position(is_newline));
                self.at = behind_newline(start, this_line)
                    .or_else(|| behind_newline(offset, next_line()))
                    .unwrap_or(bytes.len());
                let error = self.error(offset, start..self.at, fault.message);
                if self.at < self.counted {
                    // The line of the fault is read once more.
                    self.counted = self.at;
                    self.column = 1;
                }
                Some(Err(error))
            }
        }
    }

    fn error(&mut self, offset: usize, excerpt: Range<usize>, problem: &str) -> FrameError {
        let bytes = self.frame.as_bytes();
        let fresh = bytes.get(self.counted..offset).unwrap_or_default();
        for &byte in fresh {
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += scan::characters(&[byte]);
            }
        }
        self.counted = offset;
        let (line, column) = (self.line, self.column);
        FrameError {
            message: format!("{problem} (line {line}, column {column}, byte {offset})"),
            offset,
            excerpt,
        }
    }
}

/// What one value is: an envelope, or why it is none.
type Read<'a> = Result<Envelope<'a>, &'static str>;

/// A member's value, as far as an envelope looks at it.
#[derive(Clone)]
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Other,
}

/// The members of an envelope.
#[derive(Clone, Copy)]
enum Member {
    Action,
    Event,
    Channel,
    RequestId,
    Payload,
    Unknown,
}

fn any_member(frame: &str, at: usize) -> Result<(Member, usize), Fault> {
    let (key, escaped, start) = scan::key(frame.as_bytes(), at, &Limits::NONE)?;
    let member = match &*scan::decoded(frame, key, escaped) {
        "action" => Member::Action,
        "event" => Member::Event,
        "channelName" => Member::Channel,
        "requestId" => Member::RequestId,
        "payload" => Member::Payload,
        _ => Member::Unknown,
    };
    Ok((member, start))
}

/// Reads the value at `start`: where it ends, and what it is.
#[inline(never)]
fn read(frame: &str, start: usize, reading: Reading) -> Result<(usize, Read<'_>), Fault> {
    let bytes = frame.as_bytes();
    let Some(mut members) = Members::new(bytes, start) else {
        let end = scan::skip_value(bytes, start, &Limits::NONE)?;
        return Ok((end, Err("an envelope must be an object")));
    };
    let (mut action, mut event, mut channel, mut request_id) = (None, None, None, None);
    let mut payload = None;
    while let Some(at) = members.next_key()? {
        let (member, start) = any_member(frame, at)?;
        let slot = match member {
            Member::Action => &mut action,
            Member::Event => &mut event,
            Member::Channel => &mut channel,
            Member::RequestId => &mut request_id,
            Member::Payload => {
                let end = scan::pass_value(bytes, start, reading)?;
                payload = frame.get(start..end);
                members.passed(end);
                continue;
            }
            Member::Unknown => {
                members.passed(scan::skip_value(bytes, start, &Limits::NONE)?);
                continue;
            }
        };
        let (value, end) = value(frame, start)?;
        *slot = Some(value);
        members.passed(end);
    }
    let end = members.position();
    let text = frame.get(start..end).unwrap_or_default();
    let envelope = || -> Read<'_> {
        let action_text = required(action, "the envelope has no \"action\"", "\"action\" must be a string")?;
        Ok(Envelope {
            text,
            action: Action::from_wire(&action_text),
            action_text,
            event: required(event, "the envelope has no \"event\"", "\"event\" must be a string")?,
            channel: optional(channel, "\"channelName\" must be a string or null")?.unwrap_or_default(),
            request_id: optional(request_id, "\"requestId\" must be a string or null")?,
            payload,
            parts: None,
        })
    };
    Ok((end, envelope()))
}

/// The value at `start` and its end.
#[inline]
fn value(frame: &str, start: usize) -> Result<(Value<'_>, usize), Fault> {
    let bytes = frame.as_bytes();
    if bytes.get(start) == Some(&b'"') {
        let (end, escaped) = scan::string_end(bytes, start + 1, &Limits::NONE)?;
        return Ok((Value::Text(scan::decoded(frame, start + 1..end, escaped)), end + 1));
    }
    let end = scan::skip_value(bytes, start, &Limits::NONE)?;
    let null = bytes.get(start) == Some(&b'n');
    Ok((if null { Value::Null } else { Value::Other }, end))
}

fn required<'a>(
    value: Option<Value<'a>>,
    missing: &'static str,
    mistyped: &'static str,
) -> Result<Cow<'a, str>, &'static str> {
    match value.ok_or(missing)? {
        Value::Text(text) => Ok(text),
        Value::Null | Value::Other => Err(mistyped),
    }
}

fn optional<'a>(value: Option<Value<'a>>, mistyped: &'static str) -> Result<Option<Cow<'a, str>>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::Other) => Err(mistyped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frame: &str) -> Vec<Result<Envelope<'_>, FrameError>> {
        parse_frame(frame).collect()
    }

    fn one(frame: &str) -> Envelope<'_> {
        match all(frame).as_slice() {
            [Ok(envelope)] => envelope.clone(),
            other => panic!("not one envelope: {other:?}"),
        }
    }

    /// Per value: the event, or the fault's offset.
    fn outline(frame: &str) -> Vec<Result<String, usize>> {
        parse_frame(frame)
            .map(|read| {
                read.map(|envelope| envelope.event.into_owned())
                    .map_err(|error| error.offset)
            })
            .collect()
    }

    fn ok(event: &str) -> Result<String, usize> {
        Ok(event.to_owned())
    }

    #[test]
    fn everything_is_a_slice_of_the_frame() {
        let frame = " {\"x\":[{}], \"payload\" : {\"a\": 1.0} ,\"requestId\":\"r\",\"channelName\":\"/c\",\"event\":\"e\",\
            \"action\":\"SYSTEM\"}\n";
        let envelope = one(frame);
        assert_eq!(envelope.text, frame.trim());
        assert_eq!(envelope.action, Action::System);
        assert_eq!(envelope.payload, Some("{\"a\": 1.0}"));
        for (part, text) in [
            (&envelope.action_text, "SYSTEM"),
            (&envelope.event, "e"),
            (&envelope.channel, "/c"),
            (envelope.request_id.as_ref().unwrap(), "r"),
        ] {
            assert_eq!(part, text);
            assert!(matches!(part, Cow::Borrowed(_)));
            assert!(envelope.text.as_bytes().as_ptr_range().contains(&part.as_ptr()));
        }
    }

    #[test]
    fn actions() {
        for (word, action) in [
            ("CONNECT", Action::Connect),
            ("SYSTEM", Action::System),
            ("BROADCAST", Action::Broadcast),
            ("PRESENCE", Action::Presence),
            ("ERROR", Action::Error),
            ("system", Action::Unknown),
            ("", Action::Unknown),
        ] {
            let frame = format!("{{\"action\":\"{word}\",\"event\":\"e\"}}");
            let envelope = one(&frame);
            assert_eq!((envelope.action, &*envelope.action_text), (action, word));
        }
        assert_eq!(one(r#"{"action":"SYST\u0045M","event":"e"}"#).action, Action::System);
    }

    #[test]
    fn absent_parts() {
        let envelope = one(r#"{"action":"ERROR","event":"e"}"#);
        assert_eq!(
            (&*envelope.channel, envelope.request_id, envelope.payload),
            ("", None, None)
        );
        let envelope = one(r#"{"action":"ERROR","event":"e","channelName":null,"requestId":null,"payload":null}"#);
        assert_eq!(
            (&*envelope.channel, envelope.request_id, envelope.payload),
            ("", None, Some("null"))
        );
        for payload in [
            "[1]",
            "\"text\"",
            "1.50",
            "true",
            "{\"a\":\"\\ud83d\"}",
            "-0.0",
            "1e400",
        ] {
            let frame = format!("{{\"action\":\"SYSTEM\",\"payload\":{payload},\"event\":\"e\"}}");
            assert_eq!(one(&frame).payload, Some(payload));
        }
    }

    #[test]
    fn escapes_are_decoded() {
        let envelope =
            one(r#"{"\u0061ction":"BROADCAST","event":"a\n\u00e9","channelName":"\ud83d\ude00","requestId":"\ud83d"}"#);
        assert_eq!(envelope.event, "a\né");
        assert_eq!(envelope.channel, "😀");
        assert_eq!(envelope.request_id.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let frame = r#"{"action":5,"action":"SYSTEM","event":"a","event":"b","payload":1,"payl\u006fad":2}"#;
        let envelope = one(frame);
        assert_eq!(
            (envelope.action, &*envelope.event, envelope.payload),
            (Action::System, "b", Some("2"))
        );
        assert!(all(r#"{"action":"SYSTEM","action":5,"event":"a"}"#)[0].is_err());
    }

    #[test]
    fn batches() {
        let a = r#"{"action":"SYSTEM","event":"a"}"#;
        let b = r#"{"action":"SYSTEM","event":"b"}"#;
        for between in ["\n", " ", "\r\n\t", ""] {
            assert_eq!(outline(&format!("{a}{between}{b}\n")), [ok("a"), ok("b")]);
        }
        let at = a.len() + 1;
        // What is no envelope costs nothing but itself; what is no JSON costs its line.
        assert_eq!(
            outline(&format!("{a}\n5 {b}\n[] {b}")),
            [ok("a"), Err(at), ok("b"), Err(at + 3 + b.len()), ok("b")]
        );
        assert_eq!(outline(&format!("{a} x {b}\n{b}")), [ok("a"), Err(at), ok("b")]);
        assert_eq!(outline(&format!("{{\"action\":NaN}}\n{b}")), [Err(10), ok("b")]);
        // A value cut off at the end of its line does not take the next line with it.
        assert_eq!(outline(&format!("{{\"action\":1\n{b}")), [Err(12), ok("b")]);
        assert_eq!(outline(&format!("{{\"action\":\"cut\n{b}")), [Err(14), ok("b")]);
        // Nor does one that runs over several lines take more than it has to.
        assert_eq!(
            outline(&format!("{{\"action\":\n1,\nx\n{b}")),
            [Err(14), Err(14), ok("b")]
        );
    }

    #[test]
    fn what_is_no_envelope() {
        for (frame, problem) in [
            ("", "the frame is empty (line 1, column 1, byte 0)"),
            (" \n ", "the frame is empty (line 2, column 2, byte 3)"),
            ("[]", "an envelope must be an object (line 1, column 1, byte 0)"),
            ("null", "an envelope must be an object (line 1, column 1, byte 0)"),
            ("{}", "the envelope has no \"action\" (line 1, column 1, byte 0)"),
            (
                r#"{"action":"SYSTEM"}"#,
                "the envelope has no \"event\" (line 1, column 1, byte 0)",
            ),
            (
                r#"{"action":null,"event":"e"}"#,
                "\"action\" must be a string (line 1, column 1, byte 0)",
            ),
            (
                r#"{"action":"A","event":{}}"#,
                "\"event\" must be a string (line 1, column 1, byte 0)",
            ),
            (
                r#"{"action":"A","event":"e","channelName":1}"#,
                "\"channelName\" must be a string or null (line 1, column 1, byte 0)",
            ),
            (
                r#"{"action":"A","event":"e","requestId":[]}"#,
                "\"requestId\" must be a string or null (line 1, column 1, byte 0)",
            ),
            (
                "{\"é\":\n Infinity}",
                "NaN and Infinity are not JSON (line 2, column 2, byte 8)",
            ),
            ("\u{feff}{}", "a value was expected (line 1, column 1, byte 0)"),
        ] {
            match all(frame).as_slice() {
                [Err(error)] => assert_eq!(error.to_string(), problem, "{frame:?}"),
                // The rest of a broken line may be tried again.
                [Err(error), Err(_)] if frame.contains('\n') => {
                    assert_eq!(error.message, problem, "{frame:?}")
                }
                other => panic!("{frame:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn errors_quote_nothing_and_tell_where() {
        let frame = "{\"action\":\"SYSTEM\",\"event\":\"e\"}\n{\"payload\":hunter2}\n";
        let errors: Vec<_> = parse_frame(frame).filter_map(Result::err).collect();
        let [error] = errors.as_slice() else {
            panic!("{errors:?}")
        };
        assert_eq!(error.message, "a value was expected (line 2, column 12, byte 43)");
        assert_eq!(&frame[error.excerpt.clone()], "{\"payload\":hunter2}\n");
        assert!(!format!("{error:?}").contains("hunter2"));
        let envelope = one(r#"{"action":"A","event":"e","payload":"hunter2"}"#);
        assert!(!format!("{envelope:?}").contains("hunter2"));
    }

    #[test]
    fn payloads_of_any_depth_pass() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
            let payload = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let frame = format!("{{\"action\":\"SYSTEM\",\"payload\":{payload},\"event\":\"e\"}}");
            // A thread with hardly any stack proves that none is used per level.
            std::thread::scope(|scope| {
                let small = std::thread::Builder::new().stack_size(64 * 1024);
                let read = || assert_eq!(one(&frame).payload, Some(payload.as_str()));
                small.spawn_scoped(scope, read).unwrap().join().unwrap();
            });
        }
    }

    #[test]
    fn the_inside_of_a_payload_is_its_readers() {
        let frame = "{\"action\":\"A\",\"event\":\"e\",\"payload\":{\"a\" 1,}}";
        assert_eq!(one(frame).payload, Some("{\"a\" 1,}"));
        assert_eq!(one(&frame.replace(':', " : ")).payload, Some("{\"a\" 1,}"));
        // Anything else of the envelope is checked, and so is what stands behind a fault.
        assert_eq!(outline(&frame.replace("payload", "unknown")), [Err(41)]);
        assert_eq!(outline(&format!("x\n{frame}")), [Err(0), Err(43)]);
    }

    #[test]
    fn hostile_frames_take_linear_time() {
        const SIZE: usize = 200_000;
        assert_eq!(parse_frame(&"[\n".repeat(SIZE)).count(), 1);
        assert_eq!(parse_frame(&"{\"a\":\n".repeat(SIZE)).count(), 1);
        assert_eq!(parse_frame(&"x\n".repeat(SIZE)).count(), SIZE);
        assert_eq!(parse_frame(&"1 ".repeat(SIZE)).count(), SIZE);
        assert_eq!(parse_frame(&"[\n\n]x\n".repeat(SIZE)).count(), 2 * SIZE);
    }
}
