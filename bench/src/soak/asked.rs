//! Asks while others send: searches of all kinds, and whether batches acknowledged a moment ago are there.

use super::sender::{Sender, Taken};
use crate::random::Random;
use crate::tload::pause;
use anyhow::ensure;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(100);
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// So often it is asked for the same traces, when the server has no time.
const ASKED_MAX: usize = 10;
/// Of a batch the spans of at most so many traces are looked for.
const TRACES: usize = 10;
/// Batches acknowledged between so long ago and so long ago are looked for.
const YOUNG: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(15));
const SEARCHES: [&str; 6] = [
    "traces?serviceName=frontend&limit=20&lookback=900000",
    "traces?serviceName=cart&minDuration=20000&limit=20&lookback=900000",
    "traces?annotationQuery=error&limit=20&lookback=900000",
    "services",
    "spans?serviceName=frontend",
    "dependencies?lookback=60000",
];

/// What was asked.
pub(super) struct Asked {
    agent: ureq::Agent,
    pub(super) took_ms: Vec<f64>,
    /// Searches that took longer than the server lets them, or for which it had no time.
    pub(super) unanswered: usize,
    pub(super) looked_for: usize,
    /// Spans.
    pub(super) missing: usize,
}

impl Asked {
    /// Asks until it is told to stop.
    pub(super) fn ask(server: &str, sender: &Sender<'_>, stop: &AtomicBool) -> anyhow::Result<Self> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut asked = Self { agent, took_ms: vec![], unanswered: 0, looked_for: 0, missing: 0 };
        let mut random = Random(7);
        for round in 0.. {
            if stop.load(SeqCst) {
                break;
            }
            pause(PAUSE);
            let search = SEARCHES[round % SEARCHES.len()];
            let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
            let end = if search.contains("lookback") { format!("&endTs={now_ms}") } else { String::new() };
            let (status, body) = asked.get(&format!("{server}/api/v2/{search}{end}"))?;
            ensure!(matches!(status, 200 | 503), "{search}: {status} {body}");
            asked.unanswered += usize::from(status == 503);
            if let Some(taken) = sender.young(YOUNG.0, YOUNG.1, random.next()) {
                let missing = asked.look_for(server, sender, &taken)?;
                asked.looked_for += 1;
                asked.missing += missing;
            }
        }
        Ok(asked)
    }

    /// How many spans of a batch are not there.
    pub(super) fn look_for(&mut self, server: &str, sender: &Sender<'_>, taken: &Taken) -> anyhow::Result<usize> {
        let mut ids = sender.batches.ids(taken.number);
        let traces: BTreeSet<String> = ids.iter().map(|(trace, _)| trace.clone()).collect();
        let traces: Vec<String> = traces.into_iter().take(TRACES).collect();
        ids.retain(|(trace, _)| traces.contains(trace));
        let mut found = BTreeSet::new();
        // Asked for at least two, because one alone has another URL.
        let url = format!("{server}/api/v2/traceMany?traceIds={},{}", traces.join(","), "f".repeat(32));
        let mut asked = 0;
        let body = loop {
            let (status, body) = self.get(&url)?;
            if status == 200 {
                break body;
            }
            asked += 1;
            self.unanswered += 1;
            ensure!(status == 503 && asked < ASKED_MAX, "{url}: {status} {body}");
        };
        let answer: Vec<Vec<serde_json::Value>> = serde_json::from_str(&body)?;
        let text = |span: &serde_json::Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
        found.extend(answer.iter().flatten().map(|span| (text(span, "traceId"), text(span, "id"))));
        Ok(ids.iter().filter(|id| !found.contains(*id)).count())
    }

    fn get(&mut self, url: &str) -> anyhow::Result<(u16, String)> {
        let started = Instant::now();
        let mut answer = self.agent.get(url).call()?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
        self.took_ms.push(started.elapsed().as_secs_f64() * 1e3);
        Ok((answer.status().as_u16(), body))
    }
}
