//! Which request goes where: Zipkin's routes, with its habit of answering 404 for a wrong method, and 405 below `/zipkin/`.

use crate::page_api::PageQuery;
use http::{Method, StatusCode};

/// Which parts are switched on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enabled {
    pub(super) collector: bool,
    pub(super) query: bool,
    pub(super) ui: bool,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Spans,
    SpansV1,
    Services,
    SpanNames,
    RemoteServices,
    Traces,
    Trace(&'a str),
    TraceMany,
    Dependencies,
    AutocompleteKeys,
    AutocompleteValues,
    Health {
        actuator: bool,
    },
    Info {
        actuator: bool,
    },
    Metrics,
    Prometheus,
    Actuator,
    Redirect(&'static str),
    /// To a trace's page, as Jaeger's addresses name it.
    RedirectToTrace(&'a str),
    UiConfig,
    Page,
    Asset(&'a str),
    PageTraces,
    PageTrace(&'a str),
    PageSpan(&'a str, &'a str),
    PageQuery(PageQuery),
}

impl Route<'_> {
    /// Its name in the metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SpansV1 => "/api/v1/spans",
            Self::Spans | Self::SpanNames => "/api/v2/spans",
            Self::Services => "/api/v2/services",
            Self::RemoteServices => "/api/v2/remoteServices",
            Self::Traces => "/api/v2/traces",
            Self::Trace(_) => "/api/v2/trace/{traceId}",
            Self::TraceMany => "/api/v2/traceMany",
            Self::Dependencies => "/api/v2/dependencies",
            Self::AutocompleteKeys => "/api/v2/autocompleteKeys",
            Self::AutocompleteValues => "/api/v2/autocompleteValues",
            Self::Health { .. } => "/health",
            Self::Info { .. } => "/info",
            Self::Metrics => "/metrics",
            Self::Prometheus => "/prometheus",
            Self::Actuator => "/actuator",
            Self::Redirect(_) | Self::RedirectToTrace(_) => "REDIRECTION",
            Self::UiConfig => "/zipkin/config.json",
            Self::Page | Self::Asset(_) => "/zipkin/",
            Self::PageTraces => "/api/tracewell/v1/traces",
            Self::PageTrace(_) => "/api/tracewell/v1/trace/{traceId}",
            Self::PageSpan(..) => "/api/tracewell/v1/trace/{traceId}/span/{row}",
            Self::PageQuery(query) => query.route(),
        }
    }
}

/// The route of a request, or the status that says why there is none.
pub(super) fn route<'a>(method: &Method, segments: &[&'a str], enabled: Enabled) -> Result<Route<'a>, StatusCode> {
    if method == Method::TRACE {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match segments {
        ["" | "zipkin"] | ["favicon.ico"] if enabled.ui => {
            Ok(Route::Redirect(if segments == ["favicon.ico"] { "/zipkin/favicon.ico" } else { "/zipkin/" }))
        }
        ["search"] if enabled.ui => Ok(Route::Redirect("/zipkin/search")),
        ["dependencies" | "system-architecture"] if enabled.ui => Ok(Route::Redirect("/zipkin/map")),
        ["monitor"] if enabled.ui => Ok(Route::Redirect("/zipkin/services")),
        ["trace", id] if enabled.ui && is_trace_id(id) => Ok(Route::RedirectToTrace(id)),
        ["zipkin", below @ ..] if enabled.ui => below_zipkin(method, below, enabled),
        ["api", below @ ..] => api(method, below, enabled).ok_or(StatusCode::NOT_FOUND),
        _ => admin(method, segments),
    }
}

