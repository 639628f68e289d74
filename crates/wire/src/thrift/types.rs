//! Thrift's vocabulary: types, fields, messages.

/// A value's type, by the codes of the binary protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Type {
    Bool = 2,
    Byte = 3,
    Double = 4,
    I16 = 6,
    I32 = 8,
    I64 = 10,
    /// A text or bytes.
    Binary = 11,
    Struct = 12,
    Map = 13,
    Set = 14,
    List = 15,
    Uuid = 16,
}

impl Type {
    /// From a code of the binary protocol.
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::Binary,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            16 => Self::Uuid,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Byte => "byte",
            Self::Double => "double",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Binary => "string",
            Self::Struct => "struct",
            Self::Map => "map",
            Self::Set => "set",
            Self::List => "list",
            Self::Uuid => "uuid",
        }
    }
}

/// A field's header. Its value follows and is taken, or skipped with [`Reader::skip`](super::Reader::skip).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) kind: Type,
}

/// How far a struct's fields were read or written: the compact protocol tells ids by their distance. One for each struct.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields {
    pub(super) last_id: i16,
}

/// A message's header; the struct of the call's arguments follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The method's name.
    pub(crate) name: &'a [u8],
    pub(crate) kind: MessageKind,
    pub(crate) sequence: i32,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum MessageKind {
    Call = 1,
    Reply = 2,
    Exception = 3,
    Oneway = 4,
    /// A code that Thrift does not know. Its servers do not look at it, so neither is it an error here.
    Other = 0,
}

impl MessageKind {
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Call,
            2 => Self::Reply,
            3 => Self::Exception,
            4 => Self::Oneway,
            _ => Self::Other,
        }
    }
}
