//! The end of a segment: where each column of each block lies, the table of traces, dictionaries and terms. Written last,
//! read first; parity repairs it, so that one damaged sector does not cost a segment.

use super::bytes::{Malformed, Reader, put_varint, unzigzag, zigzag};
use super::column::{self, Column};
use super::dictionary::{Dictionary, Role, TextTable};
use super::dictionary_builder::DictionaryBuilder;
use super::links::BlockLinks;
use super::packing::{Packer, unpack};
use super::parity::Pages;
use super::terms::Terms;
use super::terms_builder::TermsBuilder;
use super::value_filters::{ValueFilters, ValueFiltersBuilder};
use super::{SegmentError, SegmentSummary};
use crate::memtable::min_known;

/// The first bytes of a segment and of its copy at the end.
pub(crate) const MAGIC: [u8; 8] = *b"tracewsg";
/// This format.
pub(crate) const VERSION: u32 = 2;
/// The first one: the footer is there twice, and terms are written otherwise.
pub(crate) const VERSION_1: u32 = 1;
/// How long the header is, and its copy, the trailer.
pub(crate) const HEADER_BYTES: usize = 40;
/// A section of a footer is at most this long when unpacked.
const SECTION_BYTES_MAX: usize = 1 << 30;

/// Where the footer lies. The first bytes of the file, and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The format.
    pub(crate) version: u32,
    pub(crate) footer_offset: u64,
    pub(crate) footer_len: u64,
    pub(crate) footer_crc: u32,
}

/// Why a header is not taken.
pub(crate) enum HeaderError {
    /// Not one, or damaged.
    Damaged,
    /// Of a newer format.
    Version(u32),
}

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.footer_offset.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.footer_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.footer_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        let read = |reader: &mut Reader<'_>| -> Result<Self, Malformed> {
            let crc = crc32fast::hash(bytes.get(..36).ok_or(Malformed("a header is short"))?);
            let magic: [u8; 8] = reader.array()?;
            let version = reader.u32()?;
            let (footer_offset, footer_len) = (reader.u64()?, reader.u64()?);
            let header = Self { version, footer_offset, footer_len, footer_crc: reader.u32()? };
            reader.u32()?;
            if magic != MAGIC || reader.u32()? != crc {
                return Err(Malformed("a header is damaged"));
            }
            Ok(header)
        };
        match read(&mut Reader::new(bytes)) {
            Ok(header) if matches!(header.version, VERSION_1 | VERSION) => Ok(header),
            Ok(header) => Err(HeaderError::Version(header.version)),
            Err(_) => Err(HeaderError::Damaged),
        }
    }
}

/// Where a block lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BlockEntry {
    /// The first of its rows, of all rows of the segment.
    pub(crate) first_row: u32,
    pub(crate) rows: u32,
    /// The first of the traces that begin here.
    pub(crate) first_trace: u32,
    /// How many traces begin here.
    pub(crate) traces: u32,
    /// Sorted by number.
    pub(crate) columns: Vec<ColumnEntry>,
}

/// Where a column of a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnEntry {
    pub(crate) number: u32,
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u32,
    /// When unpacked; equal to `stored_bytes` when it was not packed.
    pub(crate) bytes: u32,
    pub(crate) crc: u32,
}

/// The traces of a segment, in the order of their rows.
#[derive(Debug, Default)]
pub(crate) struct TraceTable {
    pub(crate) lows: Vec<u64>,
    /// The upper half of the id of each trace's first span.
    pub(crate) highs: Vec<u64>,
    /// One more than traces: where the rows of each begin, and at last all rows.
    pub(crate) first_rows: Vec<u32>,
    /// The earliest start of its spans here; zero when none has one.
    pub(crate) starts_us_min: Vec<u64>,
    /// The latest.
    pub(crate) starts_us_max: Vec<u64>,
    /// Traces by the lower half of their ids.
    pub(crate) sorted: Vec<u32>,
}

/// All of a footer.
#[derive(Debug, Default)]
pub(crate) struct Footer {
    pub(crate) summary: SegmentSummary,
    pub(crate) blocks: Vec<BlockEntry>,
    pub(crate) traces: TraceTable,
    pub(crate) dictionary: Dictionary,
    pub(crate) terms: Terms,
    pub(crate) value_filters: ValueFilters,
    pub(crate) links: BlockLinks,
    /// The attribute that holds the texts of annotations, if there are any.
    pub(crate) annotation_text: Option<u32>,
    /// How long each section is in the file.
    pub(crate) section_bytes: Vec<(u8, u64)>,
}

