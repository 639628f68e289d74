"""jaeger-client from PyPI, unmodified: over UDP, with a sampler of its own, one asked for on port 5778, and a debug id."""

import json

import pytest

from harness.jaeger import by_operation, find_trace, get_json, pairs, parent_of
from harness.programs import run_program

SERVICE, NEVER, REMOTE = "your-app-name", "never-sampled", "remotely-sampled"


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    strategies = tmp_path_factory.mktemp("sampling") / "strategies.json"
    strategy = {"service": REMOTE, "type": "probabilistic", "param": 1}
    default = {"type": "probabilistic", "param": 0}
    strategies.write_text(json.dumps({"default_strategy": default, "service_strategies": [strategy]}))
    with start_server("jaeger-client", every_port=True, SAMPLING_STRATEGIES_FILE=str(strategies)) as started:
        yield started


def run(server, *arguments):
    udp, sampling = (server.address(listener).rsplit(":", 1)[1] for listener in ("jaeger-udp-compact", "sampling"))
    run_program("jaeger_client_app.py", "--udp-port", udp, "--sampling-port", sampling, *arguments)


def test_the_example_of_its_readme(server):
    run(server)
    spans = by_operation(find_trace(server, 2, service=SERVICE))
    root, child = spans["TestSpan"], spans["ChildSpan"]
    assert (parent_of(root), parent_of(child)) == (None, root["spanID"])
    assert (root["flags"], child["flags"]) == (1, 1)
    assert [pairs(log["fields"]) for log in root["logs"]] == [{"event": "test message", "life": 42}]
    assert [pairs(log["fields"]) for log in child["logs"]] == [{"event": "down below"}]
    tags, process = pairs(root["tags"]), pairs(root["process"]["tags"])
    assert (tags["sampler.type"], tags["sampler.param"]) == ("const", True)
    assert process["jaeger.version"] == "Python-4.8.0"
    assert {"hostname", "ip"} <= set(process)
    assert SERVICE in get_json(server, "/api/services")["data"]


def test_zipkins_api_has_it_too(server):
    traces = server.get_json("/api/v2/traces", serviceName=SERVICE)
    names = {span["name"]: span for trace in traces for span in trace}
    assert set(names) == {"testspan", "childspan"}
    assert names["childspan"]["parentId"] == names["testspan"]["id"]
    assert names["testspan"]["tags"]["sampler.type"] == "const"


def test_the_server_decides_what_is_sampled(server):
    run(server, "--sampler", "remote", "--service", REMOTE)
    root = by_operation(find_trace(server, 2, service=REMOTE))["TestSpan"]
    assert (pairs(root["tags"])["sampler.type"], pairs(root["tags"])["sampler.param"]) == ("probabilistic", 1)


def test_a_debug_id_is_found_where_nothing_is_sampled(server):
    run(server, "--sampler", "never", "--service", NEVER)
    assert NEVER not in get_json(server, "/api/services")["data"]
    run(server, "--sampler", "never", "--service", NEVER, "--debug-id", "some-correlation-id")
    found = find_trace(server, 2, service=NEVER, tags=json.dumps({"jaeger-debug-id": "some-correlation-id"}))
    assert by_operation(found)["TestSpan"]["flags"] == 3
