//! A finished span as bytes: written where it ends, read by the reporter. Little-endian.
//!
//! ```text
//! 8 words: record bytes u32 · entry bytes u32 | trace id high | low | span id | parent id | start ns | duration ns
//!          | kind u8 · flags u16 at bit 8 · wide trace id at bit 24 · entries left out u32 at bit 32
//! entries: type u8 · key length u16 · value length u32 · key · value
//! ```

use tracewell_model::{Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanFlags, SpanId, StatusCode, Time, TraceId};
use tracewell_model::{Value, ValueRef};

/// Words in front of a record's entries.
pub(crate) const HEAD_WORDS: usize = 8;
/// Bytes of all entries of one span; an entry that would go beyond is left out and counted.
pub const SPAN_BYTES_MAX: usize = 1 << 16;

/// What a span's first buffer has room for.
const BUFFER_BYTES_MIN: usize = 512;
const ENTRY_HEAD: usize = 7;
const STR: u8 = 0;
const BOOL: u8 = 1;
const I64: u8 = 2;
const F64: u8 = 3;
const BYTES: u8 = 4;
const NESTED: u8 = 5;
/// Added to a value's type: it is a field of the annotation before it, not a tag.
const FIELD: u8 = 8;
const NAME: u8 = 16;
const ANNOTATION: u8 = 17;
const REMOTE: u8 = 18;
const STATUS: u8 = 19;
const TRACE_STATE: u8 = 20;

/// The entries of a span that has not ended.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Filled up to `used`; what is behind was left by other spans.
    buffer: Vec<u8>,
    used: usize,
    left_out: u32,
}

impl Entries {
    /// In a buffer that held other entries, or an empty one.
    pub(crate) const fn in_buffer(buffer: Vec<u8>) -> Self {
        Self { buffer, used: 0, left_out: 0 }
    }

    /// Leaves no entries.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.used = 0;
        std::mem::take(&mut self.buffer)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    /// The name said last.
    pub(crate) fn last_name(&self) -> &str {
        let (mut rest, mut last) = (self.bytes(), "");
        while let Some((entry, behind)) = read_entry(rest) {
            if let SpanEntry::Name(name) = entry {
                last = name;
            }
            rest = behind;
        }
        last
    }

    #[inline]
    pub(crate) fn name(&mut self, name: &str) {
        self.push(NAME, b"", name.as_bytes(), b"");
    }

    #[inline]
    pub(crate) fn tag(&mut self, key: &str, value: ValueRef<'_>) {
        self.value(0, key, value);
    }

    pub(crate) fn annotation(&mut self, time_nanos: u64, value: &str) {
        self.push(ANNOTATION, b"", &time_nanos.to_le_bytes(), value.as_bytes());
    }

    /// A field of the annotation before.
    pub(crate) fn field(&mut self, key: &str, value: ValueRef<'_>) {
        self.value(FIELD, key, value);
    }

    pub(crate) fn remote_endpoint(&mut self, endpoint: &OwnedEndpoint) {
        let mut address = [0; 24];
        if let Some(ipv4) = endpoint.ipv4 {
            address[0] |= 1;
            address[2..6].copy_from_slice(&ipv4);
        }
        if let Some(ipv6) = endpoint.ipv6 {
            address[0] |= 2;
            address[6..22].copy_from_slice(&ipv6);
        }
        address[22..].copy_from_slice(&endpoint.port.to_le_bytes());
        self.push(REMOTE, endpoint.service.as_bytes(), &address, b"");
    }

    pub(crate) fn status(&mut self, code: StatusCode, message: &str) {
        self.push(STATUS, b"", &[code as u8], message.as_bytes());
    }

    pub(crate) fn trace_state(&mut self, state: &str) {
        self.push(TRACE_STATE, b"", state.as_bytes(), b"");
    }

    #[inline]
    fn value(&mut self, offset: u8, key: &str, value: ValueRef<'_>) {
        let key = key.as_bytes();
        match value {
            ValueRef::Str(text) => self.push(offset + STR, key, text.as_bytes(), b""),
            ValueRef::Bool(value) => self.push(offset + BOOL, key, &[u8::from(value)], b""),
            ValueRef::I64(value) => self.push(offset + I64, key, &value.to_le_bytes(), b""),
            ValueRef::F64(value) => self.push(offset + F64, key, &value.to_le_bytes(), b""),
            ValueRef::Bytes(bytes) => self.push(offset + BYTES, key, bytes, b""),
            ValueRef::Nested(bytes) => self.push(offset + NESTED, key, bytes, b""),
        }
    }

