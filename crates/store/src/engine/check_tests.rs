//! A directory at rest, and every byte of it damaged: `check` finds each, and after a repair the store opens and has
//! everything but what was reported lost.
//!
//! `TRACEWELL_CHECK_ALL=1` flips every bit and repairs each time, instead of one bit a byte and some repairs.

use super::core::Engine;
use super::options::EmbeddedOptions;
use super::write::GroupWriter;
use crate::check::{CheckOptions, CheckReport, Lost, check};
use crate::clock::TestClock;
use crate::disk::sim::{Random, SimDisk};
use crate::disk::{Disk, RealDisk};
use crate::store::DependencyWindow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracewell_model::{
    Endpoint, Kind, Span, SpanBatch, SpanId, SpanRow, Time, TraceGrouping, TraceId, TraceQuery, ValueRef,
};

const BATCH_SPANS: u64 = 2;
const LOG_FILE_BYTES: u64 = 64 << 10;

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        log_file_bytes: LOG_FILE_BYTES,
        disk_free_bytes_min: Some(0),
        merge_bytes_max: Some(0),
        memory_bytes_max: 256 << 20,
        tag_keys: vec!["key".to_owned()],
        ..EmbeddedOptions::default()
    }
}

fn open(disk: &SimDisk) -> Engine {
    Engine::open(options(), Arc::new(disk.clone()), Arc::new(TestClock::default())).unwrap()
}

fn look(disk: &SimDisk, repair: bool) -> CheckReport {
    let options = CheckOptions { repair, log_file_bytes: LOG_FILE_BYTES, tag_keys: vec!["key".to_owned()] };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    check(&disk, &TestClock::default(), &options).unwrap()
}

/// Spans of two traces, one of them shared with other batches.
fn batch(number: u64, spans: u64) -> SpanBatch {
    let mut batch = SpanBatch::new();
    let service = batch.intern(["cart", "users"][number as usize % 2]);
    let local = batch.intern_endpoint(Endpoint { service, port: 80, ..Endpoint::default() });
    for n in 0..spans {
        let key = batch.intern("key");
        batch.tag(key, ValueRef::Str(&format!("value {}", number * 77 + n)));
        batch.annotation(Time::from_micros(number), "ws");
        let name = batch.intern(["get", "put"][n as usize % 2]);
        let row = SpanRow {
            trace_id: TraceId::from_halves(0, if n == 0 { 1 } else { number * 10_000 + n / 3 }),
            id: SpanId::new((number << 32) | (n + 1)),
            name,
            kind: Kind::Server,
            start: Some(Time::from_micros(1_000_000 + number * 1000 + n)),
            duration: Some(Time::from_micros(10 + n)),
            local,
            ..SpanRow::default()
        };
        batch.commit(row).unwrap();
    }
    batch
}

fn write(engine: &Engine, batch: SpanBatch) {
    let (told, answer) = std::sync::mpsc::channel();
    engine.submit(batch, Box::new(move |result| told.send(result).unwrap()));
    while GroupWriter::default().write_group(engine, false) {}
    assert_eq!(answer.recv(), Ok(Ok(())));
}

/// A directory that was closed: segments with the spans of these batches each, and a log.
fn directory(segments: &[&[u64]], log: u64, spans: u64) -> SimDisk {
    let disk = SimDisk::new(3);
    let engine = open(&disk);
    let mut number = 0;
    for sizes in segments {
        for &spans in *sizes {
            number += 1;
            write(&engine, batch(number, spans));
        }
        engine.change_parts().rotate();
        engine.keep_house();
    }
    for _ in 0..log {
        number += 1;
        write(&engine, batch(number, spans));
    }
    engine.log.close().unwrap();
    drop(engine);
    disk.kill_process();
    disk
}

/// Everything there, by id, as all kinds of reads find it.
fn all_spans(engine: &Engine) -> BTreeMap<u64, Span> {
    let window = DependencyWindow { start_us: 0, end_us: u64::MAX };
    let mut spans = BTreeMap::new();
    engine
        .view()
        .visit_traces(window, TraceGrouping::Strict, &mut |trace| {
            spans.extend(trace.iter().map(|span| (span.id().value(), span.to_span())));
        })
        .unwrap();
    let query = |service: &str| TraceQuery {
        service_name: Some(service.to_owned()),
        end_ts_ms: u64::MAX,
        lookback_ms: u64::MAX,
        limit: usize::MAX,
        grouping: TraceGrouping::Strict,
        ..TraceQuery::default()
    };
    let mut found = BTreeMap::new();
    for trace in ["cart", "users"].iter().flat_map(|service| engine.view().find(&query(service)).unwrap()) {
        found.extend(trace.spans().map(|span| (span.id().value(), span.to_span())));
    }
    assert_eq!(found.len(), spans.len(), "a search finds what a visit does");
    spans
}

