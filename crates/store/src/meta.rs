//! The catalog's one value as a file, replaced whole. See `docs/format.md`, "Catalog".

use crate::disk::{Disk, OpenFile, write_file_whole};
use crate::seams::{Meta, SeamError};
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the file.
pub(crate) const NAME: &str = "catalog";
const MAGIC: [u8; 8] = *b"TWCATLG1";
/// What stands before the value.
pub(crate) const HEADER_BYTES: usize = 28;

/// No catalog is larger: what says so is damaged.
const VALUE_BYTES_MAX: u64 = 1 << 30;

/// See the module's text.
pub(crate) struct FileMeta {
    disk: Arc<dyn Disk>,
    /// The version that was last read or written by this process.
    version: Mutex<Option<u64>>,
}

impl FileMeta {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, version: Mutex::default() }
    }

    fn read(&self) -> Result<(u64, Vec<u8>), SeamError> {
        let file = match self.disk.open(NAME, OpenFile::Read) {
            Err(SeamError::NotFound(_)) => return Ok((0, vec![])),
            file => file?,
        };
        let len = file.size_bytes()?;
        let damaged = |what: &str| SeamError::Damaged(format!("{NAME}: {what}"));
        if len < HEADER_BYTES as u64 || len > VALUE_BYTES_MAX {
            return Err(damaged(&format!("a length of {len} bytes")));
        }
        let mut bytes = vec![0; len as usize];
        file.read_at(&mut bytes, 0)?;
        let (header, value) = bytes.split_at(HEADER_BYTES);
        if header[..8] != MAGIC {
            return Err(damaged("it does not begin as a catalog does"));
        }
        let crc = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if crc != crc32fast::hash(&bytes[12..]) {
            return Err(damaged("its checksum does not agree with its contents"));
        }
        let number = |at: usize| header[at..at + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        if number(20) != value.len() as u64 {
            return Err(damaged("its length is not what it says"));
        }
        Ok((number(12), value.to_vec()))
    }
}

impl Meta for FileMeta {
    fn load(&self) -> Result<(u64, Vec<u8>), SeamError> {
        let (version, value) = self.read()?;
        // It may have got its name right before the process ended: what is done because of it must not outlive it.
        self.disk.sync_directory("")?;
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        Ok((version, value))
    }

    fn store(&self, seen: u64, value: &[u8]) -> Result<u64, SeamError> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        // The directory is locked for this process, so what it wrote last is what is there.
        if version.is_some_and(|version| version != seen) {
            return Err(SeamError::Conflict);
        }
        let next = seen + 1;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + value.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&next.to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
        let crc = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        write_file_whole(self.disk.as_ref(), "", NAME, &bytes)?;
        *version = Some(next);
        Ok(next)
    }
}
