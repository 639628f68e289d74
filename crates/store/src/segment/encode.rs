//! Spans of a memtable, sorted by trace, to the bytes of a segment: rows in the segment's numbers first, then block by block.

use super::block_writer::{BlockRows, BlockWriter};
use super::dictionary_builder::DictionaryBuilder;
use super::footer::{BlockEntry, HEADER_BYTES, TraceTable, write_end, write_footer};
use super::link_counter::LinkCounter;
use super::read_batches::read_batches;
use super::read_segments::read_segments;
use super::rows::Rows;
use super::terms_builder::TermsBuilder;
use super::{Segment, SegmentBytes, SegmentError, SegmentSummary, Stages};
use crate::memtable::{Memtable, TraceRows, min_known};
use std::cell::Cell;
use std::sync::Arc;

/// A block ends when it has this many rows; one that would get more ends before the trace, unless the trace alone is longer.
const BLOCK_ROWS_MAX: usize = 4096;

/// A block ends when its values have this many bytes, however few rows they make.
const BLOCK_VALUES_BYTES_MAX: u64 = 4 << 20;

/// Writes all spans of a memtable.
pub(crate) fn write_segment(memtable: &Memtable) -> Result<SegmentBytes, SegmentError> {
    write_segment_in_stages(memtable, &mut Stages::unmeasured())
}

/// The same, and says when each stage ends.
pub(crate) fn write_segment_in_stages(
    memtable: &Memtable,
    stages: &mut Stages<'_>,
) -> Result<SegmentBytes, SegmentError> {
    let sealed = memtable.rows_by_trace();
    stages.end("a: rows by trace");
    let mut dictionary = DictionaryBuilder::new(memtable.tag_keys());
    let mut scratch = Scratch::take();
    read_batches(&sealed, &mut dictionary, &mut scratch.rows);
    stages.end("b: rows in numbers");
    write_rows(&sealed.traces, dictionary, scratch, stages)
}

/// Writes all spans of several segments, which stand in the order in which their spans arrived, as one. Damage is an error.
pub(crate) fn write_merged(segments: &[Arc<Segment>], tag_keys: &[String]) -> Result<SegmentBytes, SegmentError> {
    let mut dictionary = DictionaryBuilder::new(tag_keys);
    let mut scratch = Scratch::take();
    let traces = read_segments(segments, &mut dictionary, &mut scratch.rows)?;
    write_rows(&traces, dictionary, scratch, &mut Stages::unmeasured())
}

/// Gives back what this thread keeps for the next segment.
pub(crate) fn forget_scratch() {
    SCRATCH.take();
}

/// What a segment needs while it is written, kept by the thread for the next one: fresh memory costs as much as a tenth of the
/// work.
#[derive(Default)]
struct Scratch {
    rows: Rows,
    block_writer: Option<BlockWriter>,
}

/// More than this is not kept.
const SCRATCH_BYTES_MAX: usize = 32 << 20;

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Scratch {
    fn take() -> Self {
        SCRATCH.take()
    }

    fn keep(rows: Rows, block_writer: BlockWriter) {
        if rows.memory_bytes() + block_writer.memory_bytes() <= SCRATCH_BYTES_MAX {
            SCRATCH.set(Self { rows, block_writer: Some(block_writer) });
        }
    }
}

/// The segment of these traces, whose rows and dictionaries are complete.
fn write_rows(
    traces: &[TraceRows],
    dictionary: DictionaryBuilder,
    scratch: Scratch,
    stages: &mut Stages<'_>,
) -> Result<SegmentBytes, SegmentError> {
    let Scratch { rows, block_writer } = scratch;
    let mut block_writer = match block_writer {
        Some(writer) => writer,
        None => BlockWriter::new()?,
    };
    block_writer.begin();
    let terms = TermsBuilder::new(&dictionary, &rows)?;
    let links = LinkCounter::new(&dictionary);
    let longest = vec![0; dictionary.texts.len()];
    let mut writer = Writer {
        rows,
        dictionary,
        terms,
        links,
        longest,
        block_writer,
        block: Block::default(),
        blocks: vec![],
        traces: TraceTable { first_rows: vec![0], ..TraceTable::default() },
        out: vec![0; HEADER_BYTES],
        stages,
    };
    for trace in traces {
        writer.put_trace(trace)?;
    }
    writer.finish()
}

