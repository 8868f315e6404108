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
pub fn client_frame(
    action: ClientAction,
    event: &str,
    channel: &str,
    request_id: &str,
    payload: &str,
) -> Vec<u8> {
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
