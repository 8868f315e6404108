//! Where a JSON array or object ends, 64 bytes at a time.
//!
//! [`end_of_container`] is a structural scan, not a parser. It checks that
//!
//! - strings end, with a quote behind an odd run of backslashes being part of the string;
//! - strings have no raw control characters, and outside of strings there are none but tab, line feed and carriage return;
//! - brackets outside of strings close what was opened, square by square and curly by curly, to any depth;
//! - no backslash, no `N` and no `I` stands outside of strings: no JSON has them there, but `NaN` and `Infinity` do.
//!
//! Everything else (commas, colons, numbers, words, escapes) is for the reader's parser. All JSON passes.
//!
//! The processor's vectors are reached through `std::arch`: the crates that offer them safely choose at compile time, or
//! bring a parser of their own. This is the protocol's only room for `unsafe`.
#![allow(unsafe_code)]
// Intrinsics of the architecture's baseline became safe after the oldest compiler we build with.
#![allow(unused_unsafe)]

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(any(
    test,
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))
))]
mod swar;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use neon::Neon as Baseline;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
use swar::Swar as Baseline;
#[cfg(target_arch = "x86_64")]
use x86::Sse2 as Baseline;

/// How many bytes are looked at together.
const BLOCK: usize = 64;
/// The bytes of a baseline vector.
pub(crate) const LANE: usize = 16;

/// Which bytes of a block are what: bit n is byte n.
struct Masks {
    quote: u64,
    backslash: u64,
    /// `[`, `]`, `{`, `}`.
    bracket: u64,
    /// `N`, `I`.
    foreign: u64,
    /// Below 0x20.
    control: u64,
}

/// One way to look at many bytes.
trait Lanes {
    /// Classifies a block.
    ///
    /// # Safety
    /// The processor has what the implementation needs.
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks;

    /// Bit n of the result is the parity of bits 0 to n: set from an opening quote up to before its closing quote.
    ///
    /// # Safety
    /// As of `masks`.
    unsafe fn parity(mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    /// The bytes that end plain string text: quotes, backslashes, control characters; bit n is byte n.
    ///
    /// # Safety
    /// As of `masks`.
    unsafe fn stops(chunk: &[u8; 16]) -> u32;

    /// The same of a block.
    ///
    /// # Safety
    /// As of `masks`.
    unsafe fn stops_of_block(block: &[u8; BLOCK]) -> u64 {
        let mut found = 0;
        let mut place = 0;
        while let Some(chunk) = block.get(place..).and_then(|rest| rest.first_chunk()) {
            // SAFETY: the caller's promise.
            found |= u64::from(unsafe { Self::stops(chunk) }) << place;
            place += 16;
        }
        found
    }

    /// Turns sixteen bytes over by a mask.
    ///
    /// # Safety
    /// As of `masks`; `from` is readable and `to` writable for sixteen bytes.
    unsafe fn turn_over(from: *const u8, mask: u128, to: *mut u8) {
        // SAFETY: the caller's promise; nothing has to be aligned.
        unsafe {
            to.cast::<u128>()
                .write_unaligned(from.cast::<u128>().read_unaligned() ^ mask)
        };
    }
}

/// The ways of the structural scan. All of them give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What every processor of this architecture has: SSE2 on x86-64, NEON on aarch64, eight bytes in a word elsewhere.
    Baseline,
    /// AVX2 with carry-less multiplication.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Eight bytes in a word, on an architecture that has better: for its tests.
    #[cfg(test)]
    Swar,
}

impl Level {
    /// Those that this processor has, the best one last.
    pub fn all() -> Vec<Self> {
        let mut levels = vec![Self::Baseline];
        #[cfg(test)]
        levels.insert(0, Self::Swar);
        if Self::best() != Self::Baseline {
            levels.push(Self::best());
        }
        levels
    }

    /// The best one for this processor, found out once.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if x86::has_avx2() {
            return Self::Avx2;
        }
        Self::Baseline
    }
}

