//! Whom a reporter believes where it speaks TLS, and what it shows of itself.

use std::fmt;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, crypto};

/// How a reporter speaks TLS. Without further words it believes servers that Mozilla's authorities vouch for, and shows
/// nothing of itself.
///
/// ```
/// use tracewell::TlsOptions;
/// let tls = TlsOptions::default().authorities(&std::fs::read("tests/fixtures/authority.pem")?)?;
/// # #[cfg(feature = "zipkin")] {
/// use tracewell::{HttpOptions, ZipkinReporter};
/// let reporter = ZipkinReporter::builder("https://zipkin")?.http(HttpOptions::default().tls(tls)).build();
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct TlsOptions {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<Identity>,
}

/// Certificates, the first of them one's own, and its key.
pub(super) struct Identity {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The same key as it was given: what speaks HTTP takes no other form.
    #[cfg(feature = "_http")]
    pub(super) key_pem: Vec<u8>,
}

/// Why certificates or a key cannot be used.
///
/// ```
/// let error = tracewell::TlsOptions::default().authorities(b"what is this?").unwrap_err();
/// assert_eq!(error.to_string(), "there is no certificate in it: PEM is wanted, with a line -----BEGIN CERTIFICATE-----");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There are no certificates.
    #[error("there is no certificate in it: PEM is wanted, with a line -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// There is no key.
    #[error("there is no private key in it: PEM is wanted, with a line -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// It is not what PEM should be.
    #[error("it is no PEM: {why}")]
    Pem {
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or a key of a kind that is not known, or the two do not belong together.
    #[error("it cannot be used: {why}")]
    Unusable {
        /// What is wrong with it.
        why: String,
    },
}

impl TlsOptions {
    /// Servers are believed that one of these authorities vouches for, and no others: certificates as PEM, one or several.
    ///
    /// ```
    /// let pem = std::fs::read("tests/fixtures/authority.pem")?;
    /// let tls = tracewell::TlsOptions::default().authorities(&pem)?;
    /// assert_eq!(format!("{tls:?}"), "TlsOptions { authorities: 1, identity: false }");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn authorities(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.authorities = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for authority in &self.authorities {
            store.add(authority.clone()).map_err(|error| unusable(&error))?;
        }
        Ok(self)
    }

    /// What is shown to servers that ask who comes: one's certificate, behind it those up to the authority's, and its
    /// private key (PKCS #8, PKCS #1 or SEC 1), all as PEM.
    ///
    /// ```
    /// let certificate = std::fs::read("tests/fixtures/authority.pem")?;
    /// let error = tracewell::TlsOptions::default().identity(&certificate, b"no key").unwrap_err();
    /// assert!(matches!(error, tracewell::TlsError::NoKey));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn identity(mut self, certificates_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let certificates = certificates(certificates_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
            PemError::NoItemsFound => TlsError::NoKey,
            error => TlsError::Pem { why: error.to_string() },
        })?;
        // So that nothing is wrong any more when it is shown.
        CertifiedKey::from_der(certificates.clone(), key.clone_key(), &crypto::ring::default_provider())
            .map_err(|error| unusable(&error))?;
        self.identity = Some(Identity {
            certificates,
            key,
            #[cfg(feature = "_http")]
            key_pem: key_pem.to_vec(),
        });
        Ok(self)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| TlsError::Pem { why: error.to_string() })?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

fn unusable(error: &rustls::Error) -> TlsError {
    TlsError::Unusable { why: error.to_string() }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            certificates: self.certificates.clone(),
            key: self.key.clone_key(),
            #[cfg(feature = "_http")]
            key_pem: self.key_pem.clone(),
        }
    }
}

/// Without the key.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authorities", &self.authorities.len())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// For what speaks HTTP/1.1.
#[cfg(feature = "_http")]
pub(super) mod http {
    use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

    use super::{Identity, TlsOptions};

    impl TlsOptions {
        pub(in crate::reporter) fn for_http(&self) -> TlsConfig {
            let mut config = TlsConfig::builder().client_cert(self.identity.as_ref().and_then(Identity::for_http));
            if !self.authorities.is_empty() {
                let authorities: Vec<_> =
                    self.authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
                config = config.root_certs(RootCerts::new_with_certs(&authorities));
            }
            config.build()
        }
    }

    impl Identity {
        fn for_http(&self) -> Option<ClientCert> {
            // It was read once, so it is a key.
            let key = PrivateKey::from_pem(&self.key_pem).ok()?;
            let chain: Vec<_> = self.certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            Some(ClientCert::new_with_certs(&chain, key))
        }
    }
}

/// For gRPC.
#[cfg(feature = "otlp-grpc-tls")]
pub(super) mod grpc {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto};

    use super::TlsOptions;

    impl TlsOptions {
        pub(in crate::reporter) fn for_grpc(&self) -> Result<ClientConfig, rustls::Error> {
            let mut roots = RootCertStore::empty();
            if self.authorities.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            } else {
                roots.add_parsable_certificates(self.authorities.iter().cloned());
            }
            let provider = Arc::new(crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let config = config.with_root_certificates(roots);
            let mut config = match &self.identity {
                Some(identity) => {
                    config.with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())?
                }
                None => config.with_no_client_auth(),
            };
            config.alpn_protocols = vec![b"h2".to_vec()];
            Ok(config)
        }
    }
}
