//! The verifier of systems that have certificates in files but no verifier of their own: Linux and the BSDs.
//!
//! rustls's own verifier would bring along the reader of revocation lists, of which there are none here.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Trusts the system's authorities and further ones.
#[derive(Debug)]
pub(super) struct SystemRoots {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SystemRoots {
    /// Reads the system's certificates. A broken one is skipped; to have none is an error, unless there are further ones.
    pub(super) fn load(extra: Vec<CertificateDer<'static>>, provider: &CryptoProvider) -> Result<Arc<Self>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in extra {
            roots.add(certificate)?;
        }
        let found = rustls_native_certs::load_native_certs();
        let (_, ignored) = roots.add_parsable_certificates(found.certs);
        if ignored > 0 {
            log::warn!(target: "pondsocket", "{ignored} of the system's certificates are unusable");
        }
        for error in found.errors {
            log::warn!(target: "pondsocket", "the system's certificates cannot be read: {error}");
        }
        if roots.is_empty() {
            return Err(Error::General(
                "No CA certificates were loaded from the system".to_owned(),
            ));
        }
        Ok(Arc::new(Self::new(roots, provider)))
    }

    fn new(roots: RootCertStore, provider: &CryptoProvider) -> Self {
        Self {
            roots,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for SystemRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, self.algorithms.all)?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
