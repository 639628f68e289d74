//! `jaeger DIR`: batches in each of Jaeger's encodings in, the same spans out.
//!
//! `DIR/manifest.json` names the files of each vector: the same spans as `jaeger.thrift` (a body, a datagram, in both
//! protocols), as `model.proto`, and what each says as JSON. Every encoding is decoded and held against its JSON; encoded and
//! decoded again, and held against it once more; cut at every byte; and held against what Jaeger shows of it.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use tracewell_model::SpanBatch;
use tracewell_wire::Limits;
use tracewell_wire::jaeger::{
    BatchForm, DecodeError, Sanitizers, ThriftProtocol, decode_agent_message, decode_proto_batch, decode_thrift_batch,
    encode_proto_post_spans, encode_thrift_batches,
};

use crate::compare::{difference, list, text};
use crate::cut::{Ending, check_cuts};
use crate::jaeger_json::{proto_json, thrift_json, without_defaults, without_empty};
use crate::tally::Tally;

pub(crate) fn check(directory: &str) -> anyhow::Result<Tally> {
    let directory = Path::new(directory);
    let manifest = read_json(&directory.join("manifest.json"))?;
    let mut tally = Tally::default();
    for vector in list(&manifest, "vectors")?.iter().filter(|vector| vector["kind"] == "jaeger") {
        let name = text(vector, "name")?;
        if let Err(error) = check_vector(directory, vector, &mut tally) {
            tally.case(name, Some(format!("{error:#}")));
        }
    }
    Ok(tally)
}

/// How a batch of Jaeger's is laid out as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Thrift(BatchForm),
    Proto,
}

impl Encoding {
    /// By the manifest's names for the files.
    const ALL: [(&'static str, Self); 5] = [
        ("http_batch", Self::Thrift(BatchForm::HttpBinary)),
        ("batch_compact", Self::Thrift(BatchForm::HttpCompact)),
        ("udp_binary", Self::Thrift(BatchForm::AgentBinary)),
        ("udp_compact", Self::Thrift(BatchForm::AgentCompact)),
        ("post_spans", Self::Proto),
    ];

    pub(crate) fn decode(self, bytes: &[u8], batch: &mut SpanBatch) -> Result<usize, DecodeError> {
        let limits = Limits::default();
        let (binary, compact) = (ThriftProtocol::Binary, ThriftProtocol::Compact);
        let as_sent = Sanitizers::None;
        match self {
            Self::Proto => decode_proto_batch(bytes, as_sent, &limits, batch),
            Self::Thrift(BatchForm::HttpBinary) => decode_thrift_batch(binary, bytes, as_sent, &limits, batch),
            Self::Thrift(BatchForm::HttpCompact) => decode_thrift_batch(compact, bytes, as_sent, &limits, batch),
            Self::Thrift(BatchForm::AgentBinary) => decode_agent_message(binary, bytes, as_sent, &limits, batch),
            Self::Thrift(BatchForm::AgentCompact) => decode_agent_message(compact, bytes, as_sent, &limits, batch),
        }
    }

    fn encode(self, batch: &SpanBatch) -> Vec<Vec<u8>> {
        let mut messages = vec![];
        match self {
            Self::Proto => {
                let mut message = vec![];
                encode_proto_post_spans(batch.spans(), &mut message);
                messages.push(message);
            }
            Self::Thrift(form) => {
                encode_thrift_batches(form, batch.spans(), usize::MAX, |message| messages.push(message.to_vec()));
            }
        }
        messages
    }

    /// Encodes the spans and decodes what came out.
    pub(crate) fn there_and_back(self, batch: &SpanBatch) -> anyhow::Result<SpanBatch> {
        let mut again = SpanBatch::new();
        for message in self.encode(batch) {
            self.decode(&message, &mut again).with_context(|| format!("what was encoded: {message:02x?}"))?;
        }
        Ok(again)
    }

    /// What is wrong with what becomes of a message cut short, if something is.
    pub(crate) fn wrong_when_cut(self, bytes: &[u8]) -> Option<String> {
        let ending = if self == Self::Proto { Ending::NoMore } else { Ending::Said };
        check_cuts(bytes, ending, |bytes, batch| self.decode(bytes, batch))
    }
}

fn check_vector(directory: &Path, vector: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let name = text(vector, "name")?;
    let file = |member: &str| Ok::<_, anyhow::Error>(directory.join(file_name(text(vector, member)?)));
    let thrift = without_empty(&read_json(&file("thrift_json")?)?["spans"]);
    let thrift_process = without_empty(&read_json(&file("thrift_json")?)?["process"]);
    let proto = without_defaults(&read_json(&file("post_spans_json")?)?["batch"]);
    for (member, encoding) in Encoding::ALL {
        if vector[member].is_null() {
            continue;
        }
        let path = file(member)?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut batch = SpanBatch::new();
        encoding.decode(&bytes, &mut batch)?;
        let again = encoding.there_and_back(&batch)?;
        for (batch, what) in [(&batch, "decoded"), (&again, "decoded, encoded and decoded")] {
            let name = format!("{name} {member}, {what}");
            tally.case(format!("{name}, as model.proto"), difference_of_proto(&proto, batch));
            if encoding != Encoding::Proto {
                let spans: Vec<_> = batch.spans().map(|span| without_empty(&thrift_json(span))).collect();
                tally.case(format!("{name}, as jaeger.thrift"), difference(&or_empty(&thrift), &Value::Array(spans)));
                let wrong = batch.spans().find_map(|span| {
                    difference(&thrift_process, &without_empty(&crate::jaeger_json::thrift_process(span)))
                });
                tally.case(format!("{name}, its process"), wrong);
            }
        }
        tally.case(format!("{name} {member}, cut at every byte"), encoding.wrong_when_cut(&bytes));
        if !vector["ui_json"].is_null() {
            let shown = read_json(&file("ui_json")?)?;
            crate::shown::check(&format!("{name} {member} as Jaeger shows it"), &shown, &batch, |_, _| {}, tally)?;
        }
    }
    Ok(())
}

/// Spans of thrift come out as `model.proto` as Jaeger turns one into the other.
fn difference_of_proto(expected: &Value, batch: &SpanBatch) -> Option<String> {
    let empty = [];
    let spans = expected["spans"].as_array().map_or(&empty[..], Vec::as_slice);
    if spans.len() != batch.len() {
        return Some(format!("expected {} spans, found {}", spans.len(), batch.len()));
    }
    spans.iter().zip(batch.spans()).find_map(|(expected_span, span)| {
        let mut expected_span = expected_span.clone();
        let members = expected_span.as_object_mut()?;
        // A number that answers of the query service have; a collector drops it.
        members.remove("processId");
        let process = members.remove("process").unwrap_or_else(|| expected["process"].clone());
        let mut found = without_defaults(&proto_json(span));
        let found_process = found.as_object_mut().and_then(|found| found.remove("process")).unwrap_or_default();
        difference(&expected_span, &found).or_else(|| difference(&process, &found_process))
    })
}

fn or_empty(list: &Value) -> Value {
    if list.is_null() { Value::Array(vec![]) } else { list.clone() }
}

/// The manifest's paths begin with the folder's own name.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    crate::read_json(&path.to_string_lossy())
}
