//! What is in the log at start: the files in order, every whole record once, and where they end.
//!
//! **A torn tail** is a last group that was not written completely, so nobody was told that it was kept: it is cut off at its
//! first damaged record, even if records behind that are whole. **Damage** is anything wrong before a group that came later,
//! because a group is written only when the one before it is: those records were acknowledged and are lost. Whole records
//! behind damage are used: their own checksums, the number of the file and their sequence say what they are.

use super::record::Header;
use super::scan::{Found, LogScan};
use super::{DIRECTORY, EXTENSION, FileLog, SPARE_EXTENSION, State, Used, file_number, file_path};
use crate::disk::OpenFile;
use crate::seams::{ReplayReport, SeamError};

struct Replay<'a> {
    log: &'a FileLog,
    /// Files that come later than the one being read, the next one last.
    later: Vec<u64>,
    /// The record that comes next if all is well.
    expected: u64,
    /// The first record that is wanted and was not seen.
    needed: u64,
    /// Where something was wrong, and how many bytes it may be, until it is known what it means.
    open_question: Option<(u64, u64, u64)>,
    /// Where the group of the last record of all starts in its file.
    last_group_start: u64,
    report: ReplayReport,
    each: &'a mut dyn FnMut(u64, &[u8]),
}

impl FileLog {
    pub(super) fn replay_files(
        &self,
        state: &mut State,
        from: u64,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<ReplayReport, SeamError> {
        let names = self.disk.list(DIRECTORY)?;
        let numbers = |extension| names.iter().filter_map(move |name| file_number(name, extension));
        let mut later: Vec<u64> = numbers(EXTENSION).collect();
        later.sort_unstable_by(|a, b| b.cmp(a));
        state.spares = numbers(SPARE_EXTENSION).collect();
        state.number_max = later.iter().chain(&state.spares).copied().max().unwrap_or(0);
        let from = from.max(1);
        let report = ReplayReport::default();
        let mut replay = Replay {
            log: self,
            later,
            expected: from,
            needed: from,
            open_question: None,
            last_group_start: 0,
            report,
            each,
        };
        let mut empty = vec![];
        while let Some(number) = replay.later.pop() {
            let scan = LogScan::new(self.disk.open(&file_path(number), OpenFile::Read)?, number)?;
            match replay.file(scan)? {
                Some(used) => state.files.push_back(used),
                None => empty.push(number),
            }
        }
        if let Some((number, offset, bytes)) = replay.open_question {
            let file = file_path(number);
            // A file that is in use has its full length: one that was cut ended with a whole group.
            if self.disk.open(&file, OpenFile::Read)?.size_bytes()? < self.file_bytes {
                let first = replay.needed;
                replay.report.damage.push(format!("{file} at byte {offset}: records from {first} on are damaged"));
            } else {
                replay.report.torn_tail_bytes += bytes;
            }
        }
        let last_group_start = replay.last_group_start;
        let mut report = replay.report;
        report.next_sequence = replay.expected.max(replay.needed);
        state.next_sequence = report.next_sequence;
        self.settle_last_file(state, last_group_start)?;
        empty.into_iter().for_each(|number| self.set_aside(state, number));
        state.replayed = true;
        Ok(report)
    }

    /// Makes durable what was read, then cuts what was not: what is shown from now on must still be there after a power cut,
    /// and what was refused must not come back. The last group is written once more, because a sync that failed may have
    /// left it in the cache of the system without it being on the disk, where no further sync would bring it.
    fn settle_last_file(&self, state: &State, last_group_start: u64) -> Result<(), SeamError> {
        let Some(last) = state.files.back() else { return Ok(()) };
        let file = self.disk.open(&file_path(last.number), OpenFile::Write)?;
        let mut group = vec![0; last.end.saturating_sub(last_group_start) as usize];
        file.read_at(&mut group, last_group_start)?;
        file.write_at(&group, last_group_start)?;
        file.sync()?;
        // Only now: in a file that was cut, what is not whole is damage.
        if file.size_bytes()? > last.end {
            file.truncate(last.end)?;
            file.sync()?;
        }
        Ok(())
    }
}

impl Replay<'_> {
    /// Reads one file; answers where its records end, or nothing if it has none.
    fn file(&mut self, mut scan: LogScan) -> Result<Option<Used>, SeamError> {
        let mut used = None;
        let mut at = 0;
        loop {
            let (place, found) = scan.expect(at, self.expected)?;
            let (place, header) = match found {
                Found::Whole(header) => (place, header),
                wrong => match self.behind(&mut scan, (at, place), &wrong)? {
                    Some(next) => next,
                    None => return Ok(used),
                },
            };
            self.record(&mut scan, place, header)?;
            at = place + header.stored_bytes();
            self.last_group_start = place.saturating_sub(header.offset_in_group.into());
            let sequence_end = self.expected;
            used = Some(Used { number: scan.number(), end: at, sequence_end });
        }
    }

