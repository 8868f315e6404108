//! The frame decoder over what the Autobahn test suite asks, each case whole, byte by byte, and in random pieces.

use super::super::frame::{Decoder, Message, Violation, is_sendable};
use super::frame;

const LIMIT: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Option<String>),
    TooLarge,
    NotUtf8,
    Forbidden,
}

use Said::{Binary, Close, Forbidden, NotUtf8, Ping, Pong, Text, TooLarge};

impl From<Result<Message<'_>, Violation>> for Said {
    fn from(said: Result<Message<'_>, Violation>) -> Self {
        match said {
            Ok(Message::Text(text)) => Text(text.to_owned()),
            Ok(Message::Binary(bytes)) => Binary(bytes.to_owned()),
            Ok(Message::Ping(payload)) => Ping(payload.to_owned()),
            Ok(Message::Pong(payload)) => Pong(payload.to_owned()),
            Ok(Message::Close { code, reason, payload }) => {
                assert_eq!(code.is_none(), payload.is_empty());
                Close(code, reason.map(str::to_owned))
            }
            Err(Violation::TooLarge) => TooLarge,
            Err(Violation::NotUtf8) => NotUtf8,
            Err(Violation::Forbidden(what)) => {
                assert!(!what.is_empty());
                Forbidden
            }
        }
    }
}

/// Everything said in these pieces, up to the end.
fn decode<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Said> {
    let mut decoder = Decoder::new(limit);
    let mut all = Vec::new();
    for mut piece in pieces {
        while let Some(said) = decoder.next(&mut piece) {
            all.push(said.into());
            if !matches!(all.last(), Some(Text(_) | Binary(_) | Ping(_) | Pong(_))) {
                return all;
            }
        }
        assert!(piece.is_empty(), "nothing is left behind");
        decoder.settle();
    }
    all
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn random_pieces<'a>(mut bytes: &'a [u8], state: &mut u64) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        // Mostly short ones: that is where headers are cut.
        let most = if random(state).is_multiple_of(4) {
            bytes.len()
        } else {
            12
        };
        let (piece, rest) = bytes.split_at((1 + random(state) as usize % most).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn check(name: &str, bytes: &[u8], expected: &[Said]) {
    check_limited(LIMIT, name, bytes, expected);
}

fn check_limited(limit: usize, name: &str, bytes: &[u8], expected: &[Said]) {
    assert!(
        decode(limit, [bytes]) == expected,
        "{name}, whole: {:?}",
        decode(limit, [bytes])
    );
    assert!(decode(limit, bytes.chunks(1)) == expected, "{name}, byte by byte");
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..if bytes.len() > 10_000 { 10 } else { 100 } {
        let pieces = random_pieces(bytes, &mut state);
        assert!(decode(limit, pieces) == expected, "{name}, in random pieces ({round})");
    }
}

/// A header with its length in the given form.
fn long_form(first: u8, form: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, form];
    match form {
        126 => bytes.extend((length as u16).to_be_bytes()),
        _ => bytes.extend(length.to_be_bytes()),
    }
    bytes.extend(payload);
    bytes
}

#[test]
fn messages_of_each_length() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 300_000] {
        let payload = vec![b'*'; length];
        let text = String::from_utf8(payload.clone()).unwrap();
        check("text", &frame(0x81, &payload), &[Text(text.clone())]);
        check("binary", &frame(0x82, &payload), &[Binary(payload.clone())]);
        let twice = [frame(0x81, &payload), frame(0x82, &payload), frame(0x81, b"end")].concat();
        check(
            "several",
            &twice,
            &[Text(text), Binary(payload), Text("end".to_owned())],
        );
    }
}

#[test]
fn lengths_in_a_longer_form_than_needed_are_understood() {
    for payload in [&b""[..], b"x", &[b'y'; 125]] {
        let text = [Text(String::from_utf8(payload.to_owned()).unwrap())];
        check("126", &long_form(0x81, 126, payload.len() as u64, payload), &text);
        check("127", &long_form(0x81, 127, payload.len() as u64, payload), &text);
    }
    let long = vec![b'z'; 300];
    check("127 for 300", &long_form(0x82, 127, 300, &long), &[Binary(long)]);
    // A control frame has none.
    check("a ping", &long_form(0x89, 126, 1, b"x"), &[Forbidden]);
}

