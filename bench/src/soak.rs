//! `make soak`: a server under half of the load it can take, for a long time, asked all the while, with so little room that the
//! oldest spans give way. Is every span there that was acknowledged and is young enough? Do senders, memory and disk stay
//! within what was promised? Out come a table and a line of JSON.

mod asked;
mod sender;
mod watcher;

use crate::figures::{quantile, say};
use crate::run::{RunOptions, load};
use crate::tload::pause;
use anyhow::{Context, ensure};
use asked::Asked;
use sender::{Batches, Sender};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tracewell_e2e::{ServerProcess, server_binary};
use watcher::{Metrics, Watched};

/// How long the top rate is measured.
const TOP_RATE_TIME: Duration = Duration::from_secs(20);
/// Batches that are looked for in the end, of all that have to be there.
const LOOKED_FOR: usize = 500;
/// In which order senders are answered and in which the store takes their batches differs by less than this.
const SLACK_SPANS: u64 = 10_000;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SoakOptions {
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Spans a second; half of what the server takes, measured first, when it is not said
    #[arg(long)]
    rate: Option<f64>,
    /// Spans of the set that is sent again and again, each time with new ids
    #[arg(long, default_value_t = 100_000)]
    spans: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The server's --retention-bytes-max
    #[arg(long, default_value_t = 256)]
    disk_mib: u64,
    /// What the server's memory is held against, with a tenth more
    #[arg(long, default_value_t = 256)]
    memory_mib: u64,
    /// The longest that 99 of 100 senders may wait for their answer
    #[arg(long, default_value_t = 50.0)]
    answer_ms: f64,
    /// More flags for the server
    #[arg(last = true)]
    server: Vec<String>,
    /// Where the load and the server's data are kept
    #[arg(long, default_value = "bench/data")]
    data: PathBuf,
    /// To which file the line of JSON is added
    #[arg(long, default_value = "bench/out/soak.jsonl")]
    out: PathBuf,
}

pub(crate) fn run(options: &SoakOptions) -> anyhow::Result<()> {
    let binary = server_binary()?;
    let load = load(&RunOptions::of(options.spans, &options.data))?;
    let batches = Batches::read(&load.file)?;
    let folder = options.data.join("soak");
    let rate = match options.rate {
        Some(rate) => rate,
        None => top_rate(options, &binary, &batches, &folder)? / 2.0,
    };
    say(&format!("{:.1} minutes with {rate:.0} spans/s", options.minutes));
    let server = start(options, &binary, &folder)?;
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let soaked = soak(options, &server, &batches, rate, time, &folder.join("data"))?;
    let (status, ended) = server.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    let mut results = soaked.results(options);
    results.tell("server CPU", ended.cpu_s / soaked.spans_sent() as f64 * 1e6, "s per 1 M spans");
    fs::remove_dir_all(&folder)?;
    results.print();
    results.append(options, rate).with_context(|| options.out.display().to_string())?;
    ensure!(results.failed() == 0, "{} of the promises were not kept", results.failed());
    Ok(())
}

fn start(options: &SoakOptions, binary: &Path, folder: &Path) -> anyhow::Result<ServerProcess> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder)?;
    let room = format!("{}MiB", options.disk_mib);
    let mut arguments = vec!["--retention-bytes-max", &room];
    arguments.extend(options.server.iter().map(String::as_str));
    Ok(ServerProcess::start(binary, &folder.join("data"), &arguments)?)
}

/// Spans a second that the server takes when nobody waits between two batches.
fn top_rate(options: &SoakOptions, binary: &Path, batches: &Batches, folder: &Path) -> anyhow::Result<f64> {
    let server = start(options, binary, folder)?;
    let time = TOP_RATE_TIME.min(Duration::from_secs_f64(options.minutes * 10.0));
    let sender = Sender::new(batches, &server.url("/api/v2/spans"), f64::INFINITY, time);
    let started = Instant::now();
    sender.send_over(options.connections)?;
    let rate = sender.spans_sent() as f64 / started.elapsed().as_secs_f64();
    server.stop()?;
    say(&format!("The server takes {rate:.0} spans/s from {} connections", options.connections));
    Ok(rate)
}

/// What happened.
struct Soaked {
    batches_sent: usize,
    spans_sent: u64,
    refusals: usize,
    posts_ms: Vec<f64>,
    asked: Asked,
    watched: Watched,
    metrics: Metrics,
    wall_s: f64,
    looked_for: usize,
    missing: usize,
}

fn soak(
    options: &SoakOptions,
    server: &ServerProcess,
    batches: &Batches,
    rate: f64,
    time: Duration,
    store: &Path,
) -> anyhow::Result<Soaked> {
    let sender = Sender::new(batches, &server.url("/api/v2/spans"), rate, time);
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let (sent, asked, watched) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| Asked::ask(&server.url(""), &sender, &stop));
        let watching = scope.spawn(|| Watched::watch(server, store, &stop));
        let sent = sender.send_over(options.connections);
        stop.store(true, SeqCst);
        (sent, asking.join(), watching.join())
    });
    sent?;
    let wall_s = started.elapsed().as_secs_f64();
    let mut asked = asked.map_err(|_| anyhow::anyhow!("the one who asks panicked"))??;
    let watched = watched.map_err(|_| anyhow::anyhow!("the one who watches panicked"))??;
    // So that nothing expires while it is looked for.
    pause(Duration::from_secs(3));
    let metrics = Metrics::read(&server.url(""))?;
    let kept = metrics.of("tracewell_store_spans_stored") as u64;
    let young = sender.newest(kept.saturating_sub(SLACK_SPANS));
    let mut missing = 0;
    let step = (young.len() / LOOKED_FOR).max(1);
    for batch in young.iter().step_by(step) {
        missing += asked.look_for(&server.url(""), &sender, batch)?;
    }
    asked.took_ms.sort_by(f64::total_cmp);
    Ok(Soaked {
        batches_sent: sender.batches_sent(),
        spans_sent: sender.spans_sent(),
        refusals: sender.refusals(),
        posts_ms: sender.posts_ms(),
        asked,
        watched,
        metrics,
        wall_s,
        looked_for: young.len().div_ceil(step),
        missing,
    })
}

