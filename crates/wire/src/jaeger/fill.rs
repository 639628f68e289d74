//! A span of Jaeger's into the model, whatever encoding it came in. `docs/mapping.md` has the rules.

use super::error::DecodeError;
use super::names::Meaning;
use super::view::NEGATIVE_DURATION_TAG;
use crate::Limits;
use crate::names::{SeenNames, lossy};
use crate::otlp::EMPTY_SERVICE_NAME;
use std::net::{Ipv4Addr, Ipv6Addr};
use tracewell_model::{
    Endpoint, EndpointId, ExtraRow, Kind, LinkRow, ResourceId, ScopeId, SpanBatch, SpanFlags, SpanId, SpanRow,
    StatusCode, StrId, Text, Time, TraceId, ValueRef,
};

type Result<T> = std::result::Result<T, Box<DecodeError>>;

/// What is put right in spans when they arrive, as Jaeger's collector does before it stores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sanitizers {
    /// Nothing: spans as they were sent.
    #[default]
    None,
    /// An empty service is `empty-service-name`, without a process it is `null-process-and-service-name`. As Jaeger 1.62
    /// does for what its agent takes.
    ServiceName,
    /// The same, and a span with a duration of zero or less gets a nanosecond and the tag `InvalidNegativeDuration`. As
    /// Jaeger 1.76's collector does.
    ServiceNameAndDuration,
}

const NO_PROCESS: &str = "null-process-and-service-name";
const NEGATIVE_DURATION: &str = "InvalidNegativeDuration";
const NEGATIVE_DURATION_TEXT: &[u8] = b"Duration can't be negative, so it is changed to default value";

/// What Jaeger's flags have a bit for in the model.
const FLAG_SAMPLED: u32 = 1;
const FLAG_DEBUG: u32 = 2;

/// A tag or a log's field as it lies in the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyValue<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a [u8]),
    Bool(bool),
    Long(i64),
    Double(f64),
    Binary(&'a [u8]),
}

impl Value<'_> {
    /// What a value becomes whose type Jaeger does not have.
    pub(super) const UNKNOWN_TYPE: Self = Self::Text(b"unknown type");
}

impl Default for KeyValue<'_> {
    fn default() -> Self {
        Self { key: &[], value: Value::Text(&[]) }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reference {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) child_of: bool,
}

/// A duration as sent, in nanoseconds: clocks go back, and then it is below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Duration {
    #[default]
    Zero,
    Positive(Time),
    NegativeNanos(i64),
}

impl Duration {
    pub(super) fn from_micros(micros: i64) -> Self {
        match micros {
            0 => Self::Zero,
            1.. => Self::Positive(Time::from_micros(micros.unsigned_abs())),
            _ => Self::NegativeNanos(micros.max(i64::MIN / 1000) * 1000),
        }
    }
}

/// Who recorded spans: in the model a local endpoint with the service's name, and a resource with the process' tags.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    local: EndpointId,
    resource: ResourceId,
}

/// The scalar part of a span while its fields are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OpenSpan {
    pub(super) trace_high: u64,
    pub(super) trace_low: u64,
    pub(super) id: u64,
    /// Named beside the references; only thrift has it.
    pub(super) parent: u64,
    pub(super) name: StrId,
    pub(super) flags: u32,
    pub(super) start: Option<Time>,
    pub(super) duration: Duration,
    kind: Kind,
    status: StatusCode,
    status_message: Text,
    trace_state: Text,
    scope_name: StrId,
    scope_version: StrId,
    remote: Endpoint,
}

/// Fills a batch with Jaeger's spans.
pub(super) struct Fill<'a, 'b> {
    pub(super) batch: &'b mut SpanBatch,
    pub(super) limits: &'b Limits,
    sanitizers: Sanitizers,
    seen: SeenNames<'a, Meaning>,
    /// The references of the span being filled.
    references: Vec<Reference>,
    /// The last one pushed, with its name and version.
    scope: (ScopeId, StrId, StrId),
    spans: usize,
}

impl<'a, 'b> Fill<'a, 'b> {
    pub(super) fn new(limits: &'b Limits, sanitizers: Sanitizers, batch: &'b mut SpanBatch) -> Self {
        let scope = (ScopeId::default(), StrId::default(), StrId::default());
        Self { batch, limits, sanitizers, seen: SeenNames::new(), references: vec![], scope, spans: 0 }
    }

    /// How many spans were committed.
    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    #[inline]
    pub(super) fn intern(&mut self, text: &'a [u8]) -> StrId {
        self.seen.intern(text, self.batch).0
    }

    // ---- the process

    /// Begins a process; its tags follow by [`Fill::process_tag`]. Only an empty process without tags needs a resource of
    /// its own: it says that there was one.
    pub(super) fn process(&mut self, service: &'a [u8], has_tags: bool) -> Process {
        let needs_resource = has_tags || service.is_empty();
        let resource = if needs_resource { self.batch.push_resource(StrId::default(), 0) } else { ResourceId(0) };
        let sanitize = self.sanitizers != Sanitizers::None && service.is_empty();
        let service = if sanitize { self.batch.intern(EMPTY_SERVICE_NAME) } else { self.intern(service) };
        Process { local: self.local(service), resource }
    }

