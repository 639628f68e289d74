//! Where a sender sends: one connection over HTTP, over gRPC, or none, over UDP.

use crate::protocol::{Protocol, Transport};
use crate::tload::pause;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::UdpSocket;
use std::time::Duration;

/// Nobody answers to a packet, so they are sent slowly enough not to be dropped: about 100,000 spans a second.
const PACKET_PAUSE: Duration = Duration::from_millis(1);
/// gRPC's status for what should be tried again.
const RETRIED: [&[u8]; 2] = [b"8", b"14"];

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Taken,
    /// To be tried again.
    Refused,
}

/// One sender's connection.
pub(crate) enum Target {
    Http { agent: ureq::Agent, url: String, content_type: &'static str },
    Grpc { runtime: tokio::runtime::Runtime, sender: SendRequest<Full<Bytes>>, url: String },
    Udp(UdpSocket),
}

impl Target {
    /// A connection to a listener's address, `host:port`.
    pub(crate) fn connect(protocol: Protocol, address: &str) -> anyhow::Result<Self> {
        Ok(match protocol.transport() {
            Transport::Http { path, content_type } => Self::http(format!("http://{address}{path}"), content_type),
            Transport::Grpc { path } => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let (sender, connection) = runtime.block_on(async {
                    let stream = tokio::net::TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    anyhow::Ok(handshake(TokioExecutor::new(), TokioIo::new(stream)).await?)
                })?;
                // How it ends is told by the calls.
                drop(runtime.spawn(connection));
                Self::Grpc { runtime, sender, url: format!("http://{address}{path}") }
            }
            Transport::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.connect(address)?;
                Self::Udp(socket)
            }
        })
    }

    pub(crate) fn http(url: String, content_type: &'static str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self::Http { agent, url, content_type }
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> anyhow::Result<Sent> {
        match self {
            Self::Http { agent, url, content_type } => {
                let mut answer = agent.post(url.as_str()).header("content-type", *content_type).send(message)?;
                let status = answer.status();
                let text = answer.body_mut().read_to_vec()?;
                match status.as_u16() {
                    200..300 => Ok(Sent::Taken),
                    503 => Ok(Sent::Refused),
                    _ => bail!("{status} {}", String::from_utf8_lossy(&text)),
                }
            }
            Self::Grpc { runtime, sender, url } => runtime.block_on(call(sender, url, message)),
            Self::Udp(socket) => {
                let sent = socket.send(message)?;
                ensure!(sent == message.len(), "a packet was cut");
                pause(PACKET_PAUSE);
                Ok(Sent::Taken)
            }
        }
    }
}

async fn call(sender: &mut SendRequest<Full<Bytes>>, url: &str, message: &[u8]) -> anyhow::Result<Sent> {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len())?.to_be_bytes());
    body.extend(message);
    let request = Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let head = answer.headers().clone();
    let collected = answer.into_body().collect().await?;
    // An answer of nothing but a status has it in front.
    let status =
        collected.trailers().and_then(|trailers| trailers.get("grpc-status")).or_else(|| head.get("grpc-status"));
    match status.context("a call without a status")?.as_bytes() {
        b"0" => Ok(Sent::Taken),
        status if RETRIED.contains(&status) => Ok(Sent::Refused),
        status => bail!("gRPC status {}", String::from_utf8_lossy(status)),
    }
}
