//! Writing from another thread than the driver's.

use std::sync::Weak;

use tokio::net::tcp::OwnedWriteHalf;

use super::frame::opcode;
use super::outbox::Outbox;

/// Writes text frames to a link that has nothing to write itself, from whatever thread, while the driver sleeps: no thread has to
/// be woken before the frame leaves.
///
/// What the system does not take at once stays in it until the link [takes it over](super::Link::take_over).
#[derive(Debug)]
pub struct Writer {
    /// The link alone decides how long the connection lives.
    socket: Weak<OwnedWriteHalf>,
    out: Outbox,
    bytes: u64,
}

impl Writer {
    pub(super) fn new(socket: Weak<OwnedWriteHalf>) -> Self {
        Self {
            socket,
            out: Outbox::new(),
            bytes: 0,
        }
    }

    /// Takes one text frame. The caller vouches that it is UTF-8.
    pub fn push_text(&mut self, frame: &[u8]) {
        self.out.push(opcode::TEXT, frame);
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.out.pending().len()
    }

    /// One attempt to write what was pushed. False: some of it is left, or the connection is broken, which the link finds out itself.
    pub fn write(&mut self) -> bool {
        if let Some(socket) = self.socket.upgrade() {
            let count = socket.try_write(self.out.pending()).unwrap_or(0);
            self.bytes += count as u64;
            self.out.advance(count);
        }
        self.waiting() == 0
    }

    /// Text frames handed over in full, since the start.
    pub fn handed_over(&self) -> u64 {
        self.out.texts()
    }

    /// Bytes handed over, since the start.
    pub fn bytes_out(&self) -> u64 {
        self.bytes
    }

    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.out
    }
}
