//! A listening socket: connections in, HTTP/1.1 and HTTP/2 requests out to an API. How many connections there are, how long
//! they may say nothing and how they end is decided here.

use crate::api::Api;
use crate::app::App;
use crate::metrics::Metrics;
use crate::plain_status::PlainStatus;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

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

/// Answers requests on the connections of a socket until stopped.
pub(crate) fn start(socket: TcpListener, address: SocketAddr, app: &App, api: Arc<dyn Api>) -> Listener {
    let (stopping, stop) = watch::channel(false);
    let connections = Connections {
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
                Ok((stream, _)) => {
                    let served = connections.serve(stream);
                    tokio::spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
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
    /// One connection from its first byte to its end.
    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + use<> {
        let api = Arc::clone(&self.api);
        let watcher = self.graceful.watcher();
        let header_timeout = self.header_timeout;
        let open = Open::new(Arc::clone(&self.metrics));
        async move {
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
                () = tokio::time::sleep(header_timeout) => {}
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

/// Counts a connection while it is open.
struct Open {
    metrics: Arc<Metrics>,
}

impl Open {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections_accepted.add(1);
        metrics.connections_open.0.fetch_add(1, Ordering::Relaxed);
        Self { metrics }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections_open.0.fetch_sub(1, Ordering::Relaxed);
    }
}
