//! Where spans are kept and found: the [`Store`] trait, whose text is the contract every store is held to, and the stores
//! of this crate. Plain synchronous code with threads of its own; it knows nothing of HTTP or of wire formats.

#[doc(hidden)]
pub mod contract;
mod memtable;
mod part;
mod reference;
mod seams;
mod search;
mod segment;
mod store;

pub use reference::ReferenceStore;
pub use seams::{Blobs, Log, Meta, ReplayReport, SeamError};
pub use store::{Capabilities, DependencyWindow, ReadError, Store, StoreHealth, StoreStats, WriteDone, WriteError};
