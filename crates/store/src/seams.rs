//! The three seams under the engine: where acknowledged batches are logged, where sealed segments lie, and the catalog that
//! says which of them count. On one machine all three are files; on several they are an existing distributed store.

use std::ops::Range;

/// Why one of the seams failed. The text names the file (or key) and what was being done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeamError {
    /// There is nothing of this name.
    #[error("{0} does not exist")]
    NotFound(String),
    /// No room is left; trying again later may work.
    #[error("no space left: {0}")]
    Full(String),
    /// What was read is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The catalog was changed by another in the meantime.
    #[error("the catalog was changed by another process")]
    Conflict,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What was acknowledged and is not yet in a segment: records in order, each a group of batches written at once.
pub trait Log: Send + Sync {
    /// Appends records as one group, durably when the log is so configured; answers the sequence number of the first, the
    /// others follow. After [`SeamError::Full`] none of them are there, and trying again later may work. After any other
    /// error the first ones may or may not be seen by a later replay, and the log takes no more records.
    fn append(&self, records: &[&[u8]]) -> Result<u64, SeamError>;

    /// The most that [`Log::group_bytes`] of one group may be.
    fn append_bytes_max(&self) -> u64;

    /// What a group of these records takes.
    fn group_bytes(&self, records: &[&[u8]]) -> u64;

    /// Calls `each` with sequence number and bytes of every record from `from` on, in order; the first call of all, once. A
    /// torn tail (a last group that was never acknowledged) is cut off and reported in the answer; damage before it costs
    /// what is damaged and is reported. The next record gets a number of at least `from`.
    fn replay(&self, from: u64, each: &mut dyn FnMut(u64, &[u8])) -> Result<ReplayReport, SeamError>;

    /// Records below this sequence number are not needed any more.
    fn trim(&self, below: u64) -> Result<(), SeamError>;

    /// Figures. Cheap.
    fn stats(&self) -> LogStats;

    /// Takes no more records and leaves the log so that the next start reads no more than it must.
    fn close(&self) -> Result<(), SeamError>;
}

/// Figures of a log; those of writing count from the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each name says what it counts, with its unit last")]
pub struct LogStats {
    pub syncs: u64,
    pub written_bytes: u64,
    pub files: u64,
    pub used_bytes: u64,
    pub allocated_bytes: u64,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Records handed out.
    pub records: u64,
    /// The number the next record gets.
    pub next_sequence: u64,
    /// Bytes that were cut off at the end because they were never acknowledged.
    pub torn_tail_bytes: u64,
    /// Damage inside the log: file, offset, what.
    pub damage: Vec<String>,
}

/// Immutable objects: a segment each.
pub trait Blobs: Send + Sync {
    /// Stores an object whole and durably. An existing one of the name is replaced (it can only be a leftover of a crash).
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), SeamError>;

    /// Reads a part; a range that reaches beyond the end is an error.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, SeamError>;

    /// The length in bytes.
    fn len(&self, name: &str) -> Result<u64, SeamError>;

    /// All names, in no order.
    fn list(&self) -> Result<Vec<String>, SeamError>;

    /// Removes an object; removing one that is not there is fine.
    fn delete(&self, name: &str) -> Result<(), SeamError>;
}

/// One small value, changed only by who has seen its last version: the catalog of segments.
pub trait Meta: Send + Sync {
    /// The version and value; version 0 and nothing when it was never set.
    fn load(&self) -> Result<(u64, Vec<u8>), SeamError>;

    /// Sets the value durably if the version is still `seen`; answers the new version, or [`SeamError::Conflict`].
    fn store(&self, seen: u64, value: &[u8]) -> Result<u64, SeamError>;
}
