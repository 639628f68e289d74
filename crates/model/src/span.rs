//! One span: a view of a batch's row.

use crate::batch::{
    Attributes, Endpoint, EndpointId, ExtraRow, LinkRow, ResourceId, ScopeId, SharedRow, SpanRow, TYPE_BOOL,
    TYPE_BYTES, TYPE_F64, TYPE_I64, TYPE_NESTED, Text,
};
use crate::value::{Kind, SpanFlags, StatusCode, ValueRef};
use crate::{BatchFull, SpanBatch, SpanId, StrId, Time, TraceId};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A span of a batch, by its row.
#[derive(Clone, Copy)]
pub struct SpanRef<'a> {
    batch: &'a SpanBatch,
    row: usize,
}

/// A span's annotation (event, log).
#[derive(Clone, Copy)]
pub struct AnnotationRef<'a> {
    /// When, since the epoch.
    pub time: Time,
    /// What happened: Zipkin's value, OTLP's event name.
    pub value: &'a str,
    /// OTLP's event attributes, Jaeger's log fields.
    pub details: AttributesRef<'a>,
}

/// Keys and values, in the order they came.
#[derive(Clone, Copy)]
pub struct AttributesRef<'a> {
    batch: &'a SpanBatch,
    columns: &'a Attributes,
    from: usize,
    to: usize,
}

/// An endpoint with its names resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointRef<'a> {
    /// The service's name, empty when unknown.
    pub service: &'a str,
    /// Its IPv4 address.
    pub ipv4: Option<[u8; 4]>,
    /// Its IPv6 address.
    pub ipv6: Option<[u8; 16]>,
    /// Its port; zero when unknown.
    pub port: u16,
    /// See [`Endpoint::ipv4_text`].
    pub ipv4_text: &'a str,
}

/// A link to another span.
#[derive(Clone, Copy)]
pub struct LinkRef<'a> {
    /// The scalar part.
    pub row: &'a LinkRow,
    /// W3C's trace state.
    pub trace_state: &'a str,
    /// Its attributes.
    pub attributes: AttributesRef<'a>,
}

/// OTLP's resource, Jaeger's process.
#[derive(Clone, Copy)]
pub struct ResourceRef<'a> {
    /// Its attributes.
    pub attributes: AttributesRef<'a>,
    /// OTLP's schema URL.
    pub schema_url: &'a str,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
}

/// OTLP's instrumentation scope.
#[derive(Clone, Copy)]
pub struct ScopeRef<'a> {
    /// The library's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its attributes.
    pub attributes: AttributesRef<'a>,
    /// OTLP's schema URL.
    pub schema_url: &'a str,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
}

impl<'a> SpanRef<'a> {
    pub(crate) fn new(batch: &'a SpanBatch, row: usize) -> Self {
        debug_assert!(row < batch.len());
        Self { batch, row }
    }

