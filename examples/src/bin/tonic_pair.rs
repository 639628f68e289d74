//! A server and a client of gRPC with tonic: spans named by the method, status from the trailers.
//!
//! `cargo run -p tracewell-examples --bin tonic_pair`

use tokio::net::TcpListener;
use tonic::transport::server::TcpConnectInfo;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;
use tracewell::Tracer;
use tracewell::middleware::tower::{ClientLayer, ServerLayer};
use tracewell_examples::{listen, report, say, tracer};

use generated::stock_client::StockClient;
use generated::stock_server::{Stock, StockServer};

/// What `shop.proto` would say: which fruit.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LookRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub fruit: String,
}

/// How many there are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LookReply {
    /// Pieces.
    #[prost(uint32, tag = "1")]
    pub count: u32,
}

mod generated {
    #![allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, reason = "written by build.rs")]
    tonic::include_proto!("shop.Stock");
}

struct Shelf;

#[tonic::async_trait]
impl Stock for Shelf {
    async fn look(&self, request: Request<LookRequest>) -> Result<Response<LookReply>, Status> {
        tracewell::current().tag("fruit", &request.get_ref().fruit);
        match request.into_inner().fruit.as_str() {
            "apple" => Ok(Response::new(LookReply { count: 3 })),
            other => Err(Status::not_found(format!("no {other}"))),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (listener, address) = listen(0).await?;
    let (stock, shop) = (tracer("stock", Some(address))?, tracer("shop", None)?);
    tokio::spawn(serve(listener, stock.clone()));

    let mut job = shop.new_trace("inventory");
    let trace = job.context().clone();
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let channel = ServiceBuilder::new().layer(ClientLayer::new(&shop)).service(channel);
    let mut client = StockClient::new(channel);
    for fruit in ["apple", "pear"] {
        let mut request = Request::new(LookRequest { fruit: fruit.to_owned() });
        request.extensions_mut().insert(trace.clone());
        match client.look(request).await {
            Ok(reply) => say(&format!("{fruit}: {}", reply.into_inner().count)),
            Err(status) if status.code() == Code::NotFound => say(status.message()),
            Err(status) => return Err(status.into()),
        }
    }
    job.finish();
    report(&[&stock, &shop], &trace).await
}

async fn serve(listener: TcpListener, tracer: Tracer) -> Result<(), tonic::transport::Error> {
    let layer = ServerLayer::new(&tracer).peer_from(|extensions| extensions.get::<TcpConnectInfo>()?.remote_addr());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    Server::builder().layer(layer).add_service(StockServer::new(Shelf)).serve_with_incoming(incoming).await
}
