"""py_zipkin from PyPI, unmodified: two Flask services, `webapp` calling `service1` with B3 headers, as one trace of four nested spans."""

import urllib.request

import pytest

from harness.page import Row, open_from_search, screenshot, span_rows
from harness.programs import free_port, running_program
from harness.traces import by_name, dependency_links, find_trace, is_child, lies_within

SLEEP_SECONDS = 0.1


@pytest.fixture(scope="module")
def trace(server):
    port, service1_port = free_port(), free_port()
    common = ("--zipkin-port", server.port, "--sleep-seconds", SLEEP_SECONDS)
    service1 = running_program("py_zipkin_service1.py", "--port", service1_port, *common, port=service1_port)
    webapp = running_program(
        "py_zipkin_webapp.py", "--port", port, "--service1", f"http://localhost:{service1_port}", *common, port=port
    )
    with service1, webapp:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.read() == b"OK"
    return find_trace(server, 4, serviceName="webapp")


def test_four_nested_spans_through_the_api(server, trace):
    spans = by_name(trace)
    nested = [spans[name] for name in ("index", "do_stuff", "index_service1", "service1_do_stuff")]
    assert [span["localEndpoint"]["serviceName"] for span in nested] == ["webapp", "webapp", "service1", "service1"]
    assert "parentId" not in nested[0]
    for outer, inner in zip(nested, nested[1:]):
        assert is_child(inner, outer), f"{inner['name']} in {outer['name']}"
        assert lies_within(inner, outer), f"{inner['name']} in {outer['name']}"
    assert [span.get("kind") for span in nested] == ["SERVER", None, "SERVER", None]
    assert nested[2]["shared"] is True
    sleep = int(SLEEP_SECONDS * 1_000_000)
    assert all(span["duration"] >= least for span, least in zip(nested, (3 * sleep, 2 * sleep, sleep, sleep)))
    assert find_trace(server, 4, serviceName="service1", spanName="service1_do_stuff") == trace
    assert {"service1", "webapp"} <= set(server.get_json("/api/v2/services"))
    assert {link for link in dependency_links(server) if {"service1", "webapp"} & set(link)} == {("webapp", "service1")}


def test_four_nested_spans_in_the_page(server, trace, tracewell_page):
    open_from_search(tracewell_page, server, trace[0]["traceId"])
    nested = [
        Row(0, "webapp", "index"),
        Row(1, "webapp", "do_stuff"),
        Row(2, "service1", "index_service1"),
        Row(3, "service1", "service1_do_stuff"),
    ]
    assert span_rows(tracewell_page, 4) == nested
    screenshot(tracewell_page, "py-zipkin")
    tracewell_page.reload()
    assert span_rows(tracewell_page, 4) == nested, "the address is a link to the trace"


def test_the_search_page_shows_the_trace_when_asked_for_its_service(server, trace, tracewell_page):
    open_from_search(tracewell_page, server, trace[0]["traceId"], "?serviceName=service1&lookback=15m&limit=10")
    assert len(span_rows(tracewell_page, 4)) == 4
