//! Calls, errors and latencies over time, computed from the spans themselves: what Jaeger asks a Prometheus for that was fed
//! by the span metrics connector.
//!
//! A span counts when it starts. The value at a point is that of the time `(point - rate_per, point]`, as Prometheus' `rate`
//! has it: calls a second, the share of calls that failed, a quantile of the durations in milliseconds. Calls and errors are
//! exact. Durations fall into buckets of a 64th of their size, within which they are taken to be spread evenly, so that a
//! quantile is right within 1.6 %; the connector's own buckets are up to five times their lower end.
//!
//! Memory is bounded: a span changes the value at a first point and behind a last one, so what is held are changes by point
//! and bucket, of which there are at most [`CHANGES_MAX`], and no spans.

use super::GROUPING;
use super::routes::MetricKind;
use crate::duration_buckets::{FINE_BITS, bucket, quantile_ns};
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{Kind, SpanFlags, SpanRef, StatusCode, ValueRef};
use tracewell_store::{DependencyWindow, ReadError, Store};
use tracewell_wire::jaeger::service_shown;

/// Points of one series: what Prometheus allows.
pub(super) const POINTS_MAX: u64 = 11_000;
/// Values of an answer.
const VALUES_MAX: usize = 500_000;
/// Changes that are held; about 50 bytes each.
const CHANGES_MAX: usize = 1_000_000;
/// Where errors are counted; calls are counted at 0.
const ERRORS: u16 = 1;

/// What is asked. Times are milliseconds; those of points since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricQuery {
    pub(super) metric: MetricKind,
    /// Of latencies.
    pub(super) quantile: f64,
    pub(super) services: Vec<String>,
    pub(super) by_operation: bool,
    /// Kinds of spans that count; none is any.
    pub(super) kinds: Vec<Kind>,
    pub(super) points: Points,
    pub(super) rate_per_ms: u64,
}

/// The points in time that values are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Points {
    pub(super) first_ms: u64,
    pub(super) step_ms: u64,
    pub(super) count: u64,
}

/// The values of a service, or of one of its operations, a value a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) service: String,
    pub(super) operation: Option<String>,
    pub(super) values: Vec<f64>,
}

/// The answer would take more memory than a query has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many operations for so many points in time: ask for fewer services, a longer step or a shorter lookback, or do not group by operation"
)]
pub(super) struct TooMuch;

impl Points {
    pub(super) fn at_ms(self, point: u64) -> u64 {
        self.first_ms.saturating_add(point.saturating_mul(self.step_ms))
    }

    /// The first point at or behind a time.
    fn first_from_us(self, time_us: u64) -> u64 {
        let behind_us = time_us.saturating_sub(self.first_ms.saturating_mul(1000));
        behind_us.div_ceil(self.step_ms.saturating_mul(1000).max(1)).min(self.count)
    }
}

/// The series of a query, by service and operation.
pub(super) fn metric_series(store: &dyn Store, query: &MetricQuery) -> Result<Result<Vec<Series>, TooMuch>, ReadError> {
    let Points { first_ms, count, .. } = query.points;
    let window = DependencyWindow {
        start_us: first_ms.saturating_sub(query.rate_per_ms).saturating_mul(1000).saturating_add(1),
        end_us: query.points.at_ms(count.saturating_sub(1)).saturating_mul(1000),
    };
    let mut changes = Changes::new(query);
    store.visit_traces(window, GROUPING, &mut |spans| spans.iter().for_each(|span| changes.count(*span, window)))?;
    Ok(changes.into_series())
}

/// What changes, by point and bucket.
type OfSeries = BTreeMap<(u64, u16), i64>;

/// What changes from point to point, by service and operation.
struct Changes<'q> {
    query: &'q MetricQuery,
    services: HashMap<&'q str, HashMap<String, OfSeries>>,
    series: usize,
    held: usize,
}

impl<'q> Changes<'q> {
    fn new(query: &'q MetricQuery) -> Self {
        let services = query.services.iter().map(|service| (service.as_str(), HashMap::new())).collect();
        Self { query, services, series: 0, held: 0 }
    }

    fn is_too_much(&self) -> bool {
        let values = self.series.saturating_mul(usize::try_from(self.query.points.count).unwrap_or(usize::MAX));
        values > VALUES_MAX || self.held > CHANGES_MAX
    }

