//! Reads the entries of a finished span; see [`super::entries`] for their form.

use tracewell_model::{EndpointRef, LinkView, SpanId, StatusCode, Time, TraceId, ValueRef};

use super::entries::{
    ADDRESS, ANNOTATION, BOOL, BYTES, F64, FIELD, I64, LINK, LINK_IDS, NAME, NESTED, NUMBER, REMOTE, STATUS, STR,
    TRACE_STATE, WORD, read_entry_head, read_number,
};

/// One thing that a span says about itself.
///
/// ```
/// use tracewell::{FnReporter, SpanEntry, Tracer, sampler::ConstSampler};
/// let reporter = FnReporter::new(|_, spans| {
///     let tags = spans.iter().flat_map(|span| span.entries()).filter(|entry| matches!(entry, SpanEntry::Tag("user", _)));
///     assert_eq!(tags.count(), 1);
///     Ok(())
/// });
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
/// tracer.new_trace("GET /").tag("user", 7).finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SpanEntry<'a> {
    /// Its name; the last one holds.
    Name(&'a str),
    /// A tag.
    Tag(&'a str, ValueRef<'a>),
    /// An annotation: when, and what.
    Annotation(Time, &'a str),
    /// A link to another span.
    Link(LinkView<'a>),
    /// A field of the annotation before, or an attribute of the link before.
    Field(&'a str, ValueRef<'a>),
    /// The peer.
    RemoteEndpoint(EndpointRef<'a>),
    /// OTLP's status and its message.
    Status(StatusCode, &'a str),
    /// W3C's trace state.
    TraceState(&'a str),
}

/// The entries of a span from some place on. Written by [`super::Entries`] alone; what it did not write ends them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryIter<'a> {
    content: Content<'a>,
    at: usize,
}

/// All entries of a span.
#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Text(&'a str),
    /// There are raw bytes among them.
    Mixed(&'a [u8]),
}

impl<'a> Content<'a> {
    #[inline]
    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Mixed(bytes) => bytes,
        }
    }
}

impl<'a> EntryIter<'a> {
    pub(crate) const NONE: Self = Self { content: Content::Text(""), at: 0 };

    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let content = std::str::from_utf8(bytes).map_or(Content::Mixed(bytes), Content::Text);
        Self { content, at: 0 }
    }

    /// The name, if that is what they begin with.
    #[inline]
    pub(crate) fn first_name(mut self) -> Option<&'a str> {
        let first = self.next_raw()?;
        if first.entry == NAME { first.text(first.value_at, first.end) } else { None }
    }

    /// Tags alone: others are stepped over unread.
    #[inline]
    pub(crate) fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        RawEntryIter(self).filter(|raw| raw.entry < FIELD).map_while(RawEntry::key_and_value)
    }

    /// Entries, each with those behind it.
    #[inline]
    pub(crate) fn with_behind(mut self) -> impl Iterator<Item = (SpanEntry<'a>, Self)> + Clone {
        std::iter::from_fn(move || Some((self.next()?, self)))
    }

    /// The fields from here up to the next entry that is none.
    #[inline]
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        let owners = |raw: &RawEntry<'_>| !matches!(raw.entry, ANNOTATION | LINK);
        RawEntryIter(self).take_while(owners).filter(|raw| raw.is_field()).map_while(RawEntry::key_and_value)
    }

    #[inline]
    fn next_raw(&mut self) -> Option<RawEntry<'a>> {
        let head = u64::from_le_bytes(*self.content.bytes().get(self.at..)?.first_chunk()?);
        let (entry, key_len, value_len) = read_entry_head(head);
        let key_at = self.at + WORD;
        let value_at = key_at + padded(key_len);
        let (key_end, end) = (key_at + key_len, value_at + value_len);
        self.at = value_at + padded(value_len);
        Some(RawEntry { entry, content: self.content, key_at, key_end, value_at, end })
    }
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = SpanEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<SpanEntry<'a>> {
        self.next_raw()?.read()
    }
}

/// Up to whole words.
#[inline]
const fn padded(len: usize) -> usize {
    (len + WORD - 1) & !(WORD - 1)
}

#[derive(Clone)]
struct RawEntryIter<'a>(EntryIter<'a>);

