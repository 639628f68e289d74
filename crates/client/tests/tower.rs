//! The tower layers: what becomes of requests, whatever happens to them, and what a client sends.
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracewell::middleware::tower::{ClientLayer, ServerLayer};
use tracewell::middleware::{ClientTracing, Continuing, ServerTracing, SpanEnd, TagSet, UrlTemplate};
use tracewell::propagation::{Format, Propagation, TraceContext};
use tracewell::sampler::ConstSampler;
use tracewell::{InMemoryReporter, Kind, Span, SpanId, TraceId, Tracer, Value};

type Body = BoxBody<&'static [u8], io::Error>;

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn full(bytes: &'static [u8]) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Data, then trailers.
fn grpc_body(status: &'static str) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static(status));
    trailers.insert("grpc-message", http::HeaderValue::from_static("no apples"));
    Full::new(&b"\0\0\0\0\0"[..])
        .with_trailers(async move { Some(Ok(trailers)) })
        .map_err(|never| match never {})
        .boxed()
}

struct Test {
    tracer: Tracer,
    reporter: InMemoryReporter,
}

type Reported = tracewell_model::Span;

impl Test {
    fn new() -> Self {
        Self::sampled(true)
    }

    fn sampled(sampled: bool) -> Self {
        let reporter = InMemoryReporter::default();
        let tracer = Tracer::builder("shop").sampler(ConstSampler::new(sampled)).build(reporter.clone());
        Self { tracer, reporter }
    }

    fn settings(&self) -> ServerTracing {
        ServerTracing::new(&self.tracer)
    }

    fn spans(&self) -> Vec<Reported> {
        self.tracer.flush();
        self.reporter.take_spans()
    }

    fn span(&self) -> Reported {
        let mut spans = self.spans();
        assert_eq!(spans.len(), 1, "{spans:#?}");
        spans.remove(0)
    }
}

fn tag<'s>(span: &'s Reported, key: &str) -> Option<&'s Value> {
    span.tags.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value)
}

fn text(span: &Reported, key: &str) -> String {
    match tag(span, key) {
        Some(Value::Str(text)) => text.clone(),
        Some(Value::I64(number)) => number.to_string(),
        other => panic!("{key} is {other:?} in {span:#?}"),
    }
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path)
}

/// Sends one request through a layer to a handler that answers `status`.
async fn send(layer: impl Into<ServerLayer>, request: http::request::Builder, status: u16) -> Response<()> {
    let handler = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::builder().status(status).body(full(b"ok")).unwrap())
    });
    let response = layer.into().layer(handler).oneshot(request.body(empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "ok");
    Response::from_parts(parts, ())
}

#[tokio::test]
async fn a_request_becomes_a_span_with_names_and_tags() {
    let test = Test::new();
    let peer: SocketAddr = "10.0.0.7:4711".parse().unwrap();
    send(test.settings(), get("http://shop/cart?a=1").extension(peer), 200).await;
    let span = test.span();
    assert_eq!((span.name.as_str(), span.kind), ("GET /cart", Kind::Server));
    assert_eq!((text(&span, "http.method"), text(&span, "http.path")), ("GET".to_owned(), "/cart".to_owned()));
    assert_eq!(text(&span, "http.status_code"), "200");
    assert_eq!(tag(&span, "error"), None);
    let remote = span.remote.as_ref().unwrap();
    assert_eq!((remote.ipv4, remote.port), (Some([10, 0, 0, 7]), 4711));
}

