//! An open WebSocket: reads in batches, writes coalesced, and knows which frames were handed over.
//!
//! At rest it holds no buffer. What is read lies in a buffer of the thread's until it is decoded; what is written, too, unless the
//! system does not take it at once.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::frame::{Decoder, MAX_CONTROL, Message, Violation, is_sendable, opcode};
use super::outbox::Outbox;
use super::scratch::Incoming;
use super::wire::{Transport, describe_io};
use super::writer::Writer;

/// The most plaintext that one TLS record holds.
const TLS_RECORD: usize = 16 * 1024;

/// Unsent answers to pings beyond this stop reading: a server that pings and never reads must not fill our memory.
const UNSENT_ANSWERS: usize = 64 * 1024;

/// How long reading goes on after writing has failed, if the connection does not end by itself as it nearly always does.
const DRAIN: Duration = Duration::from_millis(100);

/// What came from the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// The answer to a ping of ours, with its payload.
    Pong(&'a [u8]),
    /// A ping; it is answered without the caller's help.
    Ping,
}

impl std::fmt::Debug for Inbound<'_> {
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
    /// The server sent a Close frame that must not be sent.
    BadClose {
        /// Its code, as it came.
        code: u16,
        /// What is wrong with it.
        message: String,
    },
    /// The connection broke, or was closed without a Close frame.
    Lost(String),
    /// The server sent a message over the limit.
    TooLarge(String),
    /// The server broke the rules of the WebSocket protocol.
    Protocol(String),
}

/// An open WebSocket connection. One task drives it.
pub struct Link {
    transport: Transport,
    decoder: Decoder,
    /// Read and not yet decoded.
    incoming: Incoming,
    /// The last read filled the whole buffer.
    full: bool,
    out: Outbox,
    /// The transport may hold something back: TLS does.
    unflushed: bool,
    /// Another thread writes.
    held: bool,
    /// A Close frame is pushed.
    closing: bool,
    max_message_in: usize,
    bytes_in: u64,
    bytes_out: u64,
    /// Why writing failed. Reading goes on: messages that came before the connection broke may still wait.
    write_error: Option<String>,
    /// Runs when writing has failed and nothing came to be read.
    drain: Option<Pin<Box<Sleep>>>,
    end: Option<LinkEnd>,
}

impl std::fmt::Debug for Link {
    // What waits in it may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("bytes_in", &self.bytes_in)
            .field("bytes_out", &self.bytes_out)
            .field("write_error", &self.write_error)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Takes over a stream after the handshake; `head` is what was read beyond it.
    pub(super) fn new(transport: Transport, head: Vec<u8>, max_message_in: usize) -> Link {
        Link {
            transport,
            decoder: Decoder::new(max_message_in),
            bytes_in: head.len() as u64,
            incoming: Incoming::own(head),
            full: false,
            out: Outbox::new(),
            unflushed: false,
            held: false,
            closing: false,
            max_message_in,
            bytes_out: 0,
            write_error: None,
            drain: None,
            end: None,
        }
    }

