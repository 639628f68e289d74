//! Links between services, of the traces that touch a window: segments are read trace by trace, traces that lie in several
//! parts are put together first, and each is counted once.

use super::gather::Gathered;
use super::{Parts, split};
use crate::segment::Segment;
use crate::store::{DependencyWindow, ReadError};
use hashbrown::HashSet;
use std::sync::Arc;
use tracewell_model::{DependencyLink, DependencyLinker, SpanRef, TraceGrouping};

/// See [`crate::Store::dependencies`].
pub(super) fn links(parts: &Parts<'_>, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
    let mut linker = DependencyLinker::default();
    let split = split::of_segments(parts.segments);
    let mut several: HashSet<u64> = split::of_memtables(parts);
    several.extend(&split.lows);
    for segment in parts.segments {
        for low in traces_near(segment, window).filter(|low| !several.contains(low)) {
            link(&Gathered::read_from(segment, low)?, window, &mut linker);
        }
    }
    for memtable in &parts.memtables {
        for low in memtable.lows(0).into_iter().filter(|low| !several.contains(low)) {
            link(&Gathered::read_from_memtable(memtable, low), window, &mut linker);
        }
    }
    for low in several {
        link(&Gathered::read(parts, low)?, window, &mut linker);
    }
    Ok(linker.links())
}

/// The traces that may have a span inside the window.
fn traces_near(segment: &Arc<Segment>, window: DependencyWindow) -> impl Iterator<Item = u64> + '_ {
    let near = move |trace: &u32| {
        let (min, max) = segment.trace_starts_us(*trace);
        max != 0 && max >= window.start_us && min <= window.end_us
    };
    (0..segment.traces()).filter(near).map(|trace| segment.trace_low(trace))
}

fn link(gathered: &Gathered, window: DependencyWindow, linker: &mut DependencyLinker) {
    let inside = |span: &SpanRef<'_>| {
        let start_us = span.timestamp_us();
        start_us != 0 && start_us >= window.start_us && start_us <= window.end_us
    };
    for (_, spans) in gathered.traces(TraceGrouping::LowBits) {
        if spans.iter().any(inside) {
            linker.put_trace(&spans);
        }
    }
}
