//! An event on its way to the program: the event itself and what belongs to this delivery of it.

use std::any::Any;

use crate::protocol::Route;
use crate::session::{Attached, Event, EventMut, Waiting};

use super::spares;

/// The text of a route match, each value with its NUL.
struct RouteText {
    params: Vec<(String, Box<[u8]>)>,
    query: Vec<(String, Box<[u8]>)>,
}

/// A match, tied to an event that has neither numbers nor text.
struct Match {
    /// The event that was matched.
    whole: Event,
    route: RouteText,
}

impl Attached for Match {
    fn details(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// What `pond_event` points to: an event, shared by reference count, with what belongs to this delivery tied to it.
#[derive(Clone)]
#[repr(transparent)]
pub struct Delivered(Event);

impl Delivered {
    /// A plain delivery.
    #[inline]
    pub fn new(event: Event) -> Self {
        Self(event)
    }

    /// The same event seen through a route pattern that matched.
    pub fn matched(event: &Delivered, route: Route) -> Self {
        let with_nul = |pairs: Vec<(String, String)>| {
            pairs
                .into_iter()
                .map(|(name, value)| {
                    let mut bytes = value.into_bytes();
                    bytes.push(0);
                    (name, bytes.into_boxed_slice())
                })
                .collect()
        };
        // A match of a match looks at the event itself, so that no chain grows.
        let whole = event.event().clone();
        let mut shell = EventMut::new(whole.kind);
        shell.view = true;
        shell.attachment = Some(Box::new(Match {
            whole,
            route: RouteText {
                params: with_nul(route.params),
                query: with_nul(route.query),
            },
        }));
        Self(shell.freeze())
    }

    fn matching(&self) -> Option<&Match> {
        self.0.attachment.as_ref()?.details()?.downcast_ref()
    }

    /// The event.
    #[inline(always)]
    pub fn event(&self) -> &Event {
        if self.0.view { self.viewed() } else { &self.0 }
    }

    #[cold]
    #[inline(never)]
    fn viewed(&self) -> &Event {
        self.matching().map_or(&self.0, |matching| &matching.whole)
    }

    /// The event that the attachment is tied to, to change its numbers while nobody else holds it.
    pub fn event_mut(&mut self) -> &mut Event {
        &mut self.0
    }

    /// What a pointer to it looks like, for the C face.
    pub fn as_event(&self) -> &Event {
        &self.0
    }

    /// The same, given away.
    pub fn into_event(self) -> Event {
        self.0
    }

    /// Lets go of it, as a drop does; the block of an event that nobody else holds is used again.
    #[inline]
    pub fn release(self) {
        spares::give(self.0);
    }

    /// The request's user data (REPLY only), else 0.
    pub fn user_data(&self) -> usize {
        self.event().user_data
    }

    /// The handler of the request that this is the reply to.
    pub fn completion(&self) -> Option<&dyn Waiting> {
        self.0.attachment.as_ref()?.waiting()
    }

    /// A route parameter with its NUL.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find(&self.matching()?.route.params, name)
    }

    /// A query value with its NUL.
    pub fn query(&self, name: &str) -> Option<&[u8]> {
        find(&self.matching()?.route.query, name)
    }
}

fn find<'a>(pairs: &'a [(String, Box<[u8]>)], name: &str) -> Option<&'a [u8]> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
}

impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivered")
            .field("kind", &self.event().kind)
            .finish_non_exhaustive()
    }
}
