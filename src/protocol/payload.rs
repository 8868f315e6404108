//! What the servers' own payloads say, in whichever of their spellings. All of these take a payload that was read as
//! part of an envelope, so it is JSON; of anything else they take what they understand up to the first fault.

use std::borrow::Cow;

use super::scan::{self, Members};

/// What happened to somebody, numbered as in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum PresenceKind {
    /// Came.
    Join = 1,
    /// Changed.
    Update = 2,
    /// Went.
    Leave = 3,
}

/// The kind that a PRESENCE envelope's event names: `JOIN`, `UPDATE`, `LEAVE` in any case, with or without the
/// `presence:` of older Go servers.
pub fn presence_kind(event: &str) -> Option<PresenceKind> {
    const PREFIX: &str = "presence:";
    let word = match event.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &event[PREFIX.len()..],
        _ => event,
    };
    [
        ("JOIN", PresenceKind::Join),
        ("UPDATE", PresenceKind::Update),
        ("LEAVE", PresenceKind::Leave),
    ]
    .into_iter()
    .find_map(|(name, kind)| word.eq_ignore_ascii_case(name).then_some(kind))
}

/// The parts of a PRESENCE payload: raw JSON, slices of the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceParts<'a> {
    /// `changed`, or `change` of older Go servers; null counts as absent.
    pub changed: Option<&'a str>,
    /// `presence` when it is an array: everybody who is there. Some servers leave it out.
    pub users: Option<&'a str>,
}

/// Takes a PRESENCE payload apart.
pub fn presence_parts(payload: &str) -> PresenceParts<'_> {
    let [changed, change, users] = pick(payload, ["changed", "change", "presence"]);
    PresenceParts {
        changed: changed.or(change),
        users: users.filter(|users| users.starts_with('[')),
    }
}

/// This connection's id in a CONNECTION payload: `connectionId`, else `id`; `None` for servers that do not tell it.
pub fn connection_id(payload: &str) -> Option<String> {
    let [connection, id] = pick(payload, ["connectionId", "id"]);
    filled(connection)
        .or_else(|| filled(id))
        .map(Cow::into_owned)
}

/// Why somebody was evicted: `reason`, else `message`, else nothing.
pub fn eviction_reason(payload: &str) -> String {
    let [reason, message] = pick(payload, ["reason", "message"]);
    let reason = reason.and_then(scan::as_string);
    let reason = reason.or_else(|| message.and_then(scan::as_string));
    reason.unwrap_or_default().into_owned()
}

/// A server's error in one shape. `status` is at least 1, `code` and `message` are never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// An HTTP-like status.
    pub status: i32,
    /// The server's word for it, else the event.
    pub code: String,
    /// What the server says, else a sentence of ours.
    pub message: String,
}

/// The error that an ERROR envelope, or a SYSTEM one with an [error event](is_error_event), tells.
///
/// - status: `status`, `statusCode`, a numeric `code`, `error.status`, `details.statusCode`, else by event: 404 for
///   `NOT_FOUND`, 401 for `UNAUTHORIZED`, else 500;
/// - code: `code` when it is text, else the event;
/// - message: `message`, `error.message`, `error` when it is text, else a sentence that names the event.
///
/// The first that is present and usable counts: a status is a whole number from 1, texts are not empty.
pub fn server_error(event: &str, payload: Option<&str>) -> ServerError {
    let payload = payload.unwrap_or_default();
    let [status, status_code, code, message, error, details] = pick(
        payload,
        [
            "status",
            "statusCode",
            "code",
            "message",
            "error",
            "details",
        ],
    );
    let [error_status, error_message] = pick(error.unwrap_or_default(), ["status", "message"]);
    let [details_status] = pick(details.unwrap_or_default(), ["statusCode"]);
    let event = if event.is_empty() { "ERROR" } else { event };
    let status = [status, status_code, code, error_status, details_status]
        .into_iter()
        .find_map(status_number)
        .unwrap_or(match event {
            "NOT_FOUND" => 404,
            "UNAUTHORIZED" => 401,
            _ => 500,
        });
    let message = [message, error_message, error].into_iter().find_map(filled);
    ServerError {
        status,
        code: filled(code).map_or_else(|| event.to_owned(), Cow::into_owned),
        message: message.map_or_else(|| default_message(event), Cow::into_owned),
    }
}

fn default_message(event: &str) -> String {
    let meaning = match event {
        "NOT_FOUND" => "no such channel, or nothing there handles the event",
        "UNAUTHORIZED" => "the request was declined",
        "INTERNAL_ERROR" => "something failed inside the server",
        _ => "the server gave no reason",
    };
    format!("the server answered {event}: {meaning}")
}

/// SYSTEM events that mean failure.
pub fn is_error_event(event: &str) -> bool {
    matches!(event, "UNAUTHORIZED" | "NOT_FOUND" | "INTERNAL_ERROR")
}

/// SYSTEM events that tell a client that it was evicted.
pub fn is_eviction(event: &str) -> bool {
    matches!(event, "EVICTED" | "evicted" | "kicked_out")
}

/// The raw values of an object's members by name. Absent and null are `None`, of equal names the last counts.
fn pick<'a, const N: usize>(object: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    let start = scan::skip_space(object.as_bytes(), 0);
    let members = Members::new(object, start).into_iter().flatten();
    for (key, value) in members.map_while(Result::ok) {
        if let Some(index) = names.iter().position(|name| *name == key) {
            found[index] = (value != "null").then_some(value);
        }
    }
    found
}

/// A value that is a string and not empty, decoded.
fn filled(value: Option<&str>) -> Option<Cow<'_, str>> {
    scan::as_string(value?).filter(|text| !text.is_empty())
}

/// A value that is a whole number from 1 and fits.
fn status_number(value: Option<&str>) -> Option<i32> {
    let number: f64 = value?.parse().ok()?;
    let whole = number.fract() == 0.0 && (1.0..=f64::from(i32::MAX)).contains(&number);
    whole.then_some(number as i32)
}
