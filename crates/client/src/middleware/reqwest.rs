//! A middleware of reqwest-middleware: a span around each request, and the trace in its headers.

use async_trait::async_trait;
use reqwest_middleware::reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use super::client::{ClientTracing, UrlTemplate};
use super::head::{RequestHead, is_grpc};
use super::in_flight::{InFlight, current_context};
use crate::Tracer;
use crate::propagation::TraceContext;

/// Traces the requests of reqwest. The span ends with the head of the response.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tracewell::middleware::reqwest::ReqwestTracing;
/// # use tracewell::{InMemoryReporter, Tracer};
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let client = ClientBuilder::new(reqwest_middleware::reqwest::Client::new())
///     .with(ReqwestTracing::new(&tracer))
///     .build();
/// # drop(client);
/// ```
///
/// A [`TraceContext`] or a [`UrlTemplate`] is given by `with_extension` of the request's builder.
#[derive(Debug, Clone)]
pub struct ReqwestTracing {
    settings: ClientTracing,
}

impl ReqwestTracing {
    /// With the default settings.
    ///
    /// ```
    /// use tracewell::middleware::reqwest::ReqwestTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let middleware = ReqwestTracing::new(&tracer);
    /// # let _ = middleware;
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self::from(ClientTracing::new(tracer))
    }

    fn begin(&self, request: &mut Request, extensions: &http::Extensions) -> Option<InFlight> {
        let url = request.url();
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let authority = url.host_str().map(|host| format!("{host}{port}"));
        let headers = request.headers();
        let head = RequestHead {
            method: request.method().as_str(),
            scheme: url.scheme(),
            authority: authority.as_deref(),
            path: url.path(),
            query: url.query(),
            route: extensions.get::<UrlTemplate>().map(|template| template.0),
            peer: None,
            version: "1.1",
            headers,
            is_grpc: is_grpc(headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes)),
        };
        let in_flight = match extensions.get::<TraceContext>() {
            Some(parent) => self.settings.begin(&head, Some(parent)),
            None => self.settings.begin(&head, current_context().as_ref()),
        }?;
        self.settings.inject(in_flight.span.context(), request.headers_mut());
        Some(in_flight)
    }
}

impl From<ClientTracing> for ReqwestTracing {
    fn from(settings: ClientTracing) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Middleware for ReqwestTracing {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let Some(mut in_flight) = self.begin(&mut request, extensions) else {
            return next.run(request, extensions).await;
        };
        let result = next.run(request, extensions).await;
        match &result {
            Ok(response) => {
                if let Some(address) = response.remote_addr() {
                    self.settings.peer(&mut in_flight.span, response.url().host_str(), address);
                }
                in_flight.response(response.status().as_u16(), response.headers());
            }
            Err(error) => in_flight.failed(error),
        }
        result
    }
}
