//! The chat application: `/api/socket`, channels `/chat/:room`. What it does with events is told in
//! `events`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use pondsocket::errors::{Result, bad_request, internal};
use pondsocket::{ConnectionContext, ConnectionHandler, JoinContext, JoinHandler, Options, PondSocket, PubSub};
use pondsocket_axum::{RequestParts, handle_socket};
use pondsocket_common::PondAssigns;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::events::{self, millis};

/// Path of the endpoint.
const ENDPOINT: &str = "/api/socket";
/// Messages that a room remembers, and those of them that a joiner may ask for.
const HISTORY: usize = 100;
const HISTORY_SENT: usize = 20;
/// How often nodes that share channels tell that they live, and after which silence the others forget
/// a node's users. The package's own values are for large systems: a test would wait 90 s. On a busy machine it must
/// not be too short: users of a living node that was forgotten are listed for ever once they update their presence.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(6);

/// What the handlers share.
pub struct Chat {
    token: String,
    quiet: bool,
    /// Weak, since the server owns the handlers that own this.
    pub pond: Weak<PondSocket>,
    history: Mutex<HashMap<String, VecDeque<Value>>>,
}

impl Chat {
    /// Keeps a message for those who join later.
    pub fn remember(&self, room: &str, message: Value) {
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

/// Builds the PondSocket server and the route that leads to it. With a `pubsub` it shares its channels
/// with the other nodes on it.
pub async fn router(token: &str, quiet: bool, pubsub: Option<Arc<dyn PubSub>>) -> Router {
    let options = Options {
        heartbeat_interval: HEARTBEAT_INTERVAL,
        heartbeat_timeout: HEARTBEAT_TIMEOUT,
        ..Options::default()
    };
    let pond = PondSocket::new(options, pubsub);
    let chat = Arc::new(Chat {
        token: token.to_owned(),
        quiet,
        pond: Arc::downgrade(&pond),
        history: Mutex::default(),
    });
    let endpoint = pond.create_endpoint(ENDPOINT, Connect(chat.clone())).await;
    let lobby = endpoint.create_channel("/chat/:room", Join(chat.clone())).await;
    events::register(&lobby, &chat).await;
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
        let mode = query.get("mode").map_or("accept", String::as_str);
        if query.get("token") != Some(&self.0.token) || mode == "decline" {
            // Neither reaches the client: the package upgrades and then closes.
            let code = query.get("code").and_then(|code| code.parse().ok());
            let message = query.get("message").map_or("Invalid token", String::as_str);
            return ctx.decline(code.unwrap_or(401), message);
        }
        match mode {
            "throw" => return Err(internal(ENDPOINT, "the connection handler failed")),
            "silent" => return Ok(()),
            _ => {}
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
            // The package refuses, so no `early` comes: it replies to members only.
            "reply-first" => drop(ctx.reply("early", json!({"early": true})).await),
            "decline" => {
                let code = params["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                let message = params["message"].as_str().unwrap_or("No entry");
                return ctx.decline(code.unwrap_or(403), message).await;
            }
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
        if params["presence"] != false {
            ctx.track(json!({"id": username, "status": "online"})).await?;
        }
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
