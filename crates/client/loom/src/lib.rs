//! The client's ring, the file itself, with loom's atomics in place of the standard library's; and what is to hold for it
//! in every order of steps that the memory model allows.

#[path = "../../src/recorder/ring.rs"]
#[expect(dead_code, reason = "how full it is decides nothing here")]
mod ring;

/// What `ring.rs` takes from its neighbour of that name.
mod sync {
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}

use loom::sync::Mutex;
use loom::thread;
use ring::{Reader, ring};
use sync::{Arc, AtomicBool, AtomicU64, Ordering};

/// A reader that looks at any time, and once more when the writer is gone, gets every record that was taken, whole, once
/// and in order.
pub fn records_arrive_whole_once_and_in_order() {
    loom::model(|| {
        let (mut writer, reader) = ring(4);
        let writing = thread::spawn(move || {
            // 3 words of 4; then one that goes on at the ring's beginning if the first was read by then.
            let taken = [writer.push(&[1, 11], &[12]), writer.push(&[2], &[21])];
            let expected = [(taken[0], &[1, 11, 12][..]), (taken[1], &[2, 21][..])];
            expected.iter().filter(|(taken, _)| *taken).flat_map(|(_, words)| words.to_vec()).collect::<Vec<u64>>()
        });
        let mut seen = Vec::new();
        drain(&reader, &mut seen);
        let closed = reader.is_closed();
        drain(&reader, &mut seen);
        let expected = writing.join().unwrap_or_default();
        if closed {
            assert_eq!(seen, expected, "the writer was gone before the last look");
        } else {
            assert!(expected.starts_with(&seen), "{seen:?} of {expected:?}");
            drain(&reader, &mut seen);
            assert_eq!(seen, expected);
        }
    });
}

/// What is written over was read before.
pub fn nothing_is_written_over_unread() {
    loom::model(|| {
        let (mut writer, reader) = ring(2);
        let writing =
            thread::spawn(move || (1..=3).filter(|word| writer.push(&[*word], &[*word])).collect::<Vec<u64>>());
        let mut seen = Vec::new();
        drain(&reader, &mut seen);
        drain(&reader, &mut seen);
        let taken = writing.join().unwrap_or_default();
        drain(&reader, &mut seen);
        assert_eq!(seen, taken.iter().flat_map(|word| [*word; 2]).collect::<Vec<_>>());
    });
}

/// A tracer that is closed while a thread ends spans: every span is reported or counted as dropped. The steps of
/// `Outlet::put`, `Shared::close`, `Shared::take_round`, `Shared::gone` and `Control::count_left_over`, around the real
/// ring.
pub fn a_span_that_ends_while_the_tracer_closes_is_counted() {
    loom::model(|| {
        let (mut writer, reader) = ring(4);
        let closed = Arc::new(AtomicBool::new(false));
        let dropped = Arc::new(AtomicU64::new(0));
        let closing = Arc::new(Mutex::new(false));
        let ending = {
            let (closed, dropped) = (Arc::clone(&closed), Arc::clone(&dropped));
            thread::spawn(move || {
                for span in 1..=2 {
                    if closed.load(Ordering::Acquire) || !writer.push(&[span], &[]) {
                        dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let working = {
            let closing = Arc::clone(&closing);
            thread::spawn(move || {
                let mut reported = Vec::new();
                // Woken or not: a first round at any time, then the one that closing asks for.
                for _ in 0..2 {
                    let closing = closing.lock().map(|closing| *closing).unwrap_or(true);
                    drain(&reader, &mut reported);
                    if closing {
                        break;
                    }
                }
                (reported.len() as u64, reader)
            })
        };
        if let Ok(mut closing) = closing.lock() {
            *closing = true;
            closed.store(true, Ordering::Release);
        }
        let Ok((reported, reader)) = working.join() else { panic!("the worker panicked") };
        ending.join().unwrap_or_default();
        let mut left_over = Vec::new();
        drain(&reader, &mut left_over);
        assert_eq!(reported + left_over.len() as u64 + dropped.load(Ordering::Relaxed), 2);
    });
}

fn drain(reader: &Reader, words: &mut Vec<u64>) {
    let mut bytes = Vec::new();
    _ = reader.drain(&mut bytes, 0);
    words.extend(bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)));
}
