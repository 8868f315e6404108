//! The client floor: its own files, and stand-ins for those that do I/O.

#[path = "../../../src/client/announce.rs"]
pub mod announce;
#[path = "../../../src/client/completion.rs"]
pub mod completion;
#[path = "../../../src/client/core.rs"]
pub mod core;
#[path = "../../../src/client/delivered.rs"]
pub mod delivered;
#[path = "../../../src/client/dialing.rs"]
mod dialing;
#[path = "../../../src/client/direct.rs"]
mod direct;
#[allow(clippy::useless_conversion)] // tokio's clock is another one than std's, elsewhere
#[path = "../../../src/client/driver.rs"]
mod driver;
#[path = "../../../src/client/handlers.rs"]
pub mod handlers;
#[path = "../../../src/client/lost.rs"]
mod lost;
#[path = "../../../src/client/pool.rs"]
pub mod pool;
#[path = "../../../src/client/queue.rs"]
pub mod queue;
#[path = "../../../src/client/report.rs"]
mod report;
#[path = "../../../src/client/shared.rs"]
mod shared;
#[path = "../../../src/client/signal.rs"]
pub mod signal;
#[path = "../../../src/client/store.rs"]
pub mod store;
#[path = "../../../src/client/sync.rs"]
pub mod sync;
#[path = "../../../src/client/threads.rs"]
pub mod threads;
#[path = "../../../src/client/wait.rs"]
pub mod wait;

/// No block is used again: the pool of the process would outlive a schedule.
mod spares {
    pub fn give(event: crate::session::Event) {
        drop(event);
    }

    pub fn lend(_: &mut crate::session::Spares) {}

    pub fn take_back(_: &mut crate::session::Spares) {}
}

/// The dispatch threads without the I/O thread.
pub mod library {
    use super::pool::Pool;
    use crate::support::spawn;
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;

    pub struct Running;

    #[derive(Default)]
    pub struct Library {
        pool: Arc<Pool>,
        /// Without it no client ever dials: the models themselves feed the session.
        drives: bool,
        drivers: Mutex<Vec<JoinHandle<()>>>,
    }

    impl Library {
        /// With a thread for each driver.
        pub fn driving() -> Arc<Self> {
            Arc::new(Self {
                drives: true,
                ..Self::default()
            })
        }

        pub fn pool(&self) -> &Arc<Pool> {
            &self.pool
        }

        pub fn running(&self) -> Running {
            Running
        }

        pub fn spawn_driver(&self, task: impl Future<Output = ()> + Send + 'static) {
            if self.drives {
                let driver = spawn(|| shuttle::future::block_on(task));
                self.drivers.lock().unwrap().push(driver);
            }
        }

        /// Waits until every client is freed and its goodbye is over.
        pub fn rest(&self) {
            for driver in self.drivers.lock().unwrap().drain(..) {
                driver.join().unwrap();
            }
        }
    }
}

pub mod net;

/// Where to, and nothing else.
pub mod target {
    use super::library::Library;
    use super::net::{DialRequest, Endpoint};
    use crate::session::Failure;

    pub struct Target(Endpoint);

    impl Target {
        pub fn new(url: &str) -> Self {
            Self(Endpoint::parse(url, None).unwrap())
        }

        pub fn is_ready(&self) -> bool {
            true
        }

        pub fn request(&self, _: &Library) -> Result<DialRequest, Failure> {
            Ok(DialRequest {
                endpoint: self.0.clone(),
            })
        }
    }
}

pub use self::core::Client;
