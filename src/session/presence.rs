//! Presence: the list of the last frame, as the server sent it.

use super::event::{BlockBuilder, EventKind, EventMut, Field};
use super::{ChannelId, Session};
use crate::protocol::{Envelope, presence_kind};

const NOBODY: &str = "[]";

impl Session {
    /// Who is there, as a JSON array: "[]" before any presence frame.
    pub fn presence(&self, id: ChannelId) -> &str {
        self.channels
            .get(&id)
            .and_then(|channel| channel.users())
            .unwrap_or(NOBODY)
    }

    /// The event of a presence frame; one without a list of its own gets its users when it is delivered.
    pub(super) fn presence_event(&mut self, envelope: &Envelope<'_>) -> Option<EventMut> {
        let kind = presence_kind(&envelope.event)?;
        let parts = envelope.presence_parts();
        let parts = [
            (Field::ChannelName, Some(&*envelope.channel)),
            (Field::Changed, parts.changed),
            (Field::Users, parts.users),
        ];
        let mut event = EventMut::from_frame(EventKind::Presence, envelope.text, &parts, &mut self.spares);
        event.presence_kind = kind as i32;
        Some(event)
    }

    /// Hands a presence event over and keeps its list; a frame without one leaves the list as it is and tells it again.
    pub(super) fn deliver_presence(&mut self, id: ChannelId, mut event: EventMut) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if !event.has(Field::Users) {
            let mut block = BlockBuilder::default();
            block.append(Field::ChannelName, &channel.name);
            if let Some(changed) = event.text(Field::Changed) {
                block.append(Field::Changed, changed);
            }
            block.append(Field::Users, channel.users().unwrap_or(NOBODY));
            let mut told = block.finish(EventKind::Presence);
            told.presence_kind = event.presence_kind;
            told.frame_bytes = event.frame_bytes;
            event = told;
            event.channel = channel.tag;
            self.emit(event);
            return;
        }
        event.channel = channel.tag;
        event.client = self.config.client;
        let event = event.freeze();
        channel.users = Some(event.clone());
        self.events.push_back(event);
    }

    /// A rejoin begins with nobody; told once if somebody was there.
    pub(super) fn forget_users(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let was_somebody = channel.users().is_some_and(|users| users != NOBODY);
        channel.users = None;
        if was_somebody {
            let mut block = BlockBuilder::default();
            block.append(Field::ChannelName, &channel.name);
            block.append(Field::Users, NOBODY);
            let mut event = block.finish(EventKind::Presence);
            event.channel = channel.tag;
            self.emit(event);
        }
    }
}
