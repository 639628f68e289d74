//! Looks at every byte of a data directory while no server uses it, says what is damaged and what is lost with it, and puts
//! right what can be: `tracewell check`. See `docs/check.md`.
//!
//! Damaged files are never deleted: before one is written anew it is copied to the folder `damaged`, with a note beside it.

mod repair;
mod report;

pub use report::{CheckError, CheckOptions, CheckReport, Finding, Lost, Note};

use crate::blobs::{self, FileBlobs};
use crate::catalog::{Catalog, SegmentEntry};
use crate::clock::Clock;
use crate::disk::{Disk, OpenFile, UNFINISHED, join};
use crate::log::{self, VerifiedLog, read_log_file, verify_log};
use crate::meta::{self, FileMeta};
use crate::seams::{Blobs, SeamError};
use crate::segment::{SegmentError, Verified, Wrong, verify_segment};
use std::sync::Arc;
use tracewell_model::read_image;

/// What a server puts into its directory, besides segments and log.
const KNOWN_NAMES: [&str; 7] = ["lock", meta::NAME, log::DIRECTORY, blobs::DIRECTORY, DAMAGED, "archive", "tenants"];

/// Where damaged files are kept.
const DAMAGED: &str = "damaged";

/// Looks at all of a directory; with [`CheckOptions::repair`] puts right what can be and looks again. Nothing is changed
/// otherwise. Refuses a directory that another process uses.
pub fn check(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &CheckOptions) -> Result<CheckReport, CheckError> {
    let _lock = disk.lock()?;
    let found = Findings::collect(disk, clock, options)?;
    if !options.repair || found.report.findings.is_empty() {
        return Ok(found.report);
    }
    let mut report = found.repair(clock, options)?;
    let again = Findings::collect(disk, clock, options)?.report;
    match again.findings.first() {
        Some(left) => Err(CheckError::NotRepaired(left.to_string())),
        None => {
            report.repaired = true;
            Ok(report)
        }
    }
}

/// A directory of which all was looked at.
struct Findings {
    disk: Arc<dyn Disk>,
    blobs: Arc<dyn Blobs>,
    catalog: Catalog,
    catalog_damaged: bool,
    segments: Vec<SegmentState>,
    log: VerifiedLog,
    report: CheckReport,
}

/// A segment of the catalog.
struct SegmentState {
    entry: SegmentEntry,
    /// Nothing where nothing of it can be read.
    verified: Option<Verified>,
    /// What the catalog should say.
    expected: SegmentEntry,
}

impl Findings {
    fn collect(disk: &Arc<dyn Disk>, clock: &dyn Clock, options: &CheckOptions) -> Result<Self, CheckError> {
        let blobs: Arc<dyn Blobs> = Arc::new(FileBlobs::new(Arc::clone(disk)));
        let meta = Arc::new(FileMeta::new(Arc::clone(disk)));
        let (catalog, wrong) = Catalog::open(meta, &*blobs, clock.now_us())?;
        let catalog_damaged = wrong.is_some();
        let mut report = CheckReport::default();
        report.count(catalog_bytes(&**disk));
        if let Some(what) = wrong {
            let bytes = catalog_bytes(&**disk).unwrap_or(0);
            report.finding(meta::NAME, (0, bytes), what, Lost::default());
        }
        let log = verify_log(&**disk, options.log_file_bytes, catalog.value().covered_below)?;
        let (disk, segments) = (Arc::clone(disk), vec![]);
        let mut found = Self { disk, blobs, catalog, catalog_damaged, segments, log, report };
        found.look_at_segments()?;
        found.look_at_log()?;
        found.note_others()?;
        Ok(found)
    }

    fn look_at_segments(&mut self) -> Result<(), CheckError> {
        for entry in self.catalog.value().segments.clone() {
            let name = entry.name();
            let path = join(blobs::DIRECTORY, &name);
            let (verified, expected) = match verify_segment(&self.blobs, &name) {
                Ok(verified) => {
                    let bytes = self.blobs.len(&name)?;
                    let spans = verified.whole_spans();
                    self.report.count(Some(bytes));
                    self.report.segments += 1;
                    self.report.spans += spans;
                    let whole = verified.wrong.is_empty();
                    (Some(verified), if whole { SegmentEntry { bytes, spans, ..entry } } else { entry })
                }
                Err(error) => {
                    self.lost_segment(&path, &entry, error)?;
                    (None, entry)
                }
            };
            if let Some(verified) = &verified {
                self.report_segment(&path, verified);
            }
            if expected != entry && !self.catalog_damaged {
                let what = format!("it says other figures of {name} than that has");
                self.report.finding(meta::NAME, (0, 0), what, Lost::default());
            }
            self.segments.push(SegmentState { entry, verified, expected });
        }
        Ok(())
    }

