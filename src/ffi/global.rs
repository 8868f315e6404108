//! What the process has one of: the registry of handles and the library behind it, and how both are abandoned after a fork.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Instant;

use crate::client::spares;
use crate::client::sync::{Patience, for_all, forget_callbacks, lock};
use crate::client::{Client, EventQueue, Library, Registration};
use crate::session::{ChannelId, Failure, status};

use super::handle::Registry;
use super::options::Options;
use super::os;

/// What a handle stands for.
#[derive(Clone)]
pub enum Object {
    /// pond_client
    Client(Arc<Client>),
    /// pond_channel
    Channel(Arc<Channel>),
    /// pond_queue
    Queue(Arc<EventQueue>),
    /// pond_subscription
    Subscription(Arc<Subscription>),
    /// pond_options
    Options(Arc<Mutex<Options>>),
}

/// A channel of a client.
pub struct Channel {
    /// Its client.
    pub client: Arc<Client>,
    /// Its number in the session.
    pub id: ChannelId,
    /// Its own key.
    pub key: u64,
    /// Its name.
    pub name: String,
}

/// A registered handler of a client or channel.
pub struct Subscription {
    /// Whose.
    pub client: Arc<Client>,
    /// 0, or the channel's key.
    pub target: u64,
    /// Its number in order of registration.
    pub id: u64,
    /// The handler itself: whoever frees its channel at this moment may have taken it out of the lists.
    pub registration: Arc<Registration>,
}

/// One life of the library in this process.
#[derive(Default)]
pub struct Global {
    registry: RwLock<Registry>,
    libraries: Mutex<Libraries>,
    /// Every queue of the program: its handlers run on the program's threads, where only the queue knows of them.
    queues: Mutex<Vec<Weak<EventQueue>>>,
    /// The sink of pond_log_set.
    pub log: RwLock<Option<Arc<Registration>>>,
}

#[derive(Default)]
struct Libraries {
    running: Option<Arc<Library>>,
    /// Shut down in vain so far.
    stopping: Vec<Arc<Library>>,
}

static CURRENT: AtomicPtr<Global> = AtomicPtr::new(std::ptr::null_mut());
static FORKED: AtomicBool = AtomicBool::new(false);
static AT_FORK: Once = Once::new();
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// The current life. Made when first asked for, never freed.
pub fn global() -> &'static Global {
    let mut current = CURRENT.load(Ordering::Acquire);
    if current.is_null() {
        let fresh = Box::into_raw(Box::<Global>::default());
        match CURRENT.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => current = fresh,
            Err(other) => {
                // SAFETY: `fresh` came from Box::into_raw above and nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                current = other;
            }
        }
    }
    // SAFETY: a Global that is once in CURRENT is leaked on purpose, so it lives to the end of the process.
    unsafe { &*current }
}

/// This process is a forked child that has not called pond_shutdown.
pub fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Marks a forked child: its threads are gone and any lock may be held for ever.
pub fn mark_forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Leaves behind everything that the parent had and starts anew.
pub fn abandon() {
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
    forget_callbacks();
    FORKED.store(false, Ordering::Relaxed);
}

/// A number that is unique in the process and below 2^53: tickets, order of registration.
pub fn number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

fn stale(what: &str) -> Failure {
    Failure::new(
        status::INVALID_HANDLE,
        format!("the {what} handle is NULL, freed, or of another type"),
    )
}

impl Global {
    /// The registry, to look up.
    pub fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry, to change.
    pub fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running library, started when first asked for.
    pub fn library(&self) -> Result<Arc<Library>, Failure> {
        let mut libraries = lock(&self.libraries);
        if let Some(library) = &libraries.running {
            return Ok(Arc::clone(library));
        }
        AT_FORK.call_once(os::watch_forks);
        crate::client::threads::set_spawn_guard(os::with_signals_blocked);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        crate::client::signal::set_maker(os::event_descriptor);
        let library = Library::start().map_err(|error| {
            Failure::new(
                status::NO_MEMORY,
                format!("the library's thread could not be started: {error}"),
            )
        })?;
        libraries.running = Some(Arc::clone(&library));
        Ok(library)
    }

