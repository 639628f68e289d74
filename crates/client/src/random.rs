//! Random numbers for ids: fast, and not for secrets.

use std::cell::Cell;

use fastrand::Rng;

thread_local! {
    /// Zero before the first. Without a destructor, so that asking costs no look at whether the thread is ending.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// The next of this thread.
#[inline]
pub(crate) fn random() -> u64 {
    STATE.with(|state| {
        let mut generator = match state.get() {
            0 => Rng::new(),
            seed => Rng::with_seed(seed),
        };
        let number = generator.u64(..);
        state.set(generator.get_seed());
        number
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn differs_from_call_to_call_and_from_thread_to_thread() {
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| (0..1000).map(|_| random()).collect())).collect();
        let numbers: Vec<Vec<u64>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(numbers.iter().flatten().collect::<HashSet<_>>().len(), 4000);
    }
}