#[tokio::test]
async fn a_route_names_the_span() {
    let test = Test::new();
    let layer = ServerLayer::from(test.settings()).route_from(|extensions| extensions.get::<&'static str>().copied());
    send(layer, get("/cart/7").extension("/cart/{id}"), 404).await;
    let span = test.span();
    assert_eq!((span.name.as_str(), text(&span, "http.route").as_str()), ("GET /cart/{id}", "/cart/{id}"));
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_one_name() {
    let test = Test::new();
    send(test.settings(), get("/wp-admin/setup.php"), 404).await;
    let span = test.span();
    assert_eq!((span.name.as_str(), text(&span, "http.path").as_str()), ("GET not_found", "/wp-admin/setup.php"));
    assert_eq!(tag(&span, "error"), None);
}

#[tokio::test]
async fn five_hundred_is_an_error() {
    let test = Test::new();
    send(test.settings(), get("/"), 503).await;
    assert_eq!(text(&test.span(), "error"), "503");
}

const TRACE: &str = "463ac35c9f6413ad48485a3953bb6124";
const SPAN: &str = "a2fb4a1d1a96d312";

#[tokio::test]
async fn a_trace_is_continued_as_its_format_has_it() {
    let test = Test::new();
    let b3 = || get("/").header("x-b3-traceid", TRACE).header("x-b3-spanid", SPAN).header("x-b3-sampled", "1");
    let w3c = || get("/").header("traceparent", format!("00-{TRACE}-{SPAN}-01"));
    let caller = SpanId::new(0xa2fb_4a1d_1a96_d312);

    send(test.settings(), b3(), 200).await;
    let span = test.span();
    assert_eq!((span.id, span.shared), (caller, true));

    send(test.settings(), w3c(), 200).await;
    let span = test.span();
    assert!(span.id != caller && span.parent == Some(caller), "{span:#?}");
    assert_eq!(span.trace_id, TraceId::new(0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124));

    send(test.settings().continuing(Continuing::Child), b3(), 200).await;
    assert_eq!(test.span().parent, Some(caller));
    send(test.settings().continuing(Continuing::Join), w3c(), 200).await;
    assert_eq!(test.span().id, caller);
    send(test.settings().force_new_trace(true), b3(), 200).await;
    let span = test.span();
    assert!(span.parent.is_none() && span.trace_id != TraceId::new(0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124));
    // A decision alone is honoured, too.
    send(test.settings(), get("/").header("x-b3-sampled", "0"), 200).await;
    assert!(test.spans().is_empty());
}

#[tokio::test]
async fn malformed_headers_begin_a_trace() {
    let test = Test::new();
    send(test.settings(), get("/").header("traceparent", "00-zz").header("b3", "nonsense"), 200).await;
    assert_eq!(test.span().parent, None);
}

#[tokio::test]
async fn skipped_requests_leave_nothing() {
    let test = Test::new();
    let settings = || test.settings().skip_routes(["/health", "/assets/*"]).skip_if(|head| head.method() == "OPTIONS");
    for request in [get("/health"), get("/assets/a.css"), Request::options("/cart")] {
        send(settings(), request, 200).await;
    }
    assert!(test.spans().is_empty());
    send(settings(), get("/healthy"), 200).await;
    assert_eq!(test.span().name, "GET /healthy");
}

#[tokio::test]
async fn the_response_tells_which_trace_it_was() {
    let test = Test::new();
    let settings = test.settings().inject_response_headers(Propagation::new(&[Format::B3Multi]));
    let response = send(settings, get("/"), 200).await;
    let span = test.span();
    assert_eq!(response.headers()["x-b3-traceid"], span.trace_id.to_string());
    assert_eq!(response.headers()["x-b3-spanid"], span.id.to_string());
}

#[tokio::test]
async fn the_names_of_open_telemetry_and_of_starlette() {
    let test = Test::new();
    let request = || {
        get("http://shop:8080/cart?a=1").header("user-agent", "test").extension(SocketAddr::from(([10, 0, 0, 7], 1)))
    };
    send(test.settings().tags(TagSet::OpenTelemetry), request(), 500).await;
    let span = test.span();
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/cart"),
        ("url.query", "a=1"),
        ("url.scheme", "http"),
        ("server.address", "shop"),
        ("server.port", "8080"),
        ("client.address", "10.0.0.7"),
        ("user_agent.original", "test"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "500"),
        ("error.type", "500"),
    ] {
        assert_eq!(text(&span, key), value, "{key}");
    }

    let response = send(ServerTracing::starlette(&test.tracer), request(), 404).await;
    assert!(response.headers().contains_key("x-b3-traceid"));
    let span = test.span();
    assert_eq!(span.name, "HTTP GET /cart");
    for (key, value) in [
        ("component", "asgi"),
        ("http.method", "GET"),
        ("http.url", "http://shop:8080/cart?a=1"),
        ("http.route", "/cart"),
        ("http.headers", r#"{"user-agent":"test"}"#),
        ("query", "a=1"),
        ("remote_address", "10.0.0.7"),
        ("http.status_code", "404"),
        ("error", "true"),
    ] {
        assert_eq!(text(&span, key), value, "{key}");
    }
    assert!(text(&span, "http.response.headers").contains("x-b3-traceid"));
}

#[tokio::test]
async fn the_handler_s_span_is_current_and_its_context_is_among_the_extensions() {
    let test = Test::new();
    let handler = service_fn(async |request: Request<Body>| {
        let before = tracewell::current().context();
        tokio::task::yield_now().await;
        assert_eq!(tracewell::current().context(), before);
        assert_eq!(request.extensions().get::<TraceContext>(), before.as_ref());
        tracewell::current().tag("user", "ada").new_child("lookup").finish();
        Ok::<_, Infallible>(Response::new(full(b"")))
    });
    ServerLayer::new(&test.tracer).layer(handler).oneshot(get("/").body(empty()).unwrap()).await.unwrap();
    assert!(tracewell::current().is_none());
    let spans = test.spans();
    assert_eq!((spans[0].name.as_str(), spans[0].parent), ("lookup", Some(spans[1].id)));
    assert_eq!(text(&spans[1], "user"), "ada");
}

#[tokio::test]
async fn a_service_s_error_is_the_span_s() {
    let test = Test::new();
    let handler = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(io::Error::other("no disk")));
    ServerLayer::new(&test.tracer).layer(handler).oneshot(get("/").body(empty()).unwrap()).await.unwrap_err();
    assert_eq!(text(&test.span(), "error"), "no disk");
}

#[test]
fn a_request_nobody_waits_for_is_cancelled_and_one_that_panics_says_so() {
    let test = Test::new();
    let context = &mut Context::from_waker(Waker::noop());
    let handler = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
    let mut future = Box::pin(ServerLayer::new(&test.tracer).layer(handler).call(get("/").body(empty()).unwrap()));
    assert!(future.as_mut().poll(context).is_pending());
    assert!(test.spans().is_empty());
    drop(future);
    assert_eq!(text(&test.span(), "error"), "cancelled");

    let handler = service_fn(async |request: Request<Body>| {
        assert!(request.uri().path().is_empty(), "a bug");
        Ok::<_, Infallible>(Response::new(full(b"")))
    });
    let mut service = ServerLayer::new(&test.tracer).layer(handler);
    let panicking = std::thread::spawn(move || {
        let mut future = pin!(service.call(get("/").body(empty()).unwrap()));
        future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
    assert!(panicking.join().is_err());
    assert_eq!(text(&test.span(), "error"), "panicked");
}

#[tokio::test]
async fn a_span_may_end_with_the_body() {
    let test = Test::new();
    let handler = || {
        service_fn(async |_: Request<Body>| {
            let frames = [Ok(http_body::Frame::data(&b"a"[..])), Err(io::Error::other("cut"))];
            let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
            Ok::<_, Infallible>(Response::new(body))
        })
    };
    let layer = ServerLayer::from(test.settings().ends_with(SpanEnd::Body));
    let mut body = layer.layer(handler()).oneshot(get("/").body(empty()).unwrap()).await.unwrap().into_body();
    assert!(test.spans().is_empty());
    body.frame().await.unwrap().unwrap();
    assert!(test.spans().is_empty());
    body.frame().await.unwrap().unwrap_err();
    assert_eq!(text(&test.span(), "error"), "cut");

    let mut body = layer.layer(handler()).oneshot(get("/").body(empty()).unwrap()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(text(&test.span(), "error"), "cancelled");

    // An empty body is not asked for, and is no reason to call anything cancelled.
    let handler = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(empty())));
    drop(layer.layer(handler).oneshot(get("/").body(empty()).unwrap()).await.unwrap());
    assert_eq!(tag(&test.span(), "error"), None);
}

#[tokio::test]
async fn a_grpc_call_ends_with_its_trailers() {
    let test = Test::new();
    for (status, name, failed) in [("0", "OK", false), ("5", "NOT_FOUND", false), ("13", "INTERNAL", true)] {
        let handler = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(grpc_body(status))));
        let request = Request::post("/shop.Cart/Add").header("content-type", "application/grpc").body(empty()).unwrap();
        let response = ServerLayer::new(&test.tracer).layer(handler).oneshot(request).await.unwrap();
        assert!(test.spans().is_empty());
        response.into_body().collect().await.unwrap();
        let span = test.span();
        assert_eq!((span.name.as_str(), text(&span, "grpc.status_code").as_str()), ("shop.Cart/Add", name));
        assert_eq!((text(&span, "rpc.service"), text(&span, "rpc.method")), ("shop.Cart".to_owned(), "Add".to_owned()));
        assert_eq!(tag(&span, "error").is_some(), failed);
        if failed {
            assert_eq!(text(&span, "error"), "INTERNAL: no apples");
        }
    }
    // A status in the head: there is no body to wait for.
    let handler = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::builder().header("grpc-status", "14").body(empty()).unwrap())
    });
    let request = Request::post("/shop.Cart/Add").header("content-type", "application/grpc").body(empty()).unwrap();
    let settings = test.settings().tags(TagSet::OpenTelemetry);
    ServerLayer::from(settings).layer(handler).oneshot(request).await.unwrap();
    let span = test.span();
    assert_eq!((text(&span, "rpc.system"), text(&span, "rpc.grpc.status_code")), ("grpc".to_owned(), "14".to_owned()));
    assert_eq!(text(&span, "error"), "UNAVAILABLE");
}

