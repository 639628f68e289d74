//! What a span costs in a service, in Tracewell and in other libraries: caller, process, allocations.
//!
//! Each case runs in a process of its own, several times, the cases in turn; the median counts. A further process is
//! the sink that everything is sent to.

mod allocations;
mod cases;
mod cpu;
mod load;
mod sink;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::load::Figures;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const USAGE: &str = "tracewell-bench-client [--rounds N] [--traces N] [--only PART_OF_A_CASE] [--out FILE]";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sink"] => sink::run(),
        ["case", case, traces, http, udp] => {
            let place = load::Place { http: http.parse()?, udp: udp.parse()? };
            println!("{}", cases::run(case, traces.parse()?, place)?.to_line());
            Ok(())
        }
        _ => measure(&words),
    }
}

fn measure(words: &[&str]) -> Result<()> {
    let (mut rounds, mut traces, mut only, mut out) = (5_usize, 20_000_usize, "", "bench/out/client.jsonl");
    let (pairs, rest) = words.as_chunks::<2>();
    for pair in pairs {
        match *pair {
            ["--rounds", value] => rounds = value.parse()?,
            ["--traces", value] => traces = value.parse()?,
            ["--only", value] => only = value,
            ["--out", value] => out = value,
            _ => bail!("unknown argument {}; usage: {USAGE}", pair[0]),
        }
    }
    if !rest.is_empty() {
        bail!("usage: {USAGE}");
    }
    let program = std::env::current_exe()?;
    let sink = sink::Sink::start(&program)?;
    let chosen: Vec<&str> = cases::ALL.iter().copied().filter(|case| case.contains(only)).collect();
    let mut figures: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
    for round in 0..rounds {
        for case in &chosen {
            let output = Command::new(&program)
                .args(["case", case, &traces.to_string(), &sink.http.to_string(), &sink.udp.to_string()])
                .output()?;
            if !output.status.success() {
                bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
            }
            let line = String::from_utf8(output.stdout)?;
            figures.entry(case).or_default().push(Figures::from_line(&line).with_context(|| line.clone())?);
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    let mut lines = String::new();
    println!(
        "{:<34} {:>17} {:>17} {:>12} {:>11}",
        "ns and counts a span; (quietest)", "caller", "process", "allocations", "wire bytes"
    );
    for case in &chosen {
        let median = Figures::median(&figures[case]);
        println!(
            "{case:<34} {:>8.1} {:>8} {:>8.1} {:>8} {:>12.3} {:>11.1}",
            median.caller_ns,
            format!("({:.1})", median.caller_quiet_ns),
            median.process_ns,
            format!("({:.1})", median.process_quiet_ns),
            median.allocs_per_span,
            median.bytes_per_span
        );
        let line = serde_json::json!({
            "case": case,
            "caller_ns": tenths(median.caller_ns),
            "caller_quiet_ns": tenths(median.caller_quiet_ns),
            "process_ns": tenths(median.process_ns),
            "process_quiet_ns": tenths(median.process_quiet_ns),
            "allocs_per_span": (median.allocs_per_span * 1000.0).round() / 1000.0,
            "wire_bytes_per_span": tenths(median.bytes_per_span),
        });
        writeln!(lines, "{line}")?;
    }
    if let Some(folder) = std::path::Path::new(out).parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(out, lines).with_context(|| format!("cannot write {out}"))
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
