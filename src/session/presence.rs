//! Presence: the list of the last frame, as the server sent it.

use super::event::{Block, Event, EventKind, Field};
use super::{ChannelId, Session};
use crate::protocol::{Envelope, presence_kind, presence_parts};

const NOBODY: &str = "[]";

impl Session {
    /// Who is there, as a JSON array: "[]" before any presence frame.
    pub fn presence(&self, id: ChannelId) -> &str {
        self.channels
            .get(&id)
            .and_then(|channel| channel.users.as_deref())
            .and_then(|users| std::str::from_utf8(users).ok())
            .unwrap_or(NOBODY)
    }

    /// The event of a presence frame; one without a list of its own gets its users when it is delivered.
    pub(super) fn presence_event(&self, envelope: &Envelope<'_>) -> Option<Event> {
        let kind = presence_kind(&envelope.event)?;
        let parts = presence_parts(envelope.payload.unwrap_or("{}"));
        let mut block = Block::copy_of(envelope.text, envelope.channel.len() + 1);
        let fields = [
            (Field::ChannelName, Some(&*envelope.channel)),
            (Field::Changed, parts.changed),
            (Field::Users, parts.users),
        ];
        for (field, part) in fields {
            if let Some(part) = part {
                block.take(field, envelope.text, part);
            }
        }
        let mut event = block.finish(EventKind::Presence);
        event.presence_kind = kind as i32;
        event.frame_bytes = u32::try_from(envelope.text.len()).unwrap_or(u32::MAX);
        Some(event)
    }

    /// Hands a presence event over and keeps its list; a frame without one leaves the list as it is and tells it again.
    pub(super) fn deliver_presence(&mut self, id: ChannelId, mut event: Event) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        match event.share(Field::Users) {
            Some(users) => channel.users = Some(users),
            None => {
                let mut block = Block::default();
                block.append(Field::ChannelName, &channel.name);
                if let Some(changed) = event.text(Field::Changed) {
                    block.append(Field::Changed, changed);
                }
                let users = channel.users.as_deref().unwrap_or(NOBODY.as_bytes());
                block.append(Field::Users, std::str::from_utf8(users).unwrap_or(NOBODY));
                let mut told = block.finish(EventKind::Presence);
                told.presence_kind = event.presence_kind;
                told.frame_bytes = event.frame_bytes;
                event = told;
            }
        }
        event.channel = channel.tag;
        self.emit(event);
    }

    /// A rejoin begins with nobody; told once if somebody was there.
    pub(super) fn forget_users(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.users.take().is_some_and(|users| &*users != NOBODY.as_bytes()) {
            let mut block = Block::default();
            block.append(Field::ChannelName, &channel.name);
            block.append(Field::Users, NOBODY);
            let mut event = block.finish(EventKind::Presence);
            event.channel = channel.tag;
            self.emit(event);
        }
    }
}
