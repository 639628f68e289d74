//! `make bench-search`: a large set of spans in a directory, and what reads of it cost: traces by id, searches of several
//! kinds, dependencies, on a warm cache and with the files out of it. The set is made of a file of the load generator,
//! shifted in time and ids as often as it takes; it is made once and used again. `--data` says where, `--spans` how many,
//! `--queries` how many of each kind, `--seal-bytes` at how much memory a segment is made, `--only` a part of a kind's name,
//! `--rounds` how often.

#![expect(clippy::print_stdout, reason = "the table is the output")]

use rustix::fs::{Advice, fadvise};
use rustix::time::{ClockId, clock_gettime};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tracewell_model::{Span, SpanBatch, SpanId, Time, TraceGrouping, TraceId, TraceQuery, Value};
use tracewell_store::contract::Random;
use tracewell_store::{DependencyWindow, Durability, EmbeddedOptions, EmbeddedStore, RealDisk, Store, WriteError};
use tracewell_wire::{Limits, zipkin_v2};

type Failure = Box<dyn std::error::Error>;

/// The file's spans lie within an hour.
const SHIFT_US: u64 = 3600 * 1_000_000;
const SEARCH_LIMIT: usize = 20;
/// A tag of the load whose every value is another one.
const UNIQUE_TAG: &str = "request.id";

struct Options {
    file: PathBuf,
    data: PathBuf,
    spans: usize,
    queries: usize,
    rounds: usize,
    seal_bytes: Option<usize>,
    only: String,
}

fn main() -> Result<(), Failure> {
    let mut options = Options {
        file: PathBuf::from("bench/data/lean/zipkin_v2.ndjson"),
        data: PathBuf::from("bench/data/search"),
        spans: 10_000_000,
        queries: 300,
        rounds: 2,
        seal_bytes: None,
        only: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--bench" => {}
            "--data" => options.data = value().into(),
            "--spans" => options.spans = value().parse()?,
            "--queries" => options.queries = value().parse()?,
            "--rounds" => options.rounds = value().parse()?,
            "--seal-bytes" => options.seal_bytes = Some(value().parse()?),
            "--only" => options.only = value(),
            _ => options.file = argument.into(),
        }
    }
    let batches = read_batches(&options.file)?;
    let spans: usize = batches.iter().map(SpanBatch::len).sum();
    let copies = options.spans.div_ceil(spans.max(1)) as u64;
    if !options.data.join("catalog").exists() {
        make(&options, &batches, copies)?;
    }
    measure(&options, &batches, copies)
}

fn read_batches(file: &Path) -> Result<Vec<SpanBatch>, Failure> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let decode = |line: &[u8]| {
        let mut batch = SpanBatch::new();
        zipkin_v2::decode_json(line, &Limits::default(), &mut batch)?;
        Ok(batch)
    };
    lines.map(decode).collect()
}

// ---- the set

fn open(options: &Options) -> Result<EmbeddedStore, Failure> {
    let mut store = EmbeddedOptions { durability: Durability::Os, ..EmbeddedOptions::default() };
    if let Some(bytes) = options.seal_bytes {
        store.seal_bytes = Some(bytes);
        store.memory_bytes_max = store.memory_bytes_max.max(bytes * 2 + store.write_queue_bytes_max);
    }
    Ok(EmbeddedStore::open(store, Arc::new(RealDisk::open(&options.data)?))?)
}

#[expect(clippy::disallowed_methods, reason = "a set is made, nothing is decided by the time it takes")]
fn wait_for_room() {
    std::thread::sleep(Duration::from_millis(5));
}

