//! Buffers that all links of a thread share, so that an idle one has none.

use std::cell::Cell;

/// How much is read at once.
const READ_BUFFER: usize = 128 * 1024;
/// A larger write buffer is not kept.
const KEPT_WRITE_BUFFER: usize = 512 * 1024;

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer, most often one with room in it.
pub(super) fn take_write_buffer() -> Vec<u8> {
    WRITE.try_with(Cell::take).unwrap_or_default()
}

/// Leaves a buffer to the next one who writes.
pub(super) fn give_write_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() > 0 && buffer.capacity() <= KEPT_WRITE_BUFFER {
        buffer.clear();
        // At the end of a thread it just goes.
        let _ = WRITE.try_with(|kept| {
            let other = kept.take();
            kept.set(if other.capacity() > buffer.capacity() {
                other
            } else {
                buffer
            });
        });
    }
}

/// Bytes that were read and wait to be decoded: in a buffer of the thread's, or, if they have to wait for long, in one of their
/// own.
#[derive(Default)]
pub(super) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Incoming {
    /// Bytes of the link's own.
    pub(super) fn own(bytes: Vec<u8>) -> Self {
        Self {
            start: 0,
            end: bytes.len(),
            buffer: bytes,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The place to read to; then tell how much was read.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() != READ_BUFFER {
            let kept = READ.try_with(Cell::take).unwrap_or_default();
            self.buffer = if kept.len() == READ_BUFFER {
                kept
            } else {
                vec![0; READ_BUFFER]
            };
        }
        self.start = 0;
        self.end = 0;
        &mut self.buffer
    }

    /// So much was read.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = count.min(self.buffer.len());
        self.release();
    }

    /// All but the last `left` bytes are done with.
    pub(super) fn keep(&mut self, left: usize) {
        self.start = self.end.saturating_sub(left);
        self.release();
    }

    /// Whatever waits has to wait for long: the thread's buffer must not wait with it.
    pub(super) fn settle(&mut self) {
        if self.buffer.len() == READ_BUFFER {
            let own = Self::own(self.bytes().to_vec());
            *self = own;
        }
    }

    fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.buffer.len() == READ_BUFFER {
            let buffer = std::mem::take(&mut self.buffer);
            let _ = READ.try_with(|kept| kept.set(buffer));
        }
    }
}
