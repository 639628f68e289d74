//! The orders that tags were sorted into, remembered: spans of one operation have the same keys in the same order, and sorting
//! their tags then costs a look and a copy.

use crate::batch::Attributes;
use crate::intern::Interner;
use crate::{StrId, compare_utf16};

/// Up to this many tags are sorted without a scratch list, and their order is remembered.
pub(crate) const FEW_TAGS: usize = 32;

/// Places for what is remembered; a list of keys has one of them.
const SLOTS: usize = 64;

/// See the module's text. Copies remember nothing: it helps while a batch is filled only.
#[derive(Debug, Default)]
pub(crate) struct TagOrders {
    /// Made when the first is remembered.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    /// Numbers of the keys as they came; none where nothing is remembered.
    keys: Vec<u32>,
    /// See [`swaps_of`]; empty where they were sorted.
    swaps: Vec<u8>,
}

impl Clone for TagOrders {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl TagOrders {
    /// The swaps that sort keys that came before, all of them different; none where they are sorted.
    #[inline]
    pub(crate) fn find(&self, keys: &[u32]) -> Option<&[u8]> {
        let slot = self.slots.get(slot_of(keys))?;
        (slot.keys == keys).then_some(&slot.swaps)
    }

    /// Remembers the swaps that sort some keys.
    pub(crate) fn remember(&mut self, keys: &[u32], swaps: &[u8]) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let slot = &mut self.slots[slot_of(keys)];
        slot.keys.clear();
        slot.keys.extend_from_slice(keys);
        slot.swaps.clear();
        if (0..).zip(swaps).any(|(at, &other)| at != other) {
            slot.swaps.extend_from_slice(swaps);
        }
    }

    /// Remembers nothing any more.
    pub(crate) fn forget(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.keys.clear());
    }
}

fn slot_of(keys: &[u32]) -> usize {
    let mixed = keys.iter().fold(keys.len() as u64, |mixed, &key| {
        (mixed.rotate_left(5) ^ u64::from(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    });
    (mixed >> 58) as usize
}

/// The order of a few keys, those that are equal as they came.
pub(crate) fn sort_few<'a>(names: &Interner, keys: &[u32], order: &'a mut [u8; FEW_TAGS]) -> &'a mut [u8] {
    let order = &mut order[..keys.len()];
    let mut sorted = [""; FEW_TAGS];
    for (at, &key) in keys.iter().enumerate() {
        let key = names.get(StrId(key));
        let before = &sorted[..at];
        let to = match before.last() {
            Some(last) if compare_utf16(last, key).is_gt() => {
                before.partition_point(|other| compare_utf16(other, key).is_le())
            }
            _ => at,
        };
        sorted.copy_within(to..at, to + 1);
        order.copy_within(to..at, to + 1);
        (sorted[to], order[to]) = (key, at as u8);
    }
    order
}

/// Makes an order what brings it about in place: one after the other, each place exchanges what it has with another.
pub(crate) fn swaps_of(order: &mut [u8]) -> &[u8] {
    for at in 0..order.len() {
        let mut wanted = usize::from(order[at]);
        // What stood before this place was exchanged when its turn was there.
        while wanted < at {
            wanted = usize::from(order[wanted]);
        }
        order[at] = wanted as u8;
    }
    order
}

impl Attributes {
    /// Exchanges the row `from + n` with the row `from + swaps[n]`, one after the other.
    #[inline]
    pub(crate) fn swap_all(&mut self, from: usize, swaps: &[u8]) {
        fn swap<T>(column: &mut [T], swaps: &[u8]) {
            swaps.iter().enumerate().for_each(|(at, &other)| column.swap(at, usize::from(other)));
        }
        if swaps.is_empty() {
            return;
        }
        swap(&mut self.keys[from..], swaps);
        swap(&mut self.values[from..], swaps);
        // Mostly all are of one type.
        let types = &mut self.types[from..];
        if types.iter().any(|kind| *kind != types[0]) {
            swap(types, swaps);
        }
    }

    /// Of rows sorted by key, the last of each key stays.
    pub(crate) fn keep_last_of_each_key(&mut self, from: usize) {
        let mut kept = from;
        for at in from..self.keys.len() {
            if kept > from && self.keys[kept - 1] == self.keys[at] {
                kept -= 1;
            }
            self.keys.swap(kept, at);
            self.types.swap(kept, at);
            self.values.swap(kept, at);
            kept += 1;
        }
        self.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orders() -> impl Strategy<Value = Vec<u8>> {
        (0..=FEW_TAGS as u8).prop_flat_map(|len| Just((0..len).collect::<Vec<u8>>()).prop_shuffle())
    }

    proptest! {
        #[test]
        fn swaps_bring_the_order_about(order in orders()) {
            let mut places: Vec<u8> = (0..order.len() as u8).collect();
            for (at, &other) in swaps_of(&mut order.clone()).iter().enumerate() {
                places.swap(at, usize::from(other));
            }
            prop_assert_eq!(places, order);
        }
    }

    #[test]
    fn orders_are_found_by_their_keys_until_forgotten() {
        let mut orders = TagOrders::default();
        assert_eq!(orders.find(&[1, 2]), None);
        orders.remember(&[1, 2], &[0, 1]);
        orders.remember(&[2, 1], &[1, 0]);
        assert_eq!(
            (orders.find(&[1, 2]), orders.find(&[2, 1]), orders.find(&[1])),
            (Some(&[][..]), Some(&[1, 0][..]), None)
        );
        assert_eq!(orders.clone().find(&[1, 2]), None);
        for key in 0..1000 {
            orders.remember(&[key, 7], &[1, 0]);
            assert_eq!(orders.find(&[key, 7]), Some(&[1, 0][..]));
        }
        orders.forget();
        assert_eq!(orders.find(&[999, 7]), None);
    }
}
