//! Enough JSON for plain C: quote a text, read one text or number back.

use std::borrow::Cow;
use std::ffi::c_char;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::session::{Failure, status};

use super::guard::guard;
use super::strings::{pair_in, put_string, str_in};

fn required(out: &str) -> Failure {
    Failure::new(status::INVALID_ARGUMENT, format!("{out} is NULL"))
}

/// Makes a JSON string of a text: quotes around it, escapes inside. `text` may be NULL when `len` is 0. *out is yours:
/// pond_string_free. POND_ERROR_INVALID_UTF8, POND_ERROR_INVALID_ARGUMENT (a NULL), POND_ERROR_NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_json_quote(text: *const c_char, len: usize, out: *mut *mut c_char) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(required("out"));
        }
        // SAFETY: not NULL, so it is writable (rule 3).
        unsafe { out.write(std::ptr::null_mut()) };
        // SAFETY: rule 4.
        let text = unsafe { pair_in(text, len, "text") }?;
        let quoted = serde_json::to_string(text).map_err(invalid_json)?;
        // SAFETY: as above.
        unsafe { put_string(out, &quoted) }
    })
}

/// Reads one text out of JSON. `pointer` is of RFC 6901, "/text" or "/users/0/name"; "" is the whole. *out is the decoded
/// text and yours: pond_string_free; *out_len (may be NULL) its length. POND_EMPTY: not there, or not a text;
/// POND_ERROR_INVALID_JSON, POND_ERROR_INVALID_UTF8, POND_ERROR_INVALID_ARGUMENT (a NULL, a malformed pointer),
/// POND_ERROR_NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_json_text(
    json: *const c_char,
    len: usize,
    pointer: *const c_char,
    out: *mut *mut c_char,
    out_len: *mut usize,
) -> i32 {
    guard(|| {
        if !out_len.is_null() {
            // SAFETY: not NULL, so it is writable (rule 3).
            unsafe { out_len.write(0) };
        }
        if out.is_null() {
            return Err(required("out"));
        }
        // SAFETY: not NULL, so it is writable (rule 3).
        unsafe { out.write(std::ptr::null_mut()) };
        // SAFETY: rule 4.
        let Some(value) = (unsafe { find(json, len, pointer) })? else {
            return Ok(status::EMPTY);
        };
        if !value.starts_with('"') {
            return Ok(status::EMPTY);
        }
        let text: String = serde_json::from_str(value).map_err(invalid_json)?;
        // SAFETY: `out` as above.
        let answer = unsafe { put_string(out, &text) }?;
        if !out_len.is_null() {
            // SAFETY: as above.
            unsafe { out_len.write(text.len()) };
        }
        Ok(answer)
    })
}

/// Reads one number out of JSON, rounded to the nearest double; `pointer` and statuses as of pond_json_text. POND_EMPTY:
/// not there, or not a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pond_json_number(
    json: *const c_char,
    len: usize,
    pointer: *const c_char,
    out: *mut f64,
) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(required("out"));
        }
        // SAFETY: not NULL, so it is writable (rule 3).
        unsafe { out.write(0.0) };
        // SAFETY: rule 4.
        let Some(value) = (unsafe { find(json, len, pointer) })? else {
            return Ok(status::EMPTY);
        };
        if !value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(status::EMPTY);
        }
        // The JSON parser found a number here, and each of those is one for Rust too.
        let number = value
            .parse()
            .map_err(|_| Failure::new(status::INVALID_JSON, "not a number"))?;
        // SAFETY: as above.
        unsafe { out.write(number) };
        Ok(status::OK)
    })
}

fn invalid_json(error: serde_json::Error) -> Failure {
    Failure::new(status::INVALID_JSON, error.to_string())
}

