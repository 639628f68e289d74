"""What Jaeger's page (2.20, and older ones) asks the server for, call by call, and that it gets what it checks for.

The page throws a whole answer away when one field has not the type it expects; the checks here are those.
"""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from harness.server import Server

HEX_32 = re.compile(r"[0-9a-f]{32}")
DECIMAL = re.compile(r"[0-9]+")
TRACE = "0000000000000000000000000000abcd"


@pytest.fixture(scope="module")
def query(start_server):
    """Jaeger's query port of a server that holds one trace of two services: web calls shop, and that fails."""
    with start_server("jaeger-page", every_port=True, TRACEWELL_JAEGER_ARCHIVE="true") as server:
        now_us = int(time.time() * 1e6) - 2_000_000
        span = {"traceId": TRACE, "timestamp": now_us, "duration": 5000}
        web = span | {"id": "1", "name": "get /", "kind": "SERVER", "localEndpoint": {"serviceName": "web"}}
        shop = span | {"id": "2", "parentId": "1", "name": "list", "localEndpoint": {"serviceName": "shop"}}
        calls = shop | {"kind": "SERVER", "tags": {"error": "empty"}}
        assert server.post_spans([web, calls]).status == 202
        yield Server(f"http://{server.address('jaeger-query')}")


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_the_search_form(query):
    assert query.get_json("/api/v3/services") == {"services": ["shop", "web"]}
    operations = query.get_json("/api/v3/operations", service="web")["operations"]
    assert operations == [{"name": "get /", "spanKind": "server"}], "a kind is a text, also where it is empty"
    assert query.get_json("/api/v3/operations", service="nobody") == {"operations": []}


@pytest.mark.parametrize("service", [{"query.serviceName": "web"}, {}], ids=["of a service", "of any service"])
def test_found_traces(query, service):
    window = {"query.startTimeMin": iso(time.time() - 3600), "query.startTimeMax": iso(time.time())}
    found = query.get_json("/api/v3/trace-summaries", **window, **service, **{"query.searchDepth": 20})
    [summary] = found["summaries"]
    assert HEX_32.fullmatch(summary["traceId"])
    assert DECIMAL.fullmatch(summary["minStartTimeUnixNano"]) and DECIMAL.fullmatch(summary["maxEndTimeUnixNano"])
    assert (summary["rootServiceName"], summary["rootOperationName"], summary["spanCount"]) == ("web", "get /", 2)
    assert [service["name"] for service in summary["services"]] == ["shop", "web"]
    none = query.get_json("/api/v3/trace-summaries", **window, **{"query.serviceName": "nobody"})
    assert none == {"summaries": []}


def test_a_trace(query):
    [trace] = query.get_json(f"/api/traces/{TRACE}")["data"]
    assert {span["operationName"] for span in trace["spans"]} == {"get /", "list"}
    services = {process["serviceName"] for process in trace["processes"].values()}
    assert services == {"web", "shop"}
    assert all(span["processID"] in trace["processes"] for span in trace["spans"])


def test_the_architecture(query):
    week_ms = 7 * 24 * 3600 * 1000
    links = query.get_json("/api/dependencies", endTs=int(time.time() * 1000), lookback=week_ms)["data"]
    assert links == [{"parent": "web", "child": "shop", "callCount": 1}]


def test_the_monitor(query):
    names = query.get_json("/api/operations", service="shop", spanKind="server")["data"]
    assert names == [{"name": "list", "spanKind": "server"}]
    asked = {
        "service": "shop", "endTs": int(time.time() * 1000), "lookback": 3_600_000, "step": 60_000, "ratePer": 600_000,
        "spanKind": "server", "groupByOperation": "true",
    }
    last = {}
    for metric in ("calls", "errors", "latencies"):
        family = query.get_json(f"/api/metrics/{metric}", **asked, quantile=0.95)
        assert family["type"] == "GAUGE" and family["name"].startswith("service_operation_")
        [series] = family["metrics"]
        assert {label["name"]: label["value"] for label in series["labels"]} == {"service_name": "shop", "operation": "list"}
        assert len(series["metricPoints"]) == 61
        assert all(datetime.fromisoformat(point["timestamp"]) for point in series["metricPoints"])
        last[metric] = series["metricPoints"][-1]["gaugeValue"]["doubleValue"]
    assert last["calls"] == pytest.approx(1 / 600) and last["errors"] == 1.0
    assert last["latencies"] == pytest.approx(5, rel=0.016)


def test_the_archive(query):
    archived = query.request("POST", f"/api/archive/{TRACE}", b"").json()
    assert (archived["data"], archived["errors"]) == ([], [])


def test_an_uploaded_file(query):
    span = {"traceId": TRACE, "spanId": "00000000000000ff", "name": "from a file", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    file = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    answer = query.request("POST", "/api/transform", json.dumps(file).encode(), {"Content-Type": "application/json"})
    [trace] = answer.json()["data"]
    assert [span["operationName"] for span in trace["spans"]] == ["from a file"]


def test_addresses_of_the_page_lead_to_ours(query):
    for path in ("/search", f"/trace/{TRACE}", "/dependencies", "/monitor"):
        page = query.get(path)
        assert page.status == 200 and page.headers["content-type"].startswith("text/html"), path