    /// The batch the span lies in.
    pub fn batch(self) -> &'a SpanBatch {
        self.batch
    }

    /// Its row there.
    pub fn row(self) -> usize {
        self.row
    }

    /// The trace.
    pub fn trace_id(self) -> TraceId {
        TraceId::from_halves(self.batch.trace_high[self.row], self.batch.trace_low[self.row])
    }

    /// The span.
    pub fn id(self) -> SpanId {
        SpanId::new(self.batch.ids[self.row])
    }

    /// Its parent; `None` for a root.
    pub fn parent(self) -> Option<SpanId> {
        Some(SpanId::new(self.batch.parents[self.row])).filter(|id| !id.is_none())
    }

    /// Its name, empty when unknown.
    pub fn name(self) -> &'a str {
        self.batch.interned(self.name_id())
    }

    /// Its name in the batch's table.
    pub fn name_id(self) -> StrId {
        StrId(self.batch.span_names[self.row])
    }

    /// Its role.
    pub fn kind(self) -> Kind {
        Kind::from_u8(self.batch.kinds[self.row]).unwrap_or_default()
    }

    /// Its flags.
    pub fn flags(self) -> SpanFlags {
        SpanFlags(self.batch.flags[self.row])
    }

    /// Whether it shares its id with another span (Zipkin's `shared`).
    pub fn is_shared(self) -> bool {
        self.flags().contains(SpanFlags::SHARED)
    }

    /// When it began.
    pub fn start(self) -> Option<Time> {
        self.flags().contains(SpanFlags::HAS_START).then(|| Time::from_bits(self.batch.starts[self.row]))
    }

    /// How long it took.
    pub fn duration(self) -> Option<Time> {
        self.flags().contains(SpanFlags::HAS_DURATION).then(|| Time::from_bits(self.batch.durations[self.row]))
    }

    /// Zipkin's timestamp: microseconds since the epoch, zero when absent.
    pub fn timestamp_us(self) -> u64 {
        self.start().map_or(0, Time::as_micros)
    }

    /// Zipkin's duration: microseconds, zero when absent.
    pub fn duration_us(self) -> u64 {
        self.duration().map_or(0, Time::as_micros)
    }

    /// Who recorded it, in the batch's table.
    pub fn local_id(self) -> EndpointId {
        EndpointId(self.batch.locals[self.row])
    }

    /// Who it spoke to, in the batch's table.
    pub fn remote_id(self) -> EndpointId {
        EndpointId(self.batch.remotes[self.row])
    }

    /// Who recorded it.
    pub fn local(self) -> Option<EndpointRef<'a>> {
        self.batch.endpoint(self.local_id()).map(|endpoint| EndpointRef::new(self.batch, endpoint))
    }

    /// Who it spoke to.
    pub fn remote(self) -> Option<EndpointRef<'a>> {
        self.batch.endpoint(self.remote_id()).map(|endpoint| EndpointRef::new(self.batch, endpoint))
    }

    /// The service that recorded it, empty when unknown.
    pub fn service_name(self) -> &'a str {
        self.local().map_or("", |endpoint| endpoint.service)
    }

    /// The service it spoke to, empty when unknown.
    pub fn remote_service_name(self) -> &'a str {
        self.remote().map_or("", |endpoint| endpoint.service)
    }

    /// Its tags.
    pub fn tags(self) -> AttributesRef<'a> {
        let from = self.row.checked_sub(1).map_or(0, |row| self.batch.tag_ends[row] as usize);
        AttributesRef { batch: self.batch, columns: &self.batch.tags, from, to: self.batch.tag_ends[self.row] as usize }
    }

    /// The value of a tag.
    pub fn tag(self, key: &str) -> Option<ValueRef<'a>> {
        self.tags().iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Its annotations.
    pub fn annotations(self) -> impl ExactSizeIterator<Item = AnnotationRef<'a>> + Clone {
        let from = self.row.checked_sub(1).map_or(0, |row| self.batch.annotation_ends[row] as usize);
        let batch = self.batch;
        (from..batch.annotation_ends[self.row] as usize).map(move |at| AnnotationRef {
            time: Time::from_bits(batch.annotation_times[at]),
            value: batch.text(batch.annotation_values[at]),
            details: AttributesRef {
                batch,
                columns: &batch.annotation_details,
                from: at.checked_sub(1).map_or(0, |before| batch.annotation_detail_ends[before] as usize),
                to: batch.annotation_detail_ends[at] as usize,
            },
        })
    }

    /// What only OTLP and Jaeger have; see [`SpanBatch::text`] for its texts.
    pub fn extra(self) -> Option<&'a ExtraRow> {
        self.batch.extras.get((self.batch.span_extras[self.row] as usize).checked_sub(1)?)
    }

    /// OTLP's status.
    pub fn status(self) -> StatusCode {
        self.extra().map_or(StatusCode::Unset, |extra| extra.status)
    }

    /// Whether it failed: Zipkin's `error` tag, whatever its value, or OTLP's status.
    pub fn is_error(self) -> bool {
        self.status() == StatusCode::Error || self.tags().iter().any(|(key, _)| key == "error")
    }

    /// Its links.
    pub fn links(self) -> impl ExactSizeIterator<Item = LinkRef<'a>> + Clone {
        let (from, to) = self.extra().map_or((0, 0), |extra| extra.links);
        let batch = self.batch;
        batch.links[from as usize..to as usize].iter().map(move |row| LinkRef {
            row,
            trace_state: batch.text(row.trace_state),
            attributes: AttributesRef::shared(batch, row.attributes),
        })
    }

    /// Jaeger's warnings.
    pub fn warnings(self) -> impl ExactSizeIterator<Item = &'a str> + Clone {
        let (from, to) = self.extra().map_or((0, 0), |extra| extra.warnings);
        let batch = self.batch;
        batch.warnings[from as usize..to as usize].iter().map(move |&text| batch.text(text))
    }

    /// OTLP's resource, Jaeger's process, in the batch's table.
    pub fn resource_id(self) -> ResourceId {
        ResourceId(self.batch.span_resources[self.row])
    }

    /// OTLP's scope, in the batch's table.
    pub fn scope_id(self) -> ScopeId {
        ScopeId(self.batch.span_scopes[self.row])
    }

    /// OTLP's resource, Jaeger's process.
    pub fn resource(self) -> Option<ResourceRef<'a>> {
        self.batch.resource(self.resource_id())
    }

    /// OTLP's scope.
    pub fn scope(self) -> Option<ScopeRef<'a>> {
        self.batch.scope(self.scope_id())
    }

    /// Whether both say the same in every field, wherever they lie. Equal copies are kept once in an answer.
    pub fn same(self, other: SpanRef<'_>) -> bool {
        self.trace_id() == other.trace_id()
            && self.id() == other.id()
            && self.parent() == other.parent()
            && self.kind() == other.kind()
            && self.flags() == other.flags()
            && self.start() == other.start()
            && self.duration() == other.duration()
            && self.name() == other.name()
            && self.local() == other.local()
            && self.remote() == other.remote()
            && self.tags().same(other.tags())
            && same_items(self.annotations(), other.annotations(), |a, b| {
                a.time == b.time && a.value == b.value && a.details.same(b.details)
            })
            && self.same_extra(other)
    }

    /// Feeds a hasher with what [`SpanRef::same`] compares: spans that say the same hash the same. Lets copies be found
    /// among many spans without comparing each with each.
    pub fn hash_same(self, state: &mut impl Hasher) {
        (self.trace_id(), self.id(), self.parent(), self.kind(), self.flags()).hash(state);
        (self.start(), self.duration(), self.name()).hash(state);
        for endpoint in [self.local(), self.remote()].into_iter().flatten() {
            let EndpointRef { service, ipv4, ipv6, port, ipv4_text } = endpoint;
            (service, ipv4, ipv6, port, ipv4_text).hash(state);
        }
        self.tags().hash_same(state);
        for annotation in self.annotations() {
            (annotation.time, annotation.value).hash(state);
            annotation.details.hash_same(state);
        }
        let extra = self.extra().copied().unwrap_or_default();
        (self.batch.text(extra.status_message), self.batch.text(extra.trace_state), extra.status).hash(state);
        (extra.otlp_flags, extra.dropped_tags, extra.dropped_annotations, extra.dropped_links).hash(state);
        self.warnings().for_each(|warning| warning.hash(state));
        for link in self.links() {
            let LinkRow { trace_id, span_id, child_of, otlp_flags, dropped_attributes, .. } = *link.row;
            (trace_id, span_id, child_of, otlp_flags, dropped_attributes, link.trace_state).hash(state);
            link.attributes.hash_same(state);
        }
        if let Some(resource) = self.resource() {
            (resource.schema_url, resource.dropped_attributes).hash(state);
            resource.attributes.hash_same(state);
        }
        if let Some(scope) = self.scope() {
            (scope.name, scope.version, scope.schema_url, scope.dropped_attributes).hash(state);
            scope.attributes.hash_same(state);
        }
    }

    fn same_extra(self, other: SpanRef<'_>) -> bool {
        let texts = |span: &SpanRef<'_>| {
            let extra = span.extra().copied().unwrap_or_default();
            let plain = ExtraRow {
                status_message: Text::default(),
                trace_state: Text::default(),
                links: (0, 0),
                warnings: (0, 0),
                ..extra
            };
            (plain, span.batch.text(extra.status_message).to_owned(), span.batch.text(extra.trace_state).to_owned())
        };
        let plain = |span: SpanRef<'_>| span.extra().is_none() && span.resource_id().0 == 0 && span.scope_id().0 == 0;
        if plain(self) && plain(other) {
            return true;
        }
        let shared = |a: &ResourceRef<'_>, b: &ResourceRef<'_>| {
            a.schema_url == b.schema_url
                && a.dropped_attributes == b.dropped_attributes
                && a.attributes.same(b.attributes)
        };
        let scope = |a: &ScopeRef<'_>, b: &ScopeRef<'_>| {
            (a.name, a.version, a.schema_url, a.dropped_attributes)
                == (b.name, b.version, b.schema_url, b.dropped_attributes)
                && a.attributes.same(b.attributes)
        };
        texts(&self) == texts(&other)
            && same_items(self.warnings(), other.warnings(), |a, b| a == b)
            && same_items(self.links(), other.links(), |a, b| a.same(b))
            && same_options(self.resource().as_ref(), other.resource().as_ref(), shared)
            && same_options(self.scope().as_ref(), other.scope().as_ref(), scope)
    }
}

