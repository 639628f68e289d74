//! Credits for debug traces: what keeps `jaeger-debug-id` and `sampling.priority` from flooding a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Operations that credits are kept for; further ones are refused.
const OPERATIONS_MAX: usize = 2000;
/// Bytes of a server's answer; a longer one is refused.
const CREDITS_BYTES_MAX: usize = 1 << 20;
/// What one debug trace costs.
const COST: f64 = 1.0;

/// Lets a debug trace pass while a server gave credits for its operation, as jaeger-client does: an operation that is
/// asked for the first time has none and is refused, and its name is then among those to ask credits for.
///
/// ```
/// use tracewell::DebugThrottler;
/// let throttler = DebugThrottler::default();
/// assert!(!throttler.allow("op"));
/// assert_eq!(throttler.operations(), ["op"]);
/// throttler.add_credits(br#"{"balances":[{"operation":"op","balance":1.5}]}"#)?;
/// assert!(throttler.allow("op"));
/// assert!(!throttler.allow("op"));
/// # Ok::<(), tracewell::CreditsError>(())
/// ```
#[derive(Debug, Default)]
pub struct DebugThrottler {
    credits: Arc<Credits>,
    #[cfg(feature = "jaeger")]
    poller: Option<polling::CreditsPoller>,
}

#[derive(Debug, Default)]
struct Credits {
    balances: Mutex<HashMap<Box<str>, f64>>,
}

/// Why an answer holds no credits.
///
/// ```
/// use tracewell::{CreditsError, DebugThrottler};
/// assert!(matches!(DebugThrottler::default().add_credits(b"{}"), Err(CreditsError::Form)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreditsError {
    /// Longer than a megabyte.
    #[error("throttling credits have {bytes} bytes: at most {CREDITS_BYTES_MAX} are read")]
    TooLarge {
        /// How long it is.
        bytes: usize,
    },
    /// No JSON.
    #[error("throttling credits are not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// Not of the form `{"balances":[{"operation":"…","balance":1.0}]}`.
    #[error("throttling credits should have the form {{\"balances\":[{{\"operation\":\"…\",\"balance\":1.0}}]}}")]
    Form,
}

impl DebugThrottler {
    /// Whether a debug trace of this operation may pass, and takes its credit if so.
    ///
    /// ```
    /// use tracewell::DebugThrottler;
    /// assert!(!DebugThrottler::default().allow("no credit yet"));
    /// ```
    pub fn allow(&self, operation: &str) -> bool {
        #[cfg(feature = "jaeger")]
        self.poller.iter().for_each(polling::CreditsPoller::start);
        let mut credits = self.credits.lock();
        let known = credits.len();
        match credits.get_mut(operation) {
            Some(balance) if *balance >= COST => {
                *balance -= COST;
                return true;
            }
            None if known < OPERATIONS_MAX => {
                credits.insert(operation.into(), 0.0);
            }
            _ => {}
        }
        false
    }

    /// The operations to ask credits for, in no order.
    ///
    /// ```
    /// let throttler = tracewell::DebugThrottler::default();
    /// throttler.allow("charge");
    /// assert_eq!(throttler.operations(), ["charge"]);
    /// ```
    pub fn operations(&self) -> Vec<String> {
        self.credits.lock().keys().map(|operation| operation.to_string()).collect()
    }

    /// Takes an answer of `/credits?service=…&operations=…`. After an error everything is as it was.
    ///
    /// ```
    /// let throttler = tracewell::DebugThrottler::default();
    /// throttler.add_credits(br#"{"balances":[{"operation":"charge","balance":2.0}]}"#)?;
    /// assert!(throttler.add_credits(b"<html>").is_err());
    /// assert!(throttler.allow("charge"));
    /// # Ok::<(), tracewell::CreditsError>(())
    /// ```
    pub fn add_credits(&self, answer: &[u8]) -> Result<(), CreditsError> {
        self.credits.add(answer)
    }

    /// What is left for an operation.
    ///
    /// ```
    /// let throttler = tracewell::DebugThrottler::default();
    /// throttler.add_credits(br#"{"balances":[{"operation":"charge","balance":2.0}]}"#)?;
    /// throttler.allow("charge");
    /// assert_eq!(throttler.balance("charge"), 1.0);
    /// # Ok::<(), tracewell::CreditsError>(())
    /// ```
    pub fn balance(&self, operation: &str) -> f64 {
        self.credits.lock().get(operation).copied().unwrap_or(0.0)
    }

    pub(crate) fn close(&self) {
        #[cfg(feature = "jaeger")]
        self.poller.iter().for_each(polling::CreditsPoller::stop);
    }
}

