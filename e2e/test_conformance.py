"""The recorded answers of the real Zipkin 3.5.1, file by file, against the server under test.

A file's steps are sent by `conformance/zipkin/replay.py`. Steps listed in `zipkin-expected-differences.txt` must differ, all others must
agree. Figures by file go to output/conformance.txt.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import conformance
from harness.paths import CONFORMANCE
from harness.server import eventually

SCENARIOS = sorted((CONFORMANCE / "zipkin").glob("*.json"))
assert SCENARIOS, "no recorded scenarios"

# Tracewell answers after it has stored, so a read finds what was written at once; the real Zipkin needs patience.
READ_WAIT_SECONDS = {False: 0, True: 3}

# The files were recorded one after the other: name lists may be cached by clients once the services have been asked for and
# were more than three. These let a file run alone; without a timestamp no search finds them.
USED_BEFORE = [
    {"traceId": "000000000000beef", "id": "000000000000beef", "localEndpoint": {"serviceName": f"used-before-{number}"}}
    for number in range(4)
]

# Waits recorded in the steps are short; this ends a hang.
REPLAY_SECONDS_MAX = 150


@dataclass
class Scenario:
    """A recorded file: what it needs of the server, and its steps' names."""

    path: Path
    requires: list[str] = field(init=False)
    environment: dict[str, str] = field(init=False)
    step_count: int = field(init=False)

    def __post_init__(self):
        recorded = json.loads(self.path.read_bytes())
        self.requires = recorded["requires"]
        self.environment = dict(setting.split("=", 1) for setting in recorded.get("env", []))
        self.step_count = len(recorded["steps"])

    @property
    def stem(self) -> str:
        return self.path.stem


EXPECTED_DIFFERENCES = conformance.read_expected_differences("zipkin")


@pytest.fixture(scope="module")
def figures():
    with conformance.collected_figures("conformance.txt") as lines:
        yield lines


@pytest.fixture(scope="module")
def ordinary_server(start_server):
    """The server of all files that need nothing special; started when the first of them, which wants it fresh, asks for it."""
    with start_server("conformance", AUTOCOMPLETE_KEYS="environment,instance_id") as server:
        yield server


@pytest.fixture
def scenario_server(request, start_server):
    """The server that a file was recorded with."""
    scenario = request.getfixturevalue("scenario")
    if not scenario.environment:
        server = request.getfixturevalue("ordinary_server")
        if "fresh" not in scenario.requires:
            assert server.post_spans(USED_BEFORE).status == 202
            eventually("more than three services", lambda: len(server.get_json("/api/v2/services")) > 3)
        yield server
        return
    with start_server(f"conformance-{scenario.stem}", **scenario.environment) as server:
        yield server


@pytest.mark.parametrize("scenario", [Scenario(path) for path in SCENARIOS], ids=lambda scenario: scenario.stem)
def test_answers_as_recorded(scenario, figures, request):
    server = request.getfixturevalue("scenario_server")
    listed = set() if server.is_peer else EXPECTED_DIFFERENCES.get(scenario.stem, set())

    command = [
        sys.executable, CONFORMANCE / "zipkin" / "replay.py", "--base", server.url, "--fresh", "-v",
        "--wait", str(READ_WAIT_SECONDS[server.is_peer]), *(f"--with={word}" for word in scenario.requires), scenario.path,
    ]
    # A step is told as "PASS <name of the scenario>#<step> <METHOD> <path>".
    passed, failed = conformance.replay(command, r"(PASS|FAIL) .*?#(\S+) [A-Z]+ /", REPLAY_SECONDS_MAX)
    conformance.check(figures, scenario.stem, scenario.step_count, listed, passed, failed)
