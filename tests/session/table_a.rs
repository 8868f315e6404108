//! Table A of the protocol: one test per row at least, see `rows`.

use pondsocket::session::{Action, ChannelState, ClientState, Config, EventKind, Field, status};
use serde_json::json;

use crate::capture::{received, sent, with_id};
use crate::harness::{Peer, end, quiet, text};
use crate::server::{DIALECTS, Dialect, FOREIGN};

const SERVERS: [(Dialect, &str); 3] = [
    (Dialect::Js, "js"),
    (Dialect::Python, "python"),
    (Dialect::Rust, "rust"),
];

/// Joins the first channel that connection `a` of a scenario joins, by that scenario's frames: the peer before any of
/// them but CONNECTION, and the rest of the frames with our id.
fn recorded_join(dialect: Dialect, name: &str, scenario: &str) -> (Peer, pondsocket::session::ChannelId, Vec<String>) {
    let frames = received(name, scenario, "a");
    let join = sent(name, scenario, "a")
        .into_iter()
        .find(|v| v["action"] == "JOIN_CHANNEL")
        .unwrap();
    let mut peer = Peer::new(dialect, quiet());
    peer.connect();
    peer.upgrade();
    peer.receive(&frames[0]);
    assert_eq!(peer.session.state(), ClientState::Connected);
    let channel_name = join["channelName"].as_str().unwrap();
    let channel = peer.open_with(channel_name, &join["payload"].to_string());
    peer.join(channel);
    let ours = peer.join_id(channel_name);
    let theirs = join["requestId"].as_str().unwrap();
    let rest = frames[1..].iter().map(|frame| with_id(frame, theirs, &ours)).collect();
    peer.forget_events();
    (peer, channel, rest)
}

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
fn table_a_03_silent_declines_time_out() {
    let (mut peer, channel, rest) = recorded_join(Dialect::Rust, "rust", "join_decline_403");
    peer.advance(1_000);
    for frame in &rest {
        peer.receive(frame);
    }
    assert_eq!(
        peer.session.channel_state(channel),
        ChannelState::Joining,
        "the server says nothing of it"
    );
    let ticket = peer.request(channel).unwrap();
    peer.advance(9_000);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Declined);
    assert_eq!(peer.one(EventKind::Reply).ticket, ticket);
    let (mut peer, channel) = Peer::joined(Dialect::Rust, quiet());
    let ticket = peer.request(channel).unwrap();
    peer.advance(10_000);
    let reply = peer.one(EventKind::Reply);
    assert_eq!((reply.ticket, reply.status), (ticket, status::ERROR_TIMEOUT));
}

/// A recorded `decline(403, "No entry")`.
fn declined_403(dialect: Dialect, name: &str, code: &str) {
    let (mut peer, channel, rest) = recorded_join(dialect, name, "join_decline_403");
    peer.receive(&rest[0]);
    let error = peer.one(EventKind::ChannelError);
    assert_eq!((error.status, error.http_status), (status::DECLINED, 403));
    assert_eq!(
        (text(&error, Field::Message), text(&error, Field::ErrorCode)),
        ("No entry", code)
    );
    let state = peer.one(EventKind::ChannelState);
    assert_eq!(
        (state.state, state.status),
        (ChannelState::Declined as i32, status::DECLINED)
    );
    assert_eq!(text(&state, Field::Message), "No entry");
    assert_eq!(peer.session.channel_end(channel).unwrap().http_status, 403);
}

#[test]
fn table_a_04_decline_vocabulary_js() {
    declined_403(Dialect::Js, "js", "UNAUTHORIZED_JOIN_REQUEST");
}

#[test]
fn table_a_04_decline_vocabulary_python() {
    declined_403(Dialect::Python, "python", "UNAUTHORIZED");
}

