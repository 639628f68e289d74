//! Zipkin's clients and servers share a span's id; Jaeger's page wants each span to have its own. The server's span gets the
//! next id that is free, from 1 on; the shared id becomes its parent, and the shared id's children become the server's.

use super::super::trace::{UiReference, UiSpan, UiTrace};
use std::collections::{HashMap, HashSet};
use tracewell_model::{Kind, SpanId, Value};

/// See the module's text.
pub(super) fn make_unique(trace: &mut UiTrace) {
    let clients: HashSet<SpanId> =
        trace.spans.iter().filter(|span| says_kind(span, Kind::Client)).map(|span| span.id).collect();
    if clients.is_empty() {
        return;
    }
    let mut used: HashSet<SpanId> = trace.spans.iter().map(|span| span.id).collect();
    let mut last = 0;
    let mut new_ids = HashMap::new();
    for span in &mut trace.spans {
        if !says_kind(span, Kind::Server) || !clients.contains(&span.id) {
            continue;
        }
        let free = (last + 1..u64::MAX).find(|id| !used.contains(&SpanId::new(*id)));
        let Some(id) = free else {
            span.warnings.push("cannot assign unique span ID, too many spans in the trace".to_owned());
            continue;
        };
        last = id;
        let id = SpanId::new(id);
        used.insert(id);
        new_ids.insert(span.id, id);
        let shared = span.id;
        replace_parent(span, shared);
        span.id = id;
    }
    for span in &mut trace.spans {
        let new_parent = span.parent().and_then(|parent| new_ids.get(&parent)).copied();
        if let Some(parent) = new_parent.filter(|parent| *parent != span.id) {
            replace_parent(span, parent);
        }
    }
}

/// By its tag, as Jaeger sees it.
fn says_kind(span: &UiSpan, kind: Kind) -> bool {
    let text = if kind == Kind::Client { "client" } else { "server" };
    let tag = span.tags.iter().find(|tag| tag.key == "span.kind");
    tag.is_some_and(|tag| matches!(&tag.value, Value::Str(found) if found == text))
}

fn replace_parent(span: &mut UiSpan, parent: SpanId) {
    let (trace_id, old) = (span.trace_id, span.parent());
    let mut own = span.references.iter_mut().filter(|reference| reference.trace_id == trace_id);
    match own.find(|reference| Some(reference.span_id) == old) {
        Some(reference) => reference.span_id = parent,
        None => span.references.insert(0, UiReference { trace_id, span_id: parent, child_of: true }),
    }
}
