//! Questions that leave on the thread that asks: while the driver sleeps and the link has nothing to write, nobody has to be woken
//! first. Everything else is left to the driver, who writes many frames at once.

use crate::session::Time;

use super::core::{Client, Shared};
use super::net::Writer;

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
}

impl Driver {
    /// Text frames and bytes that others have handed over to the link.
    pub fn written_by_others(&self) -> (u64, u64) {
        self.writer
            .as_ref()
            .map_or((0, 0), |writer| (writer.handed_over(), writer.bytes_out()))
    }
}

impl Client {
    /// Writes what the session wants written. True: all of it is handed over, and the driver may sleep on.
    pub(super) fn write_here(&self, shared: &mut Shared) -> bool {
        let Shared {
            session,
            driver,
            traffic,
            ..
        } = shared;
        let Some(writer) = &mut driver.writer else {
            return false;
        };
        if !driver.asleep || !driver.link_rests {
            return false;
        }
        let mut any = false;
        while let Some(frame) = session.take_frame() {
            writer.push_text(frame);
            any = true;
        }
        if !any {
            return false;
        }
        let before = writer.bytes_out();
        let all = writer.write();
        traffic.bytes_out += writer.bytes_out() - before;
        session.handed_over(driver.link_frames + writer.handed_over());
        // The rest goes first, before anybody writes anything else.
        driver.link_rests = all;
        let in_time = session
            .deadline()
            .is_none_or(|deadline| driver.wakes_at.is_some_and(|at| at <= deadline));
        all && in_time
    }
}