    /// Adds a tag to the process begun last.
    pub(super) fn process_tag(&mut self, tag: KeyValue<'a>) {
        let key = self.intern(tag.key);
        with_value(tag.value, |value| self.batch.resource_attribute(key, value));
    }

    /// What spans have for a process where none was sent.
    pub(super) fn no_process(&mut self) -> Process {
        if self.sanitizers == Sanitizers::None {
            return Process::default();
        }
        let service = self.batch.intern(NO_PROCESS);
        Process { local: self.local(service), resource: ResourceId(0) }
    }

    fn local(&mut self, service: StrId) -> EndpointId {
        self.batch.intern_endpoint(Endpoint { service, ..Endpoint::default() })
    }

    // ---- the span being filled

    pub(super) fn begin_span(&mut self) -> Result<OpenSpan> {
        if self.spans == self.limits.spans_max {
            return Err(too_many("spans", self.spans));
        }
        self.references.clear();
        Ok(OpenSpan::default())
    }

    pub(super) fn reference(&mut self, reference: Reference) {
        self.references.push(reference);
    }

    #[inline]
    pub(super) fn tag(&mut self, tag: KeyValue<'a>, span: &mut OpenSpan) -> Result<()> {
        let (key, meaning) = self.seen.intern(tag.key, self.batch);
        with_value(tag.value, |value| self.batch.tag(key, value));
        let max = self.limits.tags_max_per_span;
        if self.batch.open_tags_len() > max {
            return Err(too_many("tags in a span", max));
        }
        if meaning != Meaning::Plain {
            self.notice(meaning, tag.value, span);
        }
        Ok(())
    }

    /// Tags that say what other formats have a field for.
    fn notice(&mut self, meaning: Meaning, value: Value<'a>, span: &mut OpenSpan) {
        let remote = &mut span.remote;
        match (meaning, value) {
            (Meaning::Kind, Value::Text(text)) if span.kind == Kind::Unset => span.kind = kind_of(text),
            (Meaning::Error, Value::Bool(true) | Value::Text(b"true")) => span.status = StatusCode::Error,
            (Meaning::StatusCode, Value::Text(text)) if span.status == StatusCode::Unset => {
                span.status = status_of(text);
            }
            (Meaning::StatusDescription, Value::Text(text)) => span.status_message = self.batch.push_text(&lossy(text)),
            (Meaning::TraceState, Value::Text(text)) => span.trace_state = self.batch.push_text(&lossy(text)),
            (Meaning::ScopeName, Value::Text(text)) => span.scope_name = self.intern(text),
            (Meaning::ScopeVersion, Value::Text(text)) => span.scope_version = self.intern(text),
            (Meaning::PeerService, Value::Text(text)) => remote.service = self.intern(text),
            (Meaning::PeerIpv4, Value::Text(text)) => remote.ipv4 = parse::<Ipv4Addr>(text).map(|ip| ip.octets()),
            // Clients of Jaeger's also send the number.
            (Meaning::PeerIpv4, Value::Long(bits)) => remote.ipv4 = Some((bits as u32).to_be_bytes()),
            (Meaning::PeerIpv6, Value::Text(text)) => remote.ipv6 = parse::<Ipv6Addr>(text).map(|ip| ip.octets()),
            (Meaning::PeerPort, Value::Long(port)) => remote.port = u16::try_from(port).unwrap_or(0),
            (Meaning::PeerPort, Value::Text(text)) => remote.port = parse(text).unwrap_or(0),
            _ => {}
        }
    }

