//! A server that speaks WebSocket, and says what no server should. After each oddity comes a good message `after`: on the same
//! connection where the protocol allows it to live, on the next one where not.

use std::sync::Arc;

use pondsocket::session::status;
use serde_json::json;

use super::memory::{Growth, isolated};
use super::oracle::number;
use super::peer::{
    CHANNEL_ERROR, CLIENT_ERROR, CLIENT_MESSAGE, CLIENT_STATE, DISCONNECTED, Ev, JOINED, MESSAGE, PRESENCE, Peer, Rules,
};
use super::raw::{BINARY, CLOSE, Hostile, PING, TEXT, acknowledge, frame, header, text};
use super::{SLACK, alone};

const MAX_IN: usize = 2 << 20;
/// The server sends its last ACKNOWLEDGE again.
const REPLAY: &[u8] = b"the last ACKNOWLEDGE";

/// What the program must see of it, before `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// A CLIENT_ERROR with POND_ERROR_PROTOCOL; the connection lives.
    Error,
    /// A CHANNEL_ERROR; the connection lives.
    ChannelError,
    /// A MESSAGE.
    Message,
    /// A MESSAGE with a payload that is no JSON, byte for byte: balanced, and for the reader's parser to refuse.
    Unchecked,
    /// A message, then an error for the rest of the frame.
    MessageAndError,
    /// A CLIENT_MESSAGE: of the connection itself.
    Endpoint,
    /// A PRESENCE event.
    Presence,
    /// Nothing: it concerns nobody.
    Nothing,
    /// CONNECTION_LOST, and a redial.
    End,
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    shows: Shows,
}

fn case(name: impl Into<String>, bytes: Vec<u8>, shows: Shows) -> Case {
    Case {
        name: name.into(),
        bytes,
        shows,
    }
}

