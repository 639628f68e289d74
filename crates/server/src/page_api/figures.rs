//! Rate, errors and durations of something: counted span by span, answered as numbers.

use crate::duration_buckets::{FINE_BITS, bucket, quantile_ns};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) errors: u64,
    durations: BTreeMap<u16, i64>,
}

/// What is answered of it. Durations are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    count: u64,
    errors: u64,
    /// A second.
    rate: f64,
    error_rate: f64,
    #[serde(flatten)]
    quantiles: Quantiles,
}

/// None of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
}

impl Counted {
    pub(super) fn add(&mut self, duration_ns: u64, is_error: bool) {
        self.add_without_duration(is_error);
        *self.durations.entry(bucket(duration_ns, FINE_BITS)).or_default() += 1;
    }

    /// Its quantiles are those of the others.
    pub(super) fn add_without_duration(&mut self, is_error: bool) {
        self.count += 1;
        self.errors += u64::from(is_error);
    }

    pub(super) fn figures(&self, seconds: f64) -> Figures {
        Figures {
            count: self.count,
            errors: self.errors,
            rate: self.count as f64 / seconds,
            error_rate: if self.count == 0 { 0.0 } else { self.errors as f64 / self.count as f64 },
            quantiles: self.quantiles(),
        }
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        Quantiles { p50: self.quantile_us(0.5), p95: self.quantile_us(0.95), p99: self.quantile_us(0.99) }
    }

    /// Microseconds, with as many digits as they have a meaning.
    pub(super) fn quantile_us(&self, quantile: f64) -> Option<f64> {
        Some(quantile_ns(&self.durations, quantile)).filter(|ns| ns.is_finite()).map(|ns| ns.round() / 1000.0)
    }
}
