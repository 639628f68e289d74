"""aiozipkin from PyPI, unmodified: its README's simple example, and its aiohttp server and client."""

import pytest

from harness.page import Row, open_from_search, screenshot, span_rows
from harness.programs import free_port, run_program, running_program
from harness.traces import by_name, dependency_links, find_trace, is_child


@pytest.fixture(scope="module")
def simple_trace(server):
    run_program("aiozipkin_simple.py", server.url)
    return find_trace(server, 1, serviceName="simple_service")


@pytest.fixture(scope="module")
def pair_trace(server):
    port = free_port()
    with running_program("aiozipkin_server.py", "--port", port, "--zipkin", server.url, port=port):
        run_program("aiozipkin_client.py", "--server", f"http://127.0.0.1:{port}", "--zipkin", server.url)
        return find_trace(server, 3, serviceName="aiohttp_client")


def test_simple_example_is_found_through_the_api(server, simple_trace):
    [span] = simple_trace
    assert span["name"] == "slow sql"
    assert span["kind"] == "CLIENT"
    assert span["duration"] >= 100_000, "it sleeps for a tenth of a second"
    assert span["localEndpoint"] == {"serviceName": "simple_service", "ipv4": "127.0.0.1", "port": 8080}
    assert span["tags"] == {"span_type": "root"}
    assert [annotation["value"] for annotation in span["annotations"]] == ["START SQL SELECT * FROM", "END SQL"]
    assert len(span["traceId"]) == 32
    for conditions in (
        {"serviceName": "simple_service", "spanName": "slow sql"},
        {"annotationQuery": "span_type=root and END SQL"},
        {"serviceName": "simple_service", "minDuration": 100_000, "maxDuration": span["duration"]},
    ):
        assert find_trace(server, 1, **conditions) == simple_trace


def test_simple_example_is_seen_in_the_page(server, simple_trace, tracewell_page):
    open_from_search(tracewell_page, server, simple_trace[0]["traceId"])
    assert span_rows(tracewell_page, 1) == [Row(0, "simple_service", "slow sql")]
    screenshot(tracewell_page, "aiozipkin-simple")


def test_pair_is_one_trace_through_the_api(server, pair_trace):
    spans = by_name(pair_trace)
    client, handler, read = spans["get post"], spans["get /api/v1/posts/1"], spans["read post"]
    assert client["kind"] == "CLIENT" and "parentId" not in client
    assert handler["kind"] == "SERVER" and handler["shared"] is True
    assert handler["id"] == client["id"], "the server joins the client's span"
    assert is_child(read, handler)
    assert handler["tags"] == {
        "http.method": "GET", "http.path": "/api/v1/posts/1", "http.route": "/api/v1/posts/{id}", "http.status_code": "200",
    }
    found = find_trace(server, 3, serviceName="aiohttp_server", annotationQuery="http.status_code=200 and post.id=1")
    assert found[0]["traceId"] == client["traceId"]
    assert dependency_links(server) >= {("aiohttp_client", "aiohttp_server"), ("aiohttp_server", "posts_db")}


def test_pair_is_seen_in_the_page(server, pair_trace, tracewell_page):
    open_from_search(tracewell_page, server, pair_trace[0]["traceId"])
    assert span_rows(tracewell_page, 3) == [
        Row(0, "aiohttp_client", "get post"),
        Row(1, "aiohttp_server", "get /api/v1/posts/1"),
        Row(2, "aiohttp_server", "read post"),
    ]
    screenshot(tracewell_page, "aiozipkin-pair")
