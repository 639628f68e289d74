//! Looks at every byte of a segment, whether a reader would ever ask for it or not: both headers, every column's checksum,
//! every row, the footer, and what protects it, which is held against what would be written for this footer today.

use super::block_columns::{self, FIRST_ATTRIBUTE};
use super::footer::{HEADER_BYTES, Header, VERSION_1};
use super::parity::Pages;
use super::{BlockEntry, ColumnEntry, Segment, SegmentError, damaged, read_footer_bytes, read_header};
use crate::memtable::Memtable;
use crate::seams::{Blobs, SeamError};
use crate::segment::write_segment;
use std::sync::Arc;
use tracewell_model::SpanBatch;

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) what: String,
    /// The block that is lost with them.
    pub(crate) block: Option<u32>,
}

/// A segment of which all was looked at.
pub(crate) struct Verified {
    segment: Segment,
    header: Header,
    footer: Vec<u8>,
    pub(crate) wrong: Vec<Wrong>,
    /// Blocks of which something is wrong, ascending.
    damaged: Vec<u32>,
}

/// Looks at all bytes of a segment. An error says that nothing of it can be read.
pub(crate) fn verify_segment(blobs: &Arc<dyn Blobs>, name: &str) -> Result<Verified, SegmentError> {
    let len = blobs.len(name)?;
    let bytes = blobs.read(name, 0..len)?;
    let (header, _) = read_header(&**blobs, name, len)?;
    let footer = match header.version {
        VERSION_1 => footer_v1(&bytes, header).ok_or_else(|| damaged(name, header.footer_offset, "both footers"))?,
        _ => read_footer_bytes(&**blobs, name, len, header, &mut vec![])?,
    };
    let segment = Segment::open(Arc::clone(blobs), name)?;
    let mut verified = Verified { segment, header, footer, wrong: vec![], damaged: vec![] };
    verified.compare_ends(&bytes);
    verified.check_blocks(&bytes)?;
    Ok(verified)
}

impl Verified {
    /// The spans of whole blocks.
    pub(crate) fn whole_spans(&self) -> u64 {
        let lost: u64 = self.damaged.iter().map(|&block| u64::from(self.segment.block(block).rows)).sum();
        self.segment.summary().spans - lost
    }

    /// How many spans lie in a block, and of how many traces they are.
    pub(crate) fn block_size(&self, block: u32) -> (u64, u64) {
        let BlockEntry { first_row, rows, .. } = *self.segment.block(block);
        let begins = &self.segment.footer.traces.first_rows;
        let first = begins.partition_point(|&begin| begin <= first_row);
        let end = begins.partition_point(|&begin| begin < first_row + rows);
        (u64::from(rows), (end + 1 - first) as u64)
    }

    /// The bytes of a segment with all that is whole; nothing when no span is.
    pub(crate) fn mended(&self, tag_keys: &Arc<[String]>) -> Result<Option<Vec<u8>>, SegmentError> {
        if self.damaged.is_empty() {
            let blocks = self.segment.blobs.read(&self.segment.name, 0..self.header.footer_offset)?;
            let mut bytes = blocks;
            bytes[..HEADER_BYTES].copy_from_slice(&self.header.to_bytes());
            self.end().into_iter().for_each(|(_, part)| bytes.extend_from_slice(&part));
            return Ok(Some(bytes));
        }
        if self.whole_spans() == 0 {
            return Ok(None);
        }
        let memtable = Memtable::new(Arc::clone(tag_keys));
        for block in self.whole_blocks() {
            memtable.insert(Arc::new(self.rows_of(block)?));
        }
        Ok(Some(write_segment(&memtable)?.bytes))
    }

    fn blocks(&self) -> u32 {
        self.segment.footer.blocks.len() as u32
    }

    fn whole_blocks(&self) -> impl Iterator<Item = u32> {
        (0..self.blocks()).filter(|block| !self.damaged.contains(block))
    }

    fn rows_of(&self, block: u32) -> Result<SpanBatch, SegmentError> {
        let mut batch = SpanBatch::new();
        self.segment.read_rows(block, 0..self.segment.block(block).rows, &mut batch)?;
        Ok(batch)
    }

