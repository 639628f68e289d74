//! Spans that say the same are answered once. Goes behind the sorting of tags, whose order then says nothing.

use super::super::trace::UiTrace;
use std::collections::HashSet;

/// See the module's text.
pub(super) fn remove(trace: &mut UiTrace) {
    let mut seen = HashSet::with_capacity(trace.spans.len());
    trace.spans.retain(|span| seen.insert(span.fingerprint()));
}
