//! WebSocket by hand: frames as bytes, and a server that may write any.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;

/// A frame; `first` is FIN, reserved bits and opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// A frame's header, whatever follows.
pub fn header(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first];
    match len {
        0..=125 => out.push(len as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, payload.as_bytes())
}

/// The text messages that a client's bytes hold in full, behind its request head.
pub fn client_texts(bytes: &[u8]) -> Vec<String> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Vec::new();
    };
    let mut rest = &bytes[head + 4..];
    let mut texts = Vec::new();
    while let Some((opcode, payload, used)) = client_frame(rest) {
        if opcode == 1 {
            texts.push(String::from_utf8(payload).unwrap());
        }
        rest = &rest[used..];
    }
    texts
}

/// Opcode, payload and length of the first whole frame of a client.
fn client_frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0x80, "a client's frame is masked");
    let (len, at) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let mask = bytes.get(at..at + 4)?;
    let payload = bytes.get(at + 4..at + 4 + len)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
    Some((first & 0x0F, payload, at + 4 + len))
}

/// One connection of a client to a hostile server.
pub struct Conn {
    pub socket: TcpStream,
    bytes: Vec<u8>,
}

/// The client went away.
#[derive(Debug)]
pub struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Gone
    }
}

impl Conn {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        Ok(self.socket.write_all(bytes)?)
    }

    fn more(&mut self) -> Result<(), Gone> {
        let mut buf = [0; 16 * 1024];
        let count = self.socket.read(&mut buf)?;
        if count == 0 {
            return Err(Gone);
        }
        self.bytes.extend_from_slice(&buf[..count]);
        Ok(())
    }

    /// The request head.
    pub fn head(&mut self) -> Result<String, Gone> {
        loop {
            if let Some(at) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.bytes.drain(..at + 4).collect();
                return String::from_utf8(head).map_err(|_| Gone);
            }
            self.more()?;
        }
    }

    /// Reads the request head and upgrades, with further header lines.
    pub fn upgrade(&mut self) -> Result<(), Gone> {
        let head = self.head()?;
        let answer = upgrade_answer(&head, "");
        self.write(answer.as_bytes())
    }

    /// Upgrades and greets.
    pub fn greet(&mut self) -> Result<(), Gone> {
        self.upgrade()?;
        self.write(&text(CONNECTION))
    }

    /// The next text message of the client.
    pub fn text(&mut self) -> Result<String, Gone> {
        loop {
            while let Some((opcode, payload, used)) = client_frame(&self.bytes) {
                self.bytes.drain(..used);
                match opcode {
                    1 => return String::from_utf8(payload).map_err(|_| Gone),
                    9 => self.write(&frame(0x8A, &payload))?,
                    _ => {}
                }
            }
            self.more()?;
        }
    }

    /// Reads until the client is gone.
    pub fn read_out(&mut self) {
        while self.text().is_ok() {}
    }
}

pub const CONNECTION: &str =
    r#"{"action":"CONNECT","event":"CONNECTION","channelName":"GATEWAY","requestId":"c","payload":{"id":"1"}}"#;

/// 101 with further header lines.
pub fn upgrade_answer(head: &str, further: &str) -> String {
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{further}\r\n"
    )
}

/// The answer to a JOIN.
pub fn acknowledge(join: &str) -> String {
    let join: serde_json::Value = serde_json::from_str(join).unwrap();
    serde_json::json!({
        "action": "SYSTEM", "event": "ACKNOWLEDGE", "channelName": join["channelName"],
        "requestId": join["requestId"], "payload": {},
    })
    .to_string()
}

/// A server whose every connection is served by a script, each on its thread.
pub struct Hostile {
    pub addr: SocketAddr,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Hostile {
    pub fn new(script: impl Fn(&mut Conn, u64) -> Result<(), Gone> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, script) = (Arc::clone(&stop), Arc::new(script));
        let mut accepted = 0;
        let acceptor = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok((socket, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_micros(500));
                    continue;
                };
                let number = accepted;
                accepted += 1;
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    socket.set_nonblocking(false).unwrap();
                    // No thread outlives a client that hangs.
                    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                    socket.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
                    socket.set_nodelay(true).unwrap();
                    let mut conn = Conn {
                        socket,
                        bytes: Vec::new(),
                    };
                    // That the client goes away is its right.
                    let _ = script(&mut conn, number);
                });
            }
        });
        Self {
            addr,
            stop,
            acceptor: Some(acceptor),
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
