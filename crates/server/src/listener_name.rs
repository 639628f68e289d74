//! The listeners by name: which there are, which option says where each listens.

use crate::options::{Listen, Options};

/// A listener, named as its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerName {
    /// Jaeger's query API over HTTP.
    JaegerQuery,
    /// Jaeger's query API over gRPC.
    JaegerQueryGrpc,
    /// OpenTelemetry's collector over gRPC.
    OtlpGrpc,
    /// OpenTelemetry's collector over HTTP.
    OtlpHttp,
    /// Jaeger's collector over gRPC.
    JaegerGrpc,
    /// Jaeger's collector over HTTP.
    JaegerHttp,
    /// jaeger.thrift, compact, over UDP.
    JaegerUdpCompact,
    /// jaeger.thrift, binary, over UDP.
    JaegerUdpBinary,
    /// zipkin.thrift, compact, over UDP.
    ZipkinUdp,
    /// Jaeger's agent over HTTP.
    Sampling,
    /// Health and metrics.
    Admin,
    /// Zipkin's API and the page.
    Zipkin,
}

impl ListenerName {
    /// All, in the order in which they are started. The page's is the last: who waits for it knows that all listen.
    pub const ALL: [Self; 12] = [
        Self::JaegerQuery,
        Self::JaegerQueryGrpc,
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::JaegerGrpc,
        Self::JaegerHttp,
        Self::JaegerUdpCompact,
        Self::JaegerUdpBinary,
        Self::ZipkinUdp,
        Self::Sampling,
        Self::Admin,
        Self::Zipkin,
    ];

    /// The option without its dashes: what the log and errors call it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::JaegerQuery => "jaeger-query",
            Self::JaegerQueryGrpc => "jaeger-query-grpc",
            Self::OtlpGrpc => "otlp-grpc",
            Self::OtlpHttp => "otlp-http",
            Self::JaegerGrpc => "jaeger-grpc",
            Self::JaegerHttp => "jaeger-http",
            Self::JaegerUdpCompact => "jaeger-udp-compact",
            Self::JaegerUdpBinary => "jaeger-udp-binary",
            Self::ZipkinUdp => "zipkin-udp",
            Self::Sampling => "sampling",
            Self::Admin => "admin",
            Self::Zipkin => "zipkin",
        }
    }

    /// Whether it takes packets rather than connections.
    pub fn is_udp(self) -> bool {
        matches!(self, Self::JaegerUdpCompact | Self::JaegerUdpBinary | Self::ZipkinUdp)
    }

    /// Where the options want it.
    pub(crate) fn listen(self, options: &Options) -> &Listen {
        match self {
            // A packet names no tenant.
            _ if options.tenancy_enabled && self.is_udp() => &Listen::Off,
            Self::OtlpGrpc | Self::OtlpHttp if !options.collector_otlp_enabled => &Listen::Off,
            Self::JaegerQuery | Self::JaegerQueryGrpc if !options.query_enabled => &Listen::Off,
            Self::JaegerQuery => &options.jaeger_query,
            Self::JaegerQueryGrpc => &options.jaeger_query_grpc,
            Self::OtlpGrpc => &options.otlp_grpc,
            Self::OtlpHttp => &options.otlp_http,
            Self::JaegerGrpc => &options.jaeger_grpc,
            Self::JaegerHttp => &options.jaeger_http,
            Self::JaegerUdpCompact => &options.jaeger_udp_compact,
            Self::JaegerUdpBinary => &options.jaeger_udp_binary,
            Self::ZipkinUdp => &options.zipkin_udp,
            Self::Sampling => &options.sampling,
            Self::Admin => &options.admin,
            Self::Zipkin => &options.zipkin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_has_its_option() {
        for name in ListenerName::ALL {
            assert!(Options::DEFINITIONS.iter().any(|definition| definition.flag() == name.flag()), "{}", name.flag());
        }
    }

    #[test]
    fn switches_turn_listeners_off() {
        let options = Options { collector_otlp_enabled: false, query_enabled: false, ..Options::default() };
        let on = ListenerName::ALL.into_iter().filter(|name| *name.listen(&options) != Listen::Off);
        assert_eq!(on.count(), 8);
        let options = Options { tenancy_enabled: true, ..Options::default() };
        assert_eq!(ListenerName::ALL.into_iter().filter(|name| *name.listen(&options) != Listen::Off).count(), 9);
    }
}
