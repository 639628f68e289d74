//! Durations counted in buckets of a part of their size, and quantiles of such counts: one way of counting for Jaeger's
//! metrics and the page.

use std::collections::BTreeMap;

/// Buckets of each doubling, as a power of two: quantiles are right within 1.6 %.
pub(crate) const FINE_BITS: u32 = 6;
/// For heat maps: an eighth of a doubling, or less.
pub(crate) const COARSE_BITS: u32 = 3;

/// The bucket of a duration, with `1 << bits` of them a doubling.
pub(crate) fn bucket(nanos: u64, bits: u32) -> u16 {
    let Some(exponent) = nanos.checked_ilog2().filter(|exponent| *exponent >= bits) else {
        return nanos as u16;
    };
    let within = (nanos >> (exponent - bits)) as u16 & ((1 << bits) - 1);
    ((exponent - bits + 1) << bits) as u16 + within
}

/// Where a bucket begins, and how wide it is, nanoseconds.
pub(crate) fn bucket_bounds(bucket: u16, bits: u32) -> (f64, f64) {
    let doublings = bucket >> bits;
    if doublings == 0 {
        return (f64::from(bucket), 1.0);
    }
    let within = (bucket & ((1 << bits) - 1)) + (1 << bits);
    let width = 2f64.powi(i32::from(doublings) - 1);
    (f64::from(within) * width, width)
}

/// A quantile as Prometheus' `histogram_quantile` interpolates it, of counts in buckets of [`FINE_BITS`].
pub(crate) fn quantile_ns(counts: &BTreeMap<u16, i64>, quantile: f64) -> f64 {
    let total = counts.values().sum::<i64>() as f64;
    if total <= 0.0 || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let rank = quantile * total;
    let mut below = 0.0;
    for (bucket, count) in counts {
        let count = *count as f64;
        if below + count >= rank {
            let (from, width) = bucket_bounds(*bucket, FINE_BITS);
            return from + width * ((rank - below) / count);
        }
        below += count;
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other() {
        for bits in [FINE_BITS, COARSE_BITS] {
            let mut last = (0.0, 0.0);
            for index in 0..=bucket(u64::MAX, bits) {
                let (from, width) = bucket_bounds(index, bits);
                assert_eq!(from, last.0 + last.1, "{index}");
                last = (from, width);
            }
            for nanos in [0, 1, 7, 8, 63, 64, 65, 127, 128, 1_000_000, u64::MAX / 3] {
                let (from, width) = bucket_bounds(bucket(nanos, bits), bits);
                assert!(from <= nanos as f64 && (nanos as f64) < from + width, "{nanos}");
            }
        }
    }
}
