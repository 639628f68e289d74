//! Why a body of Zipkin v2 JSON was refused, in the words Zipkin answers with.

use crate::detect::SpanEncoding;
use crate::json::JsonError;
use tracewell_model::BatchFull;

/// An error's text echoes what was sent up to this length: an answer need not be as long as the body.
const ECHO_BYTES_MAX: usize = 4 << 10;

/// Why a body was refused. Its text is what Zipkin 3.5 sends with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum DecodeError {
    /// The body begins like no list of spans.
    NotAList,
    /// The body is a list of spans in another encoding.
    OtherEncoding(SpanEncoding),
    /// The body is no JSON, or not of the shape of spans.
    Json(Box<JsonError>),
    /// An id is not one.
    #[expect(missing_docs, reason = "the text says it")]
    Id { field: &'static str, fault: IdFault },
    /// The kind is none of Zipkin's four.
    Kind(String),
    /// The port is beyond 65535.
    Port(i32),
    /// A span has no trace id, no id, or neither.
    #[expect(missing_docs, reason = "the text says it")]
    Missing { trace_id: bool, id: bool },
    /// An annotation lacks its timestamp or its value; with the path of its last field.
    IncompleteAnnotation(String),
    /// A tag is null; with its path.
    NoTagValue(String),
    /// More than [`Limits`](crate::Limits) allow.
    #[expect(missing_docs, reason = "the text says it")]
    TooMany { what: &'static str, max: usize },
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
}

impl DecodeError {
    /// Whether the body was refused before decoding began, by how it looks. Zipkin counts such a body as one dropped
    /// message; one that its decoder refuses it counts twice.
    pub fn is_wrong_encoding(&self) -> bool {
        matches!(self, Self::NotAList | Self::OtherEncoding(_))
    }

    fn text(&self) -> String {
        let cause = match self {
            Self::NotAList => return "Expected a JSON_V2 encoded list\n".to_owned(),
            Self::OtherEncoding(found) => {
                return format!("Expected a JSON_V2 encoded list, but received: {found}\n");
            }
            Self::Json(error) => error.to_string(),
            Self::Id { field, fault: IdFault::Empty } => format!("{field} is empty"),
            Self::Id { field, fault: IdFault::TooLong(digits) } => format!("{field}.length > {digits}"),
            Self::Id { field, fault: IdFault::Zeros } => format!("{field} is all zeros"),
            Self::Id { fault: IdFault::NotLowerHex(id), .. } => {
                format!("{id} should be lower-hex encoded with no prefix")
            }
            Self::Kind(kind) => format!("No enum constant zipkin2.Span.Kind.{kind}"),
            Self::Port(port) => format!("invalid port {port}"),
            Self::Missing { trace_id, id } => {
                let name = |missing: &bool, name: &'static str| if *missing { name } else { "" };
                format!("Missing :{}{}", name(trace_id, " traceId"), name(id, " id"))
            }
            Self::IncompleteAnnotation(path) => format!("Incomplete annotation at {path}"),
            Self::NoTagValue(path) => format!("No value at {path}"),
            Self::TooMany { what, max } => format!("More than {max} {what}"),
            Self::BatchFull(error) => error.to_string(),
        };
        // Zipkin looks for these words in the whole message, quoted input included.
        let malformed = ["Expected BEGIN_OBJECT", "Expected BEGIN_ARRAY", "malformed"];
        let cause = if malformed.iter().any(|word| cause.contains(word)) { "Malformed" } else { &cause };
        let shown = &cause[..cause.floor_char_boundary(ECHO_BYTES_MAX)];
        format!("{shown} reading List<Span> from json")
    }
}

impl From<Box<JsonError>> for DecodeError {
    fn from(error: Box<JsonError>) -> Self {
        Self::Json(error)
    }
}

impl From<BatchFull> for DecodeError {
    fn from(error: BatchFull) -> Self {
        Self::BatchFull(error)
    }
}
