//! When to try again: later each time, a little by chance, and not before a server wants it.

use std::time::Duration;

/// A server that wants a longer pause does not get one.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure; `chance` is between 0.0 and 1.0.
    pub(super) fn next(&mut self, after: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.min(self.longest).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        after.map_or(pause, |after| pause.max(after.min(RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(350));
        let pauses: Vec<_> = (0..4).map(|_| backoff.next(None, 1.0)).collect();
        assert_eq!(pauses, [millis(100), millis(200), millis(350), millis(350)]);
        for _ in 0..100 {
            assert_eq!(backoff.next(None, 0.0), millis(175), "by chance half of it");
        }
        backoff.reset();
        assert_eq!(backoff.next(None, 0.5), millis(75));
    }

    #[test]
    fn a_server_may_want_more_but_not_any_pause() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.next(Some(Duration::from_secs(7)), 1.0), Duration::from_secs(7));
        assert_eq!(backoff.next(Some(Duration::ZERO), 1.0), Duration::from_millis(200));
        assert_eq!(backoff.next(Some(Duration::MAX), 1.0), RETRY_AFTER_MAX);
    }
}
