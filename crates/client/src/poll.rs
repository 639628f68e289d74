//! Asking a server again and again, on a thread that starts with the first question that matters and ends with its owner.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;

/// jaeger-client's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(15);

/// How a server was asked. A clone counts into the same place.
///
/// ```
/// # #[cfg(feature = "jaeger")] {
/// let sampler = tracewell::sampler::PollingSampler::new("http://localhost:5778", "shop")?;
/// let counters = sampler.counters();
/// assert_eq!((counters.answers(), counters.failures(), counters.updates()), (0, 0, 0));
/// # }
/// # Ok::<(), tracewell::AddressError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PollCounters {
    inner: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    answers: AtomicU64,
    failures: AtomicU64,
    updates: AtomicU64,
    bad_answers: AtomicU64,
}

impl PollCounters {
    /// How often the server answered: jaeger-client's `sampler_queries{result=ok}`.
    ///
    /// ```
    /// let sampler = tracewell::sampler::PollingSampler::new("http://localhost:5778", "shop")?;
    /// assert_eq!(sampler.counters().answers(), 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn answers(&self) -> u64 {
        self.inner.answers.load(Ordering::Relaxed)
    }

    /// How often it did not.
    ///
    /// ```
    /// let sampler = tracewell::sampler::PollingSampler::new("http://localhost:5778", "shop")?;
    /// assert_eq!(sampler.counters().failures(), 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn failures(&self) -> u64 {
        self.inner.failures.load(Ordering::Relaxed)
    }

    /// How often an answer changed something: `sampler_updates{result=ok}`.
    ///
    /// ```
    /// let sampler = tracewell::sampler::PollingSampler::new("http://localhost:5778", "shop")?;
    /// assert_eq!(sampler.counters().updates(), 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn updates(&self) -> u64 {
        self.inner.updates.load(Ordering::Relaxed)
    }

    /// How often an answer could not be used; what held before holds on.
    ///
    /// ```
    /// let sampler = tracewell::sampler::PollingSampler::new("http://localhost:5778", "shop")?;
    /// assert_eq!(sampler.counters().bad_answers(), 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn bad_answers(&self) -> u64 {
        self.inner.bad_answers.load(Ordering::Relaxed)
    }
}

/// What is asked, and what is done with answers.
pub(crate) trait Question: Send + 'static {
    /// The address to get. `None`: there is nothing to ask now.
    fn address(&mut self) -> Option<String>;
    /// Whether the answer changed something; `None` if it could not be read.
    fn answer(&mut self, answer: &[u8]) -> Option<bool>;
    /// Bytes of an answer.
    const ANSWER_BYTES_MAX: u64;
}

/// Asks in intervals, once started, until it is dropped or stopped.
pub(crate) struct Poller<Q> {
    /// Until the thread takes it.
    question: Mutex<Option<Q>>,
    started: AtomicBool,
    shared: Arc<Shared>,
    pub(crate) counters: PollCounters,
    /// Before the first time, and between any two.
    pub(crate) delay: Duration,
    pub(crate) interval: Duration,
}

#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl<Q: Question> Poller<Q> {
    pub(crate) fn new(question: Q, delay: Duration, interval: Duration) -> Self {
        Self {
            question: Mutex::new(Some(question)),
            started: AtomicBool::new(false),
            shared: Arc::default(),
            counters: PollCounters::default(),
            delay,
            interval,
        }
    }

    /// Costs a look once it is started.
    #[inline]
    pub(crate) fn start(&self) {
        if !self.started.load(Ordering::Relaxed) {
            self.start_now();
        }
    }

    #[cold]
    fn start_now(&self) {
        let question = self.question.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.started.store(true, Ordering::Relaxed);
        let Some(question) = question else { return };
        let (shared, counters) = (Arc::clone(&self.shared), self.counters.clone());
        let (delay, interval) = (self.delay, self.interval);
        // Without a thread what held first holds on.
        let thread = thread::Builder::new().name("tracewell-poll".to_owned());
        drop(thread.spawn(move || run(question, &shared, &counters, delay, interval)));
    }

    pub(crate) fn stop(&self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
    }
}

impl<Q> Drop for Poller<Q> {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// False: it was stopped meanwhile.
    fn rest(&self, pause: Duration) -> bool {
        let begun = Instant::now();
        let mut stopped = self.lock();
        while !*stopped {
            let left = pause.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            stopped = self.changed.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run<Q: Question>(mut question: Q, shared: &Shared, counters: &PollCounters, delay: Duration, interval: Duration) {
    let agent = crate::reporter::agent(CONNECT_TIMEOUT, TIMEOUT);
    let mut pause = delay;
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    while shared.rest(pause) {
        pause = interval;
        let Some(address) = question.address() else { continue };
        let Some(answer) = get(&agent, &address, Q::ANSWER_BYTES_MAX) else {
            count(&counters.inner.failures);
            continue;
        };
        count(&counters.inner.answers);
        match question.answer(&answer) {
            Some(true) => count(&counters.inner.updates),
            Some(false) => 0,
            None => count(&counters.inner.bad_answers),
        };
    }
}

fn get(agent: &ureq::Agent, address: &str, bytes_max: u64) -> Option<Vec<u8>> {
    let mut response = agent.get(address).call().ok()?;
    let answer = response.body_mut().with_config().limit(bytes_max).read_to_vec().ok()?;
    response.status().is_success().then_some(answer)
}

/// An address with parameters in its query.
pub(crate) fn with_parameters<'a>(address: &Uri, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = address.to_string();
    let mut separator = if address.query().is_some() { '&' } else { '?' };
    for (key, value) in parameters {
        text.push(separator);
        separator = '&';
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

impl<Q> fmt::Debug for Poller<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("counters", &self.counters)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        let at =
            |address: &'static str| with_parameters(&Uri::from_static(address), [("service", "a b&ü"), ("x", "1")]);
        assert_eq!(at("http://h/sampling"), "http://h/sampling?service=a%20b%26%C3%BC&x=1");
        assert_eq!(at("http://h/sampling?y=2"), "http://h/sampling?y=2&service=a%20b%26%C3%BC&x=1");
    }
}
