//! Sends the batches of a set again and again, each time with other ids and times, at a rate; remembers what was acknowledged.

use crate::target::{Sent, Target};
use crate::tload::pause;
use anyhow::{Context, bail, ensure};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a refused batch waits, and how often in a row.
const REFUSED_WAIT: Duration = Duration::from_millis(20);
const REFUSALS_MAX: usize = 3000;
/// Where a span's ids begin and end, as tgen writes them: `{"traceId":"` 32 digits `","id":"` 16 digits.
const TRACE_ID: &[u8] = b"{\"traceId\":\"";
const ID: &[u8] = b"\",\"id\":\"";
const TIMESTAMP: &[u8] = b"\"timestamp\":";
/// Digits of a time in microseconds.
const TIME_DIGITS: usize = 16;
/// Digits of a trace id that say in which round it was sent ...
const ROUND_DIGITS: usize = 8;
/// ... at the front of its lower half, by which alone traces are told apart where services are linked.
const LOWER_HALF: usize = 16;

/// The batches of a set.
pub(super) struct Batches {
    lines: Vec<(Vec<u8>, u32)>,
    /// When its last span ends.
    end_us: u64,
}

/// A batch that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) number: u64,
    pub(super) spans: u32,
    pub(super) at: Instant,
}

impl Batches {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| file.display().to_string())?;
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.map(|line| (line.to_vec(), places(line, TRACE_ID).len() as u32)).collect();
        ensure!(!lines.is_empty(), "{}: no batches", file.display());
        let times = lines.iter().flat_map(|(line, _)| places(line, TIMESTAMP).into_iter().map(|at| time_at(line, at)));
        let end_us = times.max().unwrap_or(0);
        Ok(Self { lines, end_us })
    }

    /// The batch with this number, all numbers through, and how many spans it has. Spans end at about `now_us`.
    fn batch(&self, number: u64, now_us: u64, into: &mut Vec<u8>) -> u32 {
        let (line, spans) = &self.lines[(number % self.lines.len() as u64) as usize];
        into.clear();
        into.extend_from_slice(line);
        let round = format!("{:0ROUND_DIGITS$x}", number / self.lines.len() as u64);
        for at in places(line, TRACE_ID) {
            into[at + LOWER_HALF..at + LOWER_HALF + ROUND_DIGITS].copy_from_slice(round.as_bytes());
        }
        for at in places(line, TIMESTAMP) {
            let time = format!("{:0TIME_DIGITS$}", now_us.saturating_sub(self.end_us) + time_at(line, at));
            into[at..at + TIME_DIGITS].copy_from_slice(&time.as_bytes()[..TIME_DIGITS]);
        }
        *spans
    }

    /// Trace and span ids of a batch.
    pub(super) fn ids(&self, number: u64) -> Vec<(String, String)> {
        let mut batch = vec![];
        self.batch(number, self.end_us, &mut batch);
        let text = |at: usize, len: usize| String::from_utf8_lossy(&batch[at..at + len]).into_owned();
        places(&batch, TRACE_ID).into_iter().map(|at| (text(at, 32), text(at + 32 + ID.len(), 16))).collect()
    }
}

/// Where what follows `pattern` begins.
fn places(line: &[u8], pattern: &[u8]) -> Vec<usize> {
    let found = line.windows(pattern.len()).enumerate().filter(|(_, window)| *window == pattern);
    found.map(|(at, _)| at + pattern.len()).collect()
}

fn time_at(line: &[u8], at: usize) -> u64 {
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |time, digit| time * 10 + u64::from(digit - b'0'))
}

/// See the module's text.
pub(super) struct Sender<'a> {
    pub(super) batches: &'a Batches,
    url: String,
    /// Between two batches, all connections together.
    pause: Duration,
    started: Instant,
    time: Duration,
    next: AtomicU64,
    refusals: AtomicUsize,
    taken: Mutex<Vec<Taken>>,
    posts_ms: Mutex<Vec<f64>>,
}

impl<'a> Sender<'a> {
    /// `rate` spans a second, for so long.
    pub(super) fn new(batches: &'a Batches, url: &str, rate: f64, time: Duration) -> Self {
        let spans: u64 = batches.lines.iter().map(|(_, spans)| u64::from(*spans)).sum();
        let pause = Duration::from_secs_f64(spans as f64 / batches.lines.len() as f64 / rate);
        Self {
            batches,
            url: url.to_owned(),
            pause,
            started: Instant::now(),
            time,
            next: AtomicU64::new(0),
            refusals: AtomicUsize::new(0),
            taken: Mutex::default(),
            posts_ms: Mutex::default(),
        }
    }

