//! Looks at every byte of the log's files, without changing any: each record, what should be zeros between and behind them,
//! and whether a number is missing.
//!
//! What stands behind the end of a file that was used before, and in spare files, means nothing and cannot be checked: it is
//! counted. A file that was closed, or cut by a start, has no such bytes: whatever is wrong at its end is damage. At the end
//! of the last file of a process that was killed it may also be a group that was never acknowledged; nothing can tell.

use super::record::{HEADER_BYTES, Header, MAGIC, RECORD_ALIGN};
use super::{DIRECTORY, EXTENSION, SPARE_EXTENSION, file_number, file_path, spare_path};
use crate::disk::{BLOCK_BYTES, Disk, OpenFile};
use crate::seams::SeamError;
use std::ops::Range;

const BLOCK: usize = BLOCK_BYTES;

/// What the log holds, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct VerifiedLog {
    pub(crate) files: Vec<VerifiedFile>,
    /// All whole records, ascending by number.
    pub(crate) records: Vec<Record>,
    pub(crate) spare_files: Vec<(String, u64)>,
}

/// A file of the log.
#[derive(Debug, Default)]
pub(crate) struct VerifiedFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) wrong: Vec<WrongPart>,
    /// Behind the end, not zero: of an earlier use of the file, or a group that was never acknowledged.
    pub(crate) meaningless: Option<Range<u64>>,
    /// Whether what is meaningless begins as the record that would come next.
    pub(crate) torn: bool,
}

/// Bytes of a log file that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongPart {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) what: &'static str,
    /// Records that are missing because of it: from the first to before the last.
    pub(crate) records: Range<u64>,
}

/// A whole record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    /// Which of the files it is in.
    pub(crate) file: usize,
    pub(crate) payload: (u64, u64),
}

/// Looks at all of the log. Files of `file_bytes` may have been in use when the process ended.
/// Records below `needed` lie in segments, too.
pub(crate) fn verify_log(disk: &dyn Disk, file_bytes: u64, needed: u64) -> Result<VerifiedLog, SeamError> {
    let names = disk.list(DIRECTORY)?;
    let mut log = VerifiedLog::default();
    for number in names.iter().filter_map(|name| file_number(name, SPARE_EXTENSION)) {
        let bytes = disk.open(&spare_path(number), OpenFile::Read)?.size_bytes()?;
        log.spare_files.push((spare_path(number), bytes));
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name, EXTENSION)).collect();
    numbers.sort_unstable();
    for (at, &number) in numbers.iter().enumerate() {
        let bytes = read_log_file(disk, &file_path(number))?;
        let cut = (bytes.len() as u64) < file_bytes;
        let expected = log.records.last().map(|record| record.sequence + 1);
        let last = !any_record(disk, &numbers[at + 1..])?;
        let (found, file) = (vec![], VerifiedFile::default());
        let mut scan = FileScan { bytes: &bytes, number, expected, needed, cut, last, found, file };
        scan.run();
        let FileScan { found, mut file, .. } = scan;
        (file.name, file.bytes) = (file_path(number), bytes.len() as u64);
        for (header, place) in found {
            if !header.kind_is_known() {
                let name = &file.name;
                return Err(SeamError::Failed(format!(
                    "{name} at byte {place} holds a record of a kind that a newer version of Tracewell writes; use that one"
                )));
            }
            let start = (place + HEADER_BYTES) as u64;
            let payload = (start, start + u64::from(header.payload_len));
            log.records.push(Record { sequence: header.sequence, file: at, payload });
        }
        log.files.push(file);
    }
    log.find_gaps(needed);
    Ok(log)
}

