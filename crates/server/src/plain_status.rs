//! Connections on which `grpc-status` goes out as the plain digits that Go's servers write.
//!
//! The HTTP/2 library Huffman-codes every text, Go's only those that become shorter by it, and the digits of a status do not.
//! Both are right and equally long, but scripts made for Jaeger and Zipkin look for the digits. So they are put where their
//! code stands, in frames of headers only. A status that a write cuts in two goes out as it is, which every client reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the name `grpc-status` is written: its length with the bit that says Huffman, then its code (RFC 7541, appendix B).
const NAME: [u8; 9] = [0x88, 0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
/// gRPC's codes are 0 to 16.
const CODE_MAX: u8 = 16;
const HEADER_BYTES: usize = 9;
const FRAME_OF_HEADERS: u8 = 1;

/// A connection whose outgoing bytes are looked at.
pub(crate) struct PlainStatus<S> {
    stream: S,
    place: Place,
}

/// Where in what goes out the next byte belongs.
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    /// HTTP/1 has no such status.
    Http1,
    /// In the head of an HTTP/2 frame, of which so many bytes are known.
    Head([u8; HEADER_BYTES], usize),
    /// In a frame: its kind, and how much of it is to come.
    Frame(u8, usize),
}

impl<S> PlainStatus<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, place: Place::Start }
    }
}

impl Place {
    /// Goes over bytes that follow; hands out those that belong to frames of headers, with where they begin.
    fn advance(&mut self, bytes: &[u8], mut headers: impl FnMut(usize, &[u8])) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self {
                Self::Start if rest[0] == b'H' => *self = Self::Http1,
                Self::Start => *self = Self::Head([0; HEADER_BYTES], 0),
                Self::Http1 => return,
                Self::Head(head, known) => {
                    let more = rest.len().min(HEADER_BYTES - *known);
                    head[*known..*known + more].copy_from_slice(&rest[..more]);
                    *known += more;
                    at += more;
                    if *known == HEADER_BYTES {
                        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                        *self = if len == 0 { Self::Head([0; HEADER_BYTES], 0) } else { Self::Frame(head[3], len) };
                    }
                }
                Self::Frame(kind, left) => {
                    let more = rest.len().min(*left);
                    if *kind == FRAME_OF_HEADERS {
                        headers(at, &rest[..more]);
                    }
                    at += more;
                    *left -= more;
                    if *left == 0 {
                        *self = Self::Head([0; HEADER_BYTES], 0);
                    }
                }
            }
        }
    }

    /// The same bytes with the plain status, where there is one to put.
    fn patched(mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut patched: Option<Vec<u8>> = None;
        self.advance(bytes, |start, headers| {
            if let Some((at, digits)) = status_in(headers) {
                let patched = patched.get_or_insert_with(|| bytes.to_vec());
                let at = start + at;
                patched[at] = digits.len() as u8;
                patched[at + 1..at + 1 + digits.len()].copy_from_slice(digits.as_bytes());
            }
        });
        patched
    }
}

/// Where the value of a Huffman-coded status stands, from its length on, and its digits.
fn status_in(headers: &[u8]) -> Option<(usize, String)> {
    let at = headers.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let coded = &headers[at..];
    let digits = (0..=CODE_MAX).map(|code| code.to_string());
    digits.into_iter().find(|digits| coded.starts_with(&huffman(digits))).map(|digits| (at, digits))
}

/// Digits as RFC 7541 codes them, their length before them: 0 to 2 in five bits, 3 to 9 in six, ones to the end of the byte.
fn huffman(digits: &str) -> Vec<u8> {
    let (mut bits, mut len) = (0_u32, 0);
    for digit in digits.bytes().map(|byte| u32::from(byte - b'0')) {
        let (code, more) = if digit < 3 { (digit, 5) } else { (0x19 + digit - 3, 6) };
        (bits, len) = (bits << more | code, len + more);
    }
    let bytes = usize::div_ceil(len, 8);
    let padding = bytes * 8 - len;
    bits = bits << padding | ((1 << padding) - 1);
    let mut coded = vec![0x80 | bytes as u8];
    coded.extend_from_slice(&bits.to_be_bytes()[4 - bytes..]);
    coded
}

