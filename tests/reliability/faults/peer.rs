//! A program: one client with a queue, through the exported functions, and every event judged as it comes.

use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use pondsocket::ffi::types::{pond_channel, pond_client, pond_error, pond_event, pond_options, pond_queue};
use pondsocket::ffi::{channel, client, error, event, options, queue};
use pondsocket::session::status;

use super::oracle::Oracle;

pub const CLIENT_STATE: i32 = 1;
pub const CLIENT_ERROR: i32 = 2;
pub const CLIENT_MESSAGE: i32 = 3;
pub const CHANNEL_STATE: i32 = 11;
pub const MESSAGE: i32 = 12;
pub const PRESENCE: i32 = 13;
pub const CHANNEL_ERROR: i32 = 14;
pub const REPLY: i32 = 15;
pub const DROPPED: i32 = 16;

pub const DISCONNECTED: i32 = 1;
pub const JOINED: i32 = 13;

/// A pulled event, copied.
#[derive(Clone, Debug, Default)]
pub struct Ev {
    pub kind: i32,
    pub status: i32,
    pub state: i32,
    pub previous: i32,
    pub http_status: i32,
    pub close_code: i32,
    pub retry_ms: u32,
    pub in_doubt: u32,
    pub count: u32,
    pub ticket: u64,
    pub name: String,
    pub payload: String,
    pub users: String,
    pub message: String,
    pub channel: String,
}

type Text = unsafe extern "C" fn(*const pond_event, *mut usize) -> *const std::ffi::c_char;

fn text(from: *const pond_event, read: Text) -> String {
    let mut len = 0;
    // SAFETY: a live event; the string it lends has `len` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(read(from, &raw mut len).cast::<u8>(), len) };
    std::str::from_utf8(bytes).expect("strings out are UTF-8").to_owned()
}

impl Ev {
    fn take(from: *mut pond_event) -> Self {
        // SAFETY: a live event of ours, freed below.
        let ev = unsafe {
            Self {
                kind: event::pond_event_kind(from),
                status: event::pond_event_status(from),
                state: event::pond_event_state(from),
                previous: event::pond_event_previous_state(from),
                http_status: event::pond_event_http_status(from),
                close_code: event::pond_event_close_code(from),
                retry_ms: event::pond_event_retry_ms(from),
                in_doubt: event::pond_event_in_doubt(from),
                count: event::pond_event_count(from),
                ticket: event::pond_event_ticket(from),
                name: text(from, event::pond_event_name),
                payload: text(from, event::pond_event_payload),
                users: text(from, event::pond_event_users),
                message: text(from, event::pond_event_message),
                channel: text(from, event::pond_event_channel_name),
            }
        };
        // SAFETY: it was handed to us.
        unsafe { event::pond_event_free(from) };
        ev
    }
}

/// The times of a client, short so that much can be tried.
#[derive(Clone, Debug)]
pub struct Rules {
    pub connect_ms: u32,
    pub join_ms: u32,
    pub response_ms: u32,
    pub backoff: (u32, u32),
    pub ping_ms: u32,
    pub pong_ms: u32,
    pub queue_limit: u32,
    pub overflow: i32,
    pub max_in: u64,
    pub inbound: (u32, u64),
    pub ca_pem: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connect_ms: 1_000,
            join_ms: 1_000,
            response_ms: 3_000,
            backoff: (10, 100),
            ping_ms: 150,
            pong_ms: 300,
            queue_limit: 10_000,
            overflow: 1,
            max_in: 1 << 20,
            inbound: (10_000, 4 << 20),
            ca_pem: None,
        }
    }
}

impl Rules {
    /// The longest way from a healed network to JOINED: a dead link is noticed, the backoff of the dial that still fails
    /// and of the next one, a dial and a join in time.
    pub fn healed_within(&self) -> Duration {
        let ms = self.ping_ms + 3 * self.pong_ms + 2 * self.backoff.1 + 2 * self.connect_ms + self.join_ms;
        Duration::from_millis(u64::from(ms))
    }
}

