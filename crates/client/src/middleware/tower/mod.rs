//! Layers of tower: a request and a response of `http` in between, whatever server or client they belong to.
//!
//! A service that answers and a client that asks it, in one trace:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tracewell::middleware::tower::{ClientLayer, ServerLayer};
//! use tracewell::sampler::ConstSampler;
//! use tracewell::{InMemoryReporter, Kind, Tracer};
//!
//! type Body = Empty<&'static [u8]>;
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let reporter = InMemoryReporter::default();
//! let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
//!
//! let handler = service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::new())) });
//! let server = ServerLayer::new(&tracer).layer(handler);
//! // What a client library would send over a network.
//! let client = ClientLayer::new(&tracer).layer(server);
//! client.oneshot(Request::get("/cart").body(Body::new())?).await?;
//!
//! tracer.flush();
//! let spans = reporter.spans();
//! assert_eq!((spans[0].name.as_str(), spans[0].kind), ("GET /cart", Kind::Server));
//! assert_eq!((spans[1].name.as_str(), spans[1].kind), ("GET", Kind::Client));
//! assert_eq!(spans[0].parent, Some(spans[1].id));
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(run())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod client;
mod future;
mod server;

use std::net::SocketAddr;

use http::{Request, Version};

pub use body::TracedBody;
pub use client::{ClientLayer, ClientService};
pub use future::ResponseFuture;
pub use server::{ServerLayer, ServerService};

use super::head::{RequestHead, is_grpc};

fn head_of<'a, B>(request: &'a Request<B>, route: Option<&'a str>, peer: Option<SocketAddr>) -> RequestHead<'a> {
    let uri = request.uri();
    let is_post = *request.method() == http::Method::POST;
    RequestHead {
        method: request.method().as_str(),
        scheme: uri.scheme_str().unwrap_or("http"),
        authority: uri.authority().map(http::uri::Authority::as_str),
        path: uri.path(),
        query: uri.query(),
        route,
        peer,
        version: version(request.version()),
        headers: request.headers(),
        is_grpc: is_post && is_grpc(request.headers().get(http::header::CONTENT_TYPE).map(|value| value.as_bytes())),
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