impl fmt::Debug for SpanRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_span().fmt(f)
    }
}

impl<'a> EndpointRef<'a> {
    pub(crate) fn new(batch: &'a SpanBatch, endpoint: &Endpoint) -> Self {
        Self {
            service: batch.interned(endpoint.service),
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
            port: endpoint.port,
            ipv4_text: batch.interned(endpoint.ipv4_text),
        }
    }
}

impl<'a> LinkRef<'a> {
    /// Whether both say the same.
    pub fn same(&self, other: &LinkRef<'_>) -> bool {
        let plain = |row: &LinkRow| LinkRow { trace_state: Text::default(), attributes: (0, 0), ..*row };
        plain(self.row) == plain(other.row)
            && self.trace_state == other.trace_state
            && self.attributes.same(other.attributes)
    }
}

impl<'a> AttributesRef<'a> {
    fn shared(batch: &'a SpanBatch, range: (u32, u32)) -> Self {
        Self { batch, columns: &batch.shared_attributes, from: range.0 as usize, to: range.1 as usize }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.to - self.from
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Keys and values.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> + Clone {
        self.iter_ids().map(move |(key, value)| (self.batch.interned(key), value))
    }

    /// Keys as numbers of the batch's table, and values.
    pub fn iter_ids(self) -> impl ExactSizeIterator<Item = (StrId, ValueRef<'a>)> + Clone {
        (self.from..self.to).map(move |at| (StrId(self.columns.keys[at]), self.value(at)))
    }

    /// Whether one has this key, by its number in the batch's table.
    pub fn has_key(self, key: StrId) -> bool {
        self.columns.keys[self.from..self.to].contains(&key.0)
    }

    /// The value at a place below [`AttributesRef::len`].
    pub fn value_at(self, at: usize) -> ValueRef<'a> {
        debug_assert!(at < self.len());
        self.value(self.from + at)
    }

