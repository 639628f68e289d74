//! What the library hands to the crate `metrics`, by a recorder that keeps it.
#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracewell::propagation::TraceContext;
use tracewell::sampler::{ConstSampler, Decision, Sampler};
use tracewell::{FnReporter, Resource, SpanId, SpanRecords, TraceId, Tracer};

#[derive(Clone, Default)]
struct Kept {
    values: Arc<Mutex<BTreeMap<String, f64>>>,
}

struct Handle {
    kept: Kept,
    series: String,
}

impl Handle {
    fn change(&self, to: impl FnOnce(f64) -> f64) {
        let mut values = self.kept.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(self.series.clone()).or_default();
        *value = to(*value);
    }
}

impl CounterFn for Handle {
    fn increment(&self, by: u64) {
        self.change(|value| value + by as f64);
    }
    fn absolute(&self, to: u64) {
        self.change(|value| value.max(to as f64));
    }
}

impl GaugeFn for Handle {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }
    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }
    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

impl Kept {
    fn handle(&self, key: &Key) -> Arc<Handle> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Handle { kept: self.clone(), series: format!("{}{{{}}}", key.name(), labels.join(",")) })
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Records what is not named `skip`.
struct ByName;

impl Sampler for ByName {
    fn sample(&self, id: TraceId, operation: &str) -> Decision {
        ConstSampler::new(operation != "skip").sample(id, operation)
    }
}

#[test]
fn counts_by_jaegers_names() {
    let kept = Kept::default();
    metrics::set_global_recorder(kept.clone()).unwrap_or_else(|_| panic!("one recorder a process"));
    let refusing = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refusing);
    let refuse = move |_: &Resource, _: &SpanRecords<'_>| match refuses.load(Ordering::Relaxed) {
        true => Err("no".into()),
        false => Ok(()),
    };
    let sampler: Arc<dyn Sampler> = Arc::new(ByName);
    let tracer = Tracer::builder("shop").sampler(sampler).build(FnReporter::new(refuse));
    // Nothing has ended, no thread runs.
    tracer.new_trace("skip").finish();
    tracer.publish_metrics();
    let value = |series: &str| kept.values.lock().unwrap().get(series).copied();
    assert_eq!(value("jaeger:traces{state=started,sampled=n}"), Some(1.0));
    assert_eq!(value("jaeger:started_spans{sampled=n}"), Some(1.0));
    assert_eq!(value("jaeger:finished_spans{}"), Some(0.0));

    let mut request = tracer.new_trace("request");
    request.new_child("query").finish();
    request.finish();
    tracer.flush();
    refusing.store(true, Ordering::Relaxed);
    tracer.new_trace("refused").finish();
    tracer.flush();
    refusing.store(false, Ordering::Relaxed);
    let caller = TraceContext::new(TraceId::new(7), SpanId::new(1));
    tracer.join_span(&caller.clone().with_sampled(Some(true)), "joined").finish();
    let unwanted = tracer.new_child(&caller.with_sampled(Some(false)), "not wanted");
    // On a thread that ends, and takes nothing of its counts along.
    std::thread::scope(|scope| scope.spawn(|| unwanted.new_child("not wanted either").finish()).join().unwrap());
    drop(unwanted);
    tracer.close();

    let expected = [
        ("jaeger:traces{state=started,sampled=y}", 2.0),
        ("jaeger:traces{state=started,sampled=n}", 1.0),
        ("jaeger:traces{state=joined,sampled=y}", 1.0),
        ("jaeger:traces{state=joined,sampled=n}", 1.0),
        ("jaeger:started_spans{sampled=y}", 4.0),
        ("jaeger:started_spans{sampled=n}", 3.0),
        ("jaeger:finished_spans{}", 4.0),
        ("jaeger:reporter_spans{result=ok}", 3.0),
        ("jaeger:reporter_spans{result=err}", 1.0),
        ("jaeger:reporter_spans{result=dropped}", 0.0),
        ("jaeger:reporter_queue_length{}", 0.0),
        ("jaeger:sampler_queries{result=ok}", 0.0),
        ("jaeger:sampler_updates{result=err}", 0.0),
        ("jaeger:throttled_debug_spans{}", 0.0),
        ("jaeger:throttler_update{result=ok}", 0.0),
    ];
    for (series, expected) in expected {
        assert_eq!(value(series), Some(expected), "{series}");
    }

    // One that is not to count does not.
    let quiet = Tracer::builder("quiet").metrics(false).sampler(ConstSampler::new(true));
    let quiet = quiet.build(tracewell::NullReporter);
    quiet.new_trace("request").finish();
    quiet.close();
    assert_eq!(value("jaeger:finished_spans{}"), Some(4.0));
}
