//! What waits in an event queue: the events of all sources in one order, and how much of each source there is.

use std::collections::{VecDeque, vec_deque};
use std::sync::Arc;

use crate::session::hash::FastMap;
use crate::session::{Event, EventKind, Plain};

use super::delivered::Delivered;
use super::handlers::Found;

/// Which part of a source's bounds may be taken at once, and of how many bytes at most.
const RUN_PART: usize = 4;
const RUN_BYTES: u64 = 256 * 1024;

/// The client behind a source of events.
pub trait Sink: Send + Sync {
    /// Runs the handlers for an event. `found` is for all events of a turn.
    fn deliver(&self, event: &Delivered, found: &mut Found);
    /// There is room again: read on.
    fn resume_reading(&self);
}

/// How much of a client's inbound frames may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Events that came from frames.
    pub events: u32,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Undelivered DROPPED events per channel; further ones merge into the last.
    pub dropped: u32,
}

/// How much of a source waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events from frames.
    pub events: u32,
    /// Bytes of those frames.
    pub bytes: u64,
}

impl Backlog {
    fn add(&mut self, event: &Event) {
        if event.frame_bytes > 0 && event.kind != EventKind::Dropped {
            self.events += 1;
            self.bytes += u64::from(event.frame_bytes);
        }
    }
}

/// A client, as its queue knows it.
pub(super) struct Source {
    pub sink: Option<Arc<dyn Sink>>,
    bounds: Bounds,
    backlog: Backlog,
    reading_paused: bool,
    /// An event of this source is being delivered right now.
    pub delivering: bool,
    /// A detach waits for that event and clears the place itself.
    pub awaited: bool,
    /// By channel: undelivered DROPPED events and the number of the last.
    dropped: FastMap<u64, (u32, u64)>,
}

struct Item {
    /// `None`: its client is freed, the event stays.
    source: Option<u32>,
    event: Delivered,
}

/// Events on their way into a store, counted before the lock of the queue is taken.
pub(super) struct Batch<'a> {
    events: &'a mut Vec<Delivered>,
    backlog: Backlog,
    /// None of them merges with another one.
    plain: bool,
}

impl<'a> Batch<'a> {
    pub fn new(events: &'a mut Vec<Delivered>) -> Self {
        let mut backlog = Backlog::default();
        let mut plain = true;
        for delivered in &*events {
            backlog.add(delivered.event());
            plain &= delivered.event().kind != EventKind::Dropped;
        }
        Self { events, backlog, plain }
    }
}

/// The events of a queue.
#[derive(Default)]
pub(super) struct Store {
    items: VecDeque<Option<Item>>,
    /// The number of the first item; items are numbered from the birth of the queue on.
    first: u64,
    sources: Vec<Option<Source>>,
    /// Items that were taken out of the middle.
    holes: usize,
}

impl Store {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// No client uses it.
    pub fn is_unused(&self) -> bool {
        self.sources.iter().all(Option::is_none)
    }

    /// A handler runs for one of its events.
    pub fn is_delivering(&self) -> bool {
        self.sources.iter().flatten().any(|source| source.delivering)
    }

    pub fn attach(&mut self, sink: Arc<dyn Sink>, bounds: Bounds) -> usize {
        let source = Source {
            sink: Some(sink),
            bounds,
            backlog: Backlog::default(),
            reading_paused: false,
            delivering: false,
            awaited: false,
            dropped: FastMap::default(),
        };
        let place = self.sources.iter().position(Option::is_none);
        let place = place.unwrap_or_else(|| {
            if self.sources.is_empty() {
                // Nearly all queues have one client.
                self.sources.reserve_exact(1);
            }
            self.sources.push(None);
            self.sources.len() - 1
        });
        self.sources[place] = Some(source);
        place
    }

    pub fn source(&mut self, place: usize) -> Option<&mut Source> {
        self.sources.get_mut(place)?.as_mut()
    }

