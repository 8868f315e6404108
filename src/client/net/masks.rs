//! The masking keys of frames.
//!
//! The cipher is written out here because the size of the library is bounded: the `chacha20` crate does the same as fast, but the
//! library gets 1.2 to 1.5 KB larger by its SIMD variants.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Words of a block.
const WORDS: usize = 16;
/// Pairs of rounds: eight, as the name says.
const DOUBLE_ROUNDS: usize = 4;
/// What each block begins with: "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Masking keys. They must be unpredictable for whoever chooses payloads, whatever keys it has seen (RFC 6455, 10.3): the key
/// stream of ChaCha8, under a key made of 128 bits from the system. No system call for a frame.
pub(super) struct Masks {
    key: [u32; 8],
    block: u64,
    stream: [u32; WORDS],
    /// What is used of the stream.
    used: usize,
}

impl std::fmt::Debug for Masks {
    // It is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masks").finish_non_exhaustive()
    }
}

impl Masks {
    #[inline(never)]
    pub(super) fn new() -> Self {
        // The system's randomness is inside, and comes out by SipHash.
        let system = RandomState::new();
        let mut key = [0; 8];
        for (number, pair) in (0u64..).zip(key.chunks_exact_mut(2)) {
            let hash = system.hash_one(number);
            if let [low, high] = pair {
                (*low, *high) = (hash as u32, (hash >> 32) as u32);
            }
        }
        Self {
            key,
            block: 0,
            stream: [0; WORDS],
            used: WORDS,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> [u8; 4] {
        if self.used == WORDS {
            self.refill();
        }
        let mask = self.stream[self.used % WORDS];
        self.used += 1;
        mask.to_le_bytes()
    }

    #[inline(never)]
    fn refill(&mut self) {
        self.stream = chacha8(&self.key, self.block);
        self.block += 1;
        self.used = 0;
    }
}

/// One block of the key stream, with a nonce of zeros.
fn chacha8(key: &[u32; 8], block: u64) -> [u32; WORDS] {
    let mut start = [0; WORDS];
    let counter = [block as u32, (block >> 32) as u32];
    for (to, from) in start.iter_mut().zip(CONSTANTS.iter().chain(key).chain(&counter)) {
        *to = *from;
    }
    // Each in a variable of its own, so that they can stay in registers.
    let [
        mut a,
        mut b,
        mut c,
        mut d,
        mut e,
        mut f,
        mut g,
        mut h,
        mut i,
        mut j,
        mut k,
        mut l,
        mut m,
        mut n,
        mut o,
        mut p,
    ] = start;
    for _ in 0..DOUBLE_ROUNDS {
        quarter_round(&mut a, &mut e, &mut i, &mut m);
        quarter_round(&mut b, &mut f, &mut j, &mut n);
        quarter_round(&mut c, &mut g, &mut k, &mut o);
        quarter_round(&mut d, &mut h, &mut l, &mut p);
        quarter_round(&mut a, &mut f, &mut k, &mut p);
        quarter_round(&mut b, &mut g, &mut l, &mut m);
        quarter_round(&mut c, &mut h, &mut i, &mut n);
        quarter_round(&mut d, &mut e, &mut j, &mut o);
    }
    let mut words = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    for (word, first) in words.iter_mut().zip(start) {
        *word = word.wrapping_add(first);
    }
    words
}

#[inline(always)]
fn quarter_round(a: &mut u32, b: &mut u32, c: &mut u32, d: &mut u32) {
    *a = a.wrapping_add(*b);
    *d = (*d ^ *a).rotate_left(16);
    *c = c.wrapping_add(*d);
    *b = (*b ^ *c).rotate_left(12);
    *a = a.wrapping_add(*b);
    *d = (*d ^ *a).rotate_left(8);
    *c = c.wrapping_add(*d);
    *b = (*b ^ *c).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_chacha8() {
        // A key and nonce of zeros: the first vector that the eSTREAM project published for eight rounds.
        let bytes: Vec<u8> = chacha8(&[0; 8], 0).iter().flat_map(|word| word.to_le_bytes()).collect();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e\
             984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42"
        );
    }

    #[test]
    fn blocks_follow_each_other() {
        let mut masks = Masks::new();
        let first: Vec<u32> = (0..2 * WORDS).map(|_| u32::from_le_bytes(masks.next())).collect();
        let key = masks.key;
        assert_eq!(first, [chacha8(&key, 0), chacha8(&key, 1)].concat());
        assert_ne!(first[..WORDS], first[WORDS..]);
        assert_ne!(Masks::new().key, key);
    }
}