    /// Reads what is there, for [`Link::take`]. Also writes the answers to pings.
    ///
    /// Ready when something came, be it no whole message, or at the end, after all messages before it were taken; the end is
    /// answered again by every later call.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.end.is_some() || self.out.answers() > 0 {
            // At the end one attempt must do: to wait for a peer that has said good-bye and reads no more would only delay the news.
            let _ = self.poll_flush(cx);
        }
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        if self.answers_pile_up() {
            // The waker is registered: reading goes on when the server takes them.
            return Poll::Pending;
        }
        if !self.incoming.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut buf = ReadBuf::new(self.incoming.space());
        let read = Pin::new(&mut self.transport).poll_read(cx, &mut buf);
        let count = buf.filled().len();
        self.full = buf.remaining() == 0;
        self.incoming.filled(count);
        self.end = Some(match read {
            Poll::Ready(Ok(())) if count > 0 => {
                self.bytes_in += count as u64;
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Ok(())) => LinkEnd::Lost("the server closed the connection without a Close frame".to_owned()),
            Poll::Ready(Err(error)) => LinkEnd::Lost(describe_io(&error)),
            Poll::Pending => {
                self.decoder.settle();
                match self.write_end() {
                    // The runtime may not know yet of what has arrived, so nothing to read does not mean the end.
                    Some(end) if self.drained(cx) => end,
                    _ => return Poll::Pending,
                }
            }
        });
        self.poll_read(cx)
    }

    /// More waits in the system, most likely, than was read.
    pub fn has_more(&self) -> bool {
        self.full
    }

    /// Hands out up to `max` of the messages that were read; answers how many.
    pub fn take(&mut self, max: u32, mut each: impl FnMut(Inbound<'_>)) -> u32 {
        let mut input = self.incoming.bytes();
        let mut count = 0;
        while count < max && self.end.is_none() && !self.answers_pile_up() {
            if let Some(text) = self.decoder.whole_text(&mut input) {
                each(Inbound::Text(text));
                count += 1;
                continue;
            }
            let Some(next) = self.decoder.next(&mut input) else {
                break;
            };
            let silent = self.closing || self.write_error.is_some();
            match next {
                Ok(Message::Text(text)) => each(Inbound::Text(text)),
                Ok(Message::Binary(bytes)) => each(Inbound::Binary(bytes)),
                Ok(Message::Pong(payload)) => each(Inbound::Pong(payload)),
                Ok(Message::Ping(payload)) => {
                    if !silent {
                        self.out.push(opcode::PONG, payload);
                    }
                    each(Inbound::Ping);
                }
                Ok(Message::Close { code, reason, payload }) => {
                    let (end, refused) = closed(code, reason);
                    if !silent {
                        match refused {
                            None => self.out.push(opcode::CLOSE, payload),
                            Some(code) => self.out.push_close(code),
                        }
                    }
                    self.closing = true;
                    self.end = Some(end);
                    break;
                }
                Err(violation) => {
                    if !silent {
                        self.out.push_close(violation.close_code());
                    }
                    self.closing = true;
                    self.end = Some(violated(violation, self.max_message_in));
                    break;
                }
            }
            count += 1;
        }
        let left = if self.end.is_none() { input.len() } else { 0 };
        self.incoming.keep(left);
        count
    }

    /// Nothing will be read for a while: what was read and not taken must not occupy the thread's buffer.
    pub fn rest(&mut self) {
        self.incoming.settle();
        self.decoder.settle();
    }

    /// Takes one text frame into the write buffer. Nothing is written before it is flushed.
    ///
    /// The caller vouches that it is UTF-8.
    pub fn push_text(&mut self, frame: &[u8]) -> Result<(), LinkEnd> {
        self.check_writable()?;
        self.out.push(opcode::TEXT, frame);
        Ok(())
    }

    /// What other threads write with, if the transport allows it.
    pub fn writer(&self) -> Option<Writer> {
        match &self.transport {
            Transport::Plain(socket) => Some(Writer::new(socket.writing_half())),
            Transport::Tls(_) => None,
        }
    }

    /// Another thread may write now: nothing waits here that would have to go first.
    pub fn lets_write(&self) -> bool {
        self.buffered() == 0 && !self.unflushed && self.check_writable().is_ok()
    }

    /// Another thread writes, or does so no more: whatever is pushed meanwhile has to wait.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// What the writer could not write goes first. To be called before anything is flushed that was pushed meanwhile.
    pub fn take_over(&mut self, writer: &mut Writer) {
        if !writer.outbox().pending().is_empty() {
            self.out.take_over(writer.outbox());
        }
    }

    /// Takes a ping into the write buffer. The payload may have at most 125 bytes.
    pub fn push_ping(&mut self, payload: &[u8]) -> Result<(), LinkEnd> {
        if payload.len() > MAX_CONTROL {
            return Err(LinkEnd::Protocol("a ping payload has at most 125 bytes".to_owned()));
        }
        self.check_writable()?;
        self.out.push(opcode::PING, payload);
        Ok(())
    }

    /// Takes a Close frame into the write buffer, behind everything pushed before; nothing can be pushed after it. Go on with
    /// `poll_flush` and `poll_read` until the end.
    pub fn push_close(&mut self, code: u16) -> Result<(), LinkEnd> {
        self.check_writable()?;
        self.out.push_close(code);
        self.closing = true;
        Ok(())
    }

    /// Bytes not yet handed to the system. Stop pushing above a mark until it sinks.
    pub fn buffered(&self) -> usize {
        self.out.pending().len()
    }

    /// There is something to flush, and a chance that it can be.
    pub fn wants_flush(&self) -> bool {
        self.write_error.is_none() && (self.unflushed || self.buffered() > 0)
    }

    /// Writes everything pushed. Ready when all of it was handed to the system, or when the connection cannot be written any more;
    /// what the server sent before that may still be read.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.held {
            return Poll::Pending;
        }
        loop {
            if let Some(end) = self.write_end() {
                return Poll::Ready(Err(end));
            }
            let pending = self.out.pending();
            if pending.is_empty() {
                break;
            }
            // One TLS record at a time: when a TLS write fails, nobody can tell how much of it left before (see below).
            let encrypted = matches!(self.transport, Transport::Tls(_));
            let chunk = if encrypted {
                &pending[..pending.len().min(TLS_RECORD)]
            } else {
                pending
            };
            let size = chunk.len();
            match Pin::new(&mut self.transport).poll_write(cx, chunk) {
                Poll::Ready(Ok(0)) => self.fail(&io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.bytes_out += count as u64;
                    self.out.advance(count);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => {
                    if encrypted {
                        // Some of it may have reached the peer. Counted as handed over it is in doubt, and never sent twice.
                        self.out.advance(size);
                    }
                    self.fail(&error);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.fail(&error),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(self.write_end().map_or(Ok(()), Err))
    }

    /// How many of the text frames pushed have been handed to the system in full, since the start; right also after an error.
    ///
    /// A frame that is not counted never reached the server in full, so it may be sent again on another connection. Of a counted
    /// one that is not known: it must not be sent again. Under TLS "the system" begins at the encryption: a frame that was
    /// encrypted but not sent is counted, which errs towards not sending twice.
    pub fn handed_over(&self) -> u64 {
        self.out.texts()
    }

    /// Bytes read since the handshake, before decryption is undone: what the WebSocket layer saw.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Bytes written since the handshake, as the WebSocket layer handed them over.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    fn fail(&mut self, error: &io::Error) {
        self.write_error = Some(describe_io(error));
    }

    /// More answers to pings wait than may. On a link that cannot be written any more they are thrown away.
    fn answers_pile_up(&self) -> bool {
        self.write_error.is_none() && self.out.answers() > UNSENT_ANSWERS
    }

    /// Has everything been read that came before a failed write?
    fn drained(&mut self, cx: &mut Context<'_>) -> bool {
        let drain = self.drain.get_or_insert_with(|| Box::pin(sleep(DRAIN)));
        drain.as_mut().poll(cx).is_ready()
    }

    #[inline(always)]
    fn check_writable(&self) -> Result<(), LinkEnd> {
        if self.end.is_none() && self.write_error.is_none() && !self.closing {
            return Ok(());
        }
        self.not_writable()
    }

    #[cold]
    fn not_writable(&self) -> Result<(), LinkEnd> {
        if let Some(end) = self.end.clone().or_else(|| self.write_end()) {
            return Err(end);
        }
        if self.closing {
            return Err(LinkEnd::Protocol(
                "nothing can be sent after the Close frame".to_owned(),
            ));
        }
        Ok(())
    }

    fn write_end(&self) -> Option<LinkEnd> {
        self.write_error.as_ref().map(|text| LinkEnd::Lost(text.clone()))
    }
}

/// What a Close frame means, and the code of our answer if it cannot be the same.
fn closed(code: Option<u16>, reason: Option<&str>) -> (LinkEnd, Option<u16>) {
    match (code, reason) {
        (Some(code), Some(reason)) if !is_sendable(code) => {
            let mut message = format!("the server closed the connection with code {code}, which must not be sent");
            if !reason.is_empty() {
                message.push_str(": ");
                message.push_str(reason);
            }
            (LinkEnd::BadClose { code, message }, Some(1002))
        }
        (Some(code), None) => {
            let message = format!("the server closed the connection with code {code} and a reason that is not UTF-8");
            (LinkEnd::BadClose { code, message }, Some(1007))
        }
        (code, reason) => {
            let reason = reason.unwrap_or_default().to_owned();
            (LinkEnd::Closed { code, reason }, None)
        }
    }
}

fn violated(violation: Violation, limit: usize) -> LinkEnd {
    match violation {
        Violation::TooLarge => LinkEnd::TooLarge(format!("the server sent a message of more than {limit} bytes")),
        Violation::NotUtf8 => LinkEnd::Protocol("the server sent a text message that is not UTF-8".to_owned()),
        Violation::Forbidden(what) => LinkEnd::Protocol(format!("the server broke the WebSocket protocol: {what}")),
    }
}