    /// A log: its field `event` is the annotation's value. Where that is all there is to know of it (the first field, the
    /// only one of its name) it is not kept a second time.
    pub(super) fn log(&mut self, time: Time, fields: &[KeyValue<'a>]) -> Result<()> {
        let is_event = |field: &KeyValue<'_>| field.key == b"event";
        let event = fields.iter().find_map(|field| match field.value {
            Value::Text(text) if is_event(field) && !text.is_empty() => Some(text),
            _ => None,
        });
        let leads = matches!(fields.first(), Some(field) if is_event(field) && event.is_some_and(|e| holds(field, e)));
        let alone = leads && fields.iter().filter(|field| is_event(field)).count() == 1;
        self.batch.annotation(time, &lossy(event.unwrap_or_default()));
        for field in &fields[usize::from(alone)..] {
            let key = self.intern(field.key);
            with_value(field.value, |value| self.batch.annotation_detail(key, value));
        }
        let max = self.limits.annotations_max_per_span;
        if self.batch.open_annotations_len() > max {
            return Err(too_many("logs in a span", max));
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, span: OpenSpan, process: Process) -> Result<()> {
        let duration = self.duration(span.duration);
        let trace_id = TraceId::from_halves(span.trace_high, span.trace_low);
        let (parent, in_links) = self.parent(trace_id, SpanId::new(span.parent));
        let flag = |on: bool, flag: SpanFlags| if on { flag } else { SpanFlags::NONE };
        let row = SpanRow {
            trace_id,
            id: SpanId::new(span.id),
            parent,
            name: span.name,
            kind: span.kind,
            flags: SpanFlags::JAEGER
                .with(flag(span.flags & FLAG_SAMPLED != 0, SpanFlags::SAMPLED))
                .with(flag(span.flags & FLAG_DEBUG != 0, SpanFlags::DEBUG))
                .with(flag(in_links, SpanFlags::PARENT_IN_LINKS)),
            start: span.start,
            duration: Some(duration),
            local: process.local,
            remote: self.batch.intern_endpoint(span.remote),
            resource: process.resource,
            scope: self.scope(&span),
            extra: extra(&span),
        };
        self.batch.commit(row).map_err(|full| Box::new(full.into()))?;
        self.spans += 1;
        Ok(())
    }

    /// The model has no duration below zero: it is zero there, and the tag behind all others says what it was.
    fn duration(&mut self, sent: Duration) -> Time {
        let (key, value, duration) = match sent {
            Duration::Positive(duration) => return duration,
            _ if self.sanitizers == Sanitizers::ServiceNameAndDuration => {
                (NEGATIVE_DURATION, ValueRef::Bytes(NEGATIVE_DURATION_TEXT), Time::from_nanos(1))
            }
            Duration::Zero => return Time::ZERO,
            Duration::NegativeNanos(nanos) => (NEGATIVE_DURATION_TAG, ValueRef::I64(nanos), Time::ZERO),
        };
        let key = self.batch.intern(key);
        self.batch.tag(key, value);
        duration
    }

    /// The parent, as Jaeger finds it: the one named, else the first CHILD_OF of the same trace, else its first FOLLOWS_FROM.
    /// References become links, except where the only one is what the parent alone says: a CHILD_OF without a parent
    /// named. And whether the parent is known from links alone.
    fn parent(&mut self, trace_id: TraceId, named: SpanId) -> (SpanId, bool) {
        let inside = |reference: &&Reference| reference.trace_id == trace_id;
        let same_trace = self.references.iter().filter(inside);
        let found = same_trace.clone().find(|reference| reference.child_of).or_else(|| same_trace.clone().next());
        let found = found.map_or(SpanId::NONE, |reference| reference.span_id);
        for &Reference { trace_id, span_id, child_of } in &self.references {
            let mut link = LinkRow::default();
            (link.trace_id, link.span_id, link.child_of) = (trace_id, span_id, child_of);
            self.batch.link(link);
        }
        if named.is_none() { (found, !found.is_none()) } else { (named, false) }
    }

    /// For a format that names no parent beside its references: a single one that says no more becomes just the parent.
    pub(super) fn take_plain_parent(&mut self, span: &mut OpenSpan) {
        if let [Reference { trace_id, span_id, child_of: true }] = self.references[..]
            && trace_id == TraceId::from_halves(span.trace_high, span.trace_low)
            && !span_id.is_none()
        {
            span.parent = span_id.value();
            self.references.clear();
        }
    }

    fn scope(&mut self, span: &OpenSpan) -> ScopeId {
        let (name, version) = (span.scope_name, span.scope_version);
        let none = StrId::default();
        if name == none && version == none {
            return ScopeId::default();
        }
        if (self.scope.1, self.scope.2) != (name, version) {
            self.scope = (self.batch.push_scope(name, version, none, 0), name, version);
        }
        self.scope.0
    }
}

fn extra(span: &OpenSpan) -> Option<ExtraRow> {
    let more_flags = span.flags & !(FLAG_SAMPLED | FLAG_DEBUG) != 0;
    let mut extra = ExtraRow::default();
    extra.status = span.status;
    extra.status_message = span.status_message;
    extra.trace_state = span.trace_state;
    extra.otlp_flags = if more_flags { span.flags } else { 0 };
    (extra != ExtraRow::default()).then_some(extra)
}

fn kind_of(text: &[u8]) -> Kind {
    match text {
        b"client" => Kind::Client,
        b"server" => Kind::Server,
        b"producer" => Kind::Producer,
        b"consumer" => Kind::Consumer,
        b"internal" => Kind::Internal,
        _ => Kind::Unset,
    }
}

fn status_of(text: &[u8]) -> StatusCode {
    match text {
        b"ERROR" => StatusCode::Error,
        b"OK" => StatusCode::Ok,
        _ => StatusCode::Unset,
    }
}

#[cold]
pub(super) fn too_many(what: &'static str, max: usize) -> Box<DecodeError> {
    Box::new(DecodeError::TooMany { what, max })
}

fn holds(field: &KeyValue<'_>, text: &[u8]) -> bool {
    matches!(field.value, Value::Text(found) if found == text)
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[inline]
fn with_value(value: Value<'_>, take: impl FnOnce(ValueRef<'_>)) {
    match value {
        Value::Text(text) => take(ValueRef::Str(&lossy(text))),
        Value::Bool(value) => take(ValueRef::Bool(value)),
        Value::Long(value) => take(ValueRef::I64(value)),
        Value::Double(value) => take(ValueRef::F64(value)),
        Value::Binary(bytes) => take(ValueRef::Bytes(bytes)),
    }
}
