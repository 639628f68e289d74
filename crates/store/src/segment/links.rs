//! Links between services of an open segment: those counted when it was written, and what decides about the links of single
//! traces, read from the few columns that have it.

use super::block::Codes;
use super::block_columns as columns;
use super::bytes::{Malformed, Reader, unzigzag};
use super::dictionary::{EndpointEntry, Role};
use super::footer::BlockEntry;
use super::masks::BlockMasks;
use super::rare::status_of;
use super::{Segment, SegmentError};
use std::ops::Range;
use tracewell_model::{Kind, LinkSpan, SpanFlags, StatusCode};

/// Calls from one service to another, both texts of the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentLink {
    pub(crate) parent: u32,
    pub(crate) child: u32,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
}

/// The links of each block's traces.
#[derive(Debug, Default)]
pub(crate) struct BlockLinks {
    links: Vec<SegmentLink>,
    /// Of the traces that begin in the block, those that are not counted.
    odd: Vec<u32>,
    /// Where the links and the odd traces of each block end; nothing in segments of servers that did not count.
    ends: Vec<(u32, u32)>,
}

impl BlockLinks {
    /// How many bytes it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.links.capacity() * size_of::<SegmentLink>() + self.odd.capacity() * 4 + self.ends.capacity() * 8
    }

    pub(super) fn read(bytes: &[u8], blocks: &[BlockEntry]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let mut read = Self::default();
        for block in blocks {
            for _ in 0..reader.count()? {
                let (parent, child) = (reader.varint_u32()?, reader.varint_u32()?);
                read.links.push(SegmentLink { parent, child, calls: reader.varint()?, errors: reader.varint()? });
            }
            for _ in 0..reader.count()? {
                let odd = Some(reader.varint_u32()?).filter(|&odd| odd < block.traces);
                read.odd.push(odd.ok_or(Malformed("links name a trace that is not there"))?);
            }
            let end = |len: usize| u32::try_from(len).map_err(|_| Malformed("too many links"));
            read.ends.push((end(read.links.len())?, end(read.odd.len())?));
        }
        reader.end()?;
        Ok(read)
    }

    fn of(&self, block: u32) -> Option<(&[SegmentLink], &[u32])> {
        let end = *self.ends.get(block as usize)?;
        let from = block.checked_sub(1).map_or((0, 0), |before| self.ends[before as usize]);
        Some((&self.links[from.0 as usize..end.0 as usize], &self.odd[from.1 as usize..end.1 as usize]))
    }
}

/// What decides about links: columns of a block.
pub(crate) struct LinkReader<'a> {
    segment: &'a Segment,
    first_row: u32,
    rows: u32,
    ids: Vec<u64>,
    parents: Vec<u64>,
    kinds: Codes,
    locals: Codes,
    remotes: Codes,
    failed: Vec<bool>,
    offset: u64,
}

impl Segment {
    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> u32 {
        self.footer.blocks.len() as u32
    }

    /// The traces that begin in a block.
    pub(crate) fn traces_of_block(&self, block: u32) -> Range<u32> {
        let entry = self.block(block);
        entry.first_trace..entry.first_trace + entry.traces
    }

    /// The block in which a trace begins.
    pub(crate) fn block_of_trace(&self, trace: u32) -> u32 {
        self.footer.blocks.partition_point(|block| block.first_trace + block.traces <= trace) as u32
    }

    /// The links of the traces that begin in a block, if they were counted, and which of these, from the first one on, are
    /// not among them.
    pub(crate) fn links_of_block(&self, block: u32) -> Option<(&[SegmentLink], &[u32])> {
        self.footer.links.of(block)
    }

    /// A text of the dictionary.
    pub(crate) fn text(&self, code: u32) -> &str {
        self.footer.dictionary.texts.get(code).unwrap_or_default()
    }

    /// Who records spans, and who they speak to; 0 is nobody.
    pub(crate) fn endpoints(&self) -> &[EndpointEntry] {
        &self.footer.dictionary.endpoints
    }

    /// What decides about the links of the traces in a block; `None` where it is damaged.
    pub(crate) fn link_reader(&self, block: u32) -> Result<Option<LinkReader<'_>>, SegmentError> {
        self.unless_damaged(block, |_| LinkReader::new(self, block))
    }
}

