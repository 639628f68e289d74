//! Sealed segments: an immutable file each, written from a memtable, read block by block and column by column.
//!
//! The format is described byte by byte in `docs/format.md`. Nothing read from a file is trusted before its checksum, and
//! nothing that passes it is trusted to make sense: damage costs the spans of the block it lies in, is remembered with file
//! and offset, and never panics.

mod block;
mod block_columns;
mod block_writer;
mod bytes;
mod cache;
mod codes;
mod column;
mod dictionary;
mod dictionary_builder;
mod encode;
mod equal;
mod filter;
mod footer;
mod gather;
mod handle;
mod id_filter;
mod link_counter;
mod links;
mod masks;
mod numbers;
mod operations;
mod packing;
mod parity;
mod part_of_trace;
mod rare;
mod read_batches;
mod read_segments;
mod rows;
mod sizes;
mod stages;
mod templates;
mod terms;
mod terms_builder;
#[cfg(test)]
mod tests;
mod value_filters;
mod verify;

pub use cache::{block_cache_bytes, set_block_cache_bytes_max};
pub(crate) use encode::{forget_scratch, write_merged, write_segment, write_segment_in_stages};
pub(crate) use filter::{PieceFilter, SegmentFilter};
pub(crate) use handle::SegmentHandle;
pub(crate) use links::LinkReader;
pub(crate) use stages::Stages;
pub(crate) use verify::{Verified, Wrong, verify_segment};

use crate::part::next_part_id;
use crate::seams::{Blobs, SeamError};
use block_columns::{FIRST_ATTRIBUTE, Prediction, SHAPE, START};
use bytes::{Malformed, Reader};
use cache::ColumnCache;
use column::Column;
use dictionary::{TextTable, ValueType};
use footer::{BlockEntry, ColumnEntry, Footer, HEADER_BYTES, Header, HeaderError, VERSION_1};
use hashbrown::HashMap;
use operations::Operations;
use packing::unpack;
use parity::{Pages, split_end};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use terms::Fact;
use tracewell_model::SpanBatch;

/// What a segment holds. Times are microseconds since the epoch, 0 where no span has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SegmentSummary {
    pub(crate) spans: u64,
    pub(crate) traces: u64,
    pub(crate) start_us_min: u64,
    pub(crate) start_us_max: u64,
}

/// A segment that was written, to be put somewhere.
#[derive(Debug)]
pub(crate) struct SegmentBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) summary: SegmentSummary,
}

