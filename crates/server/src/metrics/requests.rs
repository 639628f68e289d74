//! How long requests took, by method, route and status: a histogram each, made when it is first needed.

use http::{Method, StatusCode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, seconds.
pub(crate) const BOUNDS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What a request was for, as the metrics name it: Zipkin's names where it has one.
pub(crate) const ROUTES: [&str; 62] = [
    "NOT_FOUND",
    "/api/v1/spans",
    "/api/v2/spans",
    "/api/v2/services",
    "/api/v2/remoteServices",
    "/api/v2/traces",
    "/api/v2/trace/{traceId}",
    "/api/v2/traceMany",
    "/api/v2/dependencies",
    "/api/v2/autocompleteKeys",
    "/api/v2/autocompleteValues",
    "/health",
    "/info",
    "/metrics",
    "/prometheus",
    "/actuator",
    "REDIRECTION",
    "/zipkin/config.json",
    "/zipkin/",
    "CROSSROADS",
    "/api/tracewell/v1/traces",
    "/api/tracewell/v1/trace/{traceId}",
    "/api/tracewell/v1/trace/{traceId}/span/{row}",
    "/api/tracewell/v1/parse",
    "/api/tracewell/v1/search",
    "/api/tracewell/v1/search/stream",
    "/api/tracewell/v1/histogram",
    "/api/tracewell/v1/facets",
    "/api/tracewell/v1/complete",
    "/api/tracewell/v1/services",
    "/api/tracewell/v1/map",
    "/api/tracewell/v1/percentile",
    "/api/tracewell/v1/compare",
    "/api/tracewell/v1/live",
    "/api/tracewell/v1/status",
    "/v1/traces",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/api/traces",
    "/jaeger.api_v2.CollectorService/PostSpans",
    "/zipkin.proto3.SpanService/Report",
    "/sampling",
    "/api/sampling",
    "/baggageRestrictions",
    "/credits",
    "/jaeger.api_v2.SamplingManager/GetSamplingStrategy",
    "/api/traces/{traceId}",
    "/api/services",
    "/api/services/{service}/operations",
    "/api/operations",
    "/api/dependencies",
    "/api/deep-dependencies",
    "/api/quality-metrics",
    "/api/transform",
    "/api/archive/{traceId}",
    "/api/metrics",
    "/api/v3/services",
    "/api/v3/operations",
    "/api/v3/traces",
    "/api/v3/traces/{traceId}",
    "/api/v3/trace-summaries",
    "/jaeger.api_v2.QueryService",
    "/jaeger.api_v3.QueryService",
];

const METHODS: [&str; 5] = ["GET", "POST", "HEAD", "OPTIONS", "OTHER"];
const STATUSES: [u16; 16] = [200, 202, 302, 304, 400, 404, 405, 406, 408, 413, 415, 429, 500, 501, 503, 504];

/// A histogram for every combination that was seen.
#[derive(Debug)]
pub(crate) struct RequestTimes {
    cells: Vec<OnceLock<Box<Histogram>>>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_SECONDS.len() + 1],
    sum_us: AtomicU64,
}

/// One combination's figures.
pub(crate) struct RequestTime {
    pub(crate) labels: [(&'static str, String); 3],
    pub(crate) sum_seconds: f64,
    pub(crate) count: u64,
    /// Upper bound and count of the requests below it but above the one before.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Default for RequestTimes {
    fn default() -> Self {
        Self { cells: (0..METHODS.len() * ROUTES.len() * STATUSES.len()).map(|_| OnceLock::new()).collect() }
    }
}

impl RequestTimes {
    /// Counts a request. `route` is one of [`ROUTES`].
    pub(crate) fn observe(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let find = |list: &[&str], item: &str, other: usize| list.iter().position(|&x| x == item).unwrap_or(other);
        let method = find(&METHODS, method.as_str(), METHODS.len() - 1);
        let route = find(&ROUTES, route, 0);
        let status = STATUSES.iter().position(|&known| known == status.as_u16()).unwrap_or(STATUSES.len() - 4);
        let cell = &self.cells[(method * ROUTES.len() + route) * STATUSES.len() + status];
        let histogram = cell.get_or_init(Box::default);
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS_SECONDS.iter().position(|&bound| seconds <= bound).unwrap_or(BOUNDS_SECONDS.len());
        histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        histogram.sum_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// What was seen.
    pub(crate) fn seen(&self) -> impl Iterator<Item = RequestTime> {
        self.cells.iter().enumerate().filter_map(|(at, cell)| {
            let histogram = cell.get()?;
            let counts: Vec<u64> = histogram.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            let bounds = BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
            Some(RequestTime {
                labels: [
                    ("method", METHODS[at / STATUSES.len() / ROUTES.len()].to_owned()),
                    ("status", STATUSES[at % STATUSES.len()].to_string()),
                    ("uri", ROUTES[at / STATUSES.len() % ROUTES.len()].to_owned()),
                ],
                sum_seconds: histogram.sum_us.load(Ordering::Relaxed) as f64 / 1e6,
                count: counts.iter().sum(),
                buckets: bounds.zip(counts).collect(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_were() {
        let times = RequestTimes::default();
        times.observe(&Method::POST, "/api/v2/spans", StatusCode::ACCEPTED, Duration::from_millis(2));
        times.observe(&Method::POST, "/api/v2/spans", StatusCode::ACCEPTED, Duration::from_secs(60));
        times.observe(&Method::DELETE, "/no/such", StatusCode::IM_A_TEAPOT, Duration::ZERO);
        let seen: Vec<_> = times.seen().collect();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].labels.each_ref().map(|(_, value)| value.as_str()), ["POST", "202", "/api/v2/spans"]);
        assert_eq!((seen[0].count, seen[0].buckets[1], seen[0].buckets[12].1), (2, (0.0025, 1), 1));
        assert_eq!(seen[1].labels.each_ref().map(|(_, value)| value.as_str()), ["OTHER", "500", "NOT_FOUND"]);
    }
}
