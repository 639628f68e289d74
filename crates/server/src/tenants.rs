//! Tenants as Jaeger tells them apart: by a header of every request. Each has an `App` of its own over a store of its own, so
//! no query and no limit of one ever meets another; a listener picks the tenant's API and hands the request on.

use crate::answer::{self, Answer, TEXT};
use crate::api::{Answering, Api};
use crate::app::{App, TenantStore};
use crate::grpc::{self, Code, Status};
use crate::listener_name::ListenerName;
use crate::options::Options;
use crate::otlp;
use crate::storage::open_store;
use http::header::{HeaderMap, HeaderName};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use std::collections::HashMap;
use std::sync::Arc;

/// The folder of the tenants' stores in the data directory.
pub(crate) const FOLDER: &str = "tenants";
/// What is asked on Zipkin's port by those who watch the server.
const COMMON: [&str; 5] = ["health", "info", "metrics", "prometheus", "actuator"];

/// Why the tenants cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// Nobody could send anything.
    #[error("--tenancy-tenants: name at least one tenant, as in acme,beta")]
    NoTenants,
    /// The name is also the name of a folder.
    #[error(
        "--tenancy-tenants: {0:?} cannot be a tenant's name; letters, digits, '-', '_' and '.' can, but for a '.' in front"
    )]
    Name(String),
    /// No header is called so.
    #[error("--tenancy-header: {0:?} is no name of a header")]
    Header(String),
    /// A tenant's store does not open.
    #[error("the store of tenant {0:?}: {1:#}")]
    Store(String, anyhow::Error),
}

/// Opens the stores of all tenants; none where they are not told apart.
pub(crate) fn open_tenants(options: &Options) -> Result<Vec<TenantStore>, TenancyError> {
    if !options.tenancy_enabled {
        return Ok(vec![]);
    }
    header(options)?;
    if options.tenancy_tenants.is_empty() {
        return Err(TenancyError::NoTenants);
    }
    let mut names = options.tenancy_tenants.clone();
    names.sort();
    names.dedup();
    let open = |name: String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.starts_with('.') || !name.chars().all(fits) {
            return Err(TenancyError::Name(name));
        }
        let data_dir = options.data_dir.join(FOLDER).join(&name);
        let options = Options { data_dir, ..options.clone() };
        let store = open_store(&options).map_err(|error| TenancyError::Store(name.clone(), error))?;
        Ok((name, options, store))
    };
    names.into_iter().map(open).collect()
}

fn header(options: &Options) -> Result<HeaderName, TenancyError> {
    let name = &options.tenancy_header;
    HeaderName::try_from(name).map_err(|_| TenancyError::Header(name.clone()))
}

/// A listener's API for several tenants.
pub(crate) struct TenantApi {
    listener: ListenerName,
    header: HeaderName,
    by_tenant: HashMap<String, Arc<dyn Api>>,
    /// Answers what is no tenant's.
    common: Arc<dyn Api>,
    app: Arc<App>,
}

impl TenantApi {
    /// `api` makes the listener's API over one tenant. `None` where the listener's answers are the same for all.
    pub(crate) fn new(
        listener: ListenerName,
        app: &Arc<App>,
        api: impl Fn(ListenerName, &Arc<App>) -> Arc<dyn Api>,
    ) -> Option<Self> {
        if app.tenants.is_empty() || matches!(listener, ListenerName::Admin | ListenerName::Sampling) {
            return None;
        }
        Some(Self {
            listener,
            header: header(&app.options).ok()?,
            by_tenant: app.tenants.iter().map(|(name, app)| (name.clone(), api(listener, app))).collect(),
            common: api(listener, app),
            app: Arc::clone(app),
        })
    }

    fn is_common(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        let first = path.split('/').nth(1).unwrap_or_default();
        match self.listener {
            // A browser asks whether it may send headers without sending them.
            ListenerName::OtlpHttp | ListenerName::Zipkin if request.method() == Method::OPTIONS => true,
            ListenerName::Zipkin => COMMON.contains(&first),
            ListenerName::JaegerHttp => path == "/api/sampling",
            _ => false,
        }
    }

    fn refuse(&self, request: &Request<Incoming>, code: Code, problem: &'static str) -> Answer {
        let (headers, status) = (request.headers(), Status::new(code, problem));
        let answer = if grpc::is_call(request.method(), headers) {
            grpc::failed(&status)
        } else if self.listener == ListenerName::OtlpHttp {
            let status = Status::new(Code::PermissionDenied, problem);
            otlp::failed(headers, StatusCode::FORBIDDEN, &status)
        } else {
            answer::answer(StatusCode::UNAUTHORIZED, TEXT, problem)
        };
        self.app.metrics.requests.observe(request.method(), "NOT_FOUND", answer.status(), std::time::Duration::ZERO);
        answer
    }

    /// The API of the tenant that these headers name, or what is wrong with them.
    fn of(&self, headers: &HeaderMap) -> Result<&Arc<dyn Api>, (Code, &'static str)> {
        let named = headers.get(&self.header).map_or("", |value| value.to_str().unwrap_or_default());
        if named.is_empty() {
            return Err((Code::Unauthenticated, "missing tenant header"));
        }
        self.by_tenant.get(named).ok_or((Code::PermissionDenied, "unknown tenant"))
    }
}

impl Api for TenantApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        if self.is_common(&request) {
            return Arc::clone(&self.common).answer(request);
        }
        match self.of(request.headers()) {
            Ok(api) => Arc::clone(api).answer(request),
            Err((code, problem)) => {
                let answer = self.refuse(&request, code, problem);
                Box::pin(async move { answer })
            }
        }
    }
}
