//! A bounded queue from one thread to the reporter's: words in a ring, without locks and without `unsafe`.
//!
//! Every slot is an atomic word, written and read with relaxed order; the two positions carry the order. The writer
//! publishes `head` after its words (release), the reader takes `head` before them (acquire); the reader publishes
//! `tail` after it has read, the writer takes `tail` before it writes over them. Positions only grow, so "full" and
//! "empty" differ. What does not fit is refused as a whole: the newest record is dropped, and counted by the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Keeps the two ends from sharing a cache line (and its neighbour, which is fetched with it).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Debug)]
struct Ring {
    /// As many as a power of two.
    words: Box<[AtomicU64]>,
    /// Where the next word will be written.
    head: Apart<AtomicUsize>,
    /// Where the next word will be read.
    tail: Apart<AtomicUsize>,
    closed: AtomicBool,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Writer {
    ring: Arc<Ring>,
    head: usize,
    /// The tail as last seen: at most the true one.
    tail: usize,
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Arc<Ring>,
}

/// A ring of at least that many words.
pub(crate) fn ring(words_min: usize) -> (Writer, Reader) {
    let words = (0..words_min.next_power_of_two()).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring { words, head: Apart::default(), tail: Apart::default(), closed: AtomicBool::new(false) };
    let ring = Arc::new(ring);
    (Writer { ring: Arc::clone(&ring), head: 0, tail: 0 }, Reader { ring })
}

impl Writer {
    /// Writes a record: `head` words, then bytes, padded to a word. False: it does not fit, and nothing was written.
    pub(crate) fn push(&mut self, head: &[u64], bytes: &[u8]) -> bool {
        let needed = head.len() + bytes.len().div_ceil(8);
        let slots = self.ring.words.len();
        if self.head - self.tail + needed > slots {
            self.tail = self.ring.tail.0.load(Ordering::Acquire);
            if self.head - self.tail + needed > slots {
                return false;
            }
        }
        let start = self.head & (slots - 1);
        match self.ring.words.get(start..start + needed) {
            Some(straight) => {
                let (for_head, for_bytes) = straight.split_at(head.len());
                store(for_head, head);
                store_bytes(for_bytes, bytes);
            }
            None => self.push_around(start, head, bytes),
        }
        self.head += needed;
        self.ring.head.0.store(self.head, Ordering::Release);
        true
    }

    /// The record goes on at the ring's beginning.
    #[cold]
    fn push_around(&self, start: usize, head: &[u64], bytes: &[u8]) {
        let (before, after) = self.ring.words.split_at(start);
        let mut slots = after.iter().chain(before);
        store(slots.by_ref().take(head.len()), head);
        store_bytes(slots, bytes);
    }

    /// Whether more than half of it is waiting, as far as this end knows.
    pub(crate) fn is_half_full(&self) -> bool {
        (self.head - self.tail) * 2 > self.ring.words.len()
    }

    /// Takes note of what was read meanwhile.
    pub(crate) fn look(&mut self) {
        self.tail = self.ring.tail.0.load(Ordering::Acquire);
    }
}

#[inline]
fn store<'a>(slots: impl IntoIterator<Item = &'a AtomicU64>, words: &[u64]) {
    for (word, slot) in words.iter().zip(slots) {
        slot.store(*word, Ordering::Relaxed);
    }
}

/// The last word is padded with zeros.
#[inline]
fn store_bytes<'a>(slots: impl IntoIterator<Item = &'a AtomicU64>, bytes: &[u8]) {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut slots = slots.into_iter();
    for (chunk, slot) in chunks.iter().zip(&mut slots) {
        slot.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if let (false, Some(slot)) = (rest.is_empty(), slots.next()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        slot.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
    }
}

impl Reader {
    /// Appends all that waits to `out`, each word as 8 little-endian bytes. Records come whole: a writer publishes
    /// them so.
    pub(crate) fn drain(&self, out: &mut Vec<u8>) {
        let head = self.ring.head.0.load(Ordering::Acquire);
        // Only this end writes the tail.
        let tail = self.ring.tail.0.load(Ordering::Relaxed);
        let (before, after) = self.ring.words.split_at(tail & (self.ring.words.len() - 1));
        out.reserve((head - tail) * 8);
        for slot in after.iter().chain(before).take(head - tail) {
            out.extend_from_slice(&slot.load(Ordering::Relaxed).to_le_bytes());
        }
        self.ring.tail.0.store(head, Ordering::Release);
    }

    /// Whether the writer is gone. Ask before the last [`Reader::drain`], not after it.
    pub(crate) fn is_closed(&self) -> bool {
        self.ring.closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(bytes: &[u8]) -> Vec<u64> {
        bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
    }

    #[test]
    fn drops_the_newest_whole_when_full() {
        let (mut writer, reader) = ring(4);
        assert!(writer.push(&[1, 2], b"12345678"));
        assert!(!writer.push(&[3], b"123456789"));
        assert!(writer.push(&[4], b""));
        let mut out = Vec::new();
        reader.drain(&mut out);
        assert_eq!(words(&out), [1, 2, u64::from_le_bytes(*b"12345678"), 4]);
        assert!(writer.push(&[5; 4], b""));
    }

    #[test]
    fn every_record_arrives_once_and_in_order_across_threads() {
        let (mut writer, reader) = ring(64);
        let record = |number: u64| vec![number; 1 + (number % 7) as usize];
        let writing = std::thread::spawn(move || {
            for number in 0..20_000 {
                while !writer.push(&record(number), &[]) {
                    std::thread::yield_now();
                }
            }
        });
        let mut out = Vec::new();
        loop {
            let closed = reader.is_closed();
            reader.drain(&mut out);
            if closed {
                break;
            }
            std::thread::yield_now();
        }
        writing.join().unwrap();
        assert_eq!(words(&out), (0..20_000).flat_map(record).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn holds_what_was_pushed(
            records in prop::collection::vec((1u64..4, prop::collection::vec(any::<u8>(), 0..40)), 1..60),
        ) {
            let (mut writer, reader) = ring(32);
            for (head_words, bytes) in records {
                let head: Vec<u64> = (0..head_words).collect();
                prop_assert!(writer.push(&head, &bytes));
                let mut out = Vec::new();
                reader.drain(&mut out);
                let (out_head, out_bytes) = out.split_at(head.len() * 8);
                prop_assert_eq!(words(out_head), head);
                prop_assert_eq!(&out_bytes[..bytes.len()], &bytes[..]);
                prop_assert_eq!(out_bytes.len(), bytes.len().next_multiple_of(8));
            }
        }
    }
}
