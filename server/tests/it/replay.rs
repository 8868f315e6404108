//! `--replay`: the recorded JavaScript server.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::support::{Client, End, Server};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/captures/js.jsonl");

fn start() -> Server {
    Server::start(&["--replay", RECORDING])
}

async fn connect(server: &Server, scenario: &str) -> Client {
    let path = format!("/api/socket?scenario={scenario}&token=secret");
    Client::connect(server, &path, &[]).await
}

/// The list of what can be played.
async fn scenarios(server: &Server) -> Vec<Value> {
    let (status, _, body) = server.get("/scenarios").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("a JSON array")
}

fn find<'a>(list: &'a [Value], scenario: &str) -> &'a Value {
    let found = list.iter().find(|entry| entry["scenario"] == scenario);
    found.expect("the scenario is listed")
}

#[tokio::test]
async fn a_conversation_is_played_with_live_ids() {
    let server = start();
    let mut client = connect(&server, "events_basic").await;
    assert_eq!(client.next().await["event"], "CONNECTION");
    let id = client.join("/chat/ev", json!({})).await;
    let acknowledge = format!(
        r#"{{"channelName":"/chat/ev","requestId":"{id}","action":"SYSTEM","event":"ACKNOWLEDGE","payload":{{}}}}"#
    );
    assert_eq!(client.text().await, acknowledge);
    let id = client.event("message", "/chat/ev", json!({"text": "other"})).await;
    let message = client.next().await;
    assert_eq!(message["action"], "BROADCAST");
    assert_eq!(message["requestId"], *id);
    assert_eq!(message["payload"], json!({"text": "hi"}));
    // Out of the script, so not answered; what comes next is the pong.
    client.event("nobody-recorded-this", "/chat/ev", json!({})).await;
    let id = client.event("ping", "/chat/ev", json!({"n": 1})).await;
    let pong = client.next().await;
    assert_eq!((&pong["event"], &pong["requestId"]), (&json!("pong"), &json!(id)));
}

#[tokio::test]
async fn refusals_and_ends_are_the_recorded_ones() {
    let server = start();
    for (path, wanted) in [
        ("scenario=connect_reject_401", "http/1.1 401 invalid token\r\n"),
        ("scenario=connect_handler_throw", "http/1.1 500 connection boom\r\n"),
        (
            "scenario=connect_reject_403_429&conn=code429",
            "http/1.1 429 invalid token\r\n",
        ),
    ] {
        let (_, head, body) = server.get(&format!("/api/socket?{path}")).await;
        assert!(head.starts_with(wanted), "{head}");
        assert_eq!(body, "");
    }
    let mut client = connect(&server, "server_close_conn").await;
    client.join("/chat/sc", json!({})).await;
    client.event("close_me", "/chat/sc", json!({})).await;
    assert_eq!(client.end().await, End::Close(None));
    let mut client = connect(&server, "shutdown_sigterm").await;
    client.join("/chat/x", json!({})).await;
    assert_eq!(client.end().await, End::Close(Some(1001)));
    let mut client = connect(&server, "shutdown_sigkill").await;
    assert_eq!(client.end().await, End::Cut);
}

#[tokio::test]
async fn what_was_not_recorded_is_404() {
    let server = start();
    for query in [
        "",
        "scenario=no-such-thing",
        "scenario=connect_accept&conn=z",
        // Several connections and none of them is the first.
        "scenario=empty_strings",
        "scenario=big_outbound",
        "scenario=reuse_request_id",
        "scenario=presence_race",
    ] {
        let url = format!("ws://{}/api/socket?{query}", server.address);
        let tcp = tokio::net::TcpStream::connect(server.address)
            .await
            .expect("a connection");
        match Client::over(Box::new(tcp), &url, &[]).await.err() {
            Some(tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), 404, "{query}");
                assert_eq!(response.headers()["x-replay"], "not-recorded", "{query}");
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn everything_listed_plays_to_its_end() {
    let server = start();
    let list = scenarios(&server).await;
    let mut played = 0;
    for entry in &list {
        let scenario = entry["scenario"].as_str().expect("a name");
        for conn in entry["connections"].as_array().expect("a list") {
            if conn["playable"] != true || conn["upgrade"] != 101 {
                continue;
            }
            let name = conn["conn"].as_str().expect("a name");
            let path = format!("/api/socket?scenario={scenario}&conn={name}");
            let mut client = Client::connect(&server, &path, &[]).await;
            let mut left = conn["greeting"].as_array().expect("a list").len();
            let expects = conn["expects"].as_array().expect("a list");
            for expected in expects {
                let field = |key: &str| expected[key].as_str().expect("a string");
                // Payloads are not compared, and those that this test cannot parse are texts.
                let payload = match &expected["payload"] {
                    Value::String(_) => json!({}),
                    payload => payload.clone(),
                };
                client
                    .request(field("action"), field("event"), field("channelName"), payload)
                    .await;
                left += expected["answers"].as_array().expect("a list").len();
            }
            for _ in 0..left {
                client.text().await;
            }
            if conn["end"] != "client" {
                client.end().await;
            }
            played += 1;
        }
    }
    assert!(played > 40, "only {played}");
}

#[tokio::test]
async fn the_list_tells_what_to_send() {
    let server = start();
    let list = scenarios(&server).await;
    let basic = &find(&list, "join_decline_403")["connections"][0];
    assert_eq!(basic["conn"], "a");
    assert_eq!(basic["playable"], true);
    assert_eq!(basic["expects"][0]["channelName"], "/chat/dec");
    assert_eq!(basic["expects"][0]["payload"], json!({"mode": "decline"}));
    let answer = basic["expects"][0]["answers"][0].as_str().expect("a frame");
    assert!(answer.contains("UNAUTHORIZED_JOIN_REQUEST"));
    // Deeper than the list's own parser goes, so it is a text.
    let deep = &find(&list, "deep_nesting")["connections"][2]["expects"][1];
    assert_eq!(deep["event"], "noreply");
    assert!(deep["payload"].as_str().is_some_and(|text| text.contains("[[[[")));
    let big = &find(&list, "big_outbound")["connections"][0];
    assert_eq!(big["playable"], false);
    assert!(big["why"].as_str().is_some_and(|why| why.contains("in full")));
}

#[tokio::test]
async fn the_application_is_not_served_beside_it() {
    let server = start();
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/script/log").await.0, 404);
}
