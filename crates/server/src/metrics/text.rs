//! The metrics as text for Prometheus: OpenMetrics from the encoder of its own library, or the older format made from that.

use super::list::{Kind, METRICS, Metric, Read, Sources};
use super::{Refusal, Transport};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// Version 0.0.4, what everything reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// All metrics as text.
pub(crate) fn metrics_text(sources: &Sources<'_>, format: TextFormat) -> String {
    let samples = Samples(METRICS.iter().map(|metric| read(metric, sources)).collect());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(samples));
    let mut text = String::new();
    #[expect(clippy::expect_used, reason = "writing to a text cannot fail")]
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a text takes everything");
    match format {
        TextFormat::OpenMetrics => text,
        TextFormat::Prometheus => to_prometheus(&text),
    }
}

/// A label's name and value.
type Label = (&'static str, String);

#[derive(Debug)]
enum Sample {
    Value(f64),
    Histogram { sum: f64, count: u64, buckets: Vec<(f64, u64)> },
}

fn read(metric: &Metric, sources: &Sources<'_>) -> Vec<(Vec<Label>, Sample)> {
    let number = |label, of: String, number: &super::Number| (vec![(label, of)], Sample::Value(number.get() as f64));
    match metric.read {
        Read::Value(value) => vec![(vec![], Sample::Value(value(sources)))],
        Read::ByTransport(value) => Transport::ALL
            .iter()
            .map(|&t| number("transport", t.name().to_owned(), value(&sources.metrics.collector[t as usize])))
            .collect(),
        Read::OfUdpSocket(value) => {
            let of = |transport: Transport| {
                let inode = sources.metrics.collector[transport as usize].udp_inode.get();
                let socket = sources.udp_sockets.iter().find(|socket| inode != 0 && socket.inode == inode)?;
                Some((vec![("transport", transport.name().to_owned())], Sample::Value(value(socket) as f64)))
            };
            Transport::ALL.into_iter().filter_map(of).collect()
        }
        Read::Refusals => Transport::ALL.into_iter().flat_map(|transport| refusals(sources, transport)).collect(),
        Read::RequestTimes => sources
            .metrics
            .requests
            .seen()
            .map(|seen| {
                let (sum, count, buckets) = (seen.sum_seconds, seen.count, seen.buckets);
                (seen.labels.to_vec(), Sample::Histogram { sum, count, buckets })
            })
            .collect(),
    }
}

fn refusals(sources: &Sources<'_>, transport: Transport) -> impl Iterator<Item = (Vec<Label>, Sample)> {
    let metrics = &sources.metrics.collector[transport as usize];
    Refusal::ALL.into_iter().map(move |reason| {
        let labels = vec![("transport", transport.name().to_owned()), ("reason", reason.name().to_owned())];
        (labels, Sample::Value(metrics.refusals(reason).get() as f64))
    })
}

/// What was read of each metric, in the order of the list.
#[derive(Debug)]
struct Samples(Vec<Vec<(Vec<Label>, Sample)>>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, samples) in METRICS.iter().zip(&self.0) {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            // The encoder ends the help's sentence itself.
            let help = metric.help.trim_end_matches('.');
            let mut family = encoder.encode_descriptor(metric.name, help, None, kind)?;
            for (labels, sample) in samples {
                match labels.is_empty() {
                    true => encode(metric.kind, sample, &mut family)?,
                    false => encode(metric.kind, sample, &mut family.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

fn encode(kind: Kind, sample: &Sample, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match sample {
        Sample::Value(value) if kind == Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(value, None),
        Sample::Value(value) => encoder.encode_gauge(value),
        Sample::Histogram { sum, count, buckets } => {
            encoder.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

/// OpenMetrics names a counter without `_total` in its description and ends with a mark; the older format does neither.
fn to_prometheus(open_metrics: &str) -> String {
    let counters: Vec<&str> =
        open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut out = String::with_capacity(open_metrics.len() + counters.len() * 16);
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let name = described.and_then(|rest| rest.split(' ').next());
        match name.filter(|name| counters.contains(name)) {
            Some(name) => {
                let end = "# HELP ".len() + name.len();
                out.push_str(&line[..end]);
                out.push_str("_total");
                out.push_str(&line[end..]);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::process::ProcessStats;
    use http::{Method, StatusCode};
    use std::time::Duration;
    use tracewell_store::{StoreHealth, StoreStats};

    #[test]
    fn both_formats() {
        let metrics = Metrics::new();
        metrics.collector[0].messages.add(6);
        metrics.requests.observe(&Method::POST, "/api/v2/spans", StatusCode::ACCEPTED, Duration::from_millis(3));
        let sources = Sources {
            metrics: &metrics,
            memory_budget_bytes: 8,
            bodies_held_bytes: 7,
            queries_held_bytes: 9,
            store: StoreStats { spans_written: 9, ..StoreStats::default() },
            health: StoreHealth::default(),
            process: ProcessStats::default(),
            udp_sockets: vec![],
        };
        let text = metrics_text(&sources, TextFormat::Prometheus);
        for line in [
            "# TYPE zipkin_collector_messages_total counter",
            "zipkin_collector_messages_total{transport=\"http\"} 6.0",
            "zipkin_collector_messages_total{transport=\"grpc\"} 0.0",
            "# TYPE tracewell_ingest_bodies_held_bytes gauge",
            "tracewell_ingest_bodies_held_bytes 7.0",
            "tracewell_store_spans_written_total 9.0",
            "http_server_requests_seconds_bucket{le=\"0.005\",method=\"POST\",status=\"202\",uri=\"/api/v2/spans\"} 1",
            "http_server_requests_seconds_count{method=\"POST\",status=\"202\",uri=\"/api/v2/spans\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("le=\"+Inf\""), "{text}");
        let open = metrics_text(&sources, TextFormat::OpenMetrics);
        assert!(open.contains("# TYPE zipkin_collector_messages counter\n") && open.ends_with("# EOF\n"));
    }
}
