//! The frames of a server, read out of its bytes (RFC 6455, section 5). Pure: no socket, no clock.
//!
//! A message that lies whole in the bytes given is handed out as a part of them; only what is cut off is copied and kept.

use crate::protocol::simd;

/// A message is complete.
const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0f;
/// In the second byte of a header.
const MASKED: u8 = 0x80;

/// The most payload bytes of a control frame.
pub const MAX_CONTROL: usize = 125;
/// The longest header without a mask.
const MAX_HEADER: usize = 10;
/// A message buffer of at most this size is kept for the next message that is cut off.
const KEPT_BUFFER: usize = 256 * 1024;

/// Opcodes of frames.
pub mod opcode {
    /// Goes on with a fragmented message.
    pub const CONTINUATION: u8 = 0;
    /// Text.
    pub const TEXT: u8 = 1;
    /// Binary data.
    pub const BINARY: u8 = 2;
    /// The end.
    pub const CLOSE: u8 = 8;
    /// A question for a sign of life.
    pub const PING: u8 = 9;
    /// The answer.
    pub const PONG: u8 = 10;
}

/// What a server said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// A Close frame. What follows it means nothing.
    Close {
        /// The code, whatever it is; see [`is_sendable`].
        code: Option<u16>,
        /// The reason; `None`: it is not UTF-8.
        reason: Option<&'a str>,
        /// Code and reason, as they came.
        payload: &'a [u8],
    },
}

impl std::fmt::Debug for Message<'_> {
    // What a message says may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Ping(payload) => write!(f, "Ping({} bytes)", payload.len()),
            Self::Pong(payload) => write!(f, "Pong({} bytes)", payload.len()),
            Self::Close { code, .. } => write!(f, "Close({code:?})"),
        }
    }
}

/// How a server broke the rules. Reading cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A message is longer than allowed.
    TooLarge,
    /// A text message is not UTF-8.
    NotUtf8,
    /// A frame that must not be sent: a few words about it.
    Forbidden(&'static str),
}

impl Violation {
    /// The code with which the connection is to be closed.
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::NotUtf8 => 1007,
            Self::Forbidden(_) => 1002,
        }
    }
}

/// May a Close frame bear this code?
pub fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// A frame whose header is known.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    fin: bool,
    /// Payload bytes that are missing.
    left: usize,
}

impl Frame {
    fn is_control(self) -> bool {
        self.opcode >= opcode::CLOSE
    }
}

/// Reads the frames of one connection.
pub struct Decoder {
    limit: usize,
    /// The start of a header that was cut off.
    header: [u8; MAX_HEADER],
    header_len: u8,
    /// The frame that was cut off within its payload.
    frame: Option<Frame>,
    /// The opcode of the message of which more frames must come.
    fragmented: Option<u8>,
    /// What came of a message that was cut off, or came in fragments.
    message: Vec<u8>,
    /// What came of a control frame that was cut off.
    control: Vec<u8>,
    /// Which of the two was handed out by the last call.
    spent: Option<Spent>,
}

#[derive(Debug, Clone, Copy)]
enum Spent {
    Message,
    Control,
}

