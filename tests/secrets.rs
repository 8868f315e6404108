//! Tokens and payloads never reach the log, an error text or Debug output; header and query values cannot inject lines.
// A test may panic, and calls the C face as a C program would.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server.rs"]
mod server;

use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pondsocket::client::net::{DialRequest, Endpoint, Inbound};
use pondsocket::ffi::{channel::*, client::*, error::*, event::*, library::*, options::*, types::*};
use pondsocket::protocol::parse_frame;
use pondsocket::session::{Config, EventKind, EventMut, Field, Session, status};

use server::Server;

/// Every secret of these tests has this in it.
const SECRET: &str = "s3cr3t";
const WAIT: u32 = 20_000;
const TRACE: i32 = 5;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The log sink is one per process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    LOG.lock().unwrap_or_else(PoisonError::into_inner).clear();
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).clear();
    assert_eq!(unsafe { pond_log_set(TRACE, Some(on_log), null_mut(), None) }, 0);
    guard
}

fn text(text: *const c_char) -> String {
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn on_log(event: *const pond_event, _: *mut c_void) {
    let message = text(unsafe { pond_event_message(event, null_mut()) });
    LOG.lock().unwrap_or_else(PoisonError::into_inner).push(message);
}

/// What an event says for people; the payload is the program's own affair.
unsafe extern "C" fn on_event(event: *const pond_event, _: *mut c_void) {
    let words = unsafe {
        [
            pond_event_message(event, null_mut()),
            pond_event_error_code(event, null_mut()),
        ]
    };
    TOLD.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(words.map(text));
}

/// Takes an error object apart.
fn tell(error: *mut pond_error) {
    let words = unsafe {
        [
            pond_error_code(error, null_mut()),
            pond_error_message(error, null_mut()),
            pond_error_details(error, null_mut()),
        ]
    };
    TOLD.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(words.map(text));
    unsafe { pond_error_free(error) };
}

/// A call that fails, and the error that it tells.
fn refused(expected: i32, call: impl FnOnce(*mut *mut pond_error) -> i32) {
    let mut error = null_mut();
    assert_eq!(call(&mut error), expected);
    assert!(!error.is_null());
    tell(error);
}

fn no_secret(what: &str, lines: &Mutex<Vec<String>>, at_least: usize) {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lines.len() >= at_least, "{what}: only {lines:?}");
    for line in lines.iter() {
        assert!(!line.contains(SECRET), "{what} leaks: {line}");
    }
}

