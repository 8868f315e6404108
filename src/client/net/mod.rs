//! One connection, without any knowledge of PondSocket: address, dialling, TLS, WebSocket handshake and frames.

pub mod dial;
pub mod frame;
mod http;
pub mod link;
mod masks;
mod outbox;
mod scratch;
pub mod tls;
pub mod trust;
pub mod url;
mod wire;
mod writer;

pub use dial::{DialError, DialErrorKind, DialRequest, check_header, dial};
pub use link::{Inbound, Link, LinkEnd};
pub use tls::{TlsOptions, check_client_cert, check_pem};
pub use trust::{Tls, Trust};
pub use url::{Endpoint, UrlError};
pub use writer::Writer;

#[cfg(test)]
mod tests;
