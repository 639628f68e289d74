//! Apache Thrift's binary and compact protocols: one pull reader and one writer, generic over the protocol.
//!
//! Nothing is built while reading: a caller asks for field after field and takes or skips each. Lengths of lists, maps and
//! texts are held against the bytes that are left before they are believed. Rules are those of the "Thrift Binary protocol"
//! and "Thrift Compact protocol" specifications; where these are silent, Apache Thrift 0.22 for Go, which Jaeger uses.

mod binary;
mod compact;
mod cursor;
mod error;
mod reader;
mod types;
mod writer;

pub(crate) use binary::Binary;
pub(crate) use compact::Compact;
pub use error::{ThriftError, ThriftFault};
pub(crate) use reader::Reader;
pub(crate) use types::{Field, Fields, Message, MessageKind, Type};
pub(crate) use writer::Writer;

use cursor::Cursor;

type Result<T> = std::result::Result<T, ThriftError>;

/// How one of Thrift's protocols lays out what a [`Reader`] reads and a [`Writer`] writes.
pub(crate) trait Protocol: Copy {
    /// The fewest bytes a value of a type takes.
    fn bytes_min(kind: Type) -> usize;

    fn read_message<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>>;
    /// The next field's id and type, and its value where the header carries it; `None` at the struct's end.
    fn read_field(cursor: &mut Cursor<'_>, last_id: i16) -> Result<Option<(Field, Option<bool>)>>;
    /// A list's or set's element type and length, the length as it stands there. `None` for a type that does not exist.
    fn read_list(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, i64)>;
    /// A map's types and length.
    fn read_map(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, Option<Type>, i64)>;
    /// The length of a text or of bytes, as it stands there.
    fn read_length(cursor: &mut Cursor<'_>) -> Result<i64>;
    fn read_bool(cursor: &mut Cursor<'_>) -> Result<bool>;
    fn read_i16(cursor: &mut Cursor<'_>) -> Result<i16>;
    fn read_i32(cursor: &mut Cursor<'_>) -> Result<i32>;
    fn read_i64(cursor: &mut Cursor<'_>) -> Result<i64>;
    fn read_double(cursor: &mut Cursor<'_>) -> Result<f64>;

    fn write_message(out: &mut Vec<u8>, name: &str, kind: MessageKind, sequence: i32);
    fn write_field(out: &mut Vec<u8>, last_id: i16, id: i16, kind: Type);
    fn write_bool_field(out: &mut Vec<u8>, last_id: i16, id: i16, value: bool);
    fn write_list(out: &mut Vec<u8>, element: Type, len: u32);
    /// Writes anew the header of a list that begins there, of one element until now, whose elements were written meanwhile.
    fn rewrite_list(out: &mut Vec<u8>, at: usize, element: Type, len: u32);
    fn write_length(out: &mut Vec<u8>, len: u32);
    fn write_i32(out: &mut Vec<u8>, value: i32);
    fn write_i64(out: &mut Vec<u8>, value: i64);
    fn write_double(out: &mut Vec<u8>, value: f64);
}

#[cfg(test)]
mod tests;
