//! TLS configurations that clients share. One is large: it holds the roots of the platform. So clients of equal options have one
//! between them, with the tickets by which a server knows them again; clients of other options have no part in it.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;

use super::super::sync::lock;
use super::tls::{TlsOptions, client_config, verifier};

/// What is older than this is made anew for the next dial: the platform's roots may have changed.
const FRESH_FOR: Duration = Duration::from_secs(60 * 60);

/// A TLS configuration, and what it was made from.
pub struct Tls {
    options: TlsOptions,
    verifier: Arc<dyn ServerCertVerifier>,
    config: Arc<ClientConfig>,
    made: Instant,
}

impl Tls {
    /// For a dial.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// What it was made from.
    pub fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// It may be used for another dial.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < FRESH_FOR
    }

    fn verifies_like(&self, options: &TlsOptions) -> bool {
        self.options.ca_pem == options.ca_pem && self.options.insecure_skip_verify == options.insecure_skip_verify
    }
}

#[derive(Default)]
struct Known {
    /// All in use. Those of clients with options go with their last client: they may hold a key.
    all: Vec<Weak<Tls>>,
    /// The one without options stays for whoever comes next.
    plain: Option<Arc<Tls>>,
}

/// The configurations in use.
#[derive(Default)]
pub struct Trust(Mutex<Known>);

impl Trust {
    /// The configuration for these options. May read the platform's roots; meanwhile others who ask wait.
    pub fn get(&self, options: &TlsOptions, now: Instant) -> Result<Arc<Tls>, String> {
        let mut known = lock(&self.0);
        known.all.retain(|tls| tls.strong_count() > 0);
        let mut like = None;
        for tls in known
            .all
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|tls| tls.is_fresh(now))
        {
            if tls.options == *options {
                return Ok(tls);
            }
            if tls.verifies_like(options) {
                like = Some(tls);
            }
        }
        let (verifier, made) = match like {
            Some(tls) => (Arc::clone(&tls.verifier), tls.made),
            None => (verifier(options)?, now),
        };
        let tls = Arc::new(Tls {
            config: client_config(options, Arc::clone(&verifier))?,
            options: options.clone(),
            verifier,
            made,
        });
        known.all.push(Arc::downgrade(&tls));
        if *options == TlsOptions::default() {
            known.plain = Some(Arc::clone(&tls));
        }
        Ok(tls)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn trusting(pem: &str) -> TlsOptions {
        TlsOptions {
            ca_pem: vec![pem.to_owned()],
            ..TlsOptions::default()
        }
    }

    fn showing(authority: &CertifiedIssuer<'static, KeyPair>) -> TlsOptions {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::default().signed_by(&key, authority).unwrap();
        TlsOptions {
            client_cert: Some((cert.pem(), key.serialize_pem())),
            ..trusting(&authority.pem())
        }
    }

    fn same<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
        Arc::ptr_eq(one, other)
    }

    #[test]
    fn equal_options_have_one_configuration_and_others_none_of_it() {
        let (trust, now) = (Trust::default(), Instant::now());
        let (a, b) = (authority(), authority());
        let get = |options: &TlsOptions| trust.get(options, now).unwrap();
        let insecure = TlsOptions {
            insecure_skip_verify: true,
            ..trusting(&a.pem())
        };
        let (one, two) = (showing(&a), showing(&a));
        let all = [trusting(&a.pem()), trusting(&b.pem()), insecure, one, two];
        let made: Vec<_> = all.iter().map(get).collect();
        for (at, (options, tls)) in all.iter().zip(&made).enumerate() {
            assert!(same(tls, &get(options)), "{options:?}");
            for other in &made[at + 1..] {
                // Neither a ticket nor a certificate to show may reach it.
                assert!(
                    !same(tls.config(), other.config()),
                    "{options:?} and {:?}",
                    other.options()
                );
            }
        }
        // Who trusts the same has the same roots, whatever it shows; nobody else has.
        let roots = |at: usize| &made[at].verifier;
        assert!(same(roots(0), roots(3)) && same(roots(3), roots(4)));
        assert!(!same(roots(0), roots(1)) && !same(roots(0), roots(2)) && !same(roots(1), roots(2)));
    }

    #[test]
    fn what_is_old_is_made_anew() {
        let (trust, now) = (Trust::default(), Instant::now());
        let options = trusting(&authority().pem());
        let first = trust.get(&options, now).unwrap();
        let nearly = now + FRESH_FOR - Duration::from_secs(1);
        assert!(same(&first, &trust.get(&options, nearly).unwrap()));
        assert!(first.is_fresh(nearly) && !first.is_fresh(now + FRESH_FOR));
        let second = trust.get(&options, now + FRESH_FOR).unwrap();
        assert!(!same(&first, &second) && !same(&first.verifier, &second.verifier));
        assert!(same(&second, &trust.get(&options, now + FRESH_FOR).unwrap()));
    }

    #[test]
    fn roots_that_another_has_read_are_no_younger_for_it() {
        let (trust, now) = (Trust::default(), Instant::now());
        let authority = authority();
        let first = trust.get(&trusting(&authority.pem()), now).unwrap();
        let later = now + FRESH_FOR / 2;
        let second = trust.get(&showing(&authority), later).unwrap();
        assert!(same(&first.verifier, &second.verifier));
        assert!(!second.is_fresh(now + FRESH_FOR));
    }

    #[test]
    fn what_nobody_uses_is_gone() {
        let trust = Trust::default();
        let tls = trust.get(&showing(&authority()), Instant::now()).unwrap();
        let config = Arc::downgrade(tls.config());
        drop(tls);
        assert!(config.upgrade().is_none(), "it holds a key");
    }
}
