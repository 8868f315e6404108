//! What all clients of a process share: the I/O thread, the dispatch threads, the TLS configurations.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use crate::session::{Failure, status};

use super::net::{Tls, TlsOptions, Trust};
use super::pool::Pool;
use super::sync::{lock, wait_until};
use super::threads;

/// Names that are looked up at the same time: that takes a thread each, and 1,000 clients may dial at once.
const LOOKUPS: usize = 32;

/// The threads behind all clients, from the first use to [`Library::shutdown`].
pub struct Library {
    handle: Handle,
    stop: Arc<Notify>,
    io: Mutex<Io>,
    ended: Condvar,
    pool: Arc<Pool>,
    trust: Trust,
}

struct Io {
    thread: Option<JoinHandle<()>>,
    /// Client tasks on the I/O thread, those that only say goodbye included.
    drivers: usize,
    over: bool,
}

/// A client's task runs.
pub struct Running(Arc<Library>);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0.io).drivers -= 1;
        self.0.ended.notify_all();
    }
}

impl Library {
    /// Starts the I/O thread.
    pub fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS)
            .build()?;
        let stop = Arc::new(Notify::new());
        let library = Arc::new(Self {
            handle: runtime.handle().clone(),
            stop: Arc::clone(&stop),
            io: Mutex::new(Io {
                thread: None,
                drivers: 0,
                over: false,
            }),
            ended: Condvar::new(),
            pool: Arc::new(Pool::default()),
            trust: Trust::default(),
        });
        let weak = Arc::downgrade(&library);
        let body = move || {
            runtime.block_on(stop.notified());
            // Waits for name lookups that are under way.
            drop(runtime);
            if let Some(library) = weak.upgrade() {
                lock(&library.io).over = true;
                library.ended.notify_all();
            }
        };
        let thread = threads::spawn("pond-io", Box::new(body))?;
        lock(&library.io).thread = Some(thread);
        Ok(library)
    }

    /// The dispatch threads.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Counts a client's task, for as long as it holds this.
    pub fn running(self: &Arc<Self>) -> Running {
        lock(&self.io).drivers += 1;
        Running(Arc::clone(self))
    }

    /// Runs a client's task on the I/O thread. (Not within another one: a future that waits for a future holds it twice.)
    pub fn spawn_driver(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// The TLS configuration for these options. May read the platform's roots.
    pub fn tls(&self, options: &TlsOptions) -> Result<Arc<Tls>, Failure> {
        let tls = self.trust.get(options, Instant::now());
        tls.map_err(|message| Failure::new(status::TLS, message))
    }

    /// Ends all threads, after every client was freed. False: something still runs at the deadline; call again.
    pub fn shutdown(&self, deadline: Option<Instant>) -> bool {
        let mut io = lock(&self.io);
        while io.drivers > 0 {
            let in_time;
            (io, in_time) = wait_until(&self.ended, io, deadline);
            if !in_time && io.drivers > 0 {
                return false;
            }
        }
        self.stop.notify_one();
        while !io.over && io.thread.is_some() {
            let in_time;
            (io, in_time) = wait_until(&self.ended, io, deadline);
            if !in_time && !io.over {
                return false;
            }
        }
        let thread = io.thread.take();
        drop(io);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.pool.stop(deadline)
    }
}
