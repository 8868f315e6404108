//! One session with a made-up clock, the driver and the server around it. After each step the ledger's invariants are
//! checked.

use std::collections::VecDeque;

use pondsocket::session::{
    Action, ChannelId, ClientState, Config, Event, EventKind, Failure, Field, LinkEnd, Plain, Session, Time, status,
};
use serde_json::{Value, json};

use crate::ledger::{Kind, Ledger, Sent};
use crate::server::Dialect;

pub struct Peer {
    pub session: Session,
    pub ledger: Ledger,
    pub dialect: Dialect,
    pub now: Time,
    /// The driver takes frames.
    pub taking: bool,
    /// What it takes is handed over at once.
    pub handing: bool,
    /// Actions not looked at yet.
    pub actions: VecDeque<Action>,
    /// Events not looked at yet.
    pub events: Vec<Event>,
    /// Frames taken and not looked at yet.
    pub sent: Vec<Sent>,
    taken: u64,
    handed: u64,
    next_ticket: u64,
}

/// The rules most tests live by: no grace, so that silence means nothing, and no pings.
pub fn quiet() -> Config {
    Config {
        legacy_grace: 0,
        ping_interval: 0,
        client: 77,
        ..Config::default()
    }
}

/// A connection that broke.
pub fn lost() -> LinkEnd {
    end(status::CONNECTION_LOST, 0)
}

pub fn end(status: i32, http_status: i32) -> LinkEnd {
    LinkEnd {
        failure: Failure {
            http_status,
            ..Failure::new(status, "made up")
        },
        close_code: 0,
        retry_after: None,
    }
}

impl Peer {
    pub fn new(dialect: Dialect, config: Config) -> Self {
        Self::seeded(dialect, config, 1)
    }

    pub fn seeded(dialect: Dialect, config: Config, seed: u64) -> Self {
        let config = Config { client: 77, ..config };
        Self {
            session: Session::new(config, seed),
            ledger: Ledger::new(),
            dialect,
            now: 0,
            taking: true,
            handing: true,
            actions: VecDeque::new(),
            events: Vec::new(),
            sent: Vec::new(),
            taken: 0,
            handed: 0,
            next_ticket: 1,
        }
    }

    /// CONNECTED, everything told so far forgotten.
    pub fn up(dialect: Dialect, config: Config) -> Self {
        let mut peer = Self::new(dialect, config);
        peer.connect();
        peer.accept();
        peer.forget();
        peer
    }

    /// CONNECTED and JOINED to `/c`.
    pub fn joined(dialect: Dialect, config: Config) -> (Self, ChannelId) {
        let mut peer = Self::up(dialect, config);
        let channel = peer.open("/c");
        peer.join(channel);
        peer.ack("/c");
        peer.forget();
        (peer, channel)
    }

    pub fn forget(&mut self) {
        self.actions.clear();
        self.events.clear();
        self.sent.clear();
    }

    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// The driver's loop, once around after each input.
    pub fn drain(&mut self) {
        self.turn();
        self.ledger.check(&self.session);
    }

    fn turn(&mut self) {
        loop {
            let mut idle = true;
            while let Some(action) = self.session.poll_action() {
                idle = false;
                if let Action::Ping(serial) = action {
                    self.ledger.pinged(serial);
                }
                self.actions.push_back(action);
            }
            // As the driver does.
            let (events, told) =
                self.session
                    .plain_events(self.next_ticket % 3 > 0)
                    .map_or_else(Default::default, |(events, plain)| {
                        let events: Vec<_> = events.collect();
                        assert!(!events.is_empty());
                        (events, plain)
                    });
            let mut plain = Plain::default();
            for event in &events {
                match event.kind {
                    EventKind::Message => plain.messages += 1,
                    EventKind::Reply => plain.replies += 1,
                    other => panic!("{other:?} is not plain"),
                }
                plain.bytes += u64::from(event.frame_bytes);
            }
            assert_eq!(plain, told);
            for event in events
                .into_iter()
                .chain(std::iter::from_fn(|| self.session.poll_event()))
            {
                idle = false;
                self.handed = self.ledger.told(&event, self.handed);
                self.events.push(event);
            }
            while self.taking
                && let Some(frame) = self.session.take_frame()
            {
                idle = false;
                let sent = Sent::parse(frame);
                self.ledger.took(&sent);
                self.sent.push(sent);
                self.taken += 1;
            }
            if self.handing && self.handed < self.taken {
                idle = false;
                self.hand(self.taken - self.handed);
            }
            if idle {
                break;
            }
        }
    }

