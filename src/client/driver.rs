//! The task behind a client: turns the socket and the clock into inputs of the session, and its outputs into bytes.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

use crate::session::{self, Action, ClientState, Failure, Time, status};

use super::announce::News;
use super::core::Client;
use super::dialing::{Dialing, Failed, describe, dial_target, failed};
use super::library::Running;
use super::net::{Inbound, Link, LinkEnd};
use super::report;
use super::shared::Shared;
use super::spares;
use super::sync::lock;

/// Frames handled under one lock: nearly always all that were read at once, for a second batch would wake its reader once more.
const BATCH: u32 = 1024;
/// Bytes that may wait in the link's own buffer before no more frames are taken from the session.
const WRITE_MARK: usize = 128 * 1024;
/// While the socket has more than one read takes, whoever takes events is told of several reads at once: of so many, or of the one
/// with which there are so many messages.
const UNTOLD_READS: u32 = 4;
const UNTOLD_MESSAGES: u32 = 128;
/// Who has sent more frames than this in one turn is taken to go on: an answer or two, or a window of requests, is not that.
const STREAM: u32 = 64;

/// Randomness for a session's ids and jitter. The keys of a `RandomState` count on from the first one of a thread, so that forked
/// children would all get the same ones: the process and the moment make them differ.
pub(super) fn seed() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    Instant::now().hash(&mut hasher);
    hasher.finish()
}

/// What the socket brought.
enum Io {
    Read,
    Flushed,
    Ended(LinkEnd),
}

/// Reads, and messages from them, that wait in the queue.
#[derive(Default)]
struct Untold {
    reads: u32,
    messages: u32,
}

struct Driver {
    client: Arc<Client>,
    tag: u64,
    dialing: Option<Dialing>,
    link: Option<Link>,
    /// Frames that may be read now; 0 = the program has to drain its events first.
    room: u32,
    paused: bool,
    pinged_at: Option<(u64, Instant)>,
    told: ClientState,
    /// Several replies were handed over: whoever got them may ask on, and what is asked before the next turn needs no waking and
    /// is written together.
    lingers: bool,
    /// Many frames were taken: whoever sends goes on sending, most likely, and need not wake anybody while that is so.
    streams: bool,
    /// The system takes no more for now.
    blocked: bool,
    /// What nobody is told of yet: the next turn comes at once, and may bring more.
    untold: Untold,
    /// The life of the session that the link belongs to.
    life: u32,
    /// When the next turn is due. It is not put off when a deadline is: one turn too many costs less than a new alarm for each
    /// request.
    wakes_at: Option<Time>,
    /// Rings at that moment.
    clock: Option<Pin<Box<Sleep>>>,
}

/// What ended a wait.
enum Came {
    Io(Io),
    Dialled(Box<Result<Link, Failed>>),
    Other,
}

/// Drives a client until it is freed and its goodbye is over. A panic ends the link and is told.
pub(super) async fn run(client: Arc<Client>, _running: Running) {
    let panicked = {
        let mut task = pin!(drive(Arc::clone(&client)));
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|()| false),
            Err(_) => Poll::Ready(true),
        })
        .await
    };
    if panicked {
        client.driver_panicked();
        report::panicked();
    }
}

async fn drive(client: Arc<Client>) {
    let tag = client.read_session(|session| session.config().client);
    let mut driver = Driver {
        client,
        tag,
        dialing: None,
        link: None,
        room: BATCH,
        paused: false,
        pinged_at: None,
        told: ClientState::Disconnected,
        lingers: false,
        streams: false,
        blocked: false,
        untold: Untold::default(),
        life: 0,
        wakes_at: None,
        clock: None,
    };
    driver.life = lock(&driver.client.shared).lives;
    let mut came = Came::Other;
    while driver.turn(came) {
        if driver.lingers {
            std::thread::yield_now();
            came = Came::Other;
        } else if driver.untold.reads > 0 {
            came = driver.look().await.map_or(Came::Other, Came::Io);
        } else if driver.streams {
            came = driver.stream().await;
        } else {
            came = driver.wait().await;
        }
    }
}