/// The program.
pub struct Peer {
    pub client: *mut pond_client,
    queue: *mut pond_queue,
    pub oracle: Oracle,
    /// All events that were pulled and not taken.
    pub seen: Vec<Ev>,
}

fn ok(what: &str, status: i32) {
    assert_eq!(status, status::OK, "{what}");
}

fn explain(error: *mut pond_error) -> String {
    // SAFETY: NULL or an error of ours, freed here.
    unsafe {
        let message = CStr::from_ptr(error::pond_error_message(error, null_mut()))
            .to_string_lossy()
            .into_owned();
        error::pond_error_free(error);
        message
    }
}

impl Peer {
    pub fn new(url: &str, rules: &Rules) -> Self {
        let mut opts: *mut pond_options = null_mut();
        let mut queue_: *mut pond_queue = null_mut();
        let mut client_: *mut pond_client = null_mut();
        let mut error: *mut pond_error = null_mut();
        // SAFETY: outputs are writable, handles are keys.
        unsafe {
            ok("options", options::pond_options_new(&raw mut opts));
            ok("queue", queue::pond_queue_new(&raw mut queue_));
        }
        ok("queue", options::pond_options_set_queue(opts, queue_));
        ok(
            "connect",
            options::pond_options_set_connect_timeout_ms(opts, rules.connect_ms),
        );
        ok("join", options::pond_options_set_join_timeout_ms(opts, rules.join_ms));
        ok(
            "response",
            options::pond_options_set_response_timeout_ms(opts, rules.response_ms),
        );
        let (base, max) = rules.backoff;
        ok("backoff", options::pond_options_set_backoff_ms(opts, base, max));
        ok("ping", options::pond_options_set_ping_interval_ms(opts, rules.ping_ms));
        ok("pong", options::pond_options_set_pong_timeout_ms(opts, rules.pong_ms));
        ok("limit", options::pond_options_set_queue_limit(opts, rules.queue_limit));
        ok("overflow", options::pond_options_set_overflow(opts, rules.overflow));
        ok("grace", options::pond_options_set_legacy_grace_ms(opts, 0));
        ok(
            "message",
            options::pond_options_set_max_message_bytes(opts, rules.max_in, 512 << 10),
        );
        let (events, bytes) = rules.inbound;
        ok("inbound", options::pond_options_set_inbound_limit(opts, events, bytes));
        if let Some(pem) = &rules.ca_pem {
            let pem = CString::new(pem.as_str()).unwrap();
            // SAFETY: NUL-terminated.
            ok("ca", unsafe { options::pond_options_set_ca_pem(opts, pem.as_ptr()) });
        }
        let url = CString::new(url).unwrap();
        // SAFETY: NUL-terminated strings, writable outputs.
        let made = unsafe { client::pond_client_new(url.as_ptr(), null(), opts, &raw mut client_, &raw mut error) };
        assert_eq!(made, status::OK, "{}", explain(error));
        ok("options", options::pond_options_free(opts));
        Self {
            client: client_,
            queue: queue_,
            oracle: Oracle::default(),
            seen: Vec::new(),
        }
    }

    pub fn connect(&self) {
        ok("connect", client::pond_client_connect(self.client));
    }

    pub fn channel(&self, name: &str) -> *mut pond_channel {
        let name = CString::new(name).unwrap();
        let mut out: *mut pond_channel = null_mut();
        // SAFETY: NUL-terminated, writable.
        let made = unsafe { client::pond_client_channel(self.client, name.as_ptr(), null(), &raw mut out, null_mut()) };
        assert!(made >= 0, "channel: {made}");
        ok("join", channel::pond_channel_join(out));
        out
    }

