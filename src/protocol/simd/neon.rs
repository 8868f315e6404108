//! aarch64: NEON, which each of them has.

use std::arch::aarch64::*;

use super::{BLOCK, Lanes, Masks};

pub struct Neon;

/// One bit of each byte of four vectors, side by side. Each byte is 0 or 255.
///
/// # Safety
/// None is asked for beyond aarch64 itself, as by the other functions here.
#[inline(always)]
unsafe fn gather(a: uint8x16_t, b: uint8x16_t, c: uint8x16_t, d: uint8x16_t) -> u64 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: NEON belongs to aarch64; the table has 16 bytes.
    unsafe {
        let bits = vld1q_u8(BITS.as_ptr());
        // Three sums of neighbours put the eight bits of eight bytes into one.
        let low = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
        let high = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
        let sums = vpaddq_u8(low, high);
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
    }
}

#[inline(always)]
unsafe fn equal(lane: uint8x16_t, byte: u8) -> uint8x16_t {
    // SAFETY: as above.
    unsafe { vceqq_u8(lane, vdupq_n_u8(byte)) }
}

#[inline(always)]
unsafe fn control(lane: uint8x16_t) -> uint8x16_t {
    // SAFETY: as above.
    unsafe { vcltq_u8(lane, vdupq_n_u8(0x20)) }
}

#[inline(always)]
unsafe fn bracket(lane: uint8x16_t) -> uint8x16_t {
    // SAFETY: as above.
    unsafe {
        // The bit by which square and curly brackets differ.
        let lane = vorrq_u8(lane, vdupq_n_u8(0x20));
        vorrq_u8(equal(lane, b'{'), equal(lane, b'}'))
    }
}

#[inline(always)]
unsafe fn foreign(lane: uint8x16_t) -> uint8x16_t {
    // SAFETY: as above.
    unsafe { vorrq_u8(equal(lane, b'N'), equal(lane, b'I')) }
}

impl Lanes for Neon {
    #[inline(always)]
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: NEON belongs to aarch64; the four loads of 16 bytes lie inside the block.
        unsafe {
            let lanes = block.as_ptr();
            let (a, b) = (vld1q_u8(lanes), vld1q_u8(lanes.add(16)));
            let (c, d) = (vld1q_u8(lanes.add(32)), vld1q_u8(lanes.add(48)));
            let (slash_a, slash_b) = (equal(a, b'\\'), equal(b, b'\\'));
            let (slash_c, slash_d) = (equal(c, b'\\'), equal(d, b'\\'));
            let slashes = vorrq_u8(vorrq_u8(slash_a, slash_b), vorrq_u8(slash_c, slash_d));
            let least = vminq_u8(vminq_u8(a, b), vminq_u8(c, d));
            let rare = vmaxvq_u8(vorrq_u8(slashes, control(least))) != 0;
            let (backslash, control) = if rare {
                (
                    gather(slash_a, slash_b, slash_c, slash_d),
                    gather(control(a), control(b), control(c), control(d)),
                )
            } else {
                (0, 0)
            };
            Masks {
                quote: gather(equal(a, b'"'), equal(b, b'"'), equal(c, b'"'), equal(d, b'"')),
                bracket: gather(bracket(a), bracket(b), bracket(c), bracket(d)),
                foreign: gather(foreign(a), foreign(b), foreign(c), foreign(d)),
                backslash,
                control,
            }
        }
    }

    #[inline(always)]
    unsafe fn stops(chunk: &[u8; 16]) -> u32 {
        // SAFETY: NEON belongs to aarch64; the chunk has 16 bytes.
        unsafe {
            let lane = vld1q_u8(chunk.as_ptr());
            let found = vorrq_u8(control(lane), vorrq_u8(equal(lane, b'"'), equal(lane, b'\\')));
            let none = vdupq_n_u8(0);
            gather(found, none, none, none) as u32
        }
    }
}
