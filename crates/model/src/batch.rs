//! Spans as columns: what decoders fill and everything behind them reads. The only thing that moves between layers.
//!
//! A decoder pushes a span's tags and annotations as it meets them, then [`SpanBatch::commit`]s the span's row; what was
//! pushed for a span that turns out to be wrong is dropped by [`SpanBatch::discard_open`]. Texts that repeat are interned
//! ([`SpanBatch::intern`]), others go to one arena ([`SpanBatch::push_text`]): once a batch's memory has grown to the size of
//! its traffic ([`SpanBatch::clear`] keeps it), filling it allocates nothing.

use crate::intern::Interner;
use crate::span::SpanRef;
use crate::tag_orders::{FEW_TAGS, TagOrders, sort_few, swaps_of};
use crate::value::{Kind, SpanFlags, StatusCode, ValueRef};
use crate::{SpanId, StrId, Time, TraceId, compare_utf16};
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

/// Keys and typed values, one column each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) keys: Vec<u32>,
    pub(crate) types: Vec<u8>,
    /// A number's bits, or where a text or bytes lie: start in the lower, length in the upper half.
    pub(crate) values: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SharedRow {
    pub(crate) name: StrId,
    pub(crate) version: StrId,
    pub(crate) schema_url: StrId,
    pub(crate) dropped_attributes: u32,
    pub(crate) attributes: (u32, u32),
}

/// How far a batch was filled; see [`SpanBatch::mark`].
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchMark {
    spans: usize,
    names: usize,
    text: usize,
    bytes: usize,
    tags: u32,
    annotations: usize,
    annotation_details: u32,
    endpoints: usize,
    resources: usize,
    scopes: usize,
    extras: usize,
    links: usize,
    warnings: usize,
    shared_attributes: u32,
}

/// Spans as columns. See the module's text for how it is filled; [`SpanBatch::span`] reads it.
#[derive(Debug, Clone, Default)]
pub struct SpanBatch {
    pub(crate) names: Interner,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,

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

    // ---- the span being filled

    /// Adds a tag to the span being filled. Order is kept; a key may repeat.
    #[inline]
    pub fn tag(&mut self, key: StrId, value: ValueRef<'_>) {
        self.tags.push(&mut self.text, &mut self.bytes, key, value);
    }

    /// Adds an annotation (event, log) to the span being filled.
    pub fn annotation(&mut self, time: Time, value: &str) {
        let text = self.push_text(value);
        self.annotation_times.push(time.to_bits());
        self.annotation_values.push(text);
        self.annotation_detail_ends.push(self.annotation_details.len());
    }

    /// Adds an attribute to the annotation added last.
    pub fn annotation_detail(&mut self, key: StrId, value: ValueRef<'_>) {
        self.annotation_details.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(end) = self.annotation_detail_ends.last_mut() {
            *end = self.annotation_details.len();
        }
    }

    /// Adds a link to the span being filled.
    pub fn link(&mut self, link: LinkRow) {
        let attributes = self.shared_attributes.empty_range();
        self.links.push(LinkRow { attributes, ..link });
    }

    /// Adds an attribute to the link added last.
    pub fn link_attribute(&mut self, key: StrId, value: ValueRef<'_>) {
        self.shared_attributes.push(&mut self.text, &mut self.bytes, key, value);
        if let Some(link) = self.links.last_mut() {
            link.attributes.1 = self.shared_attributes.len();
        }
    }

    /// Adds a warning (Jaeger) to the span being filled.
    pub fn warning(&mut self, warning: &str) {
        let text = self.push_text(warning);
        self.warnings.push(text);
    }

    /// How many tags the span being filled has so far.
    pub fn open_tags_len(&self) -> usize {
        self.tags.keys.len() - self.tag_ends.last().map_or(0, |&end| end as usize)
    }

    /// How many annotations the span being filled has so far.
    pub fn open_annotations_len(&self) -> usize {
        self.annotation_times.len() - self.annotation_ends.last().map_or(0, |&end| end as usize)
    }

    /// Drops the tags of the span being filled: a JSON field that comes twice counts once.
    pub fn clear_open_tags(&mut self) {
        self.tags.truncate(self.tag_ends.last().map_or(0, |&end| end as usize));
    }

    /// Drops the annotations of the span being filled.
    pub fn clear_open_annotations(&mut self) {
        let keep = self.annotation_ends.last().map_or(0, |&end| end as usize);
        self.annotation_times.truncate(keep);
        self.annotation_values.truncate(keep);
        self.annotation_detail_ends.truncate(keep);
        self.annotation_details.truncate(self.annotation_detail_ends.last().map_or(0, |&end| end as usize));
    }