    /// Registers something that lives on the running library. Not on one that a pond_shutdown ends meanwhile: nobody would
    /// serve it, and nobody would free it.
    pub fn insert(&self, make: impl FnOnce(u64, Arc<Library>) -> Object) -> Result<u64, Failure> {
        loop {
            let library = self.library()?;
            let mut registry = self.registry_mut();
            let running = lock(&self.libraries).running.clone();
            if running.is_some_and(|running| Arc::ptr_eq(&running, &library)) {
                return registry.insert([0; 2], |key| make(key, library));
            }
        }
    }

    /// Registers a new queue. pond_shutdown knows of it also after its handle is gone.
    pub fn insert_queue(&self) -> Result<u64, Failure> {
        self.insert(|_, library| {
            let queue = EventQueue::new(Arc::clone(library.pool()), false);
            let mut queues = lock(&self.queues);
            if queues.len() == queues.capacity() {
                queues.retain(|queue| queue.strong_count() > 0);
            }
            queues.push(Arc::downgrade(&queue));
            Object::Queue(queue)
        })
    }

    /// Frees everything and joins every thread. False: something still runs at the deadline.
    pub fn shutdown(&self, deadline: Option<Instant>) -> bool {
        let patience = deadline.map_or(Patience::Forever, Patience::Until);
        let (objects, known_queues, libraries) = {
            // All at once, so that whatever is made meanwhile belongs either to this end or to the next life.
            let mut registry = self.registry_mut();
            let mut libraries = lock(&self.libraries);
            let running = libraries.running.take();
            libraries.stopping.extend(running);
            (
                registry.clear(),
                std::mem::take(&mut *lock(&self.queues)),
                libraries.stopping.clone(),
            )
        };
        // Queues behind their clients. One that fails must not keep the others from ending.
        let (queues, others): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| matches!(object, Object::Queue(_)));
        for_all(others.into_iter().chain(queues), |object| match object {
            Object::Client(client) => client.free(patience),
            Object::Queue(queue) => {
                queue.close(patience);
            }
            Object::Channel(_) | Object::Subscription(_) | Object::Options(_) => {}
        });
        let mut all = true;
        for queue in known_queues {
            if queue.upgrade().is_some_and(|queue| !queue.rest(deadline)) {
                lock(&self.queues).push(queue);
                all = false;
            }
        }
        for library in &libraries {
            all &= library.shutdown(deadline);
        }
        spares::clear();
        if all {
            lock(&self.libraries)
                .stopping
                .retain(|library| !libraries.iter().any(|done| Arc::ptr_eq(done, library)));
            let sink = self.log.write().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(sink) = sink {
                all = sink.cancel(patience);
            }
        }
        all
    }
}

/// Looks a client up. (Not inlined, like its sisters: every entry calls one of them, and the library is to stay small.)
#[inline(never)]
pub fn client(key: u64) -> Result<Arc<Client>, Failure> {
    match global().registry().get(key) {
        Some(Object::Client(client)) => Ok(Arc::clone(client)),
        _ => Err(stale("client")),
    }
}

/// Looks a channel up.
#[inline(never)]
pub fn channel(key: u64) -> Result<Arc<Channel>, Failure> {
    match global().registry().get(key) {
        Some(Object::Channel(channel)) => Ok(Arc::clone(channel)),
        _ => Err(stale("channel")),
    }
}

/// Looks a queue up.
#[inline(never)]
pub fn queue(key: u64) -> Result<Arc<EventQueue>, Failure> {
    match global().registry().get(key) {
        Some(Object::Queue(queue)) => Ok(Arc::clone(queue)),
        _ => Err(stale("queue")),
    }
}

/// Looks options up.
#[inline(never)]
pub fn options(key: u64) -> Result<Arc<Mutex<Options>>, Failure> {
    match global().registry().get(key) {
        Some(Object::Options(options)) => Ok(Arc::clone(options)),
        _ => Err(stale("options")),
    }
}

/// Takes a handle out of the registry with everything that it owns; what is taken is let go without any lock.
#[inline(never)]
pub fn remove(key: u64, what: &str, is_right: fn(&Object) -> bool) -> Result<Object, Failure> {
    let taken = global().registry_mut().remove(key, is_right);
    match taken {
        Some((object, _owned)) => Ok(object),
        None => Err(stale(what)),
    }
}
