//! Sending: queues and their overflow, the outbound buffer, what is in doubt, volatile sends.

use pondsocket::session::{Action, ChannelState, Config, EventKind, Field, Overflow, status};
use serde_json::json;

use crate::harness::{Peer, quiet, value};
use crate::server::Dialect;

fn narrow(overflow: Overflow) -> Config {
    Config {
        queue_limit: 4,
        overflow,
        ..quiet()
    }
}

fn pinging() -> Config {
    Config {
        ping_interval: 25_000,
        ..quiet()
    }
}

/// The mark of the message that a DROPPED event names.
fn named(event: &pondsocket::session::Event) -> u64 {
    value(event, Field::Payload)["mark"].as_u64().unwrap()
}

#[test]
fn messages_wait_for_the_join_in_order() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    let channel = peer.open("/c");
    let mut marks = vec![peer.send(channel).unwrap()];
    peer.join(channel);
    marks.push(peer.send(channel).unwrap());
    peer.connect();
    peer.accept();
    marks.push(peer.send(channel).unwrap());
    assert_eq!(peer.session.outbound_messages(), 3);
    assert!(!peer.session.is_flushed());
    assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
    peer.ack("/c");
    marks.push(peer.send(channel).unwrap());
    assert_eq!(peer.marks(), marks);
    assert!(peer.session.is_flushed());
    assert_eq!(peer.session.stats().frames_out, 5);
}

#[test]
fn drop_oldest_reports_each_message_it_drops() {
    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::DropOldest));
    let channel = peer.open("/c");
    peer.join(channel);
    let marks: Vec<u64> = (0..6).map(|_| peer.send(channel).unwrap()).collect();
    let dropped = peer.take(EventKind::Dropped);
    let told: Vec<(u64, u32, i32)> = dropped.iter().map(|e| (named(e), e.count, e.status)).collect();
    let why = status::QUEUE_FULL;
    assert_eq!(told, [(marks[0], 1, why), (marks[1], 1, why)]);
    peer.ack("/c");
    assert_eq!(peer.marks(), marks[2..]);
}

#[test]
fn drop_newest_reports_the_new_one() {
    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::DropNewest));
    let channel = peer.open("/c");
    peer.join(channel);
    let marks: Vec<u64> = (0..6).map(|_| peer.send(channel).unwrap()).collect();
    let told: Vec<u64> = peer.take(EventKind::Dropped).iter().map(named).collect();
    assert_eq!(told, marks[4..]);
    peer.ack("/c");
    assert_eq!(peer.marks(), marks[..4]);
}

#[test]
fn refuse_takes_nothing_and_tells_when_there_is_room() {
    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::Refuse));
    let channel = peer.open("/c");
    peer.join(channel);
    let marks: Vec<u64> = (0..4).map(|_| peer.send(channel).unwrap()).collect();
    for _ in 0..3 {
        assert_eq!(peer.send(channel).unwrap_err().status, status::QUEUE_FULL);
    }
    peer.none(EventKind::Dropped);
    peer.none(EventKind::Writable);
    peer.ack("/c");
    assert_eq!(peer.one(EventKind::Writable).channel, channel.0);
    assert_eq!(peer.marks(), marks);
    // Without a refusal there is nothing to tell.
    peer.reconnect();
    peer.ack("/c");
    peer.none(EventKind::Writable);
}

#[test]
fn a_queue_emptied_by_cancels_has_room() {
    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::Refuse));
    let channel = peer.open("/c");
    peer.join(channel);
    let tickets: Vec<u64> = (0..4).map(|_| peer.request(channel).unwrap()).collect();
    assert_eq!(peer.request(channel).unwrap_err().status, status::QUEUE_FULL);
    peer.cancel(tickets[0]);
    peer.none(EventKind::Writable);
    peer.cancel(tickets[1]);
    peer.one(EventKind::Writable);
}

