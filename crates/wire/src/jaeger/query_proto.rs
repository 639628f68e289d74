//! The messages of `jaeger.api_v2.QueryService` and `jaeger.api_v3.QueryService` beside spans: what is asked, and lists of
//! names and calls.

use crate::ProtobufError;
use crate::protobuf::{BYTES, Reader, VARINT, fields, key, push_message, push_text_field, push_varint_field};
use tracewell_model::TraceId;

/// Why a request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryRequestError {
    /// It is no protobuf.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// A trace's id has neither 8 nor 16 bytes.
    #[error("invalid length for TraceID")]
    TraceId,
    /// More tags than are looked for.
    #[error("more than {0} tags")]
    TooManyTags(usize),
}

type Result<T> = std::result::Result<T, QueryRequestError>;

/// More tags in a search are not looked for one by one.
const TAGS_MAX: usize = 1000;

/// `GetTraceRequest`, and `ArchiveTraceRequest`, which has its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GetTraceRequest {
    /// The trace; `None` where none was named.
    pub trace_id: Option<TraceId>,
    /// Whether it is wanted as it came.
    pub raw_traces: bool,
}

/// `GetTraceRequest` of version 3, which names the trace by its digits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GetTraceRequestV3 {
    /// The trace's id as it was written.
    pub trace_id: String,
    /// Whether it is wanted as it came.
    pub raw_traces: bool,
}

/// `FindTracesRequest.query`, of either version. Times are nanoseconds, since the epoch or long; `None` where they were not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of `TraceQueryParameters`")]
pub struct TraceQueryParameters {
    pub service_name: String,
    pub operation_name: String,
    pub tags: Vec<(String, String)>,
    pub start_time_min_ns: Option<i128>,
    pub start_time_max_ns: Option<i128>,
    pub duration_min_ns: Option<i128>,
    pub duration_max_ns: Option<i128>,
    pub search_depth: i32,
    pub raw_traces: bool,
}

/// `GetOperationsRequest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of `GetOperationsRequest`")]
pub struct GetOperationsRequest {
    pub service: String,
    pub span_kind: String,
}

/// `GetDependenciesRequest`. Nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of `GetDependenciesRequest`")]
pub struct TimeWindow {
    pub start_ns: Option<i128>,
    pub end_ns: Option<i128>,
}

impl GetTraceRequest {
    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self> {
        const TRACE_ID: u32 = key(1, BYTES);
        const RAW_TRACES: u32 = key(4, VARINT);
        let mut request = Self::default();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                TRACE_ID => request.trace_id = trace_id(reader.bytes()?)?,
                RAW_TRACES => request.raw_traces = reader.varint()? != 0,
                _ => reader.skip_unknown(key, fields(&[1, 4]))?,
            }
        }
        Ok(request)
    }
}

impl GetTraceRequestV3 {
    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self> {
        const TRACE_ID: u32 = key(1, BYTES);
        const RAW_TRACES: u32 = key(4, VARINT);
        let mut request = Self::default();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                TRACE_ID => request.trace_id = reader.text()?.into_owned(),
                RAW_TRACES => request.raw_traces = reader.varint()? != 0,
                _ => reader.skip_unknown(key, fields(&[1, 4]))?,
            }
        }
        Ok(request)
    }
}