impl Driver {
    /// One round with the session: what has come, what is due, what it wants done, what it wants written. False: the work is over.
    fn turn(&mut self, came: Came) -> bool {
        let client = Arc::clone(&self.client);
        let mut shared = lock(&client.shared);
        let shared_now = &mut *shared;
        shared_now.driver.asleep = false;
        let before = std::mem::take(&mut self.untold);
        let now = client.now();
        crate::inject::point("driver");
        if self.follow(shared_now) {
            // What others write, or could not write, comes before everything else.
            if let Some(link) = &mut self.link {
                link.hold(shared_now.driver.lent.is_some());
                if let Some(writer) = &mut shared_now.driver.writer {
                    link.take_over(writer);
                }
            }
            match came {
                Came::Io(io) => self.io(shared_now, io, before, now),
                Came::Dialled(result) => self.dialled(shared_now, *result, now),
                Came::Other => {}
            }
        }
        shared_now.session.tick(now);
        while let Some(action) = shared_now.session.poll_action() {
            self.act(shared_now, action, now);
        }
        let took = self.write(shared_now);
        client.drain(shared_now);
        self.make_room(shared_now, now);
        client.drain(shared_now);
        let session = &shared_now.session;
        let over = shared_now.freed && !session.is_linked();
        let state = session.state();
        let failure = session.last_failure().map(|failure| failure.status);
        self.set_clock(session.deadline(), now);
        self.lingers = std::mem::take(&mut shared_now.answers) > 1 && !over;
        self.streams = took > STREAM && !self.blocked && !over;
        self.blocked = false;
        if self.lingers || self.streams || over || self.room == 0 {
            self.untold = Untold::default();
        }
        let tells = self.untold.reads == 0;
        let driver = &mut shared_now.driver;
        driver.asleep = !self.lingers && !self.streams && tells;
        driver.wakes_at = self.wakes_at;
        driver.link_rests = self.room > 0 && self.link.as_ref().is_some_and(Link::lets_write);
        let news = if tells {
            std::mem::take(&mut shared.queue_news)
        } else {
            News::default()
        };
        client.unlock_announcing(shared, false, news);
        if state != self.told {
            self.told = state;
            report::connection(self.tag, state, failure);
        }
        !over
    }

    fn set_clock(&mut self, deadline: Option<Time>, now: Time) {
        match (self.wakes_at, deadline) {
            (Some(at), Some(deadline)) if at > now && at <= deadline => return,
            _ => {}
        }
        self.wakes_at = deadline;
        if let Some(time) = deadline {
            let at = self.client.instant(time).into();
            match &mut self.clock {
                Some(clock) => clock.as_mut().reset(at),
                None => self.clock = Some(Box::pin(sleep_until(at))),
            }
        }
    }

    /// A session that a panic has cost left a link behind that the new one does not know. False: whatever came is of that link.
    fn follow(&mut self, shared: &mut Shared) -> bool {
        let same = self.life == shared.lives;
        if !same {
            self.life = shared.lives;
            self.dialing = None;
            self.forget_link(shared);
        }
        same
    }

    fn forget_link(&mut self, shared: &mut Shared) {
        self.link = None;
        self.paused = false;
        self.pinged_at = None;
        shared.driver.forget_link();
    }

