//! A certificate authority for one directory, and the TLS configuration of the server.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// Makes what `dir` lacks, and a TLS acceptor of what it holds.
pub fn acceptor(dir: &Path, require_client_cert: bool) -> Result<TlsAcceptor, Error> {
    if !dir.join("ca.pem").exists() {
        create(dir)?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if require_client_cert {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem"))?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(
        vec![CertificateDer::from_pem_file(dir.join("server-cert.pem"))?],
        PrivateKeyDer::from_pem_file(dir.join("server-key.pem"))?,
    )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Writes the authority, a server certificate and a client certificate.
fn create(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir)?;
    let mut params = certificate("PondSocket test CA", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let leaves = [
        (
            "server",
            certificate("localhost", &["localhost", "127.0.0.1"])?,
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
        (
            "client",
            certificate("PondSocket test client", &[])?,
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
    ];
    for (name, mut params, usage) in leaves {
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &ca)?;
        fs::write(dir.join(format!("{name}-cert.pem")), leaf.pem())?;
        fs::write(dir.join(format!("{name}-key.pem")), key.serialize_pem())?;
    }
    // Last, and in one step: the presence of this file says that the others are complete.
    let partial = dir.join("ca.pem.partial");
    fs::write(&partial, ca.pem())?;
    fs::rename(partial, dir.join("ca.pem"))?;
    Ok(())
}

/// Some platforms refuse long-lived certificates, so these last a year.
fn certificate(name: &str, alt_names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = alt_names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365);
    Ok(params)
}
