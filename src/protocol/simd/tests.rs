use super::*;

/// The structural scan byte by byte, as the module's text has it.
fn reference(text: &[u8], start: usize) -> Option<usize> {
    let mut open = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => {
                escaped = false;
                if byte < 0x20 {
                    return None;
                }
            }
            b'\\' if in_string => escaped = true,
            b'\\' => return None,
            b'"' => in_string = !in_string,
            0..0x20 if in_string || !matches!(byte, b'\t' | b'\n' | b'\r') => return None,
            _ if in_string => {}
            b'{' | b'[' => open.push(byte),
            b'}' | b']' => {
                if open.pop() != Some(if byte == b'}' { b'{' } else { b'[' }) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            b'N' | b'I' => return None,
            _ => {}
        }
    }
    None
}

/// A generator of numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

fn agree(text: &[u8], start: usize) {
    let expected = reference(text, start);
    for level in Level::all() {
        assert_eq!(
            end_of_container(level, text, start),
            expected,
            "{level:?} from {start}: {:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn every_level_is_tested() {
    let levels = Level::all();
    assert!(levels.contains(&Level::Swar) && levels.contains(&Level::Baseline) && levels.contains(&Level::best()));
}

#[test]
fn every_byte_at_every_place_of_a_block() {
    for start in [0, 70] {
        for place in 1..130 {
            for byte in 0..=255 {
                let mut text = vec![b' '; start + 140];
                text[start] = b'[';
                text[start + 139] = b']';
                text[start + place] = byte;
                agree(&text, start);
                text[start] = b'{';
                text[start + 1..start + 139].fill(b'x');
                (text[start + 1], text[start + 138], text[start + 139]) = (b'"', b'"', b'}');
                text[start + place.clamp(2, 137)] = byte;
                agree(&text, start);
            }
        }
    }
}

#[test]
fn backslashes_of_every_number_at_every_place() {
    for place in 0..70 {
        for count in 0..70 {
            for behind in ["\"]", "\"\"]", "x\"]", "]\"]", ""] {
                let mut text = format!("[\"{}{}{behind}", "x".repeat(place), "\\".repeat(count));
                agree(text.as_bytes(), 0);
                text.push_str(&" ".repeat(64));
                agree(text.as_bytes(), 0);
            }
        }
    }
}

#[test]
fn arbitrary_texts_of_structure() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\"",
        "\\",
        "\\\"",
        "\\\\",
        "\"a\":",
        ",",
        "1",
        "é",
        "😀",
        " ",
        "\n",
        "\u{1}",
        "N",
        "I",
        "true",
        "0123456789abcdef",
        "\"some longer text without anything in it\"",
    ];
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut ended = 0;
    for _ in 0..40_000 {
        let mut text = " ".repeat(numbers.below(80));
        let start = text.len();
        text.push(if numbers.below(2) == 0 { '{' } else { '[' });
        // Rarely the pieces that end it all with a fault.
        let among = if numbers.below(4) == 0 { pieces.len() } else { 20 };
        for _ in 0..numbers.below(60) {
            text.push_str(pieces[numbers.below(among)]);
        }
        // Half of them are closed as they should be, if their strings are.
        if numbers.below(2) == 0 {
            let mut open = Vec::new();
            for byte in text.bytes() {
                match byte {
                    b'{' => open.push('}'),
                    b'[' => open.push(']'),
                    b'}' | b']' => drop(open.pop()),
                    _ => {}
                }
            }
            text.extend(open.iter().rev());
        }
        text.push_str(&"}".repeat(numbers.below(3)));
        text.push_str(&" ".repeat(numbers.below(80)));
        agree(text.as_bytes(), start);
        ended += usize::from(reference(text.as_bytes(), start).is_some());
    }
    assert!((4_000..36_000).contains(&ended), "both verdicts are tested: {ended}");
}

