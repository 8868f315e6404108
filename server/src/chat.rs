//! The chat application: `/api/socket`, channels `/chat/:room`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use pondsocket::channel::EventHandler;
use pondsocket::errors::{Result, bad_request, forbidden, internal};
use pondsocket::{
    ConnectionContext, ConnectionHandler, EventContext, JoinContext, JoinHandler, Options, PondSocket, User,
};
use pondsocket_axum::{RequestParts, handle_socket};
use pondsocket_common::PondAssigns;
use serde_json::{Value, json};
use tokio::time::sleep;

/// Path of the endpoint.
const ENDPOINT: &str = "/api/socket";
/// Messages that a room remembers, and those of them that a joiner may ask for.
const HISTORY: usize = 100;
const HISTORY_SENT: usize = 20;
/// Upper bounds of what a client may ask for.
const MAX_BYTES: u64 = 8 << 20;
const MAX_WAIT_MS: u64 = 60_000;

/// What the handlers share.
struct Chat {
    token: String,
    quiet: bool,
    /// Weak, since the server owns the handlers that own this.
    pond: Weak<PondSocket>,
    history: Mutex<HashMap<String, VecDeque<Value>>>,
}

impl Chat {
    fn remember(&self, room: &str, message: Value) {
        let mut rooms = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = rooms.entry(room.to_owned()).or_default();
        if messages.len() == HISTORY {
            messages.pop_front();
        }
        messages.push_back(message);
    }

    fn recent(&self, room: &str) -> Vec<Value> {
        let rooms = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).map_or_else(Vec::new, |messages| {
            let skipped = messages.len().saturating_sub(HISTORY_SENT);
            messages.iter().skip(skipped).cloned().collect()
        })
    }
}

/// Builds the PondSocket server and the route that leads to it.
pub async fn router(token: &str, quiet: bool) -> Router {
    let pond = PondSocket::new(Options::default(), None);
    let chat = Arc::new(Chat {
        token: token.to_owned(),
        quiet,
        pond: Arc::downgrade(&pond),
        history: Mutex::default(),
    });
    let endpoint = pond.create_endpoint(ENDPOINT, Connect(chat.clone())).await;
    let lobby = endpoint.create_channel("/chat/:room", Join(chat.clone())).await;
    for (pattern, action) in ACTIONS {
        let chat = chat.clone();
        lobby.on_message(*pattern, OnEvent { chat, action }).await;
    }
    Router::new().route(ENDPOINT, get(upgrade)).with_state(pond)
}

async fn upgrade(
    State(pond): State<Arc<PondSocket>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let request = RequestParts {
        path: ENDPOINT.to_owned(),
        headers,
        query,
        ..RequestParts::default()
    };
    upgrade.on_upgrade(move |socket| handle_socket(pond, socket, request))
}

struct Connect(Arc<Chat>);

#[async_trait]
impl ConnectionHandler for Connect {
    async fn call(&self, ctx: &mut ConnectionContext) -> Result<()> {
        let query = ctx.request.query.clone();
        if query.get("token") != Some(&self.0.token) {
            return ctx.decline(401, "Invalid token");
        }
        let name = query.get("name").map_or("guest", String::as_str);
        if !self.0.quiet {
            eprintln!("connected: {name}");
        }
        ctx.accept(PondAssigns::from_iter([("name".to_owned(), json!(name))]))?;
        if query.get("greet").is_some_and(|greet| greet == "1") {
            let header = ctx.request.headers.get("x-test").cloned();
            let payload = json!({"name": name, "header": header, "query": query});
            ctx.reply("welcome", payload)?;
        }
        Ok(())
    }
}

struct Join(Arc<Chat>);

#[async_trait]
impl JoinHandler for Join {
    async fn call(&self, ctx: &mut JoinContext) -> Result<()> {
        let params = ctx.event.payload.clone();
        match params["mode"].as_str().unwrap_or("accept") {
            "accept" => {}
            "slow" => sleep(millis(&params["delayMs"])).await,
            "decline" => return ctx.decline(403, "No entry").await,
            "silent" => return Ok(()),
            "throw" => return Err(internal(&ctx.channel.name, "the join handler failed")),
            mode => return Err(bad_request(&ctx.channel.name, format!("no mode {mode}"))),
        }
        let username = match params["username"].as_str() {
            Some(username) => json!(username),
            None => ctx.transport.get_assign("name").await.unwrap_or_default(),
        };
        ctx.accept(PondAssigns::from_iter([("username".to_owned(), username.clone())]))
            .await?;
        ctx.track(json!({"id": username, "status": "online"})).await?;
        if params["history"] == true {
            let messages = self.0.recent(&ctx.channel.name);
            ctx.reply("history", json!({"messages": messages})).await?;
        }
        if !self.0.quiet {
            eprintln!("joined {}: {username}", ctx.channel.name);
        }
        Ok(())
    }
}

/// What the chat does with an event.
enum Action {
    Message,
    Others,
    Ping,
    Echo,
    User,
    Decline,
    Evict,
    Status,
    Slow,
    Silent,
    Flood,
    CloseMe,
    Big,
    Panic,
}

