//! The pull reader: fields, lists and values one after the other, whatever the protocol.

use super::cursor::Cursor;
use super::{Field, Fields, Message, Protocol, Result, ThriftError, ThriftFault, Type};
use crate::Limits;
use std::marker::PhantomData;

/// Reads values of a protocol `P` from bytes. A copy reads on from where the original stood.
///
/// ```ignore
/// let mut fields = Fields::default();
/// while let Some(field) = reader.field(&mut fields)? {
///     match (field.id, field.kind) {
///         (1, Type::I64) => id = reader.i64()?,
///         _ => reader.skip(field.kind)?,
///     }
/// }
/// ```
#[derive(Clone)]
pub(crate) struct Reader<'a, P> {
    cursor: Cursor<'a>,
    /// A boolean whose value stood in its field's header.
    header_bool: Option<bool>,
    depth_max: usize,
    string_bytes_max: usize,
    protocol: PhantomData<P>,
}

impl<'a, P: Protocol> Reader<'a, P> {
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let Limits { depth_max, string_bytes_max, .. } = *limits;
        Self { cursor: Cursor::new(bytes), header_bool: None, depth_max, string_bytes_max, protocol: PhantomData }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.cursor.position()
    }

    /// A message's header.
    pub(crate) fn message(&mut self) -> Result<Message<'a>> {
        P::read_message(&mut self.cursor)
    }

    /// The struct's next field, or `None` at its end. `fields` is one for each struct, new when it begins.
    #[inline]
    pub(crate) fn field(&mut self, fields: &mut Fields) -> Result<Option<Field>> {
        let Some((field, value)) = P::read_field(&mut self.cursor, fields.last_id)? else { return Ok(None) };
        fields.last_id = field.id;
        self.header_bool = value;
        Ok(Some(field))
    }

    /// Passes over the struct's other fields, to its end.
    pub(crate) fn rest(&mut self, fields: &mut Fields) -> Result<()> {
        while let Some(field) = self.field(fields)? {
            self.skip(field.kind)?;
        }
        Ok(())
    }

    /// Begins a list or a set whose elements are of a type, and answers how many there are. An empty one may claim any type.
    #[inline]
    pub(crate) fn list_of(&mut self, element: Type) -> Result<usize> {
        let at = self.position();
        match self.list()? {
            (_, 0) => Ok(0),
            (found, len) if found == element => Ok(len),
            (found, _) => {
                let (expected, found) = (element.name(), found.name());
                Err(ThriftError::new(at, ThriftFault::WrongElement { expected, found }))
            }
        }
    }

    /// Begins a list or a set: the type of its elements and how many there are. Of an empty one the type says nothing.
    pub(crate) fn list(&mut self) -> Result<(Type, usize)> {
        let at = self.cursor;
        let (element, len) = P::read_list(&mut self.cursor)?;
        match element {
            _ if len == 0 => Ok((element.unwrap_or(Type::Byte), 0)),
            None => unknown_type(at),
            Some(element) => Ok((element, self.checked_len(len, P::bytes_min(element))?)),
        }
    }

    /// Begins a map: the types of its keys and values and how many there are. Of an empty one the types say nothing.
    pub(crate) fn map(&mut self) -> Result<(Type, Type, usize)> {
        let at = self.cursor;
        let (key, value, len) = P::read_map(&mut self.cursor)?;
        match (key, value) {
            _ if len == 0 => Ok((Type::Byte, Type::Byte, 0)),
            (Some(key), Some(value)) => {
                let len = self.checked_len(len, P::bytes_min(key) + P::bytes_min(value))?;
                Ok((key, value, len))
            }
            _ => unknown_type(at),
        }
    }

    /// A text or bytes. Thrift says that texts are UTF-8, its senders do not always: see [`crate::java_text::decode_utf8`].
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8]> {
        let len = P::read_length(&mut self.cursor)?;
        let len = self.checked_len(len, 1)?;
        if len > self.string_bytes_max {
            return self.cursor.error(ThriftFault::TextTooLong { bytes: len, bytes_max: self.string_bytes_max });
        }
        self.cursor.take(len)
    }

    #[inline]
    pub(crate) fn bool(&mut self) -> Result<bool> {
        match self.header_bool.take() {
            Some(value) => Ok(value),
            None => P::read_bool(&mut self.cursor),
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<i8> {
        Ok(self.cursor.byte()?.cast_signed())
    }

    #[inline]
    pub(crate) fn i16(&mut self) -> Result<i16> {
        P::read_i16(&mut self.cursor)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32> {
        P::read_i32(&mut self.cursor)
    }

    #[inline]
    pub(crate) fn i64(&mut self) -> Result<i64> {
        P::read_i64(&mut self.cursor)
    }

    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64> {
        P::read_double(&mut self.cursor)
    }

    /// Passes over a value of a type: a field that is not known, or not of the type it should have.
    #[cold]
    pub(crate) fn skip(&mut self, kind: Type) -> Result<()> {
        self.skip_at(kind, self.depth_max)
    }

    fn skip_at(&mut self, kind: Type, depth_left: usize) -> Result<()> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return self.cursor.error(ThriftFault::TooDeep(self.depth_max));
        };
        match kind {
            Type::Bool => drop(self.bool()?),
            Type::Byte => drop(self.byte()?),
            Type::Double => drop(self.double()?),
            Type::I16 => drop(self.i16()?),
            Type::I32 => drop(self.i32()?),
            Type::I64 => drop(self.i64()?),
            Type::Uuid => drop(self.cursor.take(16)?),
            Type::Binary => drop(self.binary()?),
            Type::Struct => {
                let mut fields = Fields::default();
                while let Some(field) = self.field(&mut fields)? {
                    self.skip_at(field.kind, depth_left)?;
                }
            }
            Type::List | Type::Set => {
                let (element, len) = self.list()?;
                for _ in 0..len {
                    self.skip_at(element, depth_left)?;
                }
            }
            Type::Map => {
                let (key, value, len) = self.map()?;
                for _ in 0..len {
                    self.skip_at(key, depth_left)?;
                    self.skip_at(value, depth_left)?;
                }
            }
        }
        Ok(())
    }

    /// A length that the rest of the input can hold, each of its elements taking `bytes_min` and more.
    #[inline]
    fn checked_len(&self, len: i64, bytes_min: usize) -> Result<usize> {
        match usize::try_from(len) {
            Ok(elements) if elements <= self.cursor.left() / bytes_min => Ok(elements),
            _ => self.cursor.error(ThriftFault::Length(len)),
        }
    }
}

/// The type's code stands at or near where the list began.
#[cold]
fn unknown_type<T>(mut at: Cursor<'_>) -> Result<T> {
    let code = at.byte().unwrap_or_default();
    at.error(ThriftFault::UnknownType(code))
}
