//! Certificates and keys for OTLP, from the files that OpenTelemetry's variables name.

use std::fs;

use super::super::ConfigError;
use super::OtelConfig;
use crate::{TlsError, TlsOptions};

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const TOGETHER: &str = "given together with OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY";

impl OtelConfig {
    pub(super) fn tls_options(&self) -> Result<TlsOptions, ConfigError> {
        let mut tls = TlsOptions::default();
        if let Some(path) = &self.otlp_certificate {
            tls = tls.authorities(&read(CERTIFICATE, path)?).map_err(unusable(CERTIFICATE, path))?;
        }
        match (&self.otlp_client_certificate, &self.otlp_client_key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                let certificates = read(CLIENT_CERTIFICATE, certificate)?;
                tls = tls.identity(&certificates, &read(CLIENT_KEY, key)?).map_err(|error| match error {
                    TlsError::NoKey => unusable(CLIENT_KEY, key)(error),
                    error => unusable(CLIENT_CERTIFICATE, certificate)(error),
                })?;
            }
            (Some(path), None) => return Err(ConfigError::value(CLIENT_CERTIFICATE, path, TOGETHER)),
            (None, Some(path)) => return Err(ConfigError::value(CLIENT_KEY, path, TOGETHER)),
        }
        Ok(tls)
    }
}

fn read(variable: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(unusable(variable, path))
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(
    variable: &'static str,
    path: &str,
) -> impl FnOnce(E) -> ConfigError {
    move |error| ConfigError::refused(variable)(UnusableFile { path: path.to_owned(), error: Box::new(error) })
}

/// Which file it is about.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
struct UnusableFile {
    path: String,
    error: Box<dyn std::error::Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name_and_the_variable_s() {
        const FILE: &str = "tests/fixtures/authority.pem";
        let with = |certificate: Option<&str>, client: Option<&str>, key: Option<&str>| {
            let own = |path: Option<&str>| path.map(str::to_owned);
            let config = OtelConfig {
                otlp_certificate: own(certificate),
                otlp_client_certificate: own(client),
                otlp_client_key: own(key),
                ..OtelConfig::default()
            };
            config.tls_options().err().map(|error| error.to_string())
        };
        assert_eq!(with(None, None, None), None);
        assert_eq!(with(Some(FILE), None, None), None);
        let missing = with(Some("nowhere.pem"), None, None).unwrap();
        assert!(missing.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE") && missing.contains("nowhere.pem"), "{missing}");
        let wrong = with(Some("Cargo.toml"), None, None).unwrap();
        assert!(wrong.contains("Cargo.toml") && wrong.contains("no certificate"), "{wrong}");
        let wrong = with(None, Some(FILE), Some(FILE)).unwrap();
        assert!(wrong.starts_with("OTEL_EXPORTER_OTLP_CLIENT_KEY") && wrong.contains("no private key"), "{wrong}");
        assert!(with(None, Some(FILE), None).unwrap().starts_with("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is"));
        assert!(with(None, None, Some(FILE)).unwrap().starts_with("OTEL_EXPORTER_OTLP_CLIENT_KEY is"));
    }
}
