//! Spans as OTLP over gRPC: HTTP/2 on a runtime that runs on the reporter's own thread, and only while it sends.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tracewell_wire::otlp;

use super::delivery::{Answer, BatchOptions, Delivery, Transport, report_by_delivery};
use super::otlp_request::{Form, OtlpEncoder};

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PORT: u16 = 4317;
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What precedes the message of an answer.
const PREFIX_BYTES: usize = 5;
/// gRPC's codes that OTLP has repeated: cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
const RETRIED: [u32; 6] = [1, 4, 10, 11, 14, 15];
const RESOURCE_EXHAUSTED: u32 = 8;

/// Sends spans as OTLP over gRPC, without TLS.
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

/// Settings of an [`OtlpGrpcReporter`]; see there.
#[derive(Debug)]
#[must_use]
pub struct OtlpGrpcReporterBuilder {
    address: Uri,
    host: String,
    port: u16,
    metadata: HeaderMap,
    connect_timeout: Duration,
    timeout: Duration,
    batch: BatchOptions,
}

/// Why nothing can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrpcAddressError {
    /// It is no address that can be spoken to.
    #[error("{address:?}: an address of gRPC is http://host:port, without TLS and without a path")]
    Address {
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
    /// To `http://host:port`; the port is 4317 if not said.
    pub fn new(address: &str) -> Result<Self, GrpcAddressError> {
        Ok(Self::builder(address)?.build())
    }

    /// To `http://host:port`, with other settings.
    pub fn builder(address: &str) -> Result<OtlpGrpcReporterBuilder, GrpcAddressError> {
        let wrong = || GrpcAddressError::Address { address: address.to_owned() };
        let given: Uri = address.parse().map_err(|_| wrong())?;
        let authority = given.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(wrong)?;
        if given.scheme() != Some(&Scheme::HTTP) || given.path() != "/" {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(PORT);
        let address = Uri::builder().scheme(Scheme::HTTP).authority(authority.clone()).path_and_query(PATH).build();
        Ok(OtlpGrpcReporterBuilder {
            address: address.map_err(|_| wrong())?,
            host,
            port,
            metadata: HeaderMap::new(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            batch: BatchOptions::default(),
        })
    }
}

impl OtlpGrpcReporterBuilder {
    /// Metadata of every request; takes the place of what has that name.
    pub fn metadata(mut self, name: &str, value: &str) -> Result<Self, GrpcAddressError> {
        let (Ok(key), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(GrpcAddressError::Metadata { name: name.to_owned() });
        };
        self.metadata.insert(key, value);
        Ok(self)
    }

    /// How long a connection may take to be made; 3 seconds if not said.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take with its answer; 10 seconds if not said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How spans are gathered and kept.
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.batch = batch;
        self
    }

    /// The reporter. Its thread starts with the first span.
    pub fn build(mut self) -> OtlpGrpcReporter {
        self.metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        self.metadata.insert(TE, HeaderValue::from_static("trailers"));
        let user_agent = HeaderValue::from_static(concat!("tracewell/", env!("CARGO_PKG_VERSION")));
        self.metadata.entry(USER_AGENT).or_insert(user_agent);
        let batch = std::mem::take(&mut self.batch);
        let transport = GrpcTransport { settings: self, runtime: None, client: None };
        let encoder = Box::new(OtlpEncoder::new(Form::Grpc));
        OtlpGrpcReporter { delivery: Delivery::new("otlp-grpc", batch, encoder, Box::new(transport)) }
    }
}

report_by_delivery!(OtlpGrpcReporter);

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
            let result = runtime.block_on(self.exchange(Bytes::copy_from_slice(body)));
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

    async fn connect(&self) -> Result<SendRequest<Bytes>, Failure> {
        let patience = self.settings.connect_timeout;
        let connecting = async {
            let stream = TcpStream::connect((self.settings.host.as_str(), self.settings.port)).await?;
            stream.set_nodelay(true)?;
            let (client, connection) = h2::client::handshake(stream).await?;
            // Its end shows in the client.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client.ready().await?)
        };
        timeout(patience, connecting).await.unwrap_or(Err(Failure::Timeout(patience)))
    }

    async fn export(&mut self, mut client: SendRequest<Bytes>, body: Bytes) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(Method::POST).uri(self.settings.address.clone()).body(())?;
        *request.headers_mut() = self.settings.metadata.clone();
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
        Ok(self.read_answer(head.status, &head.headers, &trailers, &message))
    }

    fn read_answer(&self, status: StatusCode, head: &HeaderMap, trailers: &HeaderMap, message: &[u8]) -> Answer {
        let said = |name: &str| trailers.get(name).or_else(|| head.get(name))?.to_str().ok();
        let words = said("grpc-message").unwrap_or_default();
        let why = |what: &str| format!("{} answered {what}: {words}", self.settings.address);
        let Some(code) = said("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
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
        match code {
            code if RETRIED.contains(&code) => Answer::Later { after: None, fails_at_this: false, why },
            // As gRPC's libraries say it.
            RESOURCE_EXHAUSTED if words.contains("larger than max") => Answer::TooLarge(why),
            // With details it tells when to come again; without, it may be for good.
            RESOURCE_EXHAUSTED => {
                Answer::Later { after: None, fails_at_this: said("grpc-status-details-bin").is_none(), why }
            }
            _ => Answer::Refused(why),
        }
    }
}
