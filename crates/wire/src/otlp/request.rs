//! A request that grows span by span, as clients send it: one resource, one scope, and no copy of the spans at the end.

use super::encode_protobuf::{push_resource, push_scope, push_span};
use crate::protobuf::varint_len;
use crate::stage::{STAGE_BYTES, StageBytes};
use tracewell_model::{SpanView, ValueRef};

/// gRPC's prefix: a byte for "not compressed", then the length.
const GRPC_PREFIX: usize = 5;
/// Two keys and two lengths.
const LENGTHS_MAX: usize = 2 * 11;

/// Writes `ExportTraceServiceRequest`s in protobuf, one after the other, into memory that is kept.
///
/// The spans are appended where they stay. What comes before them (the resource, the scope, all lengths) is known only when
/// the request is finished, and is then put into room left in front: nothing is moved, and the steady state allocates nothing.
#[derive(Debug, Clone)]
pub struct RequestWriter {
    /// Fields of `ResourceSpans` before its spans.
    resource: Vec<u8>,
    /// Fields of `ScopeSpans` before its spans.
    scope: Vec<u8>,
    /// Room, then spans.
    buffer: Vec<u8>,
    room: usize,
    spans: usize,
    stage: StageBytes,
}

impl RequestWriter {
    /// For requests of one resource, with these attributes (`service.name` among them), and one scope.
    pub fn new<'a>(
        resource: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>,
        scope_name: &str,
        scope_version: &str,
    ) -> Self {
        let (mut resource_fields, mut scope_fields) = (Vec::new(), Vec::new());
        push_resource(resource.into_iter(), 0, "", &mut resource_fields);
        push_scope(scope_name, scope_version, &mut scope_fields);
        let room = GRPC_PREFIX + LENGTHS_MAX + resource_fields.len() + scope_fields.len();
        let buffer = vec![0; room];
        Self { resource: resource_fields, scope: scope_fields, buffer, room, spans: 0, stage: [0; STAGE_BYTES] }
    }

    /// Appends a span.
    #[inline]
    pub fn push<'a>(&mut self, span: impl SpanView<'a>) {
        push_span(span, &mut self.stage, &mut self.buffer);
        self.spans += 1;
    }

    /// Appends spans that [`super::encode_span`] wrote elsewhere.
    pub fn push_encoded(&mut self, bytes: &[u8], spans: usize) {
        self.buffer.extend_from_slice(bytes);
        self.spans += spans;
    }

    /// How many spans it has.
    pub fn len(&self) -> usize {
        self.spans
    }

    /// Whether it has no spans.
    pub fn is_empty(&self) -> bool {
        self.spans == 0
    }

    /// How many bytes the request has, as it stands.
    pub fn bytes_len(&self) -> usize {
        let scope_spans = self.scope.len() + self.buffer.len() - self.room;
        let resource_spans = self.resource.len() + field_len(scope_spans);
        field_len(resource_spans)
    }

    /// The request, as the body of a POST. More spans may be pushed behind it.
    pub fn finish(&mut self) -> &[u8] {
        let from = self.put_head();
        &self.buffer[from..]
    }

    /// The request as one message of a gRPC stream: not compressed, with its prefix.
    pub fn finish_grpc(&mut self) -> &[u8] {
        let from = self.put_head();
        let len = (self.buffer.len() - from) as u32;
        self.buffer[from - GRPC_PREFIX] = 0;
        self.buffer[from - 4..from].copy_from_slice(&len.to_be_bytes());
        &self.buffer[from - GRPC_PREFIX..]
    }

    /// Begins the next request.
    pub fn clear(&mut self) {
        self.buffer.truncate(self.room);
        self.spans = 0;
    }

    /// Writes what comes before the spans, from behind to front; answers where it begins.
    fn put_head(&mut self) -> usize {
        let mut front = Front { buffer: &mut self.buffer, at: self.room };
        front.put(&self.scope);
        front.put_length();
        front.put(&[2 << 3 | 2]);
        front.put(&self.resource);
        front.put_length();
        front.put(&[1 << 3 | 2]);
        front.at
    }
}

/// Writes towards the beginning of a buffer.
struct Front<'a> {
    buffer: &'a mut Vec<u8>,
    at: usize,
}

impl Front<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let to = self.at;
        self.at -= bytes.len();
        self.buffer[self.at..to].copy_from_slice(bytes);
    }

    /// The length of all that follows.
    fn put_length(&mut self) {
        let mut len = (self.buffer.len() - self.at) as u64;
        let mut bytes = [0; 10];
        let count = varint_len(len);
        for byte in &mut bytes[..count] {
            *byte = len as u8 | 0x80;
            len >>= 7;
        }
        bytes[count - 1] &= 0x7f;
        self.put(&bytes[..count]);
    }
}

fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}
