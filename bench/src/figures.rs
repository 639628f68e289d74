//! Figures: collected with what is needed to repeat them, printed as a table, kept as lines of JSON.

use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// Everything that was measured, and under which circumstances.
pub(crate) struct Figures {
    spans: usize,
    profile: &'static str,
    commit: String,
    machine: String,
    command: String,
    rows: Vec<(&'static str, f64, &'static str)>,
}

#[derive(Serialize)]
struct Line<'a> {
    figure: &'a str,
    value: f64,
    unit: &'a str,
    spans: usize,
    profile: &'a str,
    commit: &'a str,
    machine: &'a str,
    command: &'a str,
}

impl Figures {
    pub(crate) fn new(spans: usize, profile: &'static str) -> Self {
        let command = env::args().skip(1).fold("tracewell-bench".to_owned(), |line, argument| line + " " + &argument);
        Self { spans, profile, commit: commit(), machine: machine(), command, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, figure: &'static str, value: f64, unit: &'static str) {
        self.rows.push((figure, value, unit));
    }

    pub(crate) fn print(&self) {
        say(&format!("\n{} spans ({}), commit {}, {}\n", self.spans, self.profile, self.commit, self.machine));
        let width = self.rows.iter().map(|(figure, ..)| figure.len()).max().unwrap_or(0);
        for (figure, value, unit) in &self.rows {
            say(&format!("{figure:width$}  {:>10}  {unit}", short(*value)));
        }
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        for &(figure, value, unit) in &self.rows {
            let Self { spans, profile, ref commit, ref machine, ref command, .. } = *self;
            let line = Line { figure, value, unit, spans, profile, commit, machine, command };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new(".")))?;
        fs::File::create(path)?.write_all(&text)
    }
}

/// The value at this share of the sorted ones.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { commit + " with changes" } else { commit }
}

pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value =
        |key: &str| cpus.lines().find(|line| line.starts_with(key))?.split_once(": ").map(|(_, value)| value.trim());
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kb = memory.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0);
    let model = value("model name").unwrap_or("unknown processor");
    format!("{count} x {model}, {:.0} GB", memory_kb / 1e6)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
