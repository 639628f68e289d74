//! Credits for debug traces: a bucket for each operation of a service, which fills with time and is emptied into whichever
//! client asks. One credit lets one debug trace pass (jaeger-client's `RemoteThrottler`).
//!
//! Jaeger's agent never had this side of it. Clients keep what they were given and did not need, so the rate holds in the
//! long run, not in each second.

use super::lock;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Buckets that are not full; a full one is the same as none.
const BUCKETS_MAX: usize = 20_000;
/// Buckets that are full are looked for no more often than this.
const SWEEP_INTERVAL_S: f64 = 1.0;

pub(super) struct Credits {
    per_second: f64,
    max: f64,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    /// When they were emptied, by service and operation.
    services: HashMap<Box<str>, HashMap<Box<str>, Instant>>,
    count: usize,
    swept: Option<Instant>,
}

impl Credits {
    pub(super) fn new(per_second: f64, max: f64) -> Self {
        Self { per_second, max, buckets: Mutex::default() }
    }

    /// All credits that there are, an operation each.
    pub(super) fn take<'a>(&self, service: &str, operations: impl Iterator<Item = &'a str>, now: Instant) -> Vec<f64> {
        let mut buckets = lock(&self.buckets);
        operations.map(|operation| self.empty(&mut buckets, service, operation, now)).collect()
    }

    fn empty(&self, buckets: &mut Buckets, service: &str, operation: &str, now: Instant) -> f64 {
        if let Some(emptied) = buckets.services.get_mut(service).and_then(|service| service.get_mut(operation)) {
            let credits = self.filled(*emptied, now);
            *emptied = now;
            return credits;
        }
        if buckets.count == BUCKETS_MAX {
            self.sweep(buckets, now);
            if buckets.count == BUCKETS_MAX {
                return 0.0;
            }
        }
        buckets.count += 1;
        buckets.services.entry(service.into()).or_default().insert(operation.into(), now);
        self.max
    }

    fn filled(&self, emptied: Instant, now: Instant) -> f64 {
        (now.saturating_duration_since(emptied).as_secs_f64() * self.per_second).min(self.max)
    }

    /// Forgets the full ones.
    fn sweep(&self, buckets: &mut Buckets, now: Instant) {
        let recently = |swept| now.saturating_duration_since(swept).as_secs_f64() < SWEEP_INTERVAL_S;
        if buckets.swept.is_some_and(recently) {
            return;
        }
        buckets.swept = Some(now);
        buckets.services.retain(|_, operations| {
            operations.retain(|_, emptied| self.filled(*emptied, now) < self.max);
            !operations.is_empty()
        });
        buckets.count = buckets.services.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_is_emptied_and_fills_again() {
        let credits = Credits::new(2.0, 10.0);
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(credits.take("shop", ["a", "b", "a"].into_iter(), start), [10.0, 10.0, 0.0]);
        assert_eq!(credits.take("shop", ["a"].into_iter(), at(3)), [6.0]);
        assert_eq!(credits.take("shop", ["a", "b"].into_iter(), at(4)), [2.0, 8.0]);
        assert_eq!(credits.take("shop", ["a"].into_iter(), at(1000)), [10.0]);
        assert_eq!(credits.take("other", ["a"].into_iter(), at(1000)), [10.0]);
    }

    #[test]
    fn there_are_so_many_buckets_and_full_ones_are_none() {
        let credits = Credits::new(1.0, 10.0);
        let start = Instant::now();
        let names: Vec<String> = (0..=BUCKETS_MAX).map(|at| at.to_string()).collect();
        let given = credits.take("shop", names.iter().map(String::as_str), start);
        assert_eq!((given[0], given[BUCKETS_MAX - 1], given[BUCKETS_MAX]), (10.0, 10.0, 0.0));
        let last = || ["last"].into_iter();
        assert_eq!(credits.take("shop", last(), start + Duration::from_secs(9)), [0.0]);
        assert_eq!(credits.take("shop", last(), start + Duration::from_secs(10)), [10.0]);
        assert_eq!(lock(&credits.buckets).count, 1);
    }
}
