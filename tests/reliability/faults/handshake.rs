//! Servers that do not shake hands: slow, endless, redirecting, or speaking something else.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pondsocket::session::status;

use super::peer::{CLIENT_ERROR, Peer, Rules};
use super::raw::{Conn, Gone, Hostile, acknowledge, text, upgrade_answer};
use super::{SLACK, alone};

type Answer = fn(&mut Conn) -> Result<(), Gone>;

fn plain(conn: &mut Conn, answer: &str) -> Result<(), Gone> {
    conn.head()?;
    conn.write(answer.as_bytes())
}

fn upgraded(conn: &mut Conn, change: impl Fn(String) -> String) -> Result<(), Gone> {
    let head = conn.head()?;
    let answer = change(upgrade_answer(&head, ""));
    conn.write(answer.as_bytes())?;
    conn.read_out();
    Ok(())
}

fn drip(conn: &mut Conn, bytes: &[u8]) -> Result<(), Gone> {
    conn.head()?;
    for byte in bytes.iter().cycle() {
        conn.socket.write_all(&[*byte])?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn endless(conn: &mut Conn, start: &str, line: &[u8]) -> Result<(), Gone> {
    conn.head()?;
    conn.write(start.as_bytes())?;
    let many = line.repeat(1_000);
    // Far more than any client may take; the write fails when the client has had enough.
    for _ in 0..10_000 {
        conn.write(&many)?;
    }
    Ok(())
}

/// What the server does, the status that the program hears, and a word of the message.
const ANSWERS: &[(&str, Answer, i32, &str)] = &[
    (
        "slow status line",
        |c| drip(c, b"HTTP/1.1 101 Switching"),
        status::ERROR_TIMEOUT,
        "",
    ),
    ("slow headers", |c| drip_headers(c), status::ERROR_TIMEOUT, ""),
    (
        "silence",
        |c| {
            c.head()?;
            c.read_out();
            Ok(())
        },
        status::ERROR_TIMEOUT,
        "",
    ),
    ("end without answer", |c| c.head().map(drop), status::CONNECT, "closed"),
    (
        "endless header lines",
        |c| endless(c, "HTTP/1.1 101 Hi\r\n", b"X-A: aaaaaaaaaaaaaaaa\r\n"),
        status::CONNECT,
        "too many headers",
    ),
    (
        "one endless header",
        |c| endless(c, "HTTP/1.1 101 Hi\r\nX-A: ", b"aaaaaaaaaaaaaaaa"),
        status::CONNECT,
        "too many headers",
    ),
    (
        "one endless status line",
        |c| endless(c, "HTTP/1.1 101 ", b"aaaaaaaaaaaaaaaa"),
        status::CONNECT,
        "",
    ),
    (
        "endless interim answers",
        |c| endless(c, "", b"HTTP/1.1 100 Continue\r\n\r\n"),
        status::ERROR_TIMEOUT,
        "",
    ),
    (
        "another protocol",
        |c| plain(c, "220 mail.example ESMTP\r\n"),
        status::CONNECT,
        "HTTP",
    ),
    (
        "zeros",
        |c| plain(c, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        status::CONNECT,
        "HTTP",
    ),
    ("HTTP/2", |c| plain(c, "HTTP/2 101\r\n\r\n"), status::CONNECT, ""),
    (
        "HTTP/1.0",
        |c| upgraded(c, |a| a.replace("HTTP/1.1", "HTTP/1.0")),
        status::CONNECT,
        "HTTP/1.0",
    ),
    (
        "wrong accept key",
        |c| upgraded(c, |a| a.replace("Accept: ", "Accept: A")),
        status::CONNECT,
        "Sec-WebSocket-Accept",
    ),
    (
        "no accept key",
        |c| upgraded(c, |a| a.replace("Sec-WebSocket-Accept", "X-Accept")),
        status::CONNECT,
        "Sec-WebSocket-Accept",
    ),
    (
        "no Upgrade",
        |c| upgraded(c, |a| a.replace("websocket", "h2c")),
        status::CONNECT,
        "something else",
    ),
    (
        "an extension",
        |c| {
            upgraded(c, |a| {
                a.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
            })
        },
        status::CONNECT,
        "extension",
    ),
    (
        "a subprotocol",
        |c| upgraded(c, |a| a.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n")),
        status::CONNECT,
        "subprotocol",
    ),
    (
        "200",
        |c| plain(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        status::HTTP,
        "200",
    ),
    (
        "500 with a huge body announced",
        |c| {
            plain(
                c,
                "HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 99999999999999999999\r\n\r\n",
            )
        },
        status::HTTP,
        "500",
    ),
    (
        "an upgrade and no CONNECTION",
        |c| {
            c.upgrade()?;
            c.read_out();
            Ok(())
        },
        status::ERROR_TIMEOUT,
        "CONNECTION",
    ),
    ("an upgrade and an end", |c| c.upgrade(), status::REJECTED, ""),
];

fn drip_headers(conn: &mut Conn) -> Result<(), Gone> {
    conn.head()?;
    conn.write(b"HTTP/1.1 101 Switching Protocols\r\n")?;
    loop {
        conn.write(b"X: y\r\n")?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A connection as it should be.
pub fn behave(conn: &mut Conn) -> Result<(), Gone> {
    conn.greet()?;
    let join = conn.text()?;
    conn.write(&text(&acknowledge(&join)))?;
    conn.read_out();
    Ok(())
}

#[test]
fn each_broken_handshake_is_told_and_survived() {
    let _alone = alone();
    let rules = Rules {
        connect_ms: 400,
        ..Rules::default()
    };
    for (name, answer, expected, word) in ANSWERS {
        let answer = *answer;
        let hostile = Hostile::new(move |conn, number| if number == 0 { answer(conn) } else { behave(conn) });
        let mut peer = Peer::new(&hostile.url(), &rules);
        peer.connect();
        peer.channel("/room");
        let error = peer.wait(name, SLACK, |ev| ev.kind == CLIENT_ERROR);
        assert_eq!(error.status, *expected, "{name}: {}", error.message);
        assert!(error.message.contains(word), "{name}: {}", error.message);
        assert!(error.retry_ms <= rules.backoff.1, "{name}: it dials again");
        peer.wait_joined("/room", rules.healed_within() + SLACK);
    }
    println!("{} broken handshakes", ANSWERS.len());
}

#[test]
fn redirects_are_refusals_and_never_followed() {
    let _alone = alone();
    let visits = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&visits);
    let elsewhere = Hostile::new(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    for code in [301, 302, 303, 307, 308] {
        let location = elsewhere.addr;
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heads);
        let hostile = Hostile::new(move |conn, number| {
            if number > 0 {
                return behave(conn);
            }
            let head = conn.head()?;
            log.lock().unwrap().push(head);
            let answer = format!("HTTP/1.1 {code} Moved\r\nLocation: ws://{location}/\r\nContent-Length: 0\r\n\r\n");
            conn.write(answer.as_bytes())
        });
        let mut peer = Peer::new(&hostile.url(), &Rules::default());
        peer.connect();
        peer.channel("/room");
        let error = peer.wait("a refusal", SLACK, |ev| ev.kind == CLIENT_ERROR);
        assert_eq!((error.status, error.http_status), (status::HTTP, code));
        peer.wait_joined("/room", SLACK);
        assert_eq!(heads.lock().unwrap().len(), 1);
    }
    assert_eq!(visits.load(Ordering::Relaxed), 0);
}
