//! Ports 16686 and 16685: Jaeger's query API over HTTP and over gRPC. Requests go by [`routes`]; what is asked is read by
//! [`parameters`] and [`v3_parameters`]; answers have the shapes of [`answers`].

mod answers;
mod archive;
mod deep_dependencies;
mod dependencies;
mod go_text;
mod grpc_api;
mod grpc_v3;
mod metric_series;
mod metrics;
mod parameters;
mod quality_metrics;
mod routes;
mod summaries;
mod traces;
mod transform;
mod v3;
mod v3_parameters;

pub(crate) use grpc_api::JaegerQueryGrpcApi;

use crate::answer::{self, Answer, TEXT};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::clock;
use crate::page::Page;
use crate::request_path::Parameters;
use crate::zipkin::ZipkinApi;
use answers::{Form, Refused, Result};
use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use percent_encoding::percent_decode;
use routes::Route;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};
use tracewell_model::TraceGrouping;
use tracewell_wire::jaeger::Adjustments;

/// Traces are told apart by all of their ids, as Jaeger does.
const GROUPING: TraceGrouping = TraceGrouping::Strict;

/// What Go's HTTP server says where nothing is.
const NO_PAGE: &str = "404 page not found\n";

/// Port 16686.
pub(crate) struct JaegerQueryApi {
    app: Arc<App>,
    /// The path below which everything is; empty where there is none.
    base_path: String,
    page: Page,
    /// Answers what the page asks for, on this port too.
    page_api: Arc<ZipkinApi>,
}

/// A request without its body, taken apart.
struct Asked {
    parameters: Parameters,
    form: Form,
}

