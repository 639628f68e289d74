//! `model.proto` of `jaeger.api_v2` from spans: answers of the gRPC query service, and requests to a collector.
//!
//! Written as Jaeger's own writer (gogo) has it: ids, times and durations always, everything else where it is not zero.

use super::view::{self, ProcessView, TagSource};
use crate::attribute_text::{Plain, write_value};
use crate::protobuf::{push_bytes_field, push_double_field, push_message, push_text_field, push_varint_field};
use tracewell_model::{SpanRef, SpanView, Time, TraceId, ValueRef};

/// About how long nested messages are, so that their lengths need not be moved for.
const SPAN_BYTES_EXPECTED: usize = 300;
const SMALL_BYTES_EXPECTED: usize = 40;
const BATCH_BYTES_EXPECTED: usize = 20_000;

/// Appends a `PostSpansRequest`: one batch with the first span's process, and a process of its own for each span that has
/// another.
pub fn encode_proto_post_spans<'a>(spans: impl Iterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    push_message(out, 1, BATCH_BYTES_EXPECTED, |out| {
        let mut shared = None;
        for span in spans {
            let process = ProcessView::of(span);
            let shared = *shared.get_or_insert(process);
            let own = (!process.same(shared)).then_some(process);
            push_message(out, 1, SPAN_BYTES_EXPECTED, |out| write_span(span, TagSource::of(span), own, out));
        }
        if let Some(process) = shared.filter(|process| process.is_known) {
            push_message(out, 2, SMALL_BYTES_EXPECTED, |out| write_process(process, out));
        }
    });
}

/// Appends a `SpansResponseChunk`: each span with its process.
pub fn encode_proto_spans_chunk<'a>(spans: impl Iterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    for span in spans {
        push_message(out, 1, SPAN_BYTES_EXPECTED, |out| encode_proto_span(span, out));
    }
}

/// Appends a `Span`, with its process.
pub fn encode_proto_span(span: SpanRef<'_>, out: &mut Vec<u8>) {
    write_span(span, TagSource::of(span), Some(ProcessView::of(span)), out);
}

fn write_span<'a>(span: impl SpanView<'a>, source: TagSource<'_>, process: Option<ProcessView<'_>>, out: &mut Vec<u8>) {
    push_trace_id(out, span.trace_id());
    push_bytes_field(out, 2, &span.id().value().to_be_bytes());
    push_text(out, 3, span.name());
    for reference in view::references(span) {
        push_message(out, 4, SMALL_BYTES_EXPECTED, |out| {
            push_trace_id(out, reference.trace_id);
            push_bytes_field(out, 2, &reference.span_id.value().to_be_bytes());
            push_number(out, 3, u64::from(!reference.child_of));
        });
    }
    push_number(out, 5, u64::from(view::flags(span)));
    push_time(out, 6, span.start());
    match view::duration(span) {
        view::Duration::Known(duration) => push_time(out, 7, Some(duration)),
        view::Duration::NegativeNanos(nanos) => push_message(out, 7, SMALL_BYTES_EXPECTED, |out| {
            push_number(out, 1, (nanos / 1_000_000_000).cast_unsigned());
            push_number(out, 2, (nanos % 1_000_000_000).cast_unsigned());
        }),
    }
    view::for_each_tag(span, source, &mut |key, value| push_tag(out, 8, key, value));
    for (time, value, details) in span.annotations() {
        push_message(out, 9, SMALL_BYTES_EXPECTED, |out| {
            push_time(out, 1, Some(time));
            for (key, value) in view::log_fields(value, details) {
                push_tag(out, 2, key, value);
            }
        });
    }
    if let Some(process) = process.filter(|process| process.is_known) {
        push_message(out, 10, SMALL_BYTES_EXPECTED, |out| write_process(process, out));
    }
    for warning in span.warnings() {
        push_text_field(out, 12, warning);
    }
}

fn write_process(process: ProcessView<'_>, out: &mut Vec<u8>) {
    push_text(out, 1, process.service);
    for (key, value) in process.tags() {
        push_tag(out, 2, key, value);
    }
}

fn push_tag(out: &mut Vec<u8>, number: u32, key: &str, value: ValueRef<'_>) {
    push_message(out, number, SMALL_BYTES_EXPECTED, |out| {
        push_text(out, 1, key);
        match value {
            ValueRef::Str(text) => push_text(out, 3, text),
            ValueRef::Bool(value) => {
                push_varint_field(out, 2, 1);
                push_number(out, 4, u64::from(value));
            }
            ValueRef::I64(value) => {
                push_varint_field(out, 2, 2);
                push_number(out, 5, value.cast_unsigned());
            }
            ValueRef::F64(value) => {
                push_varint_field(out, 2, 3);
                // Minus zero is a number too.
                if value.to_bits() != 0 {
                    push_double_field(out, 6, value);
                }
            }
            ValueRef::Bytes(bytes) => {
                push_varint_field(out, 2, 4);
                if !bytes.is_empty() {
                    push_bytes_field(out, 7, bytes);
                }
            }
            // Jaeger has no arrays and maps; they are JSON.
            ValueRef::Nested(_) => push_message(out, 3, SMALL_BYTES_EXPECTED, |out| {
                // Writing to memory does not fail.
                write_value(&mut Plain(out), value).ok();
            }),
        }
    });
}

fn push_trace_id(out: &mut Vec<u8>, id: TraceId) {
    push_bytes_field(out, 1, &id.value().to_be_bytes());
}

/// `Timestamp` or `Duration`.
fn push_time(out: &mut Vec<u8>, number: u32, time: Option<Time>) {
    let time = time.unwrap_or_default();
    let (micros, nanos) = (time.as_micros(), time.as_nanos());
    let below_micro = if nanos == u64::MAX { 0 } else { nanos % 1000 };
    push_message(out, number, SMALL_BYTES_EXPECTED, |out| {
        push_number(out, 1, micros / 1_000_000);
        push_number(out, 2, micros % 1_000_000 * 1000 + below_micro);
    });
}

fn push_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        push_text_field(out, number, text);
    }
}

fn push_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        push_varint_field(out, number, value);
    }
}