    /// Hands out a whole record.
    fn record(&mut self, scan: &mut LogScan, place: u64, header: Header) -> Result<(), SeamError> {
        let file = file_path(scan.number());
        if !header.kind_is_known() {
            return Err(SeamError::Failed(format!(
                "{file} at byte {place} holds a record of a kind that a newer version of Tracewell writes; start that one"
            )));
        }
        let question = self.open_question.take();
        if header.sequence < self.needed {
            self.expected = header.sequence + 1;
            return Ok(());
        }
        if header.sequence > self.needed {
            let (number, offset, _) = question.unwrap_or_else(|| (scan.number(), place, 0));
            let (first, last) = (self.needed, header.sequence - 1);
            let file = file_path(number);
            self.report
                .damage
                .push(format!("{file} at byte {offset}: records {first} to {last} are damaged or missing"));
        }
        if let Some(payload) = scan.payload(place, &header)? {
            (self.each)(header.sequence, payload);
        }
        self.report.records += 1;
        self.expected = header.sequence + 1;
        self.needed = self.expected;
        Ok(())
    }

    /// The next record to take behind a place where the expected one is not, or nothing if the file ends here.
    fn behind(
        &mut self,
        scan: &mut LogScan,
        (at, place): (u64, u64),
        wrong: &Found,
    ) -> Result<Option<(u64, Header)>, SeamError> {
        let (from, bytes) = match wrong {
            Found::DamagedPayload(header) => (place + header.stored_bytes(), header.stored_bytes()),
            Found::DamagedHeader => (place + 1, scan.len().min(place + super::record::HEADER_BYTES as u64) - place),
            Found::Whole(_) | Found::Nothing => (at, 0),
        };
        let expected = self.expected;
        let next = scan.find_whole(from, |header| header.sequence >= expected)?;
        let Some((next_place, next)) = next else {
            if bytes > 0 {
                self.open_question.get_or_insert_with(|| (scan.number(), place, bytes));
            }
            return Ok(None);
        };
        let same_group = next_place.saturating_sub(next.offset_in_group.into()) <= place;
        if same_group && !self.later_group_follows(scan, next_place, next.sequence)? {
            // What follows may lie before the place where a block would begin.
            let from = place.min(next_place);
            self.open_question.get_or_insert_with(|| (scan.number(), from, next_place + next.stored_bytes() - from));
            self.later.clear();
            return Ok(None);
        }
        self.open_question.get_or_insert_with(|| (scan.number(), place, bytes));
        Ok(Some((next_place, next)))
    }

    fn later_group_follows(&self, scan: &mut LogScan, from: u64, sequence: u64) -> Result<bool, SeamError> {
        let starts_later = |header: &Header| header.offset_in_group == 0 && header.sequence > sequence;
        if scan.find_whole(from, starts_later)?.is_some() {
            return Ok(true);
        }
        for &number in self.later.iter().rev() {
            let file = self.log.disk.open(&file_path(number), OpenFile::Read)?;
            if LogScan::new(file, number)?.find_whole(0, starts_later)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
