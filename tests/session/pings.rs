//! Pings, their pongs, and what may stretch the deadline.

use pondsocket::session::{Action, Config, EventKind, status};

use crate::harness::{Peer, quiet};
use crate::server::Dialect;

#[test]
fn a_ping_without_pong_ends_the_link() {
    let config = Config {
        ping_interval: 25_000,
        ..quiet()
    };
    let mut peer = Peer::up(Dialect::Js, config);
    peer.advance(25_000);
    assert!(peer.took(Action::Ping(1)));
    peer.pong(1);
    peer.advance(24_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Ping(2)));
    peer.session.pong(1);
    peer.advance(9_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort), "the pong of an earlier ping does not count");
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientError).status, status::CONNECTION_LOST);
    assert!(peer.session.deadline().is_some(), "it is dialled again");
}

#[test]
fn traffic_stretches_the_pong_deadline_but_not_for_ever() {
    let config = Config {
        ping_interval: 25_000,
        ..quiet()
    };
    let mut peer = Peer::up(Dialect::Js, config.clone());
    peer.advance(25_000);
    peer.forget();
    for _ in 0..5 {
        peer.advance(5_000);
        peer.session.traffic(peer.now);
        peer.drain();
        assert!(!peer.took(Action::Abort));
    }
    peer.advance(4_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort), "30 s after the ping at the latest");
    // A pong in time ends the worry.
    let mut peer = Peer::up(Dialect::Js, config);
    peer.advance(25_000);
    peer.advance(9_000);
    peer.session.traffic(peer.now);
    peer.advance(9_000);
    peer.pong(1);
    peer.advance(6_999);
    assert!(!peer.took(Action::Abort));
}

#[test]
fn no_ping_is_sent_while_reading_is_paused() {
    let config = Config {
        ping_interval: 25_000,
        ..quiet()
    };
    let mut peer = Peer::up(Dialect::Js, config);
    peer.session.reading_paused(true, peer.now);
    peer.advance(100_000);
    assert!(peer.actions.is_empty(), "{:?}", peer.actions);
    peer.session.reading_paused(false, peer.now);
    peer.advance(25_000);
    assert!(peer.took(Action::Ping(1)));
}

#[test]
fn no_pong_is_asked_for_while_reading_is_paused() {
    let config = Config {
        ping_interval: 25_000,
        ..quiet()
    };
    let mut peer = Peer::up(Dialect::Js, config);
    peer.advance(25_000);
    peer.session.reading_paused(true, peer.now);
    peer.session.traffic(peer.now);
    peer.advance(200_000);
    assert!(!peer.took(Action::Abort));
    assert_eq!(peer.actions.len(), 1, "no further pings: {:?}", peer.actions);
    peer.session.reading_paused(false, peer.now);
    peer.drain();
    peer.advance(9_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort), "the deadline counts from the first read");
}
