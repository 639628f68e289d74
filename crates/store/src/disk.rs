//! The only file I/O of the store: names, bytes and offsets go in, and every step that decides whether data survives a
//! power cut is a call of its own. [`RealDisk`] is a directory; the tests put a disk in its place that loses, tears and
//! refuses by a seed.

mod aligned;
mod real;
#[cfg(test)]
pub(crate) mod sim;

pub(crate) use aligned::AlignedBuffer;
pub use real::RealDisk;

use crate::seams::SeamError;
use std::any::Any;

/// Direct writes want address, offset and length in multiples of this. No disk in use has larger blocks.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// One directory and what lies in it. Names are relative to it and use `/`.
///
/// A file's bytes survive a power cut after [`DiskFile::sync`], its name (created, renamed, removed) after
/// [`Disk::sync_directory`] of the directory it lies in. Errors name the file and what was being done.
pub trait Disk: Send + Sync {
    /// Opens a file; for writing it is created when missing.
    fn open(&self, name: &str, how: OpenFile) -> Result<Box<dyn DiskFile>, SeamError>;

    /// The names of the files in a directory (without the directory), in no order. None when it does not exist.
    fn list(&self, directory: &str) -> Result<Vec<String>, SeamError>;

    /// Makes a directory, durably; one that exists is fine.
    fn create_directory(&self, directory: &str) -> Result<(), SeamError>;

    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> Result<(), SeamError>;

    /// Removes a file; one that is not there is fine.
    fn remove(&self, name: &str) -> Result<(), SeamError>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &str) -> Result<(), SeamError>;

    /// How much room there is.
    fn space(&self) -> Result<DiskSpace, SeamError>;

    /// Takes the directory for this process alone, until the answer is dropped.
    fn lock(&self) -> Result<DiskLock, SeamError>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFile {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// For writing whole blocks, each durable when the write returns where the system can do that past its cache; see
    /// [`DiskFile::writes_are_durable`]. Address, offset and length of every write are multiples of 4096.
    WriteDurable,
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes all the bytes; after an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SeamError>;

    /// Reads as many bytes as `into` has; a range that reaches beyond the end is an error.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), SeamError>;

    /// The length in bytes.
    fn size_bytes(&self) -> Result<u64, SeamError>;

    /// Cuts the file.
    fn truncate(&self, len: u64) -> Result<(), SeamError>;

    /// Takes room for this many bytes, so that writes below do not fail for want of it. What was there stays, what is new
    /// reads as zeros.
    fn allocate(&self, len: u64) -> Result<(), SeamError>;

    /// Makes everything written so far durable. After an error it is unknown what is, and trying again proves nothing.
    fn sync(&self) -> Result<(), SeamError>;

    /// Whether what was written is durable without [`DiskFile::sync`].
    fn writes_are_durable(&self) -> bool;
}

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What this process may still take.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// Held while a process uses the directory.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// Writes a whole file so that after a power cut either the old one is there or the new one.
pub(crate) fn write_file_whole(disk: &dyn Disk, directory: &str, name: &str, bytes: &[u8]) -> Result<(), SeamError> {
    let path = join(directory, name);
    let unfinished = format!("{path}{UNFINISHED}");
    let written = (|| {
        // Never onto a leftover: its bytes may be ones that a failed sync has lost from the disk but not from the cache.
        disk.remove(&unfinished)?;
        let file = disk.open(&unfinished, OpenFile::Write)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&unfinished, &path)
    })();
    if let Err(error) = written {
        if let Err(second) = disk.remove(&unfinished) {
            tracing::debug!(file = unfinished, error = %second, "could not remove an unfinished file");
        }
        return Err(error);
    }
    disk.sync_directory(directory)
}

/// Ends the names of files that are being written.
pub(crate) const UNFINISHED: &str = ".new";

pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}
