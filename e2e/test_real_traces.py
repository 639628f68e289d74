"""Traces of real systems, posted and read back: every span of every trace comes out as it went in."""

import json

import pytest

from harness.paths import FIXTURES
from harness.server import eventually

FILES = sorted((FIXTURES / "zipkin-traces").glob("*.json"))
assert FILES, "no fixtures"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_reads_back_span_by_span(server, file):
    spans = json.loads(file.read_bytes())
    [trace_id] = {span["traceId"] for span in spans}
    answer = server.post_spans(file.read_bytes())
    assert (answer.status, answer.body) == (202, b"")

    def stored():
        found = server.get(f"/api/v2/trace/{trace_id}")
        return found.json() if found.status == 200 else None

    # The real Zipkin answers before it has stored; Tracewell must not.
    read = eventually(f"trace {trace_id}", stored) if server.is_peer else stored()
    assert read is not None, "an acknowledged trace is readable at once"
    assert comparable(read) == comparable(spans)


def comparable(spans: list[dict]) -> list[dict]:
    """The spans in an order of ours; annotations by time, which is how they are answered."""
    for span in spans:
        if "annotations" in span:
            span["annotations"].sort(key=lambda annotation: (annotation["timestamp"], annotation["value"]))
    return sorted(spans, key=lambda span: json.dumps(span, sort_keys=True))
