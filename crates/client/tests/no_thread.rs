//! No thread before the first span that ends, so that a process may fork until then. Alone in its file: it counts the
//! threads of its process.

#![cfg(all(target_os = "linux", feature = "zipkin"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use tracewell::sampler::ConstSampler;
use tracewell::{Tracer, ZipkinReporter};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn no_thread_before_the_first_span_that_ends() {
    let before = threads();
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(ZipkinReporter::default());
    let mut span = tracer.new_trace("GET /");
    tracer.flush();
    assert_eq!(threads(), before);
    span.finish();
    assert!(threads() > before);
}
