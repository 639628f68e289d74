//! The span being filled: its tags, annotations, links and warnings, until its row is committed or it is dropped.

use super::{ARENA_BYTES_MAX, BatchFull, ExtraRow, LinkRow, SpanBatch, SpanRow, Text};
use crate::tag_orders::{FEW_TAGS, sort_few, swaps_of};
use crate::value::{SpanFlags, ValueRef};
use crate::{StrId, Time, compare_utf16};

impl SpanBatch {
    /// Adds a tag to the span being filled. Order is kept; a key may repeat.
    #[inline]
    pub fn tag(&mut self, key: StrId, value: ValueRef<'_>) {
        self.tags.push(&mut self.text, &mut self.bytes, key, value);
    }

    /// Adds a tag whose text lies in the batch already, or will (see [`SpanBatch::stage_text`]).
    #[expect(clippy::inline_always, reason = "three words, for each tag of each span")]
    #[inline(always)]
    pub fn tag_text(&mut self, key: StrId, value: Text) {
        self.tags.push_text(key, value);
    }

    /// Adds an annotation (event, log) to the span being filled.
    pub fn annotation(&mut self, time: Time, value: &str) {
        let text = self.push_text(value);
        self.annotation_times.push(time.to_bits());
        self.annotation_values.push(text);
        self.annotation_detail_ends.push(self.annotation_details.len());
    }

    /// Adds an attribute to the annotation added last.
    pub fn annotation_detail(&mut self, key: StrId, value: ValueRef<'_>) {
        self.annotation_details.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(end) = self.annotation_detail_ends.last_mut() {
            *end = self.annotation_details.len();
        }
    }

    /// Adds an attribute to the annotation added last, as [`SpanBatch::tag_text`].
    #[inline]
    pub fn annotation_detail_text(&mut self, key: StrId, value: Text) {
        self.annotation_details.push_text(key, value);
        if let Some(end) = self.annotation_detail_ends.last_mut() {
            *end = self.annotation_details.len();
        }
    }

    /// Adds a link to the span being filled.
    pub fn link(&mut self, link: LinkRow) {
        let attributes = self.shared_attributes.empty_range();
        self.links.push(LinkRow { attributes, ..link });
    }

    /// Adds an attribute to the link added last.
    pub fn link_attribute(&mut self, key: StrId, value: ValueRef<'_>) {
        self.shared_attributes.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(link) = self.links.last_mut() {
            link.attributes.1 = self.shared_attributes.len();
        }
    }

    /// Adds a warning (Jaeger) to the span being filled.
    pub fn warning(&mut self, warning: &str) {
        let text = self.push_text(warning);
        self.warnings.push(text);
    }

    /// How many tags the span being filled has so far.
    pub fn open_tags_len(&self) -> usize {
        self.tags.keys.len() - self.tag_ends.last().map_or(0, |&end| end as usize)
    }

    /// How many annotations the span being filled has so far.
    pub fn open_annotations_len(&self) -> usize {
        self.annotation_times.len() - self.annotation_ends.last().map_or(0, |&end| end as usize)
    }

    /// Drops the tags of the span being filled: a JSON field that comes twice counts once.
    pub fn clear_open_tags(&mut self) {
        self.tags.truncate(self.tag_ends.last().map_or(0, |&end| end as usize));
    }

    /// Drops the annotations of the span being filled.
    pub fn clear_open_annotations(&mut self) {
        let keep = self.annotation_ends.last().map_or(0, |&end| end as usize);
        self.annotation_times.truncate(keep);
        self.annotation_values.truncate(keep);
        self.annotation_detail_ends.truncate(keep);
        self.annotation_details.truncate(self.annotation_detail_ends.last().map_or(0, |&end| end as usize));
    }

    /// Sorts the tags of the span being filled by key; of those with one key the last stays. As Zipkin answers.
    pub fn sort_open_tags(&mut self) {
        let from = self.tag_ends.last().map_or(0, |&end| end as usize);
        let Self { tags, names, tag_orders, .. } = self;
        match tags.keys.len() - from {
            0 | 1 => {}
            2..=FEW_TAGS => {
                if let Some(swaps) = tag_orders.find(&tags.keys[from..]) {
                    return tags.swap_all(from, swaps);
                }
                let mut order = [0; FEW_TAGS];
                let order = sort_few(names, &tags.keys[from..], &mut order);
                let came = |at: u8| tags.keys[from + usize::from(at)];
                let all_differ = order.windows(2).all(|pair| came(pair[0]) != came(pair[1]));
                let swaps = swaps_of(order);
                if all_differ {
                    tag_orders.remember(&tags.keys[from..], swaps);
                }
                tags.swap_all(from, swaps);
                tags.keep_last_of_each_key(from);
            }
            _ => {
                let key = |at: usize| names.get(StrId(tags.keys[at]));
                let mut order: Vec<usize> = (from..tags.keys.len()).collect();
                order.sort_by(|&a, &b| compare_utf16(key(a), key(b)));
                tags.reorder(from, &order);
                tags.keep_last_of_each_key(from);
            }
        }
    }

