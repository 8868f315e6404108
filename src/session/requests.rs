//! Requests: each completes exactly once.

use super::config::Time;
use super::event::{Attachment, BlockBuilder, EventKind, EventMut, Field};
use super::pending::{NEVER, Request};
use super::status::{self, Failure};
use super::wire::{OutFrame, Purpose};
use super::{ChannelId, Plain, Session};
use crate::protocol::Envelope;

impl Session {
    /// Accepts a request. Its REPLY event bears `ticket`, a number of the caller's. `timeout` 0 = the configured one,
    /// `None` = no limit. The clock starts now; who does not know what time it is leaves it to the next [`tick`](Self::tick).
    pub fn request(
        &mut self,
        id: ChannelId,
        event: &str,
        payload: &str,
        timeout: Option<Time>,
        ticket: u64,
        now: impl Into<Option<Time>>,
    ) -> Result<(), Failure> {
        let request = Request {
            channel: id,
            handed: None,
            due: match timeout {
                None => NEVER,
                Some(0) => self.config.response_timeout,
                Some(timeout) => timeout,
            },
            user_data: 0,
            attachment: None,
        };
        let now = now.into();
        if self.is_like_last(id, event, payload) {
            crate::inject::point("session");
            let number = self.ids.next_number();
            self.requests.insert(number, ticket, request, now);
            crate::inject::point("session");
            self.push_wire(id, Purpose::Request(number), number, payload);
            return Ok(());
        }
        self.request_any(request, (event, payload), ticket, now)
    }

    #[inline(never)]
    fn request_any(
        &mut self,
        request: Request,
        (event, payload): (&str, &str),
        ticket: u64,
        now: Option<Time>,
    ) -> Result<(), Failure> {
        let id = request.channel;
        if !self.is_joined_head(id) {
            self.refuse_ended(id)?;
        }
        let number = self.prepare(id, event, payload)?;
        self.requests.insert(number, ticket, request, now);
        crate::inject::point("session");
        let accepted = self.accept(id, Purpose::Request(number), number, payload);
        if accepted.is_err() {
            self.requests.remove(number);
        }
        accepted
    }

    /// Ties something to the reply of the request that was accepted last.
    pub fn tie(&mut self, ticket: u64, user_data: usize, attachment: Option<Attachment>) {
        if let Some(request) = self.requests.newest(ticket) {
            request.user_data = user_data;
            request.attachment = attachment;
        } else if let Some(reply) = self.events.iter_mut().rev().find(|event| event.ticket == ticket) {
            // A full queue has dropped it at once.
            reply.edit(|head| {
                head.user_data = user_data;
                head.attachment = attachment;
            });
        }
    }

    /// The request of that ticket was not accepted after all: what a panic has told of it is untold.
    pub fn forget_reply(&mut self, ticket: u64) {
        self.plain = Plain::default();
        self.events
            .retain(|event| event.kind != EventKind::Reply || event.ticket != ticket);
    }

    /// How many requests are not complete.
    pub fn pending_requests(&self) -> usize {
        self.requests.len()
    }

    /// Completes a request as CANCELLED. False: there is no such request any more.
    pub fn cancel_request(&mut self, ticket: u64) -> bool {
        self.fail_request(ticket, &Failure::new(status::CANCELLED, "the request was cancelled"))
    }

    /// Completes a request with a failure of the caller's. False: there is no such request any more.
    pub fn fail_request(&mut self, ticket: u64, failure: &Failure) -> bool {
        let Some((number, _)) = self.requests.by_ticket(ticket) else {
            return false;
        };
        self.take_back(number);
        self.complete_request(number, failure);
        true
    }

    /// The request of that ticket is not complete and belongs to that channel.
    pub fn is_pending(&self, id: ChannelId, ticket: u64) -> bool {
        self.requests
            .by_ticket(ticket)
            .is_some_and(|(_, request)| request.channel == id)
    }

    pub(super) fn request_timed_out(&mut self, number: u64) {
        self.take_back(number);
        self.complete_request(
            number,
            &Failure {
                http_status: 408,
                ..Failure::new(status::ERROR_TIMEOUT, "the request was not answered in time")
            },
        );
    }

    /// A frame bears the id of a pending request of that channel.
    pub(super) fn is_request_of(&self, number: u64, channel: Option<ChannelId>) -> bool {
        self.requests
            .get(number)
            .is_some_and(|request| channel.is_none_or(|id| id == request.channel))
    }

