//! What the chat does with the events of its channels.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pondsocket::channel::EventHandler;
use pondsocket::errors::{PondError, Result, bad_request, internal};
use pondsocket::{EventContext, Lobby, User};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chat::Chat;

/// Upper bounds of what a client may ask for.
const MAX_BYTES: u64 = 8 << 20;
const MAX_WAIT_MS: u64 = 60_000;
/// Values are written and dropped by recursion, on the stack of a worker thread.
const MAX_LEVELS: u64 = 1_000;

/// What the chat does with an event.
enum Action {
    Message,
    Others,
    Direct,
    Ping,
    Echo,
    Twice,
    TellAndReply,
    WhoAmI,
    User,
    Slow,
    Silent,
    Throw,
    Decline,
    Status,
    Evict,
    Flood,
    Big,
    Deep,
    Types,
    CloseMe,
    CloseChannel,
    Later,
    Panic,
    Die,
}

const ACTIONS: &[(&str, Action)] = &[
    ("message", Action::Message),
    ("others", Action::Others),
    ("direct", Action::Direct),
    ("ping", Action::Ping),
    ("echo", Action::Echo),
    ("twice", Action::Twice),
    ("tell-and-reply", Action::TellAndReply),
    ("whoami", Action::WhoAmI),
    ("user/:id", Action::User),
    ("slow", Action::Slow),
    ("silent", Action::Silent),
    ("throw", Action::Throw),
    ("decline", Action::Decline),
    ("status", Action::Status),
    ("evict", Action::Evict),
    ("flood", Action::Flood),
    ("big", Action::Big),
    ("deep", Action::Deep),
    ("types", Action::Types),
    ("close-me", Action::CloseMe),
    ("close-channel", Action::CloseChannel),
    ("later", Action::Later),
    ("panic", Action::Panic),
    ("die", Action::Die),
];

/// Sets the handlers of all events.
pub async fn register(lobby: &Lobby, chat: &Arc<Chat>) {
    for (pattern, action) in ACTIONS {
        let chat = chat.clone();
        lobby.on_message(*pattern, OnEvent { chat, action }).await;
    }
}

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
            Action::Direct => direct(ctx, payload).await,
            Action::Ping => {
                let mut payload = payload;
                payload["room"] = room(ctx);
                ctx.reply("pong", payload).await
            }
            Action::Echo => ctx.reply("echo", payload).await,
            Action::Twice => {
                ctx.reply("first", json!({"n": 1})).await?;
                // The package takes it and sends nothing.
                ctx.reply("second", json!({"n": 2})).await
            }
            Action::TellAndReply => {
                ctx.broadcast("told", payload.clone()).await?;
                ctx.reply("reply", payload).await
            }
            Action::WhoAmI => {
                let payload = json!({"username": username(&ctx.user), "room": room(ctx)});
                ctx.reply("whoami", payload).await
            }
            Action::User => {
                let id = ctx.route.param("id");
                let payload = json!({"id": id, "query": ctx.route.query});
                ctx.reply("user", payload).await
            }
            Action::Throw => Err(internal(&ctx.channel.name, "the event handler failed")),
            // To decline an event is to fail with a code; the package sends neither.
            Action::Decline => {
                let code = payload["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                let message = payload["message"].as_str().unwrap_or("Not allowed");
                Err(PondError::new(&ctx.channel.name, code.unwrap_or(403), message))
            }
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
            // Without a word to the members; the package then swallows what they send to it.
            Action::CloseChannel => ctx.channel.close().await,
            Action::Big => {
                let data = padding(&payload["bytes"]);
                ctx.reply("big", json!({"data": data})).await
            }
            Action::Deep => {
                let levels = payload["levels"].as_u64().unwrap_or(1).min(MAX_LEVELS);
                let data = (1..levels).fold(json!([]), |inner, _| Value::Array(vec![inner]));
                ctx.reply("deep", json!({"data": data})).await
            }
            Action::Types => {
                let payload = match payload["type"].as_str() {
                    Some("array") => json!([1, "two", null]),
                    Some("null") => Value::Null,
                    Some("string") => json!("text"),
                    Some("number") => json!(42.5),
                    _ => return Err(bad_request(&ctx.channel.name, "no such type")),
                };
                ctx.reply("types", payload).await
            }
            Action::Later => {
                let (channel, wait) = (ctx.channel.clone(), millis(&payload["ms"]));
                tokio::spawn(async move {
                    sleep(wait).await;
                    // Nobody to tell if the channel is closed by then.
                    let _ = channel.broadcast("news", json!({"n": 1})).await;
                });
                ctx.reply("later", payload).await
            }
            Action::Die => std::process::exit(1),
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

/// The connections of the user with that name, those on other nodes among them.
async fn ids_of(ctx: &EventContext, name: &str) -> Vec<String> {
    let members = ctx.channel.get_assigns().await;
    members
        .into_iter()
        .filter(|(_, assigns)| assigns.get("username").is_some_and(|u| u == name))
        .map(|(id, _)| id)
        .collect()
}

/// Sends to every connection of the named user.
async fn direct(ctx: &EventContext, payload: Value) -> Result<()> {
    let name = payload["to"].as_str().unwrap_or_default();
    let mut ids = ids_of(ctx, name).await;
    if ids.is_empty() {
        // Left to the package to judge: it sends nothing to those it does not know.
        ids.push(name.to_owned());
    }
    ctx.broadcast_to("direct", signed(payload, &ctx.user), &ids).await
}

/// Evicts every connection of the named user, or the sender's own.
async fn evict(ctx: &EventContext, payload: &Value) -> Result<()> {
    let ids = match payload["username"].as_str() {
        None => vec![ctx.user.id.clone()],
        Some(name) => ids_of(ctx, name).await,
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
    let pad = padding(&payload["size"]);
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

/// As many letters as asked for.
fn padding(size: &Value) -> String {
    let size = size.as_u64().unwrap_or(0).min(MAX_BYTES);
    "x".repeat(usize::try_from(size).unwrap_or(0))
}

fn room(ctx: &EventContext) -> Value {
    json!(ctx.channel.name.trim_start_matches("/chat/"))
}

fn signed(mut payload: Value, user: &User) -> Value {
    payload["from"] = username(user);
    payload
}

fn username(user: &User) -> Value {
    user.assigns.get("username").cloned().unwrap_or_default()
}

/// A time that a client asked for.
pub fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or(0).min(MAX_WAIT_MS))
}
