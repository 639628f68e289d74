//! Ends reads that nobody waits for any more, and those that need more memory than there is: a read looks again and again
//! whether it still should go on, between blocks and traces, and says what it holds.

use crate::store::ReadError;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Watches over reads: they end with [`ReadError::Ended`] soon after it says so. Clones are the same watch.
#[derive(Debug, Clone, Default)]
pub struct ReadWatch {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
    account: Option<Arc<Account>>,
}

/// The memory that reads may hold together.
#[derive(Debug)]
pub struct ReadMemory {
    held_bytes: AtomicUsize,
    bytes_max: usize,
}

/// What the reads of one watch hold; given back with the last clone of the watch.
#[derive(Debug)]
struct Account {
    memory: Arc<ReadMemory>,
    held_bytes: AtomicUsize,
}

thread_local! {
    static CURRENT: RefCell<Option<ReadWatch>> = const { RefCell::new(None) };
}

impl ReadWatch {
    /// One that ends reads at this moment, or earlier when it is cancelled.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// One whose reads share this memory with others: they end with [`ReadError::MemorySpent`] when it is spent. What they
    /// answered counts until the last clone of the watch is dropped.
    pub fn with_memory(memory: Arc<ReadMemory>) -> Self {
        let account = Account { memory, held_bytes: AtomicUsize::new(0) };
        Self { account: Some(Arc::new(account)), ..Self::default() }
    }

    /// Ends the reads it watches over.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether reads should end.
    pub fn is_over(&self) -> bool {
        self.cancelled.load(Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Runs what reads on this thread, watched over by this; whatever watched before does so again afterwards.
    pub fn over<T>(&self, read: impl FnOnce() -> T) -> T {
        struct Before(Option<ReadWatch>);
        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _before = Before(CURRENT.replace(Some(self.clone())));
        read()
    }
}

impl ReadMemory {
    /// So many bytes.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { held_bytes: AtomicUsize::new(0), bytes_max })
    }

    /// What reads hold now.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Relaxed)
    }
}

impl Account {
    fn hold(&self, bytes: usize) -> Result<(), ReadError> {
        let ReadMemory { held_bytes, bytes_max } = &*self.memory;
        let fits = |held: usize| held.checked_add(bytes).filter(|held| held <= bytes_max);
        held_bytes
            .fetch_update(Relaxed, Relaxed, fits)
            .map_err(|_| ReadError::MemorySpent { bytes_max: *bytes_max })?;
        self.held_bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Relaxed);
        self.memory.held_bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.memory.held_bytes.fetch_sub(*self.held_bytes.get_mut(), Relaxed);
    }
}

/// An error when the reads of this thread should end.
pub(crate) fn go_on() -> Result<(), ReadError> {
    let over = CURRENT.with_borrow(|current| current.as_ref().is_some_and(ReadWatch::is_over));
    if over { Err(ReadError::Ended) } else { Ok(()) }
}

/// Says that a read of this thread holds so many bytes more, for its answer; an error when there is no more memory.
pub(crate) fn hold_for_answer(bytes: usize) -> Result<(), ReadError> {
    CURRENT.with_borrow(|current| match current.as_ref().and_then(|watch| watch.account.as_ref()) {
        Some(account) => account.hold(bytes),
        None => Ok(()),
    })
}

/// What a read holds for a while.
#[derive(Debug, Default)]
pub(crate) struct Held {
    account: Option<Arc<Account>>,
    bytes: usize,
}

impl Held {
    /// For the read of this thread, whichever thread it is that holds.
    pub(crate) fn of_this_read() -> Self {
        Self { account: account_of_this_read(), bytes: 0 }
    }

    /// So many bytes more, for the read it was made by, or else for that of this thread.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        if self.account.is_none() {
            self.account = account_of_this_read();
        }
        if let Some(account) = &self.account {
            account.hold(bytes)?;
            self.bytes += bytes;
        }
        Ok(())
    }
}

fn account_of_this_read() -> Option<Arc<Account>> {
    CURRENT.with_borrow(|current| current.as_ref().and_then(|watch| watch.account.clone()))
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.release(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn reads_end_when_they_should() {
        assert_eq!(go_on(), Ok(()));
        let watch = ReadWatch::until(Instant::now() + Duration::from_secs(3600));
        watch.over(|| {
            assert_eq!(go_on(), Ok(()));
            ReadWatch::until(Instant::now()).over(|| assert_eq!(go_on(), Err(ReadError::Ended)));
            assert_eq!(go_on(), Ok(()));
            watch.clone().cancel();
            assert_eq!(go_on(), Err(ReadError::Ended));
        });
        assert_eq!(go_on(), Ok(()));
    }

    #[test]
    fn reads_share_their_memory() {
        let memory = ReadMemory::new(100);
        let spent = Err(ReadError::MemorySpent { bytes_max: 100 });
        assert_eq!(hold_for_answer(1000), Ok(()), "nobody watches");
        let (one, two) = (ReadWatch::with_memory(memory.clone()), ReadWatch::with_memory(memory.clone()));
        one.over(|| {
            assert_eq!(hold_for_answer(50), Ok(()));
            let mut held = Held::default();
            assert_eq!(held.grow(40), Ok(()));
            assert_eq!(two.over(|| hold_for_answer(20)), spent);
            drop(held);
            assert_eq!(two.over(|| hold_for_answer(20)), Ok(()));
        });
        assert_eq!(memory.held_bytes(), 70);
        drop(one);
        assert_eq!(memory.held_bytes(), 20);
        drop(two);
        assert_eq!(memory.held_bytes(), 0);
    }
}
