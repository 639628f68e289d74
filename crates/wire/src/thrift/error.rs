//! Why bytes are not Thrift.

/// What is wrong, and where in the input.
// In a box: a reader's results are made for every value and are to be small.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {}", .0.1, .0.0)]
pub struct ThriftError(Box<(usize, ThriftFault)>);

impl ThriftError {
    #[cold]
    pub(super) fn new(at: usize, fault: ThriftFault) -> Self {
        Self(Box::new((at, fault)))
    }

    /// Where it is, in bytes from the beginning of the input.
    pub fn at(&self) -> usize {
        self.0.0
    }

    /// What is wrong there.
    pub fn fault(&self) -> ThriftFault {
        self.0.1
    }
}

/// What is wrong with bytes that should be Thrift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ThriftFault {
    /// The input ends inside a value.
    #[error("unexpected end of input")]
    EndOfInput,
    /// A message begins with neither protocol's mark.
    #[error("bad version in a message's header")]
    Version,
    /// A type's code that Thrift does not have.
    #[error("unknown type {0}")]
    UnknownType(u8),
    /// A list or map of another type than the one that belongs there.
    #[error("a list of {found} where one of {expected} belongs")]
    #[expect(missing_docs, reason = "the text says it")]
    WrongElement { expected: &'static str, found: &'static str },
    /// A length below zero, or of more than what is left of the input.
    #[error("length {0} is out of bounds")]
    Length(i64),
    /// A text longer than [`Limits::string_bytes_max`](crate::Limits::string_bytes_max).
    #[error("a text of {bytes} bytes is longer than {bytes_max} bytes")]
    #[expect(missing_docs, reason = "the text says it")]
    TextTooLong { bytes: usize, bytes_max: usize },
    /// A number of the compact protocol that does not end.
    #[error("a number of more than ten bytes")]
    Varint,
    /// Structs, lists and maps inside one another beyond [`Limits::depth_max`](crate::Limits::depth_max).
    #[error("nested deeper than {0}")]
    TooDeep(usize),
}