#[test]
fn lengths_over_the_limit_are_refused_before_anything_is_kept() {
    for length in [LIMIT as u64 + 1, 1 << 32, 1 << 40, 1 << 62, 1 << 63, u64::MAX] {
        check("too long", &long_form(0x81, 127, length, b"some"), &[TooLarge]);
        check("too long", &long_form(0x82, 127, length, b""), &[TooLarge]);
        let (mut decoder, bytes) = (Decoder::new(LIMIT), long_form(0x81, 127, length, b"some"));
        assert_eq!(decoder.next(&mut &bytes[..]), Some(Err(Violation::TooLarge)));
        assert_eq!(decoder.held(), 0);
    }
    let no_limit = long_form(0x81, 127, 1 << 63, b"");
    assert_eq!(decode(usize::MAX, [&no_limit[..]]), [TooLarge]);
    check_limited(
        10,
        "at the limit",
        &frame(0x81, b"0123456789"),
        &[Text("0123456789".to_owned())],
    );
    check_limited(10, "over it", &frame(0x81, b"0123456789a"), &[TooLarge]);
    let sum = [frame(0x01, b"01234"), frame(0x00, b"56789"), frame(0x80, b"a")].concat();
    check_limited(10, "the sum of fragments", &sum, &[TooLarge]);
    let exact = [frame(0x01, b"01234"), frame(0x00, b"56789"), frame(0x80, b"")].concat();
    check_limited(10, "a sum at the limit", &exact, &[Text("0123456789".to_owned())]);
    // The limit is about messages.
    check_limited(2, "a ping", &frame(0x89, b"12345"), &[Ping(b"12345".to_vec())]);
}

#[test]
fn memory_grows_with_what_came_and_goes_with_the_message() {
    let mut decoder = Decoder::new(usize::MAX);
    let announced = long_form(0x81, 127, 1 << 40, b"");
    assert_eq!(decoder.next(&mut &announced[..]), None);
    assert_eq!(decoder.held(), 0);
    assert_eq!(decoder.next(&mut &[b'x'; 1000][..]), None);
    assert!((1000..4000).contains(&decoder.held()), "{}", decoder.held());

    let mut decoder = Decoder::new(LIMIT);
    let long = frame(0x81, &[b'x'; 1000]);
    assert_eq!(decoder.next(&mut &long[..500]), None);
    decoder.settle();
    assert!(matches!(decoder.next(&mut &long[500..]), Some(Ok(Message::Text(text))) if text.len() == 1000));
    decoder.settle();
    assert_eq!(decoder.held(), 0);
    let ping = frame(0x89, &[b'x'; 100]);
    assert_eq!(decoder.next(&mut &ping[..50]), None);
    assert!(decoder.next(&mut &ping[50..]).is_some());
    decoder.settle();
    assert_eq!(decoder.held(), 0);
}

#[test]
fn control_frames() {
    for length in [0, 1, 125] {
        let payload = vec![0xfe; length];
        check("a ping", &frame(0x89, &payload), &[Ping(payload.clone())]);
        check("a pong", &frame(0x8a, &payload), &[Pong(payload.clone())]);
    }
    let ten: Vec<u8> = (0..10).flat_map(|n| frame(0x89, &[n])).collect();
    check("ten pings", &ten, &(0..10).map(|n| Ping(vec![n])).collect::<Vec<_>>());
    for opcode in [0x8, 0x9, 0xa] {
        check("126 bytes", &frame(0x80 | opcode, &[0; 126]), &[Forbidden]);
        check("a fragment", &frame(opcode, b"\x03\xe8"), &[Forbidden]);
        check(
            "a long form",
            &long_form(0x80 | opcode, 127, 1 << 40, b""),
            &[Forbidden],
        );
        // As soon as two bytes are there.
        assert_eq!(decode(LIMIT, [&[0x80 | opcode, 126][..]]), [Forbidden]);
        assert_eq!(decode(LIMIT, [&[opcode][..], &[0]]), [Forbidden]);
    }
}

