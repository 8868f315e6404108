//! Registered handlers: found when an event is delivered, run in order of registration, destroyed exactly once.

use std::sync::{Arc, Condvar, Mutex};

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
    Event(Pattern),
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

#[derive(Default)]
struct Life {
    cancelled: bool,
    running: u32,
    destroying: bool,
    destroyed: bool,
    /// Threads that wait for `destroyed`.
    awaiting: u32,
}

/// One registered handler.
pub struct Registration {
    selector: Selector,
    callback: Box<dyn Callback>,
    life: Mutex<Life>,
    ended: Condvar,
}

impl Registration {
    /// A registration that nobody has cancelled yet.
    pub fn new(selector: Selector, callback: Box<dyn Callback>) -> Arc<Self> {
        Arc::new(Self {
            selector,
            callback,
            life: Mutex::new(Life::default()),
            ended: Condvar::new(),
        })
    }

    /// Runs the handler unless it is cancelled. No lock is held meanwhile.
    pub fn run(&self, event: &Delivered) {
        {
            let mut life = lock(&self.life);
            if life.cancelled {
                return;
            }
            life.running += 1;
        }
        let running = Running(self);
        inject::point("callback");
        in_callback(|| self.callback.call(event.as_event()));
        drop(running);
    }

    /// The handler is not called any more. True: it has returned and destroy has run; else the thread that runs it now
    /// does the rest.
    pub fn cancel(&self, patience: Patience) -> bool {
        let mut life = lock(&self.life);
        life.cancelled = true;
        if life.running == 0 {
            drop(life);
            self.destroy();
            life = lock(&self.life);
        }
        if let Some(deadline) = patience.deadline() {
            let mut in_time = true;
            while !life.destroyed && in_time {
                life.awaiting += 1;
                (life, in_time) = wait_until(&self.ended, life, deadline);
                life.awaiting -= 1;
            }
        }
        life.destroyed
    }

    fn destroy(&self) {
        inject::point("destroy");
        {
            let mut life = lock(&self.life);
            if life.destroying {
                return;
            }
            life.destroying = true;
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
        let mut life = lock(&self.0.life);
        life.running -= 1;
        if life.cancelled && life.running == 0 {
            drop(life);
            self.0.destroy();
        }
    }
}

/// The destroy runs; the same for whoever waits for it.
struct Destroying<'a>(&'a Registration);

impl Drop for Destroying<'_> {
    fn drop(&mut self) {
        let mut life = lock(&self.0.life);
        life.destroyed = true;
        // Each notification is a system call, and hardly ever does anybody wait.
        if life.awaiting > 0 {
            self.0.ended.notify_all();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A registration that never came to life, or whose event was discarded.
        if !lock(&self.life).destroying {
            self.cancel(Patience::None);
        }
    }
}

type List = Arc<Vec<(u64, Arc<Registration>)>>;

/// The handlers of one client and its channels.
#[derive(Default)]
pub struct Handlers {
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    /// By target: 0 = the client, else the channel's handle.
    by_target: FastMap<u64, List>,
    closed: bool,
}

impl Handlers {
    /// Adds a handler under a number of its own. False: its client is being freed.
    pub fn add(&self, target: u64, id: u64, registration: &Arc<Registration>) -> bool {
        let mut lists = lock(&self.lists);
        if lists.closed {
            return false;
        }
        // The list is shared with whoever delivers just now, so a new one takes its place.
        let list = lists.by_target.entry(target).or_default();
        let mut copy = Vec::with_capacity(list.len() + 1);
        copy.extend(list.iter().cloned());
        copy.push((id, Arc::clone(registration)));
        *list = Arc::new(copy);
        true
    }

    /// Takes a handler out; it is not cancelled yet.
    pub fn remove(&self, target: u64, id: u64) -> Option<Arc<Registration>> {
        let mut lists = lock(&self.lists);
        let list = lists.by_target.get_mut(&target)?;
        let found = list.iter().find(|(other, _)| *other == id)?.1.clone();
        if list.len() == 1 {
            lists.by_target.remove(&target);
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
        lock(&self.lists).by_target.remove(&target).unwrap_or_default()
    }

    /// Takes everything out, for good.
    pub fn close(&self) -> Vec<(u64, Arc<Registration>)> {
        let mut lists = lock(&self.lists);
        lists.closed = true;
        let mut all: Vec<_> = lists
            .by_target
            .drain()
            .flat_map(|(_, list)| list.iter().cloned().collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Runs every handler that wants this event; true when there was one.
    pub fn deliver(&self, event: &Delivered) -> bool {
        let target = event.event().channel;
        let Some(list) = lock(&self.lists).by_target.get(&target).cloned() else {
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
