//! One client: its session under a lock, its queue, its handlers, and the calls that the C face makes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

use crate::session::hash::FastMap;
use crate::session::{
    Attachment, ChannelId, ChannelState, ClientState, Config, EventKind, Failure, GOODBYE, Session, Time,
    panic_failure, status,
};

use super::announce::News;
use super::delivered::Delivered;
use super::direct::Driver;
use super::driver;
use super::handlers::{Found, Handlers, Registration};
use super::library::Library;
use super::queue::{Bounds, EventQueue, Sink};
use super::shared::{ClientStats, Shared, Traffic};
use super::sync::{Patience, for_all, lock};
use super::target::Target;

/// How long the goodbye of a freed client may go on behind it.
const FREED_GOODBYE: Time = 1_000;

/// Everything that a client is made from.
pub struct Setup {
    /// The session's rules; the client's handle is in it.
    pub config: Config,
    /// Where to, and with what.
    pub target: Target,
    /// The program's queue; `None` = library threads deliver.
    pub queue: Option<Arc<EventQueue>>,
    /// Bound of waiting inbound frames, in events.
    pub inbound_events: u32,
    /// Bound of waiting inbound frames, in bytes.
    pub inbound_bytes: u64,
}

/// What a request ties to its reply.
pub struct Tie {
    /// Its handler, or what ends with the reply; `None`: there is nothing to run.
    pub attachment: Option<Attachment>,
    /// Told by the event.
    pub user_data: usize,
}

/// One client.
pub struct Client {
    key: u64,
    library: Arc<Library>,
    born: Instant,
    pub(super) shared: Mutex<Shared>,
    pub(super) changed: Condvar,
    pub(super) notify: Notify,
    pub(super) queue: Arc<EventQueue>,
    pub(super) source: usize,
    pub(super) target: Mutex<Target>,
    handlers: Arc<Handlers>,
}

/// What the end of a client has to finish.
enum Ending {
    Reply(Delivered),
    Handler(Arc<Registration>),
}

/// The end of a queue at a client: runs its handlers.
struct Outlet {
    handlers: Arc<Handlers>,
    client: std::sync::Weak<Client>,
}

impl Sink for Outlet {
    fn deliver(&self, event: &Delivered, found: &mut Found) {
        if let Some(completion) = event.completion() {
            completion.answer(event.as_event());
        } else if !self.handlers.deliver(event, found) {
            super::report::unhandled(event.event());
        }
    }

    fn resume_reading(&self) {
        if let Some(client) = self.client.upgrade() {
            client.notify.notify_one();
        }
    }
}

impl Client {
    /// A client at rest; no I/O.
    pub fn new(library: Arc<Library>, setup: Setup) -> Arc<Self> {
        let bounds = Bounds {
            events: setup.inbound_events,
            bytes: setup.inbound_bytes,
            dropped: setup.config.queue_limit,
        };
        let queue = setup
            .queue
            .unwrap_or_else(|| EventQueue::new(Arc::clone(library.pool()), true));
        let handlers = Arc::new(Handlers::default());
        let key = setup.config.client;
        Arc::new_cyclic(|client| {
            let outlet = Outlet {
                handlers: Arc::clone(&handlers),
                client: client.clone(),
            };
            let source = queue.attach(Arc::new(outlet), bounds);
            Self {
                key,
                library,
                born: Instant::now(),
                shared: Mutex::new(Shared {
                    session: Session::new(setup.config, driver::seed()),
                    calls: FastMap::default(),
                    calling: 0,
                    answers: 0,
                    watches: Vec::new(),
                    waiting: 0,
                    flushing: 0,
                    driver_runs: false,
                    driver: Driver::default(),
                    news: false,
                    queue_news: News::default(),
                    freed: false,
                    lives: 0,
                    lost: false,
                    outbox: Vec::new(),
                    orphans: Vec::new(),
                    traffic: Traffic::default(),
                }),
                changed: Condvar::new(),
                notify: Notify::new(),
                queue,
                source,
                target: Mutex::new(setup.target),
                handlers,
            }
        })
    }

