//! Where a page ended: opaque to who has it. The order of traces, newest match first, then by id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::cmp::Reverse;
use tracewell_model::TraceId;
use tracewell_store::DependencyWindow;

/// A trace's place in the order of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Reverse<u64>, TraceId);

/// The next page's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The time range that the first page was asked for.
    pub(super) whole: DependencyWindow,
    /// What comes behind this.
    pub(super) after: Key,
}

const BYTES: usize = 40;

impl Key {
    pub(super) fn of(match_us: u64, trace: TraceId) -> Self {
        Self(Reverse(match_us), trace)
    }

    /// Behind it is everything that is not newer than this.
    pub(super) fn behind(match_us: u64) -> Self {
        Self(Reverse(match_us.saturating_add(1)), TraceId::new(u128::MAX))
    }

    pub(super) fn match_us(self) -> u64 {
        self.0.0
    }
}

impl Cursor {
    pub(super) fn text(self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        for number in [self.whole.start_us, self.whole.end_us, self.after.match_us()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.after.1.value().to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let whole = DependencyWindow { start_us: number(0)?, end_us: number(8)? };
        let trace = TraceId::new(bytes[24..].try_into().map(u128::from_le_bytes).ok()?);
        Some(Self { whole, after: Key::of(number(16)?, trace) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let whole = DependencyWindow { start_us: 5, end_us: u64::MAX };
        let cursor = Cursor { whole, after: Key::of(7, TraceId::new(u128::MAX - 1)) };
        assert_eq!(Cursor::read(&cursor.text()), Some(cursor));
        assert_eq!((Cursor::read(""), Cursor::read("?"), Cursor::read("AAAA")), (None, None, None));
        assert!(Key::of(8, TraceId::new(9)) < Key::behind(7) && Key::behind(7) < Key::of(7, TraceId::new(0)));
    }
}
