//! A finished span: a head of fixed size, written where it ends, and the entries before it. Read by the reporter.
//!
//! ```text
//! 8 words: words of entries | trace id high | low | span id | parent id | start ns | duration ns
//!          | kind u8 · flags u16 at bit 8 · which entries u8 at bit 24 · left out: u16 at bit 32, u8 at 48, u8 at 56
//! ```

use tracewell_model::{Kind, OwnedEndpoint, Span, SpanFlags, SpanId, Time, TraceId};

use super::entries::{Entries, LeftOut, Present, WORD};
use super::entry::{EntryIter, SpanEntry};
use super::view::LocalSpan;

/// Words in front of a record's entries.
pub(crate) const HEAD_WORDS: usize = 8;

/// What a finished span says beside its entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_id: SpanId,
    pub(crate) start_nanos: u64,
    pub(crate) duration_nanos: u64,
    pub(crate) kind: Kind,
    pub(crate) flags: SpanFlags,
}

impl Head {
    #[inline]
    pub(crate) fn to_words(self, entries: &Entries) -> [u64; HEAD_WORDS] {
        let left_out = entries.left_out();
        [
            entries.words().len() as u64,
            self.trace_id.high(),
            self.trace_id.low(),
            self.span_id.value(),
            self.parent_id.value(),
            self.start_nanos,
            self.duration_nanos,
            u64::from(left_out.links) << 56
                | u64::from(left_out.annotations) << 48
                | u64::from(left_out.tags) << 32
                | u64::from(entries.present().0) << 24
                | u64::from(self.flags.0) << 8
                | self.kind as u64,
        ]
    }
}

/// Finished spans, borrowed from the reporter's buffer.
///
/// ```
/// use tracewell::{FnReporter, Tracer, sampler::ConstSampler};
/// let reporter = FnReporter::new(|_, spans| {
///     assert_eq!((spans.len(), spans.iter().count()), (1, 1));
///     Ok(())
/// });
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SpanRecords<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> SpanRecords<'a> {
    /// The leading records of `bytes`, at most `len_max`, and the bytes behind them.
    pub(crate) fn split(bytes: &'a [u8], len_max: usize) -> (Self, &'a [u8]) {
        let mut records = Records(bytes);
        let len = records.by_ref().take(len_max).count();
        let (these, rest) = bytes.split_at(bytes.len() - records.0.len());
        (Self { bytes: these, len }, rest)
    }

    /// The leading records, at most so many and in so many bytes, and those behind them.
    #[cfg(feature = "_delivery")]
    pub(crate) fn split_within(&self, len_max: usize, bytes_max: usize) -> (Self, Self) {
        if self.len <= len_max && self.bytes.len() <= bytes_max {
            return (*self, Self { bytes: &[], len: 0 });
        }
        let mut records = Records(self.bytes);
        let (mut len, mut split) = (0, 0);
        while len < len_max && records.next().is_some() && self.bytes.len() - records.0.len() <= bytes_max {
            len += 1;
            split = self.bytes.len() - records.0.len();
        }
        let (these, rest) = self.bytes.split_at(split);
        (Self { bytes: these, len }, Self { bytes: rest, len: self.len - len })
    }

    /// As they were recorded.
    #[cfg(feature = "_delivery")]
    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many.
    ///
    /// ```
    /// use tracewell::FnReporter;
    /// let reporter = FnReporter::new(|_, spans| match spans.len() {
    ///     0..100 => Ok(()),
    ///     _ => Err("too many at once".into()),
    /// });
    /// # drop(reporter);
    /// ```
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|_, spans| {
    ///     assert!(!spans.is_empty(), "a reporter is given some");
    ///     Ok(())
    /// });
    /// # drop(reporter);
    /// ```
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each, in the order each thread finished them.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|_, spans| {
    ///     let longest = spans.iter().map(|span| span.duration().as_micros()).max();
    ///     println!("{longest:?} µs");
    ///     Ok(())
    /// });
    /// # drop(reporter);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = SpanRecord<'a>> + Clone + use<'a> {
        Records(self.bytes).map(|(head, entries)| SpanRecord::new(head, entries))
    }

    /// Each as encoders read it, recorded by the service `local`.
    ///
    /// ```
    /// use tracewell_model::{OwnedEndpoint, SpanView as _};
    /// # use tracewell::SpanRecords;
    /// fn names<'a>(spans: &SpanRecords<'a>, local: &'a OwnedEndpoint) -> Vec<&'a str> {
    ///     spans.views(local).map(|span| span.name()).collect()
    /// }
    /// ```
    pub fn views(&self, local: &'a OwnedEndpoint) -> impl Iterator<Item = LocalSpan<'a>> + Clone + use<'a> {
        self.iter().map(move |record| record.with_local(local))
    }
}