    /// The value in two parts. Inlined, so that numbers are stored and not copied.
    #[expect(clippy::inline_always, reason = "worth half of a tag's cost: lengths of numbers are then constants")]
    #[inline(always)]
    fn push(&mut self, entry: u8, key: &[u8], value: &[u8], value_rest: &[u8]) {
        let value_len = value.len() + value_rest.len();
        let used = self.used + ENTRY_HEAD + key.len() + value_len;
        if used > self.buffer.len() && !self.grow(used) || key.len() > usize::from(u16::MAX) {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let [k0, k1] = (key.len() as u16).to_le_bytes();
        let [v0, v1, v2, v3] = (value_len as u32).to_le_bytes();
        let place = &mut self.buffer[self.used..used];
        let (head, place) = place.split_at_mut(ENTRY_HEAD);
        head.copy_from_slice(&[entry, k0, k1, v0, v1, v2, v3]);
        let (key_place, place) = place.split_at_mut(key.len());
        key_place.copy_from_slice(key);
        let (value_place, rest_place) = place.split_at_mut(value.len());
        value_place.copy_from_slice(value);
        rest_place.copy_from_slice(value_rest);
        self.used = used;
    }

    /// False: that is more than a span may have.
    #[cold]
    fn grow(&mut self, used: usize) -> bool {
        let allowed = used <= SPAN_BYTES_MAX;
        if allowed {
            self.buffer.resize(used.next_power_of_two().max(BUFFER_BYTES_MIN), 0);
        }
        allowed
    }
}

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
    pub(crate) wide_trace_id: bool,
}

impl Head {
    #[inline]
    pub(crate) fn to_words(self, entries: &Entries) -> [u64; HEAD_WORDS] {
        let entry_bytes = entries.used;
        let record_bytes = HEAD_WORDS * 8 + entry_bytes.next_multiple_of(8);
        [
            (entry_bytes as u64) << 32 | record_bytes as u64,
            self.trace_id.high(),
            self.trace_id.low(),
            self.span_id.value(),
            self.parent_id.value(),
            self.start_nanos,
            self.duration_nanos,
            u64::from(entries.left_out) << 32
                | u64::from(self.wide_trace_id) << 24
                | u64::from(self.flags.0) << 8
                | self.kind as u64,
        ]
    }
}

/// Finished spans, borrowed from the reporter's buffer.
#[derive(Debug, Clone, Copy)]
pub struct SpanRecords<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> SpanRecords<'a> {
    /// The leading records of `bytes`, at most `len_max`, and the bytes behind them.
    pub(crate) fn split(bytes: &'a [u8], len_max: usize) -> (Self, &'a [u8]) {
        let (mut rest, mut len) = (bytes, 0);
        while let Some((_, behind)) = SpanRecord::split(rest).filter(|_| len < len_max) {
            rest = behind;
            len += 1;
        }
        (Self { bytes: &bytes[..bytes.len() - rest.len()], len }, rest)
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each, in the order each thread finished them.
    pub fn iter(&self) -> impl Iterator<Item = SpanRecord<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (record, behind) = SpanRecord::split(rest)?;
            rest = behind;
            Some(record)
        })
    }
}

/// One finished span.
#[derive(Debug, Clone, Copy)]
pub struct SpanRecord<'a> {
    words: [u64; HEAD_WORDS],
    entries: &'a [u8],
}

