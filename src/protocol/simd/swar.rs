//! Any architecture: eight bytes in one word.

use super::{BLOCK, Lanes, Masks};

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// The highest bit of each byte that is zero. Exact: no borrow runs from one byte into the next.
#[inline(always)]
fn zero(word: u64) -> u64 {
    !(((word & !HIGHS) + !HIGHS) | word) & HIGHS
}

#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    zero(word ^ (ONES * u64::from(byte)))
}

#[inline(always)]
fn control(word: u64) -> u64 {
    zero(word & (ONES * 0xE0))
}

/// The highest bits of the bytes, side by side.
#[inline(always)]
fn gather(highs: u64) -> u64 {
    (highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// A mask of a text of whole words; bit n is byte n.
#[inline(always)]
fn mask(bytes: &[u8], class: impl Fn(u64) -> u64) -> u64 {
    let mut mask = 0;
    let mut shift = 0;
    while let Some(chunk) = bytes.get(shift..).and_then(|rest| rest.first_chunk::<8>()) {
        mask |= gather(class(u64::from_le_bytes(*chunk))) << shift;
        shift += 8;
    }
    mask
}

pub struct Swar;

impl Lanes for Swar {
    #[inline(always)]
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
        Masks {
            quote: mask(block, |word| equal(word, b'"')),
            backslash: mask(block, |word| equal(word, b'\\')),
            bracket: mask(block, |word| {
                let curly = word | (ONES * 0x20);
                equal(curly, b'{') | equal(curly, b'}')
            }),
            foreign: mask(block, |word| equal(word, b'N') | equal(word, b'I')),
            control: mask(block, control),
        }
    }

    #[inline(always)]
    unsafe fn stops(chunk: &[u8; 16]) -> u32 {
        mask(chunk, |word| equal(word, b'"') | equal(word, b'\\') | control(word)) as u32
    }
}
