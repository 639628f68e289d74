//! Segments read back: nothing lost, nothing invented, whatever happens to their bytes.

use super::*;
use crate::contract::{Random, Shape, random_batch, random_query};
use crate::memtable::Memtable;
use crate::search::View;
use crate::search::tests::MemoryBlobs;
use crate::{ReferenceStore, Store};
use proptest::prelude::*;
use tracewell_model::{Kind, OwnedEndpoint, Span, SpanId, SpanRef, Time, TraceGrouping, TraceId, TraceQuery, Value};

fn memtable(batches: &[Arc<SpanBatch>]) -> Arc<Memtable> {
    let memtable = Memtable::new(["http.method".to_owned()].into());
    batches.iter().for_each(|batch| memtable.insert(Arc::clone(batch)));
    Arc::new(memtable)
}

fn handle(bytes: &[u8]) -> Result<Arc<SegmentHandle>, SegmentError> {
    let blobs = MemoryBlobs::default();
    blobs.put("s", bytes)?;
    Ok(Arc::new(SegmentHandle::open(Arc::new(blobs), "s")?))
}

fn open(bytes: &[u8]) -> Result<Segment, SegmentError> {
    let blobs = MemoryBlobs::default();
    blobs.put("s", bytes)?;
    Segment::open(Arc::new(blobs), "s")
}

/// The spans of a trace by the lower half of its id, in order of arrival.
fn of_trace(batches: &[Arc<SpanBatch>], low: u64) -> Vec<SpanRef<'_>> {
    batches.iter().flat_map(|batch| batch.spans()).filter(|span| span.trace_id().low() == low).collect()
}

fn assert_holds(segment: &Segment, batches: &[Arc<SpanBatch>]) {
    let mut spans = 0;
    for trace in 0..segment.traces() {
        let mut found = SpanBatch::new();
        segment.read_trace(trace, &mut found).unwrap();
        let expected = of_trace(batches, segment.trace_low(trace));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.spans().zip(expected) {
            assert!(found.same(expected), "found {found:#?}\nexpected {expected:#?}");
        }
        spans += found.len();
    }
    assert_eq!(spans, batches.iter().map(|batch| batch.len()).sum::<usize>());
    assert_eq!(segment.summary().spans, spans as u64);
    assert_eq!(segment.damage(), Vec::<String>::new());
}

