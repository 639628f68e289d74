//! The whole engine over the simulated disk, thousands of times: random batches, power cuts at any step, failed syncs and other
//! steps, a full disk, merging, retention, a clock that jumps, spans of any time; then a restart. Nothing acknowledged is
//! missing, nothing is there that was refused or never sent, nothing is there twice, and no damage is reported where there is
//! none.
//!
//! `TRACEWELL_CRASH_SEEDS=100000` runs more seeds, `TRACEWELL_CRASH_SEED=7` one of them.

use super::EmbeddedStore;
use super::core::{Engine, lock};
use super::options::EmbeddedOptions;
use super::write::GroupWriter;
use crate::check::CheckOptions;
use crate::clock::TestClock;
use crate::disk::Disk;
use crate::disk::sim::{Random, SimDisk};
use crate::store::{Store, WriteDone, WriteError, WriterCall};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tracewell_model::{Kind, SpanBatch, SpanId, SpanRow, Time, TraceGrouping, TraceId, ValueRef};

const SECOND_US: u64 = 1_000_000;

/// Spans of the same trace come in different batches, so traces lie across segments and memory.
const SHARED_TRACES: u64 = 6;

/// A batch that was sent, and what was answered.
struct Sent {
    batch: SpanBatch,
    answer: Arc<Mutex<Option<Result<(), WriteError>>>>,
}

impl Sent {
    fn acknowledged(&self) -> bool {
        *lock(&self.answer) == Some(Ok(()))
    }

    /// Whether it may be there at all.
    fn possible(&self) -> bool {
        matches!(*lock(&self.answer), None | Some(Ok(()) | Err(WriteError::Failed(_))))
    }
}

/// The batch with this number: spans with ids of their own, in traces shared with other batches.
fn batch(number: u64, random: &mut Random) -> SpanBatch {
    let mut batch = SpanBatch::new();
    let service = batch.intern(["front", "back", "store"][number as usize % 3]);
    let endpoint = tracewell_model::Endpoint { service, ..Default::default() };
    let local = batch.intern_endpoint(endpoint);
    for at in 0..1 + random.below(3) {
        let key = batch.intern("text");
        let text = "x".repeat(random.below(1200) as usize);
        batch.tag(key, ValueRef::Str(&text));
        let key = batch.intern("number");
        batch.tag(key, ValueRef::I64(number as i64));
        let name = batch.intern(&format!("span {at}"));
        let row = SpanRow {
            trace_id: TraceId::from_halves(random.below(2), 1 + random.below(SHARED_TRACES)),
            id: SpanId::new(number * 16 + at + 1),
            name,
            kind: Kind::Client,
            start: (!random.one_in(5)).then(|| start(random)),
            duration: random.one_in(3).then(|| start(random)),
            local,
            ..SpanRow::default()
        };
        batch.commit(row).unwrap();
    }
    batch
}

/// Now and then from the far past or future.
fn start(random: &mut Random) -> Time {
    match random.below(8) {
        0 => Time::from_nanos(random.below(3)),
        1 => Time::from_micros(u64::MAX >> random.below(20)),
        _ => Time::from_micros(1 + random.below(1 << 50)),
    }
}

fn send(sent: &mut Vec<Sent>, random: &mut Random, number: u64, write: impl FnOnce(SpanBatch, WriteDone)) {
    let batch = batch(number, random);
    let answer = Arc::new(Mutex::new(None));
    let slot = answer.clone();
    sent.push(Sent { batch: batch.clone(), answer });
    let done = Box::new(move |result| assert_eq!(lock(&slot).replace(result), None, "answered twice"));
    write(batch, done);
}

