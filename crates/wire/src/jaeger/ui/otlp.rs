//! The adjusted trace for answers in OTLP's form (Jaeger's API version 3): the spans as they came, with the ids, times and
//! warnings that the adjusters give them, attributes sorted by key.

use super::adjust::Adjustments;
use super::trace::{UiSpan, UiTrace};
use crate::jaeger::view::NEGATIVE_DURATION_TAG;
use std::collections::HashMap;
use tracewell_model::{
    AttributesRef, BatchFull, Endpoint, EndpointId, EndpointRef, ExtraRow, LinkRow, ResourceId, ScopeId, SpanBatch,
    SpanRef, SpanRow, Time, ValueRef,
};

/// The spans of one trace, adjusted.
pub fn adjusted_batch<'a>(
    spans: impl IntoIterator<Item = SpanRef<'a>>,
    adjustments: &Adjustments,
) -> Result<SpanBatch, BatchFull> {
    let spans: Vec<SpanRef<'a>> = spans.into_iter().collect();
    let mut shown = UiTrace::of(spans.iter().copied());
    adjustments.adjust_ids_and_times(&mut shown);
    let mut copy = Copy::default();
    for (span, shown) in spans.into_iter().zip(&shown.spans) {
        copy.push(span, shown)?;
    }
    Ok(copy.batch)
}

#[derive(Default)]
struct Copy {
    batch: SpanBatch,
    resources: HashMap<u32, ResourceId>,
    scopes: HashMap<u32, ScopeId>,
}

impl Copy {
    fn push(&mut self, span: SpanRef<'_>, shown: &UiSpan) -> Result<(), BatchFull> {
        let original = UiSpan::of(span);
        let delta_ns = shown.start_ns - original.start_ns;
        for (key, value) in sorted(span.tags()) {
            let key = self.batch.intern(key);
            self.batch.tag(key, value);
        }
        for log in span.annotations() {
            self.batch.annotation(shifted(log.time, delta_ns), log.value);
            for (key, value) in sorted(log.details) {
                let key = self.batch.intern(key);
                self.batch.annotation_detail(key, value);
            }
        }
        for link in span.links() {
            let trace_state = self.batch.push_text(link.trace_state);
            let mut row: LinkRow = *link.row;
            row.trace_state = trace_state;
            self.batch.link(row);
            for (key, value) in sorted(link.attributes) {
                let key = self.batch.intern(key);
                self.batch.link_attribute(key, value);
            }
        }
        shown.warnings.iter().for_each(|warning| self.batch.warning(warning));
        let extra = span.extra().map(|extra| {
            let text = |text| span.batch().text(text);
            let mut copy: ExtraRow = *extra;
            copy.status_message = self.batch.push_text(text(extra.status_message));
            copy.trace_state = self.batch.push_text(text(extra.trace_state));
            copy
        });
        let row = SpanRow {
            trace_id: span.trace_id(),
            id: shown.id,
            parent: if shown.parent() == original.parent() { span.parent() } else { shown.parent() }
                .unwrap_or_default(),
            name: self.batch.intern(span.name()),
            kind: span.kind(),
            flags: span.flags(),
            start: span.start().map(|start| shifted(start, delta_ns)),
            duration: span.duration(),
            local: self.endpoint(span.local()),
            remote: self.endpoint(span.remote()),
            resource: self.resource(span),
            scope: self.scope(span),
            extra,
        };
        self.batch.commit(row)
    }

    fn endpoint(&mut self, endpoint: Option<EndpointRef<'_>>) -> EndpointId {
        let Some(EndpointRef { service, ipv4, ipv6, port, ipv4_text }) = endpoint else { return EndpointId(0) };
        let (service, ipv4_text) = (self.batch.intern(service), self.batch.intern(ipv4_text));
        self.batch.intern_endpoint(Endpoint { service, ipv4, ipv6, port, ipv4_text })
    }

    fn resource(&mut self, span: SpanRef<'_>) -> ResourceId {
        let Some(resource) = span.resource() else { return ResourceId(0) };
        let Self { batch, resources, .. } = self;
        *resources.entry(span.resource_id().0).or_insert_with(|| {
            let schema_url = batch.intern(resource.schema_url);
            let id = batch.push_resource(schema_url, resource.dropped_attributes);
            for (key, value) in sorted(resource.attributes) {
                let key = batch.intern(key);
                batch.resource_attribute(key, value);
            }
            id
        })
    }

    fn scope(&mut self, span: SpanRef<'_>) -> ScopeId {
        let Some(scope) = span.scope() else { return ScopeId(0) };
        let Self { batch, scopes, .. } = self;
        *scopes.entry(span.scope_id().0).or_insert_with(|| {
            let (name, version) = (batch.intern(scope.name), batch.intern(scope.version));
            let schema_url = batch.intern(scope.schema_url);
            let id = batch.push_scope(name, version, schema_url, scope.dropped_attributes);
            for (key, value) in sorted(scope.attributes) {
                let key = batch.intern(key);
                batch.scope_attribute(key, value);
            }
            id
        })
    }
}

/// By key; what only says how long a span of Jaeger's was stays last.
fn sorted(attributes: AttributesRef<'_>) -> Vec<(&str, ValueRef<'_>)> {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(key, _)| (*key == NEGATIVE_DURATION_TAG, *key));
    sorted
}

fn shifted(time: Time, delta_ns: i128) -> Time {
    if delta_ns == 0 {
        return time;
    }
    let nanos = (i128::from(time.as_nanos()) + delta_ns).max(0);
    u64::try_from(nanos).map_or(time, Time::from_nanos)
}
