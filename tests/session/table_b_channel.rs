//! Table B of the protocol, channels and requests: what official clients get wrong, right. See `rows`.

use pondsocket::session::{ChannelState, Config, EventKind, Field, status};
use serde_json::json;

use crate::harness::{Peer, quiet, text};
use crate::server::{DIALECTS, Dialect, FOREIGN};

const JOINING: i32 = ChannelState::Joining as i32;
const JOINED: i32 = ChannelState::Joined as i32;
const STALLED: i32 = ChannelState::Stalled as i32;

#[test]
fn table_b_join_while_offline_is_deferred_and_never_dropped() {
    let config = Config {
        queue_limit: 2,
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Python, config);
    let channel = peer.open("/c");
    peer.join(channel);
    for _ in 0..10 {
        peer.send(channel).unwrap();
    }
    peer.advance(100_000);
    assert_eq!(
        peer.session.channel_state(channel),
        ChannelState::Joining,
        "no timeout while offline"
    );
    peer.connect();
    peer.accept();
    assert_eq!(peer.words(), ["JOIN_CHANNEL"], "not evicted by the overflow");
    peer.ack("/c");
    assert_eq!(peer.states(EventKind::ChannelState), [JOINING, JOINED]);
}

#[test]
fn table_b_a_drop_while_joining_sends_the_join_again() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let first = peer.join_id("/c");
    peer.advance(5_000);
    peer.lose();
    peer.advance(1_000);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joining);
    peer.accept();
    let second = peer.join_id("/c");
    assert_ne!(first, second);
    peer.advance(9_999);
    assert_eq!(
        peer.session.channel_state(channel),
        ChannelState::Joining,
        "a new JOIN has its own time"
    );
    peer.ack("/c");
    assert_eq!(peer.states(EventKind::ChannelState), [JOINING, JOINED], "never STALLED");
}

#[test]
fn table_b_rejoin_delivers_once() {
    let (mut peer, _) = Peer::joined(Dialect::Go, quiet());
    for _ in 0..5 {
        peer.reconnect();
        peer.ack("/c");
    }
    peer.forget();
    peer.receive(&Dialect::Go.broadcast("/c", FOREIGN, "once", &json!({})));
    peer.one(EventKind::Message);
}

#[test]
fn table_b_drop_during_rejoin_has_no_join_timer() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.reconnect();
    peer.advance(5_000);
    peer.suspend();
    peer.lose();
    peer.advance(100_000);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Stalled);
    peer.resume();
    peer.accept();
    peer.ack("/c");
    assert_eq!(peer.states(EventKind::ChannelState), [STALLED, JOINED]);
}

#[test]
fn table_b_join_timeout_exists() {
    assert_eq!(Config::default().join_timeout, 10_000);
    let mut peer = Peer::up(Dialect::Rust, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.advance(10_000);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Declined);
}

#[test]
fn table_b_acknowledge_is_checked_against_the_join() {
    for dialect in [Dialect::Js, Dialect::Python, Dialect::Rust, Dialect::Go] {
        let mut peer = Peer::up(dialect, quiet());
        let channel = peer.open("/c");
        peer.join(channel);
        let old = peer.join_id("/c");
        peer.receive(&dialect.ack("/c", FOREIGN));
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joining);
        peer.leave(channel);
        peer.join(channel);
        peer.receive(&dialect.ack("/c", &old));
        assert_eq!(
            peer.session.channel_state(channel),
            ChannelState::Joining,
            "that of an earlier join"
        );
        peer.ack("/c");
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    }
}

#[test]
fn table_b_declines_of_every_server_are_understood() {
    for dialect in DIALECTS {
        let config = Config {
            legacy_grace: 100,
            ..quiet()
        };
        let mut peer = Peer::up(dialect, config);
        let channel = peer.open("/c");
        peer.join(channel);
        if let Some(refusal) = dialect.decline("/c", &peer.join_id("/c")) {
            peer.receive(&refusal);
            assert_eq!(
                peer.session.channel_state(channel),
                ChannelState::Declined,
                "{dialect:?}"
            );
            assert_eq!(peer.session.channel_end(channel).unwrap().http_status, 403);
        }
        if dialect != Dialect::Legacy {
            let unknown = peer.open("/nope");
            peer.join(unknown);
            peer.receive(&dialect.no_channel("/nope", &peer.join_id("/nope")));
            assert_eq!(
                peer.session.channel_state(unknown),
                ChannelState::Declined,
                "{dialect:?}"
            );
            assert_eq!(peer.session.channel_end(unknown).unwrap().http_status, 404);
        }
    }
}

