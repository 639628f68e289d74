//! Links between services, and visits of all traces that touch a window. Segments have counted the links of their traces, block
//! by block; what is left to do is at the window's ends, for traces that lie in several parts, and for recent batches.

mod service_codes;
mod window;

use super::gather::Gathered;
use super::{Parts, group, split};
use crate::copies::drop_copies;
use crate::memtable::MemSnapshot;
use crate::segment::{LinkReader, Segment};
use crate::store::{DependencyWindow, ReadError};
use crate::watch::go_on;
use hashbrown::{HashMap, HashSet};
use service_codes::{SegmentCodes, ServiceCodes};
use std::collections::BTreeMap;
use tracewell_model::{DependencyLink, DependencyLinker, LinkSpan, PlainLinker, SpanRef, TraceGrouping, TraceId};
use window::Inside;

/// After so many traces it is looked whether anybody still waits.
const LOOKS_UP_EVERY: usize = 64;

/// See [`crate::Store::dependencies`].
pub(super) fn links(parts: &Parts<'_>, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
    let of_memtables = split::of_memtables(parts)?;
    let mut counter = Counter {
        parts,
        window,
        of_memtables,
        codes: ServiceCodes::default(),
        linker: PlainLinker::default(),
        counts: HashMap::new(),
        pieces: HashMap::new(),
    };
    for at in 0..parts.segments.len() {
        go_on()?;
        counter.add_segment(at)?;
    }
    for memtable in &parts.memtables {
        counter.add_memtable(memtable)?;
    }
    counter.add_split()?;
    Ok(counter.links())
}

struct Counter<'a> {
    parts: &'a Parts<'a>,
    window: DependencyWindow,
    /// Traces of memtables that lie in another part too.
    of_memtables: HashSet<u64>,
    codes: ServiceCodes,
    linker: PlainLinker,
    /// By parent and child: calls, and those that failed.
    counts: HashMap<(u32, u32), (i64, i64)>,
    /// The pieces, met so far, of traces that lie in several parts.
    pieces: HashMap<u64, Pieces>,
}

#[derive(Default)]
struct Pieces {
    spans: Vec<LinkSpan>,
    inside: Inside,
    /// Some piece could not be read as such.
    is_odd: bool,
    /// In how many segments it was met.
    segments: usize,
}

