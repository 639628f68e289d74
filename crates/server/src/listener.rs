//! A listening socket: connections in, HTTP/1.1 and HTTP/2 requests out to an API. How many connections there are, how long
//! they may say nothing and how they end is decided here.

use crate::api::Api;
use crate::app::App;
use crate::lanes::Lanes;
use crate::metrics::Metrics;
use crate::plain_status::PlainStatus;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Requests of one HTTP/2 connection at the same time.
const STREAMS_MAX: u32 = 256;
/// How often a silent HTTP/2 connection is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The head of a request at most; what has to be read before it is known where the request goes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long to wait when the system has no more connections to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A running listener.
pub(crate) struct Listener {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What comes over the connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    Spans,
    Queries,
    /// Either; a connection's first byte tells.
    Both,
}

/// Answers requests on the connections of a socket until stopped. Those that bring spans are the lanes'.
pub(crate) fn start(
    socket: TcpListener,
    address: SocketAddr,
    app: &App,
    api: Arc<dyn Api>,
    (traffic, lanes): (Traffic, Arc<Lanes>),
) -> Listener {
    let (stopping, stop) = watch::channel(false);
    let connections = Connections {
        traffic,
        lanes,
        places: Arc::new(Semaphore::new(app.options.connections_max.max(1))),
        header_timeout: app.options.header_timeout,
        metrics: Arc::clone(&app.metrics),
        graceful: GracefulShutdown::new(),
        api,
    };
    let task = tokio::spawn(accept(socket, connections, stop, app.options.stop_timeout));
    Listener { address, stopping, task }
}

impl Listener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections and waits until those there are have had their answers, or time is up.
    pub(crate) async fn stop(self) {
        self.stopping.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("a listener failed");
        }
    }
}

struct Connections {
    traffic: Traffic,
    lanes: Arc<Lanes>,
    places: Arc<Semaphore>,
    header_timeout: Duration,
    metrics: Arc<Metrics>,
    graceful: GracefulShutdown,
    api: Arc<dyn Api>,
}

async fn accept(
    socket: TcpListener,
    connections: Connections,
    mut stop: watch::Receiver<bool>,
    stop_timeout: Duration,
) {
    let accepting = async {
        loop {
            // While all places are taken, connections wait in the system's queue.
            let Ok(place) = Arc::clone(&connections.places).acquire_owned().await else { return };
            match socket.accept().await {
                Ok((stream, _)) => connections.take(stream, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not taken");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        // The sender's end is the server's: when it is dropped, the server is gone.
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(socket);
    let open = connections.graceful.count();
    if tokio::time::timeout(stop_timeout, connections.graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = open, "not all requests were answered within --stop-timeout");
    }
}

impl Connections {
    /// Has a connection served where it belongs.
    fn take(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let connection = Connection {
            deadline: Instant::now() + self.header_timeout,
            header_timeout: self.header_timeout,
            api: Arc::clone(&self.api),
            watcher: self.graceful.watcher(),
            open: Open::new(Arc::clone(&self.metrics), place),
        };
        match self.traffic {
            Traffic::Queries => drop(tokio::spawn(connection.serve(stream.into_std()))),
            Traffic::Spans => self.lanes.spawn(connection.serve(stream.into_std())),
            Traffic::Both => {
                let lanes = Arc::clone(&self.lanes);
                tokio::spawn(async move {
                    let Ok(spans) = timeout_at(connection.deadline, brings_spans(&stream)).await else {
                        return connection.open.metrics.connections_timed_out.add(1);
                    };
                    let served = connection.serve(stream.into_std());
                    match spans {
                        true => lanes.spawn(served),
                        false => served.await,
                    }
                });
            }
        }
    }
}

/// Whether a connection begins as POST or as HTTP/2 do: spans are posted or come over gRPC, nothing else does.
async fn brings_spans(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first == *b"P"
}

/// One connection from its first byte to its end.
struct Connection {
    /// When its first request has to be there.
    deadline: Instant,
    header_timeout: Duration,
    api: Arc<dyn Api>,
    watcher: Watcher,
    open: Open,
}

impl Connection {
    /// Serves it in the runtime that this runs in.
    async fn serve(self, stream: io::Result<std::net::TcpStream>) {
        let Self { deadline, header_timeout, api, watcher, open } = self;
        let Ok(stream) = stream.and_then(TcpStream::from_std) else { return };
        // An answer in several writes should not wait for the client's acknowledgement of the first.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let service = service_fn({
            let asked = Arc::clone(&asked);
            move |request| {
                asked.store(true, Ordering::Relaxed);
                let answer = Arc::clone(&api).answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            }
        });
        let stream = TokioIo::new(PlainStatus::new(stream));
        let connection = http_builder(header_timeout).serve_connection(stream, service).into_owned();
        let mut connection = std::pin::pin!(watcher.watch(connection));
        // Before the first request is whole it is not even known which HTTP is spoken, and hyper has no time limit yet.
        tokio::select! {
            _ = &mut connection => return,
            () = sleep_until(deadline) => {}
        }
        if !asked.load(Ordering::Relaxed) {
            open.metrics.connections_timed_out.add(1);
            return;
        }
        if let Err(error) = connection.await {
            tracing::debug!(error = %error, "a connection broke");
        }
        drop(open);
    }
}

fn http_builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(header_timeout)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    builder
}

/// Counts a connection while it is open, and holds its place.
struct Open {
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(metrics: Arc<Metrics>, place: OwnedSemaphorePermit) -> Self {
        metrics.connections_accepted.add(1);
        metrics.connections_open.0.fetch_add(1, Ordering::Relaxed);
        Self { metrics, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections_open.0.fetch_sub(1, Ordering::Relaxed);
    }
}
