//! The plainest store that keeps the contract: everything in memory, every answer by looking at all of it.
//!
//! What the contract suite compares engines with, and a store for tests and tools that need no disk. Not for traffic: its
//! searches are as slow as its data is large.

use crate::store::{Capabilities, DependencyWindow, ReadError, Store, StoreHealth, StoreStats, WriteDone, WriteError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracewell_model::{
    DependencyLink, DependencyLinker, Kind, SpanBatch, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery,
    ValueRef, same_name, trace_timestamp_us,
};

/// See the module's text.
#[derive(Debug, Default)]
pub struct ReferenceStore {
    batches: Mutex<(bool, Vec<Arc<SpanBatch>>)>,
    tag_keys: Vec<String>,
}

impl ReferenceStore {
    /// An empty store that completes the values of these tags.
    pub fn new(tag_keys: Vec<String>) -> Self {
        Self { batches: Mutex::default(), tag_keys }
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Vec<Arc<SpanBatch>>)> {
        // The list is whole between any two steps, so a panic elsewhere leaves nothing half done.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Vec<Arc<SpanBatch>> {
        self.lock().1.clone()
    }

    fn names(&self, name: impl Fn(SpanRef<'_>) -> Option<String>) -> Vec<String> {
        let batches = self.snapshot();
        let names = batches.iter().flat_map(|batch| batch.spans()).filter_map(name);
        names.filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Spans by trace, in the order they arrived, equal copies once.
fn by_trace(batches: &[Arc<SpanBatch>], grouping: TraceGrouping) -> BTreeMap<TraceId, Vec<SpanRef<'_>>> {
    let mut traces: BTreeMap<TraceId, Vec<SpanRef<'_>>> = BTreeMap::new();
    for span in batches.iter().flat_map(|batch| batch.spans()) {
        traces.entry(group(span.trace_id(), grouping)).or_default().push(span);
    }
    traces.values_mut().for_each(drop_copies);
    traces
}

fn drop_copies(spans: &mut Vec<SpanRef<'_>>) {
    let mut by_id: HashMap<u64, Vec<SpanRef<'_>>> = HashMap::new();
    spans.retain(|span| {
        let seen = by_id.entry(span.id().value()).or_default();
        let new = !seen.iter().any(|other| other.same(*span));
        if new {
            seen.push(*span);
        }
        new
    });
}

fn group(id: TraceId, grouping: TraceGrouping) -> TraceId {
    match grouping {
        TraceGrouping::Strict => id,
        TraceGrouping::LowBits => TraceId::from_halves(0, id.low()),
    }
}

fn to_batch(spans: &[SpanRef<'_>]) -> Result<SpanBatch, ReadError> {
    let mut batch = SpanBatch::new();
    for span in spans {
        batch.push_copy(*span).map_err(|full| ReadError::Failed(full.to_string()))?;
    }
    Ok(batch)
}

impl Store for ReferenceStore {
    fn write(&self, batch: SpanBatch, done: WriteDone) {
        let mut locked = self.lock();
        let closed = locked.0;
        if !closed {
            locked.1.push(Arc::new(batch));
        }
        drop(locked);
        done(if closed { Err(WriteError::Closed) } else { Ok(()) });
    }

    fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        let batches = self.snapshot();
        let traces = by_trace(&batches, grouping);
        let mut seen = BTreeSet::new();
        let wanted = ids.iter().map(|id| group(*id, grouping)).filter(|id| seen.insert(*id));
        wanted.filter_map(|id| traces.get(&id)).map(|spans| to_batch(spans)).collect()
    }

    fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        let batches = self.snapshot();
        let traces = by_trace(&batches, query.grouping);
        let mut found: Vec<_> = traces
            .iter()
            .filter(|(_, spans)| query.matches(spans.iter().copied()))
            .map(|(id, spans)| (std::cmp::Reverse(trace_timestamp_us(spans.iter().copied())), *id, spans))
            .collect();
        found.sort_by_key(|(time, id, _)| (*time, *id));
        found.iter().take(query.limit).map(|(_, _, spans)| to_batch(spans)).collect()
    }

    fn find_spans(&self, query: &SpanQuery, also: &dyn Fn(SpanRef<'_>) -> bool) -> Result<Vec<SpanBatch>, ReadError> {
        let batches = self.snapshot();
        let traces = by_trace(&batches, TraceGrouping::Strict);
        let mut found: Vec<_> = traces
            .iter()
            .filter_map(|(id, spans)| {
                let met = spans.iter().filter(|span| query.matches(**span) && also(**span));
                let newest = met.map(|span| span.timestamp_us()).max()?;
                Some((std::cmp::Reverse(newest), *id, spans))
            })
            .collect();
        found.sort_by_key(|(time, id, _)| (*time, *id));
        found.iter().take(query.limit).map(|(_, _, spans)| to_batch(spans)).collect()
    }

    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|span| Some(span.service_name().to_owned())))
    }

    fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|span| same_name(span.service_name(), service).then(|| span.name().to_owned())))
    }

    fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        let batches = self.snapshot();
        let spans = batches.iter().flat_map(|batch| batch.spans()).filter(|span| span.service_name() == service);
        let operations: BTreeMap<(&str, u8), Kind> =
            spans.map(|span| ((span.name(), span.kind() as u8), span.kind())).collect();
        Ok(operations.into_iter().map(|((name, _), kind)| (name.to_owned(), kind)).collect())
    }

    fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|span| same_name(span.service_name(), service).then(|| span.remote_service_name().to_owned())))
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        if !self.tag_keys.iter().any(|known| known == key) {
            return Ok(vec![]);
        }
        let batches = self.snapshot();
        let tags = batches.iter().flat_map(|batch| batch.spans()).flat_map(|span| span.tags().iter());
        let values = tags.filter_map(|(name, value)| match value {
            ValueRef::Str(value) if name == key && !value.is_empty() => Some(value.to_owned()),
            _ => None,
        });
        Ok(values.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn tag_keys(&self) -> Vec<String> {
        self.tag_keys.clone()
    }

    fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        let mut linker = DependencyLinker::default();
        self.visit_traces(window, TraceGrouping::LowBits, &mut |spans| linker.put_trace(spans))?;
        Ok(linker.links())
    }

    fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        let batches = self.snapshot();
        let inside = |span: &SpanRef<'_>| {
            let start_us = span.timestamp_us();
            start_us != 0 && start_us >= window.start_us && start_us <= window.end_us
        };
        by_trace(&batches, grouping).values().filter(|spans| spans.iter().any(inside)).for_each(|spans| visit(spans));
        Ok(())
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    fn stats(&self) -> StoreStats {
        let batches = self.snapshot();
        let spans = batches.iter().map(|batch| batch.len() as u64).sum();
        let memory_bytes = batches.iter().map(|batch| batch.memory_bytes() as u64).sum();
        StoreStats {
            spans_stored: spans,
            batches_written: batches.len() as u64,
            spans_written: spans,
            memory_bytes,
            memory_spans: spans,
            ..StoreStats::default()
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: false, retention: false }
    }

    fn close(&self) {
        self.lock().0 = true;
    }
}
