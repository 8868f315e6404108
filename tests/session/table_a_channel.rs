//! Table A of the protocol: joins, leaves, evictions, replies, presence. See `rows`.

use pondsocket::session::{Action, ChannelState, ClientState, Config, EventKind, Field, Plain, status};
use serde_json::json;

use crate::capture::{received, sent, with_id};
use crate::harness::{Peer, quiet, text};
use crate::server::{DIALECTS, Dialect, FOREIGN, SERVERS};

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
fn messages_are_taken_at_once_when_nothing_else_is_told() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    let frame = Dialect::Js.broadcast("/c", FOREIGN, "one", &json!({"a": 1}));
    // The first one finds its channel the long way.
    peer.receive(&frame);
    let (now, session) = (peer.now, &mut peer.session);
    assert!(session.plain_events(true).is_none());
    session.text_frame(&frame, now);
    session.text_frame(&frame, now);
    let (messages, plain) = session.plain_events(true).unwrap();
    assert_eq!(messages.len(), 2);
    let counted = |messages, replies| Plain {
        messages,
        bytes: u64::from(messages) * frame.len() as u64,
        replies,
    };
    assert_eq!(plain, counted(2, 0));
    drop(messages);
    assert!(session.poll_event().is_none());
    // With something else before, behind, or already taken.
    for (frames, taken) in [
        (["?", &frame], 0),
        ([&frame, "?"], 0),
        ([&frame, "?"], 1),
        (["?", &frame], 1),
    ] {
        for frame in frames {
            session.text_frame(frame, now);
        }
        let mut kinds: Vec<_> = (0..taken)
            .filter_map(|_| session.poll_event())
            .map(|event| event.kind)
            .collect();
        assert!(session.plain_events(true).is_none(), "{taken} of {frames:?} taken");
        kinds.extend(std::iter::from_fn(|| session.poll_event()).map(|event| event.kind));
        let wanted = frames.map(|frame| {
            if frame == "?" {
                EventKind::ClientError
            } else {
                EventKind::Message
            }
        });
        assert_eq!(kinds, wanted);
    }
    session.text_frame(&frame, now);
    assert_eq!(session.plain_events(true).unwrap().1, counted(1, 0), "counted anew");
    // Replies are of them, good ones and bad ones, unless one is untold.
    let tickets = [(); 3].map(|()| peer.request(channel).unwrap());
    peer.session.text_frame(&frame, now);
    for ticket in tickets {
        assert!(peer.session.cancel_request(ticket));
    }
    assert_eq!(peer.session.plain_events(true).unwrap().1, counted(1, 3));
    let ticket = peer.request(channel).unwrap();
    peer.session.text_frame(&frame, now);
    assert!(peer.session.plain_events(false).is_some(), "no reply among them");
    peer.session.text_frame(&frame, now);
    assert!(peer.session.cancel_request(ticket));
    assert!(peer.session.plain_events(false).is_none());
    while peer.session.poll_event().is_some() {}
    let ticket = peer.request(channel).unwrap();
    peer.session.text_frame("?", now);
    assert!(peer.session.cancel_request(ticket));
    peer.session.forget_reply(ticket);
    assert!(peer.session.plain_events(true).is_none(), "the error is none");
    assert_eq!(peer.session.poll_event().unwrap().kind, EventKind::ClientError);
}