fn make(options: &Options, batches: &[SpanBatch], copies: u64) -> Result<(), Failure> {
    let store = open(options)?;
    let started = Instant::now();
    for copy in 0..copies {
        for batch in batches {
            let mut shifted = SpanBatch::new();
            for span in batch.spans() {
                shifted.push_span(&shift(span.to_span(), copy))?;
            }
            shifted.shrink_to_fit();
            while let Err(error) = write(&store, shifted.clone()) {
                if error != WriteError::Overloaded {
                    return Err(error.into());
                }
                wait_for_room();
            }
        }
    }
    store.close();
    let stats = store.stats();
    println!(
        "made {} spans in {} segments, {:.2} B a span, {:.0} s",
        stats.spans_stored,
        stats.segments,
        stats.segment_bytes as f64 / stats.segment_spans as f64,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn write(store: &EmbeddedStore, batch: SpanBatch) -> Result<(), WriteError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    store.write(batch, Box::new(move |answer| drop(sender.send(answer))));
    receiver.recv().unwrap_or(Err(WriteError::Closed))
}

/// A number that makes the ids of a copy its own; none for the first one.
fn of_copy(copy: u64) -> u64 {
    let mut mixed = copy.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 27
}

fn shift(mut span: Span, copy: u64) -> Span {
    let of_copy = of_copy(copy);
    let later = |time: Time| time.saturating_add(Time::from_micros(copy * SHIFT_US));
    span.trace_id = TraceId::from_halves(span.trace_id.high() ^ of_copy, span.trace_id.low() ^ of_copy);
    span.id = SpanId::new(span.id.value() ^ of_copy);
    span.parent = span.parent.map(|parent| SpanId::new(parent.value() ^ of_copy));
    span.start = span.start.map(later);
    span.annotations.iter_mut().for_each(|annotation| annotation.time = later(annotation.time));
    for (_, value) in span.tags.iter_mut().filter(|(key, _)| key == UNIQUE_TAG) {
        if let Value::Str(text) = value
            && let Ok(number) = u64::from_str_radix(text, 16)
        {
            *text = format!("{:016x}", number ^ of_copy);
        }
    }
    span
}

// ---- what reads cost

/// Spans that are there, as they were shifted.
fn sample(batches: &[SpanBatch], copies: u64, count: usize, unique: bool) -> Vec<Span> {
    let random = &mut Random::new(count as u64);
    let mut sampled = vec![];
    while sampled.len() < count {
        let batch = &batches[random.below(batches.len() as u64) as usize];
        let span = batch.span(random.below(batch.len() as u64) as usize).to_span();
        if !unique || span.tags.iter().any(|(key, _)| key == UNIQUE_TAG) {
            sampled.push(shift(span, random.below(copies)));
        }
    }
    sampled
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    None,
    Any,
    Unique,
    Absent,
}

fn query_of(span: &Span, at: usize, tag: Tag, min_duration_us: Option<u64>, end_us: u64) -> TraceQuery {
    let text = |(key, value): &(String, Value)| match value {
        Value::Str(value) => Some((key.clone(), value.clone())),
        _ => None,
    };
    let tags: Vec<(String, String)> = span.tags.iter().filter_map(text).collect();
    let annotations = match tag {
        Tag::None => vec![],
        Tag::Any => tags.get(at % tags.len().max(1)).cloned().into_iter().collect(),
        Tag::Unique => tags.into_iter().filter(|(key, _)| key == UNIQUE_TAG).collect(),
        Tag::Absent => vec![(UNIQUE_TAG.to_owned(), format!("{:016x}", of_copy(at as u64 + 1_000_000)))],
    };
    TraceQuery {
        service_name: span.local.as_ref().map(|local| local.service.to_lowercase()),
        annotations,
        min_duration_us,
        end_ts_ms: end_us.div_ceil(1000),
        lookback_ms: end_us.div_ceil(1000),
        limit: SEARCH_LIMIT,
        ..TraceQuery::default()
    }
}

fn measure(options: &Options, batches: &[SpanBatch], copies: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let store = open(options)?;
    let stats = store.stats();
    println!(
        "{} spans in {} segments, {:.2} B a span; opened in {:.0} ms; resident {:.0} MB",
        stats.spans_stored,
        stats.segments,
        stats.segment_bytes as f64 / stats.segment_spans.max(1) as f64,
        started.elapsed().as_secs_f64() * 1e3,
        resident_mb()
    );
    let latest = batches.iter().flat_map(|batch| batch.spans()).map(|span| span.timestamp_us()).max().unwrap_or(0);
    let end_us = latest + copies * SHIFT_US;
    let samples = sample(batches, copies, options.queries, false);
    let unique = sample(batches, copies, options.queries, true);
    let half = |span: &Span| span.duration.map(|duration| (duration.as_micros() / 2).max(1));
    let find = |span: &Span, at: usize, tag: Tag, min: Option<u64>| {
        let found = store.find(&query_of(span, at, tag, min, end_us))?;
        Ok((found.len(), found.iter().map(SpanBatch::len).sum()))
    };
    type Ask<'a> = &'a dyn Fn(&Span, usize) -> Result<(usize, usize), Failure>;
    let by_id: Ask<'_> = &|span, _| {
        let found = store.traces(&[span.trace_id], TraceGrouping::Strict)?;
        Ok((found.len(), found.iter().map(SpanBatch::len).sum()))
    };
    let no_trace: Ask<'_> =
        &|_, at| Ok((store.traces(&[TraceId::new(at as u128 + 1)], TraceGrouping::Strict)?.len(), 0));
    let kinds: &[(&str, &[Span], Ask<'_>)] = &[
        ("trace by id", &samples, by_id),
        ("trace by id, not there", &samples, no_trace),
        ("service + any tag + minDuration", &samples, &|span, at| find(span, at, Tag::Any, half(span))),
        ("service + any tag", &samples, &|span, at| find(span, at, Tag::Any, None)),
        ("service + any tag + 20 ms", &samples, &|span, at| find(span, at, Tag::Any, Some(20_000))),
        ("service + any tag + 200 ms", &samples, &|span, at| find(span, at, Tag::Any, Some(200_000))),
        ("service + unique value + minDuration", &unique, &|span, at| find(span, at, Tag::Unique, half(span))),
        ("service + absent value", &unique, &|span, at| find(span, at, Tag::Absent, None)),
        ("service", &samples, &|span, at| find(span, at, Tag::None, None)),
        ("service + 1 s", &samples, &|span, at| find(span, at, Tag::None, Some(1_000_000))),
    ];
    println!("{:<40} {:>9} {:>9} {:>9} {:>9} {:>7} {:>8}", "us", "p50", "p90", "p99", "CPU", "traces", "spans");
    for cold in [false, true] {
        for (name, spans, ask) in kinds.iter().filter(|(name, ..)| name.contains(&options.only)) {
            let rounds = if cold { 1 } else { options.rounds };
            let mut figures = Figures::default();
            for round in 0..rounds {
                figures = Figures::default();
                for (at, span) in spans.iter().enumerate() {
                    if cold {
                        forget_files(&options.data)?;
                    }
                    figures.add(|| ask(span, at))?;
                }
                if round + 1 < rounds {
                    continue;
                }
            }
            figures.print(name, cold);
        }
    }
    let day_us = 24 * SHIFT_US;
    let days = [("dependencies of a day", end_us.saturating_sub(day_us)), ("dependencies of all", 0)];
    for (name, start_us) in days.into_iter().filter(|(name, _)| name.contains(&options.only)) {
        let mut figures = Figures::default();
        for _ in 0..3 {
            figures.add(|| Ok((store.dependencies(DependencyWindow { start_us, end_us })?.len(), 0)))?;
        }
        figures.print(name, false);
    }
    println!("resident {:.0} MB", resident_mb());
    Ok(())
}

#[derive(Default)]
struct Figures {
    wall_us: Vec<f64>,
    cpu_ns: u64,
    traces: usize,
    spans: usize,
}

impl Figures {
    fn add(&mut self, ask: impl FnOnce() -> Result<(usize, usize), Failure>) -> Result<(), Failure> {
        let (started, cpu_ns) = (Instant::now(), cpu_ns_now());
        let (traces, spans) = ask()?;
        self.cpu_ns += cpu_ns_now() - cpu_ns;
        self.wall_us.push(started.elapsed().as_secs_f64() * 1e6);
        self.traces += traces;
        self.spans += spans;
        Ok(())
    }

    fn print(mut self, name: &str, cold: bool) {
        self.wall_us.sort_by(f64::total_cmp);
        let count = self.wall_us.len();
        let quantile = |of: f64| self.wall_us[((count as f64 * of) as usize).min(count - 1)];
        let a_query = |sum: f64| sum / count as f64;
        println!(
            "{:<40} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>7.1} {:>8.0}",
            format!("{name}{}", if cold { ", cold files" } else { "" }),
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            a_query(self.cpu_ns as f64 / 1e3),
            a_query(self.traces as f64),
            a_query(self.spans as f64),
        );
    }
}

/// Puts the segments out of the system's cache.
fn forget_files(data: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(data.join("segments"))? {
        fadvise(File::open(entry?.path())?, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1000.0
}

/// Of all threads: a read may use several.
fn cpu_ns_now() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
