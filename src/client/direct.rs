//! Questions that leave on the thread that asks: while the driver sleeps and the link has nothing to write, nobody has to be woken
//! first. Everything else is left to the driver, who writes many frames at once.

use std::sync::MutexGuard;

use crate::session::Time;

use super::core::Client;
use super::net::Writer;
use super::shared::Shared;
use super::sync::lock;

/// What is known of the driver, under the client's lock.
#[derive(Default)]
pub(super) struct Driver {
    /// It has done everything and waits: whoever gives it work wakes it.
    pub asleep: bool,
    /// Until then, if it is not woken.
    pub wakes_at: Option<Time>,
    /// Nothing waits in the link, and the link reads: others may write to it while the driver sleeps.
    pub link_rests: bool,
    /// It reads more than it would, for the sake of calls.
    pub reads_for_calls: bool,
    /// Text frames that the link itself has handed over.
    pub link_frames: u64,
    /// What others write with.
    pub writer: Option<Writer>,
    /// A thread writes with it now, with no lock held: nobody else may write.
    pub lent: Option<Lent>,
    /// The driver has something to write, or to end, when the writer is back.
    pub held: bool,
    /// Which link that is.
    link: u64,
}

/// A writer that is away.
pub(super) struct Lent {
    /// What it had handed over when it left: text frames and bytes.
    handed: (u64, u64),
    /// What it has with it.
    frames: u64,
    bytes: u64,
}

impl Driver {
    /// Text frames and bytes that others are known to have handed over to the link.
    pub fn written_by_others(&self) -> (u64, u64) {
        match (&self.lent, &self.writer) {
            (Some(lent), _) => lent.handed,
            (None, Some(writer)) => (writer.handed_over(), writer.bytes_out()),
            (None, None) => (0, 0),
        }
    }

    /// What may be handed over besides, for all that is known.
    pub fn written_perhaps(&self) -> (u64, u64) {
        self.lent.as_ref().map_or((0, 0), |lent| (lent.frames, lent.bytes))
    }

    /// There is no link any more. A writer that is away belongs to none when it comes back.
    pub fn forget_link(&mut self) {
        self.writer = None;
        self.lent = None;
        self.held = false;
        self.link_rests = false;
        self.link += 1;
    }
}

impl Client {
    /// Writes what the session wants written, if that can be done here. The lock is open meanwhile: on one core the answer may be
    /// read before the writing thread is on its way again. True: all of it is handed over, and the driver may sleep on.
    pub(super) fn write_here<'a>(&'a self, mut shared: MutexGuard<'a, Shared>) -> (MutexGuard<'a, Shared>, bool) {
        let Some(mut writer) = lend(&mut shared) else {
            return (shared, false);
        };
        let link = shared.driver.link;
        if shared.lost || shared.session.has_events() {
            self.drain(&mut shared);
        }
        self.unlock(shared, false);
        let all = writer.write();
        let mut shared = lock(&self.shared);
        if shared.driver.link != link {
            return (shared, false);
        }
        let written = take_back(&mut shared, writer, all);
        (shared, written)
    }
}

/// The writer, with all the frames that the session has.
fn lend(shared: &mut Shared) -> Option<Writer> {
    let Shared { session, driver, .. } = shared;
    if !driver.asleep || !driver.link_rests || !session.has_frames() {
        return None;
    }
    let mut writer = driver.writer.take()?;
    let handed = (writer.handed_over(), writer.bytes_out());
    let mut frames = 0;
    while let Some(frame) = session.take_frame() {
        writer.push_text(frame);
        frames += 1;
    }
    driver.lent = Some(Lent {
        handed,
        frames,
        bytes: writer.waiting() as u64,
    });
    Some(writer)
}

fn take_back(shared: &mut Shared, writer: Writer, all: bool) -> bool {
    let Shared {
        session,
        driver,
        traffic,
        ..
    } = shared;
    let before = driver.lent.take().map_or(0, |lent| lent.handed.1);
    traffic.bytes_out += writer.bytes_out() - before;
    session.handed_over(driver.link_frames + writer.handed_over());
    driver.writer = Some(writer);
    // The rest goes first, before anybody writes anything else.
    driver.link_rests &= all;
    let in_time = session
        .deadline()
        .is_none_or(|deadline| driver.wakes_at.is_some_and(|at| at <= deadline));
    let held = std::mem::take(&mut driver.held);
    all && in_time && !held
}
