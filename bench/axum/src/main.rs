//! `make bench-axum`: what the server layer costs an axum handler. Without a layer, with one that does nothing, with ours and
//! nothing recorded, with ours and everything recorded and sent: requests per second of the server's processor time, the
//! median of several rounds in turn.

mod empty;
mod load;
mod serve;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use clap::{Parser, ValueEnum};

#[derive(Parser)]
#[command(about = "Measures an axum handler with and without the server layer")]
struct Arguments {
    /// Requests of one round of one case
    #[arg(long, default_value_t = 100_000)]
    requests: u32,
    /// Rounds; the cases take turns
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Where the figures go, a line a case
    #[arg(long, default_value = "bench/out/axum.jsonl")]
    out: PathBuf,
    /// Be the server of a case, with its spans to this address
    #[arg(long, hide = true, requires = "sink")]
    serve: Option<Case>,
    #[arg(long, hide = true)]
    sink: Option<String>,
}

/// What is around the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Nothing.
    None,
    /// A layer that does nothing.
    Empty,
    /// The layer; no trace is recorded.
    Unsampled,
    /// The layer; every trace is recorded, encoded as Zipkin's JSON and posted.
    Sampled,
}

impl Case {
    const ALL: [Self; 4] = [Self::None, Self::Empty, Self::Unsampled, Self::Sampled];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "no layer",
            Self::Empty => "a layer that does nothing",
            Self::Unsampled => "layer, 0 % sampled",
            Self::Sampled => "layer, 100 % sampled and sent",
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(case), Some(sink)) = (arguments.serve, &arguments.sink) {
        return serve::run(case, sink);
    }
    let sink = load::Sink::start()?;
    let mut cpu_ns: [Vec<f64>; 4] = Default::default();
    for _ in 0..arguments.rounds {
        for (case, rounds) in Case::ALL.into_iter().zip(&mut cpu_ns) {
            rounds.push(round(case, arguments.requests, &sink)?);
        }
    }
    let mut lines = String::new();
    let base = median(&mut cpu_ns[0].clone());
    for (case, rounds) in Case::ALL.into_iter().zip(&mut cpu_ns) {
        let cpu = median(rounds);
        let per_second = 1e9 / cpu;
        say(&format!(
            "{:32} {per_second:9.0} requests per CPU-second, {:7.0} ns a request, {:+6.0} ns, {:+5.1} %",
            case.name(),
            cpu,
            cpu - base,
            (base / cpu - 1.0) * 100.0
        ));
        let line = serde_json::json!({
            "case": case.name(), "requests_per_cpu_second": per_second.round(), "cpu_ns": cpu.round(),
            "more_ns": (cpu - base).round(), "rounds": rounds.len(), "requests": arguments.requests,
        });
        lines.push_str(&format!("{line}\n"));
    }
    if let Some(folder) = arguments.out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&arguments.out, lines).with_context(|| format!("writing {}", arguments.out.display()))
}

/// Processor time of the server a request, nanoseconds.
fn round(case: Case, requests: u32, sink: &load::Sink) -> anyhow::Result<f64> {
    let server = Server::start(case, sink.address())?;
    // Its caches, its allocator and its threads are warm before it counts.
    load::run(&server.address, requests / 10)?;
    let before = load::cpu_ns(&server.address)?;
    load::run(&server.address, requests)?;
    let after = load::cpu_ns(&server.address)?;
    Ok((after - before) as f64 / f64::from(requests))
}

/// This program as the server of a case. Dropping it ends it.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(case: Case, sink: &str) -> anyhow::Result<Self> {
        let case = case.to_possible_value().context("a case without a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", case.get_name(), "--sink", sink])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut server = Self { child, address: String::new() };
        BufReader::new(output).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        anyhow::ensure!(!server.address.is_empty(), "the server did not start");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "what the program is for")]
fn say(line: &str) {
    println!("{line}");
    // Piped, it would come at the end only.
    std::io::stdout().flush().ok();
}
