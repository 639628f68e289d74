//! `make bench-store`: batches of spans become segments, without network and engine. Prints CPU seconds per million spans by
//! stage of sealing, and bytes a span by what takes them. Files are of the kinds the load generator writes: `*.bin` are OTLP
//! requests, each behind its length (4 bytes, little-endian); `*.ndjson` are Zipkin v2 lists of spans, one a line; `*.json` is
//! one such list. `--seal-bytes` is the memory at which the engine seals, `--spans` ends a file early, `--rounds` takes it
//! several times, `--check` reads all back, `--merge` makes one segment of all of a file (smaller ones first by `--seal-bytes`).

#![expect(clippy::print_stdout, reason = "the table is the output")]

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tracewell_model::SpanBatch;
use tracewell_store::measure::{Table, bytes_by_kind, merge, read_all};
use tracewell_wire::{Limits, otlp, zipkin_v2};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut options = Options { seal_bytes: 32 << 20, spans_max: usize::MAX, rounds: 1, check: false, merge: false };
    let mut files = vec![];
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap_or_default().parse::<usize>();
        match argument.as_str() {
            "--bench" => {}
            "--seal-bytes" => options.seal_bytes = number()?,
            "--spans" => options.spans_max = number()?,
            "--rounds" => options.rounds = number()?,
            "--check" => options.check = true,
            "--merge" => options.merge = true,
            _ => files.push(argument),
        }
    }
    for file in files {
        measure(&file, &options)?;
    }
    Ok(())
}

struct Options {
    seal_bytes: usize,
    spans_max: usize,
    rounds: usize,
    check: bool,
    merge: bool,
}

#[derive(Default)]
struct Figures {
    spans: u64,
    traces: u64,
    segments: u64,
    bytes: u64,
    cpu_ns: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<String, u64>,
    /// Of the round, if they are to be merged.
    sealed: Vec<Vec<u8>>,
    /// Of earlier rounds.
    merged_spans: u64,
}

fn measure(file: &str, options: &Options) -> Result<(), Failure> {
    let bytes = std::fs::read(file)?;
    let mut figures = Figures::default();
    for _ in 0..options.rounds {
        let mut spans = 0;
        let mut table = Table::new(&[]);
        each_body(file, &bytes, |body, is_otlp| {
            if spans >= options.spans_max {
                return Ok(());
            }
            let before = cpu_ns();
            let batch = decode(body, is_otlp)?;
            *figures.cpu_ns.entry("(decode)").or_default() += cpu_ns() - before;
            spans += batch.len();
            let before = cpu_ns();
            table.insert(Arc::new(batch));
            *figures.cpu_ns.entry("(memtable)").or_default() += cpu_ns() - before;
            if table.memory_bytes() >= options.seal_bytes {
                seal(&std::mem::replace(&mut table, Table::new(&[])), options, &mut figures)?;
            }
            Ok(())
        })?;
        seal(&table, options, &mut figures)?;
        merge_all(options, &mut figures)?;
    }
    print(file, &figures);
    Ok(())
}

fn each_body(
    file: &str,
    bytes: &[u8],
    mut each: impl FnMut(&[u8], bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match Path::new(file).extension().and_then(|extension| extension.to_str()) {
        Some("bin") => {
            let mut rest = bytes;
            while let Some((len, behind)) = rest.split_first_chunk() {
                let (body, behind) = behind.split_at(u32::from_le_bytes(*len) as usize);
                each(body, true)?;
                rest = behind;
            }
            Ok(())
        }
        Some("ndjson") => {
            bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).try_for_each(|line| each(line, false))
        }
        _ => each(bytes, false),
    }
}

fn decode(body: &[u8], is_otlp: bool) -> Result<SpanBatch, Failure> {
    let mut batch = SpanBatch::new();
    let limits = Limits::default();
    if is_otlp {
        otlp::decode_protobuf(body, &limits, &mut batch)?;
    } else {
        zipkin_v2::decode_json(body, &limits, &mut batch)?;
    }
    batch.shrink_to_fit();
    Ok(batch)
}

fn seal(table: &Table, options: &Options, figures: &mut Figures) -> Result<(), Failure> {
    let mut last = cpu_ns();
    let sealed = table.seal(&mut |stage| {
        let now = cpu_ns();
        *figures.cpu_ns.entry(stage).or_default() += now - last;
        last = now;
    })?;
    *figures.cpu_ns.entry("j: end").or_default() += cpu_ns() - last;
    figures.spans += sealed.spans;
    figures.traces += sealed.traces;
    figures.segments += 1;
    figures.bytes += sealed.bytes.len() as u64;
    for (kind, bytes) in bytes_by_kind(&sealed.bytes)? {
        *figures.kinds.entry(kind).or_default() += bytes;
    }
    if options.check {
        let before = cpu_ns();
        assert_eq!(read_all(&sealed.bytes)? as u64, sealed.spans);
        *figures.cpu_ns.entry("(read all)").or_default() += cpu_ns() - before;
    }
    if options.merge {
        figures.sealed.push(sealed.bytes);
    }
    Ok(())
}

fn merge_all(options: &Options, figures: &mut Figures) -> Result<(), Failure> {
    let sealed = std::mem::take(&mut figures.sealed);
    if sealed.is_empty() {
        return Ok(());
    }
    let before = cpu_ns();
    let merged = merge(&sealed)?;
    *figures.cpu_ns.entry("(merge)").or_default() += cpu_ns() - before;
    let bytes: usize = sealed.iter().map(Vec::len).sum();
    println!("{} segments of {bytes} bytes merged: {} bytes", sealed.len(), merged.bytes.len());
    if options.check {
        assert_eq!(read_all(&merged.bytes)? as u64, merged.spans);
        assert_eq!(merged.spans, figures.spans - figures.merged_spans, "spans were lost");
        figures.merged_spans = figures.spans;
    }
    Ok(())
}

fn print(file: &str, figures: &Figures) {
    let Figures { spans, traces, segments, bytes, cpu_ns, kinds, .. } = figures;
    let a_span = |bytes: u64| bytes as f64 / *spans as f64;
    println!("\n{file}: {spans} spans in {traces} traces, {segments} segments");
    let seconds = |ns: u64| ns as f64 / *spans as f64 / 1000.0;
    for (stage, ns) in cpu_ns {
        println!("{:8.3} s/M  {stage}", seconds(*ns));
    }
    let sealing: u64 = cpu_ns.iter().filter(|(stage, _)| !stage.starts_with('(')).map(|(_, ns)| ns).sum();
    println!("{:8.3} s/M  sealing, all together", seconds(sealing));
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
    for (kind, bytes) in kinds.iter().take(40) {
        println!("{:8.3} B  {kind}", a_span(**bytes));
    }
    let rest: u64 = kinds.iter().skip(40).map(|(_, bytes)| **bytes).sum();
    println!("{:8.3} B  {} others", a_span(rest), kinds.len().saturating_sub(40));
    println!("{:8.3} B  a span, all together", a_span(*bytes));
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
