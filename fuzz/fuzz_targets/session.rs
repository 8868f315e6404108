//! A stream of bytes as a stream of inputs for a session: whatever driver, server and program do, nothing panics, each accepted
//! request completes once, states are legal, and the session comes to rest.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use pondsocket::session::{
    Action, ChannelId, Config, EventKind, Failure, Field, LinkEnd, Overflow, Session, status,
};

struct World {
    session: Session,
    now: u64,
    channels: Vec<ChannelId>,
    /// Accepted and not complete.
    open: HashMap<u64, ()>,
    ticket: u64,
    taken: u64,
    handed: u64,
    dialling: bool,
    linked: bool,
    last_request_id: String,
    client_state: i32,
}

/// Frames that servers send; the request id of the last frame of ours takes the place of `$`.
const FRAMES: [&str; 14] = [
    r#"{"action":"CONNECT","event":"CONNECTION","channelName":"GATEWAY","requestId":"x","payload":{"connectionId":"c"}}"#,
    r#"{"action":"SYSTEM","event":"ACKNOWLEDGE","channelName":"/a","requestId":"$","payload":{}}"#,
    r#"{"action":"SYSTEM","event":"ACKNOWLEDGE","channelName":"/b","payload":{}}"#,
    r#"{"action":"SYSTEM","event":"echo","channelName":"/a","requestId":"$","payload":{"a":1}}"#,
    r#"{"action":"BROADCAST","event":"m","channelName":"/a","requestId":"$","payload":{}}"#,
    r#"{"action":"BROADCAST","event":"m","channelName":"/b","requestId":"y","payload":{}}"#,
    r#"{"action":"ERROR","event":"UNAUTHORIZED_JOIN_REQUEST","channelName":"/a","requestId":"$","payload":{"code":403}}"#,
    r#"{"action":"ERROR","event":"HANDLER_NOT_FOUND","channelName":"/a","requestId":"$","payload":{"message":"no"}}"#,
    r#"{"action":"SYSTEM","event":"NOT_FOUND","channelName":"/b","requestId":"$","payload":{}}"#,
    r#"{"action":"PRESENCE","event":"JOIN","channelName":"/a","requestId":"z","payload":{"changed":{"id":1},"presence":[{"id":1}]}}"#,
    r#"{"action":"SYSTEM","event":"EVICTED","channelName":"/a","requestId":"e","payload":{"reason":"r"}}"#,
    r#"{"action":"ERROR","event":"UNAUTHORIZED_CONNECTION","channelName":"GATEWAY","requestId":"e","payload":{"code":401}}"#,
    "{",
    "[]",
];

