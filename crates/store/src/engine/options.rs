//! What the embedded store is configured with, and why it may not open.

use crate::log::Durability;
use crate::seams::SeamError;

/// How the embedded store works. The default is what a server runs with; bytes are bytes, times microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// When a batch counts as kept. Default: [`Durability::Fsync`].
    pub durability: Durability,
    /// Memory for batches: waiting to be written, searchable, and being sealed. When it is spent, writes are refused as
    /// [`crate::WriteError::Overloaded`]. Default: 64 MiB.
    pub memory_bytes_max: usize,
    /// Recent spans are sealed when they take this much. Default: half of `memory_bytes_max`, at most an eighth of
    /// `retention_bytes_max`, because the log holds what is not sealed.
    pub seal_bytes: Option<usize>,
    /// Memory, of the above, for batches that wait to be written; a larger batch is refused for good. Default: 16 MiB.
    pub write_queue_bytes_max: usize,
    /// Batches are written together up to about this much. Default: 1 MiB.
    pub write_group_bytes_max: usize,
    /// Size of a log file, at most an eighth of `retention_bytes_max`; a batch whose image is larger is refused for good.
    /// Default: 64 MiB.
    pub log_file_bytes: u64,
    /// Recent spans are sealed at this age if there are `seal_spans_min` of them. Default: 5 minutes.
    pub seal_age_us: u64,
    /// So many spans make a segment of good size, so that few spans do not make many segments. Default: 50,000.
    pub seal_spans_min: usize,
    /// Recent spans are sealed at this age however few they are. Default: 1 hour.
    pub seal_age_max_us: u64,
    /// Neighbouring segments that are at most so many bytes together are merged. Default: a sixteenth of `seal_bytes`, which
    /// is about what that much memory becomes, so that a full segment is never written again.
    pub merge_bytes_max: Option<u64>,
    /// A segment is removed so long after the last of its spans arrived. What the spans say about their own time does not
    /// matter: neither do old traces vanish that were sent late, nor stay those that claim to be from the future.
    /// Default: 7 days.
    pub retention_age_us: u64,
    /// The oldest segments are removed so that segments and log do not take more, with the room that the log takes ahead. At
    /// least 64 MiB, or eight of `log_file_bytes` if these are smaller. Default: no limit.
    pub retention_bytes_max: Option<u64>,
    /// The oldest segments are removed when less of the disk is free; when less than half of this is, and nothing can be
    /// removed, writes are refused as [`crate::WriteError::DiskFull`]. Default: 1 GiB, at most a tenth of the disk.
    pub disk_free_bytes_min: Option<u64>,
    /// The tags whose values [`crate::Store::tag_values`] completes. Default: none.
    pub tag_keys: Vec<String>,
    /// Whether anything but traces by id and dependencies can be asked for. Default: yes.
    pub search_enabled: bool,
}

const MIB: usize = 1 << 20;

/// The log takes ahead whole files. Where there is little room for everything, a file has this part of it ...
const LOG_FILE_PART: u64 = 8;
/// ... but not less than this: a body that is taken has to fit.
const LOG_FILE_BYTES_MIN: u64 = 8 * MIB as u64;
const SECOND_US: u64 = 1_000_000;

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            memory_bytes_max: 64 * MIB,
            seal_bytes: None,
            write_queue_bytes_max: 16 * MIB,
            write_group_bytes_max: MIB,
            log_file_bytes: 64 * MIB as u64,
            seal_age_us: 5 * 60 * SECOND_US,
            seal_spans_min: 50_000,
            seal_age_max_us: 3600 * SECOND_US,
            merge_bytes_max: None,
            retention_age_us: 7 * 24 * 3600 * SECOND_US,
            retention_bytes_max: None,
            disk_free_bytes_min: None,
            tag_keys: vec![],
            search_enabled: true,
        }
    }
}

impl EmbeddedOptions {
    pub(super) fn seal_bytes(&self) -> usize {
        let room = self.retention_bytes_max.and_then(|bytes_max| usize::try_from(bytes_max / LOG_FILE_PART).ok());
        self.seal_bytes.unwrap_or_else(|| (self.memory_bytes_max / 2).min(room.unwrap_or(usize::MAX)))
    }

    pub(super) fn log_file_bytes(&self) -> u64 {
        self.log_file_bytes.min(self.retention_bytes_max.map_or(u64::MAX, |bytes_max| bytes_max / LOG_FILE_PART))
    }

    pub(super) fn merge_bytes_max(&self) -> u64 {
        self.merge_bytes_max.unwrap_or_else(|| self.seal_bytes() as u64 / 16)
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let wrong = |what: &str| Err(OpenError::Options(what.to_owned()));
        if self.write_queue_bytes_max == 0 {
            return wrong("write_queue_bytes_max must be above zero");
        }
        if self.seal_bytes().saturating_add(self.write_queue_bytes_max) > self.memory_bytes_max {
            // Else a full queue would keep recent spans below what makes a segment of them.
            return wrong("seal_bytes and write_queue_bytes_max together must be at most memory_bytes_max");
        }
        if self.log_file_bytes == 0 {
            return wrong("log_file_bytes must be above zero");
        }
        let room_min = self.log_file_bytes.min(LOG_FILE_BYTES_MIN) * LOG_FILE_PART;
        if let Some(room) = self.retention_bytes_max.filter(|&room| room < room_min) {
            return wrong(&format!(
                "retention_bytes_max is {room} bytes, which does not hold the log and a segment: say at least {room_min}"
            ));
        }
        Ok(())
    }
}

/// Why a store was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The options contradict each other.
    #[error("the store's options are wrong: {0}")]
    Options(String),
    /// A file could not be read or written, another process has the directory, or a newer version wrote it. The text names
    /// the file and says what to do.
    #[error("the store does not open: {0}")]
    Failed(#[from] SeamError),
    /// The system gave no thread.
    #[error("the store does not open: cannot start a thread: {0}")]
    Thread(String),
}