/// What a client sent.
type Sent = Arc<Mutex<Vec<HeaderMap>>>;

async fn ask(layer: ClientLayer, request: http::request::Builder, status: u16) -> HeaderMap {
    let sent = Sent::default();
    let keep = Arc::clone(&sent);
    let transport = service_fn(move |request: Request<Body>| {
        keep.lock().unwrap().push(request.headers().clone());
        async move { Ok::<_, Infallible>(Response::builder().status(status).body(full(b"")).unwrap()) }
    });
    layer.layer(transport).oneshot(request.body(empty()).unwrap()).await.unwrap();
    sent.lock().unwrap().remove(0)
}

fn b3(tracer: &Tracer) -> ClientTracing {
    ClientTracing::new(tracer).propagation(Propagation::new(&[Format::B3Multi]))
}

#[tokio::test]
async fn a_client_sends_the_trace_of_the_current_span() {
    use tracewell::InSpanExt;
    let test = Test::new();
    let work = async { ask(b3(&test.tracer).peer_service("cart").into(), get("http://10.0.0.7:80/cart/7"), 200).await };
    let parent: Span = test.tracer.new_trace("parent");
    let sent = work.in_span(parent).await;
    let spans = test.spans();
    let (child, parent) = (&spans[0], &spans[1]);
    assert_eq!((child.name.as_str(), child.kind, child.parent), ("GET", Kind::Client, Some(parent.id)));
    assert_eq!((text(child, "http.path").as_str(), text(child, "http.status_code").as_str()), ("/cart/7", "200"));
    let remote = child.remote.as_ref().unwrap();
    assert_eq!((remote.service.as_str(), remote.ipv4, remote.port), ("cart", Some([10, 0, 0, 7]), 80));
    assert_eq!(sent["x-b3-spanid"], child.id.to_string());
    assert_eq!(sent["x-b3-parentspanid"], parent.id.to_string());
    assert_eq!(sent["x-b3-sampled"], "1");
}