    fn hand(&mut self, frames: u64) {
        let total = self.handed + frames;
        self.ledger.handed(self.handed, total);
        self.handed = total;
        self.session.handed_over(total);
    }

    /// Hands over the next frames that were taken, as many as there are.
    pub fn hand_over(&mut self, frames: u64) {
        self.hand(frames.min(self.taken - self.handed));
        self.drain();
    }

    // ---- time and link ----

    /// Time passes, each deadline is answered when it is due.
    pub fn advance(&mut self, by: Time) {
        let until = self.now + by;
        while let Some(at) = self.session.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.tick(self.now);
            self.drain();
        }
        self.now = until;
        self.session.tick(self.now);
        self.drain();
    }

    /// Time passes up to the next deadline; how long that was.
    pub fn skip(&mut self) -> Time {
        let wait = self.session.deadline().expect("a deadline") - self.now;
        self.advance(wait);
        wait
    }

    pub fn connect(&mut self) {
        self.session.connect(self.now);
        self.drain();
    }

    pub fn upgrade(&mut self) {
        self.session.upgraded(self.now);
        self.drain();
    }

    /// The dial succeeds, and the server accepts in its way.
    pub fn accept(&mut self) {
        self.upgrade();
        match self.dialect.connection() {
            Some(frame) => self.receive(&frame),
            None => self.advance(self.session.config().legacy_grace),
        }
        assert_eq!(self.session.state(), ClientState::Connected);
    }

    pub fn ended(&mut self, end: LinkEnd) {
        let linked = self.session.is_linked();
        self.session.link_ended(self.now, end);
        // The account of the link is closed by what its end tells.
        self.turn();
        if linked {
            self.ledger.link_gone();
            (self.taken, self.handed) = (0, 0);
        }
        self.ledger.check(&self.session);
    }

    pub fn lose(&mut self) {
        self.ended(lost());
    }

    /// The link breaks, and the next dial succeeds.
    pub fn reconnect(&mut self) {
        self.lose();
        self.session.reconnect_now(self.now);
        self.drain();
        self.accept();
    }

    pub fn disconnect(&mut self) {
        self.session.disconnect(self.now, pondsocket::session::GOODBYE);
        self.drain();
    }

    pub fn suspend(&mut self) {
        self.session.suspend();
        self.drain();
    }

    pub fn resume(&mut self) {
        self.session.resume(self.now);
        self.drain();
    }

    pub fn pong(&mut self, serial: u64) {
        self.ledger.ponged(serial, self.handed);
        self.session.pong(serial);
        self.drain();
    }

    pub fn receive(&mut self, frame: &str) {
        self.session.text_frame(frame, self.now);
        self.drain();
    }

    /// Ends everything, as a program does, and checks that nothing is unaccounted.
    pub fn settle(&mut self) {
        self.disconnect();
        if self.session.is_linked() {
            self.ended(end(status::CONNECTION_LOST, 0));
        }
        self.ledger.check_settled(&self.session);
    }

    // ---- channels ----

    pub fn open(&mut self, name: &str) -> ChannelId {
        self.open_with(name, "{}")
    }

    pub fn open_with(&mut self, name: &str, params: &str) -> ChannelId {
        // Channels are numbered from 1; the tag is the same number, so that events are found easily.
        let tag = self.next_tag();
        let channel = self.session.open_channel(name, params);
        self.session.set_channel_tag(channel, tag);
        assert_eq!(channel.0, tag);
        self.ledger.opened(name, tag);
        self.drain();
        channel
    }

    fn next_tag(&self) -> u64 {
        self.ledger.channels() + 1
    }

    pub fn join(&mut self, channel: ChannelId) {
        self.ledger.join_asked(channel.0);
        self.session.join(channel, self.now);
        self.drain();
        self.ledger.join_settled(channel.0);
    }

    pub fn leave(&mut self, channel: ChannelId) {
        self.session.leave(channel);
        self.drain();
    }

    pub fn close(&mut self, channel: ChannelId) {
        self.session.close_channel(channel);
        self.turn();
        self.ledger.freed(channel.0);
        self.ledger.check(&self.session);
    }

    /// The id of the newest JOIN of a channel that was taken and not looked at.
    pub fn join_id(&self, name: &str) -> String {
        self.last("JOIN_CHANNEL", name).id
    }

    pub fn last(&self, action: &str, name: &str) -> Sent {
        let found = self.sent.iter().rev().find(|s| s.action == action && s.channel == name);
        found
            .unwrap_or_else(|| panic!("no {action} of {name} in {:?}", self.sent))
            .clone()
    }

    /// The server acknowledges the newest JOIN.
    pub fn ack(&mut self, name: &str) {
        let frame = self.dialect.ack(name, &self.join_id(name));
        self.receive(&frame);
    }

    // ---- sending ----

    pub fn send(&mut self, channel: ChannelId) -> Result<u64, Failure> {
        self.send_sized(channel, 0)
    }

    /// A message with about so many bytes of padding.
    pub fn send_sized(&mut self, channel: ChannelId, padding: usize) -> Result<u64, Failure> {
        let mark = self.ledger.offer(channel, Kind::Message);
        let payload = json!({"mark": mark, "padding": "x".repeat(padding)}).to_string();
        let result = self.session.send(channel, "message", &payload);
        if result.is_err() {
            self.ledger.refused(mark);
        }
        self.drain();
        result.map(|()| mark)
    }

    pub fn send_volatile(&mut self, channel: ChannelId) -> Result<bool, Failure> {
        let mark = self.ledger.offer(channel, Kind::Volatile);
        let result = self
            .session
            .send_volatile(channel, "position", &json!({"mark": mark}).to_string());
        match &result {
            Ok(true) => self.ledger.volatile_accepted(),
            _ => self.ledger.refused(mark),
        }
        self.drain();
        result
    }

    /// A request; its ticket.
    pub fn request(&mut self, channel: ChannelId) -> Result<u64, Failure> {
        self.request_within(channel, Some(0))
    }

    pub fn request_within(&mut self, channel: ChannelId, timeout: Option<Time>) -> Result<u64, Failure> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mark = self.ledger.offer(channel, Kind::Request(ticket));
        let payload = json!({"mark": mark}).to_string();
        // As the driver's side does: the clock starts now, or with the next turn.
        let clock = (ticket % 2 == 0).then_some(self.now);
        let result = self.session.request(channel, "ask", &payload, timeout, ticket, clock);
        if clock.is_none() {
            self.session.tick(self.now);
        }
        if result.is_err() {
            self.ledger.refused(mark);
        }
        self.drain();
        result.map(|()| ticket)
    }

    pub fn cancel(&mut self, ticket: u64) -> bool {
        let cancelled = self.session.cancel_request(ticket);
        self.drain();
        cancelled
    }

    // ---- what was told ----

    pub fn take(&mut self, kind: EventKind) -> Vec<Event> {
        let (found, rest) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(|e| e.kind == kind);
        self.events = rest;
        found
    }

    /// The one event of that kind.
    pub fn one(&mut self, kind: EventKind) -> Event {
        let mut found = self.take(kind);
        assert_eq!(found.len(), 1, "events of kind {kind:?}: {found:#?}");
        found.remove(0)
    }

    /// The newest state of the client that was told.
    pub fn one_state(&mut self) -> Event {
        self.take(EventKind::ClientState).pop().expect("a state")
    }

    /// Nothing of that kind was told.
    pub fn none(&self, kind: EventKind) {
        let found: Vec<&Event> = self.events.iter().filter(|e| e.kind == kind).collect();
        assert!(found.is_empty(), "{found:#?}");
    }

    /// The kinds told, in order.
    pub fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|e| e.kind).collect()
    }

    /// The states that a kind of state event told, in order.
    pub fn states(&mut self, kind: EventKind) -> Vec<i32> {
        self.take(kind).iter().map(|e| e.state).collect()
    }

    pub fn took(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// The actions of the frames taken, short.
    pub fn words(&self) -> Vec<&str> {
        self.sent.iter().map(|s| s.action.as_str()).collect()
    }

    /// The marks of the messages taken, in order.
    pub fn marks(&self) -> Vec<u64> {
        self.sent.iter().filter_map(Sent::mark).collect()
    }
}

/// A field as text, empty when absent.
pub fn text(event: &Event, field: Field) -> &str {
    event.text(field).unwrap_or_default()
}

/// A field as JSON.
pub fn value(event: &Event, field: Field) -> Value {
    serde_json::from_str(event.text(field).expect("the field")).expect("JSON")
}
