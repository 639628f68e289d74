//! Which traces of a segment may answer a query, if no other part has spans of them: first whole blocks are passed over by
//! the terms of the footer, then traces by the few columns that the query's conditions need.
//!
//! A filter may let a trace pass that does not answer the query, never the other way round: the whole trace is checked
//! afterwards.

use super::block::Codes;
use super::block_columns as columns;
use super::column::Column;
use super::dictionary::{Attribute, ValueType};
use super::terms::{Fact, duration_bucket};
use super::{Segment, SegmentError};
use hashbrown::HashMap;
use std::sync::Arc;
use tracewell_model::{Time, TraceQuery};

/// Conditions beyond this number are left to the check of the whole trace.
const CONDITIONS_MAX: usize = 64;

/// A query in the numbers of one segment.
pub(crate) struct SegmentFilter<'a> {
    segment: &'a Segment,
    query: &'a TraceQuery,
    /// The texts of the service asked for: its name, in every case that there is.
    services: Option<Vec<u32>>,
    /// Each has to be met by some span of a trace; by one of the service, if one is asked for.
    conditions: Vec<Condition>,
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
}

struct WantedValue {
    attribute: u32,
    /// Any value does, or whether it does is seen later.
    any: bool,
    value: String,
    /// The value's code, if the dictionary has it.
    code: Option<u32>,
    fact: Fact,
}

impl<'a> SegmentFilter<'a> {
    /// `None` if no trace of this segment alone can answer the query.
    pub(crate) fn new(segment: &'a Segment, query: &'a TraceQuery) -> Option<Self> {
        let summary = segment.summary();
        if summary.start_us_max < query.start_us() || summary.start_us_min > query.end_us() || summary.start_us_max == 0
        {
            return None;
        }
        let texts = &segment.footer.dictionary.texts;
        let mut conditions = vec![];
        let any_case = |name: &str| Some(texts.find_any_case(name)).filter(|found| !found.is_empty());
        let mut services = None;
        if let Some(name) = &query.service_name {
            services = Some(any_case(name)?);
            conditions.push(Condition::Service);
        }
        if let Some(name) = &query.span_name {
            conditions.push(Condition::SpanName(any_case(name)?));
        }
        if let Some(name) = &query.remote_service_name {
            conditions.push(Condition::RemoteService(any_case(name)?));
        }
        if query.min_duration_us.is_some() {
            conditions.push(Condition::Duration);
        }
        for (key, value) in &query.annotations {
            let wanted = wanted_values(segment, key, value);
            if wanted.is_empty() {
                return None;
            }
            conditions.push(Condition::OneOf(wanted));
        }
        conditions.truncate(CONDITIONS_MAX);
        Some(Self { segment, query, services, conditions })
    }

    /// The blocks in which such traces may begin.
    pub(crate) fn blocks(&self) -> Vec<u32> {
        let blocks = self.segment.footer.blocks.len();
        let mut passing = vec![true; blocks];
        for condition in &self.conditions {
            let mut has = vec![false; blocks];
            match condition {
                Condition::Service => self.mark(Fact::Present, &mut has),
                Condition::SpanName(names) => names.iter().for_each(|&name| self.mark(Fact::SpanName(name), &mut has)),
                Condition::RemoteService(names) => {
                    names.iter().for_each(|&name| self.mark(Fact::RemoteService(name), &mut has));
                }
                Condition::Duration => self.mark(Fact::Present, &mut has),
                Condition::OneOf(wanted) => wanted.iter().for_each(|wanted| self.mark(wanted.fact, &mut has)),
            }
            passing.iter_mut().zip(has).for_each(|(passing, has)| *passing &= has);
        }
        (0u32..).zip(passing).filter(|(_, passing)| *passing).map(|(block, _)| block).collect()
    }

