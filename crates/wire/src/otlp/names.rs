//! Names that have a meaning of their own among attributes.

use crate::names::NameMeaning;

/// The resource attribute that names who recorded a span.
pub const SERVICE_NAME: &str = "service.name";
/// The service of spans whose resource names none, as Jaeger 1.76 has it.
pub const MISSING_SERVICE_NAME: &str = "missing-service-name";
/// The service of spans whose resource has an empty name for it, as Jaeger 1.76 has it.
pub const EMPTY_SERVICE_NAME: &str = "empty-service-name";
/// The service of spans whose resource names it by something else than a text, as Jaeger 1.76 has it.
pub const WRONG_TYPE_SERVICE_NAME: &str = "service-name-wrong-type";
/// The last detail of an annotation whose sender dropped some: how many, as [`tracewell_model::ValueRef::I64`].
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
/// The span attribute that holds Jaeger's warnings: a list of texts.
pub const JAEGER_WARNINGS: &str = "@jaeger@warnings";
/// The link attribute by which Jaeger tells its two kinds of references apart.
pub(crate) const REF_TYPE: &str = "opentracing.ref_type";
pub(super) const CHILD_OF: &str = "child_of";
/// What Jaeger's Zipkin intake says of a span that came without a start.
pub(super) const ABSENT_START: &str = "otel.zipkin.absentField.startTime";

/// What a key of an attribute is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Meaning {
    #[default]
    Plain,
    ServiceName,
    Warnings,
    /// Says something of the other side; its rank there: see [`super::peer`].
    Peer(u8),
    /// The other side's port; which of them.
    PeerPort(u8),
}

impl NameMeaning for Meaning {
    fn of(key: &str) -> Self {
        match key {
            SERVICE_NAME => Self::ServiceName,
            JAEGER_WARNINGS => Self::Warnings,
            key => match (super::peer::rank(key), super::peer::port_rank(key)) {
                (Some(rank), _) => Self::Peer(rank as u8),
                (_, Some(rank)) => Self::PeerPort(rank as u8),
                _ => Self::Plain,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_the_specification_says() {
        assert_eq!(Meaning::of("service.name"), Meaning::ServiceName);
        assert_eq!(Meaning::of("peer.service"), Meaning::Peer(0));
        assert_eq!(Meaning::of("server.port"), Meaning::PeerPort(1));
        assert_eq!(Meaning::of(""), Meaning::Plain);
    }
}
