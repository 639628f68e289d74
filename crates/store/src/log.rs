//! The log as files: what is acknowledged goes to the end of a preallocated file, whole groups at a time, and comes back at
//! the next start. See `docs/format.md`, "Log".
//!
//! Files have a number as name. A file whose records are all in segments is used again under a higher number; the number
//! in every record keeps old contents apart. A new start never writes to a file of the start before.

mod record;
mod replay;
mod scan;
mod verify;

pub(crate) use verify::{VerifiedLog, read_log_file, verify_log};

use crate::disk::{AlignedBuffer, BLOCK_BYTES, Disk, DiskFile, OpenFile, join};
use crate::seams::{Log, LogStats, ReplayReport, SeamError};
use record::{Header, stored_bytes};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory of the log's files.
pub(crate) const DIRECTORY: &str = "log";

/// Ends their names.
const EXTENSION: &str = ".log";

/// Ends the names of files that wait for being used again.
const SPARE_EXTENSION: &str = ".spare";

/// How many files are kept for being used again.
const SPARES_MAX: usize = 1;

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it would survive a power cut.
    #[default]
    Fsync,
    /// When the operating system has it: it survives the end of the process, not that of the machine.
    Os,
}

/// See the module's text.
pub(crate) struct FileLog {
    disk: Arc<dyn Disk>,
    durability: Durability,
    file_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Files with records that may still be needed, oldest first; the last one is being written if `current` is there.
    files: VecDeque<Used>,
    current: Option<Box<dyn DiskFile>>,
    /// Numbers of files that can be used again.
    spares: Vec<u64>,
    /// The highest number a file has.
    number_max: u64,
    next_sequence: u64,
    replayed: bool,
    /// Why nothing can be written any more.
    failed: Option<String>,
    buffer: AlignedBuffer,
    syncs: u64,
    written_bytes: u64,
}

/// A file with records.
#[derive(Debug, Clone, Copy)]
struct Used {
    number: u64,
    /// Where the next group goes.
    end: u64,
    /// The sequence number after the last one in it.
    sequence_end: u64,
}

