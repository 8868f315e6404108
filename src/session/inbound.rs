//! Inbound frames: whose they are and what they mean. The rules of the protocol's Table A meet here.

use super::config::Time;
use super::event::{EventKind, EventMut, Field};
use super::link::Link;
use super::spare::Spares;
use super::status::{self, ChannelState, Failure};
use super::{ChannelId, Session};
use crate::protocol::{
    Action, Envelope, Frames, Span, Usual, connection_id, eviction_reason, is_error_event, is_eviction, parse_frame,
    server_error,
};

/// The channel names under which servers speak about the connection itself.
fn is_connection_level(channel: &str) -> bool {
    matches!(channel, "" | "ENDPOINT" | "GATEWAY")
}

/// A failure in the server's words.
fn server_failure(status: i32, envelope: &Envelope<'_>) -> Failure {
    let error = server_error(&envelope.event, envelope.payload);
    Failure {
        status,
        code: error.code,
        message: error.message,
        http_status: error.status,
        details: envelope.payload.unwrap_or_default().to_owned(),
    }
}

/// An event that carries a frame's name and payload in one copy of its bytes.
pub(super) fn message_event(kind: EventKind, envelope: &Envelope<'_>, spares: &mut Spares) -> EventMut {
    let parts = [
        (Field::Name, Some(&*envelope.event)),
        (Field::ChannelName, Some(&*envelope.channel)),
        (Field::RequestId, envelope.request_id.as_deref()),
        (Field::Payload, envelope.payload),
    ];
    EventMut::from_frame(kind, envelope.text, &parts, spares)
}

impl Session {
    /// A text frame came: one envelope or several.
    pub fn text_frame(&mut self, frame: &str, now: Time) {
        crate::inject::point("session");
        self.stats.frames_in += 1;
        let mut frames = parse_frame(frame);
        let mut usual = Usual::none();
        loop {
            if frames.next_usual_like(Some(&mut self.shape), &mut usual) {
                let done = match usual.action {
                    Action::Broadcast => self.broadcast(frame, &usual),
                    Action::System => self.plain_reply(frame, &usual),
                    _ => false,
                };
                if !done {
                    self.envelope(&usual.envelope(frame), now);
                }
                if frames.is_over() {
                    break;
                }
            } else if !self.other_envelope(&mut frames, frame.len(), now) {
                break;
            }
        }
    }

    /// What is no usual envelope. False: nothing follows.
    #[inline(never)]
    fn other_envelope(&mut self, frames: &mut Frames<'_>, frame_len: usize, now: Time) -> bool {
        match frames.next_other() {
            None => return false,
            Some(Ok(envelope)) => self.envelope(&envelope, now),
            Some(Err(error)) => self.undecodable(&error.to_string(), frame_len),
        }
        true
    }

    /// The most frequent of all: a frame that is a broadcast in a channel that is JOINED. False: it is not such.
    #[inline(always)]
    fn broadcast(&mut self, frame: &str, usual: &Usual<'_>) -> bool {
        let (whole, channel) = (usual.whole, usual.channel());
        let name = frame.as_bytes().get(channel.start as usize..channel.end as usize);
        if whole.start != 0 || whole.end as usize != frame.len() || matches!(self.link, Link::Open { .. }) {
            return false;
        }
        let Some(tag) = name.and_then(|name| self.members.tag(name)) else {
            return false;
        };
        let event = EventMut::message(frame, usual, tag, &mut self.spares);
        self.plain.messages += 1;
        self.plain.bytes += u64::from(event.frame_bytes);
        self.emit(event);
        true
    }

    /// A frame that is the answer of a channel to a request. False: it is not such.
    #[inline(never)]
    fn plain_reply(&mut self, frame: &str, usual: &Usual<'_>) -> bool {
        let whole = usual.whole;
        if whole.start != 0 || whole.end as usize != frame.len() || matches!(self.link, Link::Open { .. }) {
            return false;
        }
        let part = |span: Span| frame.get(span.start as usize..span.end as usize);
        let Some(number) = part(usual.request_id()).and_then(|id| self.ids.number(id)) else {
            return false;
        };
        let Some(place) = self.requests.place(number) else {
            return false;
        };
        let request = self.requests.at(place);
        let Some(channel) = request.and_then(|request| self.channels.get(&request.channel)) else {
            return false;
        };
        if part(usual.channel()) != Some(&channel.name) || part(usual.event()).is_none_or(is_error_event) {
            return false;
        }
        let mut event = EventMut::message(frame, usual, channel.tag, &mut self.spares);
        event.kind = EventKind::Reply;
        self.answered(number, place, event);
        true
    }

