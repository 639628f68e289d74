//! OTLP over gRPC against a server that answers what a test wants.

#![cfg(feature = "otlp-grpc")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::runtime::Runtime;
use tracewell::sampler::ConstSampler;
use tracewell::{BatchOptions, OtlpGrpcReporter, OtlpGrpcReporterBuilder, Tracer, TracerStats};
use tracewell_model::SpanBatch;
use tracewell_wire::{Limits, otlp};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a request is answered with.
enum Reaction {
    Message(Vec<u8>),
    Status(&'static str, &'static str),
    /// With details that may say when to come again.
    Exhausted(&'static str),
    HttpStatus(u16),
    /// The connection is closed.
    HangUp,
}

type React = dyn FnMut(usize, usize) -> Reaction + Send;

#[derive(Clone)]
struct Received {
    /// Without its prefix, and as it was before it was compressed.
    message: Vec<u8>,
    was_zipped: bool,
    at: Instant,
}

struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _runtime: Runtime,
}

impl Server {
    /// `react` is given the number of the request and how many bytes its message has.
    fn start(react: impl FnMut(usize, usize) -> Reaction + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let react: Arc<Mutex<Box<React>>> = Arc::new(Mutex::new(Box::new(react)));
        let kept = Arc::clone(&received);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&react)));
            }
        });
        Self { address, received, _runtime: runtime }
    }

    fn tracer(&self) -> Tracer {
        self.tracer_with(|builder| builder)
    }

    fn tracer_with(&self, set: impl FnOnce(OtlpGrpcReporterBuilder) -> OtlpGrpcReporterBuilder) -> Tracer {
        let batch =
            BatchOptions::default().interval(PATIENCE).backoff(Duration::from_millis(5), Duration::from_millis(20));
        let builder = OtlpGrpcReporter::builder(&format!("http://{}", self.address)).unwrap();
        let reporter = set(builder.metadata("api-key", "secret").unwrap().batch(batch)).build();
        Tracer::builder("shop").sampler(ConstSampler::new(true)).flush_interval(PATIENCE).build(reporter)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(stream: tokio::net::TcpStream, received: Arc<Mutex<Vec<Received>>>, react: Arc<Mutex<Box<React>>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let hang_up = Arc::new(tokio::sync::Notify::new());
    loop {
        // The connection moves on only while it is asked for the next request.
        let next = tokio::select! {
            () = hang_up.notified() => return,
            next = connection.accept() => next,
        };
        let Some(Ok((request, respond))) = next else { return };
        tokio::spawn(answer(request, respond, Arc::clone(&received), Arc::clone(&react), Arc::clone(&hang_up)));
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    received: Arc<Mutex<Vec<Received>>>,
    react: Arc<Mutex<Box<React>>>,
    hang_up: Arc<tokio::sync::Notify>,
) {
    let (head, mut body) = request.into_parts();
    assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert!(head.headers["te"] == "trailers" && head.headers["api-key"] == "secret");
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        message.extend_from_slice(&data);
    }
    assert_eq!(u32::from_be_bytes(*message[1..].first_chunk().unwrap()) as usize, message.len() - 5);
    let was_zipped = message[0] == 1;
    assert_eq!(head.headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip"), was_zipped);
    let mut plain = Vec::new();
    match was_zipped {
        true => drop(flate2::read::GzDecoder::new(&message[5..]).read_to_end(&mut plain).unwrap()),
        false => plain.extend_from_slice(&message[5..]),
    }
    let (number, length) = (received.lock().unwrap().len(), plain.len());
    received.lock().unwrap().push(Received { message: plain, was_zipped, at: Instant::now() });
    let reaction = (react.lock().unwrap())(number, length);
    let mut trailers = HeaderMap::new();
    let mut status = |code: &'static str, message: &'static str| {
        trailers.insert("grpc-status", HeaderValue::from_static(code));
        trailers.insert("grpc-message", HeaderValue::from_static(message));
    };
    match reaction {
        Reaction::HangUp => return hang_up.notify_one(),
        Reaction::HttpStatus(status) => {
            let response = Response::builder().status(status).body(()).unwrap();
            respond.send_response(response, true).unwrap();
            return;
        }
        Reaction::Message(answer) => {
            status("0", "");
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let length = (answer.len() as u32).to_be_bytes();
            stream.send_data(Bytes::from([&[0], &length[..], &answer].concat()), false).unwrap();
            stream.send_trailers(trailers).unwrap();
            return;
        }
        Reaction::Status(code, message) => status(code, message),
        Reaction::Exhausted(details) => {
            status("8", "later");
            trailers.insert("grpc-status-details-bin", HeaderValue::from_static(details));
        }
    }
    // Trailers only.
    let mut response = Response::new(());
    *response.headers_mut() = trailers;
    respond.send_response(response, true).unwrap();
}

fn round(tracer: &Tracer, spans: u64) -> (u64, u64, u64) {
    (0..spans).for_each(|_| tracer.new_trace("GET /cart").tag("key", "value").finish());
    let TracerStats { reported, failed, retries, .. } = tracer.flush_async().within(PATIENCE).wait();
    (reported, failed, retries)
}

#[test]
fn spans_arrive_and_answers_are_understood() {
    let mut partial = Vec::new();
    let refused = otlp::PartialSuccess { rejected_spans: 4, error_message: "four too many".into() };
    otlp::encode_response_protobuf(&refused, &mut partial);
    let server = Server::start(move |number, _| match number {
        1 => Reaction::Message(partial.clone()),
        2 => Reaction::Status("14", "unavailable"),
        3 => Reaction::Exhausted("CAgSBWxhdGVy"),
        4 => Reaction::HttpStatus(503),
        6 => Reaction::Status("3", "invalid argument"),
        7 => Reaction::HttpStatus(404),
        _ => Reaction::Message(Vec::new()),
    });
    let tracer = server.tracer();
    assert_eq!(round(&tracer, 10), (10, 0, 0));
    let mut batch = SpanBatch::new();
    otlp::decode_protobuf(&server.received()[0].message, &Limits::default(), &mut batch).unwrap();
    assert_eq!((batch.len(), batch.span(0).name()), (10, "GET /cart"));
    assert_eq!(round(&tracer, 10), (16, 4, 0), "partial success");
    assert_eq!(round(&tracer, 10), (26, 4, 3), "three that may pass");
    assert_eq!(round(&tracer, 10), (26, 14, 3), "invalid");
    assert_eq!(round(&tracer, 10), (26, 24, 3), "no gRPC at all");
    assert_eq!(round(&tracer, 10), (36, 24, 3));
}

#[test]
fn a_message_that_is_too_large_is_cut_and_a_connection_that_ends_is_made_anew() {
    let server = Server::start(|number, length| match number {
        0 => Reaction::HangUp,
        _ if length > 2_000 => Reaction::Status("8", "grpc: received message after decompression larger than max 2000"),
        _ => Reaction::Message(Vec::new()),
    });
    let tracer = server.tracer();
    let (reported, failed, _) = round(&tracer, 200);
    assert_eq!((reported, failed), (200, 0));
    let stats = tracer.close();
    assert_eq!((stats.reported, stats.failed, stats.queued), (200, 0, 0));
}

#[test]
fn a_server_that_says_when_to_come_again_is_believed() {
    // google.rpc.RetryInfo: 0.3 seconds.
    const DETAILS: &str = "CAgSBWxhdGVyGjQKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SCAoGEIDGho8B";
    let server = Server::start(|number, _| match number {
        0 => Reaction::Exhausted(DETAILS),
        _ => Reaction::Message(Vec::new()),
    });
    let tracer = server.tracer();
    assert_eq!(round(&tracer, 1), (1, 0, 1));
    let received = server.received();
    // Pauses of its own would be 20 ms at most.
    assert!(received[1].at - received[0].at >= Duration::from_millis(300));
}

#[test]
fn messages_are_compressed_until_a_server_cannot_read_them() {
    let server = Server::start(|number, _| match number {
        1 => Reaction::Status("12", "grpc: Decompressor is not installed for grpc-encoding \"gzip\""),
        _ => Reaction::Message(Vec::new()),
    });
    let tracer = server.tracer_with(|builder| builder.gzip(true));
    assert_eq!(round(&tracer, 1), (1, 0, 0));
    assert_eq!(round(&tracer, 100), (101, 0, 1));
    assert_eq!(round(&tracer, 100), (201, 0, 1));
    let received = server.received();
    let was_zipped: Vec<bool> = received.iter().map(|received| received.was_zipped).collect();
    assert_eq!(was_zipped, [false, true, false, false], "a single span is not worth it");
    let mut batch = SpanBatch::new();
    otlp::decode_protobuf(&received[1].message, &Limits::default(), &mut batch).unwrap();
    assert_eq!((batch.len(), &received[1].message), (100, &received[2].message));
}

#[test]
fn nobody_there_is_waited_for() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reporter = OtlpGrpcReporter::new(&format!("http://{nowhere}")).unwrap();
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
    tracer.new_trace("lost").finish();
    let stats = tracer.close();
    assert_eq!((stats.reported, stats.failed, stats.dropped), (0, 1, 0));
    for wrong in ["localhost:4317", "ftp://localhost:4317", "http://localhost:4317/v1", "http://"] {
        assert!(OtlpGrpcReporter::new(wrong).is_err(), "{wrong}");
    }
    assert_eq!(OtlpGrpcReporter::new("https://localhost:4317").is_ok(), cfg!(feature = "otlp-grpc-tls"));
}
