//! Port 9411: everything Zipkin's server answers there, the page and the page's own API. A request in, its answer out.

mod admin;
mod collect;
mod parameters;
mod query;
mod routes;
mod ui_config;

use crate::answer::{self, Answer};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::cors::Cors;
use crate::grpc;
use crate::options::Options;
use crate::page::Page;
use crate::page_api;
use crate::queries::{Queries, QueryError};
use crate::request_path::{InvalidPath, Parameters, segments};
use http::header::{HeaderMap, ORIGIN};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
pub(crate) use parameters::{BadParameter, trace_id_of_path, trace_query};
use routes::{Enabled, Route};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Where spans are reported to over gRPC.
const REPORT: &str = "/zipkin.proto3.SpanService/Report";

/// What the requests need.
pub(crate) struct ZipkinApi {
    app: Arc<App>,
    enabled: Enabled,
    cors: Cors,
    page: Page,
    ui_config: String,
    /// Whether the last answer to `/services` held so many names that browsers should keep lists of names for a while.
    many_services: AtomicBool,
}

/// A request without its body, taken apart.
pub(crate) struct Asked<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) parameters: Parameters,
    pub(crate) takes_gzip: bool,
}

/// A request that no route is looked for: status and why.
struct Unacceptable(StatusCode, &'static str);

impl ZipkinApi {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let page = Page::new(&app.options, &app.options.ui_basepath);
        Self::with_page(app, page)
    }

    /// The same, with a page that browsers see below another path.
    pub(crate) fn with_page(app: Arc<App>, page: Page) -> Self {
        let options = &app.options;
        let ui = options.query_enabled && options.ui_enabled;
        Self {
            enabled: Enabled { collector: options.collector_http_enabled, query: options.query_enabled, ui },
            cors: Cors::new(&options.allowed_origins),
            page,
            ui_config: ui_config::ui_config(options),
            many_services: AtomicBool::new(false),
            app,
        }
    }

    /// Answers any request.
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let (answer, route) = match self.look_at(&head) {
            _ if self.is_call(&head) => match head.uri.path() {
                REPORT => (self.report(&head.headers, body).await, REPORT),
                _ => (grpc::not_there(&head), "NOT_FOUND"),
            },
            Ok(_) if head.method == Method::OPTIONS && head.uri.path() == "*" => (answer::all_methods(), "NOT_FOUND"),
            Ok((segments, parameters)) => {
                if let Some(preflight) = self.cors.preflight(&head.method, &head.headers) {
                    (preflight, "NOT_FOUND")
                } else {
                    let takes_gzip = answer::takes_encoding(&head.headers, "gzip");
                    let asked = Asked { headers: &head.headers, parameters, takes_gzip };
                    let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
                    let (mut answer, route) = self.dispatch(&head.method, &names, head.uri.query(), asked, body).await;
                    if let Some(origin) = head.headers.get(ORIGIN) {
                        self.cors.expose(origin, answer.headers_mut());
                    }
                    (answer, route)
                }
            }
            Err(Unacceptable(status, why)) => (answer::unacceptable(status, why), "NOT_FOUND"),
        };
        self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
        answer
    }

    fn is_call(&self, head: &http::request::Parts) -> bool {
        self.app.options.collector_grpc_enabled && grpc::is_call(&head.method, &head.headers)
    }

    /// What Zipkin's HTTP server looks at before it looks for a route.
    fn look_at<'a>(&self, head: &'a http::request::Parts) -> Result<(Vec<Cow<'a, str>>, Parameters), Unacceptable> {
        const KNOWN: [Method; 8] = [
            Method::GET,
            Method::POST,
            Method::HEAD,
            Method::OPTIONS,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::TRACE,
        ];
        if !KNOWN.contains(&head.method) {
            return Err(Unacceptable(StatusCode::METHOD_NOT_ALLOWED, "Unsupported method"));
        }
        let invalid = |InvalidPath| Unacceptable(StatusCode::BAD_REQUEST, "Invalid request path");
        Ok((segments(head.uri.path()).map_err(invalid)?, Parameters::parse(head.uri.query()).map_err(invalid)?))
    }

    async fn dispatch(
        &self,
        method: &Method,
        segments: &[&str],
        query: Option<&str>,
        asked: Asked<'_>,
        body: Incoming,
    ) -> (Answer, &'static str) {
        let route = match routes::route(method, segments, self.enabled) {
            Ok(route) => route,
            Err(status) => return (answer::plain(status), "NOT_FOUND"),
        };
        let name = route.name();
        let answer = match route {
            Route::Spans => self.collect_v2(&asked, body).await,
            Route::SpansV1 => self.collect_v1(&asked, body).await,
            Route::Services => self.services(&asked).await,
            Route::SpanNames => self.span_names(&asked).await,
            Route::RemoteServices => self.remote_services(&asked).await,
            Route::Traces => self.traces(&asked).await,
            Route::Trace(id) => self.trace(id, &asked).await,
            Route::TraceMany => self.trace_many(&asked).await,
            Route::Dependencies => self.dependencies(&asked).await,
            Route::AutocompleteKeys => self.autocomplete_keys(),
            Route::AutocompleteValues => self.autocomplete_values(&asked).await,
            Route::Health { actuator } => self.health(actuator),
            Route::Info { actuator } => self.info(actuator),
            Route::Metrics => self.zipkin_metrics(),
            Route::Prometheus => self.prometheus(&asked),
            Route::Actuator => self.actuator(),
            Route::Redirect(location) => self.redirect(location, query),
            Route::RedirectToTrace(id) => self.redirect(&format!("/zipkin/trace/{id}"), query),
            Route::UiConfig => self.ui_config(),
            Route::Page => self.page.view(segments.get(1..).unwrap_or_default(), asked.headers),
            Route::Asset(path) => match self.page.asset(path, asked.headers) {
                Some(asset) => asset,
                None if method == Method::HEAD => answer::plain(StatusCode::METHOD_NOT_ALLOWED),
                None => answer::plain(StatusCode::NOT_FOUND),
            },
            Route::PageTraces => page_api::traces(self, &asked).await,
            Route::PageTrace(id) => page_api::trace(self, id, &asked).await,
            Route::PageSpan(id, row) => page_api::span(self, id, row).await,
            Route::PageQuery(query) => page_api::query(self, query, &asked).await,
        };
        (answer, name)
    }

    pub(crate) fn queries(&self) -> &Queries {
        &self.app.queries
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(crate) fn options(&self) -> &Options {
        &self.app.options
    }
}

impl Api for ZipkinApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move { Self::answer(&self, request).await })
    }
}

/// The answer to a query that failed, in Zipkin's manner.
fn query_error(error: &QueryError) -> Answer {
    match error {
        QueryError::Overloaded | QueryError::TimedOut(_) | QueryError::MemorySpent(_) => {
            answer::try_again(error.to_string())
        }
        QueryError::Read(_) | QueryError::Panicked => {
            tracing::error!(%error, "a query failed");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    }
}
