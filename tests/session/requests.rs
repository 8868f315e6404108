//! Requests: each completes exactly once, whatever happens.

use pondsocket::session::{ChannelState, Event, EventKind, Field, status};
use serde_json::json;

use crate::harness::{Peer, quiet, text};
use crate::server::{Dialect, FOREIGN};

const SPEAKING: [Dialect; 4] = [Dialect::Js, Dialect::Python, Dialect::Rust, Dialect::Go];

/// Joined, with one request on the wire: its ticket and the frame's id.
fn asked(dialect: Dialect) -> (Peer, pondsocket::session::ChannelId, u64, String) {
    let (mut peer, channel) = Peer::joined(dialect, quiet());
    let ticket = peer.request(channel).unwrap();
    let id = peer.last("BROADCAST", "/c").id;
    (peer, channel, ticket, id)
}

fn ended(event: &Event) -> (u64, i32) {
    (event.ticket, event.status)
}

#[test]
fn a_reply_of_any_name_completes_it() {
    for dialect in SPEAKING {
        let (mut peer, channel, ticket, id) = asked(dialect);
        assert!(peer.session.is_pending(channel, ticket));
        peer.receive(&dialect.reply("/c", &id, "pong", &json!({"n": 1})));
        let reply = peer.one(EventKind::Reply);
        assert_eq!(ended(&reply), (ticket, status::OK));
        assert_eq!(
            (text(&reply, Field::Name), text(&reply, Field::Payload)),
            ("pong", r#"{"n":1}"#)
        );
        assert_eq!(
            (reply.channel, text(&reply, Field::RequestId)),
            (channel.0, id.as_str())
        );
        assert_eq!(reply.frame_bytes, 0, "not counted against the inbound limit");
        assert!(!peer.session.is_pending(channel, ticket));
        peer.none(EventKind::Message);
        peer.advance(20_000);
        peer.none(EventKind::Reply);
    }
}

#[test]
fn a_server_error_is_an_error() {
    for dialect in SPEAKING {
        let (mut peer, _, ticket, id) = asked(dialect);
        peer.receive(&dialect.request_error("/c", &id));
        let reply = peer.one(EventKind::Reply);
        assert_eq!(ended(&reply), (ticket, status::SERVER));
        assert!(reply.http_status >= 400, "{dialect:?}");
        assert!(text(&reply, Field::Details).starts_with('{'), "the server's JSON");
        peer.none(EventKind::ChannelError);
    }
}

#[test]
fn an_error_about_the_connection_with_its_id_is_its_error() {
    let (mut peer, _, ticket, id) = asked(Dialect::Go);
    let frame = Dialect::Go.frame(
        "SYSTEM",
        "INTERNAL_ERROR",
        "GATEWAY",
        &id,
        &json!({"message": "broken"}),
    );
    peer.receive(&frame);
    let reply = peer.one(EventKind::Reply);
    assert_eq!(ended(&reply), (ticket, status::SERVER));
    assert_eq!(text(&reply, Field::Message), "broken");
}

#[test]
fn a_broadcast_with_its_id_is_a_broadcast() {
    let (mut peer, _, ticket, id) = asked(Dialect::Js);
    peer.receive(&Dialect::Js.broadcast("/c", &id, "said", &json!({})));
    let message = peer.one(EventKind::Message);
    assert_eq!(text(&message, Field::RequestId), id);
    peer.none(EventKind::Reply);
    peer.receive(&Dialect::Js.reply("/c", &id, "ok", &json!({})));
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::OK));
}

#[test]
fn late_and_second_replies_are_messages_with_their_id() {
    let (mut peer, _, ticket, id) = asked(Dialect::Js);
    let frame = Dialect::Js.reply("/c", &id, "part", &json!({}));
    peer.receive(&frame);
    peer.one(EventKind::Reply);
    peer.receive(&frame);
    assert_eq!(text(&peer.one(EventKind::Message), Field::RequestId), id);
    // A late error is the channel's.
    peer.receive(&Dialect::Js.request_error("/c", &id));
    assert_eq!(peer.one(EventKind::ChannelError).status, status::SERVER);
    assert!(!peer.cancel(ticket));

    let (mut peer, _, ticket, id) = asked(Dialect::Python);
    peer.advance(10_000);
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::ERROR_TIMEOUT));
    peer.receive(&Dialect::Python.reply("/c", &id, "late", &json!({})));
    let late = peer.one(EventKind::Message);
    assert_eq!(
        (text(&late, Field::Name), text(&late, Field::RequestId)),
        ("late", id.as_str())
    );
}

