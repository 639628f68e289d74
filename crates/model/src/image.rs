//! A batch as bytes and back: the form in which the log keeps what was acknowledged.
//!
//! Not a wire format: columns as they are, little-endian, after their lengths. The image of a batch is its own
//! description, so replaying a log needs no decoder of the format the spans once came in. Integrity (checksum, version) is
//! the log's affair; [`read_image`] still checks every place and number, so that no bytes make a batch that panics.

use crate::batch::{Attributes, Endpoint, ExtraRow, LinkRow, SharedRow, TYPE_NESTED, TYPE_STR, Text};
use crate::value::{Kind, SpanFlags, StatusCode};
use crate::{SpanBatch, SpanId, StrId, TraceId};

/// Why bytes are not the image of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The bytes end before the batch does.
    #[error("the image of a span batch ends early")]
    Short,
    /// A text is not UTF-8.
    #[error("a text in the image of a span batch is not UTF-8")]
    NotUtf8,
    /// A number points nowhere.
    #[error("the image of a span batch is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// Appends the image of a batch.
pub fn write_image(batch: &SpanBatch, out: &mut Vec<u8>) {
    put_u32(out, batch.len() as u32);
    let names_len = batch.interned_len() as u32;
    put_u32(out, names_len);
    for code in 0..names_len {
        put_bytes(out, batch.interned(StrId(code)).as_bytes());
    }
    put_bytes(out, batch.text.as_bytes());
    put_bytes(out, &batch.bytes);
    let SpanBatch { trace_high, trace_low, ids, parents, starts, durations, .. } = batch;
    for column in [trace_high, trace_low, ids, parents, starts, durations] {
        put_u64s(out, column);
    }
    let SpanBatch { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = batch;
    for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
        put_u32s(out, column);
    }
    put_u32s(out, &batch.tag_ends);
    put_u32s(out, &batch.annotation_ends);
    out.extend_from_slice(&batch.kinds);
    put_words(out, &batch.flags, |flags| flags.to_le_bytes());
    put_attributes(out, &batch.tags);
    put_u32(out, batch.annotation_times.len() as u32);
    put_u64s(out, &batch.annotation_times);
    put_words(out, &batch.annotation_values, |text| (u64::from(text.start) | u64::from(text.len) << 32).to_le_bytes());
    put_u32s(out, &batch.annotation_detail_ends);
    put_attributes(out, &batch.annotation_details);
    put_tables(out, batch);
}

fn put_tables(out: &mut Vec<u8>, batch: &SpanBatch) {
    put_u32(out, batch.endpoints.len() as u32);
    for endpoint in &batch.endpoints {
        put_u32(out, endpoint.service.0);
        put_u32(out, endpoint.ipv4_text.0);
        out.extend_from_slice(&endpoint.port.to_le_bytes());
        out.push(u8::from(endpoint.ipv4.is_some()) | u8::from(endpoint.ipv6.is_some()) << 1);
        out.extend_from_slice(&endpoint.ipv4.unwrap_or_default());
        out.extend_from_slice(&endpoint.ipv6.unwrap_or_default());
    }
    for rows in [&batch.resources, &batch.scopes] {
        put_u32(out, rows.len() as u32);
        for row in rows {
            let (from, to) = row.attributes;
            put_u32s(out, &[row.name.0, row.version.0, row.schema_url.0, row.dropped_attributes, from, to]);
        }
    }
    put_u32(out, batch.extras.len() as u32);
    for row in &batch.extras {
        out.push(row.status as u8);
        put_text(out, row.status_message);
        put_text(out, row.trace_state);
        let ((a, b), (c, d)) = (row.links, row.warnings);
        put_u32s(out, &[row.otlp_flags, row.dropped_tags, row.dropped_annotations, row.dropped_links, a, b, c, d]);
    }
    put_u32(out, batch.links.len() as u32);
    for row in &batch.links {
        put_u64s(out, &[row.trace_id.high(), row.trace_id.low(), row.span_id.value()]);
        out.push(u8::from(row.child_of));
        put_text(out, row.trace_state);
        put_u32s(out, &[row.otlp_flags, row.dropped_attributes, row.attributes.0, row.attributes.1]);
    }
    put_u32(out, batch.warnings.len() as u32);
    batch.warnings.iter().for_each(|&text| put_text(out, text));
    put_attributes(out, &batch.shared_attributes);
}

