//! What a search for single spans asks for: Jaeger's rule, as far as the model knows it.

use crate::{SpanRef, Time};

/// A search as Jaeger's `GET /api/traces` has it: ONE span meets all conditions, names are compared as they were sent. What
/// a format shows beyond the model, such as tags, is left to who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanQuery {
    /// The service that recorded the span; any where it is not said.
    pub service_name: Option<String>,
    /// The span's name.
    pub span_name: Option<String>,
    /// The shortest duration.
    pub min_duration: Option<Time>,
    /// The longest duration.
    pub max_duration: Option<Time>,
    /// The earliest start, inclusive.
    pub start_min: Time,
    /// The latest start, inclusive.
    pub start_max: Time,
    /// How many traces at most; the newest are taken.
    pub limit: usize,
}

impl SpanQuery {
    /// Whether a span meets all conditions. One without a start is never found.
    pub fn matches(&self, span: SpanRef<'_>) -> bool {
        let Some(start) = span.start().filter(|start| start.as_micros() != 0) else { return false };
        let duration = span.duration().unwrap_or_default();
        start >= self.start_min
            && start <= self.start_max
            && self.service_name.as_deref().is_none_or(|name| name == span.service_name())
            && self.span_name.as_deref().is_none_or(|name| name == span.name())
            && self.min_duration.is_none_or(|min| duration >= min)
            && self.max_duration.is_none_or(|max| duration <= max)
    }
}