    pub(super) fn send_over(&self, connections: usize) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..connections.max(1)).map(|_| scope.spawn(|| self.send())).collect();
            senders
                .into_iter()
                .map(|sender| sender.join())
                .try_for_each(|part| part.unwrap_or_else(|_| bail!("a sender panicked")))
        })
    }

    fn send(&self) -> anyhow::Result<()> {
        let mut target = Target::http(self.url.clone(), "application/json");
        let mut batch = vec![];
        while self.started.elapsed() < self.time {
            let number = self.next.fetch_add(1, Relaxed);
            let due = self.pause.mul_f64(number as f64);
            pause(due.saturating_sub(self.started.elapsed()));
            let now_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
            let spans = self.batches.batch(number, now_us, &mut batch);
            for refused in 0.. {
                let asked = Instant::now();
                let sent = target.send(&batch).with_context(|| format!("batch {number}"))?;
                lock(&self.posts_ms).push(asked.elapsed().as_secs_f64() * 1e3);
                if sent == Sent::Taken {
                    break;
                }
                ensure!(refused < REFUSALS_MAX, "batch {number}: refused again and again");
                self.refusals.fetch_add(1, Relaxed);
                pause(REFUSED_WAIT);
            }
            lock(&self.taken).push(Taken { number, spans, at: Instant::now() });
        }
        Ok(())
    }

    pub(super) fn batches_sent(&self) -> usize {
        lock(&self.taken).len()
    }

    pub(super) fn spans_sent(&self) -> u64 {
        lock(&self.taken).iter().map(|taken| u64::from(taken.spans)).sum()
    }

    pub(super) fn refusals(&self) -> usize {
        self.refusals.load(Relaxed)
    }

    /// How long each answer took, sorted.
    pub(super) fn posts_ms(&self) -> Vec<f64> {
        let mut posts_ms = lock(&self.posts_ms).clone();
        posts_ms.sort_by(f64::total_cmp);
        posts_ms
    }

    /// Batches that were acknowledged last, with so many spans together.
    pub(super) fn newest(&self, spans: u64) -> Vec<Taken> {
        let taken = lock(&self.taken);
        let mut left = spans;
        let newest = taken.iter().rev().take_while(|taken| {
            let fits = left >= u64::from(taken.spans);
            left = left.saturating_sub(taken.spans.into());
            fits
        });
        newest.copied().collect()
    }

    /// A batch of those acknowledged so long ago, if there is any.
    pub(super) fn young(&self, at_least: Duration, at_most: Duration, choice: u64) -> Option<Taken> {
        let taken = lock(&self.taken);
        let first = taken.partition_point(|taken| taken.at.elapsed() > at_most);
        let end = taken.partition_point(|taken| taken.at.elapsed() > at_least);
        let among = taken.get(first..end).filter(|among| !among.is_empty())?;
        among.get((choice % among.len() as u64) as usize).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_other_ids_each_round_and_times_that_end_now() {
        let span = |trace: u8, time: u64| {
            format!("{{\"traceId\":\"{trace:032x}\",\"id\":\"{trace:016x}\",\"timestamp\":{time},\"duration\":5}}")
        };
        let line = format!("[{},{}]", span(1, 1_700_000_000_000_000), span(2, 1_700_000_000_000_500)).into_bytes();
        let batches = Batches { lines: vec![(line, 2)], end_us: 1_700_000_000_000_500 };
        let mut batch = vec![];
        assert_eq!(batches.batch(0x2a, 1_800_000_000_000_500, &mut batch), 2);
        let spans: serde_json::Value = serde_json::from_slice(&batch).unwrap();
        assert_eq!(spans[0]["traceId"], "00000000000000000000002a00000001");
        assert_eq!(
            (&spans[0]["timestamp"], &spans[1]["id"]),
            (&1_800_000_000_000_000_u64.into(), &"0000000000000002".into())
        );
        let ids = batches.ids(0x2a);
        assert_eq!(ids[1], ("00000000000000000000002a00000002".to_owned(), "0000000000000002".to_owned()));
    }
}
