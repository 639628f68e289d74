//! A batch's columns as they lie, for what takes spans by the thousand: sealing reads each column from its first entry to
//! its last instead of asking span by span.

use super::{Attributes, SpanBatch, Text};

/// The columns of a batch. Those of spans have an entry each; ends are where the entries of a span end in another column.
#[derive(Debug, Clone, Copy)]
pub struct BatchColumns<'a> {
    /// Upper halves of trace ids.
    pub trace_high: &'a [u64],
    /// Span ids.
    pub ids: &'a [u64],
    /// Parents; zero for a root.
    pub parents: &'a [u64],
    /// Starts, as [`crate::Time::to_bits`]; zero where the span has none.
    pub starts: &'a [u64],
    /// Durations, likewise.
    pub durations: &'a [u64],
    /// Names: [`crate::StrId`].
    pub names: &'a [u32],
    /// [`crate::Kind`].
    pub kinds: &'a [u8],
    /// [`crate::SpanFlags`].
    pub flags: &'a [u16],
    /// Who recorded it: [`crate::EndpointId`].
    pub locals: &'a [u32],
    /// Who it spoke to: [`crate::EndpointId`].
    pub remotes: &'a [u32],
    /// [`crate::ResourceId`].
    pub resources: &'a [u32],
    /// [`crate::ScopeId`].
    pub scopes: &'a [u32],
    /// Zero where [`crate::SpanRef::extra`] is none.
    pub extras: &'a [u32],
    /// Where its tags end in `tags`.
    pub tag_ends: &'a [u32],
    /// Where its annotations end in the two columns below.
    pub annotation_ends: &'a [u32],
    /// Tags of all spans.
    pub tags: AttributeColumns<'a>,
    /// Times of all annotations, as [`crate::Time::to_bits`].
    pub annotation_times: &'a [u64],
    /// Their texts.
    pub annotation_values: &'a [Text],
    /// Where the attributes of an annotation end in `annotation_details`.
    pub annotation_detail_ends: &'a [u32],
    /// Attributes of all annotations.
    pub annotation_details: AttributeColumns<'a>,
    /// The texts of values and annotations.
    pub text: &'a str,
    /// The bytes of values.
    pub bytes: &'a [u8],
}

/// Keys with typed values, a column each.
#[derive(Debug, Clone, Copy)]
pub struct AttributeColumns<'a> {
    /// Keys: [`crate::StrId`].
    pub keys: &'a [u32],
    /// Types: 0 text, 1 bool, 2 integer, 3 double, 4 bytes, 5 nested.
    pub types: &'a [u8],
    /// A number's bits; of texts and bytes their [`Text::place`].
    pub words: &'a [u64],
}

impl Text {
    /// Where it lies in the batch's texts: its first byte in the lower half, its length, below 2^31, in the upper one.
    #[inline]
    pub const fn place(self) -> u64 {
        self.start as u64 | (self.len as u64) << 32
    }
}

impl Attributes {
    #[inline]
    fn columns(&self) -> AttributeColumns<'_> {
        let Self { keys, types, values } = self;
        AttributeColumns { keys, types, words: values }
    }
}

impl SpanBatch {
    /// The batch column by column.
    #[inline]
    pub fn columns(&self) -> BatchColumns<'_> {
        BatchColumns {
            trace_high: &self.trace_high,
            ids: &self.ids,
            parents: &self.parents,
            starts: &self.starts,
            durations: &self.durations,
            names: &self.span_names,
            kinds: &self.kinds,
            flags: &self.flags,
            locals: &self.locals,
            remotes: &self.remotes,
            resources: &self.span_resources,
            scopes: &self.span_scopes,
            extras: &self.span_extras,
            tag_ends: &self.tag_ends,
            annotation_ends: &self.annotation_ends,
            tags: self.tags.columns(),
            annotation_times: &self.annotation_times,
            annotation_values: &self.annotation_values,
            annotation_detail_ends: &self.annotation_detail_ends,
            annotation_details: self.annotation_details.columns(),
            text: &self.text,
            bytes: &self.bytes,
        }
    }
}