fn options(random: &mut Random) -> EmbeddedOptions {
    let log_file_bytes = 16 << 10 << random.below(3);
    EmbeddedOptions {
        memory_bytes_max: 40_000 + random.below(100_000) as usize,
        write_queue_bytes_max: 20_000,
        write_group_bytes_max: 4_000 + random.below(16_000) as usize,
        log_file_bytes,
        seal_age_us: 10 * SECOND_US,
        seal_spans_min: 20,
        seal_age_max_us: 60 * SECOND_US,
        merge_bytes_max: Some(random.below(40_000)),
        retention_age_us: if random.one_in(4) { 100 * SECOND_US } else { u64::MAX },
        retention_bytes_max: random.one_in(4).then(|| 8 * log_file_bytes + random.below(60_000)),
        disk_free_bytes_min: Some(0),
        ..EmbeddedOptions::default()
    }
}

/// Holds what is found against what was sent. With retention, the oldest acknowledged batches may be gone.
fn check(engine: &Engine, sent: &[Sent], retention: bool, context: &str) {
    assert_eq!(engine.health().damage, Vec::<String>::new(), "{context}");
    let ids: Vec<_> =
        (0..2).flat_map(|high| (1..=SHARED_TRACES).map(move |low| TraceId::from_halves(high, low))).collect();
    let spans_stored = engine.stats().spans_stored;
    let traces = engine.view().traces(&ids, TraceGrouping::Strict).unwrap();
    let mut found = HashMap::new();
    for span in traces.iter().flat_map(|trace| trace.spans()) {
        assert!(found.insert(span.id().value(), span).is_none(), "{context}: {span:?} is there twice");
    }
    let mut complete = vec![];
    for sent in sent {
        let here: Vec<_> =
            sent.batch.spans().filter_map(|span| Some((span, found.remove(&span.id().value())?))).collect();
        assert!(here.iter().all(|(sent, found)| sent.same(*found)), "{context}: a span has changed");
        assert!(here.is_empty() || here.len() == sent.batch.len(), "{context}: a batch is there in part");
        assert!(here.is_empty() || sent.possible(), "{context}: a refused batch is there");
        if sent.acknowledged() {
            complete.push(!here.is_empty());
        }
    }
    assert!(found.is_empty(), "{context}: invented {found:?}");
    let stored: usize = traces.iter().map(SpanBatch::len).sum();
    assert_eq!(spans_stored, stored as u64, "{context}: spans are kept twice");
    let kept_from = if retention { complete.iter().position(|&here| here).unwrap_or(complete.len()) } else { 0 };
    let missing = complete[kept_from..].iter().filter(|&&here| !here).count();
    assert_eq!(missing, 0, "{context}: acknowledged batches are missing of {}", complete.len() - kept_from);
}

fn seeds(default: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("TRACEWELL_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TRACEWELL_CRASH_SEEDS").unwrap_or(default),
    }
}

/// One thread takes every step in an order that the seed tells, so a seed that fails fails again.
struct Run {
    random: Random,
    disk: SimDisk,
    clock: Arc<TestClock>,
    options: EmbeddedOptions,
    sent: Vec<Sent>,
    context: String,
    figures: Figures,
}

