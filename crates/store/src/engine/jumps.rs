//! Notices that the clock was set ahead. Retention by age would remove everything at that moment, and a clock that is set back a
//! minute later brings nothing back: it waits until the new time has lasted.

/// A clock that moves by so much more than time passes was set.
const JUMP_US: u64 = 3600 * 1_000_000;
/// So long a new time is not believed.
const DOUBT_US: u64 = 3600 * 1_000_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    /// The time when it was asked last, by the clock and by one that nobody sets.
    last: Option<(u64, u64)>,
    /// By the latter.
    doubted_until_us: Option<u64>,
}

impl Jumps {
    /// Whether the time may be believed, which is asked again and again.
    pub(super) fn is_believed(&mut self, now_us: u64, steady_us: u64) -> bool {
        if let Some((last_us, last_steady_us)) = self.last.replace((now_us, steady_us)) {
            let expected_us = last_us.saturating_add(steady_us.saturating_sub(last_steady_us));
            if now_us > expected_us.saturating_add(JUMP_US) {
                tracing::warn!("the clock was set ahead: for an hour nothing is removed because of its age");
                self.doubted_until_us = Some(steady_us.saturating_add(DOUBT_US));
            } else if now_us < expected_us.saturating_sub(JUMP_US) {
                self.doubted_until_us = None;
            }
        }
        if self.doubted_until_us.is_some_and(|until_us| steady_us >= until_us) {
            self.doubted_until_us = None;
        }
        self.doubted_until_us.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: u64 = 3600 * 1_000_000;

    #[test]
    fn a_clock_that_was_set_ahead_is_believed_after_an_hour() {
        let mut jumps = Jumps::default();
        assert!(jumps.is_believed(50 * HOUR_US, 0));
        assert!(jumps.is_believed(60 * HOUR_US, 10 * HOUR_US), "time passed");
        assert!(!jumps.is_believed(90 * HOUR_US, 10 * HOUR_US + 1));
        assert!(!jumps.is_believed(90 * HOUR_US + 5, 10 * HOUR_US + 6));
        assert!(jumps.is_believed(91 * HOUR_US, 11 * HOUR_US + 1));
        assert!(!jumps.is_believed(99 * HOUR_US, 11 * HOUR_US + 2));
        assert!(jumps.is_believed(91 * HOUR_US, 11 * HOUR_US + 3), "set back");
        assert!(jumps.is_believed(90 * HOUR_US, 12 * HOUR_US));
    }
}
