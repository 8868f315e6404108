//! Channels beyond the tables: join timeouts, rejoins, early frames, evictions.

use pondsocket::session::{ChannelId, ChannelState, Config, EventKind, Field, status};
use serde_json::json;

use crate::harness::{Peer, quiet, text};
use crate::server::{DIALECTS, Dialect, FOREIGN};

const JOINED: i32 = ChannelState::Joined as i32;
const STALLED: i32 = ChannelState::Stalled as i32;
const CLOSED: i32 = ChannelState::Closed as i32;
const DECLINED: i32 = ChannelState::Declined as i32;

#[test]
fn a_first_join_is_declined_when_nobody_answers() {
    let mut peer = Peer::up(Dialect::Rust, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.advance(9_999);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joining);
    peer.advance(1);
    let error = peer.one(EventKind::ChannelError);
    assert_eq!((error.status, error.http_status), (status::ERROR_TIMEOUT, 408));
    let state = peer.take(EventKind::ChannelState).pop().unwrap();
    assert_eq!((state.state, state.http_status), (DECLINED, 408));
    assert_eq!(peer.session.deadline(), None, "nothing more is planned");
    assert_eq!(peer.session.channel_end(channel).unwrap().http_status, 408);
    let refused = peer.send(channel).unwrap_err();
    assert_eq!((refused.status, refused.http_status), (status::DECLINED, 408));
}

#[test]
fn the_next_join_leaves_first_after_a_timeout() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.advance(10_000);
    peer.forget();
    peer.join(channel);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL", "JOIN_CHANNEL"]);
    peer.ack("/c");
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn a_new_link_needs_no_leave() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.advance(10_000);
    peer.reconnect();
    peer.forget();
    peer.join(channel);
    assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
}

#[test]
fn a_late_acknowledge_of_a_join_given_up_is_answered_by_leave() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let ack = Dialect::Python.ack("/c", &peer.join_id("/c"));
    peer.advance(10_000);
    peer.forget();
    peer.receive(&ack);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"]);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Declined);
    peer.receive(&ack);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"], "once");
    peer.forget();
    peer.join(channel);
    assert_eq!(peer.words(), ["JOIN_CHANNEL"], "the LEAVE has gone already");
}

#[test]
fn a_channel_freed_after_a_join_timeout_leaves() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.advance(10_000);
    peer.forget();
    peer.close(channel);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"]);
    let again = peer.open("/c");
    peer.join(again);
    peer.ack("/c");
    assert_eq!(peer.session.channel_state(again), ChannelState::Joined);
}

#[test]
fn a_rejoin_is_tried_five_times_with_growing_pauses() {
    let mut longest = [0u64; 4];
    for seed in 0..200 {
        let mut peer = Peer::seeded(Dialect::Rust, quiet(), seed);
        let channel = peer.open("/c");
        peer.connect();
        peer.accept();
        peer.join(channel);
        peer.ack("/c");
        peer.reconnect();
        // The link's own plans are over.
        peer.advance(5_000);
        peer.forget();
        peer.advance(5_000);
        for (tries, longest) in longest.iter_mut().enumerate() {
            assert_eq!(
                peer.session.channel_state(channel),
                ChannelState::Stalled,
                "try {tries}"
            );
            assert!(peer.sent.is_empty(), "a pause comes first");
            let pause = peer.skip();
            assert!(pause <= (1_000 << tries), "{pause} ms after try {tries}");
            *longest = pause.max(*longest);
            assert_eq!(peer.words(), ["LEAVE_CHANNEL", "JOIN_CHANNEL"]);
            peer.forget();
            assert_eq!(peer.skip(), 10_000);
        }
        assert_eq!(peer.states(EventKind::ChannelState), [DECLINED]);
        assert_eq!(peer.session.channel_end(channel).unwrap().http_status, 408);
    }
    for (tries, longest) in longest.into_iter().enumerate() {
        assert!(longest > (900 << tries), "{longest} ms at most after try {tries}");
    }
}

