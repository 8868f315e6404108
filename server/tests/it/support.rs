//! The spawned server, and a bare WebSocket client for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    pub url: String,
    pub address: SocketAddr,
    /// Lines that came after the first, and the end of the output as a disconnect.
    pub more_output: mpsc::Receiver<String>,
}

impl Server {
    pub fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pond-test-server"))
            .args(["--quiet", "--exit-on-stdin-eof"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (tx, more_output) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    break;
                }
            }
        });
        let ready = more_output
            .recv_timeout(DEADLINE)
            .expect("the server says that it listens");
        let url = ready.strip_prefix("listening ").expect("the ready line");
        let host = url.split('/').nth(2).expect("a host in the URL");
        Self {
            child,
            stdin,
            url: url.to_owned(),
            address: host.parse().expect("an address and a port"),
            more_output,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the process to end by itself.
    pub fn exit_status(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the server did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A chat client that has seen its CONNECTION frame.
    pub async fn chat(&self, name: &str) -> Client {
        let path = format!("/api/socket?token=secret&name={name}");
        let mut client = Client::connect(self, &path, &[]).await;
        assert_eq!(client.next().await["event"], "CONNECTION");
        client
    }

    /// A client of the scripted endpoint that has seen its CONNECTION frame.
    pub async fn script(&self) -> Client {
        let mut client = Client::connect(self, "/script", &[]).await;
        assert_eq!(client.next().await["event"], "CONNECTION");
        client
    }

    /// Status, head and body of a plain GET.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let text = timeout(DEADLINE, exchange).await.expect("an HTTP answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        let status = head.split(' ').nth(1).expect("a status").parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    /// The script log once it holds an entry that `wanted` accepts.
    pub async fn log_with(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let (status, _, body) = self.get("/script/log").await;
            assert_eq!(status, 200);
            let log: Vec<Value> = serde_json::from_str(&body).expect("a JSON array");
            if log.iter().any(&wanted) {
                return log;
            }
            assert!(start.elapsed() < DEADLINE, "not in the log: {log:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With a Close frame, which may have had a code.
    Close(Option<u16>),
    /// Without one.
    Cut,
}

/// A client that speaks frames.
pub struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
    requests: u32,
}

impl Client {
    pub async fn connect(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let tcp = TcpStream::connect(server.address).await.unwrap();
        let url = format!("ws://{}{path}", server.address);
        Self::over(Box::new(tcp), &url, headers)
            .await
            .expect("the upgrade succeeds")
    }

    pub async fn over(
        stream: Box<dyn Stream>,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let upgrade = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = timeout(DEADLINE, upgrade).await.expect("an answer")?;
        Ok(Self { socket, requests: 0 })
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("the frame is sent");
    }

    /// Sends one envelope and returns its request id.
    pub async fn request(&mut self, action: &str, event: &str, to: &str, payload: Value) -> String {
        self.requests += 1;
        let id = format!("request-{}", self.requests);
        let frame = json!({
            "action": action,
            "event": event,
            "channelName": to,
            "requestId": id,
            "payload": payload,
        });
        self.send(Message::text(frame.to_string())).await;
        id
    }

    pub async fn event(&mut self, event: &str, to: &str, payload: Value) -> String {
        self.request("BROADCAST", event, to, payload).await
    }

    pub async fn join(&mut self, channel: &str, payload: Value) -> String {
        self.request("JOIN_CHANNEL", "JOIN_CHANNEL", channel, payload).await
    }

    /// Joins and waits for the acknowledgement and the own presence.
    pub async fn joined(&mut self, channel: &str) {
        let id = self.join(channel, json!({})).await;
        let ack = self.until("ACKNOWLEDGE").await;
        assert_eq!(ack["requestId"], *id);
        let presence = self.until("JOIN").await;
        assert_eq!(presence["action"], "PRESENCE");
    }

    /// The next message of any kind but pings.
    pub async fn message(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        loop {
            let next = timeout(DEADLINE, self.socket.next()).await;
            match next.expect("a frame in time") {
                Some(Ok(Message::Ping(_))) => {}
                other => return other,
            }
        }
    }

    pub async fn text(&mut self) -> String {
        match self.message().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("not a text frame: {other:?}"),
        }
    }

    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("a JSON frame")
    }

    /// The next frame with this event name; others are dropped.
    pub async fn until(&mut self, event: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["event"] == event {
                return frame;
            }
        }
    }

    /// Every frame up to the pong of a ping sent now. Replies to one connection come in order, so
    /// what an earlier request was answered with is among them.
    pub async fn frames_until_pong(&mut self, channel: &str) -> Vec<Value> {
        let id = self.event("ping", channel, json!({})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["event"] == "pong" && frame["requestId"] == *id {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// Reads to the end of the connection.
    pub async fn end(&mut self) -> End {
        loop {
            match self.message().await {
                Some(Ok(Message::Close(frame))) => {
                    return End::Close(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return End::Cut,
            }
        }
    }

    pub async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.socket.close(Some(frame)).await.expect("Close is sent");
    }
}
