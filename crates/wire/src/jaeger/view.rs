//! A span as Jaeger shows it, wherever it came from: references, flags, tags, logs and process. Every encoder of Jaeger's
//! formats goes by this; `docs/mapping.md` has the rules, which are those of Jaeger 1.76 and of the OpenTelemetry
//! specification's page on Jaeger.

use crate::otlp::{DROPPED_ATTRIBUTES, EMPTY_SERVICE_NAME, MISSING_SERVICE_NAME, REF_TYPE, WRONG_TYPE_SERVICE_NAME};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use tracewell_model::{
    AttributesRef, EndpointRef, Kind, SpanFlags, SpanId, SpanRef, SpanView, StatusCode, Time, TraceId, ValueRef,
};

const EVENT: &str = "event";
/// The last tag of a span that was sent with a duration below zero says what it was, in nanoseconds. It is none of Jaeger's.
pub(in crate::jaeger) const NEGATIVE_DURATION_TAG: &str = "jaeger.negative_duration_ns";

/// A reference to another span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// CHILD_OF; otherwise FOLLOWS_FROM.
    pub(crate) child_of: bool,
}

/// The span's references: its parent first, which is a link where one is to that span. Those of a span that came in Jaeger's
/// format are in the order they came in.
pub(crate) fn references<'a>(span: impl SpanView<'a>) -> impl Iterator<Item = Reference> + Clone {
    let trace_id = span.trace_id();
    let linked = |parent: &SpanId| sent_links(span).any(|link| (link.trace_id, link.span_id) == (trace_id, *parent));
    let parent = span.parent().filter(|parent| !linked(parent));
    parent.map(|span_id| Reference { trace_id, span_id, child_of: true }).into_iter().chain(links(span))
}

/// The span's references beside a parent that is named for itself, as `jaeger.thrift` has it; one to the parent comes first.
pub(crate) fn links<'a>(span: impl SpanView<'a>) -> impl Iterator<Item = Reference> + Clone {
    let parent = span.parent().filter(|_| !span.flags().contains(SpanFlags::JAEGER));
    let is_to = |link: Reference, parent| (link.trace_id, link.span_id) == (span.trace_id(), parent);
    let first = parent.and_then(|parent| sent_links(span).position(|link| is_to(link, parent)));
    let others = sent_links(span).enumerate().filter(move |(row, _)| Some(*row) != first).map(|(_, link)| link);
    first.and_then(|row| sent_links(span).nth(row)).into_iter().chain(others)
}

fn sent_links<'a>(span: impl SpanView<'a>) -> impl Iterator<Item = Reference> + Clone {
    span.links().map(|(link, mut attributes)| {
        let child_of = attributes.any(|(key, value)| key == REF_TYPE && value == ValueRef::Str("child_of"));
        Reference { trace_id: link.trace_id, span_id: link.span_id, child_of: link.child_of || child_of }
    })
}

/// Jaeger's flags: 1 sampled, 2 debug, others as they came.
pub(crate) fn flags<'a>(span: impl SpanView<'a>) -> u32 {
    let flags = span.flags();
    if flags.contains(SpanFlags::JAEGER) && span.otlp_flags() != 0 {
        return span.otlp_flags();
    }
    u32::from(flags.contains(SpanFlags::SAMPLED)) | u32::from(flags.contains(SpanFlags::DEBUG)) << 1
}

/// The duration in nanoseconds as Jaeger was sent it, which may be below zero; in microseconds where these do not fit.
pub(crate) fn duration<'a>(span: impl SpanView<'a>) -> Duration {
    let duration = span.duration().unwrap_or_default();
    match negative_duration(span) {
        Some(nanos) if duration == Time::ZERO => Duration::NegativeNanos(nanos),
        _ => Duration::Known(duration),
    }
}

/// See [`duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duration {
    Known(Time),
    /// Below zero.
    NegativeNanos(i64),
}

impl Duration {
    /// Whole microseconds.
    pub(crate) fn as_micros(self) -> i64 {
        match self {
            Self::Known(duration) => duration.as_micros().cast_signed(),
            Self::NegativeNanos(nanos) => nanos / 1000,
        }
    }
}

fn negative_duration<'a>(span: impl SpanView<'a>) -> Option<i64> {
    if span.duration() != Some(Time::ZERO) || !span.flags().contains(SpanFlags::JAEGER) {
        return None;
    }
    match span.tags().last() {
        Some((NEGATIVE_DURATION_TAG, ValueRef::I64(nanos))) if nanos < 0 => Some(nanos),
        _ => None,
    }
}

