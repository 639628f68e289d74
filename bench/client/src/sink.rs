//! Takes what is sent and throws it away, in a process of its own: HTTP/1.1 requests over TCP, and UDP packets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use crate::load::Sent;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A running sink; ends with this.
pub(crate) struct Sink {
    process: Child,
    pub(crate) http: SocketAddr,
    pub(crate) udp: SocketAddr,
}

impl Sink {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let mut process = Command::new(program).arg("sink").stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (http, udp) = line.trim().split_once(' ').context("the sink did not say where it is")?;
        Ok(Self { process, http: http.parse()?, udp: udp.parse()? })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The sink's process.
pub(crate) fn run() -> Result<()> {
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{} {}", http.local_addr()?, udp.local_addr()?);
    thread::spawn(move || {
        let mut packet = vec![0; 1 << 16];
        while udp.recv(&mut packet).is_ok() {}
    });
    for connection in http.incoming() {
        let connection = connection?;
        thread::spawn(move || answer(connection));
    }
    Ok(())
}

fn answer(connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::with_capacity(1 << 18, connection);
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (name, value) = line.trim_end().split_once(':').unwrap_or((line.trim_end(), ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            if name.is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        writer.write_all(ANSWER)?;
    }
}

/// Posts bodies over one connection: the cheapest client there can be, the same for every library that has none of its
/// own here.
pub(crate) struct Post {
    connection: TcpStream,
    head: Vec<u8>,
    sent: Sent,
}

impl Post {
    pub(crate) fn new(to: SocketAddr, sent: Sent) -> Result<Self> {
        let connection = TcpStream::connect(to)?;
        connection.set_nodelay(true)?;
        Ok(Self { connection, head: Vec::new(), sent })
    }

    pub(crate) fn send(&mut self, spans: usize, body: &[u8]) -> Result<()> {
        self.head.clear();
        let length = body.len();
        write!(self.head, "POST /v1/traces HTTP/1.1\r\nhost: sink\r\ncontent-length: {length}\r\n\r\n")?;
        self.connection.write_all(&self.head)?;
        self.connection.write_all(body)?;
        let mut answer = [0; ANSWER.len()];
        self.connection.read_exact(&mut answer)?;
        ensure!(answer == ANSWER, "the sink answered something else");
        self.sent.add(spans, length);
        Ok(())
    }
}
