//! The library's dispatch threads: grown on demand, ended when idle. They deliver the events of clients without a queue and
//! run wake functions.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::queue::EventQueue;
use super::sync::{lock, wait_until};
use super::threads;

const MOST_THREADS: usize = 64;
const IDLE_FOR: Duration = Duration::from_secs(10);

/// Something for a dispatch thread to do.
pub enum Job {
    /// Run the handlers for the events of this queue.
    Deliver(Arc<EventQueue>),
    /// Run the wake function of this queue.
    Wake(Arc<EventQueue>),
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    /// A thread is on its way to the jobs. It takes one, and sends for another thread if there are more.
    coming: bool,
    stopping: bool,
    handles: Vec<JoinHandle<()>>,
}

/// The dispatch threads.
#[derive(Default)]
pub struct Pool {
    inner: Mutex<Inner>,
    work: Condvar,
    ended: Condvar,
}

impl Pool {
    /// Has a job done soon, on a thread that nothing else blocks if there is room for one.
    pub fn submit(self: &Arc<Self>, job: Job) {
        let mut inner = lock(&self.inner);
        inner.jobs.push_back(job);
        self.send_for_one(inner);
    }

    /// Has a thread come for the jobs. One after the other: most often the first ones have done everything before many are there.
    fn send_for_one(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        if inner.coming {
            return;
        }
        if inner.idle > 0 {
            inner.coming = true;
            drop(inner);
            self.work.notify_one();
            return;
        }
        if inner.threads >= MOST_THREADS {
            return;
        }
        let finished: Vec<_> = inner.handles.extract_finished();
        inner.threads += 1;
        let pool = Arc::clone(self);
        match threads::spawn("pond-dispatch", Box::new(move || pool.work_until_idle())) {
            Ok(handle) => {
                inner.coming = true;
                inner.handles.push(handle);
            }
            // Threads ran out: the job stays, and the next one tries again. (Nothing is logged here: locks are held.)
            Err(_) => inner.threads -= 1,
        }
        drop(inner);
        for handle in finished {
            let _ = handle.join();
        }
    }

    fn work_until_idle(self: &Arc<Self>) {
        let mut inner = lock(&self.inner);
        inner.coming = false;
        loop {
            let until = Some(Instant::now() + IDLE_FOR);
            let mut in_time = true;
            while inner.jobs.is_empty() && !inner.stopping && in_time {
                inner.idle += 1;
                (inner, in_time) = wait_until(&self.work, inner, until);
                inner.idle -= 1;
                inner.coming = false;
            }
            let Some(job) = inner.jobs.pop_front() else {
                break;
            };
            if !inner.jobs.is_empty() {
                // This one may block.
                self.send_for_one(inner);
            } else {
                drop(inner);
            }
            // The queue has contained what it could; a thread that is lost here would never be counted out.
            let done = catch_unwind(AssertUnwindSafe(|| match job {
                Job::Deliver(queue) => queue.deliver_some().then(|| Job::Deliver(queue)),
                Job::Wake(queue) => {
                    queue.run_wake();
                    None
                }
            }));
            let rest = done.unwrap_or_else(|_| {
                super::report::panicked();
                None
            });
            inner = lock(&self.inner);
            // Behind all others.
            inner.jobs.extend(rest);
        }
        inner.threads -= 1;
        drop(inner);
        self.ended.notify_all();
    }

    /// Ends all threads once the jobs are done. False: one still runs at the deadline.
    pub fn stop(&self, deadline: Option<Instant>) -> bool {
        let mut inner = lock(&self.inner);
        inner.stopping = true;
        self.work.notify_all();
        while inner.threads > 0 {
            let in_time;
            (inner, in_time) = wait_until(&self.ended, inner, deadline);
            if !in_time {
                return false;
            }
        }
        let handles = std::mem::take(&mut inner.handles);
        drop(inner);
        for handle in handles {
            let _ = handle.join();
        }
        true
    }
}

trait ExtractFinished {
    fn extract_finished(&mut self) -> Vec<JoinHandle<()>>;
}

impl ExtractFinished for Vec<JoinHandle<()>> {
    fn extract_finished(&mut self) -> Vec<JoinHandle<()>> {
        let (finished, running) = std::mem::take(self).into_iter().partition(JoinHandle::is_finished);
        *self = running;
        finished
    }
}
