//! The byte stream under the WebSocket: plain or TLS, with counters.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most plaintext that one TLS record holds.
const TLS_RECORD: usize = 16 * 1024;

/// A TCP stream that never writes vectored: `writev` has no flag against SIGPIPE, `send` has.
#[derive(Debug)]
pub(super) struct Socket(pub(super) TcpStream);

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A connected stream, plain or encrypted.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Follows the frame boundaries of the outgoing bytes, so that what was handed over is known exactly.
///
/// Reading the boundaries off the stream needs no bookkeeping of sizes and is not misled by automatic pongs.
#[derive(Debug, Default)]
struct FrameCounter {
    /// The bytes of a header that is not complete yet.
    header: [u8; 14],
    header_len: usize,
    /// Bytes of mask and payload that are missing from the current frame.
    payload_left: u64,
    /// Text frames of which every byte was counted.
    texts: u64,
    /// Bytes of text and ping frames, whole or not.
    own_bytes: u64,
}

impl FrameCounter {
    fn is_own(&self) -> bool {
        matches!(self.header[0] & 0x0f, 1 | 9)
    }

    fn add_own(&mut self, bytes: u64) {
        if self.is_own() {
            self.own_bytes += bytes;
        }
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.payload_left == 0 {
                self.header[self.header_len] = first;
                self.header_len += 1;
                self.add_own(1);
                bytes = rest;
                let Some(payload) = self.payload_len() else {
                    continue;
                };
                self.payload_left = payload;
            } else {
                let taken = usize::try_from(self.payload_left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload_left -= taken as u64;
                self.add_own(taken as u64);
                bytes = &bytes[taken..];
            }
            if self.payload_left == 0 {
                self.texts += u64::from(self.header[0] & 0x0f == 1);
                self.header_len = 0;
            }
        }
    }

    /// The payload's length once the header, with its mask, is complete.
    fn payload_len(&self) -> Option<u64> {
        if self.header_len < 2 {
            return None;
        }
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.header_len < 2 + extended + mask {
            return None;
        }
        let number = self.header[2..2 + extended]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        Some(if extended == 0 {
            u64::from(self.header[1] & 0x7f)
        } else {
            number
        })
    }
}

/// The stream as the blocking-style WebSocket codec wants it: not ready is `WouldBlock`.
///
/// Reading and writing share one waker, that of the only task which drives the link: none can be lost to the other.
#[derive(Debug)]
pub(super) struct Wire {
    transport: Transport,
    waker: Waker,
    frames: FrameCounter,
    bytes_in: u64,
    bytes_out: u64,
    write_error: Option<String>,
}

impl Wire {
    pub(super) fn new(transport: Transport, bytes_in: u64) -> Wire {
        Wire {
            transport,
            waker: Waker::noop().clone(),
            frames: FrameCounter::default(),
            bytes_in,
            bytes_out: 0,
            write_error: None,
        }
    }

    pub(super) fn set_waker(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    /// Text frames handed over in full.
    pub(super) fn texts_out(&self) -> u64 {
        self.frames.texts
    }

    /// Bytes of text and ping frames handed over.
    pub(super) fn own_bytes_out(&self) -> u64 {
        self.frames.own_bytes
    }

    pub(super) fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    pub(super) fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// Why writing failed, if it did.
    pub(super) fn write_error(&self) -> Option<&str> {
        self.write_error.as_deref()
    }

    /// Remembers a failed write. The codec is not told: it would stop reading, although messages that came before the
    /// connection broke may still wait to be read.
    fn fail(&mut self, error: &io::Error) {
        self.write_error = Some(describe_io(error));
    }
}

impl io::Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let mut cx = Context::from_waker(&self.waker);
        match Pin::new(&mut self.transport).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) => {
                let count = buf.filled().len();
                self.bytes_in += count as u64;
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl io::Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.write_error.is_some() {
            return Ok(buf.len());
        }
        let mut cx = Context::from_waker(&self.waker);
        // One TLS record at a time: when a TLS write fails, nobody can tell how much of it left before (see below).
        let encrypted = matches!(self.transport, Transport::Tls(_));
        let chunk = if encrypted {
            &buf[..buf.len().min(TLS_RECORD)]
        } else {
            buf
        };
        match Pin::new(&mut self.transport).poll_write(&mut cx, chunk) {
            Poll::Ready(Ok(count)) => {
                self.bytes_out += count as u64;
                self.frames.advance(&buf[..count]);
                if count == 0 {
                    self.fail(&io::ErrorKind::WriteZero.into());
                    return Ok(buf.len());
                }
                Ok(count)
            }
            Poll::Ready(Err(error)) => {
                if encrypted {
                    // Some of it may have reached the peer. Counted as handed over it is in doubt, and never sent twice.
                    self.frames.advance(chunk);
                }
                self.fail(&error);
                Ok(buf.len())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.write_error.is_some() {
            return Ok(());
        }
        let mut cx = Context::from_waker(&self.waker);
        match Pin::new(&mut self.transport).poll_flush(&mut cx) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => {
                self.fail(&error);
                Ok(())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// An I/O error in the system's words, without the number where the kind says it all.
pub(super) fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
            if error.get_ref().is_none() =>
        {
            error.kind().to_string()
        }
        _ => error.to_string(),
    }
}
