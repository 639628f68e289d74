//! What a span says about itself, as bytes: written while it is open, read by the reporter.
//!
//! ```text
//! entry:  head · key · value, each of whole words, padded with zeros
//! head:   type u8 · key length u16 at bit 8 · value length u32 at bit 32
//! value:  numbers, a word each, then text or bytes
//! ```
//!
//! Words, because they go into the ring as words: a load of a word that was stored as single bytes just before waits for
//! all of them. Nobody checks that texts are text before somebody wants one as such: encoders copy them as bytes.

use tracewell_model::{OwnedEndpoint, SpanId, StatusCode, TraceId, ValueRef};

use super::entry::EntryIter;

/// Bytes of all entries of one span; an entry that would go beyond is left out and counted.
///
/// ```
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// let large = "x".repeat(tracewell::SPAN_BYTES_MAX);
/// tracer.new_trace("upload").tag("body", &large).tag("kept", true).finish();
/// tracer.flush();
/// assert!(reporter.spans()[0].tags.iter().all(|(key, _)| key != "body"));
/// ```
pub const SPAN_BYTES_MAX: usize = 1 << 16;

/// What a span's first buffer has room for.
const BUFFER_WORDS_MIN: usize = 64;
const KEY_BYTES_MAX: usize = (1 << 14) - 1;
/// Bytes of an entry's head and of a word.
pub(super) const WORD: usize = 8;

pub(super) const STR: u8 = 0;
pub(super) const BOOL: u8 = 1;
pub(super) const I64: u8 = 2;
pub(super) const F64: u8 = 3;
pub(super) const BYTES: u8 = 4;
pub(super) const NESTED: u8 = 5;
/// Added to a value's type: it is a field of the annotation or the link before it, not a tag.
pub(super) const FIELD: u8 = 8;
pub(super) const NAME: u8 = 16;
pub(super) const ANNOTATION: u8 = 17;
pub(super) const REMOTE: u8 = 18;
pub(super) const STATUS: u8 = 19;
pub(super) const TRACE_STATE: u8 = 20;
pub(super) const LINK: u8 = 21;

/// Which entries there are beside tags: a bit each, so that a reader looks for none that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Present(pub(crate) u8);

impl Present {
    /// A name after the first, with which a span begins.
    pub(crate) const NAME_AGAIN: Self = Self(1);
    pub(crate) const ANNOTATIONS: Self = Self(1 << 1);
    pub(crate) const REMOTE: Self = Self(1 << 2);
    pub(crate) const STATUS: Self = Self(1 << 3);
    pub(crate) const TRACE_STATE: Self = Self(1 << 4);
    pub(crate) const LINKS: Self = Self(1 << 5);
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What was left out because there were too many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LeftOut {
    /// And whatever else is neither an annotation nor a link.
    pub(crate) tags: u16,
    pub(crate) annotations: u8,
    pub(crate) links: u8,
}

/// The entries of a span that has not ended: a buffer and how far it is filled.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Filled up to `used`; what is behind was left by other spans.
    buffer: Vec<u64>,
    used: usize,
    present: Present,
    left_out: LeftOut,
    /// What fields would belong to was left out.
    skips_fields: bool,
}

