//! The contract, and which traces are left when there are too many spans.

use super::*;
use crate::contract::{self, Random};
use std::collections::{BTreeMap, BTreeSet};
use tracewell_model::{Endpoint, SpanId, SpanRow, Time};

fn store(spans_max: usize, table_spans: usize) -> MemoryStore {
    let tag_keys = vec!["text".to_owned()];
    MemoryStore::with_tables(MemoryOptions { spans_max, tag_keys, ..MemoryOptions::default() }, table_spans).unwrap()
}

fn batch(spans: &[(u64, u64)]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    for (at, &(trace, start_us)) in spans.iter().enumerate() {
        let service = batch.intern(&format!("service-{trace}"));
        let local = batch.intern_endpoint(Endpoint { service, ..Endpoint::default() });
        let start = (start_us != 0).then(|| Time::from_micros(start_us));
        let (trace_id, id) = (TraceId::new(trace.into()), SpanId::new(1 + at as u64));
        batch.commit(SpanRow { trace_id, id, start, local, ..SpanRow::default() }).unwrap();
    }
    batch
}

#[test]
fn the_contract_is_kept() {
    contract::run(|| Box::new(store(usize::MAX, TABLE_SPANS_MIN)));
    contract::run(|| Box::new(store(usize::MAX, 3)));
}

/// What Zipkin's in-memory storage keeps: before a batch is taken, the oldest traces go until there is room for it.
#[derive(Default)]
struct Expected {
    traces: BTreeMap<u64, (u64, usize)>,
}

impl Expected {
    fn take(&mut self, spans: &[(u64, u64)], spans_max: usize) {
        let stored = |traces: &BTreeMap<u64, (u64, usize)>| traces.values().map(|(_, count)| count).sum::<usize>();
        while stored(&self.traces) + spans.len() > spans_max && !self.traces.is_empty() {
            let oldest = self.traces.iter().min_by_key(|(trace, (start_us, _))| (*start_us, **trace));
            let oldest = *oldest.unwrap().0;
            self.traces.remove(&oldest);
        }
        for &(trace, start_us) in spans {
            let (earliest, count) = self.traces.entry(trace).or_default();
            *earliest = crate::memtable::min_known(*earliest, start_us);
            *count += 1;
        }
    }
}

#[test]
fn the_oldest_traces_go_whole_and_with_their_names() {
    const SPANS_MAX: usize = 30;
    for (seed, table_spans) in [(1, 1), (2, 4), (3, 9), (4, 1000)] {
        let random = &mut Random::new(seed);
        let (store, mut expected) = (store(SPANS_MAX, table_spans), Expected::default());
        for round in 0..200 {
            let spans: Vec<(u64, u64)> = (0..1 + random.below(8))
                .map(|_| (1 + random.below(20), random.below(5) * (round + random.below(40))))
                .collect();
            expected.take(&spans, SPANS_MAX);
            contract::write(&store, batch(&spans)).unwrap();
            let ids: Vec<TraceId> = (1..=20).map(TraceId::new).collect();
            let found = store.traces(&ids, TraceGrouping::Strict).unwrap();
            let known: BTreeSet<u64> = found.iter().map(|trace| trace.span(0).trace_id().low()).collect();
            assert_eq!(known, expected.traces.keys().copied().collect(), "seed {seed}, round {round}");
            let counts: usize = expected.traces.values().map(|(_, count)| count).sum();
            assert_eq!(store.stats().spans_stored, counts as u64);
            let services: BTreeSet<String> = known.iter().map(|trace| format!("service-{trace}")).collect();
            assert_eq!(store.service_names().unwrap(), services.into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_large_store_stays_below_its_limit_and_its_tables_few() {
    let store = MemoryStore::open(MemoryOptions { spans_max: 40_000, ..MemoryOptions::default() }).unwrap();
    for round in 0..400u64 {
        let spans: Vec<(u64, u64)> = (0..500).map(|at| (1 + round * 50 + at % 50, 1000 + round)).collect();
        contract::write(&store, batch(&spans)).unwrap();
        let stored = store.stats().spans_stored;
        assert!(stored <= 40_000 && (round < 80 || stored > 35_000), "{stored} in round {round}");
    }
    assert!(store.shared.tables().len() <= TABLES + 2, "{}", store.shared.tables().len());
}

#[test]
fn a_batch_larger_than_the_limit_is_alone() {
    let store = store(3, 10);
    contract::write(&store, batch(&[(1, 1)])).unwrap();
    contract::write(&store, batch(&[(2, 1); 5])).unwrap();
    assert_eq!(store.service_names().unwrap(), ["service-2"]);
    contract::write(&store, batch(&[(3, 1)])).unwrap();
    assert_eq!(store.service_names().unwrap(), ["service-3"]);
}

#[test]
fn a_full_queue_refuses() {
    let options = MemoryOptions { write_queue_bytes_max: 1, ..MemoryOptions::default() };
    let store = MemoryStore::open(options).unwrap();
    assert!(matches!(contract::write(&store, batch(&[(1, 1)])), Err(WriteError::TooLarge { .. })));
    store.close();
    assert_eq!(contract::write(&store, batch(&[(1, 1)])), Err(WriteError::Closed));
    assert_eq!(store.stats().writes_refused, 2);
}
