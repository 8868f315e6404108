//! The vocabulary that the interop servers share, as far as the chat did not have it before.

use serde_json::{Value, json};

use crate::support::{Client, End, Server};

/// Asks in `/chat/app` and returns the answer of that name.
async fn ask(client: &mut Client, event: &str, payload: Value, answer: &str) -> Value {
    let id = client.event(event, "/chat/app", payload).await;
    let frame = client.until(answer).await;
    assert_eq!((&frame["action"], &frame["requestId"]), (&json!("SYSTEM"), &json!(id)));
    frame["payload"].clone()
}

#[tokio::test]
async fn refused_connections_end_without_a_word() {
    let server = Server::start(&[]);
    for mode in ["decline", "decline&code=429&message=later", "throw", "silent"] {
        let path = format!("/api/socket?token=secret&mode={mode}");
        let mut client = Client::connect(&server, &path, &[]).await;
        assert_eq!(client.end().await, End::Close(None), "{mode}");
    }
    let mut client = Client::connect(&server, "/api/socket?token=secret&mode=accept", &[]).await;
    assert_eq!(client.next().await["event"], "CONNECTION");
}

#[tokio::test]
async fn joins_without_presence_and_with_an_early_reply() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    for params in [
        json!({"presence": false}),
        json!({"mode": "reply-first", "presence": false}),
    ] {
        let id = ann.join("/chat/app", params).await;
        let acknowledge = ann.next().await;
        assert_eq!(acknowledge["event"], "ACKNOWLEDGE");
        assert_eq!(acknowledge["requestId"], *id);
        // Neither presence nor the reply, which the package refuses before accept.
        assert_eq!(ann.frames_until_pong("/chat/app").await, Vec::<Value>::new());
        let leave = "LEAVE_CHANNEL";
        ann.request(leave, leave, "/chat/app", json!({})).await;
        ann.until("EXIT_ACKNOWLEDGE").await;
    }
}

#[tokio::test]
async fn one_user_is_told() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    let mut bob = server.chat("bob").await;
    ann.joined("/chat/app").await;
    bob.join("/chat/app", json!({"username": "robert"})).await;
    bob.until("ACKNOWLEDGE").await;
    for to in ["nobody", "robert"] {
        ann.event("direct", "/chat/app", json!({"to": to})).await;
    }
    let direct = bob.until("direct").await;
    assert_eq!(direct["action"], "BROADCAST");
    assert_eq!(direct["payload"], json!({"to": "robert", "from": "ann"}));
    // His own, unless the first went astray.
    bob.event("direct", "/chat/app", json!({"to": "ann"})).await;
    assert_eq!(ann.until("direct").await["payload"]["from"], "robert");
}

#[tokio::test]
async fn replies_of_every_kind() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/app").await;
    let who = ask(&mut ann, "whoami", json!({}), "whoami").await;
    assert_eq!(who, json!({"username": "ann", "room": "app"}));

    let first = ask(&mut ann, "twice", json!({}), "first").await;
    assert_eq!(first, json!({"n": 1}));
    // The package sends one reply only.
    assert_eq!(ann.frames_until_pong("/chat/app").await, Vec::<Value>::new());

    for (name, wanted) in [
        ("array", json!([1, "two", null])),
        ("null", Value::Null),
        ("string", json!("text")),
        ("number", json!(42.5)),
    ] {
        let payload = ask(&mut ann, "types", json!({"type": name}), "types").await;
        assert_eq!(payload, wanted);
    }

    let deep = ask(&mut ann, "deep", json!({"levels": 100}), "deep").await;
    let text = deep["data"].to_string();
    assert_eq!(text, format!("{}{}", "[".repeat(100), "]".repeat(100)));

    let id = ann.event("tell-and-reply", "/chat/app", json!({"k": 1})).await;
    // In whichever order: the package sends broadcasts from tasks of their own.
    let frames = [ann.next().await, ann.next().await];
    let one = |event: &str| frames.iter().find(|frame| frame["event"] == event).expect("both came");
    assert_eq!(one("told")["action"], "BROADCAST");
    assert_ne!(one("told")["requestId"], *id);
    assert_eq!(one("reply")["requestId"], *id);
}

#[tokio::test]
async fn very_deep_payloads_are_sent() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/app").await;
    ann.event("deep", "/chat/app", json!({"levels": 1_000_000})).await;
    // Deeper than this test's own parser takes.
    let text = ann.text().await;
    assert!(text.contains(&"[".repeat(1_000)));
    ann.frames_until_pong("/chat/app").await;
}

#[tokio::test]
async fn the_server_speaks_on_its_own() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    let mut bob = server.chat("bob").await;
    ann.joined("/chat/app").await;
    bob.joined("/chat/app").await;
    ask(&mut ann, "later", json!({"ms": 1}), "later").await;
    for client in [&mut ann, &mut bob] {
        let news = client.until("news").await;
        assert_eq!(news["action"], "BROADCAST");
        assert_eq!(news["payload"], json!({"n": 1}));
    }
}

#[tokio::test]
async fn failing_handlers_and_a_closed_channel_are_silent() {
    let server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/home").await;
    ann.joined("/chat/app").await;
    for event in ["throw", "decline", "close-channel", "ping"] {
        ann.event(event, "/chat/app", json!({"code": 418, "message": "tea"}))
            .await;
        let frames = ann.frames_until_pong("/chat/home").await;
        assert_eq!(frames, Vec::<Value>::new(), "{event}");
    }
    ann.join("/chat/app", json!({})).await;
    assert_eq!(ann.frames_until_pong("/chat/home").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_process_dies_on_request() {
    let mut server = Server::start(&[]);
    let mut ann = server.chat("ann").await;
    ann.joined("/chat/app").await;
    ann.event("die", "/chat/app", json!({})).await;
    assert_eq!(ann.end().await, End::Cut);
    assert_eq!(server.exit_status().code(), Some(1));
}
