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
    /// `len` zeros at an aligned address, good until the next call.
    pub(crate) fn zeros(&mut self, len: usize) -> &mut [u8] {
        let room = len + BLOCK_BYTES;
        if self.bytes.capacity() < room || self.bytes.capacity() > KEEP_BYTES_MAX.max(room) {
            self.bytes = Vec::with_capacity(room);
        }
        self.bytes.clear();
        self.bytes.resize(room, 0);
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
            let bytes = buffer.zeros(len);
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(BLOCK_BYTES)), (len, 0));
            assert!(bytes.iter().all(|&byte| byte == 0));
            bytes.fill(7);
        }
    }
}
