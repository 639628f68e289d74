"""The page's own API: every answer has the shape that docs/page-api.openapi.yaml promises, and says what was sent.

The shop's traces are made here: a tenth of the requests is slow because one replica of the database is.
"""

import json
import time
import urllib.request
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.server import ANSWER_SECONDS_MAX, eventually

OPENAPI = yaml.safe_load((Path(__file__).parent.parent / "docs" / "page-api.openapi.yaml").read_text())
BASE = "/api/tracewell/v1"
REQUESTS = 400
REPLICAS = ("replica-1", "replica-2", "replica-3", "replica-4")
SLOW = "replica-3"
MINUTE_US = 60_000_000


def request_of_shop(at: int, start_us: int) -> list[dict]:
    """A request: front calls cart, cart asks the database."""
    replica = REPLICAS[at % len(REPLICAS)]
    slow_us = 80_000 if replica == SLOW and at % 10 else 0
    trace_id = f"{at + 1:032x}"
    failed = slow_us and at % 3 == 0

    def span(number, parent, service, name, kind, duration_us, tags, **more):
        return {
            "traceId": trace_id, "id": f"{(at + 1) * 16 + number:016x}", "name": name, "kind": kind,
            "timestamp": start_us + number * 100, "duration": duration_us, "localEndpoint": {"serviceName": service},
            "tags": tags | ({"error": "timeout"} if failed and number == 4 else {}),
            **({"parentId": f"{(at + 1) * 16 + parent:016x}"} if parent else {}), **more,
        }

    database = {"remoteEndpoint": {"serviceName": "db"}}
    return [
        span(1, 0, "front", "get /", "SERVER", 3000 + slow_us, {"http.route": "/", "request.id": f"{at * 7919:x}"}),
        span(2, 1, "front", "list", "CLIENT", 2500 + slow_us, {}),
        span(3, 2, "cart", "list", "SERVER", 2000 + slow_us, {"http.status_code": "504" if failed else "200"}),
        span(4, 3, "cart", "select rows", "CLIENT", 1000 + slow_us, {"db.instance": replica, "db.rows": str(at % 50)}, **database),
    ]


@pytest.fixture(scope="module")
def shop(server):
    """The server with the shop's traces, and the window they lie in."""
    end_us = time.time_ns() // 1000
    start_us = end_us - 30 * MINUTE_US
    step_us = 30 * MINUTE_US // (REQUESTS + 1)
    spans = [span for at in range(REQUESTS) for span in request_of_shop(at, start_us + at * step_us)]
    assert server.post_spans(spans).status == 202
    return server, {"start": start_us, "end": end_us}


def held_to(schema: str, value) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}"} | OPENAPI).validate(value)


