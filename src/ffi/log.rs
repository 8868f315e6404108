//! The log sink: lines of this library, from the `log` crate to the program's function.

use std::cell::Cell;
use std::sync::{Arc, Once, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::client::sync::Patience;
use crate::client::{Delivered, Registration};
use crate::session::event::BlockBuilder;
use crate::session::{EventKind, Field};

use super::global::global;

struct Sink;

static SINK: Sink = Sink;
static INSTALL: Once = Once::new();

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The filter for a level of the header.
pub fn level_filter(level: i32) -> Option<LevelFilter> {
    Some(match level {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        5 => LevelFilter::Trace,
        _ => return None,
    })
}

/// Takes the place of the earlier sink.
pub fn install(filter: LevelFilter, sink: Arc<Registration>) {
    // A Rust program that links the rlib may have a logger of its own: then that one gets the lines.
    INSTALL.call_once(|| {
        let _ = log::set_logger(&SINK);
    });
    let old = global()
        .log
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(sink);
    log::set_max_level(filter);
    if let Some(old) = old {
        old.cancel(Patience::Forever);
    }
}

/// Removes the sink.
pub fn remove() {
    log::set_max_level(LevelFilter::Off);
    let old = global().log.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(old) = old {
        old.cancel(Patience::Forever);
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Only our own lines: those of the crates below us may quote frames and URLs.
        metadata.target().starts_with("pondsocket")
    }

    fn log(&self, record: &Record<'_>) {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                INSIDE.with(|inside| inside.set(false));
            }
        }
        if !self.enabled(record.metadata()) || INSIDE.with(|inside| inside.replace(true)) {
            return;
        }
        // Also after a panic: else this thread would never log again.
        let _leave = Leave;
        let sink = global().log.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = sink {
            let mut block = BlockBuilder::default();
            block.append(Field::Name, record.target());
            block.append(Field::Message, &record.args().to_string());
            let mut event = block.finish(EventKind::Log);
            event.level = match record.level() {
                Level::Error => 1,
                Level::Warn => 2,
                Level::Info => 3,
                Level::Debug => 4,
                Level::Trace => 5,
            };
            sink.run(&Delivered::new(event.freeze()));
        }
    }

    fn flush(&self) {}
}
