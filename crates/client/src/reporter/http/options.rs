//! What goes with every request, and how long one may take.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

#[cfg(feature = "tls")]
use crate::reporter::TlsOptions;

/// How a reporter speaks HTTP.
///
/// ```
/// use std::time::Duration;
/// use tracewell::HttpOptions;
/// let options = HttpOptions::default()
///     .gzip(true)
///     .timeout(Duration::from_secs(3))
///     .bearer_token("eyJhbGciOi")?
///     .header("x-scope-orgid", "shop")?;
/// assert!(HttpOptions::default().header("not a name", "").is_err());
/// # drop(options);
/// # Ok::<(), tracewell::HeaderError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct HttpOptions {
    pub(super) headers: HeaderMap,
    pub(super) gzip: bool,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsOptions,
}

/// Why a header cannot be sent.
///
/// ```
/// let error = tracewell::HttpOptions::default().header("two words", "").unwrap_err();
/// assert!(error.to_string().starts_with(r#"header "two words" cannot be sent"#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name:?} cannot be sent: its name or its value holds what HTTP does not allow")]
pub struct HeaderError {
    name: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let (connect_timeout, timeout) = (Duration::from_secs(3), Duration::from_secs(10));
        Self {
            headers: HeaderMap::new(),
            gzip: false,
            connect_timeout,
            timeout,
            #[cfg(feature = "tls")]
            tls: TlsOptions::default(),
        }
    }
}

impl HttpOptions {
    /// Whether bodies are compressed: a fifth to a tenth of the bytes, for many times the processor time of encoding.
    /// Not if not said.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().gzip(true);
    /// assert!(format!("{options:?}").contains("gzip: true"));
    /// ```
    pub const fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// A header of every request; takes the place of one of that name.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().header("x-scope-orgid", "shop")?;
    /// assert!(format!("{options:?}").contains("x-scope-orgid"));
    /// # Ok::<(), tracewell::HeaderError>(())
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let (key, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(key), Ok(value)) = (key, value) else { return Err(HeaderError { name: name.to_owned() }) };
        self.headers.insert(key, value);
        Ok(self)
    }

    /// `Authorization: Basic …`.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().basic_auth("user", "password")?;
    /// # drop(options);
    /// # Ok::<(), tracewell::HeaderError>(())
    /// ```
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, HeaderError> {
        self.authorization(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// `Authorization: Bearer …`.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().bearer_token("eyJhbGciOi")?;
    /// assert!(!format!("{options:?}").contains("eyJhbGciOi"), "secrets are not shown");
    /// # Ok::<(), tracewell::HeaderError>(())
    /// ```
    pub fn bearer_token(self, token: &str) -> Result<Self, HeaderError> {
        self.authorization(&format!("Bearer {token}"))
    }

    /// How long a connection may take to be made; 3 seconds if not said.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().connect_timeout(std::time::Duration::from_secs(1));
    /// assert!(format!("{options:?}").contains("connect_timeout: 1s"));
    /// ```
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long each of sending a request, waiting for its answer and reading that may take; 10 seconds if not said.
    ///
    /// ```
    /// let options = tracewell::HttpOptions::default().timeout(std::time::Duration::from_secs(5));
    /// assert!(format!("{options:?}").contains(" timeout: 5s"));
    /// ```
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Which servers are believed over `https://`, and what is shown to them.
    ///
    /// ```
    /// use tracewell::{HttpOptions, TlsOptions};
    /// let authority = std::fs::read("tests/fixtures/authority.pem")?;
    /// let options = HttpOptions::default().tls(TlsOptions::default().authorities(&authority)?);
    /// # drop(options);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    fn authorization(self, value: &str) -> Result<Self, HeaderError> {
        self.header(AUTHORIZATION.as_str(), value)
    }
}

/// Without the values of headers: some are secret.
impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("gzip", &self.gzip)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish()
    }
}