#[test]
fn requests_in_a_full_queue_are_told_by_their_reply_only() {
    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::DropOldest));
    let channel = peer.open("/c");
    peer.join(channel);
    let old = peer.request(channel).unwrap();
    for _ in 0..4 {
        peer.send(channel).unwrap();
    }
    let reply = peer.one(EventKind::Reply);
    assert_eq!((reply.ticket, reply.status), (old, status::QUEUE_FULL));
    peer.none(EventKind::Dropped);
    peer.advance(20_000);
    peer.none(EventKind::Reply);

    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::DropNewest));
    let channel = peer.open("/c");
    peer.join(channel);
    for _ in 0..4 {
        peer.send(channel).unwrap();
    }
    let new = peer.request(channel).unwrap();
    let reply = peer.one(EventKind::Reply);
    assert_eq!((reply.ticket, reply.status), (new, status::QUEUE_FULL));
    peer.advance(20_000);
    peer.none(EventKind::Reply);

    let mut peer = Peer::up(Dialect::Js, narrow(Overflow::Refuse));
    let channel = peer.open("/c");
    peer.join(channel);
    for _ in 0..4 {
        peer.send(channel).unwrap();
    }
    assert_eq!(peer.request(channel).unwrap_err().status, status::QUEUE_FULL);
    peer.advance(20_000);
    peer.none(EventKind::Reply);
}

#[test]
fn a_closed_channel_drops_its_queue_as_one_event() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    peer.join(channel);
    let marks: Vec<u64> = (0..3).map(|_| peer.send(channel).unwrap()).collect();
    let request = peer.request(channel).unwrap();
    peer.leave(channel);
    let dropped = peer.one(EventKind::Dropped);
    assert_eq!(
        (dropped.count, dropped.status, named(&dropped)),
        (3, status::CLOSED, marks[2])
    );
    assert_eq!(dropped.text(Field::Name), Some("message"));
    assert_eq!(dropped.text(Field::ChannelName), Some("/c"));
    let reply = peer.one(EventKind::Reply);
    assert_eq!((reply.ticket, reply.status), (request, status::CLOSED));
    assert_eq!(peer.session.stats().dropped, 3);
    assert_eq!(peer.send(channel).unwrap_err().status, status::CLOSED);
}

#[test]
fn a_full_outbound_buffer_takes_nothing_and_one_writable_follows_below_half() {
    let config = Config {
        outbound_limit: 10_000,
        ..quiet()
    };
    let (mut peer, channel) = Peer::joined(Dialect::Js, config);
    peer.handing = false;
    let mut accepted = 0;
    while peer.send_sized(channel, 880).is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, 9, "frames of about 1,000 bytes");
    let refused = peer.send_sized(channel, 880).unwrap_err();
    assert_eq!(refused.status, status::QUEUE_FULL);
    assert_eq!(peer.request(channel).map(|_| ()), Ok(()), "a small one fits");
    assert_eq!(peer.send_sized(channel, 880).unwrap_err().status, status::QUEUE_FULL);
    peer.hand_over(4);
    peer.none(EventKind::Writable);
    peer.hand_over(1);
    assert_eq!(peer.one(EventKind::Writable).channel, channel.0);
    peer.hand_over(10);
    peer.none(EventKind::Writable);
    peer.none(EventKind::Dropped);
    assert!(peer.session.is_flushed());
}

#[test]
fn a_message_larger_than_the_buffer_goes_alone() {
    let config = Config {
        outbound_limit: 1_000,
        ..quiet()
    };
    let (mut peer, channel) = Peer::joined(Dialect::Js, config);
    peer.handing = false;
    peer.send_sized(channel, 5_000).unwrap();
    assert_eq!(peer.send(channel).unwrap_err().status, status::QUEUE_FULL);
    peer.hand_over(1);
    peer.one(EventKind::Writable);
    peer.send(channel).unwrap();
}

#[test]
fn the_buffer_is_shared_and_each_refused_channel_is_told() {
    let config = Config {
        outbound_limit: 2_000,
        ..quiet()
    };
    let (mut peer, one) = Peer::joined(Dialect::Js, config);
    let two = peer.open("/d");
    peer.join(two);
    peer.ack("/d");
    peer.handing = false;
    peer.send_sized(one, 1_900).unwrap();
    for channel in [one, two] {
        assert!(peer.send_sized(channel, 500).is_err());
    }
    peer.hand_over(1);
    let told: Vec<u64> = peer.take(EventKind::Writable).iter().map(|e| e.channel).collect();
    assert_eq!(told, [one.0, two.0]);
    // A refusal that the lost link makes moot is told as well: the queue has room.
    peer.send_sized(one, 1_900).unwrap();
    assert!(peer.send_sized(two, 500).is_err());
    peer.lose();
    assert_eq!(peer.one(EventKind::Writable).channel, two.0);
}

