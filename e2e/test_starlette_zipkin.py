"""starlette-zipkin from PyPI, unmodified: its README's app with `ZipkinConfig`, `trace` and headers passed on to a second service."""

import json
import urllib.request

import pytest

from harness.page import Row, open_from_search, screenshot, span_rows
from harness.programs import free_port, running_program
from harness.traces import by_name, dependency_links, find_trace, is_child


@pytest.fixture(scope="module")
def homepage(server):
    """The trace of one visit of /homepage and the headers its answer carried."""
    port, second_port = free_port(), free_port()
    second = running_program("starlette_second.py", "--port", second_port, "--zipkin-port", server.port, port=second_port)
    app = running_program(
        "starlette_app.py", "--port", port, "--second", f"http://127.0.0.1:{second_port}", "--zipkin-port", server.port, port=port
    )
    with second, app:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/homepage") as answer:
            assert json.load(answer) == {"hello": "world", "second": {"status": "OK"}}
            headers = answer.headers
        # The middleware sends in the background, every five seconds, and not when it ends.
        trace = find_trace(server, 4, serviceName="service_name")
    return trace, headers


def test_homepage_is_one_trace_through_the_api(server, homepage):
    trace, headers = homepage
    spans = {(span["localEndpoint"]["serviceName"], name): span for name, span in by_name(trace).items()}
    root = spans["service_name", "http get /homepage"]
    parent = spans["service_name", "newparent"]
    second = spans["second_service", "http get /"]
    step = spans["second_service", "awesome sub trace"]
    assert "parentId" not in root
    assert is_child(parent, root) and is_child(second, parent) and is_child(step, second)
    assert [span["kind"] for span in (root, parent, second, step)] == ["SERVER", "SERVER", "SERVER", "CLIENT"]
    assert [annotation["value"] for annotation in parent["annotations"]] == [
        "Child, sleeps for 0.1, injects headers and becomes parent"
    ]
    assert root["tags"]["component"] == "asgi" and root["tags"]["http.status_code"] == "200"
    assert json.loads(second["tags"]["http.headers"])["x-b3-spanid"] == parent["id"], "the headers were passed on"
    assert headers["x-b3-traceid"] == root["traceId"] and headers["x-b3-spanid"] == parent["id"]
    found = find_trace(server, 4, serviceName="second_service", annotationQuery="http.route=/")
    assert found[0]["traceId"] == root["traceId"]
    assert ("service_name", "second_service") in dependency_links(server)


def test_homepage_is_seen_in_the_page(server, homepage, tracewell_page):
    trace, _ = homepage
    open_from_search(tracewell_page, server, trace[0]["traceId"])
    assert span_rows(tracewell_page, 4) == [
        Row(0, "service_name", "http get /homepage"),
        Row(1, "service_name", "newparent"),
        Row(2, "second_service", "http get /"),
        Row(3, "second_service", "awesome sub trace"),
    ]
    screenshot(tracewell_page, "starlette-zipkin")
