//! A dial on its way, and the ends of links, in the session's words.

use std::pin::Pin;
use std::sync::Arc;

use crate::session::{Failure, Time, status};

use super::core::Client;
use super::net::{DialError, DialErrorKind, Link, LinkEnd, dial};
use super::report;
use super::sync::lock;

pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<Link, Failed>> + Send>>;

/// A failed dial.
pub(super) struct Failed {
    pub failure: Failure,
    pub retry_after: Option<Time>,
}

/// One attempt.
pub(super) async fn dial_target(client: Arc<Client>, tag: u64, attempt: u32) -> Result<Link, Failed> {
    let request = {
        let ready = lock(client.target()).is_ready();
        let client = Arc::clone(&client);
        let make = move || lock(client.target()).request(client.library());
        if ready {
            make()
        } else {
            // Reading the platform's roots may take a while, and other clients share this thread.
            tokio::task::spawn_blocking(make)
                .await
                .unwrap_or_else(|_| Err(failed(status::TLS, "the TLS configuration could not be read")))
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

pub(super) fn failed(status: i32, message: impl Into<String>) -> Failure {
    Failure::new(status, message)
}

/// The end of a link in the session's words, and its close code.
pub(super) fn describe(end: LinkEnd) -> (Failure, u16) {
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