/// The text of the value that the pointer names. The whole JSON is checked, but only one level at a time is looked at:
/// no tree is built, and deep nesting costs no stack.
///
/// # Safety
/// `json` has `len` readable bytes, `pointer` is NULL or NUL-terminated (rule 4).
unsafe fn find<'a>(json: *const c_char, len: usize, pointer: *const c_char) -> Result<Option<&'a str>, Failure> {
    if json.is_null() {
        return Err(required("json"));
    }
    // SAFETY: the caller's promise.
    let (json, pointer) = unsafe { (pair_in(json, len, "json")?, str_in(pointer, "pointer")?) };
    let tokens = tokens(pointer).ok_or_else(|| Failure::new(status::INVALID_ARGUMENT, "not a JSON pointer"))?;
    let whole: &RawValue = serde_json::from_str(json).map_err(invalid_json)?;
    let mut value = whole.get();
    for token in &tokens {
        match step(value, token).map_err(invalid_json)? {
            Some(next) => value = next.get(),
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The parts of a JSON pointer, decoded; `None` when it is malformed.
fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(token).collect()
}

fn token(part: &str) -> Option<String> {
    let mut decoded = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(char) = chars.next() {
        decoded.push(match char {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(decoded)
}

/// One step down: the member or element of that name.
fn step<'a>(value: &'a str, token: &str) -> Result<Option<&'a RawValue>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(value);
    if value.starts_with('{') {
        json.deserialize_map(Member(token))
    } else if value.starts_with('[') {
        // RFC 6901: no sign, no leading zero.
        let canonical = token.parse::<usize>().ok().filter(|index| index.to_string() == token);
        match canonical {
            Some(index) => json.deserialize_seq(Element(index)),
            None => Ok(None),
        }
    } else {
        Ok(None)
    }
}

/// Finds a member of an object; of several with one name the last, as most parsers do.
struct Member<'t>(&'t str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(name)) = map.next_key()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

/// Finds an element of an array.
struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0usize;
        loop {
            if index == self.0 {
                found = elements.next_element()?;
                if found.is_none() {
                    return Ok(None);
                }
            } else if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr::{null, null_mut};

    use super::super::strings::pond_string_free;
    use super::*;

    /// Takes an owned string back.
    fn taken(string: *mut c_char, len: usize) -> String {
        assert!(!string.is_null());
        // SAFETY: `string` has `len` bytes and a NUL, and is freed once.
        unsafe {
            let bytes = std::slice::from_raw_parts(string.cast::<u8>(), len + 1).to_vec();
            pond_string_free(string);
            assert_eq!(bytes[len], 0, "no NUL after the text");
            String::from_utf8(bytes[..len].to_vec()).unwrap()
        }
    }

    fn quote(text: &[u8]) -> Result<String, i32> {
        let mut out = null_mut();
        // SAFETY: all pointers are valid.
        let status = unsafe { pond_json_quote(text.as_ptr().cast(), text.len(), &mut out) };
        if status == status::OK {
            // SAFETY: `out` is NUL-terminated, JSON has no NUL inside.
            let len = unsafe { CStr::from_ptr(out) }.count_bytes();
            Ok(taken(out, len))
        } else {
            assert!(out.is_null());
            Err(status)
        }
    }

    fn text(json: &[u8], pointer: &CStr) -> Result<String, i32> {
        let mut out = null_mut();
        let mut len = 77;
        // SAFETY: all pointers are valid.
        let status = unsafe { pond_json_text(json.as_ptr().cast(), json.len(), pointer.as_ptr(), &mut out, &mut len) };
        if status == status::OK {
            Ok(taken(out, len))
        } else {
            assert!(out.is_null());
            assert_eq!(len, 0);
            Err(status)
        }
    }

    fn number(json: &[u8], pointer: &CStr) -> Result<f64, i32> {
        let mut out = 77.0;
        // SAFETY: all pointers are valid.
        let status = unsafe { pond_json_number(json.as_ptr().cast(), json.len(), pointer.as_ptr(), &mut out) };
        if status == status::OK {
            Ok(out)
        } else {
            assert_eq!(out, 0.0);
            Err(status)
        }
    }

    #[test]
    fn quoted_texts_read_back() {
        for original in ["", "hello", "a\"b\\c/d", "tab\tnul\0bell\u{7}", "ä 中 😀 \u{2028}"] {
            let json = quote(original.as_bytes()).unwrap();
            assert!(json.starts_with('"') && json.ends_with('"'));
            assert_eq!(text(json.as_bytes(), c""), Ok(original.to_owned()));
        }
        assert_eq!(quote(b"a\"b"), Ok(r#""a\"b""#.to_owned()));
        assert_eq!(quote(b"\xff"), Err(status::INVALID_UTF8));
    }

    #[test]
    fn pointers_follow_rfc_6901() {
        let json = br#" {"text":"hi","a":{"b":["x",["y"],3]},"":"empty","a/b":"slash","m~n":"tilde",
            "~1":"both","k\"l":"quote","0":"zero","twice":"first","twice":"last"} "#;
        for (pointer, expected) in [
            (c"/text", "hi"),
            (c"/a/b/0", "x"),
            (c"/a/b/1/0", "y"),
            (c"/", "empty"),
            (c"/a~1b", "slash"),
            (c"/m~0n", "tilde"),
            (c"/~01", "both"),
            (c"/k\"l", "quote"),
            (c"/0", "zero"),
            (c"/twice", "last"),
        ] {
            assert_eq!(text(json, pointer), Ok(expected.to_owned()), "{pointer:?}");
        }
        assert_eq!(number(json, c"/a/b/2"), Ok(3.0));
        for pointer in [
            c"/none",
            c"/a/b/3",
            c"/a/b/00",
            c"/a/b/+1",
            c"/a/b/-",
            c"/a/b/x",
            c"/text/0",
            c"/a",
            c"/a/b",
            c"",
            c"/a/b/99999999999999999999999",
        ] {
            assert_eq!(text(json, pointer), Err(status::EMPTY), "{pointer:?}");
            assert_eq!(number(json, pointer), Err(status::EMPTY), "{pointer:?}");
        }
        for pointer in [c"text", c"/m~n", c"/m~2n", c"/~"] {
            assert_eq!(text(json, pointer), Err(status::INVALID_ARGUMENT), "{pointer:?}");
            assert_eq!(number(json, pointer), Err(status::INVALID_ARGUMENT), "{pointer:?}");
        }
        assert_eq!(text(json, c"/\xff"), Err(status::INVALID_UTF8));
    }

    #[test]
    fn texts_are_decoded() {
        let json = br#"{"t":"a\u0000b\n\u00e4\ud83d\ude00","n":null,"b":true}"#;
        assert_eq!(text(json, c"/t"), Ok("a\0b\nä😀".to_owned()));
        assert_eq!(text(json, c"/n"), Err(status::EMPTY));
        assert_eq!(number(json, c"/b"), Err(status::EMPTY));
        assert_eq!(number(json, c"/t"), Err(status::EMPTY));
        // Half a surrogate pair is no text.
        assert_eq!(text(br#"["\ud83d"]"#, c"/0"), Err(status::INVALID_JSON));
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        for (json, expected) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("-1.5e3", -1500.0),
            ("9007199254740993", 9007199254740992.0),
            ("18446744073709551615", 18446744073709551615.0),
            ("123456789012345678901234567890", 1.2345678901234568e29),
            ("0.1", 0.1),
            ("1e999", f64::INFINITY),
            ("1e-999", 0.0),
        ] {
            assert_eq!(number(json.as_bytes(), c""), Ok(expected), "{json}");
        }
    }

    #[test]
    fn json_is_strict() {
        for json in [
            "",
            " ",
            "{",
            "{\"text\":\"hi\"",
            "{\"text\":\"hi\"} x",
            "{'text':'hi'}",
            "{\"text\":\"hi\",}",
            "[1,]",
            "01",
            "+1",
            "1.",
            ".5",
            "NaN",
            "nul",
            "\"a\nb\"",
            "\"\\x\"",
            "\u{feff}{}",
            "// c\n{}",
        ] {
            assert_eq!(text(json.as_bytes(), c"/text"), Err(status::INVALID_JSON), "{json}");
            assert_eq!(number(json.as_bytes(), c"/text"), Err(status::INVALID_JSON), "{json}");
        }
        // What follows the place looked for is checked too.
        assert_eq!(text(br#"{"text":"hi","x":[}"#, c"/text"), Err(status::INVALID_JSON));
        assert_eq!(text(b"{\"text\":\"\xff\"}", c"/text"), Err(status::INVALID_UTF8));
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let depth = 100_000;
        let json = format!(
            "{{\"deep\":{}{},\"text\":\"hi\"}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        assert_eq!(text(json.as_bytes(), c"/text"), Ok("hi".to_owned()));
        assert_eq!(text(json.as_bytes(), c"/deep/0/0/0"), Err(status::EMPTY));
    }

    #[test]
    fn null_is_an_invalid_argument() {
        let mut string = null_mut();
        let mut double = 0.0;
        let json = c"{}".as_ptr();
        let at = c"/a".as_ptr();
        let invalid = status::INVALID_ARGUMENT;
        // SAFETY: every pointer is NULL or valid.
        unsafe {
            assert_eq!(pond_json_quote(json, 2, null_mut()), invalid);
            assert_eq!(pond_json_quote(null(), 2, &mut string), invalid);
            assert_eq!(pond_json_quote(json, usize::MAX, &mut string), invalid);
            assert_eq!(pond_json_text(null(), 0, at, &mut string, null_mut()), invalid);
            assert_eq!(pond_json_text(null(), 2, at, &mut string, null_mut()), invalid);
            assert_eq!(pond_json_text(json, 2, null(), &mut string, null_mut()), invalid);
            assert_eq!(pond_json_text(json, 2, at, null_mut(), null_mut()), invalid);
            assert_eq!(pond_json_number(null(), 2, at, &mut double), invalid);
            assert_eq!(pond_json_number(json, 2, null(), &mut double), invalid);
            assert_eq!(pond_json_number(json, 2, at, null_mut()), invalid);
            pond_string_free(null_mut());
            assert!(string.is_null());

            assert_eq!(pond_json_quote(null(), 0, &mut string), status::OK);
        }
        assert_eq!(taken(string, 2), "\"\"");
    }

    #[test]
    fn the_length_may_be_left_out() {
        let mut string = null_mut();
        // SAFETY: every pointer is NULL or valid.
        let status = unsafe { pond_json_text(c"\"hi\"".as_ptr(), 4, c"".as_ptr(), &mut string, null_mut()) };
        assert_eq!(status, status::OK);
        assert_eq!(taken(string, 2), "hi");
    }
}
