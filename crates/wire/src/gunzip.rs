//! A gzip body to the bytes in it, never more of them than the limit: what a collector does before it decodes.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Memory grows by this much at a time, whatever size the body claims to have.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes of a member's header without its optional fields.
const HEADER_BYTES: usize = 10;
/// Bytes behind a member's data: checksum and length.
const TRAILER_BYTES: usize = 8;

const FLAG_CHECKSUM: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const FLAGS_RESERVED: u8 = 0xe0;

/// Why a body could not be decompressed. Texts are those Zipkin 3.5 answers with; it answers all but [`GunzipError::Empty`]
/// with status 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GunzipError {
    /// The first two bytes are not gzip's.
    #[error("Input is not in the GZIP format")]
    NotGzip,
    /// Only deflate is known.
    #[error("Unsupported compression method {0} in the GZIP header")]
    Method(u8),
    /// Header flags that have no meaning.
    #[error("Reserved flags are set in the GZIP header")]
    Flags,
    /// The data is no deflate stream.
    #[error("decompression failure")]
    Corrupt,
    /// The checksum behind the data is another.
    #[error("CRC value mismatch. Expected: {expected}, Got: {got}")]
    #[expect(missing_docs, reason = "the text says it")]
    Checksum { expected: u32, got: u32 },
    /// The length behind the data is another.
    #[error("Number of bytes mismatch. Expected: {expected}, Got: {got}")]
    #[expect(missing_docs, reason = "the text says it")]
    Length { expected: u32, got: u32 },
    /// Nothing came out: the body is cut in its header, or holds nothing. Zipkin's status is 400.
    #[error("Cannot gunzip spans")]
    Empty,
    /// The body decompresses to more than the limit; decompression stopped there.
    #[error("the body decompresses to more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

