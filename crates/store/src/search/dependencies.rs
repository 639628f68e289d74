//! Links between services, of the traces that touch a window: segments are read block by block, traces that lie in several
//! parts are put together first, and each is counted once.

use super::gather::{Gathered, drop_copies};
use super::{Parts, split};
use crate::store::{DependencyWindow, ReadError};
use hashbrown::HashSet;
use tracewell_model::{DependencyLink, DependencyLinker, SpanRef, TraceGrouping};

/// See [`crate::Store::dependencies`].
pub(super) fn links(parts: &Parts<'_>, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
    let mut linker = DependencyLinker::default();
    let split = split::of_segments(parts.segments);
    let mut several: HashSet<u64> = split::of_memtables(parts);
    several.extend(&split.lows);
    for segment in parts.segments {
        let wanted = |trace: u32| {
            let (min, max) = segment.trace_starts_us(trace);
            let near = max != 0 && max >= window.start_us && min <= window.end_us;
            near && !several.contains(&segment.trace_low(trace))
        };
        segment.each_trace(wanted, |batch, rows| {
            let mut spans: Vec<SpanRef<'_>> = rows.map(|row| batch.span(row)).collect();
            drop_copies(&mut spans);
            link(&spans, window, &mut linker);
        })?;
    }
    for memtable in &parts.memtables {
        for low in memtable.lows(0).into_iter().filter(|low| !several.contains(low)) {
            link_gathered(&Gathered::read_from_memtable(memtable, low), window, &mut linker);
        }
    }
    for low in several {
        link_gathered(&Gathered::read(parts, low)?, window, &mut linker);
    }
    Ok(linker.links())
}

fn link_gathered(gathered: &Gathered, window: DependencyWindow, linker: &mut DependencyLinker) {
    for (_, spans) in gathered.traces(TraceGrouping::LowBits) {
        link(&spans, window, linker);
    }
}

fn link(spans: &[SpanRef<'_>], window: DependencyWindow, linker: &mut DependencyLinker) {
    let inside = |span: &SpanRef<'_>| {
        let start_us = span.timestamp_us();
        start_us != 0 && start_us >= window.start_us && start_us <= window.end_us
    };
    if spans.iter().any(inside) {
        linker.put_trace(spans);
    }
}
