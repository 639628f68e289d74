//! A record of the log as bytes: a header with checksums, then the payload. See `docs/format.md`, "Log".

/// Starts every record.
pub(super) const MAGIC: [u8; 4] = *b"TWL1";

/// What comes before a record's payload.
pub(super) const HEADER_BYTES: usize = 40;

/// Records start at multiples of this.
pub(super) const RECORD_ALIGN: u64 = 8;

/// The payload is the image of a batch (`tracewell_model::write_image`).
const KIND_BATCH_IMAGE: u32 = 1;

/// Tells what a record is, before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The number of the file it was written to: files are used again, and what stands in one from before is not replayed.
    pub(super) file_number: u64,
    pub(super) sequence: u64,
    /// How many bytes of its group come before it.
    pub(super) offset_in_group: u32,
    pub(super) payload_len: u32,
    pub(super) payload_crc: u32,
    kind: u32,
}

impl Header {
    pub(super) fn new(file_number: u64, sequence: u64, offset_in_group: u32, payload: &[u8]) -> Self {
        Self {
            file_number,
            sequence,
            offset_in_group,
            payload_len: payload.len() as u32,
            payload_crc: crc32fast::hash(payload),
            kind: KIND_BATCH_IMAGE,
        }
    }

    /// Writes header, payload and zeros to the front of `into`, [`stored_bytes`] of it.
    pub(super) fn write(&self, payload: &[u8], into: &mut [u8]) {
        let (header, rest) = into.split_at_mut(HEADER_BYTES);
        header[..4].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&self.file_number.to_le_bytes());
        header[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        header[24..28].copy_from_slice(&self.offset_in_group.to_le_bytes());
        header[28..32].copy_from_slice(&self.payload_len.to_le_bytes());
        header[32..36].copy_from_slice(&self.payload_crc.to_le_bytes());
        header[36..40].copy_from_slice(&self.kind.to_le_bytes());
        let crc = crc32fast::hash(&header[8..]);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        let (to, rest) = rest.split_at_mut(payload.len());
        to.copy_from_slice(payload);
        let padding = self.stored_bytes() as usize - HEADER_BYTES - payload.len();
        rest[..padding].fill(0);
    }

    /// Reads a header; nothing if it is none or is damaged.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        if bytes[..4] != MAGIC || u32_at(bytes, 4) != crc32fast::hash(&bytes[8..]) {
            return None;
        }
        Some(Self::parse_unchecked(bytes))
    }

    fn parse_unchecked(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            file_number: u64_at(bytes, 8),
            sequence: u64_at(bytes, 16),
            offset_in_group: u32_at(bytes, 24),
            payload_len: u32_at(bytes, 28),
            payload_crc: u32_at(bytes, 32),
            kind: u32_at(bytes, 36),
        }
    }

    /// Whether bytes that are no header were probably meant to be this one: what a torn write or a flipped bit leaves.
    /// Old contents of the file have another number and another sequence.
    pub(super) fn resembles(bytes: &[u8; HEADER_BYTES], file_number: u64, sequence: u64) -> bool {
        let header = Self::parse_unchecked(bytes);
        let agreeing = [bytes[..4] == MAGIC, header.file_number == file_number, header.sequence == sequence];
        agreeing.iter().filter(|&&agrees| agrees).count() >= 2
    }

    pub(super) fn payload_is_whole(&self, payload: &[u8]) -> bool {
        crc32fast::hash(payload) == self.payload_crc
    }

    /// Whether this version knows what the payload is.
    pub(super) fn kind_is_known(&self) -> bool {
        self.kind == KIND_BATCH_IMAGE
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        stored_bytes(self.payload_len as usize)
    }
}

/// What a record with a payload of this length takes.
pub(super) const fn stored_bytes(payload_len: usize) -> u64 {
    (HEADER_BYTES as u64 + payload_len as u64).next_multiple_of(RECORD_ALIGN)
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed_and_still_resembles_it() {
        let header = Header::new(3, 77, 2, b"payload");
        let mut bytes = [0; 48];
        header.write(b"payload", &mut bytes);
        let (start, _) = bytes.split_first_chunk::<HEADER_BYTES>().unwrap();
        assert_eq!(Header::parse(start), Some(header));
        assert!(header.payload_is_whole(b"payload") && !header.payload_is_whole(b"pAyload"));
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = *start;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&damaged), None, "bit {bit}");
            assert!(Header::resembles(&damaged, 3, 77), "bit {bit}");
        }
        assert!(!Header::resembles(start, 4, 78));
    }
}
