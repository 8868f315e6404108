//! The servers' words, in each of their dialects.

use serde_json::{Value, json};

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Js,
    Python,
    Rust,
    Go,
    /// JS 0.1.70: no CONNECTION, no request ids.
    Legacy,
}

pub const DIALECTS: [Dialect; 5] = [
    Dialect::Js,
    Dialect::Python,
    Dialect::Rust,
    Dialect::Go,
    Dialect::Legacy,
];

/// The servers of today that were recorded, and the names of their captures.
pub const SERVERS: [(Dialect, &str); 3] = [
    (Dialect::Js, "js"),
    (Dialect::Python, "python"),
    (Dialect::Rust, "rust"),
];

/// An id that no client has made.
pub const FOREIGN: &str = "ae8c6274-5de5-4dfb-bea2-94490410e0ed";

impl Dialect {
    /// The channel name of frames about the connection itself.
    pub fn level(self) -> &'static str {
        match self {
            Self::Js | Self::Legacy => "ENDPOINT",
            _ => "GATEWAY",
        }
    }

    /// One envelope.
    pub fn frame(self, action: &str, event: &str, channel: &str, id: &str, payload: &Value) -> String {
        let mut envelope = json!({
            "action": action, "event": event, "channelName": channel, "requestId": id, "payload": payload,
        });
        match self {
            Self::Legacy => {
                envelope.as_object_mut().unwrap().remove("requestId");
            }
            Self::Go => envelope["recipients"] = json!(["me"]),
            _ => {}
        }
        envelope.to_string()
    }

    /// CONNECTION; 0.1.70 has none.
    pub fn connection(self) -> Option<String> {
        let payload = match self {
            Self::Legacy => return None,
            Self::Js => json!({}),
            Self::Go => json!({"connectionId": "the-connection"}),
            _ => json!({"connectionId": "the-connection", "id": "the-connection"}),
        };
        Some(self.frame("CONNECT", "CONNECTION", self.level(), FOREIGN, &payload))
    }

    pub fn ack(self, channel: &str, join: &str) -> String {
        self.frame("SYSTEM", "ACKNOWLEDGE", channel, join, &json!({}))
    }

    /// `decline(403, "No entry")`, where the server tells it.
    pub fn decline(self, channel: &str, join: &str) -> Option<String> {
        let (action, event, payload) = match self {
            Self::Js => (
                "ERROR",
                "UNAUTHORIZED_JOIN_REQUEST",
                json!({"code": "UNAUTHORIZED_JOIN_REQUEST", "message": "No entry", "status": 403, "statusCode": 403,
                    "error": {"message": "No entry", "status": 403}}),
            ),
            Self::Legacy => (
                "ERROR",
                "UNAUTHORIZED_JOIN_REQUEST",
                json!({"message": "No entry", "code": 403}),
            ),
            Self::Python => ("SYSTEM", "UNAUTHORIZED", json!({"code": 403, "message": "No entry"})),
            Self::Go => (
                "SYSTEM",
                "UNAUTHORIZED",
                json!({"channelName": channel, "message": "No entry", "code": 403, "temporary": false,
                    "details": {"statusCode": 403}}),
            ),
            Self::Rust => return None,
        };
        Some(self.frame(action, event, channel, join, &payload))
    }

    /// The server knows no such channel.
    pub fn no_channel(self, channel: &str, join: &str) -> String {
        match self {
            Self::Js => {
                let payload = json!({"code": "CHANNEL_NOT_FOUND", "message": "no such channel", "status": 404});
                self.frame("ERROR", "CHANNEL_NOT_FOUND", channel, join, &payload)
            }
            Self::Legacy => {
                let payload = json!({"message": "GatewayEngine: Channel does not exist", "code": 404});
                self.frame("ERROR", "ENDPOINT_ERROR", "ENDPOINT", join, &payload)
            }
            _ => self.frame("SYSTEM", "NOT_FOUND", channel, join, &json!({"channel": channel})),
        }
    }

    pub fn reply(self, channel: &str, id: &str, event: &str, payload: &Value) -> String {
        self.frame("SYSTEM", event, channel, id, payload)
    }

    /// A request failed in its handler, in the words of those servers that tell it.
    pub fn request_error(self, channel: &str, id: &str) -> String {
        match self {
            Self::Js | Self::Legacy => {
                let payload = json!({"message": "declined by handler", "code": 422});
                self.frame("ERROR", "HANDLER_NOT_FOUND", channel, id, &payload)
            }
            Self::Go => {
                let payload = json!({"message": "Failed to process broadcast", "code": 500});
                self.frame("SYSTEM", "INTERNAL_ERROR", channel, id, &payload)
            }
            _ => self.frame(
                "SYSTEM",
                "NOT_FOUND",
                channel,
                id,
                &json!({"channel": channel, "event": "e"}),
            ),
        }
    }

    pub fn broadcast(self, channel: &str, id: &str, event: &str, payload: &Value) -> String {
        self.frame("BROADCAST", event, channel, id, payload)
    }

    pub fn presence(self, channel: &str, event: &str, payload: &Value) -> String {
        self.frame("PRESENCE", event, channel, FOREIGN, payload)
    }

    /// The victim is told so.
    pub fn evict(self, channel: &str) -> String {
        let (event, payload) = match self {
            Self::Js => ("kicked_out", json!({"message": "bye", "code": 403})),
            Self::Legacy => ("kicked_out", json!({"message": "bye"})),
            Self::Python | Self::Rust => ("EVICTED", json!({"reason": "bye"})),
            Self::Go => ("evicted", json!({"reason": "bye", "userId": "u"})),
        };
        self.frame("SYSTEM", event, channel, FOREIGN, &payload)
    }
}
