//! A JSON scanner that finds where values end. Strict, it checks the whole grammar, keeps its own stack (one bit per
//! level, so that hostile nesting costs neither the thread's stack nor much memory) and is linear in its input. Arrays
//! and objects may also be passed over by their structure alone, see [`super::simd`].

use std::borrow::Cow;
use std::ops::Range;

use super::simd::{Level, end_of_container, plain_end};

/// Where and why a text is not JSON. The message never quotes the text: it may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Byte offset in the scanned text.
    pub offset: usize,
    /// What was wrong, for people.
    pub message: &'static str,
    /// The text may be JSON, but goes beyond a limit.
    pub too_large: bool,
}

impl Fault {
    fn new(offset: usize, message: &'static str) -> Self {
        Self {
            offset,
            message,
            too_large: false,
        }
    }

    fn too_large(offset: usize, message: &'static str) -> Self {
        Self {
            offset,
            message,
            too_large: true,
        }
    }
}

/// What a scan refuses beyond the grammar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Deepest nesting of arrays and objects; a value that is one of them is level 1.
    pub nesting: usize,
    /// Longest run of digits in an integer.
    pub digits: usize,
    /// Refuse `\ud800`..`\udfff` escapes without their other half.
    pub paired_surrogates: bool,
}

impl Limits {
    /// The bare grammar.
    pub const NONE: Self = Self {
        nesting: usize::MAX,
        digits: usize::MAX,
        paired_surrogates: false,
    };
}

const END: &str = "the text ends inside a value";
const EXPECTED_VALUE: &str = "a value was expected";

/// How arrays and objects are passed over whose inside is the reader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The whole grammar is checked.
    Strict,
    /// Strings and brackets are balanced, see [`super::simd`].
    Structural(Level),
}

/// Passes over the value that starts at `at`: a container as `reading` says, anything else strictly.
#[inline(never)]
pub(crate) fn pass_value(text: &[u8], at: usize, reading: Reading) -> Result<usize, Fault> {
    match (reading, text.get(at)) {
        (Reading::Structural(level), Some(b'{' | b'[')) => {
            end_of_container(level, text, at).ok_or(Fault::new(at, "brackets or quotes are not balanced"))
        }
        _ => skip_value(text, at, &Limits::NONE),
    }
}

/// The first byte at or after `at` that is not JSON white space.
#[inline(always)]
pub(crate) fn skip_space(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(0..=b' ') => skip_spaces(text, at),
        _ => at,
    }
}

#[inline(never)]
fn skip_spaces(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// One bit per open container: 1 = object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    low: u64,
    spilled: Vec<u64>,
}

impl Nesting {
    #[inline(always)]
    fn push(&mut self, object: bool) {
        if self.depth % 64 == 0 && self.depth > 0 {
            self.spill();
        }
        self.low = self.low << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.low >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth % 64 == 0 && self.depth > 0 {
            self.low = self.spilled.pop().unwrap_or_default();
        }
    }

    #[cold]
    #[inline(never)]
    fn spill(&mut self) {
        self.spilled.push(self.low);
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.low & 1 == 1
    }
}

/// Checks the value that starts at `at` (no white space before it) and returns where it ends.
#[inline(never)]
pub(crate) fn skip_value(text: &[u8], mut at: usize, limits: &Limits) -> Result<usize, Fault> {
    let mut nesting = Nesting::default();
    loop {
        if nesting.in_object() {
            at = skip_key(text, at, limits)?;
        }
        match text.get(at) {
            Some(b'"') => at = skip_string(text, at, limits)?,
            Some(&open @ (b'{' | b'[')) => {
                if nesting.depth >= limits.nesting {
                    return Err(Fault::too_large(at, "nested too deep"));
                }
                nesting.push(open == b'{');
                at = skip_space(text, at + 1);
                // Two behind the opening one, in ASCII.
                if text.get(at) != Some(&(open + 2)) {
                    continue;
                }
                at += 1;
                nesting.pop();
            }
            Some(b'-' | b'0'..=b'9') => at = skip_number(text, at, limits)?,
            Some(_) => at = skip_any_word(text, at)?,
            None => return Err(Fault::new(at, END)),
        }
        // Behind a value: close what ends here, until a comma asks for the next value.
        loop {
            if nesting.depth == 0 {
                return Ok(at);
            }
            at = skip_space(text, at);
            let object = nesting.in_object();
            match text.get(at) {
                Some(b',') => {
                    at = skip_space(text, at + 1);
                    break;
                }
                Some(b'}') if object => nesting.pop(),
                Some(b']') if !object => nesting.pop(),
                Some(_) if object => return Err(Fault::new(at, "',' or '}' was expected")),
                Some(_) => return Err(Fault::new(at, "',' or ']' was expected")),
                None => return Err(Fault::new(at, END)),
            }
            at += 1;
        }
    }
}

