//! `jaeger.thrift` from spans, one after the other, with the size known before each is added: for datagrams that must not
//! exceed a size, and for bodies.

use super::view::{self, ProcessView, TagSource};
use crate::attribute_text;
use crate::thrift::{Binary, Compact, Fields, MessageKind, Protocol, Type, Writer};
use tracewell_model::{SpanFlags, SpanRef, SpanView, Time, ValueRef};

/// Gives spans of a batch to `send` as messages of at most `bytes_max` bytes: a new one for each process, and where one is
/// full. Answers how many spans were left out because they do not fit alone.
pub fn encode_thrift_batches<'a>(
    form: BatchForm,
    spans: impl Iterator<Item = SpanRef<'a>>,
    bytes_max: usize,
    mut send: impl FnMut(&[u8]),
) -> usize {
    let mut encoder = BatchEncoder::new(form);
    let mut last: Option<ProcessView<'_>> = None;
    let mut left_out = 0;
    for span in spans {
        let process = ProcessView::of(span);
        if !last.is_some_and(|last| last.same(process)) {
            if encoder.spans_len() > 0 {
                send(encoder.finish());
            }
            encoder.set_process(process.service, process.tags());
            last = Some(process);
        }
        let mut pushed = encoder.push_with(span, TagSource::of(span), bytes_max);
        if pushed == Err(PushError::Full) {
            send(encoder.finish());
            encoder.clear();
            pushed = encoder.push_with(span, TagSource::of(span), bytes_max);
        }
        left_out += usize::from(pushed.is_err());
    }
    if encoder.spans_len() > 0 {
        send(encoder.finish());
    }
    left_out
}

/// What the encoded spans are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchForm {
    /// A datagram for an agent's port 6831: `Agent.emitBatch`, compact protocol.
    AgentCompact,
    /// A datagram for an agent's port 6832: `Agent.emitBatch`, binary protocol.
    AgentBinary,
    /// A body for a collector's `POST /api/traces` on 14268: `Batch`, binary protocol.
    HttpBinary,
    /// `Batch`, compact protocol.
    HttpCompact,
}

/// A span that was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It does not fit beside those that are there: send them, clear, and add it again.
    #[error("the span does not fit beside those already in the batch")]
    Full,
    /// It does not fit alone.
    #[error("the span makes a message of {bytes} bytes, more than {bytes_max}")]
    #[expect(missing_docs, reason = "the text says it")]
    TooLarge { bytes: usize, bytes_max: usize },
}

/// Encodes spans of one process into messages of limited size. Its memory is kept from message to message: once that has
/// grown to the size of the traffic, nothing is allocated.
///
/// ```
/// use tracewell_model::{Span, SpanBatch, ValueRef};
/// use tracewell_wire::jaeger::{BatchEncoder, BatchForm};
///
/// let mut batch = SpanBatch::new();
/// batch.push_span(&Span { name: "get".to_owned(), ..Span::default() }).unwrap();
/// let mut encoder = BatchEncoder::new(BatchForm::AgentCompact);
/// encoder.set_process("shop", [("hostname", ValueRef::Str("h1"))].into_iter());
/// encoder.push(batch.span(0), 65_000).unwrap();
/// let datagram = encoder.finish();
/// assert!(datagram.starts_with(&[0x82, 0x81]));
/// encoder.clear();
/// ```
#[derive(Debug, Clone)]
pub struct BatchEncoder {
    form: BatchForm,
    /// The message up to its spans.
    head: Vec<u8>,
    /// Room for the head and the header of the list of spans; then the spans.
    buffer: Vec<u8>,
    spans: u32,
    /// Whether the buffer has the message's end.
    is_finished: bool,
    /// Arrays and maps as text.
    scratch: String,
}

/// The field of the spans and the list's header take at most this.
const LIST_HEADER_BYTES_MAX: usize = 8;
/// A sequence number says nothing in a message that is not answered.
const SEQUENCE: i32 = 0;

impl BatchEncoder {
    /// For a process without a name and tags; see [`BatchEncoder::set_process`].
    pub fn new(form: BatchForm) -> Self {
        let mut encoder =
            Self { form, head: vec![], buffer: vec![], spans: 0, is_finished: false, scratch: String::new() };
        encoder.set_process("", std::iter::empty());
        encoder
    }

