//! Compression by zstd: one context for all columns of a segment that is written, one a thread for what is read. Making one
//! costs more than a column does.

use super::SegmentError;
use super::bytes::{Malformed, Reader, put_varint};
use std::cell::RefCell;

/// After typed encodings a higher level saves next to nothing.
const LEVEL: i32 = 1;
/// Fewer bytes than this never get shorter.
const PACKED_BYTES_MIN: usize = 16;
/// Longer than any part of a column is.
const PART_BYTES_MAX: usize = 1 << 30;

/// Compresses.
pub(crate) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    /// By column: for how many blocks it is not tried, because it did not get shorter.
    in_vain: Vec<u8>,
}

/// For so many blocks a column is left as it is that did not get shorter.
const BLOCKS_IN_VAIN: u8 = 7;
/// If it is not short by itself.
const IN_VAIN_BYTES_MIN: usize = 1024;

impl Packer {
    pub(crate) fn new() -> Result<Self, SegmentError> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|error| SegmentError::Pack(error.to_string()))?;
        Ok(Self { compressor, packed: vec![], in_vain: vec![] })
    }

    /// Begins another segment, with other columns.
    pub(crate) fn begin(&mut self) {
        self.in_vain.clear();
    }

    /// Compressed, or as they are where that is not longer.
    pub(crate) fn pack<'a>(&'a mut self, bytes: &'a [u8]) -> Result<&'a [u8], SegmentError> {
        if bytes.len() < PACKED_BYTES_MIN {
            return Ok(bytes);
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let packed = self.compressor.compress_to_buffer(bytes, &mut self.packed);
        packed.map_err(|error| SegmentError::Pack(error.to_string()))?;
        Ok(if self.packed.len() < bytes.len() { &self.packed } else { bytes })
    }

    /// The same for a column of a block.
    pub(crate) fn pack_column<'a>(&'a mut self, number: u32, bytes: &'a [u8]) -> Result<&'a [u8], SegmentError> {
        let number = number as usize;
        if self.in_vain.len() <= number {
            self.in_vain.resize(number + 1, 0);
        }
        if let Some(rest) = self.in_vain[number].checked_sub(1) {
            self.in_vain[number] = rest;
            return Ok(bytes);
        }
        let in_vain = self.pack(bytes)?.len() == bytes.len();
        if in_vain && bytes.len() >= IN_VAIN_BYTES_MIN {
            self.in_vain[number] = BLOCKS_IN_VAIN;
        }
        Ok(if in_vain { bytes } else { &self.packed })
    }

    /// Appends a part of a column: its length, the length as stored, the stored bytes.
    pub(crate) fn put_part(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SegmentError> {
        let packed = self.pack(bytes)?;
        put_varint(out, bytes.len() as u64);
        put_varint(out, packed.len() as u64);
        out.extend_from_slice(packed);
        Ok(())
    }
}

/// Undoes [`Packer::pack`].
pub(crate) fn unpack(stored: &[u8], bytes: usize) -> Result<Vec<u8>, Malformed> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    if stored.len() == bytes {
        return Ok(stored.to_vec());
    }
    let unpacked = DECOMPRESSOR.with_borrow_mut(|known| {
        let decompressor = match known {
            Some(decompressor) => decompressor,
            None => known.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        decompressor.decompress(stored, bytes).ok()
    });
    let unpacked = unpacked.ok_or(Malformed("bytes cannot be unpacked"))?;
    if unpacked.len() == bytes { Ok(unpacked) } else { Err(Malformed("unpacked bytes are too few")) }
}

/// Undoes [`Packer::put_part`].
pub(crate) fn read_part(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let bytes = reader.varint()?;
    let stored = reader.bytes()?;
    let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= PART_BYTES_MAX);
    unpack(stored, bytes.ok_or(Malformed("a part of a column is too large"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let mut packer = Packer::new().unwrap();
        for bytes in [&b""[..], b"short", &[7; 1000], b"0123456789abcdefghijklmnopqrstuvwxyz"] {
            let mut out = vec![];
            packer.put_part(&mut out, bytes).unwrap();
            let mut reader = Reader::new(&out);
            assert_eq!(read_part(&mut reader).unwrap(), bytes);
            assert!(reader.is_empty());
            assert!((0..out.len()).all(|len| read_part(&mut Reader::new(&out[..len])).is_err()));
        }
    }
}
