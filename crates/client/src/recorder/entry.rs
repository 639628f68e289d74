//! Reads the entries of a finished span; see [`super::entries`] for their form.

use tracewell_model::{EndpointRef, LinkView, RawValue, SpanId, StatusCode, Time, TraceId, ValueRef};

use super::entries::{
    ANNOTATION, BOOL, BYTES, F64, FIELD, I64, LINK, NAME, NESTED, REMOTE, STATUS, STR, TRACE_STATE, WORD,
    read_entry_head,
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
    rest: &'a [u8],
}

impl<'a> EntryIter<'a> {
    pub(crate) const NONE: Self = Self { rest: &[] };

    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The name, if that is what they begin with.
    #[inline]
    pub(crate) fn first_name(mut self) -> Option<&'a [u8]> {
        let first = self.next_raw()?;
        if first.entry == NAME { Some(first.value) } else { None }
    }

    /// The name said last.
    #[inline(never)]
    pub(crate) fn last_name(self) -> Option<&'a [u8]> {
        RawEntryIter(self).filter(|raw| raw.entry == NAME).last().map(|raw| raw.value)
    }

    /// Tags alone: others are stepped over unread.
    #[inline]
    pub(crate) fn tags(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        RawEntryIter(self).filter(|raw| raw.entry < FIELD).map_while(RawEntry::key_and_value)
    }

    /// The same, with texts as bytes.
    #[inline]
    pub(crate) fn tags_bytes(self) -> impl Iterator<Item = (&'a [u8], RawValue<'a>)> + Clone {
        RawEntryIter(self).filter(|raw| raw.entry < FIELD).map_while(|raw| Some((raw.key, raw.raw_value()?)))
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

    #[expect(clippy::inline_always, reason = "for each entry of each span")]
    #[inline(always)]
    fn next_raw(&mut self) -> Option<RawEntry<'a>> {
        let all = self.rest;
        let (head, rest) = all.split_first_chunk()?;
        let (entry, key_len, value_len) = read_entry_head(u64::from_le_bytes(*head));
        let (key, rest) = rest.split_at_checked(padded(key_len))?;
        let (value, rest) = rest.split_at_checked(padded(value_len))?;
        self.rest = rest;
        let all = all.get(..all.len() - rest.len())?;
        Some(RawEntry { entry, key: key.get(..key_len)?, value: value.get(..value_len)?, all })
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

/// An entry that was not looked into.
#[derive(Clone, Copy)]
struct RawEntry<'a> {
    entry: u8,
    key: &'a [u8],
    value: &'a [u8],
    /// Head, key and value with what they are padded with.
    all: &'a [u8],
}

impl<'a> RawEntry<'a> {
    fn read(self) -> Option<SpanEntry<'a>> {
        Some(match self.entry {
            NAME => SpanEntry::Name(text(self.value)?),
            ANNOTATION => {
                let ([time], value) = self.numbers()?;
                SpanEntry::Annotation(Time::from_nanos(time), text(value)?)
            }
            REMOTE => SpanEntry::RemoteEndpoint(self.endpoint()?),
            STATUS => {
                let ([code], message) = self.numbers()?;
                SpanEntry::Status(StatusCode::from_u8(code as u8)?, text(message)?)
            }
            TRACE_STATE => SpanEntry::TraceState(text(self.value)?),
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
        let value = match self.raw_value()? {
            RawValue::Text(value) => {
                let (key, value) = self.texts().or_else(|| Some((text(self.key)?, text(value)?)))?;
                return Some((key, ValueRef::Str(value)));
            }
            RawValue::Other(value) => value,
        };
        Some((text(self.key)?, value))
    }

    /// Key and value as texts. Shown for the whole entry at once, which takes words at a time where short texts would be
    /// gone through byte by byte; mostly a head is text, too: small numbers. `None`: it is not.
    #[inline]
    fn texts(self) -> Option<(&'a str, &'a str)> {
        let all = text(self.all)?;
        let value_at = WORD + padded(self.key.len());
        Some((all.get(WORD..WORD + self.key.len())?, all.get(value_at..value_at + self.value.len())?))
    }

    #[inline]
    fn raw_value(self) -> Option<RawValue<'a>> {
        Some(match self.entry % FIELD {
            STR => RawValue::Text(self.value),
            BOOL => RawValue::Other(ValueRef::Bool(self.number()? == 1)),
            I64 => RawValue::Other(ValueRef::I64(self.number()?.cast_signed())),
            F64 => RawValue::Other(ValueRef::F64(f64::from_bits(self.number()?))),
            BYTES => RawValue::Other(ValueRef::Bytes(self.value)),
            NESTED => RawValue::Other(ValueRef::Nested(self.value)),
            _ => return None,
        })
    }

    fn endpoint(self) -> Option<EndpointRef<'a>> {
        let ([first, high, low], service) = self.numbers()?;
        let ipv4 = (first & 1 << 16 != 0).then(|| ((first >> 32) as u32).to_be_bytes());
        let ipv6 = (first & 1 << 17 != 0).then(|| (u128::from(high) << 64 | u128::from(low)).to_be_bytes());
        Some(EndpointRef { service: text(service)?, ipv4, ipv6, port: first as u16, ipv4_text: "" })
    }

    fn link(self) -> Option<LinkView<'a>> {
        let ([high, low, id, child_of], state) = self.numbers()?;
        Some(LinkView {
            trace_id: TraceId::from_halves(high, low),
            span_id: SpanId::new(id),
            child_of: child_of == 1,
            trace_state: text(state)?,
            otlp_flags: 0,
            dropped_attributes: 0,
        })
    }

    #[inline]
    fn number(self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.value.first_chunk()?))
    }

    /// The words that a value begins with, and what is behind them.
    fn numbers<const N: usize>(self) -> Option<([u64; N], &'a [u8])> {
        let (words, rest) = self.value.split_at_checked(N * WORD)?;
        Some((words.as_chunks().0.first_chunk()?.map(u64::from_le_bytes), rest))
    }
}

#[inline]
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
