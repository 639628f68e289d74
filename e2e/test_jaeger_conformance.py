"""The recorded answers of the real Jaeger, file by file, against the server under test.

A file's steps are sent by `conformance/jaeger/replay.py`. Steps listed in `jaeger-expected-differences.txt` must differ, all others
must agree. Figures by file go to output/conformance-jaeger.txt.
"""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.paths import CONFORMANCE, OUTPUT

SCENARIOS = sorted((CONFORMANCE / "jaeger").glob("*.json"))
assert SCENARIOS, "no recorded scenarios"

# What a file was recorded with, beside the defaults.
STRATEGIES = {"SAMPLING_STRATEGIES_FILE": str(CONFORMANCE / "jaeger" / "strategies.json.txt")}
OPTIONS = {
    "adjusters_skew_1h": {"QUERY_MAX_CLOCK_SKEW_ADJUSTMENT": "1h"},
    "sampling_14268": STRATEGIES,
    "sampling_5778": STRATEGIES,
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


def read_expected_differences() -> dict[str, set[int]]:
    """The listed steps by file; a line without a reason is a mistake."""
    listed: dict[str, set[int]] = {}
    for line in (CONFORMANCE / "jaeger-expected-differences.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+)#(\d+)\s+(\S.*)", line)
        assert match, f"not 'FILE#STEP REASON': {line!r}"
        assert (CONFORMANCE / "jaeger" / f"{match[1]}.json").exists(), f"no such file: {line!r}"
        listed.setdefault(match[1], set()).add(int(match[2]))
    return listed


EXPECTED_DIFFERENCES = read_expected_differences()


@pytest.fixture(scope="module")
def figures():
    """Collects a line a file and writes them when the last one is through."""
    lines: dict[str, str] = {}
    yield lines
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "conformance-jaeger.txt").write_text("".join(f"{line}\n" for _, line in sorted(lines.items())))


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
    listed = EXPECTED_DIFFERENCES.get(path.stem, set())

    passed, failed = replay(path, server_of(OPTIONS.get(path.stem, {})))

    figures[path.stem] = (
        f"{path.stem:<28} {len(passed):>4} of {step_count} as recorded, {len(listed & set(failed))} different on purpose"
    )
    assert len(passed) + len(failed) == step_count, "every step was sent"
    wrong = {step: told for step, told in failed.items() if step not in listed}
    assert not wrong, f"{len(wrong)} steps differ from the recorded answers:\n" + "\n".join(wrong.values())
    assert not listed & passed, f"listed as different on purpose, but they agree: {sorted(listed & passed)}"
    assert listed <= set(failed), f"listed, but no such step: {sorted(listed - set(failed))}"


def replay(path: Path, server) -> tuple[set[int], dict[int, str]]:
    """The numbers of the steps that passed, and what was told about each that failed."""
    bases = [f"--zipkin={server.url}"]
    for base, listener in BASES.items():
        bases.append(f"--{base}={'http://' if base in HTTP_BASES else ''}{server.address(listener)}")
    command = [sys.executable, CONFORMANCE / "jaeger" / "replay.py", *bases, f"--max-wait-ms={READ_WAIT_MS}", path]
    told = subprocess.run(command, capture_output=True, text=True, timeout=REPLAY_SECONDS_MAX)
    assert not told.stderr, told.stderr
    passed, failed, failing = set(), {}, None
    for line in told.stdout.splitlines():
        match = re.match(r"(PASS|FAIL) \S+ #(\d+) ", line)
        if match and match[1] == "PASS":
            passed.add(int(match[2]))
        elif match:
            failing = int(match[2])
            failed[failing] = line
        elif line.startswith("     ") and failing:
            failed[failing] += "\n" + line
    return passed, failed
