//! The fault proxy: bytes between client and server, late, slow, in pieces, not at all, or cut off at a chosen byte.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Chance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Rst,
    Fin,
}

/// What happens to one direction.
#[derive(Clone, Debug, Default)]
pub struct Way {
    pub latency: Duration,
    /// Up to so much more, by chance; the order stays.
    pub jitter: Duration,
    /// Bytes per second.
    pub bandwidth: Option<u32>,
    /// Each byte is a packet of its own.
    pub bytewise: bool,
    /// Behind this byte all are swallowed, and the connection stays open.
    pub hole_after: Option<u64>,
    /// Behind this byte both connections end.
    pub cut_after: Option<(u64, Cut)>,
}

/// What happens to one connection.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    pub up: Way,
    pub down: Way,
    /// Accepted, and then silence.
    pub silent: bool,
}

struct Shared {
    target: SocketAddr,
    plan: Mutex<Box<dyn FnMut(u64) -> Fault + Send>>,
    /// All connections numbered below this end now.
    cut_below: Mutex<(u64, Option<Cut>)>,
    accepted: AtomicU64,
    refuse: AtomicBool,
    stop: AtomicBool,
    /// What was written to the server, per connection.
    record: Mutex<Vec<Vec<u8>>>,
}

pub struct Proxy {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn new(target: SocketAddr, plan: impl FnMut(u64) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            plan: Mutex::new(Box::new(plan)),
            cut_below: Mutex::new((0, None)),
            accepted: AtomicU64::new(0),
            refuse: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            record: Mutex::new(Vec::new()),
        });
        let inner = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&inner, addr, listener));
        Self {
            addr,
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn clean(target: SocketAddr) -> Self {
        Self::new(target, |_| Fault::default())
    }

    /// For the connections to come.
    pub fn plan(&self, plan: impl FnMut(u64) -> Fault + Send + 'static) {
        *self.shared.plan.lock().unwrap() = Box::new(plan);
    }

    /// Ends every connection of now.
    pub fn cut(&self, how: Cut) {
        *self.shared.cut_below.lock().unwrap() = (self.accepted(), Some(how));
    }

    /// Closes or opens the port.
    pub fn refuse(&self, on: bool) {
        self.shared.refuse.store(on, Ordering::Relaxed);
    }

    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// What was written to the server, per connection.
    pub fn record(&self) -> Vec<Vec<u8>> {
        self.shared.record.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(shared: &Arc<Shared>, addr: SocketAddr, listener: TcpListener) {
    let mut listener = Some(listener);
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        if shared.refuse.load(Ordering::Relaxed) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(addr).ok();
        }
        if let Some(listener) = &listener {
            listener.set_nonblocking(true).unwrap();
            if let Ok((client, _)) = listener.accept() {
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                let fault = (shared.plan.lock().unwrap())(number);
                shared.record.lock().unwrap().push(Vec::new());
                let shared = Arc::clone(shared);
                threads.push(std::thread::spawn(move || {
                    carry(&shared, number, &fault, client);
                }));
                continue;
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Close sends RST instead of FIN.
pub fn reset_on_close(socket: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: an open descriptor, and an option of that type and size.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(status, 0);
}

/// One direction at work.
struct Pipe<'a> {
    way: &'a Way,
    chance: Chance,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    last_due: Instant,
    passed: u64,
    ended: bool,
}

enum Went {
    On,
    Idle,
    Over(Cut),
}

impl<'a> Pipe<'a> {
    fn new(way: &'a Way, seed: u64) -> Self {
        Self {
            way,
            chance: Chance(seed),
            waiting: VecDeque::new(),
            bytes: 0,
            last_due: Instant::now(),
            passed: 0,
            ended: false,
        }
    }

    fn read(&mut self, from: &mut TcpStream) -> Went {
        if self.bytes > 256 * 1024 || self.ended {
            return Went::Idle;
        }
        let mut buf = [0; 16 * 1024];
        match from.read(&mut buf) {
            Ok(0) => {
                self.ended = true;
                Went::On
            }
            Ok(count) => {
                let jitter = self.way.jitter.as_micros() as u64;
                let late = Duration::from_micros(if jitter == 0 { 0 } else { self.chance.below(jitter) });
                let piece = if self.way.bytewise { 1 } else { count };
                let piece = if self.way.bandwidth.is_some() {
                    piece.min(512)
                } else {
                    piece
                };
                for piece in buf[..count].chunks(piece) {
                    let mut due = (Instant::now() + self.way.latency + late).max(self.last_due);
                    if let Some(rate) = self.way.bandwidth {
                        due += Duration::from_secs_f64(piece.len() as f64 / f64::from(rate));
                    }
                    self.last_due = due;
                    self.bytes += piece.len();
                    self.waiting.push_back((due, piece.to_vec()));
                }
                Went::On
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Went::Idle,
            Err(_) => Went::Over(Cut::Rst),
        }
    }

    fn write(&mut self, to: &mut TcpStream, mut record: impl FnMut(&[u8])) -> Went {
        let mut went = Went::Idle;
        while let Some((due, piece)) = self.waiting.front_mut() {
            if *due > Instant::now() {
                return went;
            }
            let mut room = piece.len() as u64;
            if let Some((at, cut)) = self.way.cut_after {
                if self.passed >= at {
                    return Went::Over(cut);
                }
                room = room.min(at - self.passed);
            }
            let open = self
                .way
                .hole_after
                .map_or(u64::MAX, |at| at.saturating_sub(self.passed));
            let count = if open == 0 {
                piece.len()
            } else {
                match to.write(&piece[..room.min(open) as usize]) {
                    Ok(count) => {
                        record(&piece[..count]);
                        count
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return went,
                    Err(_) => return Went::Over(Cut::Rst),
                }
            };
            self.passed += count as u64;
            self.bytes -= count;
            piece.drain(..count);
            if piece.is_empty() {
                self.waiting.pop_front();
            }
            went = Went::On;
        }
        if let Some((at, cut)) = self.way.cut_after
            && self.passed >= at
        {
            return Went::Over(cut);
        }
        let swallowed = self.way.hole_after.is_some_and(|at| self.passed >= at);
        if self.ended && !swallowed {
            return Went::Over(Cut::Fin);
        }
        went
    }
}

fn end(how: Cut, sockets: [&TcpStream; 2]) {
    if how == Cut::Rst {
        sockets.into_iter().for_each(reset_on_close);
    }
}

fn carry(shared: &Shared, number: u64, fault: &Fault, mut client: TcpStream) {
    client.set_nonblocking(true).unwrap();
    client.set_nodelay(true).unwrap();
    let mut server = None;
    if !fault.silent {
        match TcpStream::connect(shared.target) {
            Ok(socket) => {
                socket.set_nonblocking(true).unwrap();
                socket.set_nodelay(true).unwrap();
                server = Some(socket);
            }
            // The server is away: so is the connection.
            Err(_) => {
                reset_on_close(&client);
                return;
            }
        }
    }
    let mut up = Pipe::new(&fault.up, number);
    let mut down = Pipe::new(&fault.down, !number);
    while !shared.stop.load(Ordering::Relaxed) {
        let (below, how) = *shared.cut_below.lock().unwrap();
        if let Some(how) = how.filter(|_| number < below) {
            end(how, [&client, server.as_ref().unwrap_or(&client)]);
            return;
        }
        let mut busy = false;
        let mut steps = Vec::with_capacity(4);
        steps.push(up.read(&mut client));
        if let Some(server) = &mut server {
            steps.push(down.read(server));
            steps.push(up.write(server, |bytes| {
                if let Some(record) = shared.record.lock().unwrap().get_mut(number as usize) {
                    record.extend_from_slice(bytes);
                }
            }));
            steps.push(down.write(&mut client, |_| ()));
        } else if up.ended {
            return;
        } else {
            up.waiting.clear();
            up.bytes = 0;
        }
        for step in steps {
            match step {
                Went::On => busy = true,
                Went::Idle => {}
                Went::Over(how) => {
                    end(how, [&client, server.as_ref().unwrap_or(&client)]);
                    return;
                }
            }
        }
        if !busy {
            wait(&client, server.as_ref(), up.bytes + down.bytes > 0);
        }
    }
}

/// Until something comes, or for a moment.
fn wait(client: &TcpStream, server: Option<&TcpStream>, due: bool) {
    let entry = |socket: &TcpStream| libc::pollfd {
        fd: socket.as_raw_fd(),
        events: if due { 0 } else { libc::POLLIN },
        revents: 0,
    };
    let mut entries = [entry(client), entry(server.unwrap_or(client))];
    // SAFETY: two entries with open descriptors.
    unsafe { libc::poll(entries.as_mut_ptr(), 2, if due { 1 } else { 5 }) };
    if entries.iter().any(|entry| entry.revents & libc::POLLHUP != 0) {
        // A half that is gone would make every poll return at once.
        std::thread::sleep(Duration::from_millis(1));
    }
}