const ACTIONS: &[(&str, Action)] = &[
    ("message", Action::Message),
    ("others", Action::Others),
    ("ping", Action::Ping),
    ("echo", Action::Echo),
    ("user/:id", Action::User),
    ("decline", Action::Decline),
    ("evict", Action::Evict),
    ("status", Action::Status),
    ("slow", Action::Slow),
    ("silent", Action::Silent),
    ("flood", Action::Flood),
    ("close-me", Action::CloseMe),
    ("big", Action::Big),
    ("panic", Action::Panic),
];

struct OnEvent {
    chat: Arc<Chat>,
    action: &'static Action,
}

#[async_trait]
impl EventHandler for OnEvent {
    async fn call(&self, ctx: &mut EventContext) -> Result<()> {
        let payload = ctx.event.payload.clone();
        match self.action {
            Action::Message => {
                let message = signed(payload, &ctx.user);
                self.chat.remember(&ctx.channel.name, message.clone());
                ctx.broadcast("message", message).await
            }
            Action::Others => ctx.broadcast_from("message", signed(payload, &ctx.user)).await,
            Action::Ping => {
                let mut payload = payload;
                payload["room"] = json!(ctx.channel.name.trim_start_matches("/chat/"));
                ctx.reply("pong", payload).await
            }
            Action::Echo => ctx.reply("echo", payload).await,
            Action::User => {
                let id = ctx.route.param("id");
                let payload = json!({"id": id, "query": ctx.route.query});
                ctx.reply("user", payload).await
            }
            Action::Decline => Err(forbidden(&ctx.channel.name, "Not allowed")),
            Action::Evict => evict(ctx, &payload).await,
            Action::Status => {
                let mut presence = payload;
                presence["id"] = username(&ctx.user);
                ctx.update_presence(presence).await
            }
            Action::Slow => {
                slow_reply(ctx, payload);
                Ok(())
            }
            Action::Silent => Ok(()),
            Action::Flood => {
                flood(ctx, &payload);
                Ok(())
            }
            Action::CloseMe => match self.find_transport(&ctx.user.id).await {
                Some(transport) => transport.close().await,
                None => Err(internal(&ctx.channel.name, "no such connection")),
            },
            Action::Big => {
                let size = payload["bytes"].as_u64().unwrap_or(0).min(MAX_BYTES);
                let data = "x".repeat(usize::try_from(size).unwrap_or(0));
                ctx.reply("big", json!({"data": data})).await
            }
            // Unwinds through the package's read loop, without the noise of the panic hook.
            Action::Panic => std::panic::resume_unwind(Box::new("a panic was asked for")),
        }
    }
}

impl OnEvent {
    async fn find_transport(&self, id: &str) -> Option<Arc<dyn pondsocket::Transport>> {
        self.chat.pond.upgrade()?.find_transport(id).await
    }
}

/// Evicts every connection of the named user, or the sender's own.
async fn evict(ctx: &EventContext, payload: &Value) -> Result<()> {
    let name = payload["username"].as_str();
    let ids: Vec<String> = match name {
        None => vec![ctx.user.id.clone()],
        Some(name) => {
            let members = ctx.channel.get_assigns().await;
            members
                .into_iter()
                .filter(|(_, assigns)| assigns.get("username").is_some_and(|u| u == name))
                .map(|(id, _)| id)
                .collect()
        }
    };
    // The package would take an empty list for the sender.
    if ids.is_empty() {
        return Err(bad_request(&ctx.channel.name, "nobody has that name"));
    }
    ctx.evict(payload["reason"].as_str().unwrap_or("bye"), &ids).await
}

/// Replies later, without holding up the connection: the package reads one frame at a time.
fn slow_reply(ctx: &EventContext, payload: Value) {
    let channel = ctx.channel.clone();
    let request_id = ctx.event.request_id.clone();
    let user = [ctx.user.id.clone()];
    tokio::spawn(async move {
        sleep(millis(&payload["ms"])).await;
        // Nobody to tell if the user has left meanwhile.
        let _ = channel.send_system("slow", payload, &request_id, &user).await;
    });
}

/// Broadcasts `count` numbered events in a task of its own, so that pings are still answered.
fn flood(ctx: &EventContext, payload: &Value) {
    let channel = ctx.channel.clone();
    let user = ctx.user.id.clone();
    let count = payload["count"].as_u64().unwrap_or(0);
    let size = payload["size"].as_u64().unwrap_or(0).min(MAX_BYTES);
    let pad = "x".repeat(usize::try_from(size).unwrap_or(0));
    tokio::spawn(async move {
        for i in 0..count {
            let event = json!({"i": i, "pad": pad});
            // A full queue gives up after a time; a member that is only slow gets everything.
            while channel.broadcast("flood", event.clone()).await.is_err() {
                if !channel.has_user(&user).await {
                    return;
                }
            }
        }
    });
}

fn signed(mut payload: Value, user: &User) -> Value {
    payload["from"] = username(user);
    payload
}

fn username(user: &User) -> Value {
    user.assigns.get("username").cloned().unwrap_or_default()
}

fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or(0).min(MAX_WAIT_MS))
}
