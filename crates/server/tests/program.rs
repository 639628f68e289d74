//! The program itself: it says where it listens, stops on a signal, refuses what it cannot do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use tracewell_server::ListenerName;

fn tracewell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewell"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Flags by which only Zipkin's listener runs.
fn listen_only_zipkin(port: &str) -> Vec<String> {
    let listen = |name: ListenerName| if name == ListenerName::Zipkin { port } else { "off" };
    ListenerName::ALL.iter().map(|&name| format!("--{}={}", name.flag(), listen(name))).collect()
}

/// Starts a server; answers it with its address, taken from its log.
fn serve(directory: &std::path::Path) -> (Child, String) {
    let mut command = tracewell();
    command.arg("serve").args(listen_only_zipkin("0")).args(["--log-format", "json", "--data-dir"]).arg(directory);
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let told = lines.find(|line| line["message"] == "listening").expect("the server says that it listens");
    assert_eq!(told["listener"], "zipkin");
    // Read on, so that the server never waits for its log to be read.
    std::thread::spawn(move || lines.count());
    (child, told["address"].as_str().unwrap().to_owned())
}

#[test]
fn a_signal_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, address) = serve(directory.path());
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, address) = serve(directory.path());
    // A request whose body never ends would be waited for.
    let mut sender = std::net::TcpStream::connect(&address).unwrap();
    sender
        .write_all(b"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        .unwrap();
    // Once it says "continue" it is waiting for the body.
    sender.read_exact(&mut [0; 1]).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    while std::net::TcpStream::connect(&address).is_ok() {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn all_ports_are_told_and_can_be_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = tracewell();
    command.args(["serve", "--log-format", "json", "--data-dir"]).arg(directory.path());
    command.args(ListenerName::ALL.map(|name| format!("--{}=0", name.flag())));
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let told = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let mut told = told.filter(|line| line["message"] == "listening");
    for name in ListenerName::ALL {
        let line = told.next().unwrap();
        assert_eq!(line["listener"], name.flag());
        let address = line["address"].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(told.count(), 0);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_port_in_use_is_told_by_its_flag() {
    let directory = tempfile::tempdir().unwrap();
    for name in ListenerName::ALL {
        let taken_tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = if name.is_udp() { taken_udp.local_addr() } else { taken_tcp.local_addr() };
        let port = taken.unwrap().port();
        let mut command = tracewell();
        command.args(listen_only_zipkin("off")).arg(format!("--{}={port}", name.flag()));
        let output = command.arg("--data-dir").arg(directory.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let told = format!("--{}: cannot listen at 127.0.0.1:{port}", name.flag());
        assert!(error.contains(&told) && error.contains(&format!("--{} off", name.flag())), "{error}");
    }
}

#[test]
fn a_wrong_option_is_told_by_the_name_it_was_given_under() {
    let output = tracewell().env("QUERY_PORT", "x").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("QUERY_PORT: \"x\": expected PORT"));
    let output = tracewell().arg("--no-such").output().unwrap();
    assert!(!output.status.success());
    let output = tracewell().args(["options", "--toml"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("# zipkin = \"9411\""));
}

/// Runs `tracewell check`; answers exit code and output.
fn check(directory: &std::path::Path, flags: &[&str]) -> (i32, String) {
    let output = tracewell().args(["check", "--data-dir"]).arg(directory).args(flags).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_finds_damage_and_repairs_it() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("data");
    let (code, text) = check(&folder, &[]);
    assert!(code == 2 && text.contains("is not a directory") && !folder.exists(), "{code} {text}");
    let (mut child, address) = serve(&folder);
    let spans = br#"[{"traceId":"00000000000000aa","id":"00000000000000ab","timestamp":1,"name":"a","localEndpoint":{"serviceName":"s"}}]"#;
    let mut sender = std::net::TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        spans.len()
    );
    for _ in 0..2 {
        sender.write_all(&[head.as_bytes(), spans].concat()).unwrap();
        let mut answer = [0; 12];
        sender.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 202");
        // The rest of its head.
        let mut seen = vec![];
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            sender.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }
    let (code, text) = check(&folder, &["--repair"]);
    assert!(code == 2 && text.contains("in use by another process"), "{code} {text}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let (code, text) = check(&folder, &[]);
    assert!(code == 0 && text.contains("with 2 whole spans") && text.contains("Nothing is damaged"), "{code} {text}");

    let log = std::fs::read_dir(folder.join("log")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&log, &bytes).unwrap();
    let (code, text) = check(&folder, &[]);
    assert!(
        code == 1 && text.contains("log/0000000000000001.log at byte 0") && text.contains("1 batches"),
        "{code} {text}"
    );
    let (code, text) = check(&folder, &["--repair", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let store = &answer["stores"][0];
    assert_eq!((code, &answer["exit_code"], &store["repaired"]), (3, &serde_json::json!(3), &serde_json::json!(true)));
    assert_eq!(
        (&store["lost"]["batches"], &store["damaged"][0]["offset"]),
        (&serde_json::json!(1), &serde_json::json!(0))
    );
    assert!(folder.join("damaged/0000000000000001.log.txt").is_file() && !log.exists());
    let (code, text) = check(&folder, &[]);
    assert!(code == 0 && text.contains("1 segments and 0 log records with 1 whole spans"), "{code} {text}");
    let (mut child, _) = serve(&folder);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}
