//! Which traces of a segment may answer a query, if no other part has spans of them: first whole blocks are passed over by
//! the terms of the footer, then traces by the few columns that the query's conditions need.
//!
//! A filter may let a trace pass that does not answer the query, never the other way round: the whole trace is checked
//! afterwards.

mod of_span;

use super::block_columns as columns;
use super::dictionary::{Attribute, ValueType};
use super::masks::{BlockMasks, Mask, WantedText, and, or};
use super::terms::{Fact, TermBlock, duration_bucket};
use super::{Segment, SegmentError};
use hashbrown::HashMap;
use std::sync::Arc;
use tracewell_model::{SpanFilter, TraceQuery};

/// A query in the numbers of one segment.
pub(crate) struct SegmentFilter<'a> {
    segment: Arc<Segment>,
    query: &'a TraceQuery,
    /// The texts of the service asked for: its name, in every case that there is.
    services: Option<Vec<u32>>,
    /// Each has to be met by some span of a trace; by one of the service, if one is asked for.
    conditions: Vec<Condition>,
    /// What one span has to meet.
    of_span: Option<&'a SpanFilter>,
}

/// A trace that may answer the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentCandidate {
    pub(crate) low: u64,
    pub(crate) start_us_max: u64,
}

enum Condition {
    Service,
    SpanName(Vec<u32>),
    RemoteService(Vec<u32>),
    Duration,
    /// One of these attributes.
    OneOf(Vec<WantedValue>),
    /// Nothing in the segment meets it.
    Never,
    /// Anything may.
    Always,
}

struct WantedValue {
    attribute: u32,
    /// Any value does.
    any: bool,
    value: String,
    /// The filters of values know it: it is in no dictionary.
    filtered: bool,
    /// The value's code, if the dictionary has it.
    code: Option<u32>,
    fact: Fact,
}

impl<'a> SegmentFilter<'a> {
    /// `None` if no trace of this segment alone can answer the query.
    pub(crate) fn new(segment: &Arc<Segment>, query: &'a TraceQuery) -> Option<Self> {
        Self::with(segment, query, None)
    }

    /// The same for traces of which one span meets a filter. The query asks for no more than every such trace has, but that
    /// what it asks of tags may be met by attributes of resources instead.
    pub(crate) fn of_span(segment: &Arc<Segment>, query: &'a TraceQuery, of_span: &'a SpanFilter) -> Option<Self> {
        Self::with(segment, query, Some(of_span))
    }

    fn with(segment: &Arc<Segment>, query: &'a TraceQuery, of_span: Option<&'a SpanFilter>) -> Option<Self> {
        let summary = segment.summary();
        if summary.start_us_max < query.start_us() || summary.start_us_min > query.end_us() || summary.start_us_max == 0
        {
            return None;
        }
        let filter = Self::of_pieces(segment, query, of_span);
        let possible = filter.conditions.iter().all(|condition| !matches!(condition, Condition::Never));
        possible.then_some(filter)
    }

    /// With each condition of the query, also those that nothing in the segment meets: another part may.
    fn of_pieces(segment: &Arc<Segment>, query: &'a TraceQuery, of_span: Option<&'a SpanFilter>) -> Self {
        let texts = &segment.footer.dictionary.texts;
        let mut conditions = vec![];
        let any_case = |name: &str| Some(texts.find_any_case(name)).filter(|found| !found.is_empty());
        let named =
            |name: &str, condition: fn(Vec<u32>) -> Condition| any_case(name).map_or(Condition::Never, condition);
        let mut services = None;
        if let Some(name) = &query.service_name {
            let found = texts.find_any_case(name);
            conditions.push(if found.is_empty() { Condition::Never } else { Condition::Service });
            services = Some(found);
        }
        conditions.extend(query.span_name.as_deref().map(|name| named(name, Condition::SpanName)));
        conditions.extend(query.remote_service_name.as_deref().map(|name| named(name, Condition::RemoteService)));
        conditions.extend(query.min_duration_us.map(|_| Condition::Duration));
        for (key, value) in &query.annotations {
            let wanted = wanted_values(segment, key, value);
            conditions.push(match wanted.is_empty() {
                _ if of_span.is_some() && segment.may_have_in_resource(key) => Condition::Always,
                true => Condition::Never,
                false => Condition::OneOf(wanted),
            });
        }
        Self { segment: Arc::clone(segment), query, services, conditions, of_span }
    }

