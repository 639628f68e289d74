//! Spans as OTLP JSON: compact, ids in hexadecimal, 64-bit numbers as texts, enums as numbers, fields in the order of
//! their numbers, as Go's collector writes it.

use super::encode_protobuf::{flags, for_each_link_attribute, kind_number, split_dropped};
use super::group::{ResourceGroup, group, resource_attributes};
use super::json_value::{push_attribute, push_value};
use super::names::JAEGER_WARNINGS;
use super::peer::{for_each_field, for_each_tag};
use crate::zipkin_v2::{push_hex, push_number, push_text};
use tracewell_model::{Kind, LinkView, SpanRef, SpanView, StatusCode, Time, TraceId, ValueRef};

/// Appends an `ExportTraceServiceRequest` (or `TracesData`) of these spans: see [`super::encode_protobuf`].
pub fn encode_json<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    let mut request = JsonObject::begin(out);
    let groups = group(spans, push_resource_of, push_scope_of);
    push_resources(groups.into_iter(), request.name("resourceSpans"));
    request.end();
}

fn push_resources<'a>(groups: impl Iterator<Item = ResourceGroup<'a>>, out: &mut Vec<u8>) {
    push_list(out, groups, |resource, out| {
        out.push(b'{');
        out.extend_from_slice(&resource.head);
        out.extend_from_slice(b",\"scopeSpans\":");
        push_list(out, resource.scopes.iter(), |scope, out| {
            out.push(b'{');
            out.extend_from_slice(&scope.head);
            out.extend_from_slice(b",\"spans\":");
            push_list(out, scope.spans.iter(), |span, out| encode_span_json(*span, out));
            out.push(b'}');
        });
        out.push(b'}');
    });
}

/// Appends an `ExportTraceServiceRequest` (or `TracesData`) of these traces: each has its own resources, even where these
/// say the same.
pub fn encode_json_traces<'a, S: IntoIterator<Item = SpanRef<'a>>>(
    traces: impl IntoIterator<Item = S>,
    out: &mut Vec<u8>,
) {
    let mut request = JsonObject::begin(out);
    let groups = traces.into_iter().flat_map(|spans| group(spans, push_resource_of, push_scope_of));
    push_resources(groups, request.name("resourceSpans"));
    request.end();
}

/// Appends a span as an element of `spans`: see [`super::encode_span`].
pub fn encode_span_json<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    let mut object = JsonObject::begin(out);
    push_trace_id(object.name("traceId"), span.trace_id());
    push_span_id(object.name("spanId"), span.id().value());
    object.text("traceState", span.trace_state());
    if let Some(parent) = span.parent() {
        push_span_id(object.name("parentSpanId"), parent.value());
    }
    object.number("flags", flags(span));
    object.text("name", span.name());
    if span.kind() != Kind::Unset {
        object.number("kind", kind_number(span.kind()).into());
    }
    let start = span.start().unwrap_or_default();
    object.time("startTimeUnixNano", start);
    object.time("endTimeUnixNano", span.duration().map_or(Time::ZERO, |duration| start.saturating_add(duration)));
    push_tags(span, &mut object);
    let (dropped_tags, dropped_annotations, dropped_links) = span.dropped();
    object.number("droppedAttributesCount", dropped_tags);
    if span.annotations().next().is_some() {
        push_list(object.name("events"), span.annotations(), |(time, name, details), out| {
            push_event(time, name, details, out);
        });
    }
    object.number("droppedEventsCount", dropped_annotations);
    if span.links().next().is_some() {
        push_list(object.name("links"), span.links(), |(link, attributes), out| push_link(link, attributes, out));
    }
    object.number("droppedLinksCount", dropped_links);
    let mut status = JsonObject::begin(object.name("status"));
    status.text("message", span.status_message());
    if span.status() != StatusCode::Unset {
        status.number("code", span.status() as u32);
    }
    status.end();
    object.end();
}

fn push_tags<'a>(span: impl SpanView<'a>, object: &mut JsonObject<'_>) {
    let mut attributes = Attributes::default();
    for_each_tag(span, |key, value| attributes.push(object, key, value));
    for_each_field(span, |key, value| attributes.push(object, key, value));
    if span.warnings().next().is_some() {
        let out = attributes.next(object);
        out.extend_from_slice(b"{\"key\":");
        push_text(out, JAEGER_WARNINGS);
        out.extend_from_slice(b",\"value\":{\"arrayValue\":{\"values\":");
        push_list(out, span.warnings(), |text, out| push_value(out, ValueRef::Str(text)));
        out.extend_from_slice(b"}}}");
    }
    attributes.end(object);
}

