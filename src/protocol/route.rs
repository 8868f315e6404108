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
        let invalid = |problem: &str| CheckError::InvalidArgument(format!("the event pattern is not valid: {problem}"));
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
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    const TABLE: &str = include_str!("../../tests/data/event-routes.json");

    fn route(pattern: &str, name: &str) -> Option<Route> {
        Pattern::new(pattern).unwrap().matches(name)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn expected(entries: &Value) -> BTreeMap<String, String> {
        serde_json::from_value::<Vec<(String, String)>>(entries.clone())
            .unwrap()
            .into_iter()
            .collect()
    }

    fn found(entries: Vec<(String, String)>) -> BTreeMap<String, String> {
        let count = entries.len();
        let map: BTreeMap<_, _> = entries.into_iter().collect();
        assert_eq!(map.len(), count, "a key twice");
        map
    }

    #[test]
    fn agrees_with_the_javascript_client() {
        let table: Value = serde_json::from_str(TABLE).unwrap();
        let names = table["names"].as_array().unwrap();
        let (mut refused, mut matched, mut threw) = (0, 0, 0);
        for entry in table["patterns"].as_array().unwrap() {
            let text = entry["pattern"].as_str().unwrap();
            if entry["invalid"] == true {
                refused += 1;
                // The one documented difference: a ':' inside a segment.
                let inner_colon = ["foo:bar", "user:created"].contains(&text);
                assert_eq!(Pattern::new(text).is_ok(), inner_colon, "{text}");
                continue;
            }
            let pattern = Pattern::new(text).unwrap();
            assert_eq!(pattern.as_str(), text);
            assert_eq!(pattern.is_plain(), !text.contains([':', '*']));
            let results = entry["results"].as_array().unwrap();
            for name in names.iter().map(|name| name.as_str().unwrap()) {
                let ours = pattern.matches(name);
                let Some(theirs) = results.iter().find(|result| result["name"] == name) else {
                    assert_eq!(ours, None, "{text} {name:?}");
                    continue;
                };
                let ours = ours.unwrap_or_else(|| panic!("{text} must match {name:?}"));
                if theirs["throws"] == "URIError" {
                    threw += 1;
                    assert!(
                        ours.params.iter().any(|(_, value)| value.contains('%')),
                        "{text} {name:?}"
                    );
                    continue;
                }
                matched += 1;
                let keys: Vec<_> = ours.params.iter().map(|(key, _)| key.clone()).collect();
                let order = theirs["params"].as_array().unwrap();
                let order: Vec<_> = order.iter().map(|pair| pair[0].as_str().unwrap()).collect();
                assert_eq!(keys, order, "{text} {name:?}");
                assert_eq!(found(ours.params), expected(&theirs["params"]), "{text} {name:?}");
                assert_eq!(found(ours.query), expected(&theirs["query"]), "{text} {name:?}");
            }
        }
        assert_eq!((names.len(), refused, matched, threw), (97, 13, 287, 16));
    }

    #[test]
    fn bad_escapes_keep_the_raw_text() {
        for raw in ["%", "%4", "%zz", "%E9", "a%C3%28", "%é"] {
            let found = route("user/:id", &format!("user/{raw}")).unwrap();
            assert_eq!(found.params, pairs(&[("id", raw)]));
        }
    }

    #[test]
    fn parameters_come_in_the_patterns_order() {
        let found = route(":a/:b/*/:c/:d", "1/2/x/y/3/4?q=1&p=2&q=3").unwrap();
        let params = [("a", "1"), ("b", "2"), ("*", "/x/y"), ("c", "3"), ("d", "4")];
        assert_eq!(found.params, pairs(&params));
        assert_eq!(found.query, pairs(&[("q", "3"), ("p", "2")]));
    }

    #[test]
    fn inner_colons_are_ordinary() {
        let pattern = Pattern::new("user:created").unwrap();
        assert!(pattern.is_plain());
        assert_eq!(pattern.matches("user:created"), Some(Route::default()));
        assert_eq!(pattern.matches("user:7"), None);
        assert!(Pattern::new("").is_err());
    }

    #[test]
    fn hostile_names_take_linear_time() {
        let slashes = "/".repeat(1_000_000);
        assert_eq!(route("*", &slashes).unwrap().params, pairs(&[("*", "/")]));
        assert_eq!(route(":a/*/:b", &slashes), None);
        let query: String = (0..100_000).map(|key| format!("{key}&")).collect();
        assert_eq!(route("*", &format!("x?{query}{query}")).unwrap().query.len(), 100_000);
    }
}
