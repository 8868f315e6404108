//! What comes out of frames, whole and broken ones.

use std::borrow::Cow;

use super::super::envelope::Action;
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