    /// A binary frame came: the text of an envelope, or nothing we know.
    pub fn binary_frame(&mut self, frame: &[u8], now: Time) {
        match std::str::from_utf8(frame) {
            Ok(text) => self.text_frame(text, now),
            Err(_) => {
                self.stats.frames_in += 1;
                self.undecodable("a binary frame that is not UTF-8", frame.len());
            }
        }
    }

    fn undecodable(&mut self, what: &str, len: usize) {
        self.frame_before_connection(None);
        let failure = Failure::new(status::PROTOCOL, format!("undecodable frame: {what}"));
        self.client_error_from_frame(&failure, len);
    }

    fn client_error_from_frame(&mut self, failure: &Failure, len: usize) {
        self.emit_client_error(failure, 0);
        self.mark_last_as_frame(len);
    }

    fn mark_last_as_frame(&mut self, len: usize) {
        if let Some(event) = self.events.back_mut() {
            event.edit(|head| head.frame_bytes = u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    #[inline(never)]
    fn envelope(&mut self, envelope: &Envelope<'_>, now: Time) {
        if envelope.action == Action::Connect {
            self.connection_frame(envelope, now);
            return;
        }
        if matches!(self.link, Link::Open { .. }) {
            let bad = envelope.action == Action::Error
                || (envelope.action == Action::System && is_error_event(&envelope.event));
            let refusal = bad.then(|| server_failure(status::REJECTED, envelope));
            self.frame_before_connection(refusal);
            if bad {
                return;
            }
        }
        if self.answers_request(envelope) {
            return;
        }
        match self.channel_by_name(&envelope.channel) {
            Some(id) => self.channel_frame(id, envelope),
            None if is_connection_level(&envelope.channel) => self.connection_level(envelope),
            None => self.stats.discarded += 1,
        }
    }

    fn connection_frame(&mut self, envelope: &Envelope<'_>, now: Time) {
        if envelope.event != "CONNECTION" {
            let failure = Failure::new(status::PROTOCOL, "a CONNECT frame that is not CONNECTION was ignored");
            self.client_error_from_frame(&failure, envelope.text.len());
            return;
        }
        match &mut self.link {
            Link::Open { .. } => {
                self.seen_connection = true;
                self.connection_id = envelope.payload.and_then(connection_id);
                self.connected(now, false);
            }
            Link::Up { legacy, .. } => {
                // It was late, not of the old dialect.
                *legacy = false;
                self.seen_connection = true;
                self.connection_id = envelope.payload.and_then(connection_id);
            }
            _ => {}
        }
    }

    /// SYSTEM with the id of a pending request is its reply, errors are its failure; a BROADCAST that bears the id is a
    /// broadcast.
    fn answers_request(&mut self, envelope: &Envelope<'_>) -> bool {
        let failed = match envelope.action {
            Action::Error => true,
            Action::System => is_error_event(&envelope.event),
            _ => return false,
        };
        let Some(number) = envelope.request_id.as_deref().and_then(|id| self.ids.number(id)) else {
            return false;
        };
        let channel = self.channel_by_name(&envelope.channel);
        if channel.is_none() && !(failed && is_connection_level(&envelope.channel)) {
            return false;
        }
        if !self.is_request_of(number, channel) {
            return false;
        }
        if failed {
            self.reply_with_error(number, &server_failure(status::SERVER, envelope));
        } else {
            self.reply(number, envelope);
        }
        true
    }

    /// About the connection itself, or an error that names no channel of ours.
    fn connection_level(&mut self, envelope: &Envelope<'_>) {
        let failed = match envelope.action {
            Action::Error => true,
            Action::System => is_error_event(&envelope.event),
            Action::Broadcast => false,
            Action::Presence | Action::Unknown | Action::Connect => {
                self.unknown_action(envelope);
                return;
            }
        };
        if failed {
            let joining = envelope
                .request_id
                .as_deref()
                .and_then(|id| self.channels.keys().copied().find(|ch| self.is_join_of(*ch, Some(id))));
            match joining {
                Some(id) => self.declined(id, &server_failure(status::DECLINED, envelope)),
                None => self.client_error_from_frame(&server_failure(status::SERVER, envelope), envelope.text.len()),
            }
        } else {
            let event = message_event(EventKind::ClientMessage, envelope, &mut self.spares);
            self.emit(event);
        }
    }

    fn channel_frame(&mut self, id: ChannelId, envelope: &Envelope<'_>) {
        let request_id = envelope.request_id.as_deref();
        match envelope.action {
            Action::System if envelope.event == "ACKNOWLEDGE" => {
                self.acknowledged(id, request_id);
            }
            Action::System if envelope.event == "EXIT_ACKNOWLEDGE" => {}
            Action::System if is_error_event(&envelope.event) => self.channel_failure(id, envelope),
            Action::System if is_eviction(&envelope.event) && !self.is_ours(request_id) => {
                if matches!(self.channel_state(id), ChannelState::Joined | ChannelState::Stalled) {
                    let reason = envelope.payload.map(eviction_reason).unwrap_or_default();
                    self.evicted(id, &reason);
                }
            }
            Action::System | Action::Broadcast => {
                let event = message_event(EventKind::Message, envelope, &mut self.spares);
                self.for_members(id, event);
            }
            Action::Presence => match self.presence_event(envelope) {
                Some(event) => self.for_members(id, event),
                None => self.unknown_action(envelope),
            },
            Action::Error => self.channel_failure(id, envelope),
            Action::Unknown | Action::Connect => self.unknown_action(envelope),
        }
    }

    fn is_ours(&self, request_id: Option<&str>) -> bool {
        request_id.is_some_and(|id| self.ids.number(id).is_some())
    }

    fn channel_failure(&mut self, id: ChannelId, envelope: &Envelope<'_>) {
        let request_id = envelope.request_id.as_deref();
        if self.is_join_of(id, request_id) {
            self.declined(id, &server_failure(status::DECLINED, envelope));
            return;
        }
        if self.channel_state(id).is_terminal() {
            self.stats.discarded += 1;
            return;
        }
        self.emit_channel_error(id, &server_failure(status::SERVER, envelope));
        self.mark_last_as_frame(envelope.text.len());
    }

    fn unknown_action(&mut self, envelope: &Envelope<'_>) {
        let failure = Failure::new(
            status::PROTOCOL,
            format!(
                "a frame of {} bytes with an unknown action or presence event was ignored",
                envelope.text.len()
            ),
        );
        self.client_error_from_frame(&failure, envelope.text.len());
    }

    /// Delivered while JOINED, kept while the ACKNOWLEDGE is awaited, else nobody's.
    fn for_members(&mut self, id: ChannelId, mut event: EventMut) {
        match self.channels.get(&id) {
            Some(channel) if channel.state == ChannelState::Joined && event.kind != EventKind::Presence => {
                event.channel = channel.tag;
                self.members.remember(&channel.name, channel.tag, self.channels.len());
                self.emit(event);
            }
            Some(channel) if channel.state == ChannelState::Joined => self.deliver_presence(id, event),
            Some(channel)
                if matches!(channel.state, ChannelState::Joining | ChannelState::Stalled)
                    && self.is_join_of(id, None) =>
            {
                self.keep_early(id, event);
            }
            _ => self.stats.discarded += 1,
        }
    }

    pub(super) fn deliver(&mut self, id: ChannelId, mut event: EventMut) {
        if event.kind == EventKind::Presence {
            self.deliver_presence(id, event);
            return;
        }
        if let Some(channel) = self.channels.get(&id) {
            event.channel = channel.tag;
            self.emit(event);
        }
    }
}
