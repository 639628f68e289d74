//! The writer: the same steps as the reader's, appended to a buffer that the caller keeps.

use super::{Fields, MessageKind, Protocol, Type};
use std::marker::PhantomData;

/// Appends values of a protocol `P`. Structs have no beginning; [`Writer::stop`] ends one.
pub(crate) struct Writer<'o, P> {
    out: &'o mut Vec<u8>,
    protocol: PhantomData<P>,
}

impl<'o, P: Protocol> Writer<'o, P> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, protocol: PhantomData }
    }

    /// A message's header; the struct of its arguments is to follow.
    pub(crate) fn message(&mut self, name: &str, kind: MessageKind, sequence: i32) {
        P::write_message(self.out, name, kind, sequence);
    }

    /// A field's header; its value is to follow. Not for booleans: see [`Writer::bool_field`].
    #[inline]
    pub(crate) fn field(&mut self, fields: &mut Fields, id: i16, kind: Type) {
        P::write_field(self.out, fields.last_id, id, kind);
        fields.last_id = id;
    }

    #[inline]
    pub(crate) fn bool_field(&mut self, fields: &mut Fields, id: i16, value: bool) {
        P::write_bool_field(self.out, fields.last_id, id, value);
        fields.last_id = id;
    }

    #[inline]
    pub(crate) fn i32_field(&mut self, fields: &mut Fields, id: i16, value: i32) {
        self.field(fields, id, Type::I32);
        P::write_i32(self.out, value);
    }

    #[inline]
    pub(crate) fn i64_field(&mut self, fields: &mut Fields, id: i16, value: i64) {
        self.field(fields, id, Type::I64);
        P::write_i64(self.out, value);
    }

    #[inline]
    pub(crate) fn double_field(&mut self, fields: &mut Fields, id: i16, value: f64) {
        self.field(fields, id, Type::Double);
        P::write_double(self.out, value);
    }

    #[inline]
    pub(crate) fn binary_field(&mut self, fields: &mut Fields, id: i16, value: &[u8]) {
        self.field(fields, id, Type::Binary);
        self.binary(value);
    }

    /// A list field's header; its elements are to follow.
    #[inline]
    pub(crate) fn list_field(&mut self, fields: &mut Fields, id: i16, element: Type, len: u32) {
        self.field(fields, id, Type::List);
        self.list(element, len);
    }

    /// A list field of as many elements as `elements` says it wrote. Of none there is no field.
    pub(crate) fn counted_list_field(
        &mut self,
        fields: &mut Fields,
        id: i16,
        element: Type,
        elements: impl FnOnce(&mut Self) -> u32,
    ) {
        let (before, last_id) = (self.out.len(), fields.last_id);
        self.field(fields, id, Type::List);
        let at = self.out.len();
        self.list(element, 1);
        match elements(self) {
            0 => {
                self.out.truncate(before);
                fields.last_id = last_id;
            }
            len => P::rewrite_list(self.out, at, element, len),
        }
    }

    /// A list's header; its elements are to follow.
    #[inline]
    pub(crate) fn list(&mut self, element: Type, len: u32) {
        P::write_list(self.out, element, len);
    }

    #[inline]
    pub(crate) fn binary(&mut self, value: &[u8]) {
        P::write_length(self.out, value.len() as u32);
        self.out.extend_from_slice(value);
    }

    /// Ends a struct.
    #[inline]
    pub(crate) fn stop(&mut self) {
        self.out.push(0);
    }
}
