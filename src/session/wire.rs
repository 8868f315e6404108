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

impl OutFrame {
    pub fn len(&self) -> u64 {
        self.text.len() as u64
    }

    /// Accepted from the program, so it must be accounted for.
    fn counts(&self) -> bool {
        matches!(self.purpose, Purpose::Message | Purpose::Request(_))
    }
}

/// The frames of one connection, and the account of what was accepted.
#[derive(Debug, Default)]
pub(super) struct Wire {
    waiting: VecDeque<OutFrame>,
    /// Taken by the driver, not yet known to be handed over in full.
    taken: VecDeque<OutFrame>,
    bytes: u64,
    /// Frames handed over on this link.
    handed_frames: u64,
    /// Messages and requests handed over on this link.
    handed_messages: u64,
    /// How many of those are proved to have arrived.
    proved: u64,
}

impl Wire {
    pub fn push(&mut self, frame: OutFrame) {
        self.bytes += frame.len();
        self.waiting.push_back(frame);
    }

    /// The next frame for the driver.
    pub fn take(&mut self) -> Option<&[u8]> {
        let frame = self.waiting.pop_front()?;
        self.taken.push_back(frame);
        self.taken.back().map(|frame| frame.text.as_slice())
    }

    /// The driver knows `total` frames of this link to be handed over in full. Calls `each` with every newly handed one
    /// and its place in the account.
    pub fn handed_over(&mut self, total: u64, mut each: impl FnMut(&OutFrame, u64)) {
        while self.handed_frames < total {
            let Some(frame) = self.taken.pop_front() else {
                break;
            };
            self.handed_frames += 1;
            self.bytes -= frame.len();
            if frame.counts() {
                self.handed_messages += 1;
            }
            each(&frame, self.handed_messages);
        }
    }

    /// The place in the account behind everything that the driver has taken so far.
    pub fn mark(&self) -> u64 {
        self.handed_messages + self.taken.iter().filter(|frame| frame.counts()).count() as u64
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
        self.bytes
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.taken.is_empty()
    }

    /// Accepted messages and requests that are not handed over.
    pub fn messages(&self) -> u64 {
        let counted = |frames: &VecDeque<OutFrame>| frames.iter().filter(|f| f.counts()).count();
        (counted(&self.waiting) + counted(&self.taken)) as u64
    }

    /// Takes back a request that the driver has not taken yet.
    pub fn remove_request(&mut self, number: u64) -> bool {
        let place = self
            .waiting
            .iter()
            .position(|frame| frame.purpose == Purpose::Request(number));
        match place.and_then(|at| self.waiting.remove(at)) {
            Some(frame) => {
                self.bytes -= frame.len();
                true
            }
            None => false,
        }
    }

    /// The link is gone: a new account, and what was not handed over, in order.
    pub fn reset(&mut self) -> Vec<OutFrame> {
        let old = std::mem::take(self);
        old.taken.into_iter().chain(old.waiting).collect()
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
        wire.handed_over(2, |frame, place| seen.push((frame.purpose, place)));
        assert_eq!(seen, [(Purpose::Membership, 0), (Purpose::Message, 1)]);
        assert_eq!(wire.in_doubt(), 1);
        wire.prove(5);
        assert_eq!(wire.in_doubt(), 0, "no more can be proved than was handed over");
        let back: Vec<Purpose> = wire.reset().iter().map(|f| f.purpose).collect();
        assert_eq!(back, [Purpose::Request(9), Purpose::Volatile]);
        assert!(wire.is_empty() && wire.bytes() == 0 && wire.in_doubt() == 0);
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
