//! What stays the same from envelope to envelope: all of a usual one but its payload and request id. Frames of one channel and
//! event are passed over by comparing them with the last one.

use super::Action;
use super::simd::{Level, end_of_container, plain_end};
use super::usual::{ACTION, CHANNEL, EVENT, PAYLOAD, REQUEST_ID, Span, Spans};

/// Longer envelopes, without their payload and request id, are not remembered.
const LONGEST: usize = 512;
/// So many envelopes that are not like the remembered one make the last of them remembered; a client at rest remembers nothing.
/// Twice as many each time that it was in vain, as it is where each is of another channel.
const FIRST: u8 = 4;
/// How often that is doubled at most.
const DOUBLED: u8 = 5;

/// The envelope that the next one is compared with.
#[derive(Debug, Default)]
pub struct Shape {
    /// Its fixed bytes.
    text: Vec<u8>,
    pieces: [Piece; 3],
    /// Members that lie in a piece: action, event, channel.
    members: [Member; 3],
    action: Action,
    misses: u8,
    /// How often it was in vain.
    vain: u8,
}

/// Fixed bytes, and the part behind them.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    start: u16,
    end: u16,
    hole: Hole,
}

/// Where a member's text stands in a piece; an end of 0: nowhere.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    piece: u16,
    start: u16,
    end: u16,
}

impl Member {
    /// Where it stands in a frame whose first `passed` pieces are at these places.
    #[inline(always)]
    fn put(self, span: &mut Span, at: &[usize; 4], passed: usize) {
        let piece = usize::from(self.piece);
        if self.end != 0 && piece < passed {
            let base = at[piece % 4] as u32;
            *span = Span {
                start: base + u32::from(self.start),
                end: base + u32::from(self.end),
            };
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hole {
    /// The envelope ends.
    #[default]
    End,
    Payload,
    RequestId,
}

/// How far a frame is like the remembered one.
pub(super) enum Followed {
    /// To the end of the envelope.
    Whole(usize, Action),
    /// Up to this delimiter.
    Until(usize),
}

impl Shape {
    /// Passes over what is as it was, from the frame's first byte on. `None`: what follows is no usual envelope.
    #[inline(always)]
    pub(super) fn follow(&self, bytes: &[u8], level: Level, spans: &mut Spans) -> Option<Followed> {
        let (mut at, mut places, mut passed, mut whole) = (0, [0; 4], 0, false);
        for piece in &self.pieces {
            let fixed = self
                .text
                .get(usize::from(piece.start)..usize::from(piece.end))
                .unwrap_or_default();
            if fixed.is_empty() || !bytes.get(at..).is_some_and(|rest| rest.starts_with(fixed)) {
                break;
            }
            places[passed % 4] = at;
            passed += 1;
            at += fixed.len();
            let start = at as u32;
            match piece.hole {
                Hole::End => {
                    whole = true;
                    break;
                }
                Hole::Payload => {
                    if bytes.get(at) != Some(&b'{') {
                        return None;
                    }
                    at = end_of_container(level, bytes, at)?;
                    spans[PAYLOAD] = Span { start, end: at as u32 };
                }
                Hole::RequestId => {
                    let end = plain_end(bytes, at);
                    if bytes.get(end) != Some(&b'"') {
                        return None;
                    }
                    spans[REQUEST_ID] = Span { start, end: end as u32 };
                    at = end + 1;
                }
            }
        }
        let [action, event, channel] = self.members;
        action.put(&mut spans[ACTION], &places, passed);
        event.put(&mut spans[EVENT], &places, passed);
        channel.put(&mut spans[CHANNEL], &places, passed);
        Some(if whole {
            Followed::Whole(at, self.action)
        } else {
            Followed::Until(at)
        })
    }

    /// One was like the remembered one.
    #[inline]
    pub(super) fn hit(&mut self) {
        self.vain = 1;
    }

    /// Remembers an envelope that began a frame and was not like the last one, now and then.
    #[inline]
    pub(super) fn see(&mut self, bytes: &[u8], end: usize, action: Action, spans: &Spans) {
        self.misses = self.misses.saturating_add(1);
        // Of a presence frame more is known than where its payload ends.
        if self.misses >= FIRST << self.vain && action != Action::Presence && spans[PAYLOAD].end != 0 {
            self.misses = 0;
            self.vain = DOUBLED.min(self.vain + 1);
            self.learn(bytes, end, action, spans);
        }
    }

    #[cold]
    fn learn(&mut self, bytes: &[u8], end: usize, action: Action, spans: &Spans) {
        let place = |part: usize| (spans[part].start as usize, spans[part].end as usize);
        let ((payload, behind_payload), (id, id_end)) = (place(PAYLOAD), place(REQUEST_ID));
        let holes = match (id_end, id < payload) {
            (0, _) => [
                (payload, behind_payload, Hole::Payload),
                (end, end, Hole::End),
                (end, end, Hole::End),
            ],
            (_, true) => [
                (id, id_end + 1, Hole::RequestId),
                (payload, behind_payload, Hole::Payload),
                (end, end, Hole::End),
            ],
            (_, false) => [
                (payload, behind_payload, Hole::Payload),
                (id, id_end + 1, Hole::RequestId),
                (end, end, Hole::End),
            ],
        };
        self.text.clear();
        self.pieces = [Piece::default(); 3];
        self.action = action;
        if end - (behind_payload - payload) > LONGEST {
            return;
        }
        self.members = [Member::default(); 3];
        let (mut from, mut number) = (0, 0);
        for (piece, (until, behind, hole)) in self.pieces.iter_mut().zip(holes) {
            let start = self.text.len();
            self.text.extend_from_slice(bytes.get(from..until).unwrap_or_default());
            for (member, part) in self.members.iter_mut().zip([ACTION, EVENT, CHANNEL]) {
                let (start, end) = place(part);
                if start >= from && end <= until && end != 0 {
                    *member = Member {
                        piece: number,
                        start: (start - from) as u16,
                        end: (end - from) as u16,
                    };
                }
            }
            *piece = Piece {
                start: start as u16,
                end: self.text.len() as u16,
                hole,
            };
            from = behind;
            number += 1;
        }
    }
}
