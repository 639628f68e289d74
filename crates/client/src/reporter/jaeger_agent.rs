//! Spans to Jaeger's agent: thrift in datagrams, sent where they are reported. Nothing answers and nothing is repeated.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use tracewell_wire::jaeger::{BatchForm, PushError};

use super::jaeger_process::ProcessEncoder;
use super::{ReportError, Reporter, ReporterCounters};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// What Jaeger's clients send at most, and what agents read.
const PACKET_BYTES: usize = 65_000;
/// What fits into a datagram over IPv4.
const PACKET_BYTES_MAX: usize = 65_507;
/// A name may come to mean another host.
const RESOLVED_KEPT: Duration = Duration::from_secs(60);

/// Sends spans to Jaeger's agent, or to a server that listens in its place.
///
/// Datagrams may get lost on their way and nobody says so: what was sent counts as reported, unless the system knows at once
/// that nobody listens. A span that makes a datagram too large alone is lost and counted as failed.
///
/// ```no_run
/// use tracewell::{JaegerAgentReporter, Tracer};
/// let tracer = Tracer::builder("your-app-name").build(JaegerAgentReporter::new("localhost:6831"));
/// tracer.new_trace("TestSpan").finish();
/// tracer.close();
/// ```
pub struct JaegerAgentReporter {
    address: String,
    encoder: ProcessEncoder,
    packet_bytes_max: usize,
    socket: Option<(UdpSocket, Instant)>,
    counters: ReporterCounters,
}

impl JaegerAgentReporter {
    /// To `host:port` in thrift's compact protocol: port 6831.
    ///
    /// ```
    /// use tracewell::{JaegerAgentReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(JaegerAgentReporter::new("localhost:6831"));
    /// assert_eq!(tracer.reporter_stats()[0].dropped, 0);
    /// ```
    pub fn new(address: &str) -> Self {
        Self::with_form(address, BatchForm::AgentCompact)
    }

    /// To `host:port` in thrift's binary protocol: port 6832.
    ///
    /// ```
    /// use tracewell::{JaegerAgentReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(JaegerAgentReporter::binary("localhost:6832"));
    /// assert_eq!(tracer.reporter_stats()[0].dropped, 0);
    /// ```
    pub fn binary(address: &str) -> Self {
        Self::with_form(address, BatchForm::AgentBinary)
    }

    /// Bytes of a datagram, 65,507 at most; 65,000 if not said.
    ///
    /// ```
    /// use tracewell::{JaegerAgentReporter, Tracer};
    /// // What fits into one packet of a network of 1,500 bytes.
    /// let reporter = JaegerAgentReporter::new("agent:6831").packet_bytes_max(1_472);
    /// let tracer = Tracer::builder("shop").build(reporter);
    /// ```
    #[must_use]
    pub fn packet_bytes_max(mut self, bytes: usize) -> Self {
        self.packet_bytes_max = bytes.min(PACKET_BYTES_MAX);
        self
    }

    fn with_form(address: &str, form: BatchForm) -> Self {
        Self {
            address: address.to_owned(),
            encoder: ProcessEncoder::new(form),
            packet_bytes_max: PACKET_BYTES,
            socket: None,
            counters: ReporterCounters::new("jaeger-agent"),
        }
    }
}

/// To `localhost:6831`.
impl Default for JaegerAgentReporter {
    fn default() -> Self {
        Self::new("localhost:6831")
    }
}

impl Reporter for JaegerAgentReporter {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        self.counters.queued(spans.len() as u64);
        let Self { address, encoder, packet_bytes_max, socket, counters } = self;
        let packet = encoder.begin(resource);
        for span in spans.views(&resource.endpoint) {
            let mut pushed = packet.push(span, *packet_bytes_max);
            if pushed == Err(PushError::Full) {
                send(socket, address, counters, packet.spans_len(), packet.finish());
                packet.clear();
                pushed = packet.push(span, *packet_bytes_max);
            }
            if pushed.is_err() {
                // Not even alone.
                counters.settled(0, 1);
            }
        }
        if packet.spans_len() > 0 {
            send(socket, address, counters, packet.spans_len(), packet.finish());
        }
        Ok(())
    }

    fn counters(&self) -> Option<ReporterCounters> {
        Some(self.counters.clone())
    }
}

fn send(
    socket: &mut Option<(UdpSocket, Instant)>,
    address: &str,
    counters: &ReporterCounters,
    spans: usize,
    packet: &[u8],
) {
    let spans = spans as u64;
    match try_send(socket, address, packet) {
        Ok(()) => counters.settled(spans, 0),
        Err(_) => {
            // Perhaps the host has another address by now.
            *socket = None;
            counters.settled(0, spans);
        }
    }
}

fn try_send(kept: &mut Option<(UdpSocket, Instant)>, address: &str, packet: &[u8]) -> io::Result<()> {
    kept.take_if(|(_, resolved)| resolved.elapsed() > RESOLVED_KEPT);
    let (socket, _) = match kept {
        Some(kept) => kept,
        none => none.insert((connect(address)?, Instant::now())),
    };
    // That nobody listened to the last one; this one is sent all the same.
    drop(socket.take_error());
    socket.send(packet)?;
    // On this very host the system knows already.
    socket.take_error()?.map_or(Ok(()), Err)
}

fn connect(address: &str) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the agent's name has no address");
    for address in address.to_socket_addrs()? {
        let from: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let connected = UdpSocket::bind(from).and_then(|socket| socket.connect(address).map(|()| socket));
        match connected {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl fmt::Debug for JaegerAgentReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JaegerAgentReporter")
            .field("address", &self.address)
            .field("stats", &self.counters.stats())
            .finish()
    }
}