/// One past the end of the container that opens at `start`; `None` when it is not balanced (see the module).
pub(super) fn end_of_container(level: Level, text: &[u8], start: usize) -> Option<usize> {
    if text.len() < BLOCK {
        return end_in_short_text(level, text, start);
    }
    match level {
        // SAFETY: the baseline is there on every processor of the architecture.
        Level::Baseline => unsafe { scan::<Baseline>(text, start) },
        // SAFETY: checked.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if x86::has_avx2() => unsafe { x86::scan_avx2(text, start) },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => end_of_container(Level::Baseline, text, start),
        // SAFETY: needs nothing.
        #[cfg(test)]
        Level::Swar => unsafe { scan::<swar::Swar>(text, start) },
    }
}

/// A text shorter than a block is made one by spaces, which change nothing.
#[cold]
fn end_in_short_text(level: Level, text: &[u8], start: usize) -> Option<usize> {
    let mut block = [b' '; BLOCK];
    block.get_mut(..text.len())?.copy_from_slice(text);
    end_of_container(level, &block, start)
}

/// The first byte at or after `at` that is not plain string text: a quote, a backslash, a control character, or the end.
#[inline]
pub(super) fn plain_end(text: &[u8], at: usize) -> usize {
    // SAFETY: the baseline is there on every processor of the architecture.
    unsafe { plain_end_by::<Baseline>(text, at) }
}

/// # Safety
/// As of the lanes.
#[inline(always)]
unsafe fn plain_end_by<L: Lanes>(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        // SAFETY: the caller's promise.
        let found = unsafe { L::stops(chunk) };
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    if let Some(chunk) = text.last_chunk::<16>() {
        // The last bytes once more, without those that were seen.
        let base = text.len() - 16;
        // SAFETY: the caller's promise.
        let found = unsafe { L::stops(chunk) } >> (at - base);
        return if found == 0 {
            text.len()
        } else {
            at + found.trailing_zeros() as usize
        };
    }
    while let Some(&byte) = text.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// Finds what [`plain_end`] finds, for rising places of one text: what is known of a block is kept, so that short strings cost
/// next to nothing.
#[derive(Clone, Copy)]
pub(super) struct Stops {
    /// Where the block begins that is known.
    base: usize,
    /// The bytes of the block that end plain text; bit n is byte n.
    found: u64,
}

impl Stops {
    /// No block is known: this one lies behind every text.
    pub const NONE: Self = Self {
        base: usize::MAX - BLOCK,
        found: 0,
    };

    /// As [`plain_end`]; `text` is always the same, and `at` never less than before.
    #[inline(always)]
    pub fn plain_end(&mut self, text: &[u8], at: usize) -> usize {
        let place = at.wrapping_sub(self.base);
        let left = if place < BLOCK { self.found >> place } else { 0 };
        if left != 0 {
            return at + left.trailing_zeros() as usize;
        }
        *self = search(text, if place < BLOCK { self.base + BLOCK } else { at });
        if self.found == 0 {
            return text.len();
        }
        self.base + self.found.trailing_zeros() as usize
    }
}

/// The first block with a byte that ends plain text at or after `at`; those before `at` are not told.
#[inline(never)]
fn search(text: &[u8], mut at: usize) -> Stops {
    while at < text.len() {
        // The last block overlaps with the one before.
        let base = at.min(text.len().saturating_sub(BLOCK));
        let found = match text.get(base..).and_then(|rest| rest.first_chunk()) {
            Some(block) => stops(block),
            None => stops_of_short_text(text),
        };
        let found = found & u64::MAX << ((at - base) % BLOCK);
        if found != 0 {
            return Stops { base, found };
        }
        at = base + BLOCK;
    }
    Stops::NONE
}

// Not inlined: the compiler would take the vectors' masks to pieces, bit by bit.
#[inline(never)]
fn stops(block: &[u8; BLOCK]) -> u64 {
    // SAFETY: the baseline is there on every processor of the architecture.
    unsafe { Baseline::stops_of_block(block) }
}

/// A text shorter than a block is made one by spaces, which are plain.
#[inline(never)]
fn stops_of_short_text(text: &[u8]) -> u64 {
    let mut block = [b' '; BLOCK];
    if let Some(begin) = block.get_mut(..text.len()) {
        begin.copy_from_slice(text);
    }
    stops(&block)
}

/// Every byte is below 0x80.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    const HIGHS: u128 = u128::MAX / 255 * 0x80;
    let Some(last) = text.last_chunk() else {
        return text.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    // The last bytes overlap with those before.
    let mut all = u128::from_ne_bytes(*last);
    let mut rest = text;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        all |= u128::from_ne_bytes(*chunk);
        rest = behind;
    }
    all & HIGHS == 0
}

