//! A point in time or a length of time, in one word: nanoseconds where they fit, microseconds where they do not.
//!
//! Zipkin's times are microseconds up to 2^63-1, which as nanoseconds would need more than 64 bits, and it gives back
//! what it got; OTLP's are nanoseconds. One bit tells which the other 63 count.

const MICROSECONDS: u64 = 1 << 63;
/// The first microsecond that nanoseconds do not reach.
const FIRST_MICROS: u64 = MICROSECONDS.div_ceil(1000);

/// A time since the epoch, or a duration. Ordered by length, whatever it was made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The epoch, or no time at all.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds. Beyond the year 2262 (2^63 ns) the part below a microsecond is lost; the few before the next whole
    /// one are counted as that, so that no time comes out before one that was before it.
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos < MICROSECONDS {
            return Self(nanos);
        }
        let micros = nanos / 1000;
        Self(MICROSECONDS | if micros < FIRST_MICROS { FIRST_MICROS } else { micros })
    }

    /// From microseconds, exact up to 2^63-1; more is cut to that.
    pub const fn from_micros(micros: u64) -> Self {
        match micros.checked_mul(1000) {
            Some(nanos) if nanos < MICROSECONDS => Self(nanos),
            _ if micros < MICROSECONDS => Self(MICROSECONDS | micros),
            _ => Self(u64::MAX),
        }
    }

    /// Whole microseconds; what is below is cut off, as the OpenTelemetry specification's Zipkin page has it.
    #[inline]
    pub const fn as_micros(self) -> u64 {
        if self.0 & MICROSECONDS == 0 { self.0 / 1000 } else { self.0 & !MICROSECONDS }
    }

    /// Nanoseconds; `u64::MAX` where they do not fit.
    pub const fn as_nanos(self) -> u64 {
        if self.0 & MICROSECONDS == 0 { self.0 } else { (self.0 & !MICROSECONDS).saturating_mul(1000) }
    }

    /// The word itself, for columns and files: see [`Time::from_bits`].
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From [`Time::to_bits`]. Every word is a time.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The time `duration` later, at most the largest there is.
    pub const fn saturating_add(self, duration: Self) -> Self {
        if self.0 & MICROSECONDS == 0 && duration.0 & MICROSECONDS == 0 {
            return Self::from_nanos(self.0 + duration.0);
        }
        Self::from_micros(self.as_micros().saturating_add(duration.as_micros()))
    }

    /// The time from `earlier` to this one, or zero.
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        if self.0 & MICROSECONDS == 0 && earlier.0 & MICROSECONDS == 0 {
            return Self(self.0.saturating_sub(earlier.0));
        }
        Self::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Times counted in microseconds are all beyond those counted in nanoseconds, so the words order them.
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 & MICROSECONDS == 0 { write!(f, "{}ns", self.0) } else { write!(f, "{}us", self.as_micros()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_come_back_exactly() {
        for micros in [0, 1, 1_472_470_996_199_000, 9_223_372_036_854_775, 9_223_372_036_854_776, i64::MAX as u64] {
            assert_eq!(Time::from_micros(micros).as_micros(), micros);
        }
    }

    #[test]
    fn order_is_by_length() {
        let lengths = [0, 1, 9_223_372_036_854_775, 9_223_372_036_854_776, 9_223_372_036_854_777, i64::MAX as u64];
        assert!(lengths.map(Time::from_micros).is_sorted());
        assert!(Time::from_nanos(u64::MAX) > Time::from_nanos(MICROSECONDS - 1));
    }

    #[test]
    fn one_more_nanosecond_is_never_less() {
        for nanos in (MICROSECONDS - 1000..MICROSECONDS + 2000).chain([u64::MAX - 1]) {
            let (time, next) = (Time::from_nanos(nanos), Time::from_nanos(nanos + 1));
            assert!(time <= next && time.as_nanos() <= next.as_nanos(), "{nanos}");
            assert_eq!(Time::from_nanos(time.as_nanos()), time, "{nanos}");
        }
    }

    #[test]
    fn sums_and_differences_do_not_overflow() {
        let far = Time::from_micros(i64::MAX as u64);
        assert_eq!(far.saturating_add(far).as_micros(), i64::MAX as u64);
        assert_eq!(Time::from_nanos(5).saturating_sub(far), Time::ZERO);
        assert_eq!(Time::from_nanos(1500).saturating_add(Time::from_nanos(2)).as_nanos(), 1502);
    }
}