    /// Sorts the tags of the span being filled by key; of those with one key the last stays. As Zipkin answers.
    pub fn sort_open_tags(&mut self) {
        let from = self.tag_ends.last().map_or(0, |&end| end as usize);
        let Self { tags, names, tag_orders, .. } = self;
        match tags.keys.len() - from {
            0 | 1 => {}
            2..=FEW_TAGS => {
                if let Some(swaps) = tag_orders.find(&tags.keys[from..]) {
                    return tags.swap_all(from, swaps);
                }
                let mut order = [0; FEW_TAGS];
                let order = sort_few(names, &tags.keys[from..], &mut order);
                let came = |at: u8| tags.keys[from + usize::from(at)];
                let all_differ = order.windows(2).all(|pair| came(pair[0]) != came(pair[1]));
                let swaps = swaps_of(order);
                if all_differ {
                    tag_orders.remember(&tags.keys[from..], swaps);
                }
                tags.swap_all(from, swaps);
                tags.keep_last_of_each_key(from);
            }
            _ => {
                let key = |at: usize| names.get(StrId(tags.keys[at]));
                let mut order: Vec<usize> = (from..tags.keys.len()).collect();
                order.sort_by(|&a, &b| compare_utf16(key(a), key(b)));
                tags.reorder(from, &order);
                tags.keep_last_of_each_key(from);
            }
        }
    }

    /// Sorts the annotations of the span being filled by time, then text, and drops equal ones. As Zipkin answers.
    /// For annotations without attributes only: these keep their place.
    pub fn sort_open_annotations(&mut self) {
        let from = self.annotation_ends.last().map_or(0, |&end| end as usize);
        if self.annotation_times.len() < from + 2 {
            return;
        }
        let sorted = |batch: &Self, a: usize, b: usize| {
            let times = batch.annotation_times[a].cmp(&batch.annotation_times[b]);
            let value = |at: usize| batch.text(batch.annotation_values[at]);
            times.then_with(|| compare_utf16(value(a), value(b)))
        };
        if (from + 1..self.annotation_times.len()).all(|at| sorted(self, at - 1, at).is_lt()) {
            return;
        }
        let mut order: Vec<usize> = (from..self.annotation_times.len()).collect();
        order.sort_by(|&a, &b| sorted(self, a, b));
        order.dedup_by(|a, b| sorted(self, *a, *b).is_eq());
        let open: Vec<_> = order.iter().map(|&at| (self.annotation_times[at], self.annotation_values[at])).collect();
        self.clear_open_annotations();
        for (time, text) in open {
            self.annotation_times.push(time);
            self.annotation_values.push(text);
            self.annotation_detail_ends.push(self.annotation_details.len());
        }
    }

    /// Ends the span being filled: its row joins the columns, with the tags and annotations pushed since the last one.
    pub fn commit(&mut self, row: SpanRow) -> Result<(), BatchFull> {
        if self.text.len() > ARENA_BYTES_MAX || self.bytes.len() > ARENA_BYTES_MAX {
            self.discard_open();
            return Err(BatchFull);
        }
        let extra = self.take_open_extra(row.extra);
        let mut flags = row.flags.without(SpanFlags::HAS_START.with(SpanFlags::HAS_DURATION));
        if row.start.is_some() {
            flags = flags.with(SpanFlags::HAS_START);
        }
        if row.duration.is_some() {
            flags = flags.with(SpanFlags::HAS_DURATION);
        }
        self.trace_high.push(row.trace_id.high());
        self.trace_low.push(row.trace_id.low());
        self.ids.push(row.id.value());
        self.parents.push(row.parent.value());
        self.starts.push(row.start.unwrap_or_default().to_bits());
        self.durations.push(row.duration.unwrap_or_default().to_bits());
        self.span_names.push(row.name.0);
        self.kinds.push(row.kind as u8);
        self.flags.push(flags.0);
        self.locals.push(row.local.0);
        self.remotes.push(row.remote.0);
        self.span_resources.push(row.resource.0);
        self.span_scopes.push(row.scope.0);
        self.span_extras.push(extra);
        self.tag_ends.push(self.tags.len());
        self.annotation_ends.push(self.annotation_times.len() as u32);
        Ok(())
    }

    /// Drops what was pushed since the last commit. Interned texts and endpoints stay; they cost little.
    pub fn discard_open(&mut self) {
        self.clear_open_tags();
        self.clear_open_annotations();
        self.links.truncate(self.links_committed);
        self.warnings.truncate(self.warnings_committed);
    }

    /// Remembers how far the batch is filled, so that [`SpanBatch::rollback`] can undo a body that turns out to be wrong.
    /// For the moment between two spans: what is pushed for a span not yet committed is dropped.
    pub fn mark(&mut self) -> BatchMark {
        self.discard_open();
        BatchMark {
            spans: self.len(),
            names: self.names.len(),
            text: self.text.len(),
            bytes: self.bytes.len(),
            tags: self.tags.len(),
            annotations: self.annotation_times.len(),
            annotation_details: self.annotation_details.len(),
            endpoints: self.endpoints.len(),
            resources: self.resources.len(),
            scopes: self.scopes.len(),
            extras: self.extras.len(),
            links: self.links.len(),
            warnings: self.warnings.len(),
            shared_attributes: self.shared_attributes.len(),
        }
    }

