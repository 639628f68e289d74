//! How a finished span gets from the thread that ends it to the reporter.
//!
//! A span that is recorded writes its entries into a buffer of its thread's pool; where it ends, head and entries go
//! into that thread's ring and the buffer goes back. One thread a tracer, started by the first span, empties the rings.

mod entries;
mod entry;
mod finish;
mod local;
mod open;
mod record;
mod ring;
mod shared;
mod stamp;
mod sync;
mod view;
mod worker;

#[cfg(feature = "tracing")]
pub(crate) use entries::Entries;
pub use entries::SPAN_BYTES_MAX;
pub use entry::SpanEntry;
pub use finish::Finish;
pub(crate) use local::{finish, keep, unix_nanos};
pub(crate) use open::Open;
pub(crate) use record::Head;
pub use record::{SpanRecord, SpanRecords};
pub(crate) use shared::{Closing, Options, Shared, find};
pub use shared::{TracerStats, spans_without_tracer};
pub(crate) use stamp::Stamp;
pub use view::LocalSpan;
pub use worker::REPORT_SPANS_MAX;
