//! Ports 16686 and 16685: Jaeger's query API over HTTP and over gRPC.

use crate::answer;
use crate::api::{Answering, Api};
use crate::app::App;
use crate::grpc;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;

/// Port 16686.
pub(crate) struct JaegerQueryApi;

/// Port 16685.
pub(crate) struct JaegerQueryGrpcApi;

impl JaegerQueryApi {
    pub(crate) fn new(_app: Arc<App>) -> Self {
        Self
    }
}

impl JaegerQueryGrpcApi {
    pub(crate) fn new(_app: Arc<App>) -> Self {
        Self
    }
}

impl Api for JaegerQueryApi {
    fn answer(self: Arc<Self>, _request: Request<Incoming>) -> Answering {
        Box::pin(async { answer::empty(StatusCode::NOT_FOUND) })
    }
}

impl Api for JaegerQueryGrpcApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move { grpc::not_there(&request.into_parts().0) })
    }
}
