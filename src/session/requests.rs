//! Requests: each completes exactly once.

use super::config::Time;
use super::event::{BlockBuilder, EventKind, EventMut, Field};
use super::status::{self, Failure};
use super::timers::Timer;
use super::wire::{OutFrame, Purpose};
use super::{ChannelId, Session};
use crate::protocol::Envelope;

#[derive(Debug)]
pub(super) struct Request {
    ticket: u64,
    channel: ChannelId,
    /// Its place in the account of the link, once it is handed over.
    pub handed: Option<u64>,
}

impl Session {
    /// Accepts a request. Its REPLY event bears `ticket`, a number of the caller's. `timeout` 0 = the configured one,
    /// `None` = no limit. The clock starts now.
    pub fn request(
        &mut self,
        id: ChannelId,
        event: &str,
        payload: &str,
        timeout: Option<Time>,
        ticket: u64,
        now: Time,
    ) -> Result<(), Failure> {
        self.refuse_ended(id)?;
        let number = self.prepare(id, event, payload)?;
        self.requests.insert(
            number,
            Request {
                ticket,
                channel: id,
                handed: None,
            },
        );
        crate::inject::point("session");
        self.tickets.insert(ticket, number);
        if let Err(failure) = self.accept(id, Purpose::Request(number), number, payload) {
            self.forget_request(number);
            return Err(failure);
        }
        // A full queue may have dropped it at once.
        if let Some(timeout) = timeout
            && self.requests.contains_key(&number)
        {
            let timeout = if timeout == 0 {
                self.config.response_timeout
            } else {
                timeout
            };
            self.timers.set(Timer::Request(number), now.saturating_add(timeout));
        }
        Ok(())
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
        let Some(number) = self.tickets.get(&ticket).copied() else {
            return false;
        };
        self.take_back(number);
        self.complete_request(number, failure);
        true
    }

    /// The request of that ticket is not complete and belongs to that channel.
    pub fn is_pending(&self, id: ChannelId, ticket: u64) -> bool {
        self.tickets
            .get(&ticket)
            .and_then(|number| self.requests.get(number))
            .is_some_and(|request| request.channel == id)
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
            .get(&number)
            .is_some_and(|request| channel.is_none_or(|id| id == request.channel))
    }

    pub(super) fn reply(&mut self, number: u64, envelope: &Envelope<'_>) {
        self.take_back(number);
        let Some(request) = self.forget_request(number) else {
            return;
        };
        if let Some(place) = request.handed {
            // Frames arrive in order: what was written before the question has arrived as well.
            self.wire.prove(place);
        }
        let mut event = super::inbound::message_event(EventKind::Reply, envelope);
        // Bounded by the requests that were made, not by the inbound limit.
        event.frame_bytes = 0;
        self.stamp(&mut event, &request);
        self.emit(event);
    }

    pub(super) fn reply_with_error(&mut self, number: u64, failure: &Failure) {
        self.take_back(number);
        if let Some(place) = self.requests.get(&number).and_then(|request| request.handed) {
            self.wire.prove(place);
        }
        self.complete_request(number, failure);
    }

    pub(super) fn complete_request(&mut self, number: u64, failure: &Failure) {
        let Some(request) = self.forget_request(number) else {
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
        self.stamp(&mut event, &request);
        self.emit(event);
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
        let mut numbers: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| which(request))
            .map(|(number, _)| *number)
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            self.complete_request(number, failure);
        }
    }

    /// Nobody waits for the answer any more: do not send the question either, if it has not gone.
    fn take_back(&mut self, number: u64) {
        let Some(request) = self.requests.get(&number) else {
            return;
        };
        if request.handed.is_some() {
            return;
        }
        if !self.wire.remove_request(number)
            && let Some(channel) = self.channels.get_mut(&request.channel)
        {
            let purpose = Purpose::Request(number);
            channel.queue.retain(|frame: &OutFrame| frame.purpose != purpose);
        }
        self.announce_writable();
    }

    fn forget_request(&mut self, number: u64) -> Option<Request> {
        let request = self.requests.remove(&number)?;
        self.tickets.remove(&request.ticket);
        self.timers.cancel(Timer::Request(number));
        Some(request)
    }

    fn stamp(&self, event: &mut EventMut, request: &Request) {
        event.ticket = request.ticket;
        event.channel = self.channels.get(&request.channel).map_or(0, |channel| channel.tag);
    }
}
