//! How far a batch was filled, and the way back there.

use super::SpanBatch;
use std::hash::BuildHasher;

/// How far a batch was filled; see [`SpanBatch::mark`].
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchMark {
    spans: usize,
    names: usize,
    text: usize,
    bytes: usize,
    tags: u32,
    annotations: usize,
    annotation_details: u32,
    endpoints: usize,
    resources: usize,
    scopes: usize,
    extras: usize,
    links: usize,
    warnings: usize,
    shared_attributes: u32,
}

impl SpanBatch {
    /// Remembers how far the batch is filled, so that [`SpanBatch::rollback`] can undo a body that turns out to be wrong.
    /// For the moment between two spans: what is pushed for a span not yet committed is dropped.
    pub fn mark(&mut self) -> BatchMark {
        self.discard_open();
        BatchMark {
            spans: self.len(),
            names: self.names.len(),
            text: self.text.len(),
            bytes: self.bytes.len(),
            tags: self.tags.len(),
            annotations: self.annotation_times.len(),
            annotation_details: self.annotation_details.len(),
            endpoints: self.endpoints.len(),
            resources: self.resources.len(),
            scopes: self.scopes.len(),
            extras: self.extras.len(),
            links: self.links.len(),
            warnings: self.warnings.len(),
            shared_attributes: self.shared_attributes.len(),
        }
    }

    /// Forgets everything that was added since the mark was taken, interned texts and endpoints included.
    pub fn rollback(&mut self, mark: BatchMark) {
        self.discard_open();
        for code in mark.endpoints..self.endpoints.len() {
            let hash = self.endpoint_hasher.hash_one(self.endpoints[code]);
            if let Ok(entry) = self.endpoint_codes.find_entry(hash, |&other| other as usize == code + 1) {
                entry.remove();
            }
        }
        // They name keys by numbers that may now go to others.
        self.tag_orders.forget();
        self.names.truncate(mark.names);
        self.text.truncate(mark.text);
        self.bytes.truncate(mark.bytes);
        self.truncate(&mark);
    }

    /// Columns and tables, but not the texts and what is found by hash.
    pub(super) fn truncate(&mut self, mark: &BatchMark) {
        let Self { trace_high, trace_low, ids, parents, starts, durations, .. } = self;
        for column in [trace_high, trace_low, ids, parents, starts, durations] {
            column.truncate(mark.spans);
        }
        let Self { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = self;
        for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
            column.truncate(mark.spans);
        }
        self.tag_ends.truncate(mark.spans);
        self.annotation_ends.truncate(mark.spans);
        self.kinds.truncate(mark.spans);
        self.flags.truncate(mark.spans);
        self.tags.truncate(mark.tags as usize);
        self.annotation_times.truncate(mark.annotations);
        self.annotation_values.truncate(mark.annotations);
        self.annotation_detail_ends.truncate(mark.annotations);
        self.annotation_details.truncate(mark.annotation_details as usize);
        self.endpoints.truncate(mark.endpoints);
        self.resources.truncate(mark.resources);
        self.scopes.truncate(mark.scopes);
        self.extras.truncate(mark.extras);
        self.links.truncate(mark.links);
        self.warnings.truncate(mark.warnings);
        self.shared_attributes.truncate(mark.shared_attributes as usize);
        self.links_committed = mark.links;
        self.warnings_committed = mark.warnings;
    }
}
