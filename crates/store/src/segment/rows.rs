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
#[derive(Default)]
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
    /// Short texts without a number, which are next to each other here and far apart in the sources.
    pub(super) texts: String,
    /// The service of each endpoint, as a text.
    pub(super) services: Vec<u32>,
    /// The attribute that the texts of annotations are.
    pub(super) annotation_text: Option<u32>,
}

/// Where texts and bytes lie that have no number.
pub(super) enum Source {
    Batch(Arc<SpanBatch>),
    /// Of a block of a segment that is merged.
    Arena {
        text: String,
        bytes: Vec<u8>,
    },
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

/// In the word of a text that is a place: one in [`Rows::texts`]. Those of sources are below 2^31, so the bit is free.
const IS_NEAR: u64 = 1 << 31;
/// Texts up to this length go to [`Rows::texts`], ...
const NEAR_BYTES_MAX: usize = 64;
/// ... which takes so many bytes at most.
const NEAR_TEXTS_BYTES_MAX: usize = 8 << 20;

/// The word of a text without a number that is at `place` in its source.
#[inline]
pub(super) fn place_text(texts: &mut String, text: &str, place: u64) -> u64 {
    if text.len() > NEAR_BYTES_MAX || texts.len() + text.len() > NEAR_TEXTS_BYTES_MAX {
        return place | IS_PLACE;
    }
    let start = texts.len() as u64;
    texts.push_str(text);
    start | (text.len() as u64) << 32 | IS_PLACE | IS_NEAR
}

/// Where in the source a text or bytes lie.
pub(super) fn range_of(word: u64) -> Range<usize> {
    let (start, len) = (word as u32 as usize, (word >> 32) as usize & 0x7fff_ffff);
    start..start + len
}

impl Rows {
    /// Forgets all and keeps the memory; makes room for so many rows, of which every one is to be set.
    pub(super) fn begin(&mut self, spans: usize) {
        let Self { sources, rows, values, annotations, annotation_values, extras, texts, services, .. } = self;
        sources.clear();
        rows.resize(spans, Row::default());
        values.clear();
        annotations.clear();
        annotation_values.clear();
        extras.clear();
        texts.clear();
        services.clear();
        services.push(0);
        self.annotation_text = None;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let Self { rows, values, annotations, annotation_values, extras, texts, .. } = self;
        rows.capacity() * size_of::<Row>()
            + annotations.capacity() * size_of::<AnnotationRow>()
            + (values.capacity() + annotation_values.capacity()) * 8
            + extras.capacity()
            + texts.capacity()
    }

    /// The text without a number that a word of a row of this source stands for.
    #[inline]
    pub(super) fn text_at(&self, source: u32, word: u64) -> &str {
        if word & IS_NEAR != 0 {
            return &self.texts[range_of(word & !IS_NEAR)];
        }
        &self.sources[source as usize].texts()[range_of(word)]
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
