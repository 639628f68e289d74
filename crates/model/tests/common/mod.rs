//! Spans written in a line, for the tests of this crate: `CLIENT 1>2 a:b @5+3 shared tag=value`.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part, and a wrong test line may panic")]

use tracewell_model::{Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceId, Value};

/// `[KIND] [parent>]id [local[:remote]] [@start_us[+duration_us]] [shared] [debug] [key=value]
/// [!time_us:annotation]`, in trace 1.
pub(crate) fn span(text: &str) -> Span {
    let mut span = Span { trace_id: TraceId::new(1), ..Span::default() };
    let mut has_id = false;
    for word in text.split_whitespace() {
        match word {
            "CLIENT" => span.kind = Kind::Client,
            "SERVER" => span.kind = Kind::Server,
            "PRODUCER" => span.kind = Kind::Producer,
            "CONSUMER" => span.kind = Kind::Consumer,
            "shared" => span.shared = true,
            "debug" => span.debug = true,
            _ if word.starts_with('@') => {
                let (start, duration) = word[1..].split_once('+').unwrap_or_else(|| (&word[1..], ""));
                span.start = start.parse().ok().map(Time::from_micros);
                span.duration = duration.parse().ok().map(Time::from_micros);
            }
            _ if word.starts_with('!') => {
                let (time, value) = word[1..].split_once(':').unwrap();
                let time = Time::from_micros(time.parse().unwrap());
                span.annotations.push(OwnedAnnotation { time, value: value.to_owned(), details: vec![] });
            }
            _ if word.contains('=') => {
                let (key, value) = word.split_once('=').unwrap();
                span.tags.push((key.to_owned(), Value::Str(value.to_owned())));
            }
            _ if !has_id => {
                let (parent, id) = word.split_once('>').unwrap_or(("", word));
                span.parent = SpanId::parse_lower_hex(parent).ok();
                span.id = SpanId::parse_lower_hex(id).unwrap();
                has_id = true;
            }
            _ => {
                let (local, remote) = word.split_once(':').unwrap_or((word, ""));
                span.local = endpoint(local);
                span.remote = endpoint(remote);
            }
        }
    }
    span
}

fn endpoint(service: &str) -> Option<OwnedEndpoint> {
    (!service.is_empty()).then(|| OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() })
}

/// One span a line.
pub(crate) fn batch(text: &str) -> SpanBatch {
    let mut batch = SpanBatch::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        batch.push_span(&span(line)).unwrap();
    }
    batch
}
