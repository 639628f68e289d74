//! A bounded queue from one thread to the reporter's: words in a ring, without locks and without `unsafe`.
//!
//! Every slot is an atomic word, written and read with relaxed order; the two positions carry the order. The writer
//! publishes `head` after its words (release), the reader takes `head` before them (acquire); the reader publishes
//! `tail` after it has read, the writer takes `tail` before it writes over them. Positions only grow, so "full" and
//! "empty" differ. What does not fit is refused as a whole: the newest record is dropped, and counted by the caller.

use super::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Ordering};

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
    /// Writes a record, in two parts. False: it does not fit, and nothing was written.
    #[inline]
    pub(crate) fn push<const N: usize>(&mut self, head: &[u64; N], body: &[u64]) -> bool {
        let needed = N + body.len();
        let slots = self.ring.words.len();
        if self.head - self.tail + needed > slots {
            self.look();
            if self.head - self.tail + needed > slots {
                return false;
            }
        }
        let start = self.head & (slots - 1);
        match self.ring.words.get(start..start + needed).and_then(|straight| straight.split_first_chunk()) {
            Some((for_head, for_body)) => {
                store_each::<N>(for_head, head);
                store(for_body, body);
            }
            None => self.push_around(start, head, body),
        }
        self.head += needed;
        self.ring.head.0.store(self.head, Ordering::Release);
        true
    }

    /// The record goes on at the ring's beginning.
    #[cold]
    fn push_around(&self, start: usize, head: &[u64], body: &[u64]) {
        let (before, after) = self.ring.words.split_at(start);
        for (slot, word) in after.iter().chain(before).zip(head.iter().chain(body)) {
            slot.store(*word, Ordering::Relaxed);
        }
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

/// Words a turn of a loop; loops over atomic words are left as they are by the compiler.
const AT_ONCE: usize = 4;

#[inline]
fn load(places: &mut [[u8; 8]], slots: &[AtomicU64]) {
    let (chunks, rest) = places.as_chunks_mut::<AT_ONCE>();
    let (slot_chunks, slots) = slots[..slots.len().min(chunks.len() * AT_ONCE + rest.len())].as_chunks::<AT_ONCE>();
    for (places, slots) in chunks.iter_mut().zip(slot_chunks) {
        *places = std::array::from_fn(|at| slots[at].load(Ordering::Relaxed).to_le_bytes());
    }
    for (place, slot) in rest.iter_mut().zip(slots) {
        *place = slot.load(Ordering::Relaxed).to_le_bytes();
    }
}

/// As many slots as words.
#[inline]
fn store(slots: &[AtomicU64], words: &[u64]) {
    let (slot_chunks, slots) = slots.as_chunks::<AT_ONCE>();
    let (chunks, rest) = words.as_chunks::<AT_ONCE>();
    for (slots, words) in slot_chunks.iter().zip(chunks) {
        store_each(slots, words);
    }
    for (slot, word) in slots.iter().zip(rest) {
        slot.store(*word, Ordering::Relaxed);
    }
}

#[expect(clippy::inline_always, reason = "the loop goes away")]
#[inline(always)]
fn store_each<const N: usize>(slots: &[AtomicU64; N], words: &[u64; N]) {
    for at in 0..N {
        slots[at].store(words[at], Ordering::Relaxed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
    }
}

impl Reader {
    /// Writes all that waits to `out`, from `filled` on, each word as 8 little-endian bytes; answers up to where. What is
    /// behind that in `out` was left by others, so that nothing is zeroed first. Records come whole: a writer publishes
    /// them so.
    #[must_use]
    pub(crate) fn drain(&self, out: &mut Vec<u8>, filled: usize) -> usize {
        let head = self.ring.head.0.load(Ordering::Acquire);
        // Only this end writes the tail.
        let tail = self.ring.tail.0.load(Ordering::Relaxed);
        let (before, after) = self.ring.words.split_at(tail & (self.ring.words.len() - 1));
        let end = filled + (head - tail) * 8;
        if out.len() < end {
            out.resize(end, 0);
        }
        let places = out[filled..end].as_chunks_mut::<8>().0;
        let (straight, around) = places.split_at_mut(after.len().min(places.len()));
        load(straight, after);
        load(around, before);
        self.ring.tail.0.store(head, Ordering::Release);
        end
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
        assert!(writer.push(&[1, 2], &[3]));
        assert!(!writer.push(&[4], &[5]));
        assert!(writer.push(&[6], &[]));
        let mut out = Vec::new();
        assert_eq!(reader.drain(&mut out, 0), 32);
        assert_eq!(words(&out), [1, 2, 3, 6]);
        assert!(writer.push(&[7; 4], &[]));
    }

    #[test]
    fn every_record_arrives_once_and_in_order_across_threads() {
        let (mut writer, reader) = ring(64);
        let record = |number: u64| vec![number; 1 + (number % 7) as usize];
        let writing = std::thread::spawn(move || {
            for number in 0..20_000 {
                while !writer.push(&[], &record(number)) {
                    std::thread::yield_now();
                }
            }
        });
        let (mut out, mut filled) = (Vec::new(), 0);
        loop {
            let closed = reader.is_closed();
            filled = reader.drain(&mut out, filled);
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
            records in prop::collection::vec((any::<[u64; 2]>(), prop::collection::vec(any::<u64>(), 0..20)), 1..60),
        ) {
            let (mut writer, reader) = ring(32);
            for (head, body) in records {
                prop_assert!(writer.push(&head, &body));
                let mut out = vec![0; 8 + body.len()];
                let filled = reader.drain(&mut out, 8);
                out.truncate(filled);
                prop_assert_eq!(words(&out), [&[0], &head[..], &body].concat());
            }
        }
    }
}