/// Decompresses a body of one or more gzip members to at most `limit_bytes`.
///
/// As Zipkin's: a body that is cut gives what came before the cut (a decoder of spans then says what is missing), a cut
/// header behind a whole member is ignored, and a body that gives nothing is refused.
pub fn gunzip(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, GunzipError> {
    let mut out = Vec::new();
    let mut rest = body;
    while let Some(data) = skip_header(rest)? {
        let from = out.len();
        let Some(used) = inflate(data, &mut out, limit_bytes)? else { break };
        let Some((trailer, next)) = data[used..].split_first_chunk::<TRAILER_BYTES>() else { break };
        check_trailer(*trailer, &out[from..])?;
        rest = next;
    }
    if out.is_empty() { Err(GunzipError::Empty) } else { Ok(out) }
}

/// What follows a member's header; `None` where the body ends before the header does.
fn skip_header(body: &[u8]) -> Result<Option<&[u8]>, GunzipError> {
    let Some((header, mut rest)) = body.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [0x1f, 0x8b, method, flags, ..] = *header else { return Err(GunzipError::NotGzip) };
    if method != 8 {
        return Err(GunzipError::Method(method));
    }
    if flags & FLAGS_RESERVED != 0 {
        return Err(GunzipError::Flags);
    }
    if flags & FLAG_EXTRA != 0 {
        let Some((len, behind)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        let Some(behind) = behind.get(usize::from(u16::from_le_bytes(*len))..) else { return Ok(None) };
        rest = behind;
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            let Some(end) = memchr::memchr(0, rest) else { return Ok(None) };
            rest = &rest[end + 1..];
        }
    }
    if flags & FLAG_CHECKSUM != 0 {
        let Some(behind) = rest.get(2..) else { return Ok(None) };
        rest = behind;
    }
    Ok(Some(rest))
}

/// Appends a member's data; answers how much of `data` it took, or `None` where that ends too early.
fn inflate(data: &[u8], out: &mut Vec<u8>, limit_bytes: usize) -> Result<Option<usize>, GunzipError> {
    let mut stream = Decompress::new(false);
    loop {
        let (used, written) = (stream.total_in(), stream.total_out());
        let filled = out.len();
        // One byte past the limit tells a body that fits exactly from one that is too large.
        let room = (limit_bytes - filled).saturating_add(1).min(CHUNK_BYTES);
        out.resize(filled + room, 0);
        let status = stream.decompress(&data[used as usize..], &mut out[filled..], FlushDecompress::None);
        out.truncate(filled + (stream.total_out() - written) as usize);
        if out.len() > limit_bytes {
            return Err(GunzipError::TooLarge { limit_bytes });
        }
        match status.map_err(|_| GunzipError::Corrupt)? {
            Status::StreamEnd => return Ok(Some(stream.total_in() as usize)),
            Status::Ok | Status::BufError => {
                if (stream.total_in(), stream.total_out()) == (used, written) {
                    return Ok(None);
                }
            }
        }
    }
}

fn check_trailer(trailer: [u8; TRAILER_BYTES], data: &[u8]) -> Result<(), GunzipError> {
    let [a, b, c, d, e, f, g, h] = trailer;
    let mut crc = Crc::new();
    crc.update(data);
    let (expected, got) = (u32::from_le_bytes([a, b, c, d]), crc.sum());
    if expected != got {
        return Err(GunzipError::Checksum { expected, got });
    }
    let (expected, got) = (u32::from_le_bytes([e, f, g, h]), data.len() as u32);
    if expected != got { Err(GunzipError::Length { expected, got }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(data).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    #[test]
    fn members_follow_one_another() {
        let body = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(gunzip(&body, 100).as_deref(), Ok(&b"one two"[..]));
    }

    #[test]
    fn optional_header_fields_are_passed_over() {
        let plain = gzip(b"data");
        let flags = FLAG_EXTRA | FLAG_NAME | FLAG_COMMENT | FLAG_CHECKSUM;
        let fields = b"\x03\0abcname\0comment\0\x12\x34";
        let body = [&plain[..3], &[flags], &plain[4..10], fields, &plain[10..]].concat();
        assert_eq!(gunzip(&body, 100).as_deref(), Ok(&b"data"[..]));
        for cut in 10..10 + fields.len() {
            assert_eq!(gunzip(&body[..cut], 100), Err(GunzipError::Empty), "{cut}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(gunzip(&bomb, 1 << 20), Err(GunzipError::TooLarge { limit_bytes: 1 << 20 }));
        let exact = gzip(&vec![b'x'; 200_000]);
        assert_eq!(gunzip(&exact, 200_000).map(|data| data.len()), Ok(200_000));
        assert_eq!(gunzip(&exact, 199_999), Err(GunzipError::TooLarge { limit_bytes: 199_999 }));
        assert_eq!(gunzip(&exact, usize::MAX).map(|data| data.len()), Ok(200_000));
    }

    /// Every answer as Zipkin 3.5.1 gave it.
    #[test]
    fn faults_are_named_as_zipkin_names_them() {
        let body = gzip(br#"[{"traceId":"1","id":"1"}]"#);
        let with = |at: usize, bytes: &[u8]| [&body[..at], bytes, &body[at + bytes.len()..]].concat();
        let len = body.len();
        let check = |body: Vec<u8>, expect: &str| match gunzip(&body, 1000) {
            Ok(data) => assert_eq!(String::from_utf8_lossy(&data), expect),
            Err(error) => assert_eq!(error.to_string(), expect),
        };
        check(b"[{\"traceId\":\"1\"}]".to_vec(), "Input is not in the GZIP format");
        check(with(len - 8, b"aaaa"), "CRC value mismatch. Expected: 1633771873, Got: 1124708719");
        check(with(len - 4, b"aaaa"), "Number of bytes mismatch. Expected: 1633771873, Got: 26");
        check(with(2, b"\x07"), "Unsupported compression method 7 in the GZIP header");
        check(with(3, b"\xe0"), "Reserved flags are set in the GZIP header");
        check(with(10, &[0xff; 20]), "decompression failure");
        check([&body[..], &[0; 20]].concat(), "Input is not in the GZIP format");
        check([&body[..], b"xyz"].concat(), r#"[{"traceId":"1","id":"1"}]"#);
        check(gzip(b""), "Cannot gunzip spans");
        check(b"x".to_vec(), "Cannot gunzip spans");
        check(body[..len - 8].to_vec(), r#"[{"traceId":"1","id":"1"}]"#);
        for cut in 0..11 {
            check(body[..cut].to_vec(), "Cannot gunzip spans");
        }
    }

    #[test]
    fn a_cut_body_gives_what_came_before_the_cut() {
        let whole: Vec<u8> = (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let body = gzip(&whole);
        let half = gunzip(&body[..body.len() / 2], 1 << 20).expect("half a body");
        assert!(half.len() > 50_000 && whole.starts_with(&half));
    }
}