/// Damages one bit; what is reported must cover it. Answers what was lost.
fn damaged(disk: &SimDisk, file: &str, byte: usize, bit: usize) -> (SimDisk, Lost) {
    let damaged = disk.copy();
    damaged.damage(file, |bytes| bytes[byte] ^= 1 << bit);
    let report = look(&damaged, false);
    let covers = |offset: u64, bytes: u64| (offset..offset + bytes).contains(&(byte as u64));
    let found = report.findings.iter().any(|f| f.file == file && covers(f.offset, f.bytes));
    assert!(found, "bit {bit} of byte {byte} of {file}: {report:?}");
    (damaged, report.lost())
}

/// After a repair the store opens without a complaint and has all but what was reported lost.
fn repair(damaged: &SimDisk, lost: Lost, before: &BTreeMap<u64, Span>, context: &str) {
    let report = look(damaged, true);
    assert!(report.repaired && report.findings.iter().all(|finding| finding.mended.is_some()), "{context}: {report:?}");
    assert!(damaged.names().iter().any(|name| name.starts_with("damaged/")), "{context}");
    damaged.power_cycle();
    let engine = open(damaged);
    assert_eq!(engine.health(), Default::default(), "{context}");
    let after = all_spans(&engine);
    let changed = after.iter().filter(|(id, span)| before.get(id) != Some(span)).count();
    let missing = (before.len() - after.len()) as u64;
    assert_eq!((changed, missing), (0, lost.spans + lost.batches * BATCH_SPANS), "{context}: {report:?}");
    write(&engine, batch(999, 1));
    assert_eq!(all_spans(&engine).len(), after.len() + 1, "{context}: it takes spans");
}

#[test]
fn every_damaged_bit_is_found_and_repair_leaves_all_that_is_whole() {
    let disk = directory(&[&[2, 3], &[2, 2, 2]], 3, BATCH_SPANS);
    let report = look(&disk, false);
    assert_eq!((&report.findings, &report.notes), (&vec![], &vec![]), "all is well");
    assert_eq!((report.segments, report.log_records, report.spans, report.meaningless_bytes), (2, 8, 17, 0));
    let before = all_spans(&open(&disk.copy()));
    assert_eq!(before.len(), 17);
    let all = std::env::var("TRACEWELL_CHECK_ALL").is_ok_and(|value| value == "1");
    let files = disk.names();
    let bytes: usize = files.iter().map(|name| disk.contents(name).len()).sum();
    assert_eq!(report.bytes, bytes as u64, "every byte of {files:?} was looked at");
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    let work = |thread: usize| {
        let mut random = Random::new(thread as u64);
        let mut counts = (0, 0, 0);
        for file in &files {
            for byte in (thread..disk.contents(file).len()).step_by(threads) {
                let bits = if all { 0..8 } else { random.below(8) as usize..8 };
                for bit in bits.take(if all { 8 } else { 1 }) {
                    let (damaged, lost) = damaged(&disk, file, byte, bit);
                    counts.0 += 1;
                    counts.1 += u64::from(lost == Lost::default());
                    if all || random.one_in(40) {
                        repair(&damaged, lost, &before, &format!("bit {bit} of byte {byte} of {file}"));
                        counts.2 += 1;
                    }
                }
            }
        }
        counts
    };
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |count: fn(&(u64, u64, u64)) -> u64| counts.iter().map(count).sum::<u64>();
    let (flipped, harmless, repaired) = (sum(|c| c.0), sum(|c| c.1), sum(|c| c.2));
    println!("{flipped} bits of {bytes} bytes flipped, all found; {harmless} cost nothing; {repaired} repaired");
}

#[test]
fn a_damaged_block_costs_its_spans_and_no_others() {
    let disk = directory(&[&[360; 25], &[10]], 0, 0);
    let before = all_spans(&open(&disk.copy()));
    let segment = disk.names().into_iter().find(|name| name.starts_with("segments/")).unwrap();
    let mut random = Random::new(5);
    let len = disk.contents(&segment).len();
    let mut lost_blocks = 0;
    for _ in 0..if cfg!(debug_assertions) { 12 } else { 60 } {
        let byte = random.below(len as u64) as usize;
        let (damaged, lost) = damaged(&disk, &segment, byte, random.below(8) as usize);
        assert!(lost.spans < 9000 && lost.blocks <= 1, "{lost:?}");
        lost_blocks += lost.blocks;
        repair(&damaged, lost, &before, &format!("byte {byte}"));
    }
    assert!(lost_blocks > 0);
}

