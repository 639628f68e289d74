"""Traces as a user's script gets them over HTTP: a server and search conditions in, spans by name out."""

from time import time

from harness.server import Server, eventually


def find_trace(server: Server, span_count: int, **conditions) -> list[dict]:
    """The one trace that a search finds, once all of its spans are there (a library may send them in several batches)."""

    def complete():
        traces = server.get_json("/api/v2/traces", **conditions)
        assert len(traces) <= 1, f"{conditions} find {len(traces)} traces"
        return traces[0] if traces and len(traces[0]) >= span_count else None

    trace = eventually(f"a trace of {span_count} spans by {conditions}", complete)
    assert len(trace) == span_count, [span.get("name") for span in trace]
    assert len({span["traceId"] for span in trace}) == 1
    by_id = server.get_json(f"/api/v2/trace/{trace[0]['traceId']}")
    assert sorted(by_id, key=repr) == sorted(trace, key=repr), "the search and the trace by its id tell the same spans"
    return trace


def by_name(trace: list[dict]) -> dict[str, dict]:
    spans = {span["name"]: span for span in trace}
    assert len(spans) == len(trace), "every name once"
    return spans


def is_child(child: dict, parent: dict) -> bool:
    return child.get("parentId") == parent["id"]


def lies_within(inner: dict, outer: dict) -> bool:
    """Whether the inner span ran while the outer one did, to the microsecond."""
    return (
        outer["timestamp"] <= inner["timestamp"]
        and inner["timestamp"] + inner["duration"] <= outer["timestamp"] + outer["duration"]
    )


def dependency_links(server: Server) -> set[tuple[str, str]]:
    """Who called whom, over all that the server keeps of the last day."""
    links = server.get_json("/api/v2/dependencies", endTs=int(time() * 1000) + 60_000, lookback=86_400_000)
    return {(link["parent"], link["child"]) for link in links}
