//! Services and endpoints of all parts by one numbering, so that the links of different parts can be added and the pieces of a
//! trace put together.

use crate::segment::Segment;
use hashbrown::HashMap;
use tracewell_model::{EndpointId, EndpointRef, LinkSpan, SpanBatch, SpanRef};

/// See the module's text. 0 is the empty name, and nobody.
pub(super) struct ServiceCodes {
    names: HashMap<String, u32>,
    texts: Vec<String>,
    endpoints: HashMap<EndpointKey, u32>,
    /// Of the batch that was asked about last, by its address: services and endpoints by their numbers there.
    batch: Option<usize>,
    of_batch: Vec<Option<(u32, u32)>>,
}

/// Service, addresses and port.
type EndpointKey = (u32, Option<[u8; 4]>, Option<[u8; 16]>, u16);

/// The numbers of one segment as these.
pub(super) struct SegmentCodes<'a> {
    segment: &'a Segment,
    texts: HashMap<u32, u32>,
    /// Service and endpoint.
    endpoints: Vec<Option<(u32, u32)>>,
}

impl Default for ServiceCodes {
    fn default() -> Self {
        let names = HashMap::from_iter([(String::new(), 0)]);
        Self { names, texts: vec![String::new()], endpoints: HashMap::new(), batch: None, of_batch: vec![] }
    }
}

impl ServiceCodes {
    pub(super) fn code(&mut self, name: &str) -> u32 {
        if let Some(&code) = self.names.get(name) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(name.to_owned());
        self.names.insert(name.to_owned(), code);
        code
    }

    pub(super) fn text(&self, code: u32) -> &str {
        &self.texts[code as usize]
    }

    pub(super) fn of_segment<'a>(&self, segment: &'a Segment) -> SegmentCodes<'a> {
        SegmentCodes { segment, texts: HashMap::new(), endpoints: vec![None; segment.endpoints().len()] }
    }

    /// What decides about the links of a span. [`ServiceCodes::end_batches`] is called before a batch may be gone.
    pub(super) fn link_span(&mut self, span: SpanRef<'_>) -> LinkSpan {
        let (service, endpoint) = self.of_endpoint(span.batch(), span.local_id(), span.local());
        let (remote, _) = self.of_endpoint(span.batch(), span.remote_id(), span.remote());
        LinkSpan {
            id: span.id().value(),
            parent: span.parent().map_or(0, |parent| parent.value()),
            kind: span.kind(),
            is_shared: span.is_shared(),
            is_error: span.is_error(),
            service,
            remote,
            endpoint,
        }
    }

    pub(super) fn end_batches(&mut self) {
        self.batch = None;
    }

    fn of_endpoint(&mut self, batch: &SpanBatch, id: EndpointId, endpoint: Option<EndpointRef<'_>>) -> (u32, u32) {
        let Some(endpoint) = endpoint else { return (0, 0) };
        let address = std::ptr::from_ref(batch).addr();
        if self.batch != Some(address) {
            self.batch = Some(address);
            self.of_batch.clear();
            self.of_batch.resize(batch.endpoints_len() + 1, None);
        }
        if let Some(Some(known)) = self.of_batch.get(id.0 as usize) {
            return *known;
        }
        let service = self.code(endpoint.service);
        let codes = (service, self.endpoint((service, endpoint.ipv4, endpoint.ipv6, endpoint.port)));
        if let Some(known) = self.of_batch.get_mut(id.0 as usize) {
            *known = Some(codes);
        }
        codes
    }

    fn endpoint(&mut self, key: EndpointKey) -> u32 {
        let next = self.endpoints.len() as u32 + 1;
        *self.endpoints.entry(key).or_insert(next)
    }
}

impl SegmentCodes<'_> {
    /// The number of a text of the segment.
    pub(super) fn text(&mut self, codes: &mut ServiceCodes, text: u32) -> u32 {
        *self.texts.entry(text).or_insert_with(|| codes.code(self.segment.text(text)))
    }

    /// Gives a span of the segment, with its endpoints by the segment's numbers, those of all parts.
    pub(super) fn translate(&mut self, codes: &mut ServiceCodes, span: &mut LinkSpan) {
        let (service, endpoint) = self.endpoint(codes, span.endpoint);
        span.remote = self.endpoint(codes, span.remote).0;
        (span.service, span.endpoint) = (service, endpoint);
    }

    fn endpoint(&mut self, codes: &mut ServiceCodes, code: u32) -> (u32, u32) {
        let Some(entry) = self.segment.endpoints().get(code as usize).filter(|_| code != 0) else { return (0, 0) };
        if let Some(known) = self.endpoints[code as usize] {
            return known;
        }
        let service = self.text(codes, entry.service);
        let known = (service, codes.endpoint((service, entry.ipv4, entry.ipv6, entry.port)));
        self.endpoints[code as usize] = Some(known);
        known
    }
}