/// A broadcast in the room with that payload.
fn broadcast(payload: &str) -> String {
    format!(r#"{{"action":"BROADCAST","event":"odd","channelName":"/room","requestId":"r","payload":{payload}}}"#)
}

/// Texts that are no envelopes, or whose payload is no JSON.
fn broken_json() -> Vec<Case> {
    let deep = |open: &str, close: &str| broadcast(&format!("{}{}", open.repeat(100_000), close.repeat(100_000)));
    let cases: [(&str, String); 25] = [
        ("nothing", String::new()),
        ("a space", " ".to_owned()),
        ("a word", "hello".to_owned()),
        ("an open object", "{".to_owned()),
        ("half an envelope", broadcast("{}")[..40].to_owned()),
        ("a number", "42".to_owned()),
        ("null", "null".to_owned()),
        ("a string", "\"x\"".to_owned()),
        ("an array", "[]".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("NaN", broadcast("{\"x\":NaN}")),
        ("Infinity", broadcast("{\"x\":-Infinity}")),
        ("a hexadecimal number", broadcast("{\"x\":0x10}")),
        ("a leading zero", broadcast("{\"x\":01}")),
        ("a trailing comma", broadcast("{\"x\":1,}")),
        ("a single quote", broadcast("{'x':1}")),
        ("a comment", broadcast("{/* */}")),
        ("a bad escape", broadcast("{\"x\":\"\\q\"}")),
        ("a short escape", broadcast("{\"x\":\"\\u12\"}")),
        ("a control character", broadcast("{\"x\":\"\u{1}\"}")),
        ("a byte order mark", format!("\u{feff}{}", broadcast("{}"))),
        ("100,000 arrays that do not match", deep("[", "}")),
        ("100,000 open arrays", "[".repeat(100_000)),
        ("100,000 open payload arrays", broadcast(&"[".repeat(100_000))),
        ("100,000 open objects", "{\"a\":".repeat(100_000)),
    ];
    let balanced = [
        "a hexadecimal number",
        "a leading zero",
        "a trailing comma",
        "a single quote",
        "a comment",
        "a bad escape",
        "a short escape",
    ];
    let shows = |name| match balanced.contains(&name) {
        true => Shows::Unchecked,
        false => Shows::Error,
    };
    cases.map(|(name, body)| case(name, text(&body), shows(name))).into()
}

/// Each field of an envelope with each wrong type, and absent.
fn wrong_types() -> Vec<Case> {
    let good = json!({"action": "BROADCAST", "event": "odd", "channelName": "/room", "requestId": "r", "payload": {}});
    let mut cases = Vec::new();
    for field in ["action", "event", "channelName", "requestId", "payload"] {
        for wrong in [
            json!(null),
            json!(7),
            json!(-1.5e300),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
        ] {
            let mut envelope = good.clone();
            envelope[field] = wrong.clone();
            let shows = match (field, &wrong) {
                ("payload", _) => Shows::Message,
                ("requestId", json) if json.is_null() || json.is_string() => Shows::Message,
                // That is how servers speak of the connection itself.
                ("channelName", json) if json.is_null() || json.is_string() => Shows::Endpoint,
                ("event", json) if json.is_string() => Shows::Message,
                _ => Shows::Error,
            };
            cases.push(case(format!("{field} is {wrong}"), text(&envelope.to_string()), shows));
        }
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(field);
        let shows = match field {
            "payload" | "requestId" => Shows::Message,
            "channelName" => Shows::Endpoint,
            _ => Shows::Error,
        };
        cases.push(case(format!("no {field}"), text(&envelope.to_string()), shows));
    }
    cases
}

/// Good frames that come at the wrong time or to the wrong place.
fn out_of_place() -> Vec<Case> {
    let envelope = |action: &str, event: &str, channel: &str, payload: &str| {
        text(&format!(
            r#"{{"action":"{action}","event":"{event}","channelName":"{channel}","requestId":"r","payload":{payload}}}"#
        ))
    };
    let users: Vec<_> = (0..100_000).map(|id| json!({"id": id})).collect();
    let crowd = json!({
        "action": "PRESENCE", "event": "JOIN", "channelName": "/room", "requestId": "r",
        "payload": {"presence": users, "changed": {"id": 99_999}},
    });
    let huge = format!("{{\"x\":{}}}", "9".repeat(100_000));
    vec![
        case(
            "an unknown action",
            envelope("DANCE", "odd", "/room", "{}"),
            Shows::Error,
        ),
        case(
            "an unknown presence event",
            envelope("PRESENCE", "DANCE", "/room", "{}"),
            Shows::Error,
        ),
        case(
            "an unknown CONNECT event",
            envelope("CONNECT", "DANCE", "GATEWAY", "{}"),
            Shows::Error,
        ),
        case(
            "an unknown error",
            envelope("ERROR", "DANCE", "/room", "{}"),
            Shows::ChannelError,
        ),
        case(
            "an unknown SYSTEM event",
            envelope("SYSTEM", "DANCE", "/room", "{}"),
            Shows::Message,
        ),
        case(
            "another channel",
            envelope("BROADCAST", "odd", "/elsewhere", "{}"),
            Shows::Nothing,
        ),
        case(
            "another channel's eviction",
            envelope("SYSTEM", "EVICTED", "/elsewhere", "{}"),
            Shows::Nothing,
        ),
        case(
            "another channel's presence",
            envelope("PRESENCE", "JOIN", "/elsewhere", "{}"),
            Shows::Nothing,
        ),
        case(
            "another channel's error",
            envelope("ERROR", "INTERNAL_ERROR", "/elsewhere", "{}"),
            Shows::Nothing,
        ),
        case(
            "an ACKNOWLEDGE of nothing",
            envelope("SYSTEM", "ACKNOWLEDGE", "/room", "{}"),
            Shows::Nothing,
        ),
        case("three replayed ACKNOWLEDGEs", REPLAY.to_vec(), Shows::Nothing),
        case(
            "an EXIT_ACKNOWLEDGE",
            envelope("SYSTEM", "EXIT_ACKNOWLEDGE", "/room", "{}"),
            Shows::Nothing,
        ),
        case("a second CONNECTION", text(super::raw::CONNECTION), Shows::Nothing),
        case(
            "a number beyond every double",
            text(&broadcast("{\"x\":1e999999}")),
            Shows::Message,
        ),
        case("a number of 100,000 digits", text(&broadcast(&huge)), Shows::Message),
        case(
            "100,000 arrays",
            text(&broadcast(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
            Shows::Message,
        ),
        case(
            "100,000 objects",
            text(&broadcast(&format!(
                "{}1{}",
                "{\"a\":".repeat(100_000),
                "}".repeat(100_000)
            ))),
            Shows::Message,
        ),
        case(
            "something behind an envelope",
            text(&format!("{}x", broadcast("{}"))),
            Shows::MessageAndError,
        ),
        case(
            "a lone surrogate",
            text(&broadcast("{\"x\":\"\\ud800\"}")),
            Shows::Message,
        ),
        case(
            "NUL in a string",
            text(&broadcast("{\"x\":\"\\u0000\"}")),
            Shows::Message,
        ),
        case(
            "the same key twice",
            text(&broadcast("{\"x\":1,\"x\":2}")),
            Shows::Message,
        ),
        case(
            "a binary envelope",
            frame(BINARY, broadcast("{\"x\":3}").as_bytes()),
            Shows::Message,
        ),
        case("binary rubbish", frame(BINARY, &[0xFF, 0xFE, 0x00]), Shows::Error),
        case("presence of 100,000", text(&crowd.to_string()), Shows::Presence),
        case(
            "presence without a list",
            envelope("PRESENCE", "JOIN", "/room", "{}"),
            Shows::Presence,
        ),
        case(
            "presence of nonsense",
            envelope("PRESENCE", "JOIN", "/room", "{\"presence\":7,\"changed\":[]}"),
            Shows::Presence,
        ),
        case(
            "a Pong that was not asked for",
            frame(0x8A, b"12345678"),
            Shows::Nothing,
        ),
        case("10,000 pings", frame(PING, b"hello").repeat(10_000), Shows::Nothing),
        case("10,000 pongs", frame(0x8A, b"hello").repeat(10_000), Shows::Nothing),
        case("10,000 empty frames of a message", fragments(10_000), Shows::Message),
        case("a message of exactly the limit", at_limit(0), Shows::Message),
    ]
}

/// A message in very many fragments.
fn fragments(count: usize) -> Vec<u8> {
    let body = broadcast("{\"x\":4}");
    let mut bytes = frame(0x01, body.as_bytes());
    for _ in 0..count {
        bytes.extend(frame(0x00, b""));
    }
    bytes.extend(frame(0x80, b""));
    bytes
}

/// A message of the limit and so many bytes.
fn at_limit(over: usize) -> Vec<u8> {
    let rest = broadcast("{\"x\":\"\"}").len();
    text(&broadcast(&format!(
        "{{\"x\":\"{}\"}}",
        "y".repeat(MAX_IN + over - rest)
    )))
}

/// What the WebSocket protocol forbids.
fn forbidden() -> Vec<Case> {
    let good = broadcast("{}");
    let mut masked = vec![TEXT, 0x80 | 5, 1, 2, 3, 4];
    masked.extend_from_slice(b"abcde");
    let mut endless = frame(0x01, &[b'x'; 1024]);
    for _ in 0..4 * MAX_IN / 1024 {
        endless.extend(frame(0x00, &[b'x'; 1024]));
    }
    let mut cases = vec![
        case("invalid UTF-8", frame(TEXT, b"{\"action\":\"\xff\"}"), Shows::End),
        case("an overlong code", frame(TEXT, b"\xc0\x80"), Shows::End),
        case("half a character", frame(TEXT, b"\xe2\x82"), Shows::End),
        case("a surrogate in UTF-8", frame(TEXT, b"\xed\xa0\x80"), Shows::End),
        case(
            "half a character in fragments",
            [frame(0x01, b"\xe2"), frame(0x80, b"\x28")].concat(),
            Shows::End,
        ),
        case("a masked frame", masked, Shows::End),
        case("a fragmented Ping", frame(0x09, b"x"), Shows::End),
        case("a Ping of 126 bytes", frame(PING, &[0; 126]), Shows::End),
        case("a continuation of nothing", frame(0x80, b"x"), Shows::End),
        case(
            "a message within a message",
            [frame(0x01, b"a"), text(&good)].concat(),
            Shows::End,
        ),
        case(
            "a length of 2^63",
            [header(TEXT, 1 << 63), vec![b'x'; 64]].concat(),
            Shows::End,
        ),
        case(
            "a length of 2^62",
            [header(TEXT, 1 << 62), vec![b'x'; 64]].concat(),
            Shows::End,
        ),
        case(
            "a length of 4 GiB",
            [header(TEXT, 1 << 32), vec![b'x'; 64]].concat(),
            Shows::End,
        ),
        case("one byte over the limit", at_limit(1), Shows::End),
        case("endless fragments", endless, Shows::End),
        case("a Close of one byte", frame(CLOSE, b"x"), Shows::End),
        case(
            "a Close that is not UTF-8",
            frame(CLOSE, b"\x03\xe8\xff\xfe"),
            Shows::End,
        ),
        case("a Close of 126 bytes", frame(CLOSE, &[0x03; 126]), Shows::End),
    ];
    for bit in [0x40, 0x20, 0x10] {
        cases.push(case(
            format!("reserved bit {bit:#x}"),
            frame(TEXT | bit, good.as_bytes()),
            Shows::End,
        ));
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        cases.push(case(
            format!("opcode {opcode:#x}"),
            frame(0x80 | opcode, b"x"),
            Shows::End,
        ));
    }
    cases
}

/// Does this event show the case as it should?
fn is_shown(ev: &Ev, shows: Shows) -> bool {
    match shows {
        Shows::Error => ev.kind == CLIENT_ERROR && ev.status == status::PROTOCOL && !ev.message.is_empty(),
        Shows::ChannelError => ev.kind == CHANNEL_ERROR && ev.status == status::SERVER,
        Shows::Message | Shows::Unchecked | Shows::MessageAndError => ev.kind == MESSAGE,
        Shows::Endpoint => ev.kind == CLIENT_MESSAGE,
        Shows::Presence => ev.kind == PRESENCE,
        Shows::End => ev.kind == CLIENT_STATE && ev.state == DISCONNECTED && ev.status == status::CONNECTION_LOST,
        Shows::Nothing => false,
    }
}

fn run(test: &str, cases: Vec<Case>) {
    let _alone = alone();
    if !isolated("hostile", test) {
        return;
    }
    let cases = Arc::new(cases);
    let served = Arc::clone(&cases);
    let hostile = Hostile::new(move |conn, _| {
        conn.greet()?;
        let mut answer = Vec::new();
        loop {
            let asked = conn.text()?;
            if asked.contains("JOIN_CHANNEL") {
                answer = text(&acknowledge(&asked));
                conn.write(&answer)?;
                continue;
            }
            let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
            let Some(k) = asked["payload"]["k"].as_u64() else {
                continue;
            };
            if asked["event"] == "odd" {
                match &*served[k as usize].bytes {
                    REPLAY => conn.write(&answer.repeat(3))?,
                    bytes => conn.write(bytes)?,
                }
            }
            let after = format!(
                r#"{{"action":"BROADCAST","event":"after","channelName":"/room","requestId":"a","payload":{{"k":{k}}}}}"#
            );
            conn.write(&text(&after))?;
        }
    });
    let rules = Rules {
        max_in: MAX_IN as u64,
        // Parsing 100,000 users in a debug build must not look like a dead link.
        pong_ms: 2_000,
        ..Rules::default()
    };
    let mut peer = Peer::new(&hostile.url(), &rules);
    peer.connect();
    let channel = peer.channel("/room");
    peer.wait_joined("/room", SLACK);
    let growth = Growth::begin();
    let mut wrong = Vec::new();
    for (k, case) in cases.iter().enumerate() {
        let payload = format!("{{\"k\":{k}}}");
        peer.seen.clear();
        let lost = peer.oracle.losses;
        assert_eq!(peer.send(channel, "odd", &payload), status::OK);
        if case.shows == Shows::End {
            let end = peer.wait(&case.name, SLACK, |ev| is_shown(ev, Shows::End));
            assert!(!end.message.is_empty());
            peer.wait_joined("/room", rules.healed_within() + SLACK);
            assert_eq!(peer.send(channel, "plain", &payload), status::OK);
        }
        let mut before = Vec::new();
        peer.wait(&format!("after: {}", case.name), SLACK + SLACK, |ev| {
            before.push(ev.clone());
            ev.kind == MESSAGE && ev.name == "after" && number(&ev.payload, "k") == Some(k as u64)
        });
        before.pop();
        let expected_losses = u64::from(case.shows == Shows::End);
        assert_eq!(
            peer.oracle.losses - lost,
            expected_losses,
            "{}: connections lost",
            case.name
        );
        match case.shows {
            Shows::End => {}
            Shows::Nothing if before.is_empty() => {}
            Shows::MessageAndError => {
                assert_eq!(before.len(), 2, "{}", case.name);
                assert!(is_shown(&before[0], Shows::Message) && is_shown(&before[1], Shows::Error));
            }
            _ if before.len() == 1 && is_shown(&before[0], case.shows) => {}
            _ => wrong.push(format!(
                "{} should show {:?}: {:.300?}",
                case.name,
                case.shows,
                format!("{before:?}")
            )),
        }
        if case.shows == Shows::Unchecked || case.name.contains("exactly the limit") {
            assert!(
                case.bytes.ends_with(format!("{}}}", before[0].payload).as_bytes()),
                "byte for byte"
            );
        }
        if case.name == "presence of 100,000" {
            let users: serde_json::Value = serde_json::from_str(&before[0].users).unwrap();
            assert_eq!(users.as_array().unwrap().len(), 100_000);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(pondsocket::ffi::channel::pond_channel_state(channel), JOINED);
    // What is read at once, its copy for the program, and what the allocator keeps of both.
    growth.below(
        64 << 20,
        &format!("{} oddities of at most {} bytes", cases.len(), 4 * MAX_IN),
    );
}

#[test]
fn broken_json_is_an_error_event_and_the_connection_lives() {
    run("broken_json_is_an_error_event_and_the_connection_lives", broken_json());
}

#[test]
fn each_field_of_each_wrong_type_is_told_or_delivered() {
    run("each_field_of_each_wrong_type_is_told_or_delivered", wrong_types());
}

#[test]
fn frames_out_of_place_harm_nobody() {
    run("frames_out_of_place_harm_nobody", out_of_place());
}

#[test]
fn what_the_protocol_forbids_ends_the_connection_only() {
    run("what_the_protocol_forbids_ends_the_connection_only", forbidden());
}
