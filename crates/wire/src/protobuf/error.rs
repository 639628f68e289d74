//! Why bytes are not the protobuf message that was asked for.

use std::fmt;

/// Bytes that are no protobuf message, or another one: where, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtobufError {
    /// Where in the body, in bytes from its beginning.
    pub offset: usize,
    /// The number of the field being read, zero where that is not known yet. It counts in the message that holds the offset.
    pub field: u32,
    /// What is wrong.
    pub fault: ProtobufFault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtobufFault {
    /// The message ends inside it.
    Truncated,
    /// A number of more than ten bytes.
    VarintTooLong,
    /// Field numbers are 1 to 2^29-1.
    FieldNumber,
    /// There are no wire types 6 and 7, and what a group ends must have begun.
    WireType,
    /// The field is known with another wire type than this one.
    UnexpectedWireType(u8),
    /// Messages or groups stand too deep inside one another.
    TooDeep,
    /// A text that is not UTF-8, in a format that demands it.
    NotUtf8,
}

impl fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, field, fault } = self;
        if *field == 0 {
            write!(f, "malformed protobuf at byte {offset}: {fault}")
        } else {
            write!(f, "malformed protobuf at byte {offset}, field {field}: {fault}")
        }
    }
}

impl fmt::Display for ProtobufFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "unexpected end of the message",
            Self::VarintTooLong => "a number of more than ten bytes",
            Self::FieldNumber => "no field has this number",
            Self::WireType => "no field has this wire type",
            Self::UnexpectedWireType(found) => return write!(f, "wrong wire type {found}"),
            Self::TooDeep => "messages too deep inside one another",
            Self::NotUtf8 => "a text that is not UTF-8",
        })
    }
}

impl std::error::Error for ProtobufError {}
