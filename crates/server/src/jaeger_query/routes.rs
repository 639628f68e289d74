//! Which request of port 16686 goes where: Jaeger's routes of version 1.76 and those that newer versions have besides. A
//! path that is none of them is a page's.

use http::{Method, StatusCode};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Trace(&'a str),
    Search,
    Services,
    ServiceOperations(&'a str),
    Operations,
    Dependencies,
    DeepDependencies,
    QualityMetrics,
    Transform,
    Archive(&'a str),
    Metrics(MetricKind),
    MinStep,
    V3Services,
    V3Operations,
    V3Traces,
    V3Trace(&'a str),
    V3Summaries,
    /// Anything else: the page and what it asks for.
    Page,
}

/// What metrics are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricKind {
    Calls,
    Errors,
    Latencies,
}

impl Route<'_> {
    /// Its name in the metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trace(_) => "/api/traces/{traceId}",
            Self::Search => "/api/traces",
            Self::Services => "/api/services",
            Self::ServiceOperations(_) => "/api/services/{service}/operations",
            Self::Operations => "/api/operations",
            Self::Dependencies => "/api/dependencies",
            Self::DeepDependencies => "/api/deep-dependencies",
            Self::QualityMetrics => "/api/quality-metrics",
            Self::Transform => "/api/transform",
            Self::Archive(_) => "/api/archive/{traceId}",
            Self::Metrics(_) | Self::MinStep => "/api/metrics",
            Self::V3Services => "/api/v3/services",
            Self::V3Operations => "/api/v3/operations",
            Self::V3Traces => "/api/v3/traces",
            Self::V3Trace(_) => "/api/v3/traces/{traceId}",
            Self::V3Summaries => "/api/v3/trace-summaries",
            Self::Page => "/zipkin/",
        }
    }

    /// Whether its errors have the shape of version 3.
    pub(super) fn is_v3(self) -> bool {
        matches!(self, Self::V3Services | Self::V3Operations | Self::V3Traces | Self::V3Trace(_) | Self::V3Summaries)
    }
}

/// The route of a request, or the status that says why there is none.
pub(super) fn route<'a>(method: &Method, segments: &[&'a str]) -> Result<Route<'a>, StatusCode> {
    let route = match segments {
        ["api", "traces"] => Route::Search,
        ["api", "traces", id] if !id.is_empty() => Route::Trace(id),
        ["api", "services"] => Route::Services,
        ["api", "services", service, "operations"] if !service.is_empty() => Route::ServiceOperations(service),
        ["api", "operations"] => Route::Operations,
        ["api", "dependencies"] => Route::Dependencies,
        ["api", "deep-dependencies"] => Route::DeepDependencies,
        ["api", "quality-metrics"] => Route::QualityMetrics,
        ["api", "transform"] => Route::Transform,
        ["api", "archive", id] if !id.is_empty() => Route::Archive(id),
        ["api", "metrics", "calls"] => Route::Metrics(MetricKind::Calls),
        ["api", "metrics", "errors"] => Route::Metrics(MetricKind::Errors),
        ["api", "metrics", "latencies"] => Route::Metrics(MetricKind::Latencies),
        ["api", "metrics", "minstep"] => Route::MinStep,
        ["api", "v3", "services"] => Route::V3Services,
        ["api", "v3", "operations"] => Route::V3Operations,
        ["api", "v3", "traces"] => Route::V3Traces,
        ["api", "v3", "traces" | "trace", id] if !id.is_empty() => Route::V3Trace(id),
        ["api", "v3", "trace-summaries"] => Route::V3Summaries,
        _ => return Ok(Route::Page),
    };
    let takes = match route {
        Route::Transform | Route::Archive(_) => Method::POST,
        _ => Method::GET,
    };
    match *method == takes {
        true => Ok(route),
        // As the newest Jaeger, whose version 3 this is.
        false if route.is_v3() => Err(StatusCode::NOT_FOUND),
        false => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ROUTES;

    #[test]
    fn a_wrong_method_is_not_allowed_and_other_paths_are_the_pages() {
        assert_eq!(route(&Method::HEAD, &["api", "services"]), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(route(&Method::POST, &["api", "v3", "services"]), Err(StatusCode::NOT_FOUND));
        assert_eq!(route(&Method::GET, &["api", "archive", "1"]), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(route(&Method::GET, &["api", "traces", "1"]), Ok(Route::Trace("1")));
        assert_eq!(route(&Method::GET, &["api", "traces", "1", ""]), Ok(Route::Page));
        assert_eq!(route(&Method::GET, &["search"]), Ok(Route::Page));
    }

    #[test]
    fn every_name_is_one_of_the_metrics() {
        use Route as R;
        let all = [
            R::Trace(""),
            R::Search,
            R::Services,
            R::ServiceOperations(""),
            R::Operations,
            R::Dependencies,
            R::DeepDependencies,
        ]
        .into_iter()
        .chain([
            R::QualityMetrics,
            R::Transform,
            R::Archive(""),
            R::MinStep,
            R::V3Services,
            R::V3Operations,
            R::V3Traces,
        ])
        .chain([R::V3Trace(""), R::V3Summaries, R::Page]);
        for route in all {
            assert!(ROUTES.contains(&route.name()), "{}", route.name());
        }
    }
}
