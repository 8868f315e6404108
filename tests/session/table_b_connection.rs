//! Table B of the protocol, the connection: what official clients get wrong, right. See `rows`.

use pondsocket::session::{Action, ChannelState, ClientState, Config, EventKind, Field, status};
use serde_json::json;

use crate::harness::{Peer, end, quiet, text};
use crate::server::{Dialect, FOREIGN};

fn pinging() -> Config {
    Config {
        ping_interval: 25_000,
        ..quiet()
    }
}

#[test]
fn table_b_connected_means_connection_not_an_open_socket() {
    let mut peer = Peer::new(Dialect::Python, quiet());
    peer.connect();
    peer.upgrade();
    assert_eq!(peer.session.state(), ClientState::Connecting);
    peer.receive(&Dialect::Python.connection().unwrap());
    assert_eq!(peer.session.state(), ClientState::Connected);
}

#[test]
fn table_b_never_stuck_without_connection() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.upgrade();
    peer.advance(10_000);
    assert!(peer.took(Action::Abort));
    peer.lose();
    peer.skip();
    assert!(peer.took(Action::Dial { attempt: 2 }));
}

#[test]
fn table_b_connect_twice_dials_once() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    for _ in 0..2 {
        peer.connect();
    }
    peer.upgrade();
    peer.connect();
    peer.receive(&Dialect::Js.connection().unwrap());
    peer.connect();
    assert_eq!(Vec::from(peer.actions.clone()), [Action::Dial { attempt: 1 }]);
    peer.lose();
    peer.connect();
    assert_eq!(peer.actions.len(), 1, "nor does it skip the backoff");
}

#[test]
fn table_b_initial_failure_is_retried_and_connect_tells_the_truth() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    for attempt in 2..6 {
        peer.ended(end(status::CONNECT, 0));
        assert_eq!(
            peer.session.state(),
            ClientState::Disconnected,
            "not CONNECTING for ever"
        );
        assert_eq!(peer.session.last_failure().unwrap().status, status::CONNECT);
        peer.skip();
        assert!(peer.took(Action::Dial { attempt }));
    }
    peer.accept();
    assert_eq!(peer.session.last_failure(), None);
}

#[test]
fn table_b_reconnect_goes_on_after_failed_retries() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    peer.lose();
    for attempt in 1..20 {
        peer.forget();
        peer.skip();
        assert!(peer.took(Action::Dial { attempt }));
        peer.ended(end(status::CONNECT, 0));
    }
    peer.skip();
    peer.accept();
}

#[test]
fn table_b_reconnect_by_itself() {
    // Whatever the close code: none of them means "stay away".
    for close_code in [0, 1000, 1001, 1005, 1006, 1011, 1012] {
        let mut peer = Peer::up(Dialect::Rust, quiet());
        peer.ended(pondsocket::session::LinkEnd {
            close_code,
            ..end(status::CONNECTION_LOST, 0)
        });
        assert_eq!(peer.one(EventKind::ClientState).close_code, i32::from(close_code));
        peer.skip();
        assert!(peer.took(Action::Dial { attempt: 1 }), "{close_code}");
    }
}

#[test]
fn table_b_backoff_resets_only_after_connected_and_stable() {
    // With a base of 1 s and no reset, some pause in ten is beyond what the first ceiling allows.
    let longest = |alive: u64, accepted: bool| {
        let mut peer = Peer::new(Dialect::Rust, quiet());
        peer.connect();
        let mut longest = 0;
        for _ in 0..10 {
            if accepted {
                peer.accept();
                peer.advance(alive);
            } else {
                peer.upgrade();
            }
            peer.lose();
            longest = longest.max(peer.skip());
        }
        longest
    };
    assert!(longest(0, false) > 5_000, "an open socket resets nothing");
    assert!(longest(4_999, true) > 5_000, "nor does a connection that dies at once");
    assert!(longest(5_000, true) <= 1_000, "one that lives does");
}

