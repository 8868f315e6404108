//! Frames to the server.

use super::simd::plain_end;

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
/// in as it is, so it must have passed [`check::object`](super::check::object). The vector is exactly as large as the
/// frame.
pub fn client_frame(action: ClientAction, event: &str, channel: &str, request_id: &str, payload: &str) -> Vec<u8> {
    let action = action.as_str();
    let parts = [
        ("{\"action\":\"", action, None),
        ("\",\"event\":\"", event, plain(event)),
        ("\",\"channelName\":\"", channel, plain(channel)),
        ("\",\"requestId\":\"", request_id, plain(request_id)),
        ("\",\"payload\":", payload, None),
    ];
    let length: usize = parts
        .iter()
        .map(|(key, text, plain)| key.len() + plain.map_or(text.len(), |plain| escaped_length(text, plain)))
        .sum();
    let mut frame = Vec::with_capacity(length + 1);
    for (key, text, plain) in parts {
        frame.extend_from_slice(key.as_bytes());
        match plain {
            Some(plain) => push_escaped(&mut frame, text.as_bytes(), plain),
            None => frame.extend_from_slice(text.as_bytes()),
        }
    }
    frame.push(b'}');
    frame
}

/// What a message's frame begins with: everything before the request id.
pub fn message_head(head: &mut Vec<u8>, event: &str, channel: &str) {
    let parts = [
        ("{\"action\":\"", ClientAction::Broadcast.as_str()),
        ("\",\"event\":\"", event),
        ("\",\"channelName\":\"", channel),
        ("\",\"requestId\":\"", ""),
    ];
    for (key, text) in parts {
        head.extend_from_slice(key.as_bytes());
        push_escaped(head, text.as_bytes(), plain_end(text.as_bytes(), 0));
    }
}

/// Where the plain beginning of a text ends; `None` when all of it is plain.
fn plain(text: &str) -> Option<usize> {
    let end = plain_end(text.as_bytes(), 0);
    (end < text.len()).then_some(end)
}

/// The letter that stands behind the backslash for a byte; 'u' when its number does, `None` for a plain byte.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0..0x20 => Some(b'u'),
        _ => None,
    }
}

/// The length of a text with its escapes; those before `plain` need none.
fn escaped_length(text: &str, plain: usize) -> usize {
    let more = text.bytes().skip(plain).map(|byte| match escape(byte) {
        None => 0,
        Some(b'u') => "\\u00".len() + 1,
        Some(_) => 1,
    });
    text.len() + more.sum::<usize>()
}

/// A text with its escapes; those before `plain` need none.
fn push_escaped(frame: &mut Vec<u8>, text: &[u8], plain: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let (before, rest) = text.split_at(plain);
    frame.extend_from_slice(before);
    for &byte in rest {
        match escape(byte) {
            None => frame.push(byte),
            Some(b'u') => {
                frame.extend_from_slice(b"\\u00");
                frame.push(HEX[usize::from(byte >> 4)]);
                frame.push(HEX[usize::from(byte & 15)]);
            }
            Some(letter) => frame.extend_from_slice(&[b'\\', letter]),
        }
    }
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
    fn a_head_is_the_beginning_of_the_frame() {
        for text in ["", "message", "a\"b\\c\n\u{1}\u{e9}"] {
            let frame = client_frame(ClientAction::Broadcast, text, text, "id", "{}");
            let mut head = Vec::new();
            message_head(&mut head, text, text);
            head.extend_from_slice(br#"id","payload":{}}"#);
            assert_eq!(head, frame);
        }
    }

    #[test]
    fn a_frame_is_built_at_its_exact_size() {
        for text in [
            "",
            "message",
            "/chat/1 with a name longer than one vector",
            "a\"b\\c\n\u{1}é",
            "\r\t",
        ] {
            let frame = client_frame(ClientAction::JoinChannel, text, text, text, "{}");
            assert_eq!(frame.len(), frame.capacity());
        }
    }
}