/// Reads the image of a batch, all of `bytes`.
pub fn read_image(bytes: &[u8]) -> Result<SpanBatch, ImageError> {
    let mut reader = Reader { bytes };
    let mut batch = SpanBatch::new();
    let spans = reader.u32()? as usize;
    read_texts(&mut reader, &mut batch)?;
    read_columns(&mut reader, &mut batch, spans)?;
    read_tables(&mut reader, &mut batch)?;
    if !reader.bytes.is_empty() {
        return Err(ImageError::Inconsistent("bytes follow the end"));
    }
    check(&batch)?;
    batch.links_committed = batch.links.len();
    batch.warnings_committed = batch.warnings.len();
    Ok(batch)
}

fn read_texts(reader: &mut Reader<'_>, batch: &mut SpanBatch) -> Result<(), ImageError> {
    let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| ImageError::NotUtf8);
    for code in 0..reader.u32()? {
        let text = utf8(reader.bytes()?)?;
        if batch.intern(text) != StrId(code) {
            return Err(ImageError::Inconsistent("a name stands twice in the table"));
        }
    }
    batch.text = utf8(reader.bytes()?)?.to_owned();
    batch.bytes = reader.bytes()?.to_vec();
    Ok(())
}

fn read_columns(reader: &mut Reader<'_>, batch: &mut SpanBatch, spans: usize) -> Result<(), ImageError> {
    let SpanBatch { trace_high, trace_low, ids, parents, starts, durations, .. } = batch;
    for column in [trace_high, trace_low, ids, parents, starts, durations] {
        *column = reader.u64s(spans)?;
    }
    let SpanBatch { span_names, locals, remotes, span_resources, span_scopes, span_extras, .. } = batch;
    for column in [span_names, locals, remotes, span_resources, span_scopes, span_extras] {
        *column = reader.u32s(spans)?;
    }
    batch.tag_ends = reader.u32s(spans)?;
    batch.annotation_ends = reader.u32s(spans)?;
    batch.kinds = reader.take(spans)?.to_vec();
    batch.flags = reader.take(size(spans, 2)?)?.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    batch.tags = reader.attributes()?;
    let annotations = reader.u32()? as usize;
    batch.annotation_times = reader.u64s(annotations)?;
    batch.annotation_values = reader.texts(annotations)?;
    batch.annotation_detail_ends = reader.u32s(annotations)?;
    batch.annotation_details = reader.attributes()?;
    Ok(())
}

