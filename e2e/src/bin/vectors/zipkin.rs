//! `zipkin DIR`: spans in each of Zipkin's encodings in, the same spans out.
//!
//! `DIR/manifest.json` names the vectors. `ID.v2.json` is the canonical form; `ID.v1.json`, `ID.v1.thrift` and `ID.v2.proto3` are
//! the same spans, or what `ID.….decoded.json` beside them says. Every encoding is decoded and held against the canonical
//! form; the canonical form is encoded and held against the file, span by span; what was decoded is encoded and decoded once
//! more; and each file is cut at every byte.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tracewell_model::SpanBatch;
use tracewell_wire::{Limits, zipkin_v1, zipkin_v2};

use crate::compare::{difference, text};
use crate::cut::{Ending, check_cuts};
use crate::tally::Tally;

pub(crate) fn check(directory: &str) -> anyhow::Result<Tally> {
    let directory = Path::new(directory);
    let manifest: Value = serde_json::from_slice(&read(directory, "manifest.json")?).context("manifest.json")?;
    let mut tally = Tally::default();
    for vector in manifest.as_array().context("manifest.json should be a list")? {
        let id = text(vector, "id")?;
        for encoding in Encoding::ALL {
            let name = format!("{id}.{}", encoding.extension());
            let outcome = check_file(directory, id, &name, encoding, &mut tally);
            if let Err(error) = outcome {
                tally.case(name, Some(format!("{error:#}")));
            }
        }
    }
    Ok(tally)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    JsonV1,
    ThriftV1,
    JsonV2,
    Proto3V2,
}

impl Encoding {
    const ALL: [Self; 4] = [Self::JsonV1, Self::ThriftV1, Self::JsonV2, Self::Proto3V2];

    fn extension(self) -> &'static str {
        match self {
            Self::JsonV1 => "v1.json",
            Self::ThriftV1 => "v1.thrift",
            Self::JsonV2 => "v2.json",
            Self::Proto3V2 => "v2.proto3",
        }
    }

    fn ending(self) -> Ending {
        if self == Self::Proto3V2 { Ending::NoMore } else { Ending::SaidOrEmpty }
    }

    fn decode_into(self, bytes: &[u8], batch: &mut SpanBatch) -> Result<usize, zipkin_v2::DecodeError> {
        let limits = Limits::default();
        match self {
            Self::JsonV1 => zipkin_v1::decode_json(bytes, &limits, batch),
            Self::ThriftV1 => zipkin_v1::decode_thrift(bytes, &limits, batch),
            Self::JsonV2 => zipkin_v2::decode_json(bytes, &limits, batch),
            Self::Proto3V2 => zipkin_v2::decode_proto3(bytes, &limits, batch),
        }
    }

    fn decode(self, bytes: &[u8]) -> anyhow::Result<SpanBatch> {
        let mut batch = SpanBatch::new();
        match self.decode_into(bytes, &mut batch) {
            Ok(spans) => ensure!(spans == batch.len(), "{spans} spans were said, {} are there", batch.len()),
            Err(error) => {
                ensure!(batch.is_empty(), "a refused body left {} spans behind", batch.len());
                return Err(error.into());
            }
        }
        Ok(batch)
    }

    fn encode(self, batch: &SpanBatch) -> Vec<u8> {
        let mut out = vec![];
        match self {
            Self::JsonV1 => zipkin_v1::encode_json(batch.spans(), &mut out),
            Self::ThriftV1 => zipkin_v1::encode_thrift(batch.spans(), &mut out),
            Self::JsonV2 => zipkin_v2::encode_spans(batch.spans(), &mut out),
            Self::Proto3V2 => batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, &mut out)),
        }
        out
    }
}

fn check_file(directory: &Path, id: &str, name: &str, encoding: Encoding, tally: &mut Tally) -> anyhow::Result<()> {
    let bytes = read(directory, name)?;
    let canonical = read(directory, &format!("{id}.v2.json"))?;
    let expected = match directory.join(format!("{name}.decoded.json")) {
        path if path.exists() => std::fs::read(path)?,
        _ => canonical.clone(),
    };

    let decoded = encoding.decode(&bytes)?;
    tally.case(format!("{name} decoded"), difference(&json(&expected)?, &v2_json(&decoded)?));

    let encoded = encoding.encode(&Encoding::JsonV2.decode(&canonical)?);
    let failure = match encoding {
        Encoding::JsonV1 | Encoding::JsonV2 => difference(&json(&bytes)?, &json(&encoded)?),
        // Byte for byte where nothing else compares them.
        Encoding::ThriftV1 | Encoding::Proto3V2 => {
            (bytes != encoded).then(|| format!("expected {}, found {}", hex(&bytes), hex(&encoded)))
        }
    };
    tally.case(format!("{name} encoded"), failure);

    let again = encoding.decode(&encoding.encode(&decoded))?;
    tally.case(format!("{name} there and back"), difference(&v2_json(&decoded)?, &v2_json(&again)?));
    let wrong = check_cuts(&bytes, encoding.ending(), |bytes, batch| encoding.decode_into(bytes, batch));
    tally.case(format!("{name} cut"), wrong);
    Ok(())
}

fn v2_json(batch: &SpanBatch) -> anyhow::Result<Value> {
    json(&Encoding::JsonV2.encode(batch))
}

fn json(bytes: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(bytes).with_context(|| format!("not JSON: {}", String::from_utf8_lossy(bytes)))
}

fn read(directory: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = directory.join(name);
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
