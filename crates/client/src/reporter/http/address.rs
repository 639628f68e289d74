//! Where a reporter sends: an address with the path that is usual there, if none is given.

use ureq::http::Uri;
use ureq::http::uri::{InvalidUri, PathAndQuery};

/// Why nothing can be sent to an address.
///
/// ```
/// # #[cfg(feature = "zipkin")] {
/// let error = tracewell::ZipkinReporter::new("localhost:9411").err().unwrap();
/// assert_eq!(error.to_string(), "localhost:9411: an address begins with http://");
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no address.
    #[error("{address:?} is no address: {source}")]
    Invalid {
        /// What was given.
        address: String,
        /// What is wrong with it.
        source: InvalidUri,
    },
    /// It names no server, or one that does not speak HTTP.
    #[error("{address}: an address begins with http://")]
    Scheme {
        /// What was given.
        address: String,
    },
    /// HTTPS is wanted and not built in.
    #[error("{address}: https needs the feature `tls` of the package tracewell")]
    NoTls {
        /// What was given.
        address: String,
    },
}

/// `path` stands in where the address has none.
pub(crate) fn http_address(address: &str, path: &'static str) -> Result<Uri, AddressError> {
    let uri: Uri = address.parse().map_err(|source| AddressError::Invalid { address: address.to_owned(), source })?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => {}
        Some("https") if cfg!(feature = "tls") => {}
        Some("https") => return Err(AddressError::NoTls { address: address.to_owned() }),
        _ => return Err(AddressError::Scheme { address: address.to_owned() }),
    }
    let has_path = uri.path_and_query().is_some_and(|given| given != "/");
    if has_path {
        return Ok(uri);
    }
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(path));
    Uri::from_parts(parts).map_err(|_| AddressError::Scheme { address: address.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_stays() {
        let at = |address| http_address(address, "/api/v2/spans").map(|uri| uri.to_string()).unwrap_or_default();
        assert_eq!(at("http://zipkin:9411"), "http://zipkin:9411/api/v2/spans");
        assert_eq!(at("http://zipkin:9411/"), "http://zipkin:9411/api/v2/spans");
        assert_eq!(at("http://[::1]:9411/spans?a=b"), "http://[::1]:9411/spans?a=b");
        for wrong in ["", "zipkin", "/api/v2/spans", "ftp://zipkin", "http://"] {
            assert!(http_address(wrong, "/").is_err(), "{wrong}");
        }
        assert_eq!(at("https://zipkin").is_empty(), !cfg!(feature = "tls"));
    }
}
