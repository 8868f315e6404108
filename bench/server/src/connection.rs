//! One connection: its socket, its frames, and what they ask for.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use nix::sys::resource::{UsageWho, getrusage};
use rustls::{ServerConfig, ServerConnection};
use tungstenite::handshake::derive_accept_key;

use crate::Error;
use crate::frames::{self, Block, DIGITS, NUMBER, envelope, frame, member, read_digits};
use crate::plan::Plan;

/// Whether a connection goes on.
pub enum Next {
    Stay,
    Gone,
}

/// How much is read at once.
pub const READ: usize = 256 << 10;
/// Of a `put`: `"n":"00000000","t":"0"`.
const PUT: usize = NUMBER.len() + DIGITS + 8;
const THREADS: usize = 10;

pub struct Connection {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    input: Vec<u8>,
    output: Vec<u8>,
    plan: Plan,
    started: Option<Duration>,
    spent: Duration,
    messages: u64,
    ended: bool,
    puts: Puts,
    asks: Option<Known>,
}

/// The last request: where its id and number are, and its answer with the places of the same.
struct Known {
    length: usize,
    id: Range<usize>,
    number: usize,
    answer: Vec<u8>,
    answer_id: usize,
    answer_number: usize,
}

/// What came of the `put`s.
struct Puts {
    /// Length and place of the number of the last frame: most are alike.
    known: Option<(usize, usize)>,
    next: [u64; THREADS],
    in_order: bool,
}

fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let time = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