#[test]
fn what_was_handed_over_without_proof_is_in_doubt_and_never_resent() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    for _ in 0..3 {
        peer.send(channel).unwrap();
    }
    peer.lose();
    let state = peer.one(EventKind::ClientState);
    assert_eq!(state.in_doubt, 3);
    peer.none(EventKind::Dropped);
    peer.forget();
    peer.skip();
    peer.accept();
    peer.ack("/c");
    assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
    peer.lose();
    assert_eq!(
        peer.take(EventKind::ClientState).pop().unwrap().in_doubt,
        0,
        "told once"
    );
}

#[test]
fn a_pong_proves_what_was_written_before_its_ping() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, pinging());
    peer.send(channel).unwrap();
    peer.send(channel).unwrap();
    peer.advance(25_000);
    assert!(peer.took(Action::Ping(1)));
    peer.send(channel).unwrap();
    peer.pong(1);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 1);
}

#[test]
fn an_answer_proves_what_the_driver_has_not_yet_told_of() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.handing = false;
    peer.send(channel).unwrap();
    let ticket = peer.request(channel).unwrap();
    let id = peer.last("BROADCAST", "/c").id;
    peer.send(channel).unwrap();
    assert_eq!(peer.session.outbound_messages(), 3);
    peer.receive(&Dialect::Js.reply("/c", &id, "ok", &json!({})));
    assert_eq!(peer.one(EventKind::Reply).ticket, ticket);
    assert_eq!(
        peer.session.outbound_messages(),
        1,
        "all but the one behind the question"
    );
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 0);
    assert_eq!(peer.session.outbound_messages(), 1, "it is queued again");
}

#[test]
fn a_pong_proves_nothing_of_what_went_behind_its_ping() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, pinging());
    peer.send(channel).unwrap();
    // Two are with the driver when the ping is due, two are not.
    peer.handing = false;
    peer.send(channel).unwrap();
    peer.send(channel).unwrap();
    peer.taking = false;
    peer.send(channel).unwrap();
    peer.send(channel).unwrap();
    peer.advance(25_000);
    peer.taking = true;
    peer.drain();
    peer.hand_over(4);
    peer.pong(1);
    peer.lose();
    assert_eq!(
        peer.one(EventKind::ClientState).in_doubt,
        2,
        "those that the driver took behind the ping"
    );

    let (mut peer, channel) = Peer::joined(Dialect::Js, pinging());
    peer.handing = false;
    peer.send(channel).unwrap();
    peer.advance(25_000);
    peer.pong(1);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 0, "it is queued again");
    assert_eq!(peer.session.outbound_messages(), 1);
}

#[test]
fn traffic_and_broadcasts_prove_nothing() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.send(channel).unwrap();
    peer.session.traffic(peer.now);
    let own = peer.last("BROADCAST", "/c");
    peer.receive(&Dialect::Js.broadcast("/c", &own.id, "message", &own.payload));
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 1);
}

#[test]
fn a_reply_proves_its_question_and_all_before_it() {
    for failed in [false, true] {
        let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
        peer.send(channel).unwrap();
        peer.request(channel).unwrap();
        let id = peer.last("BROADCAST", "/c").id;
        peer.send(channel).unwrap();
        peer.send(channel).unwrap();
        let frame = if failed {
            Dialect::Js.request_error("/c", &id)
        } else {
            Dialect::Js.reply("/c", &id, "ok", &serde_json::json!({}))
        };
        peer.receive(&frame);
        peer.one(EventKind::Reply);
        peer.lose();
        assert_eq!(peer.one(EventKind::ClientState).in_doubt, 2);
    }
}