/// Why a segment, or a part of it, was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SegmentError {
    /// What is read is not what was written.
    #[error("{file} is damaged at offset {offset}: {what}")]
    Damaged { file: String, offset: u64, what: String },
    /// A newer server has written it.
    #[error("{file} has format version {version}; this server reads up to {known}", known = footer::VERSION)]
    Version { file: String, version: u32 },
    /// Its bytes could not be had.
    #[error(transparent)]
    Read(#[from] SeamError),
    /// More than the format has room for.
    #[error("a segment cannot be written: {0} is too large")]
    TooLarge(&'static str),
    /// Compression failed.
    #[error("a segment cannot be compressed: {0}")]
    Pack(String),
}

/// An open segment: what its footer says, in memory; blocks are read when asked for.
pub(crate) struct Segment {
    id: u64,
    name: String,
    blobs: Arc<dyn Blobs>,
    footer: Footer,
    damage: Arc<DamageReports>,
    /// The names of a service's spans with their kinds, of the services that were asked for.
    operations: Mutex<HashMap<u32, Operations>>,
    /// The keys of resources' attributes; nothing if they cannot be read.
    resource_keys: OnceLock<Option<BTreeSet<u32>>>,
}

/// Damaged blocks of a segment, and why.
#[derive(Debug, Default)]
pub(crate) struct DamageReports(Mutex<BTreeMap<u32, String>>);

impl DamageReports {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Vec<String> {
        self.lock().values().cloned().collect()
    }

    /// Adds what concerns no block.
    fn add_of_file(&self, what: &str) {
        let mut damage = self.lock();
        let known = damage.entry(NO_BLOCK).or_default();
        if !known.contains(what) {
            tracing::error!(damage = what, "damaged data");
            known.push_str(if known.is_empty() { "" } else { "; " });
            known.push_str(what);
        }
    }
}

impl Segment {
    /// Opens a segment and reads its footer. A damaged footer is passed over for its copy and reported by
    /// [`Segment::damage`]; an error says that nothing of the segment can be read.
    pub(crate) fn open(blobs: Arc<dyn Blobs>, name: &str) -> Result<Self, SegmentError> {
        Self::open_again(blobs, name, next_part_id(), &Arc::default())
    }

    /// Opens one that was open before, under the same number and with what is known of its damage.
    fn open_again(
        blobs: Arc<dyn Blobs>,
        name: &str,
        id: u64,
        damage: &Arc<DamageReports>,
    ) -> Result<Self, SegmentError> {
        let len = blobs.len(name)?;
        let (header, mut reports) = read_header(&*blobs, name, len)?;
        let footer = match header.version {
            VERSION_1 => read_footer_v1(&*blobs, name, len, header, &mut reports)?,
            _ => read_footer(&*blobs, name, len, header, &mut reports)?,
        };
        reports.iter().for_each(|what| damage.add_of_file(what));
        let (damage, operations, resource_keys) = (Arc::clone(damage), Mutex::default(), OnceLock::new());
        Ok(Self { id, name: name.to_owned(), blobs, footer, damage, operations, resource_keys })
    }

    pub(crate) fn summary(&self) -> &SegmentSummary {
        &self.footer.summary
    }

    /// The number of the part; see [`next_part_id`].
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What was found damaged so far: file, offset, what. Spans of these blocks are not found.
    pub(crate) fn damage(&self) -> Vec<String> {
        self.damage.list()
    }

    /// How many traces it has spans of.
    #[cfg(test)]
    pub(crate) fn traces(&self) -> u32 {
        self.footer.traces.lows.len() as u32
    }

    /// The trace whose id has this lower half.
    pub(crate) fn find_trace(&self, low: u64) -> Option<u32> {
        self.footer.traces.find(low)
    }

    fn damage_reports(&self) -> &Arc<DamageReports> {
        &self.damage
    }

    /// About how many bytes it holds.
    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.footer.memory_bytes()
    }

    /// The lower half of a trace's id.
    pub(crate) fn trace_low(&self, trace: u32) -> u64 {
        self.footer.traces.lows[trace as usize]
    }

    /// The earliest and the latest start of a trace's spans here, zero where none has one.
    pub(crate) fn trace_starts_us(&self, trace: u32) -> (u64, u64) {
        (self.footer.traces.starts_us_min[trace as usize], self.footer.traces.starts_us_max[trace as usize])
    }

    /// Appends the spans of a trace, in order of arrival, without those in damaged blocks.
    pub(crate) fn read_trace(&self, trace: u32, batch: &mut SpanBatch) -> Result<(), SegmentError> {
        let rows = self.trace_rows(trace);
        let first = self.footer.blocks.partition_point(|block| block.first_row + block.rows <= rows.start);
        let spans = rows.len().min(SPANS_RESERVED_MAX);
        batch.reserve(spans, spans * TAGS_A_SPAN, spans * TEXT_BYTES_A_SPAN);
        for (at, block) in (0u32..).zip(&self.footer.blocks).skip(first) {
            if block.first_row >= rows.end {
                break;
            }
            let from = rows.start.max(block.first_row) - block.first_row;
            let to = rows.end.min(block.first_row + block.rows) - block.first_row;
            self.unless_damaged(at, |segment| segment.read_rows(at, from..to, batch))?;
        }
        Ok(())
    }

    /// Calls `each` with the spans of the traces that are wanted: a batch and the rows of one trace in it, in order of
    /// arrival. Holds one block at a time, or one trace where that is longer.
    pub(crate) fn each_trace(
        &self,
        wanted: impl Fn(u32) -> bool,
        mut each: impl FnMut(&SpanBatch, Range<usize>),
    ) -> Result<(), SegmentError> {
        (0u32..).zip(&self.footer.blocks).try_for_each(|(at, _)| self.each_trace_of_block(at, &wanted, &mut each))
    }

    /// [`Segment::each_trace`] of the traces that begin in a block.
    pub(crate) fn each_trace_of_block(
        &self,
        at: u32,
        wanted: &impl Fn(u32) -> bool,
        each: &mut impl FnMut(&SpanBatch, Range<usize>),
    ) -> Result<(), SegmentError> {
        let block = self.block(at);
        let traces = (block.first_trace..block.first_trace + block.traces).filter(|&trace| wanted(trace));
        let end = block.first_row + block.rows;
        let (inside, beyond): (Vec<u32>, Vec<u32>) = traces.partition(|&trace| self.trace_rows(trace).end <= end);
        if let (Some(&first), Some(&last)) = (inside.first(), inside.last()) {
            let (from, to) = (self.trace_rows(first).start, self.trace_rows(last).end);
            let rows = from - block.first_row..to - block.first_row;
            let mut batch = SpanBatch::new();
            let read = self.unless_damaged(at, |segment| segment.read_rows(at, rows, &mut batch))?;
            for rows in inside.iter().filter(|_| read.is_some()).map(|&trace| self.trace_rows(trace)) {
                each(&batch, (rows.start - from) as usize..(rows.end - from) as usize);
            }
        }
        for trace in beyond {
            let mut batch = SpanBatch::new();
            self.read_trace(trace, &mut batch)?;
            each(&batch, 0..batch.len());
        }
        Ok(())
    }

    /// Names of services, with each the names of its spans and remote services.
    pub(crate) fn each_name(&self, mut each: impl FnMut(&str, SpanName<'_>)) {
        let Footer { dictionary, terms, .. } = &self.footer;
        let text = |code: u32| dictionary.texts.get(code).unwrap_or_default();
        for &(fact, service) in terms.between(Fact::Present, Fact::RemoteService(u32::MAX)) {
            let name = match fact {
                Fact::SpanName(name) => SpanName::Span(text(name)),
                Fact::RemoteService(name) => SpanName::Remote(text(name)),
                _ => SpanName::Service,
            };
            each(text(service), name);
        }
    }

    /// The values of a tag that are in the segment's dictionary: all, unless they are very many.
    pub(crate) fn each_tag_value(&self, key: &str, mut each: impl FnMut(&str)) {
        let columns = self.footer.dictionary.tag_columns(key);
        for (_, attribute) in columns.filter(|(_, attribute)| attribute.key.value_type == ValueType::Str) {
            attribute.values.iter().for_each(&mut each);
        }
    }

    /// The lower halves of the ids of all traces, in no order.
    pub(crate) fn trace_lows(&self) -> &[u64] {
        &self.footer.traces.lows
    }

    /// Whether some resource may have an attribute with this key.
    fn may_have_in_resource(&self, key: &str) -> bool {
        let Some(key) = self.footer.dictionary.texts.find(key) else { return false };
        let keys = self.resource_keys.get_or_init(|| {
            let mut keys = BTreeSet::new();
            let resources = self.footer.dictionary.resources.iter().skip(1);
            let mut all = vec![];
            for resource in resources {
                rare::each_resource_key(resource, |key| all.push(key)).ok()?;
            }
            keys.extend(all);
            Some(keys)
        });
        // What cannot be read may have anything.
        keys.as_ref().is_none_or(|keys| keys.contains(&key))
    }

    fn trace_rows(&self, trace: u32) -> Range<u32> {
        let rows = &self.footer.traces.first_rows;
        rows[trace as usize]..rows[trace as usize + 1]
    }

    fn block(&self, block: u32) -> &BlockEntry {
        &self.footer.blocks[block as usize]
    }

    /// Runs what reads a block; answers `None` where the block is damaged, and remembers that.
    fn unless_damaged<T>(
        &self,
        block: u32,
        read: impl FnOnce(&Self) -> Result<T, SegmentError>,
    ) -> Result<Option<T>, SegmentError> {
        if self.damage.lock().contains_key(&block) {
            return Ok(None);
        }
        match read(self) {
            Ok(read) => Ok(Some(read)),
            Err(error @ (SegmentError::Damaged { .. } | SegmentError::Read(SeamError::Damaged(_)))) => {
                let spans = self.block(block).rows;
                tracing::error!(%error, spans, "spans of a damaged block are not found");
                self.damage.lock().insert(block, error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A column of a block; `None` where all its entries are zero.
    fn column(&self, block: u32, number: u32) -> Result<Option<Arc<Column>>, SegmentError> {
        self.column_from(block, number, None)
    }

    /// The same, of which `whole` has the bytes if it has to be read.
    fn column_from(
        &self,
        block: u32,
        number: u32,
        whole: Option<&BlockBytes>,
    ) -> Result<Option<Arc<Column>>, SegmentError> {
        self.column_in(ColumnCache::of_process(), block, number, whole)
    }

    /// The same with another cache.
    fn column_in(
        &self,
        cache: &ColumnCache,
        block: u32,
        number: u32,
        whole: Option<&BlockBytes>,
    ) -> Result<Option<Arc<Column>>, SegmentError> {
        let columns = &self.block(block).columns;
        let entry_of = |number: u32| {
            let at = columns.binary_search_by_key(&number, |column| column.number).ok()?;
            Some(columns[at])
        };
        let stored = entry_of(number).map(|entry| (entry, None));
        let predicted = || Prediction::of(number).and_then(|by| Some((entry_of(by.number)?, Some(by))));
        let Some((entry, prediction)) = stored.or_else(predicted) else { return Ok(None) };
        let key = (self.id, block, number);
        if let Some(column) = cache.get(key) {
            return Ok(Some(column));
        }
        let mut column = self.read_column(block, entry, whole)?;
        let malformed = |error: Malformed| self.malformed(entry.offset, error);
        if let Some(Prediction { by, .. }) = prediction {
            let by = self.column_in(cache, block, by, whole)?;
            column = match number {
                START => column.after_ends(by.as_deref()).map_err(malformed)?,
                _ => column.resolve(&self.entries_of(block, by).map_err(malformed)?).map_err(malformed)?,
            };
        } else if let Column::Guessed { by, .. } = column {
            let by = self.column_in(cache, block, by, whole)?;
            let shapes = self.column_in(cache, block, SHAPE, whole)?;
            let known = self.entries_of(block, by).and_then(|known| {
                let shapes = self.entries_of(block, shapes)?;
                self.of_rows_with(number.wrapping_sub(FIRST_ATTRIBUTE), &shapes, &known)
            });
            column = known.and_then(|known| column.resolve(&known)).map_err(malformed)?;
        }
        let column = Arc::new(column);
        cache.put(key, Arc::clone(&column));
        Ok(Some(column))
    }

    /// The entries of a column of codes, one a row.
    fn entries_of(&self, block: u32, column: Option<Arc<Column>>) -> Result<Vec<u32>, Malformed> {
        let rows = self.block(block).rows as usize;
        let Some(column) = column else { return Ok(vec![0; rows]) };
        let entries = column.u32s()?;
        if entries.len() == rows { Ok(entries.to_vec()) } else { Err(Malformed("a column has too few rows")) }
    }

    /// What the rows have that have a tag, once for each time they have it.
    fn of_rows_with(&self, attribute: u32, shapes: &[u32], of_rows: &[u32]) -> Result<Vec<u32>, Malformed> {
        let dictionary = &self.footer.dictionary;
        let mut times: Vec<Option<u32>> = vec![None; dictionary.shapes.len()];
        let mut found = vec![];
        for (&shape, &of_row) in shapes.iter().zip(of_rows) {
            let times = times.get_mut(shape as usize).ok_or(Malformed("a shape is not in the dictionary"))?;
            let times = match *times {
                Some(times) => times,
                None => {
                    let tags = dictionary.shape(shape)?.iter();
                    *times.insert(tags.filter(|&&other| other == attribute).count() as u32)
                }
            };
            found.extend(std::iter::repeat_n(of_row, times as usize));
        }
        Ok(found)
    }

    fn read_column(&self, block: u32, entry: ColumnEntry, whole: Option<&BlockBytes>) -> Result<Column, SegmentError> {
        let range = entry.offset..entry.offset + u64::from(entry.stored_bytes);
        let read;
        let stored = match whole {
            Some(whole) => {
                let (offset, bytes) = whole.get(self, block)?;
                let from = (entry.offset - offset) as usize;
                &bytes[from..from + entry.stored_bytes as usize]
            }
            None => {
                read = self.blobs.read(&self.name, range)?;
                &read
            }
        };
        if crc32fast::hash(stored) != entry.crc {
            return Err(damaged(&self.name, entry.offset, "a column's checksum is wrong"));
        }
        let read = unpack(stored, entry.bytes as usize).and_then(|bytes| {
            let attribute = entry.number.checked_sub(FIRST_ATTRIBUTE);
            Column::read(&bytes, self.templates_of(attribute))
        });
        read.map_err(|error| self.malformed(entry.offset, error))
    }

    fn templates_of(&self, attribute: Option<u32>) -> &TextTable {
        let attributes = &self.footer.dictionary.attributes;
        match attribute.and_then(|attribute| attributes.get(attribute as usize)) {
            Some(attribute) => &attribute.templates,
            None => TextTable::none(),
        }
    }

    fn malformed(&self, offset: u64, error: Malformed) -> SegmentError {
        damaged(&self.name, offset, error.0)
    }
}

/// What a trace that is read has room for before its first span.
const SPANS_RESERVED_MAX: usize = 4096;
const TAGS_A_SPAN: usize = 8;
const TEXT_BYTES_A_SPAN: usize = 96;

/// Where [`DamageReports`] keep what concerns no block.
const NO_BLOCK: u32 = u32::MAX;

/// The bytes of all columns of a block, read in one piece when the first of them is needed.
#[derive(Default)]
struct BlockBytes(OnceCell<(u64, Vec<u8>)>);

impl BlockBytes {
    /// Where they begin in the file, and what they are.
    fn get(&self, segment: &Segment, block: u32) -> Result<&(u64, Vec<u8>), SegmentError> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        let columns = &segment.block(block).columns;
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else {
            return Ok(self.0.get_or_init(|| (0, vec![])));
        };
        let end = last.offset + u64::from(last.stored_bytes);
        let bytes = segment.blobs.read(&segment.name, first.offset..end)?;
        Ok(self.0.get_or_init(|| (first.offset, bytes)))
    }
}

/// What a service is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanName<'a> {
    /// It has recorded spans.
    Service,
    /// One of them has this name.
    Span(&'a str),
    /// One of them spoke to this service.
    Remote(&'a str),
}

fn damaged(file: &str, offset: u64, what: &str) -> SegmentError {
    SegmentError::Damaged { file: file.to_owned(), offset, what: what.to_owned() }
}

/// Reads the header, or its copy at the end; the list tells what was passed over.
fn read_header(blobs: &dyn Blobs, name: &str, len: u64) -> Result<(Header, Vec<String>), SegmentError> {
    let size = HEADER_BYTES as u64;
    if len < 2 * size {
        return Err(damaged(name, 0, "it is too short"));
    }
    let mut reports = vec![];
    for offset in [0, len - size] {
        match Header::read(&blobs.read(name, offset..offset + size)?) {
            Ok(header) => return Ok((header, reports)),
            Err(HeaderError::Version(version)) => {
                return Err(SegmentError::Version { file: name.to_owned(), version });
            }
            Err(HeaderError::Damaged) => reports.push(damaged(name, offset, "the header").to_string()),
        }
    }
    Err(damaged(name, 0, "both copies of the header"))
}

fn read_footer(
    blobs: &dyn Blobs,
    name: &str,
    len: u64,
    header: Header,
    reports: &mut Vec<String>,
) -> Result<Footer, SegmentError> {
    let footer = read_footer_bytes(blobs, name, len, header, reports)?;
    Footer::read(&footer, header.footer_offset).map_err(|error| damaged(name, header.footer_offset, error.0))
}

/// Reads the bytes of the footer, and repairs them where they are damaged.
fn read_footer_bytes(
    blobs: &dyn Blobs,
    name: &str,
    len: u64,
    header: Header,
    reports: &mut Vec<String>,
) -> Result<Vec<u8>, SegmentError> {
    let offset = header.footer_offset;
    let beyond = || damaged(name, offset, "the footer reaches beyond the end");
    let footer_len = usize::try_from(header.footer_len).ok().filter(|_| header.footer_len <= len).ok_or_else(beyond)?;
    let pages = Pages::new(footer_len);
    let protection = [pages.parity_bytes(), pages.table_bytes(), pages.table_bytes(), HEADER_BYTES];
    let footer_end = offset.checked_add(header.footer_len).filter(|&end| end <= len).ok_or_else(beyond)?;
    if footer_end + protection.iter().sum::<usize>() as u64 != len {
        reports.push(damaged(name, len, "it does not end where it should").to_string());
    }
    let mut footer = blobs.read(name, offset..footer_end)?;
    let malformed = |error: Malformed| damaged(name, offset, error.0);
    if crc32fast::hash(&footer) != header.footer_crc {
        let rest = blobs.read(name, footer_end..len)?;
        let [parity, table, copy] = split_end(&mut Reader::new(&rest), pages).map_err(malformed)?;
        let crcs = pages.read_table(table).or_else(|_| pages.read_table(copy)).map_err(malformed)?;
        for page in pages.repair(&mut footer, parity, &crcs).map_err(malformed)? {
            reports.push(damaged(name, offset + page as u64, "a page of the footer, repaired").to_string());
        }
        if crc32fast::hash(&footer) != header.footer_crc {
            return Err(damaged(name, offset, "the footer's checksum is wrong"));
        }
    }
    Ok(footer)
}

/// Version 1: the footer is there twice.
fn read_footer_v1(
    blobs: &dyn Blobs,
    name: &str,
    len: u64,
    header: Header,
    reports: &mut Vec<String>,
) -> Result<Footer, SegmentError> {
    let end = header.footer_len.checked_mul(2).and_then(|copies| copies.checked_add(header.footer_offset));
    if end.and_then(|end| end.checked_add(HEADER_BYTES as u64)) != Some(len) {
        reports.push(damaged(name, len, "it does not end where it should").to_string());
    }
    for copy in 0..2 {
        let offset = header.footer_offset.saturating_add(copy * header.footer_len);
        match read_copy(blobs, name, len, header, offset) {
            Err(error @ SegmentError::Damaged { .. }) => reports.push(error.to_string()),
            read => return read,
        }
    }
    Err(damaged(name, header.footer_offset, "both copies of the footer"))
}

fn read_copy(blobs: &dyn Blobs, name: &str, len: u64, header: Header, offset: u64) -> Result<Footer, SegmentError> {
    let end = offset.checked_add(header.footer_len).filter(|&end| end <= len);
    let end = end.ok_or_else(|| damaged(name, offset, "the footer reaches beyond the end"))?;
    let bytes = match blobs.read(name, offset..end) {
        Err(SeamError::Damaged(what)) => return Err(damaged(name, offset, &what)),
        read => read?,
    };
    if crc32fast::hash(&bytes) != header.footer_crc {
        return Err(damaged(name, offset, "the footer's checksum is wrong"));
    }
    Footer::read(&bytes, header.footer_offset).map_err(|error| damaged(name, offset, error.0))
}