/// What happened, so that the suite knows it tested what it says.
#[derive(Default)]
struct Figures {
    acknowledged: u64,
    refused: u64,
    failed: u64,
    sealed: u64,
    merged: u64,
    expired: u64,
    crashed_opening: u64,
    crashed_sealing: u64,
    clock_jumps: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xc0ffee);
        let clock = Arc::new(TestClock::default());
        clock.set_us(1_000_000 * SECOND_US);
        let options = options(&mut random);
        let context = format!("seed {seed}");
        Self { disk: SimDisk::new(seed), random, clock, options, sent: vec![], context, figures: Figures::default() }
    }

    fn retention(&self) -> bool {
        self.options.retention_age_us != u64::MAX || self.options.retention_bytes_max.is_some()
    }

    fn open(&mut self) -> Option<Engine> {
        let opened = Engine::open(self.options.clone(), Arc::new(self.disk.clone()), self.clock.clone());
        self.figures.crashed_opening += u64::from(opened.is_err());
        opened.ok()
    }

    fn round(&mut self) {
        match self.random.below(5) {
            0..3 => self.disk.crash_in(1 + self.random.below(150)),
            3 => self.disk.fail_sync_in(1 + self.random.below(60)),
            _ => (),
        }
        if self.random.one_in(4) {
            self.disk.fail_step_in(1 + self.random.below(100));
        }
        if self.random.one_in(5) {
            self.disk.set_capacity_bytes(self.disk.used_bytes() + self.random.below(200_000));
        }
        if let Some(engine) = self.open() {
            self.steps(&engine);
            let stats = engine.stats();
            self.figures.sealed += stats.segments_sealed;
            self.figures.merged += stats.segments_merged;
            self.figures.expired += stats.segments_expired;
            if !self.disk.is_off() && self.random.one_in(3) {
                engine.log.close().unwrap_or_default();
            }
        }
        if self.disk.is_off() || self.random.one_in(2) {
            self.disk.power_cycle();
        } else {
            self.disk.kill_process();
        }
        self.disk.set_capacity_bytes(1 << 40);
    }

    fn steps(&mut self, engine: &Engine) {
        let mut writer = GroupWriter::default();
        for _ in 0..60 {
            match self.random.below(20) {
                0..11 => {
                    let number = self.sent.len() as u64;
                    send(&mut self.sent, &mut self.random, number, |batch, done| engine.submit(batch, done));
                }
                11..17 => while writer.write_group(engine, false) {},
                17 => self.pass_time(),
                18 => {
                    let was_off = self.disk.is_off();
                    engine.keep_house();
                    self.figures.crashed_sealing += u64::from(!was_off && self.disk.is_off());
                }
                _ if self.disk.is_off() => return,
                _ if self.random.one_in(2) => (),
                _ => check(engine, &self.sent, self.retention(), &self.context),
            }
        }
    }

    /// Whatever happened, nothing of it was damage.
    fn check_directory(&self) {
        let log_file_bytes = self.options.log_file_bytes;
        let options = CheckOptions { repair: false, log_file_bytes, tag_keys: vec![] };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let report = crate::check::check(&disk, &*self.clock, &options).unwrap();
        assert_eq!(report.findings, vec![], "{}", self.context);
    }

    fn pass_time(&mut self) {
        let day_us = 24 * 3600 * SECOND_US;
        match self.random.below(12) {
            0 => self.clock.advance_us(self.random.below(4000) * day_us),
            1 => self.clock.set_back_us(self.random.below(4000) * day_us),
            _ => return self.clock.advance_us(self.random.below(40) * SECOND_US),
        }
        self.figures.clock_jumps += 1;
    }

    fn finish(mut self) -> Figures {
        self.check_directory();
        let engine = Engine::open(self.options.clone(), Arc::new(self.disk.clone()), self.clock.clone());
        let engine = engine.unwrap_or_else(|error| panic!("{}: {error}", self.context));
        check(&engine, &self.sent, self.retention(), &self.context);
        // It still works: everything is sealed, and found again after another restart.
        let number = self.sent.len() as u64;
        send(&mut self.sent, &mut self.random, number, |batch, done| engine.submit(batch, done));
        GroupWriter::default().write_group(&engine, false);
        assert!(self.sent[number as usize].acknowledged(), "{}", self.context);
        self.clock.advance_us(61 * SECOND_US);
        engine.keep_house();
        assert_eq!(engine.stats().memory_spans, 0, "{}", self.context);
        drop(engine);
        self.disk.power_cycle();
        let engine = self.open().unwrap();
        check(&engine, &self.sent, self.retention(), &self.context);
        drop(engine);
        self.disk.kill_process();
        self.check_directory();
        let engine = self.open().unwrap();
        let named: Vec<_> = self.disk.names().into_iter().filter(|name| name.starts_with("segments/")).collect();
        assert_eq!(named.len() as u64, engine.stats().segments, "{}: {named:?}", self.context);
        for sent in &self.sent {
            match &*lock(&sent.answer) {
                Some(Ok(())) => self.figures.acknowledged += 1,
                Some(Err(WriteError::Failed(_))) | None => self.figures.failed += 1,
                Some(Err(_)) => self.figures.refused += 1,
            }
        }
        self.figures
    }
}

