//! Registered handlers: found when an event is delivered, run in order of registration, destroyed exactly once.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crate::inject;
use crate::protocol::Pattern;
use crate::session::hash::FastMap;
use crate::session::{Event, EventKind, Field};

use super::delivered::Delivered;
use super::sync::{Patience, in_callback, lock, wait_until};

/// User code behind a registration. The C face implements it.
pub trait Callback: Send + Sync {
    /// Runs the handler.
    fn call(&self, event: &Event);
    /// Releases the user data.
    fn destroy(&self);
    /// There is a handler to run, not only user data to release.
    fn is_callable(&self) -> bool;
}

/// Which events a handler wants.
#[derive(Debug)]
#[allow(missing_docs)] // they are the registering functions of the header
pub enum Selector {
    ClientState,
    ClientError,
    ClientMessage,
    Dial,
    Message,
    Event(Box<Pattern>),
    ChannelState,
    Join,
    Leave,
    PresenceChange,
    UsersChange,
    ChannelError,
    Dropped,
    Writable,
    /// A queue has become not empty.
    Wake,
    /// A line of the log.
    Log,
}

impl Selector {
    #[inline(always)]
    fn wants(&self, event: &Event) -> bool {
        let presence = |kind: i32| event.kind == EventKind::Presence && event.presence_kind == kind;
        match self {
            Self::ClientState => event.kind == EventKind::ClientState,
            Self::ClientError => event.kind == EventKind::ClientError,
            Self::ClientMessage => event.kind == EventKind::ClientMessage,
            Self::Dial => event.kind == EventKind::Dial,
            Self::Message | Self::Event(_) => event.kind == EventKind::Message,
            Self::ChannelState => event.kind == EventKind::ChannelState,
            Self::Join => presence(1),
            Self::PresenceChange => presence(2),
            Self::Leave => presence(3),
            Self::UsersChange => event.kind == EventKind::Presence,
            Self::ChannelError => event.kind == EventKind::ChannelError,
            Self::Dropped => event.kind == EventKind::Dropped,
            Self::Writable => event.kind == EventKind::Writable,
            Self::Wake | Self::Log => false,
        }
    }
}

// A registration's life, in one word: how many calls run, and what has become of it.
const RUNNING: u32 = (1 << 28) - 1;
/// Somebody waits for `DESTROYED`.
const AWAITED: u32 = 1 << 28;
const CANCELLED: u32 = 1 << 29;
const DESTROYING: u32 = 1 << 30;
const DESTROYED: u32 = 1 << 31;

/// One registered handler.
pub struct Registration {
    selector: Selector,
    callback: Box<dyn Callback>,
    life: AtomicU32,
    /// Held by who waits, from its look at `life` until it is asleep.
    waits: Mutex<()>,
    ended: Condvar,
}

impl Registration {
    /// A registration that nobody has cancelled yet.
    pub fn new(selector: Selector, callback: Box<dyn Callback>) -> Arc<Self> {
        Arc::new(Self {
            selector,
            callback,
            life: AtomicU32::new(0),
            waits: Mutex::new(()),
            ended: Condvar::new(),
        })
    }

    /// Runs the handler unless it is cancelled. No lock is held meanwhile.
    pub fn run(&self, event: &Delivered) {
        let enter = |life| (life & CANCELLED == 0).then_some(life + 1);
        if self.life.fetch_update(AcqRel, Acquire, enter).is_err() {
            return;
        }
        let running = Running(self);
        inject::point("callback");
        in_callback(|| self.callback.call(event.as_event()));
        drop(running);
    }

    /// The handler is not called any more. True: it has returned and destroy has run; else the thread that runs it now
    /// does the rest.
    pub fn cancel(&self, patience: Patience) -> bool {
        let life = self.life.fetch_or(CANCELLED, AcqRel);
        if life & DESTROYED != 0 {
            return true;
        }
        if life & RUNNING == 0 {
            self.destroy();
        }
        if let Some(deadline) = patience.deadline() {
            self.wait_destroyed(deadline);
        }
        self.life.load(Acquire) & DESTROYED != 0
    }

    fn wait_destroyed(&self, deadline: Option<Instant>) {
        let mut waits = lock(&self.waits);
        let mut life = self.life.fetch_or(AWAITED, AcqRel);
        let mut in_time = true;
        while life & DESTROYED == 0 && in_time {
            (waits, in_time) = wait_until(&self.ended, waits, deadline);
            life = self.life.load(Acquire);
        }
    }

    fn destroy(&self) {
        inject::point("destroy");
        if self.life.fetch_or(DESTROYING, AcqRel) & DESTROYING != 0 {
            return;
        }
        let destroying = Destroying(self);
        in_callback(|| self.callback.destroy());
        drop(destroying);
    }
}

/// A handler runs. Also after a panic its end is seen, or the one who cancels would wait for ever.
struct Running<'a>(&'a Registration);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let life = self.0.life.fetch_sub(1, AcqRel);
        if life & (CANCELLED | RUNNING) == CANCELLED | 1 {
            self.0.destroy();
        }
    }
}

/// The destroy runs; the same for whoever waits for it.
struct Destroying<'a>(&'a Registration);