/// A log's fields: an annotation's value is the field `event`, which comes first, unless there is one already. How many
/// attributes OTLP's sender dropped is no field.
pub(crate) fn log_fields<'a>(
    value: &'a str,
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
    let details = details.filter(|(key, _)| *key != DROPPED_ATTRIBUTES);
    let event = !value.is_empty() && !details.clone().any(|(key, _)| key == EVENT);
    event.then_some((EVENT, ValueRef::Str(value))).into_iter().chain(details)
}

/// What of a span becomes tags in Jaeger though it is no tag in the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TagSource<'a> {
    /// OTLP's scope: name and version.
    scope: (&'a str, &'a str),
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This process, which has its address among its own tags.
    Own,
    /// Jaeger and OTLP say by attributes whatever is known of the two sides.
    Attributes,
    Zipkin,
}

impl TagSource<'_> {
    /// For spans that this process recorded.
    pub(crate) const OWN: Self = Self { scope: ("", ""), origin: Origin::Own };
}

impl<'a> TagSource<'a> {
    pub(crate) fn of(span: SpanRef<'a>) -> Self {
        let scope = span.scope().map_or(("", ""), |scope| (scope.name, scope.version));
        // All that OTLP sends has a resource.
        let attributes = span.flags().contains(SpanFlags::JAEGER) || span.resource_id().0 != 0;
        Self { scope, origin: if attributes { Origin::Attributes } else { Origin::Zipkin } }
    }
}

/// Visits the span's tags in Jaeger's order. A span that came in Jaeger's format has those it came with.
pub(crate) fn for_each_tag<'a>(
    span: impl SpanView<'a>,
    source: TagSource<'_>,
    visit: &mut impl FnMut(&str, ValueRef<'_>),
) {
    let has = Present::of(span);
    let text = ValueRef::Str;
    let from_jaeger = span.flags().contains(SpanFlags::JAEGER);
    let from_zipkin = source.origin == Origin::Zipkin;
    let (scope_name, scope_version) = source.scope;
    if !from_jaeger && !scope_name.is_empty() {
        visit("otel.scope.name", text(scope_name));
    }
    if !from_jaeger && !scope_version.is_empty() {
        visit("otel.scope.version", text(scope_version));
    }
    let hidden = usize::from(negative_duration(span).is_some());
    let shown = if hidden == 0 { usize::MAX } else { span.tags().count() - hidden };
    for (key, value) in span.tags().take(shown) {
        match key {
            // Zipkin's error is a text; that it failed is said below.
            "error" if has.error_text && value == text("true") => {}
            // Jaeger 1.76 takes these for a kind and a status, and then does not know their values.
            "span.kind" | "otel.status_code" if from_zipkin => {}
            "otel.library.name" if from_zipkin => visit("otel.scope.name", value),
            "otel.library.version" if from_zipkin => visit("otel.scope.version", value),
            _ => visit(key, value),
        }
    }
    if let Some(kind) = kind_text(span.kind()).filter(|_| !has.kind || from_zipkin) {
        visit("span.kind", text(kind));
    }
    let failed = span.status() == StatusCode::Error || has.error_text;
    if (!has.status_code || from_zipkin) && !from_jaeger && (failed || span.status() == StatusCode::Ok) {
        visit("otel.status_code", text(if failed { "ERROR" } else { "OK" }));
    }
    if failed && !has.error_bool && !from_jaeger {
        visit("error", ValueRef::Bool(true));
    }
    if !from_jaeger {
        rarer_tags(span, source, has, visit);
    }
}

fn rarer_tags<'a>(
    span: impl SpanView<'a>,
    source: TagSource<'_>,
    has: Present,
    visit: &mut impl FnMut(&str, ValueRef<'_>),
) {
    if !span.status_message().is_empty() && !has.status_description {
        visit("otel.status_description", ValueRef::Str(span.status_message()));
    }
    if !span.trace_state().is_empty() {
        visit("w3c.tracestate", ValueRef::Str(span.trace_state()));
    }
    if let Some(local) = span.local().filter(|_| source.origin == Origin::Zipkin) {
        address_tags(local, "net.host.ip", "net.host.port", visit);
    }
    if let Some(remote) = span.remote().filter(|_| !has.peer && source.origin != Origin::Attributes) {
        if !remote.service.is_empty() {
            visit("peer.service", ValueRef::Str(remote.service));
        }
        address_tags(remote, "net.peer.ip", "net.peer.port", visit);
    }
    if span.start().is_none() && source.origin == Origin::Zipkin {
        visit("otel.zipkin.absentField.startTime", ValueRef::Bool(true));
    }
}

