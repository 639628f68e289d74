//! Texts to the values of options: durations, sizes, addresses, lists.

use std::path::PathBuf;
use std::time::Duration;

/// A type an option can have: read from the text of a flag, a variable or the file.
pub(crate) trait Value: Sized {
    /// Reads the text; the error says what would be right.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At this port; without a host at that of `--host`.
    At {
        /// Its own host.
        host: Option<String>,
        /// The port; 0 picks a free one.
        port: u16,
    },
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk.
    Fsync,
    /// When the operating system has it.
    Os,
}

/// Where spans are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// In the data directory.
    Disk,
    /// In memory alone.
    Memory,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// Who decides what services sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplingMode {
    /// A file.
    File,
    /// The server, by what arrives.
    Adaptive,
}

/// A number of things, in all or a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

/// Names and what they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyValues(pub Vec<(String, String)>);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub usize);

impl Value for Listen {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (Some(host.trim_start_matches('[').trim_end_matches(']').to_owned()), port),
            None => (None, text),
        };
        let port = port.parse().map_err(|_| "expected PORT, HOST:PORT or off".to_owned())?;
        Ok(Self::At { host, port })
    }
}

impl Value for Durability {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "fsync" => Ok(Self::Fsync),
            "os" => Ok(Self::Os),
            _ => Err("expected fsync or os".to_owned()),
        }
    }
}

impl Value for StorageKind {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            // What Zipkin kept in another server is kept on disk.
            "disk" | "cassandra3" | "elasticsearch" | "mysql" => Ok(Self::Disk),
            "memory" | "mem" => Ok(Self::Memory),
            _ => Err("expected disk or memory".to_owned()),
        }
    }
}

impl Value for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".to_owned()),
        }
    }
}

impl Value for SamplingMode {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "file" => Ok(Self::File),
            "adaptive" => Ok(Self::Adaptive),
            _ => Err("expected file or adaptive".to_owned()),
        }
    }
}

impl Value for Rate {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number: &f64| *number >= 0.0 && number.is_finite());
        number.map(Self).ok_or_else(|| "expected a number, 0 or more".to_owned())
    }
}

impl Value for KeyValues {
    fn parse(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').ok_or_else(|| "expected KEY=VALUE,KEY=VALUE".to_owned())?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        };
        text.split(',').filter(|pair| !pair.trim().is_empty()).map(pair).collect::<Result<_, _>>().map(Self)
    }
}

impl Value for ByteSize {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "expected a number of bytes, such as 1000000, 64KiB, 10MiB or 2GiB".to_owned();
        let (number, unit) = split_unit(text);
        let shift = match unit {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(wrong()),
        };
        let number: usize = number.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "expected a duration, such as 500ms, 11s, 15m, 2h or 7d (a number alone is milliseconds)".to_owned();
        let (number, unit) = split_unit(text);
        let unit_ms = match unit {
            "" | "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(unit_ms).map(Self::from_millis).ok_or_else(wrong)
    }
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "TRUE" | "True" => Ok(true),
            "false" | "FALSE" | "False" => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }
}

/// Nothing, where no value is meant.
impl<T: Value> Value for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl Value for f32 {
    fn parse(text: &str) -> Result<Self, String> {
        f64::parse(text).map(|rate| rate as Self)
    }
}

/// A share.
impl Value for f64 {
    fn parse(text: &str) -> Result<Self, String> {
        let rate = text.parse().ok().filter(|rate: &Self| (0.0..=1.0).contains(rate));
        rate.ok_or_else(|| "expected a number from 0 to 1".to_owned())
    }
}

impl Value for usize {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a directory".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Value for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(Duration::parse("11s"), Ok(Duration::from_secs(11)));
        assert_eq!(Duration::parse("86400000"), Ok(Duration::from_secs(86_400)), "Zipkin's are milliseconds");
        assert!(Duration::parse("11 parsecs").is_err());
        assert!(Duration::parse("99999999999999999999d").is_err());
        assert_eq!(ByteSize::parse("64KiB"), Ok(ByteSize(65_536)));
        assert!(ByteSize::parse("-1").is_err());
    }

    #[test]
    fn tags_are_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            KeyValues::parse("env=lab, zone=a=b,"),
            Ok(KeyValues(vec![pair("env", "lab"), pair("zone", "a=b")]))
        );
        assert!(KeyValues::parse("env").is_err() && KeyValues::parse("").is_ok());
    }

    #[test]
    fn listeners_are_ports_with_or_without_a_host_or_off() {
        let at = |host: Option<&str>, port| Ok(Listen::At { host: host.map(str::to_owned), port });
        assert_eq!(Listen::parse("off"), Ok(Listen::Off));
        assert_eq!(Listen::parse("9411"), at(None, 9411));
        assert_eq!(Listen::parse("0.0.0.0:0"), at(Some("0.0.0.0"), 0));
        assert_eq!(Listen::parse("[::1]:9411"), at(Some("::1"), 9411));
        assert!(Listen::parse("70000").is_err());
    }
}