impl Entries {
    /// For other entries.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        (self.present, self.left_out, self.skips_fields) = (Present::default(), LeftOut::default(), false);
    }

    pub(crate) const fn capacity_bytes(&self) -> usize {
        self.buffer.len() * WORD
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.buffer[..self.used]
    }

    /// The name said last.
    pub(crate) fn last_name(&self) -> String {
        let bytes: Vec<u8> = self.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        EntryIter::new(&bytes).last_name().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
    }

    #[inline]
    pub(crate) const fn present(&self) -> Present {
        self.present
    }

    #[inline]
    pub(crate) const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    #[inline]
    pub(crate) fn name(&mut self, name: &str) {
        if self.used > 0 {
            self.note(Present::NAME_AGAIN);
        }
        self.tag_like(NAME, "", &[], name.as_bytes());
    }

    #[expect(clippy::inline_always, reason = "type of the value and length of the key are then mostly constants")]
    #[inline(always)]
    pub(crate) fn tag(&mut self, key: &str, value: ValueRef<'_>) {
        self.value(0, key, value);
    }

    pub(crate) fn annotation(&mut self, time_nanos: u64, value: &str) {
        self.note(Present::ANNOTATIONS);
        let written = self.push(ANNOTATION, "", &[time_nanos], value.as_bytes());
        self.skips_fields = !written;
        self.left_out.annotations = self.left_out.annotations.saturating_add(u8::from(!written));
    }

    /// Another span that this one has to do with: its cause ("follows from"), or another parent (`child_of`).
    pub(crate) fn link(&mut self, trace_id: TraceId, span_id: SpanId, child_of: bool, trace_state: &str) {
        self.note(Present::LINKS);
        let ids = [trace_id.high(), trace_id.low(), span_id.value(), u64::from(child_of)];
        let written = self.push(LINK, "", &ids, trace_state.as_bytes());
        self.skips_fields = !written;
        self.left_out.links = self.left_out.links.saturating_add(u8::from(!written));
    }

    /// A field of the annotation or the link before.
    pub(crate) fn field(&mut self, key: &str, value: ValueRef<'_>) {
        if !self.skips_fields {
            self.value(FIELD, key, value);
        }
    }

    pub(crate) fn remote_endpoint(&mut self, endpoint: &OwnedEndpoint) {
        self.note(Present::REMOTE);
        let mut first = u64::from(endpoint.port);
        if let Some(ipv4) = endpoint.ipv4 {
            first |= 1 << 16 | u64::from(u32::from_be_bytes(ipv4)) << 32;
        }
        if endpoint.ipv6.is_some() {
            first |= 1 << 17;
        }
        let ipv6 = u128::from_be_bytes(endpoint.ipv6.unwrap_or_default());
        self.tag_like(REMOTE, "", &[first, (ipv6 >> 64) as u64, ipv6 as u64], endpoint.service.as_bytes());
    }

    pub(crate) fn status(&mut self, code: StatusCode, message: &str) {
        self.note(Present::STATUS);
        self.tag_like(STATUS, "", &[code as u64], message.as_bytes());
    }

    pub(crate) fn trace_state(&mut self, state: &str) {
        self.note(Present::TRACE_STATE);
        self.tag_like(TRACE_STATE, "", &[], state.as_bytes());
    }

    /// An annotation with its fields, written apart so that nobody writes between them.
    #[cfg(feature = "tracing")]
    pub(crate) fn append(&mut self, annotation: &Self) {
        let used = self.used + annotation.used;
        self.skips_fields = used > self.buffer.len() && !self.grow(used);
        if self.skips_fields {
            self.left_out.annotations = self.left_out.annotations.saturating_add(1);
            return;
        }
        self.buffer[self.used..used].copy_from_slice(annotation.words());
        self.used = used;
        self.note(annotation.present);
    }

    const fn note(&mut self, entry: Present) {
        self.present.0 |= entry.0;
    }

    #[expect(clippy::inline_always, reason = "type of the value and length of the key are then mostly constants")]
    #[inline(always)]
    fn value(&mut self, offset: u8, key: &str, value: ValueRef<'_>) {
        match value {
            ValueRef::Str(text) => self.tag_like(offset + STR, key, &[], text.as_bytes()),
            ValueRef::Bool(value) => self.tag_like(offset + BOOL, key, &[u64::from(value)], b""),
            ValueRef::I64(value) => self.tag_like(offset + I64, key, &[value.cast_unsigned()], b""),
            ValueRef::F64(value) => self.tag_like(offset + F64, key, &[value.to_bits()], b""),
            ValueRef::Bytes(bytes) => self.tag_like(offset + BYTES, key, &[], bytes),
            ValueRef::Nested(bytes) => self.tag_like(offset + NESTED, key, &[], bytes),
        }
    }

    #[expect(clippy::inline_always, reason = "see `value`")]
    #[inline(always)]
    fn tag_like(&mut self, entry: u8, key: &str, words: &[u64], bytes: &[u8]) {
        if !self.push(entry, key, words, bytes) {
            self.left_out.tags = self.left_out.tags.saturating_add(1);
        }
    }

    /// The value in two parts. False: left out.
    #[expect(clippy::inline_always, reason = "see `value`")]
    #[inline(always)]
    fn push(&mut self, entry: u8, key: &str, words: &[u64], bytes: &[u8]) -> bool {
        let key_words = key.len().div_ceil(WORD);
        let used = self.used + 1 + key_words + words.len() + bytes.len().div_ceil(WORD);
        if used > self.buffer.len() && !self.grow(used) || key.len() > KEY_BYTES_MAX {
            return false;
        }
        let place = self.buffer.get_mut(self.used..used);
        let Some((head, place)) = place.and_then(<[u64]>::split_first_mut) else { return false };
        *head = entry_head(entry, key.len(), words.len() * WORD + bytes.len());
        let (key_place, place) = place.split_at_mut(key_words);
        put_bytes(key_place, key.as_bytes());
        let (words_place, bytes_place) = place.split_at_mut(words.len());
        words_place.copy_from_slice(words);
        put_bytes(bytes_place, bytes);
        self.used = used;
        true
    }

    /// False: that is more than a span may have.
    #[cold]
    fn grow(&mut self, used: usize) -> bool {
        let allowed = used <= SPAN_BYTES_MAX / WORD;
        if allowed {
            self.buffer.resize(used.next_power_of_two().max(BUFFER_WORDS_MIN), 0);
        }
        allowed
    }
}

