//! What the servers' own payloads say, in whichever of their spellings. All of these take a payload that was read as
//! part of an envelope, so it is balanced, but need not be JSON: they take what they understand up to the first fault.

use std::borrow::Cow;

use super::scan::{self, Limits, Members, Reading};
use super::simd::Level;

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
    let start = scan::skip_space(payload.as_bytes(), 0);
    presence_object(payload, start, Level::best()).0
}

/// The parts of the PRESENCE payload that starts at `start`, and its end unless there is a fault before.
pub(super) fn presence_object(text: &str, start: usize, level: Level) -> (PresenceParts<'_>, Option<usize>) {
    let mut found = [None; 3];
    let end = members(text, start, &["changed", "change", "presence"], level, &mut found);
    let [changed, change, users] = found;
    let parts = PresenceParts {
        changed: changed.or(change),
        users: users.filter(|users| users.starts_with('[')),
    };
    (parts, end)
}

/// This connection's id in a CONNECTION payload: `connectionId`, else `id`; `None` for servers that do not tell it.
pub fn connection_id(payload: &str) -> Option<String> {
    let [connection, id] = pick(payload, ["connectionId", "id"]);
    filled(connection).or_else(|| filled(id)).map(Cow::into_owned)
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
    let [status, status_code, code, message, error, details] =
        pick(payload, ["status", "statusCode", "code", "message", "error", "details"]);
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
    members(object, start, &names, Level::best(), &mut found);
    found
}

