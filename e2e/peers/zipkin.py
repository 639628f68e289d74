#!/usr/bin/env python3
"""The real Zipkin behind our command line: `zipkin.py serve --zipkin HOST:PORT ...` in, the same log line and exit code out.

With it (TRACEWELL_PEER=zipkin) every test of the API runs against the server its expectations come from. Options that Zipkin has no
equivalent of, such as --data-dir, are taken and ignored: it keeps its spans in memory.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

JAR = Path(__file__).resolve().parent.parent / ".cache" / "zipkin-server-3.5.1-exec.jar"
START_SECONDS_MAX = 80


def main() -> int:
    host, port = listen_address()
    environment = os.environ | {"QUERY_PORT": str(port), "STORAGE_TYPE": "mem"}
    java = subprocess.Popen(["java", "-Xmx512m", "-jar", JAR], env=environment, stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: java.terminate())
    if not wait_until_healthy(java, host, port):
        java.wait()
        return 1
    print(json.dumps({"message": "listening", "listener": "zipkin", "address": f"{host}:{port}"}), file=sys.stderr, flush=True)
    code = java.wait()
    return 0 if code == 128 + signal.SIGTERM else code


def listen_address() -> tuple[str, int]:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--zipkin", default="127.0.0.1:9411")
    options, _ = parser.parse_known_args()
    host, port = options.zipkin.rsplit(":", 1)
    if port != "0":
        return host, int(port)
    with socket.socket() as listener:
        listener.bind((host, 0))
        return host, listener.getsockname()[1]


def wait_until_healthy(java: subprocess.Popen, host: str, port: int) -> bool:
    end = time.monotonic() + START_SECONDS_MAX
    while java.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    java.terminate()
    return False


if __name__ == "__main__":
    sys.exit(main())
