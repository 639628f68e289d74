//! Of a trace only what is asked for: outlines of its spans, or the spans with one id.

use super::block::Depth;
use super::{Segment, SegmentError, block_columns as columns};
use crate::store::TracePart;
use std::ops::Range;
use tracewell_model::{SpanBatch, SpanId};

impl Segment {
    /// The blocks a trace lies in, with the rows it has there.
    pub(crate) fn blocks_of(&self, trace: u32) -> Vec<(u32, Range<u32>)> {
        let rows = self.trace_rows(trace);
        let first = self.footer.blocks.partition_point(|block| block.first_row + block.rows <= rows.start);
        let blocks = (0u32..).zip(&self.footer.blocks).skip(first).take_while(|(_, block)| block.first_row < rows.end);
        let rows_in = |(at, block): (u32, &super::BlockEntry)| {
            let from = rows.start.max(block.first_row) - block.first_row;
            let to = rows.end.min(block.first_row + block.rows) - block.first_row;
            (at, from..to)
        };
        blocks.map(rows_in).collect()
    }

    /// Appends what is asked for of these rows of a block, in order of arrival; nothing more of a damaged block.
    pub(crate) fn read_part(
        &self,
        block: u32,
        rows: Range<u32>,
        part: TracePart,
        batch: &mut SpanBatch,
    ) -> Result<(), SegmentError> {
        self.unless_damaged(block, |segment| match part {
            TracePart::Outline => segment.read_rows_as(block, rows, Depth::Outline, batch),
            TracePart::Span(id) => segment.read_spans(block, rows, id, batch),
        })?;
        Ok(())
    }

    fn read_spans(&self, block: u32, rows: Range<u32>, id: SpanId, batch: &mut SpanBatch) -> Result<(), SegmentError> {
        let ids = self.column(block, columns::ID)?;
        let offset = self.block(block).columns.first().map_or(0, |column| column.offset);
        let ids = ids.as_ref().map(|ids| ids.u64s()).transpose().map_err(|error| self.malformed(offset, error))?;
        // Without the column all ids are zero; rows that it lacks are found out when they are read.
        let has_id = |row: &u32| ids.map_or(Some(0), |ids| ids.get(*row as usize).copied()) == Some(id.value());
        let rows: Vec<u32> = rows.filter(has_id).collect();
        let neighbours = rows.chunk_by(|above, below| above + 1 == *below);
        neighbours.into_iter().try_for_each(|rows| self.read_rows(block, rows[0]..rows[0] + rows.len() as u32, batch))
    }
}
