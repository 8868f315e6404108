//! Table A of the protocol: the connection, frames and limits. See `rows`.

use pondsocket::session::{Action, ChannelState, ClientState, Config, EventKind, Field, status};
use serde_json::json;

use crate::capture::received;
use crate::harness::{Peer, end, quiet, text};
use crate::server::{DIALECTS, Dialect, FOREIGN, SERVERS};

#[test]
fn table_a_01_connected_means_connection() {
    for dialect in DIALECTS {
        let mut peer = Peer::new(dialect, quiet());
        peer.connect();
        peer.upgrade();
        assert_eq!(peer.session.state(), ClientState::Connecting, "{dialect:?}");
        match dialect.connection() {
            Some(frame) => {
                peer.receive(&frame);
                assert_eq!(peer.session.state(), ClientState::Connected, "{dialect:?}");
            }
            None => {
                // CONNECT of another name is none, nor is CONNECTION from anybody else.
                peer.receive(r#"{"action":"CONNECT","event":"HELLO","channelName":"ENDPOINT","payload":{}}"#);
                peer.receive(r#"{"action":"SYSTEM","event":"CONNECTION","channelName":"ENDPOINT","payload":{}}"#);
                peer.advance(9_999);
                assert_eq!(peer.session.state(), ClientState::Connecting);
                peer.advance(1);
                assert!(peer.took(Action::Abort));
            }
        }
    }
}

#[test]
fn table_a_01_connection_id() {
    for (dialect, name) in SERVERS {
        let mut peer = Peer::new(dialect, quiet());
        peer.connect();
        peer.upgrade();
        peer.receive(&received(name, "connect_accept", "a")[0]);
        assert_eq!(peer.session.state(), ClientState::Connected);
        assert_eq!(peer.session.connection_id().is_some(), dialect != Dialect::Js, "{name}");
    }
}

#[test]
fn table_a_02_a_close_before_connection_is_a_refusal() {
    let mut peer = Peer::new(Dialect::Rust, quiet());
    peer.connect();
    for round in 0..8u32 {
        peer.forget();
        peer.upgrade();
        peer.ended(pondsocket::session::LinkEnd {
            close_code: 1005,
            ..end(status::CONNECTION_LOST, 0)
        });
        let error = peer.one(EventKind::ClientError);
        assert_eq!((error.status, error.attempt), (status::REJECTED, round + 1));
        assert_eq!(peer.one(EventKind::ClientState).close_code, 1005);
        peer.skip();
    }
    // Eight ceilings of a backoff that every upgrade had reset would sum up to 8 s.
    assert!(peer.now > 8_000, "the upgrades reset nothing: {} ms", peer.now);
    // HTTP refusals keep their status and reason.
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.ended(end(status::HTTP, 404));
    let error = peer.one(EventKind::ClientError);
    assert_eq!((error.status, error.http_status), (status::HTTP, 404));
}

#[test]
fn table_a_05_error_payloads_are_normalised() {
    for (event, payload, status, code, message) in [
        (
            "E",
            json!({"status": 403, "code": "WORD", "message": "m"}),
            403,
            "WORD",
            "m",
        ),
        ("E", json!({"statusCode": 410, "message": "m"}), 410, "E", "m"),
        ("E", json!({"code": 422, "message": "m"}), 422, "E", "m"),
        (
            "E",
            json!({"error": {"status": 409, "message": "inner"}}),
            409,
            "E",
            "inner",
        ),
        (
            "E",
            json!({"details": {"statusCode": 418}, "error": "text"}),
            418,
            "E",
            "text",
        ),
        ("NOT_FOUND", json!({"message": "m"}), 404, "NOT_FOUND", "m"),
        ("UNAUTHORIZED", json!({"message": "m"}), 401, "UNAUTHORIZED", "m"),
        ("E", json!({"message": "m"}), 500, "E", "m"),
    ] {
        let (mut peer, _) = Peer::joined(Dialect::Js, quiet());
        let action = if event == "E" { "ERROR" } else { "SYSTEM" };
        peer.receive(&Dialect::Js.frame(action, event, "/c", FOREIGN, &payload));
        let error = peer.one(EventKind::ChannelError);
        assert_eq!(error.http_status, status, "{payload}");
        assert_eq!(
            (text(&error, Field::ErrorCode), text(&error, Field::Message)),
            (code, message),
            "{payload}"
        );
        assert_eq!(crate::harness::value(&error, Field::Details), payload);
    }
    for payload in [json!({}), json!(null), json!([]), json!("words"), json!(7)] {
        let (mut peer, _) = Peer::joined(Dialect::Js, quiet());
        peer.receive(&Dialect::Js.frame("ERROR", "CHANNEL_ERROR", "/c", FOREIGN, &payload));
        let error = peer.one(EventKind::ChannelError);
        assert_eq!(
            (error.http_status, text(&error, Field::ErrorCode)),
            (500, "CHANNEL_ERROR"),
            "{payload}"
        );
    }
}

#[test]
fn table_a_06_errors_about_the_connection() {
    for level in ["ENDPOINT", "GATEWAY", ""] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        let ticket = peer.request(channel).unwrap();
        for (action, event) in [("ERROR", "INVALID_MESSAGE"), ("SYSTEM", "INTERNAL_ERROR")] {
            peer.receive(&Dialect::Js.frame(action, event, level, FOREIGN, &json!({"message": "malformed"})));
            let error = peer.one(EventKind::ClientError);
            assert_eq!((error.status, text(&error, Field::ErrorCode)), (status::SERVER, event));
            assert!(error.frame_bytes > 0, "it came from a frame");
        }
        peer.none(EventKind::Reply);
        assert!(peer.session.is_pending(channel, ticket));
        assert_eq!(peer.session.state(), ClientState::Connected);
    }
    // What is no error there is a message to the client.
    for (dialect, name) in SERVERS {
        let mut peer = Peer::new(dialect, quiet());
        peer.connect();
        peer.upgrade();
        for frame in received(name, "connect_reply", "a") {
            peer.receive(&frame);
        }
        let message = peer.one(EventKind::ClientMessage);
        assert_eq!(text(&message, Field::Name), "welcome", "{name}");
        assert_eq!(text(&message, Field::Payload), r#"{"hello":"alice"}"#);
    }
}

#[test]
fn table_a_07_batched_frames() {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    let n = |n: u32| Dialect::Go.broadcast("/c", FOREIGN, "n", &json!({"n": n}));
    peer.receive(&[n(0), n(1), "{}".into(), "[]".into(), n(2), "NaN".into(), n(3)].join("\n"));
    let told: Vec<String> = peer
        .take(EventKind::Message)
        .iter()
        .map(|e| text(e, Field::Payload).to_owned())
        .collect();
    assert_eq!(told, [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    let errors = peer.take(EventKind::ClientError);
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|e| e.status == status::PROTOCOL));
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    // CONNECTION, ACKNOWLEDGE and messages in one frame.
    let mut peer = Peer::new(Dialect::Go, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.connect();
    peer.upgrade();
    peer.receive(&format!("{}\n{}", Dialect::Go.connection().unwrap(), n(5)));
    let ack = Dialect::Go.ack("/c", &peer.join_id("/c"));
    peer.receive(&format!("{ack}\n{}\n", n(6)));
    assert_eq!(peer.take(EventKind::Message).len(), 2);
    assert_eq!(peer.session.stats().frames_in, 2);
}

#[test]
fn table_a_15_any_payload_is_handed_through() {
    let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
    let frame = |payload: &str| {
        format!(r#"{{"action":"BROADCAST","event":"e","channelName":"/c","requestId":"x","payload":{payload}}}"#)
    };
    for payload in [
        "[1,2]",
        "\"text\"",
        "null",
        "1.0",
        "-0.0",
        "9007199254740993",
        "1e400",
        r#"{"a":"\ud83d"}"#,
        "true",
    ] {
        peer.receive(&frame(payload));
        let message = peer.one(EventKind::Message);
        assert_eq!(text(&message, Field::Payload), payload, "the sender's bytes");
        assert!(
            message.block_len() <= frame(payload).len() + 1,
            "one copy of the frame, not two"
        );
    }
    peer.receive(r#"{"action":"BROADCAST","event":"e","channelName":"/c"}"#);
    assert_eq!(peer.one(EventKind::Message).text(Field::Payload), None);
    for broken in ["NaN", "Infinity", "{\"a\":", ""] {
        peer.receive(&frame(broken));
        assert_eq!(peer.one(EventKind::ClientError).status, status::PROTOCOL, "{broken}");
        peer.none(EventKind::Message);
    }
    assert_eq!(
        peer.session.channel_state(channel),
        ChannelState::Joined,
        "the connection goes on"
    );
    // Binary frames: JSON inside is JSON, anything else is an error.
    peer.session.binary_frame(frame("{}").as_bytes(), peer.now);
    peer.drain();
    peer.one(EventKind::Message);
    peer.session.binary_frame(&[0xff, 0xfe, 0x00], peer.now);
    peer.drain();
    assert_eq!(peer.one(EventKind::ClientError).status, status::PROTOCOL);
}

#[test]
fn table_a_16_what_is_sent_keeps_the_limits() {
    assert_eq!(
        Config::default().max_message_out,
        512 * 1024,
        "the smallest limit of any server"
    );
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    let refused = peer.send_sized(channel, 512 * 1024).unwrap_err();
    assert_eq!(refused.status, status::TOO_LARGE);
    peer.send_sized(channel, 511 * 1024).unwrap();
    // `Sent::parse` asserts of every frame: five keys, no empty string, an object as payload.
    peer.leave(channel);
    peer.join(channel);
    assert_eq!(peer.words(), ["BROADCAST", "LEAVE_CHANNEL", "JOIN_CHANNEL"]);
    let mut ids: Vec<&str> = peer.sent.iter().map(|s| s.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each frame has an id of its own");
}

#[test]
fn table_a_17_names_pass_unchanged() {
    for name in [
        "/chat/caf%C3%A9",
        "/chat/café",
        "//chat//x/",
        "/c?q=1&r=\"",
        "/a%b",
        "/emoji/😀\n\\",
    ] {
        let mut peer = Peer::up(Dialect::Python, quiet());
        let channel = peer.open(name);
        peer.join(channel);
        assert_eq!(peer.sent[0].channel, name);
        peer.ack(name);
        peer.receive(&Dialect::Python.broadcast(name, FOREIGN, name, &json!({})));
        let message = peer.one(EventKind::Message);
        assert_eq!(
            (text(&message, Field::ChannelName), text(&message, Field::Name)),
            (name, name)
        );
    }
}

#[test]
fn table_a_18_zombies_are_found() {
    let config = Config {
        ping_interval: 25_000,
        ..quiet()
    };
    let (mut peer, channel) = Peer::joined(Dialect::Rust, config);
    // It goes on telling what others do, and answers nothing.
    let mut waited = 0;
    while !peer.took(Action::Abort) {
        assert!(waited < 60_000, "never found");
        peer.advance(1_000);
        waited += 1_000;
        peer.session.traffic(peer.now);
        peer.receive(&Dialect::Rust.broadcast("/c", FOREIGN, "news", &json!({})));
    }
    peer.lose();
    assert_eq!(peer.take(EventKind::ClientError)[0].status, status::CONNECTION_LOST);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Stalled);
    assert!(peer.session.deadline().is_some(), "and dialled again");
}

#[test]
fn table_a_19_goodbye_leaves_first() {
    let (mut peer, _) = Peer::joined(Dialect::Go, quiet());
    for name in ["/d", "/e"] {
        let channel = peer.open(name);
        peer.join(channel);
    }
    peer.ack("/d");
    peer.forget();
    peer.taking = false;
    peer.disconnect();
    assert!(peer.actions.is_empty(), "Close goes behind the frames");
    peer.taking = true;
    peer.drain();
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"; 3], "joined and joining ones");
    assert_eq!(Vec::from(peer.actions.clone()), [Action::Close]);
    peer.advance(2_000);
    assert!(peer.took(Action::Abort), "no close reply");
    peer.lose();
    assert_eq!(peer.session.state(), ClientState::Disconnected);
    peer.none(EventKind::ClientError);
}
