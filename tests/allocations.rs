//! What a message costs in allocations, on all threads of the library together: one that is received none, or one where blocks are
//! not used again, as in debug builds; one that is sent none; an idle ping none.
// A test may panic, and calls the C face as a C program would.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pondsocket::client::spares;
use pondsocket::ffi::types::*;
use pondsocket::ffi::{channel::*, channel_on::*, client::*, event::*, library::*, options::*, queue::*};
use pondsocket::session::{ChannelState, EventKind};
use tokio_tungstenite::tungstenite::{Message, accept};

/// Blocks asked for, new ones and enlarged ones, except by threads of the test itself.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(true) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    if COUNTED.with(Cell::get) {
        ALLOCATIONS.fetch_add(1, SeqCst);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, size) }
    }
}

const WARM_UP: u64 = 20_000;
const FLOOD: u64 = 20_000;
/// Once for all: a list that grows a last time, a dispatch thread that starts.
const SLACK: u64 = 100;
const LIMIT: Duration = Duration::from_secs(60);

/// The library is one per process, and so is the count.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

static RECEIVED: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// A server for one connection. It writes as many messages as it is asked for, and counts pings.
struct Server {
    port: u16,
    ask: mpsc::Sender<u64>,
}

/// What came to the server.
static PINGS: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);

fn envelope(action: &str, event: &str, channel: &str, id: &str, payload: &str) -> String {
    format!(
        r#"{{"action":"{action}","event":"{event}","channelName":"{channel}","requestId":"{id}","payload":{payload}}}"#
    )
}

/// A text frame of fewer than 64 KiB.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(len @ ..=125) => frame.push(len),
        _ => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ask, asked) = mpsc::channel();
        thread::spawn(move || {
            COUNTED.set(false);
            let mut socket = accept(listener.accept().unwrap().0).unwrap();
            let hello = envelope("CONNECT", "CONNECTION", "GATEWAY", "0", "{}");
            socket.send(Message::text(hello)).unwrap();
            let join: serde_json::Value = serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap();
            let id = join["requestId"].as_str().unwrap();
            let acknowledge = envelope("SYSTEM", "ACKNOWLEDGE", "/c", id, "{}");
            socket.send(Message::text(acknowledge)).unwrap();
            let mut stream = socket.get_ref().try_clone().unwrap();
            thread::spawn(move || answer(stream.try_clone().unwrap(), &mut stream));
            let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(90));
            let message = frame(&envelope("BROADCAST", "message", "/c", "5f0c2a7e-1b2c-4d3e", &text));
            let mut stream = socket.get_ref().try_clone().unwrap();
            for messages in asked {
                stream.write_all(&message.repeat(messages as usize)).unwrap();
            }
        });
        Self { port, ask }
    }
}

