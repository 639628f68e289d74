//! Why a body in one of Zipkin's formats was refused, in the words Zipkin answers with.

use crate::detect::SpanEncoding;
use crate::json::JsonError;
use tracewell_model::BatchFull;

/// An error's text echoes what was sent up to this length: an answer need not be as long as the body.
const ECHO_BYTES_MAX: usize = 4 << 10;

/// Why a body was refused. Its text is what Zipkin 3.5 sends with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct DecodeError {
    /// What the body was decoded as.
    pub encoding: SpanEncoding,
    /// What is wrong with it.
    pub fault: DecodeFault,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeFault {
    /// The body begins like no list of spans.
    NotAList,
    /// The body is a list of spans in another encoding.
    OtherEncoding(SpanEncoding),
    /// The body is no JSON, or not of the shape of spans.
    Json(Box<JsonError>),
    /// The body ends where more is needed.
    #[expect(missing_docs, reason = "the text says it")]
    Truncated { length: i32, available: usize },
    /// A number of too many bytes: how many bits there is room for, and where it is.
    #[expect(missing_docs, reason = "the text says it")]
    LongVarint { bits: u8, position: usize },
    /// Bytes that are not of the encoding.
    Malformed,
    /// An id in protobuf of more bytes than are read; with how many.
    LongHexField(i32),
    /// An id is not one.
    #[expect(missing_docs, reason = "the text says it")]
    Id { field: &'static str, fault: IdFault },
    /// The kind is none of Zipkin's four.
    Kind(String),
    /// The kind is a number below zero, which no kind has.
    KindNumber(i32),
    /// The port is beyond 65535.
    Port(i32),
    /// A span has no trace id, no id, or neither.
    #[expect(missing_docs, reason = "the text says it")]
    Missing { trace_id: bool, id: bool },
    /// A field that may be left out but not be empty.
    Null(&'static str),
    /// An annotation lacks its timestamp or its value; with the path of its last field.
    IncompleteAnnotation(String),
    /// A tag is null; with its path.
    NoTagValue(String),
    /// A binary annotation lacks its key; with the path of its last field.
    NoKey(String),
    /// More than [`Limits`](crate::Limits) allow.
    #[expect(missing_docs, reason = "the text says it")]
    TooMany { what: &'static str, max: usize },
    /// A text longer than [`Limits::string_bytes_max`](crate::Limits::string_bytes_max).
    #[expect(missing_docs, reason = "the text says it")]
    TextTooLong { bytes: usize, bytes_max: usize },
    /// The batch can take no more.
    BatchFull(BatchFull),
}

/// What is wrong with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdFault {
    /// No characters.
    Empty,
    /// More characters than the id has digits; with how many it has.
    TooLong(usize),
    /// Zeros only.
    Zeros,
    /// A character that is no lower-case hexadecimal digit; with the whole id.
    NotLowerHex(String),
    /// In version 1: not 1 to 32 lower-case hexadecimal digits; with the whole id.
    NotLowerHexV1(String),
    /// In version 1: zero, or not there.
    ZeroV1,
}

impl DecodeError {
    /// Whether the body was refused before decoding began, by how it looks. Zipkin counts such a body as one dropped
    /// message; one that its decoder refuses it counts twice.
    pub fn is_wrong_encoding(&self) -> bool {
        matches!(self.fault, DecodeFault::NotAList | DecodeFault::OtherEncoding(_))
    }

    fn text(&self) -> String {
        let cause = match &self.fault {
            DecodeFault::NotAList => return format!("Expected a {} encoded list\n", self.encoding),
            DecodeFault::OtherEncoding(found) => {
                return format!("Expected a {} encoded list, but received: {found}\n", self.encoding);
            }
            fault => fault.text(),
        };
        // Zipkin looks for these words in the whole message, quoted input included.
        let (malformed, format): (&[&str], _) = match self.encoding {
            SpanEncoding::JsonV1 | SpanEncoding::JsonV2 => {
                (&["Expected BEGIN_OBJECT", "Expected BEGIN_ARRAY", "malformed"], "json")
            }
            SpanEncoding::Proto3 => (&["Malformed"], "proto3"),
            SpanEncoding::Thrift => (&[], "TBinary"),
        };
        let cause = if malformed.iter().any(|word| cause.contains(word)) { "Malformed" } else { &cause };
        let shown = &cause[..cause.floor_char_boundary(ECHO_BYTES_MAX)];
        format!("{shown} reading List<Span> from {format}")
    }
}

impl DecodeFault {
    fn text(&self) -> String {
        match self {
            // Told apart above.
            Self::NotAList | Self::OtherEncoding(_) | Self::Malformed => "Malformed".to_owned(),
            Self::Json(error) => error.to_string(),
            Self::Truncated { length, available } => {
                format!("Truncated: length {length} > bytes available {available}")
            }
            Self::LongVarint { bits, position } => format!("Greater than {bits}-bit varint at position {position}"),
            Self::LongHexField(bytes) => format!("hex field greater than 32 chars long: {bytes}"),
            Self::Id { field, fault } => fault.text(field),
            Self::Kind(kind) => format!("No enum constant zipkin2.Span.Kind.{kind}"),
            Self::KindNumber(number) => format!("Index {number} out of bounds for length 4"),
            Self::Port(port) => format!("invalid port {port}"),
            Self::Missing { trace_id, id } => {
                let name = |missing: &bool, name: &'static str| if *missing { name } else { "" };
                format!("Missing :{}{}", name(trace_id, " traceId"), name(id, " id"))
            }
            Self::Null(field) => format!("{field} == null"),
            Self::IncompleteAnnotation(path) => format!("Incomplete annotation at {path}"),
            Self::NoTagValue(path) => format!("No value at {path}"),
            Self::NoKey(path) => format!("No key at {path}"),
            Self::TooMany { what, max } => format!("More than {max} {what}"),
            Self::TextTooLong { bytes, bytes_max } => {
                format!("a text of {bytes} bytes is longer than {bytes_max} bytes")
            }
            Self::BatchFull(error) => error.to_string(),
        }
    }
}

impl IdFault {
    fn text(&self, field: &str) -> String {
        match self {
            Self::Empty => format!("{field} is empty"),
            Self::TooLong(digits) => format!("{field}.length > {digits}"),
            Self::Zeros => format!("{field} is all zeros"),
            Self::NotLowerHex(id) => format!("{id} should be lower-hex encoded with no prefix"),
            Self::NotLowerHexV1(id) => format!("{id} should be a 1 to 32 character lower-hex string with no prefix"),
            Self::ZeroV1 => format!("{field} == 0"),
        }
    }
}

impl From<Box<JsonError>> for DecodeFault {
    fn from(error: Box<JsonError>) -> Self {
        Self::Json(error)
    }
}

impl From<BatchFull> for DecodeFault {
    fn from(error: BatchFull) -> Self {
        Self::BatchFull(error)
    }
}