    pub fn send(&self, to: *mut pond_channel, name: &str, payload: &str) -> i32 {
        let name = CString::new(name).unwrap();
        let payload = CString::new(payload).unwrap();
        // SAFETY: NUL-terminated.
        unsafe { channel::pond_channel_send(to, name.as_ptr(), payload.as_ptr(), null_mut()) }
    }

    /// A request whose reply is pulled; its ticket, or the status.
    pub fn request(&mut self, to: *mut pond_channel, name: &str, payload: &str) -> Result<u64, i32> {
        let name = CString::new(name).unwrap();
        let text = CString::new(payload).unwrap();
        let mut ticket = 0;
        let (fn_, data, destroy) = (None, null_mut(), None);
        // SAFETY: NUL-terminated, writable.
        let status = unsafe {
            channel::pond_channel_request(
                to,
                name.as_ptr(),
                text.as_ptr(),
                0,
                fn_,
                data,
                destroy,
                &raw mut ticket,
                null_mut(),
            )
        };
        if status != status::OK {
            return Err(status);
        }
        self.oracle.asked(ticket, payload);
        Ok(ticket)
    }

    pub fn stats(&self) -> client::pond_stats {
        // SAFETY: plain numbers, for which zero is a value.
        let mut out: client::pond_stats = unsafe { std::mem::zeroed() };
        let size = size_of::<client::pond_stats>();
        // SAFETY: writable, of that size.
        ok("stats", unsafe {
            client::pond_client_stats(self.client, &raw mut out, size)
        });
        out
    }

    pub fn flushed(&self, limit: Duration) -> bool {
        client::pond_client_flush(self.client, limit.as_millis() as u32) == status::OK
    }

    /// Pulls what is there, waiting at most so long for the first; every event is judged.
    pub fn pump(&mut self, wait: Duration) -> usize {
        let mut events: [*mut pond_event; 256] = [null_mut(); 256];
        let mut count = 0;
        // SAFETY: room for 256.
        let status = unsafe {
            queue::pond_queue_next_many(
                self.queue,
                wait.as_millis() as u32,
                events.as_mut_ptr(),
                256,
                &raw mut count,
            )
        };
        if status != status::OK {
            assert!(matches!(status, status::TIMEOUT | status::EMPTY), "pull: {status}");
            return 0;
        }
        for raw in &events[..count as usize] {
            let ev = Ev::take(*raw);
            self.oracle.judge(&ev);
            self.seen.push(ev);
        }
        count as usize
    }

    /// Pulls for so long.
    pub fn pump_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.pump(left.max(Duration::from_millis(1)));
        }
    }

    /// Waits for an event, and takes everything up to it out of `seen`.
    pub fn wait(&mut self, what: &str, limit: Duration, mut wanted: impl FnMut(&Ev) -> bool) -> Ev {
        let end = Instant::now() + limit;
        let mut from = 0;
        loop {
            if let Some(at) = self.seen[from..].iter().position(&mut wanted) {
                return self.seen.drain(..=from + at).next_back().unwrap();
            }
            from = self.seen.len();
            if Instant::now() > end {
                let last: Vec<String> = self.seen.iter().rev().take(8).map(brief).collect();
                panic!("not within {limit:?}: {what}; last events: {last:#?}");
            }
            self.pump(Duration::from_millis(20));
        }
    }

    pub fn wait_joined(&mut self, channel: &str, limit: Duration) {
        self.wait(&format!("{channel} JOINED"), limit, |ev| {
            ev.kind == CHANNEL_STATE && ev.state == JOINED && ev.channel == channel
        });
    }
}

fn brief(ev: &Ev) -> String {
    format!(
        "kind {} status {} state {} {} {} {:.100} {}",
        ev.kind, ev.status, ev.state, ev.channel, ev.name, ev.payload, ev.message
    )
}

impl Drop for Peer {
    fn drop(&mut self) {
        client::pond_client_free(self.client);
        queue::pond_queue_free(self.queue);
    }
}
