//! Which segments count, in the order their spans arrived, and up to where the log is in them. See `docs/format.md`,
//! "Catalog".
//!
//! A segment's name says which records of the log it holds, so a catalog that is lost can be made from the segments.

use crate::seams::{Blobs, Meta, SeamError};
use std::sync::Arc;

/// The format of the value that this version writes, and the newest it reads.
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 16;
/// What stands before the value.
const FILE_HEADER_BYTES: usize = crate::meta::HEADER_BYTES;
const ENTRY_BYTES: usize = 40;
const EXTENSION: &str = ".segment";

/// A segment of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    /// The first record of the log that it holds.
    pub(crate) sequence_start: u64,
    /// The record after the last one that it holds.
    pub(crate) sequence_end: u64,
    /// When the last of its spans arrived, by the clock of the machine that sealed it.
    pub(crate) arrived_us: u64,
    /// The size of the object.
    pub(crate) bytes: u64,
    /// How many spans it holds.
    pub(crate) spans: u64,
}

impl SegmentEntry {
    /// The name of the object.
    pub(crate) fn name(&self) -> String {
        format!("{:016x}-{:016x}{EXTENSION}", self.sequence_start, self.sequence_end)
    }

    /// Whether this is the name of a segment.
    pub(crate) fn is_name(name: &str) -> bool {
        Self::from_name(name).is_some_and(|entry| entry.name() == name)
    }

    /// What a name tells. Size and number of spans are unknown, and its arrival, too.
    fn from_name(name: &str) -> Option<Self> {
        let (start, end) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
        let (sequence_start, sequence_end) = (number(start)?, number(end)?);
        let entry = Self { sequence_start, sequence_end, arrived_us: 0, bytes: 0, spans: 0 };
        (sequence_start < sequence_end).then_some(entry)
    }
}

/// What the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogValue {
    /// Records of the log below this one are in segments, or have been and were removed by retention.
    pub(crate) covered_below: u64,
    /// The segments, oldest first.
    pub(crate) segments: Vec<SegmentEntry>,
}

impl Default for CatalogValue {
    fn default() -> Self {
        Self { covered_below: 1, segments: vec![] }
    }
}

/// The catalog of this process.
pub(crate) struct Catalog {
    meta: Arc<dyn Meta>,
    version: u64,
    value: CatalogValue,
}

impl Catalog {
    /// Reads the catalog, or makes it anew from the segments that are there; answers what was wrong, too.
    pub(crate) fn open(
        meta: Arc<dyn Meta>,
        blobs: &dyn Blobs,
        now_us: u64,
    ) -> Result<(Self, Option<String>), SeamError> {
        let (version, read) = match meta.load() {
            Ok((version, value)) => (version, if version == 0 { Ok(None) } else { decode(&value)?.map(Some) }),
            Err(SeamError::Damaged(what)) => (0, Err(what)),
            Err(error) => return Err(error),
        };
        let (value, wrong) = match read {
            Ok(Some(value)) => (value, None),
            Ok(None) => {
                let value = from_names(blobs, now_us)?;
                let lost = (!value.segments.is_empty()).then(|| "the catalog is missing".to_owned());
                (value, lost)
            }
            Err(what) => (from_names(blobs, now_us)?, Some(what)),
        };
        let wrong = wrong.map(|what| format!("{what}; made anew from the names of {} segments", value.segments.len()));
        Ok((Self { meta, version, value }, wrong))
    }

    pub(crate) fn value(&self) -> &CatalogValue {
        &self.value
    }

    /// Whether nothing was ever stored that could be read.
    pub(crate) fn is_new(&self) -> bool {
        self.version == 0
    }

    /// How many bytes are written for what it says now.
    pub(crate) fn bytes(&self) -> u64 {
        (FILE_HEADER_BYTES + HEADER_BYTES + self.value.segments.len() * ENTRY_BYTES) as u64
    }

    /// Replaces what the catalog says, durably. After an error it is unknown which of the two would be read, so what either
    /// of them names has to stay.
    pub(crate) fn set(&mut self, value: CatalogValue) -> Result<(), SeamError> {
        self.version = self.meta.store(self.version, &encode(&value))?;
        self.value = value;
        Ok(())
    }
}

/// Every segment whose records no other one holds. Those that a crash left over are whole, too, but may repeat others.
fn from_names(blobs: &dyn Blobs, now_us: u64) -> Result<CatalogValue, SeamError> {
    let mut found: Vec<_> = blobs.list()?.iter().filter_map(|name| SegmentEntry::from_name(name)).collect();
    found.sort_unstable_by_key(|entry| (entry.sequence_start, std::cmp::Reverse(entry.sequence_end)));
    let mut value = CatalogValue::default();
    for mut entry in found {
        if entry.sequence_end > value.covered_below || value.segments.is_empty() {
            value.covered_below = entry.sequence_end;
            entry.bytes = blobs.len(&entry.name())?;
            entry.arrived_us = now_us;
            value.segments.push(entry);
        }
    }
    Ok(value)
}

fn encode(value: &CatalogValue) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + value.segments.len() * ENTRY_BYTES);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(value.segments.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&value.covered_below.to_le_bytes());
    for entry in &value.segments {
        let SegmentEntry { sequence_start, sequence_end, arrived_us, bytes: len, spans } = *entry;
        for number in [sequence_start, sequence_end, arrived_us, len, spans] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes
}

/// What the bytes say, or what is wrong with them. A newer format is an error: this version must not replace it.
fn decode(bytes: &[u8]) -> Result<Result<CatalogValue, String>, SeamError> {
    let Some((header, entries)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Err("the catalog is too short".to_owned()));
    };
    let (numbers, covered_below) = header.split_at(8);
    let format = u32::from_le_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]);
    if format > FORMAT {
        return Err(SeamError::Failed(format!(
            "the catalog has format {format}, which a newer version of Tracewell writes; start that one"
        )));
    }
    let count = u32::from_le_bytes([numbers[4], numbers[5], numbers[6], numbers[7]]) as usize;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if entries.len() != count || !rest.is_empty() || format != FORMAT {
        return Ok(Err("the catalog has a length or format that is never written".to_owned()));
    }
    let segments = entries.iter().map(|entry| {
        let (numbers, _) = entry.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        SegmentEntry {
            sequence_start: number(0),
            sequence_end: number(1),
            arrived_us: number(2),
            bytes: number(3),
            spans: number(4),
        }
    });
    Ok(Ok(CatalogValue { covered_below: u64_le(covered_below), segments: segments.collect() }))
}

fn u64_le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
