//! Random programs, servers and networks: whatever they do, nothing panics and the invariants hold.

use pondsocket::session::{ChannelId, Config, Overflow, Session, Time, status};
use proptest::prelude::*;
use serde_json::json;

use crate::harness::{Peer, end, quiet};
use crate::ledger::Sent;
use crate::server::{DIALECTS, Dialect, FOREIGN};

const NAMES: [&str; 3] = ["/a", "/b", "/c"];

/// What the server says about a channel. The number picks one of the frames that the session has sent.
#[derive(Clone, Debug)]
pub enum Said {
    Ack(usize),
    /// As the old dialect does it: without an id.
    AckAny,
    Decline(usize),
    DeclineAny,
    NoChannel(usize),
    Reply(usize),
    RequestError(usize),
    Echo(usize),
    Broadcast,
    Evict,
    Presence(bool),
    ExitAck,
}

#[derive(Clone, Debug)]
pub enum Step {
    Connect,
    Disconnect,
    Suspend,
    Resume,
    ReconnectNow,
    AnswerDial(u32),
    Join(usize),
    Leave(usize),
    Reopen(usize),
    Params(usize),
    Send(usize, usize),
    Volatile(usize),
    Request(usize, Option<Time>),
    Cancel(u64),
    /// The driver.
    Upgraded,
    Ended(i32, i32, Option<Time>),
    /// The link breaks, the next dial succeeds, and every wanted join is acknowledged.
    Relink,
    Taking(bool),
    Handing(bool),
    HandOver(u64),
    Pong(bool),
    Traffic,
    Paused(bool),
    /// The clock.
    Advance(Time),
    /// The server.
    Connection,
    Said(usize, Said),
    Level(bool),
    Batch(usize),
    Garbage(String),
    Binary(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let pick = 0..40usize;
    prop_oneof![
        6 => pick.clone().prop_map(Said::Ack),
        1 => Just(Said::AckAny),
        1 => pick.clone().prop_map(Said::Decline),
        1 => Just(Said::DeclineAny),
        1 => pick.clone().prop_map(Said::NoChannel),
        3 => pick.clone().prop_map(Said::Reply),
        1 => pick.clone().prop_map(Said::RequestError),
        1 => pick.prop_map(Said::Echo),
        1 => Just(Said::Broadcast),
        1 => Just(Said::Evict),
        2 => any::<bool>().prop_map(Said::Presence),
        1 => Just(Said::ExitAck),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    let channel = 0..NAMES.len();
    let failures = prop_oneof![
        Just((status::CONNECTION_LOST, 0)),
        Just((status::CONNECT, 0)),
        Just((status::HTTP, 503)),
        Just((status::HTTP, 401)),
    ];
    let program = prop_oneof![
        3 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Suspend),
        2 => Just(Step::Resume),
        2 => Just(Step::ReconnectNow),
        2 => (0..4u32).prop_map(Step::AnswerDial),
        4 => channel.clone().prop_map(Step::Join),
        1 => channel.clone().prop_map(Step::Leave),
        1 => channel.clone().prop_map(Step::Reopen),
        1 => channel.clone().prop_map(Step::Params),
        6 => (channel.clone(), 0..400usize).prop_map(|(c, size)| Step::Send(c, size)),
        1 => channel.clone().prop_map(Step::Volatile),
        4 => (channel.clone(), proptest::option::of(0..3_000u64)).prop_map(|(c, within)| Step::Request(c, within)),
        1 => (1..20u64).prop_map(Step::Cancel),
    ];
    let driver = prop_oneof![
        5 => Just(Step::Upgraded),
        2 => (failures, proptest::option::of(0..5_000u64)).prop_map(|((s, h), after)| Step::Ended(s, h, after)),
        4 => Just(Step::Relink),
        1 => any::<bool>().prop_map(Step::Taking),
        2 => any::<bool>().prop_map(Step::Handing),
        3 => (1..4u64).prop_map(Step::HandOver),
        2 => any::<bool>().prop_map(Step::Pong),
        1 => Just(Step::Traffic),
        1 => any::<bool>().prop_map(Step::Paused),
        3 => prop_oneof![0..200u64, 0..3_000u64, 0..40_000u64].prop_map(Step::Advance),
    ];
    let server = prop_oneof![
        5 => Just(Step::Connection),
        12 => (channel.clone(), said()).prop_map(|(c, s)| Step::Said(c, s)),
        1 => any::<bool>().prop_map(Step::Level),
        1 => channel.prop_map(Step::Batch),
        1 => prop_oneof![".{0,40}", r#"\{"action":"[A-Z]{3,9}","event":"[A-Za-z_]{0,12}"[\x00-\x7f]{0,30}\}?"#]
            .prop_map(Step::Garbage),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Step::Binary),
    ];
    prop_oneof![8 => program, 6 => driver, 8 => server]
}

pub fn config() -> impl Strategy<Value = Config> {
    let overflow = prop_oneof![
        Just(Overflow::DropOldest),
        Just(Overflow::DropNewest),
        Just(Overflow::Refuse),
    ];
    let times = (
        prop_oneof![Just(0u64), Just(300)],
        prop_oneof![Just(0u64), Just(2_000)],
        any::<bool>(),
    );
    let limits = (1..6u32, 300..3_000u64, -1..4i32);
    (overflow, times, limits, any::<bool>()).prop_map(|(overflow, times, limits, ask)| Config {
        overflow,
        legacy_grace: times.0,
        ping_interval: times.1,
        pong_timeout: 1_000,
        retry_refused: times.2,
        queue_limit: limits.0,
        outbound_limit: limits.1,
        max_reconnect_attempts: limits.2,
        ask_before_dial: ask,
        backoff_base: 100,
        join_timeout: 2_000,
        ..quiet()
    })
}

/// The peer, the live channel of each name, and everything that was ever sent.
struct World {
    peer: Peer,
    channels: [ChannelId; 3],
    sent: Vec<Sent>,
}

impl World {
    fn new(dialect: Dialect, config: Config, seed: u64) -> Self {
        let mut peer = Peer::seeded(dialect, config, seed);
        let channels = NAMES.map(|name| peer.open(name));
        Self {
            peer,
            channels,
            sent: Vec::new(),
        }
    }