/// Longer texts than this are checked by simdutf8 at once, which is as fast with them.
const SHORT_TEXT: usize = 1024;

/// Bytes as text, if they are UTF-8. Short ASCII, which most frames are, is the fastest.
#[inline]
pub fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() <= SHORT_TEXT && is_ascii(bytes) {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Appends the first `size` bytes of `header` as they are, then `bytes` with every four of them turned over by the mask: a
/// WebSocket client's frame.
#[inline]
pub(crate) fn append_frame(to: &mut Vec<u8>, (header, size): ([u8; LANE], usize), bytes: &[u8], mask: [u8; 4]) {
    let wide = |mask: u32| u128::MAX / u128::from(u32::MAX) * u128::from(mask);
    let mask = u32::from_ne_bytes(mask);
    let Some(last) = bytes.len().checked_sub(LANE) else {
        to.extend(header.iter().take(size));
        let keys = mask.to_ne_bytes().into_iter().cycle();
        to.extend(bytes.iter().zip(keys).map(|(byte, key)| byte ^ key));
        return;
    };
    let size = size.min(LANE);
    to.reserve(LANE + bytes.len());
    // SAFETY: the baseline is there on every processor of the architecture; `from` has `last + LANE` bytes, and so much room, and
    // that of the header, is behind the end of `to`, which nobody else has. All of it is written before it counts.
    unsafe {
        let from = bytes.as_ptr();
        let end = to.as_mut_ptr().add(to.len());
        // What is behind its size is written over.
        end.cast::<[u8; LANE]>().write(header);
        let end = end.add(size);
        let whole = wide(mask);
        let mut at = 0;
        while at + LANE < last {
            Baseline::turn_over(from.add(at), whole, end.add(at));
            Baseline::turn_over(from.add(at + LANE), whole, end.add(at + LANE));
            at += 2 * LANE;
        }
        if at < last {
            Baseline::turn_over(from.add(at), whole, end.add(at));
        }
        // The last bytes once more, by the mask as it stands there.
        let bits = 8 * (last as u32 % 4);
        let turned = if cfg!(target_endian = "little") {
            mask.rotate_right(bits)
        } else {
            mask.rotate_left(bits)
        };
        Baseline::turn_over(from.add(last), wide(turned), end.add(last));
        to.set_len(to.len() + size + bytes.len());
    }
}

/// The bytes that are escaped by a run of backslashes of odd length before them, and whether the first byte of the next
/// block is. `first` is the bit of this block's first byte if the block before escapes it.
#[inline(always)]
fn escaped(backslash: u64, first: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let runs = backslash & !first;
    let starts = runs & !(runs << 1);
    // Adding a run's lowest bit to it moves that bit to behind the run. Runs that start at an even place are of odd
    // length when they end at an odd one, and the other way round.
    let (behind_even, _) = runs.overflowing_add(starts & EVEN);
    let (behind_odd, over) = runs.overflowing_add(starts & !EVEN);
    let found = first | (behind_even & !runs & !EVEN) | (behind_odd & !runs & EVEN);
    (found, u64::from(over))
}

/// The structural scan of a text of at least one block.
///
/// # Safety
/// As of the lanes.
#[inline(always)]
unsafe fn scan<L: Lanes>(text: &[u8], start: usize) -> Option<usize> {
    let last = text.len().checked_sub(BLOCK)?;
    // The kinds of the innermost open containers, one bit each: 1 = curly. The highest bit that is set marks their end.
    let mut kinds = 1u64;
    let mut outer = Vec::new();
    let (mut in_string, mut carry) = (0u64, 0u64);
    let mut at = start;
    while at < text.len() {
        // The last block overlaps with the one before.
        let base = at.min(last);
        let block = text.get(base..)?.first_chunk::<BLOCK>()?;
        // SAFETY: the caller's promise.
        let mut masks = unsafe { L::masks(block) };
        let mut first = carry;
        if base != at {
            let skip = at - base;
            let fresh = u64::MAX << skip;
            masks.quote &= fresh;
            masks.backslash &= fresh;
            masks.bracket &= fresh;
            masks.foreign &= fresh;
            masks.control &= fresh;
            first <<= skip;
        }
        if masks.backslash | first != 0 {
            let (found, next) = escaped(masks.backslash, first);
            masks.quote &= !found;
            carry = next;
        }
        // SAFETY: the caller's promise.
        let inside = unsafe { L::parity(masks.quote) } ^ in_string;
        in_string = ((inside as i64) >> 63) as u64;
        let mut bad = (masks.foreign | masks.backslash) & !inside;
        if masks.control != 0 {
            bad |= masks.control & inside | not_blank(block, masks.control & !inside);
        }
        let mut brackets = masks.bracket & !inside;
        let mut wrong = 0;
        while brackets != 0 {
            let place = brackets.trailing_zeros() as usize % BLOCK;
            brackets &= brackets - 1;
            let byte = u64::from(block[place]);
            // Of the four brackets, bit 1 tells the opening ones, bit 2 the closing ones, and bit 5 the curly ones among
            // them; the bits above are 10. No branch: they come in no order that a processor could foresee.
            let kind = byte >> 5;
            wrong |= (kinds ^ kind) & byte >> 2;
            let pushed = (kinds << 1).wrapping_add(kind).wrapping_sub(2);
            kinds = if byte & 2 == 0 { kinds >> 1 } else { pushed };
            if (kinds as i64).wrapping_sub(1) <= 0 {
                match rebalance(kinds, &mut outer) {
                    Some(rebalanced) => kinds = rebalanced,
                    None => {
                        let before = (1u64 << place) - 1;
                        return (((bad & before) | (wrong & 1)) == 0).then_some(base + place + 1);
                    }
                }
            }
        }
        if bad | (wrong & 1) != 0 {
            return None;
        }
        at = base + BLOCK;
    }
    None
}

/// The word of kinds is full or empty: moves half of it out, or back in. `None` when no container is open any more.
#[cold]
#[inline(never)]
fn rebalance(kinds: u64, outer: &mut Vec<u32>) -> Option<u64> {
    const HALF: u32 = 32;
    if kinds == 1 {
        return outer.pop().map(u64::from);
    }
    // The half that goes takes the mark along, the one that stays gets one of its own.
    outer.push((kinds >> HALF) as u32);
    Some(u64::from(kinds as u32) | 1 << HALF)
}

/// Those of the marked control characters that are no white space.
#[cold]
fn not_blank(block: &[u8; BLOCK], mut marked: u64) -> u64 {
    let mut found = 0;
    while marked != 0 {
        let lowest = marked & marked.wrapping_neg();
        if !matches!(block[marked.trailing_zeros() as usize % BLOCK], b'\t' | b'\n' | b'\r') {
            found |= lowest;
        }
        marked ^= lowest;
    }
    found
}

#[cfg(test)]
mod tests;
