//! Frames on their way out: encoded and masked in one buffer, and known to be handed over or not.

use super::frame::{MAX_CONTROL, opcode};
use super::masks::Masks;
use super::scratch;
use crate::protocol::simd::{LANE, append_frame};

/// The frames that are not handed to the system in full.
///
/// It knows nothing of the socket: whoever holds it may push frames, write [`Outbox::pending`] and tell so by
/// [`Outbox::advance`].
#[derive(Debug)]
pub(super) struct Outbox {
    /// Whole frames, the first of which may be handed over in part.
    bytes: Vec<u8>,
    /// What is handed over of `bytes`.
    written: usize,
    /// Where the first frame begins that is not handed over in full.
    frame: usize,
    /// Text frames handed over in full, since the start.
    texts: u64,
    /// Those that are not.
    waiting: u64,
    /// Bytes of answers to the server's pings that wait.
    answers: usize,
    masks: Masks,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            written: 0,
            frame: 0,
            texts: 0,
            waiting: 0,
            answers: 0,
            masks: Masks::new(),
        }
    }

    /// Encodes one whole message.
    pub(super) fn push(&mut self, opcode: u8, payload: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes = scratch::take_write_buffer();
        }
        let mask = self.masks.next();
        let (header, size) = header(opcode, payload.len(), mask);
        append_frame(&mut self.bytes, (header, size), payload, mask);
        match opcode {
            opcode::TEXT => self.waiting += 1,
            opcode::PONG => self.answers += size + payload.len(),
            _ => {}
        }
    }

    /// Goes on with what another one could not write, before what waits here. Only while nothing of that is written.
    pub(super) fn take_over(&mut self, other: &mut Self) {
        let behind = std::mem::replace(&mut self.bytes, std::mem::take(&mut other.bytes));
        self.written = std::mem::take(&mut other.written);
        self.frame = std::mem::take(&mut other.frame);
        self.waiting += std::mem::take(&mut other.waiting);
        self.bytes.extend_from_slice(&behind);
        scratch::give_write_buffer(behind);
    }

    /// A Close frame with nothing but a code.
    pub(super) fn push_close(&mut self, code: u16) {
        self.push(opcode::CLOSE, &code.to_be_bytes());
    }

    /// What is to be written.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Bytes of answers to pings that wait, or are not handed over in full.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// Text frames handed over in full, since the start.
    pub(super) fn texts(&self) -> u64 {
        self.texts
    }

    /// The next `count` bytes are handed over.
    pub(super) fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            self.texts += std::mem::take(&mut self.waiting);
            self.answers = 0;
            self.written = 0;
            self.frame = 0;
            scratch::give_write_buffer(std::mem::take(&mut self.bytes));
            return;
        }
        // The lengths are in the buffer, so nobody keeps account of them.
        while let Some((opcode, size)) = self.first_frame() {
            if self.frame + size > self.written {
                break;
            }
            self.frame += size;
            match opcode {
                opcode::TEXT => {
                    self.texts += 1;
                    self.waiting -= 1;
                }
                opcode::PONG => self.answers -= size,
                _ => {}
            }
        }
        if self.frame > self.bytes.len() / 2 {
            self.bytes.drain(..self.frame);
            self.written -= self.frame;
            self.frame = 0;
        }
    }

    /// Opcode and encoded size of the first frame that is not handed over in full.
    fn first_frame(&self) -> Option<(u8, usize)> {
        let bytes = &self.bytes[self.frame..];
        let (&first, rest) = bytes.split_first()?;
        let (&second, rest) = rest.split_first()?;
        let short = usize::from(second & 0x7f);
        let (header, payload) = if short <= MAX_CONTROL {
            (6, short)
        } else if short == 126 {
            (8, usize::from(u16::from_be_bytes(*rest.first_chunk()?)))
        } else {
            // It was a length in memory before.
            (14, u64::from_be_bytes(*rest.first_chunk()?) as usize)
        };
        Some((first & 0x0f, header + payload))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        scratch::give_write_buffer(std::mem::take(&mut self.bytes));
    }
}

/// A frame's header, with zeros behind it, and its size.
#[inline]
fn header(opcode: u8, len: usize, mask: [u8; 4]) -> ([u8; LANE], usize) {
    // As one number, for bytes that are written one by one cannot be read as a whole at once.
    let whole = |second: u8, length: u64, length_size: u32| {
        let head = u128::from(0x80 | opcode) | u128::from(0x80 | second) << 8 | u128::from(length) << 16;
        let header = head | u128::from(u32::from_le_bytes(mask)) << (16 + 8 * length_size);
        (header.to_le_bytes(), 6 + length_size as usize)
    };
    match len {
        0..=125 => whole(len as u8, 0, 0),
        126..=0xffff => whole(126, u64::from((len as u16).swap_bytes()), 2),
        _ => whole(127, (len as u64).swap_bytes(), 8),
    }
}
