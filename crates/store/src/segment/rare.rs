//! What few spans have, as bytes: lists of typed values, resources, scopes, status, links, warnings. Written once a
//! resource or scope, and a row of the rare column for the rest.

use super::bytes::{Malformed, Reader, put_bytes, put_varint, unzigzag, zigzag};
use super::codes::TextCodes;
use super::dictionary::{Dictionary, ValueType};
use tracewell_model::{
    AttributesRef, ExtraRow, LinkRow, ResourceId, ResourceRef, ScopeId, ScopeRef, SpanBatch, SpanId, SpanRef,
    StatusCode, StrId, TraceId, ValueRef,
};

/// A resource's bytes; never empty.
pub(crate) fn put_resource(out: &mut Vec<u8>, texts: &mut TextCodes, resource: ResourceRef<'_>) {
    put_varint(out, u64::from(texts.code(resource.schema_url)));
    put_varint(out, u64::from(resource.dropped_attributes));
    put_attributes(out, texts, resource.attributes);
}

/// Adds the resource of these bytes to a batch.
pub(crate) fn read_resource(
    bytes: &[u8],
    dictionary: &Dictionary,
    batch: &mut SpanBatch,
) -> Result<ResourceId, Malformed> {
    let reader = &mut Reader::new(bytes);
    let schema_url = batch.intern(dictionary.text(reader.varint_u32()?)?);
    let id = batch.push_resource(schema_url, reader.varint_u32()?);
    read_attributes(reader, dictionary, batch, SpanBatch::resource_attribute)?;
    reader.end()?;
    Ok(id)
}

/// Calls `each` with the keys of a resource's attributes, texts of the dictionary.
pub(crate) fn each_resource_key(bytes: &[u8], mut each: impl FnMut(u32)) -> Result<(), Malformed> {
    let reader = &mut Reader::new(bytes);
    reader.varint_u32()?;
    reader.varint_u32()?;
    for _ in 0..reader.count()? {
        each(reader.varint_u32()?);
        match ValueType::from_u8(reader.u8()?).ok_or(Malformed("a value's type is unknown"))? {
            ValueType::Str | ValueType::Bytes | ValueType::Nested => reader.bytes().map(|_| ())?,
            ValueType::Bool => reader.u8().map(|_| ())?,
            ValueType::I64 => reader.varint().map(|_| ())?,
            ValueType::F64 => reader.u64().map(|_| ())?,
        }
    }
    Ok(())
}

/// A scope's bytes; never empty.
pub(crate) fn put_scope(out: &mut Vec<u8>, texts: &mut TextCodes, scope: ScopeRef<'_>) {
    for text in [scope.name, scope.version, scope.schema_url] {
        put_varint(out, u64::from(texts.code(text)));
    }
    put_varint(out, u64::from(scope.dropped_attributes));
    put_attributes(out, texts, scope.attributes);
}

/// Adds the scope of these bytes to a batch.
pub(crate) fn read_scope(bytes: &[u8], dictionary: &Dictionary, batch: &mut SpanBatch) -> Result<ScopeId, Malformed> {
    let reader = &mut Reader::new(bytes);
    let mut name = || Ok(batch.intern(dictionary.text(reader.varint_u32()?)?));
    let (name, version, schema_url) = (name()?, name()?, name()?);
    let id = batch.push_scope(name, version, schema_url, reader.varint_u32()?);
    read_attributes(reader, dictionary, batch, SpanBatch::scope_attribute)?;
    reader.end()?;
    Ok(id)
}

/// Status, trace state, counts of what was dropped, links and warnings of a span; nothing if it has none of them.
pub(crate) fn put_extra(out: &mut Vec<u8>, texts: &mut TextCodes, span: SpanRef<'_>) {
    let Some(extra) = span.extra() else { return };
    out.push(extra.status as u8);
    put_bytes(out, span.batch().text(extra.status_message).as_bytes());
    put_bytes(out, span.batch().text(extra.trace_state).as_bytes());
    for number in [extra.otlp_flags, extra.dropped_tags, extra.dropped_annotations, extra.dropped_links] {
        put_varint(out, u64::from(number));
    }
    put_varint(out, span.links().len() as u64);
    for link in span.links() {
        for half in [link.row.trace_id.high(), link.row.trace_id.low(), link.row.span_id.value()] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        out.push(u8::from(link.row.child_of));
        put_bytes(out, link.trace_state.as_bytes());
        put_varint(out, u64::from(link.row.otlp_flags));
        put_varint(out, u64::from(link.row.dropped_attributes));
        put_attributes(out, texts, link.attributes);
    }
    put_varint(out, span.warnings().len() as u64);
    span.warnings().for_each(|warning| put_bytes(out, warning.as_bytes()));
}

/// The status in the bytes of [`put_extra`].
pub(crate) fn status_of(bytes: &[u8]) -> Result<StatusCode, Malformed> {
    bytes.first().map_or(Ok(StatusCode::Unset), |&status| {
        StatusCode::from_u8(status).ok_or(Malformed("a span's status is unknown"))
    })
}

