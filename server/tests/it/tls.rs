//! TLS with the server's own CA.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::{Client, DEADLINE, Server};

/// A directory that is removed with the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{n}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn str(&self) -> &str {
        self.0.to_str().expect("an UTF-8 path")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).expect(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // Left-overs in the build directory harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Connects as `host`, trusting the CA of `dir`, and waits for the CONNECTION frame.
async fn connect(server: &Server, dir: &Dir, host: &'static str, certificate: bool) -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(dir.0.join("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if certificate {
        let chain = vec![CertificateDer::from_pem_file(dir.0.join("client-cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(dir.0.join("client-key.pem")).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from(host).unwrap();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = timeout(DEADLINE, handshake).await.expect("an answer");
    let stream = stream.map_err(|err| err.to_string())?;
    let url = format!("wss://{host}/api/socket?token=secret");
    let mut client = Client::over(Box::new(stream), &url, &[])
        .await
        .map_err(|err| err.to_string())?;
    assert_eq!(client.next().await["event"], "CONNECTION");
    Ok(client)
}

#[tokio::test]
async fn both_names_are_valid_and_others_are_not() {
    let dir = Dir::new();
    let server = Server::start(&["--tls", dir.str()]);
    assert!(server.url.starts_with("wss://127.0.0.1:"));
    for host in ["localhost", "127.0.0.1"] {
        let mut client = connect(&server, &dir, host, false).await.expect(host);
        client.joined("/chat/tls").await;
    }
    let refusal = connect(&server, &dir, "example.org", false).await;
    let message = refusal.err().expect("a name that is not in the certificate");
    assert!(message.contains("not valid for name"), "{message}");
}

#[tokio::test]
async fn a_restarted_server_keeps_its_ca() {
    let dir = Dir::new();
    let server = Server::start(&["--tls", dir.str()]);
    let (ca, cert) = (dir.read("ca.pem"), dir.read("server-cert.pem"));
    drop(server);
    let server = Server::start(&["--tls", dir.str()]);
    assert_eq!(dir.read("ca.pem"), ca);
    assert_eq!(dir.read("server-cert.pem"), cert);
    connect(&server, &dir, "localhost", false)
        .await
        .expect("the kept CA is trusted");

    let other = Dir::new();
    let other_server = Server::start(&["--tls", other.str()]);
    assert!(
        connect(&other_server, &dir, "localhost", false).await.is_err(),
        "another CA must not be trusted"
    );
}

#[tokio::test]
async fn client_certificates_can_be_required() {
    let dir = Dir::new();
    let server = Server::start(&["--tls", dir.str(), "--require-client-cert"]);
    connect(&server, &dir, "localhost", true)
        .await
        .expect("the client has a certificate");
    // With TLS 1.3 the refusal comes after the client's side of the handshake.
    let refusal = connect(&server, &dir, "localhost", false).await;
    assert!(refusal.is_err(), "a client without a certificate came in");
}
