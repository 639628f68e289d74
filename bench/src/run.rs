//! The measurement: makes the load (once), starts a server over an empty directory, sends, lets it come to rest, stops it, looks
//! at what lies on disk, starts it again and asks. Then the same load in other protocols.

use crate::figures::{Figures, quantile, say};
use crate::ingest;
use crate::protocol::Protocol;
use crate::queries::Queries;
use crate::tgen::{self, Made, TgenOptions};
use crate::tload::{self, TloadOptions, pause};
use anyhow::{Context, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracewell_e2e::{ServerProcess, server_binary};

/// A load older than this is made anew: the server drops what is old.
const LOAD_AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// The server is at rest when it has used less than this for as long as that.
const REST_CPU_S: f64 = 0.015;
const REST_TIME: Duration = Duration::from_secs(3);
const REST_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunOptions {
    /// Spans to send
    #[arg(long, default_value_t = 1_000_000)]
    spans: usize,
    /// Queries of each kind
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// Connections that send
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Protocols whose cost is measured after that, each with a server of its own
    #[arg(long, value_delimiter = ',', default_values_t = Protocol::ALL)]
    protocols: Vec<Protocol>,
    /// Only them
    #[arg(long)]
    only_protocols: bool,
    /// Where the load and the server's data are kept
    #[arg(long, default_value = "bench/data")]
    data: PathBuf,
    /// Where the figures are written
    #[arg(long, default_value = "bench/out/server.jsonl")]
    out: PathBuf,
}

impl RunOptions {
    /// For a load of so many spans.
    pub(crate) fn of(spans: usize, data: &Path) -> Self {
        let (data, out) = (data.to_owned(), PathBuf::new());
        Self { spans, queries: 0, connections: 0, protocols: vec![], only_protocols: false, data, out }
    }
}

pub(crate) fn run(options: &RunOptions) -> anyhow::Result<()> {
    let binary = server_binary()?;
    let load = load(options)?;
    let mut figures = Figures::new(load.made.spans, "lean");
    if !options.only_protocols {
        serve(options, &binary, &load, &mut figures)?;
    }
    let folder = options.data.join("server");
    for &protocol in &options.protocols {
        ingest::measure(protocol, &binary, &load.file, options.connections, &folder, &mut figures)?;
    }
    figures.print();
    figures.write(&options.out).with_context(|| options.out.display().to_string())?;
    say(&format!("\nWritten to {}", options.out.display()));
    Ok(())
}

/// The whole life of a server: it takes the load, rests, stops, starts again and answers.
fn serve(options: &RunOptions, binary: &Path, load: &Load, figures: &mut Figures) -> anyhow::Result<()> {
    let spans_m = load.made.spans as f64 / 1e6;
    let server_folder = options.data.join("server");
    if server_folder.exists() {
        fs::remove_dir_all(&server_folder).with_context(|| server_folder.display().to_string())?;
    }
    fs::create_dir_all(&server_folder)?;
    let store = server_folder.join("data");

    let server = ServerProcess::start(binary, &store, &[])?;
    let idle = server.figures()?;
    figures.add("idle memory", idle.resident_bytes as f64 / 1e6, "MB");
    let url = server.url("/api/v2/spans");
    let sent = tload::post(&TloadOptions { file: load.file.clone(), url, connections: options.connections })?;
    ensure!(sent.batches == load.made.batches, "{} of {} batches were sent", sent.batches, load.made.batches);
    say(&sent.to_string());
    let loaded = server.figures()?;
    let rested = wait_for_rest(&server)?;
    let (status, ended) = server.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    let cpu_per_million = |cpu_s: f64| (cpu_s - idle.cpu_s) / spans_m;
    figures.add("CPU, until the last answer", cpu_per_million(loaded.cpu_s), "s per 1 M spans");
    figures.add("CPU, until at rest", cpu_per_million(rested.cpu_s), "s per 1 M spans");
    figures.add("CPU, until all is sealed and stopped", cpu_per_million(ended.cpu_s), "s per 1 M spans");
    figures.add("resident memory, at rest", rested.resident_bytes as f64 / 1e6, "MB");
    figures.add("resident memory, peak", rested.resident_peak_bytes as f64 / 1e6, "MB");
    figures.add("post p50", quantile(&sent.posts_ms, 0.5), "ms");
    figures.add("post p99", quantile(&sent.posts_ms, 0.99), "ms");
    figures.add("rate", load.made.spans as f64 / sent.wall_s, "spans/s");
    let per_span = |bytes: u64| bytes as f64 / load.made.spans as f64;
    figures.add(
        "on disk, all sealed, without the log",
        per_span(disk_bytes(&store, &|name| name != "log")?),
        "bytes per span",
    );
    figures.add("on disk, the preallocated log with it", per_span(disk_bytes(&store, &|_| true)?), "bytes per span");

    let started = Instant::now();
    let server = ServerProcess::start(binary, &store, &[])?;
    figures.add("start over this data", started.elapsed().as_secs_f64() * 1e3, "ms");
    let queries = Queries::sample(&load.file, load.made.batches, options.queries, load.window_us)?;
    let by_id = queries.traces_by_id(&server.url(""))?;
    figures.add("trace by id p50", quantile(&by_id, 0.5), "ms");
    figures.add("trace by id p99", quantile(&by_id, 0.99), "ms");
    let searches = queries.searches(&server.url(""))?;
    figures.add("service + tag + minDuration, 20 newest p50", quantile(&searches, 0.5), "ms");
    figures.add("service + tag + minDuration, 20 newest p99", quantile(&searches, 0.99), "ms");
    figures.add("resident memory, after the queries", server.figures()?.resident_bytes as f64 / 1e6, "MB");
    server.stop()?;
    Ok(())
}

/// A load that is there.
pub(crate) struct Load {
    pub(crate) file: PathBuf,
    made: Made,
    window_us: (u64, u64),
}

/// Makes the load, unless there is one that is young enough.
pub(crate) fn load(options: &RunOptions) -> anyhow::Result<Load> {
    let folder = options.data.join(format!("lean-{}-42", options.spans));
    let file = folder.join("zipkin_v2.ndjson");
    let note = folder.join("made.json");
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let noted = fs::read_to_string(&note).ok().and_then(|text| serde_json::from_str::<Made>(&text).ok());
    let young = |made: &Made| made.end_us + LOAD_AGE_MAX.as_micros() as u64 > now_us;
    let tgen = TgenOptions { spans: options.spans, out: folder, end_us: now_us, ..TgenOptions::default() };
    let made = match noted.filter(young) {
        Some(made) => made,
        None => {
            say(&format!("Making {} spans in {}", options.spans, tgen.out.display()));
            let made = tgen::write(&tgen)?;
            fs::write(&note, serde_json::to_string(&made)?)?;
            made
        }
    };
    let window_us = (made.end_us - tgen.window_s * 1_000_000, made.end_us);
    Ok(Load { file, made, window_us })
}

/// Waits until the server uses next to no processor time: what was taken is sealed and merged as far as it will be.
fn wait_for_rest(server: &ServerProcess) -> anyhow::Result<tracewell_e2e::ProcessFigures> {
    let started = Instant::now();
    loop {
        let before = server.figures()?;
        pause(REST_TIME);
        let after = server.figures()?;
        if after.cpu_s - before.cpu_s < REST_CPU_S {
            return Ok(after);
        }
        ensure!(started.elapsed() < REST_MAX, "the server does not come to rest");
    }
}

/// What files really take, where the path below `folder` is wanted.
pub(crate) fn disk_bytes(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if !wanted(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let about = entry.metadata()?;
        sum += if about.is_dir() { disk_bytes(&entry.path(), wanted)? } else { about.blocks() * 512 };
    }
    Ok(sum)
}