/// One thing that a span says about itself.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SpanEntry<'a> {
    /// Its name; the last one holds.
    Name(&'a str),
    /// A tag.
    Tag(&'a str, ValueRef<'a>),
    /// An annotation: when, and what.
    Annotation(Time, &'a str),
    /// A field of the annotation before.
    Field(&'a str, ValueRef<'a>),
    /// Service, IPv4, IPv6 and port of the peer.
    RemoteEndpoint(&'a str, Option<[u8; 4]>, Option<[u8; 16]>, u16),
    /// OTLP's status and its message.
    Status(StatusCode, &'a str),
    /// W3C's trace state.
    TraceState(&'a str),
}

impl<'a> SpanRecord<'a> {
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk::<{ HEAD_WORDS * 8 }>()?;
        let mut words = [0; HEAD_WORDS];
        for (word, chunk) in words.iter_mut().zip(head.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        let entry_bytes = (words[0] >> 32) as usize;
        let entries = rest.get(..entry_bytes)?;
        let behind = rest.get(entry_bytes.next_multiple_of(8)..)?;
        Some((Self { words, entries }, behind))
    }

    /// The trace.
    pub const fn trace_id(&self) -> TraceId {
        TraceId::from_halves(self.words[1], self.words[2])
    }

    /// The span.
    pub const fn span_id(&self) -> SpanId {
        SpanId::new(self.words[3])
    }

    /// Its parent, or [`SpanId::NONE`].
    pub const fn parent_id(&self) -> SpanId {
        SpanId::new(self.words[4])
    }

    /// When it began.
    pub const fn start(&self) -> Time {
        Time::from_nanos(self.words[5])
    }

    /// How long it took.
    pub const fn duration(&self) -> Time {
        Time::from_nanos(self.words[6])
    }

    /// Its role.
    pub fn kind(&self) -> Kind {
        Kind::from_u8(self.words[7] as u8).unwrap_or_default()
    }

    /// Debug, shared, sampled.
    pub const fn flags(&self) -> SpanFlags {
        SpanFlags((self.words[7] >> 8) as u16)
    }

    /// How many entries were left out because there were too many bytes ([`SPAN_BYTES_MAX`]).
    pub const fn entries_left_out(&self) -> u32 {
        (self.words[7] >> 32) as u32
    }

    /// What it says about itself, in the order it was said.
    pub fn entries(&self) -> impl Iterator<Item = SpanEntry<'a>> + use<'a> {
        let mut rest = self.entries;
        std::iter::from_fn(move || {
            let (entry, behind) = read_entry(rest)?;
            rest = behind;
            Some(entry)
        })
    }

    /// An owned copy, as recorded by the service `local`.
    pub fn to_span(&self, local: &OwnedEndpoint) -> Span {
        let flags = self.flags();
        let mut span = Span {
            trace_id: self.trace_id(),
            id: self.span_id(),
            parent: Some(self.parent_id()).filter(|parent| !parent.is_none()),
            kind: self.kind(),
            debug: flags.contains(SpanFlags::DEBUG),
            shared: flags.contains(SpanFlags::SHARED),
            sampled: flags.contains(SpanFlags::SAMPLED),
            start: Some(self.start()),
            duration: Some(self.duration()),
            local: Some(local.clone()),
            ..Span::default()
        };
        for entry in self.entries() {
            match entry {
                SpanEntry::Name(name) => name.clone_into(&mut span.name),
                SpanEntry::Tag(key, value) => span.tags.push((key.to_owned(), value.to_value())),
                SpanEntry::Annotation(time, value) => {
                    span.annotations.push(OwnedAnnotation { time, value: value.to_owned(), details: Vec::new() });
                }
                SpanEntry::Field(key, value) => {
                    let field: (String, Value) = (key.to_owned(), value.to_value());
                    span.annotations.last_mut().into_iter().for_each(|last| last.details.push(field.clone()));
                }
                SpanEntry::RemoteEndpoint(service, ipv4, ipv6, port) => {
                    let service = service.to_owned();
                    span.remote = Some(OwnedEndpoint { service, ipv4, ipv6, port, ..OwnedEndpoint::default() });
                }
                SpanEntry::Status(code, message) => {
                    span.status = code;
                    message.clone_into(&mut span.status_message);
                }
                SpanEntry::TraceState(state) => state.clone_into(&mut span.trace_state),
            }
        }
        span
    }
}

/// Entries are written by [`Entries`] alone; `None` is their end.
fn read_entry(bytes: &[u8]) -> Option<(SpanEntry<'_>, &[u8])> {
    let (&[entry, k0, k1, v0, v1, v2, v3], rest) = bytes.split_first_chunk::<ENTRY_HEAD>()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([k0, k1])))?;
    let (value, behind) = rest.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
    let key = std::str::from_utf8(key).ok()?;
    let read = match entry {
        NAME => SpanEntry::Name(std::str::from_utf8(value).ok()?),
        ANNOTATION => {
            let (time, text) = value.split_first_chunk::<8>()?;
            SpanEntry::Annotation(Time::from_nanos(u64::from_le_bytes(*time)), std::str::from_utf8(text).ok()?)
        }
        REMOTE => {
            let address: &[u8; 24] = value.try_into().ok()?;
            let ipv4 = (address[0] & 1 != 0).then(|| [address[2], address[3], address[4], address[5]]);
            let ipv6 = address[6..].first_chunk::<16>().copied().filter(|_| address[0] & 2 != 0);
            SpanEntry::RemoteEndpoint(key, ipv4, ipv6, u16::from_le_bytes([address[22], address[23]]))
        }
        STATUS => {
            let (code, message) = value.split_first()?;
            SpanEntry::Status(StatusCode::from_u8(*code)?, std::str::from_utf8(message).ok()?)
        }
        TRACE_STATE => SpanEntry::TraceState(std::str::from_utf8(value).ok()?),
        field if field >= FIELD => SpanEntry::Field(key, read_value(field - FIELD, value)?),
        tag => SpanEntry::Tag(key, read_value(tag, value)?),
    };
    Some((read, behind))
}

fn read_value(value_type: u8, bytes: &[u8]) -> Option<ValueRef<'_>> {
    Some(match value_type {
        STR => ValueRef::Str(std::str::from_utf8(bytes).ok()?),
        BOOL => ValueRef::Bool(bytes == [1]),
        I64 => ValueRef::I64(i64::from_le_bytes(bytes.try_into().ok()?)),
        F64 => ValueRef::F64(f64::from_le_bytes(bytes.try_into().ok()?)),
        BYTES => ValueRef::Bytes(bytes),
        NESTED => ValueRef::Nested(bytes),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(entries: &Entries, head: Head) -> Vec<u8> {
        let mut bytes: Vec<u8> = head.to_words(entries).iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(entries.bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
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
            wide_trace_id: true,
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted() {
        let mut entries = Entries::default();
        entries.tag("k", ValueRef::Bytes(&vec![0; SPAN_BYTES_MAX]));
        entries.tag(&"k".repeat(usize::from(u16::MAX) + 1), ValueRef::Bool(true));
        entries.name("small");
        let bytes = records(&entries, head());
        let record = SpanRecords::split(&bytes, 9).0.iter().next().unwrap();
        assert_eq!(record.entries_left_out(), 2);
        assert_eq!(record.entries().collect::<Vec<_>>(), [SpanEntry::Name("small")]);
    }

    proptest! {
        #[test]
        fn reads_what_was_written(
            name in "\\PC{0,20}",
            tags in prop::collection::vec(("\\PC{0,10}", any::<i64>(), prop::collection::vec(any::<u8>(), 0..20)), 0..6),
            note in "\\PC{0,20}",
            time in 0u64..1 << 62,
        ) {
            let ipv4 = Some([1, 2, 3, 4]);
            let remote = OwnedEndpoint { service: name.clone(), ipv4, ipv6: None, port: 80, ..OwnedEndpoint::default() };
            let mut entries = Entries::default();
            entries.name(&name);
            entries.annotation(time, &note);
            entries.remote_endpoint(&remote);
            entries.status(StatusCode::Error, &note);
            entries.trace_state("a=b");
            for (key, number, bytes) in &tags {
                entries.tag(key, ValueRef::I64(*number));
                entries.tag(key, ValueRef::Bytes(bytes));
                entries.field(key, ValueRef::F64(*number as f64));
                entries.field(key, ValueRef::Str(key));
            }
            let bytes = [records(&entries, head()), records(&entries, head())].concat();
            let (both, rest) = SpanRecords::split(&bytes, 10);
            prop_assert!(rest.is_empty());
            prop_assert_eq!(both.len(), 2);
            for record in both.iter() {
                let span = record.to_span(&OwnedEndpoint::default());
                prop_assert_eq!((span.trace_id, span.id, span.parent), (head().trace_id, head().span_id, Some(head().parent_id)));
                prop_assert_eq!((span.kind, span.debug, span.shared, span.sampled), (Kind::Producer, true, false, true));
                prop_assert_eq!((&span.name, span.remote.as_ref()), (&name, Some(&remote)));
                prop_assert_eq!((span.status, &span.status_message, span.trace_state.as_str()), (StatusCode::Error, &note, "a=b"));
                prop_assert_eq!(span.tags.len(), tags.len() * 2);
                prop_assert_eq!(span.annotations.len(), 1);
                prop_assert_eq!((span.annotations[0].time, &span.annotations[0].value), (Time::from_nanos(time), &note));
                prop_assert_eq!(span.annotations[0].details.len(), tags.len() * 2);
                for (index, (key, number, bytes)) in tags.iter().enumerate() {
                    prop_assert_eq!(&span.tags[index * 2], &(key.clone(), Value::I64(*number)));
                    prop_assert_eq!(&span.tags[index * 2 + 1], &(key.clone(), Value::Bytes(bytes.clone())));
                }
            }
        }
    }
}
