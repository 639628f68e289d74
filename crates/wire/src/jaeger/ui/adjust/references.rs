//! References that cannot be right go, with a warning; the parent's comes first.

use super::super::trace::UiTrace;

/// Removes references to a trace id of zero.
pub(super) fn remove_invalid(trace: &mut UiTrace) {
    for span in &mut trace.spans {
        let warnings = &mut span.warnings;
        span.references.retain(|reference| {
            let valid = reference.trace_id.value() != 0;
            if !valid {
                let kind = if reference.child_of { "CHILD_OF" } else { "FOLLOWS_FROM" };
                let (trace_id, span_id) = (reference.trace_id, reference.span_id);
                // Jaeger prints the structure as Go has it in memory; a reader is better served by its fields.
                let text =
                    format!("Invalid span reference removed {{TraceID:{trace_id} SpanID:{span_id} RefType:{kind}}}");
                warnings.push(text);
            }
            valid
        });
    }
}

/// Puts the first CHILD_OF of the same trace, or else the first of the same trace, in front: the page takes the first
/// reference for the parent.
pub(super) fn parent_first(trace: &mut UiTrace) {
    for span in &mut trace.spans {
        let own = |child_of: bool| {
            let id = span.trace_id;
            span.references.iter().position(|reference| reference.trace_id == id && (reference.child_of || !child_of))
        };
        if let Some(at) = own(true).or_else(|| own(false)) {
            span.references.swap(0, at);
        }
    }
}
