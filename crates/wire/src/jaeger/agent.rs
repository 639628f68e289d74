//! Datagrams for Jaeger's agent: one message each, by the name of the function it calls.

use super::error::DecodeError;
use super::fill::{Fill, Sanitizers};
use super::thrift_decode::{Decoder, ThriftProtocol, missing};
use crate::Limits;
use crate::names::reserve_for_body;
use crate::thrift::{Binary, Compact, Fields, Protocol, Reader, Type};
use crate::zipkin_v1;
use tracewell_model::SpanBatch;

type Result<T> = std::result::Result<T, Box<DecodeError>>;

/// A function's name is echoed in an error up to this length.
const NAME_ECHO_BYTES_MAX: usize = 100;

/// Appends the spans of a datagram and answers how many they are: `Agent.emitBatch`, compact on UDP 6831 and 5775, binary
/// (with the strict header or the old one) on 6832; and `Agent.emitZipkinBatch`, compact on 5775. On an error the batch is
/// what it was before.
///
/// A message that ends before its arguments do is refused; what follows them is not read.
///
/// Whether the message says that it is a call or a oneway call, and what its number is, is not looked at, as by Jaeger.
pub fn decode_agent_message(
    protocol: ThriftProtocol,
    datagram: &[u8],
    sanitizers: Sanitizers,
    limits: &Limits,
    batch: &mut SpanBatch,
) -> std::result::Result<usize, DecodeError> {
    let mark = batch.mark();
    reserve_for_body(batch, datagram.len(), 350);
    let decoded = match protocol {
        ThriftProtocol::Compact if calls_zipkin(datagram, limits) => {
            return zipkin_v1::decode_agent_message(datagram, limits, batch).map_err(DecodeError::from);
        }
        ThriftProtocol::Binary => message::<Binary>(datagram, sanitizers, limits, batch),
        ThriftProtocol::Compact => message::<Compact>(datagram, sanitizers, limits, batch),
    };
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded.map_err(|error| *error)
}

fn calls_zipkin(datagram: &[u8], limits: &Limits) -> bool {
    let message = Reader::<Compact>::new(datagram, limits).message();
    message.is_ok_and(|message| message.name == b"emitZipkinBatch")
}

fn message<P: Protocol>(
    datagram: &[u8],
    sanitizers: Sanitizers,
    limits: &Limits,
    batch: &mut SpanBatch,
) -> Result<usize> {
    let mut reader = Reader::<P>::new(datagram, limits);
    let message = reader.message()?;
    match message.name {
        b"emitBatch" => {
            let mut fields = argument(&mut reader, Type::Struct, "emitBatch")?;
            let (spans, mut reader) = Decoder::new(reader, Fill::new(limits, sanitizers, batch)).batch()?;
            reader.rest(&mut fields)?;
            Ok(spans)
        }
        name => {
            let shown = &name[..name.len().min(NAME_ECHO_BYTES_MAX)];
            Err(Box::new(DecodeError::UnknownFunction(String::from_utf8_lossy(shown).into_owned())))
        }
    }
}

/// Steps to the value of a call's first argument, among the fields of which it is one.
fn argument<P: Protocol>(reader: &mut Reader<'_, P>, kind: Type, function: &'static str) -> Result<Fields> {
    let mut fields = Fields::default();
    while let Some(field) = reader.field(&mut fields)? {
        if field.id == 1 && field.kind == kind {
            return Ok(fields);
        }
        reader.skip(field.kind)?;
    }
    Err(missing(function, "1"))
}
