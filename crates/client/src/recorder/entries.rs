//! What a span says about itself, as bytes: written while it is open, read by the reporter.
//!
//! ```text
//! entry:  type · key length, 2 digits · value length, 3 digits · key · value
//! digit:  a byte of 7 bits, the least first
//! number: 64 bits as 10 bytes: the lower 7 bits of each byte, then the upper bits of bytes 0-3 and of bytes 4-7
//! ```
//!
//! No byte of a head or a number has its upper bit set, so that the entries of a span without raw bytes are one text,
//! which a reader checks in one go: a third of the cost of checking name, keys and values one by one.

use tracewell_model::{OwnedEndpoint, SpanId, StatusCode, TraceId, ValueRef};

use super::entry::{EntryIter, SpanEntry};

/// Bytes of all entries of one span; an entry that would go beyond is left out and counted.
pub const SPAN_BYTES_MAX: usize = 1 << 16;

/// What a span's first buffer has room for.
const BUFFER_BYTES_MIN: usize = 512;
const KEY_BYTES_MAX: usize = (1 << 14) - 1;
pub(super) const ENTRY_HEAD: usize = 6;
pub(super) const NUMBER: usize = 10;
pub(super) const ADDRESS: usize = 3 * NUMBER;
pub(super) const LINK_IDS: usize = 3 * NUMBER + 1;

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

/// The entries of a span that has not ended.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Filled up to `used`; what is behind was left by other spans.
    buffer: Vec<u8>,
    used: usize,
    present: Present,
    left_out: LeftOut,
    /// What fields would belong to was left out.
    skips_fields: bool,
}

impl Entries {
    /// In a buffer that held other entries, or an empty one.
    pub(crate) const fn in_buffer(buffer: Vec<u8>) -> Self {
        let left_out = LeftOut { tags: 0, annotations: 0, links: 0 };
        Self { buffer, used: 0, present: Present(0), left_out, skips_fields: false }
    }

    /// Leaves no entries.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.used = 0;
        std::mem::take(&mut self.buffer)
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    #[inline]
    pub(crate) const fn present(&self) -> Present {
        self.present
    }

