//! Two services of axum: `shop` asks `stock`, and both are in one trace.
//!
//! `cargo run -p tracewell-examples --bin axum_pair`

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};
use tracewell::Tracer;
use tracewell::middleware::reqwest::ReqwestTracing;
use tracewell::middleware::tower::ServerLayer;
use tracewell_examples::{listen, report, say, serve, tracer};

#[derive(Clone)]
struct Shop {
    client: ClientWithMiddleware,
    stock: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (stock_listener, stock_address) = listen(0).await?;
    let (shop_listener, shop_address) = listen(0).await?;
    let (stock, shop) = (tracer("stock", Some(stock_address))?, tracer("shop", Some(shop_address))?);
    serve(stock_listener, stock_app(&stock));
    serve(shop_listener, shop_app(&shop, format!("http://{stock_address}")));

    // From outside, with a span of its own so that we know where to look.
    let browser = tracer("browser", None)?;
    let click = browser.new_trace("click");
    let client = ClientBuilder::new(reqwest::Client::new()).with(ReqwestTracing::new(&browser)).build();
    let request = client.get(format!("http://{shop_address}/cart/7")).with_extension(click.context().clone());
    say(&request.send().await?.text().await?);
    let trace = click.context().clone();
    drop(click);
    report(&[&stock, &shop, &browser], &trace).await
}

fn stock_app(tracer: &Tracer) -> Router {
    async fn stock(Path(fruit): Path<String>) -> Json<Value> {
        // The span of the request is current: tags and children go to it.
        tracewell::current().tag("fruit", &fruit);
        let mut lookup = tracewell::current().new_child("lookup");
        lookup.tag("rows", 1);
        Json(json!({ "fruit": fruit, "count": 3 }))
    }
    Router::new().route("/stock/{fruit}", get(stock)).layer(ServerLayer::new(tracer))
}

fn shop_app(tracer: &Tracer, stock: String) -> Router {
    async fn cart(State(shop): State<Shop>, Path(id): Path<u32>) -> Result<String, String> {
        let url = format!("{}/stock/apple", shop.stock);
        let failed = |error: reqwest_middleware::Error| error.to_string();
        let response = shop.client.get(url).send().await.map_err(failed)?;
        let stock = response.text().await.map_err(|error| error.to_string())?;
        Ok(format!("cart {id}: {stock}"))
    }
    let client = ClientBuilder::new(reqwest::Client::new()).with(ReqwestTracing::new(tracer)).build();
    Router::new().route("/cart/{id}", get(cart)).layer(ServerLayer::new(tracer)).with_state(Shop { client, stock })
}