impl TraceQueryParameters {
    /// Reads a `FindTracesRequest`; `None` where it holds no query.
    pub fn decode(message: &[u8]) -> Result<Option<Self>> {
        const QUERY: u32 = key(1, BYTES);
        let mut query: Option<Self> = None;
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                QUERY => query.get_or_insert_default().merge(reader.message()?)?,
                _ => reader.skip_unknown(key, fields(&[1]))?,
            }
        }
        Ok(query)
    }

    fn merge(&mut self, mut reader: Reader<'_>) -> Result<()> {
        const SERVICE_NAME: u32 = key(1, BYTES);
        const OPERATION_NAME: u32 = key(2, BYTES);
        const TAGS: u32 = key(3, BYTES);
        const START_TIME_MIN: u32 = key(4, BYTES);
        const START_TIME_MAX: u32 = key(5, BYTES);
        const DURATION_MIN: u32 = key(6, BYTES);
        const DURATION_MAX: u32 = key(7, BYTES);
        const SEARCH_DEPTH: u32 = key(8, VARINT);
        const RAW_TRACES: u32 = key(9, VARINT);
        while let Some(key) = reader.key()? {
            match key {
                SERVICE_NAME => self.service_name = reader.text()?.into_owned(),
                OPERATION_NAME => self.operation_name = reader.text()?.into_owned(),
                TAGS => {
                    let tag = map_entry(reader.message()?)?;
                    self.tags.retain(|(known, _)| *known != tag.0);
                    self.tags.push(tag);
                    if self.tags.len() > TAGS_MAX {
                        return Err(QueryRequestError::TooManyTags(TAGS_MAX));
                    }
                }
                START_TIME_MIN => self.start_time_min_ns = Some(time(reader.message()?)?),
                START_TIME_MAX => self.start_time_max_ns = Some(time(reader.message()?)?),
                DURATION_MIN => self.duration_min_ns = Some(time(reader.message()?)?),
                DURATION_MAX => self.duration_max_ns = Some(time(reader.message()?)?),
                SEARCH_DEPTH => self.search_depth = reader.varint()? as i32,
                RAW_TRACES => self.raw_traces = reader.varint()? != 0,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9]))?,
            }
        }
        Ok(())
    }
}

impl GetOperationsRequest {
    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let (service, span_kind) = map_entry(Reader::new(message))?;
        Ok(Self { service, span_kind })
    }
}

impl TimeWindow {
    /// Reads a `GetDependenciesRequest`.
    pub fn decode(message: &[u8]) -> Result<Self> {
        const START_TIME: u32 = key(1, BYTES);
        const END_TIME: u32 = key(2, BYTES);
        let mut window = Self::default();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                START_TIME => window.start_ns = Some(time(reader.message()?)?),
                END_TIME => window.end_ns = Some(time(reader.message()?)?),
                _ => reader.skip_unknown(key, fields(&[1, 2]))?,
            }
        }
        Ok(window)
    }
}

/// Appends a `GetServicesResponse`.
pub fn encode_services(services: &[String], out: &mut Vec<u8>) {
    services.iter().for_each(|service| push_text_field(out, 1, service));
}

/// Appends a `GetOperationsResponse`: names, each once, as older clients read them, and names with their kinds. Sorted by
/// name.
pub fn encode_operations<'a>(
    operations: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>,
    out: &mut Vec<u8>,
) {
    let operations = operations.into_iter();
    let mut last = None;
    for (name, _) in operations.clone() {
        if last.replace(name) != Some(name) {
            push_text_field(out, 1, name);
        }
    }
    operations.for_each(|operation| push_operation(out, 2, operation));
}

/// Appends a `GetOperationsResponse` of version 3: names with their kinds.
pub fn encode_operations_v3<'a>(operations: impl IntoIterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    operations.into_iter().for_each(|operation| push_operation(out, 1, operation));
}

fn push_operation(out: &mut Vec<u8>, number: u32, (name, kind): (&str, &str)) {
    push_message(out, number, name.len() + kind.len() + 8, |out| {
        push_text(out, 1, name);
        push_text(out, 2, kind);
    });
}

/// Appends a `GetDependenciesResponse`: who calls whom, how often.
pub fn encode_dependencies<'a>(links: impl IntoIterator<Item = (&'a str, &'a str, u64)>, out: &mut Vec<u8>) {
    for (parent, child, call_count) in links {
        push_message(out, 1, parent.len() + child.len() + 16, |out| {
            push_text(out, 1, parent);
            push_text(out, 2, child);
            if call_count != 0 {
                push_varint_field(out, 3, call_count);
            }
        });
    }
}