    /// The segment it is of.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The blocks in which such traces may begin.
    pub(crate) fn blocks(&self) -> Vec<u32> {
        let longest = self.query.min_duration_us.map_or(1, duration_bucket);
        let mut passing = vec![true; self.segment.footer.blocks.len()];
        for condition in &self.conditions {
            let has = self.blocks_with(condition, longest);
            passing.iter_mut().zip(has).for_each(|(passing, has)| *passing &= has);
        }
        (0u32..).zip(passing).filter(|(_, passing)| *passing).map(|(block, _)| block).collect()
    }

    /// Says of each block whether a trace that begins there may meet a condition, with a span of the service of at least that
    /// bucket of durations.
    fn blocks_with(&self, condition: &Condition, longest: u8) -> Vec<bool> {
        let blocks = self.segment.footer.blocks.len();
        let mut has = vec![false; blocks];
        match condition {
            Condition::Always => has.fill(true),
            Condition::Never => {}
            Condition::Service => self.mark(Fact::Present, longest, &mut has),
            Condition::Duration => {
                self.mark(Fact::Present, self.query.min_duration_us.map_or(1, duration_bucket), &mut has);
            }
            Condition::SpanName(names) => {
                names.iter().for_each(|&name| self.mark(Fact::SpanName(name), longest, &mut has));
            }
            Condition::RemoteService(names) => {
                names.iter().for_each(|&name| self.mark(Fact::RemoteService(name), longest, &mut has));
            }
            Condition::OneOf(wanted) => wanted.iter().for_each(|wanted| {
                if !wanted.filtered {
                    return self.mark(wanted.fact, longest, &mut has);
                }
                let mut possible = vec![false; blocks];
                self.mark(wanted.fact, longest, &mut possible);
                let filters = &self.segment.footer.value_filters;
                filters.keep_possible(wanted.attribute, &wanted.value, &mut possible);
                has.iter_mut().zip(possible).for_each(|(has, possible)| *has |= possible);
            }),
        }
        has
    }

    /// Marks the blocks that have a fact, with a span of the service that is long enough in the same trace.
    fn mark(&self, fact: Fact, longest: u8, has: &mut [bool]) {
        let mut mark = |blocks: &[TermBlock], longest: u8| {
            blocks.iter().filter(|of| of.longest() >= longest).for_each(|of| has[of.block() as usize] = true);
        };
        let terms = &self.segment.footer.terms;
        match &self.services {
            Some(services) => services.iter().for_each(|&service| mark(terms.blocks((fact, service)), longest)),
            // Without a service the long span may be of another one than that which has the fact.
            None if fact == Fact::Present => terms.services(fact).for_each(|(_, blocks)| mark(blocks, longest)),
            None => terms.services(fact).for_each(|(_, blocks)| mark(blocks, 1)),
        }
    }

    /// Those of the traces, all of which begin in the block, whose rows meet all conditions, and those that go on beyond it.
    fn check(&self, segment: &Segment, block: u32, traces: &[u32]) -> Result<Vec<u32>, SegmentError> {
        let entry = segment.block(block);
        let rows_of = |trace: u32| {
            let rows = segment.trace_rows(trace);
            let (from, to) = (rows.start - entry.first_row, rows.end - entry.first_row);
            (to <= entry.rows).then_some(from as usize..to as usize)
        };
        let beyond = || traces.iter().copied().filter(|&trace| rows_of(trace).is_none()).collect();
        let masks = BlockMasks { segment, block };
        let mut met = vec![];
        // Values that are in no dictionary first: the other columns are not needed where there is none of them.
        let (rare, others): (Vec<_>, Vec<_>) =
            self.conditions.iter().partition(|condition| condition.is_of_rare_values());
        let services = self.services.as_deref();
        let mut of_service = None;
        for condition in rare.into_iter().chain(others) {
            let Some(mask) = self.rows_that_meet(condition, masks)? else { return Ok(beyond()) };
            let Some(services) = services else {
                met.push(mask);
                continue;
            };
            let of_service: &Mask = match &of_service {
                Some(known) => known,
                None => {
                    let mask = masks.of_services(columns::LOCAL, |service| services.contains(&service))?;
                    of_service.insert(mask)
                }
            };
            let mask = and(mask, of_service);
            if !mask.contains(&true) {
                return Ok(beyond());
            }
            met.push(mask);
        }
        if let Some(filter) = self.of_span {
            let mask = of_span::rows_that_may_meet(filter, masks)?;
            if !mask.contains(&true) {
                return Ok(beyond());
            }
            met.push(mask);
        }
        let passes = |&trace: &u32| match rows_of(trace) {
            Some(rows) => met.iter().all(|mask| mask[rows.clone()].contains(&true)),
            None => true,
        };
        Ok(traces.iter().copied().filter(passes).collect())
    }

