//! All spans of a segment that is written, as rows in the order of the segment and in the segment's numbers. Filled from the
//! batches of a memtable (`read_batches.rs`) or from segments that are merged (`read_segments.rs`); the blocks behind it copy
//! numbers, and texts that have none.

use std::ops::Range;
use std::sync::Arc;
use tracewell_model::{SpanBatch, SpanFlags};

/// A span in the numbers of the segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) trace_high: u64,
    pub(super) id: u64,
    pub(super) parent: u64,
    /// The bits of the model's time.
    pub(super) start: u64,
    pub(super) duration: u64,
    /// Of `sources`, the one with its texts.
    pub(super) source: u32,
    pub(super) name: u32,
    pub(super) local: u32,
    pub(super) remote: u32,
    pub(super) shape: u32,
    pub(super) resource: u32,
    pub(super) scope: u32,
    /// Of `values`, the first.
    pub(super) values: u32,
    /// Of `annotations`: the first, and how many.
    pub(super) annotations: (u32, u32),
    /// Of `extras`: from where, and how long.
    pub(super) extra: (u32, u32),
    /// How long its texts and bytes are.
    pub(super) text_bytes: u32,
    /// Kind in the lower three bits, above them the flags.
    pub(super) kind: u32,
    /// Of its duration; then of the longest of its service in its trace.
    pub(super) bucket: u8,
}

impl Row {
    pub(super) fn has_start(&self) -> bool {
        self.kind >> 3 & u32::from(SpanFlags::HAS_START.0) != 0
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AnnotationRow {
    pub(super) time: u64,
    /// Of its text; see [`Rows::values`].
    pub(super) word: u64,
    pub(super) shape: u32,
    /// Of `annotation_values`, the first of its attributes.
    pub(super) values: u32,
}

/// All spans of a segment.
pub(super) struct Rows {
    pub(super) sources: Vec<Source>,
    pub(super) rows: Vec<Row>,
    /// Of tags, a word each, those of a row in the order of its shape: of texts the number in the attribute's dictionary, or,
    /// where that is given up, the place in the source; of numbers their bits; of bytes the place in the source.
    pub(super) values: Vec<u64>,
    pub(super) annotations: Vec<AnnotationRow>,
    /// The same of the attributes of annotations.
    pub(super) annotation_values: Vec<u64>,
    pub(super) extras: Vec<u8>,
    /// The service of each endpoint, as a text.
    pub(super) services: Vec<u32>,
    /// The attribute that the texts of annotations are.
    pub(super) annotation_text: Option<u32>,
}

/// Where texts and bytes lie that have no number.
pub(super) enum Source {
    Batch(Arc<SpanBatch>),
    /// Of a block of a segment that is merged.
    Arena { text: String, bytes: Vec<u8> },
}

impl Source {
    pub(super) fn texts(&self) -> &str {
        match self {
            Self::Batch(batch) => batch.columns().text,
            Self::Arena { text, .. } => text,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Batch(batch) => batch.columns().bytes,
            Self::Arena { bytes, .. } => bytes,
        }
    }
}

/// In a word of [`Rows::values`] that is a text's: a place and no number. Lengths are below 2^31, so the bit is free.
pub(super) const IS_PLACE: u64 = 1 << 63;

/// Where in the source a text or bytes lie.
pub(super) fn range_of(word: u64) -> Range<usize> {
    let (start, len) = (word as u32 as usize, (word >> 32) as usize & 0x7fff_ffff);
    start..start + len
}

impl Rows {
    pub(super) fn new(spans: usize) -> Self {
        Self {
            sources: vec![],
            rows: vec![Row::default(); spans],
            values: vec![],
            annotations: vec![],
            annotation_values: vec![],
            extras: vec![],
            services: vec![0],
            annotation_text: None,
        }
    }

    /// Remembers the service of an endpoint.
    pub(super) fn set_service(&mut self, endpoint: u32, service: u32) {
        let endpoint = endpoint as usize;
        if self.services.len() <= endpoint {
            self.services.resize(endpoint + 1, 0);
        }
        self.services[endpoint] = service;
    }

    /// Says of each row of a trace how long the longest of its service there is. `longest` is a zero for each text.
    pub(super) fn spread_longest(&mut self, trace: Range<usize>, longest: &mut [u8]) {
        let Self { rows, services, .. } = self;
        let rows = &mut rows[trace];
        for row in rows.iter() {
            let longest = &mut longest[services[row.local as usize] as usize];
            *longest = row.bucket.max(*longest);
        }
        for row in rows.iter_mut() {
            row.bucket = longest[services[row.local as usize] as usize];
        }
        for row in rows.iter() {
            longest[services[row.local as usize] as usize] = 0;
        }
    }
}