/// Whether one of these files has a whole record.
fn any_record(disk: &dyn Disk, numbers: &[u64]) -> Result<bool, SeamError> {
    for &number in numbers {
        let bytes = read_log_file(disk, &file_path(number))?;
        let (found, file) = (vec![], VerifiedFile::default());
        let scan = FileScan { bytes: &bytes, number, expected: None, needed: 0, cut: false, last: true, found, file };
        if scan.next_whole(0, |_| true).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All bytes of a file of the log.
pub(crate) fn read_log_file(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, SeamError> {
    let file = disk.open(name, OpenFile::Read)?;
    let mut bytes = vec![0; file.size_bytes()? as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

impl VerifiedLog {
    /// Whether a name in the log's directory is that of one of its files.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        [EXTENSION, SPARE_EXTENSION].iter().any(|extension| file_number(name, extension).is_some())
    }

    /// Numbers that are missing belong to what is wrong where they should be, or to what looked like the end of a file.
    fn find_gaps(&mut self, needed: u64) {
        let first = self.records.first().map(|record| (needed..record.sequence, record.file));
        let pairs = self.records.windows(2).map(|pair| (pair[0].sequence + 1..pair[1].sequence, pair[0].file));
        let gaps: Vec<_> = first.into_iter().chain(pairs).filter(|(missing, _)| !missing.is_empty()).collect();
        for (missing, file) in gaps {
            let mut wrong = self.files.iter_mut().flat_map(|file| &mut file.wrong);
            let known = |wrong: &&mut WrongPart| {
                wrong.records.is_empty() && wrong.records.end == missing.end
                    || !wrong.records.is_empty() && wrong.records.start == missing.start
            };
            if let Some(known) = wrong.find(known) {
                known.records = missing;
                continue;
            }
            // Of files whose records are all in segments a crash may leave any.
            if missing.end <= needed {
                continue;
            }
            let file = &mut self.files[file];
            let (offset, bytes) = match file.meaningless.take() {
                Some(range) if file.torn => (range.start, range.end - range.start),
                meaningless => (meaningless.map_or(0, |range| range.start), 0),
            };
            file.torn = false;
            file.wrong.push(WrongPart { offset, bytes, what: "records are missing", records: missing });
        }
        // Only behind the last record of all may a group be that was never acknowledged.
        let last = self.records.last().map(|record| record.file);
        for (at, file) in self.files.iter_mut().enumerate() {
            file.torn &= last.is_none_or(|last| at >= last);
        }
    }
}

struct FileScan<'a> {
    bytes: &'a [u8],
    number: u64,
    /// The number of the next record, unless none was seen yet.
    expected: Option<u64>,
    needed: u64,
    cut: bool,
    /// Whether no later file has a record.
    last: bool,
    found: Vec<(Header, usize)>,
    file: VerifiedFile,
}

impl FileScan<'_> {
    fn run(&mut self) {
        let mut place = 0;
        let mut group = 0;
        while place < self.bytes.len() {
            if let Some(header) = self.whole(place).filter(|header| header.offset_in_group as usize == place - group) {
                place = self.take(header, place);
                continue;
            }
            let block_end = place.next_multiple_of(BLOCK).min(self.bytes.len());
            if place > group && is_zero(&self.bytes[place..block_end]) {
                (place, group) = (block_end, block_end);
                continue;
            }
            let next =
                self.next_whole(place + 1, |header| self.expected.is_none_or(|expected| header.sequence >= expected));
            let Some((header, next)) = next.filter(|next| !self.is_torn(place, *next)) else { return self.end(place) };
            self.damage(place, next, header);
            (place, group) = (next, next - (header.offset_in_group as usize).min(next));
        }
    }

    fn take(&mut self, header: Header, place: usize) -> usize {
        let payload_end = place + HEADER_BYTES + header.payload_len as usize;
        let end = place + header.stored_bytes() as usize;
        let padding = self.bytes.get(payload_end..end).unwrap_or_default();
        if !is_zero(padding) {
            self.wrong(payload_end, padding.len(), "bytes between records are not zero", 0..0);
        }
        if self.expected.is_none_or(|expected| header.sequence >= expected) {
            self.expected = Some(header.sequence + 1);
            self.found.push((header, place));
        }
        end.min(self.bytes.len())
    }

    /// What lies before the next whole record is not what was written.
    fn damage(&mut self, place: usize, next: usize, header: Header) {
        let first = self.expected.unwrap_or(header.sequence);
        let group = next - (header.offset_in_group as usize).min(next);
        let end = if group > place { group } else { next };
        let missing = first..header.sequence.max(first);
        let what = match () {
            () if missing.is_empty() && self.expected.is_some() => "bytes between records are not zero",
            () if self.header(place).is_some() => "a record's checksum is wrong",
            () => "a record's header is damaged",
        };
        self.wrong(place, end - place, what, missing);
    }

    /// Behind `place` is no whole record.
    fn end(&mut self, place: usize) {
        let rest = &self.bytes[place..];
        let used = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let expected = self.expected.unwrap_or(self.needed);
        let own = rest.first_chunk().is_some_and(|bytes| self.is_own(bytes, expected));
        // A file that was begun, and in which nothing was written, may have any length and hold what it held before.
        if self.cut && (own || !self.found.is_empty()) {
            let records = expected..expected + u64::from(own);
            self.wrong(place, rest.len(), "the file was closed behind this, and it is no record", records);
        } else if used > 0 {
            self.file.torn = own;
            self.file.meaningless = Some(place as u64..(place + used) as u64);
        }
    }

    /// Whether what is no whole record was meant to be one of this use of the file.
    fn is_own(&self, bytes: &[u8; HEADER_BYTES], expected: u64) -> bool {
        match Header::parse(bytes) {
            Some(header) => header.file_number == self.number,
            None if self.cut => bytes.starts_with(&MAGIC) || bytes[8..16] == self.number.to_le_bytes(),
            None => Header::resembles(bytes, self.number, expected),
        }
    }

    fn wrong(&mut self, place: usize, bytes: usize, what: &'static str, records: Range<u64>) {
        self.file.wrong.push(WrongPart { offset: place as u64, bytes: bytes as u64, what, records });
    }

    /// The header of this use of the file at a place.
    fn header(&self, place: usize) -> Option<Header> {
        let bytes = self.bytes.get(place..)?.first_chunk::<HEADER_BYTES>()?;
        Header::parse(bytes).filter(|header| header.file_number == self.number)
    }

    fn whole(&self, place: usize) -> Option<Header> {
        let header = self.header(place)?;
        let payload = self.bytes.get(place + HEADER_BYTES..)?.get(..header.payload_len as usize)?;
        header.payload_is_whole(payload).then_some(header)
    }

    /// Whether a whole record belongs to the group in which `place` lies, and that is the last one: it was not acknowledged.
    fn is_torn(&self, place: usize, (header, next): (Header, usize)) -> bool {
        let same_group = next.saturating_sub(header.offset_in_group as usize) <= place;
        let later = |other: &Header| other.offset_in_group == 0 && other.sequence > header.sequence;
        same_group && self.last && !self.cut && self.next_whole(next + 1, later).is_none()
    }

    /// The next whole record at or behind a place that is wanted.
    fn next_whole(&self, place: usize, wanted: impl Fn(&Header) -> bool) -> Option<(Header, usize)> {
        let first = place.next_multiple_of(RECORD_ALIGN as usize);
        let places = (first..self.bytes.len()).step_by(RECORD_ALIGN as usize);
        let mut places = places.filter(|&place| self.bytes[place..].starts_with(&MAGIC));
        places.find_map(|place| self.whole(place).filter(&wanted).map(|header| (header, place)))
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
