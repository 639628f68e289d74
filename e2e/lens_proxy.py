"""Zipkin's own page in front of any server: its assets and a server's address in, one HTTP origin that serves both out.

Zipkin's server serves its page and its API at one address, and the page relies on it. Here the assets come unchanged from the published
jar, and `/zipkin/config.json`, `/zipkin/api/` and everything outside `/zipkin/` are handed on to the server. By hand:

    python lens_proxy.py [--server http://127.0.0.1:9411] [--port 9412]
"""

import argparse
import mimetypes
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from harness.paths import LENS_ASSETS

PAGE_PREFIX = "/zipkin/"
SERVER_PREFIXES = ("/zipkin/api/", "/zipkin/config.json")
HANDED_ON = ("content-type", "content-encoding", "cache-control")
ANSWER_SECONDS_MAX = 30


@contextmanager
def lens_in_front_of(server_url: str, port: int = 0, assets: Path = LENS_ASSETS):
    """Serves while the block runs; gives the page's address and the list of (status, path) handed on to the server."""
    assert (assets / "index.html").exists(), f"no page in {assets}: run e2e/setup.sh"
    handed_on: list[tuple[int, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urlsplit(self.path).path
            if path.startswith(PAGE_PREFIX) and not path.startswith(SERVER_PREFIXES):
                self.answer_asset(path.removeprefix(PAGE_PREFIX))
            else:
                self.hand_on()

        do_POST = do_GET

        def answer_asset(self, relative: str):
            file = (assets / relative).resolve()
            if not (file.is_relative_to(assets.resolve()) and file.is_file()):
                # The page's own addresses, such as traces/{id}, are resolved by its script.
                file = assets / "index.html"
            self.answer(200, {"content-type": mimetypes.guess_type(file.name)[0] or "application/octet-stream"}, file.read_bytes())

        def hand_on(self):
            address = urlsplit(server_url)
            connection = HTTPConnection(address.hostname, address.port, timeout=ANSWER_SECONDS_MAX)
            body = self.rfile.read(int(self.headers.get("content-length", 0))) or None
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            handed_on.append((response.status, self.path))
            self.answer(response.status, {name: value for name, value in response.getheaders() if name.lower() in HANDED_ON}, response.read())
            connection.close()

        def answer(self, status: int, headers: dict, body: bytes):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}{PAGE_PREFIX}", handed_on
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="http://127.0.0.1:9411")
    parser.add_argument("--port", type=int, default=9412)
    options = parser.parse_args()
    with lens_in_front_of(options.server, options.port) as (address, _):
        print(f"Zipkin's page at {address} in front of {options.server}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
