use super::*;

fn skip(text: &str) -> Result<usize, Fault> {
    skip_value(text.as_bytes(), 0, &Limits::NONE)
}

#[test]
fn whole_values_pass() {
    for text in [
        "{}",
        "[]",
        "0",
        "-0",
        "1.5e+10",
        "1E9",
        "-12.0",
        "true",
        "false",
        "null",
        "\"\"",
        r#""a\"\\\/\b\f\n\r\té""#,
        r#""\ud83d""#,
        "[1,[2,{\"a\":[]}],{}]",
        "{ \"a\" : 1 , \"b\" : [ ] }",
    ] {
        assert_eq!(skip(text), Ok(text.len()), "{text}");
    }
}

#[test]
fn faults_tell_where() {
    for (text, offset) in [
        ("", 0),
        ("{", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\" 1}", 5),
        ("{\"a\":}", 5),
        ("{a:1}", 1),
        ("{\"a\":1,}", 7),
        ("[}", 1),
        ("{]", 1),
        ("01", 1),
        ("-", 1),
        ("-a", 1),
        ("1.", 2),
        ("1.e1", 2),
        ("1e", 2),
        ("tru", 3),
        ("trux", 0),
        ("nul", 3),
        ("NaN", 0),
        ("-Infinity", 1),
        ("+1", 0),
        (".5", 0),
        ("'a'", 0),
        ("\"abc", 4),
        ("\"a\nb\"", 2),
        ("\"\\x\"", 1),
        ("\"\\u12\"", 1),
        ("\"\\", 2),
        ("\"12345678\u{1}\"", 9),
    ] {
        assert_eq!(skip(text).map_err(|fault| fault.offset), Err(offset), "{text:?}");
    }
}

#[test]
fn every_byte_of_a_word_is_looked_at() {
    for length in 0..40 {
        for at in 0..length {
            for (byte, end) in [("\"", true), ("\u{1f}", false), ("\\n", true), ("\u{7f}é€😀", true)] {
                let text = format!("\"{}{byte}{}\"", "x".repeat(at), "y".repeat(length - at));
                assert_eq!(skip(&text).is_ok(), end, "{text:?}");
                let seen = string_end(text.as_bytes(), 1, &Limits::NONE);
                match byte {
                    "\"" => assert_eq!(seen, Ok((at + 1, false))),
                    "\\n" => assert_eq!(seen, Ok((text.len() - 1, true))),
                    "\u{1f}" => assert_eq!(seen.map_err(|fault| fault.offset), Err(at + 1)),
                    _ => assert_eq!(seen, Ok((text.len() - 1, false))),
                }
            }
        }
    }
}

#[test]
fn kinds_of_containers_survive_deep_nesting() {
    // Arrays and objects in an irregular order, so that a lost or doubled bit shows.
    for depth in [1, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
        let objects: Vec<bool> = (0..depth).map(|level| level % 7 * (level % 5) % 3 == 0).collect();
        let mut text = String::new();
        for object in &objects {
            text.push_str(if *object { "{\"k\":" } else { "[" });
        }
        text.push('1');
        for object in objects.iter().rev() {
            text.push(if *object { '}' } else { ']' });
        }
        assert_eq!(skip(&text), Ok(text.len()), "{depth}");
        let last = text.pop().unwrap();
        text.push(if last == '}' { ']' } else { '}' });
        assert_eq!(
            skip(&text).map_err(|fault| fault.offset),
            Err(text.len() - 1),
            "{depth}"
        );
    }
}

#[test]
fn escapes_are_decoded() {
    for (raw, text) in [
        ("plain é", "plain é"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u0000", "Aé\0"),
        (r"\ud83d\ude00!", "😀!"),
        (r"\ud83d!", "\u{fffd}!"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83dA", "\u{fffd}A"),
        (r"x\ud83d", "x\u{fffd}"),
    ] {
        assert_eq!(unescape(raw), text, "{raw}");
    }
    assert!(matches!(unescape("plain"), Cow::Borrowed(_)));
}

#[test]
fn places_count_characters() {
    assert_eq!(line_and_column("", 0), (1, 1));
    assert_eq!(line_and_column("aé\nüb", "aé\nü".len()), (2, 2));
    assert_eq!(line_and_column("a\n", 2), (2, 1));
    assert_eq!(line_and_column("a", 9), (1, 2));
}

/// Both readings of an object say the same.
fn agree(text: &str) {
    let limits = Limits {
        nesting: usize::MAX,
        digits: 20,
        paired_surrogates: true,
    };
    let strict = skip_value(text.as_bytes(), 0, &limits).ok();
    assert_eq!(usual_object(text.as_bytes(), &limits), strict, "{text:?}");
}

#[test]
fn the_usual_reading_is_the_strict_one() {
    let samples = [
        r#"{}"#,
        r#"{"a":{},"b":[],"c":[[],{}]}"#,
        r#"{ "a" : [ 1 , -2.5e+7 , true , false , null ] , "b" : { "c" : "d" } } "#,
        r#"{"text":"a longer text that fills more than one block of bytes, with a \"quote\" and \ud83d\ude00 in it","n":1}"#,
        r#"{"k\n":"\u00e9","é":"€😀","n":12345678901234567890}"#,
    ];
    for sample in samples {
        agree(sample);
        for (at, _) in sample.char_indices() {
            let (before, behind) = sample.split_at(at);
            agree(&format!("{{{before}"));
            if at > 0 {
                agree(before);
                for put in "{}[]:,\"\\ \n\u{1}\u{7f}0-.eEtnué".chars() {
                    agree(&format!("{before}{put}{behind}"));
                    let rest: String = behind.chars().skip(1).collect();
                    agree(&format!("{before}{put}{rest}"));
                }
            }
        }
    }
}

#[test]
fn the_usual_reading_leaves_deep_objects_to_the_strict_one() {
    for levels in [1, 2, USUAL_NESTING, USUAL_NESTING + 1, 100] {
        let text = format!("{{\"k\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let found = usual_object(text.as_bytes(), &Limits::NONE);
        let expected = (levels <= USUAL_NESTING).then_some(text.len());
        assert_eq!(found, expected, "{levels}");
    }
}