/// The words at `place` are as many as the bytes need.
#[expect(clippy::inline_always, reason = "a text that the compiler knows is a few constants")]
#[inline(always)]
fn put_bytes(place: &mut [u64], bytes: &[u8]) {
    let (mut places, mut rest) = (place.iter_mut(), bytes);
    while let Some((chunk, behind)) = rest.split_first_chunk::<WORD>() {
        let Some(word) = places.next() else { return };
        *word = u64::from_le_bytes(*chunk);
        rest = behind;
    }
    if let (false, Some(last)) = (rest.is_empty(), places.next()) {
        *last = match bytes.last_chunk::<WORD>() {
            // Read again with what is before it, rather than byte by byte.
            Some(chunk) => u64::from_le_bytes(*chunk) >> (8 * (WORD - rest.len())),
            None => short_word(rest),
        };
    }
}

/// Of 1 to 7 bytes, with few branches: two halves that overlap.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        return first | last << (8 * (bytes.len() - 4));
    }
    let (first, middle) = (u64::from(bytes[0]), u64::from(bytes[bytes.len() / 2]));
    first | middle << (8 * (bytes.len() / 2)) | u64::from(bytes[bytes.len() - 1]) << (8 * (bytes.len() - 1))
}

#[inline]
const fn entry_head(entry: u8, key_len: usize, value_len: usize) -> u64 {
    entry as u64 | (key_len as u64) << 8 | (value_len as u64) << 32
}

/// Type, and lengths of key and value.
#[inline]
pub(super) const fn read_entry_head(head: u64) -> (u8, usize, usize) {
    (head as u8, (head >> 8) as u16 as usize, (head >> 32) as u32 as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lengths_come_back(key_len in 0usize..1 << 14, value_len in 0usize..1 << 21) {
            prop_assert_eq!(read_entry_head(entry_head(21, key_len, value_len)), (21, key_len, value_len));
        }

        #[test]
        fn bytes_are_padded_to_words(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut words = vec![u64::MAX; bytes.len().div_ceil(WORD)];
            put_bytes(&mut words, &bytes);
            let mut padded: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            prop_assert!(padded[bytes.len()..].iter().all(|byte| *byte == 0));
            padded.truncate(bytes.len());
            prop_assert_eq!(padded, bytes);
        }
    }
}
