//! A span of version 1 as it was read: what [`super::convert`] makes spans of version 2 from. One is filled again and again, so
//! that a body's spans cost no allocation each.

use crate::Limits;
use crate::zipkin_v2::DecodeFault;
use std::ops::Range;
use tracewell_model::{EndpointId, SpanBatch, StrId, TraceId, compare_utf16};

#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) trace_id: TraceId,
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) name: StrId,
    pub(super) debug: bool,
    /// Microseconds, as they came; zero where there are none.
    pub(super) timestamp: i64,
    pub(super) duration: i64,
    pub(super) annotations: Vec<Annotation>,
    pub(super) tags: Vec<BinaryAnnotation>,
    text: String,
    bytes: Vec<u8>,
}

/// Something that happened, and who says so.
#[derive(Debug, Clone)]
pub(super) struct Annotation {
    pub(super) time: i64,
    pub(super) value: Text,
    pub(super) endpoint: EndpointId,
    /// Which half it belongs to; `None` for those that are told in another way.
    pub(super) half: Option<u32>,
}

/// A tag, or by its key an address.
#[derive(Debug, Clone)]
pub(super) struct BinaryAnnotation {
    pub(super) key: StrId,
    pub(super) value: TagValue,
    pub(super) endpoint: EndpointId,
    /// As in [`Annotation`].
    pub(super) half: Option<u32>,
}

/// Where a text lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(Range<usize>);

#[derive(Debug, Clone)]
pub(super) enum TagValue {
    Text(Text),
    /// Only senders to Jaeger's agent type their values; Zipkin drops what is not text.
    Bool(bool),
    I64(i64),
    F64(f64),
    Bytes(Range<usize>),
}

impl Source {
    /// Makes room for the next span.
    pub(super) fn clear(&mut self) {
        let Self { annotations, tags, text, bytes, .. } = std::mem::take(self);
        *self = Self { annotations, tags, text, bytes, ..Self::default() };
        self.annotations.clear();
        self.tags.clear();
        self.text.clear();
        self.bytes.clear();
    }

    /// Annotations by time and text, tags by key: the order in which they are looked at.
    pub(super) fn sort(&mut self, batch: &SpanBatch) {
        let Self { annotations, tags, text, .. } = self;
        let value = |annotation: &Annotation| &text[annotation.value.0.clone()];
        let order =
            |a: &Annotation, b: &Annotation| a.time.cmp(&b.time).then_with(|| compare_utf16(value(a), value(b)));
        // The sort allocates where there is much to sort.
        if !annotations.is_sorted_by(|a, b| order(a, b).is_le()) {
            annotations.sort_by(order);
        }
        let order =
            |a: &BinaryAnnotation, b: &BinaryAnnotation| compare_utf16(batch.interned(a.key), batch.interned(b.key));
        if !tags.is_sorted_by(|a, b| order(a, b).is_le()) {
            tags.sort_by(order);
        }
    }

    pub(super) fn push_text(&mut self, text: &str) -> Text {
        let start = self.text.len();
        self.text.push_str(text);
        Text(start..self.text.len())
    }

    pub(super) fn text(&self, text: &Text) -> &str {
        &self.text[text.0.clone()]
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> TagValue {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        TagValue::Bytes(start..self.bytes.len())
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    pub(super) fn annotation(
        &mut self,
        time: i64,
        value: Text,
        endpoint: EndpointId,
        limits: &Limits,
    ) -> Result<(), DecodeFault> {
        let max = limits.annotations_max_per_span;
        if self.annotations.len() == max {
            return Err(DecodeFault::TooMany { what: "annotations in a span", max });
        }
        self.annotations.push(Annotation { time, value, endpoint, half: None });
        Ok(())
    }

    pub(super) fn tag(
        &mut self,
        key: StrId,
        value: TagValue,
        endpoint: EndpointId,
        limits: &Limits,
    ) -> Result<(), DecodeFault> {
        let max = limits.tags_max_per_span;
        if self.tags.len() == max {
            return Err(DecodeFault::TooMany { what: "tags in a span", max });
        }
        self.tags.push(BinaryAnnotation { key, value, endpoint, half: None });
        Ok(())
    }
}
