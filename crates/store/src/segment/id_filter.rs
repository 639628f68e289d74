//! Which traces a segment surely does not have: sixteen bits of each trace's id, hashed, in a table that one look into memory
//! answers from. A trace is looked for in every segment there is, and lies in one of them.

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct IdFilter {
    /// Marks, each at the place its hash names or in the next free one; zero is free. A third is free.
    slots: Vec<u16>,
}

impl IdFilter {
    pub(super) fn new(lows: &[u64]) -> Self {
        let mut slots = vec![0u16; lows.len() + lows.len() / 2 + 1];
        for &low in lows {
            let (mut at, mark) = place(low, slots.len());
            while slots[at] != 0 && slots[at] != mark {
                at = next(at, slots.len());
            }
            slots[at] = mark;
        }
        Self { slots }
    }

    /// Whether there may be a trace whose id has this lower half: always when there is one, otherwise once in some twenty
    /// thousand times.
    pub(super) fn may_have(&self, low: u64) -> bool {
        let (mut at, mark) = place(low, self.slots.len());
        while let Some(&slot) = self.slots.get(at) {
            if slot == mark || slot == 0 {
                return slot == mark;
            }
            at = next(at, self.slots.len());
        }
        false
    }
}

fn next(at: usize, slots: usize) -> usize {
    if at + 1 == slots { 0 } else { at + 1 }
}

/// Where the mark of an id is looked for first, and the mark.
fn place(low: u64, slots: usize) -> (usize, u16) {
    let mut hash = (low ^ low >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^= hash >> 32;
    let at = (u128::from(hash) * slots as u128) >> 64;
    (at as usize, (hash as u16).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Random;

    #[test]
    fn every_trace_is_found_and_few_others() {
        assert!(!IdFilter::default().may_have(1) && !IdFilter::new(&[]).may_have(0));
        let mut random = Random::new(1);
        let lows: Vec<u64> = (0..5000).map(|at| if at % 2 == 0 { at } else { random.below(u64::MAX) }).collect();
        let filter = IdFilter::new(&lows);
        assert!(lows.iter().all(|&low| filter.may_have(low)));
        let wrong = (0..100_000u64).filter(|at| filter.may_have((1 << 40) + at)).count();
        assert!(wrong < 30, "{wrong} of 100,000");
    }
}
