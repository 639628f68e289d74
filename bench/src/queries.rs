//! Queries over HTTP, sampled from the load so that each has an answer: traces by id, and searches by service, tag and shortest
//! duration. Out come latencies as one client sees them.

use crate::random::Random;
use anyhow::{Context, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How many traces a search asks for.
const SEARCH_LIMIT: usize = 20;

/// What of a span a query needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SampleSpan {
    trace_id: String,
    duration: u64,
    local_endpoint: SampleEndpoint,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SampleEndpoint {
    service_name: String,
}

/// Queries and the window they lie in.
pub(crate) struct Queries {
    spans: Vec<SampleSpan>,
    end_ms: u64,
    lookback_ms: u64,
}

impl Queries {
    /// Takes `count` spans of a file of `batches` batches, spread over all of it.
    pub(crate) fn sample(file: &Path, batches: usize, count: usize, window_us: (u64, u64)) -> anyhow::Result<Self> {
        let mut random = Random(1);
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for _ in 0..count {
            *wanted.entry(random.below(batches as u64) as usize).or_default() += 1;
        }
        let mut spans = Vec::with_capacity(count);
        let lines = BufReader::new(File::open(file)?).lines();
        for (number, line) in lines.enumerate() {
            let line = line?;
            let Some(&count) = wanted.get(&number) else { continue };
            let batch: Vec<SampleSpan> = serde_json::from_str(&line).with_context(|| format!("batch {number}"))?;
            for _ in 0..count {
                spans.push(batch[random.below(batch.len() as u64) as usize].clone());
            }
        }
        let (begin_ms, end_ms) = (window_us.0 / 1000, window_us.1.div_ceil(1000));
        // Asked in an order that has nothing to do with the one they were written in.
        for at in (1..spans.len()).rev() {
            spans.swap(at, random.below(at as u64 + 1) as usize);
        }
        // The load's last traces end a little after its window.
        Ok(Self { spans, end_ms: end_ms + 60_000, lookback_ms: end_ms - begin_ms + 120_000 })
    }

    /// Milliseconds of each query for a trace by its id, sorted.
    pub(crate) fn traces_by_id(&self, server: &str) -> anyhow::Result<Vec<f64>> {
        let of_span = |span: &SampleSpan| format!("{server}/api/v2/trace/{}", span.trace_id);
        self.ask(of_span, |span, body| body.contains(&span.trace_id))
    }

    /// Milliseconds of each search, sorted.
    pub(crate) fn searches(&self, server: &str) -> anyhow::Result<Vec<f64>> {
        let mut random = Random(2);
        let mut tags = self.spans.iter().map(|span| {
            let at = random.below(span.tags.len().max(1) as u64) as usize;
            span.tags.iter().nth(at).map(|(key, value)| format!("{key}={value}")).unwrap_or_default()
        });
        let of_span = |span: &SampleSpan| {
            let (service, tag) =
                (encoded(&span.local_endpoint.service_name), encoded(&tags.next().unwrap_or_default()));
            let (end_ms, lookback_ms, min_us) = (self.end_ms, self.lookback_ms, (span.duration / 2).max(1));
            format!(
                "{server}/api/v2/traces?serviceName={service}&annotationQuery={tag}&minDuration={min_us}&endTs={end_ms}\
                 &lookback={lookback_ms}&limit={SEARCH_LIMIT}"
            )
        };
        self.ask(of_span, |_, body| body.len() > "[]".len())
    }

    /// Asks a URL for every sampled span, one after the other, and holds each answer to `is_answer`.
    fn ask(
        &self,
        mut url: impl FnMut(&SampleSpan) -> String,
        is_answer: impl Fn(&SampleSpan, &str) -> bool,
    ) -> anyhow::Result<Vec<f64>> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut took_ms = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let url = url(span);
            let started = Instant::now();
            let mut answer = agent.get(&url).call()?;
            let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
            took_ms.push(started.elapsed().as_secs_f64() * 1e3);
            ensure!(answer.status() == 200, "{url}: {} {body}", answer.status());
            ensure!(is_answer(span, &body), "{url}: what was sent is not found");
        }
        took_ms.sort_by(f64::total_cmp);
        Ok(took_ms)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
