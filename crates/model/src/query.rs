//! What a search asks for, and whether a trace answers it: Zipkin's rule.

use crate::{SpanRef, ValueRef};

/// Which spans make one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceGrouping {
    /// Those with equal 128-bit ids.
    #[default]
    Strict,
    /// Those whose lower 64 bits are equal: Zipkin's `STRICT_TRACE_ID=false`, for sites where some tracers cut ids.
    LowBits,
}

/// A search as Zipkin's `GET /api/v2/traces` has it. Conditions may be met by different spans of a trace; where a service
/// is named, only its spans count for the other conditions. Names are compared in lower case, as Zipkin stores them:
/// other formats keep their case ([`same_name`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceQuery {
    /// The local service of some span; lower case.
    pub service_name: Option<String>,
    /// The remote service of some span; lower case.
    pub remote_service_name: Option<String>,
    /// The name of some span; lower case.
    pub span_name: Option<String>,
    /// Each key (with its value, unless that is empty) is a tag of some span, or (without a value) an annotation.
    /// No key comes twice.
    pub annotations: Vec<(String, String)>,
    /// The shortest duration of some span, microseconds.
    pub min_duration_us: Option<u64>,
    /// The longest duration of that same span, microseconds; only with `min_duration_us`.
    pub max_duration_us: Option<u64>,
    /// The latest time of a trace (see [`trace_timestamp_us`]), milliseconds since the epoch, inclusive.
    pub end_ts_ms: u64,
    /// How far before `end_ts_ms` a trace may lie, milliseconds, inclusive.
    pub lookback_ms: u64,
    /// How many traces at most; the newest are taken.
    pub limit: usize,
    /// Which spans make one trace.
    pub grouping: TraceGrouping,
}

/// A trace's time in microseconds: that of its first root which has one, else the earliest of its spans; zero when no span
/// has a time, and such a trace is never found by a search. `spans` in the order they arrived. As Zipkin 3.5 decides.
pub fn trace_timestamp_us<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>) -> u64 {
    let mut earliest = 0;
    for span in spans {
        let timestamp_us = span.timestamp_us();
        if timestamp_us == 0 {
            continue;
        }
        if span.parent().is_none() {
            return timestamp_us;
        }
        if earliest == 0 || timestamp_us < earliest {
            earliest = timestamp_us;
        }
    }
    earliest
}

impl TraceQuery {
    /// The earliest time of a trace that can be found, microseconds.
    pub fn start_us(&self) -> u64 {
        self.end_ts_ms.saturating_sub(self.lookback_ms).saturating_mul(1000)
    }

    /// The latest time of a trace that can be found, microseconds.
    pub fn end_us(&self) -> u64 {
        self.end_ts_ms.saturating_mul(1000)
    }

    /// Whether the window holds this time; zero is "no time" and never inside.
    pub fn window_contains(&self, timestamp_us: u64) -> bool {
        timestamp_us != 0 && timestamp_us >= self.start_us() && timestamp_us <= self.end_us()
    }

    /// Whether the spans of one trace, all of them and in the order they arrived, answer the query. As Zipkin 3.5 decides.
    pub fn matches<'a>(&self, spans: impl IntoIterator<Item = SpanRef<'a>> + Clone) -> bool {
        self.window_contains(trace_timestamp_us(spans.clone())) && self.conditions_met(spans)
    }

    /// [`TraceQuery::matches`] without its window.
    pub fn conditions_met<'a>(&self, spans: impl IntoIterator<Item = SpanRef<'a>>) -> bool {
        let mut open = OpenConditions::new(self);
        for span in spans {
            open.meet(self, span);
            if open.all_met() {
                return true;
            }
        }
        open.all_met()
    }

    /// Whether this span's duration meets the query's bounds.
    pub fn duration_met(&self, duration_us: u64) -> bool {
        match (self.min_duration_us, self.max_duration_us) {
            (Some(min), Some(max)) => duration_us >= min && duration_us <= max,
            (Some(min), None) => duration_us >= min,
            _ => true,
        }
    }
}

/// Whether a name, of whatever case, is the one that is asked for in lower case.
pub fn same_name(found: &str, asked: &str) -> bool {
    if found.is_ascii() {
        return found.len() == asked.len()
            && found.bytes().zip(asked.bytes()).all(|(found, asked)| found.to_ascii_lowercase() == asked);
    }
    found == asked || found.to_lowercase() == asked
}

struct OpenConditions {
    service: bool,
    remote_service: bool,
    span_name: bool,
    duration: bool,
    annotations: Vec<usize>,
}

impl OpenConditions {
    fn new(query: &TraceQuery) -> Self {
        Self {
            service: query.service_name.is_some(),
            remote_service: query.remote_service_name.is_some(),
            span_name: query.span_name.is_some(),
            duration: query.min_duration_us.is_some(),
            annotations: (0..query.annotations.len()).collect(),
        }
    }

    fn meet(&mut self, query: &TraceQuery, span: SpanRef<'_>) {
        if query.service_name.as_deref().is_some_and(|name| !same_name(span.service_name(), name)) {
            return;
        }
        self.service = false;
        self.remote_service &=
            !query.remote_service_name.as_deref().is_some_and(|name| same_name(span.remote_service_name(), name));
        self.span_name &= !query.span_name.as_deref().is_some_and(|name| same_name(span.name(), name));
        self.duration &= !query.duration_met(span.duration_us());
        if !self.annotations.is_empty() {
            self.annotations.retain(|&at| {
                let (key, value) = &query.annotations[at];
                !annotation_met(span, key, value)
            });
        }
    }

    fn all_met(&self) -> bool {
        !self.service && !self.remote_service && !self.span_name && !self.duration && self.annotations.is_empty()
    }
}

/// A tag with this key (and value, unless empty), or an annotation with this text where no value is asked for.
fn annotation_met(span: SpanRef<'_>, key: &str, value: &str) -> bool {
    let tag = span.tags().iter().any(|(name, found)| name == key && (value.is_empty() || text_equals(found, value)));
    tag || value.is_empty() && span.annotations().any(|annotation| annotation.value == key)
}

/// Typed values are compared as the text that Zipkin's format shows for them.
fn text_equals(found: ValueRef<'_>, text: &str) -> bool {
    match found {
        ValueRef::Str(found) => found == text,
        ValueRef::Bool(found) => text == if found { "true" } else { "false" },
        ValueRef::I64(found) => text.parse() == Ok(found),
        ValueRef::F64(found) => text.parse() == Ok(found),
        ValueRef::Bytes(_) | ValueRef::Nested(_) => false,
    }
}
