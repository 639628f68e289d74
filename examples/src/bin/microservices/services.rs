//! `service_a` to `service_e`: a calls b and e, b calls c and d. Caller and callee share a span, as Zipkin's libraries have it.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};
use tracewell::Tracer;
use tracewell::middleware::reqwest::ReqwestTracing;
use tracewell::middleware::tower::ServerLayer;
use tracewell::middleware::{ClientTracing, ServerTracing};
use tracewell_examples::{b3, serve};

use crate::{port, service};

/// What a service needs to answer: its name, and whom it asks.
struct Service {
    name: &'static str,
    client: ClientWithMiddleware,
    callees: Vec<String>,
}

/// The services that call nobody come first, so that the others know their addresses. Out comes the page of `service_a`.
pub(crate) async fn start(first: u16, tracers: &mut Vec<Tracer>) -> anyhow::Result<String> {
    let c = start_one("service_c", port(first, 2), Vec::new(), tracers).await?;
    let d = start_one("service_d", port(first, 3), Vec::new(), tracers).await?;
    let e = start_one("service_e", port(first, 4), Vec::new(), tracers).await?;
    let b = start_one("service_b", port(first, 1), vec![c, d], tracers).await?;
    start_one("service_a", port(first, 0), vec![b, e], tracers).await
}

async fn start_one(
    name: &'static str,
    port: u16,
    callees: Vec<String>,
    tracers: &mut Vec<Tracer>,
) -> anyhow::Result<String> {
    let (listener, address, tracer) = service(name, port, tracers).await?;
    let outgoing = ReqwestTracing::from(ClientTracing::new(&tracer).propagation(b3()));
    let client = ClientBuilder::new(reqwest::Client::new()).with(outgoing).build();
    let incoming = ServerTracing::new(&tracer).propagation(b3()).inject_response_headers(b3());
    let app = Router::new()
        .route("/", get(page))
        .route("/api/v1/data", get(data))
        .layer(ServerLayer::from(incoming))
        .with_state(Arc::new(Service { name, client, callees }));
    serve(listener, app);
    Ok(address)
}

/// Its name, and what its callees say.
async fn data(State(service): State<Arc<Service>>) -> Result<Json<Value>, String> {
    let mut children = Vec::new();
    for callee in &service.callees {
        let failed = |error: reqwest_middleware::Error| error.to_string();
        let response = service.client.get(format!("{callee}api/v1/data")).send().await.map_err(failed)?;
        let text = response.text().await.map_err(|error| error.to_string())?;
        children.push(serde_json::from_str(&text).map_err(|error| error.to_string())?);
    }
    tracewell::current().annotate("answered");
    Ok(Json(json!({ "name": service.name, "children": Value::Array(children) })))
}

async fn page(state: State<Arc<Service>>) -> Result<Html<String>, String> {
    let Json(tree) = data(state).await?;
    let trace = tracewell::current().context().map(|context| context.trace_id().to_string()).unwrap_or_default();
    let link = format!("{}/zipkin/traces/{trace}", tracewell_examples::server());
    let mut list = String::new();
    write_tree(&tree, &mut list);
    Ok(Html(format!(
        "<!doctype html><meta charset=utf-8><title>Microservices</title><h1>Who called whom</h1>\
         <ul>{list}</ul><p><a href=\"{link}\">This request's trace</a>"
    )))
}

fn write_tree(tree: &Value, list: &mut String) {
    let name = tree.get("name").and_then(Value::as_str).unwrap_or_default();
    // Writing into text does not fail.
    write!(list, "<li>{name}<ul>").ok();
    for child in tree.get("children").and_then(Value::as_array).into_iter().flatten() {
        write_tree(child, list);
    }
    list.push_str("</ul>");
}