#[test]
fn a_segment_without_its_footer_is_set_aside_whole() {
    let disk = directory(&[&[5], &[7]], 2, BATCH_SPANS);
    let before = all_spans(&open(&disk.copy()));
    let segments: Vec<_> = disk.names().into_iter().filter(|name| name.starts_with("segments/")).collect();
    let damaged = disk.copy();
    damaged.damage(&segments[0], |bytes| bytes.truncate(100));
    let report = look(&damaged, false);
    assert_eq!(report.lost().spans, 5, "{report:?}");
    repair(&damaged, report.lost(), &before, "truncated");
    assert!(damaged.names().contains(&segments[0].replace("segments/", "damaged/")));
    // A file that is missing cannot be set aside.
    let damaged = disk.copy();
    damaged.remove(&segments[1]).unwrap();
    let report = look(&damaged, false);
    assert_eq!(report.lost().spans, 7, "{report:?}");
    look(&damaged, true);
    let engine = open(&damaged);
    assert_eq!((all_spans(&engine).len(), engine.health()), (9, Default::default()));
}

#[test]
fn what_a_killed_process_leaves_is_no_damage() {
    let disk = directory(&[&[5]], 0, 0);
    let engine = open(&disk);
    write(&engine, batch(50, 2));
    write(&engine, batch(51, 2));
    drop(engine);
    disk.kill_process();
    assert_eq!(look(&disk, false).findings, vec![]);
    // The last group may never have been acknowledged.
    let log = disk.names().into_iter().rfind(|name| name.ends_with(".log")).unwrap();
    let torn = disk.copy();
    torn.damage(&log, |bytes| bytes[4096 + 60] ^= 1);
    let report = look(&torn, false);
    assert_eq!((report.findings.len(), report.notes.len(), report.spans), (0, 1, 7), "{report:?}");
    // One before it was, because another followed.
    disk.damage(&log, |bytes| bytes[60] ^= 1);
    let report = look(&disk, false);
    assert_eq!((report.lost().batches, report.findings[0].offset), (1, 0), "{report:?}");
    look(&disk, true);
    let engine = open(&disk);
    assert_eq!((all_spans(&engine).len(), engine.health()), (7, Default::default()));
}

#[test]
fn damage_at_the_end_of_a_log_that_was_closed_is_no_torn_tail() {
    let disk = directory(&[&[5]], 2, BATCH_SPANS);
    let log = disk.names().into_iter().rfind(|name| name.ends_with(".log")).unwrap();
    let last_group = disk.contents(&log).len() - 4096;
    disk.damage(&log, |bytes| bytes[last_group + 60] ^= 1);
    let engine = open(&disk);
    assert_eq!(all_spans(&engine).len(), 7);
    let damage = engine.health().damage;
    assert!(damage.len() == 1 && damage[0].contains(&format!("at byte {last_group}")), "{damage:?}");
}

#[test]
fn a_repair_that_is_cut_short_is_done_by_the_next() {
    let disk = directory(&[&[2, 3], &[2, 2, 2]], 3, BATCH_SPANS);
    let before = all_spans(&open(&disk.copy()));
    let files = disk.names();
    let mut cut_short = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let file = &files[random.below(files.len() as u64) as usize];
        let byte = random.below(disk.contents(file).len() as u64) as usize;
        let (damaged, lost) = damaged(&disk, file, byte, random.below(8) as usize);
        damaged.crash_in(1 + random.below(25));
        let options = CheckOptions { repair: true, log_file_bytes: LOG_FILE_BYTES, tag_keys: vec!["key".to_owned()] };
        let shared: Arc<dyn Disk> = Arc::new(damaged.clone());
        let repaired = check(&shared, &TestClock::default(), &options).is_ok();
        cut_short += u64::from(!repaired);
        damaged.power_cycle();
        if !look(&damaged, true).repaired {
            // It had come to its end.
            assert_eq!(look(&damaged, false).findings, vec![], "seed {seed}");
        }
        let engine = open(&damaged);
        let missing = (before.len() - all_spans(&engine).len()) as u64;
        let context = format!("seed {seed}: byte {byte} of {file}");
        assert_eq!(
            (missing, engine.health()),
            (lost.spans + lost.batches * BATCH_SPANS, Default::default()),
            "{context}"
        );
    }
    assert!(cut_short > 50, "{cut_short}");
}

#[test]
fn a_directory_in_use_is_refused_and_a_real_one_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let engine = Engine::open(options(), disk.clone(), Arc::new(TestClock::default())).unwrap();
    write(&engine, batch(1, 20));
    engine.change_parts().rotate();
    engine.keep_house();
    let options = |repair| CheckOptions { repair, log_file_bytes: LOG_FILE_BYTES, tag_keys: vec![] };
    let look = |repair| check(&disk, &TestClock::default(), &options(repair));
    let refused = look(true).unwrap_err().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(engine);
    assert_eq!(look(false).unwrap().findings, vec![]);
    let name = disk.list("segments").unwrap().remove(0);
    let path = folder.path().join("segments").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let found = look(false).unwrap();
    assert_eq!((found.findings.len(), found.lost()), (1, Lost::default()));
    assert!(look(true).unwrap().repaired && look(false).unwrap().findings.is_empty());
}
