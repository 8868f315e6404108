//! Dialling: name lookup, TCP, TLS and the WebSocket handshake.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::http::{Head, may_be_http, parse_head, printable};
use super::link::Link;
use super::url::Endpoint;
use super::wire::{Socket, Transport, describe_io};

/// How long one address of several may take: a dead IPv6 route must not use up the whole dial.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_secs(3);
/// How long a refusal's body is waited for; the refusal itself is known by then.
const BODY_WAIT: Duration = Duration::from_secs(1);
/// The most bytes of a response head.
const HEAD_LIMIT: usize = 64 * 1024;
/// The most bytes of a refusal's body that are read: 200 characters of UTF-8 and a line end.
const BODY_LIMIT: usize = 802;

/// Everything one dial needs.
pub struct DialRequest {
    /// Where to.
    pub endpoint: Endpoint,
    /// Further request headers, in order.
    pub headers: Vec<(String, String)>,
    /// The TLS configuration; needed when the endpoint is secure.
    pub tls: Option<Arc<ClientConfig>>,
    /// The most bytes of an incoming message.
    pub max_message_in: usize,
}

impl fmt::Debug for DialRequest {
    // Headers carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialRequest")
            .field("endpoint", &self.endpoint)
            .field("headers", &self.headers.len())
            .field("max_message_in", &self.max_message_in)
            .finish_non_exhaustive()
    }
}

/// What kind of step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialErrorKind {
    /// Name lookup or TCP; also a connection that ended before the server answered.
    Connect,
    /// The certificate or the TLS handshake.
    Tls,
    /// The server answered with another status than 101.
    Http {
        /// The status.
        status: u16,
        /// How long the server asks to wait before the next try.
        retry_after_ms: Option<u64>,
    },
    /// The answer is no WebSocket handshake, or the request is not sendable.
    Protocol,
}

/// Why a dial failed. The message is for people; it contains neither the query nor headers of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DialError {
    /// What kind of step failed.
    pub kind: DialErrorKind,
    /// What went wrong, with host and port.
    pub message: String,
}

/// Whether a request header may be set: well-formed, and not one that the handshake or the connection owns.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header name consists of letters, digits and a few signs".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    // The last two would announce a body, and everything behind the request would be taken for it.
    let owned = matches!(
        lower.as_str(),
        "host" | "upgrade" | "connection" | "content-length" | "transfer-encoding"
    );
    if owned || lower.starts_with("sec-websocket-") {
        return Err(format!("the header {lower} belongs to the handshake and cannot be set"));
    }
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(format!(
            "the value of the header {lower} contains a line break or another control character"
        ));
    }
    Ok(())
}

/// Opens a connection: looks the name up, tries its addresses in turn, speaks TLS if the endpoint asks for it, and upgrades.
///
/// It has no time limit of its own; to end it, drop the future. Redirects are refusals.
pub async fn dial(request: DialRequest) -> Result<Link, DialError> {
    let place = Place::of(&request.endpoint);
    for (name, value) in &request.headers {
        check_header(name, value).map_err(|text| DialError {
            kind: DialErrorKind::Protocol,
            message: text,
        })?;
    }
    let socket = connect(&request.endpoint, &place).await?;
    let mut transport = match (request.endpoint.secure(), &request.tls) {
        (false, _) => Transport::Plain(Socket::new(socket)),
        (true, Some(config)) => start_tls(socket, Arc::clone(config), &request.endpoint, &place).await?,
        (true, None) => {
            return Err(place.error(DialErrorKind::Tls, "no TLS configuration was given"));
        }
    };
    let rest = upgrade(&mut transport, &request, &place).await?;
    Ok(Link::new(transport, rest, request.max_message_in))
}

/// Host and port for messages.
struct Place(String);

impl Place {
    fn of(endpoint: &Endpoint) -> Place {
        let host = endpoint.host();
        let port = endpoint.port();
        Place(if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        })
    }

    fn error(&self, kind: DialErrorKind, what: impl fmt::Display) -> DialError {
        DialError {
            kind,
            message: format!("{}: {what}", self.0),
        }
    }

    /// An I/O error after TCP stood: one that TLS raised says so.
    fn io_error(&self, error: &std::io::Error) -> DialError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => self.error(DialErrorKind::Tls, describe_tls(inner)),
            None => self.error(DialErrorKind::Connect, describe_io(error)),
        }
    }
}