#[test]
fn reserved_bits_opcodes_and_masks_are_refused() {
    for bits in 1..8_u8 {
        for opcode in [0x1, 0x2, 0x8, 0x9, 0xa] {
            check("reserved bits", &frame(0x80 | bits << 4 | opcode, b"x"), &[Forbidden]);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        let bytes = [frame(0x81, b"good"), frame(0x80 | opcode, b""), frame(0x81, b"late")].concat();
        check("a reserved opcode", &bytes, &[Text("good".to_owned()), Forbidden]);
        check(
            "in fragments",
            &[frame(0x01, b"a"), frame(0x80 | opcode, b"")].concat(),
            &[Forbidden],
        );
    }
    for opcode in [0x1, 0x2, 0x9, 0x8] {
        check("masked", &[0x80 | opcode, 0x81, 0, 0, 0, 0, b'x'], &[Forbidden]);
    }
}

#[test]
fn fragments() {
    let hello = [Text("hello world".to_owned())];
    check("two", &[frame(0x01, b"hello "), frame(0x80, b"world")].concat(), &hello);
    let empty_ones = [
        frame(0x01, b""),
        frame(0x00, b"hello world"),
        frame(0x00, b""),
        frame(0x80, b""),
    ]
    .concat();
    check("empty ones", &empty_ones, &hello);
    check(
        "all empty",
        &[frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")].concat(),
        &[Text(String::new())],
    );
    let mut many = frame(0x02, b"0");
    many.extend((1..500).flat_map(|n: u32| frame(0x00, n.to_string().as_bytes())));
    many.extend(frame(0x80, b"!"));
    let sum = (0..500).map(|n: u32| n.to_string()).collect::<String>() + "!";
    check("many", &many, &[Binary(sum.into_bytes())]);
    let between = [
        frame(0x01, b"hel"),
        frame(0x89, b"1"),
        frame(0x00, b"lo "),
        frame(0x8a, b""),
        frame(0x89, &[b'2'; 125]),
        frame(0x80, b"world"),
        frame(0x81, b"next"),
    ]
    .concat();
    let expected = [
        Ping(b"1".to_vec()),
        Pong(Vec::new()),
        Ping(vec![b'2'; 125]),
        Text("hello world".to_owned()),
        Text("next".to_owned()),
    ];
    check("control frames between", &between, &expected);
    check(
        "a Close between",
        &[frame(0x01, b"a"), frame(0x88, b"")].concat(),
        &[Close(None, Some(String::new()))],
    );
    for first in [0x00, 0x80] {
        check("a continuation of nothing", &frame(first, b"x"), &[Forbidden]);
        let behind = [frame(0x81, b"good"), frame(first, b"x")].concat();
        check(
            "a continuation of a whole message",
            &behind,
            &[Text("good".to_owned()), Forbidden],
        );
    }
    for first in [0x01, 0x81, 0x02, 0x82] {
        check(
            "a message within a message",
            &[frame(0x01, b"a"), frame(first, b"b")].concat(),
            &[Forbidden],
        );
        check(
            "the same in binary",
            &[frame(0x02, b"a"), frame(first, b"b")].concat(),
            &[Forbidden],
        );
    }
}

#[test]
fn text_is_utf8() {
    // Ends of the ranges, and what is no character but valid.
    let valid = [
        "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}",
        "\0\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
        "\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{fdd0}\u{1fffe}\u{feff}",
        "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!",
    ];
    for text in valid {
        // Long enough for the vectors, and at each place within them.
        for text in [text.to_owned(), text.repeat(40), format!("{}{text}", "x".repeat(61))] {
            check("valid", &frame(0x81, text.as_bytes()), &[Text(text.clone())]);
            for at in 0..text.len().min(70) {
                let (a, b) = text.as_bytes().split_at(at);
                let bytes = [frame(0x01, a), frame(0x89, b"?"), frame(0x80, b)].concat();
                check_once("split", &bytes, &[Ping(b"?".to_vec()), Text(text.clone())]);
            }
        }
    }
    let invalid: [&[u8]; 16] = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
    ];
    for bytes in invalid {
        let inside = [&[b'x'; 70][..], bytes, &[b'y'; 70]].concat();
        for bytes in [bytes, &inside[..]] {
            check("invalid", &frame(0x81, bytes), &[NotUtf8]);
            check("as binary data", &frame(0x82, bytes), &[Binary(bytes.to_owned())]);
            let (a, b) = bytes.split_at(bytes.len() / 2);
            check(
                "invalid in fragments",
                &[frame(0x01, a), frame(0x80, b)].concat(),
                &[NotUtf8],
            );
        }
    }
}

fn check_once(name: &str, bytes: &[u8], expected: &[Said]) {
    assert!(decode(LIMIT, [bytes]) == expected, "{name}, whole");
    assert!(decode(LIMIT, bytes.chunks(1)) == expected, "{name}, byte by byte");
}

#[test]
fn close_frames() {
    check("without a code", &frame(0x88, b""), &[Close(None, Some(String::new()))]);
    check("one byte", &frame(0x88, b"\x03"), &[Forbidden]);
    let reason = "r".repeat(123);
    let longest = [&b"\x03\xe8"[..], reason.as_bytes()].concat();
    check(
        "the longest reason",
        &frame(0x88, &longest),
        &[Close(Some(1000), Some(reason))],
    );
    check(
        "a longer one",
        &frame(0x88, &[&longest[..], b"r"].concat()),
        &[Forbidden],
    );
    check(
        "not UTF-8",
        &frame(0x88, b"\x03\xe8\xce\xba\xff"),
        &[Close(Some(1000), None)],
    );
    for code in (0..=5100).chain([9999, 32_768, 65_535]) {
        let bytes = [
            frame(0x88, &u16::to_be_bytes(code)),
            frame(0x81, b"late"),
            frame(0x88, b""),
        ]
        .concat();
        check_once("a code", &bytes, &[Close(Some(code), Some(String::new()))]);
    }
}

#[test]
fn codes_that_may_be_sent() {
    let sendable: Vec<u16> = (0..=u16::MAX).filter(|code| is_sendable(*code)).collect();
    let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
    assert_eq!(sendable, expected);
}
