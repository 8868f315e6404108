//! Patterns for event names: `message`, `user/:id`, `files/*`, matched as the JavaScript client does.

use std::collections::HashMap;

use super::check::{self, CheckError};

/// What a pattern found in a name. Names of parameters and query keys are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Parameters in the pattern's order. `*` is the name of the wildcard.
    pub params: Vec<(String, String)>,
    /// The name's query, in order of each key's first occurrence.
    pub query: Vec<(String, String)>,
}

/// A pattern, checked once.
///
/// - Segments between slashes must be equal; case and empty segments count.
/// - `:id` takes one segment that is not empty, percent-decoded. With a bad escape the raw text is kept (the JavaScript
///   client throws there).
/// - `*`, once and as a whole segment, takes any number of segments, also an empty one. Its value starts with a slash,
///   runs of slashes become one, and it is not decoded. It matches no line breaks.
/// - A `?query` at a name's end does not take part in the match. It ends at a second '?', is decoded like a form ('+' is
///   a space, bad escapes stay), and of equal keys the last counts.
/// - A ':' inside a segment is an ordinary character, so that names like `user:created` can be matched (newer JavaScript
///   clients refuse such patterns, older ones compare).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    head: Vec<Segment>,
    wildcard: bool,
    tail: Vec<Segment>,
    plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Param(String),
}

impl Pattern {
    /// Checks a pattern: not empty, no '?', at most one `*` and only as a whole segment, parameters named by letters,
    /// digits and '_', no name twice.
    pub fn new(pattern: &str) -> Result<Self, CheckError> {
        let invalid = |problem: &str| {
            CheckError::InvalidArgument(format!("the event pattern is not valid: {problem}"))
        };
        check::name(pattern, "the event pattern")?;
        if pattern.contains('?') {
            return Err(invalid("a query is matched by itself, leave out '?'"));
        }
        let mut parsed = Self {
            text: pattern.to_owned(),
            head: Vec::new(),
            wildcard: false,
            tail: Vec::new(),
            plain: true,
        };
        let mut names = Vec::new();
        for segment in pattern.split('/') {
            if segment == "*" {
                if parsed.wildcard {
                    return Err(invalid("'*' may appear only once"));
                }
                parsed.wildcard = true;
                parsed.plain = false;
                continue;
            }
            if segment.contains('*') {
                return Err(invalid("'*' must be a whole segment between slashes"));
            }
            let segment = if let Some(name) = segment.strip_prefix(':') {
                if !is_identifier(name) {
                    return Err(invalid(
                        "the name behind ':' must be letters, digits and '_', without a leading digit",
                    ));
                }
                if names.contains(&name) {
                    return Err(invalid("a parameter's name appears twice"));
                }
                names.push(name);
                parsed.plain = false;
                Segment::Param(name.to_owned())
            } else {
                Segment::Literal(segment.to_owned())
            };
            let list = if parsed.wildcard {
                &mut parsed.tail
            } else {
                &mut parsed.head
            };
            list.push(segment);
        }
        Ok(parsed)
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Neither a parameter nor a wildcard: a name matches when it, up to its '?', equals the pattern.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// What the name holds if it matches. Allocates only when it matches and there is something to tell.
    pub fn matches(&self, name: &str) -> Option<Route> {
        let (path, rest) = name.split_once('?').unwrap_or((name, ""));
        let mut route = Route::default();
        if self.plain {
            if path != self.text {
                return None;
            }
        } else {
            if !self.walk(path, |_, _| {}) {
                return None;
            }
            self.walk(path, |key, value| {
                let value = if key == "*" {
                    single_slashes(value)
                } else {
                    decode_component(value).unwrap_or_else(|| value.to_owned())
                };
                route.params.push((key.to_owned(), value));
            });
            // Behind the head's come the tail's from its end, then the wildcard's.
            if let Some(behind) = route.params.get_mut(self.head_params()..) {
                behind.reverse();
            }
        }
        let query = rest.split_once('?').map_or(rest, |(query, _)| query);
        if !query.is_empty() {
            route.query = decode_query(query);
        }
        Some(route)
    }

    /// Compares segment by segment: the head from the front, the tail from the end, what is left is the wildcard's.
    fn walk<'a>(&'a self, path: &'a str, mut found: impl FnMut(&'a str, &'a str)) -> bool {
        let mut left = Some(path); // `None`: no segment is left
        for segment in &self.head {
            let Some(text) = left else { return false };
            let (piece, rest) = text
                .split_once('/')
                .map_or((text, None), |(piece, rest)| (piece, Some(rest)));
            if !segment.takes(piece, &mut found) {
                return false;
            }
            left = rest;
        }
        if !self.wildcard {
            return left.is_none();
        }
        for segment in self.tail.iter().rev() {
            let Some(text) = left else { return false };
            let (rest, piece) = text
                .rsplit_once('/')
                .map_or((None, text), |(rest, piece)| (Some(rest), piece));
            if !segment.takes(piece, &mut found) {
                return false;
            }
            left = rest;
        }
        match left {
            Some(text) if !text.contains(['\n', '\r', '\u{2028}', '\u{2029}']) => {
                found("*", text);
                true
            }
            _ => false,
        }
    }

    fn head_params(&self) -> usize {
        let params = |segment: &&Segment| matches!(segment, Segment::Param(_));
        self.head.iter().filter(params).count()
    }
}

impl Segment {
    fn takes<'a>(&'a self, piece: &'a str, found: &mut impl FnMut(&'a str, &'a str)) -> bool {
        match self {
            Self::Literal(text) => text == piece,
            Self::Param(name) => {
                found(name, piece);
                !piece.is_empty()
            }
        }
    }
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A slash, then the text, runs of slashes made one.
fn single_slashes(text: &str) -> String {
    let mut value = String::with_capacity(text.len() + 1);
    value.push('/');
    for piece in text.split('/').filter(|piece| !piece.is_empty()) {
        if value.len() > 1 {
            value.push('/');
        }
        value.push_str(piece);
    }
    if text.ends_with('/') && value.len() > 1 {
        value.push('/');
    }
    value
}

/// The byte that a `%XX` at the start of `bytes` stands for.
fn escape(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match bytes {
        [b'%', high, low, ..] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}

/// Percent-decoded text, or `None` when an escape is bad or the result is not UTF-8.
fn decode_component(text: &str) -> Option<String> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some(&byte) = rest.first() {
        if byte == b'%' {
            decoded.push(escape(rest)?);
            rest = &rest[3..];
        } else {
            decoded.push(byte);
            rest = &rest[1..];
        }
    }
    String::from_utf8(decoded).ok()
}

/// A form's key or value: never fails.
fn decode_form(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some(&byte) = rest.first() {
        let (byte, used) = match escape(rest) {
            Some(byte) => (byte, 3),
            None if byte == b'+' => (b' ', 1),
            None => (byte, 1),
        };
        decoded.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn decode_query(query: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut places = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode_form(key), decode_form(value));
        let place = *places.entry(key.clone()).or_insert(pairs.len());
        match pairs.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    pairs
}
