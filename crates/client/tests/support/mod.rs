//! A server over HTTP that does what a test wants, also what no server should: plain sockets, a thread a connection.

#![allow(dead_code, reason = "each file of tests uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    Answer(u16),
    /// With a header.
    AnswerWith(u16, &'static str),
    /// With a body.
    Say(u16, &'static [u8]),
    /// And the connection is closed without a word.
    AnswerAndHangUp(u16),
    /// Until the server stops.
    Never,
    /// After half of the body the connection is gone.
    CutBody,
    /// After a part of the answer the connection is gone.
    CutAnswer,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
    /// Which connection it came over.
    pub(crate) connection: usize,
    pub(crate) reaction: Reaction,
}

type React = dyn FnMut(usize, &[u8]) -> Reaction + Send;

struct Shared {
    requests: Mutex<Vec<Request>>,
    react: Mutex<Box<React>>,
    stopped: AtomicBool,
    changed: Condvar,
}

pub(crate) struct Server {
    shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// `react` is given the number of the request and its body.
    pub(crate) fn start(react: impl FnMut(usize, &[u8]) -> Reaction + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), react)
    }

    pub(crate) fn start_at(address: SocketAddr, react: impl FnMut(usize, &[u8]) -> Reaction + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            react: Mutex::new(Box::new(react)),
            stopped: AtomicBool::new(false),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.serve(connection, &stream.unwrap()));
            }
        });
        Self { shared, address, acceptor: Some(acceptor) }
    }

    /// An address where nobody listens.
    pub(crate) fn nowhere() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().clone()
    }

    /// Waits for so many.
    pub(crate) fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        let requests = self.shared.lock();
        let wait = self.shared.changed.wait_timeout_while(requests, PATIENCE, |requests| requests.len() < count);
        let (requests, timeout) = wait.unwrap();
        assert!(!timeout.timed_out(), "{} requests of {count}", requests.len());
        requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        // Has it accept once more, to see that it is to stop.
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap()
    }

    fn serve(&self, connection: usize, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(head) = read_head(&mut reader) {
            let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            let number = self.lock().len();
            // Cutting is decided before the body is there.
            let reaction = (self.react.lock().unwrap())(number, &body);
            if matches!(reaction, Reaction::CutBody) {
                body.truncate(length / 2);
            }
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let reaction = match reaction {
                Reaction::CutBody => Reaction::CutBody,
                // Now with the body; the first answer was a question.
                Reaction::Answer(0) => (self.react.lock().unwrap())(number, &body),
                other => other,
            };
            let request = Request { head, body, at: Instant::now(), connection, reaction: reaction.clone() };
            self.lock().push(request);
            self.changed.notify_all();
            if !self.answer(stream, &reaction) {
                return;
            }
        }
    }

    /// Whether the connection stays.
    fn answer(&self, mut stream: &TcpStream, reaction: &Reaction) -> bool {
        let mut write = |status: &u16, header: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status} Words\r\n{header}content-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).is_ok()
        };
        match reaction {
            Reaction::Answer(status) => write(status, "", b""),
            Reaction::AnswerWith(status, header) => write(status, &format!("{header}\r\n"), b""),
            Reaction::Say(status, body) => write(status, "", body),
            Reaction::AnswerAndHangUp(status) => {
                write(status, "", b"");
                false
            }
            Reaction::Never => {
                let requests = self.lock();
                let stopped = |_: &mut Vec<Request>| !self.stopped.load(Ordering::SeqCst);
                drop(self.changed.wait_timeout_while(requests, PATIENCE, stopped).unwrap());
                false
            }
            Reaction::CutBody => false,
            Reaction::CutAnswer => {
                stream.write_all(b"HTTP/1.1 202 Acc").ok();
                false
            }
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if &head[before..] == "\r\n" {
            return Some(head);
        }
    }
}

pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}