impl JaegerQueryApi {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let base_path = match app.options.jaeger_base_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let page = || match base_path.is_empty() {
            true => Page::new(&app.options, &app.options.ui_basepath),
            false => Page::new(&app.options, &format!("{base_path}/zipkin")),
        };
        let page_api = Arc::new(ZipkinApi::with_page(Arc::clone(&app), page()));
        Self { page: page(), page_api, base_path, app }
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        if !self.base_path.is_empty() {
            let Some(below) = below(request.uri(), &self.base_path) else {
                // As Jaeger answers what is beside its path.
                return self.page_or_refusal(&request);
            };
            *request.uri_mut() = below;
        }
        let path = request.uri().path().to_owned();
        let segments: Vec<Cow<'_, str>> = segments(&path);
        let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let route = if self.app.options.query_enabled {
            routes::route(request.method(), &names)
        } else {
            Err(StatusCode::NOT_FOUND)
        };
        if route == Ok(Route::Page) {
            // Counted there.
            let mut answer = self.answer_page(request, &names).await;
            self.lead_below(answer.headers_mut());
            return answer;
        }
        let (head, body) = request.into_parts();
        let (answer, name) = match route {
            Ok(route) => (self.dispatch(route, &head, body).await, route.name()),
            Err(StatusCode::NOT_FOUND) => (answer::answer(StatusCode::NOT_FOUND, TEXT, NO_PAGE), "NOT_FOUND"),
            Err(status) => (answer::empty(status), "NOT_FOUND"),
        };
        self.app.metrics.requests.observe(&head.method, name, answer.status(), started.elapsed());
        answer
    }

    async fn dispatch(&self, route: Route<'_>, head: &Parts, body: Incoming) -> Answer {
        let answered = match Parameters::parse(head.uri.query()) {
            Err(_) => Err(Refused::bad_request("invalid URL escape")),
            Ok(parameters) => {
                let pretty = parameters.get("prettyPrint").is_some_and(|text| !text.is_empty() && text != "false");
                let form = Form { pretty, takes_gzip: answer::takes_encoding(&head.headers, "gzip") };
                self.answer_route(route, Asked { parameters, form }, body).await
            }
        };
        answered.unwrap_or_else(|refused| if route.is_v3() { refused.answer_v3() } else { refused.answer() })
    }

    async fn answer_route(&self, route: Route<'_>, asked: Asked, body: Incoming) -> Result<Answer> {
        match route {
            Route::Trace(id) => self.trace(id, asked).await,
            Route::Search => self.search(asked).await,
            Route::Services => self.services(asked).await,
            Route::ServiceOperations(service) => self.service_operations(service, asked).await,
            Route::Operations => self.operations(asked).await,
            Route::Dependencies => self.dependencies(asked).await,
            Route::DeepDependencies => self.deep_dependencies(asked).await,
            Route::QualityMetrics => self.quality_metrics(asked).await,
            Route::Transform => self.transform(asked, body).await,
            Route::Archive(id) => self.archive(id, asked).await,
            Route::Metrics(kind) => self.metrics(kind, asked).await,
            Route::MinStep => self.min_step(&asked),
            Route::V3Services => self.v3_services(asked.form).await,
            Route::V3Operations => self.v3_operations(asked).await,
            Route::V3Traces => self.v3_traces(asked).await,
            Route::V3Trace(id) => self.v3_trace(id, asked).await,
            Route::V3Summaries => self.v3_summaries(asked).await,
            Route::Page => Err(Refused::new(StatusCode::NOT_FOUND, "not found")),
        }
    }

    /// Our page in the place of Jaeger's: its files and what it asks for as on Zipkin's port, the addresses of Jaeger's page lead
    /// to ours, any other path is answered with the page itself.
    async fn answer_page(&self, request: Request<Incoming>, segments: &[&str]) -> Answer {
        match segments {
            ["zipkin", ..] | ["api", "tracewell", ..] => {
                return Api::answer(Arc::clone(&self.page_api) as Arc<dyn Api>, request).await;
            }
            _ if request.method() != Method::GET || !self.app.options.ui_enabled => {}
            [""] if !self.base_path.is_empty() => {}
            _ => {
                if let Some(path) = page_of(segments) {
                    // What was searched for, found in a trace or looked back at stands in the query: our page translates it.
                    let sign = if path.contains('?') { '&' } else { '?' };
                    let query = request.uri().query().map(|query| format!("{sign}{query}")).unwrap_or_default();
                    return answer::redirect(&format!("{path}{query}"));
                }
            }
        }
        self.page_or_refusal(&request)
    }

    fn page_or_refusal(&self, request: &Request<Incoming>) -> Answer {
        match request.method() == Method::GET && self.app.options.ui_enabled {
            true => self.page.index(request.headers()),
            false => answer::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Redirections stay below the base path.
    fn lead_below(&self, headers: &mut HeaderMap) {
        let Some(location) = headers.get_mut(LOCATION).filter(|_| !self.base_path.is_empty()) else { return };
        let path = location.to_str().ok().filter(|path| path.starts_with('/'));
        if let Some(Ok(below)) = path.map(|path| HeaderValue::try_from(format!("{}{path}", self.base_path))) {
            *location = below;
        }
    }

    fn adjustments(&self) -> Adjustments {
        Adjustments { clock_skew_max: self.app.options.jaeger_max_clock_skew_adjustment }
    }
}

impl Api for JaegerQueryApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move { Self::answer(&self, request).await })
    }
}

/// The segments of a path, each decoded for itself, so that a service's name may hold a slash.
fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    segments.map(|segment| percent_decode(segment.as_bytes()).decode_utf8_lossy()).collect()
}

/// An address without the path in front; `None` where it is not below that.
fn below(uri: &Uri, base_path: &str) -> Option<Uri> {
    let rest = uri.path().strip_prefix(base_path).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    let path = if rest.is_empty() { "/" } else { rest };
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Uri::try_from(format!("{path}{query}")).ok()
}

fn now_us() -> i64 {
    let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Where our page shows what a path of Jaeger's page does; two traces that it compares are `a...b` there.
fn page_of(segments: &[&str]) -> Option<String> {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(match segments {
        [""] => "/zipkin/".to_owned(),
        ["search"] => "/zipkin/search".to_owned(),
        ["dependencies" | "system-architecture"] => "/zipkin/dependency".to_owned(),
        ["monitor"] => "/zipkin/monitor".to_owned(),
        ["trace", id] => match id.split_once("...") {
            Some((a, b)) if is_id(a) && is_id(b) => format!("/zipkin/compare?a={a}&b={b}"),
            None if is_id(id) => format!("/zipkin/traces/{id}"),
            _ => return None,
        },
        _ => return None,
    })
}
