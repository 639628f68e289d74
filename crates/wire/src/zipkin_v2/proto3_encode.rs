//! Spans as Zipkin v2 protobuf (`zipkin.proto3.ListOfSpans`), byte for byte as Zipkin's reporters write them.

use super::encode::write_annotation;
use super::order::{each_tag, in_order};
use crate::attribute_text::{Plain, write_value};
use crate::protobuf::{
    push_bool_field, push_bytes_field, push_fixed64_field, push_message, push_text_field, push_varint_field,
};
use tracewell_model::{EndpointRef, Kind, SpanFlags, SpanView, Time, ValueRef};

/// Most spans need two bytes for their length.
const SPAN_BYTES_EXPECTED: usize = 300;
const SMALL_BYTES_EXPECTED: usize = 60;

/// Appends a span as an element of a list. A list is its elements one behind the other, so a body is made by calling this
/// for each of its spans; no span at all is the empty body.
///
/// What Zipkin has no word for is left out or becomes text, as [`super::encode_span`] does it.
pub fn encode_proto3<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    push_message(out, 1, SPAN_BYTES_EXPECTED, |out| push_span(span, out));
}

fn push_span<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    let trace_id = span.trace_id();
    if trace_id.high() == 0 {
        push_bytes_field(out, 1, &trace_id.low().to_be_bytes());
    } else {
        push_bytes_field(out, 1, &trace_id.value().to_be_bytes());
    }
    if let Some(parent) = span.parent() {
        push_bytes_field(out, 2, &parent.value().to_be_bytes());
    }
    push_bytes_field(out, 3, &span.id().value().to_be_bytes());
    match span.kind() {
        Kind::Unset | Kind::Internal => {}
        Kind::Client => push_varint_field(out, 4, 1),
        Kind::Server => push_varint_field(out, 4, 2),
        Kind::Producer => push_varint_field(out, 4, 3),
        Kind::Consumer => push_varint_field(out, 4, 4),
    }
    if !span.name().is_empty() {
        push_text_field(out, 5, span.name());
    }
    match span.start().map_or(0, Time::as_micros) {
        0 => {}
        micros => push_fixed64_field(out, 6, micros),
    }
    match span.duration().map_or(0, Time::as_micros) {
        0 => {}
        micros => push_varint_field(out, 7, micros),
    }
    if let Some(endpoint) = span.local() {
        push_endpoint(out, 8, endpoint);
    }
    if let Some(endpoint) = span.remote() {
        push_endpoint(out, 9, endpoint);
    }
    for (time, value, details) in in_order(span.annotations(), |annotation| annotation.0) {
        push_message(out, 10, SMALL_BYTES_EXPECTED, |out| {
            push_fixed64_field(out, 1, time.as_micros());
            push_message(out, 2, SMALL_BYTES_EXPECTED, |out| {
                // A buffer takes everything.
                write_annotation(&mut Plain(out), value, details).ok();
            });
        });
    }
    each_tag(span, |key, value| push_tag(out, key, value));
    if span.flags().contains(SpanFlags::DEBUG) {
        push_bool_field(out, 12, true);
    }
    if span.flags().contains(SpanFlags::SHARED) {
        push_bool_field(out, 13, true);
    }
}

fn push_endpoint(out: &mut Vec<u8>, number: u32, endpoint: EndpointRef<'_>) {
    push_message(out, number, SMALL_BYTES_EXPECTED, |out| {
        if !endpoint.service.is_empty() {
            push_text_field(out, 1, endpoint.service);
        }
        if let Some(ipv4) = endpoint.ipv4 {
            push_bytes_field(out, 2, &ipv4);
        }
        if let Some(ipv6) = endpoint.ipv6 {
            push_bytes_field(out, 3, &ipv6);
        }
        if endpoint.port != 0 {
            push_varint_field(out, 4, endpoint.port.into());
        }
    });
}

fn push_tag(out: &mut Vec<u8>, key: &str, value: ValueRef<'_>) {
    push_message(out, 11, SMALL_BYTES_EXPECTED, |out| {
        push_text_field(out, 1, key);
        match value {
            ValueRef::Str(text) => push_text_field(out, 2, text),
            value => push_message(out, 2, SMALL_BYTES_EXPECTED, |out| {
                // A buffer takes everything.
                write_value(&mut Plain(out), value).ok();
            }),
        }
    });
}
