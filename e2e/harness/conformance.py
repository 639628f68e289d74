"""Replays of recorded answers: which steps agreed and which did not, held against those that differ on purpose."""

import re
import subprocess
from contextlib import contextmanager

from harness.paths import CONFORMANCE, OUTPUT


def read_expected_differences(peer: str) -> dict[str, set[str]]:
    """The steps listed in `PEER-expected-differences.txt` by file; a line without a reason is a mistake."""
    listed: dict[str, set[str]] = {}
    for line in (CONFORMANCE / f"{peer}-expected-differences.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w-]+)#(\S+)\s+(\S.*)", line)
        assert match, f"not 'FILE#STEP REASON': {line!r}"
        assert (CONFORMANCE / peer / f"{match[1]}.json").exists(), f"no such file: {line!r}"
        listed.setdefault(match[1], set()).add(match[2])
    return listed


@contextmanager
def collected_figures(file_name: str):
    """Collects a line a file and writes them when the last one is through."""
    lines: dict[str, str] = {}
    yield lines
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / file_name).write_text("".join(f"{line}\n" for _, line in sorted(lines.items())))


def replay(command: list, step_line: str, seconds_max: float) -> tuple[set[str], dict[str, str]]:
    """Runs a replay script: the ids of the steps that passed, and what was told about each that failed.

    `step_line` matches the line of a step: its first group is PASS or FAIL, its second the step's id. What was wrong follows in
    lines below, indented.
    """
    told = subprocess.run(command, capture_output=True, text=True, timeout=seconds_max)
    assert not told.stderr, told.stderr
    passed, failed, failing = set(), {}, None
    for line in told.stdout.splitlines():
        match = re.match(step_line, line)
        if match and match[1] == "PASS":
            passed.add(match[2])
        elif match:
            failing = match[2]
            failed[failing] = line
        elif line.startswith("     ") and failing:
            failed[failing] += "\n" + line
    return passed, failed


def check(figures: dict[str, str], name: str, step_count: int, listed: set[str], passed: set[str], failed: dict[str, str]):
    """Notes the file's figures. Every step must agree but the listed ones, and these must not."""
    on_purpose = len(listed & set(failed))
    figures[name] = f"{name:<28} {len(passed):>4} of {step_count} as recorded, {on_purpose} different on purpose"
    assert len(passed) + len(failed) == step_count, "every step was sent"
    wrong = {step: told for step, told in failed.items() if step not in listed}
    assert not wrong, f"{len(wrong)} steps differ from the recorded answers:\n" + "\n".join(wrong.values())
    assert not listed & passed, f"listed as different on purpose, but they agree: {sorted(listed & passed)}"
    assert listed <= set(failed), f"listed, but no such step: {sorted(listed - set(failed))}"
