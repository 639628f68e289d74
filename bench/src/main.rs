//! `make bench`: the server, started over an empty directory, takes a reproducible load over HTTP and answers queries,
//! then the same load in every other protocol. Out come a table and `bench/out/server.jsonl`, a line a figure. `tgen`
//! and `tload` are the two halves of the load, to be used alone.

mod decode;
mod figures;
mod ingest;
mod protocol;
mod queries;
mod random;
mod run;
mod soak;
mod target;
mod tgen;
mod tload;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures the server over HTTP; without a command: everything")]
struct Arguments {
    #[command(flatten)]
    run: run::RunOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Write a reproducible set of realistic traces, batched as the reporters of each service instance would send them
    Tgen(tgen::TgenOptions),
    /// Measure the decoders alone
    Decode(decode::DecodeOptions),
    /// Post the batches of a tgen file to a server
    Tload(tload::TloadOptions),
    /// Put a server under load for a long time and hold it to what it promises
    Soak(soak::SoakOptions),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => run::run(&arguments.run),
        Some(Command::Tgen(options)) => {
            let made = tgen::write(&options)?;
            figures::say(&format!("{} spans, {} traces, {} batches", made.spans, made.traces, made.batches));
            Ok(())
        }
        Some(Command::Decode(options)) => decode::measure(&options),
        Some(Command::Soak(options)) => soak::run(&options),
        Some(Command::Tload(options)) => {
            figures::say(&tload::post(&options)?.to_string());
            Ok(())
        }
    }
}
