//! What a check was asked for and what it found.

use crate::engine::EmbeddedOptions;
use crate::seams::SeamError;
use std::fmt;

/// What [`super::check`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// Whether to put right what can be.
    pub repair: bool,
    /// The size of a log file that is in use, as the server is configured.
    pub log_file_bytes: u64,
    /// The tags whose values are completed, as the server is configured; for segments that are written anew.
    pub tag_keys: Vec<String>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        let EmbeddedOptions { log_file_bytes, tag_keys, .. } = EmbeddedOptions::default();
        Self { repair: false, log_file_bytes, tag_keys }
    }
}

/// What was looked at and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Files looked at.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, bytes that mean nothing, so that damage of them is none.
    pub meaningless_bytes: u64,
    /// Segments that can be read.
    pub segments: u64,
    /// Whole records of the log.
    pub log_records: u64,
    /// Spans that are whole.
    pub spans: u64,
    /// What is damaged.
    pub findings: Vec<Finding>,
    /// What is no damage and worth knowing.
    pub notes: Vec<Note>,
    /// Whether a repair was done, and all is well now.
    pub repaired: bool,
}

impl CheckReport {
    /// All that is lost.
    pub fn lost(&self) -> Lost {
        self.findings.iter().fold(Lost::default(), |sum, finding| {
            let Lost { spans, traces, blocks, batches } = finding.lost;
            Lost {
                spans: sum.spans + spans,
                traces: sum.traces + traces,
                blocks: sum.blocks + blocks,
                batches: sum.batches + batches,
            }
        })
    }

    pub(super) fn count(&mut self, bytes: Option<u64>) {
        self.files += u64::from(bytes.is_some());
        self.bytes += bytes.unwrap_or(0);
    }

    pub(super) fn finding(&mut self, file: &str, (offset, bytes): (u64, u64), what: String, lost: Lost) {
        self.findings.push(Finding { file: file.to_owned(), offset, bytes, what, lost, mended: None });
    }

    pub(super) fn note(&mut self, file: &str, what: String) {
        self.notes.push(Note { file: file.to_owned(), what });
    }
}

/// Damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the directory.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes; 0 where that is not known.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
    /// What cannot be read because of it.
    pub lost: Lost,
    /// What a repair did about it.
    pub mended: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, what, lost, mended } = self;
        write!(f, "{file} at byte {offset}")?;
        if *bytes > 0 {
            write!(f, " ({bytes} bytes)")?;
        }
        write!(f, ": {what}; {lost}")?;
        mended.as_ref().map_or(Ok(()), |mended| write!(f, "; {mended}"))
    }
}

/// What damage costs. Spans of log records that cannot be read are not known and not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Spans in segments.
    pub spans: u64,
    /// Traces of which these are a part or all.
    pub traces: u64,
    /// Blocks of segments.
    pub blocks: u64,
    /// Batches in the log, each what a sender sent at once.
    pub batches: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spans, traces, blocks, batches } = *self;
        let parts = [(spans, "spans"), (traces, "traces"), (blocks, "blocks"), (batches, "batches")];
        let parts: Vec<_> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { f.write_str("nothing is lost") } else { write!(f, "lost: {}", parts.join(", ")) }
    }
}

/// What is no damage and worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file, relative to the directory.
    pub file: String,
    /// What about it.
    pub what: String,
}

/// Why a directory was not checked, or not repaired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A file could not be read or written, or another process has the directory. The text says which.
    #[error(transparent)]
    Failed(#[from] SeamError),
    /// A newer server has written it.
    #[error("{0}")]
    Version(String),
    /// A segment could not be written anew.
    #[error("a segment could not be written anew: {0}")]
    Write(String),
    /// Something is still wrong after the repair.
    #[error("still damaged after the repair: {0}")]
    NotRepaired(String),
}