    /// Whose the spans are, from the next message on: forgets the spans that are there.
    pub fn set_process<'a>(&mut self, service: &str, tags: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone) {
        self.head.clear();
        match self.form {
            BatchForm::AgentCompact | BatchForm::HttpCompact => self.write_head::<Compact>(service, tags),
            BatchForm::AgentBinary | BatchForm::HttpBinary => self.write_head::<Binary>(service, tags),
        }
        self.clear();
    }

    /// Adds a span if the message then has at most `bytes_max` bytes; otherwise leaves it as it is.
    ///
    /// Of where it was recorded nothing is taken from the span: that is the process' affair.
    pub fn push<'a>(&mut self, span: impl SpanView<'a>, bytes_max: usize) -> Result<(), PushError> {
        self.push_with(span, TagSource::OWN, bytes_max)
    }

    fn push_with<'a>(
        &mut self,
        span: impl SpanView<'a>,
        source: TagSource<'_>,
        bytes_max: usize,
    ) -> Result<(), PushError> {
        self.reopen();
        let before = self.buffer.len();
        let Self { form, buffer, scratch, .. } = self;
        match form {
            BatchForm::AgentCompact | BatchForm::HttpCompact => {
                SpanWriter { writer: Writer::<Compact>::new(buffer), scratch }.span(span, source);
            }
            BatchForm::AgentBinary | BatchForm::HttpBinary => {
                SpanWriter { writer: Writer::<Binary>::new(buffer), scratch }.span(span, source);
            }
        }
        self.spans += 1;
        let bytes = self.bytes_len();
        if bytes <= bytes_max {
            return Ok(());
        }
        self.buffer.truncate(before);
        self.spans -= 1;
        Err(if self.spans == 0 { PushError::TooLarge { bytes, bytes_max } } else { PushError::Full })
    }

    /// How many bytes the message has with the spans added so far.
    pub fn bytes_len(&self) -> usize {
        let (_, header) = self.list_header();
        let tail = if self.is_finished { 0 } else { self.tail().len() };
        self.head.len() + header + (self.buffer.len() - self.room()) + tail
    }

    /// How many spans were added.
    pub fn spans_len(&self) -> usize {
        self.spans as usize
    }

    /// The message, ready to be sent. [`BatchEncoder::clear`] begins the next one.
    pub fn finish(&mut self) -> &[u8] {
        let (header, len) = self.list_header();
        let spans = self.room();
        let start = spans - len - self.head.len();
        self.buffer[start..spans - len].copy_from_slice(&self.head);
        self.buffer[spans - len..spans].copy_from_slice(&header[..len]);
        if !self.is_finished {
            self.buffer.extend_from_slice(self.tail());
            self.is_finished = true;
        }
        &self.buffer[start..]
    }

    /// Forgets the spans; process and memory stay.
    pub fn clear(&mut self) {
        self.spans = 0;
        self.is_finished = false;
        self.buffer.clear();
        self.buffer.resize(self.room(), 0);
    }

    /// Spans may follow a message that was given already.
    fn reopen(&mut self) {
        if self.is_finished {
            self.buffer.truncate(self.buffer.len() - self.tail().len());
            self.is_finished = false;
        }
    }

    fn room(&self) -> usize {
        self.head.len() + LIST_HEADER_BYTES_MAX
    }

    /// The ends of the batch's struct and of the arguments'.
    fn tail(&self) -> &'static [u8] {
        match self.form {
            BatchForm::AgentCompact | BatchForm::AgentBinary => &[0, 0],
            BatchForm::HttpBinary | BatchForm::HttpCompact => &[0],
        }
    }

    fn write_head<'a, P: Protocol>(
        &mut self,
        service: &str,
        tags: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
    ) {
        let Self { form, head, scratch, .. } = self;
        let mut writer = Writer::<P>::new(head);
        if matches!(form, BatchForm::AgentCompact | BatchForm::AgentBinary) {
            writer.message("emitBatch", MessageKind::Oneway, SEQUENCE);
            writer.field(&mut Fields::default(), 1, Type::Struct);
        }
        writer.field(&mut Fields::default(), 1, Type::Struct);
        let mut process = Fields::default();
        writer.binary_field(&mut process, 1, service.as_bytes());
        let len = tags.clone().count() as u32;
        let mut writer = SpanWriter { writer, scratch };
        if len > 0 {
            writer.writer.list_field(&mut process, 2, Type::Struct, len);
            for (key, value) in tags {
                writer.tag(key, value);
            }
        }
        writer.writer.stop();
    }

    /// The field of the spans, with the list's header.
    fn list_header(&self) -> ([u8; LIST_HEADER_BYTES_MAX], usize) {
        let mut header = [0; LIST_HEADER_BYTES_MAX];
        let len = match (self.form, self.spans) {
            (BatchForm::AgentBinary | BatchForm::HttpBinary, spans) => {
                header[..4].copy_from_slice(&[Type::List as u8, 0, 2, Type::Struct as u8]);
                header[4..].copy_from_slice(&spans.to_be_bytes());
                LIST_HEADER_BYTES_MAX
            }
            // The field is one behind the process; a list of up to 14 has its length beside its elements' type.
            (_, spans @ 0..15) => {
                header[..2].copy_from_slice(&[0x19, (spans as u8) << 4 | 0x0c]);
                2
            }
            (_, mut spans) => {
                header[..2].copy_from_slice(&[0x19, 0xfc]);
                let mut at = 2;
                while spans >= 0x80 {
                    header[at] = spans as u8 | 0x80;
                    spans >>= 7;
                    at += 1;
                }
                header[at] = spans as u8;
                at + 1
            }
        };
        (header, len)
    }
}