fn describe_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the certificate of the server was not issued by a trusted authority".to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate of the server is for another host name".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the certificate of the server has expired".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        rustls::Error::AlertReceived(alert) => {
            format!("the server ended the TLS handshake: {alert:?}")
        }
        other => format!("TLS failed: {other}"),
    }
}

async fn lookup(endpoint: &Endpoint) -> std::io::Result<Vec<SocketAddr>> {
    #[cfg(feature = "inject")]
    if let Some(answer) = crate::inject::lookup().await {
        return answer;
    }
    Ok(tokio::net::lookup_host((endpoint.host(), endpoint.port()))
        .await?
        .collect())
}

async fn connect(endpoint: &Endpoint, place: &Place) -> Result<TcpStream, DialError> {
    let fail = |what: &dyn fmt::Display| place.error(DialErrorKind::Connect, what);
    let addresses = match lookup(endpoint).await {
        Ok(addresses) => addresses,
        Err(error) => {
            let text = error.to_string();
            let text = text
                .strip_prefix("failed to lookup address information: ")
                .unwrap_or(&text);
            return Err(fail(&format_args!("name lookup failed: {text}")));
        }
    };
    let mut last = fail(&"the name has no address");
    let count = addresses.len();
    for (at, address) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let result = if at + 1 == count {
            attempt.await
        } else {
            timeout(NEXT_ADDRESS_AFTER, attempt)
                .await
                .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        };
        match result {
            Ok(socket) => {
                // Small frames must not wait for the acknowledgement of earlier ones. Without it all still works.
                if let Err(error) = socket.set_nodelay(true) {
                    log::debug!("TCP_NODELAY cannot be set: {error}");
                }
                return Ok(socket);
            }
            Err(error) => last = fail(&describe_io(&error)),
        }
    }
    Err(last)
}

async fn start_tls(
    socket: TcpStream,
    config: Arc<ClientConfig>,
    endpoint: &Endpoint,
    place: &Place,
) -> Result<Transport, DialError> {
    let Ok(name) = ServerName::try_from(endpoint.host().to_owned()) else {
        return Err(place.error(DialErrorKind::Tls, "no certificate can be issued for this host name"));
    };
    match TlsConnector::from(config).connect(name, Socket::new(socket)).await {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(place.error(
            DialErrorKind::Tls,
            "the server closed the connection during the TLS handshake",
        )),
        Err(error) => Err(DialError {
            kind: DialErrorKind::Tls,
            ..place.io_error(&error)
        }),
    }
}

/// Asks for the upgrade; answers what was read beyond the response head.
async fn upgrade(transport: &mut Transport, request: &DialRequest, place: &Place) -> Result<Vec<u8>, DialError> {
    let key = handshake_key();
    let text = request_text(request, &key);
    let sent = async {
        transport.write_all(text.as_bytes()).await?;
        transport.flush().await
    };
    // A server may refuse before it has read everything; its answer says more than our failed write.
    let sent = sent.await;
    let (head, rest) = match read_head(transport, place).await {
        Ok(answer) => answer,
        Err(error) => {
            return Err(match sent {
                Err(ref write_error) if error.kind == DialErrorKind::Connect => place.io_error(write_error),
                _ => error,
            });
        }
    };
    if head.status != 101 {
        return Err(refusal(transport, &head, rest, place).await);
    }
    check_upgrade(&head, &key).map_err(|what| place.error(DialErrorKind::Protocol, what))?;
    Ok(rest)
}

/// Sixteen bytes that no server and no cache in between can have seen before, in base64.
pub(super) fn handshake_key() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let secret = RandomState::new();
    let (high, low) = (secret.hash_one(Instant::now()), secret.hash_one(std::process::id()));
    let bits = u128::from(high) << 64 | u128::from(low);
    // 21 digits of six bits, one of two, and padding.
    let digit = |six: u128| char::from(DIGITS[(six & 63) as usize]);
    let mut key: String = (0..21).map(|at| digit(bits >> (122 - 6 * at))).collect();
    key.push(digit(bits << 4));
    key.push_str("==");
    key
}

