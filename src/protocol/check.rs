//! Checks of what a program hands in, before anything is sent: what a server would refuse, or choke on, fails here.

use super::scan::{self, Limits};

/// Deepest nesting of a payload, the payload itself being level 1: the strictest server refuses little more.
pub const MAX_NESTING: usize = 100;
/// Largest outgoing frame by default, in bytes: the smallest limit of the servers.
pub const DEFAULT_MAX_OUT: u64 = 512 * 1024;
/// Longest integer literal, in characters: longer ones make a Python server deaf without a word.
const MAX_DIGITS: usize = 4300;

const _: () = assert!(
    MAX_NESTING >= scan::USUAL_NESTING,
    "the short way does not look at the depth"
);

static LIMITS: Limits = Limits {
    nesting: MAX_NESTING,
    digits: MAX_DIGITS,
    paired_surrogates: true,
};

/// What is wrong with something that was handed in. The texts tell what and where, and never quote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Empty where something is needed, or not a possible value.
    #[error("{0}")]
    InvalidArgument(String),
    /// Not UTF-8.
    #[error("{0}")]
    InvalidUtf8(String),
    /// Not JSON, or not one object, or JSON that a server would lose.
    #[error("{message} (line {line}, column {column})")]
    InvalidJson {
        /// What is wrong.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// Over the size limit, or nested too deep.
    #[error("{0}")]
    TooLarge(String),
}

/// Bytes as text. `what` names them in the error.
pub fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, CheckError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        CheckError::InvalidUtf8(format!("{what} is not UTF-8 (byte {at})"))
    })
}

/// A name of a channel, an event or the like: any text but the empty one, which would make a Python server deaf.
pub fn name(text: &str, what: &str) -> Result<(), CheckError> {
    if text.is_empty() {
        return Err(CheckError::InvalidArgument(format!("{what} is empty")));
    }
    Ok(())
}

/// A payload: exactly one strict JSON object, white space around it allowed, at most [`MAX_NESTING`] levels deep.
///
/// Beyond the grammar, refused are: escapes of half a surrogate pair (`\ud83d` alone), whose message a Python server
/// loses silently; and integers of more than 4,300 digits, which make it deaf. Numbers beyond a double's range are JSON
/// and pass.
pub fn object(json: &str, what: &str) -> Result<(), CheckError> {
    let bytes = json.as_bytes();
    // Most often nothing stands around it.
    if bytes.first() == Some(&b'{') && scan::usual_object(bytes, &LIMITS) == Some(bytes.len()) {
        return Ok(());
    }
    any_object(json, what)
}

#[cold]
fn any_object(json: &str, what: &str) -> Result<(), CheckError> {
    let bytes = json.as_bytes();
    let invalid = |offset, problem: &str| {
        let (line, column) = scan::line_and_column(json, offset);
        CheckError::InvalidJson {
            message: format!("{what} is not a JSON object: {problem}"),
            line,
            column,
        }
    };
    let start = scan::skip_space(bytes, 0);
    match bytes.get(start) {
        Some(b'{') => {}
        Some(_) => return Err(invalid(start, "it does not start with '{'")),
        None => return Err(invalid(start, "it is empty")),
    }
    let end = scan::skip_value(bytes, start, &LIMITS).map_err(|fault| {
        if fault.too_large {
            let (line, column) = scan::line_and_column(json, fault.offset);
            CheckError::TooLarge(format!(
                "{what}: {} (line {line}, column {column}; at most {MAX_NESTING} levels, {MAX_DIGITS} digits)",
                fault.message
            ))
        } else {
            invalid(fault.offset, fault.message)
        }
    })?;
    let rest = scan::skip_space(bytes, end);
    if rest != bytes.len() {
        return Err(invalid(rest, "something follows the object"));
    }
    Ok(())
}

/// A whole frame's length against the client's limit.
pub fn frame_size(len: usize, max: u64) -> Result<(), CheckError> {
    if u64::try_from(len).is_ok_and(|len| len <= max) {
        return Ok(());
    }
    Err(CheckError::TooLarge(format!(
        "the message is {len} bytes long, the limit is {max}"
    )))
}

