//! Spans as OTLP protobuf: fields in the order of their numbers, zeros left out, lengths in shortest form.

use super::any_value::{push_key_value, push_texts, stage_key_value};
use super::group::{group, resource_attributes};
use super::names::{CHILD_OF, DROPPED_ATTRIBUTES, JAEGER_WARNINGS, REF_TYPE};
use super::peer::{for_each_field, for_each_tag};
use crate::jaeger::is_from_jaeger;
use crate::protobuf::{
    push_bytes_field, push_fixed32_field, push_fixed64_field, push_message, push_staged_message, push_text_field,
    push_varint_field, varint_len,
};
use crate::stage::{STAGE_BYTES, Stage, StageBytes};
use tracewell_model::{Kind, LinkView, SpanFlags, SpanRef, SpanView, StatusCode, Time, ValueRef};

/// About how long a span is that has a few tags.
const SPAN_LEN: usize = 200;

/// Appends an `ExportTraceServiceRequest` (or `TracesData`) of these spans, by resource and scope, which appear in the order
/// they are first met. Where a span has no resource (it came from Zipkin, say), its local endpoint names the service.
pub fn encode_protobuf<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    let mut stage = [0; STAGE_BYTES];
    for resource in group(spans, push_resource_of, push_scope_of) {
        let spans: usize = resource.scopes.iter().map(|scope| scope.spans.len()).sum();
        push_message(out, 1, spans * SPAN_LEN, |out| {
            out.extend_from_slice(&resource.head);
            for scope in &resource.scopes {
                push_message(out, 2, scope.spans.len() * SPAN_LEN, |out| {
                    out.extend_from_slice(&scope.head);
                    for &span in &scope.spans {
                        push_span(span, &mut stage, out);
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
    push_span(span, &mut [0; STAGE_BYTES], out);
}

/// [`encode_span`], by way of memory that is kept.
#[inline]
pub(super) fn push_span<'a>(span: impl SpanView<'a>, stage: &mut StageBytes, out: &mut Vec<u8>) {
    push_staged_message(out, 2, stage, |stage| stage_span_fields(span, stage));
}

#[inline]
fn stage_span_fields<'a>(span: impl SpanView<'a>, stage: &mut Stage<'_>) {
    let mut ids = [0; 28];
    ids[..2].copy_from_slice(&[0x0a, 16]);
    ids[2..18].copy_from_slice(&span.trace_id().value().to_be_bytes());
    ids[18..20].copy_from_slice(&[0x12, 8]);
    ids[20..].copy_from_slice(&span.id().value().to_be_bytes());
    stage.put(ids);
    let trace_state = span.trace_state();
    if !trace_state.is_empty() {
        push_text(stage.vector(), 3, trace_state);
    }
    stage_common_fields(span, stage);
    if is_from_jaeger(span) {
        for_each_tag(span, |key, value| push_key_value(stage.vector(), 9, key, value));
    } else {
        for (key, value) in span.tags_bytes() {
            stage_key_value(stage, 9, key, value);
        }
    }
    for_each_field(span, |key, value| push_key_value(stage.vector(), 9, key, value));
    if span.warnings().next().is_some() {
        push_texts(stage.vector(), 9, JAEGER_WARNINGS, span.warnings());
    }
    let (dropped_tags, dropped_annotations, dropped_links) = span.dropped();
    stage_number(stage, 10, dropped_tags);
    for (time, name, details) in span.annotations() {
        push_message(stage.vector(), 11, 100, |out| push_event(time, name, details, out));
    }
    stage_number(stage, 12, dropped_annotations);
    for (link, attributes) in span.links() {
        push_message(stage.vector(), 13, 100, |out| push_link(link, attributes, out));
    }
    stage_number(stage, 14, dropped_links);
    let (code, message) = (span.status(), span.status_message());
    if code != StatusCode::Unset || !message.is_empty() {
        push_status(code, message, stage.vector());
    }
    let flags = flags(span);
    if flags != 0 {
        push_flags(stage.vector(), 16, flags);
    }
}

/// Parent, name, kind, start and end, in one piece. A duration without a start stands as the time since the epoch.
#[inline]
fn stage_common_fields<'a>(span: impl SpanView<'a>, stage: &mut Stage<'_>) {
    let (parent, name, kind) = (span.parent(), span.name_bytes(), span.kind());
    let start = span.start().unwrap_or_default();
    let end = span.duration().map_or(Time::ZERO, |duration| start.saturating_add(duration));
    let name_len = if name.is_empty() { 0 } else { 1 + varint_len(name.len() as u64) + name.len() };
    let of_kind = if kind == Kind::Unset { 0 } else { 2 };
    let times = [start, end].map(|time| if time == Time::ZERO { 0 } else { 9 });
    let len = if parent.is_some() { 10 } else { 0 } + name_len + of_kind + times[0] + times[1];
    stage.put_pieces(len, |place| {
        if let Some(parent) = parent {
            place.put([0x22, 8]);
            place.put(parent.value().to_be_bytes());
        }
        if name_len > 0 {
            place.put([0x2a]);
            place.put_varint(name.len() as u64);
            place.put_slice(name);
        }
        if of_kind > 0 {
            place.put([0x30, kind_number(kind)]);
        }
        for (key, time) in [(0x39, start), (0x41, end)] {
            if time != Time::ZERO {
                place.put([key]);
                place.put(time.as_nanos().to_le_bytes());
            }
        }
    });
}

#[inline]
fn stage_number(stage: &mut Stage<'_>, number: u32, value: u32) {
    if value != 0 {
        push_number(stage.vector(), number, value);
    }
}

#[inline(never)]
fn push_status(code: StatusCode, message: &str, out: &mut Vec<u8>) {
    push_message(out, 15, message.len() + 4, |out| {
        push_text(out, 2, message);
        push_number(out, 3, code as u32);
    });
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
