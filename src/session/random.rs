//! Randomness that a simulation can replay, and the ids made from it.

/// SplitMix64: small, fast, seeded; for jitter and id prefixes, not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `ceiling`, both included.
    pub fn up_to(&mut self, ceiling: u64) -> u64 {
        match ceiling.checked_add(1) {
            Some(range) => self.next() % range,
            None => self.next(),
        }
    }
}

/// Request ids in UUID shape: one random prefix per session and a counter, so that no id costs a system call and an id
/// of ours is known by its look.
#[derive(Clone, Debug)]
pub struct Ids {
    /// The first of them, with zeros for the counter.
    zero: [u8; ID_LEN],
    last: u64,
}

/// The text of an id.
#[derive(Clone, Copy, Debug)]
pub struct Id([u8; ID_LEN]);

impl Id {
    /// As it stands in frames.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and dashes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

const ID_LEN: usize = 36;
const PREFIX_LEN: usize = 24;
const COUNTER_MASK: u64 = 0xFFFF_FFFF_FFFF;

impl Ids {
    /// A prefix of 74 random bits.
    pub fn new(random: &mut Random) -> Self {
        let (a, b) = (random.next(), random.next());
        let text = format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xFFFF,
            a & 0xFFF,
            8 + (b & 3),
            (b >> 2) & 0xFFF,
            0,
        );
        let mut zero = [b'0'; ID_LEN];
        for (to, from) in zero.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self { zero, last: 0 }
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.last = (self.last + 1) & COUNTER_MASK;
        self.last
    }

    /// The next number and its text.
    pub fn next(&mut self) -> (u64, Id) {
        let number = self.next_number();
        (number, self.text(number))
    }

    /// What all ids begin with.
    pub fn prefix(&self) -> &[u8] {
        &self.zero[..PREFIX_LEN]
    }

    /// What the id of that number ends in, behind the prefix.
    #[inline]
    pub fn counter(number: u64) -> [u8; ID_LEN - PREFIX_LEN] {
        let low = hexadecimal(number as u32);
        let high = hexadecimal((number >> 32) as u32);
        let mut text = [0; ID_LEN - PREFIX_LEN];
        let (first, last) = text.split_at_mut(4);
        first.copy_from_slice(&high[4..]);
        last.copy_from_slice(&low);
        text
    }

    /// The text of a number.
    pub fn text(&self, number: u64) -> Id {
        let mut id = self.zero;
        id[PREFIX_LEN..].copy_from_slice(&Self::counter(number));
        Id(id)
    }

    /// The number of an id that this session has made, `None` for any other.
    pub fn number(&self, id: &str) -> Option<u64> {
        let id: &[u8; ID_LEN] = id.as_bytes().try_into().ok()?;
        let (prefix, digits) = id.split_first_chunk::<PREFIX_LEN>()?;
        let (high, low) = (digits.first_chunk()?, digits.last_chunk()?);
        let number = u64::from(number_of(*high)) << 16 | u64::from(number_of(*low) & 0xFFFF);
        // Written once more, so that nothing passes for a digit that is none.
        let ours = prefix[..] == self.zero[..PREFIX_LEN] && Self::counter(number) == digits;
        (ours && number != 0 && number <= self.last).then_some(number)
    }
}

/// Eight digits at once.
#[inline]
fn hexadecimal(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 255;
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & (ONES * 0x0F);
    // A digit above 9 carries into the bit of 16 when 6 is added.
    let letters = (digits + ONES * 6) >> 4 & ONES;
    (digits + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// The number that eight digits say; anything, if they are none.
#[inline]
fn number_of(digits: [u8; 8]) -> u32 {
    const ONES: u64 = u64::MAX / 255;
    let text = u64::from_be_bytes(digits);
    // Letters, and only they, have the bit of 64.
    let mut number = (text & (ONES * 0x0F)).wrapping_add((text >> 6 & ONES) * 9);
    number = (number | number >> 4) & 0x00FF_00FF_00FF_00FF;
    number = (number | number >> 8) & 0x0000_FFFF_0000_FFFF;
    (number | number >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_uuid_shape_and_are_recognised() {
        let mut ids = Ids::new(&mut Random::new(7));
        let (number, id) = ids.next();
        let text = id.as_str();
        assert_eq!(text.len(), 36);
        let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!(dashes, [8, 13, 18, 23]);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]));
        assert_eq!(ids.number(text), Some(number));
        assert_eq!(ids.number(ids.text(number + 1).as_str()), None, "not made yet");
        assert_eq!(ids.number("ae8c6274-5de5-4dfb-bea2-94490410e0ed"), None);
        let mut others = Ids::new(&mut Random::new(8));
        assert_eq!(ids.number(others.next().1.as_str()), None);
    }

    #[test]
    fn counters_are_hexadecimal() {
        for number in [0, 1, 9, 10, 15, 16, 0x0123_4567_89ab, 0xcdef_fedc_ba98, COUNTER_MASK] {
            let text = String::from_utf8(Ids::counter(number).to_vec()).unwrap();
            assert_eq!(text, format!("{number:012x}"));
        }
    }

    #[test]
    fn only_what_was_written_so_is_a_number() {
        let mut ids = Ids::new(&mut Random::new(7));
        ids.last = COUNTER_MASK;
        for number in [1, 0x10, 0xFEDC_BA98, 0x0123_4567_89ab, 0xcdef_fedc_ba98, COUNTER_MASK] {
            let id = ids.text(number);
            assert_eq!(ids.number(id.as_str()), Some(number));
            for place in 0..ID_LEN {
                for wrong in [b'g', b'A', b'F', b'/', b':', b'`', b'@', b' ', 0, 0x7F] {
                    let mut bytes = id.0;
                    bytes[place] = wrong;
                    assert_eq!(ids.number(std::str::from_utf8(&bytes).unwrap()), None);
                }
            }
            assert_eq!(ids.number(&id.as_str()[1..]), None);
            assert_eq!(ids.number(&format!("{}0", id.as_str())), None);
        }
        assert_eq!(ids.number(ids.text(0).as_str()), None);
    }

    #[test]
    fn jitter_stays_in_range_and_reaches_both_ends() {
        let mut random = Random::new(1);
        let draws: Vec<u64> = (0..2_000).map(|_| random.up_to(9)).collect();
        assert!(draws.iter().all(|d| *d <= 9));
        assert!(draws.contains(&0) && draws.contains(&9));
        random.up_to(u64::MAX);
    }
}
