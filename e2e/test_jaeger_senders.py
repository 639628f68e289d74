"""Jaeger's own load generator and demo, built from its published module: every trace that they send is whole."""

import subprocess
import urllib.request
from contextlib import contextmanager
from time import time

import pytest

from harness.jaeger import get_json, parent_of
from harness.paths import E2E, OUTPUT
from harness.programs import free_port
from harness.server import end_process, eventually

SENDERS = E2E / ".cache" / "jaeger"
TRACES, CHILDREN = 20, 4

pytestmark = pytest.mark.skipif(not (SENDERS / "hotrod").exists(), reason="needs Go: run e2e/setup.sh where it is")


@pytest.fixture(scope="module")
def server(start_server):
    with start_server("jaeger-senders", every_port=True) as started:
        yield started


@pytest.mark.parametrize("exporter", ["otlp-http", "otlp-grpc"])
def test_tracegen(server, exporter):
    service = f"tracegen-{exporter}"
    arguments = ["-service", service, "-traces", str(TRACES), "-spans", str(CHILDREN), "-trace-exporter", exporter]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.address(exporter)}", "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    subprocess.run([SENDERS / "tracegen", *arguments], check=True, timeout=60, env=environment, capture_output=True)
    traces = eventually("all traces", lambda: whole_traces(server, service, TRACES))
    assert {len(trace["spans"]) for trace in traces} == {1 + CHILDREN}


def test_hotrod(server):
    with hotrod(server) as address:
        with urllib.request.urlopen(f"{address}/dispatch?customer=123&nonse=0.5", timeout=30) as answer:
            assert answer.status == 200
        [trace] = eventually("the trace of a ride", lambda: whole_traces(server, "frontend", 1, operation="/dispatch"))
    services = {process["serviceName"] for process in trace["processes"].values()}
    assert services >= {"frontend", "customer", "driver", "route", "mysql", "redis-manual"}, services
    links = {(link["parent"], link["child"]) for link in get_json(server, "/api/dependencies", endTs=now_ms())["data"]}
    assert links >= {("frontend", "customer"), ("frontend", "driver"), ("frontend", "route"), ("customer", "mysql")}, links


@contextmanager
def hotrod(server):
    """The demo, while the block runs."""
    ports = [free_port() for _ in range(4)]
    names = ["--frontend-service-port", "--customer-service-port", "--driver-service-port", "--route-service-port"]
    arguments = [str(argument) for pair in zip(names, ports) for argument in pair]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.address('otlp-http')}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    log_path = OUTPUT / "logs" / "hotrod.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([SENDERS / "hotrod", "all", *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{ports[0]}"
        eventually("hotrod", lambda: process.poll() is None and answers(address), 60)
        yield address
    finally:
        end_process(process)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def whole_traces(server, service: str, count: int, **conditions):
    """So many traces without a span whose parent is missing."""
    traces = get_json(server, "/api/traces", service=service, limit=1000, **conditions)["data"] or []
    whole = [trace for trace in traces if is_whole(trace)]
    return whole if len(whole) == count == len(traces) else None


def is_whole(trace: dict) -> bool:
    ids = {span["spanID"] for span in trace["spans"]}
    parents = [parent_of(span) for span in trace["spans"]]
    return parents.count(None) == 1 and all(parent in ids for parent in parents if parent)


def now_ms() -> int:
    return int(time() * 1000)
