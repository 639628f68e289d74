//! Spans as OTLP over gRPC: HTTP/2, also over TLS, on a runtime that runs on the reporter's own thread, while it sends.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
#[cfg(feature = "otlp-grpc-tls")]
use tokio_rustls::TlsConnector;
use tracewell_wire::otlp;

use super::delivery::{Answer, BatchOptions, Delivery, Transport, report_by_delivery};
use super::otlp_request::{Form, OtlpEncoder};
#[cfg(feature = "otlp-grpc-tls")]
use super::tls::TlsOptions;

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PORT: u16 = 4317;
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What precedes the message of an answer.
const PREFIX_BYTES: usize = 5;
/// Smaller messages are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_000;
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// gRPC's codes that OTLP has repeated: cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
const RETRIED: [u32; 6] = [1, 4, 10, 11, 14, 15];
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

/// Sends spans as OTLP over gRPC; over TLS with the feature `otlp-grpc-tls`.
///
/// ```no_run
/// use tracewell::{OtlpGrpcReporter, Tracer};
/// let reporter = OtlpGrpcReporter::builder("http://collector:4317")?.metadata("api-key", "secret")?.build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), tracewell::GrpcAddressError>(())
/// ```
pub struct OtlpGrpcReporter {
    delivery: Delivery,
}

/// Settings of an [`OtlpGrpcReporter`].
///
/// ```
/// use std::time::Duration;
/// use tracewell::{BatchOptions, OtlpGrpcReporter, Tracer};
/// let reporter = OtlpGrpcReporter::builder("http://collector:4317")?
///     .metadata("api-key", "secret")?
///     .gzip(true)
///     .connect_timeout(Duration::from_secs(1))
///     .timeout(Duration::from_secs(5))
///     .batch(BatchOptions::default().spans_max(500))
///     .build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), tracewell::GrpcAddressError>(())
/// ```
#[must_use]
pub struct OtlpGrpcReporterBuilder {
    address: Uri,
    host: String,
    port: u16,
    metadata: HeaderMap,
    gzip: bool,
    #[cfg(feature = "otlp-grpc-tls")]
    tls: TlsOptions,
    connect_timeout: Duration,
    timeout: Duration,
    batch: BatchOptions,
}

/// Why nothing can be sent.
///
/// ```
/// use tracewell::{GrpcAddressError, OtlpGrpcReporter};
/// let error = OtlpGrpcReporter::new("collector:4317").err();
/// assert_eq!(error, Some(GrpcAddressError::Address { address: "collector:4317".into() }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrpcAddressError {
    /// It is no address that can be spoken to.
    #[error("{address:?}: an address of gRPC is http://host:port or https://host:port, without a path")]
    Address {
        /// What was given.
        address: String,
    },
    /// TLS is wanted and not built in.
    #[error("{address}: https needs the feature `otlp-grpc-tls` of the package tracewell")]
    NoTls {
        /// What was given.
        address: String,
    },
    /// A name or value that HTTP does not allow.
    #[error("metadata {name:?} cannot be sent: its name or its value holds what HTTP does not allow")]
    Metadata {
        /// The name.
        name: String,
    },
}

impl OtlpGrpcReporter {
    /// To `http://host:port` or `https://host:port`; the port is 4317 if not said.
    ///
    /// ```
    /// use tracewell::{OtlpGrpcReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(OtlpGrpcReporter::new("http://collector:4317")?);
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, GrpcAddressError> {
        Ok(Self::builder(address)?.build())
    }

    /// The same with other settings.
    ///
    /// ```
    /// let reporter = tracewell::OtlpGrpcReporter::builder("http://collector")?.gzip(true).build();
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub fn builder(address: &str) -> Result<OtlpGrpcReporterBuilder, GrpcAddressError> {
        let wrong = || GrpcAddressError::Address { address: address.to_owned() };
        let given: Uri = address.parse().map_err(|_| wrong())?;
        let authority = given.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(wrong)?;
        let scheme =
            given.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme)).ok_or_else(wrong)?;
        if given.path() != "/" {
            return Err(wrong());
        }
        if *scheme == Scheme::HTTPS && !cfg!(feature = "otlp-grpc-tls") {
            return Err(GrpcAddressError::NoTls { address: address.to_owned() });
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        #[cfg(feature = "otlp-grpc-tls")]
        server_name(&host).map_err(|_| wrong())?;
        let port = authority.port_u16().unwrap_or(PORT);
        let address = Uri::builder().scheme(scheme.clone()).authority(authority.clone()).path_and_query(PATH).build();
        Ok(OtlpGrpcReporterBuilder {
            address: address.map_err(|_| wrong())?,
            host,
            port,
            metadata: HeaderMap::new(),
            gzip: false,
            #[cfg(feature = "otlp-grpc-tls")]
            tls: TlsOptions::default(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            batch: BatchOptions::default(),
        })
    }
}

