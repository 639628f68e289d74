//! Whether a trace has a span that starts inside a window, as far as its first and last start tell.

use crate::store::DependencyWindow;

/// Whether some span starts inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Inside {
    #[default]
    No,
    /// There are some before and some behind it.
    Perhaps,
    Yes,
}

impl Inside {
    /// Of a trace with this first and last start; zero where no span has one.
    pub(super) fn of((min, max): (u64, u64), window: DependencyWindow) -> Self {
        if contains(window, min) || contains(window, max) {
            Self::Yes
        } else if min < window.start_us && max > window.end_us && max != 0 {
            Self::Perhaps
        } else {
            Self::No
        }
    }

    /// Of two pieces of a trace.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Perhaps,
        }
    }
}

/// Whether a start, zero for none, is inside.
pub(super) fn contains(window: DependencyWindow, start_us: u64) -> bool {
    start_us != 0 && start_us >= window.start_us && start_us <= window.end_us
}

/// The first and last start with one more; zero for none.
pub(super) fn with((min, max): (u64, u64), start_us: u64) -> (u64, u64) {
    match (min, start_us) {
        (_, 0) => (min, max),
        (0, _) => (start_us, start_us),
        _ => (min.min(start_us), max.max(start_us)),
    }
}
