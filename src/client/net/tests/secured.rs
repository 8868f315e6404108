use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsAcceptor;

use super::super::tls::{FirstOf, own_roots};
use super::super::{DialErrorKind, check_client_cert, check_pem};
use super::links::fill;
use super::*;

/// An authority made for one test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each has a name of its own: two of one name would be taken for one with a forged signature.
        let key = KeyPair::generate().unwrap();
        let name = key
            .public_key_raw()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .take(20)
            .collect::<String>();
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        self.issue_with(name, |_| {})
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn trusted(&self) -> TlsOptions {
        TlsOptions {
            ca_pem: vec![self.pem()],
            ..TlsOptions::default()
        }
    }
}

/// The server's settings: its certificate, and with `clients` the demand for one of theirs.
fn acceptor((cert, key): (String, String), clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// An echo server behind TLS for one connection; answers the port.
async fn tls_echo_server(own: (String, String), clients: Option<&Authority>) -> u16 {
    let acceptor = acceptor(own, clients);
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Some tests make the handshake fail on purpose.
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let mut stream = accept_raw(stream).await;
        while let Some((first, payload)) = read_frame(&mut stream).await {
            stream.write_all(&frame(first, &payload)).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    port
}

/// A link over TLS and the stream of its server.
async fn tls_pair() -> (Link, tokio_rustls::server::TlsStream<TcpStream>) {
    let authority = Authority::new();
    let acceptor = acceptor(authority.issue("localhost"), None);
    let (listener, port) = listen().await;
    let server = async {
        let stream = listener.accept().await.unwrap().0;
        accept_raw(acceptor.accept(stream).await.unwrap()).await
    };
    let request = secure("localhost", port, &authority.trusted());
    let (link, server) = within(async { tokio::join!(dial(request), server) }).await;
    (link.unwrap(), server)
}

#[tokio::test]
async fn frames_not_handed_over_never_arrive_through_tls() {
    for reset in [false, true] {
        let (mut link, mut server) = tls_pair().await;
        let pushed = fill(&mut link).await;
        let mut arrived = 0;
        if reset {
            while arrived < 50 {
                within(read_frame(&mut server)).await.unwrap();
                arrived += 1;
            }
            server.get_ref().0.set_zero_linger().unwrap();
            drop(server);
            assert!(matches!(flush(&mut link).await, Err(LinkEnd::Lost(_))));
            assert!(arrived <= link.handed_over() && link.handed_over() < pushed);
        } else {
            let over = link.handed_over();
            drop(link);
            while let Some((_, payload)) = within(read_frame(&mut server)).await {
                assert_eq!(payload, format!("{arrived:01024}").into_bytes());
                arrived += 1;
            }
            // What was encrypted but not sent is lost with the link; the count errs towards not sending twice.
            assert!(
                0 < arrived && arrived <= over && over < pushed,
                "{arrived} {over} {pushed}"
            );
        }
    }
}

#[tokio::test]
async fn a_blocked_tls_writer_is_woken() {
    let (mut link, mut server) = tls_pair().await;
    let pushed = fill(&mut link).await;
    let reader = async {
        for _ in 0..pushed {
            read_frame(&mut server).await.unwrap();
        }
    };
    let (flushed, ()) = within(async { tokio::join!(flush(&mut link), reader) }).await;
    flushed.unwrap();
    assert_eq!((link.handed_over(), link.buffered()), (pushed, 0));
}

async fn echoes(request: super::DialRequest) {
    let mut link = within(dial(request)).await.unwrap();
    let long = "x".repeat(100_000);
    link.push_text(b"hello").unwrap();
    link.push_text(long.as_bytes()).unwrap();
    flush(&mut link).await.unwrap();
    assert_eq!((link.handed_over(), link.buffered()), (2, 0));
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(read_some(&mut link, 1).await.unwrap());
    }
    assert_eq!(got, [text("hello"), text(&long)]);
}

#[tokio::test]
async fn a_given_authority_is_trusted() {
    let authority = Authority::new();
    let port = tls_echo_server(authority.issue("localhost"), None).await;
    echoes(secure("localhost", port, &authority.trusted())).await;
}

#[tokio::test]
async fn a_certificate_for_an_address_is_accepted() {
    let authority = Authority::new();
    let port = tls_echo_server(authority.issue("127.0.0.1"), None).await;
    echoes(secure("127.0.0.1", port, &authority.trusted())).await;
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let port = tls_echo_server(Authority::new().issue("localhost"), None).await;
    let error = dial_fails(secure("localhost", port, &Authority::new().trusted())).await;
    assert_eq!(error.kind, DialErrorKind::Tls);
    assert!(error.message.contains(&format!("localhost:{port}: ")), "{error}");
    assert!(error.message.contains("trusted authority"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let port = tls_echo_server(authority.issue("other.example"), None).await;
    let error = dial_fails(secure("localhost", port, &authority.trusted())).await;
    assert_eq!(error.kind, DialErrorKind::Tls);
    assert!(error.message.contains("another host name"), "{error}");
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let expired = authority.issue_with("localhost", |params| params.not_after = date_time_ymd(2001, 1, 1));
    let port = tls_echo_server(expired, None).await;
    let error = dial_fails(secure("localhost", port, &authority.trusted())).await;
    assert_eq!(error.kind, DialErrorKind::Tls);
    assert!(error.message.contains("has expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_not_for_servers_is_refused() {
    let authority = Authority::new();
    let for_clients = authority.issue_with("localhost", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let port = tls_echo_server(for_clients, None).await;
    let error = dial_fails(secure("localhost", port, &authority.trusted())).await;
    assert_eq!(error.kind, DialErrorKind::Tls);
    assert!(
        error.message.contains("TLS failed: invalid peer certificate"),
        "{error}"
    );
}

/// A man in the middle can show the server's certificate but has not its key.
#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let port = impostor(&authority, version).await;
        let error = dial_fails(secure("localhost", port, &authority.trusted())).await;
        assert_eq!(error.kind, DialErrorKind::Tls, "{version:?}");
        assert!(error.message.contains("trusted authority"), "{version:?}: {error}");
    }
}

#[tokio::test]
async fn each_version_of_tls_is_spoken() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (chain, key) = parts(&authority.issue("localhost"));
        let provider = ring::default_provider();
        let signer = provider.key_provider.load_private_key(key).unwrap();
        let port = tls_server_of(version, CertifiedKey::new(chain, signer)).await;
        let mut link = within(dial(secure("localhost", port, &authority.trusted())))
            .await
            .unwrap();
        link.push_close(1000).unwrap();
        flush(&mut link).await.unwrap();
    }
}

pub(super) fn parts((cert, key): &(String, String)) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(cert.as_bytes())
        .map(Result::unwrap)
        .collect();
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

async fn impostor(authority: &Authority, version: &'static SupportedProtocolVersion) -> u16 {
    let (chain, _) = parts(&authority.issue("localhost"));
    let (_, other_key) = parts(&authority.issue("localhost"));
    let signer = ring::default_provider()
        .key_provider
        .load_private_key(other_key)
        .unwrap();
    tls_server_of(version, CertifiedKey::new(chain, signer)).await
}

/// Upgrades whoever comes, with that version of TLS and whatever certificate and key, matching or not.
async fn tls_server_of(version: &'static SupportedProtocolVersion, shown: CertifiedKey) -> u16 {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let _socket = tokio_tungstenite::accept_async(stream).await;
    });
    port
}

