//! Channels: join, acknowledge, decline, stall, rejoin, leave, evict.

use std::collections::VecDeque;

use super::config::Time;
use super::event::{BlockBuilder, Event, EventKind, EventMut, Field};
use super::status::{self, ChannelState, Failure};
use super::timers::Timer;
use super::wire::{OutFrame, Purpose};
use super::{ChannelId, Session};
use crate::protocol::{ClientAction, client_frame};

/// A rejoin that the server does not answer is tried so often.
const REJOIN_TRIES: u32 = 5;
/// Frames kept that came before the ACKNOWLEDGE.
const EARLY_FRAMES: usize = 1_000;
const EARLY_BYTES: usize = 1024 * 1024;

/// How far a wanted join has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JoinPhase {
    /// Not wanted, or done.
    None,
    /// Waits for a connection.
    Deferred,
    /// JOIN is on the wire under this id.
    OnWire { id: String },
    /// A rejoin was not answered and is tried again later; its late ACKNOWLEDGE still counts.
    Pause { id: String },
}

pub(super) struct Channel {
    pub tag: u64,
    pub name: String,
    pub params: String,
    pub state: ChannelState,
    pub join: JoinPhase,
    /// Unanswered rejoins in a row.
    tries: u32,
    /// The first join timed out on this connection: the server may think that we are in.
    ghost: Option<String>,
    pub queue: VecDeque<OutFrame>,
    early: VecDeque<EventMut>,
    early_bytes: usize,
    early_lost: u32,
    /// The event that brought the last list of users.
    pub users: Option<Event>,
    /// Why it is CLOSED or DECLINED.
    pub end: Option<Box<Failure>>,
}

impl Channel {
    /// The last list of users that a presence frame brought.
    pub fn users(&self) -> Option<&str> {
        self.users.as_ref()?.text(Field::Users)
    }
}

impl Session {
    /// Makes a channel, IDLE. The name must be free (see [`Session::channel_by_name`]).
    pub fn open_channel(&mut self, name: &str, params: &str) -> ChannelId {
        let id = ChannelId(self.next_channel);
        self.next_channel += 1;
        self.names.insert(name.into(), id);
        self.channels.insert(
            id,
            Box::new(Channel {
                tag: 0,
                name: name.to_owned(),
                params: params.to_owned(),
                state: ChannelState::Idle,
                join: JoinPhase::None,
                tries: 0,
                ghost: None,
                queue: VecDeque::new(),
                early: VecDeque::new(),
                early_bytes: 0,
                early_lost: 0,
                users: None,
                end: None,
            }),
        );
        id
    }

