//! Recorded conversations, one frame a line, and what of them can be played.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use axum::extract::ws::CloseFrame;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Error;

/// The actions that clients know.
const ACTIONS: [&str; 3] = ["JOIN_CHANNEL", "LEAVE_CHANNEL", "BROADCAST"];

/// All connections of a recording, playable or not.
pub struct Recording {
    scenarios: BTreeMap<String, Vec<Result<Track, Unplayable>>>,
}

/// A connection that cannot be played, and why.
struct Unplayable {
    conn: String,
    why: &'static str,
}

/// One recorded connection.
#[derive(Clone)]
pub struct Track {
    /// Its name in the recording.
    pub conn: String,
    /// The path and query that the recorded client asked for.
    pub url: String,
    /// The answer to the upgrade.
    pub opening: Opening,
    /// The frames of the client, in order; those that no client library sends are left out.
    pub expected: Vec<Expected>,
    /// The frames of the server, in order.
    pub sent: Vec<Sent>,
    /// How it ended.
    pub ending: Ending,
}

/// How a server answered the upgrade.
#[derive(Clone)]
pub enum Opening {
    /// With 101.
    Accepted,
    /// With another status.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reason phrase.
        reason: String,
    },
}

/// How a connection ended.
#[derive(Clone)]
pub enum Ending {
    /// The client ended it.
    Client,
    /// The server sent Close.
    Close(Option<CloseFrame>),
    /// The server was gone, without a Close.
    Cut,
}

/// A frame of the client.
#[derive(Clone)]
pub struct Expected {
    action: String,
    event: String,
    channel: String,
    /// The id that the recorded client gave it.
    pub request_id: String,
    /// Its JSON text.
    payload: String,
}

/// A frame of the server.
#[derive(Clone)]
pub struct Sent {
    /// The frame as it was.
    pub text: String,
    /// How many of the expected frames were recorded before it.
    pub after: usize,
    /// Which of the expected frames has the same request id, and where in the text that id stands.
    pub answers: Option<(usize, Range<usize>)>,
}

impl Expected {
    /// Reads a client frame; `None` if no client library sends such a one. Payloads stay unread: what one
    /// parser refuses (depth, numbers, half characters) another one sends.
    pub fn read(text: &str) -> Option<Self> {
        let frame: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        let field = |name: &str| {
            let field: String = serde_json::from_str(frame.get(name)?.get()).ok()?;
            (!field.is_empty()).then_some(field)
        };
        let payload = frame.get("payload")?.get();
        let read = Self {
            action: field("action").filter(|action| ACTIONS.contains(&action.as_str()))?,
            event: field("event")?,
            channel: field("channelName")?,
            request_id: field("requestId")?,
            payload: payload.to_owned(),
        };
        payload.starts_with('{').then_some(read)
    }

    /// Whether it asks for the same, whatever its id and payload.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.action, &self.event, &self.channel) == (&other.action, &other.event, &other.channel)
    }
}

impl Recording {
    /// Reads a file of JSON lines.
    pub fn read(text: &str) -> Result<Self, Error> {
        // By scenario, then by connection, both in the order of the file for the latter.
        let mut lines: BTreeMap<String, Vec<(String, Vec<Value>)>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let line: Value = serde_json::from_str(line)?;
            if line["dir"] == "note" {
                continue;
            }
            let field = |name: &str| line[name].as_str().map(str::to_owned);
            let (Some(scenario), Some(conn)) = (field("scenario"), field("conn")) else {
                return Err("a recorded frame without scenario or connection".into());
            };
            let conns = lines.entry(scenario).or_default();
            match conns.iter_mut().find(|(name, _)| *name == conn) {
                Some((_, lines)) => lines.push(line),
                None => conns.push((conn, vec![line])),
            }
        }
        let read_all = |(scenario, conns): (String, Vec<(String, Vec<Value>)>)| {
            let tracks = conns
                .into_iter()
                .map(|(conn, lines)| Track::read(&scenario, &conn, &lines).map_err(|why| Unplayable { conn, why }))
                .collect();
            (scenario, tracks)
        };
        Ok(Self {
            scenarios: lines.into_iter().map(read_all).collect(),
        })
    }

    /// The connection to play: the one named, else `a`, else the only one.
    pub fn find(&self, scenario: &str, conn: Option<&str>) -> Result<&Track, &'static str> {
        let tracks = self.scenarios.get(scenario).ok_or("no such scenario")?;
        let name = |track: &Result<Track, Unplayable>| match track {
            Ok(track) => track.conn.clone(),
            Err(unplayable) => unplayable.conn.clone(),
        };
        let named = |wanted: &str| tracks.iter().find(|track| name(track) == wanted);
        let found = match (conn, tracks.as_slice()) {
            (Some(conn), _) => named(conn).ok_or("no such connection")?,
            (None, [only]) => only,
            (None, _) => named("a").ok_or("several connections, none of them named a: choose with conn=NAME")?,
        };
        found.as_ref().map_err(|unplayable| unplayable.why)
    }

    /// What can be played, for those who write scenarios.
    pub fn describe(&self) -> Value {
        let describe = |(scenario, tracks): (&String, &Vec<Result<Track, Unplayable>>)| {
            let connections: Vec<Value> = tracks
                .iter()
                .map(|track| match track {
                    Ok(track) => track.describe(),
                    Err(Unplayable { conn, why }) => json!({"conn": conn, "playable": false, "why": why}),
                })
                .collect();
            json!({"scenario": scenario, "connections": connections})
        };
        self.scenarios.iter().map(describe).collect()
    }
}