#[test]
fn a_rejoin_that_is_answered_in_the_pause_counts() {
    let (mut peer, channel) = Peer::joined(Dialect::Rust, quiet());
    peer.reconnect();
    let ack = Dialect::Rust.ack("/c", &peer.join_id("/c"));
    // Any seed whose first pause is not 0 will do; this one is.
    peer.advance(10_000);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Stalled);
    let pause = peer.session.deadline().unwrap() - peer.now;
    assert!(pause > 0, "the seed gives a pause");
    peer.forget();
    peer.receive(&ack);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    peer.advance(60_000);
    assert!(peer.sent.is_empty(), "nothing more is tried");
}

#[test]
fn an_answered_rejoin_forgets_the_tries() {
    let (mut peer, channel) = Peer::joined(Dialect::Rust, quiet());
    for _ in 0..4 {
        peer.reconnect();
        peer.advance(5_000);
        for _ in 0..3 {
            peer.forget();
            while peer.words() != ["LEAVE_CHANNEL", "JOIN_CHANNEL"] {
                peer.skip();
            }
        }
        peer.ack("/c");
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    }
}

#[test]
fn a_refused_rejoin_is_declined_at_once() {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    peer.reconnect();
    let queued = peer.send(channel).unwrap();
    peer.forget_events();
    let refusal = Dialect::Go.decline("/c", &peer.join_id("/c")).unwrap();
    peer.receive(&refusal);
    assert_eq!(peer.one(EventKind::ChannelError).status, status::DECLINED);
    let dropped = peer.one(EventKind::Dropped);
    assert_eq!((dropped.count, dropped.status), (1, status::DECLINED));
    assert!(text(&dropped, Field::Payload).contains(&format!("\"mark\":{queued}")));
    assert_eq!(peer.states(EventKind::ChannelState), [DECLINED]);
    peer.advance(100_000);
    peer.reconnect();
    assert!(!peer.words().contains(&"BROADCAST"));
    assert_eq!(peer.words().iter().filter(|word| **word == "JOIN_CHANNEL").count(), 1);
}