/// Adds what [`put_extra`] has written to the span being filled.
pub(crate) fn read_extra(
    bytes: &[u8],
    dictionary: &Dictionary,
    batch: &mut SpanBatch,
) -> Result<Option<ExtraRow>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let reader = &mut Reader::new(bytes);
    let mut extra = ExtraRow::default();
    extra.status = status_of(&[reader.u8()?])?;
    extra.status_message = batch.push_text(reader.text()?);
    extra.trace_state = batch.push_text(reader.text()?);
    extra.otlp_flags = reader.varint_u32()?;
    extra.dropped_tags = reader.varint_u32()?;
    extra.dropped_annotations = reader.varint_u32()?;
    extra.dropped_links = reader.varint_u32()?;
    for _ in 0..reader.count()? {
        let mut link = LinkRow::default();
        link.trace_id = TraceId::from_halves(reader.u64()?, reader.u64()?);
        link.span_id = SpanId::new(reader.u64()?);
        link.child_of = reader.u8()? != 0;
        link.trace_state = batch.push_text(reader.text()?);
        link.otlp_flags = reader.varint_u32()?;
        link.dropped_attributes = reader.varint_u32()?;
        batch.link(link);
        read_attributes(reader, dictionary, batch, SpanBatch::link_attribute)?;
    }
    for _ in 0..reader.count()? {
        batch.warning(reader.text()?);
    }
    reader.end()?;
    Ok(Some(extra))
}

fn put_attributes(out: &mut Vec<u8>, texts: &mut TextCodes, attributes: AttributesRef<'_>) {
    put_varint(out, attributes.len() as u64);
    for (key, value) in attributes.iter() {
        put_varint(out, u64::from(texts.code(key)));
        out.push(ValueType::of(value) as u8);
        match value {
            ValueRef::Str(value) => put_bytes(out, value.as_bytes()),
            ValueRef::Bool(value) => out.push(u8::from(value)),
            ValueRef::I64(value) => put_varint(out, zigzag(value)),
            ValueRef::F64(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            ValueRef::Bytes(value) | ValueRef::Nested(value) => put_bytes(out, value),
        }
    }
}

/// The bytes of a resource with the numbers of texts that `text` gives for those of another segment.
pub(crate) fn copy_resource(bytes: &[u8], out: &mut Vec<u8>, text: &mut NewCodes<'_>) -> Result<(), Malformed> {
    let reader = &mut Reader::new(bytes);
    put_varint(out, text(reader.varint_u32()?)?.into());
    put_varint(out, reader.varint()?);
    copy_attributes(reader, out, text)?;
    reader.end()
}

/// The same of a scope.
pub(crate) fn copy_scope(bytes: &[u8], out: &mut Vec<u8>, text: &mut NewCodes<'_>) -> Result<(), Malformed> {
    let reader = &mut Reader::new(bytes);
    for _ in 0..3 {
        put_varint(out, text(reader.varint_u32()?)?.into());
    }
    put_varint(out, reader.varint()?);
    copy_attributes(reader, out, text)?;
    reader.end()
}

/// The same of what [`put_extra`] has written.
pub(crate) fn copy_extra(bytes: &[u8], out: &mut Vec<u8>, text: &mut NewCodes<'_>) -> Result<(), Malformed> {
    let reader = &mut Reader::new(bytes);
    out.push(reader.u8()?);
    put_bytes(out, reader.bytes()?);
    put_bytes(out, reader.bytes()?);
    for _ in 0..4 {
        put_varint(out, reader.varint()?);
    }
    let links = reader.count()?;
    put_varint(out, links as u64);
    for _ in 0..links {
        out.extend_from_slice(reader.take(3 * 8 + 1)?);
        put_bytes(out, reader.bytes()?);
        put_varint(out, reader.varint()?);
        put_varint(out, reader.varint()?);
        copy_attributes(reader, out, text)?;
    }
    let warnings = reader.count()?;
    put_varint(out, warnings as u64);
    for _ in 0..warnings {
        put_bytes(out, reader.bytes()?);
    }
    reader.end()
}

/// The new number of a text.
type NewCodes<'a> = dyn FnMut(u32) -> Result<u32, Malformed> + 'a;

fn copy_attributes(reader: &mut Reader<'_>, out: &mut Vec<u8>, text: &mut NewCodes<'_>) -> Result<(), Malformed> {
    let count = reader.count()?;
    put_varint(out, count as u64);
    for _ in 0..count {
        put_varint(out, text(reader.varint_u32()?)?.into());
        let value_type = reader.u8()?;
        out.push(value_type);
        match ValueType::from_u8(value_type).ok_or(Malformed("a value's type is unknown"))? {
            ValueType::Str | ValueType::Bytes | ValueType::Nested => put_bytes(out, reader.bytes()?),
            ValueType::Bool => out.push(reader.u8()?),
            ValueType::I64 => put_varint(out, reader.varint()?),
            ValueType::F64 => out.extend_from_slice(reader.take(8)?),
        }
    }
    Ok(())
}

fn read_attributes(
    reader: &mut Reader<'_>,
    dictionary: &Dictionary,
    batch: &mut SpanBatch,
    add: impl Fn(&mut SpanBatch, StrId, ValueRef<'_>),
) -> Result<(), Malformed> {
    for _ in 0..reader.count()? {
        let key = batch.intern(dictionary.text(reader.varint_u32()?)?);
        let value = match ValueType::from_u8(reader.u8()?).ok_or(Malformed("a value's type is unknown"))? {
            ValueType::Str => ValueRef::Str(reader.text()?),
            ValueType::Bool => ValueRef::Bool(reader.u8()? != 0),
            ValueType::I64 => ValueRef::I64(unzigzag(reader.varint()?)),
            ValueType::F64 => ValueRef::F64(f64::from_bits(reader.u64()?)),
            ValueType::Bytes => ValueRef::Bytes(reader.bytes()?),
            ValueType::Nested => ValueRef::Nested(reader.bytes()?),
        };
        add(batch, key, value);
    }
    Ok(())
}
