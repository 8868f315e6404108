//! Every recorded frame of every capture is fed to a session that does what the recorded client did, at the recorded
//! times and with the session's own ids, under the harness's invariants.

use std::collections::{BTreeMap, HashMap, VecDeque};

use pondsocket::session::{ChannelState, ClientState, Config, EventKind, status};
use serde_json::Value;

use crate::capture::{Line, load, with_id};
use crate::harness::{Peer, end, quiet};
use crate::server::Dialect;

/// What came of a replay.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    frames: u64,
    joined: usize,
    replies: usize,
    messages: usize,
    presence: usize,
}

/// One recorded connection.
struct Replayed {
    peer: Peer,
    /// Recorded ids of JOINs that the session has not sent yet, by channel.
    joins: HashMap<String, VecDeque<String>>,
    /// Recorded ids of messages that the session has not sent yet.
    marks: HashMap<u64, String>,
    /// Recorded id to the session's own.
    ids: HashMap<String, String>,
}

impl Replayed {
    fn new(dialect: Dialect) -> Self {
        let config = Config {
            legacy_grace: if dialect == Dialect::Legacy { 100 } else { 0 },
            ..quiet()
        };
        let mut peer = Peer::new(dialect, config);
        peer.connect();
        Self {
            peer,
            joins: HashMap::new(),
            marks: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// Learns which ids the session gave to what the recorded client sent.
    fn learn(&mut self) {
        for sent in std::mem::take(&mut self.peer.sent) {
            let recorded = match sent.mark() {
                Some(mark) => self.marks.remove(&mark),
                None if sent.action == "JOIN_CHANNEL" => {
                    self.joins.get_mut(&sent.channel).and_then(VecDeque::pop_front)
                }
                None => None,
            };
            if let Some(recorded) = recorded {
                self.ids.insert(recorded, sent.id);
            }
        }
    }

    fn sends(&mut self, frame: &str) {
        if self.peer.dialect == Dialect::Legacy && self.peer.session.state() == ClientState::Connecting {
            self.peer.advance(100);
        }
        let Ok(value) = serde_json::from_str::<Value>(frame) else {
            return;
        };
        let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(action), Some(name), Some(id)) = (text("action"), text("channelName"), text("requestId")) else {
            return;
        };
        let session = &self.peer.session;
        let known = session.channel_by_name(&name);
        match action.as_str() {
            "JOIN_CHANNEL" => {
                let channel = known.unwrap_or_else(|| self.peer.open(&name));
                let state = self.peer.session.channel_state(channel);
                if !matches!(state, ChannelState::Joining | ChannelState::Joined) {
                    self.joins.entry(name).or_default().push_back(id);
                    self.peer.join(channel);
                }
            }
            "LEAVE_CHANNEL" => {
                if let Some(channel) = known {
                    self.peer.leave(channel);
                }
            }
            _ => {
                if let Some(channel) = known
                    && !session.channel_state(channel).is_terminal()
                {
                    // The id is known when it is sent, which may be now.
                    let mark = self.peer.ledger.newest() + 1;
                    self.marks.insert(mark, id);
                    self.peer.request(channel).expect("a live channel takes it");
                }
            }
        }
        self.learn();
    }

    fn receives(&mut self, frame: &str) {
        let id = serde_json::from_str::<Value>(frame)
            .ok()
            .and_then(|value| value["requestId"].as_str().map(str::to_owned));
        let ours = id.and_then(|id| Some((self.ids.get(&id)?.clone(), id)));
        match ours {
            Some((ours, theirs)) => self.peer.receive(&with_id(frame, &theirs, &ours)),
            None => self.peer.receive(frame),
        }
        self.learn();
    }

    fn finish(mut self, totals: &mut Totals) {
        if self.peer.session.is_linked() {
            self.peer.lose();
        }
        self.peer.settle();
        totals.frames += self.peer.session.stats().frames_in;
        let joined = ChannelState::Joined as i32;
        totals.joined += self
            .peer
            .states(EventKind::ChannelState)
            .iter()
            .filter(|s| **s == joined)
            .count();
        let answered = |e: &pondsocket::session::Event| matches!(e.status, status::OK | status::SERVER);
        totals.replies += self.peer.take(EventKind::Reply).iter().filter(|e| answered(e)).count();
        totals.messages += self.peer.take(EventKind::Message).len();
        totals.presence += self.peer.take(EventKind::Presence).len();
    }
}

fn scenario(lines: &[Line], dialect: Dialect, totals: &mut Totals) {
    let mut links: BTreeMap<&str, Replayed> = BTreeMap::new();
    let mut now = lines[0].at;
    for line in lines {
        let passed = line.at.saturating_sub(now);
        now = now.max(line.at);
        for link in links.values_mut().filter(|_| passed > 0) {
            link.peer.advance(passed);
            link.learn();
        }
        let conn = line.conn.as_str();
        match line.kind.as_str() {
            "handshake-ok" => {
                let mut link = Replayed::new(dialect);
                link.peer.upgrade();
                if let Some(old) = links.insert(conn, link) {
                    old.finish(totals);
                }
            }
            "handshake-failure" => {
                let mut link = Replayed::new(dialect);
                let code = line
                    .frame
                    .split("HTTP ")
                    .nth(1)
                    .and_then(|rest| rest.get(..3)?.parse().ok());
                link.peer.ended(end(status::HTTP, code.unwrap_or(0)));
                assert_eq!(link.peer.session.state(), ClientState::Disconnected);
                link.finish(totals);
            }
            "close" => {
                if let Some(link) = links.remove(conn) {
                    link.finish(totals);
                }
            }
            "" => {
                if let Some(link) = links.get_mut(conn) {
                    if line.outgoing {
                        link.sends(&line.frame);
                    } else {
                        link.receives(&line.frame);
                    }
                }
            }
            _ => {}
        }
    }
    for (_, link) in links {
        link.finish(totals);
    }
}

fn replay(name: &str, dialect: Dialect, prepare: impl Fn(Line) -> Option<Line>) -> Totals {
    let lines: Vec<Line> = load(name).into_iter().filter_map(prepare).collect();
    let recorded = lines
        .iter()
        .filter(|line| line.kind.is_empty() && !line.outgoing)
        .count() as u64;
    let mut totals = Totals::default();
    for lines in lines.chunk_by(|a, b| a.scenario == b.scenario) {
        scenario(lines, dialect, &mut totals);
    }
    assert_eq!(totals.frames, recorded, "{name}: each recorded frame is replayed");
    totals
}

/// Frames, channels that became JOINED, requests that the server answered, messages, presence events.
fn expected(frames: u64, joined: usize, replies: usize, messages: usize, presence: usize) -> Totals {
    Totals {
        frames,
        joined,
        replies,
        messages,
        presence,
    }
}

#[test]
fn replay_of_the_javascript_server() {
    let totals = replay("js", Dialect::Js, Some);
    assert_eq!(totals, expected(823, 66, 158, 437, 28));
}

#[test]
fn replay_of_the_python_server() {
    let totals = replay("python", Dialect::Python, Some);
    assert_eq!(totals, expected(794, 72, 144, 429, 28));
}

#[test]
fn replay_of_the_rust_server() {
    let totals = replay("rust", Dialect::Rust, Some);
    assert_eq!(totals, expected(825, 74, 149, 436, 37));
}

#[test]
fn replay_of_the_old_javascript_server() {
    let totals = replay("js-legacy-0.1.70", Dialect::Legacy, Some);
    assert_eq!(totals, expected(82, 12, 0, 17, 17));
}

#[test]
fn replay_of_the_envelopes_of_an_event_stream() {
    // Other transport, same envelopes: the stream's data lines and the bodies of the POSTs.
    let unwrap = |mut line: Line| {
        let frame = std::mem::take(&mut line.frame);
        if line.outgoing {
            line.frame = frame.split_once("body=")?.1.to_owned();
        } else if frame.starts_with("200 OK") && frame.contains("text/event-stream") {
            line.kind = "handshake-ok".to_owned();
        } else {
            line.frame = frame.split_once("data: ")?.1.trim_end().to_owned();
        }
        Some(line)
    };
    let totals = replay("python-sse", Dialect::Python, unwrap);
    assert_eq!(totals, expected(14, 2, 3, 2, 1));
}