impl Track {
    fn read(scenario: &str, conn: &str, lines: &[Value]) -> Result<Self, &'static str> {
        let mut track = Self {
            conn: conn.to_owned(),
            url: String::new(),
            opening: Opening::Accepted,
            expected: Vec::new(),
            sent: Vec::new(),
            ending: Ending::Client,
        };
        let mut ids = HashSet::new();
        for line in lines {
            if !line["len"].is_null() {
                return Err("a frame was too long to be recorded in full");
            }
            let frame = line["frame"].as_str().ok_or("a line without a frame")?;
            match (line["dir"].as_str(), line["kind"].as_str()) {
                (Some("out"), None) => {
                    // Sent by hand: its answers follow what came before.
                    let Some(expected) = Expected::read(frame) else {
                        continue;
                    };
                    if !ids.insert(expected.request_id.clone()) {
                        return Err("its requests share an id");
                    }
                    track.expected.push(expected);
                }
                (Some("in"), None) => track.push(frame),
                (_, Some("handshake-ok")) => {
                    let url = line["url"].as_str().unwrap_or_default();
                    track.url = url
                        .splitn(4, '/')
                        .nth(3)
                        .map_or(String::new(), |path| format!("/{path}"));
                    if !frame.starts_with("101 ") {
                        return Err("a note on the upgrade, not the conversation");
                    }
                }
                (_, Some("handshake-failure")) => {
                    track.opening = refused(frame).ok_or("a refusal without a status")?;
                }
                (_, Some("close")) => track.ending = ending(scenario, frame)?,
                _ => return Err("a line of an unknown kind"),
            }
        }
        Ok(track)
    }

    /// Takes a frame of the server.
    fn push(&mut self, text: &str) {
        let is_request = |id: &str| self.expected.iter().position(|expected| expected.request_id == id);
        let (id, at) = request_id(text).unwrap_or_default();
        let sent = |after| Sent {
            text: text.to_owned(),
            after,
            answers: is_request(&id).map(|request| (request, at)),
        };
        if text.contains("\"action\":\"CONNECT\"") {
            // First of all, also where the recorded client did not wait for it: others do.
            let sent = sent(0);
            self.sent.insert(0, sent);
        } else {
            let sent = sent(self.expected.len());
            self.sent.push(sent);
        }
    }

    fn describe(&self) -> Value {
        let opening = match &self.opening {
            Opening::Accepted => json!(101),
            Opening::Refused { status, .. } => json!(status),
        };
        let ending = match &self.ending {
            Ending::Client => "client".to_owned(),
            Ending::Close(None) => "server: Close without code".to_owned(),
            Ending::Close(Some(frame)) => format!("server: Close {} {}", frame.code, frame.reason),
            Ending::Cut => "server: connection cut".to_owned(),
        };
        let frames = |after: usize| -> Vec<&str> {
            let sent = self.sent.iter().filter(|sent| sent.after == after);
            sent.map(|sent| sent.text.as_str()).collect()
        };
        let expects: Vec<Value> = self
            .expected
            .iter()
            .enumerate()
            .map(|(i, expected)| {
                let payload = serde_json::from_str(&expected.payload);
                json!({
                    "action": expected.action,
                    "event": expected.event,
                    "channelName": expected.channel,
                    "requestId": expected.request_id,
                    "payload": payload.unwrap_or_else(|_| json!(expected.payload)),
                    "answers": frames(i + 1),
                })
            })
            .collect();
        json!({
            "conn": self.conn,
            "playable": true,
            "url": self.url,
            "upgrade": opening,
            "greeting": frames(0),
            "expects": expects,
            "end": ending,
        })
    }
}

/// The request id of a frame, and where it stands with its quotes: a payload may have such a key, too.
fn request_id(text: &str) -> Option<(String, Range<usize>)> {
    let frame: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let raw = frame.get("requestId")?.get();
    // The raw value is a part of the text.
    let start = (raw.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some((serde_json::from_str(raw).ok()?, start..start + raw.len()))
}

/// Reads `... status=401 reason='Invalid token' headers={...`.
fn refused(note: &str) -> Option<Opening> {
    let (_, rest) = note.split_once(" status=")?;
    let (status, rest) = rest.split_once(" reason='")?;
    let (reason, _) = rest.split_once("' headers=")?;
    Some(Opening::Refused {
        status: status.parse().ok()?,
        reason: reason.to_owned(),
    })
}

/// Reads `CLOSED code=1001 reason='Server shutting down'`. The recording client itself closed with 1000
/// or a code of its own, or dropped the connection; only a killed server does the latter, too.
fn ending(scenario: &str, note: &str) -> Result<Ending, &'static str> {
    let parts = note
        .strip_prefix("CLOSED code=")
        .and_then(|rest| rest.split_once(" reason='"));
    let (code, reason) = parts.ok_or("an unreadable end")?;
    let reason = reason.trim_end_matches('\'');
    Ok(match code.parse().map_err(|_| "an unreadable close code")? {
        1006 if scenario == "shutdown_sigkill" => Ending::Cut,
        1005 => Ending::Close(None),
        code @ (1001 | 1009) => Ending::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
        _ => Ending::Client,
    })
}
