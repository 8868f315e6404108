//! An open WebSocket: reads in batches, writes coalesced, and knows which frames were handed over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Utf8Bytes, error::ProtocolError};

use super::wire::{Transport, Wire, describe_io};

const READ_BUFFER: usize = 16 * 1024;
/// Frames pile up to this size before they are written without being flushed.
const WRITE_BUFFER: usize = 128 * 1024;

/// A batch ends with the message that reaches this size, so that it exceeds the program's bounds by little.
const BATCH_BYTES: usize = 256 * 1024;

/// Unsent answers to pings beyond this stop reading: a server that pings and never reads must not fill our memory.
const UNSENT_ANSWERS: u64 = 64 * 1024;

/// How long reading goes on after writing has failed, if the connection does not end by itself as it nearly always does.
const DRAIN: Duration = Duration::from_millis(100);

/// What came from the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The answer to a ping of ours, with its payload.
    Pong(Bytes),
    /// A ping; it is answered without the caller's help.
    Ping,
}

impl std::fmt::Debug for Inbound {
    // What a message says may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Pong(payload) => write!(f, "Pong({} bytes)", payload.len()),
            Self::Ping => f.write_str("Ping"),
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEnd {
    /// The server sent a Close frame (or answered ours).
    Closed {
        /// Its code; `None` stands for a Close frame without one.
        code: Option<u16>,
        /// Its reason, often empty.
        reason: String,
    },
    /// The connection broke, or was closed without a Close frame.
    Lost(String),
    /// The server sent a message over the limit.
    TooLarge(String),
    /// The server broke the rules of the WebSocket protocol.
    Protocol(String),
}

/// An open WebSocket connection. One task drives it.
#[derive(Debug)]
pub struct Link {
    socket: WebSocket<Wire>,
    /// Bytes of the text and ping frames pushed, as encoded.
    pushed: u64,
    /// A pong waits to be written, whoever calls next.
    answer_waits: bool,
    /// Bytes of the answers to pings, as encoded.
    answers: u64,
    /// Runs when writing has failed and nothing came to be read.
    drain: Option<Pin<Box<Sleep>>>,
    end: Option<LinkEnd>,
}

impl Inbound {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Ping => 0,
        }
    }
}

