//! Reads a log file from front to back: finds the records of this use of the file, whole or damaged, and what lies between.

use super::record::{HEADER_BYTES, Header, MAGIC, RECORD_ALIGN};
use crate::disk::{BLOCK_BYTES, DiskFile};
use crate::seams::SeamError;

/// How much is read at once.
const WINDOW_BYTES: u64 = if cfg!(test) { 5000 } else { 1 << 20 };

/// What stands at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record whose checksums agree.
    Whole(Header),
    /// A header whose checksum agrees before a payload whose does not.
    DamagedPayload(Header),
    /// Bytes that look like the header of the record wanted here, but are none.
    DamagedHeader,
    /// Nothing of this use of the file.
    Nothing,
}

/// A file being read.
pub(super) struct LogScan {
    file: Box<dyn DiskFile>,
    number: u64,
    len: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl LogScan {
    pub(super) fn new(file: Box<dyn DiskFile>, number: u64) -> Result<Self, SeamError> {
        let len = file.size_bytes()?;
        Ok(Self { file, number, len, window: vec![], window_start: 0 })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Looks at the place where the record `expected` should start: right behind the one before or, when that was the last
    /// of its group, at the next block. Answers where it looked, too.
    pub(super) fn expect(&mut self, at: u64, expected: u64) -> Result<(u64, Found), SeamError> {
        let here = self.look(at, expected)?;
        let next_block = at.next_multiple_of(BLOCK_BYTES as u64);
        if here == Found::Nothing && next_block != at {
            return Ok((next_block, self.look(next_block, expected)?));
        }
        Ok((at, here))
    }

    /// The first whole record at or behind a place that `wanted` takes.
    pub(super) fn find_whole(
        &mut self,
        from: u64,
        wanted: impl Fn(&Header) -> bool,
    ) -> Result<Option<(u64, Header)>, SeamError> {
        let mut from = from;
        while let Some(at) = self.find_magic(from)?
            && let Some(header) = self.header_bytes(at)?
        {
            if let Some(header) = Header::parse(&header).filter(|header| header.file_number == self.number)
                && wanted(&header)
                && let Some(payload) = self.payload(at, &header)?
                && header.payload_is_whole(payload)
            {
                return Ok(Some((at, header)));
            }
            from = at + 1;
        }
        Ok(None)
    }

    /// The first place at or behind another where a record may start. Looks through the rest of every file once at a start
    /// that follows a crash, so it is quick.
    fn find_magic(&mut self, from: u64) -> Result<Option<u64>, SeamError> {
        let mut at = from.next_multiple_of(RECORD_ALIGN);
        loop {
            let window_end = self.window_start + self.window.len() as u64;
            let in_window = if at < self.window_start { 0 } else { window_end.saturating_sub(at) };
            let len = if in_window >= RECORD_ALIGN { in_window } else { WINDOW_BYTES.min(self.len.saturating_sub(at)) };
            let Some(bytes) = self.bytes(at, len)?.filter(|bytes| bytes.len() as u64 >= RECORD_ALIGN) else {
                return Ok(None);
            };
            let (places, _) = bytes.as_chunks::<{ RECORD_ALIGN as usize }>();
            if let Some(place) = places.iter().position(|place| place.starts_with(&MAGIC)) {
                return Ok(Some(at + place as u64 * RECORD_ALIGN));
            }
            at += places.len() as u64 * RECORD_ALIGN;
        }
    }

    /// The payload of a record, or nothing if the file ends before it does.
    pub(super) fn payload(&mut self, at: u64, header: &Header) -> Result<Option<&[u8]>, SeamError> {
        self.bytes(at + HEADER_BYTES as u64, u64::from(header.payload_len))
    }

    fn look(&mut self, at: u64, expected: u64) -> Result<Found, SeamError> {
        let Some(bytes) = self.header_bytes(at)? else { return Ok(Found::Nothing) };
        match Header::parse(&bytes) {
            Some(header) if header.file_number == self.number => {
                let whole = self.payload(at, &header)?.is_some_and(|payload| header.payload_is_whole(payload));
                Ok(if whole { Found::Whole(header) } else { Found::DamagedPayload(header) })
            }
            Some(_) => Ok(Found::Nothing),
            None if Header::resembles(&bytes, self.number, expected) => Ok(Found::DamagedHeader),
            None => Ok(Found::Nothing),
        }
    }

    fn header_bytes(&mut self, at: u64) -> Result<Option<[u8; HEADER_BYTES]>, SeamError> {
        let bytes = self.bytes(at, HEADER_BYTES as u64)?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk().copied()))
    }

    /// Bytes of the file, through a window; nothing if it ends before.
    fn bytes(&mut self, at: u64, len: u64) -> Result<Option<&[u8]>, SeamError> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let window_end = self.window_start + self.window.len() as u64;
        if at < self.window_start || at + len > window_end {
            let size = len.max(WINDOW_BYTES).min(self.len - at);
            self.window.resize(size as usize, 0);
            self.window_start = at;
            self.file.read_at(&mut self.window, at).inspect_err(|_| self.window.clear())?;
        }
        let start = (at - self.window_start) as usize;
        Ok(Some(&self.window[start..start + len as usize]))
    }
}