fn read_tables(reader: &mut Reader<'_>, batch: &mut SpanBatch) -> Result<(), ImageError> {
    for number in 1..=reader.u32()? {
        let (service, ipv4_text) = (StrId(reader.u32()?), StrId(reader.u32()?));
        let port = u16::from_le_bytes(reader.array()?);
        let [has] = reader.array()?;
        let (ipv4, ipv6) = (reader.array()?, reader.array()?);
        let ipv4 = (has & 1 != 0).then_some(ipv4);
        let ipv6 = (has & 2 != 0).then_some(ipv6);
        let id = batch.intern_endpoint(Endpoint { service, ipv4, ipv6, port, ipv4_text });
        if id.0 != number {
            return Err(ImageError::Inconsistent("an endpoint stands twice in the table"));
        }
    }
    for rows in [&mut batch.resources, &mut batch.scopes] {
        for _ in 0..reader.u32()? {
            let [name, version, schema_url, dropped_attributes, from, to] = reader.numbers()?;
            let (name, version, schema_url) = (StrId(name), StrId(version), StrId(schema_url));
            rows.push(SharedRow { name, version, schema_url, dropped_attributes, attributes: (from, to) });
        }
    }
    for _ in 0..reader.u32()? {
        let [status] = reader.array()?;
        let status = StatusCode::from_u8(status).ok_or(ImageError::Inconsistent("a status is unknown"))?;
        let (status_message, trace_state) = (reader.text()?, reader.text()?);
        let [otlp_flags, dropped_tags, dropped_annotations, dropped_links, a, b, c, d] = reader.numbers()?;
        let (links, warnings) = ((a, b), (c, d));
        batch.extras.push(ExtraRow {
            status,
            status_message,
            trace_state,
            otlp_flags,
            dropped_tags,
            dropped_annotations,
            dropped_links,
            links,
            warnings,
        });
    }
    for _ in 0..reader.u32()? {
        let trace_id = TraceId::from_halves(reader.u64()?, reader.u64()?);
        let span_id = SpanId::new(reader.u64()?);
        let [child_of] = reader.array()?;
        let trace_state = reader.text()?;
        let [otlp_flags, dropped_attributes, from, to] = reader.numbers()?;
        let (child_of, attributes) = (child_of != 0, (from, to));
        batch.links.push(LinkRow {
            trace_id,
            span_id,
            child_of,
            trace_state,
            otlp_flags,
            dropped_attributes,
            attributes,
        });
    }
    let warnings = reader.u32()? as usize;
    batch.warnings = reader.texts(warnings)?;
    batch.shared_attributes = reader.attributes()?;
    Ok(())
}

/// Every number that points somewhere points inside, so that reading the batch cannot panic.
fn check(batch: &SpanBatch) -> Result<(), ImageError> {
    let ensure = |ok: bool, what: &'static str| if ok { Ok(()) } else { Err(ImageError::Inconsistent(what)) };
    let below = |column: &[u32], bound: usize| column.iter().all(|&at| (at as usize) < bound);
    let names = batch.interned_len();
    ensure(below(&batch.span_names, names), "a span's name")?;
    ensure(below(&batch.locals, batch.endpoints.len() + 1), "a local endpoint")?;
    ensure(below(&batch.remotes, batch.endpoints.len() + 1), "a remote endpoint")?;
    ensure(below(&batch.span_resources, batch.resources.len() + 1), "a resource")?;
    ensure(below(&batch.span_scopes, batch.scopes.len() + 1), "a scope")?;
    ensure(below(&batch.span_extras, batch.extras.len() + 1), "a span's rare fields")?;
    ensure(batch.kinds.iter().all(|&kind| Kind::from_u8(kind).is_some()), "a kind")?;
    ensure(batch.flags.iter().all(|&flags| SpanFlags::ALL.contains(SpanFlags(flags))), "flags")?;
    let ends = |ends: &[u32], len: usize| ends.is_sorted() && ends.last().map_or(0, |&end| end as usize) == len;
    ensure(ends(&batch.tag_ends, batch.tags.keys.len()), "the ends of tags")?;
    ensure(ends(&batch.annotation_ends, batch.annotation_times.len()), "the ends of annotations")?;
    ensure(ends(&batch.annotation_detail_ends, batch.annotation_details.keys.len()), "the ends of details")?;
    let texts = |texts: &[Text]| texts.iter().all(|&text| text_is_inside(batch, text));
    ensure(texts(&batch.annotation_values) && texts(&batch.warnings), "a text")?;
    for attributes in [&batch.tags, &batch.annotation_details, &batch.shared_attributes] {
        ensure(below(&attributes.keys, names), "a key")?;
        ensure(values_are_inside(batch, attributes), "a value")?;
    }
    let name = |id: StrId| id.index() < names;
    ensure(batch.endpoints.iter().all(|e| name(e.service) && name(e.ipv4_text)), "an endpoint's name")?;
    let range = |(from, to): (u32, u32), len: usize| from <= to && to as usize <= len;
    let shared_len = batch.shared_attributes.keys.len();
    for row in batch.resources.iter().chain(&batch.scopes) {
        let names = name(row.name) && name(row.version) && name(row.schema_url);
        ensure(names && range(row.attributes, shared_len), "a resource or scope")?;
    }
    for row in &batch.extras {
        let ranges = range(row.links, batch.links.len()) && range(row.warnings, batch.warnings.len());
        ensure(ranges && texts(&[row.status_message, row.trace_state]), "rare fields")?;
    }
    for row in &batch.links {
        ensure(texts(&[row.trace_state]) && range(row.attributes, shared_len), "a link")?;
    }
    Ok(())
}