fn is_trace_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn below_zipkin<'a>(method: &Method, segments: &[&'a str], enabled: Enabled) -> Result<Route<'a>, StatusCode> {
    if let (&Method::GET, ["api", below @ ..]) = (method, segments) {
        return api(method, below, enabled).ok_or(StatusCode::NOT_FOUND);
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match segments {
        ["config.json"] => Ok(Route::UiConfig),
        [""] | ["index.html" | "dependency" | "traceViewer"] => Ok(Route::Page),
        ["map" | "open" | "compare" | "services" | "live" | "status"] => Ok(Route::Page),
        // As Jaeger's page calls them: this page turns them into its own.
        ["search" | "dependencies" | "system-architecture" | "monitor"] => Ok(Route::Page),
        ["trace" | "traces", id] if !id.is_empty() => Ok(Route::Page),
        [file] | ["assets", file] if !file.is_empty() => Ok(Route::Asset(file)),
        // Zipkin's file server is asked last; it knows no HEAD of what is not there.
        _ if method == Method::HEAD => Err(StatusCode::METHOD_NOT_ALLOWED),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

fn api<'a>(method: &Method, segments: &[&'a str], enabled: Enabled) -> Option<Route<'a>> {
    let route = match (method, segments) {
        (&Method::POST, ["v2", "spans"]) => Route::Spans,
        (&Method::POST, ["v1", "spans"]) => Route::SpansV1,
        (&Method::GET, ["v2", "services"]) => Route::Services,
        (&Method::GET, ["v2", "spans"]) => Route::SpanNames,
        (&Method::GET, ["v2", "remoteServices"]) => Route::RemoteServices,
        (&Method::GET, ["v2", "traces"]) => Route::Traces,
        (&Method::GET, ["v2", "trace", id]) if !id.is_empty() => Route::Trace(id),
        (&Method::GET, ["v2", "traceMany"]) => Route::TraceMany,
        (&Method::GET, ["v2", "dependencies"]) => Route::Dependencies,
        (&Method::GET, ["v2", "autocompleteKeys"]) => Route::AutocompleteKeys,
        (&Method::GET, ["v2", "autocompleteValues"]) => Route::AutocompleteValues,
        (&Method::GET, ["tracewell", "v1", "traces"]) => Route::PageTraces,
        (&Method::GET, ["tracewell", "v1", "trace", id]) if !id.is_empty() => Route::PageTrace(id),
        (&Method::GET, ["tracewell", "v1", "trace", id, "span", row]) => Route::PageSpan(id, row),
        (&Method::GET, ["tracewell", "v1", query @ ..]) => Route::PageQuery(PageQuery::of(query)?),
        _ => return None,
    };
    let collects = matches!(route, Route::Spans | Route::SpansV1);
    Some(route).filter(|_| if collects { enabled.collector } else { enabled.query })
}

fn admin<'a>(method: &Method, segments: &[&'a str]) -> Result<Route<'a>, StatusCode> {
    let (actuator, name) = match segments {
        ["actuator"] if method == Method::GET => return Ok(Route::Actuator),
        ["actuator", name] => (true, *name),
        [name] => (false, *name),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    match name {
        "health" if method == Method::GET => Ok(Route::Health { actuator }),
        "info" if method == Method::GET || method == Method::HEAD => Ok(Route::Info { actuator }),
        "metrics" if method == Method::GET && !actuator => Ok(Route::Metrics),
        "prometheus" if method == Method::GET => Ok(Route::Prometheus),
        "info" | "prometheus" => Err(StatusCode::METHOD_NOT_ALLOWED),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ROUTES;

    const ALL: Enabled = Enabled { collector: true, query: true, ui: true };

    fn status(method: &Method, segments: &[&str]) -> u16 {
        route(method, segments, ALL).err().map_or(200, |status| status.as_u16())
    }

    #[test]
    fn a_wrong_method_is_not_found_but_below_zipkin_not_allowed() {
        assert_eq!(status(&Method::HEAD, &["api", "v2", "services"]), 404);
        assert_eq!(status(&Method::GET, &["zipkin", "api", "v2", "services"]), 200);
        assert_eq!(status(&Method::HEAD, &["zipkin", "api", "v2", "services"]), 405);
        assert_eq!(status(&Method::POST, &["zipkin", ""]), 405);
        assert_eq!(status(&Method::GET, &["zipkin", "traces", "1", "2"]), 404);
        assert_eq!(status(&Method::TRACE, &["nope"]), 405);
        assert_eq!(status(&Method::POST, &[""]), 200, "redirects take every method");
    }

    #[test]
    fn addresses_of_jaegers_page_lead_to_this_one() {
        let to = |segments: &[&'static str]| route(&Method::GET, segments, ALL);
        assert_eq!(to(&["search"]), Ok(Route::Redirect("/zipkin/search")));
        assert_eq!(to(&["trace", "463AC35C9F6413AD"]), Ok(Route::RedirectToTrace("463AC35C9F6413AD")));
        assert_eq!(to(&["trace", "463ac35c\r\nx"]), Err(StatusCode::NOT_FOUND));
        assert_eq!(to(&["zipkin", "search"]), Ok(Route::Page));
    }

    #[test]
    fn parts_can_be_switched_off() {
        let off = Enabled { collector: false, query: false, ui: false };
        for (method, path) in [(Method::POST, "spans"), (Method::GET, "services")] {
            assert_eq!(route(&method, &["api", "v2", path], off), Err(StatusCode::NOT_FOUND));
        }
        assert_eq!(route(&Method::GET, &["zipkin", ""], off), Err(StatusCode::NOT_FOUND));
        assert_eq!(route(&Method::GET, &[""], off), Err(StatusCode::NOT_FOUND));
        assert_eq!(route(&Method::GET, &["health"], off), Ok(Route::Health { actuator: false }));
    }

    #[test]
    fn every_name_is_one_of_the_metrics() {
        let queries = PageQuery::ALL.map(Route::PageQuery);
        let others = [Route::Spans, Route::Page, Route::PageSpan("", ""), Route::Redirect(""), Route::Actuator];
        for route in queries.into_iter().chain(others) {
            assert!(ROUTES.contains(&route.name()), "{}", route.name());
        }
    }
}