impl Soaked {
    fn spans_sent(&self) -> u64 {
        self.spans_sent
    }

    fn results(&self, options: &SoakOptions) -> Results {
        let Self { posts_ms, asked, watched, metrics, .. } = self;
        let mut results = Results::default();
        let of = |name: &str| metrics.of(name);
        let mib = |mib: u64| (mib << 20) as f64 / 1e6;
        results.tell("time", self.wall_s / 60.0, "minutes");
        results.tell("spans acknowledged", self.spans_sent as f64, "");
        results.tell("rate", self.spans_sent as f64 / self.wall_s, "spans/s");
        results.tell("batches acknowledged", self.batches_sent as f64, "");
        results.tell("batches refused for now and sent again", self.refusals as f64, "");
        results.tell("post p50", quantile(posts_ms, 0.5), "ms");
        results.hold("post p99", quantile(posts_ms, 0.99), "ms", options.answer_ms);
        results.tell("post max", quantile(posts_ms, 1.0), "ms");
        results.tell("queries", asked.took_ms.len() as f64, "");
        results.tell("query p50", quantile(&asked.took_ms, 0.5), "ms");
        results.tell("query p99", quantile(&asked.took_ms, 0.99), "ms");
        results.tell("queries that took too long", asked.unanswered as f64, "");
        results.tell("batches looked for while they were young", asked.looked_for as f64, "");
        results.hold("spans of these that were missing", asked.missing as f64, "", 0.0);
        results.tell("batches looked for in the end", self.looked_for as f64, "");
        results.hold("spans of these that were missing in the end", self.missing as f64, "", 0.0);
        results.tell("spans kept in the end", of("tracewell_store_spans_stored"), "");
        results.at_least("segments expired", of("tracewell_store_segments_expired_total"), "", 1.0);
        results.hold("memory, most", watched.resident_max as f64 / 1e6, "MB", mib(options.memory_mib) * 1.1);
        results.hold("disk, most, as the store counts it", watched.counted_max / 1e6, "MB", mib(options.disk_mib));
        results.hold("disk, most, with room taken ahead", watched.disk_max as f64 / 1e6, "MB", mib(options.disk_mib));
        let kept = of("tracewell_store_segment_bytes") + of("tracewell_store_expired_bytes_total");
        let [log, sealed, merged, catalog] = ["log_written", "sealed", "merged", "catalog_written"]
            .map(|name| of(&format!("tracewell_store_{name}_bytes_total")));
        results.tell("bytes written for a byte kept: segments alone", (sealed + merged) / kept, "");
        results.tell(
            "bytes written for a byte kept: log and catalog, too",
            (log + sealed + merged + catalog) / kept,
            "",
        );
        results.tell("time spent sealing", of("tracewell_store_sealing_seconds_total") / self.wall_s * 100.0, "%");
        results.tell("time spent merging", of("tracewell_store_merging_seconds_total") / self.wall_s * 100.0, "%");
        results
    }
}

/// Figures, and whether each is what was promised.
#[derive(Default)]
struct Results(Vec<(&'static str, f64, &'static str, Option<Promise>)>);

#[derive(Clone, Copy)]
enum Promise {
    AtMost(f64),
    AtLeast(f64),
}

impl Promise {
    fn kept(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl Results {
    fn tell(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.0.push((name, value, unit, None));
    }

    fn hold(&mut self, name: &'static str, value: f64, unit: &'static str, at_most: f64) {
        self.0.push((name, value, unit, Some(Promise::AtMost(at_most))));
    }

    fn at_least(&mut self, name: &'static str, value: f64, unit: &'static str, at_least: f64) {
        self.0.push((name, value, unit, Some(Promise::AtLeast(at_least))));
    }

    fn failed(&self) -> usize {
        self.0.iter().filter(|(_, value, _, promise)| promise.is_some_and(|promise| !promise.kept(*value))).count()
    }

    fn print(&self) {
        let width = self.0.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        say("");
        for (name, value, unit, promise) in &self.0 {
            let promised = match promise {
                None => String::new(),
                Some(promise) => {
                    let (word, limit) = match promise {
                        Promise::AtMost(limit) => ("at most", limit),
                        Promise::AtLeast(limit) => ("at least", limit),
                    };
                    format!("{} ({word} {limit:.0})", if promise.kept(*value) { "kept" } else { "NOT KEPT" })
                }
            };
            say(&format!("{name:width$}  {value:>14.2}  {unit:16} {promised}"));
        }
    }

    fn append(&self, options: &SoakOptions, rate: f64) -> anyhow::Result<()> {
        let mut figures = Map::new();
        for (name, value, unit, _) in &self.0 {
            figures.insert((*name).to_owned(), json!({"value": value, "unit": unit}));
        }
        let (commit, machine) = (crate::figures::commit(), crate::figures::machine());
        let line = json!({
            "commit": commit, "machine": machine, "minutes": options.minutes, "rate": rate, "failed": self.failed(),
            "figures": Value::Object(figures),
        });
        fs::create_dir_all(options.out.parent().unwrap_or_else(|| Path::new(".")))?;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&options.out)?;
        say(&line.to_string());
        Ok(std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())?)
    }
}