/// One more than the largest number of a section.
const SECTIONS: usize = 9;
const SECTION_BLOCKS: u8 = 1;
const SECTION_TRACES: u8 = 2;
const SECTION_DICTIONARY: u8 = 3;
/// Of version 1.
const SECTION_TERMS_V1: u8 = 4;
const SECTION_TERMS: u8 = 5;
const SECTION_TEMPLATES: u8 = 6;
const SECTION_VALUE_FILTERS: u8 = 7;
const SECTION_LINKS: u8 = 8;

/// What a section of the footer holds.
pub(crate) fn section_name(tag: u8) -> &'static str {
    match tag {
        SECTION_BLOCKS => "blocks",
        SECTION_TRACES => "traces",
        SECTION_DICTIONARY => "dictionary",
        SECTION_TERMS_V1 | SECTION_TERMS => "terms",
        SECTION_TEMPLATES => "templates",
        SECTION_VALUE_FILTERS => "filters of values",
        SECTION_LINKS => "links",
        _ => "of a newer server",
    }
}

/// The bytes of a footer.
pub(crate) fn write_footer(
    blocks: &[BlockEntry],
    traces: &TraceTable,
    dictionary: &DictionaryBuilder,
    terms: TermsBuilder,
    value_filters: &ValueFiltersBuilder,
    mut links: Vec<u8>,
    packer: &mut Packer,
) -> Result<Vec<u8>, SegmentError> {
    let mut out = vec![];
    let mut section = vec![];
    write_blocks(&mut section, blocks);
    put_section(&mut out, SECTION_BLOCKS, &mut section, packer)?;
    traces.write(&mut section);
    put_section(&mut out, SECTION_TRACES, &mut section, packer)?;
    dictionary.write(&mut section);
    put_section(&mut out, SECTION_DICTIONARY, &mut section, packer)?;
    dictionary.write_templates(&mut section);
    put_section(&mut out, SECTION_TEMPLATES, &mut section, packer)?;
    terms.write(&mut section, packer)?;
    put_section(&mut out, SECTION_TERMS, &mut section, packer)?;
    value_filters.write(&mut section)?;
    if !section.is_empty() {
        put_section(&mut out, SECTION_VALUE_FILTERS, &mut section, packer)?;
    }
    put_section(&mut out, SECTION_LINKS, &mut links, packer)?;
    Ok(out)
}