#[test]
fn early_frames_follow_joined() {
    for dialect in DIALECTS {
        let config = Config {
            legacy_grace: 100,
            ..quiet()
        };
        let mut peer = Peer::up(dialect, config);
        let channel = peer.open("/c");
        peer.join(channel);
        let id = peer.join_id("/c");
        peer.receive(&dialect.reply("/c", &id, "welcome", &json!({})));
        peer.receive(&dialect.presence("/c", "JOIN", &json!({"changed": {"id": 1}, "presence": [{"id": 1}]})));
        peer.receive(&dialect.broadcast("/c", FOREIGN, "hello", &json!({})));
        assert_eq!(peer.session.presence(channel), "[]");
        peer.none(EventKind::Message);
        peer.forget_events();
        peer.ack("/c");
        let expected = [
            EventKind::ChannelState,
            EventKind::Message,
            EventKind::Presence,
            EventKind::Message,
        ];
        assert_eq!(peer.kinds(), expected, "{dialect:?}");
        assert_eq!(peer.session.presence(channel), r#"[{"id":1}]"#);
    }
}

#[test]
fn early_frames_are_kept_up_to_a_thousand() {
    let mut peer = Peer::up(Dialect::Go, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    for n in 0..1_003 {
        peer.receive(&Dialect::Go.broadcast("/c", FOREIGN, "n", &json!({"n": n})));
    }
    assert_eq!(peer.session.stats().discarded, 3);
    peer.ack("/c");
    let lost = peer.one(EventKind::ChannelError);
    assert_eq!(lost.status, status::QUEUE_FULL);
    assert!(text(&lost, Field::Message).starts_with("3 frames"));
    let kept = peer.take(EventKind::Message);
    assert_eq!(kept.len(), 1_000);
    assert_eq!(text(&kept[0], Field::Payload), r#"{"n":3}"#, "the oldest go");
}

#[test]
fn early_frames_are_kept_up_to_a_megabyte() {
    let mut peer = Peer::up(Dialect::Go, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let big = "x".repeat(300 * 1024);
    for n in 0..5 {
        peer.receive(&Dialect::Go.broadcast("/c", FOREIGN, "big", &json!({"n": n, "x": big})));
    }
    peer.ack("/c");
    assert_eq!(peer.take(EventKind::Message).len(), 3);
    assert_eq!(peer.one(EventKind::ChannelError).status, status::QUEUE_FULL);
    // One alone that is larger than that is lost as well, not kept for ever.
    let other = peer.open("/d");
    peer.join(other);
    peer.receive(&Dialect::Go.broadcast("/d", FOREIGN, "big", &json!({"x": big.repeat(4)})));
    peer.ack("/d");
    peer.none(EventKind::Message);
    assert_eq!(peer.one(EventKind::ChannelError).status, status::QUEUE_FULL);
}

#[test]
fn early_frames_of_a_declined_join_are_discarded() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let id = peer.join_id("/c");
    peer.receive(&Dialect::Js.reply("/c", &id, "sorry", &json!({})));
    peer.receive(&Dialect::Js.decline("/c", &id).unwrap());
    assert_eq!(peer.session.stats().discarded, 1);
    peer.none(EventKind::Message);
    peer.forget();
    peer.join(channel);
    peer.ack("/c");
    peer.none(EventKind::Message);
}

#[test]
fn frames_of_a_link_that_died_do_not_come_late() {
    let mut peer = Peer::up(Dialect::Go, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.receive(&Dialect::Go.broadcast("/c", FOREIGN, "old", &json!({})));
    peer.reconnect();
    peer.ack("/c");
    peer.none(EventKind::Message);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn evictions_in_four_spellings_close_the_channel_for_good() {
    for (event, payload, reason) in [
        ("EVICTED", json!({"reason": "bye"}), "bye"),
        ("evicted", json!({"reason": "bye", "userId": "u"}), "bye"),
        ("kicked_out", json!({"message": "bye", "code": 403}), "bye"),
        ("kicked_out", json!({}), "the server put the client out of the channel"),
    ] {
        let (mut peer, channel) = Peer::joined(Dialect::Python, quiet());
        let request = peer.request(channel).unwrap();
        peer.forget();
        peer.receive(&Dialect::Python.frame("SYSTEM", event, "/c", FOREIGN, &payload));
        let error = peer.one(EventKind::ChannelError);
        assert_eq!((error.status, text(&error, Field::Message)), (status::EVICTED, reason));
        let state = peer.one(EventKind::ChannelState);
        assert_eq!((state.state, state.status), (CLOSED, status::EVICTED));
        assert_eq!(text(&state, Field::Message), reason);
        let reply = peer.one(EventKind::Reply);
        assert_eq!((reply.ticket, reply.status), (request, status::EVICTED));
        assert_eq!(peer.send(channel).unwrap_err().status, status::CLOSED);
        assert!(peer.sent.is_empty(), "no LEAVE: the server knows");
        peer.reconnect();
        assert!(peer.sent.is_empty(), "no rejoin");
        // An explicit join reopens it.
        peer.join(channel);
        peer.ack("/c");
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    }
}

#[test]
fn an_application_reply_with_an_eviction_name_is_a_reply() {
    for name in ["EVICTED", "evicted", "kicked_out"] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        let ticket = peer.request(channel).unwrap();
        let id = peer.last("BROADCAST", "/c").id;
        let frame = Dialect::Js.reply("/c", &id, name, &json!({"reason": "asked"}));
        peer.receive(&frame);
        let reply = peer.one(EventKind::Reply);
        assert_eq!(
            (reply.ticket, reply.status, text(&reply, Field::Name)),
            (ticket, status::OK, name)
        );
        // A second one, or the answer to a plain send, is a message.
        peer.receive(&frame);
        assert_eq!(text(&peer.one(EventKind::Message), Field::Name), name);
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    }
}

#[test]
fn news_of_the_eviction_of_others_are_messages() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    for name in ["kicked", "user_evicted"] {
        peer.receive(&Dialect::Js.frame("SYSTEM", name, "/c", FOREIGN, &json!({"userId": "u", "reason": "bye"})));
        assert_eq!(text(&peer.one(EventKind::Message), Field::Name), name);
    }
    // The name in a broadcast is the application's.
    peer.receive(&Dialect::Js.broadcast("/c", FOREIGN, "EVICTED", &json!({})));
    peer.one(EventKind::Message);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn leave_and_join_again_on_one_link() {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    peer.leave(channel);
    peer.leave(channel);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"]);
    let id = peer.last("LEAVE_CHANNEL", "/c").id;
    peer.receive(&Dialect::Go.frame("SYSTEM", "EXIT_ACKNOWLEDGE", "/c", &id, &json!({})));
    assert_eq!(peer.states(EventKind::ChannelState), [CLOSED]);
    assert!(peer.kinds().is_empty());
    peer.join(channel);
    peer.ack("/c");
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
    // While joining, the server may already have us.
    let other = peer.open("/d");
    peer.join(other);
    peer.leave(other);
    assert_eq!(peer.words()[2..], ["JOIN_CHANNEL", "LEAVE_CHANNEL"]);
}

#[test]
fn the_join_params_of_a_rejoin_are_the_newest() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open_with("/c", r#"{"token":1}"#);
    peer.join(channel);
    assert_eq!(peer.last("JOIN_CHANNEL", "/c").payload, json!({"token": 1}));
    peer.ack("/c");
    peer.session.set_join_params(channel, r#"{"token":2}"#);
    peer.forget();
    peer.reconnect();
    assert_eq!(peer.last("JOIN_CHANNEL", "/c").payload, json!({"token": 2}));
    peer.ack("/c");
    assert_eq!(peer.states(EventKind::ChannelState), [STALLED, JOINED]);
}

#[test]
fn a_freed_channel_is_gone_and_its_name_is_free() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.close(channel);
    assert_eq!(peer.states(EventKind::ChannelState), [CLOSED]);
    assert_eq!(peer.words(), ["LEAVE_CHANNEL"]);
    assert_eq!(peer.session.channel_by_name("/c"), None);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Closed);
    assert_eq!(peer.send(channel).unwrap_err().status, status::CLOSED);
    peer.receive(&Dialect::Js.broadcast("/c", FOREIGN, "late", &json!({})));
    peer.none(EventKind::Message);
    let again = peer.open("/c");
    assert_ne!(again, channel);
    peer.join(again);
    peer.ack("/c");
    peer.receive(&Dialect::Js.broadcast("/c", FOREIGN, "new", &json!({})));
    assert_eq!(peer.one(EventKind::Message).channel, again.0);
}

#[test]
fn the_event_of_an_ended_or_stalled_channel_says_why() {
    let told = |act: fn(&mut Peer, ChannelId)| {
        let (mut peer, channel) = Peer::joined(Dialect::Rust, quiet());
        peer.forget();
        act(&mut peer, channel);
        let event = peer.one(EventKind::ChannelState);
        (event.state, event.status)
    };
    let closed = ChannelState::Closed as i32;
    assert_eq!(told(|peer, channel| peer.leave(channel)), (closed, status::OK));
    assert_eq!(told(|peer, _| peer.disconnect()), (closed, status::CLOSED));
    assert_eq!(
        told(|peer, _| peer.lose()),
        (ChannelState::Stalled as i32, status::CONNECTION_LOST)
    );
}
