//! Blocks of events that are over, for the next ones.

use triomphe::{Arc, UniqueArc};

use super::event::{Block, Event, EventMut};

/// Bytes of text in a usual block: most frames fit, and the whole is 512 bytes as allocators count.
pub(super) const USUAL: usize = 304;
/// A block of more text is not kept.
const LARGEST: usize = 256 * 1024;
/// The most usual blocks that wait to be used again, and the most text in larger ones: a megabyte of each.
const KEPT: usize = 2048;
const KEPT_TEXT: usize = 1024 * 1024;

/// A block that nobody else holds.
pub(super) struct Spare(pub(super) UniqueArc<Block>);

impl Spare {
    fn size(&self) -> usize {
        self.0.slice.len()
    }
}

/// Blocks to be used again, those that were used last first: they are still in the processor's caches.
#[derive(Default)]
pub struct Spares {
    usual: Vec<Spare>,
    large: Vec<Spare>,
    /// Bytes of text in the large ones.
    text: usize,
}

impl std::fmt::Debug for Spares {
    // What they held may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spares({} + {})", self.usual.len(), self.large.len())
    }
}

impl Spares {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            usual: Vec::new(),
            large: Vec::new(),
            text: 0,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.usual.len() + self.large.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of text in those that are larger than usual.
    pub fn large_text(&self) -> usize {
        self.text
    }

    /// Takes the block of an event, if nobody else holds the event and the block is of a size that is used again.
    #[inline]
    pub fn keep(&mut self, mut event: Event) {
        if event.attachment.is_some() {
            let mut tied = None;
            event.edit(|head| tied = head.attachment.take());
            if event.attachment.is_some() {
                return;
            }
        }
        let size = event.capacity();
        if !(USUAL..=LARGEST).contains(&size) {
            return;
        }
        let Ok(unique) = Arc::try_unique(Arc::from_thin(event.into_thin())) else {
            return;
        };
        if size == USUAL {
            self.usual.push(Spare(unique));
        } else {
            self.text += size;
            self.large.push(Spare(unique));
        }
    }

    /// Takes those of another, as long as there are not too many here; the rest stays there.
    pub fn append(&mut self, other: &mut Self) {
        let join = |to: &mut Vec<Spare>, from: &mut Vec<Spare>| {
            if to.is_empty() {
                std::mem::swap(to, from);
            } else {
                to.append(from);
            }
        };
        if self.usual.len() < KEPT {
            join(&mut self.usual, &mut other.usual);
        }
        if self.text < KEPT_TEXT {
            self.text += std::mem::take(&mut other.text);
            join(&mut self.large, &mut other.large);
        }
    }

    /// All of them go.
    pub fn clear(&mut self) {
        self.usual.clear();
        self.large.clear();
        self.text = 0;
    }

    /// A block for that much text.
    #[inline(always)]
    pub(super) fn take(&mut self, length: usize) -> Option<Spare> {
        if length > USUAL {
            return self.take_large(length);
        }
        Some(self.usual.pop().unwrap_or_else(EventMut::unused))
    }

    #[inline(never)]
    fn take_large(&mut self, length: usize) -> Option<Spare> {
        let spare = self.large.pop()?;
        self.text -= spare.size();
        // One that does not fit goes, so that those come to stay that do. Half empty ones would take more memory than bounds say.
        (length..=2 * length).contains(&spare.size()).then_some(spare)
    }
}
