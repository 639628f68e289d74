//! How services ask what to sample: port 5778 as the agent of Jaeger 1.62 answers, `/api/sampling` and gRPC as the collector of
//! Jaeger 1.76.

use crate::answer::{self, Answer, JSON, TEXT};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::grpc::{self, Code, Encoding, Status};
use crate::request_path::Parameters;
use http::header::HeaderMap;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;
use tracewell_wire::gunzip;
use tracewell_wire::jaeger::{
    SamplingTypeForm, decode_sampling_parameters, encode_sampling_json, encode_sampling_proto,
};

/// The message of a call holds a name.
const CALL_BYTES_MAX: usize = 64 << 10;

/// Which Jaeger answers: they differ, see [`super::strategies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JaegerVersion {
    /// The last with an agent.
    V1_62,
    /// The last with a collector of its own.
    V1_76,
}

/// Port 5778.
pub(crate) struct SamplingApi {
    app: Arc<App>,
}

impl SamplingApi {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    fn get(&self, path: &str, query: Option<&str>) -> Answer {
        let strategy = |form| http_answer(&self.app, query, JaegerVersion::V1_62, form);
        match path {
            "/sampling" => strategy(SamplingTypeForm::Names),
            "/" => strategy(SamplingTypeForm::Numbers),
            "/baggageRestrictions" => baggage_restrictions(query),
            "/credits" => self.credits(query),
            _ => not_found(),
        }
    }

    /// What jaeger-client's throttler asks for: how many debug traces of these operations may pass.
    fn credits(&self, query: Option<&str>) -> Answer {
        let Some((service, parameters)) = service(query) else { return no_service() };
        let operations: Vec<&str> = parameters.all("operations").collect();
        let credits = self.app.sampling.take_credits(&service, operations.iter().copied());
        let balances = operations.iter().zip(credits);
        let balances: Vec<_> = balances
            .map(|(operation, balance)| serde_json::json!({ "operation": operation, "balance": balance }))
            .collect();
        answer::answer(StatusCode::OK, JSON, serde_json::json!({ "balances": balances }).to_string())
    }
}

impl Api for SamplingApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let (method, uri) = (request.method(), request.uri());
            let path = uri.path();
            let route = match path {
                "/" => "/sampling",
                "/sampling" | "/baggageRestrictions" | "/credits" => path,
                _ => "NOT_FOUND",
            };
            let answer = match *method {
                Method::GET => self.get(path, uri.query()),
                _ if route == "NOT_FOUND" => not_found(),
                _ => answer::empty(StatusCode::METHOD_NOT_ALLOWED),
            };
            self.app.metrics.requests.observe(method, route, answer.status(), started.elapsed());
            answer
        })
    }
}

/// `GET …?service=NAME`, answered as JSON.
pub(crate) fn http_answer(app: &App, query: Option<&str>, version: JaegerVersion, form: SamplingTypeForm) -> Answer {
    let Some((service, _)) = service(query) else { return no_service() };
    let mut json = vec![];
    encode_sampling_json(&app.sampling.strategy(&service, version), form, &mut json);
    answer::answer(StatusCode::OK, JSON, json)
}

/// `jaeger.api_v2.SamplingManager/GetSamplingStrategy`.
pub(crate) async fn grpc_answer(app: &App, headers: &HeaderMap, body: Incoming) -> Result<Vec<u8>, Status> {
    let encoding = grpc::encoding(headers)?;
    let body = tokio::time::timeout(app.options.body_timeout, Limited::new(body, CALL_BYTES_MAX).collect()).await;
    let late = |_| Status::new(Code::DeadlineExceeded, "the call did not arrive in time");
    let broken = |error| Status::new(Code::ResourceExhausted, format!("the call cannot be read: {error}"));
    let message = grpc::message(&body.map_err(late)?.map_err(broken)?.to_bytes(), encoding)?;
    let unread = |error: &dyn std::fmt::Display| {
        Status::new(Code::Internal, format!("grpc: error unmarshalling request: {error}"))
    };
    let service = match message.encoding {
        Encoding::Identity => decode_sampling_parameters(&message.bytes),
        Encoding::Gzip => {
            let plain = gunzip(&message.bytes, CALL_BYTES_MAX).map_err(|error| unread(&error))?;
            decode_sampling_parameters(&plain)
        }
    };
    let service = service.map_err(|error| unread(&error))?;
    let mut answer = vec![];
    encode_sampling_proto(&app.sampling.strategy(&service, JaegerVersion::V1_76), &mut answer);
    Ok(answer)
}

/// Jaeger has no restrictions on baggage either; it says so with an error.
fn baggage_restrictions(query: Option<&str>) -> Answer {
    match service(query) {
        Some(_) => {
            let text = "collector error: baggage not implemented\n";
            answer::answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
        }
        None => no_service(),
    }
}

/// The service that is asked for, which may be empty, and all parameters. `None` when it is not said just once.
fn service(query: Option<&str>) -> Option<(String, Parameters)> {
    let parameters = Parameters::parse(query).ok()?;
    let services: Vec<&str> = parameters.all("service").collect();
    let [service] = services[..] else { return None };
    Some((service.to_owned(), parameters))
}

fn no_service() -> Answer {
    answer::answer(StatusCode::BAD_REQUEST, TEXT, "'service' parameter must be provided once\n")
}

fn not_found() -> Answer {
    answer::answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n")
}
