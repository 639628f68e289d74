//! What an encoder reads of a span, wherever the span is kept: a batch's row on the server, a finished record in a client.
//!
//! One encoder a format serves both, without a copy in between. Resource and scope are shared by many spans and therefore
//! given to an encoder beside them.

use crate::{
    AnnotationRef, EndpointRef, Kind, LinkRef, RawValue, SpanFlags, SpanId, SpanRef, StatusCode, Time, TraceId,
    ValueRef,
};

/// A span to be encoded. Iterators may be asked for several times and then yield the same.
pub trait SpanView<'a>: Copy {
    /// The trace.
    fn trace_id(self) -> TraceId;
    /// The span.
    fn id(self) -> SpanId;
    /// Its parent; `None` for a root.
    fn parent(self) -> Option<SpanId>;
    /// Its name, empty when unknown.
    fn name(self) -> &'a str;
    /// Its role.
    fn kind(self) -> Kind;
    /// Debug, shared, sampled.
    fn flags(self) -> SpanFlags;
    /// When it began.
    fn start(self) -> Option<Time>;
    /// How long it took.
    fn duration(self) -> Option<Time>;
    /// Who recorded it.
    fn local(self) -> Option<EndpointRef<'a>>;
    /// Who it spoke to.
    fn remote(self) -> Option<EndpointRef<'a>>;
    /// Its tags, in the order they came; a key may come twice.
    fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone;
    /// Its name as bytes; see [`RawValue`].
    #[inline]
    fn name_bytes(self) -> &'a [u8] {
        self.name().as_bytes()
    }
    /// Its tags with texts as bytes; see [`RawValue`].
    #[inline]
    fn tags_bytes(self) -> impl Iterator<Item = (&'a [u8], RawValue<'a>)> + Clone {
        self.tags().map(|(key, value)| (key.as_bytes(), RawValue::from(value)))
    }
    /// Its annotations: when, what, and fields.
    fn annotations(
        self,
    ) -> impl Iterator<Item = (Time, &'a str, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone;
    /// Its links, with their attributes.
    fn links(
        self,
    ) -> impl Iterator<Item = (LinkView<'a>, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone;
    /// OTLP's status.
    fn status(self) -> StatusCode;
    /// OTLP's status message.
    fn status_message(self) -> &'a str;
    /// W3C's trace state.
    fn trace_state(self) -> &'a str;
    /// What the sender says it left out: tags, annotations, links.
    fn dropped(self) -> (u32, u32, u32);
    /// OTLP's `flags` field as it came; zero when it did not.
    fn otlp_flags(self) -> u32;
    /// Jaeger's warnings.
    fn warnings(self) -> impl Iterator<Item = &'a str> + Clone;
}

/// A link's scalar part; see [`crate::LinkRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `LinkRow`")]
pub struct LinkView<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub child_of: bool,
    pub trace_state: &'a str,
    pub otlp_flags: u32,
    pub dropped_attributes: u32,
}

impl<'a> SpanView<'a> for SpanRef<'a> {
    fn trace_id(self) -> TraceId {
        Self::trace_id(self)
    }

    fn id(self) -> SpanId {
        Self::id(self)
    }

    fn parent(self) -> Option<SpanId> {
        Self::parent(self)
    }

    fn name(self) -> &'a str {
        Self::name(self)
    }

    fn kind(self) -> Kind {
        Self::kind(self)
    }

    fn flags(self) -> SpanFlags {
        Self::flags(self)
    }

    fn start(self) -> Option<Time> {
        Self::start(self)
    }

    fn duration(self) -> Option<Time> {
        Self::duration(self)
    }

    fn local(self) -> Option<EndpointRef<'a>> {
        Self::local(self)
    }

    fn remote(self) -> Option<EndpointRef<'a>> {
        Self::remote(self)
    }

    fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        Self::tags(self).iter()
    }

    fn annotations(
        self,
    ) -> impl Iterator<Item = (Time, &'a str, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone {
        Self::annotations(self).map(|AnnotationRef { time, value, details }| (time, value, details.iter()))
    }

    fn links(
        self,
    ) -> impl Iterator<Item = (LinkView<'a>, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone {
        Self::links(self).map(|LinkRef { row, trace_state, attributes }| {
            let view = LinkView {
                trace_id: row.trace_id,
                span_id: row.span_id,
                child_of: row.child_of,
                trace_state,
                otlp_flags: row.otlp_flags,
                dropped_attributes: row.dropped_attributes,
            };
            (view, attributes.iter())
        })
    }

    fn status(self) -> StatusCode {
        Self::status(self)
    }

    fn status_message(self) -> &'a str {
        self.extra().map_or("", |extra| self.batch().text(extra.status_message))
    }

    fn trace_state(self) -> &'a str {
        self.extra().map_or("", |extra| self.batch().text(extra.trace_state))
    }

    fn dropped(self) -> (u32, u32, u32) {
        self.extra().map_or((0, 0, 0), |extra| (extra.dropped_tags, extra.dropped_annotations, extra.dropped_links))
    }

    fn otlp_flags(self) -> u32 {
        self.extra().map_or(0, |extra| extra.otlp_flags)
    }

    fn warnings(self) -> impl Iterator<Item = &'a str> + Clone {
        Self::warnings(self)
    }
}
