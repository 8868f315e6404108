//! The roads through a frame against each other and against serde_json: the structural scan at every level of the
//! processor, the strict reading, and a reader made of serde_json's parts.
//!
//! 100,000 mutated frames, or as many as POND_DIFFERENTIAL_CASES says; POND_DIFFERENTIAL_SEED starts elsewhere.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::fmt;

use pondsocket::protocol::{
    Action, Envelope, FrameError, Level, Reading, Shape, Usual, parse_frame, parse_frame_as, presence_parts,
};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

const RECORDINGS: [&str; 5] = [
    include_str!("data/captures/js.jsonl"),
    include_str!("data/captures/js-legacy-0.1.70.jsonl"),
    include_str!("data/captures/python.jsonl"),
    include_str!("data/captures/python-sse.jsonl"),
    include_str!("data/captures/rust.jsonl"),
];

#[derive(Deserialize)]
struct Line {
    dir: String,
    frame: String,
}

/// The members of an object as serde_json sees them: of equal ones the last counts.
#[derive(Default)]
struct Members<'a>([Option<&'a RawValue>; 5]);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                // Raw, because a name with half a surrogate pair is a fault to serde_json.
                while let Some(name) = map.next_key::<&RawValue>()? {
                    let name: Result<Cow<'_, str>, _> = serde_json::from_str(name.get());
                    let known = ["action", "event", "channelName", "requestId", "payload"];
                    let place = name.ok().and_then(|name| known.iter().position(|known| *known == name));
                    match place {
                        Some(place) => members.0[place] = Some(map.next_value()?),
                        None => drop(map.next_value::<&RawValue>()?),
                    }
                }
                Ok(members)
            }
        }
        from.deserialize_map(Object)
    }
}

/// A text as serde_json decodes it; `None` if it is no text, or has half surrogate pairs.
fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn has_surrogates(text: &str) -> bool {
    text.to_ascii_lowercase().contains("\\ud")
}