/// Reads what the client sends, answers pings and counts messages; ends with the connection.
fn answer(mut reader: TcpStream, writer: &mut TcpStream) {
    COUNTED.set(false);
    let mut head = [0; 2];
    while reader.read_exact(&mut head).is_ok() {
        let (mut extended, mut mask) = ([0; 2], [0; 4]);
        let mut len = usize::from(head[1] & 127);
        if len == 126 {
            reader.read_exact(&mut extended).unwrap();
            len = u16::from_be_bytes(extended).into();
        }
        let mut payload = vec![0; len];
        if reader.read_exact(&mut mask).is_err() || reader.read_exact(&mut payload).is_err() {
            return;
        }
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        if head[0] == 0x81 {
            SENT.fetch_add(1, SeqCst);
            let text = String::from_utf8(payload.clone()).unwrap();
            if text.contains(r#""event":"ask""#) {
                let asked: serde_json::Value = serde_json::from_str(&text).unwrap();
                let id = asked["requestId"].as_str().unwrap();
                let reply = frame(&envelope("SYSTEM", "told", "/c", id, r#"{"a":1}"#));
                if writer.write_all(&reply).is_err() {
                    return;
                }
            }
        }
        if head[0] == 0x89 {
            let mut pong = vec![0x8A, head[1] & 127];
            pong.extend_from_slice(&payload);
            if writer.write_all(&pong).is_err() {
                return;
            }
            PINGS.fetch_add(1, SeqCst);
        }
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LIMIT, "{what}: not in time");
        thread::sleep(Duration::from_millis(1));
    }
}

/// As a program would read it.
fn read(event: *const pond_event) {
    unsafe {
        if pond_event_kind(event) != EventKind::Message as i32 {
            return;
        }
        let (mut name, mut payload) = (0, 0);
        pond_event_name(event, &mut name);
        pond_event_payload(event, &mut payload);
        BYTES.fetch_add((name + payload) as u64, SeqCst);
        RECEIVED.fetch_add(1, SeqCst);
    }
}

unsafe extern "C" fn on_message(event: *const pond_event, _: *mut c_void) {
    read(event);
}

/// A joined client; dropped, it ends the library.
struct Joined {
    queue: *mut pond_queue,
    channel: *mut pond_channel,
}

impl Joined {
    fn new(server: &Server, own_queue: bool, ping_interval_ms: u32) -> Self {
        let (mut options, mut queue, mut client, mut channel) = (null_mut(), null_mut(), null_mut(), null_mut());
        let url = CString::new(format!("ws://127.0.0.1:{}/socket", server.port)).unwrap();
        RECEIVED.store(0, SeqCst);
        unsafe {
            assert_eq!(pond_options_new(&mut options), 0);
            assert_eq!(pond_options_set_ping_interval_ms(options, ping_interval_ms), 0);
            if own_queue {
                assert_eq!(pond_queue_new(&mut queue), 0);
                assert_eq!(pond_options_set_queue(options, queue), 0);
            }
            assert_eq!(
                pond_client_new(url.as_ptr(), null(), options, &mut client, null_mut()),
                0
            );
            assert!(pond_client_channel(client, c"/c".as_ptr(), null(), &mut channel, null_mut()) >= 0);
            assert_eq!(
                pond_channel_on_message(channel, Some(on_message), null_mut(), None, null_mut()),
                0
            );
            assert_eq!(pond_channel_join(channel), 0);
            assert_eq!(pond_client_connect(client), 0);
            let joined = ChannelState::Joined as i32;
            assert_eq!(pond_channel_wait_state(channel, joined, 20_000, null_mut()), 0);
        }
        Self { queue, channel }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let ended = pond_shutdown(20_000);
        assert!(ended == 0 || thread::panicking());
    }
}

/// A flood after a flood: how many allocations the second one costs, with and without blocks that are used again.
fn flood(own_queue: bool, mut receive: impl FnMut(*mut pond_queue)) {
    let _alone = alone();
    flood_of(own_queue, &mut receive, false);
    flood_of(own_queue, &mut receive, true);
}

fn flood_of(own_queue: bool, receive: &mut impl FnMut(*mut pond_queue), again: bool) {
    spares::set_on(again);
    let server = Server::start();
    let joined = Joined::new(&server, own_queue, 0);
    let mut take = |messages: u64| {
        let goal = RECEIVED.load(SeqCst) + messages;
        server.ask.send(messages).unwrap();
        let started = Instant::now();
        while RECEIVED.load(SeqCst) < goal {
            assert!(started.elapsed() < LIMIT, "the messages do not come");
            receive(joined.queue);
        }
    };
    take(WARM_UP);
    let before = ALLOCATIONS.load(SeqCst);
    take(FLOOD);
    let cost = ALLOCATIONS.load(SeqCst) - before;
    println!("{cost} allocations for {FLOOD} messages");
    if again {
        // Blocks that waited longer than the others in the queue, or came back in too great a number.
        assert!(cost <= FLOOD / 2, "{cost} allocations for {FLOOD} messages");
    } else {
        assert!(cost >= FLOOD, "the count counts: an event has a block of its own");
        assert!(cost <= FLOOD + SLACK, "{cost} allocations for {FLOOD} messages");
    }
    assert!(BYTES.load(SeqCst) >= RECEIVED.load(SeqCst) * 100);
}

#[test]
fn a_message_that_is_pulled_costs_one_allocation_at_most() {
    flood(true, |queue| {
        let mut event = null_mut();
        if unsafe { pond_queue_next(queue, 100, &mut event) } == 0 {
            read(event);
            unsafe { pond_event_free(event) };
        }
    });
}

#[test]
fn a_message_that_is_pulled_among_others_costs_one_allocation_at_most() {
    flood(true, |queue| {
        let mut events = [null_mut(); 64];
        let mut count = 0;
        if unsafe { pond_queue_next_many(queue, 100, events.as_mut_ptr(), 64, &mut count) } == 0 {
            for event in &events[..count as usize] {
                read(*event);
                unsafe { pond_event_free(*event) };
            }
        }
    });
}

#[test]
fn a_message_that_is_dispatched_costs_one_allocation_at_most() {
    flood(true, |queue| {
        if pond_queue_dispatch(queue, 0, 0) == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    });
}

#[test]
fn a_message_to_a_library_thread_costs_one_allocation_at_most() {
    flood(false, |_| thread::sleep(Duration::from_millis(1)));
}

#[test]
fn an_idle_ping_costs_no_allocation() {
    let _alone = alone();
    let server = Server::start();
    let _joined = Joined::new(&server, true, 5);
    let pings = |count: u64| {
        let goal = PINGS.load(SeqCst) + count;
        until("pings", || PINGS.load(SeqCst) >= goal);
    };
    pings(20);
    let before = ALLOCATIONS.load(SeqCst);
    pings(100);
    let cost = ALLOCATIONS.load(SeqCst) - before;
    println!("{cost} allocations for 100 pings");
    assert!(cost <= 2, "{cost} allocations for 100 pings");
}

#[test]
fn a_message_that_is_sent_costs_no_allocation() {
    let _alone = alone();
    let server = Server::start();
    let joined = Joined::new(&server, true, 0);
    let send = |messages: u64| {
        let goal = SENT.load(SeqCst) + messages;
        for _ in 0..messages {
            let sent = unsafe { pond_channel_send(joined.channel, c"m".as_ptr(), c"{\"a\":1}".as_ptr(), null_mut()) };
            assert_eq!(sent, 0);
        }
        until("messages", || SENT.load(SeqCst) >= goal);
    };
    // So many that all of them fit into what may wait to be written.
    send(5_000);
    let before = ALLOCATIONS.load(SeqCst);
    send(5_000);
    let cost = ALLOCATIONS.load(SeqCst) - before;
    println!("{cost} allocations for 5000 messages sent");
    // The buffer in which they wait grows with them.
    assert!(cost <= SLACK, "{cost} allocations for 5000 messages sent");
}

/// Requests by the window: how many allocations the second half of them costs. `allowed`: for each of them.
fn requests(own_queue: bool, handler: pond_event_fn, allowed: u64) {
    const REQUESTS: u64 = 5_000;
    const WINDOW: u64 = 50;
    let _alone = alone();
    let server = Server::start();
    let joined = Joined::new(&server, own_queue, 0);
    let ask = || {
        let goal = RECEIVED.load(SeqCst) + REQUESTS;
        for _ in 0..REQUESTS / WINDOW {
            let part = RECEIVED.load(SeqCst) + WINDOW;
            for _ in 0..WINDOW {
                let asked = unsafe {
                    pond_channel_request(
                        joined.channel,
                        c"ask".as_ptr(),
                        c"{}".as_ptr(),
                        0,
                        handler,
                        0x77 as *mut c_void,
                        None,
                        null_mut(),
                        null_mut(),
                    )
                };
                assert_eq!(asked, 0);
            }
            until("replies", || {
                let mut event = null_mut();
                while own_queue && unsafe { pond_queue_next(joined.queue, 0, &mut event) } == 0 {
                    on_reply_with(event);
                    unsafe { pond_event_free(event) };
                }
                RECEIVED.load(SeqCst) >= part
            });
        }
        assert_eq!(RECEIVED.load(SeqCst), goal);
    };
    ask();
    let before = ALLOCATIONS.load(SeqCst);
    ask();
    let cost = ALLOCATIONS.load(SeqCst) - before;
    println!("{cost} allocations for {REQUESTS} requests");
    assert!(
        cost <= allowed * REQUESTS + SLACK,
        "{cost} allocations for {REQUESTS} requests"
    );
}

fn on_reply_with(event: *const pond_event) {
    unsafe {
        if pond_event_kind(event) == EventKind::Reply as i32 {
            assert_eq!(
                (pond_event_status(event), pond_event_user_data(event) as usize),
                (0, 0x77)
            );
            RECEIVED.fetch_add(1, SeqCst);
        }
    }
}

unsafe extern "C" fn on_reply(event: *const pond_event, _: *mut c_void) {
    on_reply_with(event);
}

#[test]
fn a_request_whose_reply_is_pulled_costs_no_more_than_a_message() {
    requests(true, None, 1);
}

#[test]
fn a_request_with_a_handler_costs_one_allocation_more() {
    requests(false, Some(on_reply), 2);
}
