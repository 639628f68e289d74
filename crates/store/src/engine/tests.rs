//! The engine's promises one by one: group commit, back pressure, full and failing disks, sealing, retention, damage, closing.

use super::core::{Engine, lock};
use super::options::EmbeddedOptions;
use super::write::GroupWriter;
use super::{EmbeddedStore, OpenError};
use crate::clock::{Clock, SystemClock, TestClock};
use crate::disk::sim::{Random, SimDisk};
use crate::disk::{Disk, RealDisk};
use crate::store::{DependencyWindow, ReadError, Store, WriteError};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use tracewell_model::{Endpoint, SpanBatch, SpanId, SpanRow, Time, TraceGrouping, TraceId, TraceQuery, ValueRef};

const SECOND_US: u64 = 1_000_000;
const DAY_US: u64 = 24 * 3600 * SECOND_US;

/// One span of a trace, with a text of this length.
fn batch(trace: u64, span: u64, text_len: usize) -> SpanBatch {
    let mut batch = SpanBatch::new();
    let service = batch.intern("shop");
    let local = batch.intern_endpoint(Endpoint { service, ..Endpoint::default() });
    let key = batch.intern("text");
    // Letters without a rule, so that a segment is about as large as its texts.
    let mut random = Random::new(span);
    let text: String = (0..text_len).map(|_| (b'!' + random.below(90) as u8) as char).collect();
    batch.tag(key, ValueRef::Str(&text));
    let trace_id = TraceId::from_halves(0, trace);
    let start = Some(Time::from_micros(span));
    batch.commit(SpanRow { trace_id, id: SpanId::new(span), start, local, ..SpanRow::default() }).unwrap();
    batch
}

fn open(disk: &SimDisk, options: &EmbeddedOptions, clock: &Arc<TestClock>) -> Engine {
    Engine::open(options.clone(), Arc::new(disk.clone()), clock.clone()).unwrap()
}

fn small() -> EmbeddedOptions {
    EmbeddedOptions {
        memory_bytes_max: 400_000,
        write_queue_bytes_max: 100_000,
        log_file_bytes: 64 << 10,
        disk_free_bytes_min: Some(0),
        merge_bytes_max: Some(0),
        ..EmbeddedOptions::default()
    }
}

type Answers = Arc<Mutex<Vec<Result<(), WriteError>>>>;

fn submit(engine: &Engine, batch: SpanBatch, answers: &Answers) {
    let answers = answers.clone();
    engine.submit(batch, Box::new(move |answer| lock(&answers).push(answer)));
}

/// Writes a batch and tells what was answered.
fn write(engine: &Engine, batch: SpanBatch) -> Result<(), WriteError> {
    let answers = Answers::default();
    submit(engine, batch, &answers);
    while GroupWriter::default().write_group(engine, false) {}
    let answers = lock(&answers);
    assert_eq!(answers.len(), 1, "one answer a write");
    answers[0].clone()
}

/// The spans of trace 1, in the order of the answer.
fn spans(engine: &Engine) -> Vec<u64> {
    let traces = engine.view().traces(&[TraceId::from_halves(0, 1)], TraceGrouping::Strict).unwrap();
    traces.iter().flat_map(|trace| trace.spans().map(|span| span.id().value()).collect::<Vec<_>>()).collect()
}

/// Writes one span and makes a segment of it.
fn seal_one(engine: &Engine, span: u64, text_len: usize) {
    write(engine, batch(1, span, text_len)).unwrap();
    engine.change_parts().rotate();
    engine.keep_house();
}

#[test]
fn batches_that_wait_together_are_written_with_one_sync() {
    let engine = open(&SimDisk::new(1), &small(), &Arc::default());
    let answers = Answers::default();
    for span in 1..=20 {
        submit(&engine, batch(1, span, 100), &answers);
    }
    assert!(lock(&answers).is_empty() && spans(&engine).is_empty());
    assert!(GroupWriter::default().write_group(&engine, false));
    assert_eq!(*lock(&answers), vec![Ok(()); 20]);
    assert_eq!(spans(&engine), (1..=20).collect::<Vec<_>>());
    let stats = engine.stats();
    assert_eq!((stats.log_syncs, stats.batches_written, stats.spans_written, stats.spans_stored), (1, 20, 20, 20));
    assert_eq!(stats.write_queue_bytes, 0);
}

