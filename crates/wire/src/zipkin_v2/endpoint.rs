//! Endpoints in Zipkin's JSON, of both versions, and addresses as bytes.

use super::error::DecodeFault;
use super::ip::{Ip, parse_ip, write_v4};
use crate::java_text::to_lower_case;
use crate::json::{Reader, Token};
use tracewell_model::{Endpoint, EndpointId, SpanBatch, StrId};

type Result<T> = std::result::Result<T, DecodeFault>;

/// Endpoints of the body that were read: spans of one service repeat its own byte for byte, and those it calls.
#[derive(Clone, Copy, Default)]
pub(crate) struct SeenEndpoints {
    /// The one met last comes first.
    places: [SeenEndpoint; 4],
}

#[derive(Clone, Copy, Default)]
struct SeenEndpoint {
    /// Where it lies, from behind its opening brace to behind its closing one.
    start: usize,
    end: usize,
    values: u32,
    id: EndpointId,
}

/// Takes an endpoint, by a comparison where it is one of those seen last.
pub(crate) fn read_json_endpoint(
    reader: &mut Reader<'_>,
    text: &str,
    batch: &mut SpanBatch,
    scratch: &mut String,
    seen: &mut SeenEndpoints,
) -> Result<EndpointId> {
    if reader.peek()? == Token::BeginObject {
        let rest = reader.rest();
        let known = |place: &SeenEndpoint| place.end > 0 && rest.starts_with(&text.as_bytes()[place.start..place.end]);
        if let Some(at) = seen.places.iter().position(known) {
            seen.places[..=at].rotate_right(1);
            let SeenEndpoint { start, end, values, id } = seen.places[0];
            reader.take_known_object(end - start, values);
            return Ok(id);
        }
    }
    let (start, values) = (reader.position(), reader.inner_index());
    let id = endpoint(reader, batch, scratch)?;
    seen.places.rotate_right(1);
    seen.places[0] = SeenEndpoint { start, end: reader.position(), values: reader.inner_index() - values, id };
    Ok(id)
}

fn endpoint(reader: &mut Reader<'_>, batch: &mut SpanBatch, scratch: &mut String) -> Result<EndpointId> {
    let mut endpoint = Endpoint::default();
    reader.begin_object()?;
    while reader.has_next()? {
        let field = EndpointField::of(reader.next_name()?);
        if reader.peek()? == Token::Null {
            reader.skip_value()?;
            continue;
        }
        match field {
            EndpointField::ServiceName => {
                let name = to_lower_case(reader.next_string()?, scratch);
                endpoint.service = batch.intern(name);
            }
            EndpointField::Ip => set_ip_text(&mut endpoint, reader.next_string()?, batch),
            EndpointField::Port => endpoint.port = port(reader.next_int()?)?,
            EndpointField::Other => reader.skip_value()?,
        }
    }
    reader.end_object()?;
    Ok(batch.intern_endpoint(endpoint))
}

/// Takes an address as text; what is none is dropped.
pub(super) fn set_ip_text(endpoint: &mut Endpoint, text: &str, batch: &mut SpanBatch) {
    match parse_ip(text) {
        Some(Ip::V4(bytes, text)) => {
            endpoint.ipv4 = Some(bytes);
            endpoint.ipv4_text = unusual_v4(bytes, text, batch);
        }
        Some(Ip::V6(bytes)) => endpoint.ipv6 = Some(bytes),
        None => {}
    }
}

/// A port; below zero is none.
pub(crate) fn port(port: i32) -> Result<u16> {
    u16::try_from(port.max(0)).map_err(|_| DecodeFault::Port(port))
}

/// Takes an address of 4 or 16 bytes, as Zipkin does: others are dropped, and `::1.2.3.4` is an IPv4 address (as it is not in
/// text, `::ffff:1.2.3.4` stays IPv6).
pub(crate) fn set_ip(endpoint: &mut Endpoint, bytes: &[u8]) {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        (endpoint.ipv4, endpoint.ipv4_text) = (Some(v4), StrId::EMPTY);
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        match embedded_v4(v6) {
            Some(v4) => (endpoint.ipv4, endpoint.ipv4_text) = (Some(v4), StrId::EMPTY),
            None => endpoint.ipv6 = Some(v6),
        }
    }
}

fn embedded_v4(v6: [u8; 16]) -> Option<[u8; 4]> {
    let [zeros @ .., a, b, c, d] = v6;
    let local_host = [a, b, c, d] == [0, 0, 0, 1];
    (zeros == [0; 12] && !local_host).then_some([a, b, c, d])
}

#[derive(Clone, Copy)]
enum EndpointField {
    ServiceName,
    /// Either family may stand in either field.
    Ip,
    Port,
    Other,
}

impl EndpointField {
    fn of(name: &str) -> Self {
        match name {
            "serviceName" => Self::ServiceName,
            "ipv4" | "ipv6" => Self::Ip,
            "port" => Self::Port,
            _ => Self::Other,
        }
    }
}

/// The text of an IPv4 address, if printing its numbers would give another.
fn unusual_v4(bytes: [u8; 4], text: &str, batch: &mut SpanBatch) -> StrId {
    // Only a leading zero makes a difference.
    let plain = text.split('.').all(|word| word.len() == 1 || !word.starts_with('0'));
    debug_assert!({
        let mut printed = vec![];
        write_v4(&mut printed, bytes);
        plain == (printed == text.as_bytes())
    });
    if plain { StrId::EMPTY } else { batch.intern(text) }
}
