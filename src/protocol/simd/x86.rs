//! x86-64: SSE2, which each of them has, and AVX2.

use std::arch::x86_64::*;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{BLOCK, Lanes, Masks};

const QUOTE: i8 = b'"' as i8;
const BACKSLASH: i8 = b'\\' as i8;
/// The bit by which square and curly brackets differ.
const CURLY: i8 = 0x20;
const LAST_CONTROL: i8 = 0x1f;

/// Whether the processor has what [`Avx2`] needs; asked once.
#[inline]
pub fn has_avx2() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static FOUND: AtomicU8 = AtomicU8::new(UNKNOWN);
    match FOUND.load(Ordering::Relaxed) {
        UNKNOWN => {
            let has = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("bmi1");
            FOUND.store(if has { YES } else { NO }, Ordering::Relaxed);
            has
        }
        found => found == YES,
    }
}

pub struct Sse2;

/// # Safety
/// None is asked for beyond x86-64 itself, as by the other functions of SSE2 here.
#[inline(always)]
unsafe fn equal(lane: __m128i, byte: i8) -> __m128i {
    // SAFETY: SSE2 belongs to x86-64.
    unsafe { _mm_cmpeq_epi8(lane, _mm_set1_epi8(byte)) }
}

#[inline(always)]
unsafe fn either(a: __m128i, b: __m128i) -> __m128i {
    // SAFETY: as above.
    unsafe { _mm_or_si128(a, b) }
}

#[inline(always)]
unsafe fn control(lane: __m128i) -> __m128i {
    // SAFETY: as above.
    unsafe {
        let most = _mm_set1_epi8(LAST_CONTROL);
        _mm_cmpeq_epi8(_mm_max_epu8(lane, most), most)
    }
}

#[inline(always)]
unsafe fn stop(lane: __m128i) -> __m128i {
    // SAFETY: as above.
    unsafe { either(control(lane), either(equal(lane, QUOTE), equal(lane, BACKSLASH))) }
}

#[inline(always)]
unsafe fn bracket(lane: __m128i) -> __m128i {
    // SAFETY: as above.
    unsafe {
        let lane = either(lane, _mm_set1_epi8(CURLY));
        either(equal(lane, b'{' as i8), equal(lane, b'}' as i8))
    }
}

#[inline(always)]
unsafe fn foreign(lane: __m128i) -> __m128i {
    // SAFETY: as above.
    unsafe { either(equal(lane, b'N' as i8), equal(lane, b'I' as i8)) }
}

#[inline(always)]
unsafe fn gather(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> u64 {
    // SAFETY: as above.
    let [a, b, c, d] = unsafe {
        [
            _mm_movemask_epi8(a),
            _mm_movemask_epi8(b),
            _mm_movemask_epi8(c),
            _mm_movemask_epi8(d),
        ]
    };
    let (low, high) = ((a | b << 16) as u32, (c | d << 16) as u32);
    u64::from(low) | u64::from(high) << 32
}

impl Lanes for Sse2 {
    #[inline(always)]
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: SSE2 belongs to x86-64; the four loads of 16 bytes lie inside the block and need no alignment.
        unsafe {
            let lanes = block.as_ptr().cast::<__m128i>();
            let a = _mm_loadu_si128(lanes);
            let b = _mm_loadu_si128(lanes.add(1));
            let c = _mm_loadu_si128(lanes.add(2));
            let d = _mm_loadu_si128(lanes.add(3));
            let (slash_a, slash_b) = (equal(a, BACKSLASH), equal(b, BACKSLASH));
            let (slash_c, slash_d) = (equal(c, BACKSLASH), equal(d, BACKSLASH));
            let slashes = either(either(slash_a, slash_b), either(slash_c, slash_d));
            let least = _mm_min_epu8(_mm_min_epu8(a, b), _mm_min_epu8(c, d));
            let rare = _mm_movemask_epi8(either(slashes, control(least))) != 0;
            let (backslash, control) = if rare {
                (
                    gather(slash_a, slash_b, slash_c, slash_d),
                    gather(control(a), control(b), control(c), control(d)),
                )
            } else {
                (0, 0)
            };
            Masks {
                quote: gather(equal(a, QUOTE), equal(b, QUOTE), equal(c, QUOTE), equal(d, QUOTE)),
                bracket: gather(bracket(a), bracket(b), bracket(c), bracket(d)),
                foreign: gather(foreign(a), foreign(b), foreign(c), foreign(d)),
                backslash,
                control,
            }
        }
    }

    #[inline(always)]
    unsafe fn stops(chunk: &[u8; 16]) -> u32 {
        // SAFETY: SSE2 belongs to x86-64; the load of 16 bytes needs no alignment.
        unsafe { _mm_movemask_epi8(stop(_mm_loadu_si128(chunk.as_ptr().cast()))) as u32 }
    }

    #[inline(always)]
    unsafe fn stops_of_block(block: &[u8; BLOCK]) -> u64 {
        // SAFETY: SSE2 belongs to x86-64; the four loads of 16 bytes lie inside the block and need no alignment.
        unsafe {
            let lanes = block.as_ptr().cast::<__m128i>();
            gather(
                stop(_mm_loadu_si128(lanes)),
                stop(_mm_loadu_si128(lanes.add(1))),
                stop(_mm_loadu_si128(lanes.add(2))),
                stop(_mm_loadu_si128(lanes.add(3))),
            )
        }
    }

    #[inline(always)]
    unsafe fn turn_over(from: *const u8, mask: u128, to: *mut u8) {
        // SAFETY: SSE2 belongs to x86-64; the caller vouches for the sixteen bytes, which need no alignment.
        unsafe {
            let mask = _mm_set_epi64x((mask >> 64) as i64, mask as i64);
            _mm_storeu_si128(to.cast(), _mm_xor_si128(_mm_loadu_si128(from.cast()), mask));
        }
    }
}

