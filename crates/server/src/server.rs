//! The server as a whole: its listeners and its store, started and stopped.

use crate::admin::AdminApi;
use crate::api::Api;
use crate::app::App;
use crate::jaeger_collector::{JaegerGrpcCollector, JaegerHttpCollector};
use crate::jaeger_query::{JaegerQueryApi, JaegerQueryGrpcApi};
use crate::lanes::Lanes;
use crate::listener::{self, Listener, Traffic};
use crate::listener_name::ListenerName;
use crate::options::{Listen, Options};
use crate::otlp::{OtlpGrpcCollector, OtlpHttpCollector};
use crate::process::raise_open_files_limit;
use crate::sampling::{SamplingApi, StrategiesError, Upkeep};
use crate::tenants::{TenancyError, TenantApi, open_tenants};
use crate::udp::{self, UdpListener};
use crate::zipkin::ZipkinApi;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tracewell_store::Store;

/// A running server. Dropped without [`Server::stop`] it stops taking connections, and nothing more.
pub struct Server {
    listeners: Vec<(ListenerName, Running)>,
    sampling: Upkeep,
    app: Arc<App>,
}

enum Running {
    Http(Listener),
    Udp(UdpListener),
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("--{flag}: cannot listen at {address}: {error}{}", hint(error, flag))]
    Listen {
        /// The option.
        flag: &'static str,
        /// The address.
        address: String,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The system gave no thread.
    #[error("cannot start the threads that take spans: {0}")]
    Thread(std::io::Error),
    /// Every listener is off.
    #[error("every listener is off: there is nothing to do; leave --zipkin at its default")]
    NothingToDo,
    /// The tenants cannot be told apart.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// The strategies file cannot be used.
    #[error("--sampling-strategies {file}: {error}")]
    SamplingStrategies {
        /// The file.
        file: String,
        /// What is wrong with it.
        error: StrategiesError,
    },
}

impl Server {
    /// Starts all listeners. Needs a tokio runtime. Errors name the option that is at fault; nothing runs then.
    pub async fn start(options: &Options, store: Arc<dyn Store>) -> Result<Self, StartError> {
        raise_open_files_limit();
        let mut sockets = vec![];
        for name in ListenerName::ALL {
            if let Some((socket, address)) = bind(name, options).await? {
                sockets.push((name, socket, address));
            }
        }
        if sockets.is_empty() {
            return Err(StartError::NothingToDo);
        }
        let app = App::new(options, store, open_tenants(options)?).map_err(|error| {
            let file = options.sampling_strategies.as_deref().unwrap_or_else(|| Path::new("")).display().to_string();
            StartError::SamplingStrategies { file, error }
        })?;
        let lanes = Lanes::start().map_err(StartError::Thread)?;
        let start = |(name, socket, address)| {
            let running = match socket {
                Socket::Tcp(socket) => {
                    let lanes = (traffic(name), Arc::clone(&lanes));
                    Running::Http(listener::start(socket, address, &app, api_of_all(name, &app), lanes))
                }
                Socket::Udp(socket) => Running::Udp(udp::start(name, socket, address, &app, Arc::clone(&lanes))),
            };
            tracing::info!(listener = name.flag(), %address, "listening");
            (name, running)
        };
        let listeners = sockets.into_iter().map(start).collect();
        let sampling = Upkeep::start(options, &app.sampling);
        Ok(Self { listeners, sampling, app })
    }

    /// Where a listener listens; `None` when it is off.
    pub fn address(&self, name: ListenerName) -> Option<SocketAddr> {
        self.listeners.iter().find(|(running, _)| *running == name).map(|(_, running)| match running {
            Running::Http(listener) => listener.address(),
            Running::Udp(listener) => listener.address(),
        })
    }

    /// Where Zipkin's API and the page are served.
    pub fn zipkin_address(&self) -> Option<SocketAddr> {
        self.address(ListenerName::Zipkin)
    }

    /// Takes no more connections and packets, answers what was asked (for at most `stop-timeout`), closes the store.
    pub async fn stop(mut self) {
        // What watches has no end of its own.
        self.app.all().for_each(|app| app.live.close());
        let stopping: Vec<_> = self
            .listeners
            .drain(..)
            .map(|(_, running)| {
                tokio::spawn(async move {
                    match running {
                        Running::Http(listener) => listener.stop().await,
                        Running::Udp(listener) => listener.stop().await,
                    }
                })
            })
            .collect();
        for stopped in stopping {
            if stopped.await.is_err() {
                tracing::error!("a listener failed to stop");
            }
        }
        drop(self.sampling);
        let app = Arc::clone(&self.app);
        if tokio::task::spawn_blocking(move || app.close()).await.is_err() {
            tracing::error!("closing the store failed: what was acknowledged is in its log");
        }
        tracing::info!("stopped");
    }
}

/// What answers on a listener's port, for all tenants.
fn api_of_all(name: ListenerName, app: &Arc<App>) -> Arc<dyn Api> {
    match TenantApi::new(name, app, api) {
        Some(tenants) => Arc::new(tenants),
        None => api(name, app),
    }
}

/// What answers on a listener's port. Those of UDP have no API.
fn api(name: ListenerName, app: &Arc<App>) -> Arc<dyn Api> {
    let app = Arc::clone(app);
    match name {
        ListenerName::JaegerQuery => Arc::new(JaegerQueryApi::new(app)),
        ListenerName::JaegerQueryGrpc => Arc::new(JaegerQueryGrpcApi::new(app)),
        ListenerName::OtlpGrpc => Arc::new(OtlpGrpcCollector::new(app)),
        ListenerName::OtlpHttp => Arc::new(OtlpHttpCollector::new(app)),
        ListenerName::JaegerGrpc => Arc::new(JaegerGrpcCollector::new(app)),
        ListenerName::JaegerHttp => Arc::new(JaegerHttpCollector::new(app)),
        ListenerName::Sampling => Arc::new(SamplingApi::new(app)),
        ListenerName::Zipkin => Arc::new(ZipkinApi::new(app)),
        ListenerName::Admin
        | ListenerName::JaegerUdpCompact
        | ListenerName::JaegerUdpBinary
        | ListenerName::ZipkinUdp => Arc::new(AdminApi::new(app)),
    }
}

/// What comes over a listener's port.
fn traffic(name: ListenerName) -> Traffic {
    match name {
        ListenerName::OtlpGrpc | ListenerName::OtlpHttp | ListenerName::JaegerGrpc | ListenerName::JaegerHttp => {
            Traffic::Spans
        }
        ListenerName::Zipkin => Traffic::Both,
        _ => Traffic::Queries,
    }
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Opens the socket of a listener; `None` when it is off.
async fn bind(name: ListenerName, options: &Options) -> Result<Option<(Socket, SocketAddr)>, StartError> {
    let Listen::At { host, port } = name.listen(options) else { return Ok(None) };
    let host = host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&options.host);
    let failed = |error| StartError::Listen { flag: name.flag(), address: format!("{host}:{port}"), error };
    let bound = async {
        Ok(match name.is_udp() {
            false => {
                let socket = TcpListener::bind((host, *port)).await?;
                let address = socket.local_addr()?;
                (Socket::Tcp(socket), address)
            }
            true => {
                let socket = UdpSocket::bind((host, *port)).await?;
                let address = socket.local_addr()?;
                (Socket::Udp(socket), address)
            }
        })
    };
    bound.await.map(Some).map_err(failed)
}

fn hint(error: &std::io::Error, flag: &str) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("; another program has it: stop that, or choose another port, or --{flag} off")
        }
        _ => String::new(),
    }
}
