//! Two nodes behind a Redis server: here a small one of ours, which knows what the package asks for.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Client, DEADLINE, Server};

/// The subscriptions: a pattern and the connection that asked for it.
type Subscribers = Arc<Mutex<Vec<(String, TcpStream)>>>;

/// Starts the server on a free port; it ends with the process of the tests.
fn start_redis() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let subscribers = Subscribers::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let subscribers = subscribers.clone();
            std::thread::spawn(move || serve(stream, &subscribers));
        }
    });
    address
}

/// Answers one connection until it ends.
fn serve(mut stream: TcpStream, subscribers: &Subscribers) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let words = command(&mut reader)?;
        let name = String::from_utf8_lossy(words.first()?).to_ascii_uppercase();
        let answer = match (name.as_str(), words.get(1), words.get(2)) {
            ("PING", ..) => b"+PONG\r\n".to_vec(),
            ("CLIENT", ..) => b"+OK\r\n".to_vec(),
            ("PSUBSCRIBE", Some(pattern), _) => {
                let mut list = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
                let text = String::from_utf8_lossy(pattern).into_owned();
                list.push((text, stream.try_clone().ok()?));
                let mut answer = array(&[b"psubscribe", pattern], 3);
                answer.extend(b":1\r\n");
                answer
            }
            ("PUBLISH", Some(topic), Some(data)) => {
                let name = String::from_utf8_lossy(topic).into_owned();
                let mut list = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
                // Connections that are gone drop out.
                list.retain_mut(|(pattern, subscriber)| {
                    let message = array(&[b"pmessage", pattern.as_bytes(), topic, data], 4);
                    let wanted = match pattern.strip_suffix('*') {
                        Some(start) => name.starts_with(start),
                        None => *pattern == name,
                    };
                    !wanted || subscriber.write_all(&message).is_ok()
                });
                format!(":{}\r\n", list.len()).into_bytes()
            }
            _ => b"-ERR unknown command\r\n".to_vec(),
        };
        stream.write_all(&answer).ok()?;
    }
}

/// Reads one command: an array of byte strings.
fn command(reader: &mut impl BufRead) -> Option<Vec<Vec<u8>>> {
    let count = number(reader, '*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(reader, '$')? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Some(words)
}

fn number(reader: &mut impl BufRead, kind: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}

/// An array that announces `length` items and begins with these.
fn array(words: &[&[u8]], length: usize) -> Vec<u8> {
    let mut out = format!("*{length}\r\n").into_bytes();
    for word in words {
        out.extend(format!("${}\r\n", word.len()).bytes());
        out.extend(*word);
        out.extend(b"\r\n");
    }
    out
}

/// Whether the presence list of a frame names that user.
fn lists(frame: &Value, name: &str) -> bool {
    let list = frame["payload"]["presence"].as_array();
    list.is_some_and(|list| list.iter().any(|user| user["id"] == name))
}

/// Lets `from` change its own presence, which every tracked member hears of, until `client` gets a list
/// that holds `name` or not, as wanted: nodes learn of each other in the background.
async fn until_listed(from: &mut Client, client: Option<&mut Client>, name: &str, wanted: bool) {
    let start = Instant::now();
    let mut client = client;
    for n in 0.. {
        from.event("status", "/chat/two", json!({"status": n.to_string()}))
            .await;
        let frame = from.until("UPDATE").await;
        let frame = match &mut client {
            Some(client) => client.until("UPDATE").await,
            None => frame,
        };
        if lists(&frame, name) == wanted {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{name} {wanted}: {frame}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn two_nodes_share_a_channel() {
    let url = format!("redis://{}/", start_redis());
    let mut left = Server::start(&["--redis", &url]);
    let mut right = Server::start(&["--redis", &url]);
    let mut ann = left.chat("ann").await;
    let mut bob = right.chat("bob").await;
    ann.joined("/chat/two").await;
    bob.joined("/chat/two").await;
    until_listed(&mut ann, None, "bob", true).await;
    // Ann's node knows Bob's, so what Bob hears from there needs only his own subscription.
    let start = Instant::now();
    let heard = loop {
        ann.event("direct", "/chat/two", json!({"to": "bob"})).await;
        let frames = bob.frames_until_pong("/chat/two").await;
        if let Some(frame) = frames.into_iter().find(|frame| frame["event"] == "direct") {
            break frame;
        }
        assert!(start.elapsed() < DEADLINE, "Bob never heard of Ann");
    };
    assert_eq!(heard["payload"], json!({"to": "bob", "from": "ann"}));
    ann.event("message", "/chat/two", json!({"text": "hi"})).await;
    for client in [&mut ann, &mut bob] {
        let frame = client.until("message").await;
        assert_eq!(frame["payload"], json!({"text": "hi", "from": "ann"}));
    }
    until_listed(&mut ann, Some(&mut bob), "ann", true).await;

    bob.event("die", "/chat/two", json!({})).await;
    assert_eq!(right.exit_status().code(), Some(1));
    until_listed(&mut ann, None, "bob", false).await;
    left.close_stdin();
    assert_eq!(left.exit_status().code(), Some(0));
}
