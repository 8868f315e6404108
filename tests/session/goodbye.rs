//! disconnect, suspend and resume, in each state of the connection.

use pondsocket::session::{Action, ChannelState, ClientState, Config, EventKind, Field, GOODBYE, status};

use crate::harness::{Peer, end, quiet, text};
use crate::server::Dialect;

const CLOSED: i32 = ChannelState::Closed as i32;
const DISCONNECTED: i32 = ClientState::Disconnected as i32;

/// Brings a fresh peer with one wanted channel into a state of the connection.
fn in_state(which: &str) -> Peer {
    let config = Config {
        ask_before_dial: which == "asking",
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Js, config);
    let channel = peer.open("/c");
    peer.join(channel);
    if which != "down" {
        peer.connect();
    }
    match which {
        "waiting" => peer.ended(end(status::CONNECT, 0)),
        "open" => peer.upgrade(),
        "up" => {
            peer.accept();
            peer.ack("/c");
        }
        "failing" => {
            peer.upgrade();
            peer.advance(10_000);
        }
        _ => {}
    }
    peer
}

const STATES: [&str; 7] = ["down", "asking", "dialing", "waiting", "open", "up", "failing"];

#[test]
fn disconnect_in_each_state() {
    for which in STATES {
        let mut peer = in_state(which);
        let channel = peer.session.channel_by_name("/c").unwrap();
        let request = peer.request(channel).unwrap();
        if which != "up" {
            peer.send(channel).unwrap();
        }
        let before = peer.session.state();
        peer.forget();
        peer.disconnect();
        assert_eq!(peer.states(EventKind::ChannelState), [CLOSED], "{which}: at once");
        let reply = peer.one(EventKind::Reply);
        assert_eq!((reply.ticket, reply.status), (request, status::CLOSED), "{which}");
        match which {
            "up" => assert_eq!(peer.words(), ["LEAVE_CHANNEL"]),
            _ => assert_eq!(peer.one(EventKind::Dropped).status, status::CLOSED, "{which}"),
        }
        let expected = match which {
            "dialing" | "open" => vec![Action::Abort],
            "up" => vec![Action::Close],
            _ => vec![],
        };
        assert_eq!(Vec::from(peer.actions.clone()), expected, "{which}");
        if peer.session.is_linked() {
            assert_eq!(peer.session.state(), before, "{which}: until the socket is gone");
            peer.none(EventKind::ClientState);
            peer.lose();
        }
        peer.none(EventKind::ClientError);
        assert_eq!(peer.session.state(), ClientState::Disconnected);
        let told = usize::from(before != ClientState::Disconnected);
        let states = peer.take(EventKind::ClientState);
        assert_eq!(states.len(), told, "{which}: told once");
        assert!(
            states
                .iter()
                .all(|e| e.state == DISCONNECTED && e.retry_ms == u32::MAX && e.status == status::OK)
        );
        assert_eq!(peer.session.deadline(), None, "{which}: nothing is planned");
        peer.ledger.check_settled(&peer.session);
        // And connect works again.
        peer.forget();
        peer.connect();
        assert_eq!(peer.session.state(), ClientState::Connecting, "{which}");
    }
}

#[test]
fn a_goodbye_is_over_in_time() {
    let mut peer = in_state("up");
    peer.forget();
    peer.disconnect();
    assert_eq!(GOODBYE, 2_000);
    peer.advance(1_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort));
    peer.lose();
    assert_eq!(peer.session.state(), ClientState::Disconnected);
    // A second, more impatient one shortens it.
    let mut peer = in_state("up");
    peer.disconnect();
    peer.session.disconnect(peer.now, 500);
    peer.advance(500);
    assert!(peer.took(Action::Abort));
}

#[test]
fn a_goodbye_flushes_first_and_nothing_follows_its_close() {
    let mut peer = in_state("up");
    let channel = peer.session.channel_by_name("/c").unwrap();
    // A join that was given up: the server may still answer it.
    let ghost = peer.open("/ghost");
    peer.join(ghost);
    let late = Dialect::Js.ack("/ghost", &peer.join_id("/ghost"));
    peer.advance(10_000);
    peer.taking = false;
    peer.send(channel).unwrap();
    peer.send(channel).unwrap();
    peer.forget();
    peer.disconnect();
    assert!(!peer.took(Action::Close), "frames wait");
    peer.taking = true;
    peer.drain();
    assert_eq!(
        peer.words(),
        ["BROADCAST", "BROADCAST", "LEAVE_CHANNEL", "LEAVE_CHANNEL"]
    );
    assert_eq!(Vec::from(peer.actions.clone()), [Action::Close], "once");
    peer.receive(&late);
    assert_eq!(peer.sent.len(), 4, "a frame behind Close");
    peer.none(EventKind::Dropped);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientState).in_doubt, 2);
    peer.ledger.check_settled(&peer.session);
}

