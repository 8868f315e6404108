//! The HTTP half of the WebSocket handshake: the request, and a lenient reader of the response.
//!
//! It is our own because a JavaScript server writes its decline message raw into the status line, where a strict parser loses
//! it, and because the request must not pass through anybody's log.

use std::time::SystemTime;

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether the server speaks HTTP/1.1, which an upgrade needs.
    pub(super) is_http_11: bool,
    pub(super) status: u16,
    /// The reason phrase as sent, made printable.
    pub(super) reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name; the name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list, possibly on several lines, contains the token in any case.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        let values = self
            .headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        values
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// How long the server asks to wait: seconds, or a date, which counts from the server's own clock if it tells.
    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        let value = self.header("retry-after")?;
        if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
            return Some(value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
        }
        let until = parse_date(value)?;
        let now = self.header("date").and_then(parse_date).or_else(|| {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .ok()
                .map(|since| since.as_secs())
        })?;
        Some(until.saturating_sub(now).saturating_mul(1000))
    }
}

/// Whether these first bytes can be those of an HTTP response.
pub(super) fn may_be_http(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let count = bytes.len().min(START.len());
    bytes[..count] == START[..count]
}

/// Reads a head. `Ok(None)`: it is not complete. `at_end`: no more will come, so a complete status line is enough.
/// Answers the head and its length; `Err` when the status line is none.
pub(super) fn parse_head(bytes: &[u8], at_end: bool) -> Result<Option<(Head, usize)>, ()> {
    let mut head: Option<Head> = None;
    let mut at = 0;
    while let Some(length) = bytes[at..].iter().position(|&b| b == b'\n') {
        let line = &bytes[at..at + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += length + 1;
        match head.as_mut() {
            None => head = Some(parse_status_line(line).ok_or(())?),
            Some(_) if line.is_empty() => return Ok(head.map(|head| (head, at))),
            Some(head) => {
                // Anything else, such as the second line of a decline message, is skipped.
                if let Some(colon) = line.iter().position(|&b| b == b':') {
                    let name = String::from_utf8_lossy(&line[..colon]).trim().to_ascii_lowercase();
                    head.headers
                        .push((name, String::from_utf8_lossy(&line[colon + 1..]).trim().to_owned()));
                }
            }
        }
    }
    Ok(head.filter(|_| at_end).map(|head| (head, at)))
}

fn parse_status_line(line: &[u8]) -> Option<Head> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (&minor, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b" ")?;
    let digits = rest
        .get(..3)
        .filter(|digits| minor.is_ascii_digit() && digits.iter().all(u8::is_ascii_digit))?;
    let status = digits
        .iter()
        .fold(0, |number, &digit| number * 10 + u16::from(digit - b'0'));
    let reason = match rest.get(3) {
        None => &[],
        Some(b' ') => &rest[4..],
        Some(_) => return None,
    };
    (status >= 100).then(|| Head {
        is_http_11: minor != b'0',
        status,
        reason: printable(reason),
        headers: Vec::new(),
    })
}

/// Text of unknown encoding as one line: UTF-8, or else Latin-1; control characters become spaces; at most 200 characters.
pub(super) fn printable(bytes: &[u8]) -> String {
    let decoded = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    };
    let line: String = decoded.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(200).collect()
}

/// The seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn parse_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut parts = text.split_once(',')?.1.strip_prefix(' ')?.split(' ');
    let day: u64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month_name = parts.next()?;
    let month = MONTHS.iter().position(|&name| name == month_name)? as u64 + 1;
    let year: u64 = parts
        .next()?
        .parse()
        .ok()
        .filter(|year| (1970..10_000).contains(year))?;
    let mut clock = parts
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok().filter(|&number| number <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if parts.next() != Some("GMT") {
        return None;
    }
    // Days in a calendar whose years begin in March, so that the leap day comes last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}
