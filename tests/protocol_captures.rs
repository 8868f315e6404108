//! Every recorded line of every server goes through the protocol floor and is compared with serde_json's reading of it;
//! then mutated and made-up frames.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use pondsocket::protocol::{
    Action, CheckError, ClientAction, MAX_NESTING, PresenceKind, Reading, check, client_frame, connection_id,
    eviction_reason, is_error_event, is_eviction, parse_frame, parse_frame_as, presence_kind, presence_parts,
    server_error,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

const JS: &str = include_str!("data/captures/js.jsonl");
const LEGACY: &str = include_str!("data/captures/js-legacy-0.1.70.jsonl");
const PYTHON: &str = include_str!("data/captures/python.jsonl");
const PYTHON_SSE: &str = include_str!("data/captures/python-sse.jsonl");
const RUST: &str = include_str!("data/captures/rust.jsonl");

#[derive(Deserialize)]
struct Line {
    scenario: String,
    dir: String,
    frame: String,
    /// Set when `frame` only describes what happened: handshakes, closes, failed sends.
    kind: Option<String>,
    /// Set when `frame` was cut: its real length.
    len: Option<usize>,
}

/// serde_json's reading of a server's envelope.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inbound<'a> {
    action: String,
    event: String,
    channel_name: Option<String>,
    request_id: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
}

/// A null payload is a payload.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// serde_json's reading of a client's frame.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Outbound<'a> {
    action: String,
    event: String,
    channel_name: String,
    request_id: String,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// How many lines of each sort a recording has. Counted from the recordings by other means than this library's.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    lines: usize,
    notes: usize,
    described: usize,
    cut: usize,
    inbound: usize,
    errors: usize,
    presence: usize,
    evictions: usize,
    connections: usize,
    outbound: usize,
    /// Payloads that this library refuses to send although some server takes them.
    refused: usize,
    /// By scenario: frames that were malformed on purpose, and how many of them give a `FrameError`. The others are
    /// envelopes that no client should send (no id, an array as payload, an unknown action...).
    malformed_out: BTreeMap<String, (usize, usize)>,
    /// By scenario: undecodable frames of the server.
    malformed_in: BTreeMap<String, usize>,
}

fn replay(recording: &str, server_tells_id: bool) -> Counts {
    let mut counts = Counts::default();
    for text in recording.lines() {
        let line: Line = serde_json::from_str(text).unwrap();
        counts.lines += 1;
        if line.dir == "note" {
            counts.notes += 1;
        } else if line.kind.is_some() {
            counts.described += 1;
        } else if line.len.is_some() {
            counts.cut += 1;
            let read: Vec<_> = parse_frame(&line.frame).collect();
            assert!(
                matches!(read.as_slice(), [Err(_)]),
                "a cut frame was read: {}",
                line.frame
            );
        } else if line.dir == "in" {
            inbound(&line.scenario, &line.frame, server_tells_id, &mut counts);
        } else {
            assert_eq!(line.dir, "out");
            outbound(&line.scenario, &line.frame, &mut counts);
        }
    }
    counts
}

