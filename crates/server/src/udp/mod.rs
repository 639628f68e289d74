//! Packets of spans: the ports of Jaeger's agent. Many packets are read with one call of the system, and all that came while
//! the store wrote becomes one batch. Nobody is told when something is dropped, so everything that is dropped is counted.

mod receiver;

use crate::app::App;
use crate::budget::{Reserved, Spent};
use crate::format::{Format, decode};
use crate::lanes::Lanes;
use crate::listener_name::ListenerName;
use crate::metrics::{CollectorMetrics, Refusal, Transport};
use receiver::Receiver;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracewell_model::SpanBatch;
use tracewell_wire::Limits;

/// While so many bytes of packets wait for the store, further packets wait in the system's buffer.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// When it stops, so many rounds of packets that had come already are still read.
const LAST_ROUNDS_MAX: usize = 1024;
/// How long to wait when the system fails to give packets.
const RECEIVE_RETRY: Duration = Duration::from_millis(50);

/// A running listener.
pub(crate) struct UdpListener {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Takes packets from a socket until stopped.
pub(crate) fn start(
    name: ListenerName,
    socket: UdpSocket,
    address: SocketAddr,
    app: &Arc<App>,
    lanes: Arc<Lanes>,
) -> UdpListener {
    let (transport, format) = match name {
        ListenerName::JaegerUdpBinary => (Transport::JaegerUdpBinary, Format::AgentBinary),
        ListenerName::ZipkinUdp => (Transport::ZipkinUdp, Format::AgentCompact),
        _ => (Transport::JaegerUdpCompact, Format::AgentCompact),
    };
    let (stopping, stop) = watch::channel(false);
    let waiting_bytes_max = WAITING_BYTES_MAX.min(app.options.store_memory_bytes_max() / 8);
    let collector = Collector { app: Arc::clone(app), transport, format, waiting_bytes_max };
    let socket = socket.into_std();
    let task = lanes.clone().spawn_on_first(async move {
        // Lanes end with the last who uses them.
        let _lanes = lanes;
        // The socket is waited for by the lane, not by who opened it.
        let socket = socket.and_then(UdpSocket::from_std);
        let receiver =
            socket.and_then(|socket| Receiver::new(socket, collector.app.options.udp_receive_buffer_bytes.0));
        match receiver {
            Ok(receiver) => collector.run(receiver, stop).await,
            Err(error) => tracing::error!(listener = name.flag(), %error, "no packets can be taken"),
        }
    });
    UdpListener { address, stopping, task }
}

impl UdpListener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes what has come already, and nothing more; waits until the store has it.
    pub(crate) async fn stop(self) {
        self.stopping.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("a listener for packets failed");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error tells that the sender has gone.
    drop(stop.wait_for(|stop| *stop).await);
}

struct Collector {
    app: Arc<App>,
    transport: Transport,
    format: Format,
    waiting_bytes_max: usize,
}

/// What waits for the store.
struct Waiting {
    batch: SpanBatch,
    packets: u64,
    bytes: usize,
    reserved: Reserved,
}

type Writing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Collector {
    /// One batch is written while the next is gathered.
    async fn run(&self, mut receiver: Receiver, mut stop: watch::Receiver<bool>) {
        self.metrics().udp_inode.set(receiver.inode());
        let mut waiting = self.nothing_waiting();
        let mut writing: Option<Writing<'_>> = None;
        loop {
            if writing.is_none() && !waiting.batch.is_empty() {
                writing = Some(self.write(std::mem::replace(&mut waiting, self.nothing_waiting())));
            }
            tokio::select! {
                () = async { if let Some(writing) = &mut writing { writing.await } }, if writing.is_some() => writing = None,
                received = receiver.receive(), if waiting.bytes < self.waiting_bytes_max => match received {
                    Ok(packets) => packets.for_each(|packet| self.take(packet, &mut waiting)),
                    Err(error) => {
                        tracing::warn!(%error, "packets were not received");
                        tokio::time::sleep(RECEIVE_RETRY).await;
                    }
                },
                // The sender's end is the server's: when it is dropped, the server is gone.
                () = stopped(&mut stop) => break,
            }
        }
        self.finish(receiver, waiting, writing).await;
    }

    async fn finish(&self, mut receiver: Receiver, mut waiting: Waiting, mut writing: Option<Writing<'_>>) {
        for _ in 0..LAST_ROUNDS_MAX {
            match receiver.receive_now() {
                Ok(packets) => packets.for_each(|packet| self.take(packet, &mut waiting)),
                Err(_) => break,
            }
            if waiting.bytes >= self.waiting_bytes_max {
                let full = std::mem::replace(&mut waiting, self.nothing_waiting());
                if let Some(before) = writing.replace(self.write(full)) {
                    before.await;
                }
            }
        }
        if let Some(writing) = writing {
            writing.await;
        }
        self.write(waiting).await;
        self.metrics().udp_inode.set(0);
    }

    fn metrics(&self) -> &CollectorMetrics {
        &self.app.metrics.collector[self.transport as usize]
    }

    fn nothing_waiting(&self) -> Waiting {
        Waiting { batch: SpanBatch::new(), packets: 0, bytes: 0, reserved: self.app.ingest.reserve() }
    }

    /// Adds a packet's spans to what waits, or drops the packet.
    fn take(&self, packet: &[u8], waiting: &mut Waiting) {
        let metrics = self.metrics();
        metrics.bytes.add(packet.len() as u64);
        metrics.message_bytes.set(packet.len() as u64);
        match self.decode(packet, waiting) {
            Ok(0) => {}
            Ok(spans) => metrics.message_spans.set(spans as u64),
            Err(refusal) => {
                metrics.messages_dropped.add(1);
                metrics.refused(refusal);
            }
        }
        // The last: who sees that a packet has come also sees what became of it.
        metrics.messages.add(1);
    }

    /// How many spans a packet adds to what waits.
    fn decode(&self, packet: &[u8], waiting: &mut Waiting) -> Result<usize, Refusal> {
        waiting.reserved.grow(packet.len()).map_err(|Spent| Refusal::MemorySpent)?;
        let spans_before = waiting.batch.len();
        decode(self.format, packet, &Limits::default(), &mut waiting.batch).map_err(|error| {
            tracing::debug!(transport = self.transport.name(), %error, "a packet was dropped");
            waiting.reserved.shrink(packet.len());
            Refusal::Malformed
        })?;
        waiting.packets += 1;
        waiting.bytes += packet.len();
        Ok(waiting.batch.len() - spans_before)
    }

    fn write(&self, waiting: Waiting) -> Writing<'_> {
        Box::pin(async move {
            let Waiting { batch, packets, reserved, .. } = waiting;
            drop(reserved); // from here on the store's own queue bounds it
            if let Err(error) = self.app.ingest.keep_and_write(batch, self.transport).await {
                tracing::warn!(transport = self.transport.name(), packets, %error, "packets were dropped");
                let metrics = self.metrics();
                metrics.messages_dropped.add(packets);
                metrics.refused_many(error.refusal(), packets);
            }
        })
    }
}