/// From a key's opening quote to the first byte of its value.
#[inline(always)]
fn skip_key(text: &[u8], at: usize, limits: &Limits) -> Result<usize, Fault> {
    match plain_string(text, at) {
        Some(end) if text.get(end) == Some(&b':') => Ok(skip_space(text, end + 1)),
        _ => skip_any_key(text, at, limits),
    }
}

#[cold]
fn skip_any_key(text: &[u8], at: usize, limits: &Limits) -> Result<usize, Fault> {
    key(text, at, limits).map(|(_, _, value)| value)
}

#[inline(always)]
fn skip_string(text: &[u8], at: usize, limits: &Limits) -> Result<usize, Fault> {
    match plain_string(text, at) {
        Some(end) => Ok(end),
        None => skip_any_string(text, at, limits),
    }
}

#[cold]
fn skip_any_string(text: &[u8], at: usize, limits: &Limits) -> Result<usize, Fault> {
    string_end(text, at + 1, limits).map(|(end, _)| end + 1)
}

/// Behind the string that starts at `at`, if it is one without escapes.
#[inline(never)]
fn plain_string(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let end = plain_end(text, at + 1);
    (text.get(end) == Some(&b'"')).then_some(end + 1)
}

/// The raw key that starts at `at`, whether it has escapes, and where its value starts.
#[inline(never)]
pub(crate) fn key(text: &[u8], at: usize, limits: &Limits) -> Result<(Range<usize>, bool, usize), Fault> {
    match text.get(at) {
        Some(b'"') => {}
        Some(_) => return Err(Fault::new(at, "a key in double quotes was expected")),
        None => return Err(Fault::new(at, END)),
    }
    let (end, escaped) = string_end(text, at + 1, limits)?;
    let colon = skip_space(text, end + 1);
    match text.get(colon) {
        Some(b':') => Ok((at + 1..end, escaped, skip_space(text, colon + 1))),
        Some(_) => Err(Fault::new(colon, "':' was expected")),
        None => Err(Fault::new(colon, END)),
    }
}

#[inline(never)]
fn skip_any_word(text: &[u8], at: usize) -> Result<usize, Fault> {
    match text.get(at) {
        Some(b't') => skip_word(text, at, b"true"),
        Some(b'f') => skip_word(text, at, b"false"),
        Some(b'n') => skip_word(text, at, b"null"),
        Some(b'N' | b'I') => Err(Fault::new(at, "NaN and Infinity are not JSON")),
        _ => Err(Fault::new(at, EXPECTED_VALUE)),
    }
}

fn skip_word(text: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    let end = at + word.len();
    match text.get(at..end) {
        Some(found) if found == word => Ok(end),
        None if word.starts_with(text.get(at..).unwrap_or_default()) => Err(Fault::new(text.len(), END)),
        _ => Err(Fault::new(at, EXPECTED_VALUE)),
    }
}

fn skip_digits(text: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = text.get(at) {
        at += 1;
    }
    at
}

fn some_digits(text: &[u8], at: usize) -> Result<usize, Fault> {
    match text.get(at) {
        Some(b'0'..=b'9') => Ok(skip_digits(text, at)),
        Some(b'I') => Err(Fault::new(at, "NaN and Infinity are not JSON")),
        Some(_) => Err(Fault::new(at, "a digit was expected")),
        None => Err(Fault::new(at, END)),
    }
}

fn skip_number(text: &[u8], mut at: usize, limits: &Limits) -> Result<usize, Fault> {
    let start = at;
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    if text.get(at) == Some(&b'0') {
        at += 1;
        if let Some(b'0'..=b'9') = text.get(at) {
            return Err(Fault::new(at, "a number has no leading zeros"));
        }
    } else {
        at = some_digits(text, at)?;
    }
    let integer_end = at;
    if text.get(at) == Some(&b'.') {
        at = some_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = some_digits(text, at)?;
    }
    if at == integer_end && at - start > limits.digits {
        return Err(Fault::too_large(start, "an integer has too many digits"));
    }
    Ok(at)
}

