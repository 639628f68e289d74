//! All traces that touch a window, for what is counted from whole traces: segments are read block by block, traces that lie
//! in several parts are put together first, and each is visited once.

use super::gather::{Gathered, drop_copies};
use super::{Parts, group, split};
use crate::store::{DependencyWindow, ReadError};
use hashbrown::HashSet;
use std::collections::BTreeMap;
use tracewell_model::{DependencyLink, DependencyLinker, SpanRef, TraceGrouping, TraceId};

/// See [`crate::Store::dependencies`].
pub(super) fn links(parts: &Parts<'_>, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
    let mut linker = DependencyLinker::default();
    visit(parts, window, TraceGrouping::LowBits, &mut |spans| linker.put_trace(spans))?;
    Ok(linker.links())
}

/// See [`crate::Store::visit_traces`].
pub(super) fn visit(
    parts: &Parts<'_>,
    window: DependencyWindow,
    grouping: TraceGrouping,
    each: &mut dyn FnMut(&[SpanRef<'_>]),
) -> Result<(), ReadError> {
    let mut several: HashSet<u64> = split::of_memtables(parts);
    several.extend(parts.split.segments.keys());
    for segment in parts.segments {
        let wanted = |trace: u32| {
            let (min, max) = segment.trace_starts_us(trace);
            let near = max != 0 && max >= window.start_us && min <= window.end_us;
            near && !several.contains(&segment.trace_low(trace))
        };
        segment.each_trace(wanted, |batch, rows| {
            let mut traces: BTreeMap<TraceId, Vec<SpanRef<'_>>> = BTreeMap::new();
            for span in rows.map(|row| batch.span(row)) {
                traces.entry(group(span.trace_id(), grouping)).or_default().push(span);
            }
            for spans in traces.values_mut() {
                drop_copies(spans);
                if touches(spans, window) {
                    each(spans);
                }
            }
        })?;
    }
    for memtable in &parts.memtables {
        for low in memtable.lows(0).into_iter().filter(|low| !several.contains(low)) {
            visit_gathered(&Gathered::read_from_memtable(memtable, low), window, grouping, each);
        }
    }
    for low in several {
        visit_gathered(&Gathered::read(parts, low)?, window, grouping, each);
    }
    Ok(())
}

fn visit_gathered(
    gathered: &Gathered,
    window: DependencyWindow,
    grouping: TraceGrouping,
    each: &mut dyn FnMut(&[SpanRef<'_>]),
) {
    for (_, spans) in gathered.traces(grouping) {
        if touches(&spans, window) {
            each(&spans);
        }
    }
}

fn touches(spans: &[SpanRef<'_>], window: DependencyWindow) -> bool {
    spans
        .iter()
        .map(|span| span.timestamp_us())
        .any(|start_us| start_us != 0 && start_us >= window.start_us && start_us <= window.end_us)
}
