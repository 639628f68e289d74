//! A small buffer in front of a large one. What an encoder writes of a span are some twenty small pieces: behind a vector,
//! each would look for room and note the new length; here a piece costs a comparison, and the vector sees the span as one.

/// Most spans fit; what does not goes on in the vector.
pub(crate) const STAGE_BYTES: usize = 512;

/// The memory of a [`Stage`], for a caller to keep.
pub(crate) type StageBytes = [u8; STAGE_BYTES];

/// Gathers what goes to the end of a vector.
pub(crate) struct Stage<'o> {
    bytes: &'o mut StageBytes,
    /// At most [`STAGE_BYTES`]; of a type so small that the compiler sees that sums do not overflow.
    at: u16,
    out: &'o mut Vec<u8>,
}

impl<'o> Stage<'o> {
    #[inline]
    pub(crate) fn new(bytes: &'o mut StageBytes, out: &'o mut Vec<u8>) -> Self {
        Self { bytes, at: 0, out }
    }

    /// Appends a piece of known length.
    #[expect(clippy::inline_always, reason = "a few instructions, twenty times a span")]
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, piece: [u8; N]) {
        Place(self.room(N)).put(piece);
    }

    /// Room for so many bytes, all of which are to be written: here, or at once in the vector.
    #[expect(clippy::inline_always, reason = "see `put`")]
    #[inline(always)]
    fn room(&mut self, len: usize) -> &mut [u8] {
        let from = usize::from(self.at);
        if from + len > STAGE_BYTES {
            return self.next_room(len);
        }
        self.at = (from + len) as u16;
        self.bytes.get_mut(from..from + len).unwrap_or_default()
    }

    #[cold]
    fn next_room(&mut self, len: usize) -> &mut [u8] {
        self.spill();
        if len <= STAGE_BYTES {
            self.at = len as u16;
            return &mut self.bytes[..len];
        }
        let from = self.out.len();
        self.out.resize(from + len, 0);
        &mut self.out[from..]
    }

    /// Appends exactly so many bytes, in pieces.
    #[expect(clippy::inline_always, reason = "see `put`")]
    #[inline(always)]
    pub(crate) fn put_pieces(&mut self, len: usize, write: impl FnOnce(&mut Place<'_>)) {
        write(&mut Place(self.room(len)));
    }

    /// The vector, with all that was gathered.
    pub(crate) fn vector(&mut self) -> &mut Vec<u8> {
        self.spill();
        self.out
    }

    #[inline(never)]
    fn spill(&mut self) {
        self.out.extend_from_slice(&self.bytes[..usize::from(self.at)]);
        self.at = 0;
    }

    /// What is still gathered, and the vector, which is to have it.
    #[inline]
    pub(crate) fn into_parts(self) -> (&'o mut [u8], &'o mut Vec<u8>) {
        (&mut self.bytes[..usize::from(self.at)], self.out)
    }
}

/// Room of the right length, filled from its beginning.
pub(crate) struct Place<'p>(&'p mut [u8]);

impl Place<'_> {
    #[expect(clippy::inline_always, reason = "see `Stage::put`")]
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, piece: [u8; N]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *place = piece;
            self.0 = rest;
        }
    }

    #[expect(clippy::inline_always, reason = "see `Stage::put`")]
    #[inline(always)]
    pub(crate) fn put_slice(&mut self, piece: &[u8]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(piece.len()) {
            copy_short(place, piece);
            self.0 = rest;
        }
    }

    /// A number in groups of seven bits, the least first.
    #[inline]
    pub(crate) fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put([value as u8 | 0x80]);
            value >>= 7;
        }
        self.put([value as u8]);
    }
}

/// A copy of mostly a few bytes, in halves that overlap: less than the call of the function that copies any length.
#[expect(clippy::inline_always, reason = "it is there to save a call")]
#[inline(always)]
fn copy_short(to: &mut [u8], from: &[u8]) {
    let len = from.len();
    if to.len() != len {
        return;
    }
    match len {
        0 => {}
        1..4 => (to[0], to[len / 2], to[len - 1]) = (from[0], from[len / 2], from[len - 1]),
        4..8 => copy_ends::<4>(to, from),
        8..16 => copy_ends::<8>(to, from),
        16..=32 => copy_ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// First and last `N` bytes.
#[expect(clippy::inline_always, reason = "see `copy_short`")]
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        if let Some(place) = to.first_chunk_mut() {
            *place = *first;
        }
        if let Some(place) = to.last_chunk_mut() {
            *place = *last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_its_order() {
        let all: Vec<u8> = (0..4000).map(|at| at as u8).collect();
        for step in 1..70 {
            let (mut bytes, mut out) = ([0; STAGE_BYTES], vec![9]);
            let mut stage = Stage::new(&mut bytes, &mut out);
            let mut rest = all.as_slice();
            let mut len = 0;
            while !rest.is_empty() {
                if let Some((piece, behind)) = rest.split_first_chunk::<5>()
                    && len % 3 == 0
                {
                    stage.put(*piece);
                    rest = behind;
                } else if len % 7 == 0 {
                    stage.vector().push(rest[0]);
                    rest = &rest[1..];
                }
                let (piece, behind) = rest.split_at(len.min(rest.len()));
                stage.put_pieces(piece.len(), |place| place.put_slice(piece));
                rest = behind;
                len = (len + step) % 700;
            }
            let (gathered, out) = stage.into_parts();
            out.extend_from_slice(gathered);
            assert!(out[0] == 9 && out[1..] == all, "{step}");
        }
    }

    #[test]
    fn short_copies_are_whole() {
        let from: Vec<u8> = (1..=70).collect();
        for len in 0..from.len() {
            let mut to = vec![0; len];
            copy_short(&mut to, &from[..len]);
            assert_eq!(to, from[..len]);
        }
    }
}
