//! What sampling does while nobody asks: look at the file, and recalculate.

use super::Sampling;
use crate::options::Options;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

/// Shorter intervals would give nothing to compute from.
const CALCULATION_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The running tasks; they end when it is dropped.
#[derive(Debug)]
pub(crate) struct Upkeep(Vec<JoinHandle<()>>);

impl Upkeep {
    /// Starts what these options need. Needs a tokio runtime.
    pub(crate) fn start(options: &Options, sampling: &Arc<Sampling>) -> Self {
        let mut tasks = vec![];
        let reload_interval = options.sampling_strategies_reload_interval;
        if sampling.file.is_there() && !reload_interval.is_zero() {
            let sampling = Arc::clone(sampling);
            tasks.push(tokio::spawn(every(reload_interval, move |_| sampling.reload())));
        }
        if sampling.adaptive.is_some() {
            let sampling = Arc::clone(sampling);
            let interval = options.sampling_calculation_interval.max(CALCULATION_INTERVAL_MIN);
            tasks.push(tokio::spawn(every(interval, move |passed| sampling.recalculate(passed))));
        }
        Self(tasks)
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Does work again and again, on a thread that may wait for the disk; the work is told how long ago it was begun before.
async fn every(interval: Duration, work: impl Fn(Duration) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Instant::now();
    loop {
        ticks.tick().await;
        let passed = before.elapsed();
        before = Instant::now();
        let work = Arc::clone(&work);
        if tokio::task::spawn_blocking(move || work(passed)).await.is_err() {
            tracing::error!("sampling was not updated: this is a mistake in the server");
        }
    }
}
