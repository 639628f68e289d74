//! A server and a client of hyper, without a framework: the same layers around plain services.
//!
//! `cargo run -p tracewell-examples --bin hyper_pair`

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tracewell::Tracer;
use tracewell::middleware::tower::{ClientLayer, ServerLayer};
use tracewell_examples::{listen, report, say, tracer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (listener, address) = listen(0).await?;
    let (fruit, browser) = (tracer("fruit", Some(address))?, tracer("browser", None)?);
    tokio::spawn(serve(listener, fruit.clone()));

    let click = browser.new_trace("click");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request =
        Request::get(format!("http://{address}/fruit")).extension(click.context().clone()).body(Full::default())?;
    let response = ClientLayer::new(&browser).layer(client).oneshot(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    say(&String::from_utf8_lossy(&body));
    let trace = click.context().clone();
    drop(click);
    report(&[&fruit, &browser], &trace).await
}

async fn serve(listener: TcpListener, tracer: Tracer) {
    while let Ok((connection, peer)) = listener.accept().await {
        let service = ServerLayer::new(&tracer).layer(service_fn(fruit));
        // hyper does not tell a request where it came from.
        let service = service.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert::<SocketAddr>(peer);
            request
        });
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            server.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service)).await
        });
    }
}

async fn fruit(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    tracewell::current().annotate("picked");
    Ok(Response::new(Full::from("apple")))
}