impl OtlpGrpcReporterBuilder {
    /// Metadata of every request; takes the place of what has that name.
    ///
    /// ```
    /// # use tracewell::OtlpGrpcReporter;
    /// let builder = OtlpGrpcReporter::builder("http://collector:4317")?;
    /// assert!(builder.metadata("not a name", "secret").is_err());
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub fn metadata(mut self, name: &str, value: &str) -> Result<Self, GrpcAddressError> {
        let (Ok(key), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(GrpcAddressError::Metadata { name: name.to_owned() });
        };
        self.metadata.insert(key, value);
        Ok(self)
    }

    /// Whether messages are compressed, as for HTTP ([`crate::HttpOptions::gzip`]); not if not said. A server that answers
    /// that it cannot read them is sent plain ones from then on.
    ///
    /// ```
    /// let reporter = tracewell::OtlpGrpcReporter::builder("http://collector:4317")?.gzip(true).build();
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub const fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// Which servers are believed over `https://`, and what is shown to them.
    ///
    /// ```
    /// use tracewell::{OtlpGrpcReporter, TlsOptions};
    /// let tls = TlsOptions::default().authorities(&std::fs::read("tests/fixtures/authority.pem")?)?;
    /// let reporter = OtlpGrpcReporter::builder("https://collector:4317")?.tls(tls).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "otlp-grpc-tls")]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// How long a connection may take to be made, with TLS; 3 seconds if not said.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = tracewell::OtlpGrpcReporter::builder("http://collector:4317")?.connect_timeout(Duration::from_secs(1));
    /// assert!(format!("{builder:?}").contains("connect_timeout: 1s"));
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take with its answer; 10 seconds if not said.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = tracewell::OtlpGrpcReporter::builder("http://collector:4317")?.timeout(Duration::from_secs(5));
    /// assert!(format!("{builder:?}").contains(" timeout: 5s"));
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How spans are gathered and kept.
    ///
    /// ```
    /// use tracewell::{BatchOptions, OtlpGrpcReporter};
    /// let batch = BatchOptions::default().spans_max(500);
    /// let reporter = OtlpGrpcReporter::builder("http://collector:4317")?.batch(batch).build();
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.batch = batch;
        self
    }

    /// The reporter. Its thread starts with the first span.
    ///
    /// ```
    /// use tracewell::{OtlpGrpcReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(OtlpGrpcReporter::builder("http://collector:4317")?.build());
    /// assert_eq!(tracer.reporter_stats()[0].name, "otlp-grpc");
    /// # Ok::<(), tracewell::GrpcAddressError>(())
    /// ```
    pub fn build(mut self) -> OtlpGrpcReporter {
        self.metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        self.metadata.insert(TE, HeaderValue::from_static("trailers"));
        let user_agent = HeaderValue::from_static(concat!("tracewell/", env!("CARGO_PKG_VERSION")));
        self.metadata.entry(USER_AGENT).or_insert(user_agent);
        let batch = std::mem::take(&mut self.batch);
        let transport = GrpcTransport {
            settings: self,
            runtime: None,
            client: None,
            #[cfg(feature = "otlp-grpc-tls")]
            tls: None,
        };
        let encoder = Box::new(OtlpEncoder::new(Form::Grpc));
        OtlpGrpcReporter { delivery: Delivery::new("otlp-grpc", batch, encoder, Box::new(transport)) }
    }
}

report_by_delivery!(OtlpGrpcReporter);

/// Without the values of metadata: some are secret.
impl fmt::Debug for OtlpGrpcReporterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpGrpcReporterBuilder")
            .field("address", &self.address)
            .field("metadata", &self.metadata.keys().collect::<Vec<_>>())
            .field("gzip", &self.gzip)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OtlpGrpcReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpGrpcReporter").field("stats", &self.delivery.counters().stats()).finish()
    }
}

