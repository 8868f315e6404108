//! A server for measurements: one thread, one `poll` loop, frames made beforehand and written in large pieces.
//!
//!     bench-server [--tls-dir DIR]
//!
//! prints one line, `{"ws":"ws://127.0.0.1:PORT","wss":"wss://localhost:PORT"}` (wss only with `--tls-dir`, where it writes
//! `ca.pem`), then one line of JSON for each connection that ended and had work done: kind, messages and the server's own CPU time.
//! The path of a connection says what it is about: `/KIND/COUNT/CHANNELS/ORDER`, see [`plan`]. Whatever it is about, the connection
//! gets a CONNECTION, each JOIN_CHANNEL an ACKNOWLEDGE, and these events of BROADCASTs are obeyed:
//!
//! - `go`: COUNT frames of that KIND follow at once, to the CHANNELS channels in turn, then an `end` every 300 ms;
//! - `ask`: a reply of the same requestId with the payload's number;
//! - `put`: is counted; when COUNT of them have come, a `done` follows that tells how many and whether each thread's came in order.

mod connection;
mod frames;
mod plan;
mod tls;

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Instant;

use connection::{Connection, Next, READ};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub type Error = Box<dyn std::error::Error>;

const REPEAT_END: u16 = 300;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut tls_dir = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tls-dir" => tls_dir = Some(arguments.next().ok_or("--tls-dir needs a directory")?),
            other => return Err(format!("no such argument: {other}").into()),
        }
    }
    let plain = TcpListener::bind("127.0.0.1:0")?;
    let mut listeners = vec![(plain, None)];
    let mut greeting = format!("{{\"ws\":\"ws://{}\"", listeners[0].0.local_addr()?);
    if let Some(dir) = tls_dir {
        let config = tls::config(dir.as_ref())?;
        let secure = TcpListener::bind("127.0.0.1:0")?;
        greeting.push_str(&format!(",\"wss\":\"wss://localhost:{}\"", secure.local_addr()?.port()));
        listeners.push((secure, Some(config)));
    }
    println!("{greeting}}}");
    std::io::stdout().flush()?;
    for (listener, _) in &listeners {
        listener.set_nonblocking(true)?;
    }

    let mut connections: Vec<Connection> = Vec::new();
    let mut scratch = vec![0; READ];
    let mut last_end = Instant::now();
    loop {
        let mut watched: Vec<PollFd<'_>> = Vec::with_capacity(listeners.len() + connections.len());
        watched.extend(
            listeners
                .iter()
                .map(|(listener, _)| PollFd::new(listener.as_fd(), PollFlags::POLLIN)),
        );
        watched.extend(
            connections
                .iter()
                .map(|connection| PollFd::new(connection.as_fd(), PollFlags::POLLIN)),
        );
        let ending = connections.iter().any(Connection::repeats_end);
        match poll(
            &mut watched,
            if ending {
                PollTimeout::from(REPEAT_END)
            } else {
                PollTimeout::NONE
            },
        ) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = watched.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        drop(watched);
        let mut index = listeners.len();
        connections.retain_mut(|connection| {
            let is_ready = ready.get(index).copied().unwrap_or(false);
            index += 1;
            if !is_ready {
                return true;
            }
            match connection.readable(&mut scratch) {
                Ok(Next::Stay) => true,
                Ok(Next::Gone) | Err(_) => {
                    connection.report();
                    false
                }
            }
        });
        if ending && last_end.elapsed().as_millis() >= u128::from(REPEAT_END) {
            last_end = Instant::now();
            connections.retain_mut(|connection| connection.repeat_end().is_ok());
        }
        for (place, (listener, config)) in listeners.iter().enumerate() {
            if !ready[place] {
                continue;
            }
            while let Ok((socket, _)) = listener.accept() {
                match Connection::accept(socket, config.as_ref(), &mut scratch) {
                    Ok(connection) => connections.push(connection),
                    Err(error) => eprintln!("bench-server: a connection failed: {error}"),
                }
            }
        }
    }
}
