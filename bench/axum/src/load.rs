//! The other side: connections that each have one request under way, and a sink that takes what is posted and counts nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Context;

/// Connections, all written to and then all read from, by one thread.
const CONNECTIONS: usize = 16;

/// Sends so many requests.
pub(crate) fn run(address: &str, requests: u32) -> anyhow::Result<()> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    let request = request("/cart/7", address);
    let first = connections.first_mut().context("no connection")?;
    first.write_all(&request)?;
    let (length, body) = read_response(first)?;
    anyhow::ensure!(body == b"cart 00007: 3 apples", "not what was asked for: {}", String::from_utf8_lossy(&body));
    // All answers have the same length, so none needs to be parsed.
    let mut answer = vec![0; length];
    for _ in 0..requests.div_ceil(CONNECTIONS as u32) {
        for connection in &mut connections {
            connection.write_all(&request)?;
        }
        for connection in &mut connections {
            connection.read_exact(&mut answer)?;
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(())
}

/// The server's processor time so far.
pub(crate) fn cpu_ns(address: &str) -> anyhow::Result<i64> {
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(&request("/cpu", address))?;
    let (_, body) = read_response(&mut connection)?;
    Ok(String::from_utf8(body)?.parse()?)
}

fn request(path: &str, address: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n").into_bytes()
}

/// The length of the whole response, and its body.
fn read_response(connection: &mut TcpStream) -> anyhow::Result<(usize, Vec<u8>)> {
    let mut reader = BufReader::new(connection);
    let (mut head, body) = read_head(&mut reader)?;
    let mut bytes = vec![0; body];
    reader.read_exact(&mut bytes)?;
    head += body;
    Ok((head, bytes))
}

/// The lengths of a head and of the body behind it.
fn read_head(reader: &mut impl BufRead) -> anyhow::Result<(usize, usize)> {
    let (mut head, mut body) = (0, 0);
    loop {
        let mut line = String::new();
        anyhow::ensure!(reader.read_line(&mut line)? > 0, "the connection was closed");
        head += line.len();
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body = length.trim().parse()?;
        }
        if line == "\r\n" {
            return Ok((head, body));
        }
    }
}

/// Takes posts, says 202.
pub(crate) struct Sink {
    address: String,
}

impl Sink {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                // It ends when its client does.
                std::thread::spawn(move || take_posts(connection).ok());
            }
        });
        Ok(Self { address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

fn take_posts(mut connection: TcpStream) -> anyhow::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut body = Vec::new();
    loop {
        let (_, length) = read_head(&mut reader)?;
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
    }
}
