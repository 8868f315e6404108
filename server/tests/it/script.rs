//! The scripted endpoint.

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, End, Server};

const ROOM: &str = "/room/1";

#[tokio::test]
async fn connection_frame_can_be_withheld() {
    let server = Server::start(&["--script"]);
    let mut client = server.script().await;
    let id = client.join(ROOM, json!({})).await;
    let ack = client.next().await;
    assert_eq!(ack["action"], "SYSTEM");
    assert_eq!(ack["event"], "ACKNOWLEDGE");
    assert_eq!(ack["channelName"], ROOM);
    assert_eq!(ack["requestId"], *id);

    let mut client = Client::connect(&server, "/script?noconn=1", &[]).await;
    client.join(ROOM, json!({})).await;
    assert_eq!(client.next().await["event"], "ACKNOWLEDGE");
    let id = client.request("LEAVE_CHANNEL", "LEAVE_CHANNEL", ROOM, json!({})).await;
    let left = client.next().await;
    assert_eq!(left["event"], "EXIT_ACKNOWLEDGE");
    assert_eq!(left["requestId"], *id);
}

#[tokio::test]
async fn declines_speak_every_dialect() {
    let server = Server::start(&[]);
    let mut client = server.script().await;
    let mut decline = async |dialect: &str| {
        let payload = json!({
            "mode": "decline", "dialect": dialect, "code": 418, "message": "Tea only",
        });
        let id = client.join(ROOM, payload).await;
        let frame = client.next().await;
        assert_eq!(frame["requestId"], *id);
        assert_eq!(frame["channelName"], ROOM);
        frame
    };
    let js = decline("js").await;
    assert_eq!(js["action"], "ERROR");
    assert_eq!(js["event"], "UNAUTHORIZED_JOIN_REQUEST");
    assert_eq!(js["payload"]["code"], "UNAUTHORIZED_JOIN_REQUEST");
    assert_eq!(js["payload"]["status"], 418);
    assert_eq!(js["payload"]["error"]["message"], "Tea only");
    let python = decline("python").await;
    assert_eq!(python["action"], "SYSTEM");
    assert_eq!(python["event"], "UNAUTHORIZED");
    let wanted = json!({"code": 418, "message": "Tea only"});
    assert_eq!(python["payload"], wanted);
    let go = decline("go").await;
    assert_eq!(go["event"], "UNAUTHORIZED");
    assert_eq!(go["payload"]["code"], 418);
    assert_eq!(go["payload"]["details"]["statusCode"], 418);
    let missing = decline("notfound").await;
    assert_eq!(missing["event"], "NOT_FOUND");
    assert_eq!(missing["payload"], json!({"channel": ROOM}));
}

#[tokio::test]
async fn silence_raw_reply_error_and_batch() {
    let server = Server::start(&[]);
    let mut client = server.script().await;
    client.join(ROOM, json!({"mode": "silent"})).await;
    // Had the join been answered, its frame would come first.
    let frames = json!({"frames": ["$REQUEST_ID at $CHANNEL", "{not json", ""]});
    let id = client.event("raw", ROOM, frames).await;
    assert_eq!(client.text().await, format!("{id} at {ROOM}"));
    assert_eq!(client.text().await, "{not json");
    assert_eq!(client.text().await, "");

    client.event("raw", ROOM, json!({"frames": ["n=$I"], "count": 3})).await;
    for n in 0..3 {
        assert_eq!(client.text().await, format!("n={n}"));
    }

    let id = client.event("reply", ROOM, json!({"a": 1})).await;
    let reply = client.next().await;
    assert_eq!(reply["action"], "SYSTEM");
    assert_eq!(reply["event"], "reply");
    assert_eq!(reply["requestId"], *id);
    assert_eq!(reply["payload"], json!({"a": 1}));

    let id = client.event("error-js", ROOM, json!({})).await;
    let error = client.next().await;
    assert_eq!(error["action"], "ERROR");
    assert_eq!(error["event"], "HANDLER_NOT_FOUND");
    assert_eq!(error["requestId"], *id);
    assert_eq!(error["payload"]["code"], 500);

    client.event("batch", ROOM, json!({})).await;
    let text = client.text().await;
    let lines: Vec<Value> = text
        .split('\n')
        .map(|line| serde_json::from_str(line).expect("an envelope"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["payload"]["n"], 1);
    assert_eq!(lines[1]["payload"]["n"], 2);
}

#[tokio::test]
async fn drop_and_close_end_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.script().await;
    client.event("drop", ROOM, json!({})).await;
    assert_eq!(client.end().await, End::Cut);

    let mut client = server.script().await;
    client.event("close", ROOM, json!({"code": 4001, "reason": "go"})).await;
    assert_eq!(client.end().await, End::Close(Some(4001)));

    let mut client = server.script().await;
    client.event("close", ROOM, json!({})).await;
    assert_eq!(client.end().await, End::Close(None));
}

