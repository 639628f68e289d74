//! What services are told to sample: by a file as Jaeger's collector has it, or by what arrives; and credits for debug traces.
//!
//! Asked for on port 5778 ([`SamplingApi`]), on 14268 ([`http_answer`]) and on 14250 ([`grpc_answer`]).

mod adaptive;
mod api;
mod credits;
mod roots;
mod strategies;
mod strategies_file;
mod upkeep;

pub(crate) use api::{JaegerVersion, SamplingApi, grpc_answer, http_answer};
pub use strategies::StrategiesError;
pub(crate) use upkeep::Upkeep;

use crate::metrics::Metrics;
use crate::options::{Options, SamplingMode};
use adaptive::{Adaptive, AdaptiveSettings, Answers};
use credits::Credits;
use roots::Roots;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use strategies_file::StrategiesFile;
use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::SamplingStrategy;

/// Answers what a service is to sample.
pub(crate) struct Sampling {
    file: StrategiesFile,
    adaptive: Option<AdaptiveSampling>,
    credits: Credits,
    metrics: Arc<Metrics>,
}

/// Sampling by what arrives: it is counted all the time, and looked at now and then.
struct AdaptiveSampling {
    roots: Mutex<Roots>,
    adaptive: Mutex<Adaptive>,
    answers: RwLock<Arc<Answers>>,
}

impl Sampling {
    /// Reads the strategies file, where there is one.
    pub(crate) fn open(options: &Options, metrics: Arc<Metrics>) -> Result<Self, StrategiesError> {
        let file = StrategiesFile::open(options.sampling_strategies.clone(), options.sampling_default_probability)?;
        let adaptive = match options.sampling_mode {
            SamplingMode::File => None,
            SamplingMode::Adaptive => {
                let adaptive = Adaptive::new(AdaptiveSettings::new(options));
                let answers = RwLock::new(Arc::new(adaptive.answers()));
                Some(AdaptiveSampling { roots: Mutex::default(), adaptive: Mutex::new(adaptive), answers })
            }
        };
        let credits = Credits::new(options.debug_credits_per_second.0, options.debug_credits_max.0);
        Ok(Self { file, adaptive, credits, metrics })
    }

    /// What a service is to sample. With adaptive sampling the file decides on the services that it names.
    pub(crate) fn strategy(&self, service: &str, version: JaegerVersion) -> Arc<SamplingStrategy> {
        let strategies = self.file.current();
        match &self.adaptive {
            Some(adaptive) => strategies.of_named_service(service, version).unwrap_or_else(|| {
                let answers = Arc::clone(&adaptive.answers.read().unwrap_or_else(PoisonError::into_inner));
                answers.of_service(service)
            }),
            None => strategies.of_service(service, version),
        }
    }

    /// Counts the root spans of a batch, from a row on, that tell how they were sampled.
    pub(crate) fn count(&self, batch: &SpanBatch, from_row: usize) {
        let Some(adaptive) = &self.adaptive else { return };
        let tally = roots::tally(batch, from_row);
        if !tally.is_empty() {
            let dropped = lock(&adaptive.roots).add(&tally);
            self.metrics.sampling_operations_dropped.add(dropped);
        }
    }

    /// New probabilities, by what arrived within the time that has passed.
    fn recalculate(&self, passed: Duration) {
        let Some(adaptive) = &self.adaptive else { return };
        let roots = std::mem::take(&mut *lock(&adaptive.roots));
        let mut probabilities = lock(&adaptive.adaptive);
        let dropped = probabilities.recalculate(&roots, passed);
        self.metrics.sampling_operations_dropped.add(dropped);
        self.metrics.sampling_operations.set(probabilities.operations() as u64);
        let answers = Arc::new(probabilities.answers());
        *adaptive.answers.write().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Looks whether the strategies file is another one.
    fn reload(&self) {
        self.file.reload(&self.metrics);
    }

    /// Credits for debug traces, one number an operation.
    fn take_credits<'a>(&self, service: &str, operations: impl Iterator<Item = &'a str>) -> Vec<f64> {
        self.credits.take(service, operations, Instant::now())
    }
}

/// A panic elsewhere left nothing half done: every change is one step, or a count more or less.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
