//! TLS servers that must not be trusted.

use std::sync::Arc;

use pondsocket::session::status;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};

use super::peer::{CLIENT_ERROR, Peer, Rules};
use super::raw::{CONNECTION, Conn, Gone, Hostile, text, upgrade_answer};
use super::{SLACK, alone};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority of this test");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn config(cert: &str, key: &str) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// Handshake, upgrade, CONNECTION; says whether the client sent its request.
fn serve(config: &Arc<ServerConfig>, conn: &mut Conn) -> Result<String, Gone> {
    let tls = ServerConnection::new(Arc::clone(config)).map_err(|_| Gone)?;
    let mut stream = StreamOwned::new(tls, conn.socket.try_clone()?);
    let mut head = Vec::new();
    let mut buf = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buf)?;
        if count == 0 {
            return Err(Gone);
        }
        head.extend_from_slice(&buf[..count]);
    }
    let head = String::from_utf8(head).unwrap();
    stream.write_all(upgrade_answer(&head, "").as_bytes())?;
    stream.write_all(&text(CONNECTION))?;
    stream.flush()?;
    // Until the client goes.
    while stream.read(&mut buf)? > 0 {}
    Ok(head)
}

#[test]
fn only_a_trusted_certificate_of_that_host_gets_a_request() {
    let _alone = alone();
    let ours = authority();
    let strange = authority();
    let issue = |name: &str, by: &CertifiedIssuer<'static, KeyPair>, years: (i32, i32)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
    };
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let now = (2020, 2100);
    let cases = [
        ("right", issue("localhost", &ours, now), None),
        ("wrong name", issue("other.example", &ours, now), Some("host name")),
        ("expired", issue("localhost", &ours, (2010, 2015)), Some("expired")),
        ("not valid yet", issue("localhost", &ours, (2090, 2100)), Some("")),
        ("self-signed", self_signed, Some("trusted")),
        ("another authority", issue("localhost", &strange, now), Some("")),
    ];
    for (name, (cert, key), refusal) in cases {
        let config = config(&cert, &key);
        let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let hostile = Hostile::new(move |conn, _| {
            serve(&config, conn)?;
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        });
        let rules = Rules {
            ca_pem: Some(ours.pem()),
            connect_ms: 5_000,
            ..Rules::default()
        };
        let mut peer = Peer::new(&format!("wss://localhost:{}/", hostile.addr.port()), &rules);
        peer.connect();
        match refusal {
            None => {
                peer.wait("CONNECTED", SLACK, |ev| {
                    ev.kind == super::peer::CLIENT_STATE && ev.state == 3
                });
            }
            Some(word) => {
                for _ in 0..2 {
                    let error = peer.wait(name, SLACK, |ev| ev.kind == CLIENT_ERROR);
                    assert_eq!(error.status, status::TLS, "{name}: {}", error.message);
                    assert!(error.message.contains(word), "{name}: {}", error.message);
                }
                drop(peer);
                assert!(
                    !asked.load(std::sync::atomic::Ordering::Relaxed),
                    "{name}: a request was sent"
                );
            }
        }
    }
    // A server that does not speak TLS.
    let hostile = Hostile::new(|conn, _| {
        conn.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        std::io::copy(&mut conn.socket, &mut std::io::sink())?;
        Ok(())
    });
    let mut peer = Peer::new(&format!("wss://localhost:{}/", hostile.addr.port()), &Rules::default());
    peer.connect();
    let error = peer.wait("no TLS", SLACK, |ev| ev.kind == CLIENT_ERROR);
    assert_eq!(error.status, status::TLS, "{}", error.message);
}
