//! The account of everything that the session was asked for and has told: the invariants.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use pondsocket::session::{ChannelId, ChannelState, ClientState, Event, EventKind, Field, Session, status};
use serde_json::Value;

/// A frame that the session has written, parsed.
#[derive(Clone, Debug)]
pub struct Sent {
    pub action: String,
    pub event: String,
    pub channel: String,
    pub id: String,
    pub payload: Value,
}

impl Sent {
    pub fn parse(frame: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(frame).expect("every frame out is JSON");
        let object = value.as_object().expect("every frame out is an object");
        assert_eq!(object.len(), 5, "all five keys: {value}");
        let text = |key: &str| {
            let text = value[key].as_str().expect("a string").to_owned();
            assert!(!text.is_empty(), "{key} is empty: {value}");
            text
        };
        assert!(value["payload"].is_object(), "payload is an object: {value}");
        Self {
            action: text("action"),
            event: text("event"),
            channel: text("channelName"),
            id: text("requestId"),
            payload: value["payload"].clone(),
        }
    }

    /// What the harness calls this message: sends and requests bear it in their payload.
    pub fn mark(&self) -> Option<u64> {
        self.payload["mark"].as_u64()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message,
    Request(u64),
    Volatile,
}

#[derive(Debug)]
struct Accepted {
    kind: Kind,
    channel: ChannelId,
    handed: bool,
}

#[derive(Debug)]
struct Member {
    last_state: i32,
    /// `join` was called and the JOINING it leads to is not told yet.
    join_asked: bool,
    freed: bool,
    told_dropped: u64,
    /// The newest mark handed over on any link.
    last_handed: u64,
    name: String,
}

/// One link's account.
#[derive(Debug, Default)]
struct LinkAccount {
    /// Marks in the order they were taken: messages and requests, and whether volatile.
    taken: Vec<u64>,
    counted: u64,
    proved: u64,
    volatile_open: u64,
}

#[derive(Debug)]
pub struct Ledger {
    next_mark: u64,
    accepted: BTreeMap<u64, Accepted>,
    members: HashMap<u64, Member>,
    /// Names whose JOIN of this link the server may still believe.
    on_server: HashSet<String>,
    client_state: i32,
    link: LinkAccount,
    pings: HashMap<u64, u64>,
    open_requests: BTreeMap<u64, u64>,
    done_requests: BTreeSet<u64>,
    /// Those that were complete when an earlier link ended: nobody waits for their answer.
    stale_requests: BTreeSet<u64>,
    volatile_lost: u64,
    /// Each DISCONNECTED so far: messages counted in doubt.
    pub in_doubt: u64,
}

fn legal_channel_step(from: ChannelState, to: ChannelState, join_asked: bool) -> bool {
    use ChannelState::{Closed, Declined, Idle, Joined, Joining, Stalled};
    match (from, to) {
        (Idle | Closed | Declined, Joining) => join_asked,
        (Idle, Closed) | (Joining, Joined | Closed | Declined) => true,
        (Joined, Stalled | Closed) | (Stalled, Joined | Closed | Declined) => true,
        _ => false,
    }
}

impl Ledger {
    pub fn new() -> Self {
        Self {
            next_mark: 1,
            accepted: BTreeMap::new(),
            members: HashMap::new(),
            on_server: HashSet::new(),
            client_state: ClientState::Disconnected as i32,
            link: LinkAccount::default(),
            pings: HashMap::new(),
            open_requests: BTreeMap::new(),
            done_requests: BTreeSet::new(),
            stale_requests: BTreeSet::new(),
            volatile_lost: 0,
            in_doubt: 0,
        }
    }

    pub fn opened(&mut self, name: &str, tag: u64) {
        let member = Member {
            last_state: ChannelState::Idle as i32,
            join_asked: false,
            freed: false,
            told_dropped: 0,
            last_handed: 0,
            name: name.to_owned(),
        };
        assert!(self.members.insert(tag, member).is_none(), "tags are used once");
    }

    /// The mark of the newest message that was offered.
    pub fn newest(&self) -> u64 {
        self.next_mark - 1
    }

    /// The ping whose pong is awaited.
    pub fn ping(&self) -> Option<u64> {
        self.pings.keys().max().copied()
    }

    /// How many channels were ever opened.
    pub fn channels(&self) -> u64 {
        self.members.len() as u64
    }

    pub fn join_asked(&mut self, tag: u64) {
        self.members.get_mut(&tag).unwrap().join_asked = true;
    }

    /// No JOINING came of it: it was joining or joined already.
    pub fn join_settled(&mut self, tag: u64) {
        self.members.get_mut(&tag).unwrap().join_asked = false;
    }

    pub fn freed(&mut self, tag: u64) {
        self.members.get_mut(&tag).unwrap().freed = true;
    }

    /// Reserves a mark before the call, for events that come before it returns.
    pub fn offer(&mut self, channel: ChannelId, kind: Kind) -> u64 {
        let mark = self.next_mark;
        self.next_mark += 1;
        let accepted = Accepted {
            kind,
            channel,
            handed: false,
        };
        self.accepted.insert(mark, accepted);
        if let Kind::Request(ticket) = kind {
            self.open_requests.insert(ticket, mark);
        }
        mark
    }

