//! Tests of the connection floor, over loopback.

mod dialling;
mod frames;
mod links;
mod outbox;
mod records;
mod secured;
mod urls;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{DialError, DialRequest, Endpoint, Inbound, Link, LinkEnd, TlsOptions, Trust, dial};

/// Waits for a condition, but never for ever.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("the condition did not come about in time")
}

/// A listener on a free port, and the port.
async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn plain(port: u16) -> DialRequest {
    let endpoint = Endpoint::parse(&format!("ws://127.0.0.1:{port}/socket?token=hidden"), None).unwrap();
    DialRequest {
        endpoint,
        headers: Vec::new(),
        tls: None,
        max_message_in: 1 << 20,
    }
}

fn config(options: &TlsOptions) -> Result<Arc<ClientConfig>, String> {
    let tls = Trust::default().get(options, Instant::now())?;
    Ok(Arc::clone(tls.config()))
}

fn secure(host: &str, port: u16, options: &TlsOptions) -> DialRequest {
    let endpoint = Endpoint::parse(&format!("wss://{host}:{port}/socket"), None).unwrap();
    DialRequest {
        endpoint,
        tls: Some(config(options).unwrap()),
        ..plain(port)
    }
}

async fn dial_fails(request: DialRequest) -> DialError {
    let error = within(dial(request)).await.expect_err("the dial must fail");
    assert!(!error.message.contains("hidden"), "the query leaks: {error}");
    error
}

/// Reads a request head.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn accept_text(request: &str) -> String {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )
}

/// The server's side of a handshake, by hand.
async fn accept_raw<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> S {
    let request = read_request(&mut stream).await;
    stream.write_all(accept_text(&request).as_bytes()).await.unwrap();
    stream
}

/// A link and the raw stream of its server.
async fn raw_pair(max_message_in: usize) -> (Link, TcpStream) {
    let (listener, port) = listen().await;
    let server = async { accept_raw(listener.accept().await.unwrap().0).await };
    let (link, server) = within(async {
        tokio::join!(
            dial(DialRequest {
                max_message_in,
                ..plain(port)
            }),
            server
        )
    })
    .await;
    (link.unwrap(), server)
}

/// One frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(short as u8),
        middle @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// Reads one whole frame of the client: its first byte and the unmasked payload. `None` at the end, also within a frame.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let second = stream.read_u8().await.ok()?;
    assert_eq!(second & 0x80, 0x80, "a client must mask");
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await.ok()?),
        127 => stream.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    payload
        .iter_mut()
        .enumerate()
        .for_each(|(at, byte)| *byte ^= mask[at % 4]);
    Some((first, payload))
}

/// What came, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Ping,
}

impl From<Inbound<'_>> for Got {
    fn from(inbound: Inbound<'_>) -> Self {
        match inbound {
            Inbound::Text(text) => Self::Text(text.to_owned()),
            Inbound::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Inbound::Pong(payload) => Self::Pong(payload.to_owned()),
            Inbound::Ping => Self::Ping,
        }
    }
}

/// At least one message, as the driver reads: flushing what became due.
async fn read_some(link: &mut Link, max: u32) -> Result<Vec<Got>, LinkEnd> {
    let mut out = Vec::new();
    while out.is_empty() {
        within(poll_fn(|cx| link.poll_read(cx))).await?;
        let count = link.take(max, |inbound| out.push(inbound.into()));
        assert_eq!(count as usize, out.len());
        poll_fn(|cx| {
            let _ = link.poll_flush(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    Ok(out)
}

/// Reads until the end.
async fn read_all(link: &mut Link) -> (Vec<Got>, LinkEnd) {
    let mut all = Vec::new();
    loop {
        match read_some(link, 64).await {
            Ok(some) => all.extend(some),
            Err(end) => return (all, end),
        }
    }
}

async fn flush(link: &mut Link) -> Result<(), LinkEnd> {
    within(poll_fn(|cx| link.poll_flush(cx))).await
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}
