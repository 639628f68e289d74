//! Compressed bodies to the bytes in them, strictly: what is cut or damaged is refused, and nothing grows beyond the limit or
//! beyond the memory there is. (Zipkin's reading of gzip, which takes what came before a cut, is in `wire`.)

use crate::budget::{Reserved, Spent};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Read};
use tracewell_wire::{GunzipError, gunzip};

/// Memory grows by this much at a time, whatever size a body claims to have.
const CHUNK_BYTES: usize = 64 << 10;
/// The largest window of zstd that is taken, as RFC 8878 recommends: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    /// gzip as Zipkin's server reads it.
    ZipkinGzip,
    Gzip,
    /// zlib, as HTTP's `deflate` means it; bare deflate is taken too.
    Deflate,
    Zstd,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecompressError {
    #[error("the body decompresses to more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("no memory is left for it")]
    MemorySpent,
    #[error(transparent)]
    Gunzip(GunzipError),
    #[error("{0}")]
    Damaged(io::Error),
}

/// The bytes in a body, at most `bytes_max` of them; what they take is reserved.
pub(crate) fn decompress(
    body: &[u8],
    coding: Coding,
    bytes_max: usize,
    reserved: &mut Reserved,
) -> Result<Vec<u8>, DecompressError> {
    match coding {
        Coding::ZipkinGzip => zipkin_gunzip(body, bytes_max, reserved),
        Coding::Plain => read(body, bytes_max, reserved),
        Coding::Gzip => read(MultiGzDecoder::new(body), bytes_max, reserved),
        // The first byte of zlib names the method, and both make a multiple of 31.
        Coding::Deflate => match body {
            [a, b, ..] if a & 15 == 8 && (usize::from(*a) << 8 | usize::from(*b)) % 31 == 0 => {
                read(ZlibDecoder::new(body), bytes_max, reserved)
            }
            _ => read(DeflateDecoder::new(body), bytes_max, reserved),
        },
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(DecompressError::Damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(DecompressError::Damaged)?;
            read(decoder, bytes_max, reserved)
        }
    }
}

/// A size to expect, before it is known.
pub(crate) fn expected_bytes(body: &[u8], coding: Coding, bytes_max: usize) -> usize {
    match coding {
        Coding::Plain => body.len(),
        Coding::ZipkinGzip | Coding::Gzip => claimed_bytes(body).min(bytes_max).max(body.len()),
        Coding::Deflate | Coding::Zstd => body.len().saturating_mul(8).min(bytes_max),
    }
}

fn read(mut from: impl Read, bytes_max: usize, reserved: &mut Reserved) -> Result<Vec<u8>, DecompressError> {
    let mut out = vec![];
    loop {
        let filled = out.len();
        // One byte more than allowed tells whether there is more.
        let room = CHUNK_BYTES.max(filled / 2).min(bytes_max + 1 - filled);
        reserved.grow(room).map_err(|Spent| DecompressError::MemorySpent)?;
        out.resize(filled + room, 0);
        let mut at = filled;
        while at < out.len() {
            match from.read(&mut out[at..]) {
                Ok(0) => {
                    out.truncate(at);
                    return Ok(out);
                }
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DecompressError::Damaged(error)),
            }
        }
        if out.len() > bytes_max {
            return Err(DecompressError::TooLarge { bytes_max });
        }
    }
}

fn zipkin_gunzip(body: &[u8], bytes_max: usize, reserved: &mut Reserved) -> Result<Vec<u8>, DecompressError> {
    let claimed = claimed_bytes(body).min(bytes_max);
    reserved.grow(claimed).map_err(|Spent| DecompressError::MemorySpent)?;
    let plain = match gunzip(body, claimed) {
        Err(GunzipError::TooLarge { .. }) if claimed < bytes_max => {
            // It holds more than it says. It gets what is allowed, if there is so much.
            reserved.grow(bytes_max - claimed).map_err(|Spent| DecompressError::MemorySpent)?;
            gunzip(body, bytes_max)
        }
        plain => plain,
    };
    plain.map_err(|error| match error {
        GunzipError::TooLarge { limit_bytes } => DecompressError::TooLarge { bytes_max: limit_bytes },
        error => DecompressError::Gunzip(error),
    })
}

/// The length that a gzip body gives at its end, of its last member, modulo 2^32.
fn claimed_bytes(body: &[u8]) -> usize {
    body.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn packed(text: &[u8]) -> [(Coding, Vec<u8>); 4] {
        let level = Compression::fast();
        let mut gzip = GzEncoder::new(vec![], level);
        gzip.write_all(text).unwrap();
        let mut zlib = ZlibEncoder::new(vec![], level);
        zlib.write_all(text).unwrap();
        let mut bare = DeflateEncoder::new(vec![], level);
        bare.write_all(text).unwrap();
        [
            (Coding::Gzip, gzip.finish().unwrap()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, bare.finish().unwrap()),
            (Coding::Zstd, zstd::encode_all(text, 1).unwrap()),
        ]
    }

    #[test]
    fn what_was_packed_comes_out() {
        let budget = Budget::new(1 << 30);
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 1 << 20] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            for (coding, body) in packed(&text) {
                assert_eq!(decompress(&body, coding, length, &mut budget.reserve()).unwrap(), text, "{coding:?}");
            }
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let budget = Budget::new(1 << 30);
        for (coding, body) in packed(b"a text that is long enough to be cut, a text that is long enough") {
            // Nothing at all is a body of nothing.
            for end in 1..body.len() {
                let cut = decompress(&body[..end], coding, 1 << 20, &mut budget.reserve());
                assert!(cut.is_err(), "{coding:?} {end} of {}", body.len());
            }
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        let budget = Budget::new(300_000);
        for (coding, body) in packed(&[0; 1 << 20]) {
            let mut reserved = budget.reserve();
            let bounded = decompress(&body, coding, 1000, &mut reserved);
            assert!(matches!(bounded, Err(DecompressError::TooLarge { bytes_max: 1000 })), "{coding:?}");
            let spent = decompress(&body, coding, 1 << 24, &mut reserved);
            assert!(matches!(spent, Err(DecompressError::MemorySpent)), "{coding:?}");
        }
    }
}
