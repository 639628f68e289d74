//! The time of day: the only place of the store that asks for it, so that tests can say what time it is.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Microseconds since the epoch.
    fn now_us(&self) -> u64;

    /// Microseconds of a clock that nobody sets; since when does not matter.
    fn steady_us(&self) -> u64 {
        self.now_us()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
    }

    fn steady_us(&self) -> u64 {
        static FIRST_ASKED: LazyLock<Instant> = LazyLock::new(Instant::now);
        u64::try_from(FIRST_ASKED.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is told otherwise.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct TestClock(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl TestClock {
    pub(crate) fn set_us(&self, now_us: u64) {
        self.0.store(now_us, std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) fn set_back_us(&self, by_us: u64) {
        let now_us = self.now_us();
        self.set_us(now_us.saturating_sub(by_us));
    }

    pub(crate) fn advance_us(&self, by_us: u64) {
        self.0.fetch_add(by_us, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for TestClock {
    fn now_us(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
