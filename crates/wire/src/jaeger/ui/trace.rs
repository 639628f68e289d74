//! The model of a trace to be answered, and how it is made from spans of the store.

use super::super::view::{self, Duration, ProcessView, TagSource};
use crate::attribute_text::write_value;
use crate::otlp::negative_duration_warning;
use tracewell_model::{
    BatchFull, Endpoint, ExtraRow, Kind, LinkRow, SpanBatch, SpanFlags, SpanId, SpanRef, SpanRow, Time, TraceId, Value,
    ValueRef,
};

/// A trace.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UiTrace {
    /// In the order they arrived.
    pub spans: Vec<UiSpan>,
}

/// A span as Jaeger shows it. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields of Jaeger's `Span`")]
pub struct UiSpan {
    pub trace_id: TraceId,
    pub id: SpanId,
    pub name: String,
    pub kind: Kind,
    pub flags: u32,
    pub references: Vec<UiReference>,
    pub start_ns: i128,
    pub duration_ns: i128,
    pub tags: Vec<UiTag>,
    pub logs: Vec<UiLog>,
    pub process: UiProcess,
    pub warnings: Vec<String>,
}

/// A reference to another span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Jaeger's `SpanRef`")]
pub struct UiReference {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// CHILD_OF; otherwise FOLLOWS_FROM.
    pub child_of: bool,
}

/// A key and its value, which is never [`Value::Nested`]: Jaeger has no arrays and maps, they are JSON.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Jaeger's `KeyValue`")]
pub struct UiTag {
    pub key: String,
    pub value: Value,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields of Jaeger's `Log`")]
pub struct UiLog {
    pub time_ns: i128,
    pub fields: Vec<UiTag>,
}

/// Who recorded a span.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields of Jaeger's `Process`")]
pub struct UiProcess {
    pub service: String,
    pub tags: Vec<UiTag>,
}

impl UiTrace {
    /// The trace of these spans.
    pub fn of<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>) -> Self {
        Self { spans: spans.into_iter().map(UiSpan::of).collect() }
    }

    /// The same spans as a batch, for the encoders of Jaeger's other formats.
    pub fn to_batch(&self) -> Result<SpanBatch, BatchFull> {
        let mut batch = SpanBatch::new();
        for span in &self.spans {
            span.push_to(&mut batch)?;
        }
        Ok(batch)
    }
}

