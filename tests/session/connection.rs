//! The connection beyond the tables: legacy grace, backoff, giving up, dials that are asked for, pings.

use pondsocket::session::{Action, ClientState, Config, EventKind, Field, LinkEnd, status};

use crate::harness::{Peer, end, lost, quiet, text};
use crate::server::Dialect;

const CONNECTING: i32 = ClientState::Connecting as i32;
const CONNECTED: i32 = ClientState::Connected as i32;
const DISCONNECTED: i32 = ClientState::Disconnected as i32;

fn with_grace() -> Config {
    Config {
        legacy_grace: 2_000,
        ..quiet()
    }
}

#[test]
fn silence_through_the_grace_counts_as_connected_by_default() {
    assert_eq!(Config::default().legacy_grace, 2_000);
    let mut peer = Peer::new(Dialect::Legacy, with_grace());
    peer.connect();
    peer.upgrade();
    peer.advance(1_999);
    assert_eq!(peer.session.state(), ClientState::Connecting);
    peer.advance(1);
    assert_eq!(peer.session.state(), ClientState::Connected);
    assert_eq!(peer.states(EventKind::ClientState), [CONNECTING, CONNECTED]);
    assert_eq!(peer.session.connection_id(), None);
}

#[test]
fn no_grace_when_it_is_switched_off() {
    let mut peer = Peer::new(Dialect::Legacy, quiet());
    peer.connect();
    peer.upgrade();
    peer.advance(9_999);
    assert_eq!(peer.session.state(), ClientState::Connecting);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort));
}

#[test]
fn a_frame_breaks_the_silence() {
    let mut peer = Peer::new(Dialect::Js, with_grace());
    peer.connect();
    peer.upgrade();
    peer.advance(1_000);
    peer.receive("not JSON");
    peer.advance(8_000);
    assert_eq!(peer.session.state(), ClientState::Connecting);
}

#[test]
fn the_grace_is_off_for_good_after_a_connection() {
    let mut peer = Peer::new(Dialect::Js, with_grace());
    peer.connect();
    peer.accept();
    peer.lose();
    peer.session.reconnect_now(peer.now);
    peer.drain();
    peer.upgrade();
    peer.advance(9_999);
    assert_eq!(peer.session.state(), ClientState::Connecting);
    // Also for one that came late.
    let mut peer = Peer::new(Dialect::Legacy, with_grace());
    peer.connect();
    peer.accept();
    peer.receive(&Dialect::Python.connection().unwrap());
    assert_eq!(peer.session.connection_id(), Some("the-connection"));
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientError).status, status::CONNECTION_LOST);
    peer.session.reconnect_now(peer.now);
    peer.drain();
    peer.upgrade();
    peer.advance(9_999);
    assert_eq!(peer.session.state(), ClientState::Connecting);
}

#[test]
fn a_close_soon_after_a_grace_is_a_refusal_and_the_backoff_grows() {
    let mut peer = Peer::new(Dialect::Legacy, with_grace());
    peer.connect();
    let mut longest = 0;
    for round in 0..12 {
        peer.forget();
        peer.accept();
        peer.advance(4_999);
        peer.lose();
        let error = peer.one(EventKind::ClientError);
        assert_eq!(error.status, status::REJECTED);
        let ceiling = (1_000u64 << round).min(30_000);
        let wait = peer.skip();
        assert!(wait <= ceiling, "{wait} ms in round {round}");
        longest = longest.max(wait);
        assert!(
            peer.took(Action::Dial { attempt: 1 }),
            "attempts count from the last CONNECTED"
        );
    }
    assert!(longest > 5_000, "the ceiling grows, the longest pause was {longest} ms");
    // One that lives long enough is an ordinary loss.
    peer.forget();
    peer.accept();
    peer.advance(5_000);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientError).status, status::CONNECTION_LOST);
    assert!(peer.skip() <= 1_000);
}

