//! `GET histogram`: how many there were over time, how many failed, and how long they took.

use super::asked::{Answered, Range, number, word};
use super::figures::{Counted, Quantiles};
use super::scan::{Limits, Searched, Taker, run, scan};
use crate::duration_buckets::{COARSE_BITS, bucket, bucket_bounds};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tracewell_model::{SpanRef, Time};

const BUCKETS: u64 = 60;
const BUCKETS_MAX: u64 = 500;

/// Times are microseconds.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Histogram {
    of: &'static str,
    start: u64,
    end: u64,
    bucket_width: u64,
    buckets: Vec<Bucket>,
    latencies: Vec<Latency>,
    total: Total,
    searched: Searched,
}

#[derive(Debug, PartialEq, Serialize)]
struct Bucket {
    start: u64,
    count: u64,
    errors: u64,
    latencies: Vec<u64>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Latency {
    from: f64,
    to: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Total {
    count: u64,
    errors: u64,
    #[serde(flatten)]
    quantiles: Quantiles,
}

pub(super) async fn histogram(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    let buckets = number(&asked.parameters, "buckets", BUCKETS, 1, BUCKETS_MAX)?;
    let of = word(&asked.parameters, "of", &["traces", "spans"])?;
    run(api, asked, move |store, stop| {
        let mut counts = Counts {
            range: &range,
            buckets: vec![CountedBucket::default(); buckets as usize],
            total: Counted::default(),
            of_spans: of == "spans",
        };
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        Ok(counts.histogram(of, searched))
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    buckets: Vec<CountedBucket>,
    total: Counted,
    of_spans: bool,
}

#[derive(Debug, Clone, Default)]
struct CountedBucket {
    count: u64,
    errors: u64,
    latencies: BTreeMap<u16, u64>,
}

impl Counts<'_> {
    fn count(&mut self, start_us: u64, duration_ns: u64, is_error: bool) {
        let at = self.range.bucket_of(self.buckets.len() as u64, start_us);
        let counted = &mut self.buckets[at];
        counted.count += 1;
        counted.errors += u64::from(is_error);
        *counted.latencies.entry(bucket(duration_ns, COARSE_BITS)).or_default() += 1;
        self.total.add(duration_ns, is_error);
    }

    fn histogram(self, of: &'static str, searched: Searched) -> Histogram {
        let occurring: BTreeSet<u16> =
            self.buckets.iter().flat_map(|bucket| bucket.latencies.keys().copied()).collect();
        let window = self.range.window;
        let width = self.range.bucket_width_us(self.buckets.len() as u64);
        let latency = |bucket: &u16| {
            let (from_ns, width_ns) = bucket_bounds(*bucket, COARSE_BITS);
            Latency { from: from_ns / 1000.0, to: (from_ns + width_ns) / 1000.0 }
        };
        let shown = |(at, counted): (u64, &CountedBucket)| Bucket {
            start: window.start_us.saturating_add(at.saturating_mul(width)),
            count: counted.count,
            errors: counted.errors,
            latencies: occurring.iter().map(|latency| counted.latencies.get(latency).copied().unwrap_or(0)).collect(),
        };
        Histogram {
            of,
            start: window.start_us,
            end: window.end_us,
            bucket_width: width,
            buckets: (0..).zip(&self.buckets).map(shown).collect(),
            latencies: occurring.iter().map(latency).collect(),
            total: Total { count: self.total.count, errors: self.total.errors, quantiles: self.total.quantiles() },
            searched,
        }
    }
}

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        if self.of_spans {
            let search = self.range.search();
            for span in spans.iter().filter(|span| search.matches(**span)) {
                self.count(span.timestamp_us(), span.duration().unwrap_or_default().as_nanos(), span.is_error());
            }
            return;
        }
        let with_start = || spans.iter().filter_map(|span| Some((span.start()?, span)));
        let Some(start) = with_start().map(|(start, _)| start).filter(|start| *start > Time::ZERO).min() else {
            return;
        };
        let ends = with_start().map(|(start, span)| start.saturating_add(span.duration().unwrap_or_default()));
        let duration = ends.max().unwrap_or_default().saturating_sub(start);
        self.count(start.as_micros(), duration.as_nanos(), spans.iter().any(|span| span.is_error()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_api::scan::Stop;
    use tracewell_model::{Span, SpanBatch, SpanFilter, SpanId, TraceGrouping, TraceId, Value};
    use tracewell_store::{DependencyWindow, ReferenceStore, Store};

    fn store() -> ReferenceStore {
        let store = ReferenceStore::new(vec![]);
        let mut batch = SpanBatch::new();
        // Trace 1 begins at 1100 and fails, trace 2 at 1900; a span of each begins in the second half.
        for (trace, id, start, duration, failed) in
            [(1, 1, 1100, 600, false), (1, 2, 1600, 100, true), (2, 3, 1900, 50, false)]
        {
            let span = Span {
                trace_id: TraceId::new(trace),
                id: SpanId::new(id),
                start: Some(Time::from_micros(start)),
                duration: Some(Time::from_micros(duration)),
                tags: failed.then(|| ("error".to_owned(), Value::Str(String::new()))).into_iter().collect(),
                ..Span::default()
            };
            batch.push_span(&span).unwrap();
        }
        store.write(batch, Box::new(|result| result.unwrap()));
        store
    }

    fn counted(query: &str, of: &'static str) -> Histogram {
        let window = DependencyWindow { start_us: 1000, end_us: 1999 };
        let range = Range { filter: SpanFilter::parse(query).unwrap(), window, grouping: TraceGrouping::Strict };
        let buckets = vec![CountedBucket::default(); 2];
        let mut counts = Counts { range: &range, buckets, total: Counted::default(), of_spans: of == "spans" };
        let searched = scan(&store(), &range, Limits::ANSWER, &Stop::default(), &mut counts).unwrap();
        assert!(searched.complete && searched.back_to == 1000);
        counts.histogram(of, searched)
    }

    fn counts(histogram: &Histogram) -> Vec<(u64, u64, u64)> {
        histogram.buckets.iter().map(|bucket| (bucket.start, bucket.count, bucket.errors)).collect()
    }

    #[test]
    fn traces_count_once_at_their_start() {
        let all = counted("", "traces");
        assert_eq!(counts(&all), [(1000, 1, 1), (1500, 1, 0)]);
        assert_eq!((all.total.count, all.total.errors, all.bucket_width), (2, 1, 500));
        // 50 and 600 us: a column each, one count in each.
        assert_eq!(
            (all.buckets[0].latencies.as_slice(), all.buckets[1].latencies.as_slice()),
            (&[0, 1][..], &[1, 0][..])
        );
        assert!(all.latencies[1].from <= 600.0 && 600.0 < all.latencies[1].to);
        assert_eq!(counts(&counted("status:error", "traces")), [(1000, 1, 1), (1500, 0, 0)]);
    }

    #[test]
    fn spans_count_where_they_begin() {
        assert_eq!(counts(&counted("", "spans")), [(1000, 1, 0), (1500, 2, 1)]);
        assert_eq!(counts(&counted("duration>=100us", "spans")), [(1000, 1, 0), (1500, 1, 1)]);
        let none = counted("name:no", "spans");
        assert_eq!((none.total.count, none.total.quantiles.p50, none.latencies.len()), (0, None, 0));
    }
}