#[test]
fn a_full_queue_refuses_at_once_and_takes_again() {
    let engine = open(&SimDisk::new(2), &small(), &Arc::default());
    let answers = Answers::default();
    while lock(&answers).is_empty() {
        submit(&engine, batch(1, 1, 1000), &answers);
        assert!(engine.queue.bytes() <= 100_000);
    }
    assert_eq!(*lock(&answers), [Err(WriteError::Overloaded)]);
    while GroupWriter::default().write_group(&engine, false) {}
    assert_eq!(write(&engine, batch(1, 2, 1000)), Ok(()));
    assert_eq!(engine.stats().writes_refused, 1);
    let too_large = write(&engine, batch(1, 3, 200_000));
    assert!(matches!(too_large, Err(WriteError::TooLarge { bytes_max: 100_000, .. })), "{too_large:?}");
}

#[test]
fn a_batch_beyond_a_log_file_is_refused_and_the_others_of_its_group_are_kept() {
    let options = EmbeddedOptions { log_file_bytes: 8192, ..small() };
    let engine = open(&SimDisk::new(3), &options, &Arc::default());
    let answers = Answers::default();
    for (span, text_len) in [(1, 100), (2, 20_000), (3, 100)] {
        submit(&engine, batch(1, span, text_len), &answers);
    }
    assert!(GroupWriter::default().write_group(&engine, false));
    let answers = lock(&answers);
    assert!(matches!(answers[..], [Ok(()), Err(WriteError::TooLarge { .. }), Ok(())]), "{answers:?}");
    assert_eq!(spans(&engine), [1, 3]);
}

