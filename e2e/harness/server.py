"""The server under test as a process: a name and environment variables in, a running `Server` out, stopped and judged at the end.

The tests know it only from outside: its addresses come from its log, its memory from /proc, its data over HTTP.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from harness.paths import OUTPUT, server_binary

# Generous: these end a hang, they decide nothing.
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 30
ANSWER_SECONDS_MAX = 30

# Handed on to the server; everything else in the developer's environment (QUERY_PORT, TRACEWELL_*, ...) could change its behaviour.
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME", "RUST_BACKTRACE", "LLVM_PROFILE_FILE")

# Off, so that servers can run side by side.
OTHER_LISTENERS = (
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
)


class Answer:
    """An HTTP answer of any status."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


class Server:
    """A server that answers Zipkin's HTTP API at `url`; `pid` is None when somebody else started it."""

    def __init__(self, url: str, pid: int | None = None, is_peer: bool = False, addresses: dict[str, str] | None = None):
        self.url, self.pid, self.is_peer = url.rstrip("/"), pid, is_peer
        self._addresses = addresses or {}

    def address(self, listener: str) -> str:
        """`host:port` of another listener, by the name of its option; the server was started with `every_port`."""
        return self._addresses[listener]

    def listens(self, listener: str) -> bool:
        """Whether this listener runs."""
        return listener in self._addresses

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.url).port

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> Answer:
        request = urllib.request.Request(self.url + path, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, refused.read())

    def get(self, path: str, **query) -> Answer:
        return self.request("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def get_json(self, path: str, **query):
        answer = self.get(path, **query)
        assert answer.status == 200, f"GET {path} {query}: {answer.status} {answer.text[:300]}"
        return answer.json()

    def post_spans(self, spans: list | bytes, **headers) -> Answer:
        body = spans if isinstance(spans, bytes) else json.dumps(spans).encode()
        return self.request("POST", "/api/v2/spans", body, {"Content-Type": "application/json", **headers})

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return self._memory_line("VmRSS")

    def memory_bytes_peak(self) -> int:
        """The most resident memory since the start."""
        return self._memory_line("VmHWM")

    def _memory_line(self, key: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


@contextmanager
def running_server(name: str, data_dir: Path, environment: dict[str, str] | None = None, every_port: bool = False):
    """Starts the binary on free ports with an empty data directory; at the end it must stop on SIGTERM with exit code 0."""
    is_peer = os.environ.get("TRACEWELL_PEER") is not None
    log_path = OUTPUT / "logs" / f"server-{name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    command = [server_binary(), "serve", "--zipkin", "127.0.0.1:0", "--data-dir", data_dir, "--log-format", "json"]
    listen_at = "127.0.0.1:0" if every_port else "off"
    command += [argument for name in OTHER_LISTENERS for argument in (f"--{name}", listen_at)]
    inherited = {key: os.environ[key] for key in ENVIRONMENT_KEPT if key in os.environ}
    process = subprocess.Popen(
        command, env=inherited | (environment or {}), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    log = _Log(process.stderr, log_path)
    try:
        zipkin = log.address_of("zipkin")  # told last
        yield Server(f"http://{zipkin}", process.pid, is_peer, log.addresses())
        assert process.poll() is None, f"the server ended by itself with {process.returncode}: see {log_path}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS_MAX) == 0, f"exit code {process.returncode} after SIGTERM: see {log_path}"
    finally:
        end_process(process)
        log.join()


def end_process(process: subprocess.Popen) -> None:
    """Sees to it that the process is gone, gently if it can be."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Log:
    """Copies the server's log into a file and remembers the addresses it tells there."""

    def __init__(self, stream, path: Path):
        self._stream, self._path = stream, path
        self._addresses: dict[str, str] = {}
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def address_of(self, listener: str) -> str:
        with self._changed:
            told = self._changed.wait_for(lambda: listener in self._addresses or self._ended, START_SECONDS_MAX)
            assert told and listener in self._addresses, (
                f"the server told no address of its listener '{listener}': {self._path.read_text()[-2000:]}"
            )
            return self._addresses[listener]

    def addresses(self) -> dict[str, str]:
        with self._changed:
            return dict(self._addresses)

    def join(self) -> None:
        self._thread.join(STOP_SECONDS_MAX)

    def _copy(self) -> None:
        with self._stream, self._path.open("wb") as file:
            for line in self._stream:
                file.write(line)
                file.flush()
                fields = _fields(line)
                if fields.get("message") == "listening":
                    with self._changed:
                        self._addresses[fields["listener"]] = fields["address"]
                        self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _fields(line: bytes) -> dict:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def eventually(what: str, read, seconds_max: float = 20):
    """What `read` gives once it is neither None nor false; used where a library sends in the background."""
    end = time.monotonic() + seconds_max
    while True:
        found = read()
        if found:
            return found
        assert time.monotonic() < end, f"never seen: {what}"
        time.sleep(0.05)