impl Drop for Destroying<'_> {
    fn drop(&mut self) {
        let life = self.0.life.fetch_or(DESTROYED, AcqRel);
        // Each notification is a system call, and hardly ever does anybody wait.
        if life & AWAITED != 0 {
            drop(lock(&self.0.waits));
            self.0.ended.notify_all();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A registration that never came to life, or whose event was discarded.
        if self.life.load(Acquire) & DESTROYING == 0 {
            self.cancel(Patience::None);
        }
    }
}

type List = Arc<Vec<(u64, Arc<Registration>)>>;

/// The handlers of one client and its channels.
#[derive(Default)]
pub struct Handlers {
    lists: Mutex<Lists>,
    /// How often the lists have changed: an event need not look for its handlers where the one before has found them.
    changes: AtomicUsize,
}

/// The handlers of so many targets are looked at without the lock; more would be too many to copy when they change meanwhile.
pub(super) const FEW: usize = 256;

/// By target: 0 = the client, else the channel's handle.
type Targets = FastMap<u64, List>;

/// Where the handlers of the last event were found, for the next one of the same client.
#[derive(Default)]
pub struct Found {
    /// How often the lists had changed.
    changes: Option<usize>,
    /// All of them, if they are few.
    few: Option<Arc<Targets>>,
    /// Else those of one target.
    list: Option<(u64, Option<List>)>,
}

#[derive(Default)]
struct Lists {
    /// Shared with whoever delivers just now: a change makes a copy then.
    by_target: Arc<Targets>,
    closed: bool,
}

impl Lists {
    /// To be changed.
    #[inline(never)]
    fn targets(&mut self) -> &mut Targets {
        Arc::make_mut(&mut self.by_target)
    }
}

impl Handlers {
    fn change(&self) -> MutexGuard<'_, Lists> {
        let lists = lock(&self.lists);
        self.changes.fetch_add(1, Release);
        lists
    }

    /// Adds a handler under a number of its own. False: its client is being freed.
    pub fn add(&self, target: u64, id: u64, registration: &Arc<Registration>) -> bool {
        let mut lists = self.change();
        if lists.closed {
            return false;
        }
        // The list is shared with whoever delivers just now, so a new one takes its place.
        let list = lists.targets().entry(target).or_default();
        let mut copy = Vec::with_capacity(list.len() + 1);
        copy.extend(list.iter().cloned());
        copy.push((id, Arc::clone(registration)));
        *list = Arc::new(copy);
        true
    }

    /// Takes a handler out; it is not cancelled yet.
    pub fn remove(&self, target: u64, id: u64) -> Option<Arc<Registration>> {
        let mut lists = self.change();
        let targets = lists.targets();
        let list = targets.get_mut(&target)?;
        let found = list.iter().find(|(other, _)| *other == id)?.1.clone();
        if list.len() == 1 {
            targets.remove(&target);
        } else {
            *list = Arc::new(list.iter().filter(|(other, _)| *other != id).cloned().collect());
        }
        Some(found)
    }

    /// All handlers of a target.
    pub fn target(&self, target: u64) -> List {
        lock(&self.lists).by_target.get(&target).cloned().unwrap_or_default()
    }

    /// Takes all handlers of a target out.
    pub fn remove_target(&self, target: u64) -> List {
        self.change().targets().remove(&target).unwrap_or_default()
    }

    /// Takes everything out, for good.
    pub fn close(&self) -> Vec<(u64, Arc<Registration>)> {
        let mut lists = self.change();
        lists.closed = true;
        let targets = std::mem::take(&mut lists.by_target);
        drop(lists);
        let mut all = Vec::new();
        for list in targets.values() {
            all.extend(list.iter().cloned());
        }
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Runs every handler that wants this event; true when there was one.
    pub fn deliver(&self, event: &Delivered, found: &mut Found) -> bool {
        let target = event.event().channel;
        if found.changes != Some(self.changes.load(Acquire)) {
            let lists = lock(&self.lists);
            found.few = (lists.by_target.len() <= FEW).then(|| Arc::clone(&lists.by_target));
            found.list = None;
            found.changes = Some(self.changes.load(Acquire));
        }
        let list = match (&found.few, &mut found.list) {
            (Some(few), _) => few.get(&target),
            (None, Some((of, list))) if *of == target => list.as_ref(),
            (None, other) => {
                let list = lock(&self.lists).by_target.get(&target).cloned();
                other.insert((target, list)).1.as_ref()
            }
        };
        let Some(list) = list else {
            return false;
        };
        let mut taken = false;
        for (_, registration) in list.iter() {
            if !registration.selector.wants(event.event()) {
                continue;
            }
            if let Selector::Event(pattern) = &registration.selector {
                let name = event.event().text(Field::Name).unwrap_or_default();
                let Some(route) = pattern.matches(name) else {
                    continue;
                };
                if route.params.is_empty() && route.query.is_empty() {
                    registration.run(event);
                } else {
                    registration.run(&Delivered::matched(event, route));
                }
            } else {
                registration.run(event);
            }
            taken = true;
        }
        taken
    }
}