    /// Marks the blocks that have a fact, with a span of the service that is long enough in the same trace.
    fn mark(&self, fact: Fact, has: &mut [bool]) {
        let longest = self.query.min_duration_us.map_or(1, duration_bucket);
        let mut mark = |blocks: &[(u32, u8)], longest: u8| {
            blocks.iter().filter(|(_, byte)| *byte >= longest).for_each(|(block, _)| has[*block as usize] = true);
        };
        let terms = &self.segment.footer.terms;
        match &self.services {
            Some(services) => services.iter().for_each(|&service| mark(terms.blocks((fact, service)), longest)),
            // Without a service the long span may be of another one than that which has the fact.
            None if fact == Fact::Present => terms.services(fact).for_each(|(_, blocks)| mark(blocks, longest)),
            None => terms.services(fact).for_each(|(_, blocks)| mark(blocks, 1)),
        }
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
        if !traces.is_empty() && !self.conditions.is_empty() {
            let check = |segment: &Segment| BlockCheck::new(self, segment, block)?.check(&traces);
            let passing = self.segment.unless_damaged(block, check)?;
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

/// What may meet a condition on tags and annotations; nothing if the segment has nothing of it.
fn wanted_values(segment: &Segment, key: &str, value: &str) -> Vec<WantedValue> {
    let dictionary = &segment.footer.dictionary;
    let mut wanted = vec![];
    let mut want = |attribute: u32, entry: &Attribute, any: bool, value: &str| {
        let code = if any { None } else { entry.values.find(value) };
        let fact = match code {
            Some(code) if entry.complete => Fact::Value(attribute, code),
            None if entry.complete && !any => return,
            _ => Fact::Attribute(attribute),
        };
        wanted.push(WantedValue { attribute, any, value: value.to_owned(), code, fact });
    };
    for (attribute, entry) in dictionary.tag_columns(key) {
        want(attribute, entry, value.is_empty() || entry.key.value_type != ValueType::Str, value);
    }
    let text = segment.footer.annotation_text.filter(|_| value.is_empty());
    if let Some((attribute, entry)) = text.and_then(|at| Some((at, dictionary.attributes.get(at as usize)?))) {
        want(attribute, entry, false, key);
    }
    wanted
}

/// The columns of a block that a query needs.
struct BlockCheck<'a> {
    filter: &'a SegmentFilter<'a>,
    block: u32,
    locals: Codes,
    names: Codes,
    remotes: Codes,
    durations: Option<Arc<Column>>,
    shapes: Codes,
    annotation_counts: Codes,
    values: Vec<CheckedValues<'a>>,
    /// A shape's columns among `values`, in the order of their attributes.
    values_of_shapes: HashMap<u32, Vec<usize>>,
    annotation_values: Option<usize>,
}

/// A column in which a value is looked for.
struct CheckedValues<'a> {
    attribute: u32,
    column: Option<Arc<Column>>,
    next: usize,
    /// Bits of conditions, and what meets each.
    wanted: Vec<(u64, &'a WantedValue)>,
}

impl<'a> BlockCheck<'a> {
    fn new(filter: &'a SegmentFilter<'a>, segment: &'a Segment, block: u32) -> Result<Self, SegmentError> {
        let needs = |needed: fn(&Condition) -> bool| filter.conditions.iter().any(needed);
        let codes = |needed: bool, number: u32| if needed { segment.codes(block, number) } else { Ok(Codes::none()) };
        let durations = needs(|condition| matches!(condition, Condition::Duration));
        let mut values: Vec<CheckedValues<'a>> = vec![];
        for (at, condition) in filter.conditions.iter().enumerate() {
            let Condition::OneOf(all) = condition else { continue };
            for wanted in all {
                let known = values.iter().position(|values| values.attribute == wanted.attribute);
                let at_values = match known {
                    Some(known) => known,
                    None => {
                        let column = segment.column(block, columns::FIRST_ATTRIBUTE + wanted.attribute)?;
                        let attribute = wanted.attribute;
                        values.push(CheckedValues { attribute, column, next: 0, wanted: vec![] });
                        values.len() - 1
                    }
                };
                values[at_values].wanted.push((1 << at, wanted));
            }
        }
        let text = segment.footer.annotation_text;
        let annotation_values = values.iter().position(|values| Some(values.attribute) == text);
        Ok(Self {
            block,
            locals: codes(filter.services.is_some(), columns::LOCAL)?,
            names: codes(needs(|condition| matches!(condition, Condition::SpanName(_))), columns::NAME)?,
            remotes: codes(needs(|condition| matches!(condition, Condition::RemoteService(_))), columns::REMOTE)?,
            durations: if durations { segment.column(block, columns::DURATION)? } else { None },
            shapes: codes(!values.is_empty(), columns::SHAPE)?,
            annotation_counts: codes(annotation_values.is_some(), columns::ANNOTATION_COUNT)?,
            values,
            values_of_shapes: HashMap::new(),
            annotation_values,
            filter,
        })
    }

    /// Those of the traces, all of which begin in the block, whose spans meet all conditions, and those that go on beyond it.
    fn check(mut self, traces: &[u32]) -> Result<Vec<u32>, SegmentError> {
        let segment = self.filter.segment;
        let entry = segment.block(self.block);
        let open = u64::MAX >> (64 - self.filter.conditions.len());
        let mut passing = vec![];
        let mut row = 0;
        for &trace in traces {
            let rows = segment.trace_rows(trace);
            let (from, to) = (rows.start - entry.first_row, rows.end - entry.first_row);
            if to > entry.rows {
                passing.push(trace);
                continue;
            }
            let mut met = 0;
            while row < to {
                met |= self.check_row(row, row >= from).map_err(|error| {
                    let offset = entry.columns.first().map_or(0, |column| column.offset);
                    segment.malformed(offset, error)
                })?;
                row += 1;
            }
            if met & open == open {
                passing.push(trace);
            }
        }
        Ok(passing)
    }

    /// The conditions that a row meets. Rows have to be asked one after the other; `counts` is false for those in between.
    fn check_row(&mut self, row: u32, counts: bool) -> Result<u64, super::Malformed> {
        let SegmentFilter { segment, services, conditions, query } = self.filter;
        let dictionary = &segment.footer.dictionary;
        let of_service = match services {
            Some(services) => services.contains(&dictionary.endpoint(self.locals.get(row)?)?.service),
            None => true,
        };
        let counts = counts && of_service;
        let mut met = self.check_values(row, counts)?;
        if !counts {
            return Ok(0);
        }
        for (at, condition) in conditions.iter().enumerate() {
            let meets = match condition {
                Condition::Service => true,
                Condition::SpanName(names) => names.contains(&self.names.get(row)?),
                Condition::RemoteService(names) => {
                    names.contains(&dictionary.endpoint(self.remotes.get(row)?)?.service)
                }
                Condition::Duration => {
                    let bits = match &self.durations {
                        Some(column) => column.u64s()?.get(row as usize).copied(),
                        None => Some(0),
                    };
                    query.duration_met(Time::from_bits(bits.unwrap_or(0)).as_micros())
                }
                Condition::OneOf(_) => false,
            };
            met |= u64::from(meets) << at;
        }
        Ok(met)
    }

    fn check_values(&mut self, row: u32, counts: bool) -> Result<u64, super::Malformed> {
        let Self { filter, values, values_of_shapes, shapes, .. } = self;
        if values.is_empty() {
            return Ok(0);
        }
        let dictionary = &filter.segment.footer.dictionary;
        let shape = shapes.get(row)?;
        let mut met = 0;
        if shape != 0 {
            if !values_of_shapes.contains_key(&shape) {
                let column = |attribute: &u32| values.iter().position(|values| values.attribute == *attribute);
                let columns = dictionary.shape(shape)?.iter().filter_map(column).collect();
                values_of_shapes.insert(shape, columns);
            }
            for &at in values_of_shapes.get(&shape).map_or(&[][..], Vec::as_slice) {
                met |= values[at].check_next(counts)?;
            }
        }
        if let Some(at) = self.annotation_values {
            for _ in 0..self.annotation_counts.get(row)? {
                met |= self.values[at].check_next(counts)?;
            }
        }
        Ok(met)
    }
}

impl CheckedValues<'_> {
    fn check_next(&mut self, counts: bool) -> Result<u64, super::Malformed> {
        let at = self.next;
        self.next += 1;
        if !counts {
            return Ok(0);
        }
        let mut met = 0;
        for (bit, wanted) in &self.wanted {
            let meets = wanted.any
                || match self.column.as_deref() {
                    Some(Column::U32(codes)) => codes.get(at).is_some_and(|&code| Some(code) == wanted.code),
                    Some(texts) => texts.text(at)? == wanted.value,
                    None => false,
                };
            met |= if meets { *bit } else { 0 };
        }
        Ok(met)
    }
}
