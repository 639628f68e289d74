//! `tracewell demo`: a shop of five services that do not exist sends the traffic they would, as Zipkin v2 JSON over HTTP, so
//! that a newcomer has something to look at. In goes an address, out come spans at a steady rate, and before them some history.

mod random;
mod sender;
mod shop;

use crate::clock;
use crate::options::Value;
use anyhow::Context;
use random::Random;
use sender::Sender;
use shop::Shop;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// The history is spread over at most this many traces, however long it is.
const HISTORY_TRACES_MAX: u64 = 2000;
/// Traces of the history that are sent together.
const HISTORY_TRACES_AT_ONCE: u64 = 20;

/// What the demo can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// The server to send to
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9411")]
    pub target: String,
    /// How many requests a second the shop answers; each is a trace
    #[arg(long, value_name = "NUMBER", default_value_t = 2.0, value_parser = parse_rate)]
    pub traces_per_second: f64,
    /// Stop after this many traces, the history not counted
    #[arg(long, value_name = "NUMBER")]
    pub traces: Option<u64>,
    /// Stop after this time
    #[arg(long, value_parser = Duration::parse)]
    pub duration: Option<Duration>,
    /// First send what would have happened in this time
    #[arg(long, default_value = "1h", value_parser = Duration::parse)]
    pub history: Duration,
    /// Makes the same traces again; they differ from run to run when it is not said
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Sends until it has sent what was asked for, or is interrupted.
pub async fn run(options: DemoOptions) -> anyhow::Result<()> {
    let seed = options.seed.unwrap_or_else(now_us);
    let mut demo =
        Demo { shop: Shop::new(Random::new(seed)), sender: Sender::new(&options.target)?, traces: 0, spans: 0 };
    say(&format!("A shop of five services sends to {} (seed {seed}).", options.target));
    tokio::select! {
        ended = demo.send(&options) => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
    }
    say(&format!("Sent {} spans of {} traces.", demo.spans, demo.traces));
    Ok(())
}

struct Demo {
    shop: Shop,
    sender: Sender,
    traces: u64,
    spans: u64,
}

impl Demo {
    async fn send(&mut self, options: &DemoOptions) -> anyhow::Result<()> {
        self.sender.wait_until_there().await?;
        self.send_history(options).await?;
        let page = format!("{}/zipkin/", options.target.trim_end_matches('/'));
        say(&format!("Open {page} to see it. Ctrl-C stops."));
        self.send_live(options).await
    }

    async fn send_history(&mut self, options: &DemoOptions) -> anyhow::Result<()> {
        let wanted = (options.history.as_secs_f64() * options.traces_per_second) as u64;
        let count = wanted.min(HISTORY_TRACES_MAX);
        let (end_us, length_us) = (now_us(), options.history.as_micros() as u64);
        for from in (0..count).step_by(HISTORY_TRACES_AT_ONCE as usize) {
            let some = from..count.min(from + HISTORY_TRACES_AT_ONCE);
            let ends = some.map(|n| end_us - length_us + (n as f64 / count as f64 * length_us as f64) as u64);
            self.send_traces(ends).await?;
        }
        if count > 0 {
            let minutes = options.history.as_secs() / 60;
            say(&format!("Sent {} spans of {count} traces of the last {minutes} minutes.", self.spans));
        }
        Ok(())
    }

    async fn send_live(&mut self, options: &DemoOptions) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut live: u64 = 0;
        loop {
            let due = started + Duration::from_secs_f64(live as f64 / options.traces_per_second);
            if options.traces.is_some_and(|traces| live >= traces)
                || options.duration.is_some_and(|duration| due - started >= duration)
            {
                return Ok(());
            }
            tokio::time::sleep_until(due).await;
            self.send_traces(std::iter::once(now_us())).await?;
            live += 1;
        }
    }

    /// Makes traces that end at these times and sends them, each service its own spans.
    async fn send_traces(&mut self, ends_us: impl Iterator<Item = u64>) -> anyhow::Result<()> {
        let mut spans = Vec::new();
        for end_us in ends_us {
            spans.extend(self.shop.trace_ending_at(end_us));
            self.traces += 1;
        }
        self.spans += spans.len() as u64;
        self.sender.send(spans).await
    }
}

fn now_us() -> u64 {
    clock::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

#[expect(clippy::print_stdout, reason = "what a command has to say to who called it")]
fn say(text: &str) {
    println!("{text}");
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.001..=1000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.001 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_or_refused() {
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert!(parse_rate("0").is_err() && parse_rate("NaN").is_err() && parse_rate("1e9").is_err());
    }
}
