//! Keys with typed values as columns: tags, details of annotations, attributes of what spans share.

use super::Text;
use crate::StrId;
use crate::value::ValueRef;

/// Keys and typed values, one column each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) keys: Vec<u32>,
    pub(crate) types: Vec<u8>,
    /// A number's bits, or where a text or bytes lie: start in the lower, length in the upper half.
    pub(crate) values: Vec<u64>,
}

pub(crate) const TYPE_STR: u8 = 0;
pub(crate) const TYPE_BOOL: u8 = 1;
pub(crate) const TYPE_I64: u8 = 2;
pub(crate) const TYPE_F64: u8 = 3;
pub(crate) const TYPE_BYTES: u8 = 4;
pub(crate) const TYPE_NESTED: u8 = 5;

impl Attributes {
    pub(crate) fn len(&self) -> u32 {
        self.keys.len() as u32
    }

    pub(super) fn empty_range(&self) -> (u32, u32) {
        (self.len(), self.len())
    }

    #[inline]
    pub(super) fn push(&mut self, text: &mut String, bytes: &mut Vec<u8>, key: StrId, value: ValueRef<'_>) {
        let place = |start: usize, len: usize| start as u64 | (len as u64) << 32;
        let (kind, word) = match value {
            ValueRef::Str(value) => {
                text.push_str(value);
                (TYPE_STR, place(text.len() - value.len(), value.len()))
            }
            ValueRef::Bool(value) => (TYPE_BOOL, u64::from(value)),
            ValueRef::I64(value) => (TYPE_I64, value as u64),
            ValueRef::F64(value) => (TYPE_F64, value.to_bits()),
            ValueRef::Bytes(value) => {
                bytes.extend_from_slice(value);
                (TYPE_BYTES, place(bytes.len() - value.len(), value.len()))
            }
            ValueRef::Nested(value) => {
                bytes.extend_from_slice(value);
                (TYPE_NESTED, place(bytes.len() - value.len(), value.len()))
            }
        };
        self.keys.push(key.0);
        self.types.push(kind);
        self.values.push(word);
    }

    /// A text that lies in the arena, or will.
    #[expect(clippy::inline_always, reason = "see `SpanBatch::tag_text`")]
    #[inline(always)]
    pub(super) fn push_text(&mut self, key: StrId, text: Text) {
        self.keys.push(key.0);
        self.types.push(TYPE_STR);
        self.values.push(u64::from(text.start) | u64::from(text.len) << 32);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
        self.types.truncate(len);
        self.values.truncate(len);
    }

    /// The rows from `from` on become those that `order` names.
    pub(super) fn reorder(&mut self, from: usize, order: &[usize]) {
        fn pick<T: Copy>(column: &mut [T], from: usize, order: &[usize]) {
            let picked: Vec<T> = order.iter().map(|&at| column[at]).collect();
            column[from..].copy_from_slice(&picked);
        }
        pick(&mut self.keys, from, order);
        pick(&mut self.types, from, order);
        pick(&mut self.values, from, order);
    }
}