/// Appends the footer and what protects it, and writes both headers.
pub(crate) fn write_end(out: &mut Vec<u8>, footer: &[u8]) {
    let header = Header {
        version: VERSION,
        footer_offset: out.len() as u64,
        footer_len: footer.len() as u64,
        footer_crc: crc32fast::hash(footer),
    };
    let pages = Pages::new(footer.len());
    let parity = pages.parity(footer);
    let table = pages.table(footer, &parity);
    for part in [footer, &parity, &table, &table, &header.to_bytes()] {
        out.extend_from_slice(part);
    }
    out[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
}

fn put_section(out: &mut Vec<u8>, tag: u8, section: &mut Vec<u8>, packer: &mut Packer) -> Result<(), SegmentError> {
    if section.len() > SECTION_BYTES_MAX {
        return Err(SegmentError::TooLarge("a section of its footer"));
    }
    let packed = packer.pack(section)?;
    out.push(tag);
    put_varint(out, section.len() as u64);
    put_varint(out, packed.len() as u64);
    out.extend_from_slice(packed);
    section.clear();
    Ok(())
}

impl Footer {
    /// About how many bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let columns: usize = self.blocks.iter().map(|block| block.columns.len() * size_of::<ColumnEntry>()).sum();
        let blocks = self.blocks.len() * size_of::<BlockEntry>() + columns;
        let a_trace = 4 * size_of::<u64>() + 2 * size_of::<u32>();
        let traces = self.traces.lows.len() * a_trace;
        let of_search = self.terms.memory_bytes() + self.value_filters.memory_bytes() + self.links.memory_bytes();
        size_of::<Self>() + blocks + traces + self.dictionary.memory_bytes() + of_search
    }

    /// Reads a footer whose checksum was found right. `footer_offset` is where the blocks end.
    pub(crate) fn read(bytes: &[u8], footer_offset: u64) -> Result<Self, Malformed> {
        let mut sections: [Option<Vec<u8>>; SECTIONS] = Default::default();
        let mut reader = Reader::new(bytes);
        let mut section_bytes = vec![];
        while !reader.is_empty() {
            let tag = reader.u8()?;
            let unpacked_bytes = reader.varint()? as usize;
            let stored = reader.bytes()?;
            section_bytes.push((tag, stored.len() as u64));
            if let Some(section) = sections.get_mut(usize::from(tag)) {
                if unpacked_bytes > SECTION_BYTES_MAX {
                    return Err(Malformed("a section of the footer is too large"));
                }
                *section = Some(unpack(stored, unpacked_bytes)?);
            }
        }
        let terms_v1 = sections[usize::from(SECTION_TERMS_V1)].take();
        let templates = sections[usize::from(SECTION_TEMPLATES)].take();
        let value_filters = sections[usize::from(SECTION_VALUE_FILTERS)].take();
        let links = sections[usize::from(SECTION_LINKS)].take();
        let mut section = |tag: u8| sections[usize::from(tag)].take().ok_or(Malformed("a section is missing"));
        let blocks = read_blocks(&section(SECTION_BLOCKS)?, footer_offset)?;
        let traces = TraceTable::read(&section(SECTION_TRACES)?)?;
        let mut dictionary = Dictionary::read(&section(SECTION_DICTIONARY)?)?;
        dictionary.read_templates(&templates.unwrap_or_default())?;
        let terms = match terms_v1 {
            Some(terms) => Terms::read_v1(&terms, blocks.len())?,
            None => Terms::read(&section(SECTION_TERMS)?, blocks.len())?,
        };
        let value_filters = value_filters.map(|bytes| ValueFilters::read(&bytes, blocks.len())).transpose()?;
        let value_filters = value_filters.unwrap_or_default();
        let links = links.map(|bytes| BlockLinks::read(&bytes, &blocks)).transpose()?.unwrap_or_default();
        let rows = blocks.last().map_or(0, |block| block.first_row + block.rows);
        let begun = blocks.last().map_or(0, |block| block.first_trace + block.traces);
        if traces.first_rows.last() != Some(&rows) || begun as usize != traces.lows.len() {
            return Err(Malformed("blocks and traces do not fit"));
        }
        let summary = SegmentSummary {
            spans: u64::from(rows),
            traces: traces.lows.len() as u64,
            start_us_min: traces.starts_us_min.iter().fold(0, |min, &start| min_known(min, start)),
            start_us_max: traces.starts_us_max.iter().copied().max().unwrap_or(0),
        };
        let annotation_text = dictionary.attributes.iter().position(|a| a.key.role == Role::AnnotationValue);
        let annotation_text = annotation_text.map(|at| at as u32);
        Ok(Self { summary, blocks, traces, dictionary, terms, value_filters, links, annotation_text, section_bytes })
    }
}

fn write_blocks(out: &mut Vec<u8>, blocks: &[BlockEntry]) {
    put_varint(out, blocks.len() as u64);
    for block in blocks {
        put_varint(out, u64::from(block.rows));
        put_varint(out, u64::from(block.traces));
        put_varint(out, block.columns.len() as u64);
        let mut last = 0;
        for column in &block.columns {
            put_varint(out, u64::from(column.number - last));
            put_varint(out, u64::from(column.stored_bytes));
            put_varint(out, u64::from(column.bytes));
            out.extend_from_slice(&column.crc.to_le_bytes());
            last = column.number;
        }
    }
}

fn read_blocks(bytes: &[u8], footer_offset: u64) -> Result<Vec<BlockEntry>, Malformed> {
    let reader = &mut Reader::new(bytes);
    let mut blocks: Vec<BlockEntry> = vec![];
    let (mut first_row, mut first_trace) = (0u32, 0u32);
    let mut offset = HEADER_BYTES as u64;
    for _ in 0..reader.count()? {
        let (rows, traces) = (reader.varint_u32()?, reader.varint_u32()?);
        let mut block = BlockEntry { first_row, rows, first_trace, traces, columns: vec![] };
        let mut number = 0u32;
        for at in 0..reader.count()? {
            let step = reader.varint_u32()?;
            number = number.checked_add(step).ok_or(Malformed("a column's number is too large"))?;
            if at > 0 && step == 0 {
                return Err(Malformed("a column is there twice"));
            }
            let (stored_bytes, bytes, crc) = (reader.varint_u32()?, reader.varint_u32()?, reader.u32()?);
            block.columns.push(ColumnEntry { number, offset, stored_bytes, bytes, crc });
            offset += u64::from(stored_bytes);
        }
        block.columns.shrink_to_fit();
        blocks.push(block);
        first_row = first_row.checked_add(rows).ok_or(Malformed("too many rows"))?;
        first_trace = first_trace.checked_add(traces).ok_or(Malformed("too many traces"))?;
    }
    reader.end()?;
    if offset == footer_offset { Ok(blocks) } else { Err(Malformed("the columns do not fill the file")) }
}

