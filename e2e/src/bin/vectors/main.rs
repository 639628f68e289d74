//! Holds recorded vectors against Tracewell's libraries: `vectors KIND FILE`, or `DIR` for kinds that are folders. `DIR` may
//! also be the folder in which the one of that kind lies.
//!
//! Prints each case that fails and closes with `N passed, M failed`; exit code 1 where one failed, 2 where the
//! file can't be used.

mod clients;
mod compare;
mod cut;
mod jaeger;
mod jaeger_json;
mod otlp;
mod propagation;
mod sampler;
mod shown;
mod tally;
mod zipkin;
mod zipkin_words;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;
use tally::Tally;

/// One kind of vectors: the word on the command line, what its argument is, and what checks it.
struct Kind {
    name: &'static str,
    argument: &'static str,
    check: fn(&str) -> anyhow::Result<Tally>,
}

const KINDS: &[Kind] = &[
    Kind { name: "clients", argument: "DIR", check: clients::check },
    Kind { name: "jaeger", argument: "DIR", check: jaeger::check },
    Kind { name: "otlp", argument: "DIR", check: otlp::check },
    Kind { name: "propagation", argument: "FILE", check: |path| propagation::check(&read_json(path)?) },
    Kind { name: "sampler", argument: "FILE", check: |path| sampler::check(&read_json(path)?) },
    Kind { name: "zipkin", argument: "DIR", check: zipkin::check },
];

impl Kind {
    fn checked(&self, path: &str) -> anyhow::Result<Tally> {
        let inner = Path::new(path).join(self.name);
        let path = inner.to_str().filter(|_| self.argument == "DIR" && inner.is_dir()).unwrap_or(path);
        let tally = (self.check)(path)?;
        anyhow::ensure!(tally.passed() + tally.failures().len() > 0, "{path} has no vectors of the kind {}", self.name);
        Ok(tally)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let found = match &arguments[..] {
        [name, path] => KINDS.iter().find(|kind| kind.name == name).map(|kind| (kind, path)),
        _ => None,
    };
    let outcome = match found {
        Some((kind, path)) => kind.checked(path).and_then(|tally| report(&tally)),
        None => {
            let usage = KINDS.iter().map(|kind| format!("  vectors {} {}", kind.name, kind.argument));
            Err(anyhow::anyhow!("usage:\n{}", usage.collect::<Vec<_>>().join("\n")))
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do where standard error is closed.
            writeln!(io::stderr(), "{error:#}").ok();
            ExitCode::from(2)
        }
    }
}

fn report(tally: &Tally) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for line in tally.failures() {
        writeln!(out, "FAIL {line}")?;
    }
    for line in tally.left_out() {
        writeln!(out, "left out: {line}")?;
    }
    writeln!(out, "{} passed, {} failed", tally.passed(), tally.failures().len())?;
    Ok(if tally.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read_json(path: &str) -> anyhow::Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{path} is not JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str) -> Tally {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        let file = if kind.argument == "DIR" { name.to_owned() } else { format!("{name}.json") };
        kind.checked(&format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn a_folder_of_all_kinds_will_do() {
        let kind = KINDS.iter().find(|kind| kind.name == "otlp").unwrap();
        let folder = format!("{}/vectors", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(kind.checked(&folder).unwrap().passed(), recorded("otlp").passed());
        assert!(kind.checked(&format!("{folder}/zipkin")).is_err(), "there are none");
    }

    #[test]
    fn recorded_jaeger_batches_hold() {
        let tally = recorded("jaeger");
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 300, "{}", tally.passed());
    }

    #[test]
    fn what_recorded_clients_send_holds() {
        let tally = recorded("clients");
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 20, "{}", tally.passed());
    }

    #[test]
    fn recorded_propagation_holds() {
        let tally = recorded("propagation");
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 200, "{}", tally.passed());
    }

    #[test]
    fn recorded_sampling_holds() {
        let tally = recorded("sampler");
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 200, "{}", tally.passed());
    }

    #[test]
    fn recorded_otlp_holds() {
        let tally = recorded("otlp");
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 120, "{}", tally.passed());
    }

    #[test]
    fn a_wrong_expectation_fails() {
        let mut vectors = read_json(&format!("{}/vectors/propagation.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        vectors["extract"][0]["expected"]["sampled"] = Value::Bool(false);
        assert_eq!(propagation::check(&vectors).unwrap().failures().len(), 1);
        let mut vectors = read_json(&format!("{}/vectors/sampler.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        vectors["probabilistic"][1]["cases"][0]["sampled"] = Value::Bool(false);
        assert_eq!(sampler::check(&vectors).unwrap().failures().len(), 1);
    }

    #[test]
    fn recorded_zipkin_spans_hold() {
        let tally = zipkin::check(&format!("{}/vectors/zipkin", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(tally.failures(), [""; 0]);
        assert!(tally.passed() > 300, "{}", tally.passed());
    }
}
