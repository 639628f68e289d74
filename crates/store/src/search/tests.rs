//! Searches over views cut in every way, each answer held against brute force.

use super::View;
use crate::contract;
use crate::memtable::Memtable;
use crate::seams::{Blobs, SeamError};
use crate::segment::{SegmentHandle, write_segment};
use crate::store::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tracewell_model::{
    DependencyLink, Kind, Span, SpanBatch, SpanId, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery, Value,
};

/// Objects in memory.
#[derive(Default)]
pub(crate) struct MemoryBlobs(pub(crate) Mutex<HashMap<String, Vec<u8>>>);

impl Blobs for MemoryBlobs {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), SeamError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, SeamError> {
        let blobs = self.0.lock().unwrap();
        let bytes = blobs.get(name).ok_or_else(|| SeamError::NotFound(name.to_owned()))?;
        let range = range.start as usize..range.end as usize;
        bytes.get(range).map(<[u8]>::to_vec).ok_or_else(|| SeamError::Failed(format!("{name}: beyond the end")))
    }

    fn len(&self, name: &str) -> Result<u64, SeamError> {
        let blobs = self.0.lock().unwrap();
        blobs.get(name).map(|bytes| bytes.len() as u64).ok_or_else(|| SeamError::NotFound(name.to_owned()))
    }

    fn list(&self) -> Result<Vec<String>, SeamError> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), SeamError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

/// A store that cuts what it is given into parts: a memtable has this many batches, this many memtables wait to be sealed.
struct CutStore {
    blobs: Arc<MemoryBlobs>,
    memtable_batches: usize,
    memtables_max: usize,
    tag_keys: Arc<[String]>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    segments: Vec<Arc<SegmentHandle>>,
    /// With how many batches each.
    memtables: Vec<(usize, Arc<Memtable>)>,
    closed: bool,
}

impl CutStore {
    fn new(memtable_batches: usize, memtables_max: usize) -> Self {
        let tag_keys = ["http.method".to_owned(), "user.id".to_owned()].into();
        Self { blobs: Arc::default(), memtable_batches, memtables_max, tag_keys, state: Mutex::default() }
    }

    fn view(&self) -> View {
        let state = self.state.lock().unwrap();
        let memtables = state.memtables.iter().map(|(_, memtable)| Arc::clone(memtable)).collect();
        View { segments: state.segments.clone(), memtables }
    }
}

impl Store for CutStore {
    fn write(&self, batch: SpanBatch, done: WriteDone) {
        let mut state = self.state.lock().unwrap();
        if state.closed {
            return done(Err(WriteError::Closed));
        }
        if state.memtables.last().is_none_or(|(batches, _)| *batches >= self.memtable_batches) {
            state.memtables.push((0, Arc::new(Memtable::new(Arc::clone(&self.tag_keys)))));
        }
        if state.memtables.len() > self.memtables_max {
            let (_, sealed) = state.memtables.remove(0);
            let name = format!("segment {}", state.segments.len());
            let written = write_segment(&sealed).unwrap();
            self.blobs.put(&name, &written.bytes).unwrap();
            let segment = SegmentHandle::open(Arc::clone(&self.blobs) as Arc<dyn Blobs>, &name).unwrap();
            assert_eq!(*segment.summary(), written.summary);
            assert_eq!(segment.damage(), Vec::<String>::new());
            state.segments.push(Arc::new(segment));
        }
        let (batches, memtable) = state.memtables.last_mut().unwrap();
        memtable.insert(Arc::new(batch));
        *batches += 1;
        done(Ok(()));
    }

    fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        self.view().traces(ids, grouping)
    }

    fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        self.view().find(query)
    }

    fn find_spans(&self, query: &SpanQuery, also: &dyn Fn(SpanRef<'_>) -> bool) -> Result<Vec<SpanBatch>, ReadError> {
        self.view().find_spans(query, also)
    }

    fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        self.view().search(search, visitor)
    }

    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        self.view().service_names()
    }

    fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.view().span_names(service)
    }

    fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        self.view().operations(service)
    }

    fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.view().remote_service_names(service)
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        if self.tag_keys.iter().any(|known| known == key) { self.view().tag_values(key) } else { Ok(vec![]) }
    }

    fn tag_keys(&self) -> Vec<String> {
        self.tag_keys.to_vec()
    }

    fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        self.view().dependencies(window)
    }

    fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        self.view().visit_traces(window, grouping, visit)
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }
}

#[test]
fn memtables_alone_keep_the_contract() {
    contract::run(|| Box::new(CutStore::new(usize::MAX, 1)));
    contract::run(|| Box::new(CutStore::new(1, usize::MAX)));
}

#[test]
fn segments_and_memtables_keep_the_contract() {
    contract::run(|| Box::new(CutStore::new(1, 1)));
    contract::run(|| Box::new(CutStore::new(2, 1)));
    contract::run(|| Box::new(CutStore::new(3, 2)));
}

#[test]
fn every_answer_equals_brute_force() {
    for seed in 1000..1060 {
        let store = CutStore::new(1 + seed as usize % 3, 1 + seed as usize % 2);
        contract::compare_with_reference(&store, seed);
    }
}

#[test]
fn the_reference_keeps_the_contract() {
    contract::run(|| Box::new(crate::ReferenceStore::new(vec!["env".to_owned(), "error".to_owned()])));
}

/// Comparing each with each would take hours.
#[test]
fn a_hundred_thousand_copies_of_one_span_id_are_read_in_linear_time() {
    let store = CutStore::new(5, 1);
    for at in 0..10u64 {
        let mut batch = SpanBatch::new();
        for n in 0..10_000 {
            let tags = vec![("n".to_owned(), Value::I64(n))]; // the same id, but not copies of one another
            let span = Span { trace_id: TraceId::new(1), id: SpanId::new(7), tags, ..Span::default() };
            batch.push_span(&span).unwrap();
        }
        assert_eq!(contract::write(&store, batch), Ok(()), "batch {at}");
    }
    let found = store.traces(&[TraceId::new(1)], TraceGrouping::Strict).unwrap();
    assert_eq!(found[0].len(), 10_000);
}