fn text_is_inside(batch: &SpanBatch, text: Text) -> bool {
    let end = text.start.checked_add(text.len);
    end.is_some_and(|end| batch.text.get(text.start as usize..end as usize).is_some())
}

fn values_are_inside(batch: &SpanBatch, attributes: &Attributes) -> bool {
    attributes.types.iter().zip(&attributes.values).all(|(&kind, &word)| {
        let (start, len) = (word as u32, (word >> 32) as u32);
        match kind {
            TYPE_STR => text_is_inside(batch, Text { start, len }),
            crate::batch::TYPE_BYTES | TYPE_NESTED => u64::from(start) + u64::from(len) <= batch.bytes.len() as u64,
            kind => kind < TYPE_NESTED,
        }
    })
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: Text) {
    put_u32(out, text.start);
    put_u32(out, text.len);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

fn put_u32s(out: &mut Vec<u8>, column: &[u32]) {
    put_words(out, column, |value| value.to_le_bytes());
}

fn put_u64s(out: &mut Vec<u8>, column: &[u64]) {
    put_words(out, column, |value| value.to_le_bytes());
}

/// A column in one piece: room first, then a copy that the compiler makes of whole registers.
#[inline]
fn put_words<T: Copy, const N: usize>(out: &mut Vec<u8>, column: &[T], bytes: impl Fn(T) -> [u8; N]) {
    let from = out.len();
    out.resize(from + column.len() * N, 0);
    let (words, _) = out[from..].as_chunks_mut::<N>();
    for (word, &value) in words.iter_mut().zip(column) {
        *word = bytes(value);
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    put_u32(out, attributes.keys.len() as u32);
    put_u32s(out, &attributes.keys);
    out.extend_from_slice(&attributes.types);
    put_u64s(out, &attributes.values);
}

fn size(count: usize, bytes: usize) -> Result<usize, ImageError> {
    count.checked_mul(bytes).ok_or(ImageError::Short)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ImageError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(ImageError::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImageError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(ImageError::Short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, ImageError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ImageError> {
        self.array().map(u64::from_le_bytes)
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u32; N], ImageError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Ok(numbers)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ImageError> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    fn u32s(&mut self, len: usize) -> Result<Vec<u32>, ImageError> {
        let (words, _) = self.take(size(len, 4)?)?.as_chunks();
        Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    }

    fn u64s(&mut self, len: usize) -> Result<Vec<u64>, ImageError> {
        let (words, _) = self.take(size(len, 8)?)?.as_chunks();
        Ok(words.iter().map(|&word| u64::from_le_bytes(word)).collect())
    }

    fn text(&mut self) -> Result<Text, ImageError> {
        Ok(Text { start: self.u32()?, len: self.u32()? })
    }

    fn texts(&mut self, len: usize) -> Result<Vec<Text>, ImageError> {
        // Bytes first, memory after: a wrong length must not reserve what is not there.
        let (words, _) = self.take(size(len, 8)?)?.as_chunks::<8>();
        let text = |word: &[u8; 8]| {
            let word = u64::from_le_bytes(*word);
            Text { start: word as u32, len: (word >> 32) as u32 }
        };
        Ok(words.iter().map(text).collect())
    }

    fn attributes(&mut self) -> Result<Attributes, ImageError> {
        let len = self.u32()? as usize;
        Ok(Attributes { keys: self.u32s(len)?, types: self.take(len)?.to_vec(), values: self.u64s(len)? })
    }
}
