//! What a tracer's spans ask their tracer, seldom: about debug traces, and about errors that are none.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::propagation::Problems;
use crate::throttler::DebugThrottler;

/// Whether an error is none.
pub(crate) type IgnoreError = dyn Fn(&(dyn Error + 'static)) -> bool + Send + Sync;

/// jaeger-client's `max_traceback_length`.
const ERROR_CHAIN_BYTES_MAX: usize = 4096;

pub(crate) struct Settings {
    /// Travels in the tracer's id, see [`text_bytes_max`].
    pub(crate) text_bytes_max: u32,
    /// Travels in the tracer's id, see [`keeps_late`].
    pub(crate) late_sampling: bool,
    pub(crate) throttler: Option<Arc<DebugThrottler>>,
    pub(crate) ignore_error: Option<Box<IgnoreError>>,
    /// Of an error's chain of causes.
    pub(crate) error_chain_bytes_max: usize,
    pub(crate) malformed_headers: AtomicU64,
    pub(crate) throttled_debug_spans: AtomicU64,
}

impl Settings {
    /// Whether a span may become a debug span.
    pub(crate) fn allows_debug(&self, operation: &str) -> bool {
        let allowed = self.throttler.as_ref().is_none_or(|throttler| throttler.allow(operation));
        if !allowed {
            self.throttled_debug_spans.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    pub(crate) fn count(&self, problems: Problems) {
        if !problems.is_empty() {
            self.malformed_headers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            text_bytes_max: u32::MAX,
            late_sampling: false,
            throttler: None,
            ignore_error: None,
            error_chain_bytes_max: ERROR_CHAIN_BYTES_MAX,
            malformed_headers: AtomicU64::new(0),
            throttled_debug_spans: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("text_bytes_max", &self.text_bytes_max).finish_non_exhaustive()
    }
}

/// A tracer's id: a number of its own above, below what each tag and each span needs to know, so that none of them
/// looks its tracer up.
pub(crate) const fn tracer_id(number: u32, settings: &Settings) -> u64 {
    let text_bytes_max = if settings.text_bytes_max < LATE { settings.text_bytes_max } else { LATE - 1 };
    let late = if settings.late_sampling { LATE } else { 0 };
    (number as u64) << 32 | (text_bytes_max | late) as u64
}

const LATE: u32 = 1 << 31;

/// Longer texts in tags are cut.
#[inline]
pub(crate) const fn text_bytes_max(tracer_id: u64) -> usize {
    (tracer_id as u32 & !LATE) as usize
}

/// Whether spans that are not recorded keep their name and start.
#[inline]
pub(crate) const fn keeps_late(tracer_id: u64) -> bool {
    tracer_id as u32 & LATE != 0
}
