//! `frontend` puts a click into a queue, and five workers of `backend` each take it out: the trace travels in the message.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast};
use tracewell::middleware::ServerTracing;
use tracewell::middleware::tower::ServerLayer;
use tracewell::{InSpanExt, Kind, OwnedEndpoint, Span, Tracer};
use tracewell_examples::{b3, serve};

use crate::{port, service};

const WORKERS: usize = 5;
/// Messages that wait; further ones push the oldest out.
const MESSAGES_MAX: usize = 64;

/// How many workers have finished with a click, for who waits for all of them.
static WORKED: AtomicUsize = AtomicUsize::new(0);
static ALL_WORKED: Notify = Notify::const_new();

/// What is in the queue. The headers are what a broker would carry with it.
#[derive(Clone, Debug)]
struct Message {
    headers: HashMap<String, String>,
    event: &'static str,
}

struct Frontend {
    queue: broadcast::Sender<Message>,
}

/// Out comes the page of `frontend`.
pub(crate) async fn start(first: u16, tracers: &mut Vec<Tracer>) -> anyhow::Result<String> {
    let (queue, _) = broadcast::channel(MESSAGES_MAX);
    let (_, _, backend) = service("backend", port(first, 10), tracers).await?;
    for _ in 0..WORKERS {
        tokio::spawn(consume(queue.subscribe(), backend.clone()));
    }
    let (listener, address, tracer) = service("frontend", port(first, 9), tracers).await?;
    let incoming = ServerTracing::new(&tracer).propagation(b3()).inject_response_headers(b3());
    let app = Router::new()
        .route("/", get(click))
        .layer(ServerLayer::from(incoming))
        .with_state(Arc::new(Frontend { queue }));
    serve(listener, app);
    Ok(address)
}

/// Ready when every worker has taken one more click.
pub(crate) fn clicks_done() -> Notified<'static> {
    ALL_WORKED.notified()
}

async fn click(State(frontend): State<Arc<Frontend>>) -> Html<&'static str> {
    let mut produce = tracewell::current().new_child("produce event click");
    produce.kind(Kind::Producer).remote_endpoint(&broker());
    let mut headers = HashMap::new();
    produce.inject(&b3(), &mut headers);
    if frontend.queue.send(Message { headers, event: "click" }).is_err() {
        produce.error_message("nobody takes messages");
    }
    Html("<!doctype html><meta charset=utf-8><title>Queue</title><p>Clicked. Reload to click again.")
}

async fn consume(mut queue: broadcast::Receiver<Message>, tracer: Tracer) {
    while let Ok(message) = queue.recv().await {
        let sender = b3().extract(&message.headers).context;
        let mut span = tracer.new_child(&sender, "consumer event");
        span.kind(Kind::Consumer).tag("event", message.event).remote_endpoint(&broker());
        process(&mut span).await;
        span.finish();
        if (WORKED.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(WORKERS) {
            ALL_WORKED.notify_one();
        }
    }
}

async fn process(consumer: &mut Span) {
    let work = async { tracewell::current().annotate("processed") };
    work.in_span(consumer.new_child("process event")).await;
}

fn broker() -> OwnedEndpoint {
    OwnedEndpoint { service: "queue".to_owned(), ..OwnedEndpoint::default() }
}
