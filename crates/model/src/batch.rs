//! Spans as columns: what decoders fill and everything behind them reads. The only thing that moves between layers.
//!
//! A decoder pushes a span's tags and annotations as it meets them, then [`SpanBatch::commit`]s the span's row; what was
//! pushed for a span that turns out to be wrong is dropped by [`SpanBatch::discard_open`]. Texts that repeat are interned
//! ([`SpanBatch::intern`]), others go to one arena ([`SpanBatch::push_text`]): once a batch's memory has grown to the size of
//! its traffic ([`SpanBatch::clear`] keeps it), filling it allocates nothing.

mod attributes;
mod columns;
mod mark;
mod open_span;
mod staged;

pub(crate) use attributes::{Attributes, TYPE_BOOL, TYPE_BYTES, TYPE_F64, TYPE_I64, TYPE_NESTED, TYPE_STR};
pub use columns::{AttributeColumns, BatchColumns};
pub use mark::BatchMark;
use staged::StagedTexts;

use crate::intern::Interner;
use crate::span::SpanRef;
use crate::tag_orders::TagOrders;
use crate::value::{Kind, SpanFlags, StatusCode, ValueRef};
use crate::{SpanId, StrId, Time, TraceId};
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

/// The arenas of a batch hold at most this much, so that a `u32` reaches every byte of the span being filled too.
const ARENA_BYTES_MAX: usize = 1 << 31;

/// The batch can take no more spans: its texts have reached 2 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a span batch holds at most 2 GiB of text")]
pub struct BatchFull;

/// Where a text lies in the batch's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Text {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// An endpoint of the batch's table; zero is "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

/// A resource (OTLP) or process (Jaeger) of the batch's table; zero is "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResourceId(pub u32);

/// An instrumentation scope of the batch's table; zero is "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ScopeId(pub u32);

/// Who a span was recorded by, or who it spoke to. All empty means "none" and is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Endpoint {
    /// The service's name, empty when unknown.
    pub service: StrId,
    /// Its IPv4 address.
    pub ipv4: Option<[u8; 4]>,
    /// Its IPv6 address.
    pub ipv6: Option<[u8; 16]>,
    /// Its port; zero when unknown.
    pub port: u16,
    /// The IPv4 address as text where printing the four numbers would not give back what was sent (`01.2.3.4`).
    pub ipv4_text: StrId,
}

/// The scalar part of a span, for [`SpanBatch::commit`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanRow {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub id: SpanId,
    /// Its parent, or [`SpanId::NONE`].
    pub parent: SpanId,
    /// Its name, empty when unknown.
    pub name: StrId,
    /// Its role.
    pub kind: Kind,
    /// Debug, shared, sampled. `HAS_START` and `HAS_DURATION` are set from the two fields below.
    pub flags: SpanFlags,
    /// When it began, since the epoch.
    pub start: Option<Time>,
    /// How long it took.
    pub duration: Option<Time>,
    /// Who recorded it.
    pub local: EndpointId,
    /// Who it spoke to.
    pub remote: EndpointId,
    /// OTLP's resource, Jaeger's process.
    pub resource: ResourceId,
    /// OTLP's scope.
    pub scope: ScopeId,
    /// What few spans have.
    pub extra: Option<ExtraRow>,
}

/// What only OTLP and Jaeger have, kept beside the columns for the spans that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtraRow {
    /// OTLP's status.
    pub status: StatusCode,
    /// The status' message.
    pub status_message: Text,
    /// W3C's trace state.
    pub trace_state: Text,
    /// OTLP's `flags` field as it came; of a span with [`SpanFlags::JAEGER`] Jaeger's, where it says more than those.
    pub otlp_flags: u32,
    /// How many tags the sender dropped.
    pub dropped_tags: u32,
    /// How many annotations the sender dropped.
    pub dropped_annotations: u32,
    /// How many links the sender dropped.
    pub dropped_links: u32,
    /// Rows of the batch's links; set by [`SpanBatch::commit`].
    pub(crate) links: (u32, u32),
    /// Rows of the batch's warnings; set by [`SpanBatch::commit`].
    pub(crate) warnings: (u32, u32),
}