    /// The call refused it.
    pub fn refused(&mut self, mark: u64) {
        let gone = self.accepted.remove(&mark).unwrap();
        if let Kind::Request(ticket) = gone.kind {
            let open = self.open_requests.remove(&ticket);
            assert!(open.is_some(), "request {ticket} was refused and told");
        }
    }

    pub fn volatile_accepted(&mut self) {
        self.link.volatile_open += 1;
    }

    pub fn took(&mut self, sent: &Sent) {
        match sent.action.as_str() {
            "JOIN_CHANNEL" | "LEAVE_CHANNEL" => {
                assert_eq!(sent.event, sent.action);
                self.link.taken.push(0);
                if sent.action == "JOIN_CHANNEL" {
                    let new = self.on_server.insert(sent.channel.clone());
                    assert!(new, "a second JOIN of {} on one link", sent.channel);
                } else {
                    self.on_server.remove(&sent.channel);
                }
            }
            _ => {
                let mark = sent.mark().expect("the harness marks each message");
                let accepted = &self.accepted[&mark];
                assert!(!accepted.handed, "message {mark} is written twice");
                if let Kind::Request(ticket) = accepted.kind {
                    let stale = self.stale_requests.contains(&ticket);
                    assert!(!stale, "request {ticket} is asked after its end, on another link");
                }
                if accepted.kind != Kind::Volatile {
                    self.link.counted += 1;
                }
                self.link.taken.push(mark);
            }
        }
    }

    /// The first `total` frames of this link are handed over.
    pub fn handed(&mut self, from: u64, total: u64) {
        for at in from..total {
            let mark = self.link.taken[at as usize];
            if mark == 0 {
                continue;
            }
            let accepted = self.accepted.get_mut(&mark).unwrap();
            assert!(!accepted.handed);
            accepted.handed = true;
            if accepted.kind == Kind::Volatile {
                self.link.volatile_open -= 1;
                continue;
            }
            let member = self
                .members
                .get_mut(&accepted.channel.0)
                .expect("tags of the harness are channel numbers");
            assert!(
                mark > member.last_handed,
                "message {mark} of channel {:?} is handed after {}",
                accepted.channel,
                member.last_handed
            );
            member.last_handed = mark;
        }
    }

    fn handed_on_link(&self, handed_frames: u64) -> u64 {
        self.link.taken[..handed_frames as usize]
            .iter()
            .filter(|mark| **mark != 0 && self.accepted[*mark].kind != Kind::Volatile)
            .count() as u64
    }

    pub fn pinged(&mut self, serial: u64) {
        self.pings.insert(serial, self.link.counted);
    }

    /// The pong of the outstanding ping came.
    pub fn ponged(&mut self, serial: u64, handed_frames: u64) {
        let mark = self.pings.remove(&serial).expect("a ping that was sent on this link");
        self.link.proved = self.link.proved.max(mark.min(self.handed_on_link(handed_frames)));
    }

    pub fn link_gone(&mut self) {
        self.volatile_lost += self.link.volatile_open;
        self.link = LinkAccount::default();
        self.stale_requests.clone_from(&self.done_requests);
        self.pings.clear();
        self.on_server.clear();
    }

    /// An event was told; `handed_frames` of this link are known to be handed over by now. Answers how many are after it.
    pub fn told(&mut self, event: &Event, handed_frames: u64) -> u64 {
        assert!(event.client == 77, "every event bears its client");
        match event.kind {
            EventKind::ClientState => self.told_client_state(event, handed_frames),
            EventKind::ChannelState => self.told_channel_state(event),
            EventKind::Reply => return self.told_reply(event, handed_frames),
            EventKind::Dropped => self.told_dropped(event),
            EventKind::Message | EventKind::Presence | EventKind::Writable => {
                let member = &self.members[&event.channel];
                assert!(!member.freed, "an event of a freed channel");
                if event.kind != EventKind::Writable {
                    assert_eq!(
                        member.last_state,
                        ChannelState::Joined as i32,
                        "messages come only while JOINED"
                    );
                }
            }
            EventKind::ClientError | EventKind::ChannelError => {
                assert!(event.status < 0);
                assert!(!event.text(Field::Message).unwrap().is_empty());
                assert!(!event.text(Field::ErrorCode).unwrap().is_empty());
            }
            EventKind::ClientMessage | EventKind::Dial => {}
            EventKind::Log | EventKind::Wake => panic!("not the session's: {:?}", event.kind),
        }
        handed_frames
    }

