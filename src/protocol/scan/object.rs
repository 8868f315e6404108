//! The short way through an object that a program hands in: most are neither deep nor faulty.

use super::super::simd::Stops;
use super::{Limits, skip_any_string, skip_any_word, skip_number, skip_space};

/// As many levels as fit into one word beside its mark.
pub(crate) const USUAL_NESTING: usize = 63;

/// Where the object ends that `text` starts with, most often. `None`: it is nested more than [`USUAL_NESTING`] deep, or not as
/// `limits` ask; [`skip_value`] tells which. (Apart from their depth, which is not looked at.)
#[inline(never)]
pub(crate) fn usual_object(text: &[u8], limits: &Limits) -> Option<usize> {
    let mut stops = Stops::NONE;
    // One bit per open container, 1 = object. The highest bit that is set marks their end.
    let mut kinds = 0b11u64;
    let mut at = skip_space(text, 1);
    let mut empty = text.get(at) == Some(&b'}');
    loop {
        if !empty {
            if kinds & 1 == 1 {
                at = usual_string(text, at, limits, &mut stops)?;
                if text.get(at) != Some(&b':') {
                    at = skip_space(text, at);
                    if text.get(at) != Some(&b':') {
                        return None;
                    }
                }
                at = skip_space(text, at + 1);
            }
            match *text.get(at)? {
                b'"' => at = usual_string(text, at, limits, &mut stops)?,
                open @ (b'{' | b'[') => {
                    if kinds >> USUAL_NESTING != 0 {
                        return None;
                    }
                    kinds = kinds << 1 | u64::from(open == b'{');
                    at = skip_space(text, at + 1);
                    // In ASCII the closing one comes two behind the opening one.
                    empty = *text.get(at)? == open + 2;
                    continue;
                }
                b'-' | b'0'..=b'9' => at = skip_number(text, at, limits).ok()?,
                _ => at = skip_any_word(text, at).ok()?,
            }
        }
        empty = false;
        loop {
            at = skip_space(text, at);
            let byte = *text.get(at)?;
            at += 1;
            if byte == b',' {
                at = skip_space(text, at);
                break;
            }
            // Of the two closing ones bit 5 tells the curly one.
            if byte | 0x20 != b'}' || u64::from(byte >> 5) & 1 != kinds & 1 {
                return None;
            }
            kinds >>= 1;
            if kinds == 1 {
                return Some(at);
            }
        }
    }
}

/// Behind the string that starts at `at`.
#[inline(always)]
fn usual_string(text: &[u8], at: usize, limits: &Limits, stops: &mut Stops) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let end = stops.plain_end(text, at + 1);
    match *text.get(end)? {
        b'"' => Some(end + 1),
        _ => skip_any_string(text, at, limits).ok(),
    }
}