#[test]
fn an_unauthorized_error_frame_of_the_old_dialect_gives_up() {
    let frame = r#"{"action":"ERROR","event":"UNAUTHORIZED_CONNECTION","payload":{"message":"Invalid token","code":401},"channelName":"ENDPOINT"}"#;
    let mut peer = Peer::new(Dialect::Legacy, with_grace());
    peer.connect();
    peer.upgrade();
    peer.receive(frame);
    peer.none(EventKind::ClientError);
    peer.lose();
    let error = peer.one(EventKind::ClientError);
    assert_eq!((error.status, error.http_status), (status::REJECTED, 401));
    assert_eq!(text(&error, Field::Message), "Invalid token");
    assert_eq!(text(&error, Field::ErrorCode), "UNAUTHORIZED_CONNECTION");
    assert_eq!(error.retry_ms, u32::MAX);
    assert_eq!(peer.session.deadline(), None);
    assert_eq!(peer.session.gave_up().unwrap().http_status, 401);
}

/// The pause after the nth failed dial in a row, with that seed.
fn pauses(config: &Config, seed: u64, failures: usize) -> Vec<u64> {
    let mut peer = Peer::seeded(Dialect::Js, config.clone(), seed);
    peer.connect();
    let mut pauses = Vec::new();
    for _ in 0..failures {
        peer.forget();
        peer.ended(end(status::CONNECT, 0));
        let told = peer.one(EventKind::ClientState).retry_ms;
        assert_eq!(peer.one(EventKind::ClientError).retry_ms, told);
        let wait = if told == 0 { 0 } else { peer.skip() };
        if wait == 0 {
            peer.advance(0);
        }
        assert_eq!(wait, u64::from(told), "the event tells the truth");
        pauses.push(wait);
    }
    pauses
}

#[test]
fn the_backoff_ceiling_doubles_and_is_capped_with_full_jitter() {
    const CEILINGS: [u64; 7] = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    let samples: Vec<Vec<u64>> = (0..400).map(|seed| pauses(&quiet(), seed, CEILINGS.len())).collect();
    for (at, ceiling) in CEILINGS.into_iter().enumerate() {
        let column: Vec<u64> = samples.iter().map(|pauses| pauses[at]).collect();
        let (low, high) = (column.iter().min().unwrap(), column.iter().max().unwrap());
        assert!(*high <= ceiling, "{high} ms after failure {at}");
        assert!(*high > ceiling * 9 / 10, "{high} ms at most after failure {at}");
        assert!(*low < ceiling / 10, "{low} ms at least after failure {at}");
        let mean = column.iter().sum::<u64>() / column.len() as u64;
        assert!(
            (ceiling * 4 / 10..=ceiling * 6 / 10).contains(&mean),
            "{mean} ms after failure {at}"
        );
    }
    assert_eq!(
        samples[3],
        pauses(&quiet(), 3, 7),
        "the same seed gives the same pauses"
    );
}

#[test]
fn huge_backoff_settings_do_not_overflow() {
    let config = Config {
        backoff_base: u64::MAX / 2,
        backoff_max: u64::MAX,
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Js, config);
    peer.connect();
    peer.ended(end(status::CONNECT, 0));
    assert!(peer.one(EventKind::ClientError).retry_ms < u32::MAX, "a dial will come");
}

#[test]
fn retry_after_is_obeyed() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.ended(LinkEnd {
        retry_after: Some(120_000),
        ..end(status::HTTP, 503)
    });
    let error = peer.one(EventKind::ClientError);
    assert_eq!(
        (error.status, error.http_status, error.retry_ms),
        (status::HTTP, 503, 120_000)
    );
    peer.forget();
    peer.advance(119_999);
    assert!(peer.actions.is_empty());
    peer.advance(1);
    assert!(peer.took(Action::Dial { attempt: 2 }));
}