#[tokio::test]
async fn insecure_accepts_everything() {
    let port = tls_echo_server(Authority::new().issue("other.example"), None).await;
    let options = TlsOptions {
        insecure_skip_verify: true,
        ..TlsOptions::default()
    };
    echoes(secure("localhost", port, &options)).await;
}

#[tokio::test]
async fn a_demanded_client_certificate_is_shown() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let port = tls_echo_server(servers.issue("localhost"), Some(&clients)).await;
    let options = TlsOptions {
        client_cert: Some(clients.issue("client")),
        ..servers.trusted()
    };
    echoes(secure("localhost", port, &options)).await;
}

#[tokio::test]
async fn a_demanded_client_certificate_that_is_missing_ends_the_dial() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let port = tls_echo_server(servers.issue("localhost"), Some(&clients)).await;
    let error = dial_fails(secure("localhost", port, &servers.trusted())).await;
    // The server's alert can be overtaken by the reset of its socket, to which our request was on the way.
    assert!(
        matches!(error.kind, DialErrorKind::Tls | DialErrorKind::Connect),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_recognised() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    });
    let error = dial_fails(secure("127.0.0.1", port, &Authority::new().trusted())).await;
    assert_eq!(error.kind, DialErrorKind::Tls);
    assert!(error.message.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_secure_address_without_configuration_is_an_error() {
    let (_listener, port) = listen().await;
    let request = super::DialRequest {
        tls: None,
        ..secure("localhost", port, &Authority::new().trusted())
    };
    assert_eq!(dial_fails(request).await.kind, DialErrorKind::Tls);
}

#[test]
fn unusable_pem_is_named() {
    let authority = Authority::new();
    let good = authority.pem();
    check_pem(&good).unwrap();
    check_pem(&format!("# a comment\n{good}\n{}", Authority::new().pem())).unwrap();
    assert!(check_pem("").unwrap_err().contains("no PEM certificate"));
    assert!(check_pem("hello").unwrap_err().contains("no PEM certificate"));
    assert!(
        check_pem(&KeyPair::generate().unwrap().serialize_pem())
            .unwrap_err()
            .contains("no PEM certificate")
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(
        check_pem(&format!("{good}{broken}"))
            .unwrap_err()
            .contains("certificate 2 is unusable")
    );
    assert!(
        check_pem("-----BEGIN CERTIFICATE-----\nAAAA\n")
            .unwrap_err()
            .contains("certificate 1 is not valid PEM")
    );
    let options = TlsOptions {
        ca_pem: vec![good, broken.to_owned()],
        ..TlsOptions::default()
    };
    assert!(config(&options).unwrap_err().contains("text 2: certificate 1"));
}

#[test]
fn unusable_client_certificates_are_named_without_their_key() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("client");
    let (_, other_key) = authority.issue("other");
    check_client_cert(&cert, &key).unwrap();
    assert!(check_client_cert("", &key).unwrap_err().contains("client certificate"));
    assert!(check_client_cert(&cert, "").unwrap_err().contains("client key"));
    assert!(
        check_client_cert(&cert, &other_key)
            .unwrap_err()
            .contains("does not belong")
    );
    let secret = key.lines().nth(1).unwrap();
    let cut = format!("-----BEGIN PRIVATE KEY-----{secret}\n{secret}\n");
    for bad in [cut.as_str(), &key[..key.len() / 2], &cert] {
        let error = check_client_cert(&cert, bad).unwrap_err();
        assert!(!error.contains(secret), "{error}");
    }
    let options = TlsOptions {
        client_cert: Some((cert, key.clone())),
        ..TlsOptions::default()
    };
    assert!(!format!("{options:?}").contains(secret));
    let options = TlsOptions {
        client_cert: Some((key.clone(), key)),
        insecure_skip_verify: true,
        ..options
    };
    assert!(config(&options).is_err());
}

#[test]
fn of_two_verifiers_one_is_enough() {
    let provider = Arc::new(ring::default_provider());
    let (first, second) = (Authority::new(), Authority::new());
    let verifier = |authority: &Authority| {
        own_roots(vec![authority.0.der().clone()], Arc::clone(&provider))
            .unwrap()
            .unwrap()
    };
    let both = FirstOf(verifier(&first), verifier(&second));
    let accepts = |authority: &Authority| {
        let certificate = CertificateDer::from_pem_slice(authority.issue("localhost").0.as_bytes()).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        rustls::client::danger::ServerCertVerifier::verify_server_cert(
            &both,
            &certificate,
            &[],
            &name,
            &[],
            UnixTime::now(),
        )
        .is_ok()
    };
    assert!(accepts(&first) && accepts(&second) && !accepts(&Authority::new()));
    assert!(own_roots(Vec::new(), provider).unwrap().is_none());
}
