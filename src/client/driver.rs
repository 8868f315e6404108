//! The task behind a client: turns the socket and the clock into inputs of the session, and its outputs into bytes.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use crate::session::{self, Action, ClientState, Failure, Time, status};

use super::core::{Client, Shared};
use super::net::{DialError, DialErrorKind, Inbound, Link, LinkEnd, dial};
use super::report;
use super::sync::lock;

/// Frames handled under one lock.
const BATCH: u32 = 512;
/// Bytes that may wait in the link's own buffer before no more frames are taken from the session.
const WRITE_MARK: usize = 128 * 1024;

type Dialing = Pin<Box<dyn Future<Output = Result<Link, Failed>> + Send>>;

/// A failed dial.
struct Failed {
    failure: Failure,
    retry_after: Option<Time>,
}

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
    /// The life of the session that the link belongs to.
    life: u32,
}

/// Drives a client until it is freed and its goodbye is over. A panic ends the link and is told.
pub(super) async fn run(client: Arc<Client>) {
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
        life: 0,
    };
    driver.life = lock(&driver.client.shared).lives;
    while let Some(deadline) = driver.turn() {
        driver.wait(deadline).await;
    }
}

impl Driver {
    /// One round with the session: what is due, what it wants done, what it wants written. `None`: the work is over.
    fn turn(&mut self) -> Option<Option<Instant>> {
        let client = Arc::clone(&self.client);
        let mut shared = lock(&client.shared);
        crate::inject::point("driver");
        self.follow(&shared);
        let now = client.now();
        shared.session.tick(now);
        while let Some(action) = shared.session.poll_action() {
            self.act(&mut shared, action, now);
        }
        self.write(&mut shared);
        self.make_room(&mut shared, now);
        client.drain(&mut shared);
        let deadline = shared.session.deadline().map(|time| client.instant(time));
        let over = shared.freed && !shared.session.is_linked();
        let state = shared.session.state();
        let failure = shared.session.last_failure().map(|failure| failure.status);
        shared.asleep = true;
        drop(shared);
        if state != self.told {
            self.told = state;
            report::connection(self.tag, state, failure);
        }
        if over {
            return None;
        }
        // An event may have led to new work (a dial after a close) without a wake-up.
        Some(deadline)
    }

    /// A session that a panic has cost left a link behind that the new one does not know.
    fn follow(&mut self, shared: &Shared) {
        if self.life != shared.lives {
            self.life = shared.lives;
            self.dialing = None;
            self.forget_link();
        }
    }

    fn forget_link(&mut self) {
        self.link = None;
        self.paused = false;
        self.pinged_at = None;
    }

