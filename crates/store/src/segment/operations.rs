//! The names of a service's spans with their kinds: three columns of the blocks in which the service is, read once in the
//! life of an open segment, which does not change.

use super::block_columns as columns;
use super::terms::Fact;
use super::{Segment, SegmentError};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use tracewell_model::Kind;

/// Names, as texts of the dictionary, and kinds.
pub(super) type Operations = Arc<[(u32, Kind)]>;

/// So many services are remembered; if there are more, all are forgotten from time to time.
const SERVICES_MAX: usize = 1000;

impl Segment {
    /// Calls `each` with the names of a service's spans, each with the kinds of such spans. Those in damaged blocks are
    /// missing.
    pub(crate) fn each_operation(&self, service: &str, mut each: impl FnMut(&str, Kind)) -> Result<(), SegmentError> {
        let texts = &self.footer.dictionary.texts;
        let Some(service) = texts.find(service) else { return Ok(()) };
        let operations = self.operations_of(service)?;
        operations.iter().for_each(|&(name, kind)| each(texts.get(name).unwrap_or_default(), kind));
        Ok(())
    }

    fn operations_of(&self, service: u32) -> Result<Operations, SegmentError> {
        let locked = || self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(&service) {
            return Ok(Arc::clone(known));
        }
        let mut found = BTreeSet::new();
        let last = self.footer.blocks.len() as u32;
        for block in self.footer.terms.blocks((Fact::Present, service)).iter().map(|of| of.block()) {
            // A term counts for the block in which a trace begins; the trace may go on in the next ones.
            let end = self.last_block_of_traces(block).min(last.saturating_sub(1));
            for block in block..=end {
                self.unless_damaged(block, |segment| segment.add_operations(block, service, &mut found))?;
            }
        }
        let kind = |(name, kind): (u32, u8)| (name, Kind::from_u8(kind).unwrap_or_default());
        let operations: Operations = found.into_iter().map(kind).collect();
        let mut known = locked();
        if known.len() >= SERVICES_MAX {
            known.clear();
        }
        known.insert(service, Arc::clone(&operations));
        Ok(operations)
    }

    /// The block in which the last of the traces that begin in `block` ends.
    fn last_block_of_traces(&self, block: u32) -> u32 {
        let entry = self.block(block);
        let end = self.footer.traces.first_rows[(entry.first_trace + entry.traces) as usize];
        let beyond = self.footer.blocks.partition_point(|other| other.first_row < end) as u32;
        beyond.saturating_sub(1).max(block)
    }

    fn add_operations(&self, block: u32, service: u32, found: &mut BTreeSet<(u32, u8)>) -> Result<(), SegmentError> {
        let locals = self.codes(block, columns::LOCAL)?;
        let names = self.codes(block, columns::NAME)?;
        let kinds = self.codes(block, columns::KIND)?;
        let endpoints = &self.footer.dictionary;
        for row in 0..self.block(block).rows {
            let read = || {
                let of_service = endpoints.endpoint(locals.get(row)?)?.service == service;
                Ok(of_service.then_some((names.get(row)?, kinds.get(row)? as u8 & 7)))
            };
            let offset = self.block(block).columns.first().map_or(0, |column| column.offset);
            found.extend(read().map_err(|error| self.malformed(offset, error))?);
        }
        Ok(())
    }
}