#[test]
fn table_b_attempts_can_be_limited() {
    let config = Config {
        max_reconnect_attempts: 2,
        ..quiet()
    };
    let mut peer = Peer::new(Dialect::Js, config);
    peer.connect();
    for _ in 0..2 {
        peer.ended(end(status::CONNECT, 0));
        peer.skip();
    }
    peer.forget();
    peer.ended(end(status::CONNECT, 0));
    assert_eq!(peer.one(EventKind::ClientState).retry_ms, u32::MAX);
    assert_eq!(peer.session.gave_up().unwrap().status, status::CONNECT);
}

#[test]
fn table_b_heartbeat_pings_and_keeps_quiet_links() {
    assert_eq!(
        (Config::default().ping_interval, Config::default().pong_timeout),
        (25_000, 10_000)
    );
    let mut peer = Peer::up(Dialect::Js, pinging());
    for serial in 1..40 {
        peer.advance(25_000);
        assert!(peer.took(Action::Ping(serial)));
        peer.pong(serial);
    }
    assert_eq!(
        peer.session.state(),
        ClientState::Connected,
        "no message in 16 minutes is no fault"
    );
}

#[test]
fn table_b_heartbeat_can_be_switched_off() {
    let mut peer = Peer::up(Dialect::Js, quiet());
    peer.advance(10_000_000);
    assert!(peer.actions.is_empty());
    assert_eq!(peer.session.state(), ClientState::Connected);
}

#[test]
fn table_b_newline_batch_is_taken_apart() {
    let (mut peer, _) = Peer::joined(Dialect::Go, quiet());
    let frame = |n: u32| Dialect::Go.broadcast("/c", FOREIGN, "n", &json!({"n": n}));
    peer.receive(&(0..50).map(frame).collect::<Vec<_>>().join("\n"));
    assert_eq!(peer.take(EventKind::Message).len(), 50);
}

#[test]
fn table_b_bad_and_array_payload_frames() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    for bad in [
        "",
        "nonsense",
        "{}",
        "[]",
        "{\"action\":5,\"event\":\"e\"}",
        "\u{feff}{}",
    ] {
        peer.receive(bad);
        assert_eq!(peer.one(EventKind::ClientError).status, status::PROTOCOL, "{bad}");
    }
    peer.receive(&Dialect::Js.broadcast("/c", FOREIGN, "list", &json!([1])));
    assert_eq!(text(&peer.one(EventKind::Message), Field::Payload), "[1]");
    // And both directions still work.
    peer.send(channel).unwrap();
    assert_eq!(peer.words(), ["BROADCAST"]);
}

#[test]
fn table_b_disconnect_is_told_once_and_connect_works_again() {
    let (mut peer, channel) = Peer::joined(Dialect::Js, quiet());
    peer.disconnect();
    assert_eq!(
        peer.states(EventKind::ChannelState),
        [ChannelState::Closed as i32],
        "never STALLED"
    );
    assert!(peer.words().contains(&"LEAVE_CHANNEL"));
    assert!(peer.took(Action::Close), "a close frame");
    peer.lose();
    peer.lose();
    assert_eq!(peer.states(EventKind::ClientState), [ClientState::Disconnected as i32]);
    peer.connect();
    peer.accept();
    peer.join(channel);
    peer.ack("/c");
    assert_eq!(peer.session.channel_state(channel), ChannelState::Joined);
}

#[test]
fn table_b_errors_bear_status_code_and_message() {
    let mut peer = Peer::new(Dialect::Js, quiet());
    peer.connect();
    peer.ended(end(status::HTTP, 503));
    let error = peer.one(EventKind::ClientError);
    assert_eq!((error.status, error.http_status, error.attempt), (status::HTTP, 503, 1));
    assert_eq!(text(&error, Field::ErrorCode), "POND_ERROR_HTTP");
    let state = peer.one_state();
    assert_eq!(
        (state.status, state.http_status, state.retry_ms),
        (status::HTTP, 503, error.retry_ms)
    );
    // The error comes before the state that it causes.
    let mut peer = Peer::up(Dialect::Js, quiet());
    peer.lose();
    assert_eq!(peer.kinds(), [EventKind::ClientError, EventKind::ClientState]);
}