#[test]
fn memory_is_bounded_when_sealing_does_not_come() {
    let engine = open(&SimDisk::new(4), &small(), &Arc::default());
    let written = (1..).take_while(|&span| write(&engine, batch(1, span, 1000)) == Ok(())).count() as u64;
    assert!(engine.stats().memory_bytes <= 430_000, "{:?}", engine.stats());
    assert_eq!(write(&engine, batch(1, 5000, 1000)), Err(WriteError::Overloaded));
    engine.keep_house();
    assert!(engine.stats().segments_sealed >= 1);
    assert_eq!(write(&engine, batch(1, 9000, 1000)), Ok(()));
    assert_eq!(spans(&engine), (1..=written).chain([9000]).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_refuses_writes_and_is_left_by_itself() {
    let disk = SimDisk::new(5);
    let engine = open(&disk, &small(), &Arc::default());
    seal_one(&engine, 1, 10);
    disk.set_capacity_bytes(disk.used_bytes() + 1000);
    let mut span = 2;
    let refused = loop {
        match write(&engine, batch(1, span, 2000)) {
            Ok(()) => span += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, WriteError::DiskFull(_)), "{refused:?}");
    assert!(matches!(write(&engine, batch(1, 900, 10)), Err(WriteError::DiskFull(_))));
    assert!(engine.health().writes_refused.is_some());
    assert_eq!(spans(&engine), (1..span).collect::<Vec<_>>(), "reads go on");
    // Neither is there room to seal.
    engine.change_parts().rotate();
    engine.keep_house();
    assert_eq!(engine.stats().segments, 1);
    assert!(matches!(write(&engine, batch(1, 901, 10)), Err(WriteError::DiskFull(_))));
    disk.set_capacity_bytes(1 << 30);
    engine.keep_house();
    assert_eq!(engine.health().writes_refused, None);
    assert_eq!(write(&engine, batch(1, span, 10)), Ok(()));
    assert_eq!(engine.stats().segments, 2);
    assert_eq!(spans(&engine), (1..=span).collect::<Vec<_>>());
}

#[test]
fn too_little_free_space_removes_the_oldest_then_refuses() {
    let disk = SimDisk::new(6);
    disk.set_capacity_bytes(10 << 20);
    let options = EmbeddedOptions { disk_free_bytes_min: Some(1 << 20), ..small() };
    let engine = open(&disk, &options, &Arc::default());
    for span in 1..=4 {
        seal_one(&engine, span, 50_000);
    }
    assert_eq!(engine.stats().segments, 4);
    let segment_bytes = engine.stats().segment_bytes / 4;
    disk.set_capacity_bytes(disk.used_bytes() + (1 << 20) - segment_bytes * 3 / 2);
    engine.keep_house();
    assert_eq!(spans(&engine), [3, 4], "two had to go");
    engine.keep_house();
    assert_eq!((engine.stats().segments, engine.stats().segments_expired), (2, 2));
    assert_eq!(engine.health().writes_refused, None);
    disk.set_capacity_bytes(disk.used_bytes() + 1000);
    engine.keep_house();
    assert_eq!(engine.stats().segments, 0);
    engine.keep_house();
    assert!(matches!(write(&engine, batch(1, 9, 10)), Err(WriteError::DiskFull(_))));
    disk.set_capacity_bytes(10 << 20);
    engine.keep_house();
    assert_eq!(write(&engine, batch(1, 9, 10)), Ok(()));
}

#[test]
fn a_failed_sync_ends_writing_until_the_next_start() {
    let disk = SimDisk::new(7);
    disk.set_direct(false);
    let clock = Arc::default();
    let engine = open(&disk, &small(), &clock);
    write(&engine, batch(1, 1, 10)).unwrap();
    disk.fail_sync_in(1);
    assert!(matches!(write(&engine, batch(1, 2, 10)), Err(WriteError::Failed(_))));
    assert!(matches!(write(&engine, batch(1, 3, 10)), Err(WriteError::Failed(_))));
    assert!(engine.health().writes_refused.is_some_and(|why| why.contains("sync")));
    assert_eq!(spans(&engine), [1], "reads go on, without what was not acknowledged");
    drop(engine);
    disk.power_cycle();
    let engine = open(&disk, &small(), &clock);
    assert_eq!(write(&engine, batch(1, 4, 10)), Ok(()));
    let found = spans(&engine);
    assert!(found == [1, 4] || found == [1, 2, 4], "{found:?}");
}

#[test]
fn retention_by_age_counts_from_arrival_and_survives_a_wrong_clock() {
    let disk = SimDisk::new(8);
    let clock = Arc::new(TestClock::default());
    let engine = open(&disk, &small(), &clock);
    clock.set_us(1000 * DAY_US);
    seal_one(&engine, 1, 10);
    // For a moment the clock is far ahead.
    clock.set_us(9000 * DAY_US);
    write(&engine, batch(1, 2, 10)).unwrap();
    engine.change_parts().rotate();
    engine.seal_all();
    clock.set_us(1001 * DAY_US);
    seal_one(&engine, 3, 10);
    clock.set_us(1006 * DAY_US);
    engine.keep_house();
    assert_eq!(spans(&engine), [1, 2, 3]);
    clock.set_us(1007 * DAY_US + 1);
    engine.keep_house();
    assert_eq!(spans(&engine), [2, 3]);
    clock.set_us(1008 * DAY_US + 1);
    engine.keep_house();
    assert_eq!(spans(&engine), Vec::<u64>::new());
    assert_eq!((engine.stats().segments_expired, engine.stats().segment_bytes), (3, 0));
    assert!(!disk.names().iter().any(|name| name.starts_with("segments/")), "{:?}", disk.names());
    drop(engine);
    disk.power_cycle();
    assert_eq!(spans(&open(&disk, &small(), &clock)), Vec::<u64>::new());
}

/// Like the machine's: when it is set, time goes on as before.
#[derive(Default)]
struct SetClock {
    now: TestClock,
    steady: TestClock,
}

impl Clock for SetClock {
    fn now_us(&self) -> u64 {
        self.now.now_us()
    }

    fn steady_us(&self) -> u64 {
        self.steady.now_us()
    }
}

#[test]
fn a_clock_that_is_set_ahead_for_a_while_removes_nothing() {
    const HOUR_US: u64 = DAY_US / 24;
    let clock = Arc::new(SetClock::default());
    let engine = Engine::open(small(), Arc::new(SimDisk::new(10)), clock.clone()).unwrap();
    let pass = |time_us| {
        clock.now.advance_us(time_us);
        clock.steady.advance_us(time_us);
        engine.keep_house();
    };
    clock.now.set_us(1000 * DAY_US);
    seal_one(&engine, 1, 10);
    pass(HOUR_US);
    clock.now.set_us(2000 * DAY_US);
    pass(HOUR_US / 2);
    assert_eq!(spans(&engine), [1]);
    clock.now.set_us(1000 * DAY_US + 2 * HOUR_US);
    (0..20).for_each(|_| pass(HOUR_US));
    assert_eq!(spans(&engine), [1]);
    clock.now.set_us(2000 * DAY_US);
    pass(HOUR_US / 2);
    assert_eq!(spans(&engine), [1]);
    pass(HOUR_US);
    assert_eq!(spans(&engine), Vec::<u64>::new(), "that is the time, then");
}

#[test]
fn retention_by_size_removes_the_oldest_but_not_under_a_reader() {
    let disk = SimDisk::new(9);
    let clock = Arc::default();
    let engine = open(&disk, &small(), &clock);
    for span in 1..=16 {
        seal_one(&engine, span, 40_000);
    }
    let segment_bytes = engine.stats().segment_bytes / 16;
    drop(engine);
    disk.kill_process();
    // Room for 15 segments, for the log's next file, and to write two more segments.
    let retention_bytes_max = Some(17 * segment_bytes + (64 << 10) + 1000);
    let engine = open(&disk, &EmbeddedOptions { retention_bytes_max, ..small() }, &clock);
    let before = engine.view();
    engine.keep_house();
    assert_eq!(spans(&engine), (2..=16).collect::<Vec<_>>());
    let segment_files = || disk.names().iter().filter(|name| name.starts_with("segments/")).count();
    assert_eq!(segment_files(), 16, "someone still reads from it");
    let traces = before.traces(&[TraceId::from_halves(0, 1)], TraceGrouping::Strict).unwrap();
    assert_eq!(traces[0].len(), 16);
    drop((before, traces));
    engine.keep_house();
    assert_eq!((segment_files(), engine.stats().segments), (15, 15));
}

#[test]
fn a_small_limit_has_small_log_files_and_one_that_holds_nothing_is_refused() {
    let with = |retention_bytes_max| EmbeddedOptions { retention_bytes_max, ..EmbeddedOptions::default() };
    assert_eq!((with(None).log_file_bytes(), with(None).seal_bytes()), (64 << 20, 32 << 20));
    let small = with(Some(128 << 20));
    assert_eq!((small.log_file_bytes(), small.seal_bytes(), small.check()), (16 << 20, 16 << 20, Ok(())));
    assert_eq!(with(Some(64 << 20)).check(), Ok(()));
    let refused = with(Some(1 << 20)).check().unwrap_err().to_string();
    assert!(refused.contains("1048576 bytes") && refused.contains("at least 67108864"), "{refused}");
}

#[test]
fn small_neighbours_become_one_segment_and_large_ones_stay() {
    let disk = SimDisk::new(21);
    let clock: Arc<TestClock> = Arc::default();
    let options = EmbeddedOptions { merge_bytes_max: Some(8_000), ..small() };
    let engine = open(&disk, &options, &clock);
    let segment_files = || disk.names().into_iter().filter(|name| name.starts_with("segments/")).count();
    seal_one(&engine, 1, 9_000);
    let reading = engine.view();
    for span in 2..5 {
        seal_one(&engine, span, 10);
    }
    assert_eq!((engine.stats().segments, engine.stats().segments_merged), (4, 0), "three are too few");
    let reading_old = engine.view();
    seal_one(&engine, 5, 10);
    assert_eq!((engine.stats().segments, engine.stats().segments_merged), (2, 4));
    assert_eq!(segment_files(), 2 + 3, "somebody reads three of the old ones");
    assert_eq!(reading_old.traces(&[TraceId::from_halves(0, 1)], TraceGrouping::Strict).unwrap()[0].len(), 4);
    drop((reading, reading_old));
    engine.keep_house();
    assert_eq!(segment_files(), 2);
    assert_eq!(spans(&engine), [1, 2, 3, 4, 5]);
    assert_eq!(engine.stats().spans_stored, 5);
    drop(engine);
    disk.power_cycle();
    let engine = open(&disk, &options, &clock);
    assert_eq!((spans(&engine), engine.stats().segments), (vec![1, 2, 3, 4, 5], 2));
    assert_eq!(engine.health().damage, Vec::<String>::new());
}

#[test]
fn recent_spans_are_sealed_when_they_are_many_and_old_or_very_old() {
    let clock = Arc::new(TestClock::default());
    clock.set_us(DAY_US);
    let options = EmbeddedOptions { seal_spans_min: 3, ..small() };
    let engine = open(&SimDisk::new(10), &options, &clock);
    let sealed_after = |age_us: u64| {
        clock.advance_us(age_us);
        engine.keep_house();
        engine.stats().segments_sealed
    };
    write(&engine, batch(1, 1, 10)).unwrap();
    assert_eq!(sealed_after(400 * SECOND_US), 0, "old, but few");
    write(&engine, batch(1, 2, 10)).unwrap();
    write(&engine, batch(1, 3, 10)).unwrap();
    assert_eq!(sealed_after(0), 1, "the oldest counts");
    write(&engine, batch(1, 4, 10)).unwrap();
    assert_eq!(sealed_after(3599 * SECOND_US), 1);
    assert_eq!(sealed_after(SECOND_US), 2);
    assert_eq!(sealed_after(DAY_US), 2, "there is nothing to seal");
    assert_eq!(spans(&engine), [1, 2, 3, 4]);
}

#[test]
fn a_damaged_catalog_is_made_anew_and_reported() {
    let disk = SimDisk::new(11);
    let clock = Arc::default();
    let engine = open(&disk, &small(), &clock);
    seal_one(&engine, 1, 10);
    seal_one(&engine, 2, 10);
    write(&engine, batch(1, 3, 10)).unwrap();
    drop(engine);
    disk.power_cycle();
    for bit in 0..disk.contents("catalog").len() * 8 {
        let damaged = disk.copy();
        damaged.damage("catalog", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let engine = open(&damaged, &small(), &clock);
        assert_eq!(spans(&engine), [1, 2, 3], "bit {bit}");
        assert_eq!(engine.health().damage.len(), 1, "bit {bit}");
        drop(engine);
        damaged.power_cycle();
        let engine = open(&damaged, &small(), &clock);
        assert_eq!((spans(&engine), engine.health().damage), (vec![1, 2, 3], vec![]), "bit {bit}");
    }
    for (len, removed) in [(0, false), (20, false), (30, false), (0, true)] {
        let damaged = disk.copy();
        damaged.damage("catalog", |bytes| bytes.truncate(len));
        if removed {
            damaged.remove("catalog").unwrap();
        }
        let engine = open(&damaged, &small(), &clock);
        assert_eq!((spans(&engine), engine.health().damage.len()), (vec![1, 2, 3], 1));
    }
}

#[test]
fn a_damaged_log_costs_what_is_damaged_and_is_reported() {
    let disk = SimDisk::new(12);
    let clock = Arc::default();
    let engine = open(&disk, &small(), &clock);
    for span in 1..=3 {
        write(&engine, batch(1, span, 10)).unwrap();
    }
    drop(engine);
    disk.power_cycle();
    let log = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    disk.damage(&log, |bytes| bytes[4096 + 100] ^= 1);
    let engine = open(&disk, &small(), &clock);
    assert_eq!(spans(&engine), [1, 3]);
    let damage = engine.health().damage;
    assert!(damage.len() == 1 && damage[0].contains("at byte 4096"), "{damage:?}");
}

#[test]
fn a_missing_segment_is_reported_and_the_others_are_read() {
    let disk = SimDisk::new(13);
    let clock = Arc::default();
    let engine = open(&disk, &small(), &clock);
    seal_one(&engine, 1, 10);
    seal_one(&engine, 2, 10);
    drop(engine);
    let first = disk.names().into_iter().find(|name| name.starts_with("segments/")).unwrap();
    disk.remove(&first).unwrap();
    disk.power_cycle();
    let engine = open(&disk, &small(), &clock);
    // The power cut may have brought it back.
    let there = disk.names().contains(&first);
    assert_eq!(spans(&engine), if there { vec![1, 2] } else { vec![2] });
    assert_eq!(engine.stats().segments_damaged, u64::from(!there));
    assert_eq!(engine.health().damage.len(), usize::from(!there));
}

fn wait_for(store: &EmbeddedStore, batch: SpanBatch) -> Result<(), WriteError> {
    let (told, answer) = mpsc::channel();
    store.write(batch, Box::new(move |result| told.send(result).unwrap()));
    answer.recv().unwrap()
}

fn found(store: &EmbeddedStore, trace: u64) -> usize {
    let traces = store.traces(&[TraceId::from_halves(0, trace)], TraceGrouping::Strict).unwrap();
    traces.iter().map(SpanBatch::len).sum()
}

#[test]
fn on_the_real_disk_everything_acknowledged_is_there_after_a_kill_and_after_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::open(directory.path()).unwrap());
    let clock = Arc::new(SystemClock);
    // An engine without threads that is dropped does nothing more, as a killed process does.
    let engine = Engine::open(small(), disk(), clock).unwrap();
    for span in 1..=50 {
        write(&engine, batch(1, span, 3000)).unwrap();
        if span % 20 == 0 {
            engine.change_parts().rotate();
            engine.keep_house();
        }
    }
    drop(engine);
    let store = EmbeddedStore::open(small(), disk()).unwrap();
    assert_eq!((found(&store, 1), store.stats().segments, store.stats().memory_spans), (50, 2, 10));
    assert_eq!(wait_for(&store, batch(1, 51, 10)), Ok(()));
    let second = EmbeddedStore::open(small(), disk()).err();
    assert!(matches!(&second, Some(OpenError::Failed(error)) if error.to_string().contains("in use")), "{second:?}");
    store.close();
    assert_eq!(wait_for(&store, batch(1, 52, 10)), Err(WriteError::Closed));
    store.close();
    let reopened = EmbeddedStore::open(small(), disk()).unwrap();
    assert_eq!(found(&reopened, 1), 51);
    assert_eq!(reopened.health(), Default::default());
}

#[test]
fn the_operating_systems_durability_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { durability: crate::log::Durability::Os, ..small() };
    let open = || {
        Engine::open(options.clone(), Arc::new(RealDisk::open(directory.path()).unwrap()), Arc::<TestClock>::default())
    };
    let engine = open().unwrap();
    write(&engine, batch(1, 1, 10)).unwrap();
    assert_eq!(engine.stats().log_syncs, 0);
    drop(engine);
    assert_eq!(spans(&open().unwrap()), [1]);
}