    /// Its client is freed and waits for nothing: its place is free again.
    pub fn clear_if(&mut self, place: usize, is_over: fn(&Source) -> bool) {
        if let Some(entry) = self.sources.get_mut(place) {
            entry.take_if(|source| is_over(source));
        }
    }

    /// Room in a source before its reader has to stop, in events; 0 = stop.
    pub fn room(&mut self, place: usize, factor: u32, closed: bool) -> u32 {
        let Some(source) = self.source(place) else {
            return 0;
        };
        let events = source.bounds.events.saturating_mul(factor);
        let bytes = source.bounds.bytes.saturating_mul(u64::from(factor));
        let room = if closed || source.backlog.bytes >= bytes {
            0
        } else {
            events.saturating_sub(source.backlog.events)
        };
        source.reading_paused = room == 0;
        room
    }

    pub fn backlog(&self, place: usize) -> Backlog {
        match self.sources.get(place) {
            Some(Some(source)) => source.backlog,
            _ => Backlog::default(),
        }
    }

    /// Appends a batch. Answers how many events were added; what a merge replaces goes to `replaced`.
    pub fn append(&mut self, place: usize, batch: Batch<'_>, replaced: &mut Vec<Delivered>) -> usize {
        let Some(Some(source)) = self.sources.get_mut(place) else {
            return 0;
        };
        let before = self.items.len();
        source.backlog.events += batch.backlog.events;
        source.backlog.bytes += batch.backlog.bytes;
        let number = u32::try_from(place).ok();
        if batch.plain {
            let items = batch.events.drain(..).map(|event| Some(Item { source: number, event }));
            self.items.extend(items);
        } else {
            for event in batch.events.drain(..) {
                let dropped = event.event().kind == EventKind::Dropped;
                let item = Item { source: number, event };
                if dropped {
                    replaced.extend(self.push_dropped(place, item));
                } else {
                    self.items.push_back(Some(item));
                }
            }
        }
        self.items.len() - before
    }

    /// Appends events that are nothing but messages and replies. Answers how many.
    pub fn append_plain(&mut self, place: usize, events: vec_deque::Drain<'_, Event>, plain: Plain) -> usize {
        let Some(Some(source)) = self.sources.get_mut(place) else {
            return 0;
        };
        let added = events.len();
        source.backlog.events += plain.messages;
        source.backlog.bytes += plain.bytes;
        let source = u32::try_from(place).ok();
        let items = events.map(|event| {
            let event = Delivered::new(event);
            Some(Item { source, event })
        });
        self.items.extend(items);
        added
    }

    /// Appends a DROPPED event; answers the one that it was merged with.
    fn push_dropped(&mut self, place: usize, mut item: Item) -> Option<Delivered> {
        let number = self.first + self.items.len() as u64;
        let Some(Some(source)) = self.sources.get_mut(place) else {
            return None;
        };
        let (waiting, last) = source.dropped.entry(item.event.event().channel).or_insert((0, number));
        if *waiting >= source.bounds.dropped {
            if let Some(Some(merged)) = self.items.get_mut((*last - self.first) as usize) {
                let count = merged.event.event().count;
                item.event
                    .event_mut()
                    .edit(|head| head.count = head.count.saturating_add(count));
                return Some(std::mem::replace(&mut merged.event, item.event));
            }
        }
        *waiting += 1;
        *last = number;
        self.items.push_back(Some(item));
        None
    }

    /// Appends an event that belongs to no client any more.
    pub fn push_orphan(&mut self, event: Delivered) {
        self.items.push_back(Some(Item { source: None, event }));
    }

    /// The next event, and whose it is.
    #[inline]
    pub fn pop(&mut self) -> Option<(Delivered, Option<usize>)> {
        let Item { source, event } = self.items.pop_front()??;
        self.first += 1;
        if self.holes > 0 {
            self.trim();
        }
        let place = source.map(|place| place as usize);
        if let Some(source) = place.and_then(|place| self.source(place)) {
            source.taken(event.event());
        }
        Some((event, place))
    }