#[test]
fn a_reply_must_come_from_its_channel() {
    let (mut peer, _, ticket, id) = asked(Dialect::Js);
    let other = peer.open("/d");
    peer.join(other);
    peer.ack("/d");
    peer.receive(&Dialect::Js.reply("/d", &id, "ok", &json!({})));
    peer.receive(&Dialect::Js.reply("/nowhere", &id, "ok", &json!({})));
    peer.receive(&Dialect::Js.reply("/c", FOREIGN, "ok", &json!({})));
    peer.none(EventKind::Reply);
    assert_eq!(
        peer.take(EventKind::Message).len(),
        2,
        "they are messages where they came"
    );
    peer.receive(&Dialect::Js.reply("/c", &id, "ok", &json!({})));
    assert_eq!(peer.one(EventKind::Reply).ticket, ticket);
}

#[test]
fn the_clock_starts_at_the_call() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let short = peer.request_within(channel, Some(100)).unwrap();
    let usual = peer.request(channel).unwrap();
    let patient = peer.request_within(channel, None).unwrap();
    peer.advance(99);
    peer.none(EventKind::Reply);
    peer.advance(1);
    let reply = peer.one(EventKind::Reply);
    assert_eq!(ended(&reply), (short, status::ERROR_TIMEOUT));
    assert_eq!(reply.http_status, 408);
    peer.advance(5_000);
    peer.ack("/c");
    assert_eq!(peer.marks().len(), 2, "the one that is over is not asked any more");
    peer.advance(4_899);
    peer.none(EventKind::Reply);
    peer.advance(1);
    assert_eq!(ended(&peer.one(EventKind::Reply)), (usual, status::ERROR_TIMEOUT));
    peer.advance(1_000_000);
    peer.none(EventKind::Reply);
    assert!(peer.session.is_pending(channel, patient));
}

#[test]
fn a_clock_that_is_not_told_the_time_starts_with_the_next_tick() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    peer.ack("/c");
    let (now, session) = (peer.now, &mut peer.session);
    session.request(channel, "ask", "{}", Some(100), 1, None).unwrap();
    session.request(channel, "ask", "{}", None, 2, None).unwrap();
    session.tick(now + 50);
    assert_eq!(session.deadline(), Some(now + 150));
    // One that is told starts those before it.
    session.request(channel, "ask", "{}", Some(10), 3, None).unwrap();
    session.request(channel, "ask", "{}", Some(40), 4, now + 60).unwrap();
    session.tick(now + 69);
    assert!(std::iter::from_fn(|| session.poll_event()).all(|event| event.kind != EventKind::Reply));
    session.tick(now + 150);
    let over = std::iter::from_fn(|| session.poll_event()).filter(|event| event.kind == EventKind::Reply);
    assert_eq!(over.map(|event| event.ticket).collect::<Vec<_>>(), [3, 4, 1]);
    assert!(session.is_pending(channel, 2));
}

#[test]
fn a_cancelled_request_is_not_asked_if_it_has_not_gone() {
    let (mut peer, channel, gone, _) = asked(Dialect::Js);
    peer.forget();
    peer.taking = false;
    let waiting = peer.request(channel).unwrap();
    assert!(peer.cancel(gone) && peer.cancel(waiting));
    assert!(!peer.cancel(gone) && !peer.cancel(999));
    let told: Vec<(u64, i32)> = peer.take(EventKind::Reply).iter().map(ended).collect();
    assert_eq!(told, [(gone, status::CANCELLED), (waiting, status::CANCELLED)]);
    peer.taking = true;
    peer.drain();
    assert!(peer.sent.is_empty());
    assert!(peer.session.is_flushed());
}

#[test]
fn a_completed_request_is_not_asked_again_after_a_lost_link() {
    for how in ["cancel", "timeout", "reply", "leave"] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        peer.handing = false;
        let request = peer.request(channel).unwrap();
        match how {
            "cancel" => assert!(peer.cancel(request)),
            "timeout" => peer.advance(10_000),
            "reply" => {
                // It has arrived in full, the driver has not said so yet.
                let id = peer.last("BROADCAST", "/c").id;
                peer.receive(&Dialect::Js.reply("/c", &id, "ok", &json!({})));
            }
            _ => {
                peer.leave(channel);
                peer.join(channel);
            }
        }
        peer.one(EventKind::Reply);
        peer.handing = true;
        peer.forget();
        // The driver had taken the frame, and the link broke in the middle of it.
        peer.handing = false;
        peer.lose();
        peer.handing = true;
        peer.skip();
        peer.accept();
        peer.ack("/c");
        assert_eq!(peer.words(), ["JOIN_CHANNEL"], "{how}");
        assert_eq!(peer.session.outbound_messages(), 0);
    }
}

