//! Spans as Zipkin v1 JSON, byte for byte as Zipkin's reporters write them.

use super::shape::Shape;
use crate::zipkin_v2::{
    push_annotation_text, push_endpoint_addresses, push_hex, push_number, push_text, push_trace_id, push_value_text,
};
use tracewell_model::{EndpointRef, SpanFlags, SpanView};

/// Appends a list of spans.
pub fn encode_json<'a>(spans: impl IntoIterator<Item = impl SpanView<'a>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, span) in spans.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_json_span(span, out);
    }
    out.push(b']');
}

/// Appends a span: an element of the list that [`encode_json`] writes. Kind, start and end become core annotations, the
/// remote endpoint an address, tags binary annotations.
pub fn encode_json_span<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    let shape = Shape::of(span);
    out.extend_from_slice(b"{\"traceId\":\"");
    push_trace_id(out, span.trace_id());
    if let Some(parent) = span.parent() {
        out.extend_from_slice(b"\",\"parentId\":\"");
        push_hex(out, parent.value());
    }
    out.extend_from_slice(b"\",\"id\":\"");
    push_hex(out, span.id().value());
    out.extend_from_slice(b"\",\"name\":");
    push_text(out, span.name());
    for (field, micros) in [(&b",\"timestamp\":"[..], shape.timestamp), (b",\"duration\":", shape.duration)] {
        if micros != 0 {
            out.extend_from_slice(field);
            push_number(out, micros);
        }
    }
    push_annotations(out, span, &shape);
    push_binary_annotations(out, span, &shape);
    if span.flags().contains(SpanFlags::DEBUG) {
        out.extend_from_slice(b",\"debug\":true");
    }
    out.push(b'}');
}

fn push_annotations<'a>(out: &mut Vec<u8>, span: impl SpanView<'a>, shape: &Shape<'a>) {
    if shape.annotations == 0 {
        return;
    }
    out.extend_from_slice(b",\"annotations\":[");
    for (at, (time, value, details)) in shape.annotations(span).enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"timestamp\":" } else { b",{\"timestamp\":" });
        push_number(out, time.as_micros());
        out.extend_from_slice(b",\"value\":");
        push_annotation_text(out, value, details.into_iter().flatten());
        push_endpoint(out, span.local());
        out.push(b'}');
    }
    out.push(b']');
}

fn push_binary_annotations<'a>(out: &mut Vec<u8>, span: impl SpanView<'a>, shape: &Shape<'a>) {
    if shape.binary_annotations() == 0 {
        return;
    }
    out.extend_from_slice(b",\"binaryAnnotations\":[");
    let mut first = true;
    shape.each_binary_annotation(span, |key, value, endpoint| {
        out.extend_from_slice(if first { b"{\"key\":" } else { b",{\"key\":" });
        first = false;
        push_text(out, key);
        out.extend_from_slice(b",\"value\":");
        match value {
            Some(value) => push_value_text(out, value),
            None => out.extend_from_slice(b"true"),
        }
        push_endpoint(out, endpoint);
        out.push(b'}');
    });
    out.push(b']');
}

fn push_endpoint(out: &mut Vec<u8>, endpoint: Option<EndpointRef<'_>>) {
    if let Some(endpoint) = endpoint {
        out.extend_from_slice(b",\"endpoint\":{\"serviceName\":");
        push_text(out, endpoint.service);
        push_endpoint_addresses(out, endpoint);
        out.push(b'}');
    }
}