    fn act(&mut self, shared: &mut Shared, action: Action, now: Time) {
        match action {
            Action::Dial { attempt } => {
                self.forget_link(shared);
                self.dialing = Some(Box::pin(dial_target(Arc::clone(&self.client), self.tag, attempt)));
            }
            Action::Abort => {
                if let Some(link) = &mut self.link {
                    // The best that can be done without waiting.
                    let _ = link.push_close(1001);
                    poll_once(link);
                }
                if self.dialing.take().is_some() || self.link.is_some() {
                    self.end(
                        shared,
                        now,
                        failed(status::CONNECTION_LOST, "the connection was dropped"),
                        0,
                        None,
                    );
                }
            }
            Action::Close => {
                let _ = self.write(shared);
                if let Some(link) = &mut self.link {
                    let _ = link.push_close(1000);
                }
            }
            Action::Ping(serial) => {
                if let Some(link) = &mut self.link {
                    let _ = link.push_ping(&serial.to_be_bytes());
                    self.pinged_at = Some((serial, Instant::now()));
                }
            }
        }
    }

    /// Takes frames from the session into the link's buffer, and says how many.
    fn write(&mut self, shared: &mut Shared) -> u32 {
        let mut taken = 0;
        let Some(link) = &mut self.link else {
            return taken;
        };
        if shared.driver.lent.is_some() {
            let rests = shared.session.state() == ClientState::Connected && link.buffered() == 0;
            shared.driver.held = !rests || shared.session.has_frames();
            return taken;
        }
        while link.buffered() < WRITE_MARK {
            let Some(frame) = shared.session.take_frame() else {
                break;
            };
            // A link that cannot be written any more tells so when it is read; the session keeps account of the frame.
            if link.push_text(frame).is_err() {
                break;
            }
            taken += 1;
        }
        taken
    }

    fn make_room(&mut self, shared: &mut Shared, now: Time) {
        if shared.freed {
            self.room = BATCH;
            return;
        }
        let client = &self.client;
        let room = |factor| client.queue.room(client.source, factor).min(BATCH);
        let factor = if shared.calls.is_empty() { 1 } else { 2 };
        self.room = room(factor);
        shared.driver.reads_for_calls = factor == 2 && room(1) < self.room;
        if self.room == 0 && factor == 2 {
            client.fail_calls(shared);
        }
        let paused = self.room == 0 && self.link.is_some();
        if paused != self.paused {
            self.paused = paused;
            shared.session.reading_paused(paused, now);
        }
    }

    /// Waits for the socket, the dial, a call of the program, or the clock.
    async fn wait(&mut self) -> Came {
        let notified = self.client.notify.notified();
        let clock = async {
            match (&mut self.clock, self.wakes_at) {
                (Some(clock), Some(_)) => clock.as_mut().await,
                _ => std::future::pending().await,
            }
        };
        // The socket first: a program that never stops sending must not keep us from flushing.
        tokio::select! {
            biased;
            io = poll_link(&mut self.link, self.room) => Came::Io(io),
            result = poll_dial(&mut self.dialing) => Came::Dialled(Box::new(result)),
            () = notified => Came::Other,
            () = clock => Came::Other,
        }
    }