    /// Forgets everything that was added since the mark was taken, interned texts and endpoints included.
    pub fn rollback(&mut self, mark: BatchMark) {
        self.discard_open();
        for code in mark.endpoints..self.endpoints.len() {
            let hash = self.endpoint_hasher.hash_one(self.endpoints[code]);
            if let Ok(entry) = self.endpoint_codes.find_entry(hash, |&other| other as usize == code + 1) {
                entry.remove();
            }
        }
        // They name keys by numbers that may now go to others.
        self.tag_orders.forget();
        self.names.truncate(mark.names);
        self.text.truncate(mark.text);
        self.bytes.truncate(mark.bytes);
        self.truncate(&mark);
    }

    fn take_open_extra(&mut self, extra: Option<ExtraRow>) -> u32 {
        let links = (self.links_committed as u32, self.links.len() as u32);
        let warnings = (self.warnings_committed as u32, self.warnings.len() as u32);
        self.links_committed = self.links.len();
        self.warnings_committed = self.warnings.len();
        if extra.is_none() && links.0 == links.1 && warnings.0 == warnings.1 {
            return 0;
        }
        self.extras.push(ExtraRow { links, warnings, ..extra.unwrap_or_default() });
        self.extras.len() as u32
    }

    /// Columns and tables, but not the texts and what is found by hash.
    fn truncate(&mut self, mark: &BatchMark) {
        let Self { trace_high, trace_low, ids, parents, starts, durations, .. } = self;
        for column in [trace_high, trace_low, ids, parents, starts, durations] {
            column.truncate(mark.spans);
        }
        let Self { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = self;
        for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
            column.truncate(mark.spans);
        }
        self.tag_ends.truncate(mark.spans);
        self.annotation_ends.truncate(mark.spans);
        self.kinds.truncate(mark.spans);
        self.flags.truncate(mark.spans);
        self.tags.truncate(mark.tags as usize);
        self.annotation_times.truncate(mark.annotations);
        self.annotation_values.truncate(mark.annotations);
        self.annotation_detail_ends.truncate(mark.annotations);
        self.annotation_details.truncate(mark.annotation_details as usize);
        self.endpoints.truncate(mark.endpoints);
        self.resources.truncate(mark.resources);
        self.scopes.truncate(mark.scopes);
        self.extras.truncate(mark.extras);
        self.links.truncate(mark.links);
        self.warnings.truncate(mark.warnings);
        self.shared_attributes.truncate(mark.shared_attributes as usize);
        self.links_committed = mark.links;
        self.warnings_committed = mark.warnings;
    }
}

pub(crate) const TYPE_STR: u8 = 0;
pub(crate) const TYPE_BOOL: u8 = 1;
pub(crate) const TYPE_I64: u8 = 2;
pub(crate) const TYPE_F64: u8 = 3;
pub(crate) const TYPE_BYTES: u8 = 4;
pub(crate) const TYPE_NESTED: u8 = 5;

impl Attributes {
    pub(crate) fn len(&self) -> u32 {
        self.keys.len() as u32
    }

    fn empty_range(&self) -> (u32, u32) {
        (self.len(), self.len())
    }

    #[inline]
    fn push(&mut self, text: &mut String, bytes: &mut Vec<u8>, key: StrId, value: ValueRef<'_>) {
        let place = |start: usize, len: usize| start as u64 | (len as u64) << 32;
        let (kind, word) = match value {
            ValueRef::Str(value) => {
                text.push_str(value);
                (TYPE_STR, place(text.len() - value.len(), value.len()))
            }
            ValueRef::Bool(value) => (TYPE_BOOL, u64::from(value)),
            ValueRef::I64(value) => (TYPE_I64, value as u64),
            ValueRef::F64(value) => (TYPE_F64, value.to_bits()),
            ValueRef::Bytes(value) => {
                bytes.extend_from_slice(value);
                (TYPE_BYTES, place(bytes.len() - value.len(), value.len()))
            }
            ValueRef::Nested(value) => {
                bytes.extend_from_slice(value);
                (TYPE_NESTED, place(bytes.len() - value.len(), value.len()))
            }
        };
        self.keys.push(key.0);
        self.types.push(kind);
        self.values.push(word);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
        self.types.truncate(len);
        self.values.truncate(len);
    }

    /// The rows from `from` on become those that `order` names.
    fn reorder(&mut self, from: usize, order: &[usize]) {
        fn pick<T: Copy>(column: &mut [T], from: usize, order: &[usize]) {
            let picked: Vec<T> = order.iter().map(|&at| column[at]).collect();
            column[from..].copy_from_slice(&picked);
        }
        pick(&mut self.keys, from, order);
        pick(&mut self.types, from, order);
        pick(&mut self.values, from, order);
    }
}