impl std::fmt::Debug for Decoder {
    // What a message says may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("frame", &self.frame)
            .field("message", &self.message.len())
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// For a new connection; `limit`: the most bytes of a message.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            header: [0; MAX_HEADER],
            header_len: 0,
            frame: None,
            fragmented: None,
            message: Vec::new(),
            control: Vec::new(),
            spent: None,
        }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    /// Nothing more comes for now: memory that holds nothing is given back.
    pub fn settle(&mut self) {
        self.clear_spent();
        if self.message.is_empty() && self.message.capacity() > 0 {
            self.message = Vec::new();
        }
        if self.control.is_empty() && self.control.capacity() > 0 {
            self.control = Vec::new();
        }
    }

    /// The next message if it is text in one frame that lies whole in `input`, as nearly all do; takes it off. Whatever it
    /// does not expect is left to [`Decoder::next`].
    #[inline(always)]
    pub fn whole_text<'b>(&self, input: &mut &'b [u8]) -> Option<&'b str> {
        if self.frame.is_some() || self.fragmented.is_some() || self.header_len != 0 {
            return None;
        }
        let bytes = *input;
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second {
            0..126 => (usize::from(second), rest),
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        if first != FIN | opcode::TEXT || length > self.limit || length > rest.len() {
            return None;
        }
        let (payload, rest) = rest.split_at(length);
        let text = simd::text(payload)?;
        *input = rest;
        Some(text)
    }

    /// The next message, if the bytes complete one; takes what it has read off `input`. After `None` all of `input` is taken.
    /// After a violation or a Close frame nothing may be read any more.
    pub fn next<'a, 'b: 'a>(&'a mut self, input: &mut &'b [u8]) -> Option<Result<Message<'a>, Violation>> {
        if self.spent.is_some() {
            self.clear_spent();
        }
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_header(input) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return None,
                    Err(violation) => return Some(Err(violation)),
                },
            };
            let came = frame.left.min(input.len());
            let (bytes, rest) = input.split_at(came);
            *input = rest;
            frame.left -= came;
            let whole = frame.left == 0;
            if frame.is_control() {
                if !whole || !self.control.is_empty() {
                    self.control.extend_from_slice(bytes);
                }
                if !whole {
                    self.frame = Some(frame);
                    return None;
                }
                self.frame = None;
                if self.control.is_empty() {
                    return Some(control(frame.opcode, bytes));
                }
                self.spent = Some(Spent::Control);
                return Some(control(frame.opcode, &self.control));
            }
            let complete = whole && frame.fin;
            let kind = self.fragmented.unwrap_or(frame.opcode);
            if complete && self.message.is_empty() {
                self.frame = None;
                self.fragmented = None;
                return Some(data(kind, bytes));
            }
            self.message.extend_from_slice(bytes);
            self.frame = (!whole).then_some(frame);
            if complete {
                self.fragmented = None;
                self.spent = Some(Spent::Message);
                return Some(data(kind, &self.message));
            }
            if !whole {
                return None;
            }
            self.fragmented = Some(kind);
        }
    }

    fn clear_spent(&mut self) {
        match self.spent.take() {
            Some(Spent::Message) if self.message.capacity() > KEPT_BUFFER => self.message = Vec::new(),
            Some(Spent::Message) => self.message.clear(),
            Some(Spent::Control) => self.control.clear(),
            None => {}
        }
    }

    /// The header of the next frame, checked; `None`: the bytes end within it.
    #[inline]
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        let kept = usize::from(self.header_len);
        if kept == 0 {
            return Ok(match self.parse_header(input)? {
                Some((frame, size)) => {
                    *input = &input[size..];
                    Some(frame)
                }
                None => {
                    self.keep_header(input);
                    None
                }
            });
        }
        let came = input.len().min(MAX_HEADER - kept);
        let mut header = self.header;
        header[kept..kept + came].copy_from_slice(&input[..came]);
        Ok(match self.parse_header(&header[..kept + came])? {
            Some((frame, size)) => {
                // What was kept did not complete the header, so `size` is beyond it.
                *input = &input[size - kept..];
                self.header_len = 0;
                Some(frame)
            }
            None => {
                self.keep_header(input);
                None
            }
        })
    }

    fn keep_header(&mut self, input: &mut &[u8]) {
        let kept = usize::from(self.header_len);
        self.header[kept..kept + input.len()].copy_from_slice(input);
        self.header_len += input.len() as u8;
        *input = &[];
    }

    /// A frame and the size of its header. What two bytes tell is checked before the rest is there.
    #[inline]
    fn parse_header(&self, bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let frame = |left| Frame {
            opcode: first & OPCODE,
            fin: first & FIN != 0,
            left,
        };
        self.check(first, second)?;
        // A length need not be in its shortest form: that is harmless, and no other client minds.
        let (length, size) = match second & !MASKED {
            126 => match rest {
                &[a, b, ..] => (u64::from(u16::from_be_bytes([a, b])), 4),
                _ => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(number) => (u64::from_be_bytes(*number), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        let length = usize::try_from(length).map_err(|_| Violation::TooLarge)?;
        if first & OPCODE < opcode::CLOSE && length > self.limit.saturating_sub(self.message.len()) {
            return Err(Violation::TooLarge);
        }
        if length > isize::MAX as usize {
            return Err(Violation::TooLarge);
        }
        Ok(Some((frame(length), size)))
    }

    #[inline]
    fn check(&self, first: u8, second: u8) -> Result<(), Violation> {
        let forbidden = |what| Err(Violation::Forbidden(what));
        if first & RESERVED_BITS != 0 {
            return forbidden("a frame has reserved bits set");
        }
        if second & MASKED != 0 {
            return forbidden("a frame is masked");
        }
        match first & OPCODE {
            opcode::TEXT | opcode::BINARY if self.fragmented.is_some() => {
                forbidden("a message begins within another one")
            }
            opcode::TEXT | opcode::BINARY => Ok(()),
            opcode::CONTINUATION if self.fragmented.is_none() => forbidden("a continuation of no message"),
            opcode::CONTINUATION => Ok(()),
            opcode::CLOSE | opcode::PING | opcode::PONG if first & FIN == 0 => {
                forbidden("a control frame is fragmented")
            }
            opcode::CLOSE | opcode::PING | opcode::PONG if usize::from(second) > MAX_CONTROL => {
                forbidden("a control frame is too long")
            }
            opcode::CLOSE | opcode::PING | opcode::PONG => Ok(()),
            _ => forbidden("a frame has a reserved opcode"),
        }
    }
}

#[inline]
fn data(kind: u8, bytes: &[u8]) -> Result<Message<'_>, Violation> {
    if kind == opcode::BINARY {
        return Ok(Message::Binary(bytes));
    }
    simd::text(bytes).map(Message::Text).ok_or(Violation::NotUtf8)
}

fn control(opcode: u8, payload: &[u8]) -> Result<Message<'_>, Violation> {
    match opcode {
        opcode::PING => Ok(Message::Ping(payload)),
        opcode::PONG => Ok(Message::Pong(payload)),
        _ => match payload {
            [] => Ok(Message::Close {
                code: None,
                reason: Some(""),
                payload,
            }),
            [_] => Err(Violation::Forbidden("a Close frame of one byte")),
            &[a, b, ref reason @ ..] => Ok(Message::Close {
                code: Some(u16::from_be_bytes([a, b])),
                reason: std::str::from_utf8(reason).ok(),
                payload,
            }),
        },
    }
}
