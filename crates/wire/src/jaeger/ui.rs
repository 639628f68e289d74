//! A trace as Jaeger's query API answers it: put together from spans wherever they came from, adjusted, written as the JSON
//! that Jaeger's page reads.
//!
//! On the way out one trace is handled at a time, so it is held in owned form: the adjusters change whatever they like.

mod adjust;
mod json;
mod otlp;
mod tag_search;
mod trace;

pub use adjust::{Adjuster, Adjustments, go_duration_text};
pub use otlp::adjusted_batch;
pub use tag_search::{service_shown, span_has_tags};
pub use trace::{UiLog, UiProcess, UiReference, UiSpan, UiTag, UiTrace};

#[cfg(test)]
mod tests;
