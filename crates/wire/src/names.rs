//! Names that the spans of a body repeat (keys, operations): interning one that was seen before costs a comparison, and what it
//! means to its format is known with it.

use std::borrow::Cow;
use tracewell_model::{SpanBatch, StrId};

/// Bytes as text; what is not UTF-8 in it becomes U+FFFD. The standard library's function of this kind looks at each byte,
/// which is felt where nearly all is ASCII.
#[inline]
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// What a name is to a format. The default is "nothing in particular".
pub(crate) trait NameMeaning: Copy + Default {
    /// Of a name that is UTF-8.
    fn of(name: &str) -> Self;
}

/// Where no name means anything.
impl NameMeaning for () {
    fn of(_: &str) {}
}

/// Makes room in a batch for what a body of so many bytes will bring, if it is like most: `span_bytes` is about how long a
/// span is in its format, of which a tag takes an eighth and text a third.
pub(crate) fn reserve_for_body(batch: &mut SpanBatch, body_bytes: usize, span_bytes: usize) {
    batch.reserve(body_bytes / span_bytes, 8 * body_bytes / span_bytes, body_bytes / 3);
}

/// What pieces of a body stand for that others repeat byte for byte, by a slot that the bytes choose.
pub(crate) struct Slots<'a, T, const SLOTS: usize>([(&'a [u8], T); SLOTS]);

impl<T: Copy + Default, const SLOTS: usize> Default for Slots<'_, T, SLOTS> {
    fn default() -> Self {
        Self([(&[], T::default()); SLOTS])
    }
}

impl<'a, T: Copy + Default, const SLOTS: usize> Slots<'a, T, SLOTS> {
    #[inline]
    pub(crate) fn find(&self, piece: &[u8]) -> Option<T> {
        let (seen, found) = &self.0[slot_of(piece) % SLOTS];
        (*seen == piece).then_some(*found)
    }

    #[inline]
    pub(crate) fn put(&mut self, piece: &'a [u8], found: T) {
        self.0[slot_of(piece) % SLOTS] = (piece, found);
    }

    /// The empty piece is the default.
    #[inline]
    pub(crate) fn get(&mut self, piece: &'a [u8], new: impl FnOnce() -> T) -> T {
        let slot = &mut self.0[slot_of(piece) % SLOTS];
        if slot.0 != piece {
            *slot = (piece, new());
        }
        slot.1
    }
}

pub(crate) const SLOTS: usize = 256;

/// Names of a body that were interned before, by a slot that their bytes choose.
pub(crate) struct SeenNames<'a, M> {
    slots: [(&'a [u8], StrId, M); SLOTS],
}

impl<'a, M: NameMeaning> SeenNames<'a, M> {
    pub(crate) fn new() -> Self {
        Self { slots: [(&[], StrId::EMPTY, M::default()); SLOTS] }
    }

    /// Interns a name. What is not UTF-8 in it becomes U+FFFD, and then it means nothing.
    #[inline]
    pub(crate) fn intern(&mut self, name: &'a [u8], batch: &mut SpanBatch) -> (StrId, M) {
        let slot = &mut self.slots[slot_of(name)];
        if slot.0 != name {
            *slot = match lossy(name) {
                Cow::Borrowed(text) => (name, batch.intern(text), M::of(text)),
                Cow::Owned(text) => (name, batch.intern(&text), M::default()),
            };
        }
        (slot.1, slot.2)
    }
}

/// Whether both are the same bytes: of names, which are short, without a call.
#[inline(always)]
pub(crate) fn same_name(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; N])> {
        Some((*bytes.first_chunk()?, *bytes.last_chunk()?))
    }
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0 => true,
        1..4 => a[0] == b[0] && a[a.len() / 2] == b[b.len() / 2] && a[a.len() - 1] == b[b.len() - 1],
        4..8 => ends::<4>(a) == ends::<4>(b),
        8..=16 => ends::<8>(a) == ends::<8>(b),
        17..=32 => ends::<16>(a) == ends::<16>(b),
        _ => a == b,
    }
}

/// One of 256 slots. Names begin alike (`http.`) or end alike (`.name`): both ends count.
#[inline]
pub(crate) fn slot_of(name: &[u8]) -> usize {
    let mixed = if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        u64::from_le_bytes(*first).rotate_left(23) ^ u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else {
        name.iter().fold(0, |mixed, &byte| mixed << 8 | u64::from(byte))
    };
    ((mixed ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct IsKind(bool);

    impl NameMeaning for IsKind {
        fn of(name: &str) -> Self {
            Self(name == "span.kind")
        }
    }

    #[test]
    fn names_keep_their_numbers_and_meanings_whatever_slot_they_share() {
        let mut batch = SpanBatch::new();
        let mut names: Vec<String> = (0..2000).map(|n| format!("{}{n}", "x".repeat(n % 13))).collect();
        names.insert(1000, "span.kind".to_owned());
        let mut seen = SeenNames::<IsKind>::new();
        for name in names.iter().chain(&names) {
            let (id, meaning) = seen.intern(name.as_bytes(), &mut batch);
            assert_eq!((batch.interned(id), meaning), (name.as_str(), IsKind(name == "span.kind")));
        }
        assert_eq!(seen.intern(b"", &mut batch).0, StrId::EMPTY);
        let (id, meaning) = seen.intern(b"span.kind\xff", &mut batch);
        assert_eq!((batch.interned(id), meaning), ("span.kind\u{fffd}", IsKind(false)));
    }
}
