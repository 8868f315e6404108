//! The client floor: its own files, and stand-ins for those that do I/O.

#[path = "../../../src/client/completion.rs"]
pub mod completion;
#[path = "../../../src/client/core.rs"]
pub mod core;
#[path = "../../../src/client/delivered.rs"]
pub mod delivered;
#[path = "../../../src/client/direct.rs"]
mod direct;
#[path = "../../../src/client/handlers.rs"]
pub mod handlers;
#[path = "../../../src/client/pool.rs"]
pub mod pool;
#[path = "../../../src/client/queue.rs"]
pub mod queue;
#[path = "../../../src/client/report.rs"]
mod report;
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

/// No socket: the models themselves feed the session.
mod driver {
    use super::core::Client;
    use std::sync::Arc;

    pub fn seed() -> u64 {
        1
    }

    pub async fn run(client: Arc<Client>, _running: super::library::Running) {
        drop(client);
    }
}

/// No block is used again: the pool of the process would outlive a schedule.
mod spares {
    pub fn give(event: crate::session::Event) {
        drop(event);
    }
}

/// The dispatch threads without the I/O thread.
pub mod library {
    use super::pool::Pool;
    use std::sync::Arc;

    pub struct Running;

    #[derive(Default)]
    pub struct Library {
        pool: Arc<Pool>,
    }

    impl Library {
        pub fn pool(&self) -> &Arc<Pool> {
            &self.pool
        }

        pub fn running(&self) -> Running {
            Running
        }

        pub fn spawn_driver(&self, task: impl Future<Output = ()> + Send + 'static) {
            drop(task);
        }
    }
}

pub mod net {
    pub use pondsocket::client::net::{Endpoint, Writer};
}

pub mod target {
    pub use pondsocket::client::Target;
}

pub use self::core::Client;