impl<S: AsyncRead + Unpin> AsyncRead for PlainStatus<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PlainStatus<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let patched = self.place.patched(bytes);
        let written = Pin::new(&mut self.stream).poll_write(context, patched.as_deref().unwrap_or(bytes));
        if let Poll::Ready(Ok(written)) = written {
            self.place.advance(&bytes[..written], |_, _| {});
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // What stands before a slice that is to be changed goes first.
        let mut place = self.place;
        let changed = slices.iter().position(|slice| {
            let changes = place.patched(slice).is_some();
            place.advance(slice, |_, _| {});
            changes
        });
        if changed == Some(0) {
            return self.poll_write(context, &slices[0]);
        }
        let slices = &slices[..changed.unwrap_or(slices.len())];
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(mut left)) = written {
            for slice in slices {
                let of_slice = left.min(slice.len());
                self.place.advance(&slice[..of_slice], |_, _| {});
                left -= of_slice;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, 4, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        frame
    }

    fn status(value: &[u8]) -> Vec<u8> {
        [&[0x40], &NAME[..], value].concat()
    }

    /// What goes out for what is written, all at once.
    async fn sent(writes: &[&[u8]]) -> Vec<u8> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut connection = PlainStatus::new(ours);
        for bytes in writes {
            connection.write_all(bytes).await.unwrap();
        }
        drop(connection);
        let mut sent = vec![];
        theirs.read_to_end(&mut sent).await.unwrap();
        sent
    }

    #[test]
    fn digits_are_coded_as_in_the_rfc() {
        // Appendix C.4.1 and C.6.1 code `302` as 6402 and a date's digits; those of one digit are by the table.
        assert_eq!(huffman("302"), [0x82, 0x64, 0x02]);
        assert_eq!((huffman("0"), huffman("9")), (vec![0x81, 0x07], vec![0x81, 0x7f]));
    }

    #[tokio::test]
    async fn every_status_goes_out_as_digits_and_nothing_else_changes() {
        for code in 0..=CODE_MAX {
            let digits = code.to_string();
            let coded = status(&huffman(&digits));
            let plain = status(&[&[digits.len() as u8], digits.as_bytes()].concat());
            assert_eq!(coded.len(), plain.len());
            let (settings, data) = (frame(4, &[]), frame(0, &coded));
            let written = [settings.clone(), data.clone(), frame(1, &coded), data.clone()].concat();
            let expected = [settings, data.clone(), frame(1, &plain), data].concat();
            assert_eq!(sent(&[&written]).await, expected);
            for cut in 0..written.len() {
                let sent = sent(&[&written[..cut], &written[cut..]]).await;
                assert!(sent == expected || sent == written, "cut at {cut}: neither plain nor as it was");
            }
        }
        let http1 = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), frame(1, &status(&huffman("0")))].concat();
        assert_eq!(sent(&[&http1]).await, http1);
    }

    #[tokio::test]
    async fn slices_before_a_status_go_first() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut connection = PlainStatus::new(ours);
        let (data, headers) = (frame(0, b"message"), frame(1, &status(&huffman("12"))));
        let mut left = [data.clone(), headers.clone()].concat();
        while !left.is_empty() {
            let border = left.len().saturating_sub(headers.len());
            let slices = [IoSlice::new(&left[..border]), IoSlice::new(&left[border..])];
            let slices = if border == 0 { &slices[1..] } else { &slices[..] };
            let written = connection.write_vectored(slices).await.unwrap();
            left.drain(..written);
        }
        drop(connection);
        let mut sent = vec![];
        theirs.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, [data, frame(1, &status(b"\x0212"))].concat());
    }
}
