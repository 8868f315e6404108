//! A TLS stream that holds no buffer at rest: records are read into one of the thread's and opened there. (rustls' own stream keeps
//! four KiB for each connection, and reads no more at once.)

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::scratch::{give_sealed, take_sealed};
use super::wire::Socket;

/// The most plaintext that one record holds.
pub(super) const RECORD: usize = 16 * 1024;

pub(super) struct Secured {
    socket: Socket,
    session: UnbufferedClientConnection,
    /// Read, but not all of it has come: a record, or a message of the handshake.
    sealed: Vec<u8>,
    /// Opened, but the reader had no room for it; most often empty.
    opened: Vec<u8>,
    /// Records on their way to the system, and how much of them it has.
    out: Vec<u8>,
    written: usize,
    /// The server has said that nothing more comes.
    closed: bool,
    failure: Option<rustls::Error>,
}

impl fmt::Debug for Secured {
    // It holds keys and what they protect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

impl Secured {
    /// Before the handshake.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>, socket: Socket) -> Result<Self, rustls::Error> {
        Ok(Self {
            socket,
            session: UnbufferedClientConnection::new(config, name)?,
            sealed: Vec::new(),
            opened: Vec::new(),
            out: Vec::new(),
            written: 0,
            closed: false,
            failure: None,
        })
    }

    /// Ready when both sides may send.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.advance_kept(None);
        loop {
            let flushed = self.poll_out(cx);
            // Why it failed says more than that the alert about it could not be sent.
            self.check()?;
            ready!(flushed)?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.closed {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_fill(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Does what can be done with `input`: opens records to `plain`, collects what the protocol wants to say, and seals the message
    /// once the protocol allows it. Answers how much of the input is done with, and whether the message is sealed.
    fn advance(&mut self, input: &mut [u8], plain: &mut ReadBuf<'_>, mut message: Option<&[u8]>) -> (usize, bool) {
        if self.failure.is_some() {
            return (0, false);
        }
        let had_message = message.is_some();
        let mut start = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self
                .session
                .process_tls_records(input.get_mut(start..).unwrap_or_default());
            // After a failure only what it has to say is fetched: the alert that tells the server.
            let mut goes_on = self.failure.is_none();
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        let room = if self.opened.is_empty() { plain.remaining() } else { 0 };
                        let (now, later) = record.payload.split_at(room.min(record.payload.len()));
                        plain.put_slice(now);
                        self.opened.extend_from_slice(later);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) {
                        let at = self.out.len();
                        self.out.resize(at + needed.required_size, 0);
                        goes_on &= data.encode(&mut self.out[at..]).is_ok();
                    }
                }
                // It goes before anything that is sealed later.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.closed = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    goes_on = false;
                    if let Some(message) = message.take() {
                        // Nobody reads meanwhile. (To fill a fresh buffer with zeros would cost more than to encrypt.)
                        let mut room = take_sealed();
                        match traffic.encrypt(message, &mut room) {
                            Ok(len) => self.out.extend_from_slice(&room[..len]),
                            Err(_) => self.failure = Some(rustls::Error::EncryptError),
                        }
                        give_sealed(room);
                    }
                }
                Ok(_) => goes_on = false,
                Err(error) => {
                    // Its place in the input must not change before it is called again.
                    discard = 0;
                    self.failure.get_or_insert(error);
                }
            }
            start += discard;
            if !goes_on {
                return (start, had_message && message.is_none() && self.failure.is_none());
            }
        }
    }

    /// The same with what is kept, which is not enough to open anything.
    fn advance_kept(&mut self, message: Option<&[u8]>) -> bool {
        let mut sealed = std::mem::take(&mut self.sealed);
        let (done, is_sealed) = self.advance(&mut sealed, &mut ReadBuf::new(&mut []), message);
        sealed.drain(..done);
        self.sealed = sealed;
        is_sealed
    }

    /// Reads once, and opens what came.
    fn poll_fill(&mut self, cx: &mut Context<'_>, plain: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut input = take_sealed();
        let kept = self.sealed.len();
        let read = match input.split_at_mut_checked(kept) {
            Some((before, space)) if !space.is_empty() => {
                before.copy_from_slice(&self.sealed);
                let mut space = ReadBuf::new(space);
                let read = Pin::new(&mut self.socket).poll_read(cx, &mut space);
                read.map_ok(|()| space.filled().len())
            }
            // No record is that long, and no handshake.
            _ => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        };
        let result = read.map(|read| match read? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection without saying so by TLS",
            )),
            count => {
                let end = kept + count;
                let (done, _) = self.advance(&mut input[..end], plain, None);
                self.sealed = input[done.min(end)..end].to_vec();
                Ok(())
            }
        });
        give_sealed(input);
        result
    }

    /// Writes what is sealed.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &self.out[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.out = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn check(&self) -> io::Result<()> {
        match &self.failure {
            Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
            None => Ok(()),
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.opened.is_empty() {
            let count = this.opened.len().min(buf.remaining());
            buf.put_slice(&this.opened[..count]);
            this.opened.drain(..count);
            if this.opened.is_empty() {
                this.opened = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            this.check()?;
            if this.closed {
                return Poll::Ready(Ok(()));
            }
            let filled = this.poll_fill(cx, buf);
            // What the protocol answers, an alert at the least. If it has to wait, it goes with the next write.
            let _ = this.poll_out(cx);
            ready!(filled)?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_out(cx))?;
        let message = &buf[..buf.len().min(RECORD)];
        let is_sealed = this.advance_kept(Some(message));
        this.check()?;
        if !is_sealed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match this.poll_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Whatever the system does not take is written first of all the next time.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(message.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_out(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As for a plain socket.
        Poll::Ready(Ok(()))
    }
}