def schema_of(path: str) -> str:
    content = OPENAPI["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    return content.rsplit("/", 1)[1]


def get(server, path: str, **query):
    """The answer, held to what the file says of it."""
    answer = server.get_json(BASE + path, **query)
    held_to(schema_of(path), answer)
    return answer


def test_every_address_is_described():
    described = set(OPENAPI["paths"])
    text = (Path(__file__).parent.parent / "docs" / "page-api.md").read_text()
    told = {"/" + line.split("`GET ")[1].split("`")[0] for line in text.splitlines() if line.startswith("## `GET ")}
    assert described == told


def test_queries_are_read(server):
    parsed = get(server, "/parse", q='service=cart  and duration > 200ms "größe"')
    assert parsed["q"] == 'service:cart duration>200ms "größe"'
    assert [(term["start"], term["end"]) for term in parsed["terms"]] == [(0, 12), (18, 34), (35, 42)]
    old = get(server, "/parse", serviceName="cart", annotationQuery="error and http.method=GET", minDuration="1000")
    assert old["q"] == "service:cart duration>=1ms status:error http.method=GET"


@pytest.mark.parametrize("path", ["parse", "search", "search/stream", "histogram", "facets", "services", "map", "compare", "live"])
def test_what_is_wrong_with_a_query_is_pointed_at(server, path):
    answer = server.get(f"{BASE}/{path}", q="größe=1 servce:x")
    assert answer.status == 400
    held_to("Error", answer.json())
    problem = answer.json()["problem"]
    assert (problem["code"], problem["start"], problem["end"]) == ("unknown-field", 8, 14)


@pytest.mark.parametrize("path, query", [
    ("search", {"limit": 0}), ("search", {"limit": "x"}), ("search", {"cursor": "no"}), ("search", {"start": 5, "end": 4}),
    ("histogram", {"buckets": 501}), ("histogram", {"of": "bytes"}), ("services", {"spans": "some"}),
    ("percentile", {"service": "a", "name": "b"}), ("percentile", {"duration": 5}), ("compare", {"select": "("}),
    ("parse", {"minDuration": "fast"}), ("search", {"columns": ",".join("abcdefghi")}),
])
def test_wrong_parameters_are_refused(server, path, query):
    answer = server.get(f"{BASE}/{path}", **query)
    assert answer.status == 400, answer.text
    held_to("Error", answer.json())


def test_pages_hold_every_trace_once_newest_first(shop):
    server, window = shop
    seen, cursor, pages = [], {}, 0
    while True:
        page = get(server, "/search", q="service:cart db.rows>=25", limit=30, columns="db.instance,http.route", **window, **cursor)
        pages += 1
        seen += page["traces"]
        if pages == 2:
            late = request_of_shop(100_025, window["end"] - MINUTE_US)
            assert server.post_spans(late).status == 202
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert pages >= 7
    assert len({trace["traceId"] for trace in seen}) == len(seen) == REQUESTS // 2, "a late one is in no page behind the first"
    times = [trace["matchTime"] for trace in seen]
    assert times == sorted(times, reverse=True)
    assert all(trace["columns"]["db.instance"] in REPLICAS and trace["columns"]["http.route"] == "/" for trace in seen)
    assert all(trace["matchCount"] == len(trace["matches"]) == 1 for trace in seen)


def test_one_span_meets_the_whole_query(shop):
    server, window = shop
    both = get(server, "/search", q="service:front db.instance=replica-1", **window)
    assert both["traces"] == [] and both["searched"]["complete"]
    assert get(server, "/search", q="(name:list kind:client) or has:nothing", **window)["traces"]


def test_the_stream_tells_the_same(shop):
    server, window = shop
    page = get(server, "/search", q="status:error", limit=1000, **window)
    answer = server.get(f"{BASE}/search/stream", q="status:error", limit=1000, **window)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for line in lines:
        held_to("Line", line)
    assert [line["trace"] for line in lines if "trace" in line] == page["traces"] != []
    assert lines[-1]["end"]["next"] is None


def test_histograms_count_what_is_there(shop):
    server, window = shop
    for of, per_request in (("traces", 1), ("spans", 2)):
        histogram = get(server, "/histogram", q="service:front", of=of, buckets=10, **window)
        assert histogram["total"]["count"] >= REQUESTS * per_request
        assert sum(bucket["count"] for bucket in histogram["buckets"]) == histogram["total"]["count"]
        for bucket in histogram["buckets"]:
            assert sum(bucket["latencies"]) == bucket["count"] and len(bucket["latencies"]) == len(histogram["latencies"])
    p50, p99 = (get(server, "/histogram", q="service:front", **window)["total"][key] for key in ("p50", "p99"))
    assert abs(p50 / 3000 - 1) < 0.02 and abs(p99 / 83_000 - 1) < 0.02


def test_facets_count_what_is_there(shop):
    server, window = shop
    facets = get(server, "/facets", q="service:cart", **window)
    assert [facet["value"] for facet in facets["services"]] == ["cart"]
    assert {operation["value"] for operation in facets["operations"]} == {"list", "select rows"}
    by_key = {attribute["key"]: attribute for attribute in facets["attributes"]}
    assert {value["value"] for value in by_key["db.instance"]["values"]} == set(REPLICAS)
    assert get(server, "/facets", **window)["attributes"][-1]["key"] == "request.id", "ids come last"


def test_keys_names_and_values_are_completed(shop):
    server, _ = shop

    def texts(**query):
        return [value["value"] for value in get(server, "/complete", **query)["values"]]

    assert texts(key="service", prefix="CA") == ["cart"]
    assert texts(key="name", prefix="s", service="cart") == ["select rows", "list"]
    assert texts(key="remote") == ["db"]
    assert texts(prefix="db.") == ["db.instance", "db.rows"]
    assert set(texts(key="db.instance", prefix="rep")) == set(REPLICAS) and len(texts(key="db.instance", limit=2)) == 2


def test_services_and_the_map_have_rates_errors_and_durations(shop):
    server, window = shop
    red = get(server, "/services", service="cart", spans="all", buckets=5, **window)
    rows = {row["service"]: row for row in red["services"]}
    assert set(rows) == {"front", "cart"} and all(len(row["sparkline"]) == 5 for row in rows.values())
    operations = {row["name"]: row for row in red["operations"]}
    assert operations["select rows"]["errors"] > 0 and operations["list"]["errors"] == 0
    entry = {row["service"]: row for row in get(server, "/services", **window)["services"]}
    assert entry["cart"]["count"] < rows["cart"]["count"]
    links = {(link["parent"], link["child"]): link for link in get(server, "/map", **window)["links"]}
    assert set(links) == {("front", "cart"), ("cart", "db")}
    assert links["cart", "db"]["errors"] > 0 and abs(links["cart", "db"]["p50"] / 1000 - 1) < 0.02


def test_a_span_stands_among_its_operation(shop):
    server, window = shop
    place = get(server, "/percentile", service="cart", name="select rows", duration=1000, end=window["end"])
    assert place["count"] >= REQUESTS and 70 < place["percentile"] < 85
    assert get(server, "/percentile", service="no", name="no", duration=5)["percentile"] is None


def test_why_slow_names_the_planted_cause_first(shop):
    server, window = shop
    compared = get(server, "/compare", q="service:front kind:server", select="duration>20ms", **window)
    first = compared["differences"][0]
    assert (first["service"], first["key"], first["value"]) == ("cart", "db.instance", SLOW)
    assert (compared["slower"][0]["service"], compared["slower"][0]["name"]) == ("cart", "select rows")
    assert get(server, "/search", q=first["query"], **window)["traces"]


def test_spans_are_seen_as_they_arrive(shop):
    server, _ = shop
    url = f"{server.url}{BASE}/live?q=service%3Afront"
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as events:
        assert events.headers["Content-Type"] == "text/event-stream"
        assert events.readline().startswith(b":")
        assert get(server, "/status")["live"]["listeners"] == 1
        now_us = time.time_ns() // 1000
        assert server.post_spans(request_of_shop(200_000, now_us)).status == 202
        line = next(line for line in events if line.startswith(b"data: "))
        spans = json.loads(line.removeprefix(b"data: "))
        held_to("LiveSpans", spans)
        assert [(span["service"], span["kind"]) for span in spans] == [("front", "server"), ("front", "client")]
    eventually("a listener that has gone", lambda: get(server, "/status")["live"]["listeners"] == 0)


def test_the_status_tells_what_came(shop):
    server, _ = shop
    status = get(server, "/status")
    (way,) = [way for way in status["ingest"] if way["protocol"] == "http"]
    assert way["spans"] >= 4 * REQUESTS and status["store"]["spans"] >= 4 * REQUESTS and status["store"]["takesWrites"]


def test_what_was_there_before_is_as_described(shop):
    server, _ = shop
    traces = get(server, "/traces", serviceName="cart", limit=3)["traces"]
    assert len(traces) == 3
    answer = server.get(f"{BASE}/trace/{traces[0]['traceId']}/span/0")
    held_to("Span", answer.json())
    assert answer.headers["Tracewell-Row"] == "0"
    layout = server.get(f"{BASE}/trace/{traces[0]['traceId']}")
    assert layout.headers["Content-Type"] == "application/vnd.tracewell.trace" and layout.body[:4] == b"TWT1"
    missing = server.get(f"{BASE}/trace/{'f' * 16}")
    assert missing.status == 404
    held_to("Error", missing.json())