struct Writer<'a, 'b> {
    rows: Rows,
    dictionary: DictionaryBuilder,
    terms: TermsBuilder,
    links: LinkCounter,
    /// A zero for each text; see [`Rows::spread_longest`].
    longest: Vec<u8>,
    block_writer: BlockWriter,
    block: Block,
    blocks: Vec<BlockEntry>,
    traces: TraceTable,
    out: Vec<u8>,
    stages: &'a mut Stages<'b>,
}

/// The rows of the block being filled.
#[derive(Default)]
struct Block {
    first_row: usize,
    rows: usize,
    first_trace: u32,
    traces: u32,
    trace_ends: Vec<u32>,
    /// See [`BlockRows::begun_before`].
    begun_before: (usize, u32),
    mixed_highs: bool,
    text_bytes: u64,
}

impl Block {
    fn is_full(&self) -> bool {
        self.rows >= BLOCK_ROWS_MAX || self.text_bytes > BLOCK_VALUES_BYTES_MAX
    }

    fn end_trace(&mut self) {
        let rows = self.rows as u32;
        if self.trace_ends.last().copied().unwrap_or(0) < rows {
            self.trace_ends.push(rows);
        }
    }
}

impl Writer<'_, '_> {
    fn put_trace(&mut self, trace: &TraceRows) -> Result<(), SegmentError> {
        let first = self.traces.first_rows.last().copied().unwrap_or(0);
        let end = first.checked_add(trace.rows).ok_or(SegmentError::TooLarge("the table of rows"))?;
        let rows = first as usize..end as usize;
        if self.block.is_full() || self.block.rows + rows.len() > BLOCK_ROWS_MAX {
            self.end_block()?;
        }
        let Some(high) = self.rows.rows[rows.clone()].first().map(|row| row.trace_high) else { return Ok(()) };
        self.block.traces += 1;
        self.rows.spread_longest(rows.clone(), &mut self.longest);
        self.links.add_trace(&self.rows, rows.clone());
        let home = self.blocks.len() as u32;
        for row in rows {
            if self.block.is_full() {
                self.end_block()?;
            }
            if self.blocks.len() as u32 > home {
                self.block.begun_before = (self.block.rows + 1, home);
            }
            let row = &self.rows.rows[row];
            self.block.rows += 1;
            self.block.mixed_highs |= row.trace_high != high;
            self.block.text_bytes += u64::from(row.text_bytes);
        }
        self.block.end_trace();
        self.traces.first_rows.push(end);
        self.traces.lows.push(trace.low);
        self.traces.highs.push(high);
        self.traces.starts_us_min.push(trace.start_us_min);
        self.traces.starts_us_max.push(trace.start_us_max);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), SegmentError> {
        if self.block.rows == 0 {
            return Ok(());
        }
        self.block.end_trace();
        self.stages.end("c: terms");
        let Self { block, rows, dictionary, terms, out, stages, .. } = self;
        let end = block.first_row + block.rows;
        let block_rows = BlockRows {
            first_row: block.first_row as u32,
            first_trace: block.first_trace,
            traces: block.traces,
            trace_ends: &block.trace_ends,
            rows: &rows.rows[block.first_row..end],
            number: self.blocks.len() as u32,
            begun_before: block.begun_before,
            mixed_highs: block.mixed_highs,
        };
        self.links.end_block();
        let entry = self.block_writer.write(&block_rows, rows, dictionary, terms, out, stages)?;
        let first_trace = block.first_trace + block.traces;
        self.block = Block { first_row: end, first_trace, ..Block::default() };
        self.blocks.push(entry);
        Ok(())
    }

    fn finish(mut self) -> Result<SegmentBytes, SegmentError> {
        self.end_block()?;
        let Self { mut rows, dictionary, terms, links, blocks, traces, mut out, mut block_writer, stages, .. } = self;
        let (packer, value_filters) = block_writer.parts();
        let footer = write_footer(&blocks, &traces, &dictionary, terms, value_filters, links.into_bytes(), packer)?;
        write_end(&mut out, &footer);
        rows.sources.clear();
        Scratch::keep(rows, block_writer);
        stages.end("i: footer");
        let summary = SegmentSummary {
            spans: traces.first_rows.last().map_or(0, |&rows| u64::from(rows)),
            traces: traces.lows.len() as u64,
            start_us_min: traces.starts_us_min.iter().fold(0, |min, &start| min_known(min, start)),
            start_us_max: traces.starts_us_max.iter().copied().max().unwrap_or(0),
        };
        Ok(SegmentBytes { bytes: out, summary })
    }
}
