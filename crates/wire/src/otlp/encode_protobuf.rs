//! Spans as OTLP protobuf: fields in the order of their numbers, zeros left out, lengths in shortest form.

use super::any_value::{push_key_value, push_texts};
use super::group::{group, resource_attributes};
use super::names::{CHILD_OF, DROPPED_ATTRIBUTES, JAEGER_WARNINGS, REF_TYPE};
use super::peer::{for_each_field, for_each_tag};
use crate::protobuf::{
    push_bytes_field, push_fixed32_field, push_fixed64_field, push_message, push_text_field, push_varint_field,
};
use tracewell_model::{Kind, LinkView, SpanFlags, SpanRef, SpanView, StatusCode, Time, ValueRef};

/// About how long a span is that has a few tags.
const SPAN_LEN: usize = 200;

/// Appends an `ExportTraceServiceRequest` (or `TracesData`) of these spans, by resource and scope, which appear in the order
/// they are first met. Where a span has no resource (it came from Zipkin, say), its local endpoint names the service.
pub fn encode_protobuf<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    for resource in group(spans, push_resource_of, push_scope_of) {
        let spans: usize = resource.scopes.iter().map(|scope| scope.spans.len()).sum();
        push_message(out, 1, spans * SPAN_LEN, |out| {
            out.extend_from_slice(&resource.head);
            for scope in &resource.scopes {
                push_message(out, 2, scope.spans.len() * SPAN_LEN, |out| {
                    out.extend_from_slice(&scope.head);
                    for &span in &scope.spans {
                        encode_span(span, out);
                    }
                });
            }
        });
    }
}

/// Appends a span as an element of `ScopeSpans.spans`, with its key and length: what [`super::RequestWriter`] takes.
///
/// What OTLP has no field for goes out as attributes: endpoints by the names Jaeger 1.76 gives them when Zipkin's spans come
/// in (`peer.service`, `net.peer.ip`, `net.host.ip` …), Jaeger's warnings as `@jaeger@warnings`. Debug and shared are lost.
pub fn encode_span<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    push_span(span, SPAN_LEN, out);
}

/// [`encode_span`], where it is known about how long the span will be.
pub(super) fn push_span<'a>(span: impl SpanView<'a>, len_expected: usize, out: &mut Vec<u8>) {
    push_message(out, 2, len_expected, |out| push_span_fields(span, out));
}

#[inline]
fn push_span_fields<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    let mut ids = [0; 28];
    ids[..2].copy_from_slice(&[0x0a, 16]);
    ids[2..18].copy_from_slice(&span.trace_id().value().to_be_bytes());
    ids[18..20].copy_from_slice(&[0x12, 8]);
    ids[20..].copy_from_slice(&span.id().value().to_be_bytes());
    out.extend_from_slice(&ids);
    push_text(out, 3, span.trace_state());
    if let Some(parent) = span.parent() {
        push_bytes_field(out, 4, &parent.value().to_be_bytes());
    }
    push_text(out, 5, span.name());
    if span.kind() != Kind::Unset {
        out.extend_from_slice(&[0x30, kind_number(span.kind())]);
    }
    push_times(span.start(), span.duration(), out);
    for_each_tag(span, |key, value| push_key_value(out, 9, key, value));
    for_each_field(span, |key, value| push_key_value(out, 9, key, value));
    if span.warnings().next().is_some() {
        push_texts(out, 9, JAEGER_WARNINGS, span.warnings());
    }
    let (dropped_tags, dropped_annotations, dropped_links) = span.dropped();
    push_number(out, 10, dropped_tags);
    for (time, name, details) in span.annotations() {
        push_message(out, 11, 100, |out| push_event(time, name, details, out));
    }
    push_number(out, 12, dropped_annotations);
    for (link, attributes) in span.links() {
        push_message(out, 13, 100, |out| push_link(link, attributes, out));
    }
    push_number(out, 14, dropped_links);
    let (code, message) = (span.status(), span.status_message());
    if code != StatusCode::Unset || !message.is_empty() {
        push_message(out, 15, message.len() + 4, |out| {
            push_text(out, 2, message);
            push_number(out, 3, code as u32);
        });
    }
    push_flags(out, 16, flags(span));
}

/// See [`super::decode_protobuf`] for the way back.
pub(super) fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Unset => 0,
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

/// A span that came from Jaeger keeps Jaeger's flags where others have OTLP's.
pub(super) fn flags<'a>(span: impl SpanView<'a>) -> u32 {
    if span.flags().contains(SpanFlags::JAEGER) { 0 } else { span.otlp_flags() }
}