/// Writes structs of `jaeger.thrift`.
struct SpanWriter<'o, 's, P> {
    writer: Writer<'o, P>,
    scratch: &'s mut String,
}

impl<P: Protocol> SpanWriter<'_, '_, P> {
    fn span<'a>(&mut self, span: impl SpanView<'a>, source: TagSource<'_>) {
        let mut fields = Fields::default();
        let writer = &mut self.writer;
        let trace_id = span.trace_id();
        writer.i64_field(&mut fields, 1, trace_id.low().cast_signed());
        writer.i64_field(&mut fields, 2, trace_id.high().cast_signed());
        writer.i64_field(&mut fields, 3, span.id().value().cast_signed());
        let parent = span.parent().filter(|_| !span.flags().contains(SpanFlags::PARENT_IN_LINKS));
        writer.i64_field(&mut fields, 4, parent.map_or(0, |parent| parent.value().cast_signed()));
        writer.binary_field(&mut fields, 5, span.name_bytes());
        let references = view::links(span);
        let len = references.clone().count() as u32;
        if len > 0 {
            writer.list_field(&mut fields, 6, Type::Struct, len);
            references.for_each(|reference| write_reference(writer, reference));
        }
        writer.i32_field(&mut fields, 7, view::flags(span).cast_signed());
        writer.i64_field(&mut fields, 8, micros(span.start()));
        writer.i64_field(&mut fields, 9, view::duration(span).as_micros());
        let scratch = &mut *self.scratch;
        writer.counted_list_field(&mut fields, 10, Type::Struct, |writer| {
            let mut tags = 0;
            view::for_each_tag(span, source, &mut |key, value| {
                tags += 1;
                write_tag(writer, scratch, key, value);
            });
            tags
        });
        let annotations = span.annotations();
        let logs = annotations.clone().count() as u32;
        if logs > 0 {
            self.writer.list_field(&mut fields, 11, Type::Struct, logs);
            for (time, value, details) in annotations {
                self.log(time, view::log_fields(value, details));
            }
        }
        self.writer.stop();
    }

    fn log<'a>(&mut self, time: Time, log_fields: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone) {
        let mut fields = Fields::default();
        self.writer.i64_field(&mut fields, 1, micros(Some(time)));
        self.writer.list_field(&mut fields, 2, Type::Struct, log_fields.clone().count() as u32);
        for (key, value) in log_fields {
            self.tag(key, value);
        }
        self.writer.stop();
    }

    fn tag(&mut self, key: &str, value: ValueRef<'_>) {
        write_tag(&mut self.writer, self.scratch, key, value);
    }
}

/// Arrays and maps become text in `scratch` first.
fn write_tag<P: Protocol>(writer: &mut Writer<'_, P>, scratch: &mut String, key: &str, value: ValueRef<'_>) {
    let mut fields = Fields::default();
    writer.binary_field(&mut fields, 1, key.as_bytes());
    match value {
        ValueRef::Str(text) => {
            writer.i32_field(&mut fields, 2, 0);
            writer.binary_field(&mut fields, 3, text.as_bytes());
        }
        ValueRef::F64(value) => {
            writer.i32_field(&mut fields, 2, 1);
            writer.double_field(&mut fields, 4, value);
        }
        ValueRef::Bool(value) => {
            writer.i32_field(&mut fields, 2, 2);
            writer.bool_field(&mut fields, 5, value);
        }
        ValueRef::I64(value) => {
            writer.i32_field(&mut fields, 2, 3);
            writer.i64_field(&mut fields, 6, value);
        }
        ValueRef::Bytes(bytes) => {
            writer.i32_field(&mut fields, 2, 4);
            writer.binary_field(&mut fields, 7, bytes);
        }
        // Jaeger has no arrays and maps; they are JSON.
        ValueRef::Nested(_) => {
            scratch.clear();
            // Writing to a string does not fail.
            attribute_text::write_value(scratch, value).ok();
            writer.i32_field(&mut fields, 2, 0);
            writer.binary_field(&mut fields, 3, scratch.as_bytes());
        }
    }
    writer.stop();
}

fn write_reference<P: Protocol>(writer: &mut Writer<'_, P>, reference: view::Reference) {
    let mut fields = Fields::default();
    writer.i32_field(&mut fields, 1, i32::from(!reference.child_of));
    writer.i64_field(&mut fields, 2, reference.trace_id.low().cast_signed());
    writer.i64_field(&mut fields, 3, reference.trace_id.high().cast_signed());
    writer.i64_field(&mut fields, 4, reference.span_id.value().cast_signed());
    writer.stop();
}

fn micros(time: Option<Time>) -> i64 {
    time.unwrap_or_default().as_micros().cast_signed()
}