    #[inline]
    pub(crate) const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// The name said last.
    pub(crate) fn last_name(&self) -> &str {
        let names = EntryIter::new(self.bytes()).filter_map(|entry| match entry {
            SpanEntry::Name(name) => Some(name),
            _ => None,
        });
        names.last().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn name(&mut self, name: &str) {
        if self.used > 0 {
            self.note(Present::NAME_AGAIN);
        }
        self.tag_like(NAME, b"", name.as_bytes(), b"");
    }

    #[inline]
    pub(crate) fn tag(&mut self, key: &str, value: ValueRef<'_>) {
        self.value(0, key, value);
    }

    pub(crate) fn annotation(&mut self, time_nanos: u64, value: &str) {
        self.note(Present::ANNOTATIONS);
        let written = self.push(ANNOTATION, b"", &number(time_nanos), value.as_bytes());
        self.skips_fields = !written;
        self.left_out.annotations = self.left_out.annotations.saturating_add(u8::from(!written));
    }

    /// Another span that this one has to do with: its cause ("follows from"), or another parent (`child_of`).
    pub(crate) fn link(&mut self, trace_id: TraceId, span_id: SpanId, child_of: bool, trace_state: &str) {
        self.note(Present::LINKS);
        let mut ids = [0; LINK_IDS];
        put_numbers(&mut ids, [trace_id.high(), trace_id.low(), span_id.value()]);
        ids[LINK_IDS - 1] = u8::from(child_of);
        let written = self.push(LINK, b"", &ids, trace_state.as_bytes());
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
        let mut address = [0; ADDRESS];
        put_numbers(&mut address, [first, (ipv6 >> 64) as u64, ipv6 as u64]);
        self.tag_like(REMOTE, b"", &address, endpoint.service.as_bytes());
    }

    pub(crate) fn status(&mut self, code: StatusCode, message: &str) {
        self.note(Present::STATUS);
        self.tag_like(STATUS, b"", &[code as u8], message.as_bytes());
    }

    pub(crate) fn trace_state(&mut self, state: &str) {
        self.note(Present::TRACE_STATE);
        self.tag_like(TRACE_STATE, b"", state.as_bytes(), b"");
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
        self.buffer[self.used..used].copy_from_slice(annotation.bytes());
        self.used = used;
        self.note(annotation.present);
    }

    const fn note(&mut self, entry: Present) {
        self.present.0 |= entry.0;
    }

    #[inline]
    fn value(&mut self, offset: u8, key: &str, value: ValueRef<'_>) {
        let key = key.as_bytes();
        match value {
            ValueRef::Str(text) => self.tag_like(offset + STR, key, text.as_bytes(), b""),
            ValueRef::Bool(value) => self.tag_like(offset + BOOL, key, &[u8::from(value)], b""),
            ValueRef::I64(value) => self.tag_like(offset + I64, key, &number(value.cast_unsigned()), b""),
            ValueRef::F64(value) => self.tag_like(offset + F64, key, &number(value.to_bits()), b""),
            ValueRef::Bytes(bytes) => self.tag_like(offset + BYTES, key, bytes, b""),
            ValueRef::Nested(bytes) => self.tag_like(offset + NESTED, key, bytes, b""),
        }
    }

    #[expect(clippy::inline_always, reason = "worth half of a tag's cost: lengths of numbers are then constants")]
    #[inline(always)]
    fn tag_like(&mut self, entry: u8, key: &[u8], value: &[u8], value_rest: &[u8]) {
        if !self.push(entry, key, value, value_rest) {
            self.left_out.tags = self.left_out.tags.saturating_add(1);
        }
    }

    /// The value in two parts. Inlined, so that numbers are stored and not copied. False: left out.
    #[expect(clippy::inline_always, reason = "worth half of a tag's cost: lengths of numbers are then constants")]
    #[inline(always)]
    fn push(&mut self, entry: u8, key: &[u8], value: &[u8], value_rest: &[u8]) -> bool {
        let value_len = value.len() + value_rest.len();
        let used = self.used + ENTRY_HEAD + key.len() + value_len;
        if used > self.buffer.len() && !self.grow(used) || key.len() > KEY_BYTES_MAX {
            return false;
        }
        let place = &mut self.buffer[self.used..used];
        let (head, place) = place.split_at_mut(ENTRY_HEAD);
        let [k0, k1, _] = digits(key.len());
        let [v0, v1, v2] = digits(value_len);
        head.copy_from_slice(&[entry, k0, k1, v0, v1, v2]);
        let (key_place, place) = place.split_at_mut(key.len());
        key_place.copy_from_slice(key);
        let (value_place, rest_place) = place.split_at_mut(value.len());
        value_place.copy_from_slice(value);
        rest_place.copy_from_slice(value_rest);
        self.used = used;
        true
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

/// 21 bits.
#[inline]
const fn digits(len: usize) -> [u8; 3] {
    [(len & 0x7f) as u8, (len >> 7 & 0x7f) as u8, (len >> 14 & 0x7f) as u8]
}

#[inline]
pub(super) fn from_digits([low, middle, high]: [u8; 3]) -> usize {
    usize::from(low) | usize::from(middle) << 7 | usize::from(high) << 14
}

const LOWER: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const ONES: u64 = 0x0101_0101_0101_0101;

/// A byte of eight is gathered from the upper bits of the others, or spread to them, by a multiplication whose partial
/// products do not meet.
#[inline]
const fn number(value: u64) -> [u8; NUMBER] {
    let upper = (value >> 7 & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let [a, b, c, d, e, f, g, h] = (value & LOWER).to_le_bytes();
    [a, b, c, d, e, f, g, h, (upper & 0xf) as u8, (upper >> 4) as u8]
}

#[inline]
pub(super) fn from_number(bytes: [u8; NUMBER]) -> u64 {
    let [a, b, c, d, e, f, g, h, low, high] = bytes;
    let upper = u64::from(low | high << 4);
    let spread = (upper.wrapping_mul(ONES) & 0x8040_2010_0804_0201).wrapping_add(LOWER) >> 7 & ONES;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) | spread << 7
}

fn put_numbers(out: &mut [u8], values: [u64; 3]) {
    for (place, value) in out.as_chunks_mut::<NUMBER>().0.iter_mut().zip(values) {
        *place = number(value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_text_and_come_back(value in any::<u64>(), len in 0usize..1 << 21) {
            prop_assert!(number(value).is_ascii());
            prop_assert_eq!(from_number(number(value)), value);
            prop_assert!(digits(len).is_ascii());
            prop_assert_eq!(from_digits(digits(len)), len);
        }
    }

    #[test]
    fn each_bit_of_a_number_comes_back() {
        for bit in 0..64 {
            assert_eq!(from_number(number(1 << bit)), 1 << bit);
            assert_eq!(from_number(number(!(1 << bit))), !(1 << bit));
        }
    }
}