fn random_batches(seed: u64, count: usize, shape: Option<Shape>) -> Vec<Arc<SpanBatch>> {
    let random = &mut Random::new(seed);
    let shape = shape.unwrap_or_else(|| Shape { rare_fields: true, ..Shape::random(random) });
    (0..count).map(|_| Arc::new(random_batch(random, &shape))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_span_comes_back_with_all_it_had(seed: u64, count in 0usize..20) {
        let batches = random_batches(seed, count, None);
        let written = write_segment(&memtable(&batches)).unwrap();
        assert_holds(&open(&written.bytes).unwrap(), &batches);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn merged_segments_hold_what_each_of_them_held(seed: u64, count in 0usize..20, parts in 1usize..6) {
        let batches = random_batches(seed, count, None);
        assert_holds(&merged(&batches, parts), &batches);
    }
}

/// The spans of batches by way of several segments.
fn merged(batches: &[Arc<SpanBatch>], parts: usize) -> Segment {
    let of_part = batches.len().div_ceil(parts).max(1);
    let segment = |part: &[Arc<SpanBatch>]| Arc::new(open(&write_segment(&memtable(part)).unwrap().bytes).unwrap());
    let segments: Vec<Arc<Segment>> = batches.chunks(of_part).map(segment).collect();
    open(&write_merged(&segments, &["http.method".to_owned()]).unwrap().bytes).unwrap()
}

#[test]
fn merged_segments_of_many_blocks_are_what_one_would_have_been() {
    let shape = Shape { traces: 3, span_ids: 2000, batch_spans: 2000, seconds: 10, rare_fields: true };
    let batches = random_batches(6, 12, Some(shape));
    let merged = merged(&batches, 4);
    assert_holds(&merged, &batches);
    let one = open(&write_segment(&memtable(&batches)).unwrap().bytes).unwrap();
    assert_eq!(merged.footer.terms.len(), one.footer.terms.len());
    assert_eq!((merged.summary(), merged.footer.blocks.len()), (one.summary(), one.footer.blocks.len()));
}

#[test]
fn a_segment_of_many_blocks_comes_back() {
    let shape = Shape { traces: 3, span_ids: 2000, batch_spans: 2000, seconds: 10, rare_fields: true };
    let batches = random_batches(5, 15, Some(shape));
    let written = write_segment(&memtable(&batches)).unwrap();
    let segment = open(&written.bytes).unwrap();
    assert!(segment.footer.blocks.len() > 3, "traces larger than a block");
    assert_holds(&segment, &batches);
}

#[test]
fn values_that_are_all_different_leave_the_dictionary_and_are_still_found() {
    let mut batches = vec![];
    for part in 0..12u64 {
        let mut batch = SpanBatch::new();
        for n in 0..1000u64 {
            let id = part * 1000 + n;
            let span = Span {
                trace_id: TraceId::new(u128::from(id / 10) + 1),
                id: SpanId::new(id + 1),
                start: Some(Time::from_micros(1_000_000 + id)),
                tags: vec![
                    ("request".to_owned(), Value::Str(format!("{:016x}", id * 77))),
                    ("path".to_owned(), Value::Str(format!("/cart/{id}"))),
                    ("http.method".to_owned(), Value::Str(format!("method {id}"))),
                ],
                ..Default::default()
            };
            batch.push_span(&span).unwrap();
        }
        batches.push(Arc::new(batch));
    }
    assert_holds(&merged(&batches, 5), &batches);
    let handle = handle(&write_segment(&memtable(&batches)).unwrap().bytes).unwrap();
    let segment = handle.get().unwrap().unwrap();
    assert_holds(&segment, &batches);
    let complete = |key: &str| segment.footer.dictionary.tag_columns(key).all(|(_, column)| column.complete);
    assert_eq!((complete("request"), complete("path"), complete("http.method")), (false, false, true));
    let view = View { segments: vec![handle], memtables: vec![] };
    for (key, value, trace) in [
        ("request", format!("{:016x}", 3 * 77), 1),
        ("request", format!("{:016x}", 11_999 * 77), 1200),
        ("path", "/cart/10000".to_owned(), 1001),
        ("http.method", "method 7777".to_owned(), 778),
    ] {
        let query = TraceQuery {
            annotations: vec![(key.to_owned(), value)],
            end_ts_ms: 10_000,
            lookback_ms: 10_000,
            limit: 10,
            ..TraceQuery::default()
        };
        let found = view.find(&query).unwrap();
        let found: Vec<u128> = found.iter().map(|trace| trace.span(0).trace_id().value()).collect();
        assert_eq!(found, [trace], "{key}");
    }
    assert_eq!(view.tag_values("http.method").unwrap().len(), 12_000);
}

/// Every answer of a damaged segment: never a panic, only spans that were written, all of those in undamaged blocks.
fn assert_survives(damaged: &[u8], batches: &[Arc<SpanBatch>], what: &str) {
    let Ok(segment) = open(damaged) else { panic!("{what}: header and footer are there twice, one is enough") };
    let segment = Arc::new(segment);
    let mut lost = vec![];
    for trace in 0..segment.traces() {
        let mut found = SpanBatch::new();
        segment.read_trace(trace, &mut found).unwrap();
        let expected = of_trace(batches, segment.trace_low(trace));
        if found.len() == expected.len() {
            assert!(found.spans().zip(expected).all(|(found, expected)| found.same(expected)), "{what}");
            continue;
        }
        for span in found.spans() {
            assert!(expected.iter().any(|expected| expected.same(span)), "{what}: a span that was never written");
        }
        lost.push(trace);
    }
    let damage = segment.damage();
    assert!(damage.iter().all(|report| report.starts_with("s is damaged at offset ")), "{damage:?}");
    let blocks: Vec<u32> = segment.damage.lock().keys().copied().filter(|&block| block != NO_BLOCK).collect();
    for trace in lost {
        let rows = segment.trace_rows(trace);
        let touches = |&block: &u32| {
            let block = segment.block(block);
            block.first_row < rows.end && rows.start < block.first_row + block.rows
        };
        assert!(blocks.iter().any(touches), "{what}: lost, but in no damaged block");
    }
}

#[test]
fn a_flipped_bit_costs_at_most_the_spans_of_its_block() {
    let shape = Shape { traces: 8, span_ids: 5, batch_spans: 6, seconds: 3, rare_fields: true };
    let batches = random_batches(11, 6, Some(shape));
    let bytes = write_segment(&memtable(&batches)).unwrap().bytes;
    assert_holds(&open(&bytes).unwrap(), &batches);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_survives(&damaged, &batches, &format!("byte {at} of {}", bytes.len()));
    }
}

#[test]
fn a_damaged_block_leaves_the_others_to_be_found() {
    let shape = Shape { traces: 400, span_ids: 1 << 40, batch_spans: 500, seconds: 10, rare_fields: false };
    let batches = random_batches(12, 40, Some(shape));
    let bytes = write_segment(&memtable(&batches)).unwrap().bytes;
    let blocks = open(&bytes).unwrap().footer.blocks;
    assert!(blocks.len() > 2);
    for (at, block) in (0u32..).zip(&blocks) {
        for column in block.columns.iter().step_by(5) {
            let mut damaged = bytes.clone();
            damaged[column.offset as usize] ^= 0x40;
            let segment = handle(&damaged).unwrap();
            let view = View { segments: vec![Arc::clone(&segment)], memtables: vec![] };
            let all = TraceQuery {
                end_ts_ms: u64::MAX / 1000,
                lookback_ms: u64::MAX,
                limit: usize::MAX,
                ..TraceQuery::default()
            };
            let found = view.find(&all).unwrap();
            let alive: u32 = blocks.iter().map(|block| block.traces).sum::<u32>() - block.traces;
            assert!(found.len() as u32 >= alive, "block {at}, column {}", column.number);
            assert_eq!(segment.damage().len(), 1);
            assert!(view.dependencies(crate::DependencyWindow { start_us: 0, end_us: u64::MAX }).is_ok());
        }
    }
}

#[test]
fn searches_of_a_damaged_segment_find_only_what_was_written() {
    let shape = Shape { traces: 8, span_ids: 5, batch_spans: 6, seconds: 3, rare_fields: true };
    let batches = random_batches(13, 6, Some(shape.clone()));
    let bytes = write_segment(&memtable(&batches)).unwrap().bytes;
    let reference = ReferenceStore::new(vec![]);
    for batch in &batches {
        reference.write((**batch).clone(), Box::new(|answer| assert_eq!(answer, Ok(()))));
    }
    let random = &mut Random::new(1);
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] = damaged[at].wrapping_add(1 + random.below(255) as u8);
        let view = View { segments: vec![handle(&damaged).unwrap()], memtables: vec![] };
        let query = random_query(random, &shape);
        let found = view.find(&query).unwrap();
        for trace in found {
            let ids: Vec<TraceId> = trace.spans().map(|span| span.trace_id()).collect();
            let whole = reference.traces(&ids[..1], query.grouping).unwrap();
            let known = |span: SpanRef<'_>| whole[0].spans().any(|known| known.same(span));
            assert!(trace.spans().all(known), "byte {at}");
        }
        view.traces(&[TraceId::new(1)], TraceGrouping::LowBits).unwrap();
    }
}

