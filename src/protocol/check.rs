//! Checks of what a program hands in, before anything is sent: what a server would refuse, or choke on, fails here.

use super::scan::{self, Limits};

/// Deepest nesting of a payload, the payload itself being level 1: the strictest server refuses little more.
pub const MAX_NESTING: usize = 100;
/// Largest outgoing frame by default, in bytes: the smallest limit of the servers.
pub const DEFAULT_MAX_OUT: u64 = 512 * 1024;
/// Longest integer literal, in characters: longer ones make a Python server deaf without a word.
const MAX_DIGITS: usize = 4300;

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
    let invalid = |offset, problem: &str| {
        let (line, column) = scan::line_and_column(json, offset);
        CheckError::InvalidJson {
            message: format!("{what} is not a JSON object: {problem}"),
            line,
            column,
        }
    };
    let limits = Limits {
        nesting: MAX_NESTING,
        digits: MAX_DIGITS,
        paired_surrogates: true,
    };
    let start = scan::skip_space(bytes, 0);
    match bytes.get(start) {
        Some(b'{') => {}
        Some(_) => return Err(invalid(start, "it does not start with '{'")),
        None => return Err(invalid(start, "it is empty")),
    }
    let end = scan::skip_value(bytes, start, &limits).map_err(|fault| {
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
