//! Segments as files: written whole under a passing name, made durable, then given their own.

use crate::disk::{Disk, DiskFile, OpenFile, UNFINISHED, join, write_file_whole};
use crate::seams::{Blobs, SeamError};
use hashbrown::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory of the segments.
pub(crate) const DIRECTORY: &str = "segments";

/// So many files are held open at once.
const OPEN_FILES_MAX: usize = 256;

/// See the module's text.
pub(crate) struct FileBlobs {
    disk: Arc<dyn Disk>,
    open: Mutex<HashMap<String, Arc<dyn DiskFile>>>,
}

impl FileBlobs {
    /// Uses the directory of segments as it is.
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: Mutex::default() }
    }

    /// Uses the directory of segments, which is made when missing; what a crash left unfinished is removed.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self, SeamError> {
        disk.create_directory(DIRECTORY)?;
        for name in disk.list(DIRECTORY)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            disk.remove(&join(DIRECTORY, name))?;
        }
        disk.sync_directory(DIRECTORY)?;
        Ok(Self::new(disk))
    }

    fn files(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn DiskFile>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str) -> Result<Arc<dyn DiskFile>, SeamError> {
        if let Some(file) = self.files().get(name) {
            return Ok(file.clone());
        }
        let file: Arc<dyn DiskFile> = self.disk.open(&join(DIRECTORY, name), OpenFile::Read)?.into();
        let mut files = self.files();
        if files.len() >= OPEN_FILES_MAX {
            // Which one goes hardly matters: a file is opened again in microseconds.
            let any = files.keys().next().cloned();
            any.and_then(|name| files.remove(&name));
        }
        files.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

impl Blobs for FileBlobs {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), SeamError> {
        self.files().remove(name);
        write_file_whole(self.disk.as_ref(), DIRECTORY, name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, SeamError> {
        let file = self.file(name)?;
        let len = range.end.checked_sub(range.start).filter(|_| file.size_bytes().is_ok_and(|len| range.end <= len));
        let Some(len) = len.and_then(|len| usize::try_from(len).ok()) else {
            return Err(SeamError::Damaged(format!("{DIRECTORY}/{name} does not reach to byte {}", range.end)));
        };
        let mut bytes = vec![0; len];
        file.read_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    fn len(&self, name: &str) -> Result<u64, SeamError> {
        self.file(name)?.size_bytes()
    }

    fn list(&self) -> Result<Vec<String>, SeamError> {
        let mut names = self.disk.list(DIRECTORY)?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), SeamError> {
        self.files().remove(name);
        self.disk.remove(&join(DIRECTORY, name))
    }
}