#[test]
fn cut_and_foreign_files_are_errors() {
    let batches = random_batches(14, 2, None);
    let bytes = write_segment(&memtable(&batches)).unwrap().bytes;
    for len in 0..bytes.len() {
        match open(&bytes[..len]) {
            Err(SegmentError::Damaged { file, .. }) => assert_eq!(file, "s"),
            Err(error) => panic!("{error}"),
            Ok(segment) => assert_ne!(segment.damage(), Vec::<String>::new()),
        }
    }
    let newer = Header { version: 3, footer_offset: 0, footer_len: 0, footer_crc: 0 }.to_bytes();
    let newer = [newer, newer].concat();
    assert!(matches!(open(&newer), Err(SegmentError::Version { version: 3, .. })));
    assert!(matches!(open(&[7; 10_000]), Err(SegmentError::Damaged { .. })));
}

#[test]
fn an_empty_memtable_is_an_empty_segment() {
    let written = write_segment(&memtable(&[])).unwrap();
    assert_eq!(written.summary, SegmentSummary::default());
    let segment = open(&written.bytes).unwrap();
    assert_eq!((segment.traces(), segment.find_trace(0)), (0, None));
}

/// What the files of `golden/` hold, each written by the version it is named by.
fn golden_batches() -> Vec<Arc<SpanBatch>> {
    let shape = Shape { traces: 30, span_ids: 12, batch_spans: 40, seconds: 20, rare_fields: true };
    random_batches(77, 12, Some(shape))
}

#[test]
fn files_of_older_versions_are_read() {
    let batches = golden_batches();
    for file in [&include_bytes!("golden/v1.segment")[..], include_bytes!("golden/v2.segment")] {
        assert_holds(&open(file).unwrap(), &batches);
    }
}

