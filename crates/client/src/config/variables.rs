//! Variables of the environment, read through a function so that a test can bring its own.

use std::env;
use std::str::FromStr;
#[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
use std::time::Duration;

use super::ConfigError;

/// The environment of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Reads variables; an empty one counts as not set, as OpenTelemetry's specification has it.
pub(super) struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of these that is set, with its name.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &str, allowed: &'static str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| ConfigError::value(name, &text, allowed))
    }

    #[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
    pub(super) fn millis(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.parsed(name, "a number of milliseconds")?.map(Duration::from_millis))
    }

    #[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
    /// `true` in any case is true, everything else is false: OpenTelemetry's rule.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}