#[test]
fn table_a_04_decline_vocabulary_go() {
    let refusals = |channel: &str, id: &str| {
        let go = Dialect::Go;
        vec![
            go.decline(channel, id).unwrap(),
            go.no_channel(channel, id),
            go.frame(
                "SYSTEM",
                "INTERNAL_ERROR",
                channel,
                id,
                &json!({"message": "handler", "code": 500}),
            ),
            // One that names the connection instead of the channel bears the id as well.
            go.frame(
                "SYSTEM",
                "INTERNAL_ERROR",
                "GATEWAY",
                id,
                &json!({"message": "handler", "code": 500}),
            ),
        ]
    };
    for at in 0..4 {
        let mut peer = Peer::up(Dialect::Go, quiet());
        let channel = peer.open("/c");
        peer.join(channel);
        let frame = refusals("/c", &peer.join_id("/c")).remove(at);
        peer.receive(&frame);
        assert_eq!(peer.session.channel_state(channel), ChannelState::Declined, "{frame}");
        assert_eq!(peer.one(EventKind::ChannelError).http_status, [403, 404, 500, 500][at]);
        peer.none(EventKind::ClientError);
    }
}

#[test]
fn table_a_04_decline_vocabulary_legacy() {
    let config = Config {
        legacy_grace: 2_000,
        ..quiet()
    };
    let mut peer = Peer::up(Dialect::Legacy, config);
    let frames = received("js-legacy-0.1.70", "join_decline_403", "a");
    let channel = peer.open("/chat/dec");
    peer.join(channel);
    peer.receive(&frames[0]);
    let error = peer.one(EventKind::ChannelError);
    assert_eq!((error.status, error.http_status), (status::DECLINED, 403));
    assert!(text(&error, Field::Message).ends_with("rejected: No entry"));
    assert_eq!(peer.session.channel_state(channel), ChannelState::Declined);
    // A channel that it does not know: an error that names none, so only the time tells.
    let unknown = peer.open("/private/7");
    peer.join(unknown);
    peer.receive(&frames[1]);
    assert_eq!(peer.one(EventKind::ClientError).http_status, 404);
    assert_eq!(peer.session.channel_state(unknown), ChannelState::Joining);
    peer.advance(10_000);
    assert_eq!(peer.session.channel_state(unknown), ChannelState::Declined);
    // Joined, the same frame is an error and no refusal.
    peer.join(channel);
    peer.ack("/chat/dec");
    peer.receive(&frames[2]);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn table_a_04_the_request_id_must_match() {
    for dialect in [Dialect::Js, Dialect::Python, Dialect::Go] {
        let mut peer = Peer::up(dialect, quiet());
        let channel = peer.open("/c");
        peer.join(channel);
        peer.receive(&dialect.decline("/c", FOREIGN).unwrap());
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joining);
        assert_eq!(peer.one(EventKind::ChannelError).status, status::SERVER);
    }
    // Rejoining is refused in the same words.
    let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
    peer.reconnect();
    let refusal = Dialect::Python.no_channel("/c", &peer.join_id("/c"));
    peer.receive(&refusal);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Declined);
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
fn table_a_08_leave_waits_for_nothing() {
    for dialect in DIALECTS {
        let config = Config {
            legacy_grace: 100,
            ..quiet()
        };
        let (mut peer, channel) = Peer::joined(dialect, config);
        peer.leave(channel);
        assert_eq!(peer.session.channel_state(channel), ChannelState::Closed, "at once");
        peer.forget_events();
        let id = peer.last("LEAVE_CHANNEL", "/c").id;
        if !matches!(dialect, Dialect::Js | Dialect::Legacy) {
            peer.receive(&dialect.frame("SYSTEM", "EXIT_ACKNOWLEDGE", "/c", &id, &json!({})));
        }
        peer.advance(60_000);
        assert!(peer.kinds().is_empty(), "{dialect:?}: {:?}", peer.events);
        assert!(!peer.took(Action::Abort));
    }
}

#[test]
fn table_a_09_eviction_recorded() {
    for (dialect, name) in SERVERS {
        let (mut peer, channel, rest) = recorded_join(dialect, name, "evict_self");
        let again = rest.last().unwrap();
        for frame in &rest[..rest.len() - 1] {
            peer.receive(frame);
        }
        assert_eq!(peer.session.channel_state(channel), ChannelState::Closed, "{name}");
        let state = peer.take(EventKind::ChannelState).pop().unwrap();
        assert_eq!(
            (state.status, text(&state, Field::Message)),
            (status::EVICTED, "bye"),
            "{name}"
        );
        assert_eq!(peer.words(), ["JOIN_CHANNEL"], "no rejoin, no LEAVE");
        // Joining again works at once.
        peer.join(channel);
        let theirs = sent(name, "evict_self", "a").pop().unwrap()["requestId"]
            .as_str()
            .unwrap()
            .to_owned();
        let ours = peer.join_id("/chat/evs");
        peer.receive(&with_id(again, &theirs, &ours));
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined, "{name}");
    }
}