fn push_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        push_text_field(out, number, text);
    }
}

fn trace_id(bytes: &[u8]) -> Result<Option<TraceId>> {
    match (<[u8; 16]>::try_from(bytes), <[u8; 8]>::try_from(bytes)) {
        (Ok(bytes), _) => Ok(Some(TraceId::new(u128::from_be_bytes(bytes)))),
        (_, Ok(bytes)) => Ok(Some(TraceId::from_halves(0, u64::from_be_bytes(bytes)))),
        _ if bytes.is_empty() => Ok(None),
        _ => Err(QueryRequestError::TraceId),
    }
}

/// Two texts, fields 1 and 2.
fn map_entry(mut reader: Reader<'_>) -> Result<(String, String)> {
    const FIRST: u32 = key(1, BYTES);
    const SECOND: u32 = key(2, BYTES);
    let mut entry = (String::new(), String::new());
    while let Some(key) = reader.key()? {
        match key {
            FIRST => entry.0 = reader.text()?.into_owned(),
            SECOND => entry.1 = reader.text()?.into_owned(),
            _ => reader.skip_unknown(key, fields(&[1, 2]))?,
        }
    }
    Ok(entry)
}

/// `Timestamp` or `Duration`: nanoseconds.
fn time(mut reader: Reader<'_>) -> Result<i128> {
    const SECONDS: u32 = key(1, VARINT);
    const NANOS: u32 = key(2, VARINT);
    let (mut seconds, mut nanos) = (0i64, 0i32);
    while let Some(key) = reader.key()? {
        match key {
            SECONDS => seconds = reader.varint()?.cast_signed(),
            NANOS => nanos = reader.varint()? as i32,
            _ => reader.skip_unknown(key, fields(&[1, 2]))?,
        }
    }
    Ok(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read() {
        let mut query = vec![];
        push_text_field(&mut query, 1, "s");
        push_text_field(&mut query, 2, "o");
        push_message(&mut query, 3, 8, |out| {
            push_text_field(out, 1, "k");
            push_text_field(out, 2, "v");
        });
        push_message(&mut query, 4, 8, |out| {
            push_varint_field(out, 1, 5);
            push_varint_field(out, 2, 6);
        });
        push_varint_field(&mut query, 8, 20);
        let mut message = vec![];
        push_message(&mut message, 1, 30, |out| out.extend_from_slice(&query));
        let read = TraceQueryParameters::decode(&message).unwrap().unwrap();
        assert_eq!((read.service_name.as_str(), read.operation_name.as_str(), read.search_depth), ("s", "o", 20));
        assert_eq!(read.tags, [("k".to_owned(), "v".to_owned())]);
        assert_eq!((read.start_time_min_ns, read.start_time_max_ns), (Some(5_000_000_006), None));
        assert!((1..message.len()).all(|len| TraceQueryParameters::decode(&message[..len]).is_err()));
    }

    #[test]
    fn version_3_names_a_trace_by_its_digits() {
        let mut message = vec![];
        push_text_field(&mut message, 1, "00ab");
        push_varint_field(&mut message, 4, 1);
        let read = GetTraceRequestV3::decode(&message).unwrap();
        assert_eq!((read.trace_id.as_str(), read.raw_traces), ("00ab", true));
        let mut operations = vec![];
        encode_operations_v3([("op", "")], &mut operations);
        assert_eq!(operations, b"\x0a\x04\x0a\x02op");
    }

    #[test]
    fn ids_have_8_or_16_bytes() {
        assert_eq!(trace_id(&[0, 0, 0, 0, 0, 0, 0, 1]), Ok(Some(TraceId::new(1))));
        assert_eq!(trace_id(&[]), Ok(None));
        assert_eq!(trace_id(&[1]), Err(QueryRequestError::TraceId));
    }
}
