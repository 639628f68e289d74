//! Why bytes are not Thrift.

/// What is wrong, and where in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct ThriftError {
    /// Bytes from the beginning of the input.
    pub at: usize,
    /// What is wrong there.
    pub fault: ThriftFault,
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