    /// What the socket has now, if anything.
    async fn look(&mut self) -> Option<Io> {
        poll_fn(|cx| match pin!(poll_link(&mut self.link, self.room)).poll(cx) {
            Poll::Ready(io) => Poll::Ready(Some(io)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Writes what was taken and lets others run, but does not sleep: on one core each waking would cost the sender its turn, and
    /// lead to a small write.
    async fn stream(&mut self) -> Came {
        let io = self.look().await;
        self.blocked = io.is_none();
        match io {
            Some(io @ (Io::Read | Io::Ended(_))) => Came::Io(io),
            Some(Io::Flushed) => {
                std::thread::yield_now();
                // Only the runtime looks whether the socket can be read.
                tokio::task::yield_now().await;
                Came::Io(Io::Flushed)
            }
            None => Came::Other,
        }
    }

    fn dialled(&mut self, shared: &mut Shared, result: Result<Link, Failed>, now: Time) {
        self.dialing = None;
        match result {
            Ok(link) => {
                shared.driver.writer = link.writer();
                shared.driver.link_frames = 0;
                self.link = Some(link);
                shared.session.upgraded(now);
            }
            Err(Failed { failure, retry_after }) => self.end(shared, now, failure, 0, retry_after),
        }
    }

    fn io(&mut self, shared: &mut Shared, io: Io, untold: Untold, now: Time) {
        self.account(shared);
        match io {
            Io::Read => self.read(shared, untold, now),
            Io::Flushed => {}
            Io::Ended(end) => {
                let (failure, code) = describe(end);
                self.end(shared, now, failure, code, None);
            }
        }
    }

    /// Feeds the session a batch of what was read.
    fn read(&mut self, shared: &mut Shared, untold: Untold, now: Time) {
        let Some(link) = &mut self.link else {
            return;
        };
        let Shared { session, traffic, .. } = shared;
        session.traffic(now);
        spares::lend(session.spares());
        let count = link.take(self.room, |inbound| match inbound {
            Inbound::Text(text) => session.text_frame(text, now),
            Inbound::Binary(bytes) => session.binary_frame(bytes, now),
            Inbound::Pong(payload) => {
                let serial = payload.try_into().map(u64::from_be_bytes).unwrap_or(0);
                session.pong(serial);
                if let Some((_, at)) = self.pinged_at.take_if(|(sent, _)| *sent == serial) {
                    let rtt = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
                    traffic.rtt_us = rtt.max(1);
                }
            }
            Inbound::Ping => {}
        });
        let (reads, messages) = (untold.reads + 1, untold.messages + count);
        if link.has_more() && reads < UNTOLD_READS && messages < UNTOLD_MESSAGES {
            self.untold = Untold { reads, messages };
        }
        spares::take_back(session.spares());
    }

    /// Tells the session what is handed over, and counts bytes.
    fn account(&mut self, shared: &mut Shared) {
        let Some(link) = &self.link else {
            return;
        };
        let (frames, bytes) = shared.driver.written_by_others();
        shared.driver.link_frames = link.handed_over();
        shared.session.handed_over(link.handed_over() + frames);
        shared.traffic.bytes_in = shared.traffic.past_in + link.bytes_in();
        shared.traffic.bytes_out = shared.traffic.past_out + link.bytes_out() + bytes;
    }

    fn end(&mut self, shared: &mut Shared, now: Time, failure: Failure, code: u16, retry_after: Option<Time>) {
        self.account(shared);
        if let Some(link) = &self.link {
            // What is being written just now must not be sent again.
            let (known, _) = shared.driver.written_by_others();
            let (frames, bytes) = shared.driver.written_perhaps();
            shared.session.handed_over(link.handed_over() + known + frames);
            shared.traffic.bytes_out += bytes;
        }
        shared.traffic.past_in = shared.traffic.bytes_in;
        shared.traffic.past_out = shared.traffic.bytes_out;
        self.forget_link(shared);
        shared.session.link_ended(
            now,
            session::LinkEnd {
                failure,
                close_code: code,
                retry_after,
            },
        );
    }
}

async fn poll_dial(dialing: &mut Option<Dialing>) -> Result<Link, Failed> {
    match dialing {
        Some(dialing) => dialing.await,
        None => std::future::pending().await,
    }
}

async fn poll_link(link: &mut Option<Link>, room: u32) -> Io {
    let Some(link) = link else {
        return std::future::pending().await;
    };
    poll_fn(|cx| {
        let mut flushed = false;
        if link.wants_flush() {
            // The end of a link that cannot be written shows when it is read.
            flushed = matches!(link.poll_flush(cx), Poll::Ready(Ok(_)));
        }
        if room > 0 {
            match link.poll_read(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Io::Read),
                Poll::Ready(Err(end)) => return Poll::Ready(Io::Ended(end)),
                Poll::Pending => {}
            }
        } else {
            link.rest();
        }
        if flushed {
            Poll::Ready(Io::Flushed)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// One attempt to write what is buffered.
fn poll_once(link: &mut Link) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = link.poll_flush(&mut cx);
}