#[tokio::test]
async fn a_mute_connection_answers_nothing_and_stays_open() {
    let server = Server::start(&[]);
    let mut client = server.script().await;
    client.send(Message::Ping("before".into())).await;
    let pong = client.message().await.expect("open").expect("a frame");
    assert_eq!(pong, Message::Pong("before".into()));

    client.event("mute", ROOM, json!({})).await;
    client.send(Message::Ping("after".into())).await;
    client.event("reply", ROOM, json!({})).await;
    // The mute command has been read once it is in the log; nothing is read behind it.
    server
        .log_with(|entry| entry["frame"].as_str().is_some_and(|f| f.contains(r#""event":"mute""#)))
        .await;
    // A whole exchange of another connection later, nothing has come of what was sent.
    let mut other = server.script().await;
    let id = other.event("reply", ROOM, json!({})).await;
    assert_eq!(other.next().await["requestId"], *id);
    let news = client.message().now_or_never();
    assert!(news.is_none(), "a mute connection said {news:?}");
    let log = server.log_with(|entry| entry["conn"] == 2).await;
    let own = log.iter().filter(|entry| entry["conn"] == 1);
    let kinds: Vec<_> = own.filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["open", "ping", "text"]);
}

#[tokio::test]
async fn the_log_tells_what_clients_sent() {
    let server = Server::start(&[]);
    let mut first = Client::connect(&server, "/script?name=one", &[]).await;
    first.send(Message::Ping("x".into())).await;
    first.send(Message::Ping("y".into())).await;
    first.join(ROOM, json!({})).await;
    first.send(Message::binary(vec![1, 2, 3])).await;
    first.close(4321, "done").await;
    let log = server.log_with(|entry| entry["kind"] == "end").await;
    let kinds: Vec<_> = log.iter().filter_map(|e| e["kind"].as_str()).collect();
    let wanted = ["open", "ping", "ping", "text", "binary", "close", "end"];
    assert_eq!(kinds, wanted);
    assert!(log.iter().all(|entry| entry["conn"] == 1));
    assert_eq!(log[0]["query"]["name"], "one");
    let frame: Value = serde_json::from_str(log[3]["frame"].as_str().unwrap()).unwrap();
    assert_eq!(frame["action"], "JOIN_CHANNEL");
    assert_eq!(log[4]["bytes"], 3);
    assert_eq!(log[5]["code"], 4321);
    assert_eq!(log[5]["reason"], "done");

    let _second = server.script().await;
    server.log_with(|entry| entry["conn"] == 2).await;
}

#[tokio::test]
async fn the_log_is_bounded() {
    let server = Server::start(&[]);
    let mut client = server.script().await;
    for n in 0..10_050 {
        client.send(Message::text(n.to_string())).await;
    }
    let log = server.log_with(|entry| entry["frame"] == "10049").await;
    assert_eq!(log.len(), 10_000);
    assert_eq!(log[0]["frame"], "50");
}