/// What `golden/v2-filters.segment` holds: version 2, written by a server that counts links and filters values, of which there
/// are more than fit a dictionary.
fn golden_batches_of_filters() -> Vec<Arc<SpanBatch>> {
    let mut batches = golden_batches();
    let endpoint = |service: &str| Some(OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() });
    for first in (0..3000u64).step_by(100) {
        let mut batch = SpanBatch::new();
        for at in first..first + 100 {
            let is_client = at % 2 == 0;
            let span = Span {
                trace_id: TraceId::new(u128::from(at / 10) + 1_000_000),
                id: SpanId::new(at + 1),
                parent: (at % 10 > 0).then(|| SpanId::new(at)),
                kind: if is_client { Kind::Client } else { Kind::Server },
                start: Some(Time::from_micros(1_000_000 + at)),
                local: endpoint(if is_client { "shop" } else { "stock" }),
                tags: vec![(
                    "request".to_owned(),
                    Value::Str(format!("{:016x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
                )],
                ..Span::default()
            };
            batch.push_span(&span).unwrap();
        }
        batches.push(Arc::new(batch));
    }
    batches
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/segment/golden");

#[test]
fn filters_and_links_of_older_servers_are_read() {
    let bytes = std::fs::read(format!("{GOLDEN}/v2-filters.segment")).unwrap();
    let segment = open(&bytes).unwrap();
    assert_holds(&segment, &golden_batches_of_filters());
    let text = |code: u32| segment.text(code);
    let linked =
        |block: u32| segment.links_of_block(block).unwrap().0.iter().map(|link| (text(link.parent), text(link.child)));
    let links: BTreeSet<(&str, &str)> = (0..segment.blocks()).flat_map(linked).collect();
    assert!(links.contains(&("shop", "stock")), "{links:?}");
    let request = segment.footer.dictionary.tag_columns("request").next().unwrap().0;
    let passing = |value: &str| {
        let mut blocks = vec![true; segment.blocks() as usize];
        segment.footer.value_filters.keep_possible(request, value, &mut blocks);
        blocks.iter().filter(|possible| **possible).count()
    };
    let value = |at: u64| format!("{:016x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    assert!((0..3000).all(|at| passing(&value(at)) > 0));
    let wrongly: usize = (3000..6000).map(|at| passing(&value(at))).sum();
    assert!(wrongly < 600 * segment.blocks() as usize, "{wrongly} of 3,000 values seem to be there");
}

#[test]
#[ignore = "writes golden files of the current version, which are then kept for good"]
fn write_golden_files() {
    for (name, batches) in [("", golden_batches()), ("-filters", golden_batches_of_filters())] {
        let written = write_segment(&memtable(&batches)).unwrap();
        let file = format!("{GOLDEN}/v{}{name}.segment", footer::VERSION);
        if !std::fs::exists(&file).unwrap() {
            std::fs::write(file, written.bytes).unwrap();
        }
    }
}

/// Footers give way when there is no memory for them, and come back; damage that comes up meanwhile costs the segment.
#[test]
fn a_segment_that_gave_way_is_read_again() {
    let batches = random_batches(15, 4, None);
    let bytes = write_segment(&memtable(&batches)).unwrap().bytes;
    let blobs = Arc::new(MemoryBlobs::default());
    blobs.put("s", &bytes).unwrap();
    let handle = SegmentHandle::open(blobs.clone(), "s").unwrap();
    let trace = batches[0].span(0).trace_id().low();
    assert!(handle.may_have(trace));
    let (first, second) = (handle.get().unwrap().unwrap(), handle.get().unwrap().unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    ColumnCache::of_process().forget(handle.id());
    assert!(Arc::ptr_eq(&first, &handle.get().unwrap().unwrap()), "somebody still has it");
    ColumnCache::of_process().forget(handle.id());
    drop((first, second));
    let again = handle.get().unwrap().unwrap();
    assert_holds(&again, &batches);
    assert_eq!(again.id(), handle.id());
    drop(again);
    ColumnCache::of_process().forget(handle.id());
    blobs.put("s", &[0; 200]).unwrap();
    assert!(handle.get().unwrap().is_none());
    assert_eq!(handle.damage().len(), 1, "{:?}", handle.damage());
    blobs.put("s", &bytes).unwrap();
    let view = View { segments: vec![Arc::new(handle)], memtables: vec![] };
    assert_eq!(view.traces(&[batches[0].span(0).trace_id()], TraceGrouping::Strict).unwrap().len(), 1);
}
