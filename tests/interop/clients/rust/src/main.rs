//! Does what the runner says (`tests/interop/runner/bench.c`) with the official Rust client.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pondsocket_client::{Channel, ClientOptions, ConnectionState, PondClient};
use pondsocket_common::{ChannelEvent, ChannelState};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::broadcast::error::RecvError;

type Failure = Box<dyn std::error::Error>;
type Messages = Arc<Mutex<Vec<(String, Value)>>>;

/// What the driver keeps of one client.
struct Kept {
    client: PondClient,
    connects: Arc<Mutex<u32>>,
    channels: HashMap<String, (Channel, Messages, Arc<Mutex<u32>>)>,
}

#[derive(Default)]
struct Driver {
    clients: Vec<Kept>,
    answers: Arc<Mutex<Vec<String>>>,
}

fn object(text: &str) -> Result<Map<String, Value>, Failure> {
    Ok(serde_json::from_str(text)?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    async fn run(&mut self, words: &[&str]) -> Result<String, Failure> {
        let word = |i: usize| words.get(i).copied().ok_or("a field is missing");
        let ok = Ok("ok".to_owned());
        match word(0)? {
            "new" => {
                let mut options = ClientOptions::default();
                match word(4)?.parse()? {
                    0 => {}
                    ms => options.connection_timeout = Duration::from_millis(ms),
                }
                let client = PondClient::with_options(word(1)?, Some(object(word(2)?)?), options)?;
                let connects = Arc::new(Mutex::new(0));
                let (mut states, counter) = (client.subscribe_state(), connects.clone());
                tokio::spawn(async move {
                    while states.changed().await.is_ok() {
                        *lock(&counter) += u32::from(*states.borrow() == ConnectionState::Connected);
                    }
                });
                self.clients.push(Kept {
                    client,
                    connects,
                    channels: HashMap::new(),
                });
                return ok;
            }
            "answer" => {
                let index: usize = word(1)?.parse()?;
                return Ok(lock(&self.answers).get(index).cloned().ok_or("no such request")?);
            }
            "order" | "watch" => return Ok("-".to_owned()),
            _ => {}
        }
        let number: usize = word(1)?.parse()?;
        let kept = self.clients.get_mut(number).ok_or("no such client")?;
        match word(0)? {
            "connect" => {
                // A failed one answers an error, and the program goes on.
                let _ = kept.client.connect().await;
                return ok;
            }
            "disconnect" => {
                kept.client.disconnect().await;
                return ok;
            }
            "state" => return Ok(format!("{:?}", kept.client.state()).to_uppercase()),
            "connects" => return Ok(lock(&kept.connects).to_string()),
            _ => {}
        }
        let name = word(2)?;
        if !kept.channels.contains_key(name) {
            let params = if word(0)? == "join" {
                Some(object(word(3)?)?)
            } else {
                None
            };
            let channel = kept.client.create_channel(name, params).await;
            kept.channels.insert(name.to_owned(), watch(channel));
        }
        let (channel, messages, declines) = kept.channels.get(name).ok_or("no such channel")?;
        let named = |event: &str| -> Vec<Value> {
            lock(messages)
                .iter()
                .filter(|(name, _)| name == event)
                .map(|(_, payload)| payload.clone())
                .collect()
        };
        Ok(match word(0)? {
            "join" => {
                channel.join().await;
                "ok".to_owned()
            }
            "leave" => {
                channel.leave().await;
                "ok".to_owned()
            }
            "channel" => format!("{:?}", channel.state()).to_uppercase(),
            "declines" => lock(declines).to_string(),
            "send" => {
                channel.send_message(word(3)?, Some(object(word(4)?)?)).await;
                "ok".to_owned()
            }
            "ask" => {
                let (channel, answers) = (channel.clone(), self.answers.clone());
                let (event, payload) = (word(3)?.to_owned(), object(word(4)?)?);
                let limit = Duration::from_millis(word(5)?.parse()?);
                let index = {
                    let mut answers = lock(&self.answers);
                    answers.push("pending".to_owned());
                    answers.len() - 1
                };
                tokio::spawn(async move {
                    let answer = match channel.send_for_response(event, Some(payload), Some(limit)).await {
                        Ok(payload) => format!("reply {}", Value::Object(payload)),
                        Err(error) => format!("error {error}"),
                    };
                    if let Some(slot) = lock(&answers).get_mut(index) {
                        *slot = answer;
                    }
                });
                index.to_string()
            }
            "count" => named(word(3)?).len().to_string(),
            "payload" => named(word(3)?).last().map_or("none".to_owned(), Value::to_string),
            "users" => serde_json::to_string(&channel.presence().await)?,
            _ => "-".to_owned(),
        })
    }
}

/// Records the messages of a channel, as a program that reads its stream without delay.
fn watch(channel: Channel) -> (Channel, Messages, Arc<Mutex<u32>>) {
    let (messages, declines) = (Messages::default(), Arc::new(Mutex::new(0)));
    let (mut events, kept) = (channel.subscribe_events(), messages.clone());
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(ChannelEvent::Message(message)) => {
                    let payload = serde_json::to_value(&message.payload).unwrap_or_default();
                    lock(&kept).push((message.event.to_string(), payload));
                }
                Ok(ChannelEvent::Presence(_)) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
    });
    let (mut states, counter) = (channel.subscribe_state(), declines.clone());
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            *lock(&counter) += u32::from(*states.borrow() == ChannelState::Declined);
        }
    });
    (channel, messages, declines)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut driver = Driver::default();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split('\t').collect();
        let answer = driver.run(&words).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
