//! A short way from a channel's name to its tag, for channels that are JOINED: most frames need no more of a channel.

/// The most places.
const PLACES: usize = 512;
/// How many of them a name may take.
const TRIES: usize = 4;
/// Odd, with bits that look random.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Default)]
struct Member {
    /// Empty: the place is free.
    name: Box<str>,
    tag: u64,
}

/// Channels that were met lately, each at the place that the end of its name says or close behind. Those that find no place
/// push each other out, and are found the long way.
#[derive(Default)]
pub(super) struct Members {
    /// None or a power of two.
    places: Vec<Member>,
}

/// Names differ at their ends.
#[inline(always)]
fn place(name: &[u8]) -> usize {
    let (low, high) = match name.last_chunk::<8>() {
        Some(end) => (u64::from_be_bytes(*end), name.len() as u64),
        None => name
            .iter()
            .fold((0, 0), |(low, high), byte| (low << 8 | u64::from(*byte), high)),
    };
    ((low ^ high).wrapping_mul(FACTOR) >> 40) as usize
}

impl Members {
    /// The tag of the channel of that name, if it is known here.
    #[inline(always)]
    pub fn tag(&self, name: &[u8]) -> Option<u64> {
        let last = self.places.len().wrapping_sub(1);
        let first = place(name);
        for at in first..first + TRIES {
            let member = self.places.get(at & last)?;
            if member.name.is_empty() || name.is_empty() {
                break;
            }
            if member.name.as_bytes() == name {
                return Some(member.tag);
            }
        }
        None
    }

    /// A frame came for this channel, which is JOINED and not known here; the client has so many.
    pub fn remember(&mut self, name: &str, tag: u64, channels: usize) {
        let wanted = (2 * channels).next_power_of_two().min(PLACES);
        if self.places.len() < wanted {
            self.places.clear();
            self.places.reserve_exact(wanted);
            self.places.resize_with(wanted, Member::default);
        }
        let last = self.places.len() - 1;
        let first = place(name.as_bytes());
        let free = (first..first + TRIES).find(|at| self.places[at & last].name.is_empty());
        self.places[free.unwrap_or(first) & last] = Member { name: name.into(), tag };
    }

    /// A channel has changed: nothing is known any more.
    pub fn forget(&mut self) {
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_until_a_change() {
        let mut members = Members::default();
        assert_eq!(members.tag(b"/a"), None);
        members.remember("/a", 1, 1);
        members.remember("/a/longer/name", 2, 2);
        assert_eq!(members.tag(b"/a/longer/name"), Some(2));
        assert_eq!(members.tag(b"/b/longer/name"), None);
        assert_eq!(members.tag(b""), None);
        members.remember("/a", 1, 2);
        assert_eq!(members.tag(b"/a"), Some(1));
        members.forget();
        assert_eq!(members.tag(b"/a"), None);
    }

    #[test]
    fn many_channels_seldom_share_a_place() {
        let mut members = Members::default();
        let names: Vec<String> = (0..64).map(|n| format!("/bench/{n}")).collect();
        for (name, tag) in names.iter().zip(0..) {
            members.remember(name, tag, names.len());
        }
        let known = |(name, tag): &(&String, u64)| members.tag(name.as_bytes()) == Some(*tag);
        assert!(names.iter().zip(0..).filter(known).count() > 60);
    }
}
