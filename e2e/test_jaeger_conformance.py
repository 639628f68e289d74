"""The recorded answers of the real Jaeger, file by file, against the server under test.

A file's steps are sent by `conformance/jaeger/replay.py`. Steps listed in `jaeger-expected-differences.txt` must differ, all others
must agree. Figures by file go to output/conformance-jaeger.txt.
"""

import json
import sys
from contextlib import ExitStack

import pytest

from harness import conformance
from harness.paths import CONFORMANCE

SCENARIOS = sorted((CONFORMANCE / "jaeger").glob("*.json"))
assert SCENARIOS, "no recorded scenarios"

# What a file was recorded with, beside the defaults.
STRATEGIES = {"SAMPLING_STRATEGIES_FILE": str(CONFORMANCE / "jaeger" / "strategies.json.txt")}
OPTIONS = {
    "adjusters_skew_1h": {"QUERY_MAX_CLOCK_SKEW_ADJUSTMENT": "1h", "COLLECTOR_TAGS": "env=lab,zone=z1"},
    "tenancy_and_base_path": {
        "MULTI_TENANCY_ENABLED": "true", "MULTI_TENANCY_HEADER": "x-tenant", "MULTI_TENANCY_TENANTS": "acme,beta",
        "QUERY_BASE_PATH": "/jaeger",
    },
    # The recorded Jaeger had no store of metrics; here the spans are always there to compute them from.
    "query_api": {"TRACEWELL_JAEGER_METRICS": "false"},
    "query_api_v3_main": {"TRACEWELL_JAEGER_METRICS": "false"},
    "sampling_14268": STRATEGIES,
    "sampling_5778": STRATEGIES,
    "sampling_5778_v2": STRATEGIES,
    "sampling_5778_main": STRATEGIES,
}

# What replay.py calls the ports.
BASES = {
    "query": "jaeger-query",
    "query-grpc": "jaeger-query-grpc",
    "collector": "jaeger-http",
    "grpc": "jaeger-grpc",
    "otlp": "otlp-http",
    "otlp-grpc": "otlp-grpc",
    "udp-compact": "jaeger-udp-compact",
    "udp-binary": "jaeger-udp-binary",
    "sampling": "sampling",
    "sampling-grpc": "jaeger-grpc",
}
HTTP_BASES = {"query", "collector", "otlp", "sampling"}

# Spans over UDP are there when they are there; all others before they are answered.
READ_WAIT_MS = 3000
# Waits recorded in the steps are short; this ends a hang.
REPLAY_SECONDS_MAX = 300


EXPECTED_DIFFERENCES = conformance.read_expected_differences("jaeger")


@pytest.fixture(scope="module")
def figures():
    with conformance.collected_figures("conformance-jaeger.txt") as lines:
        yield lines


@pytest.fixture(scope="module")
def server_of(start_server):
    """The server of a file, by its options; each is started once."""
    running = {}
    with ExitStack() as stack:

        def server(options: dict[str, str]):
            key = tuple(sorted(options.items()))
            if key not in running:
                started = start_server(f"conformance-jaeger-{len(running)}", every_port=True, **options)
                running[key] = stack.enter_context(started)
            return running[key]

        yield server


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_answers_as_recorded(path, figures, server_of):
    step_count = len(json.loads(path.read_bytes())["steps"])
    server = server_of(OPTIONS.get(path.stem, {}))
    bases = [f"--zipkin={server.url}"]
    for base, listener in BASES.items():
        if not server.listens(listener):
            continue
        bases.append(f"--{base}={'http://' if base in HTTP_BASES else ''}{server.address(listener)}")
    command = [sys.executable, CONFORMANCE / "jaeger" / "replay.py", *bases, f"--max-wait-ms={READ_WAIT_MS}", path]
    passed, failed = conformance.replay(command, r"(PASS|FAIL) \S+ #(\d+) ", REPLAY_SECONDS_MAX)
    conformance.check(figures, path.stem, step_count, EXPECTED_DIFFERENCES.get(path.stem, set()), passed, failed)