    pub(super) fn reply(&mut self, number: u64, envelope: &Envelope<'_>) {
        if let Some(place) = self.requests.place(number) {
            let mut event = super::inbound::message_event(EventKind::Reply, envelope, &mut self.spares);
            event.channel = self.tag_at(place);
            self.answered(number, place, event);
        }
    }

    /// The reply has come to the request of that number at that place.
    #[inline]
    pub(super) fn answered(&mut self, number: u64, place: usize, mut event: EventMut) {
        self.prove_request(number, place);
        // Bounded by the requests that were made, not by the inbound limit.
        event.frame_bytes = 0;
        self.finish_request(place, event);
    }

    /// Frames arrive in order: what was written before the question has arrived as well.
    #[inline]
    fn prove_request(&mut self, number: u64, place: usize) {
        match self.requests.at(place).and_then(|request| request.handed) {
            Some(place) => self.wire.prove(place),
            None => self.prove_untold(number, place),
        }
    }

    /// The answer has overtaken the news that the question left, or it was never asked.
    #[cold]
    fn prove_untold(&mut self, number: u64, place: usize) {
        if let Some(total) = self.wire.taken_up_to(number) {
            self.handed_over(total);
        }
        match self.requests.at(place).and_then(|request| request.handed) {
            Some(place) => self.wire.prove(place),
            None => self.take_back(number),
        }
    }

    pub(super) fn reply_with_error(&mut self, number: u64, failure: &Failure) {
        if let Some(place) = self.requests.place(number) {
            self.prove_request(number, place);
        }
        self.complete_request(number, failure);
    }

    pub(super) fn complete_request(&mut self, number: u64, failure: &Failure) {
        let Some(place) = self.requests.place(number) else {
            return;
        };
        let Some(request) = self.requests.at(place) else {
            return;
        };
        let mut block = BlockBuilder::default();
        if let Some(channel) = self.channels.get(&request.channel) {
            block.append(Field::ChannelName, &channel.name);
        }
        block.append(Field::RequestId, self.ids.text(number).as_str());
        block.append_failure(failure);
        let mut event = block.finish(EventKind::Reply);
        event.status = failure.status;
        event.http_status = failure.http_status;
        event.channel = self.tag_at(place);
        self.finish_request(place, event);
    }

    pub(super) fn fail_requests_of(&mut self, id: ChannelId, failure: &Failure) {
        self.fail_requests(failure, |request| request.channel == id);
    }

    /// The link is gone: requests that were on it will not be answered.
    pub(super) fn fail_handed_requests(&mut self, failure: &Failure) {
        let failure = Failure {
            status: if failure.status == status::CLOSED {
                status::CLOSED
            } else {
                status::CONNECTION_LOST
            },
            ..failure.clone()
        };
        self.fail_requests(&failure, |request| request.handed.is_some());
    }

    pub(super) fn fail_all_requests(&mut self, failure: &Failure) {
        self.fail_requests(failure, |_| true);
    }

    fn fail_requests(&mut self, failure: &Failure, which: impl Fn(&Request) -> bool) {
        for number in self.requests.numbers(which) {
            self.complete_request(number, failure);
        }
    }

    /// Nobody waits for the answer any more: do not send the question either, if it has not gone.
    fn take_back(&mut self, number: u64) {
        let Some(request) = self.requests.get(number) else {
            return;
        };
        if request.handed.is_some() {
            return;
        }
        if !self.wire.remove_request(number) {
            if let Some(channel) = self.channels.get_mut(&request.channel) {
                let purpose = Purpose::Request(number);
                channel.queue.retain(|frame: &OutFrame| frame.purpose != purpose);
            }
        }
        self.announce_writable();
    }

    /// The one end of a request. From here on nothing can fail, so that what is tied to it is not lost.
    #[inline]
    fn finish_request(&mut self, place: usize, mut event: EventMut) {
        let told = self
            .requests
            .complete_at(place, |ticket, request| tie(&mut event, ticket, request));
        if told.is_some() {
            self.plain.replies += 1;
            self.emit(event);
        }
    }

    fn tag_at(&self, place: usize) -> u64 {
        let request = self.requests.at(place);
        let channel = request.and_then(|request| self.channels.get(&request.channel));
        channel.map_or(0, |channel| channel.tag)
    }
}

/// The event ends that request: it gets what belongs to it.
#[inline]
pub(super) fn tie(event: &mut EventMut, ticket: u64, request: &mut Request) {
    event.ticket = ticket;
    event.user_data = request.user_data;
    event.attachment = request.attachment.take();
}