    fn act(&mut self, shared: &mut Shared, action: Action, now: Time) {
        match action {
            Action::Dial { attempt } => {
                self.link = None;
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
                self.write(shared);
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

    /// Takes frames from the session into the link's buffer.
    fn write(&mut self, shared: &mut Shared) {
        let Some(link) = &mut self.link else {
            return;
        };
        while link.buffered() < WRITE_MARK {
            let Some(frame) = shared.session.take_frame() else {
                break;
            };
            // A link that cannot be written any more tells so when it is read; the session keeps account of the frame.
            if link.push_text(frame).is_err() {
                break;
            }
        }
    }

    fn make_room(&mut self, shared: &mut Shared, now: Time) {
        if shared.freed {
            self.room = BATCH;
            return;
        }
        let client = &self.client;
        let factor = if shared.calls.is_empty() { 1 } else { 2 };
        self.room = client.queue.room(client.source, factor).min(BATCH);
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
    #[allow(clippy::large_enum_variant)] // lives on the stack for one turn
    async fn wait(&mut self, deadline: Option<Instant>) {
        let client = Arc::clone(&self.client);
        let notified = client.notify.notified();
        let clock = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        enum Came {
            Io(Io),
            Dialled(Result<Link, Failed>),
            Other,
        }
        // The socket first: a program that never stops sending must not keep us from flushing.
        let came = tokio::select! {
            biased;
            io = poll_link(&mut self.link, self.room) => Came::Io(io),
            result = poll_dial(&mut self.dialing) => Came::Dialled(result),
            () = notified => Came::Other,
            () = clock => Came::Other,
        };
        match came {
            Came::Io(io) => self.io(io),
            Came::Dialled(result) => self.dialled(result),
            Came::Other => {}
        }
    }

    fn dialled(&mut self, result: Result<Link, Failed>) {
        self.dialing = None;
        let client = Arc::clone(&self.client);
        let mut shared = lock(&client.shared);
        if self.life != shared.lives {
            return;
        }
        let now = client.now();
        match result {
            Ok(link) => {
                self.link = Some(link);
                shared.session.upgraded(now);
            }
            Err(Failed { failure, retry_after }) => self.end(&mut shared, now, failure, 0, retry_after),
        }
        client.drain(&mut shared);
    }

    fn io(&mut self, io: Io) {
        let client = Arc::clone(&self.client);
        let mut shared = lock(&client.shared);
        if self.life != shared.lives {
            return;
        }
        crate::inject::point("driver");
        let now = client.now();
        self.account(&mut shared);
        match io {
            Io::Read => self.read(&mut shared, now),
            Io::Flushed => {}
            Io::Ended(end) => {
                let (failure, code) = describe(end);
                self.end(&mut shared, now, failure, code, None);
            }
        }
        client.drain(&mut shared);
    }

    /// Feeds the session a batch of what was read.
    fn read(&mut self, shared: &mut Shared, now: Time) {
        let Some(link) = &mut self.link else {
            return;
        };
        let Shared { session, traffic, .. } = shared;
        session.traffic(now);
        link.take(self.room, |inbound| match inbound {
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
    }

    /// Tells the session what is handed over, and counts bytes.
    fn account(&mut self, shared: &mut Shared) {
        let Some(link) = &self.link else {
            return;
        };
        shared.session.handed_over(link.handed_over());
        shared.traffic.bytes_in = shared.traffic.past_in + link.bytes_in();
        shared.traffic.bytes_out = shared.traffic.past_out + link.bytes_out();
    }

    fn end(&mut self, shared: &mut Shared, now: Time, failure: Failure, code: u16, retry_after: Option<Time>) {
        self.account(shared);
        shared.traffic.past_in = shared.traffic.bytes_in;
        shared.traffic.past_out = shared.traffic.bytes_out;
        self.forget_link();
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
        if link.wants_flush()
            && let Poll::Ready(result) = link.poll_flush(cx)
        {
            // The end of a link that cannot be written shows when it is read.
            flushed = result.is_ok();
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

async fn dial_target(client: Arc<Client>, tag: u64, attempt: u32) -> Result<Link, Failed> {
    let request = {
        // Reading the platform's roots may take a while, and other clients share this thread.
        let client = Arc::clone(&client);
        if lock(client.target()).is_secure() {
            let read = move || lock(client.target()).request(client.library());
            tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err(failed(status::TLS, "the TLS configuration could not be read")))
        } else {
            lock(client.target()).request(client.library())
        }
    };
    drop(client);
    let request = request.map_err(|failure| Failed {
        failure,
        retry_after: None,
    })?;
    report::dial(tag, attempt, &request.endpoint);
    dial(request).await.map_err(|error| {
        let DialError { kind, message } = error;
        let (status, http_status, retry_after) = match kind {
            DialErrorKind::Connect => (status::CONNECT, 0, None),
            DialErrorKind::Tls => (status::TLS, 0, None),
            DialErrorKind::Http { status, retry_after_ms } => (status::HTTP, i32::from(status), retry_after_ms),
            DialErrorKind::Protocol => (status::CONNECT, 0, None),
        };
        Failed {
            failure: Failure {
                http_status,
                ..failed(status, message)
            },
            retry_after,
        }
    })
}

fn failed(status: i32, message: impl Into<String>) -> Failure {
    Failure::new(status, message)
}

/// The end of a link in the session's words, and its close code.
fn describe(end: LinkEnd) -> (Failure, u16) {
    match end {
        LinkEnd::Closed { code, reason } => {
            // 1005 stands for a Close frame without a code, as everywhere.
            let code = code.unwrap_or(1005);
            let message = if reason.is_empty() {
                format!("the server closed the connection with code {code}")
            } else {
                format!("the server closed the connection with code {code}: {reason}")
            };
            (failed(status::CONNECTION_LOST, message), code)
        }
        LinkEnd::BadClose { code, message } => (failed(status::CONNECTION_LOST, message), code),
        LinkEnd::Lost(message) => (failed(status::CONNECTION_LOST, message), 0),
        LinkEnd::TooLarge(message) | LinkEnd::Protocol(message) => (failed(status::CONNECTION_LOST, message), 0),
    }
}