fn inbound(scenario: &str, frame: &str, server_tells_id: bool, counts: &mut Counts) {
    let mut read: Vec<_> = parse_frame(frame).collect();
    assert_eq!(read.len(), 1, "{frame}");
    let Ok(theirs) = serde_json::from_str::<Inbound<'_>>(frame) else {
        let error = read.remove(0).unwrap_err();
        assert!(frame[error.offset..].starts_with(['N', 'I']), "{error}");
        *counts.malformed_in.entry(scenario.to_owned()).or_default() += 1;
        return;
    };
    counts.inbound += 1;
    let ours = read.remove(0).unwrap();
    assert_eq!(ours.text, frame);
    assert_eq!(ours.action_text, theirs.action);
    assert_ne!(ours.action, Action::Unknown);
    assert_eq!(ours.event, theirs.event);
    assert_eq!(ours.channel, theirs.channel_name.unwrap_or_default());
    assert_eq!(ours.request_id.as_deref(), theirs.request_id.as_deref());
    assert_eq!(ours.payload, theirs.payload.map(RawValue::get));

    let payload = ours.payload.unwrap_or("null");
    let value: Option<Value> = serde_json::from_str(payload).ok();
    match ours.action {
        Action::Connect => {
            counts.connections += 1;
            assert_eq!(connection_id(payload).is_some(), server_tells_id, "{frame}");
        }
        Action::Presence => {
            counts.presence += 1;
            let kind = match &*ours.event {
                "JOIN" => PresenceKind::Join,
                "UPDATE" => PresenceKind::Update,
                "LEAVE" => PresenceKind::Leave,
                other => panic!("unknown presence event {other}"),
            };
            assert_eq!(presence_kind(&ours.event), Some(kind));
            let (parts, value) = (presence_parts(payload), value.as_ref().unwrap());
            let parsed = |part: Option<&str>| serde_json::from_str::<Value>(part.unwrap()).unwrap();
            assert_eq!(parsed(parts.changed), value["changed"]);
            assert_eq!(parsed(parts.users), value["presence"]);
        }
        Action::System if is_eviction(&ours.event) => {
            counts.evictions += 1;
            assert!(!eviction_reason(payload).is_empty(), "{frame}");
        }
        _ => {}
    }
    if ours.action == Action::Error || ours.action == Action::System && is_error_event(&ours.event) {
        counts.errors += 1;
        let error = server_error(&ours.event, ours.payload);
        assert!((400..600).contains(&error.status), "{frame}");
        assert_eq!(error.code, ours.event);
        assert!(!error.message.is_empty());
        let value = value.unwrap();
        for told in [&value["message"], &value["error"]]
            .into_iter()
            .filter_map(Value::as_str)
        {
            assert_eq!(error.message, told);
        }
        for told in [&value["status"], &value["code"]].into_iter().filter_map(Value::as_i64) {
            assert_eq!(i64::from(error.status), told);
        }
    }
}

/// The frame as a client should send it, or `None`.
fn well_formed(frame: &str) -> Option<(ClientAction, Outbound<'_>)> {
    let read: Outbound<'_> = serde_json::from_str(frame).ok()?;
    let actions = [
        ClientAction::JoinChannel,
        ClientAction::LeaveChannel,
        ClientAction::Broadcast,
    ];
    let action = actions.into_iter().find(|action| action.as_str() == read.action)?;
    let strings = [&read.event, &read.channel_name, &read.request_id];
    let filled = strings.into_iter().all(|text| check::name(text, "x").is_ok());
    (filled && read.payload.get().starts_with('{')).then_some((action, read))
}

