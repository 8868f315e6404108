//! The heart: a pure state machine for one client and its channels. No sockets, no threads, no clock: inputs come with
//! the time, outputs are polled. The same inputs give the same outputs.
//!
//! The driver's loop: feed an input, then drain [`Session::poll_action`], [`Session::take_frame`] and
//! [`Session::poll_event`], then wait for the next input or for [`Session::deadline`], which is answered with
//! [`Session::tick`].

mod channel;
pub mod config;
pub mod event;
mod fatal;
pub mod hash;
mod heartbeat;
mod inbound;
mod link;
mod members;
mod outbound;
mod pending;
mod presence;
mod random;
mod requests;
mod spare;
pub mod status;
mod timers;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque, vec_deque};

use crate::protocol::Shape;
use channel::Channel;
use hash::{FastMap, FastState};
use link::Link;
use members::Members;
use pending::Pending;
use random::{Ids, Random};
use timers::{Timer, Timers};
use wire::Wire;

pub use config::{Config, Overflow, Time};
pub use event::{Attached, Attachment, Event, EventKind, EventMut, Field, Waiting};
pub use fatal::{failed_reply, panic_failure};
pub use link::{GOODBYE, LinkEnd};
pub use spare::Spares;
pub use status::{ChannelState, ClientState, Failure};

/// A channel of this session. Never used again after the channel is closed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u64);

/// What the driver has to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial now; answer with [`Session::upgraded`] or [`Session::link_ended`].
    Dial {
        /// Which dial since the last CONNECTED.
        attempt: u32,
    },
    /// Drop the dial or the socket at once; answer with [`Session::link_ended`].
    Abort,
    /// All frames are taken: send Close behind them and wait for the end.
    Close,
    /// Send a ping that carries this number.
    Ping(u64),
}

/// Counters since the birth of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Text and binary frames received.
    pub frames_in: u64,
    /// Frames handed over.
    pub frames_out: u64,
    /// Accepted messages that will never be sent, and volatile ones lost with a link.
    pub dropped: u64,
    /// Inbound frames that nobody could get: of no channel of ours, or of a join that was refused.
    pub discarded: u64,
    /// Dials begun.
    pub dials: u64,
    /// How often the server's CONNECTION came.
    pub connects: u64,
}

/// What is known of events that are nothing but messages of channels and replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// How many are messages.
    pub messages: u32,
    /// The bytes of their frames.
    pub bytes: u64,
    /// How many are replies.
    pub replies: u32,
}

/// One client and its channels.
pub struct Session {
    config: Config,
    random: Random,
    ids: Ids,
    link: Link,
    /// `connect` was asked for and neither `disconnect` nor giving up came since.
    wanted: bool,
    suspended: bool,
    gave_up: Option<Box<Failure>>,
    last_failure: Option<Box<Failure>>,
    /// Dials since the last CONNECTED.
    attempt: u32,
    /// Failures since the last stable connection: the exponent of the backoff.
    failures: u32,
    /// The server once sent CONNECTION: the legacy grace is off for good.
    seen_connection: bool,
    connection_id: Option<String>,
    /// Boxed: the nodes of the map have room for eleven.
    channels: BTreeMap<ChannelId, Box<Channel>>,
    names: FastMap<Box<str>, ChannelId>,
    members: Members,
    next_channel: u64,
    requests: Pending,
    timers: Timers,
    wire: Wire,
    /// The beginning of the last message, most often that of the next one, too.
    head: outbound::Head,
    ping: heartbeat::PingState,
    writable_wanted: BTreeSet<ChannelId>,
    events: VecDeque<Event>,
    /// Of them, while none is taken.
    plain: Plain,
    spares: Spares,
    /// Of an earlier inbound frame, most often that of the next one, too.
    shape: Shape,
    actions: VecDeque<Action>,
    stats: Stats,
}

