//! Frames from the server: a stream of JSON values, each an envelope or told to be none.

use std::ops::Range;

use super::envelope::{Envelope, read};
use super::scan::{self, Reading};
use super::shape::Shape;
use super::simd::Level;
use super::usual::{Usual, read_usual};

/// A part of a frame that is no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// What is wrong and where (line, column, byte), for people. It quotes nothing of the frame: that may be secret.
    pub message: String,
    /// Byte offset of the fault in the frame.
    pub offset: usize,
    /// Where the part lies in the frame, for those who may show it.
    pub excerpt: Range<usize>,
}

/// The envelopes of a frame, see [`parse_frame`].
#[derive(Clone)]
pub struct Frames<'a> {
    frame: &'a str,
    at: usize,
    reading: Reading,
    empty: bool,
    /// Lines and columns are counted onwards from the last fault, so that many faults take linear time.
    counted: usize,
    line: usize,
    column: usize,
}

/// Reads a frame as a stream of JSON values, with or without white space between them (the Go server joins several by
/// line breaks). Each must be an envelope; keys come in any order, unknown ones are ignored, of equal ones the last
/// counts.
///
/// A value that is JSON but no envelope gives one error and reading goes on behind it. Text that is not JSON gives one
/// error, and reading goes on at the next line: with the line on which the fault was found if the value began on an
/// earlier one, else behind it. A frame of nothing but white space gives one error. Payloads may be nested to any
/// depth, and the time is linear in the frame's length whatever it contains.
///
/// The envelope is checked fully, its payload only as [`Envelope::payload`] says; behind a fault both are, for the
/// frame's sender has lost its trust, and so that no byte is looked at time and again.
pub fn parse_frame(frame: &str) -> Frames<'_> {
    parse_frame_as(frame, Reading::Structural(Level::best()))
}

/// The same, with payloads read in a way of the caller's choice: for tests and benchmarks.
pub fn parse_frame_as(frame: &str, reading: Reading) -> Frames<'_> {
    Frames {
        frame,
        at: 0,
        reading,
        empty: true,
        counted: 0,
        line: 1,
        column: 1,
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Envelope<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_usual() {
            Some(usual) => Some(Ok(usual.envelope(self.frame))),
            None => self.next_other(),
        }
    }
}

impl std::iter::FusedIterator for Frames<'_> {}

impl<'a> Frames<'a> {
    /// Whether an envelope ended with the frame: none follows.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.at == self.frame.len() && !self.empty
    }

    /// The next envelope, if it is a [usual](Usual) one and begins at once; else ask for the [next of whatever kind](Self::next_other).
    #[inline(always)]
    pub fn next_usual(&mut self) -> Option<Usual<'a>> {
        let mut usual = Usual::none();
        self.next_usual_like(None, &mut usual).then_some(usual)
    }

    /// The same, in place, and faster when it is like an earlier one. The answer does not depend on the shape.
    #[inline(always)]
    pub fn next_usual_like(&mut self, shape: Option<&mut Shape>, usual: &mut Usual<'a>) -> bool {
        let Reading::Structural(level) = self.reading else {
            return false;
        };
        if read_usual(self.frame, self.at, level, shape, usual).is_none() {
            return false;
        }
        self.at = usual.whole.end as usize;
        self.empty = false;
        true
    }

    /// What follows where [`Self::next_usual`] found nothing.
    #[inline(never)]
    pub fn next_other(&mut self) -> Option<Result<Envelope<'a>, FrameError>> {
        let bytes = self.frame.as_bytes();
        let start = scan::skip_space(bytes, self.at);
        if start == bytes.len() {
            self.at = start;
            let first = std::mem::replace(&mut self.empty, false);
            return first.then(|| Err(self.error(start, start..start, "the frame is empty")));
        }
        self.empty = false;
        if start != self.at {
            self.at = start;
            if let Some(usual) = self.next_usual() {
                return Some(Ok(usual.envelope(self.frame)));
            }
        }
        let first = read(self.frame, start, self.reading);
        // A fault is looked for once more by all of the grammar, which finds the first one and its name.
        let first = match (first, self.reading) {
            (Err(_), Reading::Structural(_)) => {
                self.reading = Reading::Strict;
                read(self.frame, start, Reading::Strict)
            }
            (first, _) => first,
        };
        match first {
            Ok((end, read)) => {
                self.at = end;
                Some(read.map_err(|problem| self.error(start, start..end, problem)))
            }
            Err(fault) => {
                let offset = fault.offset.min(bytes.len());
                let behind_newline = |from: usize, newline: Option<usize>| newline.map(|at| from + at + 1);
                let is_newline = |&byte: &u8| byte == b'\n';
                let passed = bytes.get(start..=offset).or_else(|| bytes.get(start..));
                let this_line = passed.and_then(|text| text.iter().rposition(is_newline));
                let next_line = || bytes.get(offset..).and_then(|text| text.iter().position(is_newline));
                self.at = behind_newline(start, this_line)
                    .or_else(|| behind_newline(offset, next_line()))
                    .unwrap_or(bytes.len());
                let error = self.error(offset, start..self.at, fault.message);
                if self.at < self.counted {
                    // The line of the fault is read once more.
                    self.counted = self.at;
                    self.column = 1;
                }
                Some(Err(error))
            }
        }
    }

    fn error(&mut self, offset: usize, excerpt: Range<usize>, problem: &str) -> FrameError {
        let bytes = self.frame.as_bytes();
        let fresh = bytes.get(self.counted..offset).unwrap_or_default();
        for &byte in fresh {
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += scan::characters(&[byte]);
            }
        }
        self.counted = offset;
        let (line, column) = (self.line, self.column);
        FrameError {
            message: format!("{problem} (line {line}, column {column}, byte {offset})"),
            offset,
            excerpt,
        }
    }
}

#[cfg(test)]
mod tests;