/// From behind a string's opening quote: where its closing quote is, and whether the string has escapes.
#[inline(never)]
pub(crate) fn string_end(text: &[u8], mut at: usize, limits: &Limits) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = plain_end(text, at);
        match text.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = skip_escape(text, at, limits)?;
            }
            Some(_) => return Err(Fault::new(at, "a raw control character in a string")),
            None => return Err(Fault::new(at, "the text ends inside a string")),
        }
    }
}

fn skip_escape(text: &[u8], at: usize, limits: &Limits) -> Result<usize, Fault> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let Some(unit) = hex4(text, at + 2) else {
                return Err(Fault::new(at, "\\u needs four hexadecimal digits"));
            };
            if limits.paired_surrogates && (0xD800..0xE000).contains(&unit) {
                return match low_surrogate(text, at + 6) {
                    Some(_) if unit < 0xDC00 => Ok(at + 12),
                    _ => Err(Fault::new(at, "half of a surrogate pair without the other")),
                };
            }
            Ok(at + 6)
        }
        Some(_) => Err(Fault::new(at, "unknown escape in a string")),
        None => Err(Fault::new(at + 1, "the text ends inside a string")),
    }
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits
        .iter()
        .try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

fn low_surrogate(text: &[u8], at: usize) -> Option<u32> {
    if text.get(at..at + 2)? != b"\\u" {
        return None;
    }
    hex4(text, at + 2).filter(|unit| (0xDC00..0xE000).contains(unit))
}

/// The text between a string's quotes, decoded. Half surrogate pairs become U+FFFD. The string was scanned before.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(slash) = rest.find('\\') {
        decoded.push_str(&rest[..slash]);
        let bytes = rest.as_bytes();
        let mut used = slash + 2;
        match bytes.get(slash + 1) {
            Some(b'b') => decoded.push('\u{8}'),
            Some(b'f') => decoded.push('\u{c}'),
            Some(b'n') => decoded.push('\n'),
            Some(b'r') => decoded.push('\r'),
            Some(b't') => decoded.push('\t'),
            Some(b'u') => {
                used = slash + 6;
                let mut unit = hex4(bytes, slash + 2).unwrap_or(0xFFFD);
                if (0xD800..0xDC00).contains(&unit) {
                    if let Some(low) = low_surrogate(bytes, slash + 6) {
                        unit = 0x10000 + ((unit - 0xD800) << 10 | (low - 0xDC00));
                        used = slash + 12;
                    }
                }
                decoded.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(&plain @ (b'"' | b'\\' | b'/')) => decoded.push(char::from(plain)),
            _ => decoded.push(char::REPLACEMENT_CHARACTER),
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The decoded text of a value that is a string.
pub(crate) fn as_string(value: &str) -> Option<Cow<'_, str>> {
    let raw = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescape(raw))
}

/// The members of an object, in order. Of each the caller finds out where its value ends, and says so by
/// [`passed`](Self::passed).
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Members<'a> {
    /// The object that starts at `at`; `None` when no '{' is there.
    pub fn new(text: &'a [u8], at: usize) -> Option<Self> {
        (text.get(at) == Some(&b'{')).then_some(Self {
            text,
            at: at + 1,
            first: true,
        })
    }

    /// Where reading stands: behind the '}' once there are no more members.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The value of the last member ended there.
    pub fn passed(&mut self, end: usize) {
        self.at = end;
        self.first = false;
    }

    /// Where the next member's key should start. `None` behind the last member.
    #[inline(never)]
    pub fn next_key(&mut self) -> Result<Option<usize>, Fault> {
        let at = skip_space(self.text, self.at);
        match self.text.get(at) {
            Some(b'}') => {
                self.at = at + 1;
                Ok(None)
            }
            Some(b',') if !self.first => Ok(Some(skip_space(self.text, at + 1))),
            Some(_) if !self.first => Err(Fault::new(at, "',' or '}' was expected")),
            _ => Ok(Some(at)),
        }
    }
}

/// The text of a string whose inside is `range`, decoded if `escaped`.
#[inline(never)]
pub(crate) fn decoded(text: &str, range: Range<usize>, escaped: bool) -> Cow<'_, str> {
    let raw = text.get(range).unwrap_or_default();
    if escaped { unescape(raw) } else { Cow::Borrowed(raw) }
}

/// Line and column of a byte offset, both from 1; columns count characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    let before = bytes.get(..offset).unwrap_or(bytes);
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    (line, 1 + characters(&before[start..]))
}

/// How many characters begin in these bytes of UTF-8.
pub(crate) fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

mod object;
pub(crate) use object::{USUAL_NESTING, usual_object};

#[cfg(test)]
mod tests;