    fn told_client_state(&mut self, event: &Event, handed_frames: u64) {
        use ClientState::{Connected, Connecting, Disconnected};
        assert_eq!(
            event.previous_state, self.client_state,
            "previous_state is the last told one"
        );
        let from = ClientState::from_number(event.previous_state).unwrap();
        let to = ClientState::from_number(event.state).unwrap();
        let legal = matches!(
            (from, to),
            (Disconnected, Connecting) | (Connecting, Connected | Disconnected) | (Connected, Disconnected)
        );
        assert!(legal, "{from:?} -> {to:?}");
        self.client_state = event.state;
        if to == Disconnected {
            let doubt = self.handed_on_link(handed_frames) - self.link.proved;
            assert_eq!(u64::from(event.in_doubt), doubt, "in_doubt");
            self.in_doubt += doubt;
        } else {
            assert_eq!(event.in_doubt, 0);
        }
    }

    fn told_channel_state(&mut self, event: &Event) {
        let member = self.members.get_mut(&event.channel).unwrap();
        assert!(!member.freed, "an event of a freed channel");
        assert_eq!(
            event.previous_state, member.last_state,
            "previous_state is the last told one"
        );
        let from = ChannelState::from_number(event.previous_state).unwrap();
        let to = ChannelState::from_number(event.state).unwrap();
        assert!(legal_channel_step(from, to, member.join_asked), "{from:?} -> {to:?}");
        member.last_state = event.state;
        if to == ChannelState::Joining {
            member.join_asked = false;
        }
        if to == ChannelState::Joined {
            assert_eq!(
                self.client_state,
                ClientState::Connected as i32,
                "JOINED without a link"
            );
        }
        // The server itself has ended the membership.
        if matches!(event.status, status::DECLINED | status::EVICTED) {
            self.on_server.remove(&member.name);
        }
    }

    fn told_reply(&mut self, event: &Event, mut handed_frames: u64) -> u64 {
        let mark = self
            .open_requests
            .remove(&event.ticket)
            .unwrap_or_else(|| panic!("request {} completes twice, or was never asked", event.ticket));
        self.done_requests.insert(event.ticket);
        // An answer of the server proves that the question arrived, and all before it.
        if matches!(event.status, status::OK | status::SERVER) {
            let place = self.link.taken.iter().position(|taken| *taken == mark);
            if let Some(at) = place {
                // Also when the driver has not said so yet.
                self.handed(handed_frames, at as u64 + 1);
                handed_frames = handed_frames.max(at as u64 + 1);
                self.link.proved = self.link.proved.max(self.handed_on_link(at as u64 + 1));
            }
        }
        handed_frames
    }

    fn told_dropped(&mut self, event: &Event) {
        assert!(event.count > 0 && event.status < 0);
        let member = self.members.get_mut(&event.channel).unwrap();
        assert!(!member.freed);
        member.told_dropped += u64::from(event.count);
        let payload: Value = serde_json::from_str(event.text(Field::Payload).unwrap()).unwrap();
        let mark = payload["mark"].as_u64().unwrap();
        let newest = &self.accepted[&mark];
        assert_eq!(newest.kind, Kind::Message, "requests are told by their reply");
        assert!(!newest.handed, "message {mark} is written and reported DROPPED");
        assert_eq!(newest.channel.0, event.channel);
    }

    /// After each step: getters and the last told state agree, and the account adds up.
    pub fn check(&self, session: &Session) {
        assert_eq!(session.state() as i32, self.client_state, "the client's state is told");
        let (mut messages, mut handed, mut open_requests) = (0u64, 0u64, 0u64);
        for accepted in self.accepted.values() {
            match accepted.kind {
                Kind::Message => {
                    messages += 1;
                    handed += u64::from(accepted.handed);
                }
                Kind::Request(_) => open_requests += u64::from(!accepted.handed),
                Kind::Volatile => {}
            }
        }
        let dropped = session.stats().dropped - self.volatile_lost;
        assert!(
            handed + dropped <= messages,
            "{messages} accepted, {handed} handed over, {dropped} dropped"
        );
        let waiting = messages - handed - dropped;
        let outbound = session.outbound_messages();
        assert!(
            (waiting..=waiting + open_requests).contains(&outbound),
            "{waiting} messages and at most {open_requests} requests wait, the session says {outbound}"
        );
        for (tag, member) in self.members.iter().filter(|(_, member)| !member.freed) {
            assert_eq!(session.channel_state(ChannelId(*tag)) as i32, member.last_state);
        }
        for ticket in self.open_requests.keys() {
            assert!(!self.done_requests.contains(ticket));
        }
    }

    /// After disconnect and drain: nothing is unaccounted.
    pub fn check_settled(&self, session: &Session) {
        assert!(
            self.open_requests.is_empty(),
            "requests never told: {:?}",
            self.open_requests
        );
        assert!(session.is_flushed(), "nothing waits any more");
        assert_eq!(session.outbound_messages(), 0);
        for (tag, member) in self.members.iter().filter(|(_, member)| !member.freed) {
            let of_channel = |accepted: &&Accepted| accepted.channel.0 == *tag && accepted.kind == Kind::Message;
            let all = self.accepted.values().filter(of_channel).count() as u64;
            let handed = self.accepted.values().filter(of_channel).filter(|a| a.handed).count() as u64;
            assert_eq!(
                handed + member.told_dropped,
                all,
                "channel {tag}: {all} accepted, {handed} handed over, {} reported DROPPED",
                member.told_dropped
            );
        }
    }
}
