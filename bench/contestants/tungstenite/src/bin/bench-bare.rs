//! tokio-tungstenite alone: it reads frames and looks at the number, nothing else. `bench-bare serde ...` also reads the envelope with
//! serde and gives the payload to a C function.

use std::borrow::Cow;
use std::ffi::c_char;

use bench_tungstenite::{Error, Numbers, Task, Template, Watch, request, resident_kib, since_start};
use futures_util::future::try_join_all;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

type Socket = WebSocketStream<TcpStream>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    channel_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// As a C program takes it: name and payload, with their lengths.
extern "C" fn callback(name: *const c_char, name_length: usize, payload: *const c_char, payload_length: usize) {
    std::hint::black_box((name, name_length, payload, payload_length));
}

type Callback = extern "C" fn(*const c_char, usize, *const c_char, usize);

/// Takes one frame: the bare client leaves it at that.
fn take(text: &[u8], parses: bool, numbers: &mut Numbers) -> Result<(), Error> {
    if parses {
        let envelope: Envelope<'_> = serde_json::from_slice(text)?;
        std::hint::black_box((&envelope.action, &envelope.channel_name, &envelope.request_id));
        let payload = envelope.payload.map_or("{}", RawValue::get);
        let call = std::hint::black_box(callback as Callback);
        call(
            envelope.event.as_ptr().cast(),
            envelope.event.len(),
            payload.as_ptr().cast(),
            payload.len(),
        );
    }
    numbers.see(text);
    Ok(())
}

async fn joined(task: &Task) -> Result<Socket, Error> {
    let (host, _) = task.address()?;
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(128 << 10);
    let (mut socket, _) = client_async_with_config(task.url.as_str(), stream, Some(config)).await?;
    for channel in 0..task.channels {
        socket
            .feed(Message::text(request(
                "JOIN_CHANNEL",
                "JOIN_CHANNEL",
                channel,
                u64::from(channel),
                "{}",
            )))
            .await?;
    }
    socket.flush().await?;
    for _ in 0..=task.channels {
        socket.next().await.ok_or("closed")??;
    }
    Ok(socket)
}

async fn flood(task: &Task, parses: bool) -> Result<(), Error> {
    let mut socket = joined(task).await?;
    let mut numbers = Numbers::new();
    let watch = Watch::start();
    socket
        .send(Message::text(request("BROADCAST", "go", 0, 0, "{}")))
        .await?;
    while numbers.received < task.count {
        if let Message::Text(text) = socket.next().await.ok_or("closed")?? {
            take(text.as_bytes(), parses, &mut numbers)?;
        }
    }
    watch.report(numbers.received, numbers.in_order);
    Ok(())
}

/// Keeps `window` requests under way; what the replies that are there make possible is written together.
async fn ask(task: &Task, window: u64, parses: bool) -> Result<(), Error> {
    let mut socket = joined(task).await?;
    let mut numbers = Numbers::new();
    let watch = Watch::start();
    let template = Template::new("ask", false);
    let mut asked = 0;
    while numbers.received < task.count {
        while asked < task.count && asked < numbers.received + window {
            socket.feed(Message::text(template.make(asked))).await?;
            asked += 1;
        }
        socket.flush().await?;
        let mut message = Some(socket.next().await.ok_or("closed")??);
        while let Some(Message::Text(text)) = message {
            take(text.as_bytes(), parses, &mut numbers)?;
            message = match socket.next().now_or_never() {
                Some(Some(next)) => Some(next?),
                _ => None,
            };
        }
    }
    watch.report(numbers.received, numbers.in_order);
    Ok(())
}

async fn put(task: &Task) -> Result<(), Error> {
    let mut socket = joined(task).await?;
    let template = Template::new("put", true);
    let watch = Watch::start();
    for number in 0..task.count {
        socket.feed(Message::text(template.make(number))).await?;
    }
    socket.flush().await?;
    let done = socket.next().await.ok_or("closed")??.into_text()?;
    watch.report(
        task.count,
        done.contains(r#""in_order":true"#) && done.contains(&format!(r#""received":{},"#, task.count)),
    );
    Ok(())
}

async fn idle(task: &Task) -> Result<(), Error> {
    let before = resident_kib()?;
    let mut sockets = Vec::new();
    // Some at a time: one by one, a busy machine's scheduler is waited for at each step of each.
    while (sockets.len() as u64) < task.count {
        let more = (task.count - sockets.len() as u64).min(50);
        sockets.extend(try_join_all((0..more).map(|_| joined(task))).await?);
    }
    let after = resident_kib()?;
    println!(r#"{{"connections":{},"rss_kib":{}}}"#, sockets.len(), after - before);
    Ok(())
}

fn main() -> Result<(), Error> {
    let parses = std::env::args().nth(1).as_deref() == Some("serde");
    let task = Task::from_arguments_after(usize::from(parses))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match task.mode.as_str() {
            "flood" => flood(&task, parses).await,
            "ask1" => ask(&task, 1, parses).await,
            "ask64" => ask(&task, 64, parses).await,
            "put" => put(&task).await,
            "idle" => idle(&task).await,
            "start" => {
                let _socket = joined(&task).await?;
                println!(r#"{{"joined_us":{}}}"#, since_start()?);
                Ok(())
            }
            _ => Err("no such mode".into()),
        }
    })
}
