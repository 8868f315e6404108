//! What a panic costs: the session, never the process, and nobody waits for what it has forgotten.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::session::{Failure, Session, failed_reply, panic_failure};

use super::core::Client;
use super::delivered::Delivered;
use super::driver;
use super::shared::Shared;
use super::sync::lock;

impl Client {
    /// Feeds the session. A panic in it ends what the session holds, and is told.
    pub(super) fn contained<R>(
        &self,
        shared: &mut Shared,
        input: impl FnOnce(&mut Session) -> R,
    ) -> Result<R, Failure> {
        let mut input = Some(input);
        let mut result = None;
        self.contained_call(shared, &mut |session| {
            result = input.take().map(|input| input(session));
        });
        result.ok_or_else(panic_failure)
    }

    /// Not generic: this is code once, not once per input.
    fn contained_call(&self, shared: &mut Shared, input: &mut dyn FnMut(&mut Session)) {
        if catch_unwind(AssertUnwindSafe(|| input(&mut shared.session))).is_err() {
            self.lose_session(shared);
        }
    }

    pub(super) fn lose_session(&self, shared: &mut Shared) {
        let told = catch_unwind(AssertUnwindSafe(|| shared.session.fail(&panic_failure())));
        if told.is_err() {
            let fresh = Session::new(shared.session.config().clone(), driver::seed());
            let lost = std::mem::replace(&mut shared.session, fresh);
            for reply in lost.owed(&panic_failure()) {
                shared.answer(reply);
            }
        }
        shared.lives = shared.lives.wrapping_add(1);
        shared.traffic.past_in = shared.traffic.bytes_in;
        shared.traffic.past_out = shared.traffic.bytes_out;
        shared.lost = true;
    }

    /// The driver's task ended in a panic, and its link with it. The next `connect` starts another one.
    pub(super) fn driver_panicked(&self) {
        let mut shared = lock(&self.shared);
        shared.driver_runs = false;
        shared.driver.forget_link();
        shared.driver.asleep = false;
        self.lose_session(&mut shared);
        let drained = catch_unwind(AssertUnwindSafe(|| self.drain(&mut shared)));
        shared.news |= drained.is_err();
        self.unlock(shared, false);
    }

    /// What a lost session did not remember to answer.
    pub(super) fn answer_forgotten(&self, shared: &mut Shared) {
        for (ticket, call) in &mut shared.calls {
            call.get_or_insert_with(|| Delivered::new(failed_reply(self.key(), *ticket, &panic_failure()).freeze()));
        }
    }
}
