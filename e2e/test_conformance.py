"""The recorded answers of the real Zipkin 3.5.1, file by file, against the server under test.

A file's steps are sent by `conformance/zipkin/replay.py`. Steps listed in `zipkin-expected-differences.txt` must differ, all others must
agree. Figures by file go to output/conformance.txt.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.paths import CONFORMANCE, OUTPUT
from harness.server import eventually

SCENARIOS = sorted((CONFORMANCE / "zipkin").glob("*.json"))
assert SCENARIOS, "no recorded scenarios"

NOT_YET = {
    "26-mem-max-spans": "a limit of the in-memory storage, which is retention by size here: another issue",
}

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


def read_expected_differences() -> dict[str, set[str]]:
    """The listed steps by file; a line without a reason is a mistake."""
    listed: dict[str, set[str]] = {}
    for line in (CONFORMANCE / "zipkin-expected-differences.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w-]+)#(\S+)\s+(\S.*)", line)
        assert match, f"not 'FILE#STEP REASON': {line!r}"
        assert (CONFORMANCE / "zipkin" / f"{match[1]}.json").exists(), f"no such file: {line!r}"
        listed.setdefault(match[1], set()).add(match[2])
    return listed


EXPECTED_DIFFERENCES = read_expected_differences()


@pytest.fixture(scope="module")
def figures():
    """Collects a line a file and writes them when the last one is through."""
    lines: dict[str, str] = {}
    yield lines
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "conformance.txt").write_text("".join(f"{line}\n" for _, line in sorted(lines.items())))


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
    if scenario.stem in NOT_YET:
        figures[scenario.stem] = f"{scenario.stem:<28} skipped: {NOT_YET[scenario.stem]}"
        pytest.skip(NOT_YET[scenario.stem])
    server = request.getfixturevalue("scenario_server")
    listed = set() if server.is_peer else EXPECTED_DIFFERENCES.get(scenario.stem, set())

    passed, failed = replay(scenario, server)

    figures[scenario.stem] = (
        f"{scenario.stem:<28} {len(passed):>4} of {scenario.step_count} as recorded, {len(listed & set(failed))} different on purpose"
    )
    assert len(passed) + len(failed) == scenario.step_count, "every step was sent"
    wrong = {step: told for step, told in failed.items() if step not in listed}
    assert not wrong, f"{len(wrong)} steps differ from the recorded answers:\n" + "\n".join(wrong.values())
    assert not listed & passed, f"listed as different on purpose, but they agree: {sorted(listed & passed)}"
    assert listed <= set(failed), f"listed, but no such step: {sorted(listed - set(failed))}"


def replay(scenario: Scenario, server) -> tuple[set[str], dict[str, str]]:
    """The ids of the steps that passed, and what was told about each that failed."""
    command = [
        sys.executable, CONFORMANCE / "zipkin" / "replay.py", "--base", server.url, "--fresh", "-v",
        "--wait", str(READ_WAIT_SECONDS[server.is_peer]), *(f"--with={word}" for word in scenario.requires), scenario.path,
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=REPLAY_SECONDS_MAX)
    assert not told.stderr, told.stderr
    passed, failed, failing = set(), {}, None
    for line in told.stdout.splitlines():
        # A step is told as "PASS <name of the scenario>#<step> <METHOD> <path>", what was wrong in lines below, indented.
        match = re.match(r"(PASS|FAIL) .*?#(\S+) [A-Z]+ /", line)
        if match and match[1] == "PASS":
            passed.add(match[2])
        elif match:
            failing = match[2]
            failed[failing] = line
        elif line.startswith("     ") and failing:
            failed[failing] += "\n" + line
    return passed, failed
