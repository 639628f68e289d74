//! The list of all metrics: their names, what they mean and where their values come from. docs/metrics.md is made from it.

use super::{Metrics, Number, Transport};
use crate::process::{ProcessStats, UdpSocketStats};
use std::fmt::Write;
use std::time::UNIX_EPOCH;
use tracewell_store::{StoreHealth, StoreStats};

/// Where values come from, read once for an answer.
pub(crate) struct Sources<'a> {
    pub(crate) metrics: &'a Metrics,
    pub(crate) memory_budget_bytes: usize,
    pub(crate) bodies_held_bytes: usize,
    pub(crate) queries_held_bytes: usize,
    pub(crate) store: StoreStats,
    pub(crate) health: StoreHealth,
    pub(crate) process: ProcessStats,
    /// The system's list of UDP sockets.
    pub(crate) udp_sockets: Vec<UdpSocketStats>,
}

/// What kind a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric. Counters are named without the `_total` that their samples carry.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) read: Read,
}

/// How a metric is read.
pub(super) enum Read {
    Value(fn(&Sources<'_>) -> f64),
    ByTransport(fn(&super::CollectorMetrics) -> &Number),
    Refusals,
    /// Of the transports that take packets.
    OfUdpSocket(fn(&UdpSocketStats) -> u64),
    RequestTimes,
}

macro_rules! of_store {
    ($field:ident) => {
        Read::Value(|sources| sources.store.$field as f64)
    };
}

const fn metric(name: &'static str, kind: Kind, help: &'static str, read: Read) -> Metric {
    let labels: &[&str] = match read {
        Read::Value(_) => &[],
        Read::ByTransport(_) => &["transport"],
        Read::OfUdpSocket(_) => &["transport"],
        Read::Refusals => &["transport", "reason"],
        Read::RequestTimes => &["method", "status", "uri"],
    };
    Metric { name, kind, labels, help, read }
}

use Kind::{Counter, Gauge, Histogram};

#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    metric("zipkin_collector_messages", Counter, "Messages of spans received.", Read::ByTransport(|c| &c.messages)),
    metric("zipkin_collector_messages_dropped", Counter, "Messages that were refused; one that a decoder refuses counts twice, as in Zipkin.", Read::ByTransport(|c| &c.messages_dropped)),
    metric("zipkin_collector_bytes", Counter, "Bytes of messages received, after decompression.", Read::ByTransport(|c| &c.bytes)),
    metric("zipkin_collector_spans", Counter, "Spans received.", Read::ByTransport(|c| &c.spans)),
    metric("zipkin_collector_spans_dropped", Counter, "Spans that were received but not kept: not sampled, or refused by the store.", Read::ByTransport(|c| &c.spans_dropped)),
    metric("zipkin_collector_message_bytes", Gauge, "Bytes of the last message.", Read::ByTransport(|c| &c.message_bytes)),
    metric("zipkin_collector_message_spans", Gauge, "Spans of the last message that held any.", Read::ByTransport(|c| &c.message_spans)),
    metric("http_server_requests_seconds", Histogram, "How long requests took to be answered.", Read::RequestTimes),
    metric("tracewell_ingest_refused", Counter, "Messages refused or dropped, by how they came and why.", Read::Refusals),
    metric("tracewell_udp_packets_dropped_by_system", Counter, "Packets that the system dropped because its buffer was full.", Read::OfUdpSocket(|socket| socket.dropped_packets)),
    metric("tracewell_udp_receive_queue_bytes", Gauge, "Memory of the system for packets that wait to be read.", Read::OfUdpSocket(|socket| socket.queued_bytes)),
    metric("tracewell_ingest_bodies_held_bytes", Gauge, "Memory held by bodies on their way in.", Read::Value(|s| s.bodies_held_bytes as f64)),
    metric("tracewell_queries_waiting", Gauge, "Queries that wait for their turn.", Read::Value(|s| s.metrics.queries_waiting.get() as f64)),
    metric("tracewell_queries_refused", Counter, "Queries refused because too many were waiting.", Read::Value(|s| s.metrics.queries_refused.get() as f64)),
    metric("tracewell_queries_timed_out", Counter, "Queries that took too long.", Read::Value(|s| s.metrics.queries_timed_out.get() as f64)),
    metric("tracewell_queries_held_bytes", Gauge, "Memory held by the spans that queries read.", Read::Value(|s| s.queries_held_bytes as f64)),
    metric("tracewell_traces_archived", Counter, "Traces of which spans were added to the archive.", Read::Value(|s| s.metrics.traces_archived.get() as f64)),
    metric("tracewell_connections_open", Gauge, "Connections open now.", Read::Value(|s| s.metrics.connections_open.get() as f64)),
    metric("tracewell_connections_accepted", Counter, "Connections taken.", Read::Value(|s| s.metrics.connections_accepted.get() as f64)),
    metric("tracewell_connections_timed_out", Counter, "Connections closed because they never asked for anything.", Read::Value(|s| s.metrics.connections_timed_out.get() as f64)),
    metric("tracewell_sampling_strategies_loaded", Counter, "Times the sampling strategies file had changed and was taken.", Read::Value(|s| s.metrics.sampling_strategies_loaded.get() as f64)),
    metric("tracewell_sampling_strategies_refused", Counter, "Times the sampling strategies file had changed and could not be used.", Read::Value(|s| s.metrics.sampling_strategies_refused.get() as f64)),
    metric("tracewell_sampling_strategies_broken", Gauge, "1 while the sampling strategies file cannot be used and the last good one stays in force.", Read::Value(|s| s.metrics.sampling_strategies_broken.get() as f64)),
    metric("tracewell_sampling_operations", Gauge, "Operations for which adaptive sampling has a probability.", Read::Value(|s| s.metrics.sampling_operations.get() as f64)),
    metric("tracewell_sampling_operations_dropped", Counter, "Times an operation was not counted for adaptive sampling because there were too many.", Read::Value(|s| s.metrics.sampling_operations_dropped.get() as f64)),
    metric("tracewell_store_spans_stored", Gauge, "Spans that the store holds.", of_store!(spans_stored)),
    metric("tracewell_store_batches_written", Counter, "Batches acknowledged.", of_store!(batches_written)),
    metric("tracewell_store_spans_written", Counter, "Spans acknowledged.", of_store!(spans_written)),
    metric("tracewell_store_writes_refused", Counter, "Batches refused.", of_store!(writes_refused)),
    metric("tracewell_store_write_queue_bytes", Gauge, "Bytes of batches that wait to be written.", of_store!(write_queue_bytes)),
    metric("tracewell_store_log_syncs", Counter, "Times the log was brought to the disk.", of_store!(log_syncs)),
    metric("tracewell_store_log_written_bytes", Counter, "Bytes written to the log.", of_store!(log_written_bytes)),
    metric("tracewell_store_log_bytes", Gauge, "Bytes of the log on the disk.", of_store!(log_bytes)),
    metric("tracewell_store_memory_bytes", Gauge, "Memory of recent spans.", of_store!(memory_bytes)),
    metric("tracewell_store_memory_spans", Gauge, "Recent spans in memory.", of_store!(memory_spans)),
    metric("tracewell_store_block_cache_bytes", Gauge, "Memory of what was read of segments lately.", Read::Value(|_| tracewell_store::block_cache_bytes() as f64)),
    metric("tracewell_memory_budget_bytes", Gauge, "Memory that the whole server may use.", Read::Value(|s| s.memory_budget_bytes as f64)),
    metric("tracewell_store_segments", Gauge, "Segments on the disk.", of_store!(segments)),
    metric("tracewell_store_segment_bytes", Gauge, "Bytes of segments on the disk.", of_store!(segment_bytes)),
    metric("tracewell_store_segment_spans", Gauge, "Spans in segments.", of_store!(segment_spans)),
    metric("tracewell_store_segments_sealed", Counter, "Segments written.", of_store!(segments_sealed)),
    metric("tracewell_store_segments_merged", Counter, "Small segments that became part of larger ones.", of_store!(segments_merged)),
    metric("tracewell_store_segments_expired", Counter, "Segments removed because of their age or the limit on space.", of_store!(segments_expired)),
    metric("tracewell_store_segments_damaged", Gauge, "Segments with damage that was found.", of_store!(segments_damaged)),
    metric("tracewell_store_sealed_bytes", Counter, "Bytes of segments written of recent spans.", of_store!(sealed_bytes)),
    metric("tracewell_store_merged_bytes", Counter, "Bytes of segments written by merging.", of_store!(merged_bytes)),
    metric("tracewell_store_expired_bytes", Counter, "Bytes of segments removed because of their age or the limit on space.", of_store!(expired_bytes)),
    metric("tracewell_store_catalog_written_bytes", Counter, "Bytes written to the catalog of segments.", of_store!(catalog_written_bytes)),
    metric("tracewell_store_sealing_seconds", Counter, "Time spent making segments of recent spans, beside the writes.", Read::Value(|s| s.store.sealing_us as f64 / 1e6)),
    metric("tracewell_store_merging_seconds", Counter, "Time spent merging small segments, beside the writes.", Read::Value(|s| s.store.merging_us as f64 / 1e6)),
    metric("tracewell_store_takes_writes", Gauge, "1 while the store takes spans, 0 while it refuses them all.", Read::Value(|s| f64::from(u8::from(s.health.writes_refused.is_none())))),
    metric("process_resident_memory_bytes", Gauge, "Memory of the process.", Read::Value(|s| s.process.resident_memory_bytes as f64)),
    metric("process_cpu_seconds", Counter, "Processor time used.", Read::Value(|s| s.process.cpu_seconds)),
    metric("process_open_fds", Gauge, "Open files and connections.", Read::Value(|s| s.process.open_files as f64)),
    metric("process_threads", Gauge, "Threads.", Read::Value(|s| s.process.threads as f64)),
    metric("process_start_time_seconds", Gauge, "When the server was started, seconds since 1970.", Read::Value(|s| {
        s.metrics.started.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    })),
];

const INTRODUCTION: &str = "# Metrics of the server

Made from the list in `crates/server/src/metrics/list.rs`; a test holds it to that.

`GET /prometheus` (also `/actuator/prometheus`) answers all of them as Prometheus text, or as OpenMetrics where the client asks for
`application/openmetrics-text`. `GET /metrics` answers Zipkin's own as JSON, under Zipkin's names (`counter.zipkin_collector.spans.http`).

How many bytes are written for a byte that is kept, since the start: log, sealed, merged and catalog bytes, by those of segments now
and expired: `(tracewell_store_log_written_bytes_total + tracewell_store_sealed_bytes_total + tracewell_store_merged_bytes_total +
tracewell_store_catalog_written_bytes_total) / (tracewell_store_segment_bytes + tracewell_store_expired_bytes_total)`; of segments alone
without the log's and the catalog's.

| metric | kind | labels | what it tells |
|---|---|---|---|
";

/// docs/metrics.md.
pub fn metrics_markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for metric in METRICS {
        let (kind, suffix) = match metric.kind {
            Counter => ("counter", "_total"),
            Gauge => ("gauge", ""),
            Histogram => ("histogram", ""),
        };
        let labels = metric.labels.join(", ");
        #[expect(clippy::expect_used, reason = "writing to a text cannot fail")]
        writeln!(out, "| `{}{suffix}` | {kind} | {labels} | {} |", metric.name, metric.help).expect("a text");
    }
    out
}

/// `GET /metrics` as Zipkin answers it.
pub(crate) fn zipkin_json(metrics: &Metrics) -> String {
    let mut lines = vec![];
    for transport in Transport::ALL.into_iter().filter(|transport| transport.is_zipkins()) {
        let collector = &metrics.collector[transport as usize];
        for metric in METRICS {
            let Read::ByTransport(read) = metric.read else { continue };
            let kind = if metric.kind == Counter { "counter" } else { "gauge" };
            let name = metric.name.replacen("zipkin_collector_", "zipkin_collector.", 1);
            let value = read(collector).get() as f64;
            lines.push(format!("  \"{kind}.{name}.{}\" : {value:?}", transport.name()));
        }
    }
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipkins_names_are_all_there() {
        let metrics = Metrics::new();
        metrics.collector[0].spans.add(4);
        let json: serde_json::Value = serde_json::from_str(&zipkin_json(&metrics)).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 14);
        assert_eq!(json["counter.zipkin_collector.spans.http"], 4.0);
        assert_eq!(json["gauge.zipkin_collector.message_bytes.grpc"], 0.0);
    }
}