struct GrpcTransport {
    settings: OtlpGrpcReporterBuilder,
    /// From the first request on, on the thread that sends.
    runtime: Option<Runtime>,
    client: Option<SendRequest<Bytes>>,
    /// From the first connection on that needs it.
    #[cfg(feature = "otlp-grpc-tls")]
    tls: Option<TlsConnector>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http2(#[from] h2::Error),
    #[error("{0}")]
    Http(#[from] http::Error),
    #[cfg(feature = "otlp-grpc-tls")]
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("it took longer than {0:?}")]
    Timeout(Duration),
}

impl Transport for GrpcTransport {
    fn send(&mut self, body: &[u8]) -> Answer {
        let runtime = match self.runtime.take() {
            Some(runtime) => Ok(runtime),
            None => tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build(),
        };
        let result = runtime.map_err(Failure::from).and_then(|runtime| {
            let message = if self.zips(body) { zip(body) } else { Ok(Bytes::copy_from_slice(body)) };
            let result = message.map_err(Failure::from).and_then(|message| runtime.block_on(self.exchange(message)));
            self.runtime = Some(runtime);
            result
        });
        result.unwrap_or_else(|error| {
            let why = format!("{}: {error}", self.settings.address);
            Answer::Later { after: None, fails_at_this: false, why }
        })
    }
}

impl GrpcTransport {
    fn zips(&self, body: &[u8]) -> bool {
        self.settings.gzip && body.len() >= GZIP_BYTES_MIN
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answer, Failure> {
        let client = match self.client.take() {
            // A connection that ended meanwhile is not a failed attempt.
            Some(client) => match client.ready().await {
                Ok(client) => client,
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let patience = self.settings.timeout;
        let answer = timeout(patience, self.export(client, body)).await;
        answer.unwrap_or(Err(Failure::Timeout(patience)))
    }

    async fn connect(&mut self) -> Result<SendRequest<Bytes>, Failure> {
        let patience = self.settings.connect_timeout;
        timeout(patience, self.connect_in_time()).await.unwrap_or(Err(Failure::Timeout(patience)))
    }

    async fn connect_in_time(&mut self) -> Result<SendRequest<Bytes>, Failure> {
        let stream = TcpStream::connect((self.settings.host.as_str(), self.settings.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(feature = "otlp-grpc-tls")]
        if self.settings.address.scheme() == Some(&Scheme::HTTPS) {
            let connector = match &self.tls {
                Some(connector) => connector,
                None => self.tls.insert(TlsConnector::from(std::sync::Arc::new(self.settings.tls.for_grpc()?))),
            };
            let name = server_name(&self.settings.host).map_err(std::io::Error::other)?;
            return shake_hands(connector.connect(name, stream).await?).await;
        }
        shake_hands(stream).await
    }

    async fn export(&mut self, mut client: SendRequest<Bytes>, body: Bytes) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(Method::POST).uri(self.settings.address.clone()).body(())?;
        *request.headers_mut() = self.settings.metadata.clone();
        // Its prefix says whether this one is compressed.
        let is_zipped = body.first() == Some(&1);
        if is_zipped {
            request.headers_mut().insert(GRPC_ENCODING, GZIP);
        }
        let (response, mut stream) = client.send_request(request, false)?;
        self.client = Some(client);
        stream.send_data(body, true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut message = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            if message.len() + data.len() <= ANSWER_BYTES_MAX {
                message.extend_from_slice(&data);
            }
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        let answer = self.read_answer(head.status, &head.headers, &trailers, &message);
        // gRPC's code for a compression that the server does not know.
        if is_zipped && grpc_status(&head.headers, &trailers) == Some(UNIMPLEMENTED) {
            self.settings.gzip = false;
            let why = format!("{} takes no gzip", self.settings.address);
            return Ok(Answer::Later { after: None, fails_at_this: true, why });
        }
        Ok(answer)
    }

    fn read_answer(&self, status: StatusCode, head: &HeaderMap, trailers: &HeaderMap, message: &[u8]) -> Answer {
        let said = |name: &str| trailers.get(name).or_else(|| head.get(name))?.to_str().ok();
        let words = said("grpc-message").unwrap_or_default();
        let why = |what: &str| format!("{} answered {what}: {words}", self.settings.address);
        let Some(code) = grpc_status(head, trailers) else {
            // Not a server of gRPC's, but perhaps one in front of it.
            let why = why(status.as_str());
            return match status.as_u16() {
                429 | 502 | 503 | 504 => Answer::Later { after: None, fails_at_this: false, why },
                _ => Answer::Refused(why),
            };
        };
        if code == 0 {
            let partial = message.get(PREFIX_BYTES..).and_then(|body| otlp::decode_response_protobuf(body).ok());
            let partial = partial.unwrap_or_default();
            return Answer::Taken { rejected: partial.rejected_spans, why: partial.error_message };
        }
        let why = why(&format!("code {code}"));
        let after = said("grpc-status-details-bin").and_then(otlp::retry_delay);
        match code {
            code if RETRIED.contains(&code) => Answer::Later { after, fails_at_this: false, why },
            // As gRPC's libraries say it.
            RESOURCE_EXHAUSTED if words.contains("larger than max") => Answer::TooLarge(why),
            // With a time it passes; without, it may be for good.
            RESOURCE_EXHAUSTED => Answer::Later { after, fails_at_this: after.is_none(), why },
            _ => Answer::Refused(why),
        }
    }
}

/// Trailers; or the head, if there is nothing else.
fn grpc_status(head: &HeaderMap, trailers: &HeaderMap) -> Option<u32> {
    trailers.get("grpc-status").or_else(|| head.get("grpc-status"))?.to_str().ok()?.parse().ok()
}

async fn shake_hands<S>(stream: S) -> Result<SendRequest<Bytes>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(stream).await?;
    // Its end shows in the client.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client.ready().await?)
}

#[cfg(feature = "otlp-grpc-tls")]
fn server_name(host: &str) -> Result<rustls::pki_types::ServerName<'static>, rustls::pki_types::InvalidDnsNameError> {
    host.to_owned().try_into()
}

/// A message with its prefix, as one that is compressed.
fn zip(message: &[u8]) -> std::io::Result<Bytes> {
    let content = message.get(PREFIX_BYTES..).unwrap_or_default();
    let mut zip = GzEncoder::new(Vec::from([1, 0, 0, 0, 0]), Compression::fast());
    zip.write_all(content)?;
    let mut zipped = zip.finish()?;
    let length = (zipped.len() - PREFIX_BYTES) as u32;
    zipped[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(zipped.into())
}