/// A reference to another span: OTLP's link, Jaeger's reference beside the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkRow {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// Jaeger's CHILD_OF; otherwise FOLLOWS_FROM, which is what an OTLP link is.
    pub child_of: bool,
    /// W3C's trace state.
    pub trace_state: Text,
    /// OTLP's `flags` field as it came.
    pub otlp_flags: u32,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
    /// Rows of the batch's shared attributes; set by [`SpanBatch::link_attribute`].
    pub(crate) attributes: (u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SharedRow {
    pub(crate) name: StrId,
    pub(crate) version: StrId,
    pub(crate) schema_url: StrId,
    pub(crate) dropped_attributes: u32,
    pub(crate) attributes: (u32, u32),
}

/// Spans as columns. See the module's text for how it is filled; [`SpanBatch::span`] reads it.
#[derive(Debug, Clone, Default)]
pub struct SpanBatch {
    pub(crate) names: Interner,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    staged: StagedTexts,

    pub(crate) trace_high: Vec<u64>,
    pub(crate) trace_low: Vec<u64>,
    pub(crate) ids: Vec<u64>,
    pub(crate) parents: Vec<u64>,
    pub(crate) starts: Vec<u64>,
    pub(crate) durations: Vec<u64>,
    pub(crate) span_names: Vec<u32>,
    pub(crate) kinds: Vec<u8>,
    pub(crate) flags: Vec<u16>,
    pub(crate) locals: Vec<u32>,
    pub(crate) remotes: Vec<u32>,
    pub(crate) span_resources: Vec<u32>,
    pub(crate) span_scopes: Vec<u32>,
    /// 1 + row of `extras`, or zero.
    pub(crate) span_extras: Vec<u32>,
    pub(crate) tag_ends: Vec<u32>,
    pub(crate) annotation_ends: Vec<u32>,

    pub(crate) tags: Attributes,
    pub(crate) annotation_times: Vec<u64>,
    pub(crate) annotation_values: Vec<Text>,
    pub(crate) annotation_detail_ends: Vec<u32>,
    pub(crate) annotation_details: Attributes,

    /// Row 0 stands for endpoint 1.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) endpoint_codes: HashTable<u32>,
    pub(crate) endpoint_hasher: rapidhash::quality::RandomState,
    pub(crate) resources: Vec<SharedRow>,
    pub(crate) scopes: Vec<SharedRow>,
    pub(crate) extras: Vec<ExtraRow>,
    pub(crate) links: Vec<LinkRow>,
    pub(crate) warnings: Vec<Text>,
    /// Attributes of resources, scopes and links.
    pub(crate) shared_attributes: Attributes,
    pub(crate) links_committed: usize,
    pub(crate) warnings_committed: usize,
    tag_orders: TagOrders,
}

impl SpanBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many spans are committed.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no span is committed.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The span at `row`, which must be below [`SpanBatch::len`].
    pub fn span(&self, row: usize) -> SpanRef<'_> {
        SpanRef::new(self, row)
    }

    /// All spans, in the order they were committed.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> + DoubleEndedIterator + Clone {
        (0..self.len()).map(|row| self.span(row))
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        let Self { names, text, bytes, endpoint_codes, .. } = self;
        names.clear();
        text.clear();
        bytes.clear();
        endpoint_codes.clear();
        self.tag_orders.forget();
        self.truncate(&BatchMark::default());
    }

    /// About how many bytes of memory the batch holds: what the budgets count.
    pub fn memory_bytes(&self) -> usize {
        let spans = self.ids.capacity() * (6 * 8 + 8 * 4 + 2 + 1);
        let attributes = |a: &Attributes| a.keys.capacity() * 4 + a.types.capacity() + a.values.capacity() * 8;
        self.names.bytes()
            + self.text.capacity()
            + self.bytes.capacity()
            + self.staged.capacity()
            + spans
            + attributes(&self.tags)
            + attributes(&self.annotation_details)
            + attributes(&self.shared_attributes)
            + self.annotation_times.capacity() * (8 + 8 + 4)
            + self.endpoints.capacity() * (size_of::<Endpoint>() + 8)
            + (self.resources.capacity() + self.scopes.capacity()) * size_of::<SharedRow>()
            + self.extras.capacity() * size_of::<ExtraRow>()
            + self.links.capacity() * size_of::<LinkRow>()
            + self.warnings.capacity() * size_of::<Text>()
    }

    /// Makes room for about so many more spans, with so many tags in all, and for so much text: a decoder knows from its
    /// body's length what will come.
    pub fn reserve(&mut self, spans: usize, tags: usize, text_bytes: usize) {
        let Self { text, trace_high, trace_low, ids, parents, starts, durations, .. } = self;
        text.reserve(text_bytes);
        for column in [trace_high, trace_low, ids, parents, starts, durations] {
            column.reserve(spans);
        }
        let Self { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = self;
        for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
            column.reserve(spans);
        }
        let Self { kinds, flags, tag_ends, annotation_ends, .. } = self;
        kinds.reserve(spans);
        flags.reserve(spans);
        tag_ends.reserve(spans);
        annotation_ends.reserve(spans);
        self.tags.keys.reserve(tags);
        self.tags.types.reserve(tags);
        self.tags.values.reserve(tags);
    }

    /// Gives back memory that was reserved for more spans than came.
    pub fn shrink_to_fit(&mut self) {
        let Self { text, bytes, trace_high, trace_low, ids, parents, starts, durations, .. } = self;
        text.shrink_to_fit();
        bytes.shrink_to_fit();
        for column in [trace_high, trace_low, ids, parents, starts, durations] {
            column.shrink_to_fit();
        }
        let Self { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = self;
        for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
            column.shrink_to_fit();
        }
        self.tags.values.shrink_to_fit();
        self.tags.keys.shrink_to_fit();
        self.tags.types.shrink_to_fit();
    }

    /// Puts the names of spans and services into lower case, as Zipkin has them. For a batch that is only read from now on.
    pub fn lower_names(&mut self) {
        let Self { names, span_names, endpoints, .. } = self;
        let mut known: HashMap<u32, u32> = HashMap::new();
        let mut lower = |id: u32| {
            *known.entry(id).or_insert_with(|| {
                let name = names.get(StrId(id));
                if !name.chars().any(char::is_uppercase) {
                    return id;
                }
                let lower = name.to_lowercase();
                names.intern(&lower).0
            })
        };
        span_names.iter_mut().for_each(|name| *name = lower(*name));
        endpoints.iter_mut().for_each(|endpoint| endpoint.service = StrId(lower(endpoint.service.0)));
    }

    // ---- texts

    /// The number of a text that repeats: a service's or span's name, a tag's key.
    pub fn intern(&mut self, text: &str) -> StrId {
        self.names.intern(text)
    }

    /// The number of an interned text, if it is there.
    pub fn find_interned(&self, text: &str) -> Option<StrId> {
        self.names.find(text)
    }

    /// The interned text of a number that this batch gave out.
    pub fn interned(&self, id: StrId) -> &str {
        self.names.get(id)
    }

    /// How many texts are interned, the empty one included: numbers are below this.
    pub fn interned_len(&self) -> usize {
        self.names.len()
    }

    /// Puts a text that does not repeat into the arena.
    pub fn push_text(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Text { start, len: text.len() as u32 }
    }

    /// The text at a place that this batch gave out.
    pub fn text(&self, text: Text) -> &str {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    // ---- tables shared by spans

    /// The number of an endpoint; an empty one is "none".
    pub fn intern_endpoint(&mut self, endpoint: Endpoint) -> EndpointId {
        if endpoint == Endpoint::default() {
            return EndpointId(0);
        }
        let Self { endpoints, endpoint_codes, endpoint_hasher, .. } = self;
        let hash_of = |endpoint: &Endpoint| endpoint_hasher.hash_one(endpoint);
        let hash = hash_of(&endpoint);
        if let Some(&code) = endpoint_codes.find(hash, |&code| endpoints[code as usize - 1] == endpoint) {
            return EndpointId(code);
        }
        endpoints.push(endpoint);
        let code = endpoints.len() as u32;
        endpoint_codes.insert_unique(hash, code, |&code| hash_of(&endpoints[code as usize - 1]));
        EndpointId(code)
    }

    /// The endpoint of a number, or `None` for "none".
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get((id.0 as usize).checked_sub(1)?)
    }

    /// How many endpoints there are: numbers are 1 to this.
    pub fn endpoints_len(&self) -> usize {
        self.endpoints.len()
    }

    /// Begins a resource (OTLP) or process (Jaeger); [`SpanBatch::shared_attribute`] adds to it until another begins.
    pub fn push_resource(&mut self, schema_url: StrId, dropped_attributes: u32) -> ResourceId {
        let attributes = self.shared_attributes.empty_range();
        self.resources.push(SharedRow { schema_url, dropped_attributes, attributes, ..SharedRow::default() });
        ResourceId(self.resources.len() as u32)
    }

    /// Adds an attribute to the resource pushed last.
    pub fn resource_attribute(&mut self, key: StrId, value: ValueRef<'_>) {
        self.shared_attributes.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(resource) = self.resources.last_mut() {
            resource.attributes.1 = self.shared_attributes.len();
        }
    }

    /// Begins an instrumentation scope; [`SpanBatch::scope_attribute`] adds to it.
    pub fn push_scope(&mut self, name: StrId, version: StrId, schema_url: StrId, dropped_attributes: u32) -> ScopeId {
        let attributes = self.shared_attributes.empty_range();
        self.scopes.push(SharedRow { name, version, schema_url, dropped_attributes, attributes });
        ScopeId(self.scopes.len() as u32)
    }

    /// Adds an attribute to the scope pushed last.
    pub fn scope_attribute(&mut self, key: StrId, value: ValueRef<'_>) {
        self.shared_attributes.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(scope) = self.scopes.last_mut() {
            scope.attributes.1 = self.shared_attributes.len();
        }
    }

    // ---- what formats that are free in their order say last

    /// Says of a resource what was not known when it was pushed.
    pub fn describe_resource(&mut self, id: ResourceId, schema_url: StrId, dropped_attributes: u32) {
        if let Some(row) = (id.0 as usize).checked_sub(1).and_then(|at| self.resources.get_mut(at)) {
            *row = SharedRow { schema_url, dropped_attributes, ..*row };
        }
    }

    /// Says of a scope what was not known when it was pushed.
    pub fn describe_scope(
        &mut self,
        id: ScopeId,
        name: StrId,
        version: StrId,
        schema_url: StrId,
        dropped_attributes: u32,
    ) {
        if let Some(row) = (id.0 as usize).checked_sub(1).and_then(|at| self.scopes.get_mut(at)) {
            *row = SharedRow { name, version, schema_url, dropped_attributes, ..*row };
        }
    }

    /// Says of the annotation added last what was not known when it was added.
    pub fn describe_annotation(&mut self, time: Time, value: Text) {
        if let (Some(last_time), Some(last_value)) =
            (self.annotation_times.last_mut(), self.annotation_values.last_mut())
        {
            (*last_time, *last_value) = (time.to_bits(), value);
        }
    }

    /// Says of the link added last what was not known when it was added.
    pub fn describe_link(&mut self, link: LinkRow) {
        if let Some(last) = self.links.last_mut() {
            *last = LinkRow { attributes: last.attributes, ..link };
        }
    }

    /// Gives the spans from a row on their resource and who recorded them.
    pub fn assign_resource(&mut self, from: usize, resource: ResourceId, local: EndpointId) {
        self.span_resources[from..].fill(resource.0);
        self.locals[from..].fill(local.0);
    }

    /// Gives the spans from a row on their scope.
    pub fn assign_scope(&mut self, from: usize, scope: ScopeId) {
        self.span_scopes[from..].fill(scope.0);
    }

    /// Says who the span committed last spoke to.
    pub fn assign_remote(&mut self, remote: EndpointId) {
        if let Some(last) = self.remotes.last_mut() {
            *last = remote.0;
        }
    }
}
