"""Traces as Jaeger's API answers them: a server and search conditions in, spans by operation out."""

import json
import urllib.error
import urllib.parse
import urllib.request

from harness.server import ANSWER_SECONDS_MAX, Server, eventually


def get_json(server: Server, path: str, **query):
    """What the Jaeger query API answers; it must be 200."""
    url = f"http://{server.address('jaeger-query')}{path}"
    url += "?" + urllib.parse.urlencode(query) if query else ""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            raise AssertionError(f"GET {url}: {refused.code} {refused.read()[:300]}") from None


def find_trace(server: Server, span_count: int, **conditions) -> dict:
    """The one trace that a search finds, once all of its spans are there."""

    def complete():
        traces = get_json(server, "/api/traces", **conditions)["data"] or []
        assert len(traces) <= 1, f"{conditions} find {len(traces)} traces"
        return traces[0] if traces and len(traces[0]["spans"]) >= span_count else None

    trace = eventually(f"a trace of {span_count} spans by {conditions}", complete)
    assert len(trace["spans"]) == span_count, [span["operationName"] for span in trace["spans"]]
    return trace


def by_operation(trace: dict) -> dict[str, dict]:
    """The spans, every operation once, with their processes in place of their ids."""
    spans = {span["operationName"]: span | {"process": trace["processes"][span["processID"]]} for span in trace["spans"]}
    assert len(spans) == len(trace["spans"]), "every operation once"
    return spans


def pairs(tags: list[dict]) -> dict:
    """Tags or log fields as key and value."""
    return {tag["key"]: tag["value"] for tag in tags}


def parent_of(span: dict) -> str | None:
    """The span id of its parent."""
    return next((reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"), None)
