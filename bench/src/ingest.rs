//! What taking the load costs in each protocol: a server over an empty directory for each.

use crate::figures::{Figures, say};
use crate::protocol::{Protocol, Transport};
use crate::tload::{self, pause};
use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tracewell_e2e::ServerProcess;

/// Packets are taken when for so long no more spans have come.
const PACKETS_QUIET: Duration = Duration::from_millis(500);

/// Sends the load to a new server and adds the figures.
pub(crate) fn measure(
    protocol: Protocol,
    binary: &Path,
    file: &Path,
    connections: usize,
    folder: &Path,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder)?;
    let listener = format!("--{}", protocol.listener());
    let server = ServerProcess::start(binary, &folder.join("data"), &[&listener, "127.0.0.1:0"])?;
    let address = server.address_of(protocol.listener()).context("the listener is off")?.to_owned();
    let idle = server.figures()?;
    let is_udp = matches!(protocol.transport(), Transport::Udp);
    let connections = if is_udp { 1 } else { connections };
    let sent = tload::send_as(protocol, file, connections, &address)?;
    let taken = if is_udp { wait_for_packets(&server)? } else { spans_written(&server)? };
    let loaded = server.figures()?;
    let (status, ended) = server.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    say(&format!("{}: {sent}; {taken} of {} spans taken", protocol.listener(), sent.spans));
    ensure!(is_udp || taken == sent.spans as u64, "{taken} of {} spans were taken", sent.spans);
    ensure!(taken > 0, "no span was taken");
    let per_million = |cpu_s: f64| (cpu_s - idle.cpu_s) / taken as f64 * 1e6;
    let [until_last, until_sealed] = protocol.figures();
    figures.add(until_last, per_million(loaded.cpu_s), "s per 1 M spans");
    figures.add(until_sealed, per_million(ended.cpu_s), "s per 1 M spans");
    Ok(())
}

fn wait_for_packets(server: &ServerProcess) -> anyhow::Result<u64> {
    let mut before = spans_written(server)?;
    loop {
        pause(PACKETS_QUIET);
        let now = spans_written(server)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

fn spans_written(server: &ServerProcess) -> anyhow::Result<u64> {
    let text = ureq::get(server.url("/prometheus")).call()?.body_mut().read_to_string()?;
    let value = text.lines().find_map(|line| line.strip_prefix("tracewell_store_spans_written_total "));
    Ok(value.context("no such metric")?.parse::<f64>()? as u64)
}