#[test]
fn a_request_that_was_answered_while_queued_again_is_not_asked() {
    for failed in [false, true] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        peer.handing = false;
        let ticket = peer.request(channel).unwrap();
        let id = peer.last("BROADCAST", "/c").id;
        peer.lose();
        peer.handing = true;
        peer.forget();
        peer.skip();
        peer.accept();
        let frame = if failed {
            Dialect::Js.request_error("/c", &id)
        } else {
            Dialect::Js.reply("/c", &id, "ok", &json!({}))
        };
        peer.receive(&frame);
        assert_eq!(peer.one(EventKind::Reply).ticket, ticket);
        peer.ack("/c");
        assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
    }
}

#[test]
fn close_decline_and_disconnect_complete_them() {
    let (mut peer, channel, ticket, _) = asked(Dialect::Js);
    peer.leave(channel);
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::CLOSED));

    let (mut peer, channel, ticket, _) = asked(Dialect::Js);
    peer.close(channel);
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::CLOSED));

    let (mut peer, _, ticket, _) = asked(Dialect::Js);
    peer.disconnect();
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::CLOSED));

    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let ticket = peer.request(channel).unwrap();
    let refusal = Dialect::Js.decline("/c", &peer.join_id("/c")).unwrap();
    peer.receive(&refusal);
    let reply = peer.one(EventKind::Reply);
    assert_eq!(ended(&reply), (ticket, status::DECLINED));
    assert_eq!(reply.http_status, 403);
    assert_eq!(peer.request(channel).unwrap_err().status, status::DECLINED);
}

#[test]
fn a_lost_link_ends_those_on_the_wire_and_keeps_the_queued() {
    let (mut peer, channel, gone, _) = asked(Dialect::Js);
    peer.handing = false;
    let taken = peer.request(channel).unwrap();
    peer.lose();
    assert_eq!(ended(&peer.one(EventKind::Reply)), (gone, status::CONNECTION_LOST));
    let queued = peer.request(channel).unwrap();
    peer.handing = true;
    peer.skip();
    peer.accept();
    peer.ack("/c");
    for ticket in [taken, queued] {
        assert!(peer.session.is_pending(channel, ticket));
    }
    let ids: Vec<String> = peer.sent.iter().rev().take(2).map(|s| s.id.clone()).collect();
    for id in ids.iter().rev() {
        peer.receive(&Dialect::Js.reply("/c", id, "ok", &json!({})));
    }
    let told: Vec<u64> = peer.take(EventKind::Reply).iter().map(|e| e.ticket).collect();
    assert_eq!(told, [taken, queued]);
}

#[test]
fn suspend_ends_those_on_the_wire() {
    let (mut peer, _, ticket, _) = asked(Dialect::Js);
    peer.suspend();
    peer.lose();
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::CONNECTION_LOST));
}

#[test]
fn a_caller_may_fail_one_itself() {
    let (mut peer, channel, ticket, _) = asked(Dialect::Js);
    let failure = pondsocket::session::Failure::new(status::CLOSED, "freed");
    assert!(peer.session.fail_request(ticket, &failure));
    assert!(!peer.session.fail_request(ticket, &failure));
    peer.drain();
    assert_eq!(ended(&peer.one(EventKind::Reply)), (ticket, status::CLOSED));
    assert!(!peer.session.is_pending(channel, ticket));
}

#[test]
fn errors_with_the_id_of_a_plain_send_are_the_channels() {
    for event in ["NOT_FOUND", "INTERNAL_ERROR", "UNAUTHORIZED"] {
        let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
        peer.send(channel).unwrap();
        let id = peer.last("BROADCAST", "/c").id;
        peer.receive(&Dialect::Go.frame("SYSTEM", event, "/c", &id, &json!({"message": "no"})));
        let error = peer.one(EventKind::ChannelError);
        assert_eq!((error.status, text(&error, Field::ErrorCode)), (status::SERVER, event));
        assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
        peer.none(EventKind::Message);
    }
}
