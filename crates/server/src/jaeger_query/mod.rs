//! Ports 16686 and 16685: Jaeger's query API over HTTP and over gRPC. Requests go by [`routes`]; what is asked is read by
//! [`parameters`] and [`v3_parameters`]; answers have the shapes of [`answers`].

mod answers;
mod archive;
mod dependencies;
mod go_text;
mod grpc_api;
mod grpc_v3;
mod metric_series;
mod metrics;
mod parameters;
mod routes;
mod summaries;
mod traces;
mod transform;
mod v3;
mod v3_parameters;

pub(crate) use grpc_api::JaegerQueryGrpcApi;

use crate::answer::{self, Answer};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::clock;
use crate::page::Page;
use crate::request_path::Parameters;
use crate::zipkin::ZipkinApi;
use answers::{Form, Refused, Result};
use http::request::Parts;
use http::{Method, Request, StatusCode};
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

/// Port 16686.
pub(crate) struct JaegerQueryApi {
    app: Arc<App>,
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
        Self { page: Page::new(&app.options), page_api: Arc::new(ZipkinApi::new(Arc::clone(&app))), app }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
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
            return self.answer_page(request, &names).await;
        }
        let (head, body) = request.into_parts();
        let (answer, name) = match route {
            Ok(route) => (self.dispatch(route, &head, body).await, route.name()),
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

    /// Our page in the place of Jaeger's: its files and what it asks for as on Zipkin's port, Jaeger's addresses of a trace
    /// and of the search lead to ours, any other path is answered with the page itself.
    async fn answer_page(&self, request: Request<Incoming>, segments: &[&str]) -> Answer {
        match segments {
            ["zipkin", ..] | ["api", "tracewell", ..] => {
                return Api::answer(Arc::clone(&self.page_api) as Arc<dyn Api>, request).await;
            }
            _ if request.method() != Method::GET || !self.app.options.ui_enabled => {
                return answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            }
            ["trace", id] if id.bytes().all(|byte| byte.is_ascii_hexdigit()) && !id.is_empty() => {
                return answer::redirect(&format!("/zipkin/traces/{id}"));
            }
            ["" | "search"] => return answer::redirect("/zipkin/"),
            ["dependencies"] => return answer::redirect("/zipkin/dependency"),
            _ => {}
        }
        self.page.index(request.headers())
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

fn now_us() -> i64 {
    let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
