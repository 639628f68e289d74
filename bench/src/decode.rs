//! `decode`: what each decoder costs, without sockets and store: processor seconds a million spans, of the load that `tgen`
//! writes. For one format and many rounds it is what a profiler is to look at.

use crate::figures::say;
use anyhow::{Context as _, ensure};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::{
    BatchForm, Sanitizers, ThriftProtocol, decode_agent_message, decode_proto_batch, decode_thrift_batch,
    encode_proto_post_spans, encode_thrift_batches,
};
use tracewell_wire::{Limits, otlp, zipkin_v1, zipkin_v2};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DecodeOptions {
    /// A folder with zipkin_v2.ndjson, as tgen writes it, and perhaps otlp.bin (requests, each behind its length: four bytes,
    /// the lowest first); without otlp.bin OTLP is made of the former too
    #[arg(long)]
    data: PathBuf,
    /// Only this format; without it: each
    #[arg(long)]
    format: Option<String>,
    /// So many spans of the load
    #[arg(long, default_value_t = 100_000)]
    spans: usize,
    /// The fastest of so many rounds is told
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

type Decode = fn(&[u8], &mut SpanBatch) -> anyhow::Result<usize>;

/// A format: its name, its decoder, and how a batch is written in it.
struct Format {
    name: &'static str,
    decode: Decode,
    encode: fn(&SpanBatch) -> Vec<u8>,
}

const FORMATS: &[Format] = &[
    Format {
        name: "zipkin-json",
        decode: |body, batch| Ok(zipkin_v2::decode_json(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| zipkin_v2::encode_spans(batch.spans(), out)),
    },
    Format {
        name: "zipkin-proto3",
        decode: |body, batch| Ok(zipkin_v2::decode_proto3(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, out))),
    },
    Format {
        name: "zipkin-v1-json",
        decode: |body, batch| Ok(zipkin_v1::decode_json(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| zipkin_v1::encode_json(batch.spans(), out)),
    },
    Format {
        name: "zipkin-v1-thrift",
        decode: |body, batch| Ok(zipkin_v1::decode_thrift(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| zipkin_v1::encode_thrift(batch.spans(), out)),
    },
    Format {
        name: "otlp-protobuf",
        decode: |body, batch| Ok(otlp::decode_protobuf(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| otlp::encode_protobuf(batch.spans(), out)),
    },
    Format {
        name: "otlp-json",
        decode: |body, batch| Ok(otlp::decode_json(body, &Limits::default(), batch)?),
        encode: |batch| written(|out| otlp::encode_json(batch.spans(), out)),
    },
    Format {
        name: "jaeger-thrift-binary",
        decode: |body, batch| {
            let (protocol, limits) = (ThriftProtocol::Binary, Limits::default());
            Ok(decode_thrift_batch(protocol, body, Sanitizers::ServiceNameAndDuration, &limits, batch)?)
        },
        encode: |batch| thrift(batch, BatchForm::HttpBinary),
    },
    Format {
        name: "jaeger-thrift-compact",
        decode: |body, batch| {
            let (protocol, limits) = (ThriftProtocol::Compact, Limits::default());
            Ok(decode_agent_message(protocol, body, Sanitizers::ServiceName, &limits, batch)?)
        },
        encode: |batch| thrift(batch, BatchForm::AgentCompact),
    },
    Format {
        name: "jaeger-proto",
        decode: |body, batch| {
            Ok(decode_proto_batch(body, Sanitizers::ServiceNameAndDuration, &Limits::default(), batch)?)
        },
        encode: |batch| written(|out| encode_proto_post_spans(batch.spans(), out)),
    },
];

/// Measures, and prints a line a format.
pub(crate) fn measure(options: &DecodeOptions) -> anyhow::Result<()> {
    let batches = load(&options.data.join("zipkin_v2.ndjson"), options.spans)?;
    let requests = options.data.join("otlp.bin");
    let wanted = |format: &&Format| options.format.as_deref().is_none_or(|name| name == format.name);
    for format in FORMATS.iter().filter(wanted) {
        let bodies = match format.name {
            "otlp-protobuf" if requests.exists() => load_requests(&requests, options.spans)?,
            _ => batches.iter().map(format.encode).collect(),
        };
        let bytes: usize = bodies.iter().map(Vec::len).sum();
        let (mut best_ns, mut spans) = (u64::MAX, 0);
        for _ in 0..options.rounds.max(1) {
            let before_ns = thread_cpu_ns()?;
            spans = 0;
            for body in &bodies {
                // A new one for each, as a server has it.
                let mut batch = SpanBatch::new();
                spans += (format.decode)(body, &mut batch).with_context(|| format.name)?;
            }
            best_ns = best_ns.min(thread_cpu_ns()? - before_ns);
        }
        ensure!(spans > 0, "no spans in {}", options.data.display());
        let (seconds, bytes) = (best_ns as f64 / 1000.0 / spans as f64, bytes / spans);
        say(&format!("{:<22} {seconds:.3} s a million spans, {bytes} bytes a span", format.name));
    }
    Ok(())
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![];
    write(&mut out);
    out
}

/// A batch of the load is of one process, so it becomes one message.
fn thrift(batch: &SpanBatch, form: BatchForm) -> Vec<u8> {
    let mut messages = vec![];
    encode_thrift_batches(form, batch.spans(), usize::MAX, |message| messages.push(message.to_vec()));
    messages.swap_remove(0)
}

/// The first batches of the load.
fn load(path: &Path, spans_max: usize) -> anyhow::Result<Vec<SpanBatch>> {
    let file = BufReader::new(File::open(path).with_context(|| path.display().to_string())?);
    let (mut batches, mut spans) = (vec![], 0);
    for line in file.split(b'\n') {
        let mut batch = SpanBatch::new();
        spans += zipkin_v2::decode_json(&line?, &Limits::default(), &mut batch).context("a line of the load")?;
        if !batch.is_empty() {
            batches.push(batch);
        }
        if spans >= spans_max {
            break;
        }
    }
    Ok(batches)
}

fn load_requests(path: &Path, spans_max: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut file = BufReader::new(File::open(path).with_context(|| path.display().to_string())?);
    let (mut bodies, mut spans) = (vec![], 0);
    let mut len = [0; 4];
    while spans < spans_max && file.read_exact(&mut len).is_ok() {
        let mut body = vec![0; u32::from_le_bytes(len) as usize];
        file.read_exact(&mut body).context("a request of the load")?;
        spans += otlp::decode_protobuf(&body, &Limits::default(), &mut SpanBatch::new())?;
        bodies.push(body);
    }
    Ok(bodies)
}

/// How long this thread was on a processor, as Linux tells: what others do on the machine matters less.
fn thread_cpu_ns() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("the thread's time on a processor")?;
    text.split(' ').next().and_then(|word| word.parse().ok()).context("the thread's time on a processor")
}
