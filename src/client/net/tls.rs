//! TLS settings: whom to trust, and what to show.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

/// Whom a client trusts and what it shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates of authorities, as PEM text, trusted beside the platform's own.
    pub ca_pem: Vec<String>,
    /// The client's certificate chain and its private key, as PEM text.
    pub client_cert: Option<(String, String)>,
    /// Accept every certificate. For development only: anybody in between can read and change everything.
    pub insecure_skip_verify: bool,
}

impl fmt::Debug for TlsOptions {
    // Neither key nor certificates: the first is a secret, the second are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca_pem", &self.ca_pem.len())
            .field("client_cert", &self.client_cert.is_some())
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish()
    }
}

/// Whom these options trust. It may read the system's certificates from disk, and holds them.
///
/// The error says which certificate is unusable, or that the system has none to trust.
pub fn verifier(options: &TlsOptions) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let provider = provider();
    if options.insecure_skip_verify {
        return Ok(Arc::new(AcceptAll {
            schemes: provider.signature_verification_algorithms.supported_schemes(),
        }));
    }
    let mut extra = Vec::new();
    for (number, pem) in (1..).zip(&options.ca_pem) {
        extra.extend(parse_authorities(pem).map_err(|error| format!("CA certificates, text {number}: {error}"))?);
    }
    platform_verifier(extra, provider)
}

/// The provider is given explicitly: a process-wide default would be shared with the host program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Builds the TLS configuration.
pub fn client_config(options: &TlsOptions, verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, String> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &options.client_cert {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let (chain, key) = parse_client_cert(cert, key, &provider)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("client certificate: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

/// Whether `pem` holds at least one certificate of an authority, and nothing broken.
pub fn check_pem(pem: &str) -> Result<(), String> {
    parse_authorities(pem).map(|_| ())
}

/// Whether `cert` (the chain, own certificate first) and `key` can be used together.
pub fn check_client_cert(cert: &str, key: &str) -> Result<(), String> {
    parse_client_cert(cert, key, &ring::default_provider()).map(|_| ())
}

fn parse_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
        // The parser's own message would quote the text.
        certificates.push(certificate.map_err(|_| format!("certificate {number} is not valid PEM"))?);
    }
    if certificates.is_empty() {
        return Err("the text contains no PEM certificate".to_owned());
    }
    Ok(certificates)
}

fn parse_authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = parse_certificates(pem)?;
    for (number, certificate) in (1..).zip(&certificates) {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| format!("certificate {number} is unusable: {error}"))?;
    }
    Ok(certificates)
}

fn parse_client_cert(
    cert: &str,
    key: &str,
    provider: &CryptoProvider,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = parse_certificates(cert).map_err(|error| format!("client certificate: {error}"))?;
    // Again without the parser's words: they may quote a line of the key.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| "client key: the text contains no valid PEM private key".to_owned())?;
    CertifiedKey::from_der(chain.clone(), key.clone_key(), provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "the client key does not belong to the client certificate".to_owned(),
        other => format!("client certificate or key: {other}"),
    })?;
    Ok((chain, key))
}

/// The platform's verifier, with further authorities beside the platform's own. A Linux machine without system
/// certificates is fine as long as there are further ones.
#[cfg(not(target_os = "android"))]
fn platform_verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(format!("the system's certificates cannot be used: {error}")),
    }
}

/// Android's verifier takes no further authorities: ours are asked first, then the platform's.
#[cfg(target_os = "android")]
fn platform_verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let describe = |error: &dyn fmt::Display| format!("the system's certificates cannot be used: {error}");
    let platform = Arc::new(Verifier::new(Arc::clone(&provider)).map_err(|error| describe(&error))?);
    match own_roots(extra, provider)? {
        Some(own) => Ok(Arc::new(FirstOf(own, platform))),
        None => Ok(platform),
    }
}

/// A verifier that trusts only `extra`; none without any.
#[cfg(any(target_os = "android", test))]
pub(super) fn own_roots(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, String> {
    if extra.is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for certificate in extra {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(Some(verifier.map_err(|error| error.to_string())?))
}

/// Two verifiers in turn; the second has the last word.
#[cfg(any(target_os = "android", test))]
#[derive(Debug)]
pub(super) struct FirstOf(
    pub(super) Arc<dyn ServerCertVerifier>,
    pub(super) Arc<dyn ServerCertVerifier>,
);

#[cfg(any(target_os = "android", test))]
impl ServerCertVerifier for FirstOf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .or_else(|_| {
                self.1
                    .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.1.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.1.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.supported_verify_schemes()
    }
}

/// Accepts every certificate.
#[derive(Debug)]
struct AcceptAll {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