/// What the strict reading says of the first value, against serde_json.
fn strict_is_right(frame: &str, read: &Result<Envelope<'_>, FrameError>) {
    let first = serde_json::Deserializer::from_str(frame)
        .into_iter::<&RawValue>()
        .next();
    if !frame.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{') {
        assert!(read.is_err(), "{frame:?}");
        return;
    }
    let Some(Ok(value)) = first else {
        assert!(read.is_err(), "serde_json refuses it: {frame:?}");
        return;
    };
    let members: Members<'_> = serde_json::from_str(value.get()).unwrap();
    if has_surrogates(value.get()) {
        return;
    }
    let [action, event, channel, request_id, payload] = members.0;
    let is_null = |value: &RawValue| value.get() == "null";
    let optional = |value: Option<&RawValue>| value.is_none_or(|value| is_null(value) || text(value).is_some());
    let fine =
        action.and_then(text).is_some() && event.and_then(text).is_some() && optional(channel) && optional(request_id);
    match read {
        Ok(envelope) => {
            assert!(fine, "{frame:?}");
            assert_eq!(envelope.text, value.get());
            assert_eq!(Some(envelope.action_text.as_ref()), action.and_then(text).as_deref());
            assert_eq!(Some(envelope.event.as_ref()), event.and_then(text).as_deref());
            assert_eq!(envelope.channel, channel.and_then(text).unwrap_or_default());
            assert_eq!(envelope.request_id.as_deref(), request_id.and_then(text).as_deref());
            assert_eq!(envelope.payload, payload.map(RawValue::get));
        }
        Err(error) => {
            assert!(!fine, "{error}: {frame:?}");
            assert_eq!(frame.get(error.excerpt.clone()), Some(value.get()));
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[derive(Default)]
struct Seen {
    cases: usize,
    envelopes: usize,
    faults: usize,
    loose: usize,
    presence: usize,
    memory: Shape,
}

/// Reads a frame with the shape of an earlier one.
fn read_like<'a>(frame: &'a str, reading: Reading, shape: &mut Shape) -> Vec<Result<Envelope<'a>, FrameError>> {
    let mut frames = parse_frame_as(frame, reading);
    let mut all = Vec::new();
    let mut usual = Usual::none();
    loop {
        // Whatever was in it before.
        if frames.next_usual_like(Some(shape), &mut usual) {
            all.push(Ok(usual.envelope(frame)));
            continue;
        }
        match frames.next_other() {
            Some(read) => all.push(read),
            None => return all,
        }
    }
}

/// What a session has read before does not matter: not to a frame of which it has seen the like, nor to any other.
fn compare_with_memory(frame: &str, original: &str, seen: &mut Seen) {
    let fresh: Vec<_> = parse_frame(frame).collect();
    for level in Level::all() {
        let reading = Reading::Structural(level);
        let mut shape = Shape::default();
        for _ in 0..4 {
            read_like(original, reading, &mut shape);
        }
        assert_eq!(
            read_like(frame, reading, &mut shape),
            fresh,
            "{level:?}: {original:?}, then {frame:?}"
        );
    }
    let read = read_like(frame, Reading::Structural(Level::best()), &mut seen.memory);
    assert_eq!(read, fresh, "{frame:?}");
}

/// All readings of one frame agree, as far as they should.
fn compare(frame: &str, seen: &mut Seen) {
    seen.cases += 1;
    let strict: Vec<_> = parse_frame_as(frame, Reading::Strict).collect();
    strict_is_right(frame, &strict[0]);
    let usual: Vec<_> = parse_frame(frame).collect();
    for level in Level::all() {
        let read: Vec<_> = parse_frame_as(frame, Reading::Structural(level)).collect();
        assert_eq!(read, usual, "{level:?}: {frame:?}");
    }
    for read in usual.iter().flatten() {
        let payload = read.payload.unwrap_or_default();
        assert_eq!(read.presence_parts(), presence_parts(payload), "{frame:?}");
        seen.presence += usize::from(read.action == Action::Presence && read.presence_parts().users.is_some());
    }
    for (place, ours) in usual.iter().enumerate() {
        let theirs = strict.get(place);
        if Some(ours) == theirs {
            match ours {
                Ok(_) => seen.envelopes += 1,
                Err(_) => seen.faults += 1,
            }
            continue;
        }
        // The only difference that may be: a payload that is balanced, but not JSON. From there on, they are at
        // different places of the frame.
        let Some(Err(fault)) = theirs else {
            panic!("{theirs:?}\n{ours:?}\n{frame:?}");
        };
        seen.loose += 1;
        match ours {
            Ok(envelope) => {
                assert!(envelope.text.as_ptr() as usize - frame.as_ptr() as usize <= fault.offset);
                only_the_payload_is_loose(envelope);
            }
            Err(error) => {
                assert!(error.excerpt.contains(&fault.offset) && error.excerpt.start == error.offset);
                assert!(frame[error.excerpt.clone()].contains("pay"), "{frame:?}");
            }
        }
        return;
    }
    assert_eq!(usual.len(), strict.len());
}

/// With a payload that is JSON, the strict reading takes the same envelope.
fn only_the_payload_is_loose(envelope: &Envelope<'_>) {
    let payload = envelope.payload.unwrap();
    let start = payload.as_ptr() as usize - envelope.text.as_ptr() as usize;
    let mended = format!(
        "{}0{}",
        &envelope.text[..start],
        &envelope.text[start + payload.len()..]
    );
    let read: Vec<_> = parse_frame_as(&mended, Reading::Strict).collect();
    match read.as_slice() {
        [Ok(mended)] => {
            assert!(!is_json(payload), "{payload:?}");
            assert_eq!(mended.action_text, envelope.action_text);
            assert_eq!(mended.event, envelope.event);
            assert_eq!(mended.channel, envelope.channel);
            assert_eq!(mended.request_id, envelope.request_id);
        }
        // An earlier payload of the same envelope, which does not count, was no JSON either.
        _ => assert!(envelope.text.matches("pay").count() > 1, "{:?}", envelope.text),
    }
}

/// A generator of numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

const PIECES: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\\"",
    "\\\\",
    ",",
    ":",
    "N",
    "NaN",
    "Infinity",
    "-",
    "0",
    "1e5",
    "null",
    "true",
    " ",
    "\n",
    "\t",
    "\u{1}",
    "\0",
    "é",
    "😀",
    "\\u00e9",
    "\\ud83d",
    "\"payload\":{},",
    "\"payload\":[1 2],",
    "\"action\":\"A\",",
    "\"event\":null,",
    ",\"x\":[{}]",
    "\"payl\\u006fad\":{\"a\" 1},",
    "\"requestId\": \"r\" ,",
];

fn mutate(frame: &mut String, other: &str, numbers: &mut Numbers) {
    let at = numbers.boundary(frame);
    match numbers.below(8) {
        0..3 => frame.insert_str(at, PIECES[numbers.below(PIECES.len())]),
        3 => {
            let next = at + frame[at..].chars().next().map_or(0, char::len_utf8);
            frame.replace_range(at..next, "");
        }
        4 => {
            let next = at + frame[at..].chars().next().map_or(0, char::len_utf8);
            frame.replace_range(at..next, PIECES[numbers.below(PIECES.len())]);
        }
        5 => {
            let to = numbers.boundary(frame);
            let piece = frame[at.min(to)..at.max(to)].to_owned();
            let place = numbers.boundary(frame);
            frame.insert_str(place, &piece);
        }
        6 => {
            // A piece of another frame, perhaps a whole member of it.
            let from = numbers.boundary(other);
            let to = numbers.boundary(other);
            frame.insert_str(at, &other[from.min(to)..from.max(to)]);
        }
        _ => {
            if numbers.below(2) == 0 {
                frame.truncate(at);
            } else {
                frame.push_str(["", "\n", " ", "\r\n"][numbers.below(4)]);
                frame.push_str(other);
            }
        }
    }
}