impl Link {
    /// Takes over a stream after the handshake; `head` is what was read beyond it.
    pub(super) fn new(transport: Transport, head: Vec<u8>, max_message_in: usize) -> Link {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(max_message_in))
            .max_frame_size(Some(max_message_in));
        let wire = Wire::new(transport, head.len() as u64);
        Link {
            socket: WebSocket::from_partially_read(wire, head, Role::Client, Some(config)),
            pushed: 0,
            answer_waits: false,
            answers: 0,
            drain: None,
            end: None,
        }
    }

    /// Reads what is there and pushes up to `max` messages into `out`, fewer if they are large.
    ///
    /// Ready when at least one was pushed, or at the end, after all messages before it were delivered; the end is answered again by
    /// every later call. Also writes the answers to pings.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, max: usize, out: &mut Vec<Inbound>) -> Poll<Result<(), LinkEnd>> {
        self.socket.get_mut().set_waker(cx.waker());
        if self.answers_pile_up() {
            let blocked = matches!(self.socket.flush(), Err(ref error) if would_block(error));
            if blocked && self.answers_pile_up() {
                // The waker is registered: reading goes on when the server takes them.
                return Poll::Pending;
            }
        }
        let mut count = 0;
        let mut bytes = 0;
        while count < max && bytes < BATCH_BYTES && self.end.is_none() && !self.answers_pile_up() {
            let message = match self.socket.read() {
                Ok(Message::Text(text)) => Inbound::Text(text),
                Ok(Message::Binary(bytes)) => Inbound::Binary(bytes),
                Ok(Message::Pong(payload)) => Inbound::Pong(payload),
                Ok(Message::Ping(payload)) => {
                    self.answer_waits = true;
                    // Two bytes of header and a mask of four.
                    self.answers += payload.len() as u64 + 6;
                    Inbound::Ping
                }
                Ok(Message::Close(frame)) => {
                    // The codec has queued the answer. One attempt must do: to wait for a peer that has said good-bye and reads no
                    // more would only delay the news.
                    self.answer_waits = true;
                    self.end = Some(match frame {
                        Some(frame) => LinkEnd::Closed {
                            code: Some(frame.code.into()),
                            reason: frame.reason.as_str().to_owned(),
                        },
                        None => LinkEnd::Closed {
                            code: None,
                            reason: String::new(),
                        },
                    });
                    break;
                }
                // Never produced by reading.
                Ok(Message::Frame(_)) => continue,
                Err(WsError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if self.socket.get_ref().write_error().is_some() {
                        // The runtime may not know yet of what has arrived, so nothing to read does not mean the end.
                        let drain = self.drain.get_or_insert_with(|| Box::pin(sleep(DRAIN)));
                        if drain.as_mut().poll(cx).is_ready() {
                            self.end = self.write_end();
                        }
                    }
                    break;
                }
                Err(error) => {
                    self.end = Some(self.end_of(&error));
                    break;
                }
            };
            bytes += message.len();
            out.push(message);
            count += 1;
        }
        if self.answer_waits {
            // Without this a ping in the last place of a batch would wait for the next call. Not ready: the waker is registered.
            self.answer_waits = matches!(self.socket.flush(), Err(ref error) if would_block(error));
        }
        match &self.end {
            _ if count > 0 => Poll::Ready(Ok(())),
            Some(end) => Poll::Ready(Err(end.clone())),
            // `max` of zero asks for nothing.
            None if max == 0 => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    /// Takes one text frame into the write buffer. Nothing is written before the buffer is full or flushed.
    ///
    /// The caller vouches that it is UTF-8.
    pub fn push_text(&mut self, frame: Bytes) -> Result<(), LinkEnd> {
        self.push(Frame::message(frame, OpCode::Data(Data::Text), true))
    }

    /// Takes a ping into the write buffer. The payload may have at most 125 bytes.
    pub fn push_ping(&mut self, payload: Bytes) -> Result<(), LinkEnd> {
        if payload.len() > 125 {
            return Err(LinkEnd::Protocol("a ping payload has at most 125 bytes".to_owned()));
        }
        self.push(Frame::ping(payload))
    }

    /// Takes a Close frame into the write buffer, behind everything pushed before; nothing can be pushed after it. Go on with
    /// `poll_flush` and `poll_read` until the end.
    pub fn push_close(&mut self, code: u16) -> Result<(), LinkEnd> {
        self.check_writable()?;
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: Utf8Bytes::from_static(""),
        };
        let result = self.socket.close(Some(frame));
        self.written(result)
    }

    /// Bytes pushed but not yet handed to the system. Stop pushing above a mark until it sinks.
    pub fn buffered(&self) -> usize {
        usize::try_from(self.pushed.saturating_sub(self.socket.get_ref().own_bytes_out())).unwrap_or(usize::MAX)
    }

    /// Writes everything pushed. Ready when all of it was handed to the system, or when the connection cannot be written any more;
    /// what the server sent before that may still be read.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.socket.get_mut().set_waker(cx.waker());
        if let Some(end) = self.write_end() {
            return Poll::Ready(Err(end));
        }
        match self.socket.flush() {
            Ok(()) => {
                self.answer_waits = false;
                Poll::Ready(self.write_end().map_or(Ok(()), Err))
            }
            Err(error) if would_block(&error) => Poll::Pending,
            Err(error) => Poll::Ready(Err(self.end_of(&error))),
        }
    }

    /// How many of the text frames pushed have been handed to the system in full, since the start; right also after an error.
    ///
    /// A frame that is not counted never reached the server in full, so it may be sent again on another connection. Of a counted
    /// one that is not known: it must not be sent again. Under TLS "the system" begins at the encryption: a frame that was
    /// encrypted but not sent is counted, which errs towards not sending twice.
    pub fn handed_over(&self) -> u64 {
        self.socket.get_ref().texts_out()
    }

    /// Bytes read since the handshake, before decryption is undone: what the WebSocket layer saw.
    pub fn bytes_in(&self) -> u64 {
        self.socket.get_ref().bytes_in()
    }

    /// Bytes written since the handshake, as the WebSocket layer handed them over.
    pub fn bytes_out(&self) -> u64 {
        self.socket.get_ref().bytes_out()
    }

    fn push(&mut self, frame: Frame) -> Result<(), LinkEnd> {
        self.check_writable()?;
        // A client's frame carries a mask of four bytes, which the codec adds later.
        let encoded = frame.len() as u64 + 4;
        let result = self.socket.write(Message::Frame(frame));
        self.pushed += encoded;
        self.written(result)
    }

    /// More answers to pings wait than may. On a link that cannot be written any more they are thrown away.
    fn answers_pile_up(&self) -> bool {
        let wire = self.socket.get_ref();
        let written = wire.bytes_out().saturating_sub(wire.own_bytes_out());
        wire.write_error().is_none() && self.answers.saturating_sub(written) > UNSENT_ANSWERS
    }

    fn check_writable(&self) -> Result<(), LinkEnd> {
        if let Some(end) = self.end.clone().or_else(|| self.write_end()) {
            return Err(end);
        }
        if !self.socket.can_write() {
            return Err(LinkEnd::Protocol(
                "nothing can be sent after the Close frame".to_owned(),
            ));
        }
        Ok(())
    }

    /// A full system buffer is no error: the frame stays in ours.
    fn written(&self, result: Result<(), WsError>) -> Result<(), LinkEnd> {
        match result {
            Err(error) if !would_block(&error) => Err(self.end_of(&error)),
            _ => self.write_end().map_or(Ok(()), Err),
        }
    }

    fn write_end(&self) -> Option<LinkEnd> {
        self.socket
            .get_ref()
            .write_error()
            .map(|text| LinkEnd::Lost(text.to_owned()))
    }

    fn end_of(&self, error: &WsError) -> LinkEnd {
        match error {
            WsError::Io(error) => LinkEnd::Lost(describe_io(error)),
            WsError::Capacity(_) => {
                let limit = self.socket.get_config().max_message_size.unwrap_or(usize::MAX);
                LinkEnd::TooLarge(format!("the server sent a message of more than {limit} bytes"))
            }
            WsError::Utf8(_) => LinkEnd::Protocol("the server sent a text message that is not UTF-8".to_owned()),
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed => {
                LinkEnd::Lost("the server closed the connection without a Close frame".to_owned())
            }
            // Fixed texts of the codec: none quotes what was received.
            WsError::Protocol(error) => LinkEnd::Protocol(format!("the server broke the WebSocket protocol: {error}")),
            _ => LinkEnd::Protocol("the server broke the WebSocket protocol".to_owned()),
        }
    }
}

fn would_block(error: &WsError) -> bool {
    matches!(error, WsError::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
