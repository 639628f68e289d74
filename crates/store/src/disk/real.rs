//! A directory of the machine, through the standard library.

use super::{AlignedBuffer, BLOCK_BYTES, Disk, DiskFile, DiskLock, DiskSpace, OpenFile};
use crate::seams::SeamError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The file that is locked while the directory is in use.
const LOCK_NAME: &str = "lock";

/// Written once to find out whether direct writes work here.
const PROBE_NAME: &str = "direct-write-probe";

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    direct: OnceLock<bool>,
}

impl RealDisk {
    /// Uses this directory, which is made when missing, with its parents.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, SeamError> {
        let root = root.into();
        let missing: Vec<_> =
            root.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
        fs::create_dir_all(&root).map_err(|error| failed("create the directory", &root, &error))?;
        for made in missing {
            let parent =
                made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            let synced = File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(|error| failed("sync the directory", parent, &error))?;
        }
        Ok(Self { root, direct: OnceLock::new() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether the file system takes direct writes: some refuse them when the file is opened, some when it is written.
    fn direct_writes_work(&self) -> bool {
        *self.direct.get_or_init(|| {
            let works = self.probe_direct_write();
            if let Err(error) = fs::remove_file(self.path(PROBE_NAME)) {
                tracing::debug!(%error, "could not remove the file of the direct write probe");
            }
            tracing::debug!(works, "direct writes");
            works
        })
    }

    fn probe_direct_write(&self) -> bool {
        let Some(mut options) = direct_options() else { return false };
        let mut buffer = AlignedBuffer::default();
        let written = options
            .truncate(true)
            .open(self.path(PROBE_NAME))
            .and_then(|file| file.write_all_at(buffer.room(BLOCK_BYTES), 0));
        written.is_ok()
    }
}

fn write_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
}

#[cfg(target_os = "linux")]
fn direct_options() -> Option<OpenOptions> {
    use rustix::fs::OFlags;
    let mut options = write_options();
    options.custom_flags((OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed());
    Some(options)
}

#[cfg(not(target_os = "linux"))]
fn direct_options() -> Option<OpenOptions> {
    None
}

impl Disk for RealDisk {
    fn open(&self, name: &str, how: OpenFile) -> Result<Box<dyn DiskFile>, SeamError> {
        let path = self.path(name);
        let (options, durable) = match how {
            OpenFile::Read => (OpenOptions::new().read(true).clone(), false),
            OpenFile::Write => (write_options(), false),
            OpenFile::WriteDurable => match direct_options().filter(|_| self.direct_writes_work()) {
                Some(options) => (options, true),
                None => (write_options(), false),
            },
        };
        match options.open(&path) {
            Ok(file) => Ok(Box::new(RealFile { file, path, durable })),
            Err(error) => Err(failed("open", &path, &error)),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SeamError> {
        let path = self.path(directory);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(|error| failed("list", &path, &error))?,
        };
        let mut names = vec![];
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &path, &error))?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_directory(&self, directory: &str) -> Result<(), SeamError> {
        let path = self.path(directory);
        fs::create_dir_all(&path).map_err(|error| failed("create the directory", &path, &error))?;
        self.sync_directory("")
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), SeamError> {
        fs::rename(self.path(from), self.path(to)).map_err(|error| failed("rename", &self.path(from), &error))
    }

    fn remove(&self, name: &str) -> Result<(), SeamError> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &self.path(name), &error)),
            _ => Ok(()),
        }
    }

    fn sync_directory(&self, directory: &str) -> Result<(), SeamError> {
        let path = self.path(directory);
        let synced = File::open(&path).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failed("sync the directory", &path, &error))
    }

    fn space(&self) -> Result<DiskSpace, SeamError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("ask for the free space of", &self.root, &error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(DiskSpace { free_bytes: bytes(stat.f_bavail), total_bytes: bytes(stat.f_blocks) })
    }

    fn lock(&self) -> Result<DiskLock, SeamError> {
        let path = self.path(LOCK_NAME);
        let file = write_options().open(&path).map_err(|error| failed("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(SeamError::Failed(format!(
                "{} is in use by another process (its file {LOCK_NAME:?} is locked); \
                 stop that process or use another directory",
                self.root.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, &error)),
        }
    }
}

