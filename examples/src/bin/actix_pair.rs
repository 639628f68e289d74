//! A service of actix-web, asked by reqwest.
//!
//! `cargo run -p tracewell-examples --bin actix_pair`

use std::net::{Ipv4Addr, TcpListener};

use actix_web::{App, HttpServer, web};
use reqwest_middleware::ClientBuilder;
use tracewell::middleware::ServerTracing;
use tracewell::middleware::actix::ActixTracing;
use tracewell::middleware::reqwest::ReqwestTracing;
use tracewell_examples::{report, say, tracer};

async fn stock(fruit: web::Path<String>) -> String {
    tracewell::current().tag("fruit", fruit.as_str()).new_child("lookup").finish();
    format!("3 {fruit}s")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (shop, browser) = (tracer("shop", Some(address))?, tracer("browser", None)?);
    let tracing = ActixTracing::from(ServerTracing::new(&shop).skip_routes(["/health"]));
    let app = move || App::new().wrap(tracing.clone()).route("/stock/{fruit}", web::get().to(stock));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
    let handle = server.handle();

    let requests = async {
        let click = browser.new_trace("click");
        let trace = click.context().clone();
        let client = ClientBuilder::new(reqwest::Client::new()).with(ReqwestTracing::new(&browser)).build();
        let request = client.get(format!("http://{address}/stock/apple")).with_extension(trace.clone());
        say(&request.send().await?.text().await?);
        drop(click);
        handle.stop(false).await;
        anyhow::Ok(trace)
    };
    let (served, trace) = tokio::join!(server, requests);
    served?;
    report(&[&shop, &browser], &trace?).await
}