    /// Columns of a block that are damaged cost the block once.
    fn report_segment(&mut self, path: &str, verified: &Verified) {
        let mut last = None;
        for Wrong { offset, bytes, what, block } in &verified.wrong {
            let lost = match block.filter(|_| *block != last) {
                None => Lost::default(),
                Some(block) => {
                    let (spans, traces) = verified.block_size(block);
                    Lost { spans, traces, blocks: 1, batches: 0 }
                }
            };
            last = *block;
            self.report.finding(path, (*offset, *bytes), what.clone(), lost);
        }
    }

    fn lost_segment(&mut self, path: &str, entry: &SegmentEntry, error: SegmentError) -> Result<(), CheckError> {
        let (offset, what) = match error {
            SegmentError::Damaged { offset, what, .. } => (offset, what),
            SegmentError::Read(SeamError::Damaged(what)) => (0, what),
            SegmentError::Read(SeamError::NotFound(_)) => (0, "the file is missing".to_owned()),
            SegmentError::Read(error) => return Err(error.into()),
            error => return Err(CheckError::Version(error.to_string())),
        };
        let what = format!("nothing of the segment can be read: {what}");
        self.report.finding(path, (offset, entry.bytes), what, Lost { spans: entry.spans, ..Lost::default() });
        Ok(())
    }

    fn look_at_log(&mut self) -> Result<(), CheckError> {
        let needed = self.catalog.value().covered_below;
        for file in &self.log.files {
            self.report.count(Some(file.bytes));
            for wrong in &file.wrong {
                let lost = wrong.records.clone().filter(|&sequence| sequence >= needed).count() as u64;
                let what = match lost {
                    0 => format!("{}; nothing that is needed", wrong.what),
                    _ => wrong.what.to_owned(),
                };
                let lost = Lost { batches: lost, ..Lost::default() };
                self.report.finding(&file.name, (wrong.offset, wrong.bytes), what, lost);
            }
            if let Some(range) = &file.meaningless {
                let bytes = range.end - range.start;
                self.report.meaningless_bytes += bytes;
                let what = match file.torn {
                    true => {
                        format!("{bytes} bytes from {} on belong to batches that were not acknowledged", range.start)
                    }
                    false => format!("{bytes} bytes from {} on are of an earlier use and mean nothing", range.start),
                };
                self.report.note(&file.name, what);
            }
        }
        for (name, bytes) in &self.log.spare_files {
            self.report.files += 1;
            self.report.meaningless_bytes += bytes;
            self.report.note(name, "kept to be used again; its contents mean nothing".to_owned());
        }
        self.decode_log()
    }

    /// Every record whose checksums are right has to be a batch.
    fn decode_log(&mut self) -> Result<(), CheckError> {
        let needed = self.catalog.value().covered_below;
        let mut open: Option<(usize, Vec<u8>)> = None;
        for record in &self.log.records {
            let name = self.log.files[record.file].name.clone();
            if open.as_ref().is_none_or(|(file, _)| *file != record.file) {
                open = Some((record.file, read_log_file(&*self.disk, &name)?));
            }
            let (start, end) = record.payload;
            let bytes = open.as_ref().and_then(|(_, bytes)| bytes.get(start as usize..end as usize));
            match read_image(bytes.unwrap_or_default()) {
                Ok(batch) if record.sequence >= needed => self.report.spans += batch.len() as u64,
                Ok(_) => {}
                Err(error) => {
                    let batches = u64::from(record.sequence >= needed);
                    let lost = Lost { batches, ..Lost::default() };
                    self.report.finding(&name, (start, end - start), error.to_string(), lost);
                }
            }
            self.report.log_records += 1;
        }
        Ok(())
    }

    /// Files that nothing of the store needs.
    fn note_others(&mut self) -> Result<(), CheckError> {
        let is_log = |name: &String| self.log.is_file(name);
        let named = |name: &String| self.segments.iter().any(|segment| segment.entry.name() == *name);
        let mut notes = vec![];
        for name in self.disk.list(blobs::DIRECTORY)?.iter().filter(|name| !named(name)) {
            let left = name.ends_with(UNFINISHED) || SegmentEntry::is_name(name);
            let what = if left { "left over; the next start removes it" } else { "not a file of the store" };
            notes.push((join(blobs::DIRECTORY, name), what));
        }
        for name in self.disk.list(log::DIRECTORY)?.iter().filter(|name| !is_log(name)) {
            notes.push((join(log::DIRECTORY, name), "not a file of the store"));
        }
        for name in self.disk.list("")?.into_iter().filter(|name| !KNOWN_NAMES.contains(&name.as_str())) {
            let what = if name.ends_with(UNFINISHED) { "left over" } else { "not a file of the store" };
            notes.push((name, what));
        }
        notes.sort();
        notes.into_iter().for_each(|(name, what)| self.report.note(&name, what.to_owned()));
        Ok(())
    }
}

fn catalog_bytes(disk: &dyn Disk) -> Option<u64> {
    disk.open(meta::NAME, OpenFile::Read).and_then(|file| file.size_bytes()).ok()
}