pub struct Avx2;

/// A table for `vpshufb` that turns each of the given bytes into itself, by its lower half, and no other byte.
const fn only(bytes: [u8; 2]) -> [u8; 32] {
    let mut table = [0; 32];
    let mut at = 0;
    while at < 32 {
        // An entry that no byte which looks it up can be equal to: its lower half is another.
        table[at] = (at as u8 & 15) ^ 1;
        at += 1;
    }
    let mut which = 0;
    while which < 2 {
        let at = (bytes[which] & 15) as usize;
        table[at] = bytes[which];
        table[at + 16] = bytes[which];
        which += 1;
    }
    table
}

static BRACKETS: [u8; 32] = only([b'{', b'}']);
static FOREIGN: [u8; 32] = only([b'N', b'I']);

/// # Safety
/// AVX2, as for the other functions of 32 bytes here.
#[inline(always)]
unsafe fn equal_32(lane: __m256i, byte: i8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(byte)) }
}

#[inline(always)]
unsafe fn control_32(lane: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let most = _mm256_set1_epi8(LAST_CONTROL);
        _mm256_cmpeq_epi8(_mm256_max_epu8(lane, most), most)
    }
}

/// The bytes that a table made by [`only`] turns into themselves.
#[inline(always)]
unsafe fn found_32(table: &[u8; 32], lane: __m256i) -> __m256i {
    // SAFETY: the caller's promise; the load of 32 bytes needs no alignment.
    unsafe {
        let table = _mm256_loadu_si256(table.as_ptr().cast());
        _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, lane), lane)
    }
}

#[inline(always)]
unsafe fn gather_32(low: __m256i, high: __m256i) -> u64 {
    // SAFETY: the caller's promise.
    let (low, high) = unsafe { (_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32) };
    u64::from(low) | u64::from(high) << 32
}

impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: the caller has AVX2; the two loads of 32 bytes lie inside the block and need no alignment.
        unsafe {
            let lanes = block.as_ptr().cast::<__m256i>();
            let a = _mm256_loadu_si256(lanes);
            let b = _mm256_loadu_si256(lanes.add(1));
            let (slash_a, slash_b) = (equal_32(a, BACKSLASH), equal_32(b, BACKSLASH));
            let least = control_32(_mm256_min_epu8(a, b));
            let rare = _mm256_movemask_epi8(_mm256_or_si256(least, _mm256_or_si256(slash_a, slash_b))) != 0;
            let (backslash, control) = if rare {
                (gather_32(slash_a, slash_b), gather_32(control_32(a), control_32(b)))
            } else {
                (0, 0)
            };
            let curly = _mm256_set1_epi8(CURLY);
            Masks {
                quote: gather_32(equal_32(a, QUOTE), equal_32(b, QUOTE)),
                bracket: gather_32(
                    found_32(&BRACKETS, _mm256_or_si256(a, curly)),
                    found_32(&BRACKETS, _mm256_or_si256(b, curly)),
                ),
                foreign: gather_32(found_32(&FOREIGN, a), found_32(&FOREIGN, b)),
                backslash,
                control,
            }
        }
    }

    #[inline(always)]
    unsafe fn parity(bits: u64) -> u64 {
        // SAFETY: the caller has PCLMULQDQ.
        unsafe {
            let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1));
            _mm_cvtsi128_si64(product) as u64
        }
    }

    #[inline(always)]
    unsafe fn stops(chunk: &[u8; 16]) -> u32 {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe { Sse2::stops(chunk) }
    }
}

/// The structural scan with AVX2.
///
/// # Safety
/// [`has_avx2`] said so.
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
pub unsafe fn scan_avx2(text: &[u8], start: usize) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe { super::scan::<Avx2>(text, start) }
}