impl FileLog {
    /// Opens the log; it has to be replayed before it takes records.
    pub(crate) fn open(disk: Arc<dyn Disk>, durability: Durability, file_bytes: u64) -> Result<Self, SeamError> {
        disk.create_directory(DIRECTORY)?;
        let file_bytes = file_bytes.next_multiple_of(BLOCK_BYTES as u64).max(BLOCK_BYTES as u64);
        Ok(Self { disk, durability, file_bytes, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic half way through leaves a state that may not be written with: it is marked before anything is touched.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a group of this size at the end of the current file or of a new one.
    fn make_room(&self, state: &mut State, bytes: u64) -> Result<(), SeamError> {
        let fits = state.files.back().is_some_and(|used| used.end + bytes <= self.file_bytes);
        if state.current.is_some() && fits {
            return Ok(());
        }
        let number = state.number_max + 1;
        let file = self.take_file(state, number)?;
        state.files.push_back(Used { number, end: 0, sequence_end: state.next_sequence });
        state.current = Some(file);
        Ok(())
    }

    /// A file of full size under this number, its name durable: a spare one, or a new one.
    fn take_file(&self, state: &mut State, number: u64) -> Result<Box<dyn DiskFile>, SeamError> {
        let path = file_path(number);
        if let Some(&spare) = state.spares.last() {
            self.disk.rename(&spare_path(spare), &path)?;
            state.spares.pop();
        }
        state.number_max = number;
        let how = match self.durability {
            Durability::Fsync => OpenFile::WriteDurable,
            Durability::Os => OpenFile::Write,
        };
        let opened = self.disk.open(&path, how).and_then(|file| file.allocate(self.file_bytes).map(|()| file));
        let file = opened.inspect_err(|_| self.set_aside(state, number))?;
        file.sync()?;
        self.disk.sync_directory(DIRECTORY)?;
        Ok(file)
    }

    fn write(&self, state: &mut State, records: &[&[u8]], bytes: u64) -> Result<(), SeamError> {
        let State { files, current, buffer, next_sequence, syncs, written_bytes, .. } = state;
        let (Some(used), Some(file)) = (files.back_mut(), current) else {
            return Err(SeamError::Failed("the log has no file to write to".to_owned()));
        };
        let group = buffer.room(bytes as usize);
        let mut at = 0;
        for (sequence, payload) in (*next_sequence..).zip(records) {
            let header = Header::new(used.number, sequence, at as u32, payload);
            header.write(payload, &mut group[at..]);
            at += header.stored_bytes() as usize;
        }
        group[at..].fill(0);
        file.write_at(group, used.end)?;
        if self.durability == Durability::Fsync {
            if !file.writes_are_durable() {
                file.sync()?;
            }
            *syncs += 1;
        }
        used.end += bytes;
        *written_bytes += bytes;
        *next_sequence += records.len() as u64;
        used.sequence_end = *next_sequence;
        Ok(())
    }

    /// Keeps a file without needed records for being used again, or removes it. That it fails costs room only: at the next
    /// start the file is found to hold nothing.
    fn set_aside(&self, state: &mut State, number: u64) {
        let done = if state.spares.len() < SPARES_MAX {
            self.disk.rename(&file_path(number), &spare_path(number)).map(|()| state.spares.push(number))
        } else {
            self.disk.remove(&file_path(number))
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a log file that is not needed any more stays");
        }
    }
}

impl Log for FileLog {
    fn append(&self, records: &[&[u8]]) -> Result<u64, SeamError> {
        let state = &mut *self.lock();
        if let Some(failed) = &state.failed {
            return Err(SeamError::Failed(failed.clone()));
        }
        if !state.replayed {
            return Err(SeamError::Failed("the log has not been replayed".to_owned()));
        }
        let bytes = self.group_bytes(records);
        if bytes > self.file_bytes {
            return Err(SeamError::Failed(format!("{bytes} bytes are more than a log file has ({})", self.file_bytes)));
        }
        let first = state.next_sequence;
        // Until it is known to have worked, it has not: nothing is written behind what may be half there.
        state.failed = Some("a write to the log did not come to its end".to_owned());
        let written = match self.make_room(state, bytes) {
            Err(SeamError::Full(what)) => {
                state.failed = None;
                return Err(SeamError::Full(what));
            }
            Err(error) => Err(error),
            Ok(()) => self.write(state, records, bytes),
        };
        match written {
            Ok(()) => {
                state.failed = None;
                Ok(first)
            }
            Err(error) => {
                let text = error.to_string();
                state.failed = Some(text.clone());
                Err(SeamError::Failed(text))
            }
        }
    }

    fn append_bytes_max(&self) -> u64 {
        self.file_bytes
    }

    fn group_bytes(&self, records: &[&[u8]]) -> u64 {
        let bytes: u64 = records.iter().map(|record| stored_bytes(record.len())).sum();
        bytes.next_multiple_of(BLOCK_BYTES as u64)
    }

    fn replay(&self, from: u64, each: &mut dyn FnMut(u64, &[u8])) -> Result<ReplayReport, SeamError> {
        let state = &mut *self.lock();
        if state.replayed {
            return Err(SeamError::Failed("the log has already been replayed".to_owned()));
        }
        self.replay_files(state, from, each)
    }

    fn trim(&self, below: u64) -> Result<(), SeamError> {
        let state = &mut *self.lock();
        let current = state.current.is_some();
        while let Some(oldest) = state.files.front() {
            let in_use = current && state.files.len() == 1;
            if in_use || oldest.sequence_end > below {
                break;
            }
            let number = oldest.number;
            state.files.pop_front();
            self.set_aside(state, number);
        }
        Ok(())
    }

    fn stats(&self) -> LogStats {
        let state = self.lock();
        LogStats {
            syncs: state.syncs,
            written_bytes: state.written_bytes,
            files: state.files.len() as u64,
            used_bytes: state.files.iter().map(|used| used.end).sum(),
            allocated_bytes: (state.files.len() + state.spares.len()) as u64 * self.file_bytes,
        }
    }

    fn close(&self) -> Result<(), SeamError> {
        let state = &mut *self.lock();
        // So that every byte of a directory at rest means something, and can be checked.
        for number in std::mem::take(&mut state.spares) {
            self.disk.remove(&spare_path(number))?;
        }
        let (Some(file), Some(used)) = (state.current.take(), state.files.back()) else { return Ok(()) };
        if state.failed.is_some() {
            return Ok(());
        }
        state.failed = Some("the log is closed".to_owned());
        file.truncate(used.end)?;
        file.sync()
    }
}

fn file_path(number: u64) -> String {
    join(DIRECTORY, &format!("{number:016x}{EXTENSION}"))
}

fn spare_path(number: u64) -> String {
    join(DIRECTORY, &format!("{number:016x}{SPARE_EXTENSION}"))
}

/// The number in a file's name, if it is one of ours.
fn file_number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
