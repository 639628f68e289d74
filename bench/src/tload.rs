//! tload: posts the batches of a tgen file over several connections. Out come how many were taken, how fast, and how long a
//! sender waited. What is refused for now (503) is sent again, so that everything arrives.

use crate::figures::quantile;
use anyhow::{Context, bail, ensure};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a refused batch waits.
const REFUSED_WAIT: Duration = Duration::from_millis(20);
/// So often in a row one batch may be refused.
const REFUSALS_MAX: usize = 3000;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TloadOptions {
    /// zipkin_v2.ndjson, as tgen writes it
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// Where to, for example http://127.0.0.1:9411/api/v2/spans
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
}

/// What became of a load.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) batches: usize,
    pub(crate) refusals: usize,
    pub(crate) body_bytes: usize,
    pub(crate) wall_s: f64,
    /// How long each batch took until it was acknowledged, sorted.
    pub(crate) posts_ms: Vec<f64>,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, refusals, body_bytes, wall_s, posts_ms } = self;
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(posts_ms, share));
        write!(f, "{batches} batches, {:.1} MB in {wall_s:.2} s, {refusals} refusals; ", *body_bytes as f64 / 1e6)?;
        write!(f, "posts p50 {p50:.2} p99 {p99:.2} max {max:.2} ms")
    }
}

/// Sends every batch of the file.
pub(crate) fn post(options: &TloadOptions) -> anyhow::Result<Load> {
    let file = File::open(&options.file).with_context(|| options.file.display().to_string())?;
    let batches = Mutex::new(BufReader::with_capacity(1 << 20, file));
    let started = Instant::now();
    let parts = std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..options.connections.max(1)).map(|_| scope.spawn(|| post_some(&batches, &options.url))).collect();
        let ended = senders.into_iter().map(|sender| sender.join());
        ended.map(|part| part.unwrap_or_else(|_| bail!("a sender panicked"))).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut all = Load { wall_s: started.elapsed().as_secs_f64(), ..Load::default() };
    for part in parts {
        all.batches += part.batches;
        all.refusals += part.refusals;
        all.body_bytes += part.body_bytes;
        all.posts_ms.extend(part.posts_ms);
    }
    all.posts_ms.sort_by(f64::total_cmp);
    Ok(all)
}

/// One connection: takes batch after batch from the file that all share.
fn post_some(batches: &Mutex<BufReader<File>>, url: &str) -> anyhow::Result<Load> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut load = Load::default();
    let mut body = Vec::new();
    loop {
        body.clear();
        let read = match batches.lock() {
            Ok(mut file) => file.read_until(b'\n', &mut body)?,
            Err(_) => bail!("another sender panicked"),
        };
        if read == 0 {
            return Ok(load);
        }
        let started = Instant::now();
        let mut refusals = 0;
        loop {
            let mut answer = agent.post(url).header("content-type", "application/json").send(&body[..])?;
            let status = answer.status();
            let text = answer.body_mut().read_to_string()?;
            if status.is_success() {
                break;
            }
            ensure!(status == 503 && refusals < REFUSALS_MAX, "batch {}: {status} {text}", load.batches);
            refusals += 1;
            pause(REFUSED_WAIT);
        }
        load.posts_ms.push(started.elapsed().as_secs_f64() * 1e3);
        load.refusals += refusals;
        load.body_bytes += body.len();
        load.batches += 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "a load is made of time, too; nothing is decided by it")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
