//! Outgoing frames: waiting, with the driver, handed to the system, proved to have arrived.

use std::collections::VecDeque;

use super::ChannelId;

/// What a frame is for; decides what becomes of it when the link dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// JOIN and LEAVE: of this connection only.
    Membership,
    /// A plain send.
    Message,
    /// A send that ages at once: forgotten with the link.
    Volatile,
    /// A request, by the number of its id.
    Request(u64),
}

/// One frame, built once.
#[derive(Clone)]
pub(super) struct OutFrame {
    pub channel: ChannelId,
    pub purpose: Purpose,
    pub text: Vec<u8>,
}

impl std::fmt::Debug for OutFrame {
    // The text may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {:?}, {} bytes", self.purpose, self.channel, self.text.len())
    }
}

/// A frame whose text lies in the wire's buffer.
#[derive(Clone, Copy, Debug)]
struct Entry {
    channel: ChannelId,
    purpose: Purpose,
    len: usize,
}

impl Purpose {
    /// Accepted from the program, so it must be accounted for.
    fn counts(self) -> bool {
        matches!(self, Self::Message | Self::Request(_))
    }
}

/// A larger buffer of texts is not kept while nothing waits.
const KEPT_TEXT: usize = 256 * 1024;

/// The frames of one connection, and the account of what was accepted. Their texts lie one behind the other in two buffers, one
/// to be emptied and one to be filled, so that a frame costs no allocation and is never moved. Places count through both.
#[derive(Default)]
pub(super) struct Wire {
    /// First the frames that the driver has taken and that are not known to be handed over in full, then those that wait.
    frames: VecDeque<Entry>,
    taken: usize,
    /// The texts of the oldest frames.
    front: Vec<u8>,
    /// Those behind them, up to the newest.
    back: Vec<u8>,
    /// Where the text of the first frame begins.
    start: usize,
    /// Where the text of the first frame begins that waits.
    next: usize,
    /// Frames handed over on this link.
    handed_frames: u64,
    /// Messages and requests handed over on this link.
    handed_messages: u64,
    /// How many of those are proved to have arrived.
    proved: u64,
}

impl std::fmt::Debug for Wire {
    // The texts may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} frames, {} bytes", self.frames.len(), self.bytes())
    }
}

impl Wire {
    pub fn push(&mut self, frame: OutFrame) {
        self.back.extend_from_slice(&frame.text);
        self.frames.push_back(Entry {
            channel: frame.channel,
            purpose: frame.purpose,
            len: frame.text.len(),
        });
    }

    /// A frame that is built in place; `len` is known before.
    #[inline(always)]
    pub fn push_with(&mut self, channel: ChannelId, purpose: Purpose, len: usize, build: impl FnOnce(&mut Vec<u8>)) {
        build(&mut self.back);
        self.frames.push_back(Entry { channel, purpose, len });
    }

    /// The next frame for the driver.
    pub fn take(&mut self) -> Option<&[u8]> {
        let entry = self.frames.get(self.taken)?;
        self.taken += 1;
        let from = self.next;
        self.next += entry.len;
        match from.checked_sub(self.front.len()) {
            None => self.front.get(from..self.next),
            Some(from) => self.back.get(from..from + entry.len),
        }
    }

    /// The driver knows `total` frames of this link to be handed over in full. Calls `each` with every newly handed one
    /// and its place in the account.
    pub fn handed_over(&mut self, total: u64, mut each: impl FnMut(Purpose, u64)) {
        if self.handed_frames >= total {
            return;
        }
        while self.handed_frames < total && self.taken > 0 {
            let Some(entry) = self.frames.pop_front() else {
                break;
            };
            self.taken -= 1;
            self.handed_frames += 1;
            self.start += entry.len;
            if entry.purpose.counts() {
                self.handed_messages += 1;
            }
            each(entry.purpose, self.handed_messages);
        }
        self.compact();
    }

    /// How many frames of this link are handed over once that request is, if it is with the driver.
    pub fn taken_up_to(&self, number: u64) -> Option<u64> {
        let mut taken = self.frames.iter().take(self.taken);
        let before = taken.position(|entry| entry.purpose == Purpose::Request(number))?;
        Some(self.handed_frames + before as u64 + 1)
    }

    /// Once all of the front is done with, the back takes its place.
    fn compact(&mut self) {
        if self.start >= self.front.len() {
            let done = self.front.len();
            self.start -= done;
            self.next -= done;
            self.front.clear();
            std::mem::swap(&mut self.front, &mut self.back);
        }
        if self.frames.is_empty() {
            self.start = 0;
            self.next = 0;
            for text in [&mut self.front, &mut self.back] {
                text.clear();
                if text.capacity() > KEPT_TEXT {
                    *text = Vec::new();
                }
            }
        }
    }

    /// Nothing was written for a while: an idle link holds no memory for it.
    pub fn rest(&mut self) {
        if self.frames.is_empty() {
            self.front = Vec::new();
            self.back = Vec::new();
            self.frames = VecDeque::new();
        }
    }