impl<'a> LinkReader<'a> {
    fn new(segment: &'a Segment, block: u32) -> Result<Self, SegmentError> {
        let entry = segment.block(block);
        let offset = entry.columns.first().map_or(0, |column| column.offset);
        let malformed = |error: Malformed| segment.malformed(offset, error);
        let rows = entry.rows;
        let too_few = Malformed("a column has too few rows");
        let words = |number: u32| match segment.column(block, number)? {
            Some(column) => column.u64s().map(<[u64]>::to_vec).map_err(malformed),
            None => Ok(vec![]),
        };
        let ids = words(columns::ID)?;
        if ids.len() < rows as usize {
            return Err(malformed(too_few));
        }
        let mut far = words(columns::FAR_PARENTS)?.into_iter();
        let codes = segment.codes(block, columns::PARENT)?;
        let parent = |(row, &code): (i64, &u32)| match code {
            columns::NO_PARENT => Ok(0),
            columns::FAR_PARENT => far.next().ok_or(too_few),
            code => {
                let at = row - unzigzag(u64::from(code - columns::NEAR_PARENT));
                let id = usize::try_from(at).ok().and_then(|at| ids.get(at));
                id.copied().ok_or(Malformed("a parent is not there"))
            }
        };
        let codes = codes.first(rows).map_err(malformed)?;
        let parents = (0i64..).zip(codes.iter()).map(parent).collect::<Result<_, _>>().map_err(malformed)?;
        let failed = failed_rows(segment, block).map_err(|error| error.of(BlockMasks { segment, block }))?;
        let (kinds, locals) = (segment.codes(block, columns::KIND)?, segment.codes(block, columns::LOCAL)?);
        let remotes = segment.codes(block, columns::REMOTE)?;
        let first_row = entry.first_row;
        Ok(Self { segment, first_row, rows, ids, parents, kinds, locals, remotes, failed, offset })
    }

    /// Appends the spans of a trace, endpoints by their numbers in the segment: `service`, `remote` and `endpoint` are such.
    /// Answers whether it could: not where the trace goes on in another block.
    pub(crate) fn read(&self, trace: u32, spans: &mut Vec<LinkSpan>) -> Result<bool, SegmentError> {
        let rows = self.segment.trace_rows(trace);
        let (Some(from), end) = (rows.start.checked_sub(self.first_row), rows.end - self.first_row) else {
            return Ok(false);
        };
        if end > self.rows {
            return Ok(false);
        }
        for row in from..end {
            let span = self.span(row).map_err(|error| self.segment.malformed(self.offset, error))?;
            spans.push(span);
        }
        Ok(true)
    }

    fn span(&self, row: u32) -> Result<LinkSpan, Malformed> {
        let kind = self.kinds.get(row)?;
        let local = self.locals.get(row)?;
        Ok(LinkSpan {
            id: self.ids[row as usize],
            parent: self.parents[row as usize],
            kind: Kind::from_u8(kind as u8 & 7).unwrap_or_default(),
            is_shared: SpanFlags((kind >> 3) as u16).contains(SpanFlags::SHARED),
            is_error: self.failed[row as usize],
            service: local,
            remote: self.remotes.get(row)?,
            endpoint: local,
        })
    }
}

/// Why a block was not read.
pub(super) enum Unread {
    Malformed(Malformed),
    Segment(SegmentError),
}

impl Unread {
    pub(super) fn of(self, masks: BlockMasks<'_>) -> SegmentError {
        match self {
            Self::Malformed(error) => masks.malformed(error),
            Self::Segment(error) => error,
        }
    }
}

impl From<Malformed> for Unread {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<SegmentError> for Unread {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

/// The rows that failed: a tag says so, or the status.
pub(super) fn failed_rows(segment: &Segment, block: u32) -> Result<Vec<bool>, Unread> {
    let dictionary = &segment.footer.dictionary;
    let is_error = |&attribute: &u32| {
        let key = dictionary.attributes.get(attribute as usize).map(|attribute| attribute.key);
        key.is_some_and(|key| key.role == Role::Tag && dictionary.texts.get(key.key) == Some("error"))
    };
    let errors: Vec<bool> = dictionary.shapes.iter().map(|shape| shape.iter().any(is_error)).collect();
    let rows = segment.block(block).rows;
    let shapes = segment.codes(block, columns::SHAPE)?;
    let of_shape = |&shape: &u32| errors.get(shape as usize).copied().unwrap_or(false);
    let mut failed: Vec<bool> = shapes.first(rows)?.iter().map(of_shape).collect();
    if let Some(extras) = segment.column(block, columns::EXTRA)? {
        for (row, failed) in failed.iter_mut().enumerate() {
            *failed |= status_of(extras.bytes(row)?)? == StatusCode::Error;
        }
    }
    Ok(failed)
}