fn within(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition did not come about in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// Refuses every upgrade with 401 and keeps what it was asked.
fn refuser() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(String::from_utf8_lossy(&head).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (port, heads)
}

fn client(url: &str, params: Option<&str>) -> *mut pond_client {
    let (mut client, mut options) = (null_mut(), null_mut());
    let (url, params) = (c(url), params.map(c));
    let params = params.as_ref().map_or(null(), |params| params.as_ptr());
    unsafe {
        assert_eq!(pond_options_new(&mut options), 0);
        let bearer = c(&format!("Bearer {SECRET}-header"));
        assert_eq!(
            pond_options_set_header(options, c"Authorization".as_ptr(), bearer.as_ptr()),
            0
        );
        assert_eq!(pond_options_set_max_reconnect_attempts(options, 0), 0);
        assert_eq!(
            pond_client_new(url.as_ptr(), params, options, &mut client, null_mut()),
            0
        );
        assert_eq!(pond_options_free(options), 0);
        assert_eq!(
            pond_client_on_state(client, Some(on_event), null_mut(), None, null_mut()),
            0
        );
    }
    client
}

fn channel(client: *mut pond_client) -> *mut pond_channel {
    let (mut channel, params) = (null_mut(), c(&format!(r#"{{"password":"{SECRET}-join"}}"#)));
    let name = c"/room".as_ptr();
    assert_eq!(
        unsafe { pond_client_channel(client, name, params.as_ptr(), &mut channel, null_mut()) },
        0
    );
    channel
}

#[test]
fn a_conversation_leaves_no_secret_behind() {
    let _one = alone();
    let server = Server::start();
    let url = format!("{}?token={SECRET}-url", server.url());
    let client = client(&url, Some(&format!(r#"{{"key":"{SECRET}-param"}}"#)));
    let channel = channel(client);
    assert_eq!(pond_client_connect(client), 0);
    assert_eq!(unsafe { pond_client_wait_state(client, 3, WAIT, null_mut()) }, 0);
    assert_eq!(pond_channel_join(channel), 0);
    assert_eq!(unsafe { pond_channel_wait_state(channel, 13, WAIT, null_mut()) }, 0);
    let payload = c(&format!(r#"{{"text":"{SECRET}-payload"}}"#));
    let mut reply = null_mut();
    let answer = unsafe {
        pond_channel_call(
            channel,
            c"echo".as_ptr(),
            payload.as_ptr(),
            WAIT,
            &mut reply,
            null_mut(),
        )
    };
    assert_eq!(answer, 0);
    let echoed = text(unsafe { pond_event_payload(reply, null_mut()) });
    assert!(echoed.contains(SECRET), "it was on the wire");
    unsafe { pond_event_free(reply) };
    refused(status::SERVER, |error| unsafe {
        pond_channel_call(
            channel,
            c"refuse".as_ptr(),
            payload.as_ptr(),
            WAIT,
            &mut null_mut(),
            error,
        )
    });
    // Nobody handles the errors, so they are logged: a frame that is none, an eviction, a Close, in the server's words.
    for event in [c"garble", c"evict", c"close"] {
        assert_eq!(pond_channel_join(channel), 0);
        assert_eq!(unsafe { pond_channel_wait_state(channel, 13, WAIT, null_mut()) }, 0);
        let sent = unsafe { pond_channel_send(channel, event.as_ptr(), payload.as_ptr(), null_mut()) };
        assert_eq!(sent, 0);
        let left = if event == c"evict" { 15 } else { 13 };
        if event != c"close" {
            assert_eq!(unsafe { pond_channel_wait_state(channel, left, WAIT, null_mut()) }, 0);
        }
    }
    assert_eq!(unsafe { pond_client_wait_state(client, 1, WAIT, null_mut()) }, 0);
    // Given up: what is still sent is dropped with the channel, without a handler.
    assert_eq!(
        unsafe { pond_channel_send(channel, c"late".as_ptr(), payload.as_ptr(), null_mut()) },
        0
    );
    assert_eq!(pond_channel_leave(channel), 0);
    within(|| {
        LOG.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|line| line.contains("dropped"))
    });
    assert_eq!(pond_client_free(client), 0);
    no_secret("the log", &LOG, 8);
    assert!(
        LOG.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|line| line.contains("POND_ERROR_EVICTED"))
    );
    assert_eq!(pond_shutdown(WAIT), 0);
}

#[test]
fn failed_dials_leave_no_secret_behind() {
    let _one = alone();
    let (refusing, _) = refuser();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = Server::start().url().replace("ws://", "wss://");
    let dials = [
        (
            format!("ws://127.0.0.1:{refusing}/{SECRET}?token={SECRET}-url"),
            status::HTTP,
        ),
        (format!("ws://127.0.0.1:{closed}/?token={SECRET}-url"), status::CONNECT),
        (format!("{plain}?token={SECRET}-url"), status::TLS),
    ];
    for (url, expected) in dials {
        let client = client(&url, Some(&format!(r#"{{"key":"{SECRET}-param"}}"#)));
        assert_eq!(pond_client_connect(client), 0);
        refused(expected, |error| unsafe {
            pond_client_wait_state(client, 3, WAIT, error)
        });
        assert_eq!(pond_client_free(client), 0);
    }
    no_secret("an error", &TOLD, 9);
    no_secret("the log", &LOG, 6);
    assert_eq!(pond_shutdown(WAIT), 0);
}

#[test]
fn refused_arguments_are_not_quoted() {
    let _one = alone();
    let mut out = null_mut();
    let new = |url: &str, params: &str, error: *mut *mut pond_error, out: *mut *mut pond_client| {
        let (url, params) = (c(url), c(params));
        unsafe { pond_client_new(url.as_ptr(), params.as_ptr(), null_mut(), out, error) }
    };
    for url in [
        "ws://u:s3cr3t@h/",
        "s3cr3t",
        "ws://h:s3cr3t/",
        "ftp://h/?s3cr3t",
        "ws:// h/?s3cr3t",
        "ws://h/%s3cr3t?a b",
    ] {
        refused(status::INVALID_URL, |error| new(url, "{}", error, &mut out));
    }
    for params in [
        "s3cr3t",
        r#"{"a":s3cr3t}"#,
        r#"{"s3cr3t"}"#,
        r#"["s3cr3t"]"#,
        r#"{"a":"s3cr3t"#,
    ] {
        refused(status::INVALID_JSON, |error| new("ws://h/", params, error, &mut out));
    }
    let client = client("ws://127.0.0.1:1/", None);
    let channel = channel(client);
    for payload in ["s3cr3t", r#"{"a":s3cr3t}"#, r#"["s3cr3t"]"#, "{\"s3cr3t"] {
        let payload = c(payload);
        refused(status::INVALID_JSON, |error| unsafe {
            pond_channel_send(channel, c"e".as_ptr(), payload.as_ptr(), error)
        });
    }
    let large = c(&format!(r#"{{"a":"{}"}}"#, SECRET.repeat(200_000)));
    refused(status::TOO_LARGE, |error| unsafe {
        pond_channel_send(channel, c"e".as_ptr(), large.as_ptr(), error)
    });
    assert_eq!(pond_client_free(client), 0);
    no_secret("an error", &TOLD, 40);
    no_secret("the log", &LOG, 0);
    assert_eq!(pond_shutdown(WAIT), 0);
}

#[test]
fn headers_and_query_cannot_inject_lines() {
    let _one = alone();
    let (port, heads) = refuser();
    let params = r#"{"a":"1\r\nX-Injected: 1\r\n\r\n","b\r\nX-Injected":" HTTP/1.1\r\nX-Injected: 2"}"#;
    let client = client(&format!("ws://127.0.0.1:{port}/"), Some(params));
    for (name, value) in [
        (c"X-A", c"v\r\nX-Injected: 3"),
        (c"X-A", c"v\nX-Injected: 3"),
        (c"X-A\r\nX-Injected", c"v"),
        (c"X-A: b\r\nX-Injected", c"v"),
        (c"X A", c"v"),
        (c"X-A", c"v\rX-Injected: 3"),
    ] {
        let answer = unsafe { pond_client_set_header(client, name.as_ptr(), value.as_ptr()) };
        assert_eq!(answer, status::INVALID_ARGUMENT, "{name:?}: {value:?}");
    }
    assert_eq!(pond_client_connect(client), 0);
    refused(status::HTTP, |error| unsafe {
        pond_client_wait_state(client, 3, WAIT, error)
    });
    assert_eq!(pond_client_free(client), 0);
    let heads = heads.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(heads.len(), 1);
    for line in heads[0].split("\r\n") {
        assert!(!line.to_ascii_lowercase().starts_with("x-injected"), "{:?}", heads[0]);
        assert!(!line.contains(['\r', '\n']));
    }
    assert_eq!(heads[0].matches("\r\n\r\n").count(), 1);
    assert_eq!(pond_shutdown(WAIT), 0);
}

#[test]
fn debug_output_shows_no_secret() {
    let frame = r#"{"action":"BROADCAST","event":"e","channelName":"/c","requestId":"i","payload":{"a":"s3cr3t"}}"#;
    let envelope = parse_frame(frame).next().unwrap().unwrap();
    let endpoint = Endpoint::parse("ws://h/?token=s3cr3t", Some(r#"{"k":"s3cr3t"}"#)).unwrap();
    let request = DialRequest {
        endpoint: endpoint.clone(),
        headers: vec![("Authorization".to_owned(), "s3cr3t".to_owned())],
        tls: None,
        max_message_in: 1,
    };
    let mut session = Session::new(Config::default(), 1);
    let id = session.open_channel("/c", r#"{"password":"s3cr3t"}"#);
    session.send(id, "e", r#"{"a":"s3cr3t"}"#).unwrap();
    let event = EventMut::with_text(EventKind::Message, &[(Field::Payload, r#"{"a":"s3cr3t"}"#)]).freeze();
    for shown in [
        format!("{envelope:?}"),
        format!("{endpoint:?}"),
        format!("{request:?}"),
        format!("{session:?}"),
        format!("{event:?}"),
        format!("{:?}", Inbound::Text(frame)),
    ] {
        assert!(!shown.is_empty() && !shown.contains(SECRET), "{shown}");
    }
}
