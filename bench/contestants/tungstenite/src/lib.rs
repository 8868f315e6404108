//! What the three contestants share: the command line, the measuring, the line of result.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

pub type Error = Box<dyn std::error::Error>;

/// `MODE URL N KIND CHANNELS`, as bench/README.md says.
pub struct Task {
    pub mode: String,
    pub url: String,
    pub count: u64,
    pub kind: String,
    pub channels: u32,
}

impl Task {
    /// The command line, without so many words before it.
    pub fn from_arguments_after(words: usize) -> Result<Self, Error> {
        let mut arguments = std::env::args().skip(1 + words);
        let mut next = || arguments.next().ok_or("usage: MODE URL N KIND CHANNELS");
        Ok(Self {
            mode: next()?,
            url: next()?,
            count: next()?.parse()?,
            kind: next()?,
            channels: next()?.parse()?,
        })
    }

    /// Host and port, and the path.
    pub fn address(&self) -> Result<(&str, &str), Error> {
        let rest = self.url.strip_prefix("ws://").ok_or("only ws")?;
        let slash = rest.find('/').ok_or("a path is needed")?;
        Ok(rest.split_at(slash))
    }
}

/// A client's frame to the server, as text.
pub fn request(action: &str, event: &str, channel: u32, id: u64, payload: &str) -> String {
    format!(
        r#"{{"action":"{action}","event":"{event}","channelName":"/room/{channel:02}","requestId":"5f0c2a34-9d1e-4b7a-8c55-{id:012}","payload":{payload}}}"#
    )
}

/// Requests that differ in nothing but two numbers: made once, then only copied.
pub struct Template {
    parts: [String; 3],
}

impl Template {
    /// BROADCASTs of that event; the payload is padded to 100 bytes if `pad` says so.
    pub fn new(event: &str, pad: bool) -> Self {
        let payload = if pad {
            format!(r#"{{"n":"@","t":"0","x":"{}"}}"#, "a".repeat(69))
        } else {
            r#"{"n":"@"}"#.to_owned()
        };
        let text = request("BROADCAST", event, 0, 0, &payload).replace("000000000000", "@");
        let mut parts = text.split('@').map(str::to_owned);
        Self {
            parts: std::array::from_fn(|_| parts.next().unwrap_or_default()),
        }
    }

    pub fn make(&self, number: u64) -> String {
        let mut digits = [b'0'; 12];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        let [before, between, behind] = &self.parts;
        let mut text = String::with_capacity(before.len() + between.len() + behind.len() + 20);
        for part in [before, digits, between, &digits[4..], behind] {
            text.push_str(part);
        }
        text
    }
}

/// The clocks of a measured part.
pub struct Watch {
    started: Instant,
    cpu: Duration,
}

fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let time = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

impl Watch {
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: cpu(),
        }
    }

    /// The line of result.
    pub fn report(&self, received: u64, in_order: bool) {
        let (wall, cpu) = (self.started.elapsed(), cpu() - self.cpu);
        let peak = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
        println!(
            r#"{{"received":{received},"in_order":{in_order},"cpu_us":{},"wall_us":{},"max_rss_kib":{peak}}}"#,
            cpu.as_micros(),
            wall.as_micros()
        );
    }
}

/// Since the program was started, by the time that the runner tells; microseconds.
pub fn since_start() -> Result<u128, Error> {
    let started: u128 = std::env::var("BENCH_STARTED_NS")?.parse()?;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok((Duration::from(now).as_nanos() - started) / 1000)
}

/// Resident memory in KiB.
pub fn resident_kib() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?)
}

/// Follows the numbers of frames: eight digits that are always in the same place.
#[derive(Default)]
pub struct Numbers {
    place: Option<usize>,
    /// How many came.
    pub received: u64,
    /// Whether each was the one awaited.
    pub in_order: bool,
}

impl Numbers {
    pub fn new() -> Self {
        Self {
            place: None,
            received: 0,
            in_order: true,
        }
    }

    pub fn see(&mut self, frame: &[u8]) {
        const KEY: &[u8] = b"\"n\":\"";
        let place = match self.place {
            Some(place) => place,
            None => memchr::memmem::find(frame, KEY).unwrap_or(0) + KEY.len(),
        };
        self.place = Some(place);
        let digits = frame.get(place..place + 8).unwrap_or_default();
        let number = digits
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit.wrapping_sub(b'0')));
        self.in_order &= number == self.received;
        self.received += 1;
    }
}