/// Start and end. A duration without a start stands as the time since the epoch.
#[inline]
fn push_times(start: Option<Time>, duration: Option<Time>, out: &mut Vec<u8>) {
    let start = start.unwrap_or_default();
    let end = duration.map_or(Time::ZERO, |duration| start.saturating_add(duration));
    let mut times = [0; 18];
    times[0] = 0x39;
    times[1..9].copy_from_slice(&start.as_nanos().to_le_bytes());
    times[9] = 0x41;
    times[10..].copy_from_slice(&end.as_nanos().to_le_bytes());
    let from = if start == Time::ZERO { 9 } else { 0 };
    let to = if end == Time::ZERO { 9 } else { 18 };
    out.extend_from_slice(&times[from..to]);
}

fn push_event<'a>(
    time: Time,
    name: &str,
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
    out: &mut Vec<u8>,
) {
    if time != Time::ZERO {
        push_fixed64_field(out, 1, time.as_nanos());
    }
    push_text(out, 2, name);
    let dropped = split_dropped(details, |key, value| push_key_value(out, 3, key, value));
    push_number(out, 4, dropped);
}

/// Hands out the details of an annotation but its count of dropped ones, which it answers.
pub(super) fn split_dropped<'a>(
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
    mut each: impl FnMut(&'a str, ValueRef<'a>),
) -> u32 {
    let mut details = details.peekable();
    while let Some((key, value)) = details.next() {
        if let (DROPPED_ATTRIBUTES, ValueRef::I64(dropped), None) = (key, value, details.peek())
            && let Ok(dropped @ 1..) = u32::try_from(dropped)
        {
            return dropped;
        }
        each(key, value);
    }
    0
}

fn push_link<'a>(
    link: LinkView<'a>,
    attributes: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
    out: &mut Vec<u8>,
) {
    push_bytes_field(out, 1, &link.trace_id.value().to_be_bytes());
    push_bytes_field(out, 2, &link.span_id.value().to_be_bytes());
    push_text(out, 3, link.trace_state);
    for_each_link_attribute(link, attributes, |key, value| push_key_value(out, 4, key, value));
    push_number(out, 5, link.dropped_attributes);
    push_flags(out, 6, link.otlp_flags);
}

/// Hands out a link's attributes, and for a reference of Jaeger's kind CHILD_OF the one that says so.
pub(super) fn for_each_link_attribute<'a>(
    link: LinkView<'a>,
    attributes: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
    mut each: impl FnMut(&'a str, ValueRef<'a>),
) {
    let mut says_child_of = false;
    for (key, value) in attributes {
        says_child_of |= key == REF_TYPE && value == ValueRef::Str(CHILD_OF);
        each(key, value);
    }
    if link.child_of && !says_child_of {
        each(REF_TYPE, ValueRef::Str(CHILD_OF));
    }
}

fn push_resource_of(span: SpanRef<'_>, out: &mut Vec<u8>) {
    let (schema_url, dropped) =
        span.resource().map_or(("", 0), |resource| (resource.schema_url, resource.dropped_attributes));
    push_resource(resource_attributes(span), dropped, schema_url, out);
}

/// The fields of `ResourceSpans` but its spans.
pub(super) fn push_resource<'a>(
    attributes: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
    dropped_attributes: u32,
    schema_url: &str,
    out: &mut Vec<u8>,
) {
    let mut attributes = attributes.peekable();
    if attributes.peek().is_some() || dropped_attributes > 0 {
        push_message(out, 1, 100, |out| {
            attributes.for_each(|(key, value)| push_key_value(out, 1, key, value));
            push_number(out, 2, dropped_attributes);
        });
    }
    push_text(out, 3, schema_url);
}

fn push_scope_of(span: SpanRef<'_>, out: &mut Vec<u8>) {
    let Some(scope) = span.scope() else { return };
    if !(scope.name.is_empty() && scope.version.is_empty() && scope.attributes.is_empty())
        || scope.dropped_attributes > 0
    {
        push_message(out, 1, 100, |out| {
            push_text(out, 1, scope.name);
            push_text(out, 2, scope.version);
            scope.attributes.iter().for_each(|(key, value)| push_key_value(out, 3, key, value));
            push_number(out, 4, scope.dropped_attributes);
        });
    }
    push_text(out, 3, scope.schema_url);
}

/// The fields of `ScopeSpans` but its spans, for a scope without attributes.
pub(super) fn push_scope(name: &str, version: &str, out: &mut Vec<u8>) {
    if !name.is_empty() || !version.is_empty() {
        push_message(out, 1, name.len() + version.len(), |out| {
            push_text(out, 1, name);
            push_text(out, 2, version);
        });
    }
}

#[inline]
fn push_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        push_text_field(out, number, text);
    }
}

#[inline]
fn push_number(out: &mut Vec<u8>, number: u32, value: u32) {
    if value != 0 {
        push_varint_field(out, number, value.into());
    }
}

#[inline]
fn push_flags(out: &mut Vec<u8>, number: u32, flags: u32) {
    if flags != 0 {
        push_fixed32_field(out, number, flags);
    }
}
