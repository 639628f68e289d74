//! What the ring is made of, in one place, so that `make test-loom` can put loom's in its place.

pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