#[test]
fn what_a_goodbye_could_not_write_is_dropped() {
    let mut peer = in_state("up");
    let channel = peer.session.channel_by_name("/c").unwrap();
    let other = peer.open("/d");
    peer.join(other);
    peer.ack("/d");
    peer.handing = false;
    let mut marks = Vec::new();
    for to in [channel, other, channel] {
        marks.push(peer.send(to).unwrap());
    }
    peer.taking = false;
    marks.push(peer.send(other).unwrap());
    peer.disconnect();
    peer.hand_over(1);
    peer.forget();
    peer.advance(GOODBYE);
    peer.lose();
    let dropped = peer.take(EventKind::Dropped);
    let told: Vec<(u64, u32, i32)> = dropped.iter().map(|e| (e.channel, e.count, e.status)).collect();
    assert_eq!(told, [(other.0, 2, status::CLOSED), (channel.0, 1, status::CLOSED)]);
    assert!(text(&dropped[0], Field::Payload).contains(&format!("\"mark\":{}", marks[3])));
    peer.ledger.check_settled(&peer.session);
}

#[test]
fn connect_during_the_goodbye_dials_again_after_it() {
    for which in ["dialing", "open", "up", "failing"] {
        let mut peer = in_state(which);
        peer.disconnect();
        peer.forget();
        peer.connect();
        assert!(peer.actions.is_empty(), "{which}: the goodbye goes on");
        peer.lose();
        assert!(peer.took(Action::Dial { attempt: 1 }), "{which}");
        assert_eq!(peer.session.state(), ClientState::Connecting);
        peer.accept();
        assert!(peer.sent.is_empty(), "{which}: the channels were closed");
        // Changed again.
        peer.disconnect();
        peer.connect();
        peer.disconnect();
        peer.lose();
        assert_eq!(peer.session.state(), ClientState::Disconnected, "{which}");
        assert_eq!(peer.session.deadline(), None);
    }
}

#[test]
fn a_join_during_the_goodbye_waits_for_the_next_connection() {
    let mut peer = in_state("up");
    let channel = peer.session.channel_by_name("/c").unwrap();
    peer.disconnect();
    peer.join(channel);
    peer.send(channel).unwrap();
    peer.connect();
    peer.forget();
    peer.lose();
    peer.accept();
    assert_eq!(peer.words(), ["JOIN_CHANNEL"]);
    peer.ack("/c");
    assert_eq!(peer.words(), ["JOIN_CHANNEL", "BROADCAST"]);
}

#[test]
fn suspend_in_each_state_keeps_the_channels() {
    for which in STATES {
        let mut peer = in_state(which);
        let channel = peer.session.channel_by_name("/c").unwrap();
        let before = peer.session.state();
        peer.forget();
        peer.suspend();
        if matches!(which, "dialing" | "open" | "up") {
            assert_eq!(Vec::from(peer.actions.clone()), [Action::Abort], "{which}");
        }
        if peer.session.is_linked() {
            peer.lose();
        }
        peer.none(EventKind::ClientError);
        assert_eq!(peer.session.deadline(), None, "{which}: no timer of ours goes on");
        assert_eq!(peer.session.state(), ClientState::Disconnected);
        let told = peer.take(EventKind::ClientState);
        assert_eq!(told.len(), usize::from(before != ClientState::Disconnected), "{which}");
        let state = peer.session.channel_state(channel);
        let expected = if which == "up" {
            ChannelState::Stalled
        } else {
            ChannelState::Joining
        };
        assert_eq!(state, expected, "{which}");
        assert!(!peer.words().contains(&"LEAVE_CHANNEL"));
        peer.send(channel).unwrap();
        peer.advance(1_000_000);
        assert!(
            peer.actions.iter().all(|action| *action == Action::Abort),
            "{which}: no dial"
        );
        peer.forget();
        peer.resume();
        if which == "down" {
            assert!(peer.actions.is_empty(), "it was never connected");
            continue;
        }
        if which == "asking" {
            peer.session.answer_dial(peer.events.last().unwrap().attempt).unwrap();
            peer.drain();
        }
        assert!(peer.took(Action::Dial { attempt: 1 }), "{which}: at once");
        peer.accept();
        peer.ack("/c");
        assert_eq!(peer.words(), ["JOIN_CHANNEL", "BROADCAST"], "{which}");
    }
}

#[test]
fn resume_before_the_link_is_gone_dials_after_it() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.suspend();
    peer.resume();
    assert!(!peer.took(Action::Dial { attempt: 1 }));
    peer.lose();
    assert!(peer.took(Action::Dial { attempt: 1 }));
    peer.suspend();
    peer.resume();
    peer.suspend();
    peer.forget();
    peer.lose();
    assert!(peer.actions.is_empty());
    assert_eq!(peer.session.channel_state(channel), ChannelState::Stalled);
    // A second resume, or one without suspend, is nothing.
    peer.resume();
    peer.resume();
    assert_eq!(peer.actions.len(), 1);
}

#[test]
fn disconnect_while_suspended_ends_everything() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.suspend();
    peer.lose();
    peer.send(channel).unwrap();
    peer.settle();
    assert_eq!(peer.one(EventKind::Dropped).count, 1);
    peer.resume();
    assert_eq!(peer.session.state(), ClientState::Disconnected);
}