impl Counter<'_> {
    fn add_segment(&mut self, at: usize) -> Result<(), ReadError> {
        let Some(segment) = self.parts.segments[at].get()? else { return Ok(()) };
        let segment: &Segment = &segment;
        let mut codes = self.codes.of_segment(segment);
        let in_several = |low: u64| self.parts.split.segments.contains_key(&low) || self.of_memtables.contains(&low);
        // What has to be looked at a trace at a time: those of which the block's count says too much, then the others.
        let (mut taken_out, mut single) = (vec![], vec![]);
        for block in 0..segment.blocks() {
            let traces = segment.traces_of_block(block);
            let inside = |trace: u32| Inside::of(segment.trace_starts_us(trace), self.window);
            let all_inside = traces.clone().all(|trace| inside(trace) == Inside::Yes);
            if let Some((links, odd)) = segment.links_of_block(block).filter(|_| all_inside) {
                for link in links {
                    let pair = (codes.text(&mut self.codes, link.parent), codes.text(&mut self.codes, link.child));
                    let count = self.counts.entry(pair).or_default();
                    *count = (count.0 + link.calls as i64, count.1 + link.errors as i64);
                }
                let odd: Vec<u32> = odd.iter().map(|odd| traces.start + odd).collect();
                single.extend(&odd);
                taken_out.extend(traces.filter(|trace| in_several(segment.trace_low(*trace)) && !odd.contains(trace)));
            } else {
                single.extend(
                    traces.filter(|&trace| inside(trace) != Inside::No || in_several(segment.trace_low(trace))),
                );
            }
        }
        let single = single.into_iter().map(|trace| (trace, false));
        let mut wanted: Vec<(u32, bool)> = taken_out.into_iter().map(|trace| (trace, true)).chain(single).collect();
        wanted.sort_unstable();
        self.add_traces(segment, &mut codes, &wanted)
    }

    /// Adds traces of a segment, ascending; with each, whether its links are among those of its block.
    fn add_traces(
        &mut self,
        segment: &Segment,
        codes: &mut SegmentCodes<'_>,
        wanted: &[(u32, bool)],
    ) -> Result<(), ReadError> {
        let mut reader: Option<(u32, Option<LinkReader<'_>>)> = None;
        let mut spans = vec![];
        for &(trace, counted) in wanted {
            let block = segment.block_of_trace(trace);
            if reader.as_ref().is_none_or(|(of, _)| *of != block) {
                go_on()?;
                reader = Some((block, segment.link_reader(block)?));
            }
            let reader = reader.as_ref().and_then(|(_, reader)| reader.as_ref());
            spans.clear();
            let read = reader.map_or(Ok(false), |reader| reader.read(trace, &mut spans))?;
            for span in &mut spans {
                codes.translate(&mut self.codes, span);
            }
            let low = segment.trace_low(trace);
            let inside = Inside::of(segment.trace_starts_us(trace), self.window);
            let several = self.parts.split.segments.get(&low).map_or(0, Vec::len);
            if several == 0 && !self.of_memtables.contains(&low) {
                if inside == Inside::Perhaps || !read || !self.count(&spans, 1) {
                    self.count_gathered(&Gathered::read_from_segment(segment, low)?, self.window, 1);
                }
                continue;
            }
            if counted && !(read && self.count(&spans, -1)) {
                let all = DependencyWindow { start_us: 0, end_us: u64::MAX };
                self.count_gathered(&Gathered::read_from_segment(segment, low)?, all, -1);
            }
            let pieces = self.pieces.entry(low).or_default();
            pieces.spans.extend_from_slice(&spans);
            pieces.inside = pieces.inside.or(inside);
            pieces.is_odd |= !read;
            pieces.segments += 1;
            if pieces.segments >= several && !self.of_memtables.contains(&low) {
                self.end_pieces(low)?;
            }
        }
        Ok(())
    }

    fn add_memtable(&mut self, memtable: &MemSnapshot) -> Result<(), ReadError> {
        let mut spans = vec![];
        for (at, low) in memtable.lows(0).into_iter().enumerate() {
            if at % LOOKS_UP_EVERY == 0 {
                go_on()?;
            }
            spans.clear();
            let mut starts_us = (0, 0);
            let codes = &mut self.codes;
            memtable.trace(low, |batch, row| {
                let span = batch.span(row);
                starts_us = window::with(starts_us, span.timestamp_us());
                spans.push(codes.link_span(span));
            });
            let inside = Inside::of(starts_us, self.window);
            if self.of_memtables.contains(&low) || self.parts.split.segments.contains_key(&low) {
                let pieces = self.pieces.entry(low).or_default();
                pieces.spans.extend_from_slice(&spans);
                pieces.inside = pieces.inside.or(inside);
            } else if inside == Inside::Perhaps || inside == Inside::Yes && !self.count(&spans, 1) {
                self.count_gathered(&Gathered::read_from_memtable(memtable, low), self.window, 1);
            }
        }
        self.codes.end_batches();
        Ok(())
    }

    /// The traces that lie in several parts, of which some is a memtable.
    fn add_split(&mut self) -> Result<(), ReadError> {
        let lows: Vec<u64> = self.pieces.keys().copied().collect();
        for (at, low) in lows.into_iter().enumerate() {
            if at % LOOKS_UP_EVERY == 0 {
                go_on()?;
            }
            self.end_pieces(low)?;
        }
        Ok(())
    }

    /// All pieces of a trace are there.
    fn end_pieces(&mut self, low: u64) -> Result<(), ReadError> {
        let Some(pieces) = self.pieces.remove(&low) else { return Ok(()) };
        let is_odd = pieces.is_odd || pieces.inside == Inside::Perhaps;
        if pieces.inside != Inside::No && (is_odd || !self.count(&pieces.spans, 1)) {
            self.count_gathered(&Gathered::read(self.parts, low)?, self.window, 1);
        }
        Ok(())
    }

    /// Counts the links of a trace so often; answers whether it could.
    fn count(&mut self, spans: &[LinkSpan], times: i64) -> bool {
        let Self { linker, counts, .. } = self;
        linker.link(spans, |parent, child, is_error| {
            let count = counts.entry((parent, child)).or_default();
            *count = (count.0 + times, count.1 + times * i64::from(is_error));
        })
    }

    fn count_gathered(&mut self, gathered: &Gathered, window: DependencyWindow, times: i64) {
        let mut linker = DependencyLinker::default();
        visit_gathered(gathered, window, TraceGrouping::LowBits, &mut |spans| linker.put_trace(spans));
        for link in linker.links() {
            let pair = (self.codes.code(&link.parent), self.codes.code(&link.child));
            let count = self.counts.entry(pair).or_default();
            *count = (count.0 + times * link.call_count as i64, count.1 + times * link.error_count as i64);
        }
    }

    fn links(self) -> Vec<DependencyLink> {
        let Self { codes, counts, .. } = self;
        let link = |((parent, child), (calls, errors)): ((u32, u32), (i64, i64))| DependencyLink {
            parent: codes.text(parent).to_owned(),
            child: codes.text(child).to_owned(),
            call_count: u64::try_from(calls).unwrap_or(0),
            error_count: u64::try_from(errors).unwrap_or(0),
        };
        let mut links: Vec<_> = counts.into_iter().map(link).filter(|link| link.call_count > 0).collect();
        links.sort();
        links
    }
}

/// See [`crate::Store::visit_traces`].
pub(super) fn visit(
    parts: &Parts<'_>,
    window: DependencyWindow,
    grouping: TraceGrouping,
    each: &mut dyn FnMut(&[SpanRef<'_>]),
) -> Result<(), ReadError> {
    let mut several: HashSet<u64> = split::of_memtables(parts)?;
    several.extend(parts.split.segments.keys());
    for segment in parts.segments {
        let Some(segment) = segment.get()? else { continue };
        let wanted = |trace: u32| {
            let (min, max) = segment.trace_starts_us(trace);
            let near = max != 0 && max >= window.start_us && min <= window.end_us;
            near && !several.contains(&segment.trace_low(trace))
        };
        for block in 0..segment.blocks() {
            go_on()?;
            segment.each_trace_of_block(block, &wanted, &mut |batch, rows| {
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
    }
    for memtable in &parts.memtables {
        for (at, low) in memtable.lows(0).into_iter().filter(|low| !several.contains(low)).enumerate() {
            if at % LOOKS_UP_EVERY == 0 {
                go_on()?;
            }
            visit_gathered(&Gathered::read_from_memtable(memtable, low), window, grouping, each);
        }
    }
    for low in several {
        go_on()?;
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
    let starts_us = spans.iter().map(|span| span.timestamp_us());
    starts_us.into_iter().any(|start_us| window::contains(window, start_us))
}