    /// Sorts the annotations of the span being filled by time, then text, and drops equal ones. As Zipkin answers.
    /// For annotations without attributes only: these keep their place.
    pub fn sort_open_annotations(&mut self) {
        let from = self.annotation_ends.last().map_or(0, |&end| end as usize);
        if self.annotation_times.len() < from + 2 {
            return;
        }
        let sorted = |batch: &Self, a: usize, b: usize| {
            let times = batch.annotation_times[a].cmp(&batch.annotation_times[b]);
            let value = |at: usize| batch.text(batch.annotation_values[at]);
            times.then_with(|| compare_utf16(value(a), value(b)))
        };
        if (from + 1..self.annotation_times.len()).all(|at| sorted(self, at - 1, at).is_lt()) {
            return;
        }
        let mut order: Vec<usize> = (from..self.annotation_times.len()).collect();
        order.sort_by(|&a, &b| sorted(self, a, b));
        order.dedup_by(|a, b| sorted(self, *a, *b).is_eq());
        let open: Vec<_> = order.iter().map(|&at| (self.annotation_times[at], self.annotation_values[at])).collect();
        self.clear_open_annotations();
        for (time, text) in open {
            self.annotation_times.push(time);
            self.annotation_values.push(text);
            self.annotation_detail_ends.push(self.annotation_details.len());
        }
    }

    /// Ends the span being filled: its row joins the columns, with the tags and annotations pushed since the last one.
    #[inline]
    pub fn commit(&mut self, row: SpanRow) -> Result<(), BatchFull> {
        debug_assert!(self.staged.is_empty(), "settle_texts comes first");
        if self.text.len() > ARENA_BYTES_MAX || self.bytes.len() > ARENA_BYTES_MAX {
            self.discard_open();
            return Err(BatchFull);
        }
        let extra = self.take_open_extra(row.extra);
        let mut flags = row.flags.without(SpanFlags::HAS_START.with(SpanFlags::HAS_DURATION));
        if row.start.is_some() {
            flags = flags.with(SpanFlags::HAS_START);
        }
        if row.duration.is_some() {
            flags = flags.with(SpanFlags::HAS_DURATION);
        }
        self.trace_high.push(row.trace_id.high());
        self.trace_low.push(row.trace_id.low());
        self.ids.push(row.id.value());
        self.parents.push(row.parent.value());
        self.starts.push(row.start.unwrap_or_default().to_bits());
        self.durations.push(row.duration.unwrap_or_default().to_bits());
        self.span_names.push(row.name.0);
        self.kinds.push(row.kind as u8);
        self.flags.push(flags.0);
        self.locals.push(row.local.0);
        self.remotes.push(row.remote.0);
        self.span_resources.push(row.resource.0);
        self.span_scopes.push(row.scope.0);
        self.span_extras.push(extra);
        self.tag_ends.push(self.tags.len());
        self.annotation_ends.push(self.annotation_times.len() as u32);
        Ok(())
    }

    /// Drops the span being filled, and the texts behind this length of [`SpanBatch::text_bytes`].
    pub fn discard_open_since(&mut self, text_bytes: usize) {
        self.discard_open();
        self.text.truncate(text_bytes);
    }

    /// How many bytes of texts there are, but for those that are interned.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Drops what was pushed since the last commit. Interned texts and endpoints stay; they cost little.
    pub fn discard_open(&mut self) {
        self.staged.clear();
        self.clear_open_tags();
        self.clear_open_annotations();
        self.links.truncate(self.links_committed);
        self.warnings.truncate(self.warnings_committed);
    }

    #[inline]
    fn take_open_extra(&mut self, extra: Option<ExtraRow>) -> u32 {
        let links = (self.links_committed as u32, self.links.len() as u32);
        let warnings = (self.warnings_committed as u32, self.warnings.len() as u32);
        self.links_committed = self.links.len();
        self.warnings_committed = self.warnings.len();
        if extra.is_none() && links.0 == links.1 && warnings.0 == warnings.1 {
            return 0;
        }
        self.extras.push(ExtraRow { links, warnings, ..extra.unwrap_or_default() });
        self.extras.len() as u32
    }
}
