//! Stand-in until the real one is merged.
use crate::memtable::Memtable;
use crate::seams::{Blobs, SeamError};
use std::sync::Arc;
use tracewell_model::{SpanBatch, read_image, write_image};
pub(crate) struct SegmentSummary {
    pub(crate) spans: u64,
}
pub(crate) struct SegmentBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) summary: SegmentSummary,
}
pub(crate) struct Segment {
    pub(crate) batch: Arc<SpanBatch>,
    summary: SegmentSummary,
}
pub(crate) fn write_segment(memtable: &Memtable) -> Result<SegmentBytes, SeamError> {
    let mut all = SpanBatch::new();
    for batch in memtable.0.lock().unwrap().iter() {
        for span in batch.spans() {
            all.push_copy(span).unwrap();
        }
    }
    let mut bytes = vec![0; 4];
    write_image(&all, &mut bytes);
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(SegmentBytes { bytes, summary: SegmentSummary { spans: all.len() as u64 } })
}
impl Segment {
    pub(crate) fn open(blobs: Arc<dyn Blobs>, name: &str) -> Result<Self, SeamError> {
        let bytes = blobs.read(name, 0..blobs.len(name)?)?;
        if bytes.len() < 4 || bytes[..4] != crc32fast::hash(&bytes[4..]).to_le_bytes() {
            return Err(SeamError::Damaged(name.to_owned()));
        }
        let batch = read_image(&bytes[4..]).map_err(|e| SeamError::Damaged(e.to_string()))?;
        Ok(Self { summary: SegmentSummary { spans: batch.len() as u64 }, batch: Arc::new(batch) })
    }
    pub(crate) fn summary(&self) -> &SegmentSummary {
        &self.summary
    }
}
