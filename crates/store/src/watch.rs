//! Ends reads that nobody waits for any more: a read looks again and again whether it still should, between blocks and traces.

use crate::store::ReadError;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Watches over reads: they end with [`ReadError::Ended`] soon after it says so. Clones are the same watch.
#[derive(Debug, Clone, Default)]
pub struct ReadWatch {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

thread_local! {
    static CURRENT: RefCell<Option<ReadWatch>> = const { RefCell::new(None) };
}

impl ReadWatch {
    /// One that ends reads at this moment, or earlier when it is cancelled.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
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

/// An error when the reads of this thread should end.
pub(crate) fn go_on() -> Result<(), ReadError> {
    let over = CURRENT.with_borrow(|current| current.as_ref().is_some_and(ReadWatch::is_over));
    if over { Err(ReadError::Ended) } else { Ok(()) }
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
}