    /// The place in the account behind everything that the driver has taken so far.
    pub fn mark(&self) -> u64 {
        let taken = self.frames.iter().take(self.taken);
        self.handed_messages + taken.filter(|entry| entry.purpose.counts()).count() as u64
    }

    /// Everything up to this place has arrived.
    pub fn prove(&mut self, mark: u64) {
        self.proved = self.proved.max(mark.min(self.handed_messages));
    }

    pub fn in_doubt(&self) -> u64 {
        self.handed_messages - self.proved
    }

    /// Bytes accepted and not yet handed over.
    pub fn bytes(&self) -> u64 {
        (self.front.len() + self.back.len() - self.start) as u64
    }

    pub fn has_waiting(&self) -> bool {
        self.frames.len() > self.taken
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Accepted messages and requests that are not handed over.
    pub fn messages(&self) -> u64 {
        self.frames.iter().filter(|entry| entry.purpose.counts()).count() as u64
    }

    /// Takes back a request that the driver has not taken yet.
    pub fn remove_request(&mut self, number: u64) -> bool {
        let mut at = self.next;
        for place in self.taken..self.frames.len() {
            let Some(entry) = self.frames.get(place) else {
                break;
            };
            if entry.purpose == Purpose::Request(number) {
                match at.checked_sub(self.front.len()) {
                    None => self.front.drain(at..at + entry.len),
                    Some(at) => self.back.drain(at..at + entry.len),
                };
                self.frames.remove(place);
                self.compact();
                return true;
            }
            at += entry.len;
        }
        false
    }

    /// The link is gone: a new account, and what was not handed over, in order.
    pub fn reset(&mut self) -> Vec<OutFrame> {
        let old = std::mem::take(self);
        let texts = [old.front, old.back].concat();
        let mut rest = texts.get(old.start..).unwrap_or_default();
        let mut frames = Vec::with_capacity(old.frames.len());
        for entry in old.frames {
            let (text, behind) = rest.split_at(entry.len.min(rest.len()));
            rest = behind;
            frames.push(OutFrame {
                channel: entry.channel,
                purpose: entry.purpose,
                text: text.to_vec(),
            });
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(purpose: Purpose) -> OutFrame {
        OutFrame {
            channel: ChannelId(1),
            purpose,
            text: b"{}".to_vec(),
        }
    }

    #[test]
    fn the_account_follows_each_frame() {
        let mut wire = Wire::default();
        wire.push(frame(Purpose::Membership));
        wire.push(frame(Purpose::Message));
        wire.push(frame(Purpose::Request(9)));
        wire.push(frame(Purpose::Volatile));
        assert_eq!((wire.bytes(), wire.messages()), (8, 2));
        while wire.take().is_some() {}
        assert_eq!(wire.mark(), 2);
        let mut seen = Vec::new();
        wire.handed_over(2, |purpose, place| seen.push((purpose, place)));
        assert_eq!(seen, [(Purpose::Membership, 0), (Purpose::Message, 1)]);
        assert_eq!(wire.in_doubt(), 1);
        wire.prove(5);
        assert_eq!(wire.in_doubt(), 0, "no more can be proved than was handed over");
        let back: Vec<Purpose> = wire.reset().iter().map(|f| f.purpose).collect();
        assert_eq!(back, [Purpose::Request(9), Purpose::Volatile]);
        assert!(wire.is_empty() && wire.bytes() == 0 && wire.in_doubt() == 0);
    }

    #[test]
    fn texts_stay_whole_while_frames_come_and_go() {
        let mut wire = Wire::default();
        let text = |n: usize| format!("frame {n}{}", "x".repeat(n % 7)).into_bytes();
        let (mut pushed, mut taken, mut handed) = (0, 0, 0);
        for round in 0..200 {
            for _ in 0..round % 5 + 1 {
                let text = text(pushed);
                let (channel, purpose) = (ChannelId(1), Purpose::Request(pushed as u64));
                if pushed % 2 == 0 {
                    wire.push(OutFrame { channel, purpose, text });
                } else {
                    wire.push_with(channel, purpose, text.len(), |frame| frame.extend_from_slice(&text));
                }
                pushed += 1;
            }
            for _ in 0..round % 4 {
                if let Some(found) = wire.take() {
                    assert_eq!(found, text(taken));
                    taken += 1;
                }
            }
            if round % 3 == 0 {
                wire.handed_over(taken as u64, |_, _| handed += 1);
                assert_eq!(handed, taken);
            }
            assert_eq!(
                wire.bytes(),
                (handed..pushed).map(|n| text(n).len() as u64).sum::<u64>()
            );
        }
        assert!(wire.remove_request(taken as u64 + 1));
        let back: Vec<Vec<u8>> = wire.reset().into_iter().map(|frame| frame.text).collect();
        let expected = (handed..pushed).filter(|n| *n != taken + 1).map(text);
        assert_eq!(back, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_request_comes_back_only_while_it_waits() {
        let mut wire = Wire::default();
        wire.push(frame(Purpose::Request(1)));
        wire.push(frame(Purpose::Request(2)));
        wire.take();
        assert!(!wire.remove_request(1));
        assert!(wire.remove_request(2));
        assert_eq!(wire.bytes(), 2);
    }
}