#[test]
fn table_b_join_again_after_declined() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let refusal = Dialect::Python.decline("/c", &peer.join_id("/c")).unwrap();
    peer.receive(&refusal);
    peer.reconnect();
    assert_eq!(
        peer.session.channel_state(channel),
        ChannelState::Declined,
        "nothing automatic"
    );
    peer.join(channel);
    assert_eq!(peer.session.channel_end(channel), None);
    peer.ack("/c");
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn table_b_new_params_are_used() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open_with("/c", r#"{"a":1}"#);
    peer.session.set_join_params(channel, r#"{"a":2}"#);
    peer.join(channel);
    assert_eq!(peer.sent[0].payload, json!({"a": 2}));
}

#[test]
fn table_b_join_is_not_in_the_queue_and_overflow_is_told() {
    assert_eq!(Config::default().queue_limit, 100);
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    for _ in 0..103 {
        peer.send(channel).unwrap();
    }
    let dropped: u32 = peer.take(EventKind::Dropped).iter().map(|e| e.count).sum();
    assert_eq!(dropped, 3);
    peer.ack("/c");
    assert_eq!(peer.marks().len(), 100);
}

#[test]
fn table_b_send_in_closed_and_declined_is_an_error() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.leave(channel);
    assert_eq!(peer.send(channel).unwrap_err().status, status::CLOSED);
    assert_eq!(peer.request(channel).unwrap_err().status, status::CLOSED);
    peer.join(channel);
    let refusal = Dialect::Js.decline("/c", &peer.join_id("/c")).unwrap();
    peer.receive(&refusal);
    let refused = peer.send(channel).unwrap_err();
    assert_eq!(
        (refused.status, refused.message.as_str()),
        (status::DECLINED, "No entry")
    );
    assert_eq!(peer.request(channel).unwrap_err().status, status::DECLINED);
    assert_eq!(peer.send_volatile(channel).unwrap_err().status, status::DECLINED);
}

#[test]
fn table_b_send_while_stalled_is_flushed() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.lose();
    let marks: Vec<u64> = (0..3).map(|_| peer.send(channel).unwrap()).collect();
    peer.skip();
    peer.accept();
    assert!(peer.marks().is_empty(), "not before the ACKNOWLEDGE");
    peer.ack("/c");
    assert_eq!(peer.marks(), marks);
}

#[test]
fn table_b_replies_of_another_name_match() {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    peer.request(channel).unwrap();
    let asked = peer.last("BROADCAST", "/c");
    assert_eq!(asked.event, "ask");
    peer.receive(&Dialect::Go.reply("/c", &asked.id, "answered", &json!({})));
    assert_eq!(text(&peer.one(EventKind::Reply), Field::Name), "answered");
}

#[test]
fn table_b_errors_never_resolve_as_success() {
    for dialect in [Dialect::Js, Dialect::Python, Dialect::Rust, Dialect::Go] {
        let (mut peer, channel) = Peer::joined(dialect, quiet());
        peer.request(channel).unwrap();
        let id = peer.last("BROADCAST", "/c").id;
        peer.receive(&dialect.request_error("/c", &id));
        assert_eq!(peer.one(EventKind::Reply).status, status::SERVER, "{dialect:?}");
    }
}

#[test]
fn table_b_broadcasts_are_neither_reply_nor_swallowed() {
    let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
    peer.request(channel).unwrap();
    let id = peer.last("BROADCAST", "/c").id;
    peer.receive(&Dialect::Js.broadcast("/c", &id, "said", &json!({})));
    peer.one(EventKind::Message);
    peer.none(EventKind::Reply);
}