#[test]
fn unauthorized_before_the_first_connected_gives_up() {
    for code in [401, 403] {
        let mut peer = Peer::new(Dialect::Js, quiet());
        peer.connect();
        peer.ended(end(status::HTTP, code));
        assert_eq!(peer.one(EventKind::ClientError).retry_ms, u32::MAX);
        let state = peer.take(EventKind::ClientState).pop().unwrap();
        assert_eq!((state.state, state.retry_ms), (DISCONNECTED, u32::MAX));
        assert_eq!((state.status, state.http_status), (status::HTTP, code));
        assert_eq!(peer.session.gave_up().unwrap().http_status, code);
        assert_eq!(peer.session.deadline(), None);
        // An explicit connect tries again from the start.
        peer.forget();
        peer.connect();
        assert!(peer.took(Action::Dial { attempt: 1 }));
        assert_eq!(peer.session.gave_up(), None);
    }
    for code in [400, 404, 429, 500, 503] {
        let mut peer = Peer::new(Dialect::Js, quiet());
        peer.connect();
        peer.ended(end(status::HTTP, code));
        assert!(peer.one(EventKind::ClientError).retry_ms <= 1_000, "{code} is retried");
    }
}

#[test]
fn unauthorized_is_retried_when_asked_or_once_connected() {
    let retried = |config: Config| {
        let mut peer = Peer::new(Dialect::Js, config);
        peer.connect();
        if peer.session.config().ask_before_dial {
            peer.session.answer_dial(1).unwrap();
            peer.drain();
        }
        peer.ended(end(status::HTTP, 401));
        assert!(peer.session.gave_up().is_none());
        assert_ne!(peer.one(EventKind::ClientError).retry_ms, u32::MAX);
    };
    retried(Config {
        retry_refused: true,
        ..quiet()
    });
    retried(Config {
        ask_before_dial: true,
        ..quiet()
    });
    let mut peer = Peer::up(Dialect::Js, quiet());
    peer.lose();
    peer.forget();
    peer.session.reconnect_now(peer.now);
    peer.drain();
    peer.ended(end(status::HTTP, 403));
    assert_ne!(peer.one(EventKind::ClientError).retry_ms, u32::MAX);
}

#[test]
fn max_reconnect_attempts_counts_redials() {
    for max in [0, 1, 3] {
        let config = Config {
            max_reconnect_attempts: max,
            ..quiet()
        };
        let mut peer = Peer::new(Dialect::Js, config);
        peer.connect();
        let mut dials = 0;
        while peer.took(Action::Dial { attempt: dials + 1 }) {
            dials += 1;
            peer.forget();
            peer.ended(end(status::CONNECT, 0));
            if peer.session.deadline().is_some() {
                peer.skip();
            }
        }
        assert_eq!(dials, max as u32 + 1);
        assert_eq!(peer.session.gave_up().unwrap().status, status::CONNECT);
    }
    // A stable connection gives all attempts back.
    let config = Config {
        max_reconnect_attempts: 1,
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Js, config);
    peer.connect();
    for _ in 0..3 {
        peer.accept();
        peer.advance(5_000);
        peer.lose();
        assert!(peer.session.gave_up().is_none());
        peer.skip();
    }
}

#[test]
fn the_connect_timeout_covers_upgrade_and_connection() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.advance(6_000);
    peer.upgrade();
    peer.advance(3_999);
    assert!(!peer.took(Action::Abort));
    peer.advance(1);
    assert!(peer.took(Action::Abort));
    assert_eq!(
        peer.session.state(),
        ClientState::Connecting,
        "until the driver has ended it"
    );
    // Too late.
    peer.receive(&Dialect::Js.connection().unwrap());
    assert_eq!(peer.session.state(), ClientState::Connecting);
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientError).status, status::ERROR_TIMEOUT);
    assert_eq!(peer.session.state(), ClientState::Disconnected);
    // The dial itself.
    peer.forget();
    peer.skip();
    peer.advance(10_000);
    assert!(peer.took(Action::Abort));
    peer.lose();
    assert_eq!(peer.one(EventKind::ClientError).status, status::ERROR_TIMEOUT);
    assert!(peer.session.last_failure().is_some());
}