#[test]
fn what_is_acknowledged_is_seen_by_the_next_read_while_others_write_and_seal() {
    let disk = SimDisk::new(14);
    let store = EmbeddedStore::open(small(), Arc::new(disk.clone())).unwrap();
    std::thread::scope(|scope| {
        for writer in 1..=3 {
            let store = &store;
            scope.spawn(move || {
                let mut written = 0;
                for span in 1..=150 {
                    match wait_for(store, batch(writer, writer << 32 | span, 2000)) {
                        Ok(()) => written += 1,
                        Err(error) => assert_eq!(error, WriteError::Overloaded),
                    }
                    if span % 10 == 0 {
                        assert_eq!(found(store, writer), written);
                    }
                }
            });
        }
    });
    assert!(store.stats().segments_sealed > 0);
    let spans_stored = store.stats().spans_stored;
    store.close();
    drop(store);
    disk.power_cycle();
    let store = EmbeddedStore::open(small(), Arc::new(disk)).unwrap();
    assert_eq!(store.stats().spans_stored, spans_stored);
}

#[test]
fn closing_answers_everything_that_was_accepted() {
    let store = EmbeddedStore::open(small(), Arc::new(SimDisk::new(15))).unwrap();
    let (told, answers) = mpsc::channel();
    for span in 1..=30 {
        let told = told.clone();
        store.write(batch(1, span, 10), Box::new(move |result| told.send(result).unwrap()));
    }
    store.close();
    drop(told);
    assert_eq!(answers.iter().collect::<Vec<_>>(), vec![Ok(()); 30]);
    assert_eq!(wait_for(&store, SpanBatch::new()), Err(WriteError::Closed));
}