#[test]
fn table_a_10_a_broadcast_resolves_nothing() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    let ticket = peer.request(channel).unwrap();
    let id = peer.last("BROADCAST", "/c").id;
    peer.receive(&Dialect::Js.broadcast("/c", &id, "ask", &json!({})));
    peer.receive(&Dialect::Js.broadcast("/c", &id, "NOT_FOUND", &json!({})));
    assert_eq!(peer.take(EventKind::Message).len(), 2);
    peer.none(EventKind::Reply);
    peer.receive(&Dialect::Js.request_error("/c", &id));
    let reply = peer.one(EventKind::Reply);
    assert_eq!(
        (reply.ticket, reply.status, reply.http_status),
        (ticket, status::SERVER, 422)
    );
}

#[test]
fn table_a_11_presence_recorded() {
    for (dialect, name) in SERVERS {
        let (mut peer, channel, rest) = recorded_join(dialect, name, "presence_flow");
        for frame in &rest {
            peer.receive(frame);
        }
        let told = peer.take(EventKind::Presence);
        assert!(told.len() >= 4, "{name}: {}", told.len());
        let kinds: std::collections::BTreeSet<i32> = told.iter().map(|e| e.presence_kind).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3], "{name}");
        let last = rest.iter().rev().find(|frame| frame.contains("\"PRESENCE\"")).unwrap();
        let list = serde_json::from_str::<serde_json::Value>(last).unwrap()["payload"]["presence"].clone();
        let ours: serde_json::Value = serde_json::from_str(peer.session.presence(channel)).unwrap();
        assert_eq!(ours, list, "{name}: the list of the last frame");
    }
}

#[test]
fn table_a_12_frames_before_the_acknowledge_recorded() {
    let (mut peer, _, rest) = recorded_join(Dialect::Js, "js", "join_reply_first");
    peer.receive(&rest[0]);
    assert!(peer.kinds().is_empty());
    peer.receive(&rest[1]);
    assert_eq!(peer.kinds(), [EventKind::ChannelState, EventKind::Message]);
    let early = peer.one(EventKind::Message);
    assert_eq!(
        (text(&early, Field::Name), text(&early, Field::Payload)),
        ("early", r#"{"early":true}"#)
    );
}

#[test]
fn table_a_13_any_order_is_taken() {
    // Replies overtake each other and a broadcast that was caused before them.
    let (mut peer, channel) = Peer::joined(Dialect::Rust, quiet());
    let tickets: Vec<u64> = (0..4).map(|_| peer.request(channel).unwrap()).collect();
    let ids: Vec<String> = peer.sent.iter().map(|s| s.id.clone()).collect();
    for at in [2, 0, 3, 1] {
        peer.receive(&Dialect::Rust.reply("/c", &ids[at], "ok", &json!({"at": at})));
    }
    peer.receive(&Dialect::Rust.broadcast("/c", FOREIGN, "before", &json!({})));
    let told: Vec<u64> = peer.take(EventKind::Reply).iter().map(|e| e.ticket).collect();
    assert_eq!(told, [tickets[2], tickets[0], tickets[3], tickets[1]]);
    peer.one(EventKind::Message);
}

#[test]
fn table_a_14_join_is_never_sent_twice() {
    // The ledger refuses a second JOIN of a link without a LEAVE or a refusal between; these ask for it.
    let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
    peer.join(channel);
    assert!(peer.sent.is_empty(), "joined already");
    let other = peer.open("/d");
    peer.join(other);
    peer.join(other);
    assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
    peer.receive(&Dialect::Python.connection().unwrap());
    assert_eq!(peer.words(), ["JOIN_CHANNEL"], "a second CONNECTION joins nothing");
    peer.advance(10_000);
    peer.join(other);
    assert_eq!(peer.words(), ["JOIN_CHANNEL", "LEAVE_CHANNEL", "JOIN_CHANNEL"]);
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