impl Connection {
    /// Shakes hands, and says CONNECTION.
    pub fn accept(socket: TcpStream, config: Option<&Arc<ServerConfig>>, scratch: &mut [u8]) -> Result<Self, Error> {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let tls = match config {
            Some(config) => Some(Box::new(ServerConnection::new(config.clone())?)),
            None => None,
        };
        let mut connection = Self {
            socket,
            tls,
            input: Vec::new(),
            output: Vec::new(),
            plan: Plan::parse("/small/0/1/js")?,
            started: None,
            spent: Duration::ZERO,
            messages: 0,
            ended: false,
            puts: Puts {
                known: None,
                next: [0; THREADS],
                in_order: true,
            },
            asks: None,
        };
        let end = loop {
            if let Some(end) = memmem::find(&connection.input, b"\r\n\r\n") {
                break end;
            }
            if connection.input.len() > 16 << 10 || connection.read(scratch)? == 0 {
                return Err("no request".into());
            }
        };
        let request = String::from_utf8(connection.input.drain(..end + 4).collect())?;
        let path = request.split(' ').nth(1).ok_or("no path")?;
        connection.plan = Plan::parse(path)?;
        let key = request
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
            })
            .ok_or("no Sec-WebSocket-Key")?;
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        )
        .into_bytes();
        let greeting = envelope(
            connection.plan.order,
            "CONNECT",
            "CONNECTION",
            "GATEWAY",
            "5f0c2a34-9d1e-4b7a-8c55-00000000c0de",
            r#"{"connectionId":"5f0c2a34-9d1e-4b7a-8c55-00000000c0de"}"#,
        );
        answer.extend(frame(1, greeting.as_bytes()));
        connection.write(&answer)?;
        connection.socket.set_nonblocking(true)?;
        connection.input = Vec::new();
        Ok(connection)
    }

    /// Reads what is there.
    fn read(&mut self, scratch: &mut [u8]) -> std::io::Result<usize> {
        let read = match &mut self.tls {
            None => self.socket.read(scratch)?,
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(scratch)?,
        };
        self.input.extend_from_slice(&scratch[..read]);
        Ok(read)
    }

    /// Writes all, waiting where it must.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.set_nonblocking(false)?;
        match &mut self.tls {
            None => self.socket.write_all(bytes)?,
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut self.socket);
                stream.write_all(bytes)?;
                stream.flush()?;
            }
        }
        self.socket.set_nonblocking(true)
    }

    /// The socket can be read.
    pub fn readable(&mut self, scratch: &mut [u8]) -> Result<Next, Error> {
        loop {
            match self.read(scratch) {
                Ok(0) => return Ok(Next::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Stay),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            let mut input = std::mem::take(&mut self.input);
            let mut at = 0;
            let mut next = Next::Stay;
            while let Some((opcode, mask, range)) = parse(&input, at) {
                at = range.end;
                if !matches!(self.frame(opcode, mask, &mut input[range])?, Next::Stay) {
                    next = Next::Gone;
                    break;
                }
            }
            input.drain(..at);
            self.input = if input.is_empty() { Vec::new() } else { input };
            if !self.output.is_empty() {
                let output = std::mem::take(&mut self.output);
                self.write(&output)?;
                self.output = output;
                self.output.clear();
                self.output.shrink_to(READ);
            }
            // Without TLS an empty socket would only answer so.
            if matches!(next, Next::Gone) || self.tls.is_none() {
                return Ok(next);
            }
        }
    }

    fn frame(&mut self, opcode: u8, mask: [u8; 4], content: &mut [u8]) -> Result<Next, Error> {
        if opcode == 1
            && let Some((length, number)) = self.puts.known
            && length == content.len()
            && let Some(part) = content.get_mut(number..number + PUT)
        {
            let mut copy = [0; PUT];
            copy.copy_from_slice(part);
            unmask(&mut copy, mask, number);
            if copy.starts_with(NUMBER) {
                self.put(&copy)?;
                return Ok(Next::Stay);
            }
        }
        unmask(content, mask, 0);
        match opcode {
            1 | 2 => self.text(content)?,
            8 => {
                self.output.extend(frame(8, content));
                return Ok(Next::Gone);
            }
            9 => self.output.extend(frame(10, content)),
            _ => {}
        }
        Ok(Next::Stay)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Error> {
        if self.ask_again(text) {
            return Ok(());
        }
        let find = |name| member(text, name).ok_or("a member is missing");
        let action = find("\"action\"")?;
        let order = self.plan.order;
        if action == b"JOIN_CHANNEL" {
            let (channel, id) = (
                std::str::from_utf8(find("\"channelName\"")?)?,
                std::str::from_utf8(find("\"requestId\"")?)?,
            );
            let answer = envelope(order, "SYSTEM", "ACKNOWLEDGE", channel, id, "{}");
            self.output.extend(frame(1, answer.as_bytes()));
            return Ok(());
        }
        match find("\"event\"")? {
            b"go" => self.flood(),
            b"ask" => self.ask(text),
            b"put" => {
                self.started.get_or_insert_with(cpu);
                if let Some(number) = memmem::find(text, NUMBER) {
                    // Only text without white space is all of one form.
                    self.puts.known = Some((text.len(), number));
                    return match text.get(number..number + PUT) {
                        Some(part) => self.put(part),
                        None => Err("a put without a thread".into()),
                    };
                }
                let mut part = NUMBER.to_vec();
                part.extend_from_slice(find("\"n\"")?);
                part.extend_from_slice(b"\",\"t\":\"");
                part.extend_from_slice(find("\"t\"")?);
                self.put(&part)
            }
            _ => Ok(()),
        }
    }

    fn ask(&mut self, text: &[u8]) -> Result<(), Error> {
        self.started.get_or_insert_with(cpu);
        let find = |name| member(text, name).ok_or("a member is missing");
        let (id, number) = (find("\"requestId\"")?, find("\"n\"")?);
        let channel = std::str::from_utf8(find("\"channelName\"")?)?;
        let payload = format!(r#"{{"n":"{}"}}"#, std::str::from_utf8(number)?);
        let content = envelope(
            self.plan.order,
            "SYSTEM",
            "answer",
            channel,
            std::str::from_utf8(id)?,
            &payload,
        );
        let answer = frame(1, content.as_bytes());
        self.output.extend_from_slice(&answer);
        self.messages += 1;
        let place = |part: &[u8], of: &[u8]| memmem::find(of, part);
        if let (Some(at), Some(number), Some(answer_id), Some(answer_number)) = (
            place(id, text),
            place(NUMBER, text),
            place(id, &answer),
            place(NUMBER, &answer),
        ) && text.get(number + NUMBER.len() + DIGITS) == Some(&b'"')
        {
            let id = at..at + id.len();
            self.asks = Some(Known {
                length: text.len(),
                id,
                number,
                answer,
                answer_id,
                answer_number,
            });
        }
        Ok(())
    }

    /// Most requests are like the last, but for id and number.
    fn ask_again(&mut self, text: &[u8]) -> bool {
        const ID: &[u8] = b"\"requestId\":\"";
        let Some(known) = self.asks.as_mut().filter(|known| known.length == text.len()) else {
            return false;
        };
        let Range { start, end } = known.id.clone();
        if !text[..start].ends_with(ID) || text[end] != b'"' || !text[known.number..].starts_with(NUMBER) {
            return false;
        }
        known.answer[known.answer_id..][..end - start].copy_from_slice(&text[start..end]);
        let number = known.number + NUMBER.len();
        known.answer[known.answer_number + NUMBER.len()..][..DIGITS].copy_from_slice(&text[number..number + DIGITS]);
        self.output.extend_from_slice(&known.answer);
        self.messages += 1;
        true
    }

    fn put(&mut self, part: &[u8]) -> Result<(), Error> {
        let number = part
            .get(NUMBER.len()..NUMBER.len() + DIGITS)
            .and_then(read_digits)
            .ok_or("no number")?;
        let thread = part
            .last()
            .map_or(0, |digit| usize::from(digit.wrapping_sub(b'0')) % THREADS);
        self.puts.in_order &= self.puts.next[thread] == number;
        self.puts.next[thread] = number + 1;
        self.messages += 1;
        if self.messages == self.plan.count {
            let payload = format!(r#"{{"received":{},"in_order":{}}}"#, self.messages, self.puts.in_order);
            let done = envelope(
                self.plan.order,
                "BROADCAST",
                "done",
                &frames::channel(0),
                "done",
                &payload,
            );
            self.output.extend(frame(1, done.as_bytes()));
        }
        Ok(())
    }

    fn flood(&mut self) -> Result<(), Error> {
        let mut block = Block::new(&self.plan);
        let started = cpu();
        let mut written = 0;
        while written < self.plan.count {
            let (taken, bytes) = block.numbered(written, self.plan.count - written);
            self.write(bytes)?;
            written += taken;
        }
        self.messages += written;
        self.spent += cpu().saturating_sub(started);
        self.ended = true;
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let payload = format!(r#"{{"sent":{}}}"#, self.plan.count);
        let end = envelope(
            self.plan.order,
            "BROADCAST",
            "end",
            &frames::channel(0),
            "end",
            &payload,
        );
        Ok(self.write(&frame(1, end.as_bytes()))?)
    }

    /// Does its client have to be told that the flood is over?
    pub fn repeats_end(&self) -> bool {
        self.ended
    }

    /// Clients that lose frames may lose that one too.
    pub fn repeat_end(&mut self) -> Result<(), Error> {
        if self.ended { self.end() } else { Ok(()) }
    }

    /// It is over: a line about it.
    pub fn report(&self) {
        let spent = self.spent
            + self
                .started
                .map_or(Duration::ZERO, |started| cpu().saturating_sub(started));
        if self.messages > 0 {
            println!(
                r#"{{"kind":"{}","messages":{},"cpu_us":{}}}"#,
                self.plan.name,
                self.messages,
                spent.as_micros()
            );
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The masked frame at `at`: opcode, mask, and where its content is.
fn parse(input: &[u8], at: usize) -> Option<(u8, [u8; 4], std::ops::Range<usize>)> {
    let rest = input.get(at..)?;
    let (&first, &second) = (rest.first()?, rest.get(1)?);
    let (length, mut header) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?)), 4),
        127 => (
            usize::try_from(u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)).ok()?,
            10,
        ),
        length => (usize::from(length), 2),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        mask = rest.get(header..header + 4)?.try_into().ok()?;
        header += 4;
    }
    let range = at + header..at + header + length;
    (range.end <= input.len()).then_some((first & 0x0f, mask, range))
}

fn unmask(bytes: &mut [u8], mask: [u8; 4], from: usize) {
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(from + place) & 3];
    }
}
