//! Bodies to a server over HTTP/1.1: blocking, on a thread of its own, one connection kept open.

mod address;
mod options;

use std::io::Write as _;
use std::time::Duration;

pub use address::AddressError;
pub(crate) use address::http_address;
pub use options::{HeaderError, HttpOptions};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::typestate::AgentScope;

use super::delivery::{Answer, Transport};

/// What is read of an answer. Those of servers that take spans are empty or a line.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// What is passed on of an answer that says why.
const WHY_BYTES_MAX: usize = 300;
/// Smaller bodies are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_000;
/// A batch is sent in one go or two; the default of 128 KiB is more than that takes.
const BUFFER_BYTES: usize = 32 << 10;
const USER_AGENT: &str = concat!("tracewell/", env!("CARGO_PKG_VERSION"));

pub(crate) struct HttpTransport {
    agent: ureq::Agent,
    address: Uri,
    headers: HeaderMap,
    gzip: bool,
    zipped: Vec<u8>,
    rules: Rules,
}

/// How a protocol reads answers.
pub(crate) struct Rules {
    /// Whether a 500 may pass. OTLP says that it does not.
    pub(crate) retries_500: bool,
    /// What the body of a success says: spans that were refused all the same, and why.
    pub(crate) rejected: fn(&[u8]) -> Option<(u64, String)>,
}

impl HttpTransport {
    pub(crate) fn new(address: Uri, content_type: &'static str, options: HttpOptions, rules: Rules) -> Self {
        let mut headers = options.headers;
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        if options.gzip {
            headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
        }
        let config = agent_config(options.connect_timeout, options.timeout);
        #[cfg(feature = "tls")]
        let config = config.tls_config(options.tls.for_http());
        let agent = config.build().new_agent();
        Self { agent, address, headers, gzip: options.gzip, zipped: Vec::new(), rules }
    }

    fn request(&mut self, body: &[u8]) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut request = self.agent.post(&self.address);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if !self.gzip {
            return request.send(body);
        }
        if body.len() < GZIP_BYTES_MIN {
            request.headers_mut().and_then(|headers| headers.remove(header::CONTENT_ENCODING));
            return request.send(body);
        }
        let mut zip = flate2::write::GzEncoder::new(std::mem::take(&mut self.zipped), flate2::Compression::fast());
        self.zipped = zip.write_all(body).and_then(|()| zip.finish())?;
        let response = request.send(&self.zipped);
        self.zipped.clear();
        response
    }
}

/// For what asks servers, too.
#[cfg(feature = "jaeger")]
pub(crate) fn agent(connect_timeout: Duration, timeout: Duration) -> ureq::Agent {
    agent_config(connect_timeout, timeout).build().new_agent()
}

/// Every step has its limit and none is for the whole, because that would cost a thread a request (a lookup of a name
/// cannot be broken off otherwise).
fn agent_config(connect_timeout: Duration, timeout: Duration) -> ureq::config::ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(connect_timeout))
        .timeout_send_request(Some(timeout))
        .timeout_send_body(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_recv_body(Some(timeout))
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
}

impl Transport for HttpTransport {
    fn send(&mut self, body: &[u8]) -> Answer {
        let mut response = match self.request(body) {
            Ok(response) => response,
            Err(error) => {
                let why = format!("{}: {error}", self.address);
                return Answer::Later { after: None, fails_at_this: false, why };
            }
        };
        let status = response.status();
        let after = retry_after(response.headers());
        // Read to its end, so that the connection can be used again. The status holds even if that fails.
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().unwrap_or_default();
        if status.is_success() {
            let (rejected, why) = (self.rules.rejected)(&answer).unwrap_or_default();
            return Answer::Taken { rejected, why };
        }
        let why = self.why(status, &answer);
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge(why),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Answer::Later { after, fails_at_this: false, why },
            StatusCode::INTERNAL_SERVER_ERROR if self.rules.retries_500 => {
                Answer::Later { after, fails_at_this: true, why }
            }
            _ => Answer::Refused(why),
        }
    }
}

impl HttpTransport {
    fn why(&self, status: StatusCode, answer: &[u8]) -> String {
        let said = String::from_utf8_lossy(&answer[..answer.len().min(WHY_BYTES_MAX)]);
        format!("{} answered {status}: {}", self.address, said.trim())
    }
}

/// Seconds; a date is not read, and the usual pause is made.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