impl UiSpan {
    /// The span as Jaeger shows it.
    pub fn of(span: SpanRef<'_>) -> Self {
        let mut tags = vec![];
        view::for_each_tag(span, TagSource::of(span), &mut |key, value| tags.push(UiTag::of(key, value)));
        let references = view::references(span).map(|view::Reference { trace_id, span_id, child_of }| UiReference {
            trace_id,
            span_id,
            child_of,
        });
        let fields = |value, details: tracewell_model::AttributesRef<'_>| {
            view::log_fields(value, details.iter()).map(|(key, value)| UiTag::of(key, value)).collect()
        };
        let logs =
            span.annotations().map(|log| UiLog { time_ns: nanos(log.time), fields: fields(log.value, log.details) });
        let process = ProcessView::of(span);
        Self {
            trace_id: span.trace_id(),
            id: span.id(),
            name: span.name().to_owned(),
            kind: span.kind(),
            flags: view::flags(span),
            references: references.collect(),
            start_ns: nanos(span.start().unwrap_or_default()),
            duration_ns: match view::duration(span) {
                Duration::Known(duration) => nanos(duration),
                Duration::NegativeNanos(nanos) => nanos.into(),
            },
            tags,
            logs: logs.collect(),
            process: UiProcess {
                service: process.service.to_owned(),
                tags: process.tags().map(|(key, value)| UiTag::of(key, value)).collect(),
            },
            warnings: warnings(span),
        }
    }

    /// The parent: the first CHILD_OF of the same trace, else its first FOLLOWS_FROM.
    pub fn parent(&self) -> Option<SpanId> {
        let mut own = self.references.iter().filter(|reference| reference.trace_id == self.trace_id);
        let first = own.clone().next();
        own.find(|reference| reference.child_of).or(first).map(|reference| reference.span_id)
    }

    fn push_to(&self, batch: &mut SpanBatch) -> Result<(), BatchFull> {
        for tag in &self.tags {
            let key = batch.intern(&tag.key);
            batch.tag(key, tag.value.as_ref());
        }
        for log in &self.logs {
            batch.annotation(time(log.time_ns), "");
            for field in &log.fields {
                let key = batch.intern(&field.key);
                batch.annotation_detail(key, field.value.as_ref());
            }
        }
        for reference in &self.references {
            let UiReference { trace_id, span_id, child_of } = *reference;
            let mut link = LinkRow::default();
            (link.trace_id, link.span_id, link.child_of) = (trace_id, span_id, child_of);
            batch.link(link);
        }
        self.warnings.iter().for_each(|warning| batch.warning(warning));
        let resource = batch.push_resource(tracewell_model::StrId::EMPTY, 0);
        for tag in &self.process.tags {
            let key = batch.intern(&tag.key);
            batch.resource_attribute(key, tag.value.as_ref());
        }
        let service = batch.intern(&self.process.service);
        let local = batch.intern_endpoint(Endpoint { service, ..Endpoint::default() });
        let name = batch.intern(&self.name);
        let mut extra = ExtraRow::default();
        extra.otlp_flags = self.flags;
        let sampled = if self.flags & 1 != 0 { SpanFlags::SAMPLED } else { SpanFlags::NONE };
        let debug = if self.flags & 2 != 0 { SpanFlags::DEBUG } else { SpanFlags::NONE };
        batch.commit(SpanRow {
            trace_id: self.trace_id,
            id: self.id,
            parent: self.parent().unwrap_or_default(),
            name,
            kind: self.kind,
            flags: SpanFlags::JAEGER.with(SpanFlags::PARENT_IN_LINKS).with(sampled).with(debug),
            start: Some(time(self.start_ns)),
            duration: Some(time(self.duration_ns)),
            local,
            resource,
            extra: Some(extra),
            ..SpanRow::default()
        })
    }
}

impl UiTag {
    /// The tag, with arrays and maps as JSON.
    pub fn of(key: &str, value: ValueRef<'_>) -> Self {
        let value = match value {
            // A value of no type.
            ValueRef::Nested([]) => Value::Str(String::new()),
            ValueRef::Nested(_) => {
                let mut text = String::new();
                // A text takes everything.
                write_value(&mut text, value).ok();
                Value::Str(text)
            }
            value => value.to_value(),
        };
        Self { key: key.to_owned(), value }
    }
}

/// The span's warnings, and one where it took no time, unless it came in Jaeger's format: Jaeger 1.76 lets such a span end a
/// nanosecond after its start.
fn warnings(span: SpanRef<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = span.warnings().map(str::to_owned).collect();
    let told = warnings.iter().any(|warning| warning.starts_with("Negative duration detected"));
    if span.duration_us() == 0 && !told && !span.flags().contains(SpanFlags::JAEGER) {
        let start = span.start().unwrap_or_default();
        if span.duration().unwrap_or_default() == Time::ZERO {
            warnings.push(negative_duration_warning(start, start));
        }
    }
    warnings
}

/// Nanoseconds, also of times that are only known in microseconds because their nanoseconds do not fit into 64 bits.
fn nanos(time: Time) -> i128 {
    match time.as_nanos() {
        u64::MAX => i128::from(time.as_micros()) * 1000,
        nanos => nanos.into(),
    }
}

fn time(nanos: i128) -> Time {
    match u64::try_from(nanos.max(0)) {
        Ok(nanos) => Time::from_nanos(nanos),
        Err(_) => Time::from_micros(u64::try_from(nanos / 1000).unwrap_or(u64::MAX)),
    }
}