fn outbound(scenario: &str, frame: &str, counts: &mut Counts) {
    let Some((action, read)) = well_formed(frame) else {
        let entry = counts.malformed_out.entry(scenario.to_owned()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(parse_frame(frame).any(|read| read.is_err()));
        return;
    };
    counts.outbound += 1;
    let payload = read.payload.get();
    let made = client_frame(action, &read.event, &read.channel_name, &read.request_id, payload);
    let made = String::from_utf8(made).unwrap();
    let (_, again) = well_formed(&made).unwrap();
    assert_eq!(again.action, read.action);
    assert_eq!(again.event, read.event);
    assert_eq!(again.channel_name, read.channel_name);
    assert_eq!(again.request_id, read.request_id);
    assert_eq!(again.payload.get(), payload);
    let outer = made.strip_suffix(&format!("{payload}}}")).unwrap();
    assert!(
        !outer.contains(' ') || read.event.contains(' ') || read.channel_name.contains(' '),
        "{outer}"
    );

    if let Err(error) = check::object(payload, "the payload") {
        counts.refused += 1;
        match scenario {
            "deep_nesting" => assert!(matches!(error, CheckError::TooLarge(_)), "{error}"),
            "unicode" => assert!(matches!(error, CheckError::InvalidJson { .. }), "{error}"),
            _ => panic!("{scenario}: {error}"),
        }
    }
}

fn malformed() -> BTreeMap<String, (usize, usize)> {
    let of = |scenario: &str, frames, errors| (scenario.to_owned(), (frames, errors));
    [
        of("empty_strings", 3, 0),
        of("join_payload_shapes", 4, 0),
        of("join_unmatched", 1, 0),
        of("malformed", 19, 10),
        of("numbers", 1, 1),
    ]
    .into()
}

#[test]
fn javascript() {
    let expected = Counts {
        lines: 1299,
        notes: 9,
        described: 149,
        cut: 13,
        inbound: 822,
        errors: 65,
        presence: 28,
        evictions: 3,
        connections: 70,
        outbound: 278,
        refused: 6,
        malformed_out: malformed(),
        ..Counts::default()
    };
    assert_eq!(replay(JS, false), expected);
}

#[test]
fn old_javascript() {
    let expected = Counts {
        lines: 166,
        described: 30,
        inbound: 82,
        errors: 34,
        presence: 17,
        evictions: 1,
        outbound: 53,
        malformed_out: [("join_unmatched".to_owned(), (1, 0))].into(),
        ..Counts::default()
    };
    assert_eq!(replay(LEGACY, false), expected);
}

#[test]
fn python() {
    let expected = Counts {
        lines: 1278,
        notes: 9,
        described: 157,
        cut: 13,
        inbound: 790,
        errors: 39,
        presence: 28,
        evictions: 3,
        connections: 72,
        outbound: 278,
        refused: 6,
        malformed_out: malformed(),
        malformed_in: [("numbers".to_owned(), 3)].into(),
    };
    assert_eq!(replay(PYTHON, true), expected);
}

#[test]
fn rust() {
    let expected = Counts {
        lines: 1336,
        notes: 11,
        described: 174,
        cut: 13,
        inbound: 824,
        errors: 48,
        presence: 37,
        evictions: 3,
        connections: 76,
        outbound: 286,
        refused: 6,
        malformed_out: malformed(),
        ..Counts::default()
    };
    assert_eq!(replay(RUST, true), expected);
}

#[test]
fn python_server_sent_events() {
    let mut counts = Counts::default();
    for text in PYTHON_SSE.lines() {
        let line: Line = serde_json::from_str(text).unwrap();
        counts.lines += 1;
        // Requests and status lines are descriptions of HTTP; the stream's `data` lines are envelopes.
        let data = line
            .frame
            .strip_prefix("event: ")
            .and_then(|event| event.split_once("\ndata: "));
        match data {
            Some((_, data)) => inbound(&line.scenario, data.trim_end(), true, &mut counts),
            None if line.dir == "note" => counts.notes += 1,
            None => counts.described += 1,
        }
    }
    let expected = Counts {
        lines: 63,
        notes: 3,
        described: 46,
        inbound: 14,
        errors: 2,
        presence: 1,
        connections: 3,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
}

/// A batch as the Go server sends it: every frame of a recording in one, joined by line breaks.
#[test]
fn whole_recordings_as_one_frame() {
    for (recording, good, bad) in [(JS, 822, 0), (LEGACY, 82, 0), (PYTHON, 790, 3), (RUST, 824, 0)] {
        let frames = inbound_frames(recording);
        let batch = frames.join("\n");
        let (mut ours, mut errors) = (Vec::new(), 0);
        for read in parse_frame(&batch) {
            match read {
                Ok(envelope) => ours.push(envelope.text),
                Err(_) => errors += 1,
            }
        }
        assert_eq!((ours.len(), errors), (good, bad));
        let alone = frames
            .iter()
            .flat_map(|frame| parse_frame(frame).flatten().map(|read| read.text));
        assert!(alone.eq(ours));
    }
}

fn inbound_frames(recording: &str) -> Vec<String> {
    let lines = recording
        .lines()
        .map(|text| serde_json::from_str::<Line>(text).unwrap());
    let frames = lines.filter(|line| line.dir == "in" && line.kind.is_none() && line.len.is_none());
    frames.map(|line| line.frame).collect()
}

/// What must hold for any frame at all.
fn read_anything(frame: &str) -> Result<(), TestCaseError> {
    let mut count = 0;
    for read in parse_frame(frame) {
        count += 1;
        match read {
            Ok(envelope) => {
                let inside = |part: &str| envelope.text.as_bytes().as_ptr_range().contains(&part.as_ptr());
                // Payloads are their reader's to check: tests/protocol_differential.rs.
                let strict = parse_frame_as(frame, Reading::Strict).all(|read| read.is_ok());
                prop_assert!(!strict || serde_json::from_str::<IgnoredAny>(envelope.text).is_ok());
                if let Some(payload) = envelope.payload {
                    prop_assert!(inside(payload));
                    presence_parts(payload);
                    connection_id(payload);
                    eviction_reason(payload);
                    let error = server_error(&envelope.event, Some(payload));
                    prop_assert!(error.status > 0 && !error.code.is_empty() && !error.message.is_empty());
                }
                for text in [&envelope.action_text, &envelope.event] {
                    prop_assert!(matches!(text, Cow::Owned(_)) || text.is_empty() || inside(text));
                }
            }
            Err(error) => {
                prop_assert!(error.offset <= frame.len());
                prop_assert!(frame.get(error.excerpt.clone()).is_some());
                prop_assert!(!error.message.is_empty());
            }
        }
    }
    prop_assert!(count > 0);
    Ok(())
}

/// `object` and serde_json agree, apart from what `object` documents.
fn compare_check(json: &str) -> Result<(), TestCaseError> {
    let grammar = serde_json::from_str::<IgnoredAny>(json).is_ok();
    let object = grammar && json.trim_start().starts_with('{');
    match check::object(json, "the payload") {
        Ok(()) => prop_assert!(object, "accepted: {json:?}"),
        Err(CheckError::TooLarge(_)) => {
            let opened = json.matches(['[', '{']).count();
            prop_assert!(opened > MAX_NESTING, "{} levels are not too many", opened);
        }
        Err(CheckError::InvalidJson { message, .. }) if object => {
            prop_assert!(message.contains("surrogate"), "refused: {json:?}");
            prop_assert!(serde_json::from_str::<Value>(json).is_err());
        }
        Err(error) => prop_assert!(!object, "{error}: {json:?}"),
    }
    Ok(())
}

/// Some frames of every server, each with what one edit at a place makes of it.
fn mutated() -> impl Strategy<Value = String> {
    let recordings = [JS, LEGACY, PYTHON, RUST].into_iter();
    let frames: Vec<String> = recordings
        .flat_map(inbound_frames)
        .filter(|frame| frame.len() < 600)
        .collect();
    let edit = (
        any::<prop::sample::Index>(),
        0..4,
        "[\\[\\]{}:,\"\\\\uN0-9a-fE+.\n \u{1}é-]{1,3}",
    );
    let edits = prop::collection::vec(edit, 1..4);
    (prop::sample::select(frames), edits).prop_map(|(mut frame, edits)| {
        for (place, sort, text) in edits {
            let places: Vec<usize> = frame.char_indices().map(|(at, _)| at).collect();
            let Some(at) = (!places.is_empty()).then(|| *place.get(&places)) else {
                break;
            };
            let next = at + frame[at..].chars().next().map_or(0, char::len_utf8);
            match sort {
                0 => frame.insert_str(at, &text),
                1 => frame.replace_range(at..next, &text),
                2 => frame.replace_range(at..next, ""),
                _ => frame.truncate(at),
            }
        }
        frame
    })
}

/// JSON objects of any shape, rarely deep.
fn objects() -> impl Strategy<Value = String> {
    let text = "(\\PC|\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\[nu\"]|\u{1}){0,6}".prop_map(|text| format!("\"{text}\""));
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![text, number, "true|false|null|NaN|nul|01|-|1\\.|"];
    let value = leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(" , "))),
            prop::collection::vec(inner, 0..4).prop_map(|list| {
                let members: Vec<_> = list.iter().map(|value| format!("\"k\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    value.prop_map(|value| format!("{{\"a\" : {value}}}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(frame in any::<String>()) {
        read_anything(&frame)?;
        compare_check(&frame)?;
    }

    #[test]
    fn text_made_of_json_pieces(frame in "([\\[\\]{}:,\"\\\\uNtf0-9aeE+. \n-]|true|null|\"a\":|\"action\":\"A\"|\"event\":){0,30}") {
        read_anything(&frame)?;
        compare_check(&frame)?;
        compare_check(&format!("{{{frame}}}"))?;
    }

    #[test]
    fn mutated_recordings(frame in mutated()) {
        read_anything(&frame)?;
        compare_check(&frame)?;
    }

    #[test]
    fn objects_of_any_shape(json in objects()) {
        compare_check(&json)?;
        read_anything(&json)?;
    }
}