#[test]
fn what_was_not_handed_over_is_queued_again_before_newer_ones() {
    let (mut peer, one) = Peer::joined(Dialect::Js, quiet());
    let two = peer.open("/d");
    peer.join(two);
    peer.ack("/d");
    peer.forget();
    peer.handing = false;
    let mut of_one = Vec::new();
    let mut of_two = Vec::new();
    for _ in 0..3 {
        of_one.push(peer.send(one).unwrap());
        of_two.push(peer.send(two).unwrap());
    }
    // Not even taken.
    peer.taking = false;
    of_one.push(peer.send(one).unwrap());
    let request = peer.request(two).unwrap();
    peer.hand_over(3);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 3);
    peer.none(EventKind::Reply);
    peer.none(EventKind::Dropped);
    of_one.push(peer.send(one).unwrap());
    (peer.taking, peer.handing) = (true, true);
    peer.forget();
    peer.skip();
    peer.accept();
    peer.ack("/c");
    peer.ack("/d");
    let sent_to = |name: &str| -> Vec<u64> {
        let mine = peer.sent.iter().filter(|s| s.channel == name);
        mine.filter_map(crate::ledger::Sent::mark).collect()
    };
    assert_eq!(sent_to("/c"), of_one[2..]);
    assert_eq!(sent_to("/d")[..2], of_two[1..]);
    assert_eq!(sent_to("/d").len(), 3, "and the request");
    let id = peer.last("BROADCAST", "/d").id;
    peer.receive(&Dialect::Js.reply("/d", &id, "ok", &serde_json::json!({})));
    assert_eq!(peer.one(EventKind::Reply).ticket, request);
}

#[test]
fn a_membership_frame_is_of_its_link_only() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.taking = false;
    peer.leave(channel);
    let other = peer.open("/d");
    peer.join(other);
    peer.lose();
    peer.taking = true;
    peer.skip();
    peer.accept();
    assert_eq!(
        peer.words(),
        ["JOIN_CHANNEL"],
        "one JOIN, and no LEAVE of a channel that the server forgot"
    );
    assert_eq!(peer.sent[0].channel, "/d");
}

#[test]
fn a_frame_over_the_limit_is_not_taken() {
    let config = Config {
        max_message_out: 1_000,
        ..quiet()
    };
    let (mut peer, channel) = Peer::joined(Dialect::Js, config);
    assert_eq!(peer.send_sized(channel, 1_000).unwrap_err().status, status::TOO_LARGE);
    assert_eq!(peer.session.state() as i32, 3);
    peer.send_sized(channel, 500).unwrap();
    assert_eq!(peer.marks().len(), 1);
}

#[test]
fn volatile_sends_go_now_or_never() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    let channel = peer.open("/c");
    assert_eq!(peer.send_volatile(channel), Ok(false), "IDLE");
    peer.join(channel);
    assert_eq!(peer.send_volatile(channel), Ok(false), "JOINING");
    peer.ack("/c");
    assert_eq!(peer.send_volatile(channel), Ok(true));
    peer.handing = false;
    peer.send(channel).unwrap();
    assert_eq!(peer.send_volatile(channel), Ok(false), "something waits before it");
    peer.hand_over(1);
    assert_eq!(peer.send_volatile(channel), Ok(true));
    assert_eq!(peer.send_volatile(channel), Ok(false), "one of its own kind waits");
    assert_eq!(peer.session.outbound_messages(), 0, "nobody waits for it");
    peer.lose();
    assert_eq!(peer.one_state().in_doubt, 1, "it is never in doubt, the send is");
    assert_eq!(peer.session.stats().dropped, 1);
    peer.none(EventKind::Dropped);
    assert_eq!(peer.session.channel_state(channel), ChannelState::Stalled);
    assert_eq!(peer.send_volatile(channel), Ok(false), "STALLED");
    peer.handing = true;
    peer.forget();
    peer.skip();
    peer.accept();
    peer.ack("/c");
    assert_eq!(peer.words(), ["JOIN_CHANNEL"], "never resent");
    peer.leave(channel);
    assert_eq!(peer.send_volatile(channel).unwrap_err().status, status::CLOSED);
}
