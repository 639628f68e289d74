//! Keys of Jaeger's tags that say what other formats have a field for.

use crate::names::NameMeaning;

/// What a tag's key is to us: see `docs/mapping.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Meaning {
    #[default]
    Plain,
    Kind,
    Error,
    StatusCode,
    StatusDescription,
    TraceState,
    ScopeName,
    ScopeVersion,
    PeerService,
    PeerIpv4,
    PeerIpv6,
    PeerPort,
}

impl NameMeaning for Meaning {
    fn of(key: &str) -> Self {
        match key {
            "span.kind" => Self::Kind,
            "error" => Self::Error,
            "otel.status_code" => Self::StatusCode,
            "otel.status_description" => Self::StatusDescription,
            "w3c.tracestate" => Self::TraceState,
            "otel.scope.name" | "otel.library.name" => Self::ScopeName,
            "otel.scope.version" | "otel.library.version" => Self::ScopeVersion,
            "peer.service" => Self::PeerService,
            "peer.ipv4" => Self::PeerIpv4,
            "peer.ipv6" => Self::PeerIpv6,
            "peer.port" => Self::PeerPort,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_other_formats_have_fields_for() {
        assert_eq!(Meaning::of("span.kind"), Meaning::Kind);
        assert_eq!(Meaning::of("otel.library.name"), Meaning::ScopeName);
        assert_eq!(Meaning::of(""), Meaning::Plain);
    }
}