impl World {
    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Dial { .. } => {
                    assert!(!self.dialling, "one dial at a time");
                    self.dialling = true;
                    self.linked = false;
                }
                Action::Abort => self.end(0),
                Action::Close | Action::Ping(_) => {}
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event.kind {
                EventKind::Reply => {
                    assert!(self.open.remove(&event.ticket).is_some(), "a reply twice, or of nothing");
                }
                EventKind::ClientState => {
                    assert_ne!(event.state, 0);
                    self.client_state = event.state;
                }
                EventKind::ChannelState => assert_ne!(event.state, event.previous_state),
                _ => {}
            }
            for field in [Field::Payload, Field::Message, Field::Users] {
                if let Some(bytes) = event.bytes_with_nul(field) {
                    assert_eq!(bytes.last(), Some(&0), "a text ends in NUL");
                }
            }
        }
        assert_eq!(self.client_state, self.session.state() as i32, "events tell the history, up to the newest truth");
    }

    fn end(&mut self, retry: u64) {
        if self.dialling || self.linked {
            self.dialling = false;
            self.linked = false;
            let failure = Failure::new(status::CONNECTION_LOST, "made up");
            let (taken, handed) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.handed));
            assert!(handed <= taken);
            let retry_after = (retry > 0).then_some(retry);
            self.session.link_ended(self.now, LinkEnd { failure, close_code: 1006, retry_after });
        }
    }

    fn step(&mut self, op: u8, argument: u8) {
        let now = self.now;
        let id = self.channels[argument as usize % self.channels.len()];
        match op % 24 {
            0 => self.session.connect(now),
            1 => self.session.disconnect(now, u64::from(argument)),
            2 => self.session.suspend(),
            3 => self.session.resume(now),
            4 => self.session.reconnect_now(now),
            5 => drop(self.session.answer_dial(u32::from(argument % 4))),
            6 => self.session.join(id, now),
            7 => self.session.leave(id),
            8 => drop(self.session.send(id, "m", r#"{"a":1}"#)),
            9 => drop(self.session.send_volatile(id, "v", "{}")),
            10 | 11 => {
                self.ticket += 1;
                let timeout = [None, Some(0), Some(1), Some(50)][argument as usize / 4 % 4];
                self.open.insert(self.ticket, ());
                if self.session.request(id, "q", "{}", timeout, self.ticket, now).is_err() {
                    assert!(self.open.remove(&self.ticket).is_some(), "refused, and a reply came");
                }
            }
            12 => {
                let ticket = self.ticket.saturating_sub(u64::from(argument % 4));
                let was_open = self.open.contains_key(&ticket);
                assert_eq!(self.session.cancel_request(ticket), was_open);
            }
            13 | 14 => {
                if std::mem::take(&mut self.dialling) {
                    self.linked = true;
                    self.session.upgraded(now);
                }
            }
            15 => self.end(u64::from(argument % 2) * 1000),
            16 => {
                self.now += [0, 1, 20, 500, 3_000, 12_000, 40_000, 400_000][argument as usize % 8];
                self.session.tick(self.now);
            }
            17..=19 => {
                if self.linked {
                    let frame = FRAMES[argument as usize % FRAMES.len()].replace('$', &self.last_request_id);
                    self.session.traffic(now);
                    self.session.text_frame(&frame, now);
                }
            }
            20 | 21 => {
                while self.linked
                    && let Some(frame) = self.session.take_frame()
                {
                    self.taken += 1;
                    let text = std::str::from_utf8(&frame).expect("a frame is text");
                    if let Some((_, rest)) = text.split_once(r#""requestId":""#) {
                        self.last_request_id = rest.split('"').next().unwrap_or_default().to_owned();
                    }
                    if argument & 1 == 1 {
                        break;
                    }
                }
            }
            22 => {
                if self.linked {
                    self.handed = (self.handed + u64::from(argument)).min(self.taken);
                    self.session.handed_over(self.handed);
                }
            }
            _ => {
                if argument % 3 == 0 {
                    self.session.close_channel(id);
                    let name = ["/a", "/b"][argument as usize % self.channels.len()];
                    let place = argument as usize % self.channels.len();
                    if self.session.channel_by_name(name).is_none() {
                        self.channels[place] = self.session.open_channel(name, "{}");
                    }
                } else if argument % 3 == 1 {
                    self.session.reading_paused(argument & 4 == 4, now);
                } else {
                    self.session.fail(&Failure::new(status::PANIC, "made up"));
                    // The driver drops its link.
                    self.dialling = false;
                    self.linked = false;
                    self.taken = 0;
                    self.handed = 0;
                }
            }
        }
        self.drain();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((rules, ops)) = bytes.split_first() else {
        return;
    };
    let config = Config {
        queue_limit: 1 + u32::from(rules & 3),
        outbound_limit: 1 << (4 + (rules & 7)),
        overflow: [Overflow::DropOldest, Overflow::DropNewest, Overflow::Refuse][usize::from(rules >> 2) % 3],
        ask_before_dial: rules & 32 == 32,
        legacy_grace: if rules & 64 == 64 { 2_000 } else { 0 },
        max_reconnect_attempts: if rules & 128 == 128 { 2 } else { -1 },
        ..Config::default()
    };
    let mut session = Session::new(config, 1);
    let channels = vec![session.open_channel("/a", "{}"), session.open_channel("/b", "{}")];
    let mut world = World {
        session,
        now: 0,
        channels,
        open: HashMap::new(),
        ticket: 0,
        taken: 0,
        handed: 0,
        dialling: false,
        linked: false,
        last_request_id: String::new(),
        client_state: 1,
    };
    for pair in ops.chunks_exact(2) {
        world.step(pair[0], pair[1]);
    }
    // The end: everything completes, and nothing is left to be driven.
    world.session.disconnect(world.now, 0);
    world.drain();
    world.end(0);
    world.drain();
    for _ in 0..100 {
        let Some(deadline) = world.session.deadline() else {
            break;
        };
        world.now = world.now.max(deadline);
        world.session.tick(world.now);
        world.drain();
    }
    assert!(world.open.is_empty(), "requests that nobody answered: {:?}", world.open.len());
    assert!(!world.session.is_linked() && world.session.deadline().is_none(), "it does not come to rest");
});
