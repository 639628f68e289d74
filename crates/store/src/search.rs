//! Stand-in until the real one is merged.
use crate::memtable::Memtable;
use crate::reference::ReferenceStore;
use crate::segment::Segment;
use crate::store::{DependencyWindow, ReadError, Store};
use std::sync::Arc;
use tracewell_model::{DependencyLink, SpanBatch, TraceGrouping, TraceId, TraceQuery};
pub(crate) struct View {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) memtables: Vec<Arc<Memtable>>,
}
impl View {
    fn reference(&self) -> ReferenceStore {
        let store = ReferenceStore::new(vec![]);
        for segment in &self.segments {
            store.write(SpanBatch::clone(&segment.batch), Box::new(|_| ()));
        }
        for memtable in &self.memtables {
            for batch in memtable.0.lock().unwrap().iter() {
                store.write(SpanBatch::clone(batch), Box::new(|_| ()));
            }
        }
        store
    }
    pub(crate) fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        self.reference().traces(ids, grouping)
    }
    pub(crate) fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        self.reference().find(query)
    }
    pub(crate) fn service_names(&self) -> Result<Vec<String>, ReadError> {
        self.reference().service_names()
    }
    pub(crate) fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.reference().span_names(service)
    }
    pub(crate) fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.reference().remote_service_names(service)
    }
    pub(crate) fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        self.reference().tag_values(key)
    }
    pub(crate) fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        self.reference().dependencies(window)
    }
}