    fn count(&mut self, span: SpanRef<'_>, window: DependencyWindow) {
        let query = self.query;
        let start_us = span.timestamp_us();
        let counts = !self.is_too_much()
            && (window.start_us..=window.end_us).contains(&start_us)
            && (query.kinds.is_empty() || query.kinds.contains(&span.kind()));
        let Some(operations) = self.services.get_mut(service_shown(span)).filter(|_| counts) else { return };
        let name = if query.by_operation { span.name() } else { "" };
        if !operations.contains_key(name) {
            operations.insert(name.to_owned(), BTreeMap::new());
            self.series += 1;
        }
        let Some(changes) = operations.get_mut(name) else { return };
        let from = query.points.first_from_us(start_us);
        let to = query.points.first_from_us(start_us.saturating_add(query.rate_per_ms.saturating_mul(1000)));
        let mut change = |bucket: u16| {
            let before = changes.len();
            *changes.entry((from, bucket)).or_default() += 1;
            *changes.entry((to, bucket)).or_default() -= 1;
            self.held += changes.len() - before;
        };
        match query.metric {
            MetricKind::Latencies => change(bucket(span.duration().unwrap_or_default().as_nanos(), FINE_BITS)),
            MetricKind::Calls => change(0),
            MetricKind::Errors => {
                change(0);
                if has_failed(span) {
                    change(ERRORS);
                }
            }
        }
    }

    fn into_series(self) -> Result<Vec<Series>, TooMuch> {
        if self.is_too_much() {
            return Err(TooMuch);
        }
        let query = self.query;
        let mut series: Vec<Series> = vec![];
        for (service, operations) in self.services {
            series.extend(operations.into_iter().map(|(name, changes)| Series {
                service: service.to_owned(),
                operation: query.by_operation.then_some(name),
                values: values(query, changes),
            }));
        }
        series.sort_by(|a, b| (&a.service, &a.operation).cmp(&(&b.service, &b.operation)));
        Ok(series)
    }
}

fn values(query: &MetricQuery, changes: OfSeries) -> Vec<f64> {
    let mut counts: BTreeMap<u16, i64> = BTreeMap::new();
    let mut changes = changes.into_iter().peekable();
    let mut value = of_counts(query, &counts);
    let next = |point: u64| {
        let mut changed = false;
        while let Some(((_, bucket), by)) = changes.next_if(|((at, _), _)| *at <= point) {
            let count = counts.entry(bucket).or_default();
            *count += by;
            if *count == 0 {
                counts.remove(&bucket);
            }
            changed = true;
        }
        if changed {
            value = of_counts(query, &counts);
        }
        value
    };
    (0..query.points.count).map(next).collect()
}

/// The value of what is counted at one point.
fn of_counts(query: &MetricQuery, counts: &BTreeMap<u16, i64>) -> f64 {
    let count = |bucket: u16| counts.get(&bucket).copied().unwrap_or(0) as f64;
    match query.metric {
        MetricKind::Calls => count(0) * 1000.0 / query.rate_per_ms as f64,
        // Nothing of nothing is not a number.
        MetricKind::Errors => count(ERRORS) / count(0),
        MetricKind::Latencies => quantile_ns(counts, query.quantile) / 1e6,
    }
}