#[test]
fn a_sender_that_panics_is_its_own_affair() {
    let store = EmbeddedStore::open(small(), Arc::new(SimDisk::new(16))).unwrap();
    store.write(batch(1, 1, 10), Box::new(|_| panic!("the sender is gone")));
    assert_eq!(wait_for(&store, batch(1, 2, 10)), Ok(()));
    assert_eq!(wait_for(&store, SpanBatch::new()), Ok(()));
    assert_eq!(found(&store, 1), 2);
}

#[test]
fn a_batch_that_is_dropped_is_answered() {
    let engine = open(&SimDisk::new(21), &small(), &Arc::default());
    let answers = Answers::default();
    submit(&engine, batch(1, 1, 10), &answers);
    drop(engine);
    assert!(matches!(lock(&answers)[..], [Err(WriteError::Failed(_))]));
}

#[test]
fn a_store_that_is_not_searched_still_answers_traces_and_links() {
    let options = EmbeddedOptions { search_enabled: false, tag_keys: vec!["text".to_owned()], ..small() };
    let store = EmbeddedStore::open(options, Arc::new(SimDisk::new(17))).unwrap();
    wait_for(&store, batch(1, 1, 10)).unwrap();
    assert_eq!(found(&store, 1), 1);
    assert_eq!(store.dependencies(DependencyWindow { start_us: 0, end_us: 10 }), Ok(vec![]));
    assert_eq!(store.service_names(), Err(ReadError::SearchDisabled));
    assert_eq!(store.tag_values("text"), Err(ReadError::SearchDisabled));
    assert!(matches!(store.find(&TraceQuery::default()), Err(ReadError::SearchDisabled)));
}

