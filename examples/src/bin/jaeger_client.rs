//! What the README of jaeger-client for Python shows: a span with a child and two log events, over UDP to an agent.
//!
//! `cargo run -p tracewell-examples --bin jaeger_client`; `JAEGER_AGENT_HOST` and `JAEGER_AGENT_PORT` name another agent
//! than `localhost:6831`, as they do there.

use std::env;

use tracewell::sampler::ConstSampler;
use tracewell::{JaegerAgentReporter, Tracer};
use tracewell_examples::say;

fn main() -> anyhow::Result<()> {
    let host = env::var("JAEGER_AGENT_HOST").unwrap_or_else(|_| "localhost".to_owned());
    let port = env::var("JAEGER_AGENT_PORT").unwrap_or_else(|_| "6831".to_owned());
    let reporter = JaegerAgentReporter::new(&format!("{host}:{port}"));
    let tracer = Tracer::builder("your-app-name").sampler(ConstSampler::new(true)).build(reporter);

    let mut span = tracer.new_trace("TestSpan");
    span.log(&[("event", "test message".into()), ("life", 42.into())]);
    let mut child = span.new_child("ChildSpan");
    child.log(&[("event", "down below".into())]);
    child.finish();
    span.finish();

    let stats = tracer.close();
    anyhow::ensure!(stats.reported == 2, "not all spans were sent: {stats:?}");
    say(&format!("sent to {host}:{port}: trace {}", span.context().trace_id()));
    Ok(())
}
