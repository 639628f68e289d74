//! For `benches/seal.rs`: the way from the memtable to a segment without the engine around it, and where a segment's bytes
//! lie. Not part of the API.

use crate::memtable::Memtable;
use crate::seams::{Blobs, SeamError};
use crate::segment::{Segment, SegmentError, Stages, write_merged, write_segment_in_stages};
use std::ops::Range;
use std::sync::Arc;
use tracewell_model::SpanBatch;

/// Batches on their way to a segment.
pub struct Table {
    memtable: Memtable,
}

/// What was sealed.
pub struct Sealed {
    /// The segment's file.
    pub bytes: Vec<u8>,
    /// How many spans are in it.
    pub spans: u64,
    /// How many traces they make.
    pub traces: u64,
}

impl Table {
    /// An empty one that keeps the values of these tags for completion.
    pub fn new(tag_keys: &[String]) -> Self {
        Self { memtable: Memtable::new(tag_keys.into()) }
    }

    /// Appends a batch.
    pub fn insert(&self, batch: Arc<SpanBatch>) {
        self.memtable.insert(batch);
    }

    /// What it holds in memory, as the engine counts it.
    pub fn memory_bytes(&self) -> usize {
        self.memtable.memory_bytes()
    }

    /// Seals; `stage` is called with the name of each stage as it ends.
    pub fn seal(&self, stage: &mut dyn FnMut(&'static str)) -> Result<Sealed, String> {
        let written = write_segment_in_stages(&self.memtable, &mut Stages::new(stage));
        let written = written.map_err(|error| error.to_string())?;
        Ok(Sealed { bytes: written.bytes, spans: written.summary.spans, traces: written.summary.traces })
    }
}

/// Makes one segment of several.
pub fn merge(segments: &[Vec<u8>]) -> Result<Sealed, String> {
    let segments = segments.iter().map(|segment| open(segment).map(Arc::new)).collect::<Result<Vec<_>, _>>();
    let merged = segments.and_then(|segments| write_merged(&segments, &[])).map_err(|error| error.to_string())?;
    Ok(Sealed { bytes: merged.bytes, spans: merged.summary.spans, traces: merged.summary.traces })
}

/// How many bytes of a segment each kind of thing takes: columns of all blocks together, the parts of the footer, the rest.
pub fn bytes_by_kind(segment: &[u8]) -> Result<Vec<(String, u64)>, String> {
    open(segment).map_err(|error| error.to_string()).map(|segment| segment.bytes_by_kind())
}

/// Reads every trace; answers how many spans there are.
pub fn read_all(segment: &[u8]) -> Result<usize, String> {
    let mut spans = 0;
    let segment = open(segment).map_err(|error| error.to_string())?;
    segment.each_trace(|_| true, |_, rows| spans += rows.len()).map_err(|error| error.to_string())?;
    let damage = segment.damage();
    if damage.is_empty() { Ok(spans) } else { Err(damage.join("; ")) }
}

fn open(segment: &[u8]) -> Result<Segment, SegmentError> {
    Segment::open(Arc::new(OneBlob(segment.to_vec())), "a segment")
}

/// The only object there is.
struct OneBlob(Vec<u8>);

impl Blobs for OneBlob {
    fn put(&self, name: &str, _: &[u8]) -> Result<(), SeamError> {
        Err(SeamError::Failed(format!("{name}: not stored")))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, SeamError> {
        let range = range.start as usize..range.end as usize;
        self.0.get(range).map(<[u8]>::to_vec).ok_or_else(|| SeamError::Failed(format!("{name}: beyond the end")))
    }

    fn len(&self, _: &str) -> Result<u64, SeamError> {
        Ok(self.0.len() as u64)
    }

    fn list(&self) -> Result<Vec<String>, SeamError> {
        Ok(vec![])
    }

    fn delete(&self, _: &str) -> Result<(), SeamError> {
        Ok(())
    }
}
