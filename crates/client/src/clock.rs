//! Time that only goes forward, for rates; injected so that tests and recorded cases decide what time it is. And the wall
//! clock, which says when spans begin and end.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

/// Seconds since any fixed moment.
///
/// ```
/// use tracewell::Clock;
/// /// Stands still.
/// struct Stopped;
/// impl Clock for Stopped {
///     fn seconds(&self) -> f64 {
///         0.0
///     }
/// }
/// ```
pub trait Clock: Send + Sync {
    /// Now. Must not go back.
    ///
    /// ```
    /// use tracewell::{Clock, MonotonicClock};
    /// assert!(MonotonicClock.seconds() >= 0.0);
    /// ```
    fn seconds(&self) -> f64;
}

/// The system's monotonic clock, from when it was first asked.
///
/// ```
/// use tracewell::{Clock, MonotonicClock};
/// let before = MonotonicClock.seconds();
/// assert!(MonotonicClock.seconds() >= before);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn seconds(&self) -> f64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed().as_secs_f64()
    }
}

/// The wall clock, nanoseconds since 1970.
pub(crate) fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}
