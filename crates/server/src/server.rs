//! The server as a whole: its listeners and its store, started and stopped.

use crate::listener::{self, Listener};
use crate::options::{Listen, Options};
use crate::process::raise_open_files_limit;
use crate::zipkin::ZipkinApi;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tracewell_store::Store;

/// A running server. Dropped without [`Server::stop`] it stops taking connections, and nothing more.
pub struct Server {
    zipkin: Option<Listener>,
    store: Arc<dyn Store>,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("--{flag}: cannot listen at {address}: {error}{}", hint(error))]
    Listen {
        /// The option.
        flag: &'static str,
        /// The address.
        address: String,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// Every listener is off.
    #[error("every listener is off: there is nothing to do; leave --zipkin at its default")]
    NothingToDo,
}

impl Server {
    /// Starts all listeners. Needs a tokio runtime. Errors name the option that is at fault.
    pub async fn start(options: &Options, store: Arc<dyn Store>) -> Result<Self, StartError> {
        raise_open_files_limit();
        let Some((socket, address)) = listen("zipkin", &options.zipkin, &options.host).await? else {
            return Err(StartError::NothingToDo);
        };
        let api = Arc::new(ZipkinApi::new(options, Arc::clone(&store)));
        let metrics = api.metrics();
        let zipkin = listener::start(socket, address, options, metrics, move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        });
        tracing::info!(listener = "zipkin", %address, "listening");
        Ok(Self { zipkin: Some(zipkin), store })
    }

    /// Where Zipkin's API and the page are served.
    pub fn zipkin_address(&self) -> Option<SocketAddr> {
        self.zipkin.as_ref().map(Listener::address)
    }

    /// Takes no more connections, answers what was asked (for at most `stop-timeout`), closes the store.
    pub async fn stop(mut self) {
        if let Some(zipkin) = self.zipkin.take() {
            zipkin.stop().await;
        }
        let store = Arc::clone(&self.store);
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("closing the store failed: what was acknowledged is in its log");
        }
        tracing::info!("stopped");
    }
}

/// Opens the socket of a listener; `None` when it is off.
async fn listen(
    flag: &'static str,
    listen: &Listen,
    default_host: &str,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Listen::At { host, port } = listen else { return Ok(None) };
    let host = host.as_deref().filter(|host| !host.is_empty()).unwrap_or(default_host);
    let failed = |error| StartError::Listen { flag, address: format!("{host}:{port}"), error };
    let socket = TcpListener::bind((host, *port)).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Some((socket, address)))
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program has it: stop that, or choose another port",
        _ => "",
    }
}