    /// The nth newest frame of that action to that channel.
    fn nth(&self, at: usize, action: &str, name: &str) -> Option<String> {
        let mut found = self
            .sent
            .iter()
            .rev()
            .filter(|s| s.action == action && s.channel == name);
        // Mostly the newest, sometimes an old one.
        found.nth(at.saturating_sub(32)).map(|s| s.id.clone())
    }

    fn asked(&self, at: usize, name: &str) -> Option<String> {
        let mut found = self.sent.iter().rev().filter(|s| s.event == "ask" && s.channel == name);
        found.nth(at % 4).map(|s| s.id.clone())
    }

    fn said(&self, name: &str, said: &Said) -> Option<String> {
        let dialect = self.peer.dialect;
        let join = |at: &usize| self.nth(*at, "JOIN_CHANNEL", name);
        Some(match said {
            Said::Ack(at) => dialect.ack(name, &join(at)?),
            Said::AckAny => Dialect::Legacy.ack(name, ""),
            Said::Decline(at) => dialect.decline(name, &join(at)?)?,
            Said::DeclineAny => Dialect::Legacy.decline(name, "")?,
            Said::NoChannel(at) => dialect.no_channel(name, &join(at)?),
            Said::Reply(at) => dialect.reply(name, &self.asked(*at, name)?, "ok", &json!({})),
            Said::RequestError(at) => dialect.request_error(name, &self.asked(*at, name)?),
            Said::Echo(at) => dialect.broadcast(name, &self.asked(*at, name)?, "said", &json!({})),
            Said::Broadcast => dialect.broadcast(name, FOREIGN, "news", &json!([1])),
            Said::Evict => dialect.evict(name),
            Said::Presence(true) => dialect.presence(name, "JOIN", &json!({"changed": 1, "presence": [1]})),
            Said::Presence(false) => dialect.presence(name, "UPDATE", &json!({"change": 1})),
            Said::ExitAck => dialect.frame("SYSTEM", "EXIT_ACKNOWLEDGE", name, FOREIGN, &json!({})),
        })
    }

    fn relink(&mut self) {
        let peer = &mut self.peer;
        peer.lose();
        peer.connect();
        peer.session.reconnect_now(peer.now);
        peer.drain();
        if let Some(dial) = (0..1_000).find(|attempt| peer.session.check_dial(*attempt).is_ok()) {
            peer.session.answer_dial(dial).unwrap();
            peer.drain();
        }
        peer.upgrade();
        self.step(&Step::Connection);
        for at in 0..NAMES.len() {
            self.step(&Step::Said(at, Said::Ack(0)));
        }
    }

