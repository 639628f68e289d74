//! The vocabulary of Tracewell, without I/O: ids, spans, span batches, traces, dependency links, queries.
//!
//! Spans move between layers as a [`SpanBatch`]: columns that a decoder fills and that the log, the store and the
//! encoders read. Owned [`Span`]s exist at the edges only.

mod batch;
mod calendar;
mod dependency;
mod filter;
mod id;
mod image;
mod intern;
mod owned;
mod query;
mod resource_tags;
mod span;
mod span_query;
mod tag_orders;
mod text_order;
mod time;
mod trace;
mod value;
mod view;

pub use batch::{
    AttributeColumns, BatchColumns, BatchFull, BatchMark, Endpoint, EndpointId, ExtraRow, LinkRow, ResourceId, ScopeId,
    SpanBatch, SpanRow, Text,
};
pub use calendar::date;
pub use dependency::{Call, DependencyLink, DependencyLinker, LinkSpan, PlainLinker};
pub use filter::{
    Comparison, Condition, FilterError, FilterProblem, FilterTerm, Pattern, SpanFilter, SpanStatus, TagValue,
};
pub use id::{IdError, SpanId, TraceId};
pub use image::{ImageError, read_image, write_image};
pub use intern::StrId;
pub use owned::{OwnedAnnotation, OwnedEndpoint, OwnedLink, Span};
pub use query::{TraceGrouping, TraceQuery, same_name, trace_timestamp_us};
pub use span::{AnnotationRef, AttributesRef, EndpointRef, LinkRef, ResourceRef, ScopeRef, SpanRef};
pub use span_query::SpanQuery;
pub use text_order::compare_utf16;
pub use time::Time;
pub use trace::{SpanNode, TraceTree, long_trace_id, merge_spans, merge_spans_of};
pub use value::{Kind, RawValue, SpanFlags, StatusCode, Value, ValueRef};
pub use view::{LinkView, SpanView};