    /// Takes more events of the source that the last one came from: what follows it, up to `most`, but no more than a small
    /// part of its bounds, for what is taken does not count any more.
    pub fn take_run(&mut self, place: usize, most: usize, run: &mut VecDeque<Delivered>) {
        let Some(source) = self.source(place) else {
            return;
        };
        let most = most.min(source.bounds.events as usize / RUN_PART);
        let mut bytes = source.bounds.bytes.min(RUN_BYTES) / RUN_PART as u64;
        while run.len() < most {
            let Some(Some(Item { source, event })) = self.items.front() else {
                return;
            };
            // Where a DROPPED event stands is known, as it may have to merge with another one.
            let event = event.event();
            if *source != u32::try_from(place).ok() || event.kind == EventKind::Dropped {
                return;
            }
            let Some(left) = bytes.checked_sub(u64::from(event.frame_bytes)) else {
                return;
            };
            bytes = left;
            let Some((event, _)) = self.pop() else {
                return;
            };
            run.push_back(event);
        }
    }

    /// Puts the rest of a run back to where it was.
    pub fn give_back(&mut self, place: usize, run: &mut VecDeque<Delivered>) {
        let number = u32::try_from(place).ok();
        while let Some(event) = run.pop_back() {
            if let Some(source) = self.source(place) {
                source.backlog.add(event.event());
            }
            self.items.push_front(Some(Item { source: number, event }));
            self.first -= 1;
        }
    }

    /// The front is an event or there is none.
    #[cold]
    fn trim(&mut self) {
        while matches!(self.items.front(), Some(None)) {
            self.items.pop_front();
            self.first += 1;
            self.holes -= 1;
        }
    }

    /// Takes the events of a client out: the replies that still wait for their handlers, and what goes unseen. Replies to be
    /// pulled stay.
    pub fn take_out(&mut self, source: usize, replies: &mut Vec<Delivered>, discarded: &mut Vec<Delivered>) {
        let source = u32::try_from(source).ok();
        for place in &mut self.items {
            let Some(item) = place.as_mut().filter(|item| item.source == source && source.is_some()) else {
                continue;
            };
            item.source = None;
            match item.event.completion() {
                Some(completion) if !completion.is_callable() => {}
                Some(_) => {
                    replies.extend(place.take().map(|item| item.event));
                    self.holes += 1;
                }
                None if item.event.event().kind == EventKind::Reply => {}
                None => {
                    discarded.extend(place.take().map(|item| item.event));
                    self.holes += 1;
                }
            }
        }
        self.trim();
    }

    /// Takes everything out.
    pub fn clear(&mut self) -> Vec<Delivered> {
        let left = std::mem::take(&mut self.items);
        self.first += left.len() as u64;
        self.holes = 0;
        left.into_iter().flatten().map(|item| item.event).collect()
    }
}

impl Source {
    #[cold]
    fn resume(&mut self) {
        let half_free = self.backlog.events <= self.bounds.events / 2 && self.backlog.bytes <= self.bounds.bytes / 2;
        if half_free {
            self.reading_paused = false;
            if let Some(sink) = &self.sink {
                sink.resume_reading();
            }
        }
    }

    #[inline]
    fn taken(&mut self, event: &Event) {
        if event.kind == EventKind::Dropped {
            if let Some((waiting, _)) = self.dropped.get_mut(&event.channel) {
                *waiting -= 1;
                if *waiting == 0 {
                    self.dropped.remove(&event.channel);
                }
            }
        } else if event.frame_bytes > 0 {
            self.backlog.events -= 1;
            self.backlog.bytes -= u64::from(event.frame_bytes);
            if self.reading_paused {
                self.resume();
            }
        }
    }
}