impl Credits {
    fn add(&self, answer: &[u8]) -> Result<(), CreditsError> {
        if answer.len() > CREDITS_BYTES_MAX {
            return Err(CreditsError::TooLarge { bytes: answer.len() });
        }
        let answer: Value = serde_json::from_slice(answer)?;
        let balances = answer.get("balances").and_then(Value::as_array).ok_or(CreditsError::Form)?;
        let balance = |entry: &Value| Some((entry.get("operation")?.as_str()?.into(), entry.get("balance")?.as_f64()?));
        let balances: Vec<(Box<str>, f64)> =
            balances.iter().map(balance).collect::<Option<_>>().ok_or(CreditsError::Form)?;
        let mut credits = self.lock();
        for (operation, balance) in balances {
            if credits.len() < OPERATIONS_MAX || credits.contains_key(&operation) {
                *credits.entry(operation).or_insert(0.0) += balance;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, f64>> {
        // Every change is one step, so a panic elsewhere left the map whole.
        self.balances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "jaeger")]
mod polling {
    //! Asking an agent for credits.

    use std::sync::Arc;
    use std::time::Duration;

    use ureq::http::Uri;

    use super::{CREDITS_BYTES_MAX, Credits, DebugThrottler};
    use crate::poll::{PollCounters, Poller, Question, with_parameters};
    use crate::reporter::{AddressError, http_address};

    const PATH: &str = "/credits";
    /// jaeger-client's.
    const INTERVAL: Duration = Duration::from_secs(5);

    pub(super) type CreditsPoller = Poller<CreditsQuestion>;

    pub(super) struct CreditsQuestion {
        address: Uri,
        service: String,
        client_uuid: String,
        credits: Arc<Credits>,
    }

    impl DebugThrottler {
        /// One that asks `GET http://host:5778/credits?service=…&uuid=…&operations=…` itself, every 5 seconds, once a debug
        /// trace was wanted. Without a path the usual one is taken: `/credits`. `client_uuid` is the process tag
        /// `client-uuid` by which an agent tells clients apart.
        ///
        /// ```no_run
        /// use std::sync::Arc;
        /// use tracewell::{DebugThrottler, JaegerAgentReporter, Tracer};
        /// let throttler = DebugThrottler::polling("http://localhost:5778", "shop", "1f7a")?;
        /// let tracer = Tracer::builder("shop").throttler(Arc::new(throttler)).build(JaegerAgentReporter::default());
        /// # Ok::<(), tracewell::AddressError>(())
        /// ```
        pub fn polling(address: &str, service: &str, client_uuid: &str) -> Result<Self, AddressError> {
            let address = http_address(address, PATH)?;
            let credits = Arc::<Credits>::default();
            let (service, client_uuid) = (service.to_owned(), client_uuid.to_owned());
            let question = CreditsQuestion { address, service, client_uuid, credits: Arc::clone(&credits) };
            // The first operation is waiting.
            Ok(Self { credits, poller: Some(Poller::new(question, Duration::ZERO, INTERVAL)) })
        }

        /// How often a polling one asks.
        ///
        /// ```
        /// use std::time::Duration;
        /// use tracewell::DebugThrottler;
        /// let throttler = DebugThrottler::polling("http://localhost:5778", "shop", "1f7a")?.interval(Duration::from_secs(1));
        /// # Ok::<(), tracewell::AddressError>(())
        /// ```
        #[must_use]
        pub fn interval(mut self, interval: Duration) -> Self {
            self.poller.iter_mut().for_each(|poller| poller.interval = interval);
            self
        }

        /// How a polling one asked.
        ///
        /// ```
        /// use tracewell::DebugThrottler;
        /// assert!(DebugThrottler::default().counters().is_none());
        /// let throttler = DebugThrottler::polling("http://localhost:5778", "shop", "1f7a")?;
        /// assert_eq!(throttler.counters().unwrap().failures(), 0);
        /// # Ok::<(), tracewell::AddressError>(())
        /// ```
        pub fn counters(&self) -> Option<PollCounters> {
            self.poller.as_ref().map(|poller| poller.counters.clone())
        }
    }

    impl Question for CreditsQuestion {
        const ANSWER_BYTES_MAX: u64 = CREDITS_BYTES_MAX as u64;

        fn address(&mut self) -> Option<String> {
            let balances = self.credits.lock();
            let operations = balances.keys().map(|operation| ("operations", &**operation));
            let client = [("service", self.service.as_str()), ("uuid", self.client_uuid.as_str())];
            // Without an operation there is nothing to ask for.
            (!balances.is_empty()).then(|| with_parameters(&self.address, client.into_iter().chain(operations)))
        }

        fn answer(&mut self, answer: &[u8]) -> Option<bool> {
            self.credits.add(answer).ok().map(|()| true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_answer_changes_nothing() {
        let throttler = DebugThrottler::default();
        let half = br#"{"balances":[{"operation":"a","balance":5},{"operation":"b"}]}"#;
        for answer in [&b"nope"[..], b"{}", half] {
            assert!(throttler.add_credits(answer).is_err());
        }
        assert_eq!((throttler.balance("a"), throttler.operations().len()), (0.0, 0));
    }
}