    /// The number that the floors above know a channel by; stamped on its events.
    pub fn set_channel_tag(&mut self, id: ChannelId, tag: u64) {
        self.members.forget();
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.tag = tag;
        }
    }

    /// That number.
    pub fn channel_tag(&self, id: ChannelId) -> u64 {
        self.channels.get(&id).map_or(0, |channel| channel.tag)
    }

    /// The live channel of that name.
    pub fn channel_by_name(&self, name: &str) -> Option<ChannelId> {
        self.names.get(name).copied()
    }

    /// Ends a channel for good: leave, then forget it.
    pub fn close_channel(&mut self, id: ChannelId) {
        self.leave(id);
        self.leave_ghost(id);
        self.timers.cancel(Timer::Join(id));
        self.writable_wanted.remove(&id);
        self.members.forget();
        self.head.forget();
        if let Some(channel) = self.channels.remove(&id) {
            if self.names.get(channel.name.as_str()) == Some(&id) {
                self.names.remove(channel.name.as_str());
            }
        }
    }

    /// The newest truth about a channel; CLOSED for one that is gone.
    pub fn channel_state(&self, id: ChannelId) -> ChannelState {
        self.channels
            .get(&id)
            .map_or(ChannelState::Closed, |channel| channel.state)
    }

    /// Why a channel is CLOSED or DECLINED.
    pub fn channel_end(&self, id: ChannelId) -> Option<&Failure> {
        self.channels.get(&id)?.end.as_deref()
    }

    /// The params of the next JOIN.
    pub fn set_join_params(&mut self, id: ChannelId, params: &str) {
        if let Some(channel) = self.channels.get_mut(&id) {
            params.clone_into(&mut channel.params);
        }
    }

    /// Join, unless that is done or under way; deferred while there is no connection.
    pub fn join(&mut self, id: ChannelId, now: Time) {
        crate::inject::point("session");
        let up = self.link.is_up();
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if !matches!(
            channel.state,
            ChannelState::Idle | ChannelState::Closed | ChannelState::Declined
        ) {
            return;
        }
        channel.join = JoinPhase::Deferred;
        channel.tries = 0;
        channel.users = None;
        channel.end = None;
        self.set_channel_state(id, ChannelState::Joining, None);
        if up {
            self.send_join(id, now);
        }
    }

    /// Leave, without waiting for anything.
    pub fn leave(&mut self, id: ChannelId) {
        crate::inject::point("session");
        let failure = Failure::new(status::CLOSED, "the channel was left");
        self.finish_channel(id, ChannelState::Closed, &failure, status::OK, false);
    }

    /// The connection is there: send every wanted JOIN.
    pub(super) fn join_all(&mut self, now: Time) {
        let wanted: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.join == JoinPhase::Deferred)
            .map(|(id, _)| *id)
            .collect();
        for id in wanted {
            self.send_join(id, now);
        }
    }

    pub(super) fn close_all_channels(&mut self, on_the_wire: bool) {
        let failure = Failure::new(status::CLOSED, "the client disconnected");
        let all: Vec<ChannelId> = self.channels.keys().copied().collect();
        for id in all {
            if self.channel_state(id) != ChannelState::Declined {
                self.finish_channel(id, ChannelState::Closed, &failure, status::CLOSED, !on_the_wire);
            }
            self.leave_ghost(id);
        }
    }

    /// A join that we have given up may still be answered: leave nobody behind.
    fn leave_ghost(&mut self, id: ChannelId) {
        if !self.link.is_up() {
            return;
        }
        let ghost = self.channels.get_mut(&id).and_then(|channel| channel.ghost.take());
        if ghost.is_some() {
            self.send_membership(id, ClientAction::LeaveChannel);
        }
    }

    fn send_join(&mut self, id: ChannelId, now: Time) {
        let Some(ghost) = self.channels.get_mut(&id).map(|channel| channel.ghost.take()) else {
            return;
        };
        if ghost.is_some() {
            // The earlier JOIN was never answered; a second one would be a duplicate.
            self.send_membership(id, ClientAction::LeaveChannel);
        }
        let request_id = self.send_membership(id, ClientAction::JoinChannel);
        if let (Some(request_id), Some(channel)) = (request_id, self.channels.get_mut(&id)) {
            channel.join = JoinPhase::OnWire { id: request_id };
            self.timers.set(Timer::Join(id), now + self.config.join_timeout);
        }
    }

    fn send_membership(&mut self, id: ChannelId, action: ClientAction) -> Option<String> {
        let channel = self.channels.get(&id)?;
        let (event, payload) = match action {
            ClientAction::JoinChannel => ("JOIN_CHANNEL", channel.params.as_str()),
            _ => ("LEAVE_CHANNEL", "{}"),
        };
        let (_, request_id) = self.ids.next();
        let text = client_frame(action, event, &channel.name, request_id.as_str(), payload);
        self.wire.push(OutFrame {
            channel: id,
            purpose: Purpose::Membership,
            text,
        });
        Some(request_id.as_str().to_owned())
    }

    /// A join was not answered in time, or the pause before the next try is over.
    pub(super) fn join_timer(&mut self, id: ChannelId, now: Time) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        match std::mem::replace(&mut channel.join, JoinPhase::None) {
            JoinPhase::OnWire { id: request_id } => {
                channel.tries += 1;
                let first = channel.state == ChannelState::Joining;
                if first || channel.tries >= REJOIN_TRIES {
                    channel.ghost = Some(request_id);
                    let failure = Failure {
                        http_status: 408,
                        ..Failure::new(
                            status::ERROR_TIMEOUT,
                            format!(
                                "the server did not answer the join within {} ms",
                                self.config.join_timeout
                            ),
                        )
                    };
                    self.declined(id, &failure);
                } else {
                    let exponent = channel.tries - 1;
                    channel.join = JoinPhase::Pause { id: request_id };
                    let pause = self.backoff(exponent);
                    self.timers.set(Timer::Join(id), now + pause);
                }
            }
            JoinPhase::Pause { id: request_id } => {
                channel.ghost = Some(request_id);
                self.send_join(id, now);
            }
            other => channel.join = other,
        }
    }

    /// ACKNOWLEDGE came. True when it was for a join of this channel.
    pub(super) fn acknowledged(&mut self, id: ChannelId, request_id: Option<&str>) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return false;
        };
        let ours = match &channel.join {
            JoinPhase::OnWire { id } | JoinPhase::Pause { id } => request_id.is_none_or(|got| got == id),
            JoinPhase::None | JoinPhase::Deferred => false,
        };
        if !ours {
            let late = request_id.is_some() && channel.ghost.as_deref() == request_id;
            if late && channel.state.is_terminal() {
                // We have given this join up, the server has not: leave no ghost behind.
                channel.ghost = None;
                self.send_membership(id, ClientAction::LeaveChannel);
            }
            return late;
        }
        let rejoined = channel.state == ChannelState::Stalled;
        channel.join = JoinPhase::None;
        channel.tries = 0;
        channel.ghost = None;
        self.timers.cancel(Timer::Join(id));
        self.set_channel_state(id, ChannelState::Joined, None);
        self.flush_early(id, rejoined);
        // Many clients join and say nothing for long.
        self.wire.rest();
        if let Some(channel) = self.channels.get_mut(&id) {
            let queue = std::mem::take(&mut channel.queue);
            for frame in queue {
                self.wire.push(frame);
            }
        }
        self.announce_writable();
        true
    }

    /// A refusal of the join with this id (or of any, when the dialect has no ids). True when it was for us.
    pub(super) fn is_join_of(&self, id: ChannelId, request_id: Option<&str>) -> bool {
        match self.channels.get(&id).map(|channel| &channel.join) {
            Some(JoinPhase::OnWire { id } | JoinPhase::Pause { id }) => request_id.is_none_or(|got| got == id),
            _ => false,
        }
    }

    pub(super) fn declined(&mut self, id: ChannelId, failure: &Failure) {
        self.emit_channel_error(id, failure);
        self.finish_channel(id, ChannelState::Declined, failure, failure.status, true);
    }

    pub(super) fn evicted(&mut self, id: ChannelId, reason: &str) {
        let message = if reason.is_empty() {
            "the server put the client out of the channel".to_owned()
        } else {
            reason.to_owned()
        };
        let failure = Failure::new(status::EVICTED, message);
        self.emit_channel_error(id, &failure);
        self.finish_channel(id, ChannelState::Closed, &failure, failure.status, true);
    }

    /// CLOSED or DECLINED: everything automatic ends. `silent`: the server needs no LEAVE.
    pub(super) fn finish_channel(
        &mut self,
        id: ChannelId,
        state: ChannelState,
        failure: &Failure,
        told: i32,
        silent: bool,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.state.is_terminal() {
            return;
        }
        let member = match &channel.join {
            JoinPhase::OnWire { .. } | JoinPhase::Pause { .. } => true,
            JoinPhase::None | JoinPhase::Deferred => channel.state == ChannelState::Joined,
        };
        channel.join = JoinPhase::None;
        channel.users = None;
        channel.end = Some(Box::new(failure.clone()));
        self.stats.discarded += channel.early.len() as u64;
        channel.early.clear();
        channel.early_bytes = 0;
        channel.early_lost = 0;
        let queue = std::mem::take(&mut channel.queue);
        self.timers.cancel(Timer::Join(id));
        self.fail_requests_of(id, failure);
        self.report_dropped(id, queue, failure.status);
        self.writable_wanted.remove(&id);
        if member && !silent && self.link.is_up() {
            self.send_membership(id, ClientAction::LeaveChannel);
        }
        let story = (told != status::OK).then_some(failure);
        self.set_channel_state(id, state, story);
    }

    /// The link is gone. `unsent` is what was accepted and not handed over, in order; `failure` says why.
    pub(super) fn link_lost(&mut self, unsent: Vec<OutFrame>, failure: &Failure) {
        let mut back: Vec<(ChannelId, OutFrame)> = Vec::new();
        for frame in unsent {
            match frame.purpose {
                Purpose::Membership => {}
                // Completed meanwhile: nobody waits for the answer any more.
                Purpose::Request(number) if self.requests.get(number).is_none() => {}
                Purpose::Volatile => self.stats.dropped += 1,
                Purpose::Message | Purpose::Request(_) => back.push((frame.channel, frame)),
            }
        }
        let all: Vec<ChannelId> = self.channels.keys().copied().collect();
        for id in &all {
            self.stall(*id, failure);
        }
        self.fail_handed_requests(failure);
        let mut homeless: VecDeque<OutFrame> = VecDeque::new();
        for (id, frame) in back.into_iter().rev() {
            match self.channels.get_mut(&id) {
                Some(channel) if !channel.state.is_terminal() => channel.queue.push_front(frame),
                _ => homeless.push_front(frame),
            }
        }
        // Messages that were accepted before the channel was closed, and not written in time.
        while let Some(first) = homeless.front().map(|frame| frame.channel) {
            let (mine, rest) = homeless.into_iter().partition(|frame| frame.channel == first);
            homeless = rest;
            self.report_dropped(first, mine, status::CLOSED);
        }
        self.announce_writable();
    }

    fn stall(&mut self, id: ChannelId, failure: &Failure) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.ghost = None;
        match channel.state {
            ChannelState::Joined => {
                channel.join = JoinPhase::Deferred;
                self.set_channel_state(id, ChannelState::Stalled, Some(failure));
            }
            ChannelState::Joining | ChannelState::Stalled => {
                channel.join = JoinPhase::Deferred;
                self.stats.discarded += channel.early.len() as u64;
                channel.early.clear();
                channel.early_bytes = 0;
                channel.early_lost = 0;
                self.timers.cancel(Timer::Join(id));
            }
            _ => {}
        }
    }

    /// An event of a channel whose ACKNOWLEDGE has not come: kept, and delivered behind it.
    pub(super) fn keep_early(&mut self, id: ChannelId, event: EventMut) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.early_bytes += event.block_len();
        channel.early.push_back(event);
        while channel.early.len() > EARLY_FRAMES || channel.early_bytes > EARLY_BYTES {
            let Some(oldest) = channel.early.pop_front() else {
                break;
            };
            channel.early_bytes -= oldest.block_len();
            channel.early_lost += 1;
            self.stats.discarded += 1;
        }
    }

    fn flush_early(&mut self, id: ChannelId, rejoined: bool) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let early = std::mem::take(&mut channel.early);
        channel.early_bytes = 0;
        let lost = std::mem::take(&mut channel.early_lost);
        if lost > 0 {
            let message = format!("{lost} frames that came before the join was acknowledged did not fit and are lost");
            self.emit_channel_error(id, &Failure::new(status::QUEUE_FULL, message));
        }
        if rejoined && !early.iter().any(|event| event.has(Field::Users)) {
            self.forget_users(id);
        }
        for event in early {
            self.deliver(id, event);
        }
    }

    pub(super) fn set_channel_state(&mut self, id: ChannelId, state: ChannelState, failure: Option<&Failure>) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let previous = std::mem::replace(&mut channel.state, state);
        self.members.forget();
        self.head.forget();
        let mut block = BlockBuilder::default();
        block.append(Field::ChannelName, &channel.name);
        if let Some(failure) = failure {
            block.append_failure(failure);
        }
        let mut event = block.finish(EventKind::ChannelState);
        event.channel = channel.tag;
        event.state = state as i32;
        event.previous_state = previous as i32;
        event.status = failure.map_or(status::OK, |f| f.status);
        event.http_status = failure.map_or(0, |f| f.http_status);
        self.emit(event);
    }

    pub(super) fn emit_channel_error(&mut self, id: ChannelId, failure: &Failure) {
        let Some(channel) = self.channels.get(&id) else {
            return;
        };
        let mut block = BlockBuilder::default();
        block.append(Field::ChannelName, &channel.name);
        block.append_failure(failure);
        let mut event = block.finish(EventKind::ChannelError);
        event.channel = channel.tag;
        event.status = failure.status;
        event.http_status = failure.http_status;
        self.emit(event);
    }
}