#[tokio::test]
async fn a_client_s_parent_may_be_given_and_so_may_its_name() {
    let test = Test::new();
    let parent = test.tracer.new_trace("parent");
    let request = get("http://cart/cart/7").extension(parent.context().clone()).extension(UrlTemplate("/cart/{id}"));
    ask(b3(&test.tracer).peer_service_from_host(true).into(), request, 404).await;
    let span = test.span();
    assert_eq!((span.name.as_str(), span.parent), ("GET /cart/{id}", Some(parent.context().span_id())));
    assert_eq!((text(&span, "error").as_str(), span.remote.as_ref().unwrap().service.as_str()), ("404", "cart"));
}

#[tokio::test]
async fn outside_of_a_trace_a_client_begins_one_or_leaves_the_request_alone() {
    let test = Test::new();
    assert_eq!(ask(b3(&test.tracer).into(), get("http://cart/"), 200).await["x-b3-sampled"], "1");
    assert_eq!(test.span().parent, None);
    let sent = ask(b3(&test.tracer).only_in_traces(true).into(), get("http://cart/"), 200).await;
    assert!(sent.is_empty() && test.spans().is_empty());
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_says_so_to_callees() {
    let test = Test::sampled(false);
    let layer = ClientLayer::from(b3(&test.tracer));
    let handler = service_fn(move |_: Request<Body>| {
        let layer = layer.clone();
        async move {
            let sent = ask(layer, get("http://cart/"), 200).await;
            assert_eq!(sent["x-b3-sampled"], "0");
            Ok::<_, Infallible>(Response::new(empty()))
        }
    });
    ServerLayer::new(&test.tracer).layer(handler).oneshot(get("/").body(empty()).unwrap()).await.unwrap();
    assert!(test.spans().is_empty());
}

#[test]
fn a_layer_is_ready_when_its_service_is() {
    struct Busy;
    impl Service<Request<Body>> for Busy {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::ready(Ok(Response::new(empty())))
        }
    }
    let test = Test::new();
    assert!(
        ServerLayer::new(&test.tracer).layer(Busy).poll_ready(&mut Context::from_waker(Waker::noop())).is_pending()
    );
}
