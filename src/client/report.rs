//! What goes to the log. Never a payload, a query, a header or a param: those may be secrets.

use crate::session::{ClientState, Event, EventKind, Field, status};

use super::net::Endpoint;

/// An event that no handler took: errors and drops are worth a line.
pub fn unhandled(event: &Event) {
    match event.kind {
        EventKind::ClientError | EventKind::ChannelError => log::warn!(
            target: "pondsocket",
            "{}: {} (no handler)",
            status::name(event.status),
            safe_message(event),
        ),
        EventKind::Dropped => log::warn!(
            target: "pondsocket",
            "{} outgoing message(s) dropped: {} (no handler)",
            event.count,
            status::name(event.status),
        ),
        _ => {}
    }
}

/// A message of our own making. The server's words (details, reasons of a Close or an eviction) may quote anything, also a token.
fn safe_message(event: &Event) -> &str {
    let ours = matches!(
        event.status,
        status::CONNECT
            | status::TLS
            | status::ERROR_TIMEOUT
            | status::PROTOCOL
            | status::QUEUE_FULL
            | status::TOO_LARGE
            | status::PANIC
    );
    if ours && event.text(Field::Details).is_none() {
        event.text(Field::Message).unwrap_or_default()
    } else {
        "the server has told more"
    }
}

/// A panic was contained on a thread of ours, where no status can tell of it.
pub fn panicked() {
    // The way to the log may be what is broken.
    let _ = std::panic::catch_unwind(
        || log::error!(target: "pondsocket", "a bug inside libpondsocket was contained; please report it"),
    );
}

/// A step of the connection.
pub fn connection(client: u64, state: ClientState, failure: Option<i32>) {
    let state = status::state_name(state as i32);
    match failure {
        None => log::info!(target: "pondsocket", "client {client:#x}: {state}"),
        Some(failure) => log::info!(target: "pondsocket", "client {client:#x}: {state} ({})", status::name(failure)),
    }
}

/// A dial begins.
pub fn dial(client: u64, attempt: u32, endpoint: &Endpoint) {
    log::debug!(
        target: "pondsocket",
        "client {client:#x}: dial {attempt} to {}:{}{}",
        endpoint.host(),
        endpoint.port(),
        if endpoint.secure() { " over TLS" } else { "" },
    );
}