#[test]
fn it_keeps_the_contract() {
    let options = || EmbeddedOptions { disk_free_bytes_min: Some(0), ..EmbeddedOptions::default() };
    crate::contract::run(|| Box::new(EmbeddedStore::open(options(), Arc::new(SimDisk::new(19))).unwrap()));
}

#[test]
fn it_keeps_the_contract_while_everything_is_sealed_at_once() {
    let options = EmbeddedOptions {
        seal_bytes: Some(0),
        log_file_bytes: 4 << 20,
        disk_free_bytes_min: Some(0),
        tag_keys: vec!["http.path".to_owned()],
        ..EmbeddedOptions::default()
    };
    crate::contract::run(|| Box::new(EmbeddedStore::open(options.clone(), Arc::new(SimDisk::new(20))).unwrap()));
}

#[test]
fn it_keeps_the_contract_on_the_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let stores = AtomicU64::new(0);
    crate::contract::run(|| {
        let root = directory.path().join(stores.fetch_add(1, SeqCst).to_string());
        let options =
            EmbeddedOptions { seal_bytes: Some(50_000), disk_free_bytes_min: Some(0), ..EmbeddedOptions::default() };
        Box::new(EmbeddedStore::open(options, Arc::new(RealDisk::open(root).unwrap())).unwrap())
    });
}

#[test]
fn contradicting_options_are_refused() {
    let options = EmbeddedOptions { write_queue_bytes_max: 200_001, ..small() };
    let opened = EmbeddedStore::open(options, Arc::new(SimDisk::new(18)));
    assert!(matches!(opened.err(), Some(OpenError::Options(_))));
}