    /// The rows that meet a condition, of whatever service; `None` where none does.
    fn rows_that_meet(&self, condition: &Condition, masks: BlockMasks<'_>) -> Result<Option<Mask>, SegmentError> {
        Ok(Some(match condition {
            Condition::Never => return Ok(None),
            Condition::Service | Condition::Always => masks.all(true),
            Condition::SpanName(names) => masks.of_names(names)?,
            Condition::RemoteService(names) => {
                masks.of_services(columns::REMOTE, |service| names.contains(&service))?
            }
            Condition::Duration => {
                masks.of_times(columns::DURATION, |duration| self.query.duration_met(duration.as_micros()))?
            }
            Condition::OneOf(wanted) => {
                let mut any: Option<Mask> = None;
                for wanted in wanted {
                    let mask = wanted.rows(masks)?;
                    any = match (any, mask) {
                        (Some(any), Some(mask)) => Some(or(any, &mask)),
                        (any, mask) => any.or(mask),
                    };
                }
                return Ok(any);
            }
        }))
    }

    /// The latest start of any trace that begins in a block.
    pub(crate) fn block_start_us_max(&self, block: u32) -> u64 {
        let entry = self.segment.block(block);
        let traces = entry.first_trace as usize..(entry.first_trace + entry.traces) as usize;
        self.segment.footer.traces.starts_us_max[traces].iter().copied().max().unwrap_or(0)
    }

    /// The traces that begin in a block and may answer the query.
    pub(crate) fn candidates(&self, block: u32) -> Result<Vec<SegmentCandidate>, SegmentError> {
        let entry = self.segment.block(block);
        let end = entry.first_row + entry.rows;
        let traces = (entry.first_trace..entry.first_trace + entry.traces).filter(|&trace| {
            let (min, max) = self.segment.trace_starts_us(trace);
            max != 0 && max >= self.query.start_us() && min <= self.query.end_us()
        });
        let mut traces: Vec<u32> = traces.collect();
        if !traces.is_empty() && (!self.conditions.is_empty() || self.of_span.is_some()) {
            let passing = self.segment.unless_damaged(block, |segment| self.check(segment, block, &traces))?;
            // What lies in other blocks can still be found when this one is damaged.
            let beyond = |trace: u32| self.segment.trace_rows(trace).end > end;
            traces = passing.unwrap_or_else(|| traces.into_iter().filter(|&trace| beyond(trace)).collect());
        }
        let candidate = |&trace: &u32| SegmentCandidate {
            low: self.segment.trace_low(trace),
            start_us_max: self.segment.trace_starts_us(trace).1,
        };
        Ok(traces.iter().map(candidate).collect())
    }
}

/// What the pieces of traces that lie in several parts meet, of one segment.
pub(crate) struct PieceFilter<'a> {
    filter: SegmentFilter<'a>,
    /// Of each block a bit for each condition that a trace which begins there may meet.
    blocks: Vec<u64>,
    /// Of the blocks that were looked into, the rows that meet each condition; nothing for a damaged block.
    rows: HashMap<u32, Option<Vec<Option<Mask>>>>,
}

impl<'a> PieceFilter<'a> {
    /// Of a query as for [`SegmentFilter::new`], or with a filter as for [`SegmentFilter::of_span`].
    pub(crate) fn new(segment: &Arc<Segment>, query: &'a TraceQuery, of_span: Option<&'a SpanFilter>) -> Self {
        let filter = SegmentFilter::of_pieces(segment, query, of_span);
        let mut blocks = vec![0u64; segment.footer.blocks.len()];
        for (bit, condition) in filter.conditions.iter().enumerate().take(PIECE_CONDITIONS_MAX) {
            // The long span may be in another piece.
            let has = filter.blocks_with(condition, 1);
            blocks.iter_mut().zip(has).for_each(|(bits, has)| *bits |= u64::from(has) << bit);
        }
        Self { filter, blocks, rows: HashMap::new() }
    }

    /// What all pieces of a trace have to meet together: a bit for each condition.
    pub(crate) fn all(&self) -> u64 {
        let conditions = self.filter.conditions.len().min(PIECE_CONDITIONS_MAX);
        u64::MAX.checked_shr(64 - conditions as u32).unwrap_or(0)
    }

