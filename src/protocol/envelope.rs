//! One envelope of the server's: what it consists of, and how any JSON object is read as one.

use std::borrow::Cow;

use super::payload::{PresenceParts, presence_parts};
use super::scan::{self, Fault, Limits, Members, Reading};

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

/// What one value is: an envelope, or why it is none.
pub(super) type Read<'a> = Result<Envelope<'a>, &'static str>;

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
pub(super) fn read(frame: &str, start: usize, reading: Reading) -> Result<(usize, Read<'_>), Fault> {
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
