//! `GET status`: what came in, what is kept, what it costs. Counters run since the start: two answers make a rate.

use super::asked::now_us;
use crate::answer::{self, Answer, JSON_UTF8};
use crate::metrics::{CollectorMetrics, Refusal, Transport};
use crate::options::Options;
use crate::process::process_stats;
use crate::zipkin::{Asked, ZipkinApi};
use serde_json::{Map, Value, json};
use std::time::{Duration, UNIX_EPOCH};

pub(super) fn status(api: &ZipkinApi, asked: &Asked<'_>) -> Answer {
    let app = api.app();
    let (metrics, options) = (&app.metrics, api.options());
    let (stats, health) = (app.store.stats(), app.store.health());
    let capabilities = app.store.capabilities();
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let ways = Transport::ALL.into_iter().map(|transport| (transport, &metrics.collector[transport as usize]));
    let ingest: Vec<Value> =
        ways.filter(|(_, way)| way.messages.get() + way.spans.get() > 0).map(|(at, way)| of_way(at, way)).collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": now_us(),
        "started": metrics.started.duration_since(UNIX_EPOCH).map_or(0, micros),
        "ingest": ingest,
        "store": {
            "durable": capabilities.durable,
            "takesWrites": health.writes_refused.is_none(),
            "writesRefusedBecause": health.writes_refused,
            "damage": health.damage,
            "spans": stats.spans_stored,
            "spansWritten": stats.spans_written,
            "writesRefused": stats.writes_refused,
            "writeQueueBytes": stats.write_queue_bytes,
            "logBytes": stats.log_bytes,
            "memoryBytes": stats.memory_bytes,
            "memorySpans": stats.memory_spans,
            "segments": stats.segments,
            "segmentBytes": stats.segment_bytes,
            "segmentSpans": stats.segment_spans,
            "segmentsExpired": stats.segments_expired,
        },
        "retention": retention(options, capabilities.durable),
        "memory": {
            "residentBytes": process_stats().resident_memory_bytes,
            "bodiesHeldBytes": app.ingest.held_bytes(),
            "storeBytesMax": options.store_memory_bytes_max(),
        },
        "queries": {
            "waiting": metrics.queries_waiting.get(),
            "refused": metrics.queries_refused.get(),
            "timedOut": metrics.queries_timed_out.get(),
        },
        "connections": { "open": metrics.connections_open.get(), "accepted": metrics.connections_accepted.get() },
        "live": { "listeners": app.live.watchers(), "spansLost": app.live.spans_lost() },
    });
    answer::compressible(JSON_UTF8, body.to_string().into_bytes(), asked.takes_gzip)
}

fn of_way(transport: Transport, way: &CollectorMetrics) -> Value {
    let refused = Refusal::ALL.into_iter().map(|refusal| (refusal, way.refusals(refusal).get()));
    let refused: Map<String, Value> = refused
        .filter(|(_, messages)| *messages > 0)
        .map(|(refusal, messages)| (refusal.name().to_owned(), messages.into()))
        .collect();
    json!({
        "protocol": transport.name(),
        "messages": way.messages.get(),
        "messagesDropped": way.messages_dropped.get(),
        "bytes": way.bytes.get(),
        "spans": way.spans.get(),
        "spansDropped": way.spans_dropped.get(),
        "refused": refused,
    })
}

/// A store in memory is bounded by a number of spans alone.
fn retention(options: &Options, durable: bool) -> Value {
    let age = u64::try_from(options.retention_age.as_micros()).unwrap_or(u64::MAX);
    json!({
        "age": Some(age).filter(|_| durable),
        "bytesMax": options.retention_bytes_max.as_ref().map(|bytes| bytes.0).filter(|_| durable),
    })
}