    /// The conditions that a trace's spans here may meet, as far as the block tells.
    pub(crate) fn may_meet(&self, trace: u32) -> u64 {
        self.blocks[self.filter.segment.block_of_trace(trace) as usize]
    }

    /// The same, as far as its rows tell.
    pub(crate) fn meets(&mut self, trace: u32) -> Result<u64, SegmentError> {
        let Self { filter, blocks, rows } = self;
        let segment = Arc::clone(&filter.segment);
        let block = segment.block_of_trace(trace);
        let (entry, bits) = (segment.block(block), blocks[block as usize]);
        let of_trace = segment.trace_rows(trace);
        let (from, to) = (of_trace.start - entry.first_row, of_trace.end - entry.first_row);
        if to > entry.rows {
            return Ok(bits);
        }
        if !rows.contains_key(&block) {
            let masks = segment.unless_damaged(block, |_| filter.masks_of(block, bits))?;
            rows.insert(block, masks);
        }
        let Some(masks) = rows.get(&block).and_then(Option::as_ref) else { return Ok(0) };
        let met = |mask: &Option<Mask>| mask.as_ref().is_some_and(|m| m[from as usize..to as usize].contains(&true));
        Ok(masks.iter().enumerate().filter(|(_, mask)| met(mask)).fold(0, |all, (bit, _)| all | 1 << bit))
    }
}

/// Conditions beyond this number are left to the check of the whole trace.
const PIECE_CONDITIONS_MAX: usize = 64;

impl SegmentFilter<'_> {
    /// The rows that meet each of the conditions whose bits are set.
    fn masks_of(&self, block: u32, bits: u64) -> Result<Vec<Option<Mask>>, SegmentError> {
        let masks = BlockMasks { segment: &self.segment, block };
        let of_service = match &self.services {
            Some(services) => Some(masks.of_services(columns::LOCAL, |service| services.contains(&service))?),
            None => None,
        };
        let mut all = vec![];
        for (bit, condition) in self.conditions.iter().enumerate().take(PIECE_CONDITIONS_MAX) {
            let mask = if bits >> bit & 1 == 0 { None } else { self.rows_that_meet(condition, masks)? };
            all.push(mask.map(|mask| match &of_service {
                Some(of_service) => and(mask, of_service),
                None => mask,
            }));
        }
        Ok(all)
    }
}

impl Condition {
    fn is_of_rare_values(&self) -> bool {
        matches!(self, Self::OneOf(all) if all.iter().all(|wanted| wanted.filtered))
    }
}

impl WantedValue {
    /// The rows that have the value; `None` where none does.
    fn rows(&self, masks: BlockMasks<'_>) -> Result<Option<Mask>, SegmentError> {
        if self.any {
            return masks.with_attribute(self.attribute).map(Some);
        }
        let attribute = masks.segment.footer.dictionary.attribute(self.attribute);
        let attribute = attribute.map_err(|error| masks.malformed(error))?;
        masks.with_value(self.attribute, &WantedText { attribute, text: &self.value, code: self.code })
    }
}

/// What may meet a condition on tags and annotations; nothing if the segment has nothing of it.
fn wanted_values(segment: &Segment, key: &str, value: &str) -> Vec<WantedValue> {
    let dictionary = &segment.footer.dictionary;
    let mut wanted = vec![];
    let mut want = |attribute: u32, entry: &Attribute, any: bool, value: &str| {
        let is_text = entry.key.value_type == ValueType::Str;
        let code = if any || !is_text { None } else { entry.values.find(value) };
        let fact = match code {
            Some(code) if entry.complete => Fact::Value(attribute, code),
            None if entry.complete && is_text && !any => return,
            _ => Fact::Attribute(attribute),
        };
        let filtered = !any && !entry.complete && entry.key.value_type == ValueType::Str;
        wanted.push(WantedValue { attribute, any, value: value.to_owned(), filtered, code, fact });
    };
    for (attribute, entry) in dictionary.tag_columns(key) {
        want(attribute, entry, value.is_empty(), value);
    }
    let text = segment.footer.annotation_text.filter(|_| value.is_empty());
    if let Some((attribute, entry)) = text.and_then(|at| Some((at, dictionary.attributes.get(at as usize)?))) {
        want(attribute, entry, false, key);
    }
    wanted
}
