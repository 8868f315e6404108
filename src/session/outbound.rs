//! Sending: where an accepted message goes, what a full queue does, and what is told about messages that never go.

use std::collections::VecDeque;

use super::event::{BlockBuilder, EventKind, Field};
use super::random::Ids;
use super::status::{self, ChannelState, Failure};
use super::wire::{OutFrame, Purpose};
use super::{ChannelId, Overflow, Session};
use crate::protocol::check::frame_size;
use crate::protocol::{ClientAction, client_frame, message_head, parse_frame};

/// What the frames of one event of one channel begin with, up to the payload; the number of the request id is put in.
#[derive(Default)]
pub(super) struct Head {
    /// No channel has the number 0.
    channel: ChannelId,
    /// The channel was JOINED when this was made. Whoever changes a channel's state [forgets](Self::forget) it.
    joined: bool,
    event: String,
    text: Vec<u8>,
    /// Where the number is.
    number: usize,
}

/// Behind the request id.
const BEFORE_PAYLOAD: &[u8] = b"\",\"payload\":";

impl Head {
    /// It is made anew for the next message.
    pub fn forget(&mut self) {
        self.channel = ChannelId::default();
    }

    fn frame_len(&self, payload: &str) -> usize {
        self.text.len() + payload.len() + 1
    }

    #[inline(always)]
    fn push_frame(&mut self, frame: &mut Vec<u8>, number: u64, payload: &str) {
        if let Some(place) = self.text.get_mut(self.number..).and_then(<[u8]>::first_chunk_mut) {
            *place = Ids::counter(number);
        }
        frame.reserve(self.frame_len(payload));
        frame.extend_from_slice(&self.text);
        frame.extend_from_slice(payload.as_bytes());
        frame.push(b'}');
    }
}

