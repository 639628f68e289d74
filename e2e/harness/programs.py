"""The example programs of `apps/` as processes of their own: a file name and arguments in, a finished or a listening program out."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

from harness.paths import APPS, OUTPUT
from harness.server import end_process

RUN_SECONDS_MAX = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_program(file_name: str, *arguments: str) -> None:
    """Runs a program to its end; it must exit with 0."""
    with _start(file_name, arguments) as process:
        try:
            assert process.wait(RUN_SECONDS_MAX) == 0, f"{file_name}: exit code {process.returncode}, see {_log_path(file_name)}"
        finally:
            end_process(process)


@contextmanager
def running_program(file_name: str, *arguments: str, port: int):
    """A program that listens on `port` while the block runs."""
    with _start(file_name, arguments) as process:
        try:
            _wait_until_listening(file_name, process, port)
            yield
        finally:
            end_process(process)


def _start(file_name: str, arguments) -> subprocess.Popen:
    log_path = _log_path(file_name)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, APPS / file_name, *map(str, arguments)],
            env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )


def _log_path(file_name: str):
    return OUTPUT / "logs" / f"{file_name}.log"


def _wait_until_listening(file_name: str, process: subprocess.Popen, port: int) -> None:
    end = time.monotonic() + RUN_SECONDS_MAX
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, f"{file_name} ended with {process.returncode}, see {_log_path(file_name)}"
        assert time.monotonic() < end, f"{file_name} never listened on {port}, see {_log_path(file_name)}"
        time.sleep(0.05)