#[test]
fn crashes_lose_nothing_acknowledged_and_invent_nothing() {
    let seeds = seeds(1000);
    let count = seeds.end - seeds.start;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    let part = |thread: usize| seeds.clone().skip(thread).step_by(threads).map(run_seed).collect::<Vec<_>>();
    let totals: Vec<Figures> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |figure: fn(&Figures) -> u64| totals.iter().map(figure).sum::<u64>();
    let acknowledged = sum(|figures| figures.acknowledged);
    let (refused, failed) = (sum(|figures| figures.refused), sum(|figures| figures.failed));
    let merged = sum(|figures| figures.merged);
    let (sealed, expired) = (sum(|figures| figures.sealed), sum(|figures| figures.expired));
    let (opening, sealing) = (sum(|figures| figures.crashed_opening), sum(|figures| figures.crashed_sealing));
    let jumps = sum(|figures| figures.clock_jumps);
    println!("{count} seeds: {acknowledged} batches acknowledged, {refused} refused, {failed} failed;");
    println!(
        "{sealed} segments sealed, {merged} merged, {expired} expired; {opening} crashes opening, {sealing} sealing; the clock jumped {jumps} times"
    );
    if count >= 1000 {
        assert!(acknowledged > 10 * count && refused > count && failed > count && sealed > count);
        assert!(merged > count / 20 && expired > count / 10 && opening > count / 20 && sealing > count / 20);
        assert!(jumps > count / 10);
    }
}

fn run_seed(seed: u64) -> Figures {
    let mut run = Run::new(seed);
    for _ in 0..1 + run.random.below(4) {
        run.round();
    }
    run.finish()
}

/// The same with the store's own threads and several that write: the order of steps is the machine's, so a seed may go
/// well the second time.
#[test]
fn crashes_under_several_writers_lose_nothing_acknowledged() {
    for seed in seeds(100) {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let options = EmbeddedOptions { retention_age_us: u64::MAX, retention_bytes_max: None, ..options(&mut random) };
        let clock = Arc::new(TestClock::default());
        let mut sent: Vec<Sent> = vec![];
        for round in 0..3 {
            disk.crash_in(20 + random.below(200));
            let disk_of_store = Arc::new(disk.clone());
            if let Ok(store) = EmbeddedStore::open_with_clock(options.clone(), disk_of_store, clock.clone()) {
                let writers = (0..3).map(|writer| (round * 3 + writer, random.next()));
                sent.extend(write_from_threads(&store, &writers.collect::<Vec<_>>()));
            }
            disk.power_cycle();
        }
        let engine = Engine::open(options, Arc::new(disk), clock).unwrap();
        check(&engine, &sent, false, &format!("seed {seed}"));
    }
}

fn write_from_threads(store: &EmbeddedStore, writers: &[(u64, u64)]) -> Vec<Sent> {
    std::thread::scope(|scope| {
        let write = |&(writer, seed): &(u64, u64)| {
            scope.spawn(move || {
                let mut sent = vec![];
                let mut random = Random::new(seed);
                for number in 0..40 {
                    let number = writer * 1000 + number;
                    // Some writers commit what they bring, if not at once.
                    let commits = writer % 2 == 1;
                    send(&mut sent, &mut random, number, |batch, done| match commits {
                        true => store.write_at_commit(batch, done),
                        false => store.write(batch, done),
                    });
                    if commits && random.one_in(2) {
                        store.commit(&(Arc::new(|| ()) as WriterCall));
                    }
                    if random.one_in(4) {
                        store.stats();
                    }
                }
                sent
            })
        };
        let threads: Vec<_> = writers.iter().map(write).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
