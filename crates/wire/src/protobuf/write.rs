//! Appends protobuf fields. Nested messages go to the same buffer: room is kept for their length, which is filled in behind.

use super::{BYTES, FIXED32, FIXED64, VARINT, key};
use crate::stage::{Stage, StageBytes};

/// The bytes of a number in its shortest form.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

#[inline]
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number: proto's `uint32`, `uint64`, `enum`; `int32` and `int64` sign-extended. Formats leave zeros out themselves.
#[inline]
pub(crate) fn push_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    push_varint(out, u64::from(key(number, VARINT)));
    push_varint(out, value);
}

#[inline]
pub(crate) fn push_bool_field(out: &mut Vec<u8>, number: u32, value: bool) {
    push_varint_field(out, number, u64::from(value));
}

#[inline]
pub(crate) fn push_fixed64_field(out: &mut Vec<u8>, number: u32, value: u64) {
    push_varint(out, u64::from(key(number, FIXED64)));
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub(crate) fn push_double_field(out: &mut Vec<u8>, number: u32, value: f64) {
    push_fixed64_field(out, number, value.to_bits());
}

#[inline]
pub(crate) fn push_fixed32_field(out: &mut Vec<u8>, number: u32, value: u32) {
    push_varint(out, u64::from(key(number, FIXED32)));
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub(crate) fn push_bytes_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_varint(out, u64::from(key(number, BYTES)));
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[inline]
pub(crate) fn push_text_field(out: &mut Vec<u8>, number: u32, text: &str) {
    push_bytes_field(out, number, text.as_bytes());
}

/// A nested message. `len_expected` says about how long it will be: where its length then takes as many bytes as that
/// number, nothing is moved; otherwise the message is moved by the difference, so that lengths are always in shortest form.
#[inline]
pub(crate) fn push_message<R>(
    out: &mut Vec<u8>,
    number: u32,
    len_expected: usize,
    write: impl FnOnce(&mut Vec<u8>) -> R,
) -> R {
    push_varint(out, u64::from(key(number, BYTES)));
    let length_at = out.len();
    let room = varint_len(len_expected as u64);
    out.extend_from_slice(&[0; 10][..room]);
    let written = write(out);
    end_message(out, length_at, room);
    written
}

/// A nested message of number below 16 that mostly is short enough to be written in one piece, behind its length.
#[inline]
pub(crate) fn push_staged_message(
    out: &mut Vec<u8>,
    number: u32,
    stage: &mut StageBytes,
    write: impl FnOnce(&mut Stage<'_>),
) {
    /// Key and length of what fits the stage.
    const ROOM: usize = 3;
    let before = out.len();
    let key = key(number, BYTES) as u8;
    let mut stage = Stage::new(stage, out);
    stage.put([key; ROOM]);
    write(&mut stage);
    let (gathered, out) = stage.into_parts();
    if out.len() > before {
        // It did not fit; its beginning is in the vector.
        out.extend_from_slice(gathered);
        end_message(out, before + 1, ROOM - 1);
        return;
    }
    let len = gathered.len() - ROOM;
    if let ([_, in_one @ ..], ..0x80) = (&mut *gathered, len) {
        in_one[1] = len as u8;
        out.extend_from_slice(in_one);
    } else {
        gathered[1..ROOM].copy_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]);
        out.extend_from_slice(gathered);
    }
}

/// Writes the length of a message that begins `room` bytes behind it and ends with the buffer.
fn end_message(out: &mut Vec<u8>, length_at: usize, room: usize) {
    let from = length_at + room;
    let mut len = out.len() - from;
    let needed = varint_len(len as u64);
    if needed != room {
        move_message(out, from, length_at + needed);
    }
    for byte in &mut out[length_at..length_at + needed] {
        *byte = len as u8 | 0x80;
        len >>= 7;
    }
    out[length_at + needed - 1] &= 0x7f;
}

#[cold]
fn move_message(out: &mut Vec<u8>, from: usize, to: usize) {
    let end = out.len();
    if to > from {
        out.resize(end + (to - from), 0);
    }
    out.copy_within(from..end, to);
    out.truncate(to + (end - from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::STAGE_BYTES;

    #[test]
    fn lengths_are_short_whatever_was_expected() {
        for len in [0, 1, 127, 128, 129, 509, 510, 16383, 16384, 16385, 2_097_152] {
            let inner: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut plain = vec![7];
            push_bytes_field(&mut plain, 3, &inner);
            for expected in [0, 127, 128, 16384, 1 << 30] {
                let mut out = vec![7];
                push_message(&mut out, 3, expected, |out| out.extend_from_slice(&inner));
                assert!(out == plain, "{len} {expected}");
            }
            let (mut out, mut stage) = (vec![7], [0; STAGE_BYTES]);
            push_staged_message(&mut out, 3, &mut stage, |stage| {
                inner.chunks(100).for_each(|part| stage.put_pieces(part.len(), |place| place.put_slice(part)));
            });
            assert!(out == plain, "{len} staged");
        }
    }

    #[test]
    fn the_length_of_a_number_is_known() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift] {
                let mut out = vec![];
                push_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
            }
        }
    }

    #[test]
    fn fields_have_the_bytes_of_the_specification() {
        let mut out = vec![];
        push_varint_field(&mut out, 1, 150);
        push_text_field(&mut out, 2, "testing");
        push_bool_field(&mut out, 3, true);
        push_fixed32_field(&mut out, 4, 1);
        push_double_field(&mut out, 5, 1.0);
        push_varint_field(&mut out, 16, -1i64 as u64);
        let expect = b"\x08\x96\x01\x12\x07testing\x18\x01\x25\x01\0\0\0\x29\0\0\0\0\0\0\xf0\x3f\
            \x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(out, expect);
    }
}
