//! The frames, made beforehand. Each payload begins with its number, eight digits in a string, which is all that changes.

use crate::plan::{Kind, Order, Plan};

/// What goes before the digits.
pub const NUMBER: &[u8] = b"\"n\":\"";
/// How many digits.
pub const DIGITS: usize = 8;

const SMALL: usize = 200;
const LARGE: usize = 4096;
const BLOCK: usize = 1 << 20;

/// The name of a channel; all names are of one length.
pub fn channel(number: u32) -> String {
    format!("/room/{number:02}")
}

/// The header of an unmasked frame of a server.
fn header(opcode: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match length {
        0..126 => header.push(length as u8),
        126..65536 => {
            header.push(126);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header
}

/// A whole frame.
pub fn frame(opcode: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, content.len());
    frame.extend_from_slice(content);
    frame
}

/// An envelope in that order of keys.
pub fn envelope(order: Order, action: &str, event: &str, channel: &str, id: &str, payload: &str) -> String {
    match (order, action) {
        (Order::JavaScript, "BROADCAST") => format!(
            r#"{{"event":"{event}","payload":{payload},"action":"{action}","requestId":"{id}","channelName":"{channel}"}}"#
        ),
        (Order::JavaScript, "PRESENCE") => format!(
            r#"{{"event":"{event}","requestId":"{id}","channelName":"{channel}","action":"{action}","payload":{payload}}}"#
        ),
        (Order::JavaScript, "CONNECT") => format!(
            r#"{{"event":"{event}","action":"{action}","channelName":"{channel}","requestId":"{id}","payload":{payload}}}"#
        ),
        (Order::JavaScript, _) => format!(
            r#"{{"channelName":"{channel}","requestId":"{id}","action":"{action}","event":"{event}","payload":{payload}}}"#
        ),
        (Order::Python, _) => format!(
            r#"{{"action":"{action}","event":"{event}","channelName":"{channel}","requestId":"{id}","payload":{payload}}}"#
        ),
        (Order::Rust, _) => format!(
            r#"{{"action":"{action}","channelName":"{channel}","requestId":"{id}","payload":{payload},"event":"{event}"}}"#
        ),
    }
}

const ID: &str = "5f0c2a34-9d1e-4b7a-8c55-0123456789ab";

/// One envelope of a flood, numbered 0.
fn content(plan: &Plan, number: u32) -> String {
    let channel = channel(number);
    let broadcast = |payload: &str| envelope(plan.order, "BROADCAST", "message", &channel, ID, payload);
    let empty = broadcast(r#"{"n":"00000000","x":""}"#).len();
    match plan.kind {
        Kind::Small => broadcast(&format!(r#"{{"n":"00000000","x":"{}"}}"#, "a".repeat(SMALL - empty))),
        Kind::Text => {
            let text: String = "日本語の文章、漢字とかな。"
                .chars()
                .cycle()
                .take((LARGE - empty) / 3)
                .collect();
            broadcast(&format!(r#"{{"n":"00000000","x":"{text}"}}"#))
        }
        Kind::Dense => {
            let mut payload = r#"{"n":"00000000","x":["#.to_owned();
            let mut at = 0;
            while payload.len() < LARGE - empty {
                payload.push_str(&format!(
                    r#"{{"id":{at},"x":{},"y":{}.5,"on":{},"tag":"t{}","at":[{},{},null]}},"#,
                    at * 37 % 1000,
                    at * 91 % 700,
                    at % 3 == 0,
                    at % 10,
                    at % 7,
                    -(at % 5)
                ));
                at += 1;
            }
            payload.pop();
            payload.push_str("]}");
            broadcast(&payload)
        }
        Kind::Presence => {
            let users: Vec<String> = (0..1000)
                .map(|user| {
                    format!(
                        r#"{{"id":"user-{user:04}","name":"Name of this user {user:04}","status":"present","since":{},"typing":false}}"#,
                        1_700_000_000 + user
                    )
                })
                .collect();
            let payload = format!(
                r#"{{"changed":{{"n":"00000000","id":"user-0007"}},"presence":[{}]}}"#,
                users.join(",")
            );
            envelope(plan.order, "PRESENCE", "UPDATE", &channel, ID, &payload)
        }
    }
}

/// Frames one behind the other, to be numbered and written again and again.
pub struct Block {
    bytes: Vec<u8>,
    /// Where each frame's digits are, and where the frame ends.
    frames: Vec<(usize, usize)>,
}

impl Block {
    pub fn new(plan: &Plan) -> Self {
        let channels = plan.channels.max(1);
        let turn: Vec<Vec<u8>> = (0..channels)
            .map(|number| frame(1, content(plan, number).as_bytes()))
            .collect();
        let turn_length: usize = turn.iter().map(Vec::len).sum();
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for _ in 0..BLOCK.div_ceil(turn_length).max(1) {
            for frame in &turn {
                let digits = memchr::memmem::find(frame, NUMBER).unwrap_or_default() + NUMBER.len();
                frames.push((bytes.len() + digits, bytes.len() + frame.len()));
                bytes.extend_from_slice(frame);
            }
        }
        Self { bytes, frames }
    }

    /// The next frames, numbered from `first`, up to `count` of them: how many, and their bytes.
    pub fn numbered(&mut self, first: u64, count: u64) -> (u64, &[u8]) {
        let taken = (self.frames.len() as u64).min(count) as usize;
        for (place, &(digits, _)) in self.frames[..taken].iter().enumerate() {
            write_digits(&mut self.bytes[digits..digits + DIGITS], first + place as u64);
        }
        let end = taken.checked_sub(1).map_or(0, |last| self.frames[last].1);
        (taken as u64, &self.bytes[..end])
    }
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The number behind `"n":"`.
pub fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// The text of a member, found by its first mention; white space behind the colon is allowed for.
pub fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let key = memchr::memmem::find(text, name.as_bytes())?;
    let mut rest = text.get(key + name.len()..)?;
    while let [b':' | b' ' | b'"', tail @ ..] = rest {
        let opened = rest[0] == b'"';
        rest = tail;
        if opened {
            break;
        }
    }
    rest.get(..memchr::memchr(b'"', rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(path: &str) -> Plan {
        Plan::parse(path).unwrap()
    }

    #[test]
    fn sizes() {
        for order in ["js", "python", "rust"] {
            let small = content(&plan(&format!("/small/1/1/{order}")), 0);
            assert_eq!(small.len(), SMALL, "{small}");
            for kind in ["dense", "text"] {
                let large = content(&plan(&format!("/{kind}/1/1/{order}")), 0);
                assert!((LARGE - 100..=LARGE + 100).contains(&large.len()), "{}", large.len());
            }
            let presence = content(&plan(&format!("/presence/1/1/{order}")), 0);
            assert!((100_000..108_000).contains(&presence.len()), "{}", presence.len());
        }
    }

    #[test]
    fn numbers_run_on_over_blocks() {
        let plan = plan("/small/9/3/js");
        let mut block = Block::new(&plan);
        let (first, _) = block.numbered(0, u64::MAX);
        let (taken, bytes) = block.numbered(first, 2);
        assert_eq!(taken, 2);
        let text = String::from_utf8_lossy(bytes).into_owned();
        let numbers: Vec<_> = text
            .match_indices("\"n\":\"")
            .map(|(at, key)| &text[at + key.len()..][..DIGITS])
            .collect();
        assert_eq!(numbers, [format!("{first:08}"), format!("{:08}", first + 1)]);
        assert!(text.contains("/room/00") && text.contains("/room/01") && !text.contains("/room/02"));
    }

    #[test]
    fn members() {
        let text = br#"{"a": "x", "requestId":"r-1","n":""}"#;
        assert_eq!(member(text, "\"requestId\""), Some(&b"r-1"[..]));
        assert_eq!(member(text, "\"a\""), Some(&b"x"[..]));
        assert_eq!(member(text, "\"n\""), Some(&b""[..]));
        assert_eq!(member(text, "\"z\""), None);
    }

    #[test]
    fn headers() {
        assert_eq!(header(1, 5), [0x81, 5]);
        assert_eq!(header(1, 200), [0x81, 126, 0, 200]);
        assert_eq!(header(9, 70_000), [0x89, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
