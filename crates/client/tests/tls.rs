//! Every reporter that speaks HTTP or gRPC, over TLS: against a server with a certificate made for the test, which is
//! believed only where its authority is named, and which may want to know who comes.

#![cfg(all(feature = "otlp-grpc-tls", feature = "zipkin", feature = "jaeger", feature = "otlp"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracewell::config::OtelConfig;
use tracewell::sampler::ConstSampler;
use tracewell::{
    BatchOptions, HttpOptions, JaegerCollectorReporter, OtlpGrpcReporter, OtlpHttpReporter, Reporter, TlsOptions,
    Tracer, ZipkinReporter,
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    roots: RootCertStore,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), pem: certificate.pem(), roots }
    }

    /// A certificate and its key.
    fn vouch_for(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn options(&self) -> TlsOptions {
        TlsOptions::default().authorities(self.pem.as_bytes()).unwrap()
    }
}

/// Takes everything.
struct Server {
    address: SocketAddr,
    /// Protocol and path, headers.
    received: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    _runtime: Runtime,
}

impl Server {
    fn start(authority: &Authority, asks_who_comes: bool) -> Self {
        let (certificate, key) = authority.vouch_for("127.0.0.1");
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let roots = Arc::new(authority.roots.clone());
        let verifier = || WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
        let config = match asks_who_comes {
            true => config.with_client_cert_verifier(verifier()),
            false => config.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<(String, HeaderMap)>>>::default();
        let kept = Arc::clone(&received);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    // One that does not believe us goes away.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => serve_grpc(stream, &kept).await,
                        _ => serve_http(stream, &kept).await,
                    }
                });
            }
        });
        Self { address, received, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What became of one span.
    fn arrives(&self, reporter: impl Reporter + 'static) -> bool {
        let before = self.received.lock().unwrap().len();
        let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
        tracer.new_trace("GET /cart").finish();
        let stats = tracer.close();
        let came = self.received.lock().unwrap().len() - before;
        assert_eq!((stats.reported, stats.failed), (came as u64, 1 - came as u64));
        came == 1
    }
}

async fn serve_http(stream: TlsStream<TcpStream>, received: &Mutex<Vec<(String, HeaderMap)>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut headers) = (String::new(), HeaderMap::new());
        if stream.read_line(&mut path).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            let name: http::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let length = headers["content-length"].to_str().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        let path = path.split(' ').nth(1).unwrap().to_owned();
        received.lock().unwrap().push((path, headers));
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn serve_grpc(stream: TlsStream<TcpStream>, received: &Mutex<Vec<(String, HeaderMap)>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, _body) = request.into_parts();
        assert_eq!(head.uri.scheme_str(), Some("https"));
        received.lock().unwrap().push((head.uri.path().to_owned(), head.headers));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        stream.send_trailers(trailers).unwrap();
    }
}

fn reporters(url: &str, tls: &TlsOptions) -> [(&'static str, Box<dyn Reporter>); 4] {
    let http = HttpOptions::default().tls(tls.clone());
    let zipkin = ZipkinReporter::builder(url).unwrap().http(http.clone()).build();
    let jaeger = JaegerCollectorReporter::builder(url).unwrap().http(http.clone()).build();
    let otlp = OtlpHttpReporter::builder(url).unwrap().http(http).build();
    let grpc = OtlpGrpcReporter::builder(url).unwrap().tls(tls.clone()).build();
    [
        ("/api/v2/spans", Box::new(zipkin)),
        ("/api/traces?format=jaeger.thrift", Box::new(jaeger)),
        ("/v1/traces", Box::new(otlp)),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Box::new(grpc)),
    ]
}

#[test]
fn a_server_is_believed_where_its_authority_is_named() {
    let authority = Authority::new();
    let server = Server::start(&authority, false);
    for (path, reporter) in reporters(&server.url(), &authority.options()) {
        assert!(server.arrives(reporter), "{path}");
        assert_eq!(server.received.lock().unwrap().last().unwrap().0, path);
    }
    for (path, reporter) in reporters(&server.url(), &Authority::new().options()) {
        assert!(!server.arrives(reporter), "{path}: another authority");
    }
    for (path, reporter) in reporters(&server.url(), &TlsOptions::default()) {
        assert!(!server.arrives(reporter), "{path}: none that Mozilla knows");
    }
    // And it says why.
    let said = Arc::<Mutex<String>>::default();
    let hears = Arc::clone(&said);
    let batch = BatchOptions::default().on_problem(move |problem| *hears.lock().unwrap() = problem.to_string());
    server.arrives(OtlpGrpcReporter::builder(&server.url()).unwrap().batch(batch).build());
    assert!(said.lock().unwrap().contains("certificate"), "{}", said.lock().unwrap());
}

#[test]
fn a_server_that_asks_who_comes_is_told() {
    let authority = Authority::new();
    let server = Server::start(&authority, true);
    let (certificate, key) = authority.vouch_for("shop");
    let identity = |options: TlsOptions, certificate: &rcgen::Certificate, key: &KeyPair| {
        options.identity(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
    };
    let tls = identity(authority.options(), &certificate, &key).unwrap();
    for (path, reporter) in reporters(&server.url(), &tls) {
        assert!(server.arrives(reporter), "{path}");
    }
    for (path, reporter) in reporters(&server.url(), &authority.options()) {
        assert!(!server.arrives(reporter), "{path}: nobody comes");
    }
    let stranger = Authority::new().vouch_for("shop");
    let tls = identity(authority.options(), &stranger.0, &stranger.1).unwrap();
    for (path, reporter) in reporters(&server.url(), &tls) {
        assert!(!server.arrives(reporter), "{path}: a stranger");
    }
    let error = identity(authority.options(), &certificate, &stranger.1).unwrap_err();
    assert!(matches!(error, tracewell::TlsError::Unusable { .. }), "the key of another: {error}");
}

#[test]
fn opentelemetry_s_variables_name_files() {
    let authority = Authority::new();
    let server = Server::start(&authority, true);
    let (certificate, key) = authority.vouch_for("shop");
    let folder = std::env::temp_dir().join(format!("tracewell-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut variables = vec![
        ("OTEL_SERVICE_NAME", "shop".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", server.url()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", write("authority.pem", &authority.pem)),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", write("client.pem", &certificate.pem())),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", write("client.key", &key.serialize_pem())),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret".to_owned()),
    ];
    for protocol in ["http/protobuf", "grpc"] {
        variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()));
        let find = |name: &str| variables.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let tracer = OtelConfig::from_variables(find).unwrap().tracer().unwrap();
        (0..100).for_each(|_| tracer.new_trace("GET /cart").tag("http.path", "/cart").finish());
        let stats = tracer.close_async().within(PATIENCE).wait();
        assert_eq!((stats.reported, stats.failed), (100, 0), "{protocol}");
        let received = server.received.lock().unwrap();
        let headers = &received.last().unwrap().1;
        let encoding = headers.get("grpc-encoding").or_else(|| headers.get("content-encoding"));
        assert!(headers["api-key"] == "secret" && encoding.unwrap() == "gzip", "{protocol}: {headers:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
