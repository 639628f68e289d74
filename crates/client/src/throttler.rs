//! Credits for debug traces: what keeps `jaeger-debug-id` and `sampling.priority` from flooding a server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    credits: Mutex<HashMap<Box<str>, f64>>,
}

/// Why an answer holds no credits.
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
    pub fn allow(&self, operation: &str) -> bool {
        let mut credits = self.lock();
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
    pub fn operations(&self) -> Vec<String> {
        self.lock().keys().map(|operation| operation.to_string()).collect()
    }

    /// Takes an answer of `/credits?service=…&operations=…`. After an error everything is as it was.
    pub fn add_credits(&self, answer: &[u8]) -> Result<(), CreditsError> {
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

    /// What is left for an operation.
    pub fn balance(&self, operation: &str) -> f64 {
        self.lock().get(operation).copied().unwrap_or(0.0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, f64>> {
        // Every change is one step, so a panic elsewhere left the map whole.
        self.credits.lock().unwrap_or_else(PoisonError::into_inner)
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
