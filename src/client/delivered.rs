//! An event on its way to the program: the event itself and what belongs to this delivery of it.

use std::sync::Arc;

use crate::protocol::Route;
use crate::session::{Event, EventKind};

use super::handlers::Registration;
use super::sync::Patience;

#[allow(clippy::large_enum_variant)] // nearly all are the large one, and one allocation is the point
enum Body {
    Own(Event),
    Shared(Arc<Delivered>),
}

/// The text of a route match, each value with its NUL.
struct RouteText {
    params: Vec<(String, Box<[u8]>)>,
    query: Vec<(String, Box<[u8]>)>,
}

/// What `pond_event` points to. Shared by reference count, never changed once it is shared.
pub struct Delivered {
    body: Body,
    route: Option<RouteText>,
    user_data: usize,
    completion: Option<Arc<Registration>>,
}

impl Delivered {
    /// A plain delivery.
    pub fn new(event: Event) -> Self {
        Self {
            body: Body::Own(event),
            route: None,
            user_data: 0,
            completion: None,
        }
    }

    /// A reply, with the request's user data and its handler.
    pub fn reply(event: Event, user_data: usize, completion: Arc<Registration>) -> Self {
        Self {
            body: Body::Own(event),
            route: None,
            user_data,
            completion: Some(completion),
        }
    }

    /// The same event seen through a route pattern that matched.
    pub fn matched(event: &Arc<Delivered>, route: Route) -> Self {
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
        Self {
            body: Body::Shared(match &event.body {
                Body::Own(_) => Arc::clone(event),
                // A match of a match looks at the event itself, so that no chain grows.
                Body::Shared(whole) => Arc::clone(whole),
            }),
            route: Some(RouteText {
                params: with_nul(route.params),
                query: with_nul(route.query),
            }),
            user_data: event.user_data,
            completion: None,
        }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        match &self.body {
            Body::Own(event) => event,
            Body::Shared(other) => other.event(),
        }
    }

    /// The event, to change it while nobody else holds it.
    pub fn event_mut(&mut self) -> Option<&mut Event> {
        match &mut self.body {
            Body::Own(event) => Some(event),
            Body::Shared(_) => None,
        }
    }

    /// The request's user data (REPLY only), else 0.
    pub fn user_data(&self) -> usize {
        self.user_data
    }

    /// The handler of the request that this is the reply to.
    pub fn completion(&self) -> Option<&Arc<Registration>> {
        self.completion.as_ref()
    }

    /// A route parameter with its NUL.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find(&self.route.as_ref()?.params, name)
    }

    /// A query value with its NUL.
    pub fn query(&self, name: &str) -> Option<&[u8]> {
        find(&self.route.as_ref()?.query, name)
    }
}

fn find<'a>(pairs: &'a [(String, Box<[u8]>)], name: &str) -> Option<&'a [u8]> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
}

impl Drop for Delivered {
    fn drop(&mut self) {
        // A reply that was pulled or discarded: its user data goes with it. (Nothing is left to do after a dispatch.)
        if let Some(completion) = self.completion.take() {
            completion.cancel(Patience::None);
        }
    }
}

impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind: EventKind = self.event().kind;
        f.debug_struct("Delivered").field("kind", &kind).finish_non_exhaustive()
    }
}
