//! A small server of ours in the test's own process: accepts every connection and join, echoes every request.

use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, accept};

/// Listens until the process ends.
pub struct Server {
    port: u16,
}

impl Server {
    /// Starts on a free loopback port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || serve(stream));
            }
        });
        Self { port }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/socket", self.port)
    }
}

fn envelope(action: &str, event: &str, channel: &str, id: &str, payload: &Value) -> Message {
    let envelope = json!({
        "action": action, "event": event, "channelName": channel, "requestId": id, "payload": payload,
    });
    Message::text(envelope.to_string())
}

/// Ends with the connection, however that ends.
fn serve(stream: TcpStream) {
    let Ok(mut socket) = accept(stream) else { return };
    let hello = envelope("CONNECT", "CONNECTION", "GATEWAY", "0", &json!({"connectionId": "me"}));
    if socket.send(hello).is_err() {
        return;
    }
    while let Ok(message) = socket.read() {
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let (channel, id) = (
            frame["channelName"].as_str().unwrap(),
            frame["requestId"].as_str().unwrap(),
        );
        let (action, event) = (frame["action"].as_str().unwrap(), frame["event"].as_str().unwrap());
        let answer = match (action, event) {
            ("JOIN_CHANNEL", _) => envelope("SYSTEM", "ACKNOWLEDGE", channel, id, &json!({})),
            (_, "echo") => envelope("SYSTEM", "echo", channel, id, &frame["payload"]),
            (_, "refuse") => {
                let said = json!({"code": "NOT_ALLOWED", "message": "not allowed", "status": 403});
                envelope("ERROR", "HANDLER_NOT_FOUND", channel, id, &said)
            }
            // Three ways to say what was sent: in a frame that is none, in an eviction, in a Close.
            (_, "garble") => Message::text(format!("no JSON: {}", frame["payload"])),
            (_, "evict") => envelope(
                "SYSTEM",
                "EVICTED",
                channel,
                "",
                &json!({"reason": frame["payload"].to_string()}),
            ),
            (_, "close") => Message::Close(Some(CloseFrame {
                code: CloseCode::Policy,
                reason: frame["payload"].to_string().into(),
            })),
            (_, "said") => envelope("BROADCAST", "said", channel, "", &frame["payload"]),
            _ => continue,
        };
        if socket.send(answer).is_err() {
            return;
        }
    }
}
