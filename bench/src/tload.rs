//! tload: posts the batches of a tgen file over several connections. Out come how many were taken, how fast, and how long a
//! sender waited. What is refused for now (503) is sent again, so that everything arrives.

use crate::figures::quantile;
use crate::protocol::Protocol;
use crate::target::{Sent, Target};
use anyhow::{Context, bail, ensure};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
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
    /// Where the load was written in another protocol.
    pub(crate) spans: usize,
    pub(crate) refusals: usize,
    pub(crate) body_bytes: usize,
    pub(crate) wall_s: f64,
    /// How long each batch took until it was acknowledged, sorted.
    pub(crate) posts_ms: Vec<f64>,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, refusals, body_bytes, wall_s, posts_ms, .. } = self;
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(posts_ms, share));
        write!(f, "{batches} batches, {:.1} MB in {wall_s:.2} s, {refusals} refusals; ", *body_bytes as f64 / 1e6)?;
        write!(f, "posts p50 {p50:.2} p99 {p99:.2} max {max:.2} ms")
    }
}

/// Posts every batch of the file as it is.
pub(crate) fn post(options: &TloadOptions) -> anyhow::Result<Load> {
    let target = || Ok(Target::http(options.url.clone(), "application/json"));
    send(&options.file, options.connections, &|line| Ok((vec![line.to_vec()], 0)), &target)
}

/// Sends every batch of the file in another protocol, to a listener's address.
pub(crate) fn send_as(protocol: Protocol, file: &Path, connections: usize, address: &str) -> anyhow::Result<Load> {
    let target = || Target::connect(protocol, address);
    send(file, connections, &|line| protocol.messages(line), &target)
}

/// The messages of a line, and how many spans they hold.
type Messages<'a> = &'a (dyn Fn(&[u8]) -> anyhow::Result<(Vec<Vec<u8>>, usize)> + Sync);

fn send(
    file: &Path,
    connections: usize,
    messages: Messages<'_>,
    target: &(dyn Fn() -> anyhow::Result<Target> + Sync),
) -> anyhow::Result<Load> {
    let batches = File::open(file).with_context(|| file.display().to_string())?;
    let batches = Mutex::new(BufReader::with_capacity(1 << 20, batches));
    let started = Instant::now();
    let parts = std::thread::scope(|scope| {
        let sender = || send_some(&batches, messages, target()?);
        let senders: Vec<_> = (0..connections.max(1)).map(|_| scope.spawn(sender)).collect();
        let ended = senders.into_iter().map(|sender| sender.join());
        ended.map(|part| part.unwrap_or_else(|_| bail!("a sender panicked"))).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut all = Load { wall_s: started.elapsed().as_secs_f64(), ..Load::default() };
    for part in parts {
        all.batches += part.batches;
        all.spans += part.spans;
        all.refusals += part.refusals;
        all.body_bytes += part.body_bytes;
        all.posts_ms.extend(part.posts_ms);
    }
    all.posts_ms.sort_by(f64::total_cmp);
    Ok(all)
}

/// One connection: takes batch after batch from the file that all share.
fn send_some(batches: &Mutex<BufReader<File>>, messages: Messages<'_>, mut target: Target) -> anyhow::Result<Load> {
    let mut load = Load::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = match batches.lock() {
            Ok(mut file) => file.read_until(b'\n', &mut line)?,
            Err(_) => bail!("another sender panicked"),
        };
        if read == 0 {
            return Ok(load);
        }
        let (messages, spans) = messages(&line)?;
        let started = Instant::now();
        for message in messages {
            let mut refusals = 0;
            while target.send(&message).with_context(|| format!("batch {}", load.batches))? == Sent::Refused {
                ensure!(refusals < REFUSALS_MAX, "batch {}: refused again and again", load.batches);
                refusals += 1;
                pause(REFUSED_WAIT);
            }
            load.refusals += refusals;
            load.body_bytes += message.len();
        }
        load.posts_ms.push(started.elapsed().as_secs_f64() * 1e3);
        load.spans += spans;
        load.batches += 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "a load is made of time, too; nothing is decided by it")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