/// Recorded frames, and made-up ones of the shapes that recordings lack.
fn seeds() -> Vec<String> {
    let mut frames = Vec::new();
    for recording in RECORDINGS {
        for line in recording.lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            let frame = line
                .frame
                .split_once("\ndata: ")
                .map_or(line.frame.as_str(), |(_, data)| data.trim_end());
            if line.dir == "in" && frame.starts_with('{') && frame.len() < 2000 {
                frames.push(frame.to_owned());
            }
        }
    }
    assert!(frames.len() > 2000, "{}", frames.len());
    let envelope = |action: &str, payload: &str| {
        format!(
            "{{\"action\":\"{action}\",\"event\":\"JOIN\",\"channelName\":\"/c\",\"requestId\":\"r\",\"payload\":{payload}}}"
        )
    };
    let deep = format!("{}{}", "[{\"k\":".repeat(60) + "1", "}]".repeat(60));
    let users: Vec<String> = (0..20)
        .map(|user| format!("{{\"id\":\"u{user}\",\"x\":[{user}.5,null]}}"))
        .collect();
    let users = users.join(",");
    for payload in [
        "{}",
        "[]",
        "\"text\"",
        "-1.5e3",
        "null",
        "{\"NaN\":\"I\\\\\",\"I\":\"\\\"N\"}",
        "{\n  \"a\": [\n\t1,\r\n 2 ]\n}",
        "{\"a\":\"\\\\\\\\\\\\\\\"\",\"b\":\"\\u00e9\\n\"}",
        deep.as_str(),
        &format!("{{\"presence\":[{users}],\"changed\":{{\"id\":\"u1\"}}}}"),
        &format!("{{\"changed\":{{\"id\":\"]}}\"}},\"presence\":[{users}]}}"),
        "{\"change\" : 1 , \"presence\" : null, \"presence\":[ ], \"chang\\u0065d\":[]}",
    ] {
        for action in ["BROADCAST", "PRESENCE"] {
            // Many times: there are few of them among the recorded ones.
            for _ in 0..20 {
                frames.push(envelope(action, payload));
            }
        }
    }
    frames
}

fn setting(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => otherwise,
    }
}

#[test]
fn recorded_frames() {
    let mut seen = Seen::default();
    for frame in seeds() {
        compare(&frame, &mut seen);
        compare_with_memory(&frame, &frame, &mut seen);
    }
    assert_eq!(seen.loose, 0, "what servers send is JSON");
    assert!(seen.envelopes > 2000 && seen.presence > 100);
}

#[test]
fn mutated_frames() {
    let cases = setting("POND_DIFFERENTIAL_CASES", 100_000);
    let seed = setting("POND_DIFFERENTIAL_SEED", 0x9E37_79B9) as u64;
    let frames = seeds();
    let mut numbers = Numbers(seed.max(1));
    let mut seen = Seen::default();
    while seen.cases < cases {
        let original = &frames[numbers.below(frames.len())];
        let mut frame = original.clone();
        for _ in 0..=numbers.below(3) {
            mutate(&mut frame, &frames[numbers.below(frames.len())], &mut numbers);
        }
        compare(&frame, &mut seen);
        compare_with_memory(&frame, original, &mut seen);
    }
    println!(
        "{} frames at {:?}: {} envelopes alike, {} faults alike, {} payloads balanced but not JSON, {} lists of users",
        seen.cases,
        Level::all(),
        seen.envelopes,
        seen.faults,
        seen.loose,
        seen.presence
    );
    if cases >= 10_000 {
        // Every verdict was put to the test.
        for count in [seen.envelopes, seen.faults, seen.loose, seen.presence] {
            assert!(count > cases / 500, "{count} of {cases}");
        }
    }
}

#[test]
fn what_is_balanced_is_handed_over_and_what_is_not_is_a_fault() {
    let frame = |payload: &str| format!("{{\"action\":\"A\",\"event\":\"e\",\"payload\":{payload}}}");
    for payload in [
        "{\"a\" 1}",
        "[1 2]",
        "[,]",
        "{1:2}",
        "[01, tru]",
        "[\"\\x\"]",
        "{\"a\":1,}",
    ] {
        assert!(!is_json(payload));
        let frame = frame(payload);
        let read: Vec<_> = parse_frame(&frame).collect();
        assert!(
            matches!(read.as_slice(), [Ok(envelope)] if envelope.payload == Some(payload)),
            "{frame}"
        );
        // Behind a fault payloads are read strictly.
        let behind = format!("x\n{frame}");
        assert!(parse_frame(&behind).all(|read| read.is_err()), "{frame}");
    }
    for payload in [
        "[}",
        "[1",
        "{\"a\":\"}",
        "[\"\n\"]",
        "[\0]",
        "[\"\0\"]",
        "[\\\"]",
        "[NaN]",
        "{\"a\":-Infinity}",
        "[[{]}]",
        "tru",
        "01",
        "\"\\x\"",
    ] {
        let frame = frame(payload);
        let read: Vec<_> = parse_frame(&frame).collect();
        assert!(matches!(read.as_slice(), [Err(_), ..]), "{frame:?}");
    }
}

#[test]
fn faults_far_behind_take_linear_time() {
    // Each line's payload never ends: looked for from each line to the end, this would take hours.
    let line = "{\"action\":\"A\",\"event\":\"e\",\"payload\":{\"a\":[x\n";
    let frame = line.repeat(100_000);
    assert_eq!(parse_frame(&frame).count(), 100_000);
}
