//! Watches a server: its memory, what lies on the disk, its own figures.

use crate::run::disk_bytes;
use crate::tload::pause;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tracewell_e2e::ServerProcess;

const PAUSE: Duration = Duration::from_millis(500);

/// The most of everything.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) resident_max: u64,
    /// What files really take.
    pub(super) disk_max: u64,
    /// Segments and log as the server counts them.
    pub(super) counted_max: f64,
}

impl Watched {
    /// Watches until it is told to stop.
    pub(super) fn watch(server: &ServerProcess, store: &Path, stop: &AtomicBool) -> anyhow::Result<Self> {
        let mut watched = Self::default();
        while !stop.load(SeqCst) {
            pause(PAUSE);
            // Files may go while they are counted.
            watched.disk_max = watched.disk_max.max(disk_bytes(store, &|_| true).unwrap_or(0));
            let metrics = Metrics::read(&server.url(""))?;
            let counted = metrics.of("tracewell_store_segment_bytes") + metrics.of("tracewell_store_log_bytes");
            watched.counted_max = watched.counted_max.max(counted);
        }
        watched.resident_max = server.figures()?.resident_peak_bytes;
        Ok(watched)
    }
}

/// What a server says of itself.
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(super) fn read(server: &str) -> anyhow::Result<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
        let text = agent.get(format!("{server}/prometheus")).call()?.body_mut().read_to_string()?;
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.contains('{'));
        let samples = samples.filter_map(|line| line.split_once(' '));
        let values = samples.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)));
        Ok(Self(values.collect()))
    }

    /// The value of a metric; NaN where there is none, which keeps no promise.
    pub(super) fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }
}
