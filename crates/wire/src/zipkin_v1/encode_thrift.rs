//! Spans as Zipkin v1 thrift (a list in the binary protocol), byte for byte as Zipkin's reporters write them.

use super::shape::Shape;
use crate::attribute_text::{Plain, write_value};
use crate::thrift::{Binary, Fields, Type, Writer};
use crate::zipkin_v2::write_annotation;
use tracewell_model::{EndpointRef, SpanFlags, SpanView, ValueRef};

const TYPE_BOOL: i32 = 0;
const TYPE_STRING: i32 = 6;

/// Appends a list of spans; of none, nothing at all.
pub fn encode_thrift<'a>(spans: impl IntoIterator<Item = impl SpanView<'a>>, out: &mut Vec<u8>) {
    Writer::<Binary>::new(out).list(Type::Struct, 0);
    let behind_count = out.len();
    let mut count = 0u32;
    for span in spans {
        encode_thrift_span(span, out);
        count += 1;
    }
    if count == 0 {
        out.truncate(behind_count - 5);
    } else {
        out[behind_count - 4..behind_count].copy_from_slice(&count.to_be_bytes());
    }
}

/// Appends a span: an element of the list that [`encode_thrift`] writes. The list's own head is the byte 12 and how many spans
/// follow, as four bytes, most significant first.
pub fn encode_thrift_span<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    let shape = Shape::of(span);
    let mut fields = Fields::default();
    let mut writer = Writer::<Binary>::new(out);
    writer.i64_field(&mut fields, 1, span.trace_id().low().cast_signed());
    writer.binary_field(&mut fields, 3, span.name().as_bytes());
    writer.i64_field(&mut fields, 4, span.id().value().cast_signed());
    if let Some(parent) = span.parent() {
        writer.i64_field(&mut fields, 5, parent.value().cast_signed());
    }
    writer.list_field(&mut fields, 6, Type::Struct, shape.annotations as u32);
    for (time, value, details) in shape.annotations(span) {
        push_annotation(out, time.as_micros(), span.local(), |out| {
            write_annotation(&mut Plain(out), value, details.into_iter().flatten())
        });
    }
    Writer::<Binary>::new(out).list_field(&mut fields, 8, Type::Struct, shape.binary_annotations() as u32);
    shape.each_binary_annotation(span, |key, value, endpoint| match value {
        Some(value) => push_binary_annotation(out, key, value, TYPE_STRING, endpoint),
        None => push_binary_annotation(out, key, ValueRef::Str("\u{1}"), TYPE_BOOL, endpoint),
    });
    let mut writer = Writer::<Binary>::new(out);
    if span.flags().contains(SpanFlags::DEBUG) {
        writer.bool_field(&mut fields, 9, true);
    }
    if shape.timestamp != 0 {
        writer.i64_field(&mut fields, 10, shape.timestamp.cast_signed());
    }
    if shape.duration != 0 {
        writer.i64_field(&mut fields, 11, shape.duration.cast_signed());
    }
    if span.trace_id().high() != 0 {
        writer.i64_field(&mut fields, 12, span.trace_id().high().cast_signed());
    }
    writer.stop();
}

fn push_annotation(
    out: &mut Vec<u8>,
    micros: u64,
    endpoint: Option<EndpointRef<'_>>,
    value: impl FnOnce(&mut Vec<u8>) -> std::fmt::Result,
) {
    let mut fields = Fields::default();
    let mut writer = Writer::<Binary>::new(out);
    writer.i64_field(&mut fields, 1, micros.cast_signed());
    writer.field(&mut fields, 2, Type::Binary);
    push_text(out, value);
    push_endpoint(out, &mut fields, 3, endpoint);
    Writer::<Binary>::new(out).stop();
}

fn push_binary_annotation(
    out: &mut Vec<u8>,
    key: &str,
    value: ValueRef<'_>,
    kind: i32,
    endpoint: Option<EndpointRef<'_>>,
) {
    let mut fields = Fields::default();
    let mut writer = Writer::<Binary>::new(out);
    writer.binary_field(&mut fields, 1, key.as_bytes());
    writer.field(&mut fields, 2, Type::Binary);
    push_text(out, |out| write_value(&mut Plain(out), value));
    Writer::<Binary>::new(out).i32_field(&mut fields, 3, kind);
    push_endpoint(out, &mut fields, 4, endpoint);
    Writer::<Binary>::new(out).stop();
}

/// A text whose length is known when it is written.
fn push_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> std::fmt::Result) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    // A buffer takes everything.
    write(out).ok();
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

fn push_endpoint(out: &mut Vec<u8>, fields: &mut Fields, id: i16, endpoint: Option<EndpointRef<'_>>) {
    let Some(endpoint) = endpoint else { return };
    let mut writer = Writer::<Binary>::new(out);
    writer.field(fields, id, Type::Struct);
    let mut fields = Fields::default();
    writer.i32_field(&mut fields, 1, i32::from_be_bytes(endpoint.ipv4.unwrap_or_default()));
    writer.field(&mut fields, 2, Type::I16);
    out.extend_from_slice(&endpoint.port.to_be_bytes());
    let mut writer = Writer::<Binary>::new(out);
    writer.binary_field(&mut fields, 3, endpoint.service.as_bytes());
    if let Some(ipv6) = endpoint.ipv6 {
        writer.binary_field(&mut fields, 4, &ipv6);
    }
    writer.stop();
}
