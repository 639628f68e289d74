//! Puts right what can be, file by file, each step harmless if it is the last one before the power goes: a damaged file is
//! copied to `damaged` first; what replaces it is written whole and gets its name in one step.

use super::{CheckError, CheckOptions, CheckReport, DAMAGED, Findings, SegmentState};
use crate::blobs;
use crate::catalog::{CatalogValue, SegmentEntry};
use crate::clock::Clock;
use crate::disk::{OpenFile, join, write_file_whole};
use crate::log::read_log_file;
use crate::memtable::Memtable;
use crate::meta;
use crate::seams::SeamError;
use crate::segment::{Segment, SegmentError, write_segment};
use std::sync::Arc;
use tracewell_model::read_image;

/// Recent spans of a damaged log become segments of about so much memory each.
const SEALED_BYTES_MAX: usize = 32 << 20;

impl Findings {
    /// Leaves a directory that a server opens without a complaint.
    pub(super) fn repair(mut self, clock: &dyn Clock, options: &CheckOptions) -> Result<CheckReport, CheckError> {
        let tag_keys: Arc<[String]> = options.tag_keys.clone().into();
        let mut value = CatalogValue { segments: vec![], ..self.catalog.value().clone() };
        let mut gone = vec![];
        if self.catalog_damaged {
            self.set_aside(meta::NAME)?;
            self.mended(meta::NAME, "made anew from the segments");
        }
        for segment in std::mem::take(&mut self.segments) {
            match self.repair_segment(&segment, &tag_keys)? {
                Some(entry) => value.segments.push(entry),
                None => gone.push(join(blobs::DIRECTORY, &segment.entry.name())),
            }
        }
        let damaged_logs = self.damaged_logs();
        if !damaged_logs.is_empty() {
            self.seal_log(&mut value, clock.now_us(), &tag_keys)?;
            for name in &damaged_logs {
                self.set_aside(name)?;
                self.mended(name, "the whole records are in a segment now");
            }
            gone.extend(damaged_logs);
        }
        if value != *self.catalog.value() || self.catalog_damaged {
            self.catalog.set(value)?;
            self.mended(meta::NAME, "put right");
        }
        for name in gone {
            self.disk.remove(&name)?;
        }
        [blobs::DIRECTORY, crate::log::DIRECTORY]
            .iter()
            .try_for_each(|directory| self.disk.sync_directory(directory))?;
        Ok(self.report)
    }

    /// Answers what the catalog shall say; nothing where nothing is left.
    fn repair_segment(
        &mut self,
        segment: &SegmentState,
        tag_keys: &Arc<[String]>,
    ) -> Result<Option<SegmentEntry>, CheckError> {
        let SegmentState { entry, verified, expected } = segment;
        let path = join(blobs::DIRECTORY, &entry.name());
        let Some(verified) = verified else {
            let there = self.set_aside(&path)?;
            self.mended(&path, if there { "set aside" } else { "the catalog does not name it any more" });
            return Ok(None);
        };
        if verified.wrong.is_empty() {
            return Ok(Some(*expected));
        }
        self.set_aside(&path)?;
        let Some(bytes) = verified.mended(tag_keys).map_err(|error| write_failed(&error))? else {
            self.mended(&path, "set aside");
            return Ok(None);
        };
        self.blobs.put(&entry.name(), &bytes)?;
        let spans = Segment::open(Arc::clone(&self.blobs), &entry.name())
            .map_err(|error| write_failed(&error))?
            .summary()
            .spans;
        let lost = verified.wrong.iter().any(|wrong| wrong.block.is_some());
        self.mended(&path, if lost { "written anew without the damaged blocks" } else { "repaired, nothing was lost" });
        Ok(Some(SegmentEntry { bytes: bytes.len() as u64, spans, ..*entry }))
    }

    fn damaged_logs(&self) -> Vec<String> {
        let is_damaged = |name: &String| self.report.findings.iter().any(|finding| finding.file == *name);
        self.log.files.iter().map(|file| file.name.clone()).filter(is_damaged).collect()
    }

    /// Makes segments of all whole records that are in none, as if they had been sealed: so no gap stays in the log.
    fn seal_log(&mut self, value: &mut CatalogValue, now_us: u64, tag_keys: &Arc<[String]>) -> Result<(), CheckError> {
        let mut memtable = Memtable::new(Arc::clone(tag_keys));
        let mut open: Option<(usize, Vec<u8>)> = None;
        let mut start = value.covered_below;
        let needed: Vec<_> = self.log.records.iter().filter(|record| record.sequence >= start).copied().collect();
        for (at, record) in needed.iter().enumerate() {
            if open.as_ref().is_none_or(|(file, _)| *file != record.file) {
                open = Some((record.file, read_log_file(&*self.disk, &self.log.files[record.file].name)?));
            }
            let (from, to) = record.payload;
            let image = open.as_ref().and_then(|(_, bytes)| bytes.get(from as usize..to as usize));
            // What cannot be read was reported.
            if let Some(Ok(batch)) = image.map(read_image) {
                memtable.insert(Arc::new(batch));
            }
            let end = record.sequence + 1;
            let last = at + 1 == needed.len();
            if (last || memtable.memory_bytes() > SEALED_BYTES_MAX) && memtable.spans() > 0 {
                let written = write_segment(&memtable).map_err(|error| write_failed(&error))?;
                let (bytes, spans) = (written.bytes.len() as u64, written.summary.spans);
                let entry = SegmentEntry { sequence_start: start, sequence_end: end, arrived_us: now_us, bytes, spans };
                self.blobs.put(&entry.name(), &written.bytes)?;
                value.segments.push(entry);
                memtable = Memtable::new(Arc::clone(tag_keys));
                start = end;
            }
            value.covered_below = end;
        }
        Ok(())
    }

    /// Copies a file to the folder of damaged ones, with a note. Answers whether it was there.
    fn set_aside(&self, path: &str) -> Result<bool, CheckError> {
        let file = match self.disk.open(path, OpenFile::Read) {
            Err(SeamError::NotFound(_)) => return Ok(false),
            file => file?,
        };
        let mut bytes = vec![0; file.size_bytes()? as usize];
        file.read_at(&mut bytes, 0)?;
        self.disk.create_directory(DAMAGED)?;
        let known = self.disk.list(DAMAGED)?;
        let plain = path.rsplit('/').next().unwrap_or(path);
        let names = (1..).map(|n: u32| if n == 1 { plain.to_owned() } else { format!("{plain}.{n}") });
        let Some(name) = names.into_iter().find(|name| !known.contains(name)) else { return Ok(true) };
        let findings = self.report.findings.iter().filter(|finding| finding.file == path);
        let note =
            findings.fold(format!("{path} as it was found by tracewell check --repair:\n"), |mut note, finding| {
                note.push_str(&finding.to_string());
                note.push('\n');
                note
            });
        write_file_whole(&*self.disk, DAMAGED, &format!("{name}.txt"), note.as_bytes())?;
        write_file_whole(&*self.disk, DAMAGED, &name, &bytes)?;
        Ok(true)
    }

    fn mended(&mut self, path: &str, what: &str) {
        let findings = self.report.findings.iter_mut();
        for finding in findings.filter(|finding| finding.file == path && finding.mended.is_none()) {
            finding.mended = Some(what.to_owned());
        }
    }
}

fn write_failed(error: &SegmentError) -> CheckError {
    CheckError::Write(error.to_string())
}
