//! Keys that the spans of a body repeat in the same order, often with the same values: what came behind a key before is looked
//! at first, so that most keys cost a comparison and no hash.

use crate::names::{NameMeaning, SLOTS, slot_of};
use tracewell_model::{SpanBatch, StrId, Text};

/// So many keys are remembered; then it is learned anew.
const KEYS_MAX: usize = 4096;

/// The keys of one body. They are known by their places, the first of which stands before all keys.
pub(crate) struct SeenKeys<'a, M> {
    keys: Vec<SeenKey<'a, M>>,
    /// Places by a slot that a key's bytes choose; zero for none.
    slots: [u16; SLOTS],
}

/// A key and what came with it.
pub(crate) struct SeenKey<'a, M> {
    pub(crate) text: &'a [u8],
    pub(crate) id: StrId,
    pub(crate) meaning: M,
    /// The value that this key had last, if that was a text, and where it lies in the batch.
    pub(crate) value: &'a [u8],
    pub(crate) place: Text,
    /// The places of the keys that came behind it last and before that; zero for none.
    next: [u16; 2],
}

impl<'a, M: NameMeaning> SeenKeys<'a, M> {
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), slots: [0; SLOTS] }
    }

    /// Forgets all: the places that it knows are no more.
    #[cold]
    pub(crate) fn forget(&mut self) {
        self.keys.clear();
        self.slots = [0; SLOTS];
    }

    /// To be called before the keys of a span are asked for.
    #[inline]
    pub(crate) fn begin_span(&mut self) {
        if self.keys.len() > KEYS_MAX {
            self.forget();
        }
        if self.keys.is_empty() {
            self.push(&[], StrId::EMPTY, M::default());
        }
    }

    #[inline]
    pub(crate) fn get(&mut self, place: usize) -> Option<&mut SeenKey<'a, M>> {
        self.keys.get_mut(place)
    }

    /// The place of a key that came behind this one before and that `is_it` is said of.
    #[expect(clippy::inline_always, reason = "for each tag of each span")]
    #[inline(always)]
    pub(crate) fn behind(&self, before: usize, is_it: impl Fn(&'a [u8]) -> bool) -> Option<usize> {
        let (next, mut at) = (self.keys.get(before)?.next, 0);
        while at < next.len() {
            let place = usize::from(next[at]);
            if place != 0 && is_it(self.keys.get(place)?.text) {
                return Some(place);
            }
            at += 1;
        }
        None
    }

    /// The place of any key that comes behind this one. `None` if it is no UTF-8, or too many are new in one span.
    #[inline(never)]
    pub(crate) fn learn(&mut self, before: usize, text: &'a [u8], batch: &mut SpanBatch) -> Option<usize> {
        let slot = slot_of(text);
        let mut place = *self.slots.get(slot)?;
        if place == 0 || self.keys.get(usize::from(place))?.text != text {
            place = u16::try_from(self.keys.len()).ok()?;
            let name = str::from_utf8(text).ok()?;
            self.push(text, batch.intern(name), M::of(name));
            *self.slots.get_mut(slot)? = place;
        }
        let next = &mut self.keys.get_mut(before)?.next;
        *next = [place, next[0]];
        Some(usize::from(place))
    }

    fn push(&mut self, text: &'a [u8], id: StrId, meaning: M) {
        self.keys.push(SeenKey { text, id, meaning, value: &[], place: Text::default(), next: [0; 2] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_behind_those_that_they_followed() {
        let (mut keys, mut batch) = (SeenKeys::<()>::new(), SpanBatch::new());
        let names: Vec<String> = (0..3000).map(|n| format!("key {n}")).collect();
        for name in &names {
            keys.begin_span();
            let first = keys.learn(0, b"first", &mut batch).unwrap();
            let place = keys.learn(first, name.as_bytes(), &mut batch).unwrap();
            assert_eq!(keys.behind(first, |text| text == name.as_bytes()), Some(place));
            assert_eq!(batch.interned(keys.get(place).unwrap().id), name);
            assert_eq!(keys.behind(place, |_| true), None);
        }
        assert_eq!(keys.learn(0, b"\xff", &mut batch), None);
        keys.forget();
        assert_eq!(keys.behind(0, |_| true), None);
    }
}