impl Session {
    /// Accepts a message: written in order, or reported. `payload` is a checked JSON object.
    pub fn send(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<(), Failure> {
        if self.is_like_last(id, event, payload) {
            crate::inject::point("session");
            let number = self.ids.next_number();
            self.push_wire(id, Purpose::Message, number, payload);
            return Ok(());
        }
        self.send_any(id, event, payload)
    }

    /// A message like the last one, on a link with room for it: most are.
    #[inline(always)]
    pub(super) fn is_like_last(&self, id: ChannelId, event: &str, payload: &str) -> bool {
        let len = self.head.frame_len(payload) as u64;
        self.head.channel == id
            && self.head.event == event
            && self.goes_out()
            && len <= self.config.max_message_out
            && self.wire.bytes() + len <= self.config.outbound_limit
    }

    #[inline(never)]
    fn send_any(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<(), Failure> {
        let number = self.prepare(id, event, payload)?;
        self.accept(id, Purpose::Message, number, payload)
    }

    /// Accepts a message that ages at once. False: it could not be written right now and is forgotten.
    pub fn send_volatile(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<bool, Failure> {
        self.refuse_ended(id)?;
        let number = self.prepare(id, event, payload)?;
        if !self.goes_out() || !self.wire.is_empty() {
            return Ok(false);
        }
        self.push_wire(id, Purpose::Volatile, number, payload);
        Ok(true)
    }

    /// Makes [`Head`] that of a message, and a number for it; refuses what is too large.
    pub(super) fn prepare(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<u64, Failure> {
        crate::inject::point("session");
        if self.head.channel != id || self.head.event != event {
            self.change_head(id, event)?;
        }
        let len = self.head.frame_len(payload);
        if len as u64 > self.config.max_message_out {
            return Err(self.too_large(len));
        }
        Ok(self.ids.next_number())
    }

    #[cold]
    fn change_head(&mut self, id: ChannelId, event: &str) -> Result<(), Failure> {
        let Some(channel) = self.channels.get(&id) else {
            return Err(Failure::new(status::CLOSED, "the channel is freed"));
        };
        let head = &mut self.head;
        head.forget();
        head.text.clear();
        message_head(&mut head.text, event, &channel.name);
        head.text.extend_from_slice(self.ids.prefix());
        head.number = head.text.len();
        head.text.extend_from_slice(&Ids::counter(0));
        head.text.extend_from_slice(BEFORE_PAYLOAD);
        event.clone_into(&mut head.event);
        head.joined = channel.state == ChannelState::Joined;
        head.channel = id;
        Ok(())
    }

    #[cold]
    fn too_large(&self, len: usize) -> Failure {
        let told = frame_size(len, self.config.max_message_out).map_err(|error| error.to_string());
        Failure::new(status::TOO_LARGE, told.err().unwrap_or_default())
    }

    /// The head is of that channel, and the channel is JOINED.
    pub(super) fn is_joined_head(&self, id: ChannelId) -> bool {
        self.head.channel == id && self.head.joined
    }

    /// A message of the channel whose head was prepared goes to the wire at once, not to the channel's queue.
    fn goes_out(&self) -> bool {
        self.head.joined && self.link.is_up()
    }

    #[inline(always)]
    pub(super) fn push_wire(&mut self, id: ChannelId, purpose: Purpose, number: u64, payload: &str) {
        let head = &mut self.head;
        let len = head.frame_len(payload);
        self.wire
            .push_with(id, purpose, len, |frame| head.push_frame(frame, number, payload));
    }

    /// Does the JOIN of such a channel fit into a frame?
    pub fn check_join(&self, name: &str, params: &str) -> Result<(), Failure> {
        let request_id = self.ids.text(0);
        let text = client_frame(
            ClientAction::JoinChannel,
            "JOIN_CHANNEL",
            name,
            request_id.as_str(),
            params,
        );
        if text.len() as u64 > self.config.max_message_out {
            return Err(self.too_large(text.len()));
        }
        Ok(())
    }

    /// CLOSED and DECLINED take nothing.
    pub(super) fn refuse_ended(&self, id: ChannelId) -> Result<(), Failure> {
        let Some(channel) = self.channels.get(&id) else {
            return Err(Failure::new(status::CLOSED, "the channel is freed"));
        };
        let fallback = match channel.state {
            ChannelState::Closed => status::CLOSED,
            ChannelState::Declined => status::DECLINED,
            _ => return Ok(()),
        };
        let failure = channel
            .end
            .as_deref()
            .cloned()
            .unwrap_or_else(|| Failure::new(fallback, "the channel has ended"));
        Err(Failure {
            status: fallback,
            ..failure
        })
    }

    /// Builds a prepared frame once, where it belongs. An error: nothing is taken.
    pub(super) fn accept(
        &mut self,
        id: ChannelId,
        purpose: Purpose,
        number: u64,
        payload: &str,
    ) -> Result<(), Failure> {
        if !self.goes_out() {
            self.refuse_ended(id)?;
            let mut text = Vec::new();
            self.head.push_frame(&mut text, number, payload);
            let frame = OutFrame {
                channel: id,
                purpose,
                text,
            };
            return self.enqueue(id, frame);
        }
        let bytes = self.wire.bytes();
        if bytes > 0 && bytes.saturating_add(self.head.frame_len(payload) as u64) > self.config.outbound_limit {
            return Err(self.buffer_full(id, bytes));
        }
        self.push_wire(id, purpose, number, payload);
        Ok(())
    }

    #[cold]
    fn buffer_full(&mut self, id: ChannelId, bytes: u64) -> Failure {
        self.writable_wanted.insert(id);
        Failure::new(
            status::QUEUE_FULL,
            format!(
                "{bytes} bytes wait to be written, the limit is {}",
                self.config.outbound_limit
            ),
        )
    }

    fn enqueue(&mut self, id: ChannelId, frame: OutFrame) -> Result<(), Failure> {
        let limit = self.config.queue_limit as usize;
        let overflow = self.config.overflow;
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(());
        };
        if channel.queue.len() < limit {
            channel.queue.push_back(frame);
            return Ok(());
        }
        match overflow {
            Overflow::DropOldest => {
                let oldest = channel.queue.pop_front();
                channel.queue.push_back(frame);
                self.report_dropped(id, oldest.into_iter().collect(), status::QUEUE_FULL);
                Ok(())
            }
            Overflow::DropNewest => {
                self.report_dropped(id, VecDeque::from([frame]), status::QUEUE_FULL);
                Ok(())
            }
            Overflow::Refuse => {
                self.writable_wanted.insert(id);
                Err(Failure::new(
                    status::QUEUE_FULL,
                    format!("the queue of the channel holds its {limit} messages"),
                ))
            }
        }
    }

    /// Tells that these will never be sent: requests by their reply, messages by one DROPPED event.
    pub(super) fn report_dropped(&mut self, id: ChannelId, frames: VecDeque<OutFrame>, why: i32) {
        let mut newest: Option<OutFrame> = None;
        let mut count: u32 = 0;
        for frame in frames {
            match frame.purpose {
                Purpose::Request(number) => {
                    self.complete_request(number, &Failure::new(why, "the request was dropped before it was sent"));
                }
                Purpose::Message => {
                    count = count.saturating_add(1);
                    newest = Some(frame);
                }
                Purpose::Membership | Purpose::Volatile => {}
            }
        }
        let Some(newest) = newest else {
            return;
        };
        self.stats.dropped += u64::from(count);
        let Some(channel) = self.channels.get(&id) else {
            return;
        };
        let mut block = BlockBuilder::default();
        block.append(Field::ChannelName, &channel.name);
        let text = std::str::from_utf8(&newest.text).unwrap_or_default();
        if let Some(Ok(envelope)) = parse_frame(text).next() {
            block.append(Field::Name, &envelope.event);
            block.append(Field::Payload, envelope.payload.unwrap_or("{}"));
        }
        let mut event = block.finish(EventKind::Dropped);
        event.channel = channel.tag;
        event.count = count;
        event.status = why;
        self.emit(event);
    }

    /// Room again: one WRITABLE for each channel that was refused, once half of its limit is free.
    pub(super) fn announce_writable(&mut self) {
        if self.writable_wanted.is_empty() {
            return;
        }
        let buffer_has_room = self.wire.bytes() <= self.config.outbound_limit / 2;
        let limit = self.config.queue_limit as usize;
        let ready: Vec<ChannelId> = self
            .writable_wanted
            .iter()
            .copied()
            .filter(|id| match self.channels.get(id) {
                Some(channel) if channel.state == ChannelState::Joined => buffer_has_room,
                Some(channel) => channel.queue.len() <= limit / 2,
                None => true,
            })
            .collect();
        for id in ready {
            self.writable_wanted.remove(&id);
            if let Some(channel) = self.channels.get(&id) {
                let mut block = BlockBuilder::default();
                block.append(Field::ChannelName, &channel.name);
                let mut event = block.finish(EventKind::Writable);
                event.channel = channel.tag;
                self.emit(event);
            }
        }
    }
}
