//! Presence: the list of the last frame, through every spelling and every rejoin.

use pondsocket::session::{EventKind, Field};
use serde_json::json;

use crate::harness::{Peer, quiet, text};
use crate::server::Dialect;

const ALICE: &str = r#"[{"id":"alice"}]"#;

fn with_alice() -> (Peer, pondsocket::session::ChannelId) {
    let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
    let payload = json!({"changed": {"id": "alice"}, "presence": [{"id": "alice"}]});
    peer.receive(&Dialect::Go.presence("/c", "JOIN", &payload));
    assert_eq!(peer.session.presence(channel), ALICE);
    peer.forget();
    (peer, channel)
}

#[test]
fn nobody_before_any_frame() {
    let (peer, channel) = Peer::joined(Dialect::Js, quiet());
    assert_eq!(peer.session.presence(channel), "[]");
}

#[test]
fn all_names_and_keys_are_understood() {
    for (event, kind) in [
        ("JOIN", 1),
        ("presence:join", 1),
        ("UPDATE", 2),
        ("presence:update", 2),
        ("LEAVE", 3),
        ("presence:leave", 3),
    ] {
        for key in ["changed", "change"] {
            let (mut peer, channel) = Peer::joined(Dialect::Go, quiet());
            peer.receive(&Dialect::Go.presence("/c", event, &json!({key: {"id": "bob"}, "presence": [{"id": "x"}]})));
            let told = peer.one(EventKind::Presence);
            assert_eq!(told.presence_kind, kind, "{event}");
            assert_eq!(text(&told, Field::Changed), r#"{"id":"bob"}"#);
            assert_eq!(text(&told, Field::Users), r#"[{"id":"x"}]"#);
            assert_eq!(peer.session.presence(channel), r#"[{"id":"x"}]"#);
            assert!(told.frame_bytes > 0);
        }
    }
    let (mut peer, channel) = with_alice();
    peer.receive(&Dialect::Go.presence("/c", "SYNC", &json!({"presence": []})));
    peer.none(EventKind::Presence);
    peer.one(EventKind::ClientError);
    assert_eq!(peer.session.presence(channel), ALICE);
}

#[test]
fn a_frame_without_a_list_leaves_the_list_as_it_is() {
    let (mut peer, channel) = with_alice();
    for (event, payload) in [
        ("UPDATE", json!({"changed": {"id": "alice", "x": 1}})),
        ("LEAVE", json!({"userId": "u"})),
        ("UPDATE", json!({"changed": {}, "presence": null})),
    ] {
        peer.receive(&Dialect::Go.presence("/c", event, &payload));
        let told = peer.one(EventKind::Presence);
        assert_eq!(text(&told, Field::Users), ALICE, "the list is told again");
        assert_eq!(peer.session.presence(channel), ALICE, "no delta is applied");
    }
    // A list that is empty is a list.
    peer.receive(&Dialect::Go.presence("/c", "LEAVE", &json!({"presence": []})));
    assert_eq!(text(&peer.one(EventKind::Presence), Field::Users), "[]");
    assert_eq!(peer.session.presence(channel), "[]");
}

#[test]
fn the_list_is_kept_while_stalled_and_emptied_by_the_acknowledge() {
    let (mut peer, channel) = with_alice();
    peer.reconnect();
    assert_eq!(peer.session.presence(channel), ALICE);
    peer.none(EventKind::Presence);
    peer.forget_events();
    peer.ack("/c");
    assert_eq!(peer.kinds(), [EventKind::ChannelState, EventKind::Presence]);
    let told = peer.one(EventKind::Presence);
    assert_eq!((told.presence_kind, text(&told, Field::Users)), (0, "[]"));
    assert_eq!(told.text(Field::Changed), None, "nobody is said to have left");
    assert_eq!(peer.session.presence(channel), "[]");
    // Once: there is nobody to forget the next time.
    peer.reconnect();
    peer.forget_events();
    peer.ack("/c");
    assert_eq!(peer.kinds(), [EventKind::ChannelState]);
}

#[test]
fn a_presence_frame_of_the_new_join_replaces_the_list() {
    let (mut peer, channel) = with_alice();
    peer.reconnect();
    let payload = json!({"changed": {"id": "bob"}, "presence": [{"id": "bob"}]});
    peer.receive(&Dialect::Go.presence("/c", "JOIN", &payload));
    assert_eq!(peer.session.presence(channel), ALICE, "not joined yet");
    peer.forget_events();
    peer.ack("/c");
    let told = peer.one(EventKind::Presence);
    assert_eq!(
        (told.presence_kind, text(&told, Field::Users)),
        (1, r#"[{"id":"bob"}]"#)
    );
    assert_eq!(peer.session.presence(channel), r#"[{"id":"bob"}]"#);
}

#[test]
fn an_early_frame_without_a_list_is_no_reason_to_keep_the_old_one() {
    let (mut peer, channel) = with_alice();
    peer.reconnect();
    peer.receive(&Dialect::Go.presence("/c", "UPDATE", &json!({"changed": {"id": "bob"}})));
    peer.forget_events();
    peer.ack("/c");
    let told: Vec<(i32, String)> = peer
        .take(EventKind::Presence)
        .iter()
        .map(|e| (e.presence_kind, text(e, Field::Users).to_owned()))
        .collect();
    assert_eq!(told, [(0, "[]".to_owned()), (2, "[]".to_owned())]);
    assert_eq!(peer.session.presence(channel), "[]");
}

#[test]
fn the_end_of_a_channel_empties_the_list() {
    let (mut peer, channel) = with_alice();
    peer.leave(channel);
    assert_eq!(peer.session.presence(channel), "[]");
    peer.join(channel);
    peer.ack("/c");
    peer.none(EventKind::Presence);
    assert_eq!(peer.session.presence(channel), "[]");
}

#[test]
fn presence_of_a_channel_that_is_not_joined_is_nobodys() {
    let mut peer = Peer::up(Dialect::Python, quiet());
    let channel = peer.open("/c");
    peer.receive(&Dialect::Python.presence("/c", "JOIN", &json!({"presence": [1]})));
    peer.receive(&Dialect::Python.presence("/d", "JOIN", &json!({"presence": [1]})));
    peer.none(EventKind::Presence);
    assert_eq!(peer.session.presence(channel), "[]");
    assert_eq!(peer.session.stats().discarded, 2);
}
