//! Port 5778: what Jaeger's clients ask its agent for.

use crate::answer;
use crate::api::{Answering, Api};
use crate::app::App;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;

/// Port 5778.
pub(crate) struct SamplingApi;

impl SamplingApi {
    pub(crate) fn new(_app: Arc<App>) -> Self {
        Self
    }
}

impl Api for SamplingApi {
    fn answer(self: Arc<Self>, _request: Request<Incoming>) -> Answering {
        Box::pin(async { answer::empty(StatusCode::NOT_FOUND) })
    }
}