#[test]
fn any_depth_in_any_order() {
    let mut numbers = Numbers(7);
    for depth in [
        1, 30, 31, 32, 33, 61, 62, 63, 64, 65, 94, 95, 96, 97, 127, 128, 129, 1000, 100_000,
    ] {
        // Up and down around each depth, so that halves of the word move out and in.
        let mut text = Vec::new();
        let mut open = Vec::new();
        let mut push = |text: &mut Vec<u8>, open: &mut Vec<u8>| {
            let curly = numbers.below(2) == 0;
            text.push(if curly { b'{' } else { b'[' });
            open.push(if curly { b'}' } else { b']' });
        };
        while open.len() < depth {
            push(&mut text, &mut open);
        }
        for swing in [1, 2, 31, 32, 33, 40, 64, 80] {
            for _ in 0..swing.min(open.len() - 1) {
                text.extend(open.pop());
            }
            while open.len() < depth {
                push(&mut text, &mut open);
            }
        }
        text.extend(open.iter().rev());
        assert_eq!(reference(&text, 0), Some(text.len()));
        agree(&text, 0);
        for _ in 0..20 {
            let place = numbers.below(text.len());
            let byte = text[place];
            text[place] = byte ^ 0x20;
            agree(&text, 0);
            text[place] = byte;
        }
    }
}

#[test]
fn plain_text_ends_where_it_should() {
    let expected = |text: &[u8], at: usize| {
        let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        at + text[at..].iter().position(special).unwrap_or(text.len() - at)
    };
    for length in 0..50 {
        for at in 0..=length {
            for place in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f, 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'['] {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    let expected = expected(&text, at);
                    assert_eq!(plain_end(&text, at), expected, "{text:?} from {at}");
                    // SAFETY: needs nothing.
                    assert_eq!(unsafe { plain_end_by::<swar::Swar>(&text, at) }, expected);
                }
            }
        }
    }
    assert_eq!(
        (plain_end(b"", 0), plain_end(b"abc", 3), plain_end(b"abc", 9)),
        (0, 3, 9)
    );
}

#[test]
fn stops_are_found_as_by_plain_end() {
    let mut numbers = Numbers(0x5eed_0000_0000_0077);
    for len in (0..140).chain([191, 192, 193, 300]) {
        for _ in 0..20 {
            let text: Vec<u8> = (0..len)
                .map(|_| b"\"\\\n\x1f \xc3aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[numbers.below(36)])
                .collect();
            for steps in [1, 5, 40, 200] {
                let (mut stops, mut at) = (Stops::NONE, 0);
                while at <= len {
                    assert_eq!(stops.plain_end(&text, at), plain_end(&text, at), "{len} from {at}");
                    at += 1 + numbers.below(steps);
                }
            }
        }
    }
}

#[test]
fn texts_are_what_the_standard_library_takes_for_such() {
    for len in 0..1100 {
        let mut bytes = vec![b'a'; len];
        let place = len / 2;
        for byte in [b'a', 0xff] {
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
            assert_eq!(text(&bytes), std::str::from_utf8(&bytes).ok(), "{len}");
        }
        if let Some(at) = bytes.get_mut(place..place + 2) {
            at.copy_from_slice("é".as_bytes());
        }
        assert_eq!(text(&bytes), std::str::from_utf8(&bytes).ok(), "{len}");
    }
}

#[test]
fn one_byte_makes_a_text_foreign() {
    for len in 0..70 {
        let mut text = vec![0x7f; len];
        assert!(is_ascii(&text), "{len}");
        for at in 0..len {
            text[at] = 0x80;
            assert!(!is_ascii(&text), "{len}, {at}");
            text[at] = 0x7f;
        }
    }
}

#[test]
fn wide_masking_is_masking_byte_by_byte() {
    let mask = [0x12, 0x34, 0x56, 0x78];
    for before in 0..=LANE {
        for length in 0..100 {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8 ^ 0xa5).collect();
            let mut masked = vec![0xee; 3];
            append_frame(&mut masked, ([0xdd; LANE], before), &bytes, mask);
            let mut expected = vec![0xee; 3];
            expected.resize(3 + before, 0xdd);
            let keys = mask.into_iter().cycle();
            expected.extend(bytes.iter().zip(keys).map(|(byte, key)| byte ^ key));
            assert_eq!(masked, expected);
        }
    }
}

#[test]
fn every_lane_turns_over_alike() {
    let bytes: [u8; 16] = std::array::from_fn(|at| at as u8 * 17);
    let mask = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978_u128;
    let (mut one, mut other) = ([0; 16], [0; 16]);
    // SAFETY: sixteen bytes each, and needs no more than the baseline.
    unsafe {
        Baseline::turn_over(bytes.as_ptr(), mask, one.as_mut_ptr());
        swar::Swar::turn_over(bytes.as_ptr(), mask, other.as_mut_ptr());
    }
    assert_eq!(one, other);
    assert_eq!(u128::from_ne_bytes(one), u128::from_ne_bytes(bytes) ^ mask);
}