    /// Whether both have the same keys and values in the same order.
    pub fn same(self, other: AttributesRef<'_>) -> bool {
        same_items(self.iter(), other.iter(), |a, b| a.0 == b.0 && a.1.same(b.1))
    }

    /// Feeds a hasher with what [`AttributesRef::same`] compares.
    fn hash_same(self, state: &mut impl Hasher) {
        self.len().hash(state);
        for (key, value) in self.iter() {
            key.hash(state);
            match value {
                ValueRef::Str(value) => value.hash(state),
                ValueRef::Bool(value) => value.hash(state),
                ValueRef::I64(value) => value.hash(state),
                ValueRef::F64(value) => value.to_bits().hash(state),
                ValueRef::Bytes(value) | ValueRef::Nested(value) => value.hash(state),
            }
        }
    }

    fn value(self, at: usize) -> ValueRef<'a> {
        let word = self.columns.values[at];
        let (start, len) = (word as u32 as usize, (word >> 32) as usize);
        match self.columns.types[at] {
            TYPE_BOOL => ValueRef::Bool(word != 0),
            TYPE_I64 => ValueRef::I64(word as i64),
            TYPE_F64 => ValueRef::F64(f64::from_bits(word)),
            TYPE_BYTES => ValueRef::Bytes(&self.batch.bytes[start..start + len]),
            TYPE_NESTED => ValueRef::Nested(&self.batch.bytes[start..start + len]),
            _ => ValueRef::Str(&self.batch.text[start..start + len]),
        }
    }
}