struct RealFile {
    file: File,
    path: PathBuf,
    durable: bool,
}

impl RealFile {
    fn check<T>(&self, doing: &str, result: io::Result<T>) -> Result<T, SeamError> {
        result.map_err(|error| failed(doing, &self.path, &error))
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SeamError> {
        self.check("write", self.file.write_all_at(bytes, offset))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), SeamError> {
        match self.file.read_exact_at(into, offset) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(SeamError::Damaged(format!(
                "{} ends before byte {}",
                self.path.display(),
                offset.saturating_add(into.len() as u64)
            ))),
            result => self.check("read", result),
        }
    }

    fn size_bytes(&self) -> Result<u64, SeamError> {
        self.check("ask for the length of", self.file.metadata().map(|metadata| metadata.len()))
    }

    fn truncate(&self, len: u64) -> Result<(), SeamError> {
        self.check("truncate", self.file.set_len(len))
    }

    fn allocate(&self, len: u64) -> Result<(), SeamError> {
        self.check("take room for", allocate(&self.file, len))
    }

    fn sync(&self) -> Result<(), SeamError> {
        self.check("sync", self.file.sync_data())
    }

    fn writes_are_durable(&self) -> bool {
        self.durable
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        // The file system cannot; its length has to do.
        Err(rustix::io::Errno::OPNOTSUPP) => extend(file, len),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    extend(file, len)
}

fn extend(file: &File, len: u64) -> io::Result<()> {
    if file.metadata()?.len() < len { file.set_len(len) } else { Ok(()) }
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> SeamError {
    let text = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => SeamError::NotFound(path.display().to_string()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SeamError::Full(text),
        _ => SeamError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_renamed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(directory.path().join("a/b")).unwrap();
        disk.create_directory("log").unwrap();
        assert_eq!(disk.list("log"), Ok(vec![]));
        assert!(matches!(disk.open("log/1", OpenFile::Read), Err(SeamError::NotFound(_))));
        let file = disk.open("log/1", OpenFile::Write).unwrap();
        file.write_at(b"hello", 3).unwrap();
        file.sync().unwrap();
        disk.rename("log/1", "log/2").unwrap();
        disk.sync_directory("log").unwrap();
        assert_eq!(disk.list("log"), Ok(vec!["2".to_owned()]));
        let file = disk.open("log/2", OpenFile::Read).unwrap();
        let mut bytes = [0; 8];
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0hello");
        assert!(matches!(file.read_at(&mut bytes, 1), Err(SeamError::Damaged(_))));
        disk.remove("log/2").unwrap();
        disk.remove("log/2").unwrap();
        assert!(disk.space().unwrap().total_bytes >= disk.space().unwrap().free_bytes);
    }

    #[test]
    fn durable_writes_go_through_whatever_the_file_system_offers() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(directory.path()).unwrap();
        let file = disk.open("direct", OpenFile::WriteDurable).unwrap();
        file.allocate(1 << 20).unwrap();
        let mut buffer = AlignedBuffer::default();
        let bytes = buffer.room(2 * BLOCK_BYTES);
        bytes.fill(9);
        file.write_at(bytes, BLOCK_BYTES as u64).unwrap();
        if !file.writes_are_durable() {
            file.sync().unwrap();
        }
        let mut read = vec![1; 4 * BLOCK_BYTES];
        disk.open("direct", OpenFile::Read).unwrap().read_at(&mut read, 0).unwrap();
        let expected = [0, 9, 9, 0].map(|byte| [byte; BLOCK_BYTES]).concat();
        assert!(read == expected);
        assert_eq!(file.size_bytes(), Ok(1 << 20));
        assert_eq!(disk.list("").unwrap(), vec!["direct".to_owned()], "the probe leaves nothing behind");
    }

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(directory.path()).unwrap();
        let lock = disk.lock().unwrap();
        let second = RealDisk::open(directory.path()).unwrap().lock();
        assert!(second.is_err_and(|error| error.to_string().contains("in use by another process")));
        drop(lock);
        disk.lock().unwrap();
    }
}