#[test]
fn a_dial_waits_for_its_answer() {
    let config = Config {
        ask_before_dial: true,
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Js, config);
    peer.connect();
    assert_eq!(peer.kinds(), [EventKind::ClientState, EventKind::Dial]);
    assert_eq!(peer.one(EventKind::Dial).attempt, 1);
    assert!(peer.actions.is_empty());
    assert!(!peer.session.is_linked());
    assert_eq!(peer.session.answer_dial(2).unwrap_err().status, status::INVALID_STATE);
    peer.session.answer_dial(1).unwrap();
    peer.drain();
    assert!(peer.took(Action::Dial { attempt: 1 }));
    assert_eq!(
        peer.session.answer_dial(1).unwrap_err().status,
        status::INVALID_STATE,
        "twice"
    );
    peer.ended(end(status::CONNECT, 0));
    peer.forget();
    peer.skip();
    assert_eq!(peer.one(EventKind::Dial).attempt, 2);
    assert_eq!(
        peer.session.answer_dial(1).unwrap_err().status,
        status::INVALID_STATE,
        "stale"
    );
    // No answer is a failed attempt.
    peer.advance(10_000);
    let error = peer.one(EventKind::ClientError);
    assert_eq!(error.status, status::ERROR_TIMEOUT);
    assert_eq!(peer.session.state(), ClientState::Disconnected);
    peer.skip();
    assert_eq!(peer.one(EventKind::Dial).attempt, 3);
    // Nor does a question outlive a disconnect.
    peer.disconnect();
    assert_eq!(peer.session.answer_dial(3).unwrap_err().status, status::INVALID_STATE);
    assert_eq!(peer.session.deadline(), None);
    assert_eq!(peer.session.stats().dials, 1);
}

#[test]
fn reconnect_now_skips_the_backoff_and_nothing_else() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    let now = |peer: &mut Peer| {
        peer.forget();
        peer.session.reconnect_now(peer.now);
        peer.drain();
        !peer.actions.is_empty()
    };
    assert!(!now(&mut peer), "not connected, nor meant to be");
    peer.connect();
    assert!(!now(&mut peer), "dialling");
    peer.ended(LinkEnd {
        retry_after: Some(60_000),
        ..lost()
    });
    assert!(now(&mut peer));
    peer.accept();
    assert!(!now(&mut peer), "connected");
    assert_eq!(peer.session.stats().dials, 2);
    peer.suspend();
    peer.lose();
    assert!(!now(&mut peer), "suspended");
}

#[test]
fn a_spurious_end_changes_nothing() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.lose();
    assert!(peer.kinds().is_empty());
    peer.connect();
    peer.ended(end(status::CONNECT, 0));
    peer.forget();
    peer.lose();
    assert!(peer.kinds().is_empty());
    peer.advance(1_000);
    assert!(peer.took(Action::Dial { attempt: 2 }), "the redial still comes");
}

#[test]
fn events_number_dials_and_connects() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.ended(end(status::CONNECT, 0));
    peer.skip();
    peer.accept();
    peer.lose();
    peer.skip();
    peer.accept();
    let told: Vec<(i32, u32, u32)> = peer
        .take(EventKind::ClientState)
        .iter()
        .map(|e| (e.state, e.attempt, e.connect_count))
        .collect();
    let expected = [
        (CONNECTING, 1, 0),
        (DISCONNECTED, 1, 0),
        (CONNECTING, 2, 0),
        (CONNECTED, 2, 1),
        (DISCONNECTED, 0, 1),
        (CONNECTING, 1, 1),
        (CONNECTED, 1, 2),
    ];
    assert_eq!(told, expected);
}