#[test]
fn table_b_pending_requests_settle_on_disconnect_and_leave() {
    for leave in [true, false] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        let ticket = peer.request(channel).unwrap();
        if leave {
            peer.leave(channel);
        } else {
            peer.disconnect();
        }
        let reply = peer.one(EventKind::Reply);
        assert_eq!((reply.ticket, reply.status), (ticket, status::CLOSED), "not a timeout");
    }
}

#[test]
fn table_b_pending_requests_end_with_the_link() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    let ticket = peer.request(channel).unwrap();
    peer.lose();
    let reply = peer.one(EventKind::Reply);
    assert_eq!(
        (reply.ticket, reply.status),
        (ticket, status::CONNECTION_LOST),
        "at once"
    );
}

#[test]
fn table_b_eviction_closes_the_channel() {
    for dialect in DIALECTS {
        let config = Config {
            legacy_grace: 100,
            ..quiet()
        };
        let (mut peer, channel) = Peer::joined(dialect, config);
        peer.receive(&dialect.evict("/c"));
        assert_eq!(peer.session.channel_state(channel), ChannelState::Closed, "{dialect:?}");
        assert_eq!(peer.one(EventKind::ChannelState).status, status::EVICTED);
        peer.none(EventKind::Message);
    }
}

#[test]
fn table_b_protocol_frames_are_no_messages() {
    let mut peer = Peer::up(Dialect::Go, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.ack("/c");
    let id = peer.join_id("/c");
    for event in [
        "ACKNOWLEDGE",
        "EXIT_ACKNOWLEDGE",
        "NOT_FOUND",
        "INTERNAL_ERROR",
        "UNAUTHORIZED",
    ] {
        peer.receive(&Dialect::Go.frame("SYSTEM", event, "/c", &id, &json!({})));
    }
    peer.receive(&Dialect::Js.frame("ERROR", "CHANNEL_ERROR", "/c", FOREIGN, &json!({})));
    peer.none(EventKind::Message);
    assert_eq!(peer.take(EventKind::ChannelError).len(), 4);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn table_b_events_bear_the_whole_message() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.receive(&Dialect::Js.broadcast("/c", FOREIGN, "said", &json!({"a": 1})));
    let message = peer.one(EventKind::Message);
    assert_eq!(message.channel, channel.0);
    let fields = [Field::Name, Field::ChannelName, Field::RequestId, Field::Payload].map(|field| text(&message, field));
    assert_eq!(fields, ["said", "/c", FOREIGN, r#"{"a":1}"#]);
}

#[test]
fn table_b_presence_list_survives_a_frame_without_one() {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    peer.receive(&Dialect::Go.presence("/c", "JOIN", &json!({"changed": {}, "presence": [1, 2]})));
    peer.receive(&Dialect::Go.presence("/c", "LEAVE", &json!({"userId": "u"})));
    assert_eq!(peer.session.presence(channel), "[1,2]");
}

#[test]
fn table_b_presence_while_stalled_is_kept() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.receive(&Dialect::Js.presence("/c", "JOIN", &json!({"changed": {}, "presence": [1]})));
    peer.lose();
    assert_eq!(peer.session.presence(channel), "[1]");
}

#[test]
fn table_b_observers_get_everything_in_order() {
    let (mut peer, _) = Peer::joined(Dialect::Rust, quiet());
    for n in 0..1_000 {
        peer.receive(&Dialect::Rust.broadcast("/c", FOREIGN, "n", &json!({"n": n})));
    }
    let told: Vec<u64> = peer
        .take(EventKind::Message)
        .iter()
        .map(|e| crate::harness::value(e, Field::Payload)["n"].as_u64().unwrap())
        .collect();
    assert_eq!(told, (0..1_000).collect::<Vec<u64>>());
}

#[test]
fn table_b_leave_is_sent_while_joining_too() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.leave(channel);
    assert!(peer.sent.is_empty(), "never joined");
    peer.join(channel);
    peer.leave(channel);
    assert_eq!(peer.words(), ["JOIN_CHANNEL", "LEAVE_CHANNEL"]);
}

#[test]
fn table_b_requests_always_have_a_timeout() {
    assert_eq!(Config::default().response_timeout, 10_000);
    let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
    peer.request(channel).unwrap();
    peer.advance(10_000);
    assert_eq!(peer.one(EventKind::Reply).status, status::ERROR_TIMEOUT);
}