impl SpanBatch {
    /// The endpoint of a number with its names, or `None` for "none".
    pub fn endpoint_ref(&self, id: EndpointId) -> Option<EndpointRef<'_>> {
        self.endpoint(id).map(|endpoint| EndpointRef::new(self, endpoint))
    }

    /// The resource of a number, or `None` for "none".
    pub fn resource(&self, id: ResourceId) -> Option<ResourceRef<'_>> {
        let row: &SharedRow = self.resources.get((id.0 as usize).checked_sub(1)?)?;
        Some(ResourceRef {
            attributes: AttributesRef::shared(self, row.attributes),
            schema_url: self.interned(row.schema_url),
            dropped_attributes: row.dropped_attributes,
        })
    }

    /// The scope of a number, or `None` for "none".
    pub fn scope(&self, id: ScopeId) -> Option<ScopeRef<'_>> {
        let row: &SharedRow = self.scopes.get((id.0 as usize).checked_sub(1)?)?;
        Some(ScopeRef {
            name: self.interned(row.name),
            version: self.interned(row.version),
            attributes: AttributesRef::shared(self, row.attributes),
            schema_url: self.interned(row.schema_url),
            dropped_attributes: row.dropped_attributes,
        })
    }

    /// Appends a copy of another batch's span. Its resource and scope are copied too, once for spans that come one after
    /// the other and share them.
    pub fn push_copy(&mut self, span: SpanRef<'_>) -> Result<(), BatchFull> {
        let local = self.copy_endpoint(span.local());
        let remote = self.copy_endpoint(span.remote());
        let name = self.intern(span.name());
        self.open_copy(span);
        let (resource, scope, extra) = self.copy_rare(span);
        self.commit(SpanRow {
            trace_id: span.trace_id(),
            id: span.id(),
            parent: span.parent().unwrap_or(SpanId::NONE),
            name,
            kind: span.kind(),
            flags: span.flags(),
            start: span.start(),
            duration: span.duration(),
            local,
            remote,
            resource,
            scope,
            extra,
        })
    }

    /// As [`Self::open_copy`] for who draws spans and shows no tags: of these only `error` is copied, of annotations time and
    /// text.
    pub(crate) fn open_outline(&mut self, span: SpanRef<'_>) {
        if let Some((key, value)) = span.tags().iter().find(|(key, _)| *key == "error") {
            let key = self.intern(key);
            self.tag(key, value);
        }
        for annotation in span.annotations() {
            self.annotation(annotation.time, annotation.value);
        }
    }

    pub(crate) fn copy_rare_outline(&mut self, span: SpanRef<'_>) -> (ResourceId, ScopeId, Option<ExtraRow>) {
        if span.status() == StatusCode::Error { self.copy_rare(span) } else { (ResourceId(0), ScopeId(0), None) }
    }

    /// Adds another span's tags and annotations to the span being filled.
    pub(crate) fn open_copy(&mut self, span: SpanRef<'_>) {
        for (key, value) in span.tags().iter() {
            let key = self.intern(key);
            self.tag(key, value);
        }
        for annotation in span.annotations() {
            self.annotation(annotation.time, annotation.value);
            for (key, value) in annotation.details.iter() {
                let key = self.intern(key);
                self.annotation_detail(key, value);
            }
        }
    }

    /// One endpoint of several that describe it in part; the first to know something is believed.
    pub(crate) fn merge_endpoints<'b>(&mut self, endpoints: impl Iterator<Item = EndpointRef<'b>>) -> EndpointId {
        let whole = endpoints.reduce(|whole, next| EndpointRef {
            service: if whole.service.is_empty() { next.service } else { whole.service },
            ipv4: whole.ipv4.or(next.ipv4),
            ipv6: whole.ipv6.or(next.ipv6),
            port: if whole.port == 0 { next.port } else { whole.port },
            ipv4_text: if whole.ipv4_text.is_empty() { next.ipv4_text } else { whole.ipv4_text },
        });
        self.copy_endpoint(whole)
    }

    fn copy_endpoint(&mut self, endpoint: Option<EndpointRef<'_>>) -> EndpointId {
        let Some(endpoint) = endpoint else { return EndpointId(0) };
        let service = self.intern(endpoint.service);
        let ipv4_text = self.intern(endpoint.ipv4_text);
        let EndpointRef { ipv4, ipv6, port, .. } = endpoint;
        self.intern_endpoint(Endpoint { service, ipv4, ipv6, port, ipv4_text })
    }

    pub(crate) fn copy_rare(&mut self, span: SpanRef<'_>) -> (ResourceId, ScopeId, Option<ExtraRow>) {
        let resource = span.resource().map_or(ResourceId(0), |from| self.copy_resource(from));
        let scope = span.scope().map_or(ScopeId(0), |from| self.copy_scope(from));
        for link in span.links() {
            let trace_state = self.push_text(link.trace_state);
            self.link(LinkRow { trace_state, ..*link.row });
            for (key, value) in link.attributes.iter() {
                let key = self.intern(key);
                self.link_attribute(key, value);
            }
        }
        for warning in span.warnings() {
            self.warning(warning);
        }
        let extra = span.extra().map(|extra| ExtraRow {
            status_message: self.push_text(span.batch.text(extra.status_message)),
            trace_state: self.push_text(span.batch.text(extra.trace_state)),
            ..*extra
        });
        (resource, scope, extra)
    }

    fn copy_resource(&mut self, from: ResourceRef<'_>) -> ResourceId {
        let last = ResourceId(self.resources.len() as u32);
        let same = |r: ResourceRef<'_>| {
            r.schema_url == from.schema_url
                && r.dropped_attributes == from.dropped_attributes
                && r.attributes.same(from.attributes)
        };
        if self.resource(last).is_some_and(same) {
            return last;
        }
        let schema_url = self.intern(from.schema_url);
        let id = self.push_resource(schema_url, from.dropped_attributes);
        for (key, value) in from.attributes.iter() {
            let key = self.intern(key);
            self.resource_attribute(key, value);
        }
        id
    }

    fn copy_scope(&mut self, from: ScopeRef<'_>) -> ScopeId {
        let last = ScopeId(self.scopes.len() as u32);
        let scalars = |s: &ScopeRef<'_>| (s.dropped_attributes, s.name.len(), s.version.len(), s.schema_url.len());
        let same = |s: ScopeRef<'_>| {
            scalars(&s) == scalars(&from)
                && (s.name, s.version, s.schema_url) == (from.name, from.version, from.schema_url)
                && s.attributes.same(from.attributes)
        };
        if self.scope(last).is_some_and(same) {
            return last;
        }
        let (name, version) = (self.intern(from.name), self.intern(from.version));
        let schema_url = self.intern(from.schema_url);
        let id = self.push_scope(name, version, schema_url, from.dropped_attributes);
        for (key, value) in from.attributes.iter() {
            let key = self.intern(key);
            self.scope_attribute(key, value);
        }
        id
    }
}

fn same_items<A, B>(
    a: impl ExactSizeIterator<Item = A>,
    b: impl ExactSizeIterator<Item = B>,
    same: impl Fn(&A, &B) -> bool,
) -> bool {
    a.len() == b.len() && a.zip(b).all(|(a, b)| same(&a, &b))
}

fn same_options<A, B>(a: Option<&A>, b: Option<&B>, same: impl Fn(&A, &B) -> bool) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}