    fn step(&mut self, step: &Step) {
        let peer = &mut self.peer;
        let input = |peer: &mut Peer, input: &dyn Fn(&mut Session, Time)| {
            input(&mut peer.session, peer.now);
            peer.drain();
        };
        match step {
            Step::Connect => peer.connect(),
            Step::Disconnect => peer.disconnect(),
            Step::Suspend => peer.suspend(),
            Step::Resume => peer.resume(),
            Step::ReconnectNow => input(peer, &|session, now| session.reconnect_now(now)),
            Step::AnswerDial(attempt) => {
                let expected = peer.session.check_dial(*attempt).is_ok();
                assert_eq!(peer.session.answer_dial(*attempt).is_ok(), expected);
                peer.drain();
            }
            Step::Join(at) => peer.join(self.channels[*at]),
            Step::Leave(at) => peer.leave(self.channels[*at]),
            Step::Reopen(at) => {
                peer.close(self.channels[*at]);
                self.channels[*at] = peer.open(NAMES[*at]);
            }
            Step::Params(at) => peer.session.set_join_params(self.channels[*at], r#"{"a":[]}"#),
            Step::Send(at, size) => drop(peer.send_sized(self.channels[*at], *size)),
            Step::Volatile(at) => drop(peer.send_volatile(self.channels[*at])),
            Step::Request(at, within) => drop(peer.request_within(self.channels[*at], *within)),
            Step::Cancel(ticket) => drop(peer.cancel(*ticket)),
            Step::Upgraded => peer.upgrade(),
            Step::Ended(why, http_status, retry_after) => peer.ended(pondsocket::session::LinkEnd {
                retry_after: *retry_after,
                ..end(*why, *http_status)
            }),
            Step::Relink => self.relink(),
            Step::Taking(taking) => {
                peer.taking = *taking;
                peer.drain();
            }
            Step::Handing(handing) => {
                peer.handing = *handing;
                peer.drain();
            }
            Step::HandOver(frames) => peer.hand_over(*frames),
            Step::Pong(ours) => match peer.ledger.ping().filter(|_| *ours) {
                Some(serial) => peer.pong(serial),
                None => input(peer, &|session, _| session.pong(u64::MAX)),
            },
            Step::Traffic => input(peer, &|session, now| session.traffic(now)),
            Step::Paused(paused) => input(peer, &|session, now| session.reading_paused(*paused, now)),
            Step::Advance(by) => peer.advance(*by),
            // A server answers only what it can have read.
            Step::Said(..) | Step::Batch(_) if !peer.taking => {}
            Step::Connection => {
                let frame = peer.dialect.connection().or(Dialect::Js.connection());
                peer.receive(&frame.unwrap());
            }
            Step::Said(at, said) => {
                if let Some(frame) = self.said(NAMES[*at], said) {
                    self.peer.receive(&frame);
                }
            }
            Step::Level(failed) => {
                let event = if *failed { "INTERNAL_ERROR" } else { "welcome" };
                let frame = peer
                    .dialect
                    .frame("SYSTEM", event, peer.dialect.level(), FOREIGN, &json!({}));
                peer.receive(&frame);
            }
            Step::Batch(at) => {
                let says = [Said::Ack(0), Said::Presence(true), Said::Reply(0), Said::Broadcast];
                let frames: Vec<String> = says.iter().filter_map(|said| self.said(NAMES[*at], said)).collect();
                self.peer.receive(&frames.join("\n[]\n"));
            }
            Step::Garbage(text) => peer.receive(text),
            Step::Binary(bytes) => input(peer, &|session, now| session.binary_frame(bytes, now)),
        }
        self.sent.append(&mut self.peer.sent);
        self.peer.actions.clear();
        self.peer.events.clear();
    }
}

/// What a program led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub steps: u64,
    pub frames_out: u64,
    pub frames_in: u64,
    pub connects: u64,
    /// By the made-up clock.
    pub time: Time,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.frames_out += other.frames_out;
        self.frames_in += other.frames_in;
        self.connects += other.connects;
        self.time += other.time;
    }
}

/// Runs a program to its end.
pub fn run(dialect: Dialect, config: Config, seed: u64, steps: &[Step]) -> Outcome {
    let mut world = World::new(dialect, config, seed);
    for step in steps {
        world.step(step);
    }
    (world.peer.taking, world.peer.handing) = (true, true);
    world.peer.drain();
    world.peer.settle();
    let stats = world.peer.session.stats();
    assert_eq!(world.peer.session.deadline(), None, "nothing is planned after the end");
    Outcome {
        steps: steps.len() as u64,
        frames_out: stats.frames_out,
        frames_in: stats.frames_in,
        connects: stats.connects,
        time: world.peer.now,
    }
}

/// Where the interesting things begin.
pub fn joined_everywhere() -> Vec<Step> {
    let mut all = vec![Step::Connect, Step::AnswerDial(1), Step::Upgraded, Step::Connection];
    for at in 0..NAMES.len() {
        all.extend([Step::Join(at), Step::Said(at, Said::Ack(0))]);
    }
    all
}

/// Three times what is usual or asked for by the environment; a failure prints its input, no file is kept.
fn settings() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases * 3,
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn the_invariants_hold_whatever_happens(
        dialect in proptest::sample::select(DIALECTS.to_vec()),
        config in config(),
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        run(dialect, config, seed, &steps);
    }

    /// The same, begun where the interesting things happen: connected and joined everywhere.
    #[test]
    fn the_invariants_hold_once_joined(
        dialect in proptest::sample::select(DIALECTS.to_vec()),
        config in config(),
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut all = joined_everywhere();
        all.extend(steps);
        let Outcome { frames_out, connects, .. } = run(dialect, config, seed, &all);
        prop_assert!(frames_out >= 3 && connects >= 1, "{frames_out} frames out, {connects} connects");
    }

    /// The same inputs give the same outputs.
    #[test]
    fn a_run_can_be_replayed(
        config in config(),
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let trace = || {
            let mut world = World::new(Dialect::Go, config.clone(), seed);
            for step in &steps {
                world.step(step);
            }
            let sent: Vec<String> = world.sent.iter().map(|s| s.id.clone()).collect();
            (sent, world.peer.session.stats(), world.peer.session.deadline())
        };
        prop_assert_eq!(trace(), trace());
    }
}