/// Whether the span metrics of OpenTelemetry count a span as failed: OTLP's status, which Jaeger's tag `error=true` and any
/// of Zipkin's tags `error` become.
fn has_failed(span: SpanRef<'_>) -> bool {
    let from_jaeger = span.flags().contains(SpanFlags::JAEGER);
    let from_otlp = !from_jaeger && span.resource_id().0 != 0;
    span.status() == StatusCode::Error
        || match span.tag("error") {
            None => false,
            Some(ValueRef::Bool(true) | ValueRef::Str("true")) => !from_otlp,
            Some(_) => !from_otlp && !from_jaeger,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceId, Value};
    use tracewell_store::ReferenceStore;

    const SECOND_US: u64 = 1_000_000;

    /// Spans of `service` as (start in seconds, duration in milliseconds, name, failed).
    fn store(spans: &[(u64, u64, &str, bool)]) -> ReferenceStore {
        let store = ReferenceStore::new(vec![]);
        let mut batch = SpanBatch::new();
        for (at, (start_s, duration_ms, name, failed)) in spans.iter().enumerate() {
            let local = OwnedEndpoint { service: "service".to_owned(), ..OwnedEndpoint::default() };
            let span = Span {
                trace_id: TraceId::new(at as u128 / 2 + 1),
                id: SpanId::new(at as u64 + 1),
                name: (*name).to_owned(),
                kind: Kind::Server,
                start: Some(Time::from_micros(start_s * SECOND_US)),
                duration: Some(Time::from_micros(duration_ms * 1000)),
                local: Some(local),
                tags: failed.then(|| ("error".to_owned(), Value::Str("no".to_owned()))).into_iter().collect(),
                ..Span::default()
            };
            batch.push_span(&span).unwrap();
        }
        store.write(batch, Box::new(|result| result.unwrap()));
        store
    }

    fn query(metric: MetricKind) -> MetricQuery {
        MetricQuery {
            metric,
            quantile: 0.5,
            services: vec!["service".to_owned(), "other".to_owned()],
            by_operation: false,
            kinds: vec![Kind::Server],
            points: Points { first_ms: 100_000, step_ms: 10_000, count: 4 },
            rate_per_ms: 20_000,
        }
    }

    fn one(store: &ReferenceStore, query: &MetricQuery) -> Vec<f64> {
        let series = metric_series(store, query).unwrap().unwrap();
        assert_eq!(series.len(), 1);
        series[0].values.clone()
    }

    #[test]
    fn calls_count_from_their_start_as_long_as_the_rate_looks_back() {
        let store = store(&[(80, 1, "", false), (81, 1, "", false), (100, 1, "", false), (111, 1, "", false)]);
        // At 100: 81 and 100. At 110: 100. At 120: 111, as 100 is just out. At 130: 111.
        assert_eq!(one(&store, &query(MetricKind::Calls)), [0.1, 0.05, 0.05, 0.05]);
        let client = MetricQuery { kinds: vec![Kind::Client], ..query(MetricKind::Calls) };
        assert_eq!(metric_series(&store, &client), Ok(Ok(vec![])));
    }

    #[test]
    fn errors_are_a_share_of_calls() {
        let store = store(&[(95, 1, "", true), (100, 1, "", false), (101, 1, "", false)]);
        let values = one(&store, &query(MetricKind::Errors));
        assert_eq!(values[..3], [0.5, 1.0 / 3.0, 0.0]);
        assert!(values[3].is_nan(), "no call, no share");
    }

    #[test]
    fn latencies_are_near_the_quantile() {
        let spans: Vec<_> = (1..=100).map(|at| (99, at * 10, "", false)).collect();
        let store = store(&spans);
        for (quantile, ms) in [(0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
            let value = one(&store, &MetricQuery { quantile, ..query(MetricKind::Latencies) })[0];
            assert!((value / ms - 1.0).abs() < 0.016, "{quantile}: {value}");
        }
        let beyond = one(&store, &MetricQuery { quantile: 1.5, ..query(MetricKind::Latencies) });
        assert!(beyond[0].is_infinite() && beyond[3].is_nan());
    }

    #[test]
    fn operations_are_told_apart() {
        let store = store(&[(99, 1, "b", false), (99, 1, "a", false), (99, 1, "b", false)]);
        let series =
            metric_series(&store, &MetricQuery { by_operation: true, ..query(MetricKind::Calls) }).unwrap().unwrap();
        let first: Vec<_> = series.iter().map(|series| (series.operation.as_deref(), series.values[0])).collect();
        assert_eq!(first, [(Some("a"), 0.05), (Some("b"), 0.1)]);
    }

    #[test]
    fn an_answer_that_would_be_too_long_is_refused() {
        let names: Vec<String> = (0..60).map(|at| at.to_string()).collect();
        let spans: Vec<_> = names.iter().map(|name| (99, 1, name.as_str(), false)).collect();
        let points = Points { first_ms: 100_000, step_ms: 1, count: POINTS_MAX };
        let many = MetricQuery { by_operation: true, points, ..query(MetricKind::Calls) };
        assert_eq!(metric_series(&store(&spans), &many), Ok(Err(TooMuch)));
    }
}
