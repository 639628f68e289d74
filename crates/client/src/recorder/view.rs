//! A finished span with the service that recorded it, as encoders read it.

use tracewell_model::{
    EndpointRef, Kind, LinkView, OwnedEndpoint, RawValue, SpanFlags, SpanId, SpanView, StatusCode, Time, TraceId,
    ValueRef,
};

use super::entries::Present;
use super::entry::SpanEntry;
use super::record::SpanRecord;

/// A finished span and the service that recorded it.
///
/// ```
/// use tracewell::{LocalSpan, SpanRecord};
/// use tracewell_model::{OwnedEndpoint, SpanView as _};
///
/// fn tags<'a>(record: SpanRecord<'a>, service: &'a OwnedEndpoint) -> usize {
///     let span: LocalSpan<'a> = record.with_local(service);
///     span.tags().count()
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LocalSpan<'a> {
    record: SpanRecord<'a>,
    local: &'a OwnedEndpoint,
}

impl<'a> LocalSpan<'a> {
    #[inline]
    pub(crate) const fn new(record: SpanRecord<'a>, local: &'a OwnedEndpoint) -> Self {
        Self { record, local }
    }

    /// The last entry that `pick` takes, if there can be one.
    #[inline]
    fn last<T>(&self, present: Present, pick: impl Fn(SpanEntry<'a>) -> Option<T>) -> Option<T> {
        if self.record.has(present) { self.search_last(pick) } else { None }
    }

    /// Most spans have none of what is looked for.
    #[inline(never)]
    fn search_last<T>(&self, pick: impl Fn(SpanEntry<'a>) -> Option<T>) -> Option<T> {
        self.record.entry_iter().filter_map(pick).last()
    }
}

impl<'a> SpanView<'a> for LocalSpan<'a> {
    #[inline]
    fn trace_id(self) -> TraceId {
        self.record.trace_id()
    }

    #[inline]
    fn id(self) -> SpanId {
        self.record.span_id()
    }

    #[inline]
    fn parent(self) -> Option<SpanId> {
        Some(self.record.parent_id()).filter(|parent| !parent.is_none())
    }

    #[inline]
    fn name(self) -> &'a str {
        std::str::from_utf8(self.name_bytes()).unwrap_or_default()
    }

    #[inline]
    fn name_bytes(self) -> &'a [u8] {
        let entries = self.record.entry_iter();
        // A span begins with its name.
        let name = if self.record.has(Present::NAME_AGAIN) { entries.last_name() } else { entries.first_name() };
        name.unwrap_or_default()
    }

    #[inline]
    fn kind(self) -> Kind {
        self.record.kind()
    }

    #[inline]
    fn flags(self) -> SpanFlags {
        self.record.flags().with(SpanFlags::HAS_START).with(SpanFlags::HAS_DURATION)
    }

    #[inline]
    fn start(self) -> Option<Time> {
        Some(self.record.start())
    }

    #[inline]
    fn duration(self) -> Option<Time> {
        Some(self.record.duration())
    }

    #[inline]
    fn local(self) -> Option<EndpointRef<'a>> {
        Some(self.local.as_ref())
    }

    #[inline]
    fn remote(self) -> Option<EndpointRef<'a>> {
        self.last(Present::REMOTE, |entry| match entry {
            SpanEntry::RemoteEndpoint(endpoint) => Some(endpoint),
            _ => None,
        })
    }

    #[inline]
    fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        self.record.entry_iter().tags()
    }

    #[inline]
    fn tags_bytes(self) -> impl Iterator<Item = (&'a [u8], RawValue<'a>)> + Clone {
        self.record.entry_iter().tags_bytes()
    }

    #[inline]
    fn annotations(
        self,
    ) -> impl Iterator<Item = (Time, &'a str, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone {
        self.record.entries_if(Present::ANNOTATIONS).with_behind().filter_map(|(entry, behind)| match entry {
            SpanEntry::Annotation(time, value) => Some((time, value, behind.fields())),
            _ => None,
        })
    }

    #[inline]
    fn links(
        self,
    ) -> impl Iterator<Item = (LinkView<'a>, impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone)> + Clone {
        self.record.entries_if(Present::LINKS).with_behind().filter_map(|(entry, behind)| match entry {
            SpanEntry::Link(link) => Some((link, behind.fields())),
            _ => None,
        })
    }

    #[inline]
    fn status(self) -> StatusCode {
        self.last(Present::STATUS, |entry| if let SpanEntry::Status(code, _) = entry { Some(code) } else { None })
            .unwrap_or_default()
    }

    #[inline]
    fn status_message(self) -> &'a str {
        self.last(Present::STATUS, |entry| if let SpanEntry::Status(_, message) = entry { Some(message) } else { None })
            .unwrap_or_default()
    }

    #[inline]
    fn trace_state(self) -> &'a str {
        self.last(
            Present::TRACE_STATE,
            |entry| if let SpanEntry::TraceState(state) = entry { Some(state) } else { None },
        )
        .unwrap_or_default()
    }

    #[inline]
    fn dropped(self) -> (u32, u32, u32) {
        let left_out = self.record.left_out();
        (left_out.tags.into(), left_out.annotations.into(), left_out.links.into())
    }

    #[inline]
    fn otlp_flags(self) -> u32 {
        0
    }

    #[inline]
    fn warnings(self) -> impl Iterator<Item = &'a str> + Clone {
        std::iter::empty()
    }
}
