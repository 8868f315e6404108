//! The official Rust client, as its users drive it: `MODE URL N KIND CHANNELS`, as bench/README.md says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use pondsocket_client::{Channel, PondClient};
use pondsocket_common::{ChannelEvent, ChannelState};
use serde_json::{Map, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc};

type Error = Box<dyn std::error::Error>;

fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let time = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), cpu())
    }

    fn report(&self, received: u64, in_order: bool) {
        let (wall, cpu) = (self.0.elapsed(), cpu() - self.1);
        let peak = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
        println!(
            r#"{{"received":{received},"in_order":{in_order},"cpu_us":{},"wall_us":{},"max_rss_kib":{peak}}}"#,
            cpu.as_micros(),
            wall.as_micros()
        );
    }
}

fn resident_kib() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?)
}

async fn joined(url: &str, channels: u32) -> Result<(PondClient, Vec<Channel>), Error> {
    let client = PondClient::new(url, None)?;
    client.connect().await?;
    let mut joined = Vec::new();
    for number in 0..channels {
        let channel = client.create_channel(format!("/room/{number:02}"), None).await;
        let mut states = channel.subscribe_state();
        channel.join().await;
        states.wait_for(|state| *state == ChannelState::Joined).await?;
        joined.push(channel);
    }
    Ok((client, joined))
}

fn payload(members: &[(&str, String)]) -> Map<String, Value> {
    members
        .iter()
        .map(|(key, text)| ((*key).to_owned(), Value::from(text.as_str())))
        .collect()
}

/// What a channel's stream says: a number, or that it is over.
fn read(event: &ChannelEvent) -> (Option<u64>, bool) {
    match event {
        ChannelEvent::Message(message) if message.event == "end" => (None, true),
        ChannelEvent::Message(message) => (number(&message.payload), false),
        ChannelEvent::Presence(message) => {
            std::hint::black_box(message.payload.presence.len());
            (
                message
                    .payload
                    .changed
                    .get("n")
                    .and_then(Value::as_str)
                    .and_then(|text| text.parse().ok()),
                false,
            )
        }
    }
}

fn number(payload: &Map<String, Value>) -> Option<u64> {
    payload.get("n")?.as_str()?.parse().ok()
}

/// One reader per channel, as its streams ask for; each checks its own order.
async fn flood(url: &str, count: u64, channels: u32) -> Result<(), Error> {
    let (_client, joined) = joined(url, channels).await?;
    let (sender, mut results) = mpsc::unbounded_channel();
    let over = Arc::new(Semaphore::new(0));
    let watch = Watch::start();
    for channel in &joined {
        tokio::spawn(follow(
            channel.subscribe_events(),
            count,
            channels,
            sender.clone(),
            over.clone(),
        ));
    }
    drop(sender);
    joined[0].send_message("go", None).await;
    let (mut received, mut in_order) = (0, true);
    while let Some((seen, order)) = results.recv().await {
        received += seen;
        in_order &= order;
    }
    watch.report(received, in_order);
    Ok(())
}

async fn follow(
    mut events: Receiver<ChannelEvent>,
    count: u64,
    channels: u32,
    results: mpsc::UnboundedSender<(u64, bool)>,
    over: Arc<Semaphore>,
) {
    let (mut received, mut in_order, mut last) = (0, true, None);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => match read(&event) {
                    (_, true) => over.add_permits(channels as usize),
                    (number, false) => {
                        received += 1;
                        in_order &= number > last;
                        last = number;
                        // The last of the channel that has the last frame ends it for all.
                        if received * u64::from(channels) == count || number == Some(count - 1) {
                            over.add_permits(channels as usize);
                        }
                    }
                },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            permit = over.acquire() => {
                if let Ok(permit) = permit {
                    permit.forget();
                }
                break;
            }
        }
    }
    let _ = results.send((received, in_order));
}

async fn ask(url: &str, count: u64, window: usize) -> Result<(), Error> {
    let (_client, joined) = joined(url, 1).await?;
    let free = Arc::new(Semaphore::new(window));
    let (sender, mut results) = mpsc::unbounded_channel();
    let watch = Watch::start();
    for n in 0..count {
        let permit = free.clone().acquire_owned().await?;
        let (channel, sender) = (joined[0].clone(), sender.clone());
        tokio::spawn(async move {
            let reply = channel
                .send_for_response("ask", Some(payload(&[("n", format!("{n:08}"))])), None)
                .await;
            let _ = sender.send(reply.is_ok_and(|reply| number(&reply) == Some(n)));
            drop(permit);
        });
    }
    drop(sender);
    let mut received = 0;
    while let Some(right) = results.recv().await {
        received += u64::from(right);
    }
    watch.report(received, true);
    Ok(())
}

async fn put(url: &str, count: u64) -> Result<(), Error> {
    let (_client, joined) = joined(url, 1).await?;
    let mut events = joined[0].subscribe_events();
    let watch = Watch::start();
    for n in 0..count {
        let members = [("n", format!("{n:08}")), ("t", "0".to_owned()), ("x", "a".repeat(69))];
        joined[0].send_message("put", Some(payload(&members))).await;
    }
    let in_order = loop {
        if let ChannelEvent::Message(message) = tokio::time::timeout(Duration::from_secs(30), events.recv()).await??
            && message.event == "done"
        {
            break message.payload.get("in_order") == Some(&Value::Bool(true));
        }
    };
    watch.report(count, in_order);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, url, count, _, channels] = arguments.as_slice() else {
        return Err("usage: MODE URL N KIND CHANNELS".into());
    };
    let (count, channels) = (count.parse()?, channels.parse()?);
    match mode.as_str() {
        "flood" => flood(url, count, channels).await,
        "ask1" => ask(url, count, 1).await,
        "ask64" => ask(url, count, 64).await,
        "put" => put(url, count).await,
        "idle" => {
            let before = resident_kib()?;
            let mut clients = Vec::new();
            for _ in 0..count {
                clients.push(joined(url, channels).await?);
            }
            println!(
                r#"{{"connections":{},"rss_kib":{}}}"#,
                clients.len(),
                resident_kib()? - before
            );
            Ok(())
        }
        "start" => {
            let _client = joined(url, channels).await?;
            let started: u128 = std::env::var("BENCH_STARTED_NS")?.parse()?;
            let now = Duration::from(nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?);
            println!(r#"{{"joined_us":{}}}"#, (now.as_nanos() - started) / 1000);
            Ok(())
        }
        _ => Err("no such mode".into()),
    }
}
