//! When spans begin and end: readings of the fast clock (the time stamp counter where there is one), and what they are by
//! the wall clock.

use std::hash::{Hash as _, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::wall_nanos;

/// A reading of the fast clock, in its cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(u64);

impl Stamp {
    #[inline]
    pub(crate) fn now() -> Self {
        Self(cycles(fastant::Instant::now()))
    }
}

/// What the fast clock says in terms of the wall clock.
#[derive(Clone, Copy)]
pub(super) struct Anchor {
    /// The wall clock when the fast one was at zero, wrapped.
    nanos_at_zero: u64,
    /// Nanoseconds a cycle, times 2 to the power of [`SHIFT`].
    factor: u64,
    believed_until: Stamp,
}

/// How long the relation of the two clocks is believed; the wall clock may be set.
const BELIEVED: Duration = Duration::from_secs(10);
/// So many bits say a part of 10¹² of a cycle: over ten seconds it makes no nanosecond.
const SHIFT: u32 = 40;

impl Anchor {
    /// Not believed.
    pub(super) const NONE: Self = Self { nanos_at_zero: 0, factor: 0, believed_until: Stamp(0) };

    /// As it is now.
    pub(super) fn new() -> Self {
        static RATE: LazyLock<(u64, u64)> = LazyLock::new(rate);
        let (cycles_per_belief, factor) = *RATE;
        let (wall_nanos, now) = (wall_nanos(), Stamp::now());
        let anchor = Self { nanos_at_zero: 0, factor, believed_until: Stamp(now.0.saturating_add(cycles_per_belief)) };
        Self { nanos_at_zero: wall_nanos.wrapping_sub(anchor.unix_nanos(now)), ..anchor }
    }

    #[inline]
    pub(super) fn is_believed(&self, stamp: Stamp) -> bool {
        stamp < self.believed_until
    }

    #[inline]
    pub(super) const fn unix_nanos(&self, stamp: Stamp) -> u64 {
        let nanos = (stamp.0 as u128 * self.factor as u128) >> SHIFT;
        self.nanos_at_zero.wrapping_add(nanos as u64)
    }
}

/// Cycles while an anchor is believed, and [`Anchor::factor`].
fn rate() -> (u64, u64) {
    const MEASURE: Duration = Duration::from_secs(1000);
    let cycles_of = |duration| fastant::Instant::ZERO.checked_add(duration).map_or(u64::MAX, cycles);
    let factor = (MEASURE.as_nanos() << SHIFT) / u128::from(cycles_of(MEASURE).max(1));
    (cycles_of(BELIEVED), u64::try_from(factor).unwrap_or(u64::MAX))
}

/// `fastant` gives its cycles to nobody but a hasher, and what it makes of them itself takes three times as long as the
/// multiplication above.
#[inline]
fn cycles(instant: fastant::Instant) -> u64 {
    let mut taken = Taken(0);
    instant.hash(&mut taken);
    taken.0
}

struct Taken(u64);

impl Hasher for Taken {
    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |chunk| u64::from_ne_bytes(*chunk));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_those_of_the_clock() {
        let instant = fastant::Instant::now();
        let cycles = cycles(instant);
        assert!(cycles > 0);
        let printed = format!("{instant:?}");
        assert_eq!(printed, cycles.to_string());
    }

    #[test]
    fn both_clocks_agree() {
        let theirs = fastant::Anchor::new();
        let anchor = Anchor::new();
        let instant = fastant::Instant::now();
        for seconds in [0, 1, 9, 60] {
            let instant = instant + Duration::from_secs(seconds);
            let difference = anchor.unix_nanos(Stamp(cycles(instant))).abs_diff(instant.as_unix_nanos(&theirs));
            // Between the two anchors this thread may have slept.
            assert!(difference < 1_000_000_000, "{difference}");
        }
        let (early, late) = (Stamp(cycles(instant)), Stamp(cycles(instant + Duration::from_secs(1))));
        assert!(anchor.unix_nanos(late).abs_diff(anchor.unix_nanos(early) + 1_000_000_000) < 10);
        assert!(anchor.is_believed(early) && !anchor.is_believed(Stamp(cycles(instant + BELIEVED * 2))));
        assert!(!Anchor::NONE.is_believed(early));
    }
}
