//! Small vocabulary of a span: kind, status, flags and typed attribute values.

/// A span's role. Zipkin has no word for [`Kind::Internal`]; OTLP and Jaeger do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Kind {
    /// Not said.
    #[default]
    Unset = 0,
    /// Work inside one process.
    Internal = 1,
    /// The calling side of a request.
    Client = 2,
    /// The answering side of a request.
    Server = 3,
    /// Sends a message.
    Producer = 4,
    /// Takes a message.
    Consumer = 5,
}

impl Kind {
    /// From the number in a column or a file.
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Unset,
            1 => Self::Internal,
            2 => Self::Client,
            3 => Self::Server,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => return None,
        })
    }

    /// As the page and its query language write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Internal => "internal",
            Self::Client => "client",
            Self::Server => "server",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// OTLP's status of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum StatusCode {
    /// Not said.
    #[default]
    Unset = 0,
    /// Said to be fine.
    Ok = 1,
    /// Failed.
    Error = 2,
}

impl StatusCode {
    /// From the number in a column, a file or OTLP.
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Unset,
            1 => Self::Ok,
            2 => Self::Error,
            _ => return None,
        })
    }
}

/// One bit each: what a span says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SpanFlags(pub u16);

impl SpanFlags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// Kept whatever the sampler says.
    pub const DEBUG: Self = Self(1);
    /// The span id is shared with another span, usually the client's half (Zipkin's `shared`).
    pub const SHARED: Self = Self(1 << 1);
    /// The sender said that the trace is sampled (Jaeger's flag 1, W3C's sampled).
    pub const SAMPLED: Self = Self(1 << 2);
    /// The span has a start; without it the start column holds zero.
    pub const HAS_START: Self = Self(1 << 3);
    /// The span has a duration, be it zero.
    pub const HAS_DURATION: Self = Self(1 << 4);
    /// The span came in Jaeger's format, and its tags are all that Jaeger shows: kind, status, trace state and scope stand
    /// among them as well, and formats that have a place of their own for these leave those tags out.
    /// [`ExtraRow::otlp_flags`](crate::ExtraRow::otlp_flags) has Jaeger's flags where more are set than sampled and debug.
    pub const JAEGER: Self = Self(1 << 5);
    /// The parent is known from one of the links (Jaeger's references) and was not named beside them.
    pub const PARENT_IN_LINKS: Self = Self(1 << 6);
    /// The bits that have a meaning; a file with others set is damaged or newer.
    pub const ALL: Self = Self(0b111_1111);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// An attribute's value, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// Text: the only type Zipkin has.
    Str(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A number.
    F64(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// OTLP's array or map: the bytes of its protobuf `AnyValue`, kept whole.
    Nested(&'a [u8]),
}

/// An attribute's value whose text is bytes: UTF-8, which nobody had to show. What only copies texts asks for no proof.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RawValue<'a> {
    /// The bytes of a text.
    Text(&'a [u8]),
    /// What is no text.
    Other(ValueRef<'a>),
}

impl<'a> From<ValueRef<'a>> for RawValue<'a> {
    #[inline]
    fn from(value: ValueRef<'a>) -> Self {
        if let ValueRef::Str(text) = value { Self::Text(text.as_bytes()) } else { Self::Other(value) }
    }
}

/// An attribute's value, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// See [`ValueRef::Str`].
    Str(String),
    /// See [`ValueRef::Bool`].
    Bool(bool),
    /// See [`ValueRef::I64`].
    I64(i64),
    /// See [`ValueRef::F64`].
    F64(f64),
    /// See [`ValueRef::Bytes`].
    Bytes(Vec<u8>),
    /// See [`ValueRef::Nested`].
    Nested(Vec<u8>),
}

impl ValueRef<'_> {
    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            Self::Str(text) => Value::Str(text.to_owned()),
            Self::Bool(value) => Value::Bool(value),
            Self::I64(value) => Value::I64(value),
            Self::F64(value) => Value::F64(value),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Nested(bytes) => Value::Nested(bytes.to_vec()),
        }
    }

    /// Equal to the bit: a NaN equals itself, so that equal copies of a span are seen as such.
    pub fn same(self, other: ValueRef<'_>) -> bool {
        match (self, other) {
            (Self::F64(a), ValueRef::F64(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

impl Value {
    /// A borrowed view.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Str(text) => ValueRef::Str(text),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::I64(value) => ValueRef::I64(*value),
            Self::F64(value) => ValueRef::F64(*value),
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::Nested(bytes) => ValueRef::Nested(bytes),
        }
    }
}