/// The same into `found`, of the object that starts at `start`. Its end, unless there is a fault before.
#[inline(never)]
fn members<'a>(
    text: &'a str,
    start: usize,
    names: &[&str],
    level: Level,
    found: &mut [Option<&'a str>],
) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut members = Members::new(bytes, start)?;
    while let Some(at) = members.next_key().ok()? {
        let (key, escaped, start) = scan::key(bytes, at, &Limits::NONE).ok()?;
        let end = scan::pass_value(bytes, start, Reading::Structural(level)).ok()?;
        members.passed(end);
        let key = scan::decoded(text, key, escaped);
        let index = names.iter().position(|name| *name == key);
        if let Some(found) = index.and_then(|index| found.get_mut(index)) {
            *found = text.get(start..end).filter(|value| *value != "null");
        }
    }
    Some(members.position())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_kinds_of_all_servers() {
        for (word, kind) in [
            ("JOIN", PresenceKind::Join),
            ("UPDATE", PresenceKind::Update),
            ("LEAVE", PresenceKind::Leave),
        ] {
            let lower = word.to_lowercase();
            for event in [
                word.to_owned(),
                lower.clone(),
                format!("presence:{lower}"),
                format!("PRESENCE:{word}"),
            ] {
                assert_eq!(presence_kind(&event), Some(kind), "{event}");
            }
        }
        for event in [
            "",
            "SYNC",
            "presence:",
            "presence",
            "presence:presence:join",
            "joined",
            " JOIN",
            "presencé:join",
        ] {
            assert_eq!(presence_kind(event), None, "{event}");
        }
        assert_eq!(
            [
                PresenceKind::Join as i32,
                PresenceKind::Update as i32,
                PresenceKind::Leave as i32
            ],
            [1, 2, 3]
        );
    }

    #[test]
    fn presence_payloads_of_all_servers() {
        let parts = |payload| {
            let parts = presence_parts(payload);
            (parts.changed, parts.users)
        };
        assert_eq!(
            parts(r#"{"changed":{"id":"bob"},"presence":[{"id":"a"}, {"id":"bob"}]}"#),
            (Some(r#"{"id":"bob"}"#), Some(r#"[{"id":"a"}, {"id":"bob"}]"#))
        );
        // Go: no list on UPDATE and LEAVE, `change` before July 2026, only a user id for a leaver of another node.
        assert_eq!(
            parts(r#"{"event":"UPDATE","userId":"u","changed":{"x":1}}"#),
            (Some(r#"{"x":1}"#), None)
        );
        assert_eq!(
            parts(r#"{"change":{"x":1},"presence":[]}"#),
            (Some(r#"{"x":1}"#), Some("[]"))
        );
        assert_eq!(parts(r#"{"userId":"u"}"#), (None, None));
        assert_eq!(
            parts(r#"{"changed":null,"change":{"x":1},"presence":null}"#),
            (Some(r#"{"x":1}"#), None)
        );
        assert_eq!(parts(r#"{"changed":null,"presence":{"a":1}}"#), (None, None));
        assert_eq!(parts(r#"{"changed":1,"changed":2}"#), (Some("2"), None));
        assert_eq!(parts(r#"{"chang\u0065d":1}"#), (Some("1"), None));
        for payload in ["", "null", "[]", "\"presence\"", "{", "{\"presence\":["] {
            assert_eq!(parts(payload), (None, None), "{payload}");
        }
    }

    #[test]
    fn connection_ids() {
        for (payload, id) in [
            (r#"{"id":"a","connectionId":"b"}"#, Some("b")),
            (r#"{"id":"a"}"#, Some("a")),
            ("{}", None),
            (r#"{"connectionId":null,"id":"a"}"#, Some("a")),
            (r#"{"connectionId":"","id":7}"#, None),
            (r#"{"connectionId":"\u0061"}"#, Some("a")),
        ] {
            assert_eq!(connection_id(payload).as_deref(), id, "{payload}");
        }
    }

    #[test]
    fn evictions() {
        for (payload, reason) in [
            (r#"{"message":"bye","code":403}"#, "bye"),
            (r#"{"reason":"bye"}"#, "bye"),
            (r#"{"reason":"r","userId":"u","message":"m"}"#, "r"),
            (r#"{"reason":null,"message":"m"}"#, "m"),
            ("{}", ""),
        ] {
            assert_eq!(eviction_reason(payload), reason, "{payload}");
        }
        assert!(["EVICTED", "evicted", "kicked_out"].into_iter().all(is_eviction));
        assert!(!["kicked", "user_evicted", "Evicted", ""].into_iter().any(is_eviction));
        assert!(
            ["UNAUTHORIZED", "NOT_FOUND", "INTERNAL_ERROR"]
                .into_iter()
                .all(is_error_event)
        );
        assert!(
            !["ACKNOWLEDGE", "not_found", "INVALID_MESSAGE", ""]
                .into_iter()
                .any(is_error_event)
        );
    }

    fn error(event: &str, payload: &str) -> (i32, String, String) {
        let error = server_error(event, Some(payload));
        (error.status, error.code, error.message)
    }

    fn is(status: i32, code: &str, message: &str) -> (i32, String, String) {
        (status, code.to_owned(), message.to_owned())
    }

    #[test]
    fn errors_of_the_javascript_server() {
        let payload = r#"{"code":"UNAUTHORIZED_JOIN_REQUEST","message":"No entry","status":403,"statusCode":403,
            "error":{"message":"No entry","status":403}}"#;
        let found = error("UNAUTHORIZED_JOIN_REQUEST", payload);
        assert_eq!(found, is(403, "UNAUTHORIZED_JOIN_REQUEST", "No entry"));
        let found = error(
            "HANDLER_NOT_FOUND",
            r#"{"message":"A handler did not respond to the event","code":500}"#,
        );
        assert_eq!(
            found,
            is(500, "HANDLER_NOT_FOUND", "A handler did not respond to the event")
        );
    }

    #[test]
    fn errors_of_the_old_javascript_server() {
        let found = error("UNAUTHORIZED_CONNECTION", r#"{"message":"Invalid token","code":401}"#);
        assert_eq!(found, is(401, "UNAUTHORIZED_CONNECTION", "Invalid token"));
        let found = error("INTERNAL_SERVER_ERROR", r#"{"message":"boom"}"#);
        assert_eq!(found, is(500, "INTERNAL_SERVER_ERROR", "boom"));
    }

    #[test]
    fn errors_of_the_go_server() {
        let payload =
            r#"{"channelName":"/c","message":"No entry","code":403,"temporary":false,"details":{"statusCode":409}}"#;
        assert_eq!(error("UNAUTHORIZED", payload), is(403, "UNAUTHORIZED", "No entry"));
        let payload = r#"{"code":500,"details":null,"temporary":false,"message":"bad"}"#;
        assert_eq!(error("INTERNAL_ERROR", payload), is(500, "INTERNAL_ERROR", "bad"));
        assert_eq!(
            error("NOT_FOUND", r#"{"message":"m","details":{"statusCode":410}}"#),
            is(410, "NOT_FOUND", "m")
        );
    }

    #[test]
    fn errors_of_the_python_server() {
        assert_eq!(
            error("UNAUTHORIZED", r#"{"code":403,"message":"No"}"#),
            is(403, "UNAUTHORIZED", "No")
        );
        let found = error("INVALID_MESSAGE", r#"{"error":"payload: Expected object"}"#);
        assert_eq!(found, is(500, "INVALID_MESSAGE", "payload: Expected object"));
        let (status, code, message) = error("NOT_FOUND", r#"{"channel":"/nope/1"}"#);
        assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
        assert!(message.contains("NOT_FOUND") && message.contains("channel"));
    }

    #[test]
    fn errors_of_the_rust_server() {
        let found = error("INTERNAL_ERROR", r#"{"message":"clientMessage: invalid type"}"#);
        assert_eq!(found, is(500, "INTERNAL_ERROR", "clientMessage: invalid type"));
        let (status, code, message) = error("NOT_FOUND", r#"{"channel":"/chat/ev","event":"nohandler"}"#);
        assert_eq!((status, code.as_str(), message.is_empty()), (404, "NOT_FOUND", false));
    }

    #[test]
    fn errors_in_order_of_preference() {
        let sources = [
            r#""status":401"#,
            r#""statusCode":402"#,
            r#""code":403"#,
            r#""error":{"status":404,"message":"m"}"#,
            r#""details":{"statusCode":405}"#,
        ];
        for (first, status) in (0..sources.len()).zip(401..) {
            let mut members = sources[first..].to_vec();
            members.reverse();
            assert_eq!(error("E", &format!("{{{}}}", members.join(","))).0, status);
        }
        assert_eq!(
            error("E", r#"{"code":"C","message":"a","error":{"message":"b"}}"#),
            is(500, "C", "a")
        );
        assert_eq!(error("E", r#"{"error":{"message":"b"}}"#), is(500, "E", "b"));
    }

    #[test]
    fn errors_without_use() {
        for payload in [
            None,
            Some("null"),
            Some("{}"),
            Some("[1]"),
            Some("\"text\""),
            Some("7"),
            Some("{\"status\":"),
            Some(r#"{"status":0,"statusCode":-1,"code":"","message":"","error":""}"#),
            Some(r#"{"status":"403","code":4.5,"message":7,"error":null,"details":[]}"#),
            Some(r#"{"status":1e99,"statusCode":2147483648,"code":true,"message":{},"error":[]}"#),
        ] {
            for (event, status) in [
                ("UNAUTHORIZED", 401),
                ("NOT_FOUND", 404),
                ("INTERNAL_ERROR", 500),
                ("X", 500),
            ] {
                let found = server_error(event, payload);
                assert_eq!((found.status, found.code.as_str()), (status, event), "{payload:?}");
                assert!(found.message.contains(event), "{found:?}");
            }
        }
        let nameless = server_error("", None);
        assert_eq!((nameless.status, nameless.code.as_str()), (500, "ERROR"));
        assert_eq!(error("X", r#"{"status":403.0}"#).0, 403);
    }
}