fn request_text(request: &DialRequest, key: &str) -> String {
    let mut text = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        request.endpoint.path_and_query(),
        request.endpoint.authority(),
    );
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
    {
        text.push_str(concat!("User-Agent: libpondsocket/", env!("CARGO_PKG_VERSION"), "\r\n"));
    }
    for (name, value) in &request.headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

async fn read_head(transport: &mut Transport, place: &Place) -> Result<(Head, Vec<u8>), DialError> {
    let garbage = || place.error(DialErrorKind::Protocol, "the server does not answer in HTTP/1.1");
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = transport.read_buf(&mut bytes).await;
        // A complete status line is an answer, even if the connection ended or broke behind it.
        let at_end = !matches!(read, Ok(1..));
        if !may_be_http(&bytes) {
            // At once, without waiting for an end: other protocols greet and then wait for us.
            return Err(garbage());
        }
        while let Some((head, length)) = parse_head(&bytes, at_end).map_err(|()| garbage())? {
            let interim = (100..200).contains(&head.status) && head.status != 101;
            let cut_off =
                head.status == 101 && !bytes[..length].ends_with(b"\n\r\n") && !bytes[..length].ends_with(b"\n\n");
            if interim {
                bytes.drain(..length);
                continue;
            }
            if cut_off {
                break;
            }
            return Ok((head, bytes.split_off(length)));
        }
        match read {
            Ok(1..) => {}
            Ok(0) if bytes.is_empty() => {
                return Err(place.error(
                    DialErrorKind::Connect,
                    "the server closed the connection without an answer",
                ));
            }
            Ok(0) => {
                return Err(place.error(
                    DialErrorKind::Connect,
                    "the server closed the connection within its answer",
                ));
            }
            Err(error) => return Err(place.io_error(&error)),
        }
        if bytes.len() > HEAD_LIMIT {
            return Err(place.error(DialErrorKind::Protocol, "the answer of the server has too many headers"));
        }
    }
}

fn check_upgrade(head: &Head, key: &str) -> Result<(), &'static str> {
    if !head.is_http_11 {
        return Err("the server upgrades in HTTP/1.0");
    }
    if !head.has_token("upgrade", "websocket") || !head.has_token("connection", "upgrade") {
        return Err("the server upgrades to something else than a WebSocket");
    }
    if head.header("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Err("the server answers a handshake that is not ours (Sec-WebSocket-Accept)");
    }
    // We offered neither, so frames would not mean what we take them for.
    if head
        .header("sec-websocket-extensions")
        .is_some_and(|value| !value.is_empty())
    {
        return Err("the server chose a WebSocket extension that was not offered");
    }
    if head.header("sec-websocket-protocol").is_some() {
        return Err("the server chose a subprotocol that was not offered");
    }
    Ok(())
}

async fn refusal(transport: &mut Transport, head: &Head, rest: Vec<u8>, place: &Place) -> DialError {
    let kind = DialErrorKind::Http {
        status: head.status,
        retry_after_ms: head.retry_after_ms(),
    };
    let mut what = format!("the server refused the upgrade: {}", head.status);
    if !head.reason.is_empty() {
        what.push(' ');
        what.push_str(&head.reason);
    }
    if let Some(body) = refusal_body(transport, head, rest)
        .await
        .filter(|body| *body != head.reason)
    {
        what.push_str(": ");
        what.push_str(&body);
    }
    place.error(kind, what)
}

/// The body, if it is a short plain text: Go servers put their decline message there.
async fn refusal_body(transport: &mut Transport, head: &Head, mut body: Vec<u8>) -> Option<String> {
    let media_type = head.header("content-type")?.split(';').next()?.trim();
    let length: usize = head.header("content-length")?.parse().ok()?;
    if !media_type.eq_ignore_ascii_case("text/plain") || length > BODY_LIMIT {
        return None;
    }
    let read = async { while body.len() < length && matches!(transport.read_buf(&mut body).await, Ok(1..)) {} };
    // The text is an extra: whatever arrived of it in time must do.
    let complete = timeout(BODY_WAIT, read).await.is_ok() && body.len() >= length;
    body.truncate(length);
    let text = std::str::from_utf8(&body).ok()?.trim();
    (complete && !text.is_empty() && text.chars().count() <= 200).then(|| printable(text.as_bytes()))
}