fn address_tags(endpoint: EndpointRef<'_>, ip: &str, port: &str, visit: &mut impl FnMut(&str, ValueRef<'_>)) {
    let mut buffer = AddressText { bytes: [0; 45], len: 0 };
    let text = match (endpoint.ipv6, endpoint.ipv4) {
        (Some(bytes), _) => print(&mut buffer, Ipv6Addr::from(bytes)),
        (None, Some(_)) if !endpoint.ipv4_text.is_empty() => endpoint.ipv4_text,
        (None, Some(bytes)) => print(&mut buffer, Ipv4Addr::from(bytes)),
        (None, None) => "",
    };
    if !text.is_empty() {
        visit(ip, ValueRef::Str(text));
    }
    if endpoint.port != 0 {
        visit(port, ValueRef::I64(i64::from(endpoint.port)));
    }
}

/// Room for an address as text, which has at most 45 characters: nothing is allocated.
struct AddressText {
    bytes: [u8; 45],
    len: usize,
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes[self.len..].get_mut(..text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

fn print(room: &mut AddressText, address: impl fmt::Display) -> &str {
    use fmt::Write as _;
    match write!(room, "{address}") {
        Ok(()) => std::str::from_utf8(&room.bytes[..room.len]).unwrap_or_default(),
        Err(fmt::Error) => "",
    }
}

/// Tags that are there already, so that none is said twice.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    kind: bool,
    status_code: bool,
    status_description: bool,
    error_bool: bool,
    /// A text, on a span without a status: Zipkin's way to say that it failed.
    error_text: bool,
    peer: bool,
}

impl Present {
    fn of<'a>(span: impl SpanView<'a>) -> Self {
        let mut has = Self::default();
        if span.flags().contains(SpanFlags::JAEGER) {
            has.kind = span.kind() == Kind::Unset || span.tags().any(|(key, _)| key == "span.kind");
            return has;
        }
        let no_status = span.status() == StatusCode::Unset;
        for (key, value) in span.tags() {
            match key {
                "span.kind" => has.kind = true,
                "otel.status_code" => has.status_code = true,
                "otel.status_description" => has.status_description = true,
                "error" => match value {
                    ValueRef::Bool(_) => has.error_bool = true,
                    ValueRef::Str(_) => has.error_text = no_status,
                    _ => {}
                },
                "peer.service"
                | "net.peer.ip"
                | "net.peer.port"
                | "net.peer.name"
                | "server.address"
                | "network.peer.address" => has.peer = true,
                _ => {}
            }
        }
        has
    }
}

pub(super) fn kind_text(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Unset => return None,
        Kind::Internal => "internal",
        Kind::Client => "client",
        Kind::Server => "server",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    })
}

/// Who recorded a span, as Jaeger has it.
#[derive(Clone, Copy)]
pub(crate) struct ProcessView<'a> {
    /// The service's name. Where the sender named none, what Jaeger 1.76 says in its place.
    pub(crate) service: &'a str,
    resource: Option<AttributesRef<'a>>,
    /// Whether the sender said anything of a process.
    pub(crate) is_known: bool,
}

impl<'a> ProcessView<'a> {
    pub(crate) fn of(span: SpanRef<'a>) -> Self {
        let named = span.local().map_or("", |local| local.service);
        let resource = span.resource().map(|resource| resource.attributes);
        let service = match named {
            "" if span.flags().contains(SpanFlags::JAEGER) => "",
            "" => unnamed_service(resource),
            named => named,
        };
        Self { service, resource, is_known: !service.is_empty() || span.resource_id().0 != 0 }
    }

    /// The process' tags.
    pub(crate) fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        let attributes = self.resource.into_iter().flat_map(AttributesRef::iter);
        attributes.filter(|(key, _)| *key != "service.name")
    }

    /// Whether both are the same process.
    pub(crate) fn same(self, other: ProcessView<'_>) -> bool {
        let same = |(a, b): ((&str, ValueRef<'_>), (&str, ValueRef<'_>))| a.0 == b.0 && a.1.same(b.1);
        self.service == other.service
            && self.is_known == other.is_known
            && self.tags().count() == other.tags().count()
            && self.tags().zip(other.tags()).all(same)
    }
}

fn unnamed_service(resource: Option<AttributesRef<'_>>) -> &'static str {
    let name = resource.into_iter().flat_map(AttributesRef::iter).find(|(key, _)| *key == "service.name");
    match name {
        Some((_, ValueRef::Str(_))) => EMPTY_SERVICE_NAME,
        Some(_) => WRONG_TYPE_SERVICE_NAME,
        None => MISSING_SERVICE_NAME,
    }
}