fn push_event<'a>(
    time: Time,
    name: &str,
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
    out: &mut Vec<u8>,
) {
    let mut object = JsonObject::begin(out);
    object.time("timeUnixNano", time);
    object.text("name", name);
    let mut attributes = Attributes::default();
    let dropped = split_dropped(details, |key, value| attributes.push(&mut object, key, value));
    attributes.end(&mut object);
    object.number("droppedAttributesCount", dropped);
    object.end();
}

fn push_link<'a>(link: LinkView<'a>, own: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone, out: &mut Vec<u8>) {
    let mut object = JsonObject::begin(out);
    push_trace_id(object.name("traceId"), link.trace_id);
    push_span_id(object.name("spanId"), link.span_id.value());
    object.text("traceState", link.trace_state);
    let mut attributes = Attributes::default();
    for_each_link_attribute(link, own, |key, value| attributes.push(&mut object, key, value));
    attributes.end(&mut object);
    object.number("droppedAttributesCount", link.dropped_attributes);
    object.number("flags", link.otlp_flags);
    object.end();
}

fn push_resource_of(span: SpanRef<'_>, out: &mut Vec<u8>) {
    let (schema_url, dropped) =
        span.resource().map_or(("", 0), |resource| (resource.schema_url, resource.dropped_attributes));
    out.extend_from_slice(b"\"resource\":");
    let mut object = JsonObject::begin(out);
    let mut attributes = Attributes::default();
    resource_attributes(span).for_each(|(key, value)| attributes.push(&mut object, key, value));
    attributes.end(&mut object);
    object.number("droppedAttributesCount", dropped);
    object.end();
    push_schema_url(schema_url, out);
}

fn push_scope_of(span: SpanRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"scope\":");
    let mut object = JsonObject::begin(out);
    let scope = span.scope();
    if let Some(scope) = scope {
        object.text("name", scope.name);
        object.text("version", scope.version);
        let mut attributes = Attributes::default();
        scope.attributes.iter().for_each(|(key, value)| attributes.push(&mut object, key, value));
        attributes.end(&mut object);
        object.number("droppedAttributesCount", scope.dropped_attributes);
    }
    object.end();
    push_schema_url(scope.map_or("", |scope| scope.schema_url), out);
}

fn push_schema_url(schema_url: &str, out: &mut Vec<u8>) {
    if !schema_url.is_empty() {
        out.extend_from_slice(b",\"schemaUrl\":");
        push_text(out, schema_url);
    }
}

fn push_trace_id(out: &mut Vec<u8>, id: TraceId) {
    out.push(b'"');
    push_hex(out, id.high());
    push_hex(out, id.low());
    out.push(b'"');
}

fn push_span_id(out: &mut Vec<u8>, id: u64) {
    out.push(b'"');
    push_hex(out, id);
    out.push(b'"');
}

/// Appends a list of whatever `push` appends.
pub(super) fn push_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut push: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(item, out);
    }
    out.push(b']');
}

/// The member `attributes` of an object, which begins with the first of them: an empty list is left out.
#[derive(Default)]
struct Attributes {
    any: bool,
}

impl Attributes {
    fn push(&mut self, object: &mut JsonObject<'_>, key: &str, value: ValueRef<'_>) {
        push_attribute(self.next(object), key, value);
    }

    fn next<'o>(&mut self, object: &'o mut JsonObject<'_>) -> &'o mut Vec<u8> {
        if self.any {
            object.out.push(b',');
        } else {
            object.name("attributes").push(b'[');
            self.any = true;
        }
        object.out
    }

    fn end(self, object: &mut JsonObject<'_>) {
        if self.any {
            object.out.push(b']');
        }
    }
}

/// An object being written.
pub(super) struct JsonObject<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

impl<'o> JsonObject<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, any: false }
    }

    /// Begins a member; its value is to be appended to what this gives.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.any { b",\"" } else { b"\"" });
        self.any = true;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// A text, left out where empty.
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            push_text(self.name(name), text);
        }
    }

    /// A number, left out where zero.
    fn number(&mut self, name: &str, number: u32) {
        if number != 0 {
            push_number(self.name(name), number.into());
        }
    }

    /// A time in nanoseconds, left out where zero.
    fn time(&mut self, name: &str, time: Time) {
        if time != Time::ZERO {
            let out = self.name(name);
            out.push(b'"');
            push_number(out, time.as_nanos());
            out.push(b'"');
        }
    }
}
