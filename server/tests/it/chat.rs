//! The chat application.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Client, End, Server};

fn ids(presence: &Value) -> BTreeSet<String> {
    presence["payload"]["presence"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|user| user["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn the_token_opens_the_door() {
    let server = Server::start(&["--token", "open"]);
    let mut client = Client::connect(&server, "/api/socket?token=open", &[]).await;
    let hello = client.next().await;
    assert_eq!(hello["action"], "CONNECT");
    assert_eq!(hello["event"], "CONNECTION");

    for path in ["/api/socket?token=wrong", "/api/socket"] {
        let mut client = Client::connect(&server, path, &[]).await;
        assert_eq!(client.end().await, End::Close(None), "{path}");
    }
}

#[tokio::test]
async fn greeting_shows_headers_and_query() {
    let server = Server::start(&[]);
    let path = "/api/socket?token=secret&name=ann&greet=1&color=blue+green";
    let mut client = Client::connect(&server, path, &[("x-test", "hi there")]).await;
    let welcome = client.until("welcome").await;
    assert_eq!(welcome["channelName"], "GATEWAY");
    let payload = &welcome["payload"];
    assert_eq!(payload["name"], "ann");
    assert_eq!(payload["header"], "hi there");
    assert_eq!(payload["query"]["color"], "blue green");

    let mut client = Client::connect(&server, "/api/socket?token=secret&greet=1", &[]).await;
    let welcome = client.until("welcome").await;
    assert_eq!(welcome["payload"]["header"], Value::Null);
    assert_eq!(welcome["payload"]["name"], "guest");
}

#[tokio::test]
async fn messages_reach_everybody_and_keep_their_keys() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    let mut bob = server.chat("bob").await;
    ann.joined("/chat/one").await;
    bob.joined("/chat/one").await;
    ann.event("message", "/chat/one", json!({"text": "hi", "n": 7})).await;
    for client in [&mut ann, &mut bob] {
        let frame = client.until("message").await;
        assert_eq!(frame["action"], "BROADCAST");
        let wanted = json!({"text": "hi", "n": 7, "from": "ann"});
        assert_eq!(frame["payload"], wanted);
    }
    bob.event("others", "/chat/one", json!({"text": "psst"})).await;
    assert_eq!(ann.until("message").await["payload"]["from"], "bob");
    let own = bob.frames_until_pong("/chat/one").await;
    assert!(own.iter().all(|frame| frame["event"] != "message"));
}

#[tokio::test]
async fn history_is_bounded_and_sent_on_demand() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/h").await;
    for n in 0..120 {
        ann.event("message", "/chat/h", json!({"text": "m", "n": n})).await;
    }
    ann.frames_until_pong("/chat/h").await;
    let mut bob = server.chat("bob").await;
    let id = bob.join("/chat/h", json!({"history": true})).await;
    let history = bob.until("history").await;
    assert_eq!(history["requestId"], *id);
    let numbers: Vec<u64> = history["payload"]["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| message["n"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (100..120).collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_are_answered() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/r").await;

    let id = ann.event("ping", "/chat/r", json!({"a": 1})).await;
    let pong = ann.until("pong").await;
    assert_eq!(pong["requestId"], *id);
    assert_eq!(pong["payload"], json!({"a": 1, "room": "r"}));

    let payload = json!({"list": [1, "x", null], "deep": {"é": true}});
    ann.event("echo", "/chat/r", payload.clone()).await;
    assert_eq!(ann.until("echo").await["payload"], payload);

    ann.event("user/42?full=yes", "/chat/r", json!({})).await;
    let wanted = json!({"id": "42", "query": {"full": ["yes"]}});
    assert_eq!(ann.until("user").await["payload"], wanted);

    ann.event("big", "/chat/r", json!({"bytes": 300_000})).await;
    let big = ann.until("big").await;
    assert_eq!(big["payload"]["data"].as_str().map(str::len), Some(300_000));

    let id = ann.event("nobody-knows", "/chat/r", json!({})).await;
    let refusal = ann.until("NOT_FOUND").await;
    assert_eq!(refusal["requestId"], *id);
}

#[tokio::test]
async fn a_slow_reply_does_not_hold_up_others() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/s").await;
    let slow = ann.event("slow", "/chat/s", json!({"ms": 1000})).await;
    let ping = ann.event("ping", "/chat/s", json!({})).await;
    let first = ann.next().await;
    assert_eq!(first["requestId"], *ping);
    let second = ann.next().await;
    assert_eq!(second["event"], "slow");
    assert_eq!(second["requestId"], *slow);
}

