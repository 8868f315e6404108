//! `--replay FILE`: a server that plays a recorded one. For the connection that the query names it sends
//! the recorded frames in answer to the client's, byte for byte but for the ids of the client's requests.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

use crate::Error;
use crate::recording::{Ending, Expected, Opening, Recording, Sent, Track};

/// The player, the list of what it can play.
pub fn router(file: &Path, quiet: bool) -> Result<Router, Error> {
    let recording = Recording::read(&fs::read_to_string(file)?)?;
    let player = Arc::new(Player { recording, quiet });
    Ok(Router::new()
        .route("/api/socket", get(upgrade))
        .route("/scenarios", get(scenarios))
        .with_state(player))
}

struct Player {
    recording: Recording,
    quiet: bool,
}

async fn scenarios(State(player): State<Arc<Player>>) -> Json<Value> {
    Json(player.recording.describe())
}

async fn upgrade(
    State(player): State<Arc<Player>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let scenario = query.get("scenario").map_or("", String::as_str);
    let conn = query.get("conn").map(String::as_str);
    let track = match player.recording.find(scenario, conn) {
        Ok(track) => track.clone(),
        Err(why) => {
            let head = [("x-replay", "not-recorded")];
            return (StatusCode::NOT_FOUND, head, format!("not recorded: {why}\n")).into_response();
        }
    };
    if let Opening::Refused { status, reason } = &track.opening {
        return refusal(*status, reason);
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    // The recorded server takes the first subprotocol that is offered.
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let first = offered
        .and_then(|list| list.to_str().ok())
        .and_then(|list| list.split(',').next())
        .map(|name| name.trim().to_owned());
    let quiet = player.quiet;
    let name = format!("{scenario}/{}", track.conn);
    upgrade.protocols(first).on_upgrade(async move |socket| {
        let left = play(&track, socket).await;
        if left > 0 && !quiet {
            eprintln!("{name}: {left} client frames never came");
        }
    })
}

/// The recorded refusal: a status, its reason phrase, no body.
fn refusal(status: u16, reason: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status.into_response();
    if let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes().to_vec()) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// Plays one connection to its end; returns how many client frames were still expected.
async fn play(track: &Track, mut socket: WebSocket) -> usize {
    let mut progress = Progress::default();
    loop {
        for frame in progress.due(track) {
            if socket.send(Message::Text(frame.into())).await.is_err() {
                return track.expected.len() - progress.matched();
            }
        }
        if progress.is_done(track) {
            match &track.ending {
                Ending::Client => {}
                Ending::Close(frame) => {
                    // The client's answer ends the loop below.
                    let _ = socket.send(Message::Close(frame.clone())).await;
                }
                Ending::Cut => return 0,
            }
            while matches!(socket.recv().await, Some(Ok(_))) {}
            return 0;
        }
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => progress.take(track, &text),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return track.expected.len() - progress.matched(),
        }
    }
}

/// How far one live connection is in its track.
#[derive(Default)]
struct Progress {
    /// The ids that the client gave to the requests matched so far, as JSON strings.
    ids: Vec<String>,
    /// Recorded frames sent so far.
    sent: usize,
}

impl Progress {
    fn matched(&self) -> usize {
        self.ids.len()
    }

    fn is_done(&self, track: &Track) -> bool {
        self.matched() == track.expected.len() && self.sent == track.sent.len()
    }

    /// Takes a client frame. What is not the next one expected is out of the script: it goes unanswered.
    fn take(&mut self, track: &Track, text: &str) {
        let Some(next) = track.expected.get(self.matched()) else {
            return;
        };
        if let Some(came) = Expected::read(text)
            && came.is_like(next)
        {
            self.ids.push(json!(came.request_id).to_string());
        }
    }

    /// The frames to send now, in recorded order.
    fn due(&mut self, track: &Track) -> Vec<String> {
        let matched = self.matched();
        let mut frames = Vec::new();
        while let Some(next) = track.sent.get(self.sent) {
            // A client that sends its requests one by one gets the answer to each, even where the recorded
            // one had sent several at once.
            let answered = matches!(next.answers, Some((request, _)) if request < matched);
            if next.after > matched && !answered {
                break;
            }
            frames.push(self.with_live_id(next));
            self.sent += 1;
        }
        frames
    }

    /// The frame with the id that the client gave to the request it answers.
    fn with_live_id(&self, frame: &Sent) -> String {
        let mut text = frame.text.clone();
        if let Some((request, at)) = &frame.answers
            && let Some(live) = self.ids.get(*request)
        {
            text.replace_range(at.clone(), live);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is how a test says no")]

    use super::*;

    fn line(dir: &str, frame: &Value) -> String {
        json!({"scenario": "s", "conn": "a", "dir": dir, "t": 0, "frame": frame.to_string()}).to_string()
    }

    fn request(event: &str, id: &str) -> Value {
        let action = if event == "JOIN_CHANNEL" { event } else { "BROADCAST" };
        json!({"action": action, "event": event, "channelName": "/c", "requestId": id, "payload": {}})
    }

    fn track(lines: &[String]) -> Track {
        let recording = Recording::read(&lines.join("\n")).unwrap();
        recording.find("s", None).unwrap().clone()
    }

    fn reply(event: &str, id: &str) -> Value {
        json!({"action": "SYSTEM", "event": event, "channelName": "/c", "requestId": id, "payload": {"requestId": id}})
    }

    fn events(frames: &[String]) -> Vec<String> {
        let event = |frame: &String| serde_json::from_str::<Value>(frame).unwrap()["event"].to_string();
        frames.iter().map(event).collect()
    }

    #[test]
    fn pipelined_requests_are_answered_one_by_one_and_in_order() {
        let fresh = json!({"action": "BROADCAST", "event": "news", "requestId": "fresh"});
        let track = track(&[
            line("out", &request("JOIN_CHANNEL", "1")),
            line("out", &request("ping", "2")),
            line(
                "in",
                &json!({"action": "CONNECT", "event": "CONNECTION", "requestId": "x"}),
            ),
            line("in", &reply("ACKNOWLEDGE", "1")),
            line("in", &fresh),
            line("in", &reply("pong", "2")),
        ]);
        let mut progress = Progress::default();
        assert_eq!(events(&progress.due(&track)), ["\"CONNECTION\""]);
        progress.take(&track, &request("JOIN_CHANNEL", "mine").to_string());
        // The news had come after both requests, so it waits, and what follows waits with it.
        let acknowledge = progress.due(&track);
        assert_eq!(events(&acknowledge), ["\"ACKNOWLEDGE\""]);
        let acknowledge: Value = serde_json::from_str(&acknowledge[0]).unwrap();
        assert_eq!(acknowledge["requestId"], "mine");
        assert_eq!(acknowledge["payload"]["requestId"], "1");
        progress.take(&track, &request("other", "no").to_string());
        assert_eq!(progress.due(&track), Vec::<String>::new());
        progress.take(&track, &request("ping", "a\"b").to_string());
        let rest = progress.due(&track);
        assert_eq!(events(&rest), ["\"news\"", "\"pong\""]);
        assert_eq!(rest[0], fresh.to_string());
        assert!(rest[1].contains(r#""requestId":"a\"b""#));
        assert!(progress.is_done(&track));
    }
}
