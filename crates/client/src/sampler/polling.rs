//! The remote sampler with the part that asks the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracewell_model::TraceId;
use ureq::http::Uri;

use super::{Decision, RemoteSampler, RemoteUpdate, STRATEGY_BYTES_MAX, Sampler};
use crate::poll::{PollCounters, Poller, Question, with_parameters};
use crate::reporter::{AddressError, http_address};

const PATH: &str = "/sampling";
/// jaeger-client's.
const INTERVAL: Duration = Duration::from_secs(60);

/// A [`RemoteSampler`] that asks `GET http://host:5778/sampling?service=…` itself: the first time after a random part of the
/// interval, so that many services do not come at once, then once an interval. Without a good answer the last one holds.
///
/// Its thread starts with the first decision and ends when the tracer is closed or the sampler is dropped.
///
/// ```no_run
/// use tracewell::sampler::PollingSampler;
/// use tracewell::{JaegerAgentReporter, Tracer};
/// let sampler = PollingSampler::new("http://localhost:5778", "shop")?;
/// let tracer = Tracer::builder("shop").sampler(sampler).build(JaegerAgentReporter::default());
/// # Ok::<(), tracewell::AddressError>(())
/// ```
pub struct PollingSampler {
    sampler: Arc<RemoteSampler>,
    poller: Poller<Sampling>,
    address: Uri,
    service: String,
}

struct Sampling {
    address: String,
    sampler: Arc<RemoteSampler>,
}

impl PollingSampler {
    /// Asks there for the strategy of a service. Without a path the usual one is taken: `/sampling`.
    ///
    /// ```
    /// use tracewell::sampler::PollingSampler;
    /// let sampler = PollingSampler::new("http://localhost:5778", "shop")?;
    /// assert!(PollingSampler::new("localhost:5778", "shop").is_err());
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn new(address: &str, service: &str) -> Result<Self, AddressError> {
        Ok(Self::of(RemoteSampler::default(), http_address(address, PATH)?, service.to_owned(), INTERVAL))
    }

    /// What decides until there is an answer, and takes answers.
    ///
    /// ```
    /// use tracewell::sampler::{ConstSampler, OPERATIONS_MAX, PollingSampler, RemoteSampler};
    /// let until_then = RemoteSampler::new(ConstSampler::new(true), OPERATIONS_MAX);
    /// let sampler = PollingSampler::new("http://localhost:5778", "shop")?.sampler(until_then);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    #[must_use]
    pub fn sampler(self, sampler: RemoteSampler) -> Self {
        Self::of(sampler, self.address.clone(), self.service.clone(), self.poller.interval)
    }

    /// How often it asks; every 60 seconds if not said.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tracewell::sampler::PollingSampler;
    /// let sampler = PollingSampler::new("http://localhost:5778", "shop")?.interval(Duration::from_secs(10));
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.poller.interval = interval;
        self.poller.delay = random_part(interval);
        self
    }

    /// How the server was asked.
    ///
    /// ```
    /// use tracewell::sampler::PollingSampler;
    /// let sampler = PollingSampler::new("http://localhost:5778", "shop")?;
    /// // A clone of them stays when the tracer takes the sampler.
    /// let counters = sampler.counters();
    /// assert_eq!(counters.failures(), 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn counters(&self) -> PollCounters {
        self.poller.counters.clone()
    }

    fn of(sampler: RemoteSampler, address: Uri, service: String, interval: Duration) -> Self {
        let sampler = Arc::new(sampler);
        let question = Sampling {
            address: with_parameters(&address, [("service", service.as_str())]),
            sampler: Arc::clone(&sampler),
        };
        let poller = Poller::new(question, random_part(interval), interval);
        Self { sampler, poller, address, service }
    }
}

fn random_part(interval: Duration) -> Duration {
    interval.mul_f64(fastrand::f64())
}

impl Question for Sampling {
    const ANSWER_BYTES_MAX: u64 = STRATEGY_BYTES_MAX as u64;

    fn address(&mut self) -> Option<String> {
        Some(self.address.clone())
    }

    fn answer(&mut self, answer: &[u8]) -> Option<bool> {
        self.sampler.update_from_json(answer).ok().map(|update| update == RemoteUpdate::Changed)
    }
}

impl Sampler for PollingSampler {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        self.poller.start();
        self.sampler.sample(trace_id, operation)
    }

    fn close(&self) {
        self.poller.stop();
    }

    fn poll_counters(&self) -> Option<PollCounters> {
        Some(self.counters())
    }
}

impl fmt::Debug for PollingSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollingSampler").field("sampler", &self.sampler).field("poller", &self.poller).finish()
    }
}
