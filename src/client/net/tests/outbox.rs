//! Encoding, masking, and the account of what is handed over.

use std::collections::HashSet;

use super::super::frame::opcode;
use super::super::outbox::Outbox;

/// Opcode, mask and unmasked payload of each frame.
fn parse(mut bytes: &[u8]) -> Vec<(u8, [u8; 4], Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[0] & 0xf0, 0x80, "whole, no reserved bits");
        assert_eq!(bytes[1] & 0x80, 0x80, "masked");
        let (length, header) = match bytes[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize, 10),
            short => (usize::from(short), 2),
        };
        let mask: [u8; 4] = bytes[header..header + 4].try_into().unwrap();
        let payload = &bytes[header + 4..header + 4 + length];
        let payload = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
        frames.push((bytes[0] & 0x0f, mask, payload.collect()));
        bytes = &bytes[header + 4 + length..];
    }
    frames
}

#[test]
fn each_length_is_encoded_in_its_shortest_form() {
    for (length, header) in [
        (0, 6),
        (1, 6),
        (125, 6),
        (126, 8),
        (127, 8),
        (128, 8),
        (65_535, 8),
        (65_536, 14),
        (300_001, 14),
    ] {
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let mut out = Outbox::new();
        out.push(opcode::BINARY, &payload);
        assert_eq!(out.pending().len(), header + length);
        let frames = parse(out.pending());
        assert_eq!((frames.len(), frames[0].0), (1, opcode::BINARY));
        assert!(frames[0].2 == payload, "{length}");
    }
}

#[test]
fn masks_do_not_repeat() {
    let keys = |out: &mut Outbox| {
        for _ in 0..1000 {
            out.push(opcode::TEXT, b"");
        }
        parse(out.pending())
            .into_iter()
            .map(|frame| frame.1)
            .collect::<Vec<_>>()
    };
    let (mut first, mut second) = (Outbox::new(), Outbox::new());
    let (first, second) = (keys(&mut first), keys(&mut second));
    let different: HashSet<_> = first.iter().chain(&second).collect();
    // By chance two of 2,000 are the same once in two thousand runs; ten are not.
    assert!(different.len() > 1990, "{}", different.len());
}

#[test]
fn handed_over_is_what_was_written_to_its_last_byte() {
    for step in [1, 2, 5, 7, 100, 1000, 1 << 20] {
        let mut out = Outbox::new();
        let mut ends = Vec::new();
        let mut total = 0;
        for length in [0, 3, 125, 126, 700, 65_536] {
            out.push(opcode::TEXT, &vec![b'x'; length]);
            total += out.pending().len() - total;
            ends.push(total);
            out.push(opcode::PONG, b"pong");
            total += 10;
        }
        assert_eq!(out.answers(), 60);
        let mut written = 0;
        while written < total {
            let count = step.min(total - written);
            out.advance(count);
            written += count;
            assert_eq!(out.pending().len(), total - written);
            assert_eq!(out.texts() as usize, ends.iter().filter(|end| **end <= written).count());
            let answered = ends.iter().filter(|end| **end + 10 <= written).count();
            assert_eq!(out.answers(), 60 - 10 * answered);
        }
    }
}

#[test]
fn frames_pushed_while_others_are_half_written_keep_their_bytes() {
    let mut out = Outbox::new();
    let mut wire = Vec::new();
    for n in 0..2000_usize {
        out.push(opcode::TEXT, format!("{n:0width$}", width = n % 300).as_bytes());
        let count = (n * 37 % 250).min(out.pending().len());
        wire.extend_from_slice(&out.pending()[..count]);
        out.advance(count);
    }
    wire.extend_from_slice(out.pending());
    out.advance(out.pending().len());
    assert_eq!(out.texts(), 2000);
    for (n, (_, _, payload)) in parse(&wire).into_iter().enumerate() {
        assert_eq!(payload, format!("{n:0width$}", width = n % 300).into_bytes());
    }
}
