//! Where spans are kept and found: the [`Store`] trait, whose text is the contract every store is held to, and the stores
//! of this crate. Plain synchronous code with threads of its own; it knows nothing of HTTP or of wire formats.

mod blobs;
mod catalog;
mod check;
mod clock;
#[doc(hidden)]
pub mod contract;
mod copies;
mod disk;
mod engine;
mod log;
#[doc(hidden)]
pub mod measure;
mod memory;
mod memtable;
mod meta;
mod part;
mod reference;
mod seams;
mod search;
mod segment;
mod store;
mod watch;
mod write_queue;

pub use check::{CheckError, CheckOptions, CheckReport, Finding, Lost, Note, check};
pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskFile, DiskLock, DiskSpace, OpenFile, RealDisk};
pub use engine::{EmbeddedOptions, EmbeddedStore, OpenError};
pub use log::Durability;
pub use memory::{MemoryOptions, MemoryStore};
pub use reference::ReferenceStore;
pub use seams::{Blobs, Log, LogStats, Meta, ReplayReport, SeamError};
pub use segment::{block_cache_bytes, set_block_cache_bytes_max};
pub use store::{
    Capabilities, DependencyWindow, ReadError, SearchVisitor, SpanSearch, Store, StoreHealth, StoreStats, TracePart,
    WriteDone, WriteError, WriterCall,
};
pub use watch::{ReadMemory, ReadWatch};
