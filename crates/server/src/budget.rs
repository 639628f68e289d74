//! The memory for bodies on their way in: bytes are reserved as they arrive and given back when the body is gone. One atomic
//! number, no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for everybody together.
#[derive(Debug)]
pub(crate) struct Budget {
    used_bytes: AtomicUsize,
    bytes_max: usize,
}

/// What one body holds of it; given back on drop.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    bytes: usize,
}

/// Nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { used_bytes: AtomicUsize::new(0), bytes_max })
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Nothing yet; see [`Reserved::grow`].
    pub(crate) fn reserve(self: &Arc<Self>) -> Reserved {
        Reserved { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Reserved {
    /// Reserves so many bytes more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let fits = |used: usize| used.checked_add(bytes).filter(|&used| used <= self.budget.bytes_max);
        // The number guards no other memory, so nothing has to be ordered by it.
        self.budget.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Spent)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives so many bytes back, at most all.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_given_back() {
        let budget = Budget::new(10);
        let mut one = budget.reserve();
        let mut two = budget.reserve();
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(two.grow(5), Err(Spent));
        assert_eq!(two.grow(4), Ok(()));
        assert_eq!(two.grow(usize::MAX), Err(Spent));
        drop(one);
        assert_eq!(budget.used_bytes(), 4);
        assert_eq!(two.grow(6), Ok(()));
        two.shrink(7);
        assert_eq!(budget.used_bytes(), 3);
        drop(two);
        assert_eq!(budget.used_bytes(), 0);
    }
}