type HeadBytes = [u8; HEAD_WORDS * WORD];

/// Heads and entries of records.
#[derive(Clone)]
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (&'a HeadBytes, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<{ HEAD_WORDS * WORD }>()?;
        let words = u64::from_le_bytes(*head.first_chunk()?) as usize;
        let (entries, behind) = rest.split_at_checked(words.checked_mul(WORD)?)?;
        self.0 = behind;
        Some((head, entries))
    }
}

/// One finished span.
///
/// ```
/// use tracewell::{FnReporter, Tracer, sampler::ConstSampler};
/// let reporter = FnReporter::new(|resource, spans| {
///     for span in spans.iter() {
///         println!("{} {} took {:?}", resource.endpoint.service, span.trace_id(), span.duration());
///     }
///     Ok(())
/// });
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
/// tracer.new_trace("GET /").finish();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SpanRecord<'a> {
    head: &'a HeadBytes,
    entries: EntryIter<'a>,
}

impl<'a> SpanRecord<'a> {
    #[inline]
    fn new(head: &'a HeadBytes, entries: &'a [u8]) -> Self {
        Self { head, entries: EntryIter::new(entries) }
    }

    #[inline]
    const fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.head.as_chunks::<8>().0[at])
    }

    /// As encoders read it ([`tracewell_model::SpanView`]), recorded by the service `local`.
    ///
    /// ```
    /// use tracewell_model::SpanView as _;
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let names: Vec<&str> = spans.iter().map(|span| span.with_local(&resource.endpoint).name()).collect();
    ///     println!("{names:?}");
    ///     Ok(())
    /// });
    /// # drop(reporter);
    /// ```
    #[inline]
    pub const fn with_local(self, local: &'a OwnedEndpoint) -> LocalSpan<'a> {
        LocalSpan::new(self, local)
    }

    /// The trace.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert_ne!(span.trace_id(), tracewell::TraceId::new(0));
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn trace_id(&self) -> TraceId {
        TraceId::from_halves(self.word(1), self.word(2))
    }

    /// The span.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert_ne!(span.span_id(), tracewell::SpanId::NONE);
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn span_id(&self) -> SpanId {
        SpanId::new(self.word(3))
    }

    /// Its parent, or [`SpanId::NONE`].
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert_eq!(span.parent_id(), tracewell::SpanId::NONE);
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn parent_id(&self) -> SpanId {
        SpanId::new(self.word(4))
    }

    /// When it began.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert!(span.start().as_micros() > 0);
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn start(&self) -> Time {
        Time::from_nanos(self.word(5))
    }

    /// How long it took.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     println!("{} µs", span.duration().as_micros());
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn duration(&self) -> Time {
        Time::from_nanos(self.word(6))
    }

    /// Its role.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert_eq!(span.kind(), tracewell::Kind::Server);
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::from_u8(self.word(7) as u8).unwrap_or_default()
    }

    /// Debug, shared, sampled.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert!(!span.flags().contains(tracewell_model::SpanFlags::DEBUG));
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    #[inline]
    pub const fn flags(&self) -> SpanFlags {
        SpanFlags((self.word(7) >> 8) as u16)
    }

    /// How many entries were left out because there were too many bytes ([`super::SPAN_BYTES_MAX`]).
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert_eq!(span.entries_left_out(), 0);
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    pub fn entries_left_out(&self) -> u32 {
        let left_out = self.left_out();
        u32::from(left_out.tags) + u32::from(left_out.annotations) + u32::from(left_out.links)
    }

    /// What it says about itself, in the order it was said.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     assert!(span.entries().any(|entry| entry == tracewell::SpanEntry::Name("GET /")));
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    pub fn entries(&self) -> impl Iterator<Item = SpanEntry<'a>> + Clone + use<'a> {
        self.entries
    }

    #[inline]
    pub(crate) const fn left_out(&self) -> LeftOut {
        let word = self.word(7);
        LeftOut { tags: (word >> 32) as u16, annotations: (word >> 48) as u8, links: (word >> 56) as u8 }
    }

    #[inline]
    pub(crate) const fn entry_iter(&self) -> EntryIter<'a> {
        self.entries
    }

    /// All entries, or none where none of that sort is among them.
    #[inline]
    pub(crate) const fn entries_if(&self, present: Present) -> EntryIter<'a> {
        if self.has(present) { self.entries } else { EntryIter::NONE }
    }

    /// Whether there are entries of that sort.
    #[inline]
    pub(crate) const fn has(&self, present: Present) -> bool {
        Present((self.word(7) >> 24) as u8).has(present)
    }

    /// An owned copy, as recorded by the service `local`.
    ///
    /// ```
    /// let reporter = tracewell::FnReporter::new(|resource, spans| {
    ///     let span = spans.iter().next().unwrap();
    ///     let owned = span.to_span(&resource.endpoint);
    ///     assert_eq!((owned.local.unwrap().service.as_str(), owned.name.as_str()), ("shop", "GET /"));
    ///     Ok(())
    /// });
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter);
    /// # tracer.span("GET /").kind(tracewell::Kind::Server).start().finish();
    /// # assert_eq!(tracer.close().reported, 1);
    /// ```
    pub fn to_span(&self, local: &OwnedEndpoint) -> Span {
        Span::from_view(LocalSpan::new(*self, local))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use tracewell_model::{OwnedAnnotation, OwnedLink, SpanView as _, StatusCode, Value, ValueRef};

    use super::super::entries::SPAN_BYTES_MAX;
    use super::*;

    fn records(entries: &Entries, head: Head) -> Vec<u8> {
        let words = head.to_words(entries);
        words.iter().chain(entries.words()).flat_map(|word| word.to_le_bytes()).collect()
    }

    fn head() -> Head {
        Head {
            trace_id: TraceId::from_halves(1, 2),
            span_id: SpanId::new(3),
            parent_id: SpanId::new(4),
            start_nanos: 5,
            duration_nanos: 6,
            kind: Kind::Producer,
            flags: SpanFlags::DEBUG.with(SpanFlags::SAMPLED),
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted() {
        let too_much = "x".repeat(SPAN_BYTES_MAX);
        let mut entries = Entries::default();
        entries.tag("k", ValueRef::Bytes(too_much.as_bytes()));
        entries.tag(&"k".repeat(1 << 14), ValueRef::Bool(true));
        entries.name("small");
        entries.annotation(1, &too_much);
        entries.field("of what is not there", ValueRef::Bool(true));
        entries.link(TraceId::new(1), SpanId::new(2), true, &too_much);
        entries.field("of what is not there", ValueRef::Bool(true));
        entries.tag("fits", ValueRef::Bool(true));
        let bytes = records(&entries, head());
        let record = SpanRecords::split(&bytes, 9).0.iter().next().unwrap();
        assert_eq!(record.entries_left_out(), 4);
        let kept = [SpanEntry::Name("small"), SpanEntry::Tag("fits", ValueRef::Bool(true))];
        assert_eq!(record.entries().collect::<Vec<_>>(), kept);
        let local = OwnedEndpoint::default();
        let view = record.with_local(&local);
        assert_eq!((view.name(), view.dropped()), ("small", (2, 1, 1)));
    }

    #[derive(Debug, Clone)]
    enum Said {
        Name(String),
        Tag(String, Value),
        Annotation(u64, String),
        Link(u128, u64, bool),
        Field(String, Value),
        Remote(OwnedEndpoint),
        Status(String),
        TraceState(String),
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "\\PC{0,12}".prop_map(Value::Str),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::I64),
            (-1e300..1e300).prop_map(Value::F64),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Nested),
        ]
    }

    fn said() -> impl Strategy<Value = Said> {
        let text = || "\\PC{0,12}";
        let endpoint = (text(), any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), any::<u16>());
        prop_oneof![
            text().prop_map(Said::Name),
            (text(), value()).prop_map(|(key, value)| Said::Tag(key, value)),
            (0u64..1 << 62, text()).prop_map(|(time, value)| Said::Annotation(time, value)),
            (any::<u128>(), any::<u64>(), any::<bool>()).prop_map(|(trace, id, child)| Said::Link(trace, id, child)),
            (text(), value()).prop_map(|(key, value)| Said::Field(key, value)),
            endpoint.prop_map(|(service, ipv4, ipv6, port)| {
                Said::Remote(OwnedEndpoint { service, ipv4, ipv6, port, ..OwnedEndpoint::default() })
            }),
            text().prop_map(Said::Status),
            text().prop_map(Said::TraceState),
        ]
    }

    /// Says it to the recorder, and to the span that is to come out.
    fn say(said: &Said, entries: &mut Entries, span: &mut Span, fields_of_link: &mut Option<bool>) {
        match said.clone() {
            Said::Name(name) => {
                entries.name(&name);
                span.name = name;
            }
            Said::Tag(key, value) => {
                entries.tag(&key, value.as_ref());
                span.tags.push((key, value));
            }
            Said::Annotation(time, value) => {
                entries.annotation(time, &value);
                span.annotations.push(OwnedAnnotation { time: Time::from_nanos(time), value, details: Vec::new() });
                *fields_of_link = Some(false);
            }
            Said::Link(trace_id, span_id, child_of) => {
                let (trace_id, span_id) = (TraceId::new(trace_id), SpanId::new(span_id));
                entries.link(trace_id, span_id, child_of, "");
                span.links.push(OwnedLink { trace_id, span_id, child_of, attributes: Vec::new() });
                *fields_of_link = Some(true);
            }
            Said::Field(key, value) => {
                entries.field(&key, value.as_ref());
                match fields_of_link {
                    Some(true) => span.links.last_mut().unwrap().attributes.push((key, value)),
                    Some(false) => span.annotations.last_mut().unwrap().details.push((key, value)),
                    None => {}
                }
            }
            Said::Remote(endpoint) => {
                entries.remote_endpoint(&endpoint);
                span.remote = Some(endpoint);
            }
            Said::Status(message) => {
                entries.status(StatusCode::Error, &message);
                (span.status, span.status_message) = (StatusCode::Error, message);
            }
            Said::TraceState(state) => {
                entries.trace_state(&state);
                span.trace_state = state;
            }
        }
    }

    proptest! {
        #[test]
        fn reads_what_was_said(all in prop::collection::vec(said(), 0..20)) {
            let local = OwnedEndpoint { service: "shop".to_owned(), port: 80, ..OwnedEndpoint::default() };
            let mut entries = Entries::default();
            let mut expected = Span {
                trace_id: head().trace_id,
                id: head().span_id,
                parent: Some(head().parent_id),
                kind: Kind::Producer,
                debug: true,
                sampled: true,
                start: Some(Time::from_nanos(5)),
                duration: Some(Time::from_nanos(6)),
                local: Some(local.clone()),
                ..Span::default()
            };
            let mut fields_of_link = None;
            for one in &all {
                say(one, &mut entries, &mut expected, &mut fields_of_link);
            }
            let bytes = [records(&entries, head()), records(&entries, head())].concat();
            let (both, rest) = SpanRecords::split(&bytes, 10);
            prop_assert!(rest.is_empty());
            prop_assert_eq!(both.len(), 2);
            for (record, view) in both.iter().zip(both.views(&local)) {
                prop_assert_eq!(&record.to_span(&local), &expected);
                prop_assert_eq!(&Span::from_view(view), &expected);
                prop_assert_eq!(record.entries().count(), all.len());
            }
        }
    }
}