#[tokio::test]
async fn some_events_get_no_answer() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/q").await;
    for event in ["silent", "decline"] {
        ann.event(event, "/chat/q", json!({})).await;
        let frames = ann.frames_until_pong("/chat/q").await;
        assert_eq!(frames, Vec::<Value>::new(), "{event}");
    }
}

#[tokio::test]
async fn refused_joins_get_no_answer() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/home").await;
    for mode in ["decline", "silent", "throw", "no-such-mode"] {
        ann.join("/chat/away", json!({"mode": mode})).await;
        let frames = ann.frames_until_pong("/chat/home").await;
        assert_eq!(frames, Vec::<Value>::new(), "{mode}");
    }
    let id = ann.join("/chat/away", json!({"mode": "slow", "delayMs": 50})).await;
    assert_eq!(ann.until("ACKNOWLEDGE").await["requestId"], *id);
    let id = ann.join("/nowhere/1", json!({})).await;
    assert_eq!(ann.until("NOT_FOUND").await["requestId"], *id);
}

#[tokio::test]
async fn presence_follows_the_members() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/p").await;
    let mut bob = server.chat("bob").await;
    bob.join("/chat/p", json!({"username": "robert"})).await;
    let join = ann.until("JOIN").await;
    assert_eq!(join["payload"]["changed"]["id"], "robert");
    assert_eq!(ids(&join), BTreeSet::from(["ann".to_owned(), "robert".to_owned()]));

    bob.event("status", "/chat/p", json!({"status": "away"})).await;
    let update = ann.until("UPDATE").await;
    assert_eq!(update["payload"]["changed"]["status"], "away");
    assert_eq!(update["payload"]["changed"]["id"], "robert");

    let id = bob
        .request("LEAVE_CHANNEL", "LEAVE_CHANNEL", "/chat/p", json!({}))
        .await;
    let left = bob.until("EXIT_ACKNOWLEDGE").await;
    assert_eq!(left["requestId"], *id);
    let leave = ann.until("LEAVE").await;
    assert_eq!(ids(&leave), BTreeSet::from(["ann".to_owned()]));
}

#[tokio::test]
async fn eviction_by_name_and_of_oneself() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    let mut bob = server.chat("bob").await;
    ann.joined("/chat/e").await;
    bob.joined("/chat/e").await;
    ann.event("evict", "/chat/e", json!({"username": "bob"})).await;
    let evicted = bob.until("EVICTED").await;
    assert_eq!(evicted["payload"]["reason"], "bye");
    ann.event("evict", "/chat/e", json!({"username": "nobody"})).await;
    // Still a member, or the ping would get no pong.
    ann.frames_until_pong("/chat/e").await;
    ann.event("evict", "/chat/e", json!({})).await;
    assert_eq!(ann.until("EVICTED").await["channelName"], "/chat/e");
    // The connection survives, and a new join works.
    bob.joined("/chat/e").await;
}

#[tokio::test]
async fn a_flood_is_complete() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/f").await;
    ann.event("flood", "/chat/f", json!({"count": 2000, "size": 100})).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 2000 {
        let frame = ann.until("flood").await;
        assert_eq!(frame["payload"]["pad"].as_str().map(str::len), Some(100));
        assert!(seen.insert(frame["payload"]["i"].as_u64().expect("a number")));
    }
    assert_eq!(seen.last(), Some(&1999));
}

#[tokio::test]
async fn the_server_closes_on_request() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/c").await;
    ann.event("close-me", "/chat/c", json!({})).await;
    assert_eq!(ann.end().await, End::Close(None));
}

#[tokio::test]
async fn a_panic_leaves_a_connection_that_only_listens() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    let mut bob = server.chat("bob").await;
    ann.joined("/chat/z").await;
    bob.joined("/chat/z").await;
    bob.event("panic", "/chat/z", json!({})).await;
    // Bob's request after it is never read, though he still hears what Ann says later.
    bob.event("message", "/chat/z", json!({"text": "lost"})).await;
    for n in 0..3 {
        ann.event("message", "/chat/z", json!({"text": "heard", "n": n})).await;
        let frame = bob.until("message").await;
        assert_eq!(frame["payload"]["text"], "heard");
        assert_eq!(frame["payload"]["n"], n);
    }
}
