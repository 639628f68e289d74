//! Tags of Jaeger's that other formats have a field for: there they are shown once, by the field.
//!
//! A span that came in Jaeger's format keeps all its tags, and its fields are filled from them besides (`docs/mapping.md`).
//! A tag is left out only where the field says the very same, so nothing is lost.

use super::names::Meaning;
use super::view::kind_text;
use crate::names::NameMeaning as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use tracewell_model::{EndpointRef, Kind, SpanFlags, SpanView, StatusCode, ValueRef};

/// Whether the span came in Jaeger's format: only then may its tags repeat its fields.
#[inline]
pub(crate) fn is_from_jaeger<'a>(span: impl SpanView<'a>) -> bool {
    span.flags().contains(SpanFlags::JAEGER)
}

/// Whether a tag of a span from Jaeger says what a field of OTLP says: kind, status, trace state, scope.
pub(crate) fn is_field_of_otlp<'a>(span: impl SpanView<'a>, key: &str, value: ValueRef<'_>) -> bool {
    match (Meaning::of(key), value) {
        (Meaning::Kind, ValueRef::Str(text)) => kind_text(span.kind()) == Some(text),
        (meaning @ (Meaning::ScopeName | Meaning::ScopeVersion), ValueRef::Str(text)) => {
            // Of several the last is the scope's.
            let texts = span.tags().filter_map(|(key, value)| match value {
                ValueRef::Str(text) if Meaning::of(key) == meaning => Some(text),
                _ => None,
            });
            texts.last() == Some(text)
        }
        (Meaning::TraceState, ValueRef::Str(text)) => text == span.trace_state(),
        (meaning, value) => is_status(span, meaning, value),
    }
}

/// Whether a tag of a span from Jaeger says what Zipkin has another word for: kind, status (there the tag `error`, which is
/// its message), remote endpoint.
pub(crate) fn is_field_of_zipkin<'a>(span: impl SpanView<'a>, key: &str, value: ValueRef<'_>) -> bool {
    match (Meaning::of(key), value) {
        // Zipkin has no word for this kind.
        (Meaning::Kind, _) if span.kind() == Kind::Internal => false,
        (Meaning::Kind, ValueRef::Str(text)) => kind_text(span.kind()) == Some(text),
        (Meaning::PeerService, ValueRef::Str(text)) => span.remote().is_some_and(|remote| text == remote.service),
        (meaning @ (Meaning::PeerIpv4 | Meaning::PeerIpv6 | Meaning::PeerPort), value) => {
            span.remote().is_some_and(|remote| is_address(remote, meaning, value))
        }
        // Without a message `error` itself stays as it came; that all went well Zipkin cannot say.
        (Meaning::Error, _) if span.status_message().is_empty() => false,
        (meaning, value) => span.status() == StatusCode::Error && is_status(span, meaning, value),
    }
}

fn is_status<'a>(span: impl SpanView<'a>, meaning: Meaning, value: ValueRef<'_>) -> bool {
    match (meaning, value) {
        (Meaning::Error, ValueRef::Bool(true) | ValueRef::Str("true")) => span.status() == StatusCode::Error,
        (Meaning::StatusCode, ValueRef::Str("ERROR")) => span.status() == StatusCode::Error,
        (Meaning::StatusCode, ValueRef::Str("OK")) => span.status() == StatusCode::Ok,
        (Meaning::StatusDescription, ValueRef::Str(text)) => text == span.status_message(),
        _ => false,
    }
}

fn is_address(remote: EndpointRef<'_>, meaning: Meaning, value: ValueRef<'_>) -> bool {
    match (meaning, value) {
        (Meaning::PeerIpv4, ValueRef::Str(text)) => {
            remote.ipv4.is_some_and(|ip| text.parse() == Ok(Ipv4Addr::from(ip)))
        }
        (Meaning::PeerIpv4, ValueRef::I64(bits)) => remote.ipv4 == Some((bits as u32).to_be_bytes()),
        (Meaning::PeerIpv6, ValueRef::Str(text)) => {
            remote.ipv6.is_some_and(|ip| text.parse() == Ok(Ipv6Addr::from(ip)))
        }
        (Meaning::PeerPort, ValueRef::I64(port)) => remote.port != 0 && port == i64::from(remote.port),
        (Meaning::PeerPort, ValueRef::Str(text)) => remote.port != 0 && text.parse() == Ok(remote.port),
        _ => false,
    }
}
