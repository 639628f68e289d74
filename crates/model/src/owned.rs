//! One span that owns its texts, for the edges (tests, the demo, tools): to a batch's row and back.

use crate::batch::{Endpoint, EndpointId, ExtraRow, LinkRow, ResourceId, ScopeId, SpanRow};
use crate::span::{EndpointRef, SpanRef};
use crate::value::{Kind, SpanFlags, StatusCode, Value, ValueRef};
use crate::view::{LinkView, SpanView};
use crate::{BatchFull, SpanBatch, SpanId, Time, TraceId};

/// A span that owns its texts. Resource and scope are a batch's affair and are not here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Span {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub id: SpanId,
    /// Its parent.
    pub parent: Option<SpanId>,
    /// Its name, empty when unknown.
    pub name: String,
    /// Its role.
    pub kind: Kind,
    /// See [`SpanFlags::DEBUG`].
    pub debug: bool,
    /// See [`SpanFlags::SHARED`].
    pub shared: bool,
    /// See [`SpanFlags::SAMPLED`].
    pub sampled: bool,
    /// When it began.
    pub start: Option<Time>,
    /// How long it took.
    pub duration: Option<Time>,
    /// Who recorded it.
    pub local: Option<OwnedEndpoint>,
    /// Who it spoke to.
    pub remote: Option<OwnedEndpoint>,
    /// Its tags.
    pub tags: Vec<(String, Value)>,
    /// Its annotations.
    pub annotations: Vec<OwnedAnnotation>,
    /// OTLP's status.
    pub status: StatusCode,
    /// OTLP's status message.
    pub status_message: String,
    /// W3C's trace state.
    pub trace_state: String,
    /// Its links.
    pub links: Vec<OwnedLink>,
    /// Jaeger's warnings.
    pub warnings: Vec<String>,
}

/// An endpoint that owns its texts; see [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of `Endpoint`")]
pub struct OwnedEndpoint {
    pub service: String,
    pub ipv4: Option<[u8; 4]>,
    pub ipv6: Option<[u8; 16]>,
    pub port: u16,
    pub ipv4_text: String,
}

/// An annotation that owns its texts; see [`AnnotationRef`].
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields of `AnnotationRef`")]
pub struct OwnedAnnotation {
    pub time: Time,
    pub value: String,
    pub details: Vec<(String, Value)>,
}

/// A link that owns its texts; see [`LinkRow`].
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields of `LinkRow`")]
pub struct OwnedLink {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub child_of: bool,
    pub attributes: Vec<(String, Value)>,
}

impl From<EndpointRef<'_>> for OwnedEndpoint {
    fn from(endpoint: EndpointRef<'_>) -> Self {
        Self {
            service: endpoint.service.to_owned(),
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
            port: endpoint.port,
            ipv4_text: endpoint.ipv4_text.to_owned(),
        }
    }
}

impl OwnedEndpoint {
    /// A borrowed view.
    pub fn as_ref(&self) -> EndpointRef<'_> {
        let Self { service, ipv4, ipv6, port, ipv4_text } = self;
        EndpointRef { service, ipv4: *ipv4, ipv6: *ipv6, port: *port, ipv4_text }
    }
}

impl SpanRef<'_> {
    /// An owned copy.
    pub fn to_span(self) -> Span {
        Span::from_view(self)
    }
}

impl Span {
    /// An owned copy.
    pub fn from_view<'a>(span: impl SpanView<'a>) -> Self {
        let details = |fields: &mut dyn Iterator<Item = (&str, ValueRef<'_>)>| {
            fields.map(|(key, value)| (key.to_owned(), value.to_value())).collect()
        };
        Self {
            trace_id: span.trace_id(),
            id: span.id(),
            parent: span.parent(),
            name: span.name().to_owned(),
            kind: span.kind(),
            debug: span.flags().contains(SpanFlags::DEBUG),
            shared: span.flags().contains(SpanFlags::SHARED),
            sampled: span.flags().contains(SpanFlags::SAMPLED),
            start: span.start(),
            duration: span.duration(),
            local: span.local().map(OwnedEndpoint::from),
            remote: span.remote().map(OwnedEndpoint::from),
            tags: details(&mut span.tags()),
            annotations: span
                .annotations()
                .map(|(time, value, mut fields)| OwnedAnnotation {
                    time,
                    value: value.to_owned(),
                    details: details(&mut fields),
                })
                .collect(),
            status: span.status(),
            status_message: span.status_message().to_owned(),
            trace_state: span.trace_state().to_owned(),
            links: span
                .links()
                .map(|(LinkView { trace_id, span_id, child_of, .. }, mut attributes)| OwnedLink {
                    trace_id,
                    span_id,
                    child_of,
                    attributes: details(&mut attributes),
                })
                .collect(),
            warnings: span.warnings().map(str::to_owned).collect(),
        }
    }
}

impl SpanBatch {
    /// Appends an owned span.
    pub fn push_span(&mut self, span: &Span) -> Result<(), BatchFull> {
        let local = self.push_endpoint(span.local.as_ref());
        let remote = self.push_endpoint(span.remote.as_ref());
        let name = self.intern(&span.name);
        for (key, value) in &span.tags {
            let key = self.intern(key);
            self.tag(key, value.as_ref());
        }
        for annotation in &span.annotations {
            self.annotation(annotation.time, &annotation.value);
            for (key, value) in &annotation.details {
                let key = self.intern(key);
                self.annotation_detail(key, value.as_ref());
            }
        }
        for link in &span.links {
            let OwnedLink { trace_id, span_id, child_of, .. } = *link;
            self.link(LinkRow { trace_id, span_id, child_of, ..LinkRow::default() });
            for (key, value) in &link.attributes {
                let key = self.intern(key);
                self.link_attribute(key, value.as_ref());
            }
        }
        for warning in &span.warnings {
            self.warning(warning);
        }
        let has_extra =
            span.status != StatusCode::Unset || !span.status_message.is_empty() || !span.trace_state.is_empty();
        let extra = has_extra.then(|| ExtraRow {
            status: span.status,
            status_message: self.push_text(&span.status_message),
            trace_state: self.push_text(&span.trace_state),
            ..ExtraRow::default()
        });
        let flag = |on: bool, flag: SpanFlags| if on { flag } else { SpanFlags::NONE };
        self.commit(SpanRow {
            trace_id: span.trace_id,
            id: span.id,
            parent: span.parent.unwrap_or(SpanId::NONE),
            name,
            kind: span.kind,
            flags: flag(span.debug, SpanFlags::DEBUG)
                .with(flag(span.shared, SpanFlags::SHARED))
                .with(flag(span.sampled, SpanFlags::SAMPLED)),
            start: span.start,
            duration: span.duration,
            local,
            remote,
            resource: ResourceId(0),
            scope: ScopeId(0),
            extra,
        })
    }

    fn push_endpoint(&mut self, endpoint: Option<&OwnedEndpoint>) -> EndpointId {
        let Some(endpoint) = endpoint else { return EndpointId(0) };
        let service = self.intern(&endpoint.service);
        let ipv4_text = self.intern(&endpoint.ipv4_text);
        let OwnedEndpoint { ipv4, ipv6, port, .. } = *endpoint;
        self.intern_endpoint(Endpoint { service, ipv4, ipv6, port, ipv4_text })
    }
}
