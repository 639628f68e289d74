//! A segment of a store: what is always in memory of it, which is little, and the way to the rest. Footers hold dictionaries,
//! terms and the table of traces, as much as some bytes a span: they are read when they are needed, share the memory of
//! [`ColumnCache`] with the columns, and give way with them.

use super::cache::ColumnCache;
use super::id_filter::IdFilter;
use super::{DamageReports, Segment, SegmentError, SegmentSummary};
use crate::seams::{Blobs, SeamError};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// See the module's text.
pub(crate) struct SegmentHandle {
    id: u64,
    name: String,
    blobs: Arc<dyn Blobs>,
    summary: SegmentSummary,
    ids: IdFilter,
    damage: Arc<DamageReports>,
    /// The open segment, as long as anybody has it.
    open: Mutex<Weak<Segment>>,
}

impl SegmentHandle {
    /// Opens a segment; see [`Segment::open`].
    pub(crate) fn open(blobs: Arc<dyn Blobs>, name: &str) -> Result<Self, SegmentError> {
        let segment = Arc::new(Segment::open(blobs.clone(), name)?);
        let handle = Self {
            id: segment.id(),
            name: name.to_owned(),
            blobs,
            summary: *segment.summary(),
            ids: IdFilter::new(segment.trace_lows()),
            damage: Arc::clone(segment.damage_reports()),
            open: Mutex::new(Arc::downgrade(&segment)),
        };
        ColumnCache::of_process().put_segment(&segment);
        Ok(handle)
    }

    /// The number of the part; see [`crate::part::next_part_id`].
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn summary(&self) -> &SegmentSummary {
        &self.summary
    }

    /// See [`Segment::damage`].
    pub(crate) fn damage(&self) -> Vec<String> {
        self.damage.list()
    }

    /// Whether it may have spans of a trace whose id has this lower half; seldom says so wrongly.
    pub(crate) fn may_have(&self, low: u64) -> bool {
        self.ids.may_have(low)
    }

    /// The segment, read again if it has given way. `None` when it cannot be read any more, which is reported: what it holds
    /// is not found then.
    pub(crate) fn get(&self) -> Result<Option<Arc<Segment>>, SegmentError> {
        let cache = ColumnCache::of_process();
        if let Some(segment) = cache.get_segment(self.id) {
            return Ok(Some(segment));
        }
        // Who comes second waits for the first one and has the same.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = open.upgrade() {
            cache.put_segment(&segment);
            return Ok(Some(segment));
        }
        match Segment::open_again(self.blobs.clone(), &self.name, self.id, &self.damage) {
            Ok(segment) => {
                let segment = Arc::new(segment);
                *open = Arc::downgrade(&segment);
                cache.put_segment(&segment);
                Ok(Some(segment))
            }
            Err(error @ (SegmentError::Damaged { .. } | SegmentError::Read(SeamError::Damaged(_)))) => {
                self.damage.add_of_file(&error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for SegmentHandle {
    fn drop(&mut self) {
        ColumnCache::of_process().forget(self.id);
    }
}
