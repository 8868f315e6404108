//! Frames to the server.

/// What a client frame asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAction {
    /// Join a channel; the event repeats the action.
    JoinChannel,
    /// Leave a channel; the event repeats the action.
    LeaveChannel,
    /// An event for the channel's handlers on the server.
    Broadcast,
}

impl ClientAction {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JoinChannel => "JOIN_CHANNEL",
            Self::LeaveChannel => "LEAVE_CHANNEL",
            Self::Broadcast => "BROADCAST",
        }
    }
}

/// One frame: keys in the order action, event, channelName, requestId, payload. Strings are escaped; the payload goes
/// in as it is, so it must have passed [`check::object`](super::check::object).
pub fn client_frame(action: ClientAction, event: &str, channel: &str, request_id: &str, payload: &str) -> Vec<u8> {
    const KEYS: usize = 80; // keys, quotes, commas and the longest action
    let length = KEYS + event.len() + channel.len() + request_id.len() + payload.len();
    let mut frame = Vec::with_capacity(length);
    frame.extend_from_slice(b"{\"action\":\"");
    frame.extend_from_slice(action.as_str().as_bytes());
    frame.extend_from_slice(b"\",\"event\":");
    push_string(&mut frame, event);
    frame.extend_from_slice(b",\"channelName\":");
    push_string(&mut frame, channel);
    frame.extend_from_slice(b",\"requestId\":");
    push_string(&mut frame, request_id);
    frame.extend_from_slice(b",\"payload\":");
    frame.extend_from_slice(payload.as_bytes());
    frame.push(b'}');
    frame
}

/// A JSON string: quotes, backslashes and control characters escaped, everything else as it is.
fn push_string(frame: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    frame.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => frame.extend_from_slice(b"\\\""),
            b'\\' => frame.extend_from_slice(b"\\\\"),
            b'\n' => frame.extend_from_slice(b"\\n"),
            b'\r' => frame.extend_from_slice(b"\\r"),
            b'\t' => frame.extend_from_slice(b"\\t"),
            0..0x20 => {
                frame.extend_from_slice(b"\\u00");
                frame.push(HEX[usize::from(byte >> 4)]);
                frame.push(HEX[usize::from(byte & 15)]);
            }
            _ => frame.push(byte),
        }
    }
    frame.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn keys_come_in_order_and_the_payload_as_it_is() {
        let frame = client_frame(ClientAction::Broadcast, "message", "/chat/1", "id-1", "{ \"n\": 1.0 }");
        let text = r#"{"action":"BROADCAST","event":"message","channelName":"/chat/1","requestId":"id-1","payload":{ "n": 1.0 }}"#;
        assert_eq!(String::from_utf8(frame).unwrap(), text);
    }

    #[test]
    fn strings_are_escaped() {
        let nasty: String = (0..0x80u8)
            .map(char::from)
            .chain("é\u{2028}😀\u{fffd}".chars())
            .collect();
        for action in [
            ClientAction::JoinChannel,
            ClientAction::LeaveChannel,
            ClientAction::Broadcast,
        ] {
            let frame = client_frame(action, &nasty, &nasty, &nasty, "{}");
            let value: Value = serde_json::from_slice(&frame).unwrap();
            let expected = json!({"action": action.as_str(), "event": nasty, "channelName": nasty, "requestId": nasty,
                "payload": {}});
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_common_frame_is_built_without_growing() {
        let frame = client_frame(ClientAction::JoinChannel, "JOIN_CHANNEL", "/chat/1", "id", "{}");
        let parts = "JOIN_CHANNEL".len() + "/chat/1".len() + "id".len() + "{}".len();
        assert!(frame.len() <= 80 + parts && frame.capacity() == 80 + parts);
    }
}
