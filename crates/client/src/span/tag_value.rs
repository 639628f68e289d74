//! What a tag can hold, from what Rust has.

use tracewell_model::ValueRef;

use crate::settings::text_bytes_max;

/// A tag's value, from what Rust has.
///
/// ```
/// use tracewell::{TagValue, ValueRef};
/// assert_eq!(TagValue::from(3), TagValue(ValueRef::I64(3)));
/// assert_eq!(TagValue::from("three"), TagValue(ValueRef::Str("three")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TagValue<'a>(pub ValueRef<'a>);

impl<'a> TagValue<'a> {
    /// As long as the tracer allows.
    #[inline]
    pub(crate) fn cut(self, tracer: u64) -> ValueRef<'a> {
        match self.0 {
            ValueRef::Str(text) if text.len() > text_bytes_max(tracer) => {
                ValueRef::Str(cut(text, text_bytes_max(tracer)))
            }
            value => value,
        }
    }

    /// As jaeger-client reads `sampling.priority`: numbers, texts that are one, true and false.
    pub(crate) fn as_whole_number(self) -> Option<i64> {
        match self.0 {
            ValueRef::I64(value) => Some(value),
            ValueRef::Bool(value) => Some(i64::from(value)),
            ValueRef::F64(value) if value.is_finite() => Some(value as i64),
            ValueRef::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// At most so many bytes of a text, in whole characters.
#[cold]
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

macro_rules! tag_value {
    ($($from:ty => $value:ident as $to:ty),*) => {$(
        impl From<$from> for TagValue<'_> {
            #[inline]
            fn from(value: $from) -> Self {
                Self(ValueRef::$value(<$to>::from(value)))
            }
        }
    )*};
}

tag_value!(
    bool => Bool as bool,
    i64 => I64 as i64, i32 => I64 as i64, i16 => I64 as i64, i8 => I64 as i64,
    u32 => I64 as i64, u16 => I64 as i64, u8 => I64 as i64,
    f64 => F64 as f64, f32 => F64 as f64
);

/// What is larger than the largest signed number becomes that.
macro_rules! unsigned {
    ($($from:ty),*) => {$(
        impl From<$from> for TagValue<'_> {
            #[inline]
            fn from(value: $from) -> Self {
                Self(ValueRef::I64(i64::try_from(value).unwrap_or(i64::MAX)))
            }
        }
    )*};
}

unsigned!(u64, usize);

impl From<isize> for TagValue<'_> {
    #[inline]
    fn from(value: isize) -> Self {
        Self(ValueRef::I64(value as i64))
    }
}

impl<'a> From<ValueRef<'a>> for TagValue<'a> {
    #[inline]
    fn from(value: ValueRef<'a>) -> Self {
        Self(value)
    }
}

impl<'a> From<&'a str> for TagValue<'a> {
    #[inline]
    fn from(value: &'a str) -> Self {
        Self(ValueRef::Str(value))
    }
}

impl<'a> From<&'a String> for TagValue<'a> {
    #[inline]
    fn from(value: &'a String) -> Self {
        Self(ValueRef::Str(value))
    }
}

impl<'a> From<&'a [u8]> for TagValue<'a> {
    #[inline]
    fn from(value: &'a [u8]) -> Self {
        Self(ValueRef::Bytes(value))
    }
}
