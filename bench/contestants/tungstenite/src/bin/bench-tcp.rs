//! TCP alone: the limit. It counts bytes; that they are the right ones, and in order, TCP says.

use std::io::{Read, Write};
use std::net::TcpStream;

use bench_tungstenite::{Error, Task, Template, Watch, request, resident_kib, since_start};

/// A masked frame; the mask is zero.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// The length of the frame that begins here.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes.get(1)? {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        127 => 10 + u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
        length => 2 + usize::from(length),
    })
}

struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Socket {
    fn read(&mut self) -> Result<usize, Error> {
        match self.stream.read(&mut self.buffer)? {
            0 => Err("closed".into()),
            read => Ok(read),
        }
    }

    /// Reads and drops so many frames; nothing may follow them.
    fn drop_frames(&mut self, count: u32) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let (mut left, mut at) = (count, 0);
        loop {
            while let Some(length) = frame_length(&bytes[at..]).filter(|length| at + length <= bytes.len()) {
                at += length;
                left -= 1;
            }
            if left == 0 {
                return Ok(());
            }
            let read = self.read()?;
            bytes.extend_from_slice(&self.buffer[..read]);
        }
    }
}

fn joined(task: &Task, buffer: usize) -> Result<Socket, Error> {
    let (host, path) = task.address()?;
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut socket = Socket {
        stream,
        buffer: vec![0; buffer],
    };
    write!(
        socket.stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    // The head is read byte by byte, so that no frame is read with it.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut joins = Vec::new();
    for channel in 0..task.channels {
        joins.extend(frame(&request(
            "JOIN_CHANNEL",
            "JOIN_CHANNEL",
            channel,
            u64::from(channel),
            "{}",
        )));
    }
    socket.stream.write_all(&joins)?;
    socket.drop_frames(1 + task.channels)?;
    Ok(socket)
}

fn flood(task: &Task) -> Result<(), Error> {
    let mut socket = joined(task, 128 << 10)?;
    let watch = Watch::start();
    socket
        .stream
        .write_all(&frame(&request("BROADCAST", "go", 0, 0, "{}")))?;
    let mut bytes = socket.read()? as u64;
    let length = frame_length(&socket.buffer).ok_or("no header")? as u64;
    while bytes < task.count * length {
        bytes += socket.read()? as u64;
    }
    watch.report(task.count, true);
    Ok(())
}

fn ask(task: &Task, window: u64) -> Result<(), Error> {
    let mut socket = joined(task, 128 << 10)?;
    let template = Template::new("ask", false);
    let watch = Watch::start();
    let (mut asked, mut bytes, mut length) = (0, 0, u64::MAX);
    while length == u64::MAX || bytes < task.count * length {
        let answered = bytes / length;
        let mut together = Vec::new();
        while asked < task.count && asked < answered + window {
            together.extend_from_slice(&frame(&template.make(asked)));
            asked += 1;
        }
        socket.stream.write_all(&together)?;
        bytes += socket.read()? as u64;
        if length == u64::MAX {
            length = frame_length(&socket.buffer).ok_or("no header")? as u64;
        }
    }
    watch.report(bytes / length, true);
    Ok(())
}

fn put(task: &Task) -> Result<(), Error> {
    let mut socket = joined(task, 128 << 10)?;
    let template = Template::new("put", true);
    let watch = Watch::start();
    // One piece of frames, in which only the numbers change.
    const PIECE: u64 = 256;
    let one = frame(&template.make(0));
    let place = memchr::memmem::find(&one, b"\"n\":\"").ok_or("no number")? + 5;
    let mut piece = one.repeat(PIECE as usize);
    let mut sent = 0;
    while sent < task.count {
        let taken = PIECE.min(task.count - sent);
        for (frame, number) in piece.chunks_exact_mut(one.len()).zip(sent..sent + taken) {
            let mut rest = number;
            for digit in frame[place..place + 8].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        socket.stream.write_all(&piece[..taken as usize * one.len()])?;
        sent += taken;
    }
    let read = socket.read()?;
    let done = String::from_utf8_lossy(&socket.buffer[..read]).into_owned();
    watch.report(task.count, done.contains(r#""in_order":true"#));
    Ok(())
}

fn main() -> Result<(), Error> {
    let task = Task::from_arguments_after(0)?;
    match task.mode.as_str() {
        "flood" => flood(&task),
        "ask1" => ask(&task, 1),
        "ask64" => ask(&task, 64),
        "put" => put(&task),
        "idle" => {
            let before = resident_kib()?;
            let mut sockets = Vec::new();
            for _ in 0..task.count {
                let mut socket = joined(&task, 4096)?;
                // What the system holds is not counted; a loop needs one buffer for all.
                socket.buffer = Vec::new();
                sockets.push(socket);
            }
            println!(
                r#"{{"connections":{},"rss_kib":{}}}"#,
                sockets.len(),
                resident_kib()? - before
            );
            Ok(())
        }
        "start" => {
            let _socket = joined(&task, 4096)?;
            println!(r#"{{"joined_us":{}}}"#, since_start()?);
            Ok(())
        }
        _ => Err("no such mode".into()),
    }
}
