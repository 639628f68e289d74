//! Small neighbours become one segment: who sends few spans would otherwise have thousands of files, each with dictionaries of
//! its own, and every search would ask all of them. A full segment is never written again.
//!
//! A crash between any two steps loses nothing and shows nothing twice: until the catalog names the new segment instead of the
//! old ones, in one step, the new file is a leftover; from then on the old ones are.

use super::core::{Condemned, Engine, lock};
use super::parts::Parts;
use crate::catalog::SegmentEntry;
use crate::seams::SeamError;
use crate::segment::{SegmentHandle, write_merged};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

/// Fewer neighbours than this are left as they are.
const MERGED_SEGMENTS_MIN: usize = 4;

/// Of how long spans are kept, what arrived within this part may become one segment, which expires as a whole.
const RETENTION_PART: u64 = 50;

impl Engine {
    /// Merges what can be merged, run by run, until nothing is left or something fails; then it is tried after the next seal.
    pub(super) fn merge_all(&self) {
        while !self.house.closing.load(SeqCst) {
            match self.merge_next() {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => return tracing::warn!(%error, "segments were not merged"),
            }
        }
    }

    fn merge_next(&self) -> Option<Result<(), SeamError>> {
        let mut catalog = lock(&self.catalog);
        let (run, segments) = self.run_to_merge(&catalog.value().segments)?;
        let gone = catalog.value().segments[run.clone()].to_vec();
        let (first, last) = (gone.first()?, gone.last()?);
        let started = Instant::now();
        let merged = (|| {
            let written = self.merged(&segments)?;
            let entry = SegmentEntry {
                sequence_start: first.sequence_start,
                sequence_end: last.sequence_end,
                arrived_us: gone.iter().map(|entry| entry.arrived_us).max().unwrap_or(0),
                bytes: written.len() as u64,
                spans: gone.iter().map(|entry| entry.spans).sum(),
            };
            self.blobs.put(&entry.name(), &written)?;
            let segment = SegmentHandle::open(self.blobs.clone(), &entry.name()).map_err(|error| failed(&error))?;
            if segment.summary().spans != entry.spans {
                return Err(SeamError::Failed(format!("{} does not hold all spans", entry.name())));
            }
            let mut value = catalog.value().clone();
            value.segments.splice(run, [entry]);
            self.set_catalog(&mut catalog, value)?;
            Ok((entry, Arc::new(segment)))
        })();
        self.counters.merging_us.fetch_add(started.elapsed().as_micros() as u64, Relaxed);
        let (entry, segment) = match merged {
            Ok(merged) => merged,
            Err(error) => return Some(Err(error)),
        };
        // Until nobody else has them.
        drop(segments);
        self.show_merged(&mut self.change_parts(), entry, segment, &gone);
        self.counters.segments_merged.fetch_add(gone.len() as u64, Relaxed);
        self.counters.merged_bytes.fetch_add(entry.bytes, Relaxed);
        tracing::debug!(
            segment = entry.name(),
            segments = gone.len(),
            spans = entry.spans,
            bytes = entry.bytes,
            "merged"
        );
        Some(Ok(()))
    }

    /// The first run of neighbours that are small together, and of which none is larger than the others together: so a span is
    /// written again only when what it lies in doubles.
    fn run_to_merge(&self, entries: &[SegmentEntry]) -> Option<(Range<usize>, Vec<Arc<SegmentHandle>>)> {
        let bytes_max = self.options.merge_bytes_max();
        let apart_us_max = self.options.retention_age_us / RETENTION_PART;
        if self.memory_bytes.load(Relaxed) > self.options.memory_bytes_max / 2 {
            return None; // Merging takes memory, too.
        }
        let parts = self.parts();
        let mut next = 0;
        while next < entries.len() {
            let start = next;
            let (mut bytes, mut largest, mut segments) = (0, 0, vec![]);
            for entry in &entries[start..] {
                let apart_us = entry.arrived_us.abs_diff(entries[start].arrived_us);
                let Some(segment) = whole(&parts, entry) else { break };
                if bytes + entry.bytes > bytes_max || apart_us > apart_us_max {
                    break;
                }
                bytes += entry.bytes;
                largest = entry.bytes.max(largest);
                segments.push(segment);
            }
            if segments.len() >= MERGED_SEGMENTS_MIN && largest <= bytes - largest {
                return Some((start..start + segments.len(), segments));
            }
            next += 1;
        }
        None
    }

    /// The bytes of a segment with the spans of all of these.
    fn merged(&self, segments: &[Arc<SegmentHandle>]) -> Result<Vec<u8>, SeamError> {
        let open = |segment: &Arc<SegmentHandle>| match segment.get() {
            Ok(Some(segment)) => Ok(segment),
            Ok(None) => Err(SeamError::Failed("a segment to be merged cannot be read any more".to_owned())),
            Err(error) => Err(failed(&error)),
        };
        let segments = segments.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(write_merged(&segments, &self.options.tag_keys).map_err(|error| failed(&error))?.bytes)
    }

    fn show_merged(&self, parts: &mut Parts, entry: SegmentEntry, segment: Arc<SegmentHandle>, gone: &[SegmentEntry]) {
        let mut condemned = lock(&self.condemned);
        let place = parts.segments.iter().position(|(known, _)| gone.contains(known)).unwrap_or(parts.segments.len());
        for entry in gone {
            let at = parts.segments.iter().position(|(known, _)| known == entry);
            let segment = at.map(|at| parts.segments.remove(at).1);
            condemned.push(Condemned { name: entry.name(), bytes: entry.bytes, segment });
        }
        parts.segments.insert(place, (entry, segment));
    }
}

/// The open segment, unless damage was found in it.
fn whole(parts: &Parts, entry: &SegmentEntry) -> Option<Arc<SegmentHandle>> {
    let at = parts.segments.binary_search_by_key(&entry.sequence_start, |(known, _)| known.sequence_start).ok()?;
    let (known, segment) = &parts.segments[at];
    (known == entry && segment.damage().is_empty()).then(|| Arc::clone(segment))
}

fn failed(error: &crate::segment::SegmentError) -> SeamError {
    SeamError::Failed(error.to_string())
}
