//! The server: one handler of axum on one thread, with or without the layer, and a page that tells its processor time.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use tracewell::middleware::tower::ServerLayer;
use tracewell::sampler::ConstSampler;
use tracewell::{Tracer, ZipkinReporter};

use crate::empty::EmptyLayer;
use crate::{Case, say};

pub(crate) fn run(case: Case, sink: &str) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?.to_string());
        let app = Router::new().route("/cart/{id}", get(cart));
        let app = match case {
            Case::None => app,
            Case::Empty => app.layer(EmptyLayer),
            Case::Unsampled | Case::Sampled => {
                let sampler = ConstSampler::new(case == Case::Sampled);
                let reporter = ZipkinReporter::new(&format!("http://{sink}/api/v2/spans"))?;
                app.layer(ServerLayer::new(&Tracer::builder("shop").sampler(sampler).build(reporter)))
            }
        };
        axum::serve(listener, app.route("/cpu", get(cpu_ns))).await?;
        Ok(())
    })
}

async fn cart(Path(id): Path<u32>) -> String {
    format!("cart {id:05}: 3 apples")
}

/// User and system time of all threads so far, the reporter's too.
async fn cpu_ns() -> String {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    format!("{:020}", time.tv_sec * 1_000_000_000 + time.tv_nsec)
}