    /// What follows the blocks, as it is written for this footer.
    fn end(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (footer, header) = (&self.footer, self.header.to_bytes().to_vec());
        let mut parts = vec![("the footer", footer.clone())];
        if self.header.version == VERSION_1 {
            parts.push(("the copy of the footer", footer.clone()));
        } else {
            let pages = Pages::new(footer.len());
            let parity = pages.parity(footer);
            let table = pages.table(footer, &parity);
            parts.push(("what repairs the footer", parity));
            parts.push(("the checksums of the footer's pages", table.clone()));
            parts.push(("the copy of the checksums of the footer's pages", table));
        }
        parts.push(("the copy of the header", header));
        parts
    }

    fn compare_ends(&mut self, bytes: &[u8]) {
        let mut at = self.header.footer_offset as usize;
        let mut parts = vec![(0, "the header", self.header.to_bytes().to_vec())];
        for (what, part) in self.end() {
            let len = part.len();
            parts.push((at, what, part));
            at += len;
        }
        for (offset, what, expected) in parts {
            let found = bytes.get(offset.min(bytes.len())..(offset + expected.len()).min(bytes.len()));
            self.compare(offset, found.unwrap_or_default(), &expected, what);
        }
        if bytes.len() > at {
            let (offset, bytes) = (at as u64, (bytes.len() - at) as u64);
            self.wrong.push(Wrong { offset, bytes, what: "bytes follow the end".to_owned(), block: None });
        }
    }

    fn compare(&mut self, offset: usize, found: &[u8], expected: &[u8], what: &str) {
        let differs = |at: &usize| found.get(*at) != expected.get(*at);
        let Some(first) = (0..expected.len()).find(differs) else { return };
        let last = (0..expected.len()).rev().find(differs).unwrap_or(first);
        let (offset, bytes) = ((offset + first) as u64, (last + 1 - first) as u64);
        self.wrong.push(Wrong { offset, bytes, what: what.to_owned(), block: None });
    }

    fn check_blocks(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        for block in 0..self.blocks() {
            let before = self.wrong.len();
            let columns = self.segment.block(block).columns.clone();
            for column in columns {
                let range = column.offset as usize..column.offset as usize + column.stored_bytes as usize;
                if bytes.get(range).is_none_or(|stored| crc32fast::hash(stored) != column.crc) {
                    self.wrong_column(block, column, &column_name(column.number));
                }
            }
            if self.wrong.len() == before {
                self.check_rows(block)?;
            }
            if self.wrong.len() > before {
                self.damaged.push(block);
            }
        }
        Ok(())
    }

    /// Checksums are right; what they protect has to make sense, too.
    fn check_rows(&mut self, block: u32) -> Result<(), SegmentError> {
        let rows = self.segment.block(block).rows;
        let (offset, what) = match self.rows_of(block) {
            Ok(batch) if batch.len() == rows as usize => return Ok(()),
            Ok(_) => (HEADER_BYTES as u64, "it has other rows than it should".to_owned()),
            Err(SegmentError::Damaged { offset, what, .. }) => (offset, what),
            Err(SegmentError::Read(SeamError::Damaged(what))) => (HEADER_BYTES as u64, what),
            Err(error) => return Err(error),
        };
        self.wrong.push(Wrong { offset, bytes: 0, what: format!("block {block}: {what}"), block: Some(block) });
        Ok(())
    }

    fn wrong_column(&mut self, block: u32, column: ColumnEntry, name: &str) {
        let what = format!("block {block}: the checksum of the {name} is wrong");
        let bytes = u64::from(column.stored_bytes);
        self.wrong.push(Wrong { offset: column.offset, bytes, what, block: Some(block) });
    }
}

fn column_name(number: u32) -> String {
    match number.checked_sub(FIRST_ATTRIBUTE) {
        Some(attribute) => format!("values of attribute {attribute}"),
        None => block_columns::name(number).map_or_else(|| format!("column {number}"), str::to_owned),
    }
}

/// Version 1 has the footer twice.
fn footer_v1(bytes: &[u8], header: Header) -> Option<Vec<u8>> {
    let len = usize::try_from(header.footer_len).ok()?;
    let offset = usize::try_from(header.footer_offset).ok()?;
    let copies = [offset, offset.checked_add(len)?];
    let copies = copies.iter().filter_map(|&from| bytes.get(from..from.checked_add(len)?));
    copies.into_iter().find(|copy| crc32fast::hash(copy) == header.footer_crc).map(<[u8]>::to_vec)
}
