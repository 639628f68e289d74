//! Jaeger's JSON of a trace: `{"traceID":…,"spans":[…],"processes":{"p1":…},"warnings":null}`, as Jaeger 1.76 writes it.

use super::trace::{UiProcess, UiSpan, UiTag, UiTrace};
use crate::attribute_text::Plain;
use crate::base64;
use crate::zipkin_v2::{push_hex, push_text, push_trace_id};
use std::collections::HashMap;
use std::fmt::Write as _;
use tracewell_model::{TraceId, Value};

/// Beyond these, numbers of JavaScript are not exact.
const SAFE_INTEGERS: std::ops::RangeInclusive<i64> = -((1 << 53) - 1)..=(1 << 53) - 1;

impl UiTrace {
    /// Appends the trace.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut processes = Processes::default();
        out.extend_from_slice(b"{\"traceID\":");
        push_id(out, self.spans.first().map(|span| span.trace_id).unwrap_or_default());
        out.extend_from_slice(b",\"spans\":");
        push_list(out, &self.spans, |out, span| {
            let number = processes.number(&span.process);
            span.encode(number, out);
        });
        out.extend_from_slice(b",\"processes\":{");
        for (at, process) in processes.encoded.iter().enumerate() {
            // Writing to memory does not fail.
            write!(Plain(out), "{}\"p{}\":", if at > 0 { "," } else { "" }, at + 1).ok();
            out.extend_from_slice(process);
        }
        out.extend_from_slice(b"},\"warnings\":null}");
    }
}

impl UiSpan {
    fn encode(&self, process: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"traceID\":");
        push_id(out, self.trace_id);
        out.extend_from_slice(b",\"spanID\":\"");
        push_hex(out, self.id.value());
        out.push(b'"');
        if self.flags != 0 {
            write!(Plain(out), ",\"flags\":{}", self.flags).ok();
        }
        out.extend_from_slice(b",\"operationName\":");
        push_text(out, &self.name);
        out.extend_from_slice(b",\"references\":");
        push_list(out, &self.references, |out, reference| {
            let kind = if reference.child_of { "CHILD_OF" } else { "FOLLOWS_FROM" };
            write!(Plain(out), "{{\"refType\":\"{kind}\",\"traceID\":").ok();
            push_id(out, reference.trace_id);
            out.extend_from_slice(b",\"spanID\":\"");
            push_hex(out, reference.span_id.value());
            out.extend_from_slice(b"\"}");
        });
        write!(Plain(out), ",\"startTime\":{},\"duration\":{}", micros(self.start_ns), micros(self.duration_ns)).ok();
        out.extend_from_slice(b",\"tags\":");
        push_list(out, &self.tags, push_tag);
        out.extend_from_slice(b",\"logs\":");
        push_list(out, &self.logs, |out, log| {
            write!(Plain(out), "{{\"timestamp\":{},\"fields\":", micros(log.time_ns)).ok();
            push_list(out, &log.fields, push_tag);
            out.push(b'}');
        });
        write!(Plain(out), ",\"processID\":\"p{process}\",\"warnings\":").ok();
        if self.warnings.is_empty() {
            out.extend_from_slice(b"null");
        } else {
            push_list(out, &self.warnings, |out, warning| push_text(out, warning));
        }
        out.push(b'}');
    }

    /// All that is said of the span, for finding copies of it.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(500);
        write!(Plain(&mut out), "{} {} ", self.start_ns, self.duration_ns).ok();
        self.encode(0, &mut out);
        self.process.encode(&mut out);
        out
    }
}

impl UiProcess {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"serviceName\":");
        push_text(out, &self.service);
        out.extend_from_slice(b",\"tags\":");
        push_list(out, &self.tags, push_tag);
        out.push(b'}');
    }
}

/// Processes in the order they are first met, those that say the same once.
#[derive(Default)]
struct Processes {
    encoded: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, usize>,
}

impl Processes {
    fn number(&mut self, process: &UiProcess) -> usize {
        let mut bytes = vec![];
        process.encode(&mut bytes);
        *self.numbers.entry(bytes).or_insert_with_key(|bytes| {
            self.encoded.push(bytes.clone());
            self.encoded.len()
        })
    }
}

fn push_tag(out: &mut Vec<u8>, tag: &UiTag) {
    out.extend_from_slice(b"{\"key\":");
    push_text(out, &tag.key);
    let mut typed = |name: &str| write!(Plain(out), ",\"type\":\"{name}\",\"value\":").ok();
    match &tag.value {
        Value::Str(text) => {
            typed("string");
            push_text(out, text);
        }
        Value::Bool(value) => {
            typed("bool");
            write!(Plain(out), "{value}").ok();
        }
        Value::I64(value) => {
            typed("int64");
            let quote = if SAFE_INTEGERS.contains(value) { "" } else { "\"" };
            write!(Plain(out), "{quote}{value}{quote}").ok();
        }
        Value::F64(value) => {
            typed("float64");
            push_double(out, *value);
        }
        Value::Bytes(bytes) | Value::Nested(bytes) => {
            typed("binary");
            write!(Plain(out), "\"{}\"", base64::display(bytes)).ok();
        }
    }
    out.push(b'}');
}

/// As Go writes it: plain between a millionth and 10^21, else with an exponent. JSON has no word for what is no number; it
/// becomes a text.
fn push_double(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { "Infinity" };
        let sign = if value.is_sign_negative() && !value.is_nan() { "-" } else { "" };
        write!(Plain(out), "\"{sign}{text}\"").ok();
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(Plain(out), "{value}").ok();
    } else {
        let text = format!("{value:e}");
        out.extend_from_slice(if size < 1.0 { text } else { text.replace('e', "e+") }.as_bytes());
    }
}

fn push_id(out: &mut Vec<u8>, id: TraceId) {
    out.push(b'"');
    push_trace_id(out, id);
    out.push(b'"');
}

/// Microseconds as Jaeger has them, without a sign: what is below zero wraps around.
fn micros(nanos: i128) -> u64 {
    (nanos / 1000) as u64
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], mut push: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}
