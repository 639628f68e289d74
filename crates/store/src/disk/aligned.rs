//! Memory for direct writes: bytes at an address that is a multiple of [`BLOCK_BYTES`], without unsafe code.

use super::BLOCK_BYTES;

/// A buffer that keeps its memory from use to use.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
}

/// A buffer that once held more than this gives the rest back.
const KEEP_BYTES_MAX: usize = 4 << 20;

impl AlignedBuffer {
    /// So many bytes at an aligned address, good until the next call. What they are is left from the calls before.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        let room = len + BLOCK_BYTES;
        if self.bytes.len() < room || self.bytes.len() > KEEP_BYTES_MAX.max(2 * room) {
            self.bytes = vec![0; room.next_power_of_two()];
        }
        // The vector has more room than is asked for by one block, so an aligned address is always inside.
        let start = self.bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        &mut self.bytes[start..start + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_aligned_whatever_was_there_before() {
        let mut buffer = AlignedBuffer::default();
        for len in [0, 1, 4096, 100_000, 8 << 20, 4096] {
            let bytes = buffer.room(len);
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(BLOCK_BYTES)), (len, 0));
            bytes.fill(7);
        }
    }
}
