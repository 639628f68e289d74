//! What Jaeger 1.76 does to a trace before it is answered, unless the raw one is asked for: each in a file of its own, a
//! function of the trace alone.

mod clock_skew;
mod copies;
mod go_duration;
mod ip_tags;
mod library_tags;
mod order;
mod references;
mod span_ids;

pub use go_duration::go_duration_text;

use super::trace::UiTrace;
use std::time::Duration;

/// A change of a trace.
pub type Adjuster = fn(&mut UiTrace, &Adjustments);

/// How traces are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adjustments {
    /// How far a span is moved at most because its host's clock seems to be wrong; zero moves nothing and tells.
    pub clock_skew_max: Duration,
}

impl Adjustments {
    /// In the order of Jaeger 1.76.
    pub const ALL: [Adjuster; 8] = [
        |trace, _| span_ids::make_unique(trace),
        |trace, _| order::sort_tags(trace),
        |trace, _| copies::remove(trace),
        |trace, adjustments| clock_skew::adjust(trace, adjustments.clock_skew_max),
        |trace, _| ip_tags::to_text(trace),
        |trace, _| library_tags::move_to_process(trace),
        |trace, _| references::remove_invalid(trace),
        |trace, _| references::parent_first(trace),
    ];

    /// The first and the fourth alone, which leave every span in its place. A parent that is missing is told as newer
    /// versions of Jaeger tell it.
    pub(super) fn adjust_ids_and_times(&self, trace: &mut UiTrace) {
        span_ids::make_unique(trace);
        clock_skew::adjust(trace, self.clock_skew_max);
        for warning in trace.spans.iter_mut().flat_map(|span| &mut span.warnings) {
            let missing = warning.strip_prefix("invalid parent span IDs=").and_then(|rest| rest.get(..16));
            if let Some(id) = missing {
                *warning = format!("parent span ID={id} is not in the trace; skipping clock skew adjustment");
            }
        }
    }

    /// Adjusts a trace.
    pub fn adjust(&self, trace: &mut UiTrace) {
        Self::ALL.iter().for_each(|adjuster| adjuster(trace, self));
    }
}
