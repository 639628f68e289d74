//! How a finished span gets from the thread that ends it to the reporter.
//!
//! A span that is recorded writes its entries into a buffer of its thread's pool; where it ends, head and entries go
//! into that thread's ring and the buffer goes back. One thread a tracer, started by the first span, empties the rings.

mod finish;
mod local;
mod record;
mod ring;
mod shared;
mod worker;

pub use finish::Finish;
pub(crate) use local::{Stamp, finish, return_buffer, take_buffer, unix_nanos};
pub(crate) use record::{Entries, Head};
pub use record::{SPAN_BYTES_MAX, SpanEntry, SpanRecord, SpanRecords};
pub(crate) use shared::{Closing, Options, Shared};
pub use shared::{TracerStats, spans_without_tracer};
pub use worker::REPORT_SPANS_MAX;
