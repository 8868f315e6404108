//! The process: its output, its end, its port, and the plain HTTP routes.

use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;

use crate::support::{DEADLINE, Server};

#[tokio::test]
async fn one_line_and_a_clean_exit_on_stdin_eof() {
    let mut server = Server::start(&[]);
    assert!(server.url.starts_with("ws://127.0.0.1:"));
    assert!(server.url.ends_with("/api/socket"));
    let _client = server.chat("ann").await;
    server.close_stdin();
    assert_eq!(server.exit_status().code(), Some(0));
    let end = server.more_output.recv_timeout(DEADLINE);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
}

#[cfg(unix)]
#[tokio::test]
async fn signals_end_it_cleanly() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(&[]);
        let _client = server.chat("ann").await;
        let sent = Command::new("kill")
            .args([signal, &server.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
        assert_eq!(server.exit_status().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn the_port_is_free_again_at_once() {
    let server = Server::start(&[]);
    let address = server.address;
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/x").await;
    // Killed with an open connection, which leaves its port waiting in the system.
    drop(server);
    ann.end().await;
    let server = Server::start(&["--port", &address.port().to_string()]);
    assert_eq!(server.address, address);
    server.chat("ann").await.joined("/chat/x").await;
}

#[tokio::test]
async fn http_routes_answer_without_an_upgrade() {
    let server = Server::start(&[]);
    let (status, _, body) = server.get("/healthz").await;
    assert_eq!((status, body.as_str()), (200, "ok"));
    for wanted in [401, 403, 404, 503] {
        let (status, head, _) = server.get(&format!("/refuse/{wanted}")).await;
        assert_eq!(status, wanted);
        assert_eq!(head.contains("retry-after: 1"), wanted == 503);
    }
    // Not a refusal, and not a number: still a refusal.
    assert_eq!(server.get("/refuse/200").await.0, 404);
    assert_eq!(server.get("/refuse/x").await.0, 400);
    assert_eq!(server.get("/nowhere").await.0, 404);
}

#[test]
fn an_unreachable_redis_is_fatal() {
    // A port that was free a moment ago; nobody speaks Redis there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let output = Command::new(env!("CARGO_BIN_EXE_pond-test-server"))
        .args(["--redis", &format!("redis://{address}/")])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("redis"));
}

#[test]
fn a_missing_or_broken_recording_is_fatal() {
    for file in ["no-such-file", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let output = Command::new(env!("CARGO_BIN_EXE_pond-test-server"))
            .args(["--replay", file])
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(output.stdout.is_empty(), "{file}");
    }
}

#[test]
fn bad_arguments_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_pond-test-server"))
        .arg("--bogus")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--bogus"));
}
