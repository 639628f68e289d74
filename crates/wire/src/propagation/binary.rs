//! Jaeger's binary form of a context, for carriers without headers: big-endian numbers, then baggage with lengths.
//!
//! ```text
//! trace id high u64 · low u64 · span id u64 · parent id u64 · flags u8 · items u32
//! items × ( key length u32 · key · value length u32 · value )
//! ```

use tracewell_model::{SpanId, TraceId};

use super::{BAGGAGE_ITEMS_MAX, TraceContext};

/// Why bytes are no context.
///
/// ```
/// use tracewell_wire::propagation::{BinaryError, read_jaeger_binary};
/// assert_eq!(read_jaeger_binary(&[0; 37]), Err(BinaryError::NoIds));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// It ends too early.
    #[error("binary trace context ends after {bytes} bytes, in the middle of {what}")]
    Truncated {
        /// How many bytes there are.
        bytes: usize,
        /// What was being read.
        what: &'static str,
    },
    /// Trace id or span id are zero.
    #[error("binary trace context has no trace id or no span id")]
    NoIds,
    /// More items than [`BAGGAGE_ITEMS_MAX`], or more bytes than [`super::BAGGAGE_BYTES_MAX`].
    #[error("binary trace context has too much baggage: {items} items")]
    TooMuchBaggage {
        /// How many items it announces.
        items: u32,
    },
}

/// Appends a context. Flags above 255 don't fit in and are cut off.
///
/// ```
/// use tracewell_model::{SpanId, TraceId};
/// use tracewell_wire::propagation::{TraceContext, read_jaeger_binary, write_jaeger_binary};
///
/// let context = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_jaeger_flags(1).with_baggage_item("k", "v");
/// let mut bytes = Vec::new();
/// write_jaeger_binary(&context, &mut bytes);
/// assert_eq!(read_jaeger_binary(&bytes), Ok(context));
/// ```
pub fn write_jaeger_binary(context: &TraceContext, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&context.trace_id().value().to_be_bytes());
    bytes.extend_from_slice(&context.span_id().value().to_be_bytes());
    bytes.extend_from_slice(&context.parent_id().value().to_be_bytes());
    bytes.push(context.jaeger_flags() as u8);
    // Baggage has at most BAGGAGE_ITEMS_MAX items of BAGGAGE_BYTES_MAX bytes together: the casts lose nothing.
    bytes.extend_from_slice(&(context.baggage().len() as u32).to_be_bytes());
    for item in context.baggage() {
        for text in [&item.key, &item.value] {
            bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
}

/// Reads a context; bytes behind it are left alone, as jaeger-client does. Baggage that is not UTF-8 is read with
/// U+FFFD in its place.
///
/// ```
/// use tracewell_wire::propagation::read_jaeger_binary;
/// let error = read_jaeger_binary(&[7; 20]).unwrap_err();
/// assert_eq!(error.to_string(), "binary trace context ends after 20 bytes, in the middle of the span id");
/// ```
pub fn read_jaeger_binary(bytes: &[u8]) -> Result<TraceContext, BinaryError> {
    let mut reader = Reader { rest: bytes, total: bytes.len() };
    let trace_id = TraceId::new(u128::from_be_bytes(reader.array("the trace id")?));
    let span_id = SpanId::new(u64::from_be_bytes(reader.array("the span id")?));
    let parent_id = SpanId::new(u64::from_be_bytes(reader.array("the parent id")?));
    let [flags] = reader.array("the flags")?;
    let items = u32::from_be_bytes(reader.array("the number of baggage items")?);
    let mut context =
        TraceContext::new(trace_id, span_id).with_parent_id(parent_id).with_jaeger_flags(u32::from(flags));
    if !context.has_ids() {
        return Err(BinaryError::NoIds);
    }
    if items as usize > BAGGAGE_ITEMS_MAX {
        return Err(BinaryError::TooMuchBaggage { items });
    }
    for _ in 0..items {
        let key = String::from_utf8_lossy(reader.text("a baggage key")?);
        let value = String::from_utf8_lossy(reader.text("a baggage value")?);
        if !context.set_baggage_item(&key, &value) {
            return Err(BinaryError::TooMuchBaggage { items });
        }
    }
    Ok(context)
}

struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BinaryError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(BinaryError::Truncated { bytes: self.total, what })?;
        self.rest = rest;
        Ok(*array)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a [u8], BinaryError> {
        let len = u32::from_be_bytes(self.array(what)?) as usize;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(BinaryError::Truncated { bytes: self.total, what })?;
        self.rest = rest;
        Ok(text)
    }
}
