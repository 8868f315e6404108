//! Links without sockets, and the server at their other end: a thread that answers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use shuttle::rand::{Rng, thread_rng};

pub use pondsocket::client::net::{DialError, DialErrorKind, Endpoint, Inbound, LinkEnd};

use crate::client::sync::{lock, wait};
use crate::support::spawn;

/// So many frames fit into a socket: less than are streamed, or more.
const ROOM: [usize; 2] = [24, 200];
/// The answer may be there before the thread that asks goes on.
const LATE: u32 = 60;

#[derive(Clone)]
enum Frame {
    Text(String),
    Close,
}

#[derive(Default)]
struct Pipe {
    to_server: VecDeque<Frame>,
    to_client: VecDeque<String>,
    /// The server has closed it.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default)]
struct Socket {
    room: usize,
    pipe: Mutex<Pipe>,
    written: Condvar,
}

impl Socket {
    /// Takes as many as there is room for.
    fn write(&self, frames: &mut VecDeque<Frame>, waker: Option<&Waker>) -> u64 {
        let mut texts = 0;
        let mut pipe = lock(&self.pipe);
        while pipe.to_server.len() < self.room
            && let Some(frame) = frames.pop_front()
        {
            texts += u64::from(matches!(frame, Frame::Text(_)));
            pipe.to_server.push_back(frame);
        }
        if !frames.is_empty() {
            pipe.writer = waker.cloned().or(pipe.writer.take());
        }
        drop(pipe);
        self.written.notify_all();
        texts
    }

    fn next(&self) -> Frame {
        let mut pipe = lock(&self.pipe);
        loop {
            if let Some(frame) = pipe.to_server.pop_front() {
                let writer = pipe.writer.take();
                drop(pipe);
                if let Some(writer) = writer {
                    writer.wake();
                }
                return frame;
            }
            pipe = wait(&self.written, pipe);
        }
    }

    fn answer(&self, tell: impl FnOnce(&mut Pipe)) {
        let mut pipe = lock(&self.pipe);
        tell(&mut pipe);
        let reader = pipe.reader.take();
        drop(pipe);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// Acknowledges joins, answers what is named `ask` and takes the rest, until the client says goodbye. Messages of one name bear
/// rising numbers.
fn serve(socket: &Socket) {
    let frame = |action: &str, event: &str, channel: &str, id: &Value| {
        json!({"action": action, "event": event, "channelName": channel, "requestId": id, "payload": {}}).to_string()
    };
    socket.answer(|pipe| {
        let hello = frame("CONNECT", "CONNECTION", "ENDPOINT", &json!("0"));
        pipe.to_client.push_back(hello);
    });
    let mut last: Vec<(String, u64)> = Vec::new();
    while let Frame::Text(text) = socket.next() {
        let asked: Value = serde_json::from_str(&text).unwrap();
        let channel = asked["channelName"].as_str().unwrap();
        let answer = match (asked["action"].as_str().unwrap(), asked["event"].as_str().unwrap()) {
            ("JOIN_CHANNEL", _) => "ACKNOWLEDGE",
            ("LEAVE_CHANNEL", _) => continue,
            (_, name) => {
                let number = asked["payload"]["n"].as_u64().unwrap();
                match last.iter_mut().find(|(other, _)| other == name) {
                    Some((_, last)) => {
                        assert_eq!(number, *last + 1, "{name}: lost, or out of order");
                        *last = number;
                    }
                    None => last.push((name.to_owned(), number)),
                }
                if !name.starts_with("ask") {
                    continue;
                }
                "ok"
            }
        };
        let answer = frame("SYSTEM", answer, channel, &asked["requestId"]);
        socket.answer(|pipe| pipe.to_client.push_back(answer));
    }
    socket.answer(|pipe| pipe.closed = true);
}

pub struct DialRequest {
    pub endpoint: Endpoint,
}

pub async fn dial(_: DialRequest) -> Result<Link, DialError> {
    let socket = Arc::new(Socket {
        room: ROOM[thread_rng().gen_range(0..2)],
        ..Socket::default()
    });
    let server = Arc::clone(&socket);
    spawn(move || serve(&server));
    Ok(Link {
        socket,
        out: VecDeque::new(),
        incoming: VecDeque::new(),
        handed: 0,
        held: false,
        closing: false,
    })
}

pub struct Link {
    socket: Arc<Socket>,
    out: VecDeque<Frame>,
    incoming: VecDeque<String>,
    handed: u64,
    held: bool,
    closing: bool,
}

impl Link {
    pub fn push_text(&mut self, frame: &[u8]) -> Result<(), LinkEnd> {
        self.out
            .push_back(Frame::Text(String::from_utf8(frame.to_vec()).unwrap()));
        Ok(())
    }

    pub fn push_close(&mut self, _: u16) -> Result<(), LinkEnd> {
        self.closing = true;
        self.out.push_back(Frame::Close);
        Ok(())
    }

    pub fn push_ping(&mut self, _: &[u8]) -> Result<(), LinkEnd> {
        Ok(())
    }

    pub fn buffered(&self) -> usize {
        self.out.len()
    }

    pub fn wants_flush(&self) -> bool {
        !self.out.is_empty()
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.held {
            return Poll::Pending;
        }
        self.handed += self.socket.write(&mut self.out, Some(cx.waker()));
        if self.out.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.incoming.is_empty() {
            let mut pipe = lock(&self.socket.pipe);
            std::mem::swap(&mut self.incoming, &mut pipe.to_client);
            if self.incoming.is_empty() && !pipe.closed {
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        if self.incoming.is_empty() {
            return Poll::Ready(Err(LinkEnd::Closed {
                code: Some(1000),
                reason: String::new(),
            }));
        }
        Poll::Ready(Ok(()))
    }

    pub fn has_more(&self) -> bool {
        !self.incoming.is_empty() || !lock(&self.socket.pipe).to_client.is_empty()
    }

    pub fn take(&mut self, max: u32, mut each: impl FnMut(Inbound<'_>)) -> u32 {
        let count = self.incoming.len().min(max as usize);
        for text in self.incoming.drain(..count) {
            each(Inbound::Text(&text));
        }
        count as u32
    }

    pub fn rest(&mut self) {}

    pub fn writer(&self) -> Option<Writer> {
        Some(Writer {
            socket: Arc::clone(&self.socket),
            out: VecDeque::new(),
            handed: 0,
        })
    }

    pub fn lets_write(&self) -> bool {
        self.out.is_empty() && !self.closing
    }

    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub fn take_over(&mut self, writer: &mut Writer) {
        writer.out.append(&mut self.out);
        std::mem::swap(&mut writer.out, &mut self.out);
    }

    pub fn handed_over(&self) -> u64 {
        self.handed
    }

    pub fn bytes_in(&self) -> u64 {
        0
    }

    pub fn bytes_out(&self) -> u64 {
        0
    }
}

pub struct Writer {
    socket: Arc<Socket>,
    out: VecDeque<Frame>,
    handed: u64,
}

impl Writer {
    pub fn push_text(&mut self, frame: &[u8]) {
        self.out
            .push_back(Frame::Text(String::from_utf8(frame.to_vec()).unwrap()));
    }

    pub fn write(&mut self) -> bool {
        self.handed += self.socket.write(&mut self.out, None);
        for _ in 0..thread_rng().gen_range(0..LATE) {
            std::thread::yield_now();
        }
        self.out.is_empty()
    }

    pub fn waiting(&self) -> usize {
        self.out.len()
    }

    pub fn handed_over(&self) -> u64 {
        self.handed
    }

    pub fn bytes_out(&self) -> u64 {
        self.handed
    }
}
