//! The server's binary as a process: started on a free port, watched, killed. In goes a data directory, out come its address,
//! its figures from `/proc` and its log, which is kept beside the data.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{env, fs, io};

/// How long the server may take to recover its data and listen.
const START_MAX: Duration = Duration::from_secs(60);

/// The listeners besides Zipkin's: off, but for those that a caller's arguments turn on, so that servers can run side by side.
const OTHER_LISTENERS: [&str; 11] = [
    "jaeger-query",
    "jaeger-query-grpc",
    "otlp-grpc",
    "otlp-http",
    "jaeger-grpc",
    "jaeger-http",
    "jaeger-udp-compact",
    "jaeger-udp-binary",
    "zipkin-udp",
    "sampling",
    "admin",
];

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// By the listeners' names.
    addresses: HashMap<String, String>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No binary to run.
    #[error("no server to run at {0}: 'cargo build -p tracewell-server', or name one in TRACEWELL_BIN")]
    NoBinary(PathBuf),
    /// The system would not start it, or its log cannot be written.
    #[error("starting {0}: {1}")]
    Io(PathBuf, io::Error),
    /// It ended, or said nothing, before it listened. The log tells why.
    #[error("the server did not say that it listens; its log is {0}")]
    NotListening(PathBuf),
}

/// What the system counted for a process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessFigures {
    /// Processor time of all its threads, user and system, seconds.
    pub cpu_s: f64,
    /// Resident memory now, bytes; none once the process has ended.
    pub resident_bytes: u64,
    /// The most resident memory so far, bytes.
    pub resident_peak_bytes: u64,
}

/// The binary under test: `TRACEWELL_BIN`, else the one cargo built beside the running test or benchmark.
pub fn server_binary() -> Result<PathBuf, StartError> {
    let path = match env::var_os("TRACEWELL_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = env::current_exe().map_err(|error| StartError::Io(PathBuf::from("this program"), error))?;
            let folder = own.parent().unwrap_or_else(|| Path::new("."));
            let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
            folder.join("tracewell")
        }
    };
    if path.is_file() { Ok(path) } else { Err(StartError::NoBinary(path)) }
}

impl ServerProcess {
    /// Starts `binary` over a data directory and waits until its Zipkin port listens. Its log is appended to `server.log`
    /// beside the directory. Variables of the caller's environment that could change its behaviour are not handed on.
    pub fn start(binary: &Path, data_dir: &Path, arguments: &[&str]) -> Result<Self, StartError> {
        let (child, lines) = Self::spawn(binary, data_dir, arguments)?;
        let mut server = Self { child, addresses: HashMap::new() };
        // Zipkin's is the last that is told of.
        while !server.addresses.contains_key("zipkin") {
            match lines.recv_timeout(START_MAX) {
                Ok((name, address)) => server.addresses.insert(name, address),
                Err(_) => return Err(StartError::NotListening(log_path(data_dir))),
            };
        }
        Ok(server)
    }

    /// Starts `binary` and kills it after `patience`, or as soon as it listens: often while it recovers.
    pub fn start_and_kill(binary: &Path, data_dir: &Path, patience: Duration) -> Result<(), StartError> {
        let (mut child, addresses) = Self::spawn(binary, data_dir, &[])?;
        addresses.recv_timeout(patience).ok();
        child.kill().and_then(|()| child.wait()).map_err(|error| StartError::Io(binary.to_owned(), error))?;
        Ok(())
    }

    fn spawn(
        binary: &Path,
        data_dir: &Path,
        arguments: &[&str],
    ) -> Result<(Child, Receiver<(String, String)>), StartError> {
        let failed = |error| StartError::Io(binary.to_owned(), error);
        let log = fs::OpenOptions::new().create(true).append(true).open(log_path(data_dir)).map_err(failed)?;
        let mut command = Command::new(binary);
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(["serve", "--zipkin", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(data_dir);
        command.args(OTHER_LISTENERS.iter().flat_map(|name| [format!("--{name}"), "off".to_owned()]));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (listening, addresses) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || copy_log(stderr, log, &listening));
        }
        Ok((child, addresses))
    }

    /// Where Zipkin's listener is, `host:port`.
    pub fn address(&self) -> &str {
        self.address_of("zipkin").unwrap_or_default()
    }

    /// Where a listener is, `host:port`, by the name of its option; `None` when it is off.
    pub fn address_of(&self, name: &str) -> Option<&str> {
        self.addresses.get(name).map(String::as_str)
    }

    /// A URL of the server; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// What the system counted for it.
    pub fn figures(&self) -> io::Result<ProcessFigures> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = fs::read_to_string(process.join("stat"))?;
        let status = fs::read_to_string(process.join("status"))?;
        read_figures(&stat, &status).ok_or_else(|| io::Error::other("/proc reads otherwise than expected"))
    }

    /// `kill -9`: nothing of the process runs any more when this returns.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Asks it to stop (SIGTERM), waits until it has, and answers what the system counted for it to the end.
    pub fn stop(mut self) -> io::Result<(ExitStatus, ProcessFigures)> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        // Ended but not yet waited for, it still stands in /proc with its processor time; its memory is gone.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let figures = self.figures()?;
        Ok((self.child.wait()?, figures))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.with_file_name("server.log")
}

/// Copies the log and hands over name and address of each listener that the server says it has.
fn copy_log(stderr: ChildStderr, mut log: fs::File, listening: &Sender<(String, String)>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(address) = listening_address(&line) {
            listening.send(address).ok();
        }
        // A log that cannot be written must not stop the server at a full pipe.
        writeln!(log, "{line}").ok();
    }
}

fn listening_address(line: &str) -> Option<(String, String)> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields").unwrap_or(&event);
    let text = |key: &str| fields.get(key)?.as_str();
    (text("message")? == "listening").then_some(())?;
    Some((text("listener")?.to_owned(), text("address")?.to_owned()))
}

/// From `/proc/PID/stat` and `/proc/PID/status`; see proc_pid_stat(5).
fn read_figures(stat: &str, status: &str) -> Option<ProcessFigures> {
    // The second field is the program's name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let kilobytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(ProcessFigures {
        cpu_s: ticks / rustix::param::clock_ticks_per_second() as f64,
        resident_bytes: kilobytes("VmRSS:").unwrap_or(0) * 1024,
        resident_peak_bytes: kilobytes("VmHWM:").unwrap_or(0) * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_log_whatever_its_shape() {
        let nested =
            r#"{"level":"INFO","fields":{"message":"listening","listener":"zipkin","address":"127.0.0.1:4711"}}"#;
        let flat = r#"{"message":"listening","listener":"zipkin","address":"127.0.0.1:4711"}"#;
        let told = Some(("zipkin".to_owned(), "127.0.0.1:4711".to_owned()));
        assert_eq!(listening_address(nested), told);
        assert_eq!(listening_address(flat), told);
        assert_eq!(listening_address(&flat.replace("listening", "stopped")), None);
        assert_eq!(listening_address("thread 'main' panicked"), None);
    }

    #[test]
    fn figures_are_read_whatever_the_program_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 200";
        let status = "Name:\ta\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        let figures = read_figures(stat, status).unwrap();
        assert_eq!(figures.cpu_s * rustix::param::clock_ticks_per_second() as f64, 300.0);
        assert_eq!((figures.resident_bytes, figures.resident_peak_bytes), (1024 * 1024, 2048 * 1024));
        assert_eq!(read_figures("", ""), None);
    }
}
