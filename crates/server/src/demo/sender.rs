//! Sends spans as the reporters of several services would: each service's spans in a body of its own, Zipkin v2 JSON. Waits and
//! tries again when the server cannot take them.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tracewell_model::{Span, SpanBatch};
use tracewell_wire::zipkin_v2::encode_spans;

/// The first wait after a refusal; each further one is twice as long.
const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A server that has taken nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read of an error's text.
const ERROR_BYTES_MAX: usize = 4096;

/// See the module's text.
pub(super) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    health: Uri,
    spans: Uri,
}

/// What became of one attempt.
enum Attempt {
    Taken,
    /// Worth another attempt.
    NotNow(String),
    /// Not worth another.
    Refused(String),
}

impl Sender {
    /// To the server at this address (`http://host:port`, with the path before `/api` if there is one).
    pub(super) fn new(target: &str) -> anyhow::Result<Self> {
        let base = target.trim_end_matches('/');
        let uri = |path: &str| format!("{base}{path}").parse::<Uri>().with_context(|| format!("--target {target}"));
        let (health, spans) = (uri("/health")?, uri("/api/v2/spans")?);
        if spans.scheme_str() != Some("http") || spans.authority().is_none() {
            bail!("--target {target}: expected http://HOST:PORT");
        }
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), health, spans })
    }

    /// Waits for a server that is just being started.
    pub(super) async fn wait_until_there(&self) -> anyhow::Result<()> {
        self.persist(&self.health, Method::GET, &Bytes::new()).await
    }

    /// Sends spans, those of each service apart.
    pub(super) async fn send(&self, spans: Vec<Span>) -> anyhow::Result<()> {
        let mut services: BTreeMap<String, SpanBatch> = BTreeMap::new();
        for span in &spans {
            let service = span.local.as_ref().map(|endpoint| endpoint.service.clone()).unwrap_or_default();
            services.entry(service).or_default().push_span(span).context("a batch of spans")?;
        }
        for batch in services.values() {
            let mut body = Vec::new();
            encode_spans(batch.spans(), &mut body);
            self.persist(&self.spans, Method::POST, &Bytes::from(body)).await?;
        }
        Ok(())
    }

    /// Repeats a request until it is taken.
    async fn persist(&self, uri: &Uri, method: Method, body: &Bytes) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut wait = WAIT_MIN;
        loop {
            let why = match self.attempt(uri, method.clone(), body.clone()).await {
                Attempt::Taken => return Ok(()),
                Attempt::NotNow(why) => why,
                Attempt::Refused(why) => bail!("{method} {uri}: {why}"),
            };
            if started.elapsed() > PATIENCE {
                bail!(
                    "{method} {uri}: {why}; given up after {PATIENCE:?}. Does a server run there? 'tracewell serve' starts one"
                );
            }
            if wait > WAIT_MIN {
                super::say(&format!("{why}; trying again in {wait:?}"));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn attempt(&self, uri: &Uri, method: Method, body: Bytes) -> Attempt {
        let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        let request = match request.body(Full::new(body)) {
            Ok(request) => request,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Attempt::NotNow(format!("{:#}", anyhow::Error::from(error))),
        };
        let status = answer.status();
        if status.is_success() {
            // Read to the end, so that the connection can be used again.
            return match answer.into_body().collect().await {
                Ok(_) => Attempt::Taken,
                Err(error) => Attempt::NotNow(error.to_string()),
            };
        }
        let text = Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect().await.map(|body| body.to_bytes());
        let text = format!("{status} {}", String::from_utf8_lossy(&text.unwrap_or_default()).trim());
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Attempt::NotNow(text),
            _ => Attempt::Refused(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sender;

    #[test]
    fn a_target_is_an_address_of_http() {
        assert_eq!(Sender::new("http://127.0.0.1:1/").unwrap().spans.to_string(), "http://127.0.0.1:1/api/v2/spans");
        for target in ["127.0.0.1:1", "https://127.0.0.1:1", "/api", ""] {
            assert!(Sender::new(target).is_err(), "{target}");
        }
    }
}