impl Session {
    /// A session at rest. The same seed gives the same ids and jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ids = Ids::new(&mut random);
        Self {
            config,
            random,
            ids,
            link: Link::Down,
            wanted: false,
            suspended: false,
            gave_up: None,
            last_failure: None,
            attempt: 0,
            failures: 0,
            seen_connection: false,
            connection_id: None,
            channels: BTreeMap::new(),
            names: FastMap::with_hasher(FastState::seeded(seed)),
            members: Members::default(),
            next_channel: 1,
            requests: Pending::default(),
            timers: Timers::default(),
            wire: Wire::default(),
            head: outbound::Head::default(),
            ping: heartbeat::PingState::default(),
            writable_wanted: BTreeSet::new(),
            events: VecDeque::new(),
            plain: Plain::default(),
            spares: Spares::new(),
            shape: Shape::default(),
            actions: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// The rules this session was born with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Accepted messages and requests that are not written yet, queued ones included.
    pub fn outbound_messages(&self) -> u64 {
        let queued: usize = self.channels.values().map(|channel| channel.queue.len()).sum();
        queued as u64 + self.wire.messages()
    }

    /// Nothing accepted waits to be written.
    pub fn is_flushed(&self) -> bool {
        self.wire.is_empty() && self.channels.values().all(|channel| channel.queue.is_empty())
    }

    /// When [`Session::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match (self.timers.next(), self.requests.next_due()) {
            (Some(timer), Some(request)) => Some(timer.min(request)),
            (timer, request) => timer.or(request),
        }
    }

    /// Time has passed: runs everything that is due.
    pub fn tick(&mut self, now: Time) {
        crate::inject::point("session");
        self.requests.start(now);
        let mut requests = self.requests.due(now).into_iter().peekable();
        loop {
            let until = requests.peek().map_or(now, |(at, _)| *at);
            match self.timers.pop_due(until) {
                Some(Timer::Join(id)) => self.join_timer(id, now),
                Some(link_timer) => self.link_timer(link_timer, now),
                None => match requests.next() {
                    Some((_, number)) => self.request_timed_out(number),
                    None => break,
                },
            }
        }
    }

    /// The next event for the program.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.plain = Plain::default();
        self.events.pop_front()
    }

    /// All events for the program, to be taken at once, if they are nothing but messages and, where replies may be of them, replies.
    pub fn plain_events(&mut self, with_replies: bool) -> Option<(vec_deque::Drain<'_, Event>, Plain)> {
        let plain = std::mem::take(&mut self.plain);
        let replies = if with_replies { plain.replies } else { 0 };
        let count = plain.messages + replies;
        (count > 0 && count as usize == self.events.len()).then(|| (self.events.drain(..), plain))
    }

    /// Blocks for events to come. Without any, each event gets one of its own.
    pub fn spares(&mut self) -> &mut Spares {
        &mut self.spares
    }

    /// There is an event for the program.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next thing for the driver to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        self.close_when_drained().then_some(Action::Close)
    }

    /// The next frame to write, while there is a link for it.
    pub fn take_frame(&mut self) -> Option<&[u8]> {
        if self.link.carries_frames() {
            self.wire.take()
        } else {
            None
        }
    }

    /// [`Session::take_frame`] would answer one.
    pub fn has_frames(&self) -> bool {
        self.link.carries_frames() && self.wire.has_waiting()
    }

    /// The driver knows that `total` frames of this link are handed to the system in full.
    #[inline(never)] // once per turn, and from several places
    pub fn handed_over(&mut self, total: u64) {
        let requests = &mut self.requests;
        let mut handed = 0;
        self.wire.handed_over(total, |purpose, place| {
            handed += 1;
            if let wire::Purpose::Request(number) = purpose {
                if let Some(request) = requests.get_mut(number) {
                    request.handed = Some(place);
                }
            }
        });
        self.stats.frames_out += handed;
        if handed > 0 {
            self.announce_writable();
        }
    }

    #[inline]
    fn emit(&mut self, mut event: EventMut) {
        event.client = self.config.client;
        self.events.push_back(event.freeze());
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state())
            .field("channels", &self.channels.len())
            .finish_non_exhaustive()
    }
}