impl TraceTable {
    /// The trace whose id has this lower half.
    pub(crate) fn find(&self, low: u64) -> Option<u32> {
        let at = self.sorted.binary_search_by_key(&low, |&trace| self.lows[trace as usize]).ok()?;
        Some(self.sorted[at])
    }

    /// The lower halves of the ids in ascending order, with their traces.
    pub(crate) fn by_low(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.sorted.iter().map(|&trace| (self.lows[trace as usize], trace))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut column = vec![];
        let mut put = |write: &dyn Fn(&mut Vec<u8>)| {
            column.clear();
            write(&mut column);
            put_varint(out, column.len() as u64);
            out.extend_from_slice(&column);
        };
        let rows: Vec<u32> = self.first_rows.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let lengths = |(&min, &max): (&u64, &u64)| zigzag(max.wrapping_sub(min) as i64);
        let lengths: Vec<u64> = self.starts_us_min.iter().zip(&self.starts_us_max).map(lengths).collect();
        put(&|column| column::put_raw64(column, &self.lows));
        put(&|column| column::put_raw64(column, &self.highs));
        put(&|column| column::put_u32s(column, &rows));
        put(&|column| column::put_deltas(column, &self.starts_us_min));
        put(&|column| column::put_u64s(column, &lengths));
        // The order of lower halves, which a reader makes itself.
        put(&|column| column::put_u32s(column, &[]));
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let mut column = || Column::read(reader.bytes()?, &TextTable::default());
        let (lows, highs, rows) = (column()?, column()?, column()?);
        let (starts_us_min, lengths, sorted) = (column()?, column()?, column()?);
        reader.end()?;
        let mut first_rows = vec![0u32];
        let mut end = 0u32;
        for &rows in rows.u32s()? {
            end = end.checked_add(rows).ok_or(Malformed("too many rows"))?;
            first_rows.push(end);
        }
        let lengths = lengths.u64s()?;
        let starts_us_min = starts_us_min.u64s()?.to_vec();
        let ends = starts_us_min.iter().zip(lengths);
        let starts_us_max = ends.map(|(&min, &length)| min.wrapping_add_signed(unzigzag(length))).collect();
        let (lows, highs, mut sorted) = (lows.u64s()?.to_vec(), highs.u64s()?.to_vec(), sorted.u32s()?.to_vec());
        let len = lows.len();
        if sorted.is_empty() {
            sorted.extend(0..len as u32);
            sorted.sort_unstable_by_key(|&trace| lows[trace as usize]);
        }
        let columns = [highs.len(), first_rows.len() - 1, starts_us_min.len(), lengths.len(), sorted.len()];
        if columns.iter().any(|&column| column != len) || sorted.iter().any(|&at| at as usize >= len) {
            return Err(Malformed("the table of traces is inconsistent"));
        }
        let table = Self { lows, highs, first_rows, starts_us_min, starts_us_max, sorted };
        let ascending = table.by_low().zip(table.by_low().skip(1)).all(|(a, b)| a.0 < b.0);
        if ascending { Ok(table) } else { Err(Malformed("the index of traces is not in order")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_any_flipped_bit_is_seen() {
        let header = Header { version: VERSION, footer_offset: 77, footer_len: 12, footer_crc: 0xdead_beef };
        let bytes = header.to_bytes();
        assert!(matches!(Header::read(&bytes), Ok(read) if read == header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Header::read(&damaged), Err(HeaderError::Damaged)), "bit {bit}");
        }
    }

    #[test]
    fn a_trace_table_comes_back() {
        let table = TraceTable {
            lows: vec![9, 3, u64::MAX],
            highs: vec![0, 1, 0],
            first_rows: vec![0, 2, 3, 7],
            starts_us_min: vec![0, 5, 5],
            starts_us_max: vec![0, 9, u64::MAX],
            sorted: vec![1, 0, 2],
        };
        let mut out = vec![];
        table.write(&mut out);
        let read = TraceTable::read(&out).unwrap();
        assert_eq!((read.find(3), read.find(9), read.find(4)), (Some(1), Some(0), None));
        assert_eq!((&read.first_rows, &read.starts_us_max), (&table.first_rows, &table.starts_us_max));
        assert!((0..out.len()).all(|len| TraceTable::read(&out[..len]).is_err()));
    }
}
