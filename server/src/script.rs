//! `/script`: a WebSocket endpoint without the PondSocket package. It speaks the wire as the test
//! commands it, so that answers of other servers, broken frames and dead connections can be had.
//! `/script/log` tells what the clients sent.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use pondsocket_common::uuid;
use serde_json::{Value, json};

/// Entries that the log keeps; the oldest go first.
const LOG_LIMIT: usize = 10_000;

/// What all connections share.
#[derive(Default)]
struct Script {
    connections: AtomicU64,
    log: Mutex<VecDeque<Value>>,
}

impl Script {
    fn record(&self, entry: Value) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LIMIT {
            log.pop_front();
        }
        log.push_back(entry);
    }

    fn entries(&self) -> Vec<Value> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }
}

/// The scripted endpoint and its log.
pub fn router() -> Router {
    Router::new()
        .route("/script", get(upgrade))
        .route("/script/log", get(log))
        .with_state(Arc::<Script>::default())
}

async fn log(State(script): State<Arc<Script>>) -> Json<Vec<Value>> {
    Json(script.entries())
}

async fn upgrade(
    State(script): State<Arc<Script>>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(async move |socket| {
        let conn = script.connections.fetch_add(1, Ordering::Relaxed) + 1;
        script.record(json!({"conn": conn, "kind": "open", "query": query}));
        let hello = query.get("noconn").is_none_or(|noconn| noconn != "1");
        serve(&script, conn, socket, hello).await;
        script.record(json!({"conn": conn, "kind": "end"}));
    })
}

async fn serve(script: &Script, conn: u64, mut socket: WebSocket, hello: bool) {
    if hello {
        let id = uuid();
        let payload = json!({"id": id, "connectionId": id});
        let frame = envelope("CONNECT", "CONNECTION", "GATEWAY", &uuid(), payload);
        if socket.send(Message::Text(frame.into())).await.is_err() {
            return;
        }
    }
    while let Some(Ok(message)) = socket.recv().await {
        let entry = match &message {
            Message::Text(text) => json!({"kind": "text", "frame": text.as_str()}),
            Message::Binary(bytes) => json!({"kind": "binary", "bytes": bytes.len()}),
            Message::Ping(_) => json!({"kind": "ping"}),
            Message::Pong(_) => json!({"kind": "pong"}),
            Message::Close(frame) => {
                let code = frame.as_ref().map(|frame| frame.code);
                let reason = frame.as_ref().map(|frame| frame.reason.as_str());
                json!({"kind": "close", "code": code, "reason": reason})
            }
        };
        script.record(with_conn(entry, conn));
        let Message::Text(text) = message else {
            continue;
        };
        for step in answer(&text) {
            let sent = match step {
                Step::Send(frame) => socket.send(Message::Text(frame.into())).await,
                Step::Close(frame) => socket.send(Message::Close(frame)).await,
                // Dropping the socket closes the TCP connection without a Close frame.
                Step::Drop => return,
                // Nothing is read any more, so pings stay unanswered; the socket stays open.
                Step::Mute => std::future::pending().await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

fn with_conn(mut entry: Value, conn: u64) -> Value {
    entry["conn"] = json!(conn);
    entry
}

/// What the endpoint does next.
enum Step {
    Send(String),
    Close(Option<CloseFrame>),
    Drop,
    Mute,
}

/// Works out the answer to one client frame. What is not understood is only logged.
fn answer(text: &str) -> Vec<Step> {
    let request: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| request[name].as_str().unwrap_or_default();
    let (channel, id, payload) = (field("channelName"), field("requestId"), &request["payload"]);
    match (field("action"), field("event")) {
        ("JOIN_CHANNEL", _) => join(channel, id, payload),
        ("LEAVE_CHANNEL", _) => {
            vec![Step::Send(system("EXIT_ACKNOWLEDGE", channel, id, json!({})))]
        }
        ("BROADCAST", "raw") => raw(channel, id, payload),
        ("BROADCAST", "reply") => vec![Step::Send(system("reply", channel, id, payload.clone()))],
        ("BROADCAST", "error-js") => {
            let error = json!({
                "message": payload["message"].as_str().unwrap_or("No handler"),
                "code": payload["code"].as_u64().unwrap_or(500),
            });
            vec![Step::Send(envelope("ERROR", "HANDLER_NOT_FOUND", channel, id, error))]
        }
        ("BROADCAST", "batch") => {
            let frame = |n: u32| envelope("BROADCAST", "batch", channel, &uuid(), json!({"n": n}));
            vec![Step::Send(format!("{}\n{}", frame(1), frame(2)))]
        }
        ("BROADCAST", "drop") => vec![Step::Drop],
        ("BROADCAST", "mute") => vec![Step::Mute],
        ("BROADCAST", "close") => {
            let code = payload["code"].as_u64();
            let frame = code.and_then(|code| u16::try_from(code).ok());
            vec![Step::Close(frame.map(|code| CloseFrame {
                code,
                reason: payload["reason"].as_str().unwrap_or_default().into(),
            }))]
        }
        _ => Vec::new(),
    }
}

/// `mode` accept, decline (in one of the `dialect`s js, python, go, notfound), notfound or silent.
fn join(channel: &str, id: &str, payload: &Value) -> Vec<Step> {
    let mode = payload["mode"].as_str().unwrap_or("accept");
    let dialect = payload["dialect"].as_str().unwrap_or("js");
    let message = payload["message"].as_str().unwrap_or("No entry");
    let code = payload["code"].as_u64().unwrap_or(403);
    let frame = match (mode, dialect) {
        ("accept", _) => system("ACKNOWLEDGE", channel, id, json!({})),
        ("notfound", _) | ("decline", "notfound") => system("NOT_FOUND", channel, id, json!({"channel": channel})),
        ("decline", "js") => {
            let event = "UNAUTHORIZED_JOIN_REQUEST";
            let payload = json!({
                "code": event,
                "message": message,
                "status": code,
                "statusCode": code,
                "error": {"message": message, "status": code},
            });
            envelope("ERROR", event, channel, id, payload)
        }
        ("decline", "python") => {
            let payload = json!({"code": code, "message": message});
            system("UNAUTHORIZED", channel, id, payload)
        }
        ("decline", "go") => {
            let payload = json!({
                "channelName": channel,
                "message": message,
                "code": code,
                "temporary": false,
                "details": {"statusCode": code},
            });
            system("UNAUTHORIZED", channel, id, payload)
        }
        _ => return Vec::new(),
    };
    vec![Step::Send(frame)]
}

/// The `frames` as they are, but for the tokens, `count` times over (once unless told; `$I` is the
/// number of the round).
fn raw(channel: &str, id: &str, payload: &Value) -> Vec<Step> {
    let frames: Vec<String> = payload["frames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|frame| frame.replace("$REQUEST_ID", id).replace("$CHANNEL", channel))
        .collect();
    let count = payload["count"].as_u64().unwrap_or(1).min(100_000);
    (0..count)
        .flat_map(|i| frames.iter().map(move |f| f.replace("$I", &i.to_string())))
        .map(Step::Send)
        .collect()
}

fn system(event: &str, channel: &str, id: &str, payload: Value) -> String {
    envelope("SYSTEM", event, channel, id, payload)
}

fn envelope(action: &str, event: &str, channel: &str, id: &str, payload: Value) -> String {
    json!({
        "action": action,
        "event": event,
        "channelName": channel,
        "requestId": id,
        "payload": payload,
    })
    .to_string()
}