    /// The client's handle.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The program drains the events itself.
    pub fn has_program_queue(&self) -> bool {
        !self.queue.is_own()
    }

    /// The client's handlers.
    pub fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    /// Where the next dial goes.
    pub fn target(&self) -> &Mutex<Target> {
        &self.target
    }

    /// The threads behind this client.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    pub(super) fn now(&self) -> Time {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment that the session calls `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.born + std::time::Duration::from_millis(time)
    }

    /// Feeds the session, hands its events over and wakes the driver.
    pub(super) fn with<R>(&self, input: impl FnOnce(&mut Session, Time) -> R) -> Result<R, Failure> {
        let mut shared = self.begin()?;
        let now = self.now();
        let result = self.contained(&mut shared, |session| input(session, now));
        self.finish(shared);
        result
    }

    #[inline(never)]
    fn begin(&self) -> Result<MutexGuard<'_, Shared>, Failure> {
        let shared = lock(&self.shared);
        if shared.freed {
            return Err(Failure::new(status::CLOSED, "the client is freed"));
        }
        Ok(shared)
    }

    #[inline(never)]
    fn finish(&self, mut shared: MutexGuard<'_, Shared>) {
        self.drain(&mut shared);
        self.unlock(shared, true);
    }

    /// Unlocks, and then wakes who has to be: the driver, if there is work for it and it is not awake, so that it looks for work
    /// once more before it sleeps; threads that wait for what has happened.
    pub(super) fn unlock(&self, mut shared: MutexGuard<'_, Shared>, work: bool) {
        self.queue.announce(std::mem::take(&mut shared.queue_news));
        self.unlock_announcing(shared, work, News::default());
    }

    /// The same, and tells the queue's side only then. Before the others: who has seen what came after an event finds its
    /// descriptor readable.
    pub(super) fn unlock_announcing(&self, mut shared: MutexGuard<'_, Shared>, work: bool, queue_news: News) {
        let news = std::mem::take(&mut shared.news);
        let wake = work && std::mem::take(&mut shared.driver.asleep);
        drop(shared);
        self.queue.announce(queue_news);
        if wake {
            self.notify.notify_one();
        }
        if news {
            self.changed.notify_all();
        }
    }

    /// Accepts a message.
    pub fn send(&self, id: ChannelId, event: &str, payload: &str) -> Result<(), Failure> {
        let mut shared = self.begin()?;
        let session = &mut shared.session;
        let sent = catch_unwind(AssertUnwindSafe(|| session.send(id, event, payload))).unwrap_or_else(|_| {
            self.lose_session(&mut shared);
            Err(panic_failure())
        });
        // Whoever waits for a state or a flush does not wait for a message more, so that most often nobody has to be told.
        if shared.lost || shared.session.has_events() {
            self.drain(&mut shared);
        }
        self.unlock(shared, true);
        sent
    }

    /// Hands the session's events over. The lock stays held, so that the order of events is the session's. To be followed by
    /// `unlock`.
    pub(super) fn drain(&self, shared: &mut Shared) {
        if !shared.freed {
            // A reply may be a call's.
            if let Some((events, plain)) = shared.session.plain_events(shared.calls.is_empty()) {
                let news = self.queue.push_plain(self.source, events, plain);
                shared.queue_news.add(news);
                shared.answers = shared.answers.saturating_add(plain.replies);
            }
        }
        while let Some(event) = shared.session.poll_event() {
            match event.kind {
                EventKind::ClientState | EventKind::ChannelState => {
                    for watch in &mut shared.watches {
                        watch.see(&event);
                    }
                    shared.outbox.push(Delivered::new(event));
                }
                EventKind::Reply => shared.answer(event),
                _ => shared.outbox.push(Delivered::new(event)),
            }
        }
        if std::mem::take(&mut shared.lost) {
            self.answer_forgotten(shared);
            shared.news = true;
        }
        if shared.freed {
            let replies = shared
                .outbox
                .drain(..)
                .filter(|delivered| delivered.event().kind == EventKind::Reply);
            shared.orphans.extend(replies);
        } else if !shared.outbox.is_empty() {
            let news = self.queue.push(self.source, &mut shared.outbox);
            shared.queue_news.add(news);
        }
        shared.news |= shared.waiting > 0 || shared.flushing > 0 && shared.session.is_flushed();
    }

    /// Dial, unless that is under way.
    pub fn connect(self: &Arc<Self>) -> Result<(), Failure> {
        self.with(|session, now| session.connect(now))?;
        self.run_driver();
        Ok(())
    }

    fn run_driver(self: &Arc<Self>) {
        self.run_driver_for(&mut lock(&self.shared));
    }

    /// Whatever has a deadline needs the driver's clock: dials, and requests also before the first dial.
    pub(super) fn run_driver_for(self: &Arc<Self>, shared: &mut Shared) {
        if !shared.driver_runs && !shared.freed {
            shared.driver_runs = true;
            let client = Arc::clone(self);
            let running = self.library.running();
            self.library.spawn_driver(driver::run(client, running));
        }
    }

    /// LEAVE, flush, Close.
    pub fn disconnect(&self) -> Result<(), Failure> {
        self.with(|session, now| session.disconnect(now, GOODBYE))
    }

    /// Drop the link, keep the channels.
    pub fn suspend(&self) -> Result<(), Failure> {
        self.with(|session, _| session.suspend())
    }

    /// Dial again after suspend.
    pub fn resume(self: &Arc<Self>) -> Result<(), Failure> {
        self.with(|session, now| session.resume(now))?;
        self.run_driver();
        Ok(())
    }

    /// Skip the backoff.
    pub fn reconnect_now(&self) -> Result<(), Failure> {
        self.with(|session, now| session.reconnect_now(now))
    }

    /// Let the dial of that number go ahead.
    pub fn answer_dial(&self, attempt: u32, change: impl FnOnce(&mut Target)) -> Result<(), Failure> {
        self.with(|session, _| {
            session.check_dial(attempt)?;
            change(&mut lock(&self.target));
            session.answer_dial(attempt)
        })?
    }

    /// The newest truth.
    pub fn state(&self) -> ClientState {
        lock(&self.shared).session.state()
    }

    /// What the server called the connection.
    pub fn connection_id(&self) -> Option<String> {
        lock(&self.shared).session.connection_id().map(str::to_owned)
    }

    /// Counters.
    pub fn stats(&self) -> ClientStats {
        let shared = lock(&self.shared);
        ClientStats {
            session: shared.session.stats(),
            backlog: self.queue.backlog(self.source),
            bytes_in: shared.traffic.bytes_in,
            bytes_out: shared.traffic.bytes_out,
            outbound_messages: shared.session.outbound_messages(),
            rtt_us: shared.traffic.rtt_us,
        }
    }

    /// The channel of that name: its tag, and whether it was there already. `make_tag` numbers a new one.
    pub fn channel(
        &self,
        name: &str,
        params: &str,
        make_tag: impl FnOnce(ChannelId) -> Result<u64, Failure>,
    ) -> Result<(u64, bool), Failure> {
        self.with(|session, _| {
            session.check_join(name, params)?;
            if let Some(id) = session.channel_by_name(name) {
                if session.channel_state(id) == ChannelState::Idle || session.channel_state(id).is_terminal() {
                    session.set_join_params(id, params);
                }
                return Ok((session.channel_tag(id), true));
            }
            let id = session.open_channel(name, params);
            match make_tag(id) {
                Ok(tag) => {
                    session.set_channel_tag(id, tag);
                    Ok((tag, false))
                }
                Err(failure) => {
                    session.close_channel(id);
                    Err(failure)
                }
            }
        })?
    }

    /// Ends a channel for good and cancels its handlers.
    pub fn close_channel(&self, id: ChannelId, tag: u64) {
        // A client that is being freed does the same to all its channels.
        let closed = self.with(|session, _| session.close_channel(id));
        if closed.is_err_and(|failure| failure.status == status::PANIC) {
            super::report::panicked();
        }
        // Cancelled while they are listed, so that a free of the client on another thread waits for their end as well; then
        // what was registered meanwhile.
        for take in [Handlers::target, Handlers::remove_target] {
            for_all(take(&self.handlers, tag).iter(), |(_, registration)| {
                registration.cancel(Patience::Forever);
            });
        }
    }

    /// Runs a channel operation of the session.
    pub fn on_session<R>(&self, input: impl FnOnce(&mut Session, Time) -> R) -> Result<R, Failure> {
        self.with(input)
    }

    /// Reads the session.
    pub fn read_session<R>(&self, read: impl FnOnce(&Session) -> R) -> R {
        read(&lock(&self.shared).session)
    }

    /// Accepts a request with its handler. On an error the handler is never called.
    pub fn request(
        self: &Arc<Self>,
        id: ChannelId,
        event: &str,
        payload: &str,
        timeout: Option<Time>,
        ticket: u64,
        tie: Tie,
    ) -> Result<(), Failure> {
        let Tie {
            mut attachment,
            user_data,
        } = tie;
        let mut shared = self.begin()?;
        // The clock is asked for one question at a time. Of many, the driver starts the clocks, whose turn comes at once.
        let now = (shared.session.pending_requests() == 0).then(|| self.now());
        let session = &mut shared.session;
        let asked = AssertUnwindSafe(|| session.request(id, event, payload, timeout, ticket, now));
        let result = catch_unwind(asked).unwrap_or_else(|_| {
            self.lose_session(&mut shared);
            Err(panic_failure())
        });
        if result.is_ok() {
            if user_data != 0 || attachment.is_some() {
                shared.session.tie(ticket, user_data, attachment.take());
            }
        } else {
            shared.forget_reply(ticket);
        }
        self.run_driver_for(&mut shared);
        // One question at a time is in a hurry; many are better written together. The driver must not sleep on over a clock that it
        // has to start.
        let mut written = false;
        if now.is_some() && shared.session.pending_requests() == 1 {
            (shared, written) = self.write_here(shared);
        }
        if written || shared.lost || shared.session.has_events() {
            self.drain(&mut shared);
        }
        self.unlock(shared, !written);
        // Its destroy must not run under the lock.
        drop(attachment);
        result
    }

    /// Ends everything at once: see the shutdown contract, lines 1 to 3.
    pub fn free(&self, patience: Patience) {
        {
            let mut shared = lock(&self.shared);
            if std::mem::replace(&mut shared.freed, true) {
                return;
            }
        }
        // From here on no event reaches the queue; replies are kept as orphans.
        let mut replies = self.queue.detach(self.source, patience);
        {
            let mut shared = lock(&self.shared);
            let now = self.now();
            // What a panic in it leaves behind is answered all the same.
            let goodbye = self.contained(&mut shared, |session| session.disconnect(now, FREED_GOODBYE));
            self.drain(&mut shared);
            replies.append(&mut shared.orphans);
            drop(shared);
            if goodbye.is_err() {
                super::report::panicked();
            }
        }
        self.changed.notify_all();
        self.notify.notify_one();
        let replies = replies.into_iter().map(Ending::Reply);
        let handlers = self.handlers.close();
        let handlers = handlers.into_iter().map(|(_, handler)| Ending::Handler(handler));
        for_all(replies.chain(handlers), |ending| match ending {
            Ending::Reply(reply) => match reply.completion() {
                Some(completion) if completion.is_callable() => completion.answer(reply.as_event()),
                _ => self.queue.push_orphan(reply),
            },
            Ending::Handler(registration) => {
                registration.cancel(patience);
            }
        });
    }
}