impl<'a> Iterator for RawEntryIter<'a> {
    type Item = RawEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawEntry<'a>> {
        self.0.next_raw()
    }
}

/// An entry that was not looked into: where it lies.
#[derive(Clone, Copy)]
struct RawEntry<'a> {
    entry: u8,
    content: Content<'a>,
    key_at: usize,
    key_end: usize,
    value_at: usize,
    end: usize,
}

impl<'a> RawEntry<'a> {
    fn read(self) -> Option<SpanEntry<'a>> {
        Some(match self.entry {
            NAME => SpanEntry::Name(self.text(self.value_at, self.end)?),
            ANNOTATION => {
                let time = Time::from_nanos(self.number(self.value_at)?);
                SpanEntry::Annotation(time, self.text(self.value_at + NUMBER, self.end)?)
            }
            REMOTE => SpanEntry::RemoteEndpoint(self.endpoint()?),
            STATUS => {
                let code = StatusCode::from_u8(*self.content.bytes().get(self.value_at)?)?;
                SpanEntry::Status(code, self.text(self.value_at + WORD, self.end)?)
            }
            TRACE_STATE => SpanEntry::TraceState(self.text(self.value_at, self.end)?),
            LINK => SpanEntry::Link(self.link()?),
            _ if self.is_field() => {
                let (key, value) = self.key_and_value()?;
                SpanEntry::Field(key, value)
            }
            _ => {
                let (key, value) = self.key_and_value()?;
                SpanEntry::Tag(key, value)
            }
        })
    }

    #[inline]
    const fn is_field(&self) -> bool {
        self.entry >= FIELD && self.entry < NAME
    }

    #[inline]
    fn key_and_value(self) -> Option<(&'a str, ValueRef<'a>)> {
        let key = self.text(self.key_at, self.key_end)?;
        let value = match self.entry % FIELD {
            STR => ValueRef::Str(self.text(self.value_at, self.end)?),
            BOOL => ValueRef::Bool(*self.content.bytes().get(self.value_at)? == 1),
            I64 => ValueRef::I64(self.number(self.value_at)?.cast_signed()),
            F64 => ValueRef::F64(f64::from_bits(self.number(self.value_at)?)),
            BYTES => ValueRef::Bytes(self.content.bytes().get(self.value_at..self.end)?),
            NESTED => ValueRef::Nested(self.content.bytes().get(self.value_at..self.end)?),
            _ => return None,
        };
        Some((key, value))
    }

    fn endpoint(self) -> Option<EndpointRef<'a>> {
        let [first, high, low] = [0, 1, 2].map(|index| self.number(self.value_at + index * NUMBER));
        let (first, high, low) = (first?, high?, low?);
        let ipv4 = (first & 1 << 16 != 0).then(|| ((first >> 32) as u32).to_be_bytes());
        let ipv6 = (first & 1 << 17 != 0).then(|| (u128::from(high) << 64 | u128::from(low)).to_be_bytes());
        let service = self.text(self.value_at + ADDRESS, self.end)?;
        Some(EndpointRef { service, ipv4, ipv6, port: first as u16, ipv4_text: "" })
    }

    fn link(self) -> Option<LinkView<'a>> {
        let [high, low, id] = [0, 1, 2].map(|index| self.number(self.value_at + index * NUMBER));
        Some(LinkView {
            trace_id: TraceId::from_halves(high?, low?),
            span_id: SpanId::new(id?),
            child_of: *self.content.bytes().get(self.value_at + LINK_IDS - WORD)? == 1,
            trace_state: self.text(self.value_at + LINK_IDS, self.end)?,
            otlp_flags: 0,
            dropped_attributes: 0,
        })
    }

    #[inline]
    fn text(&self, from: usize, to: usize) -> Option<&'a str> {
        match self.content {
            Content::Text(text) => text.get(from..to),
            Content::Mixed(bytes) => std::str::from_utf8(bytes.get(from..to)?).ok(),
        }
    }

    #[inline]
    fn number(&self, at: usize) -> Option<u64> {
        let &[lower, upper] = self.content.bytes().get(at..at + NUMBER)?.as_chunks::<WORD>().0.first_chunk::<2>()?;
        Some(read_number([u64::from_le_bytes(lower), u64::from_le_bytes(upper)]))
    }
}
