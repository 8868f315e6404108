//! Sending: where an accepted message goes, what a full queue does, and what is told about messages that never go.

use std::collections::VecDeque;

use super::event::{BlockBuilder, EventKind, Field};
use super::status::{self, ChannelState, Failure};
use super::wire::{OutFrame, Purpose};
use super::{ChannelId, Overflow, Session};
use crate::protocol::check::frame_size;
use crate::protocol::{ClientAction, client_frame, parse_frame};

/// Where a message may go right now.
enum Place {
    Wire,
    Queue,
}

impl Session {
    /// Accepts a message: written in order, or reported. `payload` is a checked JSON object.
    pub fn send(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<(), Failure> {
        let (_, text) = self.build(id, event, payload)?;
        self.accept(id, Purpose::Message, text)
    }

    /// Accepts a message that ages at once. False: it could not be written right now and is forgotten.
    pub fn send_volatile(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<bool, Failure> {
        self.refuse_ended(id)?;
        let (_, text) = self.build(id, event, payload)?;
        let joined = self.channel_state(id) == ChannelState::Joined;
        if !joined || !self.link.is_up() || !self.wire.is_empty() {
            return Ok(false);
        }
        self.wire.push(OutFrame {
            channel: id,
            purpose: Purpose::Volatile,
            text,
        });
        Ok(true)
    }

    /// Builds a frame once, for whatever becomes of it.
    pub(super) fn build(&mut self, id: ChannelId, event: &str, payload: &str) -> Result<(u64, Vec<u8>), Failure> {
        crate::inject::point("session");
        let Some(channel) = self.channels.get(&id) else {
            return Err(Failure::new(status::CLOSED, "the channel is freed"));
        };
        let (number, request_id) = self.ids.next();
        let text = client_frame(
            ClientAction::Broadcast,
            event,
            &channel.name,
            request_id.as_str(),
            payload,
        );
        frame_size(text.len(), self.config.max_message_out)
            .map_err(|error| Failure::new(status::TOO_LARGE, error.to_string()))?;
        Ok((number, text))
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
        frame_size(text.len(), self.config.max_message_out)
            .map_err(|error| Failure::new(status::TOO_LARGE, error.to_string()))
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
            .clone()
            .unwrap_or_else(|| Failure::new(fallback, "the channel has ended"));
        Err(Failure {
            status: fallback,
            ..failure
        })
    }

    /// Puts a built frame where it belongs. An error: nothing is taken.
    pub(super) fn accept(&mut self, id: ChannelId, purpose: Purpose, text: Vec<u8>) -> Result<(), Failure> {
        self.refuse_ended(id)?;
        let frame = OutFrame {
            channel: id,
            purpose,
            text,
        };
        match self.place(id, frame.len())? {
            Place::Wire => self.wire.push(frame),
            Place::Queue => self.enqueue(id, frame)?,
        }
        Ok(())
    }

    fn place(&mut self, id: ChannelId, len: u64) -> Result<Place, Failure> {
        if self.channel_state(id) != ChannelState::Joined || !self.link.is_up() {
            return Ok(Place::Queue);
        }
        let bytes = self.wire.bytes();
        if bytes > 0 && bytes.saturating_add(len) > self.config.outbound_limit {
            self.writable_wanted.insert(id);
            return Err(Failure::new(
                status::QUEUE_FULL,
                format!(
                    "{bytes} bytes wait to be written, the limit is {}",
                    self.config.outbound_limit
                ),
            ));
        }
        Ok(Place::Wire)
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