/// Whether a '%' is not followed by two hexadecimal digits. Such names are an error on a JavaScript server, and with a
/// multibyte character behind the '%' they kill the connection's reading half on a Rust server.
pub fn has_stray_percent(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.iter().enumerate().any(|(at, &byte)| {
        byte == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(result: Result<(), CheckError>) -> (usize, usize) {
        match result {
            Err(CheckError::InvalidJson { line, column, .. }) => (line, column),
            other => panic!("not InvalidJson: {other:?}"),
        }
    }

    #[test]
    fn objects_pass() {
        for json in [
            "{}",
            " \r\n\t{ } \n",
            r#"{"a":[1,2.5e9,-0,"é\n😀",{"b":null}],"a":true}"#,
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"n":1e400,"u":"\u0000"}"#,
        ] {
            assert_eq!(object(json, "the payload"), Ok(()), "{json}");
        }
    }

    #[test]
    fn everything_else_is_told_with_its_place() {
        for (json, at) in [
            ("", (1, 1)),
            (" \n ", (2, 2)),
            ("[]", (1, 1)),
            ("null", (1, 1)),
            ("\"a\"", (1, 1)),
            ("{", (1, 2)),
            ("{}{}", (1, 3)),
            ("{} x", (1, 4)),
            ("{\"é\":1,\n\"b\" 2}", (2, 5)),
            ("{\"a\":NaN}", (1, 6)),
            ("{\"a\":01}", (1, 7)),
            ("{'a':1}", (1, 2)),
            ("{\"a\":\"\t\"}", (1, 7)),
            ("\u{feff}{}", (1, 1)),
        ] {
            assert_eq!(place(object(json, "the payload")), at, "{json:?}");
        }
    }

    #[test]
    fn half_surrogate_pairs_are_refused() {
        for json in [
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ude00"}"#,
            r#"{"a":"\ud83dx"}"#,
            r#"{"a":"\ud83d\u0041"}"#,
            r#"{"a":"\ude00\ud83d"}"#,
            r#"{"\ud83d":1}"#,
            r#"{"a":"\uD83D\uD83D\uDE00"}"#,
            r#"{"a":"\ud83d\"}"#,
        ] {
            assert!(
                matches!(object(json, "x"), Err(CheckError::InvalidJson { .. })),
                "{json}"
            );
        }
    }

    #[test]
    fn nesting_counts_the_payload_itself() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(object(&nested(MAX_NESTING), "x"), Ok(()));
        assert!(matches!(
            object(&nested(MAX_NESTING + 1), "x"),
            Err(CheckError::TooLarge(_))
        ));
        let hostile = "{\"a\":".repeat(1_000_000);
        assert!(matches!(object(&hostile, "x"), Err(CheckError::TooLarge(_))));
    }

    #[test]
    fn endless_integers_are_refused() {
        let with = |number: String| object(&format!("{{\"n\":{number}}}"), "x");
        assert_eq!(with("9".repeat(MAX_DIGITS)), Ok(()));
        assert_eq!(with(format!("0.{}", "9".repeat(2 * MAX_DIGITS))), Ok(()));
        assert!(matches!(with("9".repeat(MAX_DIGITS + 1)), Err(CheckError::TooLarge(_))));
    }

    #[test]
    fn errors_quote_nothing() {
        let secret = "{\"password\":\"hunter2\",\"x\":hunter2}";
        let message = object(secret, "the payload").unwrap_err().to_string();
        assert_eq!(
            message,
            "the payload is not a JSON object: a value was expected (line 1, column 27)"
        );
        let message = text(b"hunter2\xff", "the payload").unwrap_err();
        assert_eq!(
            message,
            CheckError::InvalidUtf8("the payload is not UTF-8 (byte 7)".into())
        );
    }

    #[test]
    fn names_and_sizes() {
        assert_eq!(text("é".as_bytes(), "x"), Ok("é"));
        assert_eq!(name("a\0b", "the event"), Ok(()));
        assert_eq!(
            name("", "the event"),
            Err(CheckError::InvalidArgument("the event is empty".into()))
        );
        assert_eq!(frame_size(DEFAULT_MAX_OUT as usize, DEFAULT_MAX_OUT), Ok(()));
        assert!(matches!(frame_size(11, 10), Err(CheckError::TooLarge(_))));
    }

    #[test]
    fn stray_percents() {
        for name in ["%", "a%", "%4", "%zz", "/chat/%中", "%%41", "%4é"] {
            assert!(has_stray_percent(name), "{name}");
        }
        for name in ["", "a", "%41", "%aF%00", "中"] {
            assert!(!has_stray_percent(name), "{name}");
        }
    }
}
